//! People as others see and manage them.

use futures_util::future::join_all;
use std::collections::BTreeSet;
use tests::{Backend, Reply, Server, Value, json, stories};

fn names(fields: &Value) -> BTreeSet<&str> {
    fields.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The users that a list answers, by login.
async fn found(by: &tests::Client, query: &str) -> Vec<String> {
    let list: Reply = by.get(&format!("/api/users?{query}")).await.expect(200);
    list.column("username").iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

stories! {
    async fn anybody_signed_in_sees_of_others_who_they_are_and_no_more(backend: Backend) {
        let server = Server::start(backend).await;
        let [anna, ben] = [server.newcomer("anna").await, server.mentor("ben").await];
        let list = anna.get("/api/users/").await.expect(200);
        assert_eq!(list["count"], 3);
        for user in list["results"].as_array().unwrap() {
            assert_eq!(names(user), BTreeSet::from(["id", "is_mentor", "username"]), "{user}");
        }
        let seen = anna.get(&ben.path()).await.expect(200);
        assert_eq!(names(&seen.json), BTreeSet::from(["id", "is_mentor", "mentees", "username"]));
        assert_eq!(seen["is_mentor"], true);
        let seen = ben.get(&anna.path()).await.expect(200);
        assert_eq!(names(&seen.json), BTreeSet::from(["id", "is_mentor", "username"]));
    }

    async fn who_may_read_users_sees_all_their_fields_and_never_a_password(backend: Backend) {
        let server = Server::start(backend).await;
        let reader = server.permitted("reader", &["users:read"]).await;
        let anna = server.newcomer("anna").await;
        let seen = reader.get(&anna.path()).await.expect(200);
        for field in ["email", "phone", "roles", "is_active", "created_at", "updated_at", "last_login_at", "version"] {
            assert!(seen.json.get(field).is_some(), "{field} is missing in {}", seen.json);
        }
        assert!(seen["password"].is_null(), "{}", seen.json);
        let list = reader.get("/api/users?username=anna").await.expect(200);
        assert_eq!(list.column("roles"), [json!(["CLIENT"])]);
        assert_eq!(list.column("is_active"), [json!(true)]);
        assert!(!list.json.to_string().contains("password"), "{}", list.json);
    }

    async fn lists_are_filtered_by_every_field(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let people = [
            json!({"username": "anna", "email": "anna@example.com", "phone": "+4917011111", "is_mentor": true}),
            json!({"username": "ben", "email": "ben@example.com", "roles": ["OPERATOR", "CLIENT"], "mentor": "anna"}),
            json!({"username": "cleo", "is_active": false, "roles": []}),
        ];
        for (number, mut person) in people.into_iter().enumerate() {
            person["password"] = format!("Gr4nite-Teapot-{number}").into();
            admin.post("/api/users", person).await.expect(201);
        }
        let anna = admin.get("/api/users?username=anna").await.column("id")[0].clone();
        let created = admin.get("/api/users?username=ben").await.column("created_at")[0].clone();
        let created = created.as_str().unwrap();
        let mentor_by_id = format!("mentor={anna}");
        let since = format!("created_at__gte={created}");
        let before = format!("created_at__lt={created}");
        let cases: [(&str, &[&str]); 15] = [
            ("username=ANNA", &["anna"]),
            ("username=anna&username=cleo", &["anna", "cleo"]),
            ("email=Ben@Example.com", &["ben"]),
            ("phone=%2B49%20170%2011111", &["anna"]),
            ("role=OPERATOR", &["ben"]),
            ("role=OPERATOR&role=ADMIN", &["admin", "ben"]),
            ("is_mentor=true", &["anna"]),
            ("is_active=false", &["cleo"]),
            ("is_active=true&is_mentor=false", &["admin", "ben"]),
            ("mentor=anna", &["ben"]),
            (&mentor_by_id, &["ben"]),
            (&since, &["ben", "cleo"]),
            (&before, &["admin", "anna"]),
            ("search=EXAMPLE.com", &["anna", "ben"]),
            ("username=nobody", &[]),
        ];
        for (query, expected) in cases {
            assert_eq!(found(&admin, query).await, expected, "{query}");
        }
    }

    async fn whoever_sees_only_names_cannot_find_out_more_by_filtering_ordering_or_searching(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let ben = json!({"username": "ben", "password": "Gr4nite-Teapot", "email": "secretive@example.com"});
        admin.post("/api/users", ben).await.expect(201);
        let anna = server.newcomer("anna").await;
        let prying = [
            "email=secretive@example.com", "phone=%2B4917011111", "role=ADMIN", "is_active=true",
            "created_at__gte=2020-01-01T00:00:00Z", "created_at__lt=2099-01-01T00:00:00Z", "ordering=email",
            "ordering=username,-last_login_at",
        ];
        for query in prying {
            anna.get(&format!("/api/users?{query}")).await.expect_problem(403, "permission_required");
        }
        assert_eq!(found(&anna, "search=secretive").await, [""; 0]);
        assert_eq!(found(&admin, "search=secretive").await, ["ben"]);
        assert_eq!(found(&anna, "search=BE&is_mentor=false&ordering=-username").await, ["ben"]);
    }

    async fn an_account_is_made_for_somebody_else_with_everything_it_should_have(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let anna = server.mentor("anna").await;
        let body = json!({
            "username": "ben", "password": "Gr4nite-Teapot", "email": "ben@example.com", "phone": "+4917011111",
            "is_mentor": true, "is_active": false, "roles": ["OPERATOR"], "mentor": anna.id,
        });
        let ben = admin.post("/api/users/", body).await.expect(201);
        assert_eq!(ben.expect_header("location"), format!("/api/users/{}", ben.id()));
        let expected = [
            ("email", json!("ben@example.com")), ("is_mentor", json!(true)), ("is_active", json!(false)),
            ("roles", json!(["OPERATOR"])), ("mentor", json!("anna")),
        ];
        for (field, value) in expected {
            assert_eq!(ben[field], value, "{field}");
        }
        let plain = admin.post("/api/users", json!({"username": "cleo", "password": "Gr4nite-Kettle"})).await;
        assert_eq!(plain.expect(201)["roles"], json!(["CLIENT"]));
    }

    async fn making_an_account_takes_the_right_and_valid_fields(backend: Backend) {
        let server = Server::start(backend).await;
        let anna = server.newcomer("anna").await;
        let body = json!({"username": "ben", "password": "Gr4nite-Teapot"});
        anna.post("/api/users", body).await.expect_problem(403, "permission_required");
        let admin = server.admin().await;
        let bad = json!({
            "username": "a b", "password": "short", "email": "x", "phone": "1", "is_mentor": 1, "is_active": "no",
            "roles": ["OPERATOR", ""], "mentor": true, "nickname": "x",
        });
        let refused = admin.post("/api/users", bad).await.expect_problem(422, "invalid_fields");
        let blamed: Vec<String> = refused.flaws().into_iter().map(|(field, _)| field).collect();
        let expected =
            ["email", "is_active", "is_mentor", "mentor", "nickname", "password", "phone", "roles.1", "username"];
        assert_eq!(blamed, expected);
        let unknown = json!({"username": "ben", "password": "Gr4nite-Teapot", "roles": ["CLIENT", "NONE", "NIL"]});
        admin.post("/api/users", unknown).await.expect_flaws(&[("roles.1", "unknown"), ("roles.2", "unknown")]);
    }

    async fn nobody_hands_out_or_takes_over_more_than_they_have(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let clerk = server.permitted("clerk", &["users:read", "users:write", "data:read"]).await;
        let mighty = json!({"username": "eve", "password": "Gr4nite-Teapot", "roles": ["ADMIN"]});
        clerk.post("/api/users", mighty).await.expect_problem(403, "beyond_your_rights");
        let roles = json!({"roles": ["ADMIN"]});
        clerk.patch(&clerk.path(), roles.clone()).await.expect_problem(403, "beyond_your_rights");
        clerk.put(&format!("{}/roles", clerk.path()), roles).await.expect_problem(403, "beyond_your_rights");
        let give = clerk.post(&format!("{}/roles/ADMIN", clerk.path()), json!({})).await;
        give.expect_problem(403, "beyond_your_rights");
        let reset = clerk.post(&format!("{}/password-reset", admin.path()), json!({})).await;
        reset.expect_problem(403, "beyond_your_rights");
        assert_eq!(clerk.get(&clerk.path()).await["roles"], json!(["clerk-role"]));
        admin.get("/api/users/me").await.expect(200);
    }

    async fn who_manages_users_edits_all_but_another_ones_password(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let anna = server.newcomer("anna").await;
        let change = json!({
            "username": "annette", "email": "annette@example.com", "phone": "+4917011111", "is_mentor": true,
            "roles": ["OPERATOR"],
        });
        let after = admin.patch(&anna.path(), change).await.expect(200);
        assert_eq!((&after["username"], &after["roles"]), (&json!("annette"), &json!(["OPERATOR"])));
        assert_eq!(after["version"], after["version"].as_i64().unwrap());
        let password = json!({"password": "Gr4nite-Stolen", "current_password": anna.password});
        admin.patch(&anna.path(), password).await.expect_problem(403, "permission_required");
        server.sign_in("annette", &anna.password).await;
    }

    async fn others_records_stay_as_they_are_for_whoever_lacks_the_right(backend: Backend) {
        let server = Server::start(backend).await;
        let [anna, ben] = [server.newcomer("anna").await, server.newcomer("ben").await];
        let reader = server.permitted("reader", &["users:read"]).await;
        let before = reader.get(&ben.path()).await.expect(200).json;
        for by in [&anna, &reader] {
            by.patch(&ben.path(), json!({"phone": "+4917011111"})).await.expect_problem(403, "permission_required");
            by.put(&ben.path(), json!({"username": "eve"})).await.expect_problem(403, "permission_required");
            by.delete(&ben.path()).await.expect_problem(403, "permission_required");
            let reset = by.post(&format!("{}/password-reset", ben.path()), json!({})).await;
            reset.expect_problem(403, "permission_required");
        }
        assert_eq!(reader.get(&ben.path()).await.json, before);
    }

    async fn a_deleted_user_is_gone_for_good_and_at_once(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let anna = server.newcomer("anna").await;
        admin.delete(&anna.path()).await.expect(204);
        anna.get("/api/users/me").await.expect_problem(401, "unauthenticated");
        admin.get(&anna.path()).await.expect_problem(404, "not_found");
        admin.delete(&anna.path()).await.expect_problem(404, "not_found");
        admin.patch(&anna.path(), json!({"phone": null})).await.expect_problem(404, "not_found");
        server.newcomer("anna").await;
    }

    async fn a_disabled_user_is_out_at_once_and_comes_back_by_signing_in(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let anna = server.newcomer("anna").await;
        admin.patch(&anna.path(), json!({"is_active": false})).await.expect(200);
        anna.get("/api/users/me").await.expect_problem(401, "unauthenticated");
        admin.patch(&anna.path(), json!({"is_active": true})).await.expect(200);
        anna.get("/api/users/me").await.expect(401);
        anna.signed_in_again(&server).await.get("/api/users/me").await.expect(200);
    }

    async fn a_reset_password_opens_one_session_and_proves_who_sets_the_next(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let anna = server.newcomer("anna").await;
        let reset = admin.post(&format!("{}/password-reset", anna.path()), json!({})).await.expect(200);
        assert!(reset["expires_at"].is_string());
        let one_time = reset.text("password").to_owned();
        anna.get("/api/users/me").await.expect_problem(401, "unauthenticated");
        let old = json!({"username": "anna", "password": anna.password});
        server.anonymous().post("/api/login", old).await.expect(401);

        let body = json!({"username": "anna", "password": one_time});
        let pair = server.anonymous().post("/api/login", body.clone()).await.expect(200);
        assert_eq!(pair["must_change_password"], true);
        server.anonymous().post("/api/login", body).await.expect_problem(401, "invalid_credentials");
        let back = server.anonymous().bearing(pair.text("access"));
        let change = json!({"password": "Gr4nite-Samovar", "current_password": one_time});
        back.patch(&anna.path(), change).await.expect(200);
        let again = json!({"username": "anna", "password": "Gr4nite-Samovar"});
        let pair = server.anonymous().post("/api/login", again).await.expect(200);
        assert_ne!(pair["must_change_password"], true);
    }

    async fn the_last_active_administrator_stays(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let last = |reply: Reply| reply.expect_problem(409, "last_administrator");
        last(admin.delete(&admin.path()).await);
        last(admin.patch(&admin.path(), json!({"is_active": false})).await);
        last(admin.patch(&admin.path(), json!({"roles": ["CLIENT"]})).await);
        last(admin.put(&format!("{}/roles", admin.path()), json!({"roles": []})).await);
        last(admin.delete(&format!("{}/roles/ADMIN", admin.path())).await);
        let second = server.holder_of("second", &["ADMIN"]).await;
        second.patch(&admin.path(), json!({"is_active": false})).await.expect(200);
        last(second.delete(&second.path()).await);
    }

    async fn of_two_administrators_who_demote_each_other_one_stays(backend: Backend) {
        let server = Server::start(backend).await;
        let first = server.admin().await;
        for round in 0..5 {
            let second = server.holder_of(&format!("second-{round}"), &["ADMIN"]).await;
            let demote = |who: i64| format!("/api/users/{who}/roles/ADMIN");
            let attempts = [first.delete(&demote(second.id)), second.delete(&demote(first.id))];
            let replies = join_all(attempts.map(IntoFuture::into_future)).await;
            let done = replies.iter().filter(|reply| reply.status == 204).count();
            assert_eq!(done, 1, "{replies:?}");
            // Whoever stayed makes the first one administrator again.
            if first.get("/api/audit").await.status == 403 {
                let give = second.post(&format!("{}/roles/ADMIN", first.path()), json!({})).await;
                assert!(give.status.is_success(), "{give:?}");
                first.delete(&demote(second.id)).await.expect(204);
            }
        }
    }

    async fn an_id_that_no_user_can_have_is_not_there(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let ids = [
            "0", "-1", "999999", "9223372036854775807", "9223372036854775808", "1e3", "1.0", "+1", "01", "abc",
            "%00", "%2F", "%F0%9F%90%98", "1%20", "%ff", "me2",
        ];
        for id in ids {
            let reply = admin.get(&format!("/api/users/{id}")).await;
            assert!(matches!(reply.status.as_u16(), 400 | 404), "{id}: {reply:?}");
            if !id.starts_with('%') {
                reply.expect_problem(404, "not_found");
            }
        }
    }
}
