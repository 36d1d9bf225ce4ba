//! Alerts: raised by rules and by hand, handled by people.

use super::face::{Answer, ask, get, str_of};
use super::plant::Plant;
use serde_json::{Value, json};

impl Plant {
    async fn raised(&self, draft: &Value) -> Answer {
        self.send(ask("POST", "/api/alerts/").by(&self.admin).json(draft)).await
    }

    async fn oil(&self) -> Value {
        let draft = json!({"equipment": self.robot.get(), "description": "Oil on the floor"});
        self.raised(&draft).await.expect(201).json()
    }

    async fn handle(&self, alert: &Value, how: &str) -> Answer {
        self.send(ask("POST", &format!("/api/alerts/{}/{how}", alert["id"])).by(&self.admin)).await
    }

    async fn timeline(&self, alert: &Value) -> Vec<(String, String)> {
        let path = format!("/api/alerts/{}/timeline", alert["id"]);
        let list = self.send(get(&path).by(&self.admin)).await.expect(200).json();
        assert_eq!(list["count"], list["results"].as_array().unwrap().len());
        let told = |entry: &Value| {
            let by = entry["by"].as_str().unwrap_or("itself");
            (str_of(&entry["change"]).to_owned(), format!("{} by {by}", str_of(&entry["status"])))
        };
        list["results"].as_array().unwrap().iter().map(told).collect()
    }
}

#[actix_web::test]
async fn an_alert_of_a_rule_says_what_was_seen_and_ends_by_itself() {
    let plant = Plant::new().await;
    let rule = plant.rule().await;
    plant.report(91.2).await;
    plant.report(93.0).await;
    let alert = plant.alert().await;
    let seen =
        (&alert["rule"], &alert["rule_version"], &alert["metric"], &alert["value"], &alert["occurrences"]);
    assert_eq!(seen, (&rule["id"], &json!(1), &json!("temperature"), &json!(91.2), &json!(2)));
    assert_eq!(alert["description"], "Too hot: temperature is above 80, at 91.2");
    assert!(str_of(&alert["last_seen_at"]) > str_of(&alert["timestamp"]));
    plant.report(70.0).await;
    let over = plant.alert().await;
    assert_eq!((&over["status"], &over["resolved_by"]), (&json!("resolved"), &Value::Null));
    assert!(over["resolved_at"].is_string());
    let expected = [("raised", "open by itself"), ("resolved", "resolved by itself")];
    assert_eq!(plant.timeline(&alert).await, expected.map(|(change, by)| (change.into(), by.into())));
}

#[actix_web::test]
async fn an_alert_by_hand_lives_from_post_to_delete() {
    let plant = Plant::new().await;
    let draft = json!({"equipment": "wr-0007", "description": "Oil on the floor", "severity": "info",
        "timestamp": "2026-01-01T10:00:00+02:00", "metric": "oil", "value": 3, "note": "A lot of it"});
    let made = plant.raised(&draft).await.expect(201);
    let (path, alert) = (made.header("location"), made.json());
    assert_eq!(made.header("etag"), "\"1\"");
    assert_eq!(alert["equipment"], plant.robot.get());
    assert_eq!(alert["timestamp"], "2026-01-01T08:00:00.000000Z");
    let rest = (&alert["rule"], &alert["status"], &alert["value"], &alert["note"], &alert["occurrences"]);
    assert_eq!(rest, (&Value::Null, &json!("open"), &json!(3), &json!("A lot of it"), &json!(1)));
    assert_eq!(plant.send(get(path).by(&plant.admin)).await.expect(200).json(), alert);

    let change = json!({"severity": "critical", "note": null, "status": "resolved", "equipment": 99});
    let patched = plant.send(ask("PATCH", path).by(&plant.admin).json(&change)).await.expect(200).json();
    let now = (&patched["severity"], &patched["note"], &patched["status"], &patched["version"]);
    assert_eq!(now, (&json!("critical"), &Value::Null, &json!("open"), &json!(2)));
    let put = ask("PUT", path).by(&plant.admin).json(&json!({"description": "Water"}));
    let put = plant.send(put).await.expect(200).json();
    assert_eq!((&put["description"], &put["severity"]), (&json!("Water"), &json!("warning")));
    let stale = ask("PATCH", path).by(&plant.admin).with("If-Match", "\"1\"").json(&change);
    assert_eq!(plant.send(stale).await.problem(412), "stale_version");
    let bare = ask("PUT", path).by(&plant.admin).json(&json!({"severity": "bad"}));
    assert_eq!(plant.send(bare).await.blamed(422), ["description: required", "severity: unknown"]);

    plant.send(ask("DELETE", path).by(&plant.admin)).await.expect(204);
    plant.send(get(path).by(&plant.admin)).await.expect(404);
    plant.send(get(&format!("{path}/timeline")).by(&plant.admin)).await.expect(404);
}

#[actix_web::test]
async fn an_alert_needs_equipment_and_a_description() {
    let plant = Plant::new().await;
    let expected = ["equipment: required", "description: required"];
    assert_eq!(plant.raised(&json!({})).await.blamed(422), expected);
    for equipment in [json!(999), json!("no such serial number")] {
        let nowhere = json!({"equipment": equipment, "description": "x"});
        assert_eq!(plant.raised(&nowhere).await.blamed(422), ["equipment: unknown"]);
    }
    let later =
        json!({"equipment": plant.robot.get(), "description": "x", "timestamp": "2999-01-01T00:00:00Z"});
    assert_eq!(plant.raised(&later).await.blamed(422), ["timestamp: future"]);
}

