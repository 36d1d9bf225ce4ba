//! A connection as we want it: which SQLite, and with which settings.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};
use std::time::Duration;

/// Older ones can damage a database in WAL mode when a checkpoint meets a write.
const OLDEST_SQLITE: (u32, u32, u32) = (3, 51, 3);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Reading,
    Writing,
    /// Reading all of it into another file, which SQLite does not count as reading.
    Copying,
}

/// Why a connection is not as we want it.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The file does not open.
    #[error(transparent)]
    Refused(#[from] diesel::ConnectionError),
    /// A setting is not accepted, or the file is no database.
    #[error(transparent)]
    Failed(#[from] diesel::result::Error),
    /// The linked library is not the one this was tested with.
    #[error("SQLite {0} is too old; at least {major}.{minor}.{patch} is needed", major = OLDEST_SQLITE.0, minor = OLDEST_SQLITE.1, patch = OLDEST_SQLITE.2)]
    TooOld(String),
    /// The file system cannot share memory between connections, as network file systems cannot.
    #[error("the file system does not support write-ahead logging (journal mode stays `{0}`)")]
    NoWriteAheadLog(String),
    /// The library was compiled without what the invariants need.
    #[error("this SQLite does not enforce foreign keys")]
    NoForeignKeys,
}

/// Opens the file, which exists, at this absolute path.
pub(crate) fn connect(
    path: &str,
    purpose: Purpose,
    busy_timeout: Duration,
) -> Result<SqliteConnection, ConnectError> {
    let mut connection = SqliteConnection::establish(path)?;
    refuse_old(&version(&mut connection)?)?;
    connection.batch_execute(&format!("PRAGMA busy_timeout = {}", busy_timeout.as_millis()))?;
    if purpose == Purpose::Writing {
        // Of a file that is still empty this decides that space can be given back later; of any other it changes nothing, but
        // waits for who writes.
        connection.batch_execute("PRAGMA auto_vacuum = INCREMENTAL")?;
    }
    // FULL: a commit that was acknowledged survives a power cut. The cache is bounded at 16 MiB a connection. The log is
    // moved into the file when it has 64 MiB and cut back to that after a burst: readings of a thousand machines change a
    // thousand pages with each commit, mostly the same ones, and the longer the log the fewer of them are written twice.
    connection.batch_execute(
        "PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA trusted_schema = OFF;
         PRAGMA cache_size = -16384;
         PRAGMA wal_autocheckpoint = 16384;
         PRAGMA journal_size_limit = 67108864;",
    )?;
    refuse_dangling(&mut connection)?;
    refuse_rollback_journal(&mut connection)?;
    if purpose == Purpose::Reading {
        connection.batch_execute("PRAGMA query_only = ON")?;
    }
    Ok(connection)
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

fn version(connection: &mut SqliteConnection) -> QueryResult<String> {
    let row: Version = diesel::sql_query("SELECT sqlite_version() AS version").get_result(connection)?;
    Ok(row.version)
}

fn refuse_old(version: &str) -> Result<(), ConnectError> {
    let mut numbers = version.split('.').map(str::parse::<u32>);
    let mut next = || numbers.next().and_then(Result::ok).unwrap_or(0);
    if (next(), next(), next()) < OLDEST_SQLITE {
        return Err(ConnectError::TooOld(version.to_owned()));
    }
    Ok(())
}

#[derive(QueryableByName)]
struct JournalMode {
    #[diesel(sql_type = Text)]
    journal_mode: String,
}

fn refuse_rollback_journal(connection: &mut SqliteConnection) -> Result<(), ConnectError> {
    let row: JournalMode = diesel::sql_query("PRAGMA journal_mode = WAL").get_result(connection)?;
    if row.journal_mode != "wal" {
        return Err(ConnectError::NoWriteAheadLog(row.journal_mode));
    }
    Ok(())
}

#[derive(QueryableByName)]
struct ForeignKeys {
    #[diesel(sql_type = Integer)]
    foreign_keys: i32,
}

fn refuse_dangling(connection: &mut SqliteConnection) -> Result<(), ConnectError> {
    let rows: Vec<ForeignKeys> = diesel::sql_query("PRAGMA foreign_keys").load(connection)?;
    if rows.iter().any(|row| row.foreign_keys == 1) { Ok(()) } else { Err(ConnectError::NoForeignKeys) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sqlite_that_can_damage_the_log_is_refused() {
        for good in ["3.51.3", "3.53.2", "3.100.0", "4.0"] {
            assert!(refuse_old(good).is_ok(), "{good}");
        }
        for bad in ["3.40.1", "3.51.2", "2.99.9", "", "new"] {
            assert!(matches!(refuse_old(bad), Err(ConnectError::TooOld(_))), "{bad}");
        }
    }

    #[test]
    fn the_linked_sqlite_is_new_enough() {
        let mut connection = SqliteConnection::establish(":memory:").unwrap();
        let version = version(&mut connection).unwrap();
        assert!(refuse_old(&version).is_ok(), "{version}");
    }

    #[test]
    fn a_database_without_a_log_file_is_refused() {
        let refused = connect(":memory:", Purpose::Writing, Duration::ZERO);
        assert!(matches!(refused, Err(ConnectError::NoWriteAheadLog(mode)) if mode == "memory"));
    }
}
