//! The maintenance log of a machine.

use tests::plant::{from_now, second};
use tests::{Backend, Server, Value, assert_has, json, stories};

stories! {
    async fn work_is_entered_with_who_did_it_and_when_it_is_due_again(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let body = json!({"what": "Changed the seals", "performed_at": second(0), "next_due_on": "2030-01-31"});
        let made = admin.post(&press.its("maintenance/"), body).await.expect(201);
        assert_eq!(made.expect_header("location"), press.its(&format!("maintenance/{}", made.id())));
        assert_has(&made, json!({"what": "Changed the seals", "performed_at": second(0)}));
        assert_eq!(made["next_due_on"], "2030-01-31");
        assert_eq!(made["performed_by"], "admin");
        let read = admin.get(made.expect_header("location")).await.expect(200);
        assert_eq!(read.json, made.json);
        let after = admin.get(&press.path()).await.expect(200);
        assert_has(&after, json!({"last_maintained_at": second(0), "next_maintenance_on": "2030-01-31"}));
        assert_eq!(after["version"], 2);
    }

    async fn the_newest_work_comes_first_and_says_when_it_is_due(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let works = [("late", 20, json!("2030-02-01")), ("early", 10, json!("2031-01-01")), ("latest", 30, Value::Null)];
        for (what, at, due) in works {
            let body = json!({"what": what, "performed_at": second(at), "next_due_on": due});
            admin.post(&press.its("maintenance"), body).await.expect(201);
        }
        let log = admin.get(&press.its("maintenance")).await.expect(200);
        assert_eq!(log.column("what"), ["latest", "late", "early"]);
        let machine = admin.get(&press.path()).await.expect(200);
        assert_has(&machine, json!({"last_maintained_at": second(30), "next_maintenance_on": null}));

        let wrong = press.its(&format!("maintenance/{}", log.column("id")[0]));
        admin.delete(&wrong).await.expect(204);
        admin.delete(&wrong).await.expect_problem(404, "not_found");
        admin.get(&wrong).await.expect_problem(404, "not_found");
        let machine = admin.get(&press.path()).await.expect(200);
        assert_has(&machine, json!({"last_maintained_at": second(20), "next_maintenance_on": "2030-02-01"}));
        assert_eq!(admin.get("/api/equipment?next_maintenance_on__lt=2030-02-02").await.column("id"), [press.id]);
        assert_eq!(admin.get("/api/equipment?next_maintenance_on__lt=2030-02-01").await["count"], 0);
    }

    async fn all_that_is_wrong_with_an_entry_is_named_at_once(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        admin.post(&press.its("maintenance"), json!({})).await.expect_flaws(&[("what", "required")]);
        let bad = json!({"what": "x".repeat(1001), "performed_at": "2024-05-06T07:00:00", "next_due_on": "2023-02-30"});
        admin.post(&press.its("maintenance"), bad).await.expect_flaws(&[
            ("what", "too_long"), ("performed_at", "instant"), ("next_due_on", "date"),
        ]);
        let ahead = json!({"what": "x", "performed_at": from_now(3600)});
        admin.post(&press.its("maintenance"), ahead).await.expect_flaws(&[("performed_at", "future")]);
        assert_eq!(admin.get(&press.its("maintenance")).await["count"], 0);
        assert_eq!(admin.get(&press.path()).await["version"], 1);
    }

    async fn an_entry_belongs_to_its_machine_alone(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [press, other] = [admin.machine_called("Press").await, admin.machine_called("Other").await];
        let entry = admin.post(&press.its("maintenance"), json!({"what": "Oiled"})).await.expect(201).id();
        let elsewhere = other.its(&format!("maintenance/{entry}"));
        admin.get(&elsewhere).await.expect_problem(404, "not_found");
        admin.delete(&elsewhere).await.expect_problem(404, "not_found");
        assert_eq!(admin.get(&other.its("maintenance")).await["count"], 0);
        admin.get(&press.its(&format!("maintenance/{entry}"))).await.expect(200);
    }

    async fn who_did_the_work_is_remembered_when_the_account_is_gone(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let olga = server.permitted("olga", &["equipment:read", "equipment:write"]).await;
        let press = admin.machine_called("Press").await;
        olga.post(&press.its("maintenance"), json!({"what": "Oiled"})).await.expect(201);
        admin.delete(&olga.path()).await.expect(204);
        let log = admin.get(&press.its("maintenance")).await.expect(200);
        assert_eq!(log.column("performed_by"), ["olga"]);
    }
}
