//! Promises about people with accounts, one at a time. Their lists are in `user_lists`.

use crate::Database;
use crate::builders::{
    a_mentee, a_mentor, a_password, a_role, a_session, a_user, an_api_key, at, email, login, nobody, phone,
};
use domain::id::Version;
use domain::page::PageRequest;
use domain::ports::{Reference, StoreError, Unique};
use domain::time::Timestamp;
use domain::users::{NewUser, PasswordHash, Standing, StoredPassword, User};

pub async fn a_new_user_has_the_first_version_and_is_found_by_id(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    assert_eq!((anna.version, anna.updated_at), (Version::FIRST, anna.created_at));
    assert_eq!(database.user(anna.id).await, Some(anna));
}

pub async fn every_field_of_a_new_user_round_trips_at_its_greatest_length(database: Database) {
    let mentor = database.insert_user(&a_mentor("mentor")).await;
    let new = NewUser {
        // Folding doubles this login, so its key is longer than any login.
        username: login(&"ß".repeat(64)),
        email: Some(email(&format!("{}@{}.{}.example", "ü".repeat(32), "a".repeat(63), "b".repeat(63)))),
        phone: Some(phone("+123456789012345")),
        password: StoredPassword {
            hash: PasswordHash::restore("$argon2id$v=19$".repeat(20)),
            standing: Standing::OneTime { expires_at: at(7) },
        },
        is_mentor: true,
        is_active: false,
        mentor: Some(mentor.id),
        created_at: at(5),
    };
    let stored = database.insert_user(&new).await;
    let expected = User {
        id: stored.id,
        username: new.username,
        email: new.email,
        phone: new.phone,
        password: new.password,
        is_mentor: true,
        is_active: false,
        mentor: new.mentor,
        version: Version::FIRST,
        created_at: at(5),
        updated_at: at(5),
        last_login_at: None,
    };
    assert_eq!(stored, expected);
    assert_eq!(database.user(stored.id).await, Some(expected));
}

pub async fn a_user_may_lack_all_that_may_be_lacking(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    let found = database.user(anna.id).await.unwrap();
    assert_eq!((found.email, found.phone), (None, None));
    assert_eq!((found.mentor, found.last_login_at), (None, None));
    database.insert_user(&a_user("ben")).await;
}

pub async fn every_standing_of_a_password_round_trips(database: Database) {
    let mut anna = database.insert_user(&a_user("anna")).await;
    let one_time = Standing::OneTime { expires_at: at(9) };
    for standing in [one_time, Standing::Spent, Standing::Lasting] {
        anna.password.standing = standing;
        database.save_user(&anna).await;
        assert_eq!(database.user(anna.id).await.unwrap().password, anna.password);
    }
}

pub async fn an_instant_keeps_its_microseconds_from_the_first_year_to_the_last(database: Database) {
    let before_1970 = Timestamp::from_micros(-1).unwrap();
    for (name, instant) in [("first", Timestamp::MIN), ("early", before_1970), ("last", Timestamp::MAX)] {
        let new = NewUser { created_at: instant, ..a_user(name) };
        let id = database.insert_user(&new).await.id;
        assert_eq!(database.user(id).await.unwrap().created_at, instant);
    }
}

pub async fn an_unknown_user_is_not_found_anywhere(database: Database) {
    let mut unit = database.begin().await;
    assert_eq!(unit.users().find(nobody()).await.unwrap(), None);
    assert_eq!(unit.users().lock(nobody()).await.unwrap(), None);
    assert_eq!(unit.users().view(nobody()).await.unwrap(), None);
    let found = unit.users().find_by_username(&login("nobody")).await.unwrap();
    assert_eq!(found, None);
}

pub async fn a_locked_user_is_the_stored_one(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    let locked = database.within(async |unit| unit.users().lock(anna.id).await.unwrap()).await;
    assert_eq!(locked, Some(anna));
}

pub async fn a_user_is_found_by_any_spelling_of_the_login(database: Database) {
    let anna = database.insert_user(&a_user("Anna-Straße")).await;
    let mut reader = database.reader().await;
    for spelling in ["anna-straße", "ANNA-STRASSE", "ａnna-straße"] {
        let found = reader.users().find_by_username(&login(spelling)).await.unwrap();
        assert_eq!(found.as_ref(), Some(&anna), "{spelling}");
    }
    let other = reader.users().find_by_username(&login("anna")).await.unwrap();
    assert_eq!(other, None);
}

pub async fn a_taken_login_is_named(database: Database) {
    database.insert_user(&a_user("anna")).await;
    refuses_new(&database, &a_user("ANNA"), Unique::Username).await;
}

pub async fn a_taken_email_is_named(database: Database) {
    database.insert_user(&anna_with_everything()).await;
    let ben = NewUser { email: Some(email("ANNA@example.com")), ..a_user("ben") };
    refuses_new(&database, &ben, Unique::Email).await;
}

pub async fn a_taken_phone_is_named(database: Database) {
    database.insert_user(&anna_with_everything()).await;
    let ben = NewUser { phone: Some(phone("49 170 1234567")), ..a_user("ben") };
    refuses_new(&database, &ben, Unique::Phone).await;
}

