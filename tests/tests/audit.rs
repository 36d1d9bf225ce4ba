//! Who did what to what, when, from where, before and after.

use std::collections::BTreeSet;
use tests::{Backend, Client, Reply, Server, Value, assert_has, json, stories};

async fn trail(by: &Client, query: &str) -> Reply {
    by.get(&format!("/api/audit/?{query}")).await.expect(200)
}

/// The last event of this kind.
async fn last(by: &Client, action: &str) -> Value {
    let found = trail(by, &format!("action={action}&page_size=1")).await;
    found["results"][0].clone()
}

stories! {
    async fn a_change_is_told_with_who_what_whence_before_and_after(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let anna = server.newcomer("anna").await;
        let change = admin.patch(&anna.path(), json!({"phone": "+4917011111"}));
        change.header("user-agent", "Console/3").header("x-request-id", "change-17").await.expect(200);
        let event = last(&admin, "user.updated").await;
        let told = event.to_string();
        for word in ["admin", "anna", "127.0.0.1", "Console/3", "change-17", "+4917011111"] {
            assert!(told.contains(word), "{word} is not in {told}");
        }
        assert_eq!(event["before"], json!({"phone": null}));
        assert_eq!(event["after"], json!({"phone": "+4917011111"}));
    }

    async fn everything_that_happens_to_accounts_leaves_a_trace_without_secrets(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let mona = server.mentor("mona").await;
        let anna = server.newcomer("anna").await;
        admin.put(&format!("{}/mentor", anna.path()), json!({"mentor": "mona"})).await.expect(200);
        admin.patch(&mona.path(), json!({"is_mentor": false})).await.expect(200);
        let password = json!({"password": "Gr4nite-Samovar", "current_password": anna.password});
        anna.patch(&anna.path(), password).await.expect(200);
        let wrong = json!({"username": "anna", "password": "Gr4nite-Mistyped"});
        server.anonymous().post("/api/login", wrong).await.expect(401);
        let misplaced = json!({"username": "Gr4nite-Samovar", "password": "anna-anna"});
        server.anonymous().post("/api/login", misplaced).await.expect(401);
        let second = server.anonymous().post("/api/token/refresh", json!({"refresh": anna.refresh})).await.expect(200);
        let third = json!({"refresh": second.text("refresh")});
        server.anonymous().post("/api/token/refresh", third).await.expect(200);
        server.anonymous().post("/api/token/refresh", json!({"refresh": anna.refresh})).await.expect(401);
        admin.post("/api/users", json!({"username": "ben", "password": "Gr4nite-Kettle"})).await.expect(201);
        admin.post("/api/roles", json!({"name": "Auditor", "permissions": []})).await.expect(201);
        admin.patch("/api/roles/Auditor", json!({"description": "x"})).await.expect(200);
        admin.delete("/api/roles/Auditor").await.expect(204);
        admin.put(&format!("{}/roles", anna.path()), json!({"roles": []})).await.expect(200);
        admin.post(&format!("{}/password-reset", anna.path()), json!({})).await.expect(200);
        let key = admin.post("/api/api-keys", json!({"name": "k", "permissions": []})).await.expect(201);
        admin.delete(&format!("/api/api-keys/{}", key.id())).await.expect(204);
        admin.delete(&anna.path()).await.expect(204);
        mona.post("/api/logout", json!({})).await.expect(204);

        let all = trail(&admin, "page_size=1000").await;
        let actions = all.column("action");
        let actions: BTreeSet<&str> = actions.iter().map(|action| action.as_str().unwrap()).collect();
        let expected = BTreeSet::from([
            "api_key.created", "api_key.revoked", "role.created", "role.deleted", "role.updated", "session.ended",
            "session.refresh_reused", "session.refused", "session.started", "user.created", "user.deleted",
            "user.mentor_changed", "user.mentorship_ended", "user.password_changed", "user.password_reset",
            "user.registered", "user.roles_changed", "user.updated",
        ]);
        assert_eq!(actions, expected);
        let text = String::from_utf8_lossy(&all.bytes).into_owned();
        assert_eq!(server.installation.secrets.leaks_in(&text), [""; 0]);
    }

    async fn everything_that_people_do_in_the_plant_leaves_a_trace_and_what_machines_report_does_not(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        admin.patch(&press.path(), json!({"status": "maintenance"})).await.expect(200);
        let changed = last(&admin, "equipment.updated").await;
        assert_has(&changed, json!({"before": {"status": "operational"}, "after": {"status": "maintenance"}}));
        let entry = admin.post(&press.its("maintenance"), json!({"what": "Oiled"})).await.expect(201);
        admin.delete(entry.expect_header("location")).await.expect(204);
        let rule = admin.rule(json!({})).await.expect_header("location").to_owned();
        admin.report(&press, &[(0, 90.0), (1, 91.0)]).await;
        let reading = format!("/api/data/{}", admin.get(&press.its("data")).await.column("id")[0].as_str().unwrap());
        admin.patch(&reading, json!({"values": {"temperature": 92}})).await.expect(200);
        let corrected = last(&admin, "reading.replaced").await;
        assert_has(&corrected, json!({"before": {"values.temperature": "91"}, "after": {"values.temperature": "92"}}));
        admin.delete(&reading).await.expect(204);
        admin.patch("/api/metrics/temperature", json!({"unit": "°C"})).await.expect(200);
        let alert = format!("/api/alerts/{}", admin.alerts("").await[0]["id"]);
        admin.post(&format!("{alert}/acknowledge"), json!({})).await.expect(200);
        admin.post(&format!("{alert}/acknowledge"), json!({})).await.expect(200);
        admin.patch(&alert, json!({"note": "Pump"})).await.expect(200);
        admin.post(&format!("{alert}/resolve"), json!({})).await.expect(200);
        admin.delete(&alert).await.expect(204);
        let deleted = last(&admin, "alert.deleted").await;
        let which = json!({
            "equipment": press.id.to_string(), "rule": rule.rsplit('/').next(), "metric": "temperature", "severity": "warning",
            "status": "resolved", "note": "Pump",
        });
        assert_has(&deleted["before"], which);
        assert_eq!(deleted["after"], json!({}));
        assert!(deleted["before"]["value"].is_string() && deleted["before"]["timestamp"].is_string(), "{deleted}");
        admin.post("/api/alerts", json!({"equipment": press.id, "description": "Oil"})).await.expect(201);
        admin.patch(&rule, json!({"threshold": 85})).await.expect(200);
        admin.delete(&rule).await.expect(204);
        admin.delete(&press.path()).await.expect(204);
        admin.post(&press.its("restore"), json!({})).await.expect(200);
        admin.delete(&format!("{}?purge=true", press.path())).await.expect(204);

        let told = trail(&admin, "page_size=1000").await.column("action");
        let told = told.iter().rev().filter_map(Value::as_str);
        let of_the_plant = |action: &&str| !action.starts_with("session") && !action.starts_with("user");
        let told: Vec<&str> = told.filter(of_the_plant).collect();
        assert_eq!(told, [
            "equipment.created", "equipment.updated", "maintenance.logged", "maintenance.removed", "rule.created",
            "reading.replaced", "reading.deleted", "metric.updated", "alert.acknowledged", "alert.updated",
            "alert.resolved", "alert.deleted", "alert.created", "rule.updated", "rule.deleted", "equipment.hidden",
            "equipment.restored", "equipment.hidden", "equipment.purged",
        ]);
        let of_press = trail(&admin, &format!("subject=equipment&subject_id={}", press.id)).await.column("action");
        assert!(of_press.contains(&json!("equipment.purged")), "{of_press:?}");
    }

    async fn the_trail_is_newest_first_and_read_in_stretches_both_ways(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        for number in 0..7 {
            let body = json!({"name": format!("Role-{number}"), "permissions": []});
            admin.post("/api/roles", body).await.expect(201);
        }
        let whole = trail(&admin, "action=role.created").await;
        assert_eq!(whole["results"].as_array().map(Vec::len), Some(7));
        assert!(whole["next"].is_null() && whole["previous"].is_null(), "{}", whole.json);
        let ids: Vec<i64> = whole.column("id").iter().map(|id| id.as_i64().unwrap()).collect();
        assert!(ids.is_sorted_by(|later, earlier| later > earlier), "{ids:?}");

        let mut read = Vec::new();
        let mut stretch = trail(&admin, "action=role.created&page_size=3").await;
        loop {
            read.extend(stretch.column("id"));
            let Some(next) = stretch["next"].as_str() else { break };
            stretch = admin.get(next).await.expect(200);
        }
        assert_eq!(read, whole.column("id"));
        let back = admin.get(stretch.text("previous")).await.expect(200);
        assert_eq!(back.column("id"), whole.column("id")[3..6]);
        let oldest_first = trail(&admin, "action=role.created&ordering=id").await;
        let reversed: Vec<Value> = whole.column("id").into_iter().rev().collect();
        assert_eq!(oldest_first.column("id"), reversed);
    }

    async fn a_stretch_stays_put_while_more_happens(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        for number in 0..4 {
            admin.post("/api/roles", json!({"name": format!("A-{number}"), "permissions": []})).await.expect(201);
        }
        let first = trail(&admin, "action=role.created&page_size=2").await;
        admin.post("/api/roles", json!({"name": "Later", "permissions": []})).await.expect(201);
        let second = admin.get(first.text("next")).await.expect(200);
        let labels = second["results"].to_string();
        assert!(labels.contains("A-1") && labels.contains("A-0") && !labels.contains("A-2"), "{labels}");
        let ahead = admin.get(second.text("previous")).await.expect(200);
        assert_eq!(ahead.column("id"), first.column("id"));
        assert!(ahead["previous"].is_string(), "something happened since");
    }

    async fn a_cursor_that_is_not_ours_is_refused(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        for cursor in ["abc", "42", "%F0%9F%90%98", "AWEAAAAAAAAAAA", "e30=", "'--"] {
            let reply = admin.get(&format!("/api/audit?cursor={cursor}")).await;
            reply.expect_problem(400, "malformed_cursor");
        }
        admin.get("/api/audit?page_size=1001").await.expect_flaws(&[("page_size", "out_of_range")]);
        admin.get("/api/audit?page=1").await.expect_problem(400, "unknown_parameter");
    }

    async fn the_trail_is_for_auditors(backend: Backend) {
        let server = Server::start(backend).await;
        server.newcomer("anna").await.get("/api/audit").await.expect_problem(403, "permission_required");
        server.permitted("auditor", &["audit:read"]).await.get("/api/audit").await.expect(200);
    }
}
