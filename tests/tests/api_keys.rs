//! Credentials of machines.

use futures_util::future::join_all;
use tests::patience::{LONG, until};
use tests::{Backend, Server, Value, json, stories};

stories! {
    async fn a_key_shows_its_secret_once_and_opens_what_it_was_made_for(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [one, other] = [admin.machine_called("Press 7").await.id, admin.machine_called("Press 8").await.id];
        let body = json!({"name": "Press 7", "permissions": ["users:read"], "equipment": [other, one, other]});
        let key = admin.post("/api/api-keys/", body).await.expect(201);
        let secret = key.text("secret").to_owned();
        assert!(secret.starts_with("ttk_") && secret.len() > 40, "a secret is long enough not to be guessed");
        assert_eq!(key["name"], "Press 7");
        assert_eq!(key["permissions"], json!(["users:read"]));
        assert_eq!(key["equipment"], json!([one, other]));
        assert_eq!(key.expect_header("location"), format!("/api/api-keys/{}", key.id()));

        let list = admin.get("/api/api-keys/").await.expect(200);
        assert_eq!(list.column("id"), [key["id"].clone()]);
        assert!(!list.json.to_string().contains(&secret), "the secret is shown once");
        let one = admin.get(&format!("/api/api-keys/{}", key.id())).await.expect(200);
        assert!(one["secret"].is_null() && one["hint"].as_str().is_some_and(|hint| secret.starts_with(hint)));

        let machine = server.anonymous();
        for scheme in ["Bearer", "Token"] {
            let call = machine.get("/api/users").header("authorization", &format!("{scheme} {secret}"));
            let users = call.await.expect(200);
            assert_eq!(users.column("email").len(), 1);
        }
        assert!(admin.get("/api/api-keys").await.column("last_used_at")[0].is_string());
    }

    async fn a_key_may_no_more_than_it_says_and_nothing_on_its_owners_account(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let machine = admin.machine("reader", &["users:read"]).await;
        machine.get("/api/users").await.expect(200);
        machine.get("/api/roles").await.expect_problem(403, "permission_required");
        let body = json!({"username": "eve", "password": "Gr4nite-Teapot"});
        machine.post("/api/users", body).await.expect_problem(403, "permission_required");
        machine.get("/api/api-keys").await.expect_problem(403, "permission_required");
        let more = json!({"name": "more", "permissions": []});
        machine.post("/api/api-keys", more).await.expect_problem(403, "permission_required");
        let phone = json!({"phone": "+4917012345"});
        machine.patch(&admin.path(), phone).await.expect_problem(403, "permission_required");
    }

    async fn nobody_gives_a_key_what_they_lack(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let body = json!({"name": "mighty", "permissions": ["data:read", "users:write"]});
        anna.post("/api/api-keys", body).await.expect_problem(403, "beyond_your_rights");
        assert_eq!(anna.get("/api/api-keys").await["count"], 0);
        anna.machine("humble", &["data:read"]).await;
    }

    async fn all_that_is_wrong_with_a_key_is_named_at_once(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let bad = json!({
            "name": "", "permissions": ["users:read", "users:raed"], "equipment": [1, 0], "expires_at": "tomorrow",
        });
        admin.post("/api/api-keys", bad).await.expect_flaws(&[
            ("name", "too_short"), ("permissions.1", "unknown"), ("equipment.1", "type"), ("expires_at", "instant"),
        ]);
        let missing = admin.post("/api/api-keys", json!({})).await;
        missing.expect_flaws(&[("name", "required"), ("permissions", "required")]);
        let press = admin.machine_called("Press").await.id;
        let unknown = json!({"name": "a", "permissions": [], "equipment": [999_999, press, 999_998]});
        let unknown = admin.post("/api/api-keys", unknown).await;
        unknown.expect_flaws(&[("equipment.0", "unknown"), ("equipment.2", "unknown")]);
        let no_offset = json!({"name": "a", "permissions": [], "expires_at": "2099-01-01T00:00:00"});
        admin.post("/api/api-keys", no_offset).await.expect_flaws(&[("expires_at", "instant")]);
        let past = json!({"name": "a", "permissions": [], "expires_at": "2020-01-01T00:00:00Z"});
        admin.post("/api/api-keys", past).await.expect_flaws(&[("expires_at", "past")]);
        let both = json!({"name": "a", "permissions": [], "equipment": [], "expires_at": "2020-01-01T00:00:00Z"});
        let both = admin.post("/api/api-keys", both).await;
        both.expect_flaws(&[("expires_at", "past"), ("equipment", "too_few")]);
    }

    async fn a_key_for_no_equipment_is_not_taken_for_one_that_reaches_all(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let key = |equipment: Value| {
            admin.post("/api/api-keys", json!({"name": "gateway", "permissions": [], "equipment": equipment}))
        };
        key(json!([])).await.expect_flaws(&[("equipment", "too_few")]);
        assert_eq!(key(Value::Null).await.expect(201)["equipment"], json!([]));
    }

    async fn a_user_has_a_hundred_keys_at_most_also_if_they_are_made_at_once(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let make = |number: usize| anna.post("/api/api-keys", json!({"name": format!("{number}"), "permissions": []}));
        for number in 0..97 {
            make(number).await.expect(201);
        }
        let at_once = join_all((97..103).map(|number| make(number).into_future())).await;
        let (made, refused): (Vec<_>, Vec<_>) = at_once.into_iter().partition(|reply| reply.status == 201);
        assert_eq!((made.len(), refused.len()), (3, 3));
        for refusal in refused {
            refusal.expect_flaws(&[("api_keys", "too_many")]);
        }
        anna.delete(&format!("/api/api-keys/{}", made[0].id())).await.expect(204);
        make(200).await.expect(201);
        server.newcomer("ben").await.machine("his", &[]).await;
    }

    async fn a_key_with_power_over_people_has_none_over_its_owner(backend: Backend) {
        let server = Server::start(backend).await;
        let (admin, anna) = (server.admin().await, server.newcomer("anna").await);
        let machine = admin.machine("people", &["users:read", "users:write"]).await;
        let own = [
            machine.patch("/api/users/me", json!({"username": "root"})),
            machine.put(&admin.path(), json!({"username": "root"})),
            machine.delete("/api/users/me"),
            machine.put(&format!("{}/roles", admin.path()), json!({"roles": ["CLIENT"]})),
            machine.put(&format!("{}/mentor", admin.path()), json!({"mentor": "anna"})),
            machine.delete(&format!("{}/mentees", admin.path())),
            machine.post(&format!("{}/password-reset", admin.path()), json!({})),
        ];
        for reply in join_all(own.map(IntoFuture::into_future)).await {
            reply.expect_problem(403, "permission_required");
        }
        machine.patch(&anna.path(), json!({"username": "anne"})).await.expect(200);
    }

    async fn the_trail_tells_what_a_key_was_made_for_and_never_its_secret(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await.id;
        let body = json!({
            "name": "gateway", "permissions": ["data:write"], "equipment": [press], "expires_at": "2099-01-01T00:00:00Z",
        });
        let key = admin.post("/api/api-keys", body).await.expect(201);
        admin.delete(&format!("/api/api-keys/{}", key.id())).await.expect(204);
        let facts = json!({
            "name": "gateway", "permissions": ["data:write"], "equipment": [press.to_string()],
            "expires_at": "2099-01-01T00:00:00.000000Z",
        });
        for (action, before, after) in
            [("api_key.created", json!({}), facts.clone()), ("api_key.revoked", facts.clone(), json!({}))]
        {
            let trail = admin.get(&format!("/api/audit?action={action}")).await.expect(200);
            let entry = &trail["results"][0];
            assert_eq!((&entry["before"], &entry["after"]), (&before, &after), "{entry}");
            assert!(!trail.json.to_string().contains(key.text("secret")));
        }
    }

    async fn names_are_unique_among_the_keys_of_one_owner(backend: Backend) {
        let server = Server::start(backend).await;
        let [anna, ben] = [server.newcomer("anna").await, server.newcomer("ben").await];
        let body = || json!({"name": "press", "permissions": []});
        anna.post("/api/api-keys", body()).await.expect(201);
        let taken = anna.post("/api/api-keys", body()).await.expect_problem(409, "taken");
        assert_eq!(taken.flaws(), [("name".to_owned(), "taken".to_owned())]);
        ben.post("/api/api-keys", body()).await.expect(201);
    }

    async fn a_revoked_key_is_nobody_at_once_and_stays_out_of_others_reach(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let anna = server.newcomer("anna").await;
        let machine = anna.machine("press", &["data:read"]).await;
        let id = anna.get("/api/api-keys").await.expect(200).column("id")[0].clone();
        let path = format!("/api/api-keys/{id}");
        admin.delete(&path).await.expect_problem(404, "not_found");
        machine.get("/api/users/me").await.expect(200);
        anna.delete(&path).await.expect(204);
        machine.get("/api/users/me").await.expect_problem(401, "unauthenticated");
        anna.delete(&path).await.expect_problem(404, "not_found");
    }

    async fn a_key_ends_when_it_lapses(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let now = anna.get("/api/users/me").await.expect(200).text("last_login_at").to_owned();
        let now = chrono::DateTime::parse_from_rfc3339(&now).unwrap();
        let soon = (now + chrono::Duration::seconds(2)).to_rfc3339();
        let body = json!({"name": "brief", "permissions": [], "expires_at": soon});
        let key = anna.post("/api/api-keys", body).await.expect(201);
        let machine = anna.bearing(key.text("secret"));
        until("the key to lapse", LONG, async || {
            (machine.get("/api/users/me").await.status == 401).then_some(())
        })
        .await;
    }

    async fn a_key_shrinks_and_ends_with_its_owner(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let owner = server.permitted("auditor", &["users:read", "roles:read"]).await;
        let machine = owner.machine("reader", &["users:read", "roles:read"]).await;
        machine.get("/api/roles").await.expect(200);
        admin.patch("/api/roles/auditor-role", json!({"permissions": ["users:read"]})).await.expect(200);
        machine.get("/api/roles").await.expect_problem(403, "permission_required");
        admin.patch(&owner.path(), json!({"is_active": false})).await.expect(200);
        machine.get("/api/users").await.expect_problem(401, "unauthenticated");
        admin.patch(&owner.path(), json!({"is_active": true})).await.expect(200);
        machine.get("/api/users").await.expect(200);
        admin.delete(&owner.path()).await.expect(204);
        machine.get("/api/users").await.expect_problem(401, "unauthenticated");
    }
}