#[actix_web::test]
async fn handling_goes_forward_and_a_repetition_changes_nothing() {
    let plant = Plant::new().await;
    let alert = plant.oil().await;
    let first = plant.handle(&alert, "acknowledge").await.expect(200);
    assert_eq!(first.header("etag"), format!("\"{}\"", first.json()["version"]));
    assert_eq!(
        (&first.json()["status"], &first.json()["acknowledged_by"]),
        (&json!("acknowledged"), &json!("admin"))
    );
    assert_eq!(plant.handle(&alert, "acknowledge").await.expect(200).json(), first.json());
    let resolve = ask("POST", &format!("/api/alerts/{}/resolve", alert["id"])).by(&plant.admin);
    let over = plant.send(resolve.json(&json!({"note": "Wiped"}))).await.expect(200).json();
    assert_eq!((&over["resolved_by"], &over["note"]), (&json!("admin"), &json!("Wiped")));
    assert_eq!(plant.handle(&alert, "resolve").await.expect(200).json(), over);
    assert_eq!(plant.handle(&alert, "acknowledge").await.problem(409), "illegal_transition");
    let expected = [("raised", "open"), ("acknowledged", "acknowledged"), ("resolved", "resolved")];
    let expected = expected.map(|(change, status)| (change.to_owned(), format!("{status} by admin")));
    assert_eq!(plant.timeline(&alert).await, expected);
}

#[actix_web::test]
async fn handling_once_under_a_key_is_answered_again() {
    let plant = Plant::new().await;
    let alert = plant.oil().await;
    let path = format!("/api/alerts/{}/acknowledge", alert["id"]);
    let acknowledge = || ask("POST", &path).by(&plant.admin).with("Idempotency-Key", "k");
    let first = plant.send(acknowledge()).await.expect(200);
    plant.handle(&alert, "resolve").await.expect(200);
    let again = plant.send(acknowledge()).await.expect(200);
    assert_eq!((again.header("idempotency-replayed"), &again.bytes), ("true", &first.bytes));
    assert_eq!(again.header("etag"), first.header("etag"));
}

#[actix_web::test]
async fn handling_takes_a_right_of_its_own() {
    let plant = Plant::new().await;
    let alert = plant.oil().await;
    let (_, client) = plant.person("carl").await;
    let path = format!("/api/alerts/{}", alert["id"]);
    plant.send(get(&path).by(&client)).await.expect(200);
    let refused = plant.send(ask("POST", &format!("{path}/acknowledge")).by(&client)).await;
    assert_eq!(refused.problem(403), "permission_required");
    for (method, path) in [("PATCH", path.as_str()), ("DELETE", &path), ("POST", "/api/alerts/")] {
        plant.send(ask(method, path).by(&client).json(&json!({}))).await.expect(403);
    }
}

#[actix_web::test]
async fn alerts_are_filtered_by_what_they_say_and_listed_under_their_equipment() {
    let plant = Plant::new().await;
    let press = plant.install("press", "HP-0004").await;
    let rule = plant.rule().await;
    plant.report_of(press, 95.0).await;
    let oil = plant.oil().await;
    plant.handle(&oil, "resolve").await.expect(200);
    let ids = async |path: &str| {
        let list = plant.send(get(path).by(&plant.admin)).await.expect(200).json();
        list["results"].as_array().unwrap().iter().map(|alert| alert["id"].clone()).collect::<Vec<_>>()
    };
    let all = ids("/api/alerts/?ordering=id").await;
    let hot = all.iter().find(|id| **id != oil["id"]).unwrap().clone();
    let of_rule = format!("rule={}", rule["id"]);
    let of_press = format!("equipment={press}");
    for query in [
        &of_rule,
        &of_press,
        "metric=temperature",
        "status=open",
        "search=TOO",
        "severity=warning&status=open",
    ] {
        assert_eq!(ids(&format!("/api/alerts/?{query}")).await, std::slice::from_ref(&hot), "{query}");
    }
    assert_eq!(ids(&format!("/api/alerts/?equipment={}", plant.robot)).await, [oil["id"].clone()]);
    assert_eq!(
        ids("/api/alerts/?status=open&status=resolved&ordering=-status").await,
        [oil["id"].clone(), hot.clone()]
    );
    for key in ["timestamp", "last_seen_at", "severity", "status", "id"] {
        assert_eq!(ids(&format!("/api/alerts/?ordering={key},id")).await.len(), 2, "{key}");
    }
    assert!(ids("/api/alerts/?timestamp__lt=2000-01-01T00:00:00Z").await.is_empty());
    assert_eq!(ids(&format!("/api/equipment/{press}/alerts/")).await, [hot]);
    assert!(ids(&format!("/api/equipment/{press}/alerts/?status=resolved")).await.is_empty());
    let ambiguous = format!("/api/equipment/{press}/alerts/?equipment={press}");
    assert_eq!(plant.send(get(&ambiguous).by(&plant.admin)).await.problem(400), "unknown_parameter");
    plant.send(get("/api/equipment/999/alerts/").by(&plant.admin)).await.expect(404);
}
