//! A POST that takes effect once, however often it arrives.

use futures_util::future::join_all;
use tests::{Backend, Options, Reply, Server, json, stories};

fn is_replayed(reply: &Reply) -> bool {
    reply.header("idempotency-replayed") == Some("true")
}

stories! {
    async fn the_same_key_and_body_get_the_first_answer_again(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let make = || {
            let body = json!({"name": "Auditor", "permissions": []});
            admin.post("/api/roles", body).header("idempotency-key", "order-66")
        };
        let first = make().await.expect(201);
        assert!(!is_replayed(&first));
        admin.patch("/api/roles/Auditor", json!({"description": "changed since"})).await.expect(200);
        let again = make().await.expect(201);
        assert!(is_replayed(&again));
        assert_eq!(again.json, first.json);
        for header in ["location", "etag", "content-type"] {
            assert_eq!(again.header(header), first.header(header), "{header}");
        }
        assert_eq!(admin.get("/api/roles?name=Auditor").await["count"], 1);
    }

    async fn the_first_answer_survives_a_crash(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let body = json!({"username": "anna", "password": "Gr4nite-Teapot"});
        let call = server.anonymous().post("/api/registration", body.clone()).header("idempotency-key", "k1");
        let first = call.await.expect(201);
        let key = json!({"name": "press", "permissions": []});
        let secret = admin.post("/api/api-keys", key.clone()).header("idempotency-key", "k2").await.expect(201);
        let installation = server.installation.clone();
        server.kill();

        let server = installation.serve(Options::default()).await;
        let again = server.anonymous().post("/api/registration", body).header("idempotency-key", "k1").await;
        assert!(is_replayed(&again));
        assert_eq!(again.expect(201).json, first.json);
        let admin = server.anonymous().bearing(admin.token());
        let again = admin.post("/api/api-keys", key).header("idempotency-key", "k2").await.expect(201);
        assert_eq!(again["secret"], secret["secret"]);
    }

    async fn one_key_is_for_one_request(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let role = |name: &str| json!({"name": name, "permissions": []});
        admin.post("/api/roles", role("One")).header("idempotency-key", "k").await.expect(201);
        let other_body = admin.post("/api/roles", role("Two")).header("idempotency-key", "k").await;
        other_body.expect_problem(422, "idempotency_key_reused");
        let other_call = admin.post("/api/api-keys", role("One")).header("idempotency-key", "k").await;
        other_call.expect_problem(422, "idempotency_key_reused");
        assert_eq!(admin.get("/api/roles?name=Two").await["count"], 0);
    }

    async fn keys_of_different_people_have_nothing_to_do_with_each_other(backend: Backend) {
        let server = Server::start(backend).await;
        let [admin, anna] = [server.admin().await, server.newcomer("anna").await];
        let body = || json!({"name": "press", "permissions": []});
        let one = admin.post("/api/api-keys", body()).header("idempotency-key", "k").await.expect(201);
        let other = anna.post("/api/api-keys", body()).header("idempotency-key", "k").await.expect(201);
        assert!(!is_replayed(&other) && one["secret"] != other["secret"]);
    }

    async fn a_refused_request_may_be_corrected_under_the_same_key(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let post = |name: &str| {
            admin.post("/api/roles", json!({"name": name, "permissions": []})).header("idempotency-key", "k")
        };
        post("7 of 9").await.expect(422);
        assert!(!is_replayed(&post("Seven").await.expect(201)));
    }

    async fn of_many_equal_requests_at_once_one_takes_effect_and_all_get_its_answer(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        for round in 0..5 {
            let body = json!({"name": format!("Role-{round}"), "permissions": []});
            let key = format!("round-{round}");
            let calls = (0..10).map(|_| {
                admin.post("/api/roles", body.clone()).header("idempotency-key", &key).into_future()
            });
            let replies = join_all(calls).await;
            let fresh = replies.iter().filter(|reply| !is_replayed(reply)).count();
            assert_eq!(fresh, 1);
            assert!(replies.iter().all(|reply| reply.status == 201 && reply.json == replies[0].json), "{replies:?}");
        }
    }

    async fn every_post_takes_a_key(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let anna = server.newcomer("anna").await;
        let stranger = server.anonymous();
        let press = admin.machine_called("Press").await;
        let alert = json!({"equipment": press.id, "description": "Oil on the floor"});
        let raised = admin.post("/api/alerts", alert.clone()).await.expect(201).expect_header("location").to_owned();
        let rule = json!({"name": "Too hot", "metric": "t", "operator": ">", "threshold": 80});
        let posts = [
            ("/api/registration".to_owned(), json!({"username": "ben", "password": "Gr4nite-Teapot"})),
            ("/api/login".to_owned(), json!({"username": "anna", "password": anna.password})),
            ("/api/token/".to_owned(), json!({"username": "anna", "password": anna.password})),
            ("/api/token/verify".to_owned(), json!({"token": anna.refresh})),
            ("/api/token/refresh".to_owned(), json!({"refresh": anna.refresh})),
            ("/api/users".to_owned(), json!({"username": "cleo", "password": "Gr4nite-Teapot"})),
            (format!("{}/roles/OPERATOR", anna.path()), json!({})),
            (format!("{}/password-reset", anna.path()), json!({})),
            ("/api/equipment".to_owned(), json!({"name": "Pump", "type": "pump"})),
            (press.its("restore"), json!({})),
            (press.its("maintenance"), json!({"what": "Oiled"})),
            ("/api/data".to_owned(), press.at(0, 20.0)),
            ("/api/data".to_owned(), json!([press.at(1, 20.0), press.at(2, 20.0)])),
            ("/api/alert-rules".to_owned(), rule),
            ("/api/alerts".to_owned(), alert),
            (format!("{raised}/acknowledge"), json!({})),
            (format!("{raised}/resolve"), json!({})),
        ];
        for (number, (path, body)) in posts.into_iter().enumerate() {
            let public = ["/api/registration", "/api/login", "/api/token"].iter().any(|prefix| path.starts_with(prefix));
            let by = if public { &stranger } else { &*admin };
            let call = || by.post(&path, body.clone()).header("idempotency-key", &format!("key-{number}"));
            let first = call().await;
            assert!(first.status.is_success(), "{first:?}");
            let again = call().await;
            match path.as_str() {
                // Spends nothing, so it is simply done again.
                "/api/token/verify" => assert_eq!(again.json, first.json),
                _ => assert!(is_replayed(&again) && again.json == first.json, "{path}: {again:?}"),
            }
        }
    }

    async fn a_key_is_short_and_visible(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let longest = "k".repeat(128);
        let too_long = "k".repeat(129);
        for (number, key) in [longest.as_str(), "!#$~", "0"].into_iter().enumerate() {
            let body = json!({"name": format!("Role-{number}"), "permissions": []});
            admin.post("/api/roles", body).header("idempotency-key", key).await.expect(201);
        }
        for key in [too_long.as_str(), "", "two words", "\u{e4}"] {
            let body = json!({"name": "Never", "permissions": []});
            let reply = admin.post("/api/roles", body).header("idempotency-key", key).await;
            reply.expect_problem(400, "malformed_request");
        }
    }
}
