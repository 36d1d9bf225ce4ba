//! The bell that all servers on one database hear.

use crate::observer::Observer;
use crate::open;
use adapters_postgres::testing::TestDatabase;
use adapters_postgres::{PostgresBell, Settings};
use domain::changes::{Changes, Register};
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
    let bell =
        open(Settings::new("postgres://nobody@nowhere.invalid/nothing")).bell(Arc::new(Changes::shared()));
    bell.ring();
    assert_eq!(*bell.heard().borrow(), 0);
}

const EVERYTHING: &[Register] = &Register::ALL;

/// A bell that is connected, and what it hears of changes.
async fn hearing(database: &TestDatabase) -> (PostgresBell, Arc<Changes>) {
    let changes = Arc::new(Changes::shared());
    let bell = open(Settings::new(database.url())).bell(Arc::clone(&changes));
    until(|| changes.generation(EVERYTHING).is_some()).await;
    (bell, changes)
}

async fn until(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it never came to hold");
}

#[tokio::test]
async fn every_server_hears_which_register_anybody_changed() {
    let database = TestDatabase::create().await;
    let observer = Observer::of(&database).await;
    let (_bell, changes) = hearing(&database).await;
    // Another program altogether: what it changes the database itself tells of.
    for (table, register) in [
        ("users", Register::People),
        ("roles", Register::People),
        ("role_permissions", Register::People),
        ("user_roles", Register::People),
        ("sessions", Register::Credentials),
        ("api_keys", Register::Credentials),
        ("api_key_equipment", Register::Credentials),
        ("equipment", Register::Equipment),
        ("alert_rules", Register::Rules),
        ("webhooks", Register::Webhooks),
    ] {
        let before: Vec<_> = Register::ALL
            .iter()
            .map(|other| changes.generation(std::slice::from_ref(other)).unwrap())
            .collect();
        observer.run(&format!("DELETE FROM {table}")).await;
        let is_current = |place: usize| changes.is_current(before[place]);
        until(|| !is_current(Register::ALL.iter().position(|other| *other == register).unwrap())).await;
        for (place, other) in Register::ALL.iter().enumerate() {
            assert_eq!(is_current(place), *other != register, "{other:?} after {table}");
        }
    }
}

#[tokio::test]
async fn what_lets_nobody_in_or_out_is_not_told() {
    let database = TestDatabase::create().await;
    let observer = Observer::of(&database).await;
    let (_bell, changes) = hearing(&database).await;
    let credentials = changes.generation(&[Register::Credentials]).unwrap();
    let rules = changes.generation(&[Register::Rules]).unwrap();
    // That of rules comes last, so when it is heard the others would have been.
    let changed = "UPDATE sessions SET generation = generation + 1, rotated_at = now(), last_used_at = now(), expires_at = now(); \
        UPDATE api_keys SET last_used_at = now(); DELETE FROM alert_rules";
    observer.run(changed).await;
    until(|| !changes.is_current(rules)).await;
    assert!(changes.is_current(credentials));
}

#[tokio::test]
async fn what_is_not_committed_is_not_told() {
    let database = TestDatabase::create().await;
    let observer = Observer::of(&database).await;
    let (_bell, changes) = hearing(&database).await;
    let before = changes.generation(EVERYTHING).unwrap();
    observer.run("BEGIN; DELETE FROM equipment; ROLLBACK; DELETE FROM alert_rules").await;
    until(|| !changes.is_current(before)).await;
    let equipment = changes.generation(&[Register::Equipment]).unwrap();
    observer.run("DELETE FROM equipment").await;
    until(|| !changes.is_current(equipment)).await;
}

#[tokio::test]
async fn whoever_lost_the_connection_believes_nothing_until_there_is_another() {
    let database = TestDatabase::create().await;
    let observer = Observer::of(&database).await;
    let (_bell, changes) = hearing(&database).await;
    let before = changes.generation(EVERYTHING).unwrap();
    observer.interferes("pg_terminate_backend", LISTENING).await;
    until(|| !changes.is_current(before)).await;
    until(|| changes.generation(EVERYTHING).is_some()).await;
    assert!(!changes.is_current(before), "what was changed meanwhile is not known");
}

#[tokio::test]
async fn whoever_is_dropped_believes_nothing() {
    let database = TestDatabase::create().await;
    let (bell, changes) = hearing(&database).await;
    drop(bell);
    assert!(changes.generation(EVERYTHING).is_none());
}
