//! The equipment register, its maintenance log, and the catalogue of metrics.

use super::face::{Face, ask, get, str_of};
use serde_json::{Value, json};

fn press() -> Value {
    json!({
        "name": "Press 4", "type": "press", "model": "HP-250", "manufacturer": "Hydra", "serial_number": "HP-0004",
        "installation_date": "2021-03-15", "location": "plant-1/line-1", "status": "idle",
        "attributes": {"tonnage": 250, "serials": [18_446_744_073_709_551_615_u64], "oil": {"grade": "ISO 46"}},
    })
}

async fn names(face: &Face, by: &str, query: &str) -> Vec<String> {
    let list = face.send(get(&format!("/api/equipment/?{query}")).by(by)).await.expect(200).json();
    list["results"].as_array().unwrap().iter().map(|piece| str_of(&piece["name"]).to_owned()).collect()
}

#[actix_web::test]
async fn equipment_lives_from_post_to_purge() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let made = face.send(ask("POST", "/api/equipment/").by(&admin).json(&press())).await.expect(201);
    let path = made.header("location");
    assert_eq!(made.header("etag"), "\"1\"");
    for (field, value) in press().as_object().unwrap() {
        assert_eq!(made.json()[field], *value, "{field}");
    }
    let read = face.send(get(path).by(&admin)).await.expect(200);
    assert_eq!((read.json(), read.header("etag")), (made.json(), "\"1\""));
    let patch = json!({"model": null, "status": "fault", "attributes": null});
    let patched = face.send(ask("PATCH", path).by(&admin).json(&patch)).await.expect(200).json();
    assert_eq!((&patched["model"], &patched["attributes"]), (&Value::Null, &json!({})));
    assert_eq!((&patched["status"], &patched["location"]), (&json!("fault"), &json!("plant-1/line-1")));
    let whole = json!({"name": "Press", "type": "press"});
    let put = face.send(ask("PUT", path).by(&admin).json(&whole)).await.expect(200).json();
    assert_eq!((&put["status"], &put["serial_number"]), (&json!("operational"), &Value::Null));
    assert_eq!((&put["location"], &put["version"]), (&Value::Null, &json!(3)));
    // What was read may be sent back as it is, which changes nothing.
    assert_eq!(face.send(ask("PUT", path).by(&admin).json(&put)).await.expect(200).json(), put);

    face.send(ask("DELETE", path).by(&admin)).await.expect(204);
    assert_eq!(face.send(get(path).by(&admin)).await.problem(404), "not_found");
    let restore = format!("{path}/restore");
    let restored = face.send(ask("POST", &restore).by(&admin)).await.expect(200);
    assert_eq!((restored.header("etag"), &restored.json()["version"]), ("\"5\"", &json!(5)));
    face.send(ask("DELETE", &format!("{path}?purge=true")).by(&admin)).await.expect(204);
    face.send(ask("POST", &restore).by(&admin)).await.expect(404);
}

#[actix_web::test]
async fn all_that_is_wrong_with_equipment_is_told_at_once() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let bad = json!({
        "name": "x".repeat(300), "type": "", "model": 7, "serial_number": "a\u{202e}b",
        "installation_date": "2023-02-30", "location": "/plant", "parent": "HP-0004", "status": "broken",
        "attributes": [], "colour": "red",
    });
    let refused = face.send(ask("POST", "/api/equipment/").by(&admin).json(&bad)).await;
    let expected = [
        "name: too_long",
        "type: too_short",
        "model: type",
        "serial_number: invisible",
        "installation_date: date",
        "location: location",
        "parent: type",
        "status: unknown",
        "attributes: type",
        "colour: unknown_field",
    ];
    assert_eq!(refused.blamed(422), expected);
    let inexact = r#"{"name": "a", "type": "b", "attributes": {"n": 18446744073709551616}}"#;
    let refused =
        face.send(ask("POST", "/api/equipment/").by(&admin).body("application/json", inexact)).await;
    assert_eq!(refused.blamed(422), ["attributes: out_of_range"]);
    let deep = format!("{}{}", "[".repeat(64), "]".repeat(64));
    for attributes in ["{\"a\": 1e400}", "{\"a\": 1, \"a\": 2}", "{\"a\": \"\\u0000\"}", &deep] {
        let body = format!(r#"{{"name": "a", "type": "b", "attributes": {attributes}}}"#);
        let refused =
            face.send(ask("POST", "/api/equipment/").by(&admin).body("application/json", body)).await;
        assert_eq!(refused.problem(400), "malformed_request", "{attributes}");
    }
    assert!(names(&face, &admin, "").await.is_empty());
}

