//! Versions, entity tags and preconditions.

use futures_util::future::join_all;
use tests::{Backend, Options, Server, json, stories};

stories! {
    async fn every_stored_resource_has_a_version_that_grows_with_each_change(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let made = admin.post("/api/roles", json!({"name": "Auditor", "permissions": []})).await.expect(201);
        assert_eq!((made["version"].as_i64(), made.header("etag")), (Some(1), Some("\"1\"")));
        let changed = admin.patch("/api/roles/Auditor", json!({"description": "x"})).await.expect(200);
        assert_eq!(changed.header("etag"), Some("\"2\""));
        let me = admin.get("/api/users/me").await.expect(200);
        assert_eq!(me.expect_header("etag"), format!("\"{}\"", me["version"]));
    }

    async fn a_client_that_has_the_current_version_is_spared_the_body(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let made = admin.post("/api/roles", json!({"name": "Auditor", "permissions": []})).await.expect(201);
        let get = |tag: &str| admin.get("/api/roles/Auditor").header("if-none-match", tag);
        for tag in ["\"1\"", "W/\"1\"", "\"7\", \"1\"", "*"] {
            let reply = get(tag).await.expect(304);
            assert_eq!(reply.header("etag"), made.header("etag"), "{tag}");
        }
        get("\"2\"").await.expect(200);
        admin.patch("/api/roles/Auditor", json!({"description": "x"})).await.expect(200);
        get("\"1\"").await.expect(200);
        get("nonsense").await.expect_problem(400, "malformed_request");
    }

    async fn a_change_meant_for_another_version_is_not_made(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let anna = server.newcomer("anna").await;
        admin.post("/api/roles", json!({"name": "Auditor", "permissions": []})).await.expect(201);
        let whole_role = json!({"name": "Auditor", "permissions": ["users:read"]});
        let roles = format!("{}/roles", anna.path());
        let mentor = format!("{}/mentor", anna.path());
        let press = admin.machine_called("Press").await;
        let rule = admin.rule(json!({})).await.expect_header("location").to_owned();
        admin.report(&press, &[(0, 90.0)]).await;
        let alert = format!("/api/alerts/{}", admin.alerts("").await[0]["id"]);
        let stale = [
            admin.patch(&press.path(), json!({"name": "x"})),
            admin.put(&press.path(), json!({"name": "x", "type": "x"})),
            admin.delete(&press.path()),
            admin.delete(&format!("{}?purge=true", press.path())),
            admin.patch(&rule, json!({"threshold": 1})),
            admin.delete(&rule),
            admin.patch(&alert, json!({"note": "x"})),
            admin.put(&alert, json!({"description": "x"})),
            admin.delete(&alert),
            admin.patch("/api/metrics/temperature", json!({"unit": "K"})),
            admin.patch("/api/roles/Auditor", json!({"description": "x"})),
            admin.put("/api/roles/Auditor", whole_role),
            admin.delete("/api/roles/Auditor"),
            admin.patch(&anna.path(), json!({"phone": "+4917011111"})),
            admin.put(&anna.path(), json!({"username": "eve"})),
            admin.put(&roles, json!({"roles": []})),
            admin.put(&mentor, json!({"mentor": "admin"})),
            admin.delete(&anna.path()),
        ];
        for call in stale {
            call.header("if-match", "\"999\"").await.expect_problem(412, "stale_version");
        }
        assert_eq!(admin.get("/api/roles/Auditor").await["version"], 1);
        let current = admin.get(&anna.path()).await.expect(200);
        let tag = current.expect_header("etag").to_owned();
        for tag in ["W/\"1\"", "\"abc\"", "\"01\""] {
            let call = admin.patch(&anna.path(), json!({"phone": null})).header("if-match", tag);
            call.await.expect_problem(412, "stale_version");
        }
        let call = admin.patch(&anna.path(), json!({"phone": null})).header("if-match", "1");
        call.await.expect_problem(400, "malformed_request");
        let call = admin.patch(&anna.path(), json!({"phone": "+4917011111"})).header("if-match", &tag);
        call.await.expect(200);
        admin.delete(&anna.path()).header("if-match", &tag).await.expect(412);
        admin.delete(&anna.path()).header("if-match", "*").await.expect(204);
    }

    async fn of_many_changes_meant_for_one_version_one_is_made(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        admin.post("/api/roles", json!({"name": "Auditor", "permissions": []})).await.expect(201);
        for version in 1..=5 {
            let tag = format!("\"{version}\"");
            let changes = (0..10).map(|number| {
                let change = json!({"description": format!("writer {number} of {version}")});
                admin.patch("/api/roles/Auditor", change).header("if-match", &tag).into_future()
            });
            let statuses: Vec<u16> =
                join_all(changes).await.iter().map(|reply| reply.status.as_u16()).collect();
            assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
            assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 9, "{statuses:?}");
        }
    }

    async fn without_a_precondition_the_last_writer_wins_and_no_row_is_torn(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        admin.post("/api/roles", json!({"name": "Auditor", "permissions": []})).await.expect(201);
        let writers = ["users:read", "roles:read", "data:read", "alerts:read"];
        let changes = writers.map(|permission| {
            let whole = json!({"name": "Auditor", "description": permission, "permissions": [permission]});
            admin.put("/api/roles/Auditor", whole).into_future()
        });
        for reply in join_all(changes).await {
            reply.expect(200);
        }
        let role = admin.get("/api/roles/Auditor").await.expect(200);
        assert_eq!(role["permissions"], json!([role["description"]]));
        assert_eq!(role["version"], 5);
    }

    async fn an_installation_may_require_preconditions(backend: Backend) {
        let options = Options::default().set("TECHTRACK_HTTP_REQUIRE_IF_MATCH", "on");
        let server = Server::start_with(backend, options).await;
        let admin = server.admin().await;
        admin.post("/api/roles", json!({"name": "Auditor", "permissions": []})).await.expect(201);
        let change = || admin.patch("/api/roles/Auditor", json!({"description": "x"}));
        change().await.expect_problem(428, "precondition_required");
        change().header("if-match", "\"1\"").await.expect(200);
        admin.delete("/api/roles/Auditor").await.expect_problem(428, "precondition_required");
        admin.delete("/api/roles/Auditor").header("if-match", "*").await.expect(204);
    }
}
