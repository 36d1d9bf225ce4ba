//! TechTrack's storage on PostgreSQL 14 or later: Diesel over tokio-postgres, pooled by deadpool.
//!
//! # The map
//! - [`PostgresStore`] is the door: two pools, one whose sessions write and one whose sessions the database itself keeps
//!   from writing.
//! - `settings` says what can be set; `connect` and `tls` turn a URL into a session set up the way we need it, on that one of
//!   its `hosts` which the database is on.
//! - `link` is a connection on loan: it holds the deadlines, the unit of work, and what becomes of a connection that is
//!   dropped half-way. Every port of [`domain::ports`] is implemented on it, one file per port.
//! - `schema` is the tables as Diesel sees them, `rows` what all rows share on their way to domain types. Where Diesel's
//!   language is too narrow, `statement` says it in SQL.
//! - `catalogue` turns metrics and sets of them into numbers and back.
//! - `errors` is the one table from the database's refusals to [`StoreError`].
//! - `chain` appends to the audit trail, which `trail` reads.
//! - `weeks` makes and drops the partitions of the readings, `packs` puts old ones away in little room.
//! - `bell` tells all servers on the database that something was announced.
//! - `migrations` embeds `migrations/postgres` and runs it under a lock.
//! - `moving` takes in all that another database held.
//! - `testing` (a feature) makes a migrated database per test, and lets tests look into the pools.
//!
//! What the words of the ports' duties mean is in [`domain::ports`]; that they are kept is tested by `store-contract`.
//!
//! Sessions are set up by startup options. A connection pooler in between must let them pass (PgBouncer: session pooling
//! and `ignore_startup_parameters` left without `options`).

mod alert_lists;
mod alert_rows;
mod alerts;
mod api_keys;
mod bell;
mod catalogue;
mod chain;
mod connect;
mod distinct;
mod equipment;
mod equipment_lists;
mod errors;
mod facts;
mod functions;
mod heads;
mod hosts;
mod idempotency;
mod intake;
mod link;
mod lists;
mod live;
mod maintenance;
mod mentorships;
mod metrics;
mod migrations;
mod moving;
mod packs;
mod ragged;
mod readings;
mod roles;
mod rollups;
mod rows;
mod rules;
mod schema;
mod search;
mod sessions;
mod settings;
mod sign_ins;
mod signing_keys;
mod silence;
mod statement;
mod stretches;
mod tags;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod thinnings;
mod tls;
mod trail;
mod user_lists;
mod users;
mod webhook_deliveries;
mod webhooks;
mod weeks;

pub use bell::PostgresBell;
pub use connect::ConnectError;
pub use migrations::MigrateError;
pub use moving::{MovingIn, TakeError};
pub use settings::Settings;
#[cfg(any(test, feature = "testing"))]
pub use testing::PoolStatus;

use crate::connect::{Access, Connector};
use crate::link::{Link, Loans};
use async_trait::async_trait;
use domain::ports::{Intake, IntakeNeeds, PoolUse, Repos, Store, StoreError, UnitOfWork};
use std::sync::Arc;
use std::time::Duration;

/// How long a sign of life may take.
const PING_PATIENCE: Duration = Duration::from_secs(1);

/// TechTrack's data in a PostgreSQL database.
pub struct PostgresStore {
    connector: Arc<Connector>,
    writers: Loans,
    readers: Loans,
}

impl PostgresStore {
    /// Reads the settings and gets ready to connect. Says nothing to the server yet: the first connection is opened when
    /// somebody needs it.
    pub fn connect(settings: Settings) -> Result<Self, ConnectError> {
        let connector = Arc::new(Connector::new(&settings)?);
        let catalogue = Arc::default();
        let for_reading = settings.max_connections.div_ceil(2);
        let for_writing = settings.max_connections.saturating_sub(for_reading);
        Ok(Self {
            readers: Loans::new(&connector, &catalogue, (Access::Reading, for_reading), &settings)?,
            writers: Loans::new(&connector, &catalogue, (Access::Writing, for_writing), &settings)?,
            connector,
        })
    }

    /// Brings the database up to date; returns the names of the migrations that were missing. Of several servers that do
    /// this at once one migrates and the others wait. Works on any tokio runtime.
    pub async fn migrate(&self) -> Result<Vec<String>, MigrateError> {
        migrations::run(&self.connector).await
    }

    /// The names of the migrations that are missing. Changes nothing.
    pub async fn pending(&self) -> Result<Vec<String>, MigrateError> {
        migrations::pending(&mut self.readers.read().await?).await
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn reader(&self) -> Result<Box<dyn Repos>, StoreError> {
        Ok(Box::new(self.readers.read().await?))
    }

    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, StoreError> {
        Ok(Box::new(self.writers.begin().await?))
    }

    async fn begin_intake(
        &self,
        needs: IntakeNeeds<'_>,
    ) -> Result<(Box<dyn UnitOfWork>, Intake), StoreError> {
        let (link, intake) = self.writers.begin_intake(needs).await?;
        Ok((Box::new(link), intake))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let answered = tokio::time::timeout(PING_PATIENCE, async {
            let mut link: Link = self.readers.read().await?;
            link.sign_of_life().await
        });
        answered.await.unwrap_or_else(|late| Err(StoreError::Busy(Box::new(late))))
    }

    fn pools(&self) -> Vec<PoolUse> {
        vec![self.readers.in_use("reader"), self.writers.in_use("writer")]
    }
}
