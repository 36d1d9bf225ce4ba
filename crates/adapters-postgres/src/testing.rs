//! A migrated, empty database for every test: lent (`lending`), or made from a template that all tests share; and a look
//! into the pools of a store, which nobody but tests takes.
//!
//! The server is the one of the environment's `TEST_DATABASE_URL`, which names a database to connect to for making others,
//! with a role that may make them; without it, `postgres://postgres@127.0.0.1:5432/postgres`.
#![allow(clippy::panic, reason = "a test without its database must fail, and say why")]

mod lending;

use crate::PostgresStore;
use crate::connect::{Access, Connector};
use crate::functions::pg_advisory_lock;
use crate::migrations;
use crate::settings::Settings;
use diesel::sql_types::Text;
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use domain::error::BoxError;
use lending::Lent;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::ops::Add;
use std::sync::Arc;
use tokio::sync::OnceCell;

const DEFAULT_URL: &str = "postgres://postgres@127.0.0.1:5432/postgres";

/// All migrations, digested: a template is good for exactly these.
const DIGEST: &str = env!("MIGRATIONS_DIGEST");
const TEMPLATE: &str = concat!("techtrack_template_", env!("MIGRATIONS_DIGEST"));

/// How databases made here are called, with a random number behind.
const PREFIX: &str = "techtrack_test_";

/// The advisory lock of whoever makes the template: spells "template".
const MAKING_TEMPLATE: i64 = i64::from_be_bytes(*b"template");

/// A database of one test until this is dropped.
pub struct TestDatabase {
    server: String,
    name: String,
    /// Whoever lent it wants it back; another one is removed.
    lent: Option<Lent>,
}

impl TestDatabase {
    /// A database with all migrations and nothing in it.
    pub async fn create() -> Self {
        static TEMPLATE_IS_THERE: OnceCell<()> = OnceCell::const_new();
        let lent = async {
            TEMPLATE_IS_THERE.get_or_try_init(make_template).await?;
            let server = server();
            let lent = lending::lend(&server).await?;
            Ok(Self { name: lent.name.clone(), server, lent: Some(lent) })
        };
        lent.await.unwrap_or_else(|error| unavailable(&error))
    }

    /// Makes a database with nothing in it at all, not even tables.
    pub async fn create_empty() -> Self {
        Self::made().await.unwrap_or_else(|error| unavailable(&error))
    }

    /// How it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is.
    pub fn url(&self) -> String {
        in_database(&self.server, &self.name)
    }

    async fn made() -> Result<Self, BoxError> {
        let server = server();
        let name = format!("{PREFIX}{:016x}", RandomState::new().build_hasher().finish());
        let mut maintenance = connect(&server).await?;
        sql_query(format!("CREATE DATABASE {name}")).execute(&mut maintenance).await?;
        Ok(Self { server, name, lent: None })
    }
}

impl Drop for TestDatabase {
    /// On a thread and a runtime of its own, because a test's runtime cannot wait here.
    fn drop(&mut self) {
        if self.lent.is_some() {
            return;
        }
        let (server, name) = (self.server.clone(), self.name.clone());
        let removed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async { remove(&mut connect(&server).await?, &name).await })
        });
        match removed.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, database = self.name, "a test database was left behind"),
            Err(_) => tracing::warn!(database = self.name, "a test database was left behind"),
        }
    }
}

async fn make_template() -> Result<(), BoxError> {
    let server = server();
    // Tests run in many processes at once; its end closes the connection, and with it goes the lock.
    let mut maintenance = connect(&server).await?;
    diesel::select(pg_advisory_lock(MAKING_TEMPLATE)).execute(&mut maintenance).await?;
    if exists(&mut maintenance, TEMPLATE).await? {
        return Ok(());
    }
    remove_left_behind(&mut maintenance).await?;
    // Under its final name it is complete.
    let draft = format!("{TEMPLATE}_draft");
    remove(&mut maintenance, &draft).await?;
    sql_query(format!("CREATE DATABASE {draft}")).execute(&mut maintenance).await?;
    migrations::run(&connector(&in_database(&server, &draft))?).await?;
    lending::remember(&in_database(&server, &draft)).await?;
    sql_query(format!("ALTER DATABASE {draft} RENAME TO {TEMPLATE}")).execute(&mut maintenance).await?;
    Ok(())
}

