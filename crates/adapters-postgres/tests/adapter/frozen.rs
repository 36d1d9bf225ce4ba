//! Servers that stop answering, and links that break.

use crate::observer::Observer;
use crate::proxy::Proxy;
use crate::{a_user, open, why_busy, with_anna};
use adapters_postgres::{PostgresStore, Settings};
use domain::id::UserId;
use domain::ports::{Store, StoreError};
use std::future::Future;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// The longest that anybody may be left waiting.
const AT_MOST: Duration = Duration::from_secs(3);

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    let started = Instant::now();
    let outcome = work.await;
    assert!(started.elapsed() <= AT_MOST, "took {:?}", started.elapsed());
    outcome
}

/// A server that accepts connections and never says a word.
async fn mute_server() -> (PostgresStore, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://postgres@{}/nothing", listener.local_addr().unwrap());
    (open(Settings::new(url)), listener)
}

#[tokio::test]
async fn a_server_that_accepts_and_never_answers_is_busy_within_three_seconds() {
    let (store, _listener) = mute_server().await;
    let (reader, unit, sign_of_life) = in_time(async {
        tokio::join!(async { store.reader().await.err() }, async { store.begin().await.err() }, store.ping())
    })
    .await;
    for refusal in [reader, unit, sign_of_life.err()] {
        why_busy(&refusal.unwrap());
    }
}

#[tokio::test]
async fn callers_that_queue_for_a_mute_server_are_told_within_three_seconds_too() {
    let (store, _listener) = mute_server().await;
    let callers = (0..30).map(|_| async { store.begin().await.err() });
    let refusals = in_time(futures_util::future::join_all(callers)).await;
    for refusal in refusals {
        why_busy(&refusal.unwrap());
    }
}

#[tokio::test]
async fn a_server_that_nobody_runs_is_busy() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let store = open(Settings::new(format!("postgres://postgres@127.0.0.1:{port}/nothing")));
    let refusal = store.begin().await.err().unwrap();
    assert!(why_busy(&refusal).contains("onnection refused"), "{refusal:?}");
}

/// A store behind a proxy, with one reader's and one writer's connection open already.
async fn warm() -> (PostgresStore, UserId, Proxy, Observer, adapters_postgres::testing::TestDatabase) {
    let (_, anna, database) = with_anna(|_| {}).await;
    let proxy = Proxy::before(&database).await;
    let store = open(Settings { max_connections: 2, ..Settings::new(proxy.url()) });
    store.ping().await.unwrap();
    store.begin().await.unwrap().rollback().await;
    let observer = Observer::of(&database).await;
    (store, anna.id, proxy, observer, database)
}

#[tokio::test]
async fn a_server_that_freezes_is_busy_within_three_seconds_and_well_again_after() {
    let (store, anna, proxy, _observer, _database) = warm().await;
    let mut reader = store.reader().await.unwrap();
    let mut unit = store.begin().await.unwrap();
    unit.users().insert(&a_user("ben")).await.unwrap();

    proxy.freeze_answers();
    let cid = a_user("cid");
    let asking = async { tokio::join!(reader.users().find(anna), unit.users().insert(&cid)) };
    let (read, written) = in_time(asking).await;
    why_busy(&read.unwrap_err());
    why_busy(&written.unwrap_err());
    why_busy(&in_time(unit.commit()).await.unwrap_err());
    drop(reader);
    why_busy(&in_time(store.begin()).await.err().unwrap());

    proxy.thaw();
    let mut reader = store.reader().await.unwrap();
    assert!(reader.users().find(anna).await.unwrap().is_some());
    let mut unit = store.begin().await.unwrap();
    unit.users().insert(&a_user("ben")).await.unwrap();
    unit.commit().await.unwrap();
}

#[tokio::test]
async fn a_commit_that_is_never_answered_has_an_unknown_outcome_within_three_seconds() {
    let (store, _, proxy, observer, _database) = warm().await;
    let mut unit = store.begin().await.unwrap();
    unit.users().insert(&a_user("ben")).await.unwrap();
    proxy.freeze_answers();
    let refusal = in_time(unit.commit()).await.unwrap_err();
    assert!(matches!(refusal, StoreError::OutcomeUnknown), "{refusal:?}");
    // This once it was stored, which the answer would have said.
    observer.sees("SELECT count(*) = 1 FROM users WHERE username = 'ben'").await;
}

#[tokio::test]
async fn a_commit_whose_link_breaks_has_an_unknown_outcome() {
    let (store, _, proxy, observer, _database) = warm().await;
    let mut unit = store.begin().await.unwrap();
    unit.users().insert(&a_user("ben")).await.unwrap();
    proxy.freeze_answers();
    let (outcome, ()) = tokio::join!(unit.commit(), async {
        observer.sees("SELECT count(*) = 1 FROM users WHERE username = 'ben'").await;
        proxy.cut();
    });
    assert!(matches!(outcome, Err(StoreError::OutcomeUnknown)), "{outcome:?}");
}

#[tokio::test]
async fn a_link_that_breaks_in_mid_work_is_busy_and_the_next_caller_gets_a_new_one() {
    let (store, _, proxy, observer, _database) = warm().await;
    let mut unit = store.begin().await.unwrap();
    unit.users().insert(&a_user("ben")).await.unwrap();
    proxy.cut();
    why_busy(&unit.users().insert(&a_user("cid")).await.unwrap_err());
    drop(unit);
    proxy.thaw();
    observer.sees_nobody_at_work().await;
    let mut unit = store.begin().await.unwrap();
    unit.users().insert(&a_user("ben")).await.unwrap();
    unit.commit().await.unwrap();
}
