//! Promises about the keys that sign tokens.

use crate::Database;
use crate::builders::{a_signing_key, at};
use domain::ports::{StoreError, Unique};
use domain::sessions::SigningKey;

async fn insert(database: &Database, key: &SigningKey) {
    database.within(async |unit| unit.signing_keys().insert(key).await.unwrap()).await;
}

async fn all(database: &Database) -> Vec<SigningKey> {
    database.reader().await.signing_keys().list().await.unwrap()
}

pub async fn a_new_store_holds_no_signing_key(database: Database) {
    assert!(all(&database).await.is_empty());
}

pub async fn every_field_of_a_signing_key_round_trips(database: Database) {
    let key = SigningKey {
        id: "Az09-_".repeat(10),
        private: (0..=255).collect(),
        public: (0..32).collect(),
        created_at: at(5),
    };
    insert(&database, &key).await;
    // `Debug` and so `assert_eq!` would tell only the id.
    assert!(all(&database).await == [key]);
}

pub async fn signing_keys_are_listed_newest_first(database: Database) {
    for (id, seconds) in [("middle", 2), ("newest", 3), ("oldest", 1)] {
        insert(&database, &a_signing_key(id, at(seconds))).await;
    }
    let ids: Vec<String> = all(&database).await.into_iter().map(|key| key.id).collect();
    assert_eq!(ids, ["newest", "middle", "oldest"]);
}

pub async fn a_taken_signing_key_id_is_named(database: Database) {
    let key = a_signing_key("key", at(1));
    insert(&database, &key).await;
    let same_id = a_signing_key("key", at(2));
    let refusal = database.refusal(async |unit| unit.signing_keys().insert(&same_id).await).await;
    assert!(matches!(refusal, StoreError::Conflict(Unique::SigningKey)), "{refusal:?}");
    assert!(all(&database).await == [key]);
}

pub async fn a_deleted_signing_key_is_gone_and_no_other(database: Database) {
    insert(&database, &a_signing_key("old", at(1))).await;
    insert(&database, &a_signing_key("new", at(2))).await;
    database
        .within(async |unit| {
            assert!(unit.signing_keys().delete("old").await.unwrap());
            assert!(!unit.signing_keys().delete("old").await.unwrap());
            assert!(!unit.signing_keys().delete("NEW").await.unwrap());
        })
        .await;
    assert!(all(&database).await == [a_signing_key("new", at(2))]);
}
