//! Alerts: raised by rules or by hand, counted, looked after, over.

use std::time::Duration;
use tests::patience::until;
use tests::plant::{Machine, floats, from_now, second};
use tests::{Backend, Client, Server, Value, assert_has, json, stories};

/// What there is to say about each alert: raised, value, last seen, occurrences, status, ended.
async fn told(by: &Client, machine: &Machine) -> Vec<Value> {
    let alerts = by.alerts(&format!("equipment={}", machine.id)).await;
    let fields = ["timestamp", "value", "last_seen_at", "occurrences", "status", "resolved_at"];
    alerts.iter().map(|alert| fields.iter().map(|field| floats(&alert[field])).collect()).collect()
}

fn open(raised: i64, value: f64, seen: i64, occurrences: u64) -> Value {
    floats(&json!([second(raised), value, second(seen), occurrences, "open", null]))
}

fn over(raised: i64, value: f64, seen: i64, occurrences: u64, ended: i64) -> Value {
    floats(&json!([second(raised), value, second(seen), occurrences, "resolved", second(ended)]))
}

/// What happened to an alert: change, by whom, status afterwards, note.
async fn timeline(by: &Client, alert: &str) -> Vec<Value> {
    let entries = by.get(&format!("{alert}/timeline")).await.expect(200);
    let entries = entries["results"].as_array().unwrap().clone();
    entries
        .iter()
        .map(|entry| {
            ["change", "by", "status", "note"].map(|field| entry[field].clone()).into_iter().collect()
        })
        .collect()
}

/// The address of the only alert.
async fn only(by: &Client) -> String {
    let alerts = by.alerts("").await;
    assert_eq!(alerts.len(), 1);
    format!("/api/alerts/{}", alerts[0]["id"])
}

