//! What the domain needs from outside: storage, and a few services that storage is not.
//!
//! One struct per backend implements every storage trait; the `store-contract` crate holds the promises as tests, and
//! the in-memory store passes them too. Each method says what an implementation MUST hold beyond its signature.

mod accounts;
mod intake;
mod plant;
mod records;
mod services;
mod webhooks;

pub use accounts::{ApiKeys, Mentorships, Roles, Sessions, Users};
pub use intake::{Intake, IntakeNeeds, TakenIn};
pub use plant::{
    AlertRules, Alerts, Live, MaintenanceLog, Metrics, Part, Readings, Register, Rollups, Thinnings,
};
pub use records::{Idempotency, SignIns, SigningKeys, Trail};
pub use services::{
    Allowance, Allowances, Bell, Clock, Entropy, HashingError, Passwords, PublicKey, Sharing, TokenError,
    Tokens, Vault, VaultError, Verdict,
};
#[cfg(feature = "testing")]
pub use services::{MockAllowances, MockBell, MockClock, MockEntropy, MockPasswords, MockTokens, MockVault};
#[cfg(feature = "testing")]
pub use webhooks::MockCourier;
pub use webhooks::{Courier, Deliveries, Parcel, Webhooks};

use crate::error::BoxError;
use async_trait::async_trait;

/// A database.
///
/// Every method of every port behind it MUST answer [`StoreError::Busy`] rather than wait without limit.
#[async_trait]
pub trait Store: Send + Sync {
    /// A view for reading. The database itself MUST refuse writes through it with [`StoreError::ReadOnly`].
    /// It sees all that was committed before it was asked for.
    async fn reader(&self) -> Result<Box<dyn Repos>, StoreError>;

    /// Starts a unit of work.
    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, StoreError>;

    /// Starts a unit of work that takes readings in. MUST come to the same as [`Store::begin`], [`AlertRules::in_force`],
    /// [`Readings::lock_heads`] and [`Alerts::touching`] in this order.
    async fn begin_intake(
        &self,
        needs: IntakeNeeds<'_>,
    ) -> Result<(Box<dyn UnitOfWork>, Intake), StoreError> {
        let mut tx = self.begin().await?;
        let intake = needs.meet_in(&mut *tx).await?;
        Ok((tx, intake))
    }

    /// Asks the database for a sign of life, within a second or so.
    async fn ping(&self) -> Result<(), StoreError>;

    /// How the connections are used just now, by what they are for; nothing where there is no end of them. MUST return at once, and
    /// MUST count a connection as in use from when a reader or a unit of work has it until that ends.
    fn pools(&self) -> Vec<PoolUse> {
        Vec::new()
    }
}

/// Connections to a database that are lent for one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// What for: `reader` or `writer`.
    pub purpose: &'static str,
    /// How many there may be.
    pub most: usize,
    /// How many are lent.
    pub in_use: usize,
    /// How many are open and wait to be lent.
    pub idle: usize,
    /// How many wait for one.
    pub waiting: usize,
}

/// All that is stored, one concern at a time.
pub trait Repos: Send {
    /// People with accounts.
    fn users(&mut self) -> &mut dyn Users;
    /// Who mentors whom.
    fn mentorships(&mut self) -> &mut dyn Mentorships;
    /// Named sets of permissions, and who holds them.
    fn roles(&mut self) -> &mut dyn Roles;
    /// Signed-in clients.
    fn sessions(&mut self) -> &mut dyn Sessions;
    /// Machines' credentials.
    fn api_keys(&mut self) -> &mut dyn ApiKeys;
    /// What is remembered of sign-ins.
    fn sign_ins(&mut self) -> &mut dyn SignIns;
    /// Answers to requests that asked to be done once.
    fn idempotency(&mut self) -> &mut dyn Idempotency;
    /// The keys that sign tokens.
    fn signing_keys(&mut self) -> &mut dyn SigningKeys;
    /// The audit trail.
    fn trail(&mut self) -> &mut dyn Trail;
    /// The equipment register.
    fn equipment(&mut self) -> &mut dyn Register;
    /// What was done to equipment.
    fn maintenance(&mut self) -> &mut dyn MaintenanceLog;
    /// What equipment measured.
    fn readings(&mut self) -> &mut dyn Readings;
    /// What equipment measured, by minutes, hours and days.
    fn rollups(&mut self) -> &mut dyn Rollups;
    /// As of when values that go early are gone.
    fn thinnings(&mut self) -> &mut dyn Thinnings;
    /// What is measured.
    fn metrics(&mut self) -> &mut dyn Metrics;
    /// What raises alerts.
    fn rules(&mut self) -> &mut dyn AlertRules;
    /// What needs a person.
    fn alerts(&mut self) -> &mut dyn Alerts;
    /// What happens right now.
    fn live(&mut self) -> &mut dyn Live;
    /// Who outside is told of alerts.
    fn webhooks(&mut self) -> &mut dyn Webhooks;
    /// What is to be delivered to them.
    fn deliveries(&mut self) -> &mut dyn Deliveries;
}

