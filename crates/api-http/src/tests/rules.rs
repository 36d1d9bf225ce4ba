//! Alert rules: written, changed, tried.

use super::face::{ask, get, str_of};
use super::plant::Plant;
use crate::turns::Class;
use domain::ports::Clock;
use serde_json::{Value, json};
use std::time::Duration;

fn too_hot() -> Value {
    json!({"name": "Too hot", "equipment_type": "robot", "metric": "temperature", "operator": ">", "threshold": 80,
        "clear_threshold": 75, "for_seconds": 60, "severity": "critical"})
}

impl Plant {
    async fn made(&self, draft: &Value) -> Value {
        self.send(ask("POST", "/api/alert-rules/").by(&self.admin).json(draft)).await.expect(201).json()
    }

    async fn refused(&self, draft: &Value) -> Vec<String> {
        self.send(ask("POST", "/api/alert-rules/").by(&self.admin).json(draft)).await.blamed(422)
    }

    async fn patched(&self, rule: &Value, change: &Value) -> Value {
        let path = format!("/api/alert-rules/{}", rule["id"]);
        self.send(ask("PATCH", &path).by(&self.admin).json(change)).await.expect(200).json()
    }
}

/// The parts of a rule that a test is about.
fn parts(rule: &Value, names: &[&str]) -> Value {
    names
        .iter()
        .map(|name| ((*name).to_owned(), rule[*name].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

#[actix_web::test]
async fn a_rule_lives_from_post_to_delete() {
    let plant = Plant::new().await;
    let made =
        plant.send(ask("POST", "/api/alert-rules/").by(&plant.admin).json(&too_hot())).await.expect(201);
    let (path, rule) = (made.header("location"), made.json());
    assert_eq!(made.header("etag"), "\"1\"");
    let expected = json!({"kind": "threshold", "equipment": null, "threshold": 80, "threshold_high": null,
        "clear_threshold": 75, "enabled": true, "latch": false, "in_force_since": rule["created_at"]});
    let names: Vec<&str> = expected.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(parts(&rule, &names), expected);
    assert_eq!(plant.send(get(path).by(&plant.admin)).await.expect(200).json(), rule);

    // What was read may be sent back as it is, which changes nothing.
    assert_eq!(plant.send(ask("PUT", path).by(&plant.admin).json(&rule)).await.expect(200).json(), rule);
    let bad = json!({"severity": "warning"});
    let patched = plant.send(ask("PATCH", path).by(&plant.admin).json(&bad)).await.expect(200).json();
    assert_eq!((&patched["version"], &patched["in_force_since"]), (&json!(2), &rule["in_force_since"]));
    let stale = ask("PATCH", path).by(&plant.admin).with("If-Match", "\"1\"").json(&json!({"name": "Hot"}));
    assert_eq!(plant.send(stale).await.problem(412), "stale_version");

    plant.send(ask("DELETE", path).by(&plant.admin)).await.expect(204);
    assert_eq!(plant.send(get(path).by(&plant.admin)).await.problem(404), "not_found");
    plant.send(ask("DELETE", path).by(&plant.admin)).await.expect(404);
}

#[actix_web::test]
async fn the_defaults_are_a_warning_at_once_on_all_equipment() {
    let plant = Plant::new().await;
    let rule = plant.rule().await;
    let names = ["equipment", "equipment_type", "severity", "for_seconds", "clear_threshold"];
    let expected = json!({"equipment": null, "equipment_type": null, "severity": "warning", "for_seconds": 0,
        "clear_threshold": null});
    assert_eq!(parts(&rule, &names), expected);
}

#[actix_web::test]
async fn all_that_is_wrong_with_a_rule_is_told_at_once() {
    let plant = Plant::new().await;
    let robot = plant.robot.get();
    let bare = plant.refused(&json!({"for_seconds": -1, "severity": "bad"})).await;
    let expected = [
        "name: required",
        "for_seconds: type",
        "metric: required",
        "operator: required",
        "threshold: required",
        "severity: unknown",
    ];
    assert_eq!(bare, expected);
    let both = json!({"name": "x", "equipment": robot, "equipment_type": "robot", "metric": "NO", "operator": "=",
        "threshold": "80", "for_seconds": 1.5});
    let expected = [
        "equipment_type: ambiguous",
        "for_seconds: type",
        "metric: metric",
        "operator: unknown",
        "threshold: type",
    ];
    assert_eq!(plant.refused(&both).await, expected);
    let contradictory = json!({"name": "", "metric": "t", "operator": "outside", "threshold": 5, "threshold_high": 5,
        "for_seconds": 2_592_001});
    let expected = ["name: too_short", "threshold_high: too_low", "for_seconds: too_large"];
    assert_eq!(plant.refused(&contradictory).await, expected);
    let unknown = json!({"name": "x", "kind": "nodata", "equipment": 999});
    assert_eq!(plant.refused(&unknown).await, ["kind: unknown"]);
    let gone = json!({"name": "x", "kind": "no_data", "for_seconds": 5, "equipment": 999});
    assert_eq!(plant.refused(&gone).await, ["equipment: unknown"]);
}

#[actix_web::test]
async fn what_compares_values_does_not_go_with_silence() {
    let plant = Plant::new().await;
    let silence = json!({"name": "Silent", "kind": "no_data", "operator": ">", "threshold": 80, "clear_threshold": null});
    let expected = ["operator: unexpected", "threshold: unexpected"];
    assert_eq!(plant.refused(&silence).await, expected);
    assert_eq!(plant.refused(&json!({"name": "x", "kind": "no_data"})).await, ["for_seconds: too_small"]);
    let silence =
        json!({"name": "Silent", "kind": "no_data", "for_seconds": 300, "equipment": plant.robot.get()});
    let rule = plant.made(&silence).await;
    let names = ["kind", "metric", "operator", "threshold", "equipment"];
    let expected = json!({"kind": "no_data", "metric": null, "operator": null, "threshold": null,
        "equipment": plant.robot.get()});
    assert_eq!(parts(&rule, &names), expected);
}

#[actix_web::test]
async fn a_change_keeps_what_it_does_not_name_and_empties_what_is_null() {
    let plant = Plant::new().await;
    let rule = plant.made(&too_hot()).await;
    let eased = plant.patched(&rule, &json!({"threshold": 85, "clear_threshold": null, "id": 99})).await;
    let names = ["id", "metric", "threshold", "clear_threshold", "for_seconds", "severity"];
    let expected = json!({"id": rule["id"], "metric": "temperature", "threshold": 85, "clear_threshold": null,
        "for_seconds": 60, "severity": "critical"});
    assert_eq!(parts(&eased, &names), expected);
    let path = format!("/api/alert-rules/{}", rule["id"]);
    let bare = ask("PATCH", &path).by(&plant.admin).json(&json!({"metric": null, "operator": null}));
    assert_eq!(plant.send(bare).await.blamed(422), ["metric: required", "operator: required"]);
    let replaced = ask("PUT", &path).by(&plant.admin);
    let replaced = replaced.json(&json!({"name": "Hot", "metric": "t", "operator": ">=", "threshold": 1}));
    let replaced = plant.send(replaced).await.expect(200).json();
    let expected = json!({"id": rule["id"], "metric": "t", "threshold": 1, "clear_threshold": null,
        "for_seconds": 0, "severity": "warning"});
    assert_eq!(parts(&replaced, &names), expected);
    assert_eq!(replaced["equipment_type"], Value::Null);
}

#[actix_web::test]
async fn a_change_may_give_a_rule_another_kind_and_other_equipment() {
    let plant = Plant::new().await;
    let rule = plant.made(&too_hot()).await;
    let names = ["kind", "metric", "operator", "threshold", "equipment", "equipment_type"];
    let robot = plant.robot.get();
    let silent = plant.patched(&rule, &json!({"kind": "no_data", "equipment": robot})).await;
    let expected = json!({"kind": "no_data", "metric": "temperature", "operator": null, "threshold": null,
        "equipment": robot, "equipment_type": null});
    assert_eq!(parts(&silent, &names), expected);
    let path = format!("/api/alert-rules/{}", rule["id"]);
    let half = ask("PATCH", &path).by(&plant.admin).json(&json!({"kind": "threshold", "operator": "<"}));
    assert_eq!(plant.send(half).await.blamed(422), ["threshold: required"]);
    let change = json!({"kind": "threshold", "operator": "<", "threshold": 5, "equipment": null, "equipment_type": null});
    let cold = plant.patched(&rule, &change).await;
    let expected = json!({"kind": "threshold", "metric": "temperature", "operator": "<", "threshold": 5,
        "equipment": null, "equipment_type": null});
    assert_eq!(parts(&cold, &names), expected);
}

#[actix_web::test]
async fn rules_are_filtered_and_ordered_by_what_they_say() {
    let plant = Plant::new().await;
    plant.made(&too_hot()).await;
    let piece = json!({"name": "silent", "kind": "no_data", "for_seconds": 9, "equipment": plant.robot.get(),
        "severity": "info", "enabled": false});
    plant.made(&piece).await;
    let names = async |query: &str| {
        let list = plant.send(get(&format!("/api/alert-rules/?{query}")).by(&plant.admin)).await;
        let results = list.expect(200).json()["results"].as_array().unwrap().clone();
        results.iter().map(|rule| str_of(&rule["name"]).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("ordering=name").await, ["silent", "Too hot"]);
    assert_eq!(names("ordering=-severity").await, ["Too hot", "silent"]);
    assert_eq!(names("ordering=-created_at,-id").await, ["silent", "Too hot"]);
    assert_eq!(names("ordering=updated_at,id").await, ["Too hot", "silent"]);
    let robot = format!("equipment={}", plant.robot);
    for query in ["name=SILENT", "severity=info", "enabled=false", &robot, "search=SIL"] {
        assert_eq!(names(query).await, ["silent"], "{query}");
    }
    for query in ["metric=temperature", "equipment_type=ROBOT", "search=temper", "enabled=true"] {
        assert_eq!(names(query).await, ["Too hot"], "{query}");
    }
    assert!(names("created_at__gte=2999-01-01T00:00:00Z").await.is_empty());
    let unknown = plant.send(get("/api/alert-rules/?type=robot").by(&plant.admin)).await;
    assert_eq!(unknown.problem(400), "unknown_parameter");
}

#[actix_web::test]
async fn a_preview_tells_the_alerts_that_a_rule_would_have_raised() {
    let plant = Plant::new().await;
    for value in [70.0, 90.0, 91.0, 70.0, 85.0] {
        plant.report(value).await;
    }
    let now = plant.clock.now().after(Duration::from_secs(1));
    let from = now.before(Duration::from_secs(3600)).to_string();
    plant.clock.advance(Duration::from_secs(1));
    let mut trial = json!({"name": "Draft", "metric": "temperature", "operator": ">", "threshold": 80,
        "enabled": false, "from": from});
    let ask_for = |trial: &Value| ask("POST", "/api/alert-rules/preview").by(&plant.admin).json(trial);
    let preview = plant.send(ask_for(&trial)).await.expect(200).json();
    assert_eq!((&preview["cut"], &preview["to"]), (&json!(false), &json!(now.to_string())));
    let alerts = preview["alerts"].as_array().unwrap();
    let brief = |alert: &Value| parts(alert, &["equipment", "value", "occurrences"]);
    let robot = plant.robot.get();
    assert_eq!(brief(&alerts[0]), json!({"equipment": robot, "value": 90, "occurrences": 2}));
    assert_eq!(brief(&alerts[1]), json!({"equipment": robot, "value": 85, "occurrences": 1}));
    assert!(alerts[0]["resolved_at"].is_string() && alerts[1]["resolved_at"].is_null() && alerts.len() == 2);
    assert_eq!(plant.send(get("/api/alerts/").by(&plant.admin)).await.json()["count"], 0);

    let silence = json!({"name": "Draft", "kind": "no_data", "for_seconds": 600, "from": from});
    let preview = plant.send(ask_for(&silence)).await.expect(200).json();
    assert_eq!(preview["alerts"][0]["value"], Value::Null);

    trial["to"] = "2000-01-01T00:00:00Z".into();
    assert_eq!(plant.send(ask_for(&trial)).await.blamed(422), ["to: too_early"]);
    trial["from"] = Value::Null;
    trial["threshold"] = Value::Null;
    assert_eq!(plant.send(ask_for(&trial)).await.blamed(422), ["threshold: required", "from: type"]);
}

#[actix_web::test]
async fn a_preview_takes_leave_to_see_rules_and_readings() {
    let plant = Plant::new().await;
    let trial = json!({"name": "Draft", "metric": "t", "operator": ">", "threshold": 1, "from": "2026-01-01T00:00:00Z"});
    let cases: [(&str, &[&str], u16); 3] = [
        ("anna", &["rules:read"], 403),
        ("ben", &["data:read"], 403),
        ("carl", &["rules:read", "data:read"], 200),
    ];
    for (name, permissions, status) in cases {
        let token = plant.permitted(name, permissions).await;
        let asked = ask("POST", "/api/alert-rules/preview").by(&token).json(&trial);
        plant.send(asked).await.expect(status);
    }
}

#[actix_web::test]
async fn a_preview_waits_with_those_who_read_in_portions_and_in_nobodys_way() {
    let plant = Plant::new().await;
    let trial = json!({"name": "Draft", "metric": "t", "operator": ">", "threshold": 1, "from": "2026-01-01T00:00:00Z"});
    let ask_for = || ask("POST", "/api/alert-rules/preview").by(&plant.admin).json(&trial);
    let turns = &plant.state.turns;
    let all = async |class| {
        let mut held = Vec::new();
        for _ in 0..turns.line(class).places() {
            held.push(turns.take(class).await.unwrap());
        }
        held
    };
    let _writing = all(Class::Write).await;
    plant.send(ask_for()).await.expect(200);
    let reading = all(Class::Portion).await;
    assert_eq!(plant.send(ask_for()).await.problem(503), "busy");
    drop(reading);
    plant.send(ask_for()).await.expect(200);
}
