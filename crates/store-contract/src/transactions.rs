//! Promises about units of work: all of it or nothing, seen when it is committed and not before.

use crate::Database;
use crate::builders::{
    a_digest, a_role, a_session, a_signing_key, a_user, an_answer, an_api_key, an_event, at, login,
};
use domain::audit::EventQuery;
use domain::id::UserId;
use domain::page::{Direction, PageRequest, Seek};
use domain::ports::{Repos, StoreError, UnitOfWork};
use domain::roles::RoleQuery;
use domain::users::UserQuery;
use futures_util::future::join_all;

/// One of everything, hanging on Anna.
async fn write_one_of_everything(unit: &mut dyn UnitOfWork) -> UserId {
    let anna = unit.users().insert(&a_user("anna")).await.unwrap().id;
    let role = unit.roles().insert(&a_role("EDITOR")).await.unwrap().id;
    unit.roles().assign(anna, role).await.unwrap();
    unit.sessions().insert(&a_session(anna)).await.unwrap();
    unit.api_keys().insert(&an_api_key(anna, "press", 1)).await.unwrap();
    unit.idempotency().remember(&an_answer(1)).await.unwrap();
    unit.signing_keys().insert(&a_signing_key("key", at(0))).await.unwrap();
    unit.trail().record(&an_event("anna")).await.unwrap();
    anna
}

/// How many users, roles, roles given, sessions, keys, answers, signing keys and events there are to be seen.
async fn seen(repos: &mut dyn Repos, anna: UserId) -> [u64; 8] {
    let everything = EventQuery {
        filter: Default::default(),
        direction: Direction::Ascending,
        seek: Seek::Start,
        limit: 10,
    };
    let whole = PageRequest::default();
    [
        repos.users().list(&UserQuery::default()).await.unwrap().total,
        repos.roles().list(&RoleQuery::default()).await.unwrap().total,
        repos.roles().of_user(anna).await.unwrap().len() as u64,
        repos.sessions().list(anna, at(0), &[], whole).await.unwrap().total,
        repos.api_keys().list(anna, &[], whole).await.unwrap().total,
        u64::from(repos.idempotency().find(&a_digest(1)).await.unwrap().is_some()),
        repos.signing_keys().list().await.unwrap().len() as u64,
        repos.trail().read(&everything).await.unwrap().items.len() as u64,
    ]
}

const NOTHING: [u64; 8] = [0; 8];
const ONE_OF_EVERYTHING: [u64; 8] = [1; 8];

pub async fn the_database_gives_a_sign_of_life(database: Database) {
    database.store().ping().await.unwrap();
}

pub async fn a_unit_sees_its_own_work(database: Database) {
    let mut unit = database.begin().await;
    let anna = write_one_of_everything(&mut *unit).await;
    assert_eq!(seen(&mut *unit, anna).await, ONE_OF_EVERYTHING);
    unit.rollback().await;
}

pub async fn committed_work_is_seen_by_the_next_reader_and_the_next_unit(database: Database) {
    let anna = database.within(write_one_of_everything).await;
    assert_eq!(seen(&mut *database.reader().await, anna).await, ONE_OF_EVERYTHING);
    assert_eq!(seen(&mut *database.begin().await, anna).await, ONE_OF_EVERYTHING);
}

pub async fn uncommitted_work_is_unseen_by_readers_who_do_not_wait_for_it(database: Database) {
    let mut unit = database.begin().await;
    let anna = write_one_of_everything(&mut *unit).await;
    assert_eq!(seen(&mut *database.reader().await, anna).await, NOTHING);
    unit.commit().await.unwrap();
    assert_eq!(seen(&mut *database.reader().await, anna).await, ONE_OF_EVERYTHING);
}

pub async fn uncommitted_changes_and_deletions_are_unseen_by_readers(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    let ben = database.insert_user(&a_user("ben")).await;
    let mut unit = database.begin().await;
    unit.users().touch(&[anna.id], at(9)).await.unwrap();
    unit.users().delete(ben.id).await.unwrap();
    assert_eq!(database.user(anna.id).await, Some(anna));
    assert_eq!(database.user(ben.id).await, Some(ben));
    unit.rollback().await;
}

pub async fn uncommitted_work_is_unseen_by_another_unit(database: Database) {
    let mut undone = database.begin().await;
    let anna = write_one_of_everything(&mut *undone).await;
    let other = database.meanwhile(async move |mut unit| seen(&mut *unit, anna).await);
    undone.rollback().await;
    assert_eq!(other.outcome().await, NOTHING);
}

pub async fn a_rollback_leaves_nothing(database: Database) {
    let mut undone = database.begin().await;
    let anna = write_one_of_everything(&mut *undone).await;
    undone.rollback().await;
    assert_eq!(seen(&mut *database.reader().await, anna).await, NOTHING);
    database.within(write_one_of_everything).await;
}

pub async fn a_dropped_unit_leaves_nothing(database: Database) {
    let mut dropped = database.begin().await;
    let anna = write_one_of_everything(&mut *dropped).await;
    drop(dropped);
    assert_eq!(seen(&mut *database.reader().await, anna).await, NOTHING);
    database.within(write_one_of_everything).await;
    assert_eq!(seen(&mut *database.reader().await, anna).await[0], 1);
}

pub async fn a_rollback_puts_back_what_was_changed_and_deleted(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    let ben = database.insert_user(&a_user("ben")).await;
    let mut unit = database.begin().await;
    unit.users().touch(&[anna.id], at(9)).await.unwrap();
    unit.users().delete(ben.id).await.unwrap();
    unit.rollback().await;
    assert_eq!(database.user(anna.id).await, Some(anna));
    assert_eq!(database.user(ben.id).await, Some(ben));
}

pub async fn after_a_refused_statement_a_rollback_undoes_the_whole_unit(database: Database) {
    database.insert_user(&a_user("anna")).await;
    let mut unit = database.begin().await;
    let ben = unit.users().insert(&a_user("ben")).await.unwrap();
    let refused = unit.users().insert(&a_user("anna")).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    unit.rollback().await;
    assert_eq!(database.user(ben.id).await, None);
    database.insert_user(&a_user("ben")).await;
}

pub async fn after_a_refused_statement_a_drop_undoes_the_whole_unit(database: Database) {
    database.insert_user(&a_user("anna")).await;
    let mut unit = database.begin().await;
    let ben = unit.users().insert(&a_user("ben")).await.unwrap();
    assert!(unit.users().insert(&a_user("anna")).await.is_err());
    drop(unit);
    assert_eq!(database.user(ben.id).await, None);
    database.insert_user(&a_user("ben")).await;
}

pub async fn many_units_one_after_the_other_leave_nothing_behind(database: Database) {
    for round in 0..50 {
        let mut unit = database.begin().await;
        unit.users().insert(&a_user("anna")).await.unwrap();
        if round % 2 == 0 {
            unit.rollback().await;
        }
    }
    let found = database.reader().await.users().find_by_username(&login("anna")).await.unwrap();
    assert_eq!(found, None);
}

pub async fn many_readers_may_look_at_once(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    let looking = (0..30).map(|_| database.user(anna.id));
    for found in join_all(looking).await {
        assert_eq!(found.as_ref(), Some(&anna));
    }
}