fn anna_with_everything() -> NewUser {
    NewUser {
        email: Some(email("anna@example.com")),
        phone: Some(phone("+49 170 1234567")),
        ..a_user("anna")
    }
}

async fn refuses_new(database: &Database, user: &NewUser, expected: Unique) {
    let refusal = database.refusal(async |unit| unit.users().insert(user).await).await;
    assert!(matches!(refusal, StoreError::Conflict(unique) if unique == expected), "{refusal:?}");
}

pub async fn saving_what_is_taken_names_it(database: Database) {
    let anna = database.insert_user(&anna_with_everything()).await;
    let ben = database.insert_user(&a_user("ben")).await;
    let cases = [
        (Unique::Username, User { username: login("Anna"), ..ben.clone() }),
        (Unique::Email, User { email: anna.email, ..ben.clone() }),
        (Unique::Phone, User { phone: anna.phone, ..ben.clone() }),
    ];
    for (expected, changed) in cases {
        let refusal = database.refusal(async |unit| unit.users().save(&changed).await).await;
        assert!(matches!(refusal, StoreError::Conflict(unique) if unique == expected), "{refusal:?}");
    }
    assert_eq!(database.user(ben.id).await, Some(ben));
}

pub async fn a_user_may_respell_what_is_their_own(database: Database) {
    let anna = database.insert_user(&anna_with_everything()).await;
    let respelled = User {
        username: login("ANNA"),
        email: Some(email("Anna@Example.com")),
        phone: Some(phone("491701234567")),
        ..anna
    };
    let saved = database.save_user(&respelled).await;
    assert_eq!((saved.username, saved.email), (respelled.username, respelled.email));
}

pub async fn saving_writes_every_field_and_raises_the_version(database: Database) {
    let mentor = database.insert_user(&a_mentor("mentor")).await;
    let anna = database.insert_user(&a_user("anna")).await;
    let changed = User {
        id: anna.id,
        username: login("annemarie"),
        email: Some(email("annemarie@example.com")),
        phone: Some(phone("+4917012345")),
        password: a_password("new"),
        is_mentor: true,
        is_active: false,
        mentor: Some(mentor.id),
        version: anna.version,
        created_at: anna.created_at,
        updated_at: at(60),
        last_login_at: Some(at(30)),
    };
    let saved = database.save_user(&changed).await;
    let expected = User { version: anna.version.next(), ..changed };
    assert_eq!(saved, expected);
    assert_eq!(database.user(anna.id).await, Some(expected));
}

pub async fn saving_clears_what_is_cleared(database: Database) {
    let mentor = database.insert_user(&a_mentor("mentor")).await;
    let full = NewUser { mentor: Some(mentor.id), ..anna_with_everything() };
    let anna = database.insert_user(&full).await;
    let seen = database.save_user(&User { last_login_at: Some(at(1)), ..anna }).await;
    let bare = User { email: None, phone: None, mentor: None, last_login_at: None, ..seen };
    let saved = database.save_user(&bare).await;
    let expected = User { version: bare.version.next(), ..bare };
    assert_eq!(saved, expected);
    assert_eq!(database.user(expected.id).await, Some(expected));
}

pub async fn saving_counts_from_the_stored_version_and_keeps_the_instant_of_creation(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    database.save_user(&anna).await;
    let from_long_ago = User { created_at: at(-1000), ..anna.clone() };
    let saved = database.save_user(&from_long_ago).await;
    assert_eq!(saved.version.get(), 3);
    assert_eq!(saved.created_at, anna.created_at);
    assert_eq!(database.user(anna.id).await, Some(saved));
}

pub async fn saving_a_user_leaves_the_others_alone(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    let ben = database.insert_user(&a_user("ben")).await;
    database.save_user(&User { is_active: false, ..anna }).await;
    assert_eq!(database.user(ben.id).await, Some(ben));
}

pub async fn saving_a_user_that_is_gone_dangles(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    database.within(async |unit| unit.users().delete(anna.id).await.unwrap()).await;
    let refusal = database.refusal(async |unit| unit.users().save(&anna).await).await;
    assert!(matches!(refusal, StoreError::Dangling(Reference::User)), "{refusal:?}");
    assert_eq!(database.user(anna.id).await, None);
}

pub async fn a_mentor_who_does_not_exist_dangles(database: Database) {
    let ben = database.insert_user(&a_user("ben")).await;
    let inserting =
        database.refusal(async |unit| unit.users().insert(&a_mentee("anna", nobody())).await).await;
    let mentored = User { mentor: Some(nobody()), ..ben };
    let saving = database.refusal(async |unit| unit.users().save(&mentored).await).await;
    for refusal in [inserting, saving] {
        assert!(matches!(refusal, StoreError::Dangling(Reference::User)), "{refusal:?}");
    }
}

pub async fn storage_itself_refuses_that_anybody_mentors_themselves(database: Database) {
    let anna = database.insert_user(&a_mentor("anna")).await;
    let own_mentor = User { mentor: Some(anna.id), ..anna.clone() };
    database.refusal(async |unit| unit.users().save(&own_mentor).await).await;
    assert_eq!(database.user(anna.id).await, Some(anna));
}

