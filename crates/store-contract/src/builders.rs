//! Things to store, complete in every field, so that a promise says only what it is about.
//!
//! Variations are written by struct update: `NewUser { is_mentor: true, ..a_user("anna") }`.

use domain::text::Username;
use domain::time::Timestamp;
use domain::users::{NewUser, PasswordHash, StoredPassword};

/// The instant this many seconds after a Monday morning that has microseconds.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_777_879_800_123_456 + seconds * 1_000_000).unwrap()
}

pub(crate) fn login(text: &str) -> Username {
    Username::parse(text).unwrap()
}

pub(crate) fn a_user(username: &str) -> NewUser {
    NewUser {
        username: login(username),
        email: None,
        phone: None,
        password: StoredPassword::lasting(PasswordHash::restore(format!("$hash-of-{username}"))),
        is_mentor: false,
        is_active: true,
        mentor: None,
        created_at: at(0),
    }
}
