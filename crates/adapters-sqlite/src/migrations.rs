//! Bringing a file's tables up to date. The migrations themselves are in `migrations/sqlite/`, embedded in the binary.

use crate::chain;
use crate::store::SqliteStore;
use crate::workers::Unanswered;
use diesel::migration::{Migration, MigrationSource};
use diesel::sqlite::{Sqlite, SqliteConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use domain::error::BoxError;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// How the step is called that no SQL can do: to seal rows from before the audit trail was a chain.
const SEALING: &str = "2026-11-24-000001_chain (sealing of older rows)";

/// Why a database was not brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The file comes from the future.
    #[error(
        "the database was migrated by a newer release (migrations {} are unknown to this one); install that release or go back to a backup",
        .0.join(", ")
    )]
    Newer(Vec<String>),
    /// The writer is taken, or the store is closed.
    #[error("the database cannot be migrated now")]
    Busy(#[source] BoxError),
    /// A migration failed; those before it are kept.
    #[error("the database cannot be migrated")]
    Failed(#[source] BoxError),
}

impl From<Unanswered> for MigrateError {
    fn from(reason: Unanswered) -> Self {
        match reason {
            Unanswered::Occupied | Unanswered::Late | Unanswered::Closed => Self::Busy(Box::new(reason)),
            Unanswered::Panicked => Self::Failed(Box::new(reason)),
        }
    }
}

impl SqliteStore {
    /// Runs the migrations that the file lacks, and names them. Nothing else writes meanwhile.
    pub async fn migrate(&self) -> Result<Vec<String>, MigrateError> {
        let lease = self.writer().lease().await?;
        lease.ask(run_missing).await?
    }

    /// Names the migrations that the file lacks.
    pub async fn pending(&self) -> Result<Vec<String>, MigrateError> {
        let lease = self.writer().lease().await?;
        lease.ask(names_of_missing).await?
    }
}

type Migrations = Vec<Box<dyn Migration<Sqlite>>>;

/// Runs the migrations that the file lacks, and names them.
pub(crate) fn run_missing(connection: &mut SqliteConnection) -> Result<Vec<String>, MigrateError> {
    let missing = missing(connection)?;
    connection.run_migrations(&missing).map_err(MigrateError::Failed)?;
    let mut names = names(&missing);
    if chain::seal_older(connection).map_err(|error| MigrateError::Failed(Box::new(error)))? {
        names.push(SEALING.to_owned());
    }
    Ok(names)
}

fn names_of_missing(connection: &mut SqliteConnection) -> Result<Vec<String>, MigrateError> {
    let mut names = names(&missing(connection)?);
    if names.is_empty()
        && chain::lacks_seals(connection).map_err(|error| MigrateError::Failed(Box::new(error)))?
    {
        names.push(SEALING.to_owned());
    }
    Ok(names)
}

fn missing(connection: &mut SqliteConnection) -> Result<Migrations, MigrateError> {
    refuse_newer(connection)?;
    connection.pending_migrations(MIGRATIONS).map_err(MigrateError::Failed)
}

/// Whether any migration ever ran there.
pub(crate) fn is_ours(connection: &mut SqliteConnection) -> Result<bool, MigrateError> {
    Ok(!connection.applied_migrations().map_err(MigrateError::Failed)?.is_empty())
}

fn refuse_newer(connection: &mut SqliteConnection) -> Result<(), MigrateError> {
    let ours: Migrations = MIGRATIONS.migrations().map_err(MigrateError::Failed)?;
    let applied = connection.applied_migrations().map_err(MigrateError::Failed)?;
    let unknown: Vec<_> = applied
        .iter()
        .filter(|version| ours.iter().all(|known| known.name().version() != **version))
        .map(ToString::to_string)
        .collect();
    if unknown.is_empty() { Ok(()) } else { Err(MigrateError::Newer(unknown)) }
}

fn names(migrations: &Migrations) -> Vec<String> {
    migrations.iter().map(|migration| migration.name().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel::Connection;

    #[test]
    fn every_migration_can_be_undone_and_done_again() {
        let mut connection = SqliteConnection::establish(":memory:").unwrap();
        let first = run_missing(&mut connection).unwrap();
        connection.revert_all_migrations(MIGRATIONS).unwrap();
        assert_eq!(run_missing(&mut connection).unwrap(), first);
    }
}
