//! Things to store, so that a promise says only what it is about.
//!
//! Variations are written by struct update: `NewUser { is_mentor: true, ..a_user("anna") }`.

mod plant;

pub(crate) use plant::*;

use domain::access::{Origin, Permission, Permissions};
use domain::api_keys::{Digest, NewApiKey};
use domain::audit::{Action, Facts, NewEvent, Subject};
use domain::id::UserId;
use domain::idempotency::{Claim, Remembered};
use domain::page::{Direction, Order, PageRequest};
use domain::roles::NewRole;
use domain::sessions::{NewSession, SigningKey};
use domain::text::{Description, Email, Label, Phone, RoleName, Username};
use domain::time::Timestamp;
use domain::users::{NewUser, PasswordHash, StoredPassword};

/// The instant this many seconds after a Monday morning that has microseconds.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_777_879_800_123_456 + seconds * 1_000_000).unwrap()
}

/// A login as storage hands it over: also with characters that nobody may choose.
pub(crate) fn login(text: &str) -> Username {
    Username::restore(text.into())
}

/// The id of a user who does not exist.
pub(crate) fn nobody() -> UserId {
    UserId::new(i64::MAX).unwrap()
}

pub(crate) fn email(text: &str) -> Email {
    Email::parse(text).unwrap()
}

pub(crate) fn phone(text: &str) -> Phone {
    Phone::parse(text).unwrap()
}

pub(crate) fn role_name(text: &str) -> RoleName {
    RoleName::parse(text).unwrap()
}

pub(crate) fn permissions(permissions: &[Permission]) -> Permissions {
    permissions.iter().copied().collect()
}

pub(crate) fn a_user(username: &str) -> NewUser {
    NewUser {
        username: login(username),
        email: None,
        phone: None,
        password: a_password(username),
        is_mentor: false,
        is_active: true,
        mentor: None,
        created_at: at(0),
    }
}

pub(crate) fn a_mentor(username: &str) -> NewUser {
    NewUser { is_mentor: true, ..a_user(username) }
}

pub(crate) fn a_mentee(username: &str, mentor: UserId) -> NewUser {
    NewUser { mentor: Some(mentor), ..a_user(username) }
}

pub(crate) fn a_password(text: &str) -> StoredPassword {
    StoredPassword::lasting(PasswordHash::restore(format!("$hash-of-{text}")))
}

pub(crate) fn a_role(name: &str) -> NewRole {
    NewRole {
        name: role_name(name),
        description: Description::restore(String::new()),
        permissions: Permissions::NONE,
        built_in: false,
        created_at: at(0),
    }
}

pub(crate) fn a_session(user: UserId) -> NewSession {
    NewSession { user, created_at: at(0), expires_at: at(3600), address: None, agent: None }
}

/// A key whose digest is this byte, 32 times.
pub(crate) fn an_api_key(user: UserId, name: &str, byte: u8) -> NewApiKey {
    NewApiKey {
        user,
        name: Label::parse(name).unwrap(),
        hint: "ttk_abcd".into(),
        digest: a_digest(byte),
        permissions: Permissions::NONE,
        equipment: Vec::new(),
        expires_at: None,
        created_at: at(0),
    }
}

pub(crate) fn a_digest(byte: u8) -> Digest {
    [byte; 32]
}

pub(crate) fn an_answer(scope: u8) -> Remembered {
    Remembered {
        claim: Claim { scope: a_digest(scope), fingerprint: a_digest(255) },
        answer: b"sealed".to_vec(),
        created_at: at(0),
    }
}

pub(crate) fn a_signing_key(id: &str, created_at: Timestamp) -> SigningKey {
    SigningKey { id: id.into(), private: vec![48, 0, 255], public: vec![7; 32], created_at }
}

/// The product itself did something to a thing called `label`.
pub(crate) fn an_event(label: &str) -> NewEvent {
    NewEvent {
        at: at(0),
        actor: None,
        actor_name: "setup".into(),
        action: Action::UserCreated,
        subject: Subject::other("thing", None, label),
        origin: Origin::default(),
        before: Facts::new(),
        after: Facts::new(),
    }
}

pub(crate) fn up<K>(key: K) -> Order<K> {
    Order { key, direction: Direction::Ascending }
}

pub(crate) fn down<K>(key: K) -> Order<K> {
    Order { key, direction: Direction::Descending }
}

pub(crate) fn page(number: u64, size: u32) -> PageRequest {
    PageRequest::new(number, size).unwrap()
}
