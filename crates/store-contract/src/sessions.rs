//! Promises about signed-in clients.

use crate::Database;
use crate::builders::{a_role, a_session, a_user, at, down, login, nobody, page, permissions, up};
use crate::database::refused;
use domain::access::{Permission, Permissions};
use domain::id::{SessionId, UserId};
use domain::page::{Order, PageRequest};
use domain::ports::{Reference, StoreError};
use domain::roles::{NewRole, Role};
use domain::sessions::{Holder, NewSession, Session, SessionKey};
use domain::time::Timestamp;
use domain::users::{NewUser, User};
use futures_util::future::join_all;

fn no_session() -> SessionId {
    SessionId::new(i64::MAX).unwrap()
}

async fn stored(database: &Database, id: SessionId) -> Option<Session> {
    let bearer = database.reader().await.sessions().bearer(id).await.unwrap();
    bearer.map(|(session, _)| session)
}

async fn holder(database: &Database, id: SessionId) -> Holder {
    database.reader().await.sessions().bearer(id).await.unwrap().unwrap().1
}

/// Anna, signed in.
async fn a_signed_in_user(database: &Database) -> Session {
    let anna = database.insert_user(&a_user("anna")).await;
    database.insert_session(&a_session(anna.id)).await
}

pub async fn every_field_of_a_new_session_round_trips(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    let new = NewSession {
        user: anna.id,
        created_at: at(5),
        expires_at: Timestamp::MAX,
        address: Some("2001:db8:ffff:ffff:ffff:ffff:255.255.255.255%eth0".into()),
        agent: Some("Ein Browser 🦊 ".repeat(40)),
    };
    let session = database.insert_session(&new).await;
    let expected = Session {
        id: session.id,
        user: anna.id,
        generation: 1,
        rotated_at: at(5),
        created_at: at(5),
        last_used_at: at(5),
        expires_at: Timestamp::MAX,
        address: new.address,
        agent: new.agent,
    };
    assert_eq!(session, expected);
    assert_eq!(stored(&database, session.id).await, Some(expected));
}

pub async fn a_session_may_lack_address_and_agent(database: Database) {
    let session = a_signed_in_user(&database).await;
    assert_eq!((&session.address, &session.agent), (&None, &None));
    assert_eq!(stored(&database, session.id).await, Some(session));
}

pub async fn a_session_of_nobody_dangles(database: Database) {
    let refusal = database.refusal(async |unit| unit.sessions().insert(&a_session(nobody())).await).await;
    assert!(matches!(refusal, StoreError::Dangling(Reference::User)), "{refusal:?}");
}

pub async fn an_unknown_session_is_not_found_anywhere(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    database
        .within(async |unit| {
            let sessions = unit.sessions();
            assert_eq!(sessions.bearer(no_session()).await.unwrap(), None);
            assert_eq!(sessions.lock(no_session()).await.unwrap(), None);
            assert_eq!(sessions.advance(no_session(), 1, at(1), at(2)).await.unwrap(), None);
            assert!(!sessions.end(anna, no_session()).await.unwrap());
            assert_eq!(sessions.end_all(anna, None).await.unwrap(), 0);
            sessions.touch(no_session(), at(1)).await.unwrap();
        })
        .await;
}

pub async fn a_session_answers_with_the_account_and_the_union_of_its_roles(database: Database) {
    let session = a_signed_in_user(&database).await;
    for (name, held) in [("one", Permission::DataRead), ("two", Permission::AlertsRead)] {
        let held = permissions(&[Permission::RolesRead, held]);
        let role = database.insert_role(&NewRole { permissions: held, ..a_role(name) }).await;
        database.assign(session.user, role.id).await;
    }
    let expected = Holder {
        user: session.user,
        username: login("anna"),
        is_active: true,
        permissions: permissions(&[Permission::RolesRead, Permission::DataRead, Permission::AlertsRead]),
    };
    assert_eq!(holder(&database, session.id).await, expected);
}

pub async fn a_session_answers_with_what_holds_at_this_moment(database: Database) {
    let session = a_signed_in_user(&database).await;
    assert_eq!(holder(&database, session.id).await.permissions, Permissions::NONE);

    let reading = permissions(&[Permission::DataRead]);
    let role = database.insert_role(&NewRole { permissions: reading, ..a_role("READER") }).await;
    database.assign(session.user, role.id).await;
    assert_eq!(holder(&database, session.id).await.permissions, reading);

    let writing = permissions(&[Permission::DataWrite]);
    let changed = Role { permissions: writing, ..role };
    database.within(async |unit| unit.roles().save(&changed).await.unwrap()).await;
    assert_eq!(holder(&database, session.id).await.permissions, writing);

    database.within(async |unit| unit.roles().unassign(session.user, changed.id).await.unwrap()).await;
    assert_eq!(holder(&database, session.id).await.permissions, Permissions::NONE);

    let anna = database.user(session.user).await.unwrap();
    database.save_user(&User { username: login("annemarie"), is_active: false, ..anna }).await;
    let holder = holder(&database, session.id).await;
    assert_eq!((holder.username, holder.is_active), (login("annemarie"), false));
}

