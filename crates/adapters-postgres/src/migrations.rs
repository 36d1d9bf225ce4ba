//! Bringing a database up to date: `migrations/postgres`, embedded, run by one server at a time.

use crate::chain;
use crate::connect::{Access, Connector};
use crate::functions::{pg_advisory_lock, to_regclass};
use crate::link::Link;
use diesel::ConnectionError;
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use domain::error::BoxError;
use domain::ports::StoreError;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// The advisory lock of whoever migrates. Any number would do that no other program uses on the same database: this one
/// spells "techmigr".
const MIGRATING: i64 = i64::from_be_bytes(*b"techmigr");

/// How the step is called that no SQL can do: to seal rows from before the audit trail was a chain.
const SEALING: &str = "20261122090000_chain (sealing of older rows)";

/// How long the database may take to answer at all. One that hangs takes connections and says nothing, for ever.
const ANSWERING: Duration = Duration::from_secs(10);

/// Why a database was not brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// No connection.
    #[error("the database cannot be reached")]
    Away(#[from] ConnectionError),
    /// A connection, and not a word.
    #[error("the database does not answer: there was no session within {0:?}")]
    Silent(Duration),
    /// Another server has been migrating for too long.
    #[error("waiting for another server's migration failed")]
    Lock(#[source] diesel::result::Error),
    /// A migration itself failed; what it did was undone.
    #[error("a migration failed")]
    Failed(#[source] BoxError),
    /// Which migrations are there could not be read.
    #[error("the applied migrations cannot be read")]
    Unreadable(#[from] StoreError),
}

/// Runs what is missing; returns the names.
pub(crate) async fn run(connector: &Arc<Connector>) -> Result<Vec<String>, MigrateError> {
    let session = timeout(ANSWERING, Arc::clone(connector).establish(Access::Migrating)).await;
    let mut connection = session.map_err(|_| MigrateError::Silent(ANSWERING))??;
    diesel::select(pg_advisory_lock(MIGRATING)).execute(&mut connection).await.map_err(MigrateError::Lock)?;
    // The harness is synchronous. On a blocking thread it may wait for the connection whatever the runtime's flavour; its
    // end closes the connection, and with it goes the lock.
    let (mut names, mut connection) = tokio::task::spawn_blocking(move || apply_missing(connection))
        .await
        .map_err(|died| MigrateError::Failed(Box::new(died)))?
        .map_err(MigrateError::Failed)?;
    if chain::seal_older(&mut connection).await.map_err(MigrateError::Failed)? {
        names.push(SEALING.to_owned());
    }
    Ok(names)
}

fn apply_missing(connection: AsyncPgConnection) -> Result<(Vec<String>, AsyncPgConnection), BoxError> {
    let mut harness = AsyncMigrationHarness::new(connection);
    let missing = harness.pending_migrations(MIGRATIONS)?;
    for migration in &missing {
        harness.run_migration(migration)?;
    }
    Ok((names(&missing), harness.into_inner()))
}

/// The names of the missing ones. Looks without touching: the harness would create its table, which a reader must not.
pub(crate) async fn pending(link: &mut Link) -> Result<Vec<String>, MigrateError> {
    let applied: HashSet<String> = if link.the(diesel::select(to_regclass(TABLE).is_not_null())).await? {
        let versions = __diesel_schema_migrations::table.select(__diesel_schema_migrations::version);
        link.all(versions).await?.into_iter().collect()
    } else {
        HashSet::new()
    };
    let mut missing = MigrationSource::<Pg>::migrations(&MIGRATIONS).map_err(MigrateError::Failed)?;
    missing.retain(|migration| !applied.contains(&migration.name().version().to_string()));
    missing.sort_by_key(|migration| migration.name().version().as_owned());
    let mut names = names(&missing);
    if names.is_empty() && chain::lacks_seals(link).await? {
        names.push(SEALING.to_owned());
    }
    Ok(names)
}

fn names(migrations: &[Box<dyn Migration<Pg>>]) -> Vec<String> {
    migrations.iter().map(|migration| migration.name().to_string()).collect()
}

const TABLE: &str = "__diesel_schema_migrations";

diesel::table! {
    __diesel_schema_migrations (version) {
        version -> VarChar,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use crate::testing::TestDatabase;

    #[tokio::test]
    async fn every_migration_can_be_undone_and_done_again() {
        let database = TestDatabase::create().await;
        let connector = Arc::new(Connector::new(&Settings::new(database.url())).unwrap());
        let connection = Arc::clone(&connector).establish(Access::Migrating).await.unwrap();
        let undone = tokio::task::spawn_blocking(move || {
            let mut harness = AsyncMigrationHarness::new(connection);
            harness.revert_all_migrations(MIGRATIONS).map(|versions| versions.len())
        });
        let undone = undone.await.unwrap().unwrap();
        assert_eq!(run(&connector).await.unwrap().len(), undone);
    }
}
