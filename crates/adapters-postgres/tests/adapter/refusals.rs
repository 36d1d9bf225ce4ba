//! The server's refusals, each provoked and each known for what it is.

use crate::observer::Observer;
use crate::{a_user, insert, open, why_busy, with_anna};
use adapters_postgres::Settings;
use adapters_postgres::testing::TestDatabase;
use domain::ports::{Store, StoreError};
use std::time::Duration;

const SOON: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_deadlock_is_busy() {
    let (store, anna, _database) = with_anna(|settings| settings.max_connections = 4).await;
    let ben = insert(&store, "ben").await;
    let (mut one, mut other) = (store.begin().await.unwrap(), store.begin().await.unwrap());
    one.users().lock(anna.id).await.unwrap();
    other.users().lock(ben.id).await.unwrap();
    let (one, other) = tokio::join!(
        async {
            let outcome = one.users().lock(ben.id).await;
            one.rollback().await;
            outcome
        },
        async {
            let outcome = other.users().lock(anna.id).await;
            other.rollback().await;
            outcome
        },
    );
    let refusal = match (one, other) {
        (Err(refusal), Ok(_)) | (Ok(_), Err(refusal)) => refusal,
        both => panic!("one of the two must give way: {both:?}"),
    };
    assert!(why_busy(&refusal).contains("deadlock detected"), "{refusal:?}");
}