pub async fn a_locked_session_is_the_stored_one(database: Database) {
    let session = a_signed_in_user(&database).await;
    let locked = database.within(async |unit| unit.sessions().lock(session.id).await.unwrap()).await;
    assert_eq!(locked, Some(session));
}

pub async fn advancing_is_one_step_that_moves_every_instant(database: Database) {
    let session = a_signed_in_user(&database).await;
    let other = database.insert_session(&a_session(session.user)).await;
    let advanced = database
        .within(async |unit| unit.sessions().advance(session.id, 1, at(60), at(7200)).await.unwrap())
        .await;
    let expected =
        Session { generation: 2, rotated_at: at(60), last_used_at: at(60), expires_at: at(7200), ..session };
    assert_eq!(advanced.as_ref(), Some(&expected));
    assert_eq!(stored(&database, expected.id).await, Some(expected));
    assert_eq!(stored(&database, other.id).await, Some(other));
}

pub async fn only_the_current_generation_advances(database: Database) {
    let session = a_signed_in_user(&database).await;
    let advance = async |generation| {
        database
            .within(async |unit| {
                unit.sessions().advance(session.id, generation, at(60), at(7200)).await.unwrap()
            })
            .await
    };
    assert_eq!(advance(2).await, None);
    assert_eq!(advance(0).await, None);
    assert_eq!(advance(1).await.unwrap().generation, 2);
    assert_eq!(advance(1).await, None);
    assert_eq!(advance(2).await.unwrap().generation, 3);
}

pub async fn an_ended_session_does_not_advance(database: Database) {
    let session = a_signed_in_user(&database).await;
    database
        .within(async |unit| {
            assert!(unit.sessions().end(session.user, session.id).await.unwrap());
            let advanced = unit.sessions().advance(session.id, 1, at(60), at(7200)).await.unwrap();
            assert_eq!(advanced, None);
        })
        .await;
}

pub async fn a_step_that_was_rolled_back_can_be_taken_again(database: Database) {
    let session = a_signed_in_user(&database).await;
    let mut undone = database.begin().await;
    assert!(undone.sessions().advance(session.id, 1, at(60), at(7200)).await.unwrap().is_some());
    undone.rollback().await;
    assert_eq!(stored(&database, session.id).await, Some(session.clone()));
    let advanced = database
        .within(async |unit| unit.sessions().advance(session.id, 1, at(61), at(7200)).await.unwrap())
        .await;
    assert_eq!(advanced.unwrap().generation, 2);
}

pub async fn of_twenty_simultaneous_steps_from_one_generation_one_succeeds(database: Database) {
    let session = a_signed_in_user(&database).await.id;
    let steps = (0..20).map(|number| {
        let step = database.meanwhile(async move |mut unit| {
            let advanced = unit.sessions().advance(session, 1, at(number), at(7200)).await.unwrap();
            unit.commit().await.unwrap();
            advanced
        });
        step.outcome()
    });
    let advanced: Vec<Session> = join_all(steps).await.into_iter().flatten().collect();
    assert_eq!(advanced.len(), 1);
    assert_eq!(stored(&database, session).await.as_ref(), advanced.first());
}

pub async fn a_session_notes_when_it_was_used(database: Database) {
    let session = a_signed_in_user(&database).await;
    let other = database.insert_session(&a_session(session.user)).await;
    database.within(async |unit| unit.sessions().touch(session.id, at(60)).await.unwrap()).await;
    let expected = Session { last_used_at: at(60), ..session };
    assert_eq!(stored(&database, expected.id).await, Some(expected));
    assert_eq!(stored(&database, other.id).await, Some(other));
}

pub async fn a_session_is_prolonged_without_a_step(database: Database) {
    let session = a_signed_in_user(&database).await;
    let other = database.insert_session(&a_session(session.user)).await;
    database.within(async |unit| unit.sessions().prolong(session.id, at(60), at(7200)).await.unwrap()).await;
    let expected = Session { last_used_at: at(60), expires_at: at(7200), ..session };
    assert_eq!(stored(&database, expected.id).await, Some(expected));
    assert_eq!(stored(&database, other.id).await, Some(other));
}

async fn listed(database: &Database, user: UserId, order: &[Order<SessionKey>]) -> Vec<SessionId> {
    let mut reader = database.reader().await;
    let answer = reader.sessions().list(user, at(0), order, PageRequest::default()).await.unwrap();
    assert_eq!(answer.total, answer.items.len() as u64);
    answer.items.iter().map(|session| session.id).collect()
}