/// Several steps that happen together or not at all.
///
/// What is written through it MUST be unseen elsewhere until `commit` returns. Dropping it MUST undo all of it and hold
/// no lock. Two units of work that lock the same thing MUST take turns.
#[async_trait]
pub trait UnitOfWork: Repos {
    /// Makes it so, durably. [`StoreError::OutcomeUnknown`] when the link broke before the answer came.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;

    /// Writes what came of readings that were taken in, and makes it so. MUST come to the same as [`Readings::insert`],
    /// [`Readings::save_heads`], [`Live::announce`] and [`UnitOfWork::commit`] in this order, as far as there is something to
    /// write.
    async fn commit_intake(mut self: Box<Self>, taken: TakenIn<'_>) -> Result<(), StoreError> {
        taken.write_in(&mut *self).await?;
        self.commit().await
    }

    /// Undoes it, and returns when nothing is held any more.
    async fn rollback(self: Box<Self>);
}

/// Why storage did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A value that must be unique is there already.
    #[error("{} is already taken", .0.field())]
    Conflict(Unique),
    /// The write would leave a reference to nothing, or it deletes what is still referred to.
    #[error("a reference to or from a {0:?} would dangle")]
    Dangling(Reference),
    /// Not now: no connection, a timeout, a deadlock, an overload. Nothing was written.
    #[error("the database is busy or away")]
    Busy(#[source] BoxError),
    /// The link broke during commit: the work may or may not be stored.
    #[error("the link broke during commit")]
    OutcomeUnknown,
    /// A write through a reader.
    #[error("this view of the database is for reading")]
    ReadOnly,
    /// A stored row does not make sense.
    #[error("{table}.{column} of row {row} does not make sense")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row's key.
        row: String,
    },
    /// Everything else.
    #[error("the database failed")]
    Fault(#[source] BoxError),
}

/// What must be unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unique {
    /// A login, folded.
    Username,
    /// An e-mail address, folded.
    Email,
    /// A phone number's digits.
    Phone,
    /// A role's name, without regard to case.
    RoleName,
    /// An API key's name among its owner's keys.
    ApiKeyName,
    /// A request that asked to be done once.
    IdempotencyKey,
    /// A signing key's id.
    SigningKey,
    /// A piece of equipment's serial number, folded.
    SerialNumber,
    /// A reading's equipment and instant.
    Reading,
    /// The same, where it is the equipment that was chosen.
    ReadingOfEquipment,
    /// An unresolved alert of a rule on a piece of equipment.
    UnresolvedAlert,
}

impl Unique {
    /// The field of a request that carries it.
    pub const fn field(self) -> &'static str {
        match self {
            Unique::Username => "username",
            Unique::Email => "email",
            Unique::Phone => "phone",
            Unique::RoleName | Unique::ApiKeyName => "name",
            Unique::IdempotencyKey => "Idempotency-Key",
            Unique::SigningKey => "kid",
            Unique::SerialNumber => "serial_number",
            Unique::Reading => "timestamp",
            Unique::ReadingOfEquipment => "equipment",
            Unique::UnresolvedAlert => "rule",
        }
    }
}

/// What is referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A user.
    User,
    /// A role.
    Role,
    /// A piece of equipment.
    Equipment,
    /// An alert rule.
    Rule,
    /// An alert.
    Alert,
    /// A metric.
    Metric,
    /// A webhook.
    Webhook,
}
