//! The embedded database, copied while it is written and put back in its place.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use tests::patience::{LONG, until};
use tests::process::{done, refused};
use tests::{Backend, Client, Installation, Options, Server, json};
use tokio::task::JoinHandle;

/// Registers pieces one after the other until it is told to stop, and notes each that was acknowledged.
fn write_on(
    by: Client,
    writer: u32,
    noted: &Arc<Mutex<Vec<String>>>,
    stop: &Arc<AtomicBool>,
) -> JoinHandle<()> {
    let (noted, stop) = (Arc::clone(noted), Arc::clone(stop));
    tokio::spawn(async move {
        for round in 0..2_000 {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let name = format!("press {writer}.{round}");
            by.post("/api/equipment", json!({"name": name, "type": "press"})).await.expect(201);
            noted.lock().unwrap().push(name);
        }
    })
}

async fn names(by: &Client) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for page in 1.. {
        let found = by.get(&format!("/api/equipment?page_size=1000&page={page}")).await.expect(200);
        names.extend(found["results"].as_array().unwrap().iter().map(|piece| piece["name"].to_string()));
        if found["next"].is_null() {
            break;
        }
    }
    names
}

/// An embedded installation with a user, not served, and a backup of it.
async fn backed_up() -> (Installation, PathBuf) {
    let server = Server::start(Backend::Sqlite).await;
    server.newcomer("anna").await;
    let installation = server.installation.clone();
    server.stop().await;
    let file = installation.directory().join("backup.db");
    done(&installation.run(&["backup", file.to_str().unwrap()]).await);
    (installation, file)
}

async fn head(installation: &Installation) -> String {
    done(&installation.run(&["audit", "head"]).await)
}

#[tokio::test]
async fn a_backup_while_four_write_holds_all_that_was_acknowledged_before_it_began() {
    let server = Server::start(Backend::Sqlite).await;
    let admin = server.admin().await;
    let (noted, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
    let writers: Vec<_> =
        (0..4).map(|writer| write_on(admin.bearing(admin.token()), writer, &noted, &stop)).collect();
    let count = || noted.lock().unwrap().len();
    until("some writes", LONG, async || (count() > 100).then_some(())).await;
    let before = noted.lock().unwrap().clone();
    let file = server.installation.directory().join("backup.db");
    let report = done(&server.installation.run(&["backup", file.to_str().unwrap()]).await);
    assert!(report.starts_with("Backed up to "), "{report}");
    let meanwhile = count();
    assert!(meanwhile > before.len(), "nobody wrote while the backup was made");
    until("writers that go on", LONG, async || (count() > meanwhile + 20).then_some(())).await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }

    let elsewhere = Installation::new(Backend::Sqlite).await;
    let report = done(&elsewhere.run(&["restore", file.to_str().unwrap()]).await);
    assert!(report.contains("Its audit trail is whole"), "{report}");
    let restored = elsewhere.serve(Options::default()).await;
    let admin = restored.admin().await;
    let found = names(&admin.bearing(admin.token())).await;
    for name in before {
        assert!(found.contains(&json!(name).to_string()), "{name} was acknowledged and is not in the backup");
    }
}

