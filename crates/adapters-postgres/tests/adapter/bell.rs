//! The bell that all servers on one database hear.

use crate::observer::Observer;
use crate::open;
use adapters_postgres::testing::TestDatabase;
use adapters_postgres::{PostgresBell, Settings};
use domain::changes::Changes;
use domain::ports::Bell;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// How long a busy machine may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The sessions of bells.
const LISTENING: &str = "query LIKE '% techtrack_live'";

/// A bell that is connected, and what it hears from now on.
async fn hung(database: &TestDatabase) -> (PostgresBell, watch::Receiver<u64>) {
    let bell = open(Settings::new(database.url())).bell(Arc::new(Changes::shared()));
    let mut heard = bell.heard();
    hears(&mut heard).await;
    (bell, heard)
}

async fn hears(heard: &mut watch::Receiver<u64>) -> u64 {
    timeout(PATIENCE, heard.changed()).await.expect("nothing was heard").unwrap();
    *heard.borrow_and_update()
}

#[tokio::test]
async fn a_bell_that_one_server_rings_is_heard_on_all() {
    let database = TestDatabase::create().await;
    let (ringing, mut here) = hung(&database).await;
    let (_other, mut there) = hung(&database).await;
    ringing.ring();
    hears(&mut there).await;
    hears(&mut here).await;
}

#[tokio::test]
async fn rings_in_quick_succession_become_one() {
    let database = TestDatabase::create().await;
    let (ringing, _) = hung(&database).await;
    let (_other, mut there) = hung(&database).await;
    let before = *there.borrow();
    for _ in 0..1000 {
        ringing.ring();
    }
    assert_eq!(hears(&mut there).await, before + 1);
    ringing.ring();
    assert_eq!(hears(&mut there).await, before + 2);
}

#[tokio::test]
async fn however_often_it_is_rung_it_says_so_fifty_times_a_second_at_most() {
    let database = TestDatabase::create().await;
    let (ringing, mut here) = hung(&database).await;
    let started = Instant::now();
    for _ in 0..6 {
        ringing.ring();
        hears(&mut here).await;
    }
    assert!(started.elapsed() >= Duration::from_millis(100), "took {:?}", started.elapsed());
}

#[tokio::test]
async fn a_bell_whose_connection_is_lost_is_hung_up_anew_and_rings_for_what_it_missed() {
    let database = TestDatabase::create().await;
    let observer = Observer::of(&database).await;
    let (_bell, mut here) = hung(&database).await;
    observer.interferes("pg_terminate_backend", LISTENING).await;
    hears(&mut here).await;
    let (other, _) = hung(&database).await;
    other.ring();
    hears(&mut here).await;
}

#[tokio::test]
async fn a_bell_that_is_dropped_leaves_no_connection() {
    let database = TestDatabase::create().await;
    let observer = Observer::of(&database).await;
    let (bell, _) = hung(&database).await;
    observer.sees_sessions(1).await;
    drop(bell);
    observer.sees_sessions(0).await;
}

#[tokio::test]
async fn a_bell_without_a_database_may_be_rung_all_the_same() {
    let bell = open(Settings::new("postgres://nobody@nowhere.invalid/nothing")).bell(Arc::new(Changes::shared()));
    bell.ring();
    assert_eq!(*bell.heard().borrow(), 0);
}
