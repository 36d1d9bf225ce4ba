//! What only a database in a file can get wrong: who may open it, what survives, what is found in it.
#![cfg(test)]

mod scratch;

use adapters_sqlite::{MigrateError, OpenError, Settings, SqliteStore};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use domain::access::{Actor, Origin, Permission, Permissions};
use domain::app::audit::verify;
use domain::audit::chain::{Flaw, Head};
use domain::audit::{Action, NewEvent, Subject};
use domain::equipment::{Details, NewEquipment};
use domain::id::{RoleId, UserId};
use domain::ports::{Store, StoreError};
use domain::roles::NewRole;
use domain::telemetry::{MetricName, Reading, ReadingId, Tags, Values};
use domain::text::{Description, Label, RoleName, Username};
use domain::time::Timestamp;
use domain::users::{NewUser, PasswordHash, StoredPassword, User};
use scratch::Scratch;
use std::error::Error;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

fn newcomer(login: &str) -> NewUser {
    NewUser {
        username: Username::parse(login).unwrap(),
        email: None,
        phone: None,
        password: StoredPassword::lasting(PasswordHash::restore("$argon2id$".into())),
        is_mentor: false,
        is_active: true,
        mentor: None,
        created_at: Timestamp::from_micros(1).unwrap(),
    }
}

async fn register(store: &SqliteStore, login: &str) -> User {
    let mut tx = store.begin().await.unwrap();
    let user = tx.users().insert(&newcomer(login)).await.unwrap();
    tx.commit().await.unwrap();
    user
}

async fn find(store: &SqliteStore, id: UserId) -> Option<User> {
    store.reader().await.unwrap().users().find(id).await.unwrap()
}

/// A program that knows nothing of us and our locks, at work on the file.
fn tamper(file: &Path, sql: &str) {
    let mut connection = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
    connection.batch_execute(sql).unwrap();
}

/// What a person reads: the error and its causes.
fn told(error: &dyn Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push_str(": ");
        told.push_str(&error.to_string());
        cause = error.source();
    }
    told
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_file_in_use_is_refused_by_the_process_that_has_it_until_that_lets_go() {
    let scratch = Scratch::new();
    let store = SqliteStore::open(scratch.settings()).unwrap();
    let refused = SqliteStore::open(scratch.settings()).err().unwrap();
    let message = told(&refused);
    assert!(message.contains(&format!("pid {}", std::process::id())), "{message}");
    assert!(message.contains("techtrack.db"), "{message}");
    drop(store);
    assert!(SqliteStore::open(scratch.settings()).is_ok());
}

#[tokio::test]
async fn a_file_in_use_is_refused_through_a_link_too() {
    let scratch = Scratch::new();
    let _store = SqliteStore::open(scratch.settings()).unwrap();
    let link = scratch.directory.join("other-name.db");
    std::os::unix::fs::symlink(scratch.settings().path, &link).unwrap();
    assert!(matches!(SqliteStore::open(Settings::new(link)), Err(OpenError::InUse { .. })));
}