#[tokio::test]
async fn a_backup_takes_the_place_of_no_file_unless_it_is_told_to() {
    let (installation, file) = backed_up().await;
    fs::write(&file, "precious").unwrap();
    let backup = ["backup", file.to_str().unwrap()];
    refused(&installation.run(&backup).await, "is there already");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    done(&installation.run(&[&backup[..], &["--force"]].concat()).await);
    assert!(fs::read(&file).unwrap().starts_with(b"SQLite format 3"));
    let left = fs::read_dir(installation.directory()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("part")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_backup_never_takes_the_place_of_the_database_itself() {
    let (installation, _) = backed_up().await;
    fs::hard_link(installation.directory().join("techtrack.db"), installation.directory().join("other.db"))
        .unwrap();
    for own in ["techtrack.db", "./techtrack.db", "techtrack.db-wal", "techtrack.db.lock", "other.db"] {
        refused(&installation.run(&["backup", own, "--force"]).await, "belongs to the database itself");
    }
    installation.serve(Options::default()).await.admin().await;
}

#[tokio::test]
async fn a_restore_is_refused_while_a_server_has_the_database_and_where_one_is_already() {
    let (installation, file) = backed_up().await;
    let restore = ["restore", file.to_str().unwrap()];
    refused(&installation.run(&restore).await, "is there already");
    let server = installation.serve(Options::default()).await;
    refused(&installation.run(&[&restore[..], &["--force"]].concat()).await, "already uses");
    server.admin().await;
}

#[tokio::test]
async fn a_restore_keeps_what_it_replaces() {
    let (installation, file) = backed_up().await;
    let early = head(&installation).await;
    let server = installation.serve(Options::default()).await;
    server.newcomer("ben").await;
    // As it is after a power cut: what was written last is in the log beside the file.
    server.kill();
    let late = head(&installation).await;
    assert_ne!(early, late);
    let report = done(&installation.run(&["restore", file.to_str().unwrap(), "--force"]).await);
    assert_eq!(head(&installation).await, early);
    let kept =
        report.lines().find_map(|line| line.strip_prefix("What was there before is kept as ")).unwrap();
    let options = Options::default().set("DATABASE_URL", &format!("sqlite://{}", kept.trim_end_matches('.')));
    assert_eq!(done(&installation.run_with(&["audit", "head"], &options).await), late);
}

#[tokio::test]
async fn what_is_not_a_sound_backup_replaces_nothing() {
    let (installation, file) = backed_up().await;
    let before = head(&installation).await;
    let good = fs::read(&file).unwrap();
    let path = installation.directory().join("other.db");
    let restore = ["restore", path.to_str().unwrap(), "--force"];

    fs::write(&path, "not a database at all, however long it is").unwrap();
    refused(&installation.run(&restore).await, "file is not a database");

    let mut damaged = good.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 4096].fill(0xAA);
    fs::write(&path, &damaged).unwrap();
    refused(&installation.run(&restore).await, "other.db");

    fs::remove_file(&path).unwrap();
    adapters_sqlite::testing::execute(&path, "CREATE TABLE recipes (id INTEGER)");
    refused(&installation.run(&restore).await, "no database of TechTrack");

    fs::write(&path, &good).unwrap();
    let newer = "INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')";
    adapters_sqlite::testing::execute(&path, newer);
    refused(&installation.run(&restore).await, "newer release");

    fs::write(&path, &good).unwrap();
    adapters_sqlite::testing::execute(&path, "UPDATE audit_events SET actor_name = 'x' WHERE id = 2");
    refused(&installation.run(&restore).await, "row 2 was edited");

    assert_eq!(head(&installation).await, before);
    let left = fs::read_dir(installation.directory()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("restoring")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_trail_that_was_touched_is_restored_only_by_who_says_so_and_remembers_it() {
    let (installation, file) = backed_up().await;
    adapters_sqlite::testing::execute(&file, "UPDATE audit_events SET actor_name = 'x' WHERE id = 2");
    let restore = ["restore", file.to_str().unwrap(), "--force"];
    refused(&installation.run(&restore).await, "--despite-trail");
    let report = done(&installation.run(&[&restore[..], &["--despite-trail"]].concat()).await);
    assert!(report.contains("ITS AUDIT TRAIL IS NOT WHOLE: row 2 was edited"), "{report}");
    refused(&installation.run(&["audit", "verify"]).await, "row 2 was edited");
    let server = installation.serve(Options::default()).await;
    let trail = server.admin().await.get("/api/audit?action=audit.flaw_accepted").await.expect(200);
    assert!(trail["results"][0]["after"]["flaw"].as_str().unwrap().contains("row 2 was edited"), "{trail:?}");
}

#[tokio::test]
async fn a_log_that_cannot_be_moved_into_its_database_keeps_both_as_they_are() {
    let (installation, file) = backed_up().await;
    let database = installation.directory().join("techtrack.db");
    let log = installation.directory().join("techtrack.db-wal");
    fs::write(&database, "not a database at all, however long it is").unwrap();
    fs::write(&log, "what was written last").unwrap();
    let restore = ["restore", file.to_str().unwrap(), "--force"];
    refused(&installation.run(&restore).await, "cannot be moved into it");
    assert!(fs::read_to_string(&database).unwrap().starts_with("not a database"));
    assert_eq!(fs::read_to_string(&log).unwrap(), "what was written last");
    let left = fs::read_dir(installation.directory()).unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = left.filter(|name| name.to_string_lossy().contains("replaced")).collect();
    assert!(left.is_empty(), "{left:?}");
    fs::remove_file(&log).unwrap();
    done(&installation.run(&restore).await);
    installation.serve(Options::default()).await.admin().await;
}

#[tokio::test]
async fn who_has_postgres_is_told_of_its_own_means() {
    let installation = Installation::new(Backend::Postgres).await;
    for command in ["backup", "restore"] {
        refused(&installation.run(&[command, "x.db"]).await, "pg_dump");
    }
}
