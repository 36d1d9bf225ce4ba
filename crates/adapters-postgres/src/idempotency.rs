//! Answers to requests that asked to be done once: `idempotency_keys`.

use crate::link::Link;
use crate::rows::{Row, count, stamp};
use crate::schema::idempotency_keys;
use crate::statement::Statement;
use async_trait::async_trait;
use diesel::data_types::PgTimestamp;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};
use domain::idempotency::{Claim, Remembered};
use domain::ports::{Idempotency, StoreError};
use domain::time::Timestamp;

const FORGET: &str = "\
    DELETE FROM idempotency_keys WHERE scope = ANY(ARRAY( \
        SELECT scope FROM idempotency_keys WHERE created_at < ? ORDER BY created_at LIMIT ?))";

#[async_trait]
impl Idempotency for Link {
    /// A plain insert: the primary key makes the later of two wait for the earlier, and names the conflict.
    async fn remember(&mut self, answer: &Remembered) -> Result<(), StoreError> {
        let remembered = diesel::insert_into(idempotency_keys::table).values((
            idempotency_keys::scope.eq(answer.claim.scope.as_slice()),
            idempotency_keys::fingerprint.eq(answer.claim.fingerprint.as_slice()),
            idempotency_keys::answer.eq(answer.answer.as_slice()),
            idempotency_keys::created_at.eq(stamp(answer.created_at)),
        ));
        self.run(remembered).await?;
        Ok(())
    }

    async fn find(&mut self, scope: &[u8; 32]) -> Result<Option<Remembered>, StoreError> {
        let row = idempotency_keys::table.find(scope.as_slice()).select(RememberedRow::as_select());
        self.one(row).await?.map(Remembered::try_from).transpose()
    }

    async fn forget(&mut self, before: Timestamp, most: u32) -> Result<u64, StoreError> {
        let forgotten = Statement::<()>::new(FORGET)
            .bind::<Timestamptz, _>(stamp(before))
            .bind::<BigInt, _>(i64::from(most));
        self.run(forgotten).await.map(count)
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = idempotency_keys, check_for_backend(Pg))]
struct RememberedRow {
    scope: Vec<u8>,
    fingerprint: Vec<u8>,
    answer: Vec<u8>,
    created_at: PgTimestamp,
}

impl TryFrom<RememberedRow> for Remembered {
    type Error = StoreError;

    fn try_from(remembered: RememberedRow) -> Result<Self, StoreError> {
        let row = Row { table: "idempotency_keys", key: &"(a digest)" };
        Ok(Self {
            claim: Claim {
                scope: row.bytes("scope", &remembered.scope)?,
                fingerprint: row.bytes("fingerprint", &remembered.fingerprint)?,
            },
            answer: remembered.answer,
            created_at: row.instant("created_at", remembered.created_at)?,
        })
    }
}