#[tokio::test]
async fn a_new_file_and_its_directory_are_for_their_owner_alone() {
    let scratch = Scratch::new();
    let directory = scratch.directory.join("var/db");
    let file = directory.join("techtrack.db");
    let store = SqliteStore::open(Settings::new(&file)).unwrap();
    store.migrate().await.unwrap();
    assert_eq!(mode(&directory), 0o700);
    for name in ["techtrack.db", "techtrack.db-wal", "techtrack.db-shm", "techtrack.db.lock"] {
        assert_eq!(mode(&directory.join(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let scratch = Scratch::new();
    let text = "This is a letter, not a database. ".repeat(100);
    fs::write(scratch.settings().path, &text).unwrap();
    let refused = SqliteStore::open(scratch.settings()).err().unwrap();
    assert!(told(&refused).contains("file is not a database"), "{}", told(&refused));
    assert_eq!(fs::read_to_string(scratch.settings().path).unwrap(), text);
}

#[tokio::test]
async fn a_directory_is_refused_by_its_name() {
    let scratch = Scratch::new();
    let refused = SqliteStore::open(Settings::new(&scratch.directory)).err().unwrap();
    assert!(refused.to_string().contains("techtrack-sqlite-"), "{}", told(&refused));
}

#[tokio::test]
async fn migrations_are_named_once_each() {
    let scratch = Scratch::new();
    let store = SqliteStore::open(scratch.settings()).unwrap();
    let pending = store.pending().await.unwrap();
    assert!(pending.iter().any(|name| name.contains("accounts")), "{pending:?}");
    assert_eq!(store.migrate().await.unwrap(), pending);
    assert!(store.pending().await.unwrap().is_empty());
    assert!(store.migrate().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_file_of_a_newer_release_is_refused_by_the_migrations_it_has() {
    let scratch = Scratch::new();
    drop(scratch.store().await);
    let future = "INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')";
    tamper(&scratch.settings().path, future);
    let store = SqliteStore::open(scratch.settings()).unwrap();
    let refused = store.migrate().await.unwrap_err();
    assert!(matches!(&refused, MigrateError::Newer(versions) if *versions == ["99990101000000"]));
    assert!(told(&refused).contains("newer release"), "{}", told(&refused));
    assert!(matches!(store.pending().await, Err(MigrateError::Newer(_))));
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening_and_all_in_one_file() {
    let scratch = Scratch::new();
    let store = scratch.store().await;
    let anna = register(&store, "anna").await;
    drop(store);
    assert!(!scratch.directory.join("techtrack.db-wal").exists(), "the log was not moved into the file");
    let store = scratch.store().await;
    assert_eq!(find(&store, anna.id).await, Some(anna));
}

#[tokio::test]
async fn a_store_that_closes_undoes_what_is_open_and_says_so() {
    let scratch = Scratch::new();
    let store = scratch.store().await;
    let mut tx = store.begin().await.unwrap();
    let anna = tx.users().insert(&newcomer("anna")).await.unwrap();
    let mut reader = store.reader().await.unwrap();
    drop(store);
    assert!(matches!(reader.users().find(anna.id).await, Err(StoreError::Busy(_))));
    assert!(matches!(tx.commit().await, Err(StoreError::Busy(_))));
    let store = scratch.store().await;
    assert_eq!(find(&store, anna.id).await, None);
}

#[tokio::test(flavor = "current_thread")]
async fn a_call_abandoned_half_way_leaves_nothing_and_holds_nothing_on_one_thread() {
    let scratch = Scratch::new();
    let store = scratch.store().await;
    for _ in 0..50 {
        let mut tx = store.begin().await.unwrap();
        let anna = newcomer("anna");
        // Asked once and dropped: the statement is on its way, and nobody waits for it.
        let _ = timeout(Duration::ZERO, tx.users().insert(&anna)).await;
        drop(tx);
    }
    let anna = register(&store, "anna").await;
    assert_eq!(find(&store, anna.id).await, Some(anna));
}

#[tokio::test(flavor = "current_thread")]
async fn a_beginning_abandoned_half_way_holds_nothing() {
    let scratch = Scratch::new();
    let store = scratch.store().await;
    for _ in 0..50 {
        let _ = timeout(Duration::ZERO, store.begin()).await;
    }
    register(&store, "anna").await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_commit_nobody_waits_for_is_a_commit() {
    let scratch = Scratch::new();
    let store = scratch.store().await;
    let mut tx = store.begin().await.unwrap();
    let anna = tx.users().insert(&newcomer("anna")).await.unwrap();
    let _ = timeout(Duration::ZERO, tx.commit()).await;
    // The writer is free only when the commit is done.
    store.begin().await.unwrap().rollback().await;
    assert_eq!(find(&store, anna.id).await, Some(anna));
}

#[tokio::test]
async fn who_waits_too_long_for_the_writer_or_a_reader_is_told_to_come_back() {
    let scratch = Scratch::new();
    let acquire_timeout = Duration::from_millis(20);
    let store = SqliteStore::open(Settings { readers: 1, acquire_timeout, ..scratch.settings() }).unwrap();
    let writing = store.begin().await.unwrap();
    assert!(matches!(store.begin().await, Err(StoreError::Busy(_))));
    let reading = store.reader().await.unwrap();
    assert!(matches!(store.reader().await, Err(StoreError::Busy(_))));
    assert!(matches!(store.ping().await, Err(StoreError::Busy(_))));
    drop((writing, reading));
    assert!(store.begin().await.is_ok() && store.reader().await.is_ok() && store.ping().await.is_ok());
}

#[tokio::test]
async fn a_file_locked_by_another_program_is_busy_and_not_broken() {
    let scratch = Scratch::new();
    drop(scratch.store().await);
    let busy_timeout = Duration::from_millis(20);
    let store = SqliteStore::open(Settings { busy_timeout, ..scratch.settings() }).unwrap();
    let mut backup = SqliteConnection::establish(scratch.settings().path.to_str().unwrap()).unwrap();
    backup.batch_execute("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(store.begin().await, Err(StoreError::Busy(_))));
    backup.batch_execute("ROLLBACK").unwrap();
    register(&store, "anna").await;
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_named() {
    let scratch = Scratch::new();
    let store = scratch.store().await;
    let role = NewRole {
        name: RoleName::parse("auditor").unwrap(),
        description: Description::parse("").unwrap(),
        permissions: Permissions::from_iter([Permission::AuditRead]),
        built_in: false,
        created_at: Timestamp::from_micros(1).unwrap(),
    };
    let mut tx = store.begin().await.unwrap();
    let id: RoleId = tx.roles().insert(&role).await.unwrap().id;
    tx.commit().await.unwrap();
    tamper(&scratch.settings().path, "UPDATE role_permissions SET permission = 'audit:erase'");
    let found = store.reader().await.unwrap().roles().find(id).await;
    let message = told(&found.unwrap_err());
    assert_eq!(message, format!("role_permissions.permission of row {id} does not make sense"));
}

fn a_piece() -> NewEquipment {
    let details = Details::new(Label::parse("Press 1").unwrap(), Label::parse("press").unwrap());
    NewEquipment { details, created_at: Timestamp::from_micros(1).unwrap() }
}

/// A piece of equipment that reported once.
async fn a_reading(store: &SqliteStore) -> ReadingId {
    let mut tx = store.begin().await.unwrap();
    let equipment = tx.equipment().insert(&a_piece()).await.unwrap().id;
    let id = ReadingId { equipment, at: Timestamp::from_micros(5).unwrap() };
    let values = Values::of(vec![(MetricName::parse("t").unwrap(), 1.5)]).unwrap();
    let reading = Reading { id, values, tags: Tags::new(), received_at: id.at };
    tx.readings().insert(&[reading]).await.unwrap();
    tx.commit().await.unwrap();
    id
}

#[tokio::test]
async fn a_reading_that_makes_no_sense_is_named() {
    let scratch = Scratch::new();
    let store = scratch.store().await;
    let id = a_reading(&store).await;
    for (column, nonsense) in
        [("numbers", "x'00'"), ("numbers", "x''"), ("shape_id", "99"), ("tags", "'{\"a\":1}'")]
    {
        let sound = "UPDATE readings SET numbers = x'0000000000000000', shape_id = 1, tags = NULL";
        let tampered = format!("{sound}; UPDATE readings SET {column} = {nonsense}");
        tamper(&scratch.settings().path, &tampered);
        let found = store.reader().await.unwrap().readings().find(id).await;
        let message = told(&found.unwrap_err());
        assert_eq!(message, format!("readings.{column} of row {id} does not make sense"));
    }
}

#[tokio::test]
async fn the_tables_themselves_refuse_what_must_never_be() {
    let scratch = Scratch::new();
    let store = scratch.store().await;
    register(&store, "anna").await;
    a_reading(&store).await;
    let mut connection = SqliteConnection::establish(scratch.settings().path.to_str().unwrap()).unwrap();
    let refused = [
        "UPDATE users SET mentor_id = id",
        "UPDATE users SET is_active = 2",
        "UPDATE users SET password_use = 'one_time'",
        "UPDATE users SET version = 0",
        "UPDATE users SET email = 'anna@example.com'",
        "UPDATE users SET created_at = 'yesterday'",
        "UPDATE equipment SET parent_id = id",
        "UPDATE equipment SET status = 7",
        "UPDATE equipment SET model = 'P-9'",
        "UPDATE equipment SET attributes = '[]'",
        "UPDATE equipment_heads SET latest = x'00'",
        "UPDATE readings SET equipment_id = 99",
        "UPDATE readings SET tags = '1'",
        "INSERT INTO readings SELECT * FROM readings",
        "DELETE FROM equipment",
        "DELETE FROM metrics",
        "INSERT INTO rule_generation VALUES (2, 0)",
        "INSERT INTO live_marks VALUES (2, 0, 0, 0, 0)",
    ];
    for sql in refused {
        assert!(connection.batch_execute(sql).is_err(), "{sql}");
    }
}

/// A trail as an older release left it, with a gap where something was undone.
const BEFORE_THE_CHAIN: &str = r#"
    DROP TABLE audit_head;
    ALTER TABLE audit_events DROP COLUMN seal;
    DELETE FROM __diesel_schema_migrations WHERE version = '20261124000001';
    INSERT INTO audit_events (id, at, actor_name, action, subject_kind, subject_label, "before", "after")
    VALUES (1, 1, 'setup', 'user.created', 'user', 'anna', '{}', '{"is_active":true}'),
           (2, 2, 'setup', 'user.created', 'user', 'ben', '{}', '{}'),
           (5, 3, 'anna', 'user.deleted', 'user', 'ben', '{}', '{}')"#;

async fn walk(store: &SqliteStore) -> Result<Head, Flaw> {
    let by = Actor::system("test").grant().unwrap();
    verify(store, &by, None, |_, _| {}).await.unwrap()
}

async fn record(store: &SqliteStore, label: &str) {
    let origin = Origin::default();
    let subject = Subject::other("user", None, label);
    let event =
        NewEvent::by_stranger(Timestamp::from_micros(4).unwrap(), &origin, Action::UserUpdated, subject);
    let mut unit = store.begin().await.unwrap();
    unit.trail().record(&event).await.unwrap();
    unit.commit().await.unwrap();
}

#[tokio::test]
async fn what_was_recorded_before_there_was_a_chain_becomes_its_beginning() {
    let scratch = Scratch::new();
    drop(scratch.store().await);
    tamper(&scratch.settings().path, BEFORE_THE_CHAIN);
    let store = SqliteStore::open(scratch.settings()).unwrap();
    assert_eq!(store.pending().await.unwrap().len(), 1);
    assert_eq!(store.migrate().await.unwrap().len(), 2);
    assert!(store.pending().await.unwrap().is_empty());
    record(&store, "carla").await;
    let head = walk(&store).await.unwrap();
    assert_eq!((head.events, head.newest), (4, 6));
    tamper(&scratch.settings().path, "UPDATE audit_events SET subject_label = 'bea' WHERE id = 2");
    assert_eq!(walk(&store).await, Err(Flaw::Edited(2)));
}

#[tokio::test]
async fn older_rows_are_sealed_also_where_that_was_interrupted() {
    let scratch = Scratch::new();
    let store = scratch.store().await;
    record(&store, "anna").await;
    tamper(&scratch.settings().path, "DELETE FROM audit_head; UPDATE audit_events SET seal = NULL");
    assert_eq!(store.pending().await.unwrap().len(), 1);
    assert_eq!(store.migrate().await.unwrap().len(), 1);
    assert_eq!(walk(&store).await.unwrap().newest, 1);
}

#[tokio::test]
async fn a_trail_whose_end_somebody_removed_is_not_sealed_anew() {
    let scratch = Scratch::new();
    let store = scratch.store().await;
    record(&store, "anna").await;
    tamper(&scratch.settings().path, "DELETE FROM audit_head; UPDATE audit_events SET actor_name = 'eve'");
    let refused = store.migrate().await.unwrap_err();
    assert!(format!("{refused:?}").contains("was removed"), "{refused:?}");
}

#[tokio::test]
async fn who_looks_beside_a_server_sees_what_it_does_and_can_do_nothing() {
    let scratch = Scratch::new();
    let store = scratch.store().await;
    let beside = SqliteStore::beside(scratch.settings()).unwrap();
    record(&store, "anna").await;
    assert_eq!(walk(&beside).await.unwrap().newest, 1);
    assert!(beside.pending().await.unwrap().is_empty());
    assert!(matches!(beside.begin().await.err(), Some(StoreError::ReadOnly)));
    drop(beside);
    record(&store, "ben").await;
    let nowhere = Settings::new(scratch.directory.join("nowhere.db"));
    assert!(matches!(SqliteStore::beside(nowhere).err(), Some(OpenError::File { .. })));
    assert!(!scratch.directory.join("nowhere.db").exists());
}
