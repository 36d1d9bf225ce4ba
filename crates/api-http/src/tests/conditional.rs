//! Versions, and requests that depend on them.

use super::face::{Face, ask, get};
use super::plant::Plant;
use crate::Settings;
use domain::testing::UnlimitedAllowances;
use serde_json::json;
use std::sync::Arc;

#[actix_web::test]
async fn a_client_that_has_the_current_version_is_spared_the_body() {
    let face = Face::new().await;
    let (_, anna) = face.person("anna").await;
    let first = face.send(get("/api/users/me").by(&anna)).await.expect(200);
    assert_eq!(first.header("cache-control"), "private, no-cache");
    assert!(first.header("vary").contains("authorization"));
    let tag = first.header("etag");
    for method in ["GET", "HEAD"] {
        let again = ask(method, "/api/users/me").by(&anna).with("If-None-Match", tag);
        let again = face.send(again.with("Accept-Encoding", "gzip")).await.expect(304);
        assert!(again.bytes.is_empty() && again.header("etag") == tag);
        assert!(again.header("content-type").is_empty() && again.header("content-encoding").is_empty());
    }
    face.send(ask("PATCH", "/api/users/me").by(&anna).json(&json!({"phone": "12345"}))).await.expect(200);
    let changed = face.send(get("/api/users/me").by(&anna).with("If-None-Match", tag)).await.expect(200);
    assert_ne!(changed.header("etag"), tag);
    let garbage = face.send(get("/api/users/me").by(&anna).with("If-None-Match", "17")).await;
    assert_eq!(garbage.problem(400), "malformed_request");
}

#[actix_web::test]
async fn whoever_comes_to_see_more_or_less_of_somebody_is_shown_it_whatever_they_have() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let (ben, _) = face.person("ben").await;
    let path = format!("/api/users/{ben}");
    let reader = face.permitted("reader", &["users:read"]).await;
    let whole = face.send(get(&path).by(&reader)).await.expect(200);
    assert!(!whole.header("etag").is_empty() && whole.json()["roles"].is_array());
    let me = face.send(get("/api/users/me").by(&reader)).await.expect(200).json()["id"].clone();
    let roles = ask("PUT", &format!("/api/users/{me}/roles")).by(&admin).json(&json!({"roles": ["CLIENT"]}));
    face.send(roles).await.expect(200);
    let asked = get(&path).by(&reader).with("If-None-Match", whole.header("etag"));
    let part = face.send(asked).await.expect(200);
    assert!(part.json()["roles"].is_null());
    assert_eq!((part.header("etag"), part.header("cache-control")), ("", "no-store"));
}

#[actix_web::test]
async fn a_change_meant_for_another_version_is_not_made() {
    let face = Face::new().await;
    let (_, anna) = face.person("anna").await;
    let tag = face.send(get("/api/users/me").by(&anna)).await.expect(200).header("etag").to_owned();
    let change = |tag: &str, phone: &str| {
        ask("PATCH", "/api/users/me").by(&anna).with("If-Match", tag).json(&json!({"phone": phone}))
    };
    face.send(change(&tag, "11111")).await.expect(200);
    for stale in [tag.as_str(), "W/\"2\"", "\"x\"", "\"998\", \"999\""] {
        assert_eq!(face.send(change(stale, "22222")).await.problem(412), "stale_version", "{stale}");
    }
    assert_eq!(face.send(change("2", "22222")).await.problem(400), "malformed_request");
    let me = face.send(get("/api/users/me").by(&anna)).await.expect(200);
    assert_eq!(me.json()["phone"], "11111");
    let listed = format!("\"998\", {}", me.header("etag"));
    face.send(change(&listed, "33333")).await.expect(200);
    face.send(change("*", "44444")).await.expect(200);
}

#[actix_web::test]
async fn of_two_who_correct_the_same_reading_the_second_is_told_that_it_changed() {
    let plant = Plant::new().await;
    plant.report(90.0).await;
    let readings = plant.send(get("/api/data/").by(&plant.admin)).await.expect(200).json();
    let path = format!("/api/data/{}", super::face::str_of(&readings["results"][0]["id"]));
    let read = plant.send(get(&path).by(&plant.admin)).await.expect(200);
    let tag = read.header("etag");
    let spared = plant.send(get(&path).by(&plant.admin).with("If-None-Match", tag)).await.expect(304);
    assert_eq!(spared.header("etag"), tag);
    let values = |temperature: f64| json!({"values": {"temperature": temperature}});
    let correct = |method: &str, tag: &str, temperature: f64| {
        ask(method, &path).by(&plant.admin).with("If-Match", tag).json(&values(temperature))
    };
    let first = plant.send(correct("PATCH", tag, 91.0)).await.expect(200);
    assert_ne!(first.header("etag"), tag);
    for method in ["PUT", "PATCH"] {
        assert_eq!(plant.send(correct(method, tag, 92.0)).await.problem(412), "stale_version");
    }
    let delete = |tag: &str| ask("DELETE", &path).by(&plant.admin).with("If-Match", tag);
    assert_eq!(plant.send(delete(tag)).await.problem(412), "stale_version");
    let now = plant.send(get(&path).by(&plant.admin)).await.expect(200);
    assert_eq!(now.json()["values"], json!({"temperature": 91}));
    assert_eq!(now.header("etag"), first.header("etag"));
    let second = plant.send(correct("PUT", now.header("etag"), 92.0)).await.expect(200);
    plant.send(delete(second.header("etag"))).await.expect(204);
}

