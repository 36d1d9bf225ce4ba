//! Webhooks: receivers outside are told of alerts, whatever happens on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tests::patience::{LONG, until};
use tests::receiver::{Delivered, Receiver};
use tests::{Backend, Installation, Options, Person, Reply, Server, Value, assert_has, json, stories};

const WEBHOOKS: &str = "/api/webhooks/";

/// A server that may tell receivers on this machine, and does not wait long for those who are away.
fn options() -> Options {
    Options::default()
        .set("TECHTRACK_WEBHOOKS_ALLOWED_NETWORKS", "127.0.0.0/8")
        .set("TECHTRACK_WEBHOOKS_RETRY_SECONDS", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1")
        .set("TECHTRACK_WEBHOOKS_SEAL_KEY", "a key of the operator's own")
}

async fn hook(admin: &Person, url: &str, otherwise: Value) -> Reply {
    let webhook = tests::plant::with(json!({"name": "On-call", "url": url}), otherwise);
    admin.post(WEBHOOKS, webhook).await.expect(201)
}

async fn alert(admin: &Person, equipment: i64, severity: &str) -> i64 {
    let alert = json!({"equipment": equipment, "description": "Oil <on> the floor", "severity": severity});
    admin.post("/api/alerts/", alert).await.expect(201).id()
}

async fn deliveries(admin: &Person, webhook: &Reply, query: &str) -> Vec<Value> {
    let path = format!("{WEBHOOKS}{}/deliveries/?ordering=id&page_size=1000{query}", webhook.id());
    admin.get(&path).await.expect(200)["results"].as_array().unwrap().clone()
}

fn events(got: &[Delivered]) -> Vec<&str> {
    got.iter().map(Delivered::event).collect()
}

/// What is unresolved breaches: the machine is too hot, then it is not.
async fn overheat(admin: &Person, name: &str) -> i64 {
    let press = admin.machine_called(name).await;
    admin.report(&press, &[(0, 91.0)]).await;
    admin.report(&press, &[(60, 20.0)]).await;
    press.id
}

stories! {
    async fn what_readings_and_people_do_to_alerts_arrives_in_order_signed_and_is_logged(backend: Backend) {
        let server = Server::start_with(backend, options()).await;
        let admin = server.admin().await;
        let receiver = Receiver::new().await;
        let made = hook(&admin, &receiver.url(), json!({})).await;
        assert!(made.text("secret").starts_with("whsec_"));
        admin.rule(json!({"name": "Too hot", "severity": "critical"})).await;
        let press = overheat(&admin, "Press").await;
        let got = receiver.gets(2).await;
        assert_eq!(events(&got), ["alert.opened", "alert.resolved"]);
        assert_has(&got[0].body["data"]["alert"], json!({
            "equipment": press, "status": "open", "severity": "critical", "metric": "temperature", "value": 91.0,
        }));
        assert_has(&got[0].body["data"]["equipment"], json!({"id": press, "name": "Press"}));
        assert_eq!(got[0].body["data"]["rule"]["name"], "Too hot");
        assert_eq!(got[1].body["data"]["alert"]["status"], "resolved");
        let id = alert(&admin, press, "info").await;
        admin.post(&format!("/api/alerts/{id}/acknowledge"), json!({"note": "Looking."})).await.expect(200);
        admin.post(&format!("/api/alerts/{id}/acknowledge"), json!({})).await.expect(200);
        admin.post(&format!("/api/alerts/{id}/resolve"), json!({})).await.expect(200);
        let got = receiver.gets(5).await;
        assert_eq!(events(&got[2..]), ["alert.opened", "alert.acknowledged", "alert.resolved"]);
        assert_eq!(got[3].body["data"]["alert"]["note"], "Looking.");
        for delivered in &got {
            assert!(delivered.headers["webhook-signature"].starts_with("v1,"), "{delivered:?}");
            assert!(delivered.headers["user-agent"].starts_with("techtrack/"));
        }
        let log = until("the log to be complete", LONG, async || {
            let log = deliveries(&admin, &made, "&status=delivered").await;
            (log.len() == 5).then_some(log)
        })
        .await;
        for (logged, delivered) in log.iter().zip(&got) {
            assert_eq!(logged["message"], delivered.message());
            assert_eq!(logged["content"], delivered.body);
            assert_has(&logged["attempts"][0], json!({"number": 1, "status": 204, "error": null}));
        }
        assert_eq!(deliveries(&admin, &made, "&event=alert.acknowledged").await.len(), 1);
        assert_eq!(deliveries(&admin, &made, &format!("&alert={id}")).await.len(), 3);
        let metrics = server.anonymous().get("/metrics").await.expect(200).bytes;
        let metrics = String::from_utf8_lossy(&metrics);
        assert!(metrics.contains("techtrack_webhook_deliveries_total{result=\"delivered\"} 5\n"), "{metrics}");
    }

    async fn a_receiver_that_was_away_misses_nothing(backend: Backend) {
        let server = Server::start_with(backend, options()).await;
        let admin = server.admin().await;
        let mut receiver = Receiver::new().await;
        let made = hook(&admin, &receiver.url(), json!({})).await;
        receiver.close().await;
        let press = admin.machine_called("Press").await;
        for _ in 0..20 {
            alert(&admin, press.id, "warning").await;
        }
        until("every delivery to fail", LONG, async || {
            let log = deliveries(&admin, &made, "").await;
            log.iter().all(|logged| logged["tries"].as_u64() >= Some(1)).then_some(())
        })
        .await;
        let log = deliveries(&admin, &made, "").await;
        assert!(log[0]["attempts"][0]["error"].as_str().unwrap().starts_with("no connection"), "{}", log[0]);
        assert!(log[0]["next_try_at"].is_string(), "{}", log[0]);
        receiver.reopen().await;
        receiver.gets(20).await;
        until("everything to be delivered", LONG, async || {
            (deliveries(&admin, &made, "&status=delivered").await.len() == 20).then_some(())
        })
        .await;
        assert_eq!(receiver.got().len(), 20, "nothing came twice");
    }

    async fn a_server_that_is_killed_before_it_could_send_loses_nothing(backend: Backend) {
        let installation = Installation::new(backend).await;
        let server = installation.serve(options()).await;
        let admin = server.admin().await;
        let mut receiver = Receiver::new().await;
        hook(&admin, &receiver.url(), json!({})).await;
        receiver.close().await;
        let press = admin.machine_called("Press").await;
        let mut alerts = BTreeSet::new();
        for _ in 0..10 {
            alerts.insert(alert(&admin, press.id, "warning").await);
        }
        server.kill();
        receiver.reopen().await;
        let _server = installation.serve(options()).await;
        let got = receiver.gets(10).await;
        let told: BTreeSet<i64> =
            got.iter().map(|delivered| delivered.body["data"]["alert"]["id"].as_i64().unwrap()).collect();
        assert_eq!(told, alerts);
    }

    async fn a_server_that_stops_waits_for_the_answer_to_what_it_sent(backend: Backend) {
        let installation = Installation::new(backend).await;
        let server = installation.serve(options()).await;
        let admin = server.admin().await;
        let receiver = Receiver::new().await;
        let made = hook(&admin, &receiver.url(), json!({})).await;
        let press = admin.machine_called("Press").await;
        receiver.fall_silent();
        alert(&admin, press.id, "warning").await;
        receiver.keeps_waiting(1).await;
        server.terminate();
        until("the server to be about to end", LONG, async || {
            server.log().contains("finishing what is under way").then_some(())
        })
        .await;
        receiver.speak();
        let finished = server.end().await;
        assert!(finished.status.success(), "{finished:?}");

        let server = installation.serve(options()).await;
        let admin = server.admin().await;
        let log = deliveries(&admin, &made, "&status=delivered").await;
        assert_eq!(log.len(), 1, "what was answered was noted");
        assert_eq!(log[0]["attempts"].as_array().unwrap().len(), 1);
        assert_eq!(receiver.got().len(), 1, "nothing came twice");
    }

    async fn only_what_a_webhook_wants_is_told_to_it(backend: Backend) {
        let server = Server::start_with(backend, options()).await;
        let admin = server.admin().await;
        let receiver = Receiver::new().await;
        let robot = admin.machine_with(json!({"name": "R", "type": "Robot"})).await;
        let press = admin.machine_with(json!({"name": "P", "type": "press"})).await;
        hook(&admin, &receiver.url(), json!({"name": "robots", "equipment_types": ["robot"]})).await;
        let narrow = json!({"equipment": [press.id], "min_severity": "critical", "events": ["alert.deleted"]});
        hook(&admin, &receiver.url(), narrow).await;
        hook(&admin, &receiver.url(), json!({"enabled": false})).await;
        let mild = alert(&admin, press.id, "warning").await;
        let bad = alert(&admin, press.id, "critical").await;
        let other = alert(&admin, robot.id, "info").await;
        for id in [mild, bad] {
            admin.delete(&format!("/api/alerts/{id}")).await.expect(204);
        }
        let got = receiver.gets(2).await;
        let mut told: Vec<_> = got
            .iter()
            .map(|delivered| (delivered.event(), delivered.body["data"]["alert"]["id"].as_i64().unwrap()))
            .collect();
        told.sort_unstable();
        assert_eq!(told, [("alert.deleted", bad), ("alert.opened", other)]);
    }

    async fn a_receiver_that_is_gone_is_told_nothing_more(backend: Backend) {
        let server = Server::start_with(backend, options()).await;
        let admin = server.admin().await;
        let receiver = Receiver::new().await;
        let made = hook(&admin, &receiver.url(), json!({})).await;
        receiver.answer(410);
        let press = admin.machine_called("Press").await;
        alert(&admin, press.id, "warning").await;
        let path = format!("{WEBHOOKS}{}", made.id());
        until("the webhook to be disabled", LONG, async || {
            (admin.get(&path).await.expect(200)["enabled"] == json!(false)).then_some(())
        })
        .await;
        assert!(admin.get(&path).await["disabled_because"].as_str().unwrap().contains("410"));
        alert(&admin, press.id, "warning").await;
        assert_eq!(deliveries(&admin, &made, "").await.len(), 1);
        admin.post(&format!("{path}/test"), json!({})).await.expect_problem(409, "illegal_transition");
        receiver.answer(200);
        assert_has(
            &admin.patch(&path, json!({"enabled": true})).await.expect(200),
            json!({"enabled": true, "disabled_because": null}),
        );
        let failed = &deliveries(&admin, &made, "&status=failed").await[0];
        let replay = format!("{path}/deliveries/{}/replay", failed["id"]);
        assert_has(&admin.post(&replay, json!({})).await.expect(200), json!({"status": "pending", "tries": 0}));
        assert_eq!(receiver.gets(1).await[0].message(), failed["message"]);
        let trail = admin.get("/api/audit/?subject=webhook").await.expect(200);
        let actions: BTreeSet<&str> =
            trail["results"].as_array().unwrap().iter().map(|line| line["action"].as_str().unwrap()).collect();
        assert_eq!(actions, BTreeSet::from([
            "webhook.created", "webhook.disabled", "webhook.updated", "webhook.delivery_replayed",
        ]));
    }

    async fn a_webhook_can_be_tried_and_its_secret_replaced(backend: Backend) {
        let server = Server::start_with(backend, options()).await;
        let admin = server.admin().await;
        let receiver = Receiver::new().await;
        let made = hook(&admin, &receiver.url(), json!({})).await;
        let path = format!("{WEBHOOKS}{}", made.id());
        assert!(admin.get(&path).await.expect(200)["secret"].is_null());
        let rotated = admin.post(&format!("{path}/rotate-secret"), json!({})).await.expect(200);
        assert_ne!(rotated["secret"], made["secret"]);
        assert!(rotated["former_secret_until"].is_string());
        let key = "try-it-once";
        let test = || admin.post(&format!("{path}/test"), json!({})).header("idempotency-key", key);
        let tried = test().await.expect(201);
        assert_eq!(test().await.expect(201).id(), tried.id());
        let got = receiver.gets(1).await;
        assert_eq!(got[0].body["type"], "webhook.test");
        let signatures: Vec<&str> = got[0].headers["webhook-signature"].split(' ').collect();
        assert!(signatures.len() == 2 && signatures[0] != signatures[1], "{signatures:?}");
        assert_eq!(deliveries(&admin, &made, "").await.len(), 1, "once is once");
        admin.get(tried.expect_header("location")).await.expect(200);
        admin.delete(&path).await.expect(204);
        admin.delete(&path).await.expect(404);
        admin.get(tried.expect_header("location")).await.expect(404);
        admin.get(&format!("{path}/deliveries/")).await.expect(404);
    }

    async fn webhooks_are_replaced_patched_and_refused_field_by_field(backend: Backend) {
        let server = Server::start_with(backend, options()).await;
        let admin = server.admin().await;
        let url = "https://hooks.example.com/services/T0/secret-token";
        let made = hook(&admin, url, json!({"shape": "slack"})).await;
        let path = made.expect_header("location").to_owned();
        assert_has(&made, json!({
            "url": url, "min_severity": "info", "equipment": [], "equipment_types": [], "enabled": true, "version": 1,
        }));
        assert_eq!(made["events"].as_array().unwrap().len(), 5);
        let patched = admin.patch(&path, json!({"min_severity": "critical"})).header("if-match", "\"1\"").await;
        assert_has(&patched.expect(200), json!({"version": 2, "shape": "slack", "min_severity": "critical"}));
        admin.patch(&path, json!({"name": "x"})).header("if-match", "\"1\"").await.expect(412);
        let put = admin.put(&path, json!({"name": "New", "url": "https://example.com"})).await.expect(200);
        assert_has(&put, json!({"name": "New", "shape": "generic", "min_severity": "info", "version": 3}));
        let refused: [(Value, &[(&str, &str)]); 12] = [
            (json!({"url": null}), &[("url", "required")]),
            (json!({"url": "ftp://example.com"}), &[("url", "url")]),
            (json!({"url": "https://anna:pw@example.com"}), &[("url", "url")]),
            (json!({"url": "http://10.0.0.1/"}), &[("url", "forbidden_address")]),
            (json!({"url": "https://[::ffff:169.254.169.254]/latest"}), &[("url", "forbidden_address")]),
            (json!({"url": "http://1.1.1.1/"}), &[("url", "forbidden_address")]),
            (json!({"shape": "round"}), &[("shape", "unknown")]),
            (json!({"events": []}), &[("events", "too_few")]),
            (json!({"events": ["webhook.test"]}), &[("events.0", "unknown")]),
            (json!({"equipment": [999_999]}), &[("equipment", "unknown")]),
            (json!({"min_severity": "loud", "enabled": "yes"}), &[("min_severity", "unknown"), ("enabled", "type")]),
            (json!({"secret": "whsec_mine"}), &[("secret", "unknown_field")]),
        ];
        for (otherwise, flaws) in refused {
            let webhook = tests::plant::with(json!({"name": "Bad", "url": "https://example.com"}), otherwise);
            admin.post(WEBHOOKS, webhook).await.expect_flaws(flaws);
        }
        assert_eq!(admin.get("/api/webhooks?shape=generic&name=NEW").await.expect(200)["count"], 1);
        assert_eq!(admin.get("/api/webhooks?enabled=false").await.expect(200)["count"], 0);
        admin.get("/api/webhooks?colour=red").await.expect_problem(400, "unknown_parameter");
        let reader = server.permitted("rita", &["settings:read"]).await;
        admin.patch(&path, json!({"url": url})).await.expect(200);
        assert_eq!(reader.get(&path).await.expect(200)["url"], "https://hooks.example.com/…");
        reader.post(WEBHOOKS, json!({"name": "x", "url": "https://example.com"})).await.expect(403);
        let trail = admin.get("/api/audit/?subject=webhook").await.expect(200);
        assert!(!trail.json.to_string().contains("secret-token"), "an address may be a secret");
    }

    async fn a_name_that_leads_into_the_house_is_not_followed(backend: Backend) {
        let strict = options().set("TECHTRACK_WEBHOOKS_ALLOWED_NETWORKS", "192.0.2.0/24");
        let server = Server::start_with(backend, strict).await;
        let admin = server.admin().await;
        let receiver = Receiver::new().await;
        admin.post(WEBHOOKS, json!({"name": "x", "url": receiver.url()})).await.expect(422);
        let made = hook(&admin, &receiver.url().replace("127.0.0.1", "localhost"), json!({})).await;
        admin.post(&format!("{WEBHOOKS}{}/test", made.id()), json!({})).await.expect(201);
        let tried = until("a try", LONG, async || {
            deliveries(&admin, &made, "").await[0]["attempts"].get(0).cloned()
        })
        .await;
        assert!(tried["error"].as_str().unwrap().contains("webhooks.allowed_networks"), "{tried}");
        assert!(receiver.got().is_empty());
    }
}

/// Where several servers are at work on one database, each delivery is sent by one of them.
#[tokio::test]
async fn servers_on_one_database_share_the_work() {
    let installation = Installation::new(Backend::Postgres).await;
    let servers = [installation.serve(options()).await, installation.serve(options()).await];
    let admin = servers[0].admin().await;
    let receiver = Receiver::new().await;
    hook(&admin, &receiver.url(), json!({})).await;
    let press = admin.machine_called("Press").await;
    for _ in 0..40 {
        alert(&admin, press.id, "warning").await;
    }
    let got = receiver.gets(40).await;
    let mut times = BTreeMap::new();
    got.iter().for_each(|delivered| *times.entry(delivered.message()).or_insert(0) += 1);
    assert!(times.values().all(|times| *times == 1), "{times:?}");
}

/// More receivers that never answer than there are places for what is on its way.
#[tokio::test]
async fn receivers_that_never_answer_keep_nobody_else_waiting() {
    let server = Server::start_with(Backend::Sqlite, options()).await;
    let admin = server.admin().await;
    let press = admin.machine_called("Press").await;
    let away = Receiver::new().await;
    away.fall_silent();
    let mut silent = Vec::new();
    for number in 0..20 {
        silent.push(hook(&admin, &away.url(), json!({"name": format!("Away {number}")})).await);
    }
    alert(&admin, press.id, "warning").await;
    for webhook in &silent {
        until("a try to fail", LONG, async || {
            let log = deliveries(&admin, webhook, "").await;
            (log[0]["tries"].as_u64() >= Some(1)).then_some(())
        })
        .await;
    }
    // By now all are known to be silent, and are tried again and again.
    let receiver = Receiver::new().await;
    hook(&admin, &receiver.url(), json!({"name": "There"})).await;
    away.keeps_waiting(1).await;
    for told in 1..=5 {
        alert(&admin, press.id, "warning").await;
        let soon = Duration::from_secs(4);
        until("news to arrive", soon, async || (receiver.got().len() >= told).then_some(())).await;
    }
}
