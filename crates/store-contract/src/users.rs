//! Promises about people with accounts.

use crate::Database;
use crate::builders::{a_user, login};
use domain::id::Version;
use domain::ports::{StoreError, Unique};

pub async fn a_new_user_has_the_first_version_and_is_found_by_id(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    assert_eq!((anna.version, anna.updated_at), (Version::FIRST, anna.created_at));
    let found = database.reader().await.users().find(anna.id).await.unwrap();
    assert_eq!(found, Some(anna));
}

pub async fn a_user_is_found_by_any_spelling_of_the_login(database: Database) {
    let anna = database.insert_user(&a_user("Anna")).await;
    let mut reader = database.reader().await;
    for spelling in ["anna", "ANNA", "ａｎｎａ"] {
        let found = reader.users().find_by_username(&login(spelling)).await.unwrap();
        assert_eq!(found.as_ref(), Some(&anna), "{spelling}");
    }
}

pub async fn a_taken_login_is_named(database: Database) {
    database.insert_user(&a_user("anna")).await;
    let refusal = database
        .refusal(async |tx| tx.users().insert(&a_user("ANNA")).await)
        .await;
    assert!(
        matches!(refusal, StoreError::Conflict(Unique::Username)),
        "{refusal:?}"
    );
}