stories! {
    async fn a_breach_raises_further_ones_count_and_a_good_value_ends_it(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let rule = admin.rule(json!({"severity": "critical"})).await;
        admin.report(&press, &[(0, 80.0)]).await;
        assert!(told(&admin, &press).await.is_empty(), "the threshold itself is not above it");
        admin.report(&press, &[(1, 81.5)]).await;
        let alert = admin.alerts("").await[0].clone();
        assert_has(&alert, json!({"rule": rule["id"], "rule_version": 1}));
        assert_has(&alert, json!({"metric": "temperature", "severity": "critical"}));
        let described = alert["description"].as_str().unwrap();
        assert!(described.contains("Too hot") && described.contains("81.5"), "{described}");
        admin.report(&press, &[(2, 82.0), (3, 83.0)]).await;
        assert_eq!(told(&admin, &press).await, [open(1, 81.5, 3, 3)]);
        admin.report(&press, &[(4, 79.0)]).await;
        admin.report(&press, &[(5, 78.0)]).await;
        assert_eq!(told(&admin, &press).await, [over(1, 81.5, 3, 3, 4)]);
        admin.report(&press, &[(6, 99.0)]).await;
        assert_eq!(told(&admin, &press).await, [over(1, 81.5, 3, 3, 4), open(6, 99.0, 6, 1)]);
        let first = format!("/api/alerts/{}", alert["id"]);
        let steps = [json!(["raised", null, "open", null]), json!(["resolved", null, "resolved", null])];
        assert_eq!(timeline(&admin, &first).await, steps);
    }

    async fn every_operator_breaches_where_it_says(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let cases: [(Value, [usize; 5]); 5] = [
            (json!({"operator": ">"}), [0, 0, 0, 1, 1]),
            (json!({"operator": ">="}), [0, 0, 1, 1, 1]),
            (json!({"operator": "<"}), [1, 1, 0, 0, 0]),
            (json!({"operator": "<="}), [1, 1, 1, 0, 0]),
            (json!({"operator": "outside", "threshold_high": 90}), [1, 1, 0, 0, 1]),
        ];
        for (case, expected) in cases {
            let rule = admin.rule(case.clone()).await;
            for (value, expected) in [-5.0, 79.999, 80.0, 90.0, 90.001].into_iter().zip(expected) {
                let press = admin.machine_called("Press").await;
                admin.report(&press, &[(0, value)]).await;
                assert_eq!(told(&admin, &press).await.len(), expected, "{value} by {case}");
            }
            admin.delete(rule.expect_header("location")).await.expect(204);
        }
    }

    async fn with_a_clear_threshold_an_alert_stays_until_the_value_is_back_that_far(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        admin.rule(json!({"clear_threshold": 75})).await;
        admin.report(&press, &[(0, 81.0), (1, 78.0)]).await;
        assert_eq!(told(&admin, &press).await, [open(0, 81.0, 0, 1)]);
        admin.report(&press, &[(2, 82.0), (3, 75.5), (4, 75.0)]).await;
        assert_eq!(told(&admin, &press).await, [over(0, 81.0, 2, 2, 4)]);
    }

    async fn a_breach_must_last_as_long_as_the_rule_waits(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        admin.rule(json!({"for_seconds": 60})).await;
        for (second, value) in [(0, 81.0), (30, 79.0), (60, 82.0), (119, 83.0)] {
            admin.report(&press, &[(second, value)]).await;
        }
        assert!(told(&admin, &press).await.is_empty());
        admin.report(&press, &[(120, 84.0)]).await;
        assert_eq!(told(&admin, &press).await, [open(120, 84.0, 120, 3)]);
        assert_eq!(admin.alerts("").await[0]["began_at"], second(60));
    }

    async fn a_latched_alert_stays_until_somebody_resolves_it(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        admin.rule(json!({"latch": true})).await;
        admin.report(&press, &[(0, 81.0), (1, 20.0), (2, 90.0), (3, 20.0)]).await;
        assert_eq!(told(&admin, &press).await, [open(0, 81.0, 2, 2)]);
        admin.post(&format!("{}/resolve", only(&admin).await), json!({})).await.expect(200);
        admin.report(&press, &[(4, 20.0)]).await;
        assert_eq!(admin.alerts("status=open").await.len(), 0);
    }

    /// Readings of one machine: a breach, more of it, a dip that a clear threshold outlasts, an end, another one. In any
    /// order of arrival, one by one or in batches, the alerts are in the end the same.
    async fn whatever_order_readings_arrive_in_the_alerts_are_the_same(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        admin.rule(json!({"clear_threshold": 75, "for_seconds": 2})).await;
        let temperatures = [70.0, 81.0, 85.0, 86.0, 78.0, 88.0, 70.0, 90.0, 91.0, 95.0];
        let expected = [over(3, 86.0, 5, 4, 6), open(9, 95.0, 9, 3)];
        let orders: [[usize; 10]; 6] = [
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0], [5, 0, 9, 3, 7, 1, 8, 2, 6, 4],
            [6, 9, 0, 1, 8, 7, 2, 5, 3, 4], [3, 2, 1, 9, 8, 7, 4, 5, 6, 0], [8, 3, 6, 1, 9, 4, 0, 7, 2, 5],
        ];
        for order in orders {
            for together in [1, 3] {
                let press = admin.machine_called("Press").await;
                for batch in order.chunks(together) {
                    let batch: Vec<(i64, f64)> =
                        batch.iter().map(|second| (*second as i64, temperatures[*second])).collect();
                    admin.report(&press, &batch).await;
                }
                assert_eq!(told(&admin, &press).await, expected, "{order:?} by {together}");
            }
        }
    }

    async fn late_data_may_end_an_alert_move_it_or_withdraw_it(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        admin.rule(json!({"for_seconds": 10})).await;
        admin.report(&press, &[(0, 81.0), (10, 82.0)]).await;
        assert_eq!(told(&admin, &press).await, [open(10, 82.0, 10, 2)]);
        let alert = only(&admin).await;
        admin.report(&press, &[(-5, 83.0)]).await;
        assert_eq!(told(&admin, &press).await, [open(10, 82.0, 10, 3)]);
        assert_eq!(admin.get(&alert).await["began_at"], second(-5));
        // It was good in between, so it never lasted ten seconds.
        admin.report(&press, &[(5, 20.0)]).await;
        assert!(told(&admin, &press).await.is_empty());
        admin.get(&alert).await.expect_problem(404, "not_found");
        // The same again, but somebody looked after it meanwhile: it stays, and says why it is over.
        let other = admin.machine_called("Other").await;
        admin.report(&other, &[(0, 81.0), (10, 82.0)]).await;
        let alert = only(&admin).await;
        admin.post(&format!("{alert}/acknowledge"), json!({"note": "On my way"})).await.expect(200);
        admin.report(&other, &[(5, 20.0)]).await;
        let left = admin.get(&alert).await.expect(200);
        assert_has(&left, json!({"status": "resolved", "resolved_by": null, "note": "On my way"}));
        assert_eq!(timeline(&admin, &alert).await.last().unwrap()[0], "withdrawn");
    }

    async fn a_replaced_or_deleted_reading_is_judged_anew(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        admin.rule(json!({})).await;
        admin.report(&press, &[(0, 81.0), (1, 82.0), (2, 20.0)]).await;
        assert_eq!(told(&admin, &press).await, [over(0, 81.0, 1, 2, 2)]);
        let ids = admin.get(&press.its("data")).await.column("id");
        let reading = |number: usize| format!("/api/data/{}", ids[2 - number].as_str().unwrap());
        admin.post("/api/data?on_conflict=replace", press.at(2, 99.0)).await.expect(200);
        assert_eq!(told(&admin, &press).await, [open(0, 81.0, 2, 3)]);
        admin.put(&reading(0), press.at(0, 20.0)).await.expect(200);
        assert_eq!(told(&admin, &press).await, [open(1, 82.0, 2, 2)]);
        admin.delete(&reading(1)).await.expect(204);
        assert_eq!(told(&admin, &press).await, [open(2, 99.0, 2, 1)]);
        admin.delete(&reading(2)).await.expect(204);
        assert!(told(&admin, &press).await.is_empty());
    }

    async fn readings_far_behind_the_newest_are_stored_and_raise_nothing(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        admin.rule(json!({})).await;
        const WEEK: i64 = 7 * 24 * 60 * 60;
        admin.report(&press, &[(WEEK + 1, 20.0)]).await;
        admin.report(&press, &[(0, 90.0)]).await;
        assert!(told(&admin, &press).await.is_empty());
        admin.report(&press, &[(1, 91.0), (2, 20.0)]).await;
        assert_eq!(told(&admin, &press).await.len(), 1, "exactly a week is not too old");
    }

    async fn an_alert_goes_from_open_to_acknowledged_to_resolved(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let olga = server.permitted("olga", &["alerts:read", "alerts:acknowledge"]).await;
        let press = admin.machine_called("Press").await;
        admin.rule(json!({})).await;
        admin.report(&press, &[(0, 81.0)]).await;
        let alert = only(&admin).await;
        let (acknowledge, resolve) = (format!("{alert}/acknowledge"), format!("{alert}/resolve"));
        let taken = olga.post(&acknowledge, json!({"note": "On my way"})).await.expect(200);
        assert_has(&taken, json!({"status": "acknowledged", "acknowledged_by": "olga"}));
        assert_eq!((&taken["note"], taken["acknowledged_at"].is_string()), (&json!("On my way"), true));
        let again = admin.post(&acknowledge, json!({"note": "Me too"})).await.expect(200);
        assert_eq!(again.json, taken.json, "to acknowledge again changes nothing");
        // What is acknowledged is counted on.
        admin.report(&press, &[(1, 82.0)]).await;
        let counted = admin.get(&alert).await.expect(200);
        assert_has(&counted, json!({"status": "acknowledged", "occurrences": 2}));
        let done = olga.call(tests::Method::POST, &resolve).await.expect(200);
        assert_has(&done, json!({"status": "resolved", "resolved_by": "olga"}));
        let again = admin.post(&resolve, json!({"note": "Late"})).await.expect(200);
        assert_eq!(again.json, done.json, "to resolve again changes nothing");
        admin.post(&acknowledge, json!({})).await.expect_problem(409, "illegal_transition");
        assert_eq!(admin.get(&alert).await.json, done.json);
        assert_eq!(timeline(&admin, &alert).await, [
            json!(["raised", null, "open", null]),
            json!(["acknowledged", "olga", "acknowledged", "On my way"]),
            json!(["resolved", "olga", "resolved", null]),
        ]);
        admin.delete(&olga.path()).await.expect(204);
        assert_eq!(admin.get(&alert).await["resolved_by"], "olga", "names stay when accounts go");
        // What a person resolved stays so; the next breach is another alert.
        admin.report(&press, &[(2, 83.0)]).await;
        assert_eq!(admin.alerts("").await.len(), 1, "it came before the resolution, by its own time");
        let now = json!({"equipment": press.id, "timestamp": from_now(60), "values": {"temperature": 84}});
        admin.post("/api/data", now).await.expect(201);
        assert_eq!(admin.alerts("status=open").await.len(), 1);
        assert_eq!(admin.get(&alert).await["status"], "resolved");
    }

    async fn an_open_alert_may_be_resolved_at_once_and_by_whoever_may(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let client = server.newcomer("carl").await;
        let press = admin.machine_called("Press").await;
        admin.rule(json!({})).await;
        admin.report(&press, &[(0, 81.0)]).await;
        let alert = only(&admin).await;
        for act in ["acknowledge", "resolve"] {
            client.post(&format!("{alert}/{act}"), json!({})).await.expect_problem(403, "permission_required");
            admin.post(&format!("/api/alerts/999999/{act}"), json!({})).await.expect_problem(404, "not_found");
            let bad = json!({"note": "x".repeat(1001)});
            admin.post(&format!("{alert}/{act}"), bad).await.expect_flaws(&[("note", "too_long")]);
        }
        let done = admin.post(&format!("{alert}/resolve"), json!({"note": "False alarm"})).await.expect(200);
        assert_has(&done, json!({"status": "resolved", "note": "False alarm"}));
        assert!(done["acknowledged_by"].is_null() && done["acknowledged_at"].is_null());
    }

    async fn people_raise_alerts_themselves(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_with(json!({"name": "Press", "type": "press", "serial_number": "HP-1"})).await;
        admin.post("/api/alerts", json!({})).await.expect_flaws(&[("description", "required"), ("equipment", "required")]);
        let bare = json!({"equipment": press.id, "description": "Oil on the floor"});
        let made = admin.post("/api/alerts/", bare).await.expect(201);
        let expected = json!({
            "equipment": press.id, "rule": null, "rule_version": null, "metric": null, "value": null, "status": "open",
            "severity": "warning", "description": "Oil on the floor", "occurrences": 1, "note": null, "version": 1,
        });
        assert_has(&made, expected);
        let alert = made.expect_header("location").to_owned();
        assert_eq!(admin.get(&alert).await.expect(200).json, made.json);
        let whole = json!({
            "equipment": press.id, "description": "Smells\nof smoke 🔥", "severity": "critical", "timestamp": second(0),
            "metric": "temperature", "value": 99.5, "note": "Called the fire brigade",
        });
        let made = admin.post("/api/alerts", whole.clone()).await.expect(201);
        assert_has(&made, whole);
        let by_serial = json!({"equipment": "hp-1", "description": "Noise", "severity": "info"});
        let by_serial = admin.post("/api/alerts", by_serial).await.expect(201);
        assert_eq!(by_serial["equipment"], press.id);
        admin.delete(by_serial.expect_header("location")).await.expect(204);
        // Several of them may be open on one machine, and readings do not end them.
        admin.report(&press, &[(0, 20.0)]).await;
        assert_eq!(admin.alerts("status=open").await.len(), 2);
        assert_eq!(timeline(&admin, &alert).await, [json!(["raised", "admin", "open", null])]);
        let bad = json!({
            "equipment": 999_999, "description": "x", "timestamp": from_now(3600), "severity": "loud", "value": "hot",
        });
        let flaws = admin.post("/api/alerts", bad).await.expect(422).flaws();
        assert!(flaws.iter().any(|(field, _)| field == "severity") && flaws.iter().any(|(field, _)| field == "value"));
        let nowhere = json!({"equipment": 999_999, "description": "x"});
        admin.post("/api/alerts", nowhere).await.expect_flaws(&[("equipment", "unknown")]);
        let ahead = json!({"equipment": press.id, "description": "x", "timestamp": from_now(3600)});
        admin.post("/api/alerts", ahead).await.expect_flaws(&[("timestamp", "future")]);
        assert_eq!(admin.get("/api/alerts").await["count"], 2);
    }

    async fn what_an_alert_says_is_corrected_and_noted(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let made = admin.post("/api/alerts", json!({"equipment": press.id, "description": "Oil"})).await.expect(201);
        let alert = made.expect_header("location").to_owned();
        let noted = admin.patch(&alert, json!({"note": "Under the pump"})).await.expect(200);
        assert_has(&noted, json!({"note": "Under the pump", "version": 2}));
        let edited = admin.put(&alert, json!({"description": "Oil everywhere", "severity": "critical"})).await.expect(200);
        assert_has(&edited, json!({"description": "Oil everywhere", "severity": "critical", "note": null}));
        admin.put(&alert, json!({"note": "x"})).await.expect_flaws(&[("description", "required")]);
        // How far it has come is not edited but acted on.
        let read = admin.get(&alert).await.expect(200).json;
        let mut sent = read.clone();
        sent["status"] = json!("resolved");
        assert_eq!(admin.put(&alert, sent).await.expect(200)["status"], "open");
        admin.patch(&alert, json!({"note": "x"})).header("if-match", "\"1\"").await.expect_problem(412, "stale_version");
        let changes: Vec<Value> = timeline(&admin, &alert).await.iter().map(|entry| entry[0].clone()).collect();
        assert_eq!(changes[..2], [json!("raised"), json!("noted")]);
        admin.delete(&alert).header("if-match", "\"1\"").await.expect_problem(412, "stale_version");
        admin.delete(&alert).await.expect(204);
        admin.delete(&alert).await.expect_problem(404, "not_found");
        admin.get(&format!("{alert}/timeline")).await.expect_problem(404, "not_found");
    }

    async fn alerts_are_found_by_what_they_say(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [press, other] = [admin.machine_called("Press").await, admin.machine_called("Other").await];
        let rule = admin.rule(json!({"severity": "info"})).await.id();
        admin.report(&press, &[(10, 81.0), (11, 20.0)]).await;
        admin.report(&other, &[(20, 81.0)]).await;
        let manual = json!({
            "equipment": press.id, "description": "Oil", "severity": "critical", "timestamp": second(30), "note": "Pump",
        });
        let manual = admin.post("/api/alerts", manual).await.expect(201).id();
        admin.post(&format!("/api/alerts/{manual}/acknowledge"), json!({})).await.expect(200);
        let at = |query: String| query;
        let filters = [
            (at(format!("equipment={}", press.id)), vec![10, 30]),
            (at(format!("equipment={}&equipment={}", press.id, other.id)), vec![10, 20, 30]),
            (at(format!("rule={rule}")), vec![10, 20]),
            (at("severity=info&status=open".into()), vec![20]),
            (at("status=resolved&status=acknowledged".into()), vec![10, 30]),
            (at("metric=temperature".into()), vec![10, 20]),
            (at(format!("timestamp__gte={}&timestamp__lt={}", second(20), second(30))), vec![20]),
            (at("search=OIL".into()), vec![30]),
            (at("search=pump".into()), vec![30]),
            (at("search=too%20hot".into()), vec![10, 20]),
        ];
        for (filter, expected) in filters {
            let found: Vec<Value> = admin.alerts(&filter).await.iter().map(|alert| alert["timestamp"].clone()).collect();
            let expected: Vec<Value> = expected.into_iter().map(|at| json!(second(at))).collect();
            assert_eq!(found, expected, "{filter}");
        }
        let orders = [
            ("severity,id", [10, 20, 30]), ("-severity,-id", [30, 20, 10]), ("status,id", [20, 30, 10]),
            ("-timestamp", [30, 20, 10]),
        ];
        for (order, expected) in orders {
            let found = admin.get(&format!("/api/alerts?ordering={order}")).await.expect(200);
            assert_eq!(found.column("timestamp"), expected.map(second), "{order}");
        }
        let bad = "severity=loud&status=closed&rule=x&metric=Temp&timestamp__gte=2024-05-06T07:00:00";
        admin.get(&format!("/api/alerts?{bad}")).await.expect_flaws(&[
            ("severity", "unknown"), ("status", "unknown"), ("rule", "type"), ("metric", "metric"),
            ("timestamp__gte", "instant"),
        ]);
    }

    async fn silence_of_one_metric_is_told_of_machines_that_measured_it(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [press, other] = [admin.machine_called("Press").await, admin.machine_called("Other").await];
        let now = |machine: &Machine, metric: &str| {
            let mut reading = json!({"equipment": machine.id, "values": {}});
            reading["values"][metric] = json!(1);
            admin.post("/api/data", reading).into_future()
        };
        now(&press, "temperature").await.expect(201);
        now(&other, "speed").await.expect(201);
        let rule = json!({
            "name": "Silent", "kind": "no_data", "metric": "temperature", "for_seconds": 2, "equipment_type": "press",
        });
        admin.post("/api/alert-rules", rule).await.expect(201);
        let raised = until("the silence to be told", Duration::from_secs(10), async || {
            // It says something else all the time.
            now(&press, "speed").await;
            admin.alerts("status=open").await.first().cloned()
        })
        .await;
        assert_has(&raised, json!({"equipment": press.id, "metric": "temperature"}));
        now(&press, "temperature").await.expect(201);
        assert!(admin.alerts("status=open").await.is_empty());
        assert!(admin.alerts(&format!("equipment={}", other.id)).await.is_empty(), "it owes nobody a temperature");
    }

    async fn silence_is_told_within_two_seconds_of_being_due_and_ends_with_a_sign_of_life(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let [press, off] = [
            admin.machine_called("Press").await,
            admin.machine_with(json!({"name": "Off", "type": "press", "status": "offline"})).await,
        ];
        let rule = json!({"name": "Silent", "kind": "no_data", "for_seconds": 2, "severity": "critical"});
        let rule = admin.post("/api/alert-rules", rule).await.expect(201);
        // Due two seconds after the rule, told two later; one more for a machine that is busy with other tests.
        let raised = until("the silence to be told", Duration::from_secs(5), async || {
            admin.alerts("status=open").await.first().cloned()
        })
        .await;
        assert_has(&raised, json!({"equipment": press.id, "rule": rule["id"], "value": null}));
        let instant = |value: &Value| chrono::DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap();
        let due = instant(&rule["in_force_since"]) + chrono::TimeDelta::seconds(2);
        assert_eq!(instant(&raised["timestamp"]), due);
        let late = instant(&raised["created_at"]) - due;
        assert!(late < chrono::TimeDelta::seconds(2), "told {late} late");
        // What it had kept from before does not end it; a sign of life does.
        admin.report(&press, &[(0, 20.0)]).await;
        assert_eq!(admin.alerts("status=open").await.len(), 1);
        admin.post("/api/data", json!({"equipment": press.id, "values": {"temperature": 20}})).await.expect(201);
        assert!(admin.alerts("status=open").await.is_empty());
        until("the next silence to be told", Duration::from_secs(6), async || {
            admin.alerts("status=open").await.first().cloned()
        })
        .await;
        assert_eq!(admin.alerts("").await.len(), 2);
        assert!(admin.alerts(&format!("equipment={}", off.id)).await.is_empty(), "what is switched off may be silent");
        admin.patch(&press.path(), json!({"status": "offline"})).await.expect(200);
        assert!(admin.alerts("status=open").await.is_empty());
    }
}