#[actix_web::test]
async fn an_entry_of_a_log_has_the_same_version_for_ever() {
    let plant = Plant::new().await;
    let log = format!("/api/equipment/{}/maintenance/", plant.robot);
    let made = ask("POST", &log).by(&plant.admin).json(&json!({"what": "Changed the seals."}));
    let made = plant.send(made).await.expect(201);
    let path = made.header("location");
    let tag = made.header("etag");
    let shown = plant.send(get(path).by(&plant.admin)).await.expect(200);
    assert_eq!((shown.header("etag"), &shown.json()["version"]), (tag, &json!(1)));
    plant.send(get(path).by(&plant.admin).with("If-None-Match", tag)).await.expect(304);
    let remove = |tag: &str| ask("DELETE", path).by(&plant.admin).with("If-Match", tag);
    assert_eq!(plant.send(remove("\"2\"")).await.problem(412), "stale_version");
    plant.send(remove(tag)).await.expect(204);
}

#[actix_web::test]
async fn whoever_has_an_alert_sees_that_its_rule_is_gone() {
    let plant = Plant::new().await;
    let rule = plant.rule().await["id"].clone();
    plant.report(90.0).await;
    plant.report(70.0).await;
    let path = format!("/api/alerts/{}", plant.alert().await["id"]);
    let before = plant.send(get(&path).by(&plant.admin)).await.expect(200);
    assert_eq!((&before.json()["rule"], &before.json()["status"]), (&rule, &json!("resolved")));
    plant.send(ask("DELETE", &format!("/api/alert-rules/{rule}")).by(&plant.admin)).await.expect(204);
    let asked = get(&path).by(&plant.admin).with("If-None-Match", before.header("etag"));
    assert!(plant.send(asked).await.expect(200).json()["rule"].is_null());
}

#[actix_web::test]
async fn deleting_another_version_is_refused_too() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let (id, _) = face.person("anna").await;
    let path = format!("/api/users/{id}");
    let delete = |tag: &str| ask("DELETE", &path).by(&admin).with("If-Match", tag);
    assert_eq!(face.send(delete("\"999\"")).await.problem(412), "stale_version");
    let tag = face.send(get(&path).by(&admin)).await.header("etag").to_owned();
    face.send(delete(&tag)).await.expect(204);
}

#[actix_web::test]
async fn an_installation_may_want_a_version_with_every_change() {
    let settings = Settings { require_if_match: true, ..Settings::default() };
    let face = Face::with(settings, Arc::new(UnlimitedAllowances)).await;
    let (_, anna) = face.person("anna").await;
    let patch = || ask("PATCH", "/api/users/me").by(&anna);
    let refused = face.send(patch().json(&json!({"phone": "11111"}))).await;
    assert_eq!(refused.problem(428), "precondition_required");
    face.send(patch().with("If-Match", "*").json(&json!({"phone": "11111"}))).await.expect(200);
    let admin = face.admin().await;
    for method in ["PUT", "PATCH", "DELETE"] {
        let asked = ask(method, "/api/data/1-0").by(&admin).json(&json!({"values": {"t": 1}}));
        assert_eq!(face.send(asked).await.problem(428), "precondition_required", "{method}");
    }
    let removed = ask("DELETE", "/api/equipment/1/maintenance/1").by(&admin);
    assert_eq!(face.send(removed).await.problem(428), "precondition_required");
}

#[actix_web::test]
async fn who_says_what_is_there_already_changes_nothing() {
    let plant = Plant::new().await;
    let rule = plant.rule().await["id"].clone();
    plant.report(90.0).await;
    let admin = &plant.admin;
    let (anna, _) = plant.person("anna").await;
    let role = json!({"name": "FITTER", "description": "Fits.", "permissions": ["data:read"]});
    plant.send(ask("POST", "/api/roles/").by(admin).json(&role)).await.expect(201);
    let reading =
        plant.send(get("/api/data/").by(admin)).await.expect(200).json()["results"][0]["id"].clone();
    let cases = [
        (format!("/api/users/{anna}"), "username"),
        (format!("/api/users/{anna}"), "roles"),
        ("/api/roles/FITTER".to_owned(), "permissions"),
        (format!("/api/equipment/{}", plant.robot), "attributes"),
        (format!("/api/alert-rules/{rule}"), "threshold"),
        (format!("/api/alerts/{}", plant.alert().await["id"]), "severity"),
        ("/api/metrics/temperature".to_owned(), "unit"),
        (format!("/api/data/{}", super::face::str_of(&reading)), "values"),
    ];
    let count = async || plant.send(get("/api/audit/").by(admin)).await.expect(200).bytes;
    let before = count().await;
    plant.clock.advance(std::time::Duration::from_secs(7));
    for (path, field) in &cases {
        let there = plant.send(get(path).by(admin)).await.expect(200);
        let same = json!({*field: there.json()[*field]});
        let answer = plant.send(ask("PATCH", path).by(admin).json(&same)).await.expect(200);
        assert_eq!(answer.json(), there.json(), "{path} {field}");
        assert_eq!(answer.header("etag"), there.header("etag"), "{path} {field}");
        if !there.header("etag").is_empty() {
            let stale = ask("PATCH", path).by(admin).with("If-Match", "\"999\"").json(&same);
            assert_eq!(plant.send(stale).await.problem(412), "stale_version", "{path}");
        }
        assert_eq!(count().await, before, "{path} {field}");
    }
}
