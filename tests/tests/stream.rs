//! The stream of what happens right now.

use futures_util::future::join_all;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tests::events::{Event, Events};
use tests::plant::{Machine, second};
use tests::{Backend, Client, Installation, Method, Options, Server, Value, assert_has, json, stories};

/// A second, and some more for a machine that is busy with other tests.
const AT_ONCE: Duration = Duration::from_secs(3);

async fn watch(by: &Client, query: &str) -> Events {
    by.get(&format!("/api/stream{query}")).header("accept", "text/event-stream").events().await
}

/// Which machine an event is about, and what kind it is.
fn about(event: &Event) -> (String, i64) {
    let equipment = match event.name.as_str() {
        "alert" => &event.data["alert"]["equipment"],
        _ => &event.data["equipment"],
    };
    (event.name.clone(), equipment.as_i64().unwrap_or_else(|| panic!("{event:?} is about nothing")))
}

fn values_of(machine: &Machine) -> (String, i64) {
    ("values".to_owned(), machine.id)
}

fn alert_on(machine: &Machine) -> (String, i64) {
    ("alert".to_owned(), machine.id)
}

stories! {
    async fn a_watcher_sees_what_machines_report_and_what_becomes_of_alerts(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        admin.rule(json!({})).await;
        admin.report(&press, &[(0, 20.0)]).await;
        let mut events = watch(&admin, "").await;
        admin.report(&press, &[(1, 90.0)]).await;
        let values = events.next().await;
        assert_eq!(about(&values), values_of(&press), "what was before is not told");
        assert_has(&values.data, json!({"timestamp": second(1), "values": {"temperature": 90}}));
        let raised = events.next().await;
        let read = admin.get(&format!("/api/alerts/{}", raised.data["alert"]["id"])).await.expect(200);
        assert_eq!(raised.name, "alert");
        assert_has(&raised.data, json!({"change": "raised", "alert": read.json}));

        let alert = format!("/api/alerts/{}", read.id());
        admin.post(&format!("{alert}/acknowledge"), json!({})).await.expect(200);
        admin.patch(&alert, json!({"note": "On my way"})).await.expect(200);
        admin.patch(&alert, json!({"severity": "critical"})).await.expect(200);
        admin.report(&press, &[(2, 20.0)]).await;
        admin.delete(&alert).await.expect(204);
        let told = events.up_to(|event| event.data["change"] == "deleted").await;
        let told: Vec<&str> = told.iter().map(|event| event.data["change"].as_str().unwrap_or(&event.name)).collect();
        assert_eq!(told, ["acknowledged", "noted", "edited", "values", "resolved", "deleted"]);
        let manual = json!({"equipment": press.id, "description": "Oil"});
        admin.post("/api/alerts", manual).await.expect(201);
        assert_eq!(events.next().await.data["change"], "raised");
    }

    async fn of_a_batch_the_newest_reading_of_each_machine_is_told_and_late_ones_are_not(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [press, other] = [admin.machine_called("Press").await, admin.machine_called("Other").await];
        let mut events = watch(&admin, "").await;
        let batch = json!([press.at(5, 5.0), other.at(1, 1.0), press.at(9, 9.0), press.at(7, 7.0)]);
        admin.post("/api/data", batch).await.expect(201);
        let mut told = [events.next().await, events.next().await];
        told.sort_by_key(about);
        assert_eq!(told.iter().map(about).collect::<Vec<_>>(), [values_of(&press), values_of(&other)]);
        assert_eq!(told[0].data["timestamp"], second(9));
        admin.report(&press, &[(8, 8.0)]).await;
        admin.report(&press, &[(9, 9.0)]).await;
        admin.report(&press, &[(10, 10.0)]).await;
        assert_eq!(events.next().await.data["timestamp"], second(10));
    }

    async fn a_watcher_sees_the_equipment_asked_for(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let machines = join_all(["A", "B", "C"].map(|name| admin.machine_called(name))).await;
        let [a, b, c] = [&machines[0], &machines[1], &machines[2]];
        admin.rule(json!({})).await;
        let mut one = watch(&admin, &format!("?equipment={}", b.id)).await;
        let mut two = watch(&admin, &format!("?equipment={}&equipment={}", b.id, c.id)).await;
        for machine in [a, b, c, b] {
            let number = if machine.id == b.id { 90.0 } else { 20.0 };
            admin.report(machine, &[(0, number)]).await;
        }
        admin.report(b, &[(1, 20.0)]).await;
        let told = one.up_to(|event| event.data["change"] == "resolved").await;
        assert_eq!(told.iter().map(about).collect::<Vec<_>>(), [values_of(b), alert_on(b), values_of(b), alert_on(b)]);
        let told = two.up_to(|event| event.data["change"] == "resolved").await;
        let expected = [values_of(b), alert_on(b), values_of(c), values_of(b), alert_on(b)];
        assert_eq!(told.iter().map(about).collect::<Vec<_>>(), expected);
        admin.get("/api/stream?equipment=x").await.expect_flaws(&[("equipment", "type")]);
        admin.get("/api/stream?equipmnt=1").await.expect_problem(400, "unknown_parameter");
    }

    async fn whoever_comes_back_goes_on_without_gap_or_duplicate(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let mut events = watch(&admin, "").await;
        for number in 0..6 {
            admin.report(&press, &[(number, 20.0)]).await;
        }
        let mut told = Vec::new();
        for _ in 0..6 {
            told.push(events.next().await);
        }
        drop(events);
        for number in 6..12 {
            admin.report(&press, &[(number, 20.0)]).await;
        }
        let from = |event: &Event| admin.get("/api/stream").header("last-event-id", event.id.as_deref().unwrap());
        let mut again = from(&told[2]).events().await;
        let rest = again.up_to(|event| event.data["timestamp"] == second(11)).await;
        let instants: Vec<&Value> = rest.iter().map(|event| &event.data["timestamp"]).collect();
        assert_eq!(instants, (3..12).map(|number| json!(second(number))).collect::<Vec<_>>().iter().collect::<Vec<_>>());
        assert_eq!(rest[..3], told[3..], "an event is the same whenever it is told");
        admin.report(&press, &[(12, 20.0)]).await;
        assert_eq!(again.next().await.data["timestamp"], second(12), "after what was missed comes what happens");
        // From the last one there is nothing to tell but what is new.
        let mut fresh = from(&rest[8]).events().await;
        assert_eq!(fresh.next().await.data["timestamp"], second(12));
        for odd in ["x", "1", "-1-1", "01-1", "1-1-1", "99999999999999999999-1"] {
            let refused = admin.get("/api/stream").header("last-event-id", odd).await;
            assert_eq!(refused.status, 400, "{odd}");
        }
    }

    async fn whoever_loses_the_link_before_the_first_event_misses_none(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let mut events = watch(&admin, "").await;
        let beginning = events.beginning().await;
        drop(events);
        admin.report(&press, &[(0, 20.0)]).await;
        // Browsers that connect for the first time cannot send the header.
        let mut events = watch(&admin, &format!("?last_event_id={beginning}")).await;
        assert_eq!(events.next().await.data["timestamp"], second(0));
        // A place that never was, such as one of another database: what was missed is not known.
        let ahead = admin.get("/api/stream").header("last-event-id", "9000000000000000000-1");
        let mut events = ahead.events().await;
        assert_eq!(events.next().await.name, "reset");
        admin.report(&press, &[(1, 20.0)]).await;
        assert_eq!(events.next().await.data["timestamp"], second(1));
    }

    async fn of_many_things_at_once_each_is_told_once(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let machines = join_all((0..10).map(|number| {
            let name = format!("Press {number}");
            let admin = &admin;
            async move { admin.machine_called(&name).await }
        }))
        .await;
        let mut events = watch(&admin, "").await;
        for round in 0..5 {
            let reports = machines.iter().map(|machine| admin.post("/api/data", machine.at(round, 20.0)).into_future());
            for reply in join_all(reports).await {
                reply.expect(201);
            }
        }
        let mut told = Vec::new();
        while told.len() < 20 {
            told.push(events.next().await);
        }
        // The link breaks in the middle, and what was on its way is lost.
        drop(events);
        let last = told.last().and_then(|event| event.id.clone()).unwrap();
        let mut events = admin.get("/api/stream").header("last-event-id", &last).events().await;
        while told.len() < 50 {
            told.push(events.next().await);
        }
        let identities: BTreeSet<(i64, String)> =
            told.iter().map(|event| (about(event).1, event.data["timestamp"].to_string())).collect();
        let ids: BTreeSet<&Option<String>> = told.iter().map(|event| &event.id).collect();
        assert_eq!((identities.len(), ids.len()), (50, 50));
        admin.report(&machines[0], &[(9, 20.0)]).await;
        assert_eq!(events.next().await.data["timestamp"], second(9), "nothing was told twice");
    }

    async fn a_stream_ends_at_once_when_its_watcher_may_not_watch_any_more(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let [anna, ben, cleo, dora, emil] =
            ["anna", "ben", "cleo", "dora", "emil"].map(|name| server.newcomer(name));
        let (anna, ben, cleo, dora, emil) = (anna.await, ben.await, cleo.await, dora.await, emil.await);
        let key = json!({"name": "panel", "permissions": ["data:read"]});
        let key = emil.post("/api/api-keys", key).await.expect(201);
        let panel = emil.bearing(key.text("secret"));
        let ways = [
            ("logout", watch(&anna, "").await, anna.post("/api/logout", json!({}))),
            ("loss of the role", watch(&ben, "").await, admin.put(&format!("{}/roles", ben.path()), json!({"roles": []}))),
            ("disabling", watch(&cleo, "").await, admin.patch(&cleo.path(), json!({"is_active": false}))),
            ("deletion", watch(&dora, "").await, admin.delete(&dora.path())),
            ("revocation", watch(&panel, "").await, emil.delete(&format!("/api/api-keys/{}", key.id()))),
        ];
        let mut stays = watch(&emil, "").await;
        for (way, mut events, end) in ways {
            admin.report(&press, &[(0, 20.0)]).await;
            let reply = end.await;
            assert!(reply.status.is_success(), "{way}: {reply:?}");
            let started = Instant::now();
            let last = events.end_within(AT_ONCE).await;
            assert_eq!(last.last().map(|event| event.name.as_str()), Some("end"), "{way} after {:?}", started.elapsed());
        }
        admin.report(&press, &[(1, 20.0)]).await;
        stays.up_to(|event| event.data["timestamp"] == second(1)).await;
    }

    async fn one_sees_what_one_may_read_and_nothing_else(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        admin.rule(json!({})).await;
        let reader = server.permitted("reader", &["data:read"]).await;
        let watchman = server.permitted("watchman", &["alerts:read"]).await;
        let clerk = server.permitted("clerk", &["equipment:read", "users:read"]).await;
        clerk.get("/api/stream").await.expect_problem(403, "permission_required");
        server.anonymous().get("/api/stream").await.expect_problem(401, "unauthenticated");
        let (mut readings, mut alerts) = (watch(&reader, "").await, watch(&watchman, "").await);
        admin.report(&press, &[(0, 90.0)]).await;
        admin.report(&press, &[(1, 20.0)]).await;
        let told = [readings.next().await, readings.next().await];
        assert_eq!(told.map(|event| about(&event)), [values_of(&press), values_of(&press)]);
        let told = [alerts.next().await, alerts.next().await];
        assert_eq!(told.map(|event| event.data["change"].clone()), [json!("raised"), json!("resolved")]);
    }

    async fn a_limited_key_sees_its_own_equipment_alone(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [own, other] = [admin.machine_called("Own").await, admin.machine_called("Other").await];
        admin.rule(json!({})).await;
        let body = json!({"name": "panel", "permissions": ["data:read", "alerts:read"], "equipment": [own.id]});
        let key = admin.post("/api/api-keys", body).await.expect(201);
        let panel = admin.bearing(key.text("secret"));
        let mut all = watch(&panel, "").await;
        let mut beyond = watch(&panel, &format!("?equipment={}&equipment={}", other.id, own.id)).await;
        admin.report(&other, &[(0, 90.0)]).await;
        admin.report(&own, &[(0, 91.0)]).await;
        for events in [&mut all, &mut beyond] {
            let told = [events.next().await, events.next().await];
            assert_eq!(told.map(|event| about(&event)), [values_of(&own), alert_on(&own)]);
        }
    }

    async fn a_quiet_stream_is_kept_alive(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let mut events = watch(&admin, "").await;
        for _ in 0..2 {
            events.comment_within(Duration::from_secs(17)).await;
        }
        let head = admin.call(Method::HEAD, "/api/stream").await.expect(200);
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
    }

    async fn a_server_that_stops_does_not_wait_for_its_watchers(backend: Backend) {
        let installation = Installation::new(backend).await;
        let server = installation.serve(Options::default()).await;
        let admin = server.admin().await;
        let mut events = watch(&admin, "").await;
        let started = Instant::now();
        let stopped = server.stop().await;
        assert!(stopped.status.success(), "{stopped:?}");
        assert!(started.elapsed() < Duration::from_secs(10), "it took {:?}", started.elapsed());
        events.end_within(AT_ONCE).await;
    }
}