#[actix_web::test]
async fn what_is_required_cannot_be_emptied() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let path = format!("/api/equipment/{}", face.equipment(&admin, "Press").await);
    let put = face.send(ask("PUT", &path).by(&admin).json(&json!({"model": "X"}))).await;
    assert_eq!(put.blamed(422), ["name: required", "type: required"]);
    let patch = json!({"name": null, "type": null, "status": null});
    let patch = face.send(ask("PATCH", &path).by(&admin).json(&patch)).await;
    assert_eq!(patch.blamed(422), ["name: type", "type: type", "status: type"]);
}

#[actix_web::test]
async fn a_list_of_equipment_is_filtered_and_ordered() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let id = face.equipment_with(&admin, &press()).await;
    let pump = json!({"name": "Pump", "type": "pump", "location": "plant-1", "parent": id});
    face.equipment_with(&admin, &pump).await;
    face.equipment_with(&admin, &json!({"name": "Oven", "type": "oven", "location": "plant-10"})).await;
    let filters: [(&str, &[&str]); 16] = [
        ("ordering=-name", &["Pump", "Press 4", "Oven"]),
        ("ordering=type,-id", &["Oven", "Press 4", "Pump"]),
        ("name=PUMP&name=oven&ordering=name", &["Oven", "Pump"]),
        ("type=press", &["Press 4"]),
        ("model=hp-250", &["Press 4"]),
        ("manufacturer=hydra", &["Press 4"]),
        ("serial_number=hp-0004", &["Press 4"]),
        ("status=idle", &["Press 4"]),
        ("location=plant-1", &["Pump"]),
        ("location__under=plant-1&ordering=location", &["Pump", "Press 4"]),
        ("installation_date__gte=2021-03-15&installation_date__lt=2021-03-16", &["Press 4"]),
        ("next_maintenance_on__lt=9999-12-31", &[]),
        ("created_at__lt=2026-01-01T00:00:00Z", &[]),
        ("updated_at__gte=2026-01-01T00:00:00Z&search=line-1", &["Press 4"]),
        ("hidden=true", &[]),
        ("hidden=false&parent=999999", &[]),
    ];
    for (query, expected) in filters {
        assert_eq!(names(&face, &admin, query).await, expected, "{query}");
    }
    let children = format!("/api/equipment/{id}/children/");
    let components = face.send(get(&format!("{children}?type=pump")).by(&admin)).await.expect(200).json();
    assert_eq!((&components["count"], &components["results"][0]["name"]), (&json!(1), &json!("Pump")));
    let refused = face.send(get(&format!("{children}?parent=1")).by(&admin)).await;
    assert_eq!(refused.problem(400), "unknown_parameter");
    let nowhere = face.send(get("/api/equipment/999999/children").by(&admin)).await;
    assert_eq!(nowhere.problem(404), "not_found");
}

