//! What is remembered of sign-ins: `sign_in_counters`.

use crate::link::Link;
use crate::rows::{Row, count, stamp};
use crate::schema::sign_in_counters;
use crate::statement::Statement;
use async_trait::async_trait;
use diesel::data_types::PgTimestamp;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};
use diesel::upsert::excluded;
use domain::ports::{SignIns, StoreError};
use domain::sign_in::Counter;
use domain::time::Timestamp;

/// Whoever signs in meanwhile has the counter stay.
const FORGET: &str = "\
    DELETE FROM sign_in_counters WHERE last_at < ? AND key = ANY(ARRAY( \
        SELECT key FROM sign_in_counters WHERE last_at < $1 ORDER BY last_at LIMIT ?))";

#[async_trait]
impl SignIns for Link {
    /// Writes a fresh counter or, if there is one, its own key over it: either way the row is there and locked, so that of
    /// two first attempts the second waits too.
    async fn lock(&mut self, key: &[u8; 32], now: Timestamp) -> Result<Counter, StoreError> {
        let row = diesel::insert_into(sign_in_counters::table)
            .values(CounterRow::new(key, &Counter::fresh(now)))
            .on_conflict(sign_in_counters::key)
            .do_update()
            .set(sign_in_counters::key.eq(excluded(sign_in_counters::key)))
            .returning(CounterRow::as_returning());
        Counter::try_from(self.the(row).await?)
    }

    async fn save(&mut self, key: &[u8; 32], counter: &Counter) -> Result<(), StoreError> {
        let row = CounterRow::new(key, counter);
        let saved = diesel::insert_into(sign_in_counters::table)
            .values(&row)
            .on_conflict(sign_in_counters::key)
            .do_update()
            .set(&row);
        self.run(saved).await?;
        Ok(())
    }

    async fn forget_quiet(&mut self, before: Timestamp, most: u32) -> Result<u64, StoreError> {
        let forgotten = Statement::<()>::new(FORGET)
            .bind::<Timestamptz, _>(stamp(before))
            .bind::<BigInt, _>(i64::from(most));
        self.run(forgotten).await.map(count)
    }
}

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = sign_in_counters, primary_key(key), check_for_backend(Pg))]
struct CounterRow {
    key: Vec<u8>,
    failures: i64,
    pending: i64,
    window_started_at: PgTimestamp,
    last_at: PgTimestamp,
}

impl CounterRow {
    fn new(key: &[u8; 32], counter: &Counter) -> Self {
        Self {
            key: key.to_vec(),
            failures: i64::from(counter.failures),
            pending: i64::from(counter.pending),
            window_started_at: stamp(counter.window_started_at),
            last_at: stamp(counter.last_at),
        }
    }
}

impl TryFrom<CounterRow> for Counter {
    type Error = StoreError;

    fn try_from(counter: CounterRow) -> Result<Self, StoreError> {
        // Keys are digests of logins and addresses; the log need not repeat even those.
        let row = Row { table: "sign_in_counters", key: &"(a digest)" };
        Ok(Self {
            failures: row.read("failures", u32::try_from(counter.failures).ok())?,
            pending: row.read("pending", u32::try_from(counter.pending).ok())?,
            window_started_at: row.instant("window_started_at", counter.window_started_at)?,
            last_at: row.instant("last_at", counter.last_at)?,
        })
    }
}
