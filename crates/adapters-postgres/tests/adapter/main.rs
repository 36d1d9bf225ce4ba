//! What the contract cannot see because it is PostgreSQL's alone: links that freeze and break, units of work that are
//! dropped half-way, the server's refusals, migrations at once, encryption.
#![cfg(test)]

mod bell;
mod dropped;
mod encryption;
mod frozen;
mod migrations;
mod observer;
mod overheard;
mod plans;
mod plant;
mod proxy;
mod refusals;
mod weeks;

use adapters_postgres::testing::TestDatabase;
use adapters_postgres::{PostgresStore, Settings};
use domain::ports::{Store, StoreError};
use domain::text::Username;
use domain::time::Timestamp;
use domain::users::{NewUser, PasswordHash, StoredPassword, User};
use std::error::Error;

fn open(settings: Settings) -> PostgresStore {
    PostgresStore::connect(settings).unwrap()
}

/// A database, a store of two connections on it, one for reading and one for writing, and Anna's account in it.
async fn with_anna(change: impl FnOnce(&mut Settings)) -> (PostgresStore, User, TestDatabase) {
    let database = TestDatabase::create().await;
    let mut settings = Settings { max_connections: 2, ..Settings::new(database.url()) };
    change(&mut settings);
    let anna = insert(&open(Settings::new(database.url())), "anna").await;
    (open(settings), anna, database)
}

async fn insert(store: &PostgresStore, login: &str) -> User {
    let mut unit = store.begin().await.unwrap();
    let user = unit.users().insert(&a_user(login)).await.unwrap();
    unit.commit().await.unwrap();
    user
}

fn a_user(login: &str) -> NewUser {
    NewUser {
        username: Username::parse(login).unwrap(),
        email: None,
        phone: None,
        password: StoredPassword::lasting(PasswordHash::restore("$hash".into())),
        is_mentor: false,
        is_active: true,
        mentor: None,
        created_at: at(0),
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000).unwrap()
}

/// Why the database was busy, in its own words.
fn why_busy(refusal: &StoreError) -> String {
    assert!(matches!(refusal, StoreError::Busy(_)), "{refusal:?}");
    let mut causes = String::new();
    let mut cause = refusal.source();
    while let Some(error) = cause {
        causes.push_str(&error.to_string());
        cause = error.source();
    }
    causes
}