#[actix_web::test]
async fn hidden_equipment_is_shown_to_those_alone_who_may_bring_it_back() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let path = format!("/api/equipment/{}", face.equipment(&admin, "Press").await);
    face.send(ask("DELETE", &path).by(&admin)).await.expect(204);
    let hidden = face.send(get("/api/equipment/?hidden=true").by(&admin)).await.expect(200).json();
    assert!(hidden["results"][0]["hidden_at"].is_string() && hidden["count"] == 1, "{hidden}");
    let reader = face.permitted("reader", &["equipment:read"]).await;
    let refused = face.send(get("/api/equipment/?hidden=true").by(&reader)).await.expect(403);
    assert!(str_of(&refused.json()["detail"]).starts_with("hidden: "));
    face.send(get("/api/equipment/?hidden=false").by(&reader)).await.expect(200);
}

#[actix_web::test]
async fn a_purge_takes_a_right_of_its_own() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let path = format!("/api/equipment/{}", face.equipment(&admin, "Press").await);
    let engineer = face.permitted("engineer", &["equipment:read", "equipment:write"]).await;
    let refused = face.send(ask("DELETE", &format!("{path}?purge=true")).by(&engineer)).await.expect(403);
    assert!(str_of(&refused.json()["detail"]).contains("settings:write"));
    face.send(get(&path).by(&engineer)).await.expect(200);
    let janitor = face.permitted("janitor", &["settings:write"]).await;
    face.send(ask("DELETE", &format!("{path}?purge=true")).by(&janitor)).await.expect(403);
}

#[actix_web::test]
async fn a_change_of_equipment_meant_for_another_version_is_not_made() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let path = format!("/api/equipment/{}", face.equipment(&admin, "Press").await);
    for method in ["PATCH", "PUT"] {
        let change = ask(method, &path).by(&admin).with("If-Match", "\"9\"");
        let refused = face.send(change.json(&json!({"name": "Press", "type": "x"}))).await;
        assert_eq!(refused.problem(412), "stale_version");
    }
    for path in [path.clone(), format!("{path}?purge=true")] {
        let refused = face.send(ask("DELETE", &path).by(&admin).with("If-Match", "\"9\"")).await;
        assert_eq!(refused.problem(412), "stale_version");
    }
    let spared = face.send(get(&path).by(&admin).with("If-None-Match", "\"1\"")).await.expect(304);
    // `last_seen_at` moves without the version, so no cache may keep what it saw.
    assert_eq!((spared.header("etag"), spared.header("cache-control")), ("\"1\"", "no-store"));
}

#[actix_web::test]
async fn work_is_entered_in_the_log_and_removed_from_it() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let path = format!("/api/equipment/{}", face.equipment(&admin, "Press").await);
    let log = format!("{path}/maintenance/");
    let work =
        json!({"what": "Oiled", "performed_at": "2026-05-01T06:00:00+02:00", "next_due_on": "2027-01-31"});
    let made = face.send(ask("POST", &log).by(&admin).json(&work)).await.expect(201);
    let entry = made.header("location").to_owned();
    let shown = face.send(get(&entry).by(&admin)).await.expect(200).json();
    assert_eq!(shown, made.json());
    assert_eq!(
        (&shown["performed_by"], &shown["performed_at"]),
        (&json!("admin"), &json!("2026-05-01T04:00:00.000000Z"))
    );
    let piece = face.send(get(&path).by(&admin)).await.expect(200).json();
    assert_eq!((&piece["next_maintenance_on"], &piece["version"]), (&json!("2027-01-31"), &json!(2)));
    let now = face.send(ask("POST", &log).by(&admin).json(&json!({"what": "Looked at"}))).await.expect(201);
    let listed = face.send(get(&log).by(&admin)).await.expect(200).json();
    assert_eq!(listed["results"], json!([now.json(), shown]));
    face.send(ask("DELETE", &entry).by(&admin)).await.expect(204);
    face.send(ask("DELETE", &entry).by(&admin)).await.expect(404);
    face.send(get(&entry).by(&admin)).await.expect(404);
    let bad = json!({"performed_at": "2026-05-01T06:00:00", "next_due_on": "2027-02-30"});
    let refused = face.send(ask("POST", &log).by(&admin).json(&bad)).await;
    assert_eq!(refused.blamed(422), ["what: required", "performed_at: instant", "next_due_on: date"]);
    for nowhere in ["/api/equipment/999999/maintenance/", "/api/equipment/x/maintenance/", &format!("{log}x")]
    {
        face.send(get(nowhere).by(&admin)).await.expect(404);
    }
}