#[tokio::test]
async fn a_lock_that_does_not_come_is_busy() {
    let (store, anna, _database) = with_anna(|settings| {
        settings.max_connections = 4;
        settings.lock_timeout = SOON;
    })
    .await;
    let mut holder = store.begin().await.unwrap();
    holder.users().lock(anna.id).await.unwrap();
    holder.mentorships().lock().await.unwrap();
    for advisory in [false, true] {
        let mut waiting = store.begin().await.unwrap();
        let refusal = if advisory {
            waiting.mentorships().lock().await.unwrap_err()
        } else {
            waiting.users().lock(anna.id).await.unwrap_err()
        };
        assert!(why_busy(&refusal).contains("lock timeout"), "{refusal:?}");
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_busy() {
    let (store, anna, _database) = with_anna(|settings| {
        settings.max_connections = 4;
        settings.statement_timeout = SOON;
    })
    .await;
    let mut holder = store.begin().await.unwrap();
    holder.users().lock(anna.id).await.unwrap();
    let mut waiting = store.begin().await.unwrap();
    let refusal = waiting.users().lock(anna.id).await.unwrap_err();
    assert!(why_busy(&refusal).contains("statement timeout"), "{refusal:?}");
}

#[tokio::test]
async fn a_statement_that_an_operator_cancels_is_busy() {
    let (store, anna, database) = with_anna(|settings| settings.max_connections = 4).await;
    let observer = Observer::of(&database).await;
    let mut holder = store.begin().await.unwrap();
    holder.users().lock(anna.id).await.unwrap();
    let mut waiting = store.begin().await.unwrap();
    let (outcome, ()) = tokio::join!(waiting.users().lock(anna.id), async {
        observer.sees_somebody_wait().await;
        observer.interferes("pg_cancel_backend", "wait_event_type = 'Lock'").await;
    });
    let refusal = outcome.unwrap_err();
    assert!(why_busy(&refusal).contains("user request"), "{refusal:?}");
}

#[tokio::test]
async fn a_session_that_an_operator_ends_is_busy_and_the_next_caller_gets_a_new_one() {
    let (store, anna, database) = with_anna(|settings| settings.max_connections = 4).await;
    let observer = Observer::of(&database).await;
    let mut holder = store.begin().await.unwrap();
    holder.users().lock(anna.id).await.unwrap();
    let mut waiting = store.begin().await.unwrap();
    let (outcome, ()) = tokio::join!(waiting.users().lock(anna.id), async {
        observer.sees_somebody_wait().await;
        observer.interferes("pg_terminate_backend", "wait_event_type = 'Lock'").await;
    });
    let refusal = outcome.unwrap_err();
    assert!(why_busy(&refusal).contains("administrator command"), "{refusal:?}");
    drop(waiting);
    holder.rollback().await;
    store.begin().await.unwrap().users().lock(anna.id).await.unwrap();
}

#[tokio::test]
async fn a_unit_that_says_nothing_for_too_long_is_busy_and_stores_nothing() {
    let (store, _, database) = with_anna(|settings| settings.idle_in_transaction_timeout = SOON).await;
    let observer = Observer::of(&database).await;
    let mut idle = store.begin().await.unwrap();
    idle.users().insert(&a_user("ben")).await.unwrap();
    observer.sees_sessions(0).await;
    why_busy(&idle.users().insert(&a_user("cid")).await.unwrap_err());
    drop(idle);
    insert(&store, "ben").await;
}

#[tokio::test]
async fn a_server_with_no_connection_left_is_busy() {
    let database = TestDatabase::create().await;
    let observer = Observer::of(&database).await;
    // Roles belong to the server, not to the database, so this one needs a name of its own.
    let role = database.url().rsplit('/').next().unwrap().to_owned();
    observer.run(&format!("CREATE ROLE {role} LOGIN CONNECTION LIMIT 1")).await;
    let store = open(Settings::new(as_role(&database.url(), &role)));
    let _the_only_one = store.reader().await.unwrap();
    let refusal = store.reader().await.err().unwrap();
    observer.run(&format!("DROP ROLE {role}")).await;
    assert!(why_busy(&refusal).contains("too many connections for role"), "{refusal:?}");
}

#[tokio::test]
async fn a_pool_with_no_connection_left_is_busy() {
    let (store, _, _database) = with_anna(|settings| settings.acquire_timeout = SOON).await;
    let _the_only_one = store.begin().await.unwrap();
    let refusal = store.begin().await.err().unwrap();
    assert!(why_busy(&refusal).contains("imeout"), "{refusal:?}");
}

#[tokio::test]
async fn a_table_changed_under_a_prepared_statement_is_busy_once() {
    let (store, anna, database) = with_anna(|_| {}).await;
    let observer = Observer::of(&database).await;
    store.reader().await.unwrap().users().find(anna.id).await.unwrap();
    observer.run("ALTER TABLE users ALTER COLUMN phone TYPE varchar(200)").await;
    let refusal = store.reader().await.unwrap().users().find(anna.id).await.unwrap_err();
    assert!(why_busy(&refusal).contains("cached plan"), "{refusal:?}");
    assert!(store.reader().await.unwrap().users().find(anna.id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_unit_that_was_refused_something_cannot_be_committed() {
    let (store, _, _database) = with_anna(|_| {}).await;
    let mut unit = store.begin().await.unwrap();
    unit.users().insert(&a_user("ben")).await.unwrap();
    assert!(matches!(unit.users().insert(&a_user("anna")).await, Err(StoreError::Conflict(_))));
    let refusal = unit.commit().await.unwrap_err();
    assert!(matches!(refusal, StoreError::Fault(_)), "{refusal:?}");
    insert(&store, "ben").await;
}

#[tokio::test]
async fn a_reader_cannot_take_a_lock_that_would_be_gone_at_once() {
    let (store, anna, _database) = with_anna(|_| {}).await;
    let mut reader = store.reader().await.unwrap();
    assert!(matches!(reader.mentorships().lock().await, Err(StoreError::ReadOnly)));
    assert!(matches!(reader.roles().lock_administration().await, Err(StoreError::ReadOnly)));
    assert!(matches!(reader.users().lock(anna.id).await, Err(StoreError::ReadOnly)));
    assert_eq!(reader.users().find(anna.id).await.unwrap(), Some(anna));
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_named() {
    let (store, anna, database) = with_anna(|_| {}).await;
    let observer = Observer::of(&database).await;
    observer.run("UPDATE users SET last_login_at = 'infinity'").await;
    let refusal = store.reader().await.unwrap().users().find(anna.id).await.unwrap_err();
    assert_eq!(refusal.to_string(), format!("users.last_login_at of row {} does not make sense", anna.id));
}

#[tokio::test]
async fn a_role_that_may_not_choose_the_servers_language_can_work_all_the_same() {
    let database = TestDatabase::create().await;
    let observer = Observer::of(&database).await;
    let role = database.url().rsplit('/').next().unwrap().to_owned();
    observer
        .run(&format!("CREATE ROLE {role} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}"))
        .await;
    let store = open(Settings::new(as_role(&database.url(), &role)));
    insert(&store, "anna").await;
    observer.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

fn as_role(url: &str, role: &str) -> String {
    let rest = url.split_once("://").unwrap().1;
    let rest = rest.split_once('@').map_or(rest, |(_, rest)| rest);
    format!("postgres://{role}@{rest}")
}
