//! The keys that sign tokens: `signing_keys`.

use crate::link::Link;
use crate::rows::{Row, stamp};
use crate::schema::signing_keys;
use async_trait::async_trait;
use diesel::data_types::PgTimestamp;
use diesel::pg::Pg;
use diesel::prelude::*;
use domain::ports::{SigningKeys, StoreError};
use domain::sessions::SigningKey;

/// The advisory lock of whoever changes the keys: spells "signing".
const SIGNING_KEYS: i64 = i64::from_be_bytes(*b"\0signing");

#[async_trait]
impl SigningKeys for Link {
    async fn lock(&mut self) -> Result<(), StoreError> {
        self.hold(SIGNING_KEYS).await
    }

    async fn list(&mut self) -> Result<Vec<SigningKey>, StoreError> {
        let rows = signing_keys::table
            .order((signing_keys::created_at.desc(), signing_keys::id))
            .select(SigningKeyRow::as_select());
        self.all(rows).await?.into_iter().map(SigningKey::try_from).collect()
    }

    async fn insert(&mut self, key: &SigningKey) -> Result<(), StoreError> {
        let stored = diesel::insert_into(signing_keys::table).values((
            signing_keys::id.eq(key.id.as_str()),
            signing_keys::private_key.eq(key.private.as_slice()),
            signing_keys::public_key.eq(key.public.as_slice()),
            signing_keys::created_at.eq(stamp(key.created_at)),
        ));
        self.run(stored).await?;
        Ok(())
    }

    async fn delete(&mut self, id: &str) -> Result<bool, StoreError> {
        Ok(self.run(diesel::delete(signing_keys::table.find(id))).await? > 0)
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = signing_keys, check_for_backend(Pg))]
struct SigningKeyRow {
    id: String,
    private_key: Vec<u8>,
    public_key: Vec<u8>,
    created_at: PgTimestamp,
}

impl TryFrom<SigningKeyRow> for SigningKey {
    type Error = StoreError;

    fn try_from(key: SigningKeyRow) -> Result<Self, StoreError> {
        let row = Row { table: "signing_keys", key: &key.id };
        Ok(Self {
            created_at: row.instant("created_at", key.created_at)?,
            private: key.private_key,
            public: key.public_key,
            id: key.id,
        })
    }
}