#[actix_web::test]
async fn a_key_that_is_limited_to_some_equipment_sees_no_other() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let (own, other) = (face.equipment(&admin, "Own").await, face.equipment(&admin, "Other").await);
    let key = face.key(&["equipment:read", "equipment:write", "data:read", "data:write"], &[own]).await;
    assert_eq!(names(&face, &key, "").await, ["Own"]);
    face.send(get(&format!("/api/equipment/{own}/latest")).by(&key)).await.expect(200);
    for nested in ["", "/latest", "/data", "/children", "/maintenance"] {
        let refused = face.send(get(&format!("/api/equipment/{other}{nested}")).by(&key)).await;
        assert_eq!(refused.problem(404), "not_found", "{nested}");
    }
    face.send(ask("DELETE", &format!("/api/equipment/{other}")).by(&key)).await.expect(404);
    let new = ask("POST", "/api/equipment/").by(&key).json(&press());
    assert_eq!(face.send(new).await.problem(403), "permission_required");
    let sent = json!([
        {"equipment": own, "values": {"t": 1}}, {"equipment": other, "values": {"t": 1}},
    ]);
    let refused = face.send(ask("POST", "/api/data/").by(&key).json(&sent)).await;
    assert_eq!(refused.blamed(422), ["1.equipment: unknown"]);
}

#[actix_web::test]
async fn the_same_registration_under_one_key_registers_once() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let register = || ask("POST", "/api/equipment/").by(&admin).with("Idempotency-Key", "k").json(&press());
    let first = face.send(register()).await.expect(201);
    let again = face.send(register()).await.expect(201);
    assert_eq!((again.header("idempotency-replayed"), &again.bytes), ("true", &first.bytes));
    assert_eq!(names(&face, &admin, "").await.len(), 1);
    let other = ask("POST", "/api/equipment/").by(&admin).json(&press());
    assert_eq!(face.send(other).await.blamed(409), ["serial_number: taken"]);
}

#[actix_web::test]
async fn a_metric_is_told_what_it_is() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let press = face.equipment(&admin, "Press").await;
    let sent = json!({"equipment": press, "values": {"temperature": 20, "axis_1.torque": 3.5}});
    face.send(ask("POST", "/api/data/").by(&admin).json(&sent)).await.expect(201);
    let path = "/api/metrics/axis_1.torque";
    let fresh = face.send(get(path).by(&admin)).await.expect(200);
    assert_eq!((fresh.header("etag"), &fresh.json()["unit"]), ("\"1\"", &Value::Null));
    let change = json!({"unit": "Nm", "description": "Of the first axis."});
    let changed = ask("PATCH", path).by(&admin).with("If-Match", "\"1\"").json(&change);
    assert_eq!(face.send(changed).await.expect(200).json()["unit"], "Nm");
    let stale = ask("PATCH", path).by(&admin).with("If-Match", "\"1\"").json(&json!({"unit": null}));
    assert_eq!(face.send(stale).await.problem(412), "stale_version");
    for (query, expected) in [("ordering=-name", 2), ("name=temperature", 1), ("search=first+axis", 1)] {
        let list = face.send(get(&format!("/api/metrics/?{query}")).by(&admin)).await.expect(200).json();
        assert_eq!(list["count"], expected, "{query}");
    }
    let refused = face.send(ask("PATCH", path).by(&admin).json(&json!({"unit": "x".repeat(300)}))).await;
    assert_eq!(refused.blamed(422), ["unit: too_long"]);
    face.send(get("/api/metrics/Torque").by(&admin)).await.expect(404);
    face.send(get("/api/metrics/torque").by(&admin)).await.expect(404);
}
