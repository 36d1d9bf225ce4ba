//! The audit trail as a chain: who touches it behind the product's back is found out.

use std::path::Path;
use tests::process::Finished;
use tests::{Backend, Installation, Options, Server, json, stories};

#[track_caller]
fn head(finished: &Finished) -> String {
    assert!(finished.status.success(), "{finished:?}");
    finished.stdout.trim().to_owned()
}

#[track_caller]
fn told_of(finished: &Finished, flaw: &str) {
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert!(finished.stderr.contains(flaw), "`{flaw}` is not in {}", finished.stderr);
}

/// An installation that is not served any more, with more than ten events, and its head.
async fn with_a_history(backend: Backend) -> (Installation, String) {
    let server = Server::start(backend).await;
    let admin = server.admin().await;
    for name in ["anna", "ben", "carla", "dora"] {
        let person = server.newcomer(name).await;
        admin.patch(&person.path(), json!({"is_mentor": true})).await.expect(200);
    }
    let installation = server.installation.clone();
    server.stop().await;
    let noted = head(&installation.run(&["audit", "head"]).await);
    (installation, noted)
}

/// What somebody does to the trail, and what is found out.
const TOUCHES: [(&str, &str); 8] = [
    ("UPDATE audit_events SET subject_label = 'nobody' WHERE id = 3", "row 3 was edited"),
    ("UPDATE audit_events SET actor_id = NULL, seal = NULL WHERE id = 5", "row 5 was edited"),
    ("UPDATE audit_events SET action = 'nothing' WHERE id = 4", "row 4 was edited"),
    ("DELETE FROM audit_events WHERE id = 3", "before row 4 was removed"),
    ("DELETE FROM audit_events WHERE id = 1", "before row 2 was removed"),
    (
        "UPDATE audit_events SET id = -3 WHERE id = 3; UPDATE audit_events SET id = 3 WHERE id = 4;
         UPDATE audit_events SET id = 4 WHERE id = -3",
        "row 3 was reordered: it was written as row 4",
    ),
    ("DELETE FROM audit_events WHERE id >= 8", "after row 7 was removed"),
    ("UPDATE audit_head SET hash = (SELECT substr(seal, 34) FROM audit_events WHERE id = 2)", "the head"),
];

/// As somebody would who wants it to look whole: the end is gone, and the head says so.
const CUT_CLEANLY: &str = "DELETE FROM audit_events WHERE id > 6;
    UPDATE audit_head SET events = 6, newest = 6, hash = (SELECT substr(seal, 34) FROM audit_events WHERE id = 6)";

stories! {
    async fn a_trail_that_many_write_at_once_is_whole_while_they_write_and_after(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let machine = admin.machine_called("press").await;
        let writers = (0..8).map(|writer| {
            let (admin, path) = (admin.bearing(admin.token()), machine.path());
            tokio::spawn(async move {
                for round in 0..10 {
                    // They all want the same row, and whoever waits for it too long is asked to come again.
                    let model = json!({"model": format!("{writer}.{round}")});
                    let mut answer = admin.patch(&path, model.clone()).may_be_busy().await;
                    while answer.status == 503 {
                        answer = admin.patch(&path, model.clone()).may_be_busy().await;
                    }
                    answer.expect(200);
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        let early = server.installation.run(&["audit", "head"]).await;
        let meanwhile = server.installation.run(&["audit", "verify"]).await;
        assert!(meanwhile.status.success(), "{meanwhile:?}");
        for writer in writers {
            writer.await.unwrap();
        }
        let noted = head(&early);
        let found = server.installation.run(&["audit", "verify", "--expect", &noted]).await;
        assert!(found.stdout.starts_with("The audit trail is whole: "), "{found:?}");
        let changes = admin.get("/api/audit?action=equipment.updated&page_size=1000").await.expect(200);
        assert_eq!(changes["results"].as_array().unwrap().len(), 80);
    }

    async fn whatever_is_done_to_the_trail_is_named_by_its_first_row(backend: Backend) {
        let (installation, _) = with_a_history(backend).await;
        installation.tamper("CREATE TABLE kept AS SELECT * FROM audit_events; CREATE TABLE kept_head AS SELECT * FROM audit_head").await;
        for (touch, flaw) in TOUCHES {
            installation.tamper(touch).await;
            told_of(&installation.run(&["audit", "verify"]).await, flaw);
            installation.tamper("DELETE FROM audit_events; INSERT INTO audit_events SELECT * FROM kept").await;
            installation.tamper("DELETE FROM audit_head; INSERT INTO audit_head SELECT * FROM kept_head").await;
        }
        let whole = installation.run(&["audit", "verify"]).await;
        assert!(whole.status.success(), "{whole:?}");
    }

    async fn a_row_that_somebody_put_at_the_end_is_named(backend: Backend) {
        let (installation, _) = with_a_history(backend).await;
        installation.tamper(
            "CREATE TABLE copy AS SELECT * FROM audit_events WHERE id = 2; UPDATE copy SET id = 1000;
             INSERT INTO audit_events SELECT * FROM copy",
        ).await;
        told_of(&installation.run(&["audit", "verify"]).await, "row 1000 was added");
    }

    async fn a_trail_that_was_made_to_look_whole_lacks_the_head_that_was_noted(backend: Backend) {
        let (installation, noted) = with_a_history(backend).await;
        let expecting = ["audit", "verify", "--expect", &noted];
        assert!(installation.run(&expecting).await.status.success());
        installation.tamper(CUT_CLEANLY).await;
        assert!(installation.run(&["audit", "verify"]).await.status.success());
        told_of(&installation.run(&expecting).await, &noted);
        let nonsense = installation.run(&["audit", "verify", "--expect", "12"]).await;
        assert_eq!(nonsense.status.code(), Some(2), "{nonsense:?}");
    }
}

#[tokio::test]
async fn looking_at_a_trail_that_is_not_there_makes_none() {
    let installation = Installation::new(Backend::Sqlite).await;
    let looked = installation.run_with(&["audit", "verify"], &Options::default()).await;
    told_of(&looked, "techtrack.db");
    assert!(!Path::exists(&installation.database_file()));
}
