//! Named sets of permissions, and who holds them.

use tests::{Backend, Client, Server, Value, json, stories};

async fn found(by: &Client, query: &str) -> Vec<Value> {
    by.get(&format!("/api/roles?{query}")).await.expect(200).column("name")
}

/// The names of the roles that somebody holds, as the record shows them.
async fn held(by: &Client, id: i64) -> Value {
    by.get(&format!("/api/users/{id}")).await.expect(200)["roles"].clone()
}

stories! {
    async fn the_built_in_roles_are_there_and_do_not_change(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let list = admin.get("/api/roles/?ordering=name").await.expect(200);
        assert_eq!(list.column("name"), ["ADMIN", "CLIENT", "OPERATOR"]);
        assert_eq!(list.column("built_in"), [true, true, true]);
        assert_eq!(list.column("permissions")[1], json!(["equipment:read", "data:read", "alerts:read"]));
        let all = admin.get("/api/permissions/").await.expect(200);
        assert_eq!(list.column("permissions")[0].as_array().map(Vec::len), Some(all.column("name").len()));
        for name in ["ADMIN", "OPERATOR", "CLIENT"] {
            let path = format!("/api/roles/{name}");
            admin.delete(&path).await.expect_problem(409, "built_in_role");
            admin.patch(&path, json!({"description": "mine"})).await.expect_problem(409, "built_in_role");
            let whole = json!({"name": name, "description": "", "permissions": []});
            admin.put(&path, whole).await.expect_problem(409, "built_in_role");
        }
    }

    async fn every_permission_is_listed_with_what_it_allows(backend: Backend) {
        let server = Server::start(backend).await;
        let list = server.newcomer("anna").await.get("/api/permissions").await.expect(200);
        let names: Vec<String> =
            list.column("name").iter().map(|name| name.as_str().unwrap().to_owned()).collect();
        for area in ["users", "roles", "equipment", "data", "rules", "alerts", "audit", "settings"] {
            for verb in ["read", "write"] {
                assert!(names.contains(&format!("{area}:{verb}")), "{area}:{verb} is not in {names:?}");
            }
        }
        assert!(names.contains(&"alerts:acknowledge".to_owned()));
    }

    async fn a_role_is_made_read_changed_replaced_and_deleted(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let body = json!({"name": "Auditor", "description": "Reads.", "permissions": ["users:read", "audit:read"]});
        let made = admin.post("/api/roles/", body).await.expect(201);
        let path = format!("/api/roles/{}", made.id());
        assert_eq!(made.expect_header("location"), path);
        assert_eq!((&made["built_in"], &made["version"]), (&json!(false), &json!(1)));
        assert_eq!(admin.get(&path).await.expect(200).json, made.json);
        assert_eq!(admin.get("/api/roles/auditor").await.expect(200).json, made.json);

        let patched = admin.patch(&path, json!({"permissions": ["users:read"]})).await.expect(200);
        assert_eq!((&patched["name"], &patched["description"]), (&json!("Auditor"), &json!("Reads.")));
        assert_eq!((&patched["permissions"], &patched["version"]), (&json!(["users:read"]), &json!(2)));
        admin.put(&path, json!({"description": "x"})).await
            .expect_flaws(&[("name", "required"), ("permissions", "required")]);
        let replaced = admin.put(&path, json!({"name": "Inspector", "permissions": []})).await.expect(200);
        assert_eq!((&replaced["description"], &replaced["permissions"]), (&json!(""), &json!([])));
        admin.delete(&path).await.expect(204);
        admin.get(&path).await.expect_problem(404, "not_found");
        admin.delete(&path).await.expect_problem(404, "not_found");
    }

    async fn all_that_is_wrong_with_a_role_is_named_at_once(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let bad = json!({"name": "7 of 9", "description": "x".repeat(1001), "permissions": ["users:raed", 7]});
        admin.post("/api/roles", bad).await.expect_flaws(&[
            ("name", "characters"), ("description", "too_long"), ("permissions.0", "unknown"), ("permissions.1", "type"),
        ]);
        admin.post("/api/roles", json!({"name": "Auditor", "permissions": []})).await.expect(201);
        let double = admin.post("/api/roles", json!({"name": "AUDITOR", "permissions": []})).await;
        let double = double.expect_problem(409, "taken");
        assert_eq!(double.flaws(), [("name".to_owned(), "taken".to_owned())]);
    }

    async fn roles_are_found_by_name_permission_holder_and_text(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let body = json!({"name": "Auditor", "description": "Looks into books.", "permissions": ["audit:read"]});
        admin.post("/api/roles", body).await.expect(201);
        let anna = server.holder_of("anna", &["Auditor", "CLIENT"]).await;
        let by_id = format!("user={}&ordering=-name", anna.id);
        let cases: [(&str, &[&str]); 7] = [
            ("name=auditor", &["Auditor"]),
            ("name=Auditor&name=ADMIN&ordering=name", &["ADMIN", "Auditor"]),
            ("permission=audit:read&ordering=-name", &["Auditor", "ADMIN"]),
            ("user=anna&ordering=name", &["Auditor", "CLIENT"]),
            (&by_id, &["CLIENT", "Auditor"]),
            ("search=BOOKS", &["Auditor"]),
            ("search=nothing-of-the-kind", &[]),
        ];
        for (query, expected) in cases {
            assert_eq!(found(&admin, query).await, expected, "{query}");
        }
    }

    async fn roles_are_read_and_written_by_right_only(backend: Backend) {
        let server = Server::start(backend).await;
        let client = server.newcomer("anna").await;
        client.get("/api/roles").await.expect_problem(403, "permission_required");
        client.get("/api/roles/CLIENT").await.expect_problem(403, "permission_required");
        let reader = server.permitted("reader", &["roles:read"]).await;
        reader.get("/api/roles/CLIENT").await.expect(200);
        let body = json!({"name": "x", "permissions": []});
        reader.post("/api/roles", body).await.expect_problem(403, "permission_required");
        reader.delete("/api/roles/reader-role").await.expect_problem(403, "permission_required");
    }

    async fn nobody_puts_into_a_role_what_they_lack(backend: Backend) {
        let server = Server::start(backend).await;
        let clerk = server.permitted("clerk", &["roles:read", "roles:write", "data:read"]).await;
        let mighty = json!({"name": "mighty", "permissions": ["data:read", "users:write"]});
        clerk.post("/api/roles", mighty).await.expect_problem(403, "beyond_your_rights");
        clerk.post("/api/roles", json!({"name": "modest", "permissions": ["data:read"]})).await.expect(201);
        let more = json!({"permissions": ["data:read", "users:write"]});
        clerk.patch("/api/roles/modest", more.clone()).await.expect_problem(403, "beyond_your_rights");
        clerk.patch("/api/roles/clerk-role", more).await.expect_problem(403, "beyond_your_rights");
    }

    async fn a_user_holds_any_number_of_roles_and_all_their_permissions_at_once(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let anna = server.newcomer("anna").await;
        let path = format!("{}/roles", anna.path());
        admin.post("/api/roles", json!({"name": "Reader", "permissions": ["roles:read"]})).await.expect(201);
        anna.get("/api/roles").await.expect(403);
        let given = admin.post(&format!("{path}/Reader"), json!({})).await;
        assert!(given.status.is_success(), "{given:?}");
        anna.get("/api/roles").await.expect(200);
        assert_eq!(held(&admin, anna.id).await, json!(["CLIENT", "Reader"]));
        let again = admin.post(&format!("{path}/reader"), json!({})).await;
        assert!(again.status.is_success(), "{again:?}");
        assert_eq!(held(&admin, anna.id).await, json!(["CLIENT", "Reader"]));

        admin.delete(&format!("{path}/Reader")).await.expect(204);
        anna.get("/api/roles").await.expect(403);
        admin.delete(&format!("{path}/Reader")).await.expect_problem(404, "not_found");
        admin.put(&path, json!({"roles": ["ADMIN", "CLIENT"]})).await.expect(200);
        anna.get("/api/audit").await.expect(200);
        admin.put(&path, json!({"roles": []})).await.expect(200);
        assert_eq!(held(&admin, anna.id).await, json!([]));
        admin.put(&path, json!({"roles": ["CLIENT", "NIL", "NONE"]})).await
            .expect_flaws(&[("roles.1", "unknown"), ("roles.2", "unknown")]);
        admin.post(&format!("{path}/NIL"), json!({})).await.expect_problem(404, "not_found");
        admin.put(&path, json!({})).await.expect_flaws(&[("roles", "required")]);
    }

    async fn everybody_sees_their_own_roles_and_others_by_right(backend: Backend) {
        let server = Server::start(backend).await;
        let [anna, ben] = [server.newcomer("anna").await, server.newcomer("ben").await];
        anna.get(&format!("{}/roles", anna.path())).await.expect(200);
        anna.get(&format!("{}/roles", ben.path())).await.expect_problem(403, "permission_required");
        let reader = server.permitted("reader", &["users:read"]).await;
        let seen = reader.get(&format!("{}/roles", ben.path())).await.expect(200);
        assert!(seen.json.to_string().contains("CLIENT"), "{}", seen.json);
    }

    async fn a_role_in_use_is_not_deleted(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let anna = server.permitted("anna", &["roles:read"]).await;
        admin.delete("/api/roles/anna-role").await.expect_problem(409, "role_in_use");
        anna.get("/api/roles").await.expect(200);
        admin.delete(&format!("{}/roles/anna-role", anna.path())).await.expect(204);
        admin.delete("/api/roles/anna-role").await.expect(204);
    }

    async fn a_change_of_a_role_reaches_its_holders_at_once(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let anna = server.permitted("anna", &["roles:read"]).await;
        anna.get("/api/roles").await.expect(200);
        admin.patch("/api/roles/anna-role", json!({"permissions": [], "name": "Renamed"})).await.expect(200);
        anna.get("/api/roles").await.expect_problem(403, "permission_required");
        assert_eq!(held(&admin, anna.id).await, json!(["Renamed"]));
    }
}