pub async fn touching_raises_the_versions_of_those_users_alone(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    let ben = database.insert_user(&a_user("ben")).await;
    let carl = database.insert_user(&a_user("carl")).await;
    database
        .within(async |unit| {
            let ids = [anna.id, nobody(), ben.id];
            unit.users().touch(&ids, at(5)).await.unwrap();
            unit.users().touch(&[], at(6)).await.unwrap();
        })
        .await;
    for touched in [anna, ben] {
        let expected = User { version: touched.version.next(), updated_at: at(5), ..touched };
        assert_eq!(database.user(expected.id).await, Some(expected));
    }
    assert_eq!(database.user(carl.id).await, Some(carl));
}

pub async fn a_deleted_user_takes_sessions_keys_and_roles_along_and_nobody_elses(database: Database) {
    let role = database.insert_role(&a_role("EDITOR")).await.id;
    let anna = database.insert_user(&a_user("anna")).await.id;
    let ben = database.insert_user(&a_user("ben")).await.id;
    for (user, digest) in [(anna, 1), (ben, 2)] {
        database.assign(user, role).await;
        database.insert_session(&a_session(user)).await;
        database.insert_api_key(&an_api_key(user, "press", digest)).await;
    }

    assert!(database.within(async |unit| unit.users().delete(anna).await.unwrap()).await);

    assert_eq!(database.user(anna).await, None);
    let mut reader = database.reader().await;
    assert_eq!(reader.roles().holders(role).await.unwrap(), [ben]);
    let whole = PageRequest::default();
    for (user, left) in [(anna, 0), (ben, 1)] {
        assert_eq!(reader.sessions().list(user, at(0), &[], whole).await.unwrap().total, left);
        assert_eq!(reader.api_keys().list(user, &[], whole).await.unwrap().total, left);
    }
}

pub async fn a_user_with_mentees_is_not_deleted(database: Database) {
    let mentor = database.insert_user(&a_mentor("mentor")).await;
    let mentee = database.insert_user(&a_mentee("mentee", mentor.id)).await;
    let refusal = database.refusal(async |unit| unit.users().delete(mentor.id).await).await;
    assert!(matches!(refusal, StoreError::Dangling(Reference::User)), "{refusal:?}");
    assert_eq!(database.user(mentee.id).await, Some(mentee));
}

pub async fn a_deleted_mentee_leaves_the_mentor_as_they_were(database: Database) {
    let mentor = database.insert_user(&a_mentor("mentor")).await;
    let mentee = database.insert_user(&a_mentee("mentee", mentor.id)).await;
    database.within(async |unit| assert!(unit.users().delete(mentee.id).await.unwrap())).await;
    assert_eq!(database.user(mentor.id).await, Some(mentor));
}

pub async fn deleting_a_user_twice_says_that_there_is_none(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    database
        .within(async |unit| {
            assert!(unit.users().delete(anna.id).await.unwrap());
            assert!(!unit.users().delete(anna.id).await.unwrap());
        })
        .await;
}

pub async fn what_a_deleted_user_had_taken_is_free_again(database: Database) {
    let anna = database.insert_user(&anna_with_everything()).await;
    database.within(async |unit| unit.users().delete(anna.id).await.unwrap()).await;
    database.insert_user(&anna_with_everything()).await;
}

pub async fn an_id_is_never_given_twice(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    database.within(async |unit| unit.users().delete(anna.id).await.unwrap()).await;
    let ben = database.insert_user(&a_user("ben")).await;
    assert_ne!(ben.id, anna.id);
}

pub async fn a_view_shows_roles_by_name_the_mentor_and_mentees_by_id(database: Database) {
    let mentor = database.insert_user(&a_mentor("Mentor")).await;
    let anna = NewUser { is_mentor: true, ..a_mentee("Anna", mentor.id) };
    let anna = database.insert_user(&anna).await;
    for mentee in ["zoe", "Ben", "carl"] {
        database.insert_user(&a_mentee(mentee, anna.id)).await;
    }
    for name in ["viewer", "Editor", "admin"] {
        let role = database.insert_role(&a_role(name)).await;
        database.assign(anna.id, role.id).await;
    }
    let view = database.reader().await.users().view(anna.id).await.unwrap().unwrap();
    assert_eq!(view.user, anna);
    let roles: Vec<&str> = view.roles.iter().map(|role| role.as_str()).collect();
    assert_eq!(roles, ["admin", "Editor", "viewer"]);
    assert_eq!(view.mentor, Some(login("Mentor")));
    assert_eq!(view.mentees, [login("zoe"), login("Ben"), login("carl")]);
}

pub async fn a_view_of_somebody_alone_is_empty_around_them(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    database.insert_user(&a_user("ben")).await;
    let view = database.reader().await.users().view(anna.id).await.unwrap().unwrap();
    assert_eq!((view.user, view.mentor), (anna, None));
    assert!(view.roles.is_empty() && view.mentees.is_empty());
}
