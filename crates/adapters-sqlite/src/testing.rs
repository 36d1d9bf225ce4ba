//! For tests alone: somebody who knows nothing of us and our locks, at work on a database.
#![allow(clippy::panic, reason = "a test that cannot do what it came for must fail, and say why")]

use diesel::Connection;
use diesel::connection::SimpleConnection;
use diesel::sqlite::SqliteConnection;
use std::path::Path;

/// Runs these statements on the file.
pub fn execute(file: &Path, statements: &str) {
    let connected = SqliteConnection::establish(&file.to_string_lossy());
    let mut connection =
        connected.unwrap_or_else(|error| panic!("{} does not open: {error}", file.display()));
    let done = connection.batch_execute(statements);
    done.unwrap_or_else(|error| panic!("{statements} on {}: {error}", file.display()));
}
