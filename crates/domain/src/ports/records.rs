//! Ports for what is kept about use itself: sign-in counters, remembered answers, signing keys, the audit trail.

use super::StoreError;
use crate::audit::chain::{Head, StoredEvent};
use crate::audit::{Event, EventQuery, NewEvent};
use crate::idempotency::Remembered;
use crate::page::Stretch;
use crate::sessions::SigningKey;
use crate::sign_in::Counter;
use crate::time::Timestamp;
use async_trait::async_trait;

/// What is remembered of sign-ins, by the digest of an account's folded login or of an address.
#[async_trait]
pub trait SignIns: Send {
    /// The counter under this key, a fresh one if there is none, held until the unit of work ends: another unit's `lock`
    /// of it waits, also when neither was there before.
    async fn lock(&mut self, key: &[u8; 32], now: Timestamp) -> Result<Counter, StoreError>;

    /// Stores the counter under this key.
    async fn save(&mut self, key: &[u8; 32], counter: &Counter) -> Result<(), StoreError>;

    /// Forgets up to `most` counters that nobody touched since `before`; returns how many.
    async fn forget_quiet(&mut self, before: Timestamp, most: u32) -> Result<u64, StoreError>;
}

/// Answers to requests that asked to be done once.
#[async_trait]
pub trait Idempotency: Send {
    /// Remembers an answer. MUST refuse a second one under the same scope with a named conflict, also at the same
    /// moment: the later waits for the earlier to end.
    async fn remember(&mut self, answer: &Remembered) -> Result<(), StoreError>;

    /// The answer under this scope.
    async fn find(&mut self, scope: &[u8; 32]) -> Result<Option<Remembered>, StoreError>;

    /// Forgets up to `most` answers given before this instant; returns how many.
    async fn forget(&mut self, before: Timestamp, most: u32) -> Result<u64, StoreError>;
}

/// The keys that sign tokens.
#[async_trait]
pub trait SigningKeys: Send {
    /// Waits until no other unit of work changes the keys, and keeps others waiting until this unit ends.
    async fn lock(&mut self) -> Result<(), StoreError>;

    /// All keys, newest first.
    async fn list(&mut self) -> Result<Vec<SigningKey>, StoreError>;

    /// Stores a new key. MUST name a taken id.
    async fn insert(&mut self, key: &SigningKey) -> Result<(), StoreError>;

    /// Removes a key; `false` when there is none.
    async fn delete(&mut self, id: &str) -> Result<bool, StoreError>;
}

/// The audit trail.
#[async_trait]
pub trait Trail: Send {
    /// Keeps the event for [`super::UnitOfWork::commit`], which MUST append it to the chain together with the unit's other
    /// events, in the order in which they were recorded, as the last thing before it commits: whoever appends waits for all others
    /// that do, so the end of the chain is the last lock that a unit takes. Nobody sees the event before, not even the unit.
    async fn record(&mut self, event: &NewEvent) -> Result<(), StoreError>;

    /// A stretch of the trail.
    async fn read(&mut self, query: &EventQuery) -> Result<Stretch<Event>, StoreError>;

    /// Where the chain ends. Lines and end change together.
    async fn head(&mut self) -> Result<Head, StoreError>;

    /// The next lines after this id, or the first of all, in order of their ids, `limit` at most, with their seals. MUST NOT fail
    /// for a line that makes no sense.
    async fn sealed(&mut self, after: Option<i64>, limit: u32) -> Result<Vec<StoredEvent>, StoreError>;
}
