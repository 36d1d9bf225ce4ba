//! What can be set about the use of PostgreSQL.

use domain::text::Secret;
use std::time::Duration;

/// How to reach the database and how long to wait for it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `postgres://user:password@host[:port][,host…]/database[?parameters]`.
    ///
    /// `sslmode` has libpq's meaning: `disable`; `prefer` (the default; encrypts if the server can) and `require` encrypt
    /// without asking who the server is; `verify-ca` and `verify-full` demand a certificate of a trusted authority, the
    /// latter also for the host's name. Trusted are the machine's authorities or those in the PEM file
    /// `sslrootcert=<path>`, with which `require` verifies as `verify-ca` does. Several hosts and
    /// `target_session_attrs=read-write` find the primary after a failover. What `options=-c…` sets wins over our own.
    pub url: Secret,
    /// The most connections of this process, half of them for reading; each half is at least one.
    pub max_connections: usize,
    /// How long to wait for one of them to become free.
    pub acquire_timeout: Duration,
    /// How long opening one may take.
    pub connect_timeout: Duration,
    /// How long the server may take to answer one statement before the connection is given up. Longer than
    /// [`Settings::lock_timeout`], or waiting for a lock costs a connection.
    pub answer_timeout: Duration,
    /// After how long the server itself ends a statement whose client gave up.
    pub statement_timeout: Duration,
    /// How long a statement waits for another unit of work's lock.
    pub lock_timeout: Duration,
    /// After how long the server ends a unit of work that says nothing.
    pub idle_in_transaction_timeout: Duration,
}

impl Settings {
    /// The defaults for this URL: a frozen server is recognised as such within 3 s.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: Secret::new(url),
            max_connections: 16,
            acquire_timeout: Duration::from_secs(2),
            connect_timeout: Duration::from_millis(2500),
            answer_timeout: Duration::from_millis(2500),
            statement_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(2),
            idle_in_transaction_timeout: Duration::from_secs(10),
        }
    }
}
