//! The promise that a reader only reads, port by port.

use crate::Database;
use crate::builders::{
    a_digest, a_role, a_session, a_signing_key, a_user, an_answer, an_api_key, an_event, at,
};
use domain::ports::{Repos, StoreError};
use domain::sign_in::Counter;

/// Each write gets a reader of its own: some databases take nothing more after a refusal.
async fn refuses<T>(database: &Database, write: impl AsyncFnOnce(&mut dyn Repos) -> Result<T, StoreError>) {
    let refusal = write(&mut *database.reader().await).await.err().expect("a reader wrote");
    assert!(matches!(refusal, StoreError::ReadOnly), "{refusal:?}");
}

pub async fn a_reader_writes_no_users(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    refuses(&database, async |reader| reader.users().insert(&a_user("ben")).await).await;
    refuses(&database, async |reader| reader.users().save(&anna).await).await;
    refuses(&database, async |reader| reader.users().touch(&[anna.id], at(1)).await).await;
    refuses(&database, async |reader| reader.users().delete(anna.id).await).await;
    assert_eq!(database.user(anna.id).await, Some(anna));
}

pub async fn a_reader_releases_no_mentees(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    refuses(&database, async |reader| reader.mentorships().release_all(anna.id, at(1)).await).await;
}

pub async fn a_reader_writes_no_roles(database: Database) {
    let role = database.insert_role(&a_role("EDITOR")).await;
    let anna = database.insert_user(&a_user("anna")).await.id;
    let ben = database.insert_user(&a_user("ben")).await.id;
    database.assign(anna, role.id).await;
    refuses(&database, async |reader| reader.roles().insert(&a_role("VIEWER")).await).await;
    refuses(&database, async |reader| reader.roles().save(&role).await).await;
    refuses(&database, async |reader| reader.roles().delete(role.id).await).await;
    refuses(&database, async |reader| reader.roles().assign(ben, role.id).await).await;
    refuses(&database, async |reader| reader.roles().unassign(anna, role.id).await).await;
    assert_eq!(database.reader().await.roles().holders(role.id).await.unwrap(), [anna]);
}

pub async fn a_reader_writes_no_sessions(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    let session = database.insert_session(&a_session(anna)).await.id;
    refuses(&database, async |reader| reader.sessions().insert(&a_session(anna)).await).await;
    refuses(&database, async |reader| reader.sessions().advance(session, 1, at(1), at(2)).await).await;
    refuses(&database, async |reader| reader.sessions().touch(session, at(1)).await).await;
    refuses(&database, async |reader| reader.sessions().end(anna, session).await).await;
    refuses(&database, async |reader| reader.sessions().end_all(anna, None).await).await;
    refuses(&database, async |reader| reader.sessions().forget_lapsed(at(9999)).await).await;
    assert!(database.reader().await.sessions().bearer(session).await.unwrap().is_some());
}

pub async fn a_reader_writes_no_keys(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    let key = database.insert_api_key(&an_api_key(anna, "press", 1)).await;
    refuses(&database, async |reader| reader.api_keys().insert(&an_api_key(anna, "b", 2)).await).await;
    refuses(&database, async |reader| reader.api_keys().touch(key.id, at(1)).await).await;
    refuses(&database, async |reader| reader.api_keys().delete(anna, key.id).await).await;
    assert_eq!(database.reader().await.api_keys().find(anna, key.id).await.unwrap(), Some(key));
}

pub async fn a_reader_counts_no_sign_ins(database: Database) {
    let counter = Counter::fresh(at(0));
    refuses(&database, async |reader| reader.sign_ins().save(&a_digest(1), &counter).await).await;
    refuses(&database, async |reader| reader.sign_ins().forget_quiet(at(1)).await).await;
}

pub async fn a_reader_remembers_no_answers(database: Database) {
    refuses(&database, async |reader| reader.idempotency().remember(&an_answer(1)).await).await;
    refuses(&database, async |reader| reader.idempotency().forget(at(1)).await).await;
}

pub async fn a_reader_writes_no_signing_keys(database: Database) {
    let key = a_signing_key("key", at(1));
    refuses(&database, async |reader| reader.signing_keys().insert(&key).await).await;
    refuses(&database, async |reader| reader.signing_keys().delete("key").await).await;
}

pub async fn a_reader_records_no_events(database: Database) {
    refuses(&database, async |reader| reader.trail().record(&an_event("x")).await).await;
}