pub async fn a_list_of_sessions_holds_the_users_own_that_have_not_lapsed(database: Database) {
    let living = a_signed_in_user(&database).await;
    let lapsed_now = NewSession { expires_at: at(0), ..a_session(living.user) };
    database.insert_session(&lapsed_now).await;
    let ben = database.insert_user(&a_user("ben")).await;
    database.insert_session(&a_session(ben.id)).await;
    let mut reader = database.reader().await;
    let answer = reader.sessions().list(living.user, at(0), &[], PageRequest::default()).await.unwrap();
    assert_eq!((answer.total, answer.items), (1, vec![living]));
    assert!(listed(&database, nobody(), &[]).await.is_empty());
}

pub async fn sessions_are_ordered_by_each_key_both_ways_and_equals_by_id(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    let mut ids = Vec::new();
    for (made, used) in [(2, 30), (1, 30), (3, 10)] {
        let session = database.insert_session(&NewSession { created_at: at(made), ..a_session(anna) }).await;
        database.within(async |unit| unit.sessions().touch(session.id, at(used)).await.unwrap()).await;
        ids.push(session.id);
    }
    let [a, b, c] = [ids[0], ids[1], ids[2]];
    for (order, expected) in [
        (vec![], [a, b, c]),
        (vec![down(SessionKey::Id)], [c, b, a]),
        (vec![up(SessionKey::CreatedAt)], [b, a, c]),
        (vec![down(SessionKey::CreatedAt)], [c, a, b]),
        (vec![up(SessionKey::LastUsedAt)], [c, a, b]),
        (vec![down(SessionKey::LastUsedAt)], [a, b, c]),
        (vec![down(SessionKey::LastUsedAt), up(SessionKey::CreatedAt)], [b, a, c]),
    ] {
        assert_eq!(listed(&database, anna, &order).await, expected, "{order:?}");
    }
}

pub async fn pages_of_sessions_cut_the_list_and_know_the_total(database: Database) {
    let first = a_signed_in_user(&database).await;
    let second = database.insert_session(&a_session(first.user)).await;
    let third = database.insert_session(&a_session(first.user)).await;
    let mut reader = database.reader().await;
    for (number, expected) in [(1, vec![&first, &second]), (2, vec![&third]), (3, vec![])] {
        let answer = reader.sessions().list(first.user, at(0), &[], page(number, 2)).await.unwrap();
        assert_eq!(answer.total, 3);
        assert_eq!(answer.items.iter().collect::<Vec<_>>(), expected);
    }
}

pub async fn a_user_ends_their_own_session_alone(database: Database) {
    let annas = a_signed_in_user(&database).await;
    let kept = database.insert_session(&a_session(annas.user)).await;
    let ben = database.insert_user(&a_user("ben")).await;
    database
        .within(async |unit| {
            assert!(!unit.sessions().end(ben.id, annas.id).await.unwrap());
            assert!(unit.sessions().end(annas.user, annas.id).await.unwrap());
            assert!(!unit.sessions().end(annas.user, annas.id).await.unwrap());
        })
        .await;
    assert_eq!(stored(&database, annas.id).await, None);
    assert_eq!(stored(&database, kept.id).await, Some(kept));
}

pub async fn ending_all_sessions_spares_the_one_to_keep_and_other_users(database: Database) {
    let kept = a_signed_in_user(&database).await;
    for _ in 0..2 {
        database.insert_session(&a_session(kept.user)).await;
    }
    let ben = database.insert_user(&NewUser { is_active: false, ..a_user("ben") }).await;
    let bens = database.insert_session(&a_session(ben.id)).await;
    let end_all = async |keep| {
        database.within(async |unit| unit.sessions().end_all(kept.user, keep).await.unwrap()).await
    };
    assert_eq!(end_all(Some(kept.id)).await, 2);
    assert_eq!(listed(&database, kept.user, &[]).await, [kept.id]);
    assert_eq!(end_all(None).await, 1);
    assert!(listed(&database, kept.user, &[]).await.is_empty());
    assert_eq!(listed(&database, ben.id, &[]).await, [bens.id]);
}

pub async fn lapsed_sessions_are_forgotten_and_no_others(database: Database) {
    let living = a_signed_in_user(&database).await;
    for seconds in [1, 2, 3] {
        let lapsing = NewSession { expires_at: at(seconds), ..a_session(living.user) };
        database.insert_session(&lapsing).await;
    }
    let forget =
        async |now| database.within(async |unit| unit.sessions().forget_lapsed(now, 2).await.unwrap()).await;
    assert_eq!(forget(at(1000)).await, 2);
    assert_eq!(forget(at(1000)).await, 1);
    assert_eq!(forget(at(1000)).await, 0);
    assert_eq!(stored(&database, living.id).await, Some(living));
}

pub async fn a_user_deleted_in_an_open_unit_is_not_signed_in_meanwhile(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    let mut deleting = database.begin().await;
    assert!(deleting.users().delete(anna).await.unwrap());

    let mut signing_in =
        database.meanwhile(async move |mut unit| unit.sessions().insert(&a_session(anna)).await);
    signing_in.waits().await;
    deleting.commit().await.unwrap();

    let refusal = refused(signing_in.outcome().await);
    assert!(matches!(refusal, StoreError::Dangling(Reference::User)), "{refusal:?}");
}
