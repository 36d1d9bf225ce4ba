//! Bringing databases up to date.

use crate::{insert, open};
use adapters_postgres::Settings;
use adapters_postgres::testing::TestDatabase;
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
