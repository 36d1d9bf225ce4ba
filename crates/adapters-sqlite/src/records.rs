//! What is kept about use itself: sign-in counters, remembered answers, signing keys. The audit trail is in `trail.rs`.

use crate::lists::{changed, restored};
use crate::rows::{CounterRow, RememberedRow, SigningKeyRow};
use crate::schema::{idempotency_keys, sign_in_counters, signing_keys};
use crate::work::{Answer, Work};
use async_trait::async_trait;
use diesel::prelude::*;
use domain::idempotency::Remembered;
use domain::ports::{Idempotency, SignIns, SigningKeys, StoreError};
use domain::sessions::SigningKey;
use domain::sign_in::Counter;
use domain::time::Timestamp;

#[async_trait]
impl SignIns for Work {
    async fn lock(&mut self, key: &[u8; 32], now: Timestamp) -> Result<Counter, StoreError> {
        self.hold()?;
        let key = *key;
        let stored = self.run(move |connection| find_counter(connection, &key)).await?;
        Ok(stored.unwrap_or_else(|| Counter::fresh(now)))
    }

    async fn save(&mut self, key: &[u8; 32], counter: &Counter) -> Result<(), StoreError> {
        let row = CounterRow::new(key, counter);
        self.run(move |connection| save_counter(connection, &row)).await
    }

    async fn forget_quiet(&mut self, before: Timestamp, most: u32) -> Result<u64, StoreError> {
        self.hold()?;
        self.run(move |connection| {
            let quiet: Vec<Vec<u8>> = sign_in_counters::table
                .filter(sign_in_counters::last_at.lt(before.micros()))
                .order(sign_in_counters::last_at)
                .limit(most.into())
                .select(sign_in_counters::key)
                .load(connection)?;
            let mut forgotten = 0;
            for key in quiet {
                let counter = sign_in_counters::table.find(key);
                forgotten += changed(diesel::delete(counter).execute(connection)?);
            }
            Ok(forgotten)
        })
        .await
    }
}

fn find_counter(connection: &mut SqliteConnection, key: &[u8; 32]) -> Answer<Option<Counter>> {
    let query = sign_in_counters::table.find(key.as_slice()).select(CounterRow::as_select());
    let row = query.first(connection).optional()?;
    Ok(row.map(Counter::try_from).transpose()?)
}

fn save_counter(connection: &mut SqliteConnection, row: &CounterRow) -> Answer<()> {
    diesel::insert_into(sign_in_counters::table)
        .values(row)
        .on_conflict(sign_in_counters::key)
        .do_update()
        .set(row)
        .execute(connection)?;
    Ok(())
}

#[async_trait]
impl Idempotency for Work {
    async fn remember(&mut self, answer: &Remembered) -> Result<(), StoreError> {
        let row = RememberedRow::from(answer);
        self.run(move |connection| {
            diesel::insert_into(idempotency_keys::table).values(row).execute(connection)?;
            Ok(())
        })
        .await
    }

    async fn find(&mut self, scope: &[u8; 32]) -> Result<Option<Remembered>, StoreError> {
        let scope = *scope;
        self.run(move |connection| find_answer(connection, &scope)).await
    }

    async fn forget(&mut self, before: Timestamp, most: u32) -> Result<u64, StoreError> {
        self.hold()?;
        self.run(move |connection| {
            let past: Vec<Vec<u8>> = idempotency_keys::table
                .filter(idempotency_keys::created_at.lt(before.micros()))
                .order(idempotency_keys::created_at)
                .limit(most.into())
                .select(idempotency_keys::scope)
                .load(connection)?;
            let mut forgotten = 0;
            for scope in past {
                let answer = idempotency_keys::table.find(scope);
                forgotten += changed(diesel::delete(answer).execute(connection)?);
            }
            Ok(forgotten)
        })
        .await
    }
}

fn find_answer(connection: &mut SqliteConnection, scope: &[u8; 32]) -> Answer<Option<Remembered>> {
    let query = idempotency_keys::table.find(scope.as_slice()).select(RememberedRow::as_select());
    let row = query.first(connection).optional()?;
    Ok(row.map(Remembered::try_from).transpose()?)
}

#[async_trait]
impl SigningKeys for Work {
    async fn lock(&mut self) -> Result<(), StoreError> {
        self.hold()
    }

    async fn list(&mut self) -> Result<Vec<SigningKey>, StoreError> {
        self.run(|connection| {
            let newest_first = (signing_keys::created_at.desc(), signing_keys::id.asc());
            let query = signing_keys::table.order(newest_first).select(SigningKeyRow::as_select());
            restored(query.load(connection)?)
        })
        .await
    }

    async fn insert(&mut self, key: &SigningKey) -> Result<(), StoreError> {
        let row = SigningKeyRow::from(key);
        self.run(move |connection| {
            diesel::insert_into(signing_keys::table).values(row).execute(connection)?;
            Ok(())
        })
        .await
    }

    async fn delete(&mut self, id: &str) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.run(move |connection| Ok(diesel::delete(signing_keys::table.find(id)).execute(connection)? > 0))
            .await
    }
}
