//! Trying a rule on history: it tells the alerts that judging live would have raised.

use tests::plant::{Machine, second, with};
use tests::{Backend, Client, Server, Value, json, stories};

/// Temperatures of an hour, a minute apart, now and then too hot.
fn hour() -> Vec<(i64, f64)> {
    (0..60).map(|minute| (minute * 60, 60.0 + ((minute * 37) % 50) as f64)).collect()
}

const FIELDS: [&str; 6] = ["timestamp", "began_at", "value", "last_seen_at", "occurrences", "resolved_at"];

fn told(alert: &Value) -> Vec<Value> {
    FIELDS.map(|field| alert[field].clone()).into()
}

/// What a preview of this rule over the hour tells.
async fn previewed(by: &Client, rule: &Value) -> Vec<Vec<Value>> {
    let trial = with(rule.clone(), json!({"from": second(0), "to": second(3600)}));
    let preview = by.post("/api/alert-rules/preview", trial).await.expect(200);
    assert_eq!(
        (&preview["cut"], &preview["from"], &preview["to"]),
        (&json!(false), &json!(second(0)), &json!(second(3600)))
    );
    preview["alerts"].as_array().unwrap().iter().map(told).collect()
}

async fn raised(by: &Client, machine: &Machine) -> Vec<Vec<Value>> {
    by.alerts(&format!("equipment={}", machine.id)).await.iter().map(told).collect()
}

stories! {
    async fn a_preview_tells_what_judging_live_then_raises(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let otherwise = [
            json!({}), json!({"clear_threshold": 70}), json!({"for_seconds": 120, "threshold": 70}), json!({"latch": true}),
            json!({"operator": "outside", "threshold_high": 90, "clear_threshold": 2}),
            json!({"operator": "<=", "threshold": 65}),
        ];
        for otherwise in otherwise {
            let press = admin.machine_called("Press").await;
            let rule = json!({"name": "Trial", "metric": "temperature", "operator": ">", "threshold": 80});
            let rule = with(with(rule, json!({"equipment": press.id})), otherwise);
            admin.report(&press, &hour()).await;
            let expected = previewed(&admin, &rule).await;
            assert!(!expected.is_empty(), "{rule}");
            assert!(raised(&admin, &press).await.is_empty(), "a preview raises nothing");
            // The same history, live.
            let ids = admin.get(&press.its("data?page_size=100")).await.column("id");
            for id in ids {
                admin.delete(&format!("/api/data/{}", id.as_str().unwrap())).await.expect(204);
            }
            admin.post("/api/alert-rules", rule.clone()).await.expect(201);
            admin.report(&press, &hour()).await;
            assert_eq!(raised(&admin, &press).await, expected, "{rule}");
        }
        assert_eq!(admin.get("/api/alert-rules?name=Trial").await["count"], 6, "a preview stores no rule");
    }

    async fn a_preview_is_about_what_the_rule_is_about_and_the_time_asked_for(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let press = admin.machine_called("Press").await;
        let robot = admin.machine_with(json!({"name": "Robot", "type": "robot"})).await;
        for machine in [&press, &robot] {
            admin.report(machine, &[(0, 90.0), (10, 20.0), (20, 91.0), (30, 20.0)]).await;
        }
        let rule = json!({"name": "Trial", "metric": "temperature", "operator": ">", "threshold": 80, "enabled": false});
        let of = |trial: Value| async {
            let preview = admin.post("/api/alert-rules/preview", with(rule.clone(), trial)).await.expect(200);
            let alerts = preview["alerts"].as_array().unwrap().clone();
            alerts.iter().map(|alert| (alert["equipment"].clone(), alert["timestamp"].clone())).collect::<Vec<_>>()
        };
        let at = |machine: &Machine, number: i64| (json!(machine.id), json!(second(number)));
        let span = |from: i64, to: i64| json!({"from": second(from), "to": second(to)});
        assert_eq!(of(span(0, 100)).await, [at(&press, 0), at(&press, 20), at(&robot, 0), at(&robot, 20)]);
        assert_eq!(of(span(1, 20)).await, []);
        assert_eq!(of(with(span(1, 21), json!({"equipment_type": "ROBOT"}))).await, [at(&robot, 20)]);
        assert_eq!(of(with(span(0, 100), json!({"equipment": press.id}))).await, [at(&press, 0), at(&press, 20)]);
        // Without an end it goes on until now.
        assert_eq!(of(json!({"from": second(15)})).await, [at(&press, 20), at(&robot, 20)]);
        let silence = json!({"name": "Silent", "kind": "no_data", "for_seconds": 8, "equipment": press.id});
        let silence = admin.post("/api/alert-rules/preview", with(silence, span(0, 40))).await.expect(200);
        let silences = silence["alerts"].as_array().unwrap().iter();
        let raised: Vec<Value> = silences.map(|alert| alert["timestamp"].clone()).collect();
        assert_eq!(raised, [8, 18, 28, 38].map(|at| json!(second(at))), "{}", silence.json);
    }

    async fn what_makes_no_sense_is_not_previewed(backend: Backend) {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        let rule = json!({"name": "Trial", "metric": "temperature", "operator": ">", "threshold": 80});
        let preview = |trial: Value| admin.post("/api/alert-rules/preview", with(rule.clone(), trial)).into_future();
        preview(json!({})).await.expect_flaws(&[("from", "required")]);
        preview(json!({"from": second(0), "to": second(0)})).await.expect_flaws(&[("to", "too_early")]);
        preview(json!({"from": "2024-05-06T07:00:00", "clear_threshold": 90}))
            .await
            .expect_flaws(&[("clear_threshold", "too_high"), ("from", "instant")]);
        preview(json!({"from": second(0), "equipment": 999_999})).await.expect_flaws(&[("equipment", "unknown")]);
        let reader = server.permitted("reader", &["rules:read"]).await;
        let trial = with(rule.clone(), json!({"from": second(0)}));
        reader.post("/api/alert-rules/preview", trial).await.expect_problem(403, "permission_required");
    }
}
