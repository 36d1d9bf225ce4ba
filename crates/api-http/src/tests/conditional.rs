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
