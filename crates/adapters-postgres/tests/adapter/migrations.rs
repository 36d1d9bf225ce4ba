//! Bringing databases up to date.

use crate::observer::Observer;
use crate::{at, insert, open};
use adapters_postgres::testing::TestDatabase;
use adapters_postgres::{PostgresStore, Settings};
use domain::access::{Actor, Origin};
use domain::app::audit::verify;
use domain::audit::chain::{Flaw, Head};
use domain::audit::{Action, NewEvent, Subject};
use domain::ports::Store;

#[tokio::test]
async fn of_servers_that_migrate_one_empty_database_at_once_one_does_and_all_serve() {
    let database = TestDatabase::create_empty().await;
    let servers = [(); 4].map(|()| open(Settings::new(database.url())));
    let applied = futures_util::future::join_all(servers.iter().map(|server| server.migrate())).await;
    let applied: Vec<_> = applied.into_iter().map(Result::unwrap).collect();
    assert_eq!(applied.iter().filter(|names| !names.is_empty()).count(), 1, "{applied:?}");
    for (number, server) in servers.iter().enumerate() {
        assert!(server.pending().await.unwrap().is_empty());
        insert(server, &format!("user{number}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_works_on_a_runtime_of_many_threads_too() {
    let database = TestDatabase::create_empty().await;
    let store = open(Settings::new(database.url()));
    assert!(!store.migrate().await.unwrap().is_empty());
    assert!(store.migrate().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_missing_is_named_in_order_and_not_touched() {
    let database = TestDatabase::create_empty().await;
    let store = open(Settings::new(database.url()));
    let missing = store.pending().await.unwrap();
    assert!(missing.first().is_some_and(|name| name.ends_with("_people")), "{missing:?}");
    assert!(missing.is_sorted());
    assert_eq!(store.pending().await.unwrap(), missing);
    assert_eq!(store.migrate().await.unwrap(), missing);
    assert!(store.pending().await.unwrap().is_empty());
}

#[tokio::test]
async fn connecting_says_nothing_to_the_server_until_somebody_asks() {
    let store = open(Settings::new("postgres://nobody@nowhere.invalid/nothing"));
    assert_eq!(store.pool_status(), adapters_postgres::PoolStatus::default());
    assert!(store.ping().await.is_err());
}

#[tokio::test]
async fn the_primary_is_found_among_several_hosts_for_readers_too() {
    let database = TestDatabase::create().await;
    let (server, name) = database.url().rsplit_once('/').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let dead = "127.0.0.1:1,";
    let (scheme, authority) = server.split_once("://").unwrap();
    let hosts = match authority.split_once('@') {
        Some((user, hosts)) => format!("{user}@{dead}{hosts}"),
        None => format!("{dead}{authority}"),
    };
    let url = format!("{scheme}://{hosts}/{name}?target_session_attrs=read-write");
    let store = open(Settings::new(url));
    store.ping().await.unwrap();
    insert(&store, "anna").await;
}

/// A trail as an older release left it, with a gap where something was undone.
const BEFORE_THE_CHAIN: &str = r#"
    DROP TABLE audit_head;
    ALTER TABLE audit_events DROP COLUMN seal, ALTER id ADD GENERATED ALWAYS AS IDENTITY;
    DELETE FROM __diesel_schema_migrations WHERE version = '20261122090000';
    INSERT INTO audit_events (id, at, actor_name, action, subject_kind, subject_label, before, after)
    OVERRIDING SYSTEM VALUE
    VALUES (1, now(), 'setup', 'user.created', 'user', 'anna', '{}', '{"is_active":true}'),
           (2, now(), 'setup', 'user.created', 'user', 'ben', '{}', '{}'),
           (5, now(), 'anna', 'user.deleted', 'user', 'ben', '{}', '{}')"#;

async fn walk(store: &PostgresStore) -> Result<Head, Flaw> {
    let by = Actor::system("test").grant().unwrap();
    verify(store, &by, None, |_, _| {}).await.unwrap()
}

async fn record(store: &PostgresStore, label: &str) {
    let subject = Subject::other("user", None, label);
    let event = NewEvent::by_stranger(at(4), &Origin::default(), Action::UserUpdated, subject);
    let mut unit = store.begin().await.unwrap();
    unit.trail().record(&event).await.unwrap();
    unit.commit().await.unwrap();
}

#[tokio::test]
async fn what_was_recorded_before_there_was_a_chain_becomes_its_beginning() {
    let database = TestDatabase::create_empty().await;
    let store = open(Settings::new(database.url()));
    store.migrate().await.unwrap();
    Observer::of(&database).await.run(BEFORE_THE_CHAIN).await;
    assert_eq!(store.pending().await.unwrap().len(), 1);
    assert_eq!(store.migrate().await.unwrap().len(), 2);
    assert!(store.pending().await.unwrap().is_empty());
    record(&store, "carla").await;
    let head = walk(&store).await.unwrap();
    assert_eq!((head.events, head.newest), (4, 6));
    Observer::of(&database).await.run("UPDATE audit_events SET subject_label = 'bea' WHERE id = 2").await;
    assert_eq!(walk(&store).await, Err(Flaw::Edited(2)));
}

#[tokio::test]
async fn older_rows_are_sealed_also_where_that_was_interrupted() {
    let database = TestDatabase::create().await;
    let store = open(Settings::new(database.url()));
    record(&store, "anna").await;
    Observer::of(&database).await.run("DELETE FROM audit_head; UPDATE audit_events SET seal = NULL").await;
    assert_eq!(store.pending().await.unwrap().len(), 1);
    assert_eq!(store.migrate().await.unwrap().len(), 1);
    assert_eq!(walk(&store).await.unwrap().newest, 1);
}

#[tokio::test]
async fn a_trail_whose_end_somebody_removed_is_not_sealed_anew() {
    let database = TestDatabase::create().await;
    let store = open(Settings::new(database.url()));
    record(&store, "anna").await;
    Observer::of(&database)
        .await
        .run("DELETE FROM audit_head; UPDATE audit_events SET actor_name = 'eve'")
        .await;
    let refused = store.migrate().await.unwrap_err();
    assert!(format!("{refused:?}").contains("was removed"), "{refused:?}");
}