#[derive(QueryableByName)]
struct Database {
    #[diesel(sql_type = Text)]
    datname: String,
}

async fn exists(maintenance: &mut AsyncPgConnection, name: &str) -> Result<bool, BoxError> {
    let named = sql_query("SELECT datname::text FROM pg_database WHERE datname = $1").bind::<Text, _>(name);
    let found: Vec<Database> = named.load(maintenance).await?;
    Ok(!found.is_empty())
}

/// Removes databases of tests that were killed, and drafts and templates of other migrations, two hours after they were made.
async fn remove_left_behind(maintenance: &mut AsyncPgConnection) -> Result<(), BoxError> {
    let old = sql_query(
        "SELECT datname::text FROM pg_database \
         WHERE (starts_with(datname, 'techtrack_test_') OR starts_with(datname, 'techtrack_template_')) \
         AND (pg_stat_file('base/' || oid || '/PG_VERSION', true)).modification < now() - interval '2 hours'",
    );
    // Only superusers may look at files; for others old databases stay.
    let old: Vec<Database> = old.load(maintenance).await.unwrap_or_default();
    for database in old.into_iter().chain(lending::outdated(maintenance).await?) {
        remove(maintenance, &database.datname).await?;
    }
    Ok(())
}

async fn remove(maintenance: &mut AsyncPgConnection, name: &str) -> Result<(), BoxError> {
    sql_query(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).execute(maintenance).await?;
    Ok(())
}

fn connector(url: &str) -> Result<Arc<Connector>, BoxError> {
    Ok(Arc::new(Connector::new(&Settings::new(url))?))
}

async fn connect(url: &str) -> Result<AsyncPgConnection, BoxError> {
    // As for a migration: making a database may take longer than a request is given.
    Ok(connector(url)?.establish(Access::Migrating).await?)
}

#[allow(clippy::disallowed_methods, reason = "tests have no other way to be told where their server is")]
fn server() -> String {
    std::env::var("TEST_DATABASE_URL").unwrap_or_else(|_| DEFAULT_URL.to_owned())
}

/// The URL with another database in it.
fn in_database(url: &str, name: &str) -> String {
    let (address, parameters) = match url.find('?') {
        Some(at) => url.split_at(at),
        None => (url, ""),
    };
    let authority = address.find("://").map_or(0, |at| at + "://".len());
    let end = address.get(authority..).and_then(|rest| rest.find('/'));
    let server = end.and_then(|at| address.get(..authority + at)).unwrap_or(address);
    format!("{server}/{name}{parameters}")
}

fn unavailable(error: &BoxError) -> ! {
    let mut causes = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        causes = format!("{causes}: {error}");
        cause = error.source();
    }
    panic!(
        "no database to test with ({causes}).\n\
         These tests need a PostgreSQL server, 14 or later, on which they may create databases. Name one by\n\
         TEST_DATABASE_URL=postgres://user:password@host:5432/postgres; without that, {DEFAULT_URL} is tried.\n\
         On Debian: apt-get install postgresql; for a server of its own:\n\
         initdb -A trust -U postgres DIR && pg_ctl -D DIR -o '-p 5432' start"
    )
}

/// How the connections are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// Open connections.
    pub size: usize,
    /// Open connections that nobody uses.
    pub available: usize,
    /// Callers that wait for one.
    pub waiting: usize,
}

impl Add for PoolStatus {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            size: self.size.saturating_add(other.size),
            available: self.available.saturating_add(other.available),
            waiting: self.waiting.saturating_add(other.waiting),
        }
    }
}

impl PostgresStore {
    /// How the connections are used at this moment.
    pub fn pool_status(&self) -> PoolStatus {
        self.readers.status() + self.writers.status()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_everything_but_its_database() {
        let cases = [
            ("postgres://db", "postgres://db/x"),
            ("postgres://db/postgres", "postgres://db/x"),
            ("postgres://u:p@a:1,b:2/postgres?sslmode=require", "postgres://u:p@a:1,b:2/x?sslmode=require"),
            ("postgres:///postgres?host=/run/pg", "postgres:///x?host=/run/pg"),
        ];
        for (url, expected) in cases {
            assert_eq!(in_database(url, "x"), expected);
        }
    }
}
