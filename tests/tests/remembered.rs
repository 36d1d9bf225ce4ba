//! Answers from memory: nobody can tell them from others but by their speed.

use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tests::plant::second;
use tests::{Backend, Client, Person, Server, Value, json, stories};

const ROUNDS: i64 = 20;
const READERS: usize = 6;

/// Asks often enough that the last answers come from memory, if they may.
async fn again_and_again(client: &Client, path: &str, status: u16) -> Value {
    for _ in 0..3 {
        client.get(path).await.expect(status);
    }
    client.get(path).await.expect(status).body_without_request_id()
}

/// How often answers about this were given from memory.
async fn hits(server: &Server, cache: &str) -> u64 {
    let page = server.anonymous().get("/metrics").await.expect(200);
    let page = String::from_utf8(page.bytes).unwrap();
    let line = format!("techtrack_cache_hits_total{{cache=\"{cache}\"}} ");
    let count = page.lines().find_map(|text| text.strip_prefix(&line));
    count.unwrap_or_else(|| panic!("no {line} in {page}")).parse().unwrap()
}

/// Changes something round by round while others read it. Whoever asks after a change was answered sees it.
async fn watched(admin: &Person, path: &str, field: &str, rounds: i64, write: impl AsyncFn(i64)) {
    let (done, is_over) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let readers = (0..READERS).map(|_| {
        let (client, path, field) = (admin.bearing(admin.token()), path.to_owned(), field.to_owned());
        let (done, is_over) = (done.clone(), is_over.clone());
        tokio::spawn(async move {
            while !is_over.load(Ordering::SeqCst) {
                let least = done.load(Ordering::SeqCst);
                let seen = client.get(&path).await.expect(200).body_without_request_id();
                let seen = seen.pointer(&field).and_then(Value::as_i64).unwrap_or(0);
                assert!(seen >= least, "{path} said {seen} when {least} was done");
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    for round in 1..=rounds {
        write(round).await;
        done.store(round, Ordering::SeqCst);
        let seen = admin.get(path).await.expect(200).body_without_request_id();
        assert_eq!(seen.pointer(field), Some(&json!(round)), "{path}");
    }
    is_over.store(true, Ordering::SeqCst);
    join_all(readers).await.into_iter().for_each(|reader| reader.unwrap());
}

stories! {
    async fn a_change_is_seen_by_whoever_asks_after_it(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let rule = admin.rule(json!({})).await.expect_header("location").to_owned();
        watched(&admin, &rule, "/threshold", ROUNDS, async |round| {
            admin.patch(&rule, json!({"threshold": round})).await.expect(200);
        }).await;
        watched(&admin, "/api/equipment", "/results/0/attributes/round", ROUNDS, async |round| {
            admin.patch(&press.path(), json!({"attributes": {"round": round}})).await.expect(200);
        }).await;
        watched(&admin, &press.its("latest"), "/results/0/value", ROUNDS, async |round| {
            admin.report(&press, &[(round, round as f64)]).await;
        }).await;
        // Each costs the hash of a password.
        watched(&admin, "/api/users?search=person", "/count", 3, async |round| {
            server.newcomer(&format!("person-{round}")).await;
        }).await;
        admin.post("/api/roles", json!({"name": "Auditor", "permissions": []})).await.expect(201);
        watched(&admin, "/api/roles/Auditor", "/version", ROUNDS, async |round| {
            if round > 1 {
                admin.patch("/api/roles/Auditor", json!({"description": round.to_string()})).await.expect(200);
            }
        }).await;
    }

    async fn whoever_may_see_less_never_gets_what_others_were_given(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let (own, other) = (admin.machine_called("own").await, admin.machine_called("other").await);
        admin.report(&own, &[(0, 1.0)]).await;
        admin.report(&other, &[(0, 2.0)]).await;
        let rights = ["equipment:read", "data:read"];
        let body = json!({"name": "gateway", "permissions": rights, "equipment": [own.id]});
        let secret = admin.post("/api/api-keys", body).await.expect(201);
        let key = admin.bearing(secret.text("secret"));
        let stranger = server.anonymous();
        let nobody = server.permitted("nobody", &[]).await;
        for path in [&other.path(), &other.its("latest")] {
            again_and_again(&admin, path, 200).await;
            again_and_again(&key, path, 404).await;
            again_and_again(&nobody, path, 403).await;
            again_and_again(&stranger, path, 401).await;
            again_and_again(&admin, path, 200).await;
        }
        let all = again_and_again(&admin, "/api/equipment", 200).await;
        let some = again_and_again(&key, "/api/equipment", 200).await;
        assert_eq!((&all["count"], &some["count"]), (&json!(2), &json!(1)));
        again_and_again(&admin, "/api/equipment?hidden=true", 200).await;
        again_and_again(&key, "/api/equipment?hidden=true", 403).await;
        // People see of each other what they may, and all of themselves.
        let anna = server.newcomer("anna").await;
        let ben = server.newcomer("ben").await;
        assert!(again_and_again(&admin, &anna.path(), 200).await.get("roles").is_some());
        assert!(again_and_again(&ben, &anna.path(), 200).await.get("roles").is_none());
        assert!(again_and_again(&anna, &anna.path(), 200).await.get("password").is_some());
        assert_eq!(again_and_again(&anna, "/api/users/me", 200).await["username"], "anna");
        assert_eq!(again_and_again(&ben, "/api/users/me", 200).await["username"], "ben");
    }

    async fn whoever_loses_a_right_loses_what_was_remembered_for_them(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let anna = server.permitted("anna", &["equipment:read"]).await;
        again_and_again(&anna, &press.path(), 200).await;
        admin.put(&format!("{}/roles", anna.path()), json!({"roles": []})).await.expect(200);
        anna.get(&press.path()).await.expect(403);
        anna.post("/api/logout", json!({})).await.expect(204);
        anna.get(&press.path()).await.expect(401);
    }

    async fn what_is_answered_from_memory_is_counted_and_looks_like_the_rest(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        admin.report(&press, &[(0, 1.0)]).await;
        for (cache, path) in [
            ("equipment", press.path().as_str()),
            ("equipment", "/api/equipment?page_size=10"),
            ("latest", &press.its("latest")),
            ("users", "/api/users"),
            ("roles", "/api/roles/ADMIN"),
            ("rules", "/api/alert-rules"),
        ] {
            let first = admin.get(path).await.expect(200);
            let before = hits(&server, cache).await;
            // A head may be due to be looked up anew just now.
            let second = admin.get(path).await.expect(200);
            let third = admin.get(path).await.expect(200);
            assert!(hits(&server, cache).await > before, "{path} was not answered from memory");
            for reply in [&second, &third] {
                assert_eq!(reply.bytes, first.bytes, "{path}");
                for header in ["content-type", "etag", "cache-control", "vary", "x-content-type-options"] {
                    assert_eq!(reply.header(header), first.header(header), "{header} of {path}");
                }
                assert_ne!(reply.header("x-request-id"), first.header("x-request-id"));
            }
            admin.get(path).header("accept", "text/html").await.expect(406);
        }
        let tag = admin.get(&press.path()).await.expect(200).expect_header("etag").to_owned();
        let spared = admin.get(&press.path()).header("if-none-match", &tag).await.expect(304);
        assert!(spared.bytes.is_empty() && spared.header("etag") == Some(&tag));
        admin.get(&press.path()).header("if-none-match", "nonsense").await.expect(400);
        admin.report(&press, &[(1, 2.0)]).await;
        assert_eq!(admin.get(&press.path()).await.expect(200)["last_seen_at"], second(1));
    }

    async fn answers_from_memory_count_against_the_allowance(backend: Backend) {
        let options = tests::Options::default().set("TECHTRACK_RATE_LIMIT_PER_MINUTE", "20");
        let server = Server::start_with(backend, options).await;
        let admin = server.admin().await;
        let mut refused = 0;
        for _ in 0..30 {
            let reply = admin.get("/api/roles").await;
            assert!(reply.header("ratelimit").is_some());
            refused += u32::from(reply.status == 429);
        }
        assert!((9..=12).contains(&refused), "{refused} of 30 were refused");
    }
}
