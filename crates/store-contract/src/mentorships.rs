//! Promises about who mentors whom.

use crate::Database;
use crate::builders::{a_mentee, a_mentor, a_user, at, nobody};
use crate::database::refused;
use domain::id::UserId;
use domain::ports::{Reference, StoreError};
use domain::users::{NewUser, User};

async fn above(database: &Database, user: UserId) -> Vec<UserId> {
    database.reader().await.mentorships().above(user).await.unwrap()
}

async fn mentees(database: &Database, mentor: UserId) -> Vec<UserId> {
    database.reader().await.mentorships().mentees(mentor).await.unwrap()
}

async fn release_all(database: &Database, mentor: UserId) -> Vec<UserId> {
    database.within(async |unit| unit.mentorships().release_all(mentor, at(60)).await.unwrap()).await
}

pub async fn mentees_are_those_of_the_mentor_by_id(database: Database) {
    let mentor = database.insert_user(&a_mentor("mentor")).await.id;
    let other = database.insert_user(&a_mentor("other")).await.id;
    let zoe = database.insert_user(&a_mentee("zoe", mentor)).await.id;
    database.insert_user(&a_mentee("max", other)).await;
    let anna = database.insert_user(&a_mentee("anna", mentor)).await.id;
    assert_eq!(mentees(&database, mentor).await, [zoe, anna]);
    assert!(mentees(&database, anna).await.is_empty());
    assert!(mentees(&database, nobody()).await.is_empty());
}

pub async fn mentors_above_are_named_from_the_nearest_up(database: Database) {
    let top = database.insert_user(&a_mentor("top")).await.id;
    let middle = NewUser { is_mentor: true, ..a_mentee("middle", top) };
    let middle = database.insert_user(&middle).await.id;
    let anna = database.insert_user(&a_mentee("anna", middle)).await.id;
    assert_eq!(above(&database, anna).await, [middle, top]);
    assert_eq!(above(&database, middle).await, [top]);
}

pub async fn nobody_is_above_who_has_no_mentor(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    assert!(above(&database, anna).await.is_empty());
    assert!(above(&database, nobody()).await.is_empty());
}

pub async fn climbing_ends_even_in_a_circle(database: Database) {
    let anna = database.insert_user(&a_mentor("anna")).await;
    let ben = NewUser { is_mentor: true, ..a_mentee("ben", anna.id) };
    let ben = database.insert_user(&ben).await.id;
    let below = database.insert_user(&a_mentee("below", ben)).await.id;
    let anna = database.save_user(&User { mentor: Some(ben), ..anna }).await.id;
    assert!(above(&database, anna).await.contains(&ben));
    let climbed = above(&database, below).await;
    assert!(climbed.contains(&anna) && climbed.contains(&ben));
}

pub async fn releasing_frees_every_mentee_and_counts_as_a_write(database: Database) {
    let mentor = database.insert_user(&a_mentor("mentor")).await;
    let zoe = database.insert_user(&a_mentee("zoe", mentor.id)).await;
    let anna = database.insert_user(&a_mentee("anna", mentor.id)).await;

    assert_eq!(release_all(&database, mentor.id).await, [zoe.id, anna.id]);

    for mentee in [zoe, anna] {
        let expected = User { mentor: None, version: mentee.version.next(), updated_at: at(60), ..mentee };
        assert_eq!(database.user(expected.id).await, Some(expected));
    }
    assert_eq!(database.user(mentor.id).await, Some(mentor));
}

pub async fn releasing_touches_no_other_mentors_mentees(database: Database) {
    let mentor = database.insert_user(&a_mentor("mentor")).await;
    let other = database.insert_user(&a_mentor("other")).await;
    database.insert_user(&a_mentee("anna", mentor.id)).await;
    let ben = database.insert_user(&a_mentee("ben", other.id)).await;
    release_all(&database, mentor.id).await;
    assert_eq!(database.user(ben.id).await, Some(ben));
}

pub async fn releasing_nobody_is_an_empty_list(database: Database) {
    let mentor = database.insert_user(&a_mentor("mentor")).await.id;
    assert!(release_all(&database, mentor).await.is_empty());
    assert!(release_all(&database, nobody()).await.is_empty());
}

pub async fn a_mentor_who_released_everybody_can_be_deleted(database: Database) {
    let mentor = database.insert_user(&a_mentor("mentor")).await.id;
    let anna = database.insert_user(&a_mentee("anna", mentor)).await.id;
    let deleted = database
        .within(async |unit| {
            unit.mentorships().release_all(mentor, at(1)).await.unwrap();
            unit.users().delete(mentor).await.unwrap()
        })
        .await;
    assert!(deleted);
    assert_eq!(database.user(anna).await.unwrap().mentor, None);
}

pub async fn a_mentor_chosen_in_an_open_unit_is_not_deleted_meanwhile(database: Database) {
    let mentor = database.insert_user(&a_mentor("mentor")).await.id;
    let anna = database.insert_user(&a_user("anna")).await;
    let mut choosing = database.begin().await;
    choosing.users().save(&User { mentor: Some(mentor), ..anna }).await.unwrap();

    let mut deleting = database.meanwhile(async move |mut unit| unit.users().delete(mentor).await);
    deleting.waits().await;
    choosing.commit().await.unwrap();

    let refusal = refused(deleting.outcome().await);
    assert!(matches!(refusal, StoreError::Dangling(Reference::User)), "{refusal:?}");
    assert!(database.user(mentor).await.is_some());
}

pub async fn a_mentor_deleted_in_an_open_unit_is_not_chosen_meanwhile(database: Database) {
    let mentor = database.insert_user(&a_mentor("mentor")).await.id;
    let anna = database.insert_user(&a_user("anna")).await;
    let mentored = User { mentor: Some(mentor), ..anna.clone() };
    let mut deleting = database.begin().await;
    assert!(deleting.users().delete(mentor).await.unwrap());

    let mut choosing = database.meanwhile(async move |mut unit| unit.users().save(&mentored).await);
    choosing.waits().await;
    deleting.commit().await.unwrap();

    let refusal = refused(choosing.outcome().await);
    assert!(matches!(refusal, StoreError::Dangling(Reference::User)), "{refusal:?}");
    assert_eq!(database.user(anna.id).await, Some(anna));
}
