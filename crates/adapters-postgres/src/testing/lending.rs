//! Databases that tests use one after the other. Making one and removing it again takes longer than most tests; making it
//! fresh takes a twentieth of that.

use super::{DIGEST, Database, TEMPLATE, connect, exists, in_database, remove};
use crate::functions::pg_try_advisory_lock;
use diesel::sql_types::{Bool, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use domain::error::BoxError;

/// How the databases are called, with the digest of the migrations and a number behind.
pub(super) const PREFIX: &str = "techtrack_lent_";

/// The advisory locks of those who hold a database are this and its number: spells "lent".
const LENT: i64 = (i32::from_be_bytes(*b"lent") as i64) << 32;

/// So many may be lent at the same time; there is one only where that many tests run at once.
const MOST: i64 = 256;

const REMEMBER: &str = include_str!("remember.sql");
const REFRESH: &str = include_str!("refresh.sql");

/// A database that is somebody's as long as this connection lasts.
pub(super) struct Lent {
    pub(super) name: String,
    _holding: AsyncPgConnection,
}

/// Has a migrated database, which is to become the template, remember what it looks like.
pub(super) async fn remember(url: &str) -> Result<(), BoxError> {
    Ok(connect(url).await?.batch_execute(REMEMBER).await?)
}

/// Lends a database as it is after all migrations.
pub(super) async fn lend(server: &str) -> Result<Lent, BoxError> {
    let mut holding = connect(server).await?;
    let number = take_one(&mut holding).await?;
    let name = format!("{PREFIX}{DIGEST}_{number}");
    let is_fresh = exists(&mut holding, &name).await? && refresh(&mut holding, server, &name).await.is_ok();
    if !is_fresh {
        remove(&mut holding, &name).await?;
        sql_query(format!("CREATE DATABASE {name} TEMPLATE {TEMPLATE}")).execute(&mut holding).await?;
    }
    Ok(Lent { name, _holding: holding })
}

/// The number of a database that nobody else holds.
async fn take_one(holding: &mut AsyncPgConnection) -> Result<i64, BoxError> {
    for number in 0..MOST {
        if diesel::select(pg_try_advisory_lock(LENT + number)).get_result(holding).await? {
            return Ok(number);
        }
    }
    Err("more tests hold a database than there are to lend".into())
}

async fn refresh(holding: &mut AsyncPgConnection, server: &str, name: &str) -> Result<(), BoxError> {
    leave_nobody(holding, name).await?;
    Ok(connect(&in_database(server, name)).await?.batch_execute(REFRESH).await?)
}

/// Ends what a test before left connected, and waits for it to be gone.
async fn leave_nobody(holding: &mut AsyncPgConnection, name: &str) -> Result<(), BoxError> {
    #[derive(QueryableByName)]
    struct Ended {
        #[diesel(sql_type = Bool)]
        is_gone: bool,
    }
    // The second argument is how long to wait, in milliseconds.
    let ended = sql_query(
        "SELECT pg_terminate_backend(pid, 5000) AS is_gone FROM pg_stat_activity WHERE datname = $1",
    );
    let ended: Vec<Ended> = ended.bind::<Text, _>(name).load(holding).await?;
    if ended.iter().all(|ended| ended.is_gone) { Ok(()) } else { Err("somebody does not leave".into()) }
}

/// Databases that were lent for migrations of before, which nobody asks for any more.
pub(super) async fn outdated(maintenance: &mut AsyncPgConnection) -> Result<Vec<Database>, BoxError> {
    let outdated = sql_query(
        "SELECT datname::text FROM pg_database WHERE starts_with(datname, $1) AND NOT starts_with(datname, $2) \
         AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE pg_stat_activity.datname = pg_database.datname)",
    );
    let current = format!("{PREFIX}{DIGEST}_");
    Ok(outdated.bind::<Text, _>(PREFIX).bind::<Text, _>(current).load(maintenance).await?)
}
