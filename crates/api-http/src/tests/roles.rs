//! Roles, and who holds them.

use super::face::{Face, ask, get};
use serde_json::{Value, json};

fn shift_lead() -> Value {
    json!({"name": "SHIFT_LEAD", "description": "Leads a shift.", "permissions": ["alerts:read"]})
}

#[actix_web::test]
async fn a_role_lives_from_post_to_delete() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let made = face.send(ask("POST", "/api/roles/").by(&admin).json(&shift_lead())).await.expect(201);
    let path = made.header("location");
    let role = face.send(get(path).by(&admin)).await.expect(200).json();
    assert_eq!(role, made.json());
    let same = face.send(get("/api/roles/shift_lead").by(&admin)).await.expect(200).json();
    assert_eq!(same, role);
    let patch = json!({"permissions": ["alerts:read", "alerts:acknowledge"]});
    let patched = face.send(ask("PATCH", path).by(&admin).json(&patch)).await.expect(200).json();
    assert_eq!((&patched["permissions"], &patched["version"]), (&patch["permissions"], &json!(2)));
    let back = face.send(ask("PUT", path).by(&admin).json(&patched)).await.expect(200).json();
    assert_eq!(back["permissions"], patched["permissions"]);
    face.send(ask("DELETE", path).by(&admin)).await.expect(204);
    face.send(get(path).by(&admin)).await.expect(404);
}

#[actix_web::test]
async fn a_role_must_be_said_in_full_when_it_is_replaced() {
    let face = Face::new().await;
    let admin = face.admin().await;
    face.send(ask("POST", "/api/roles/").by(&admin).json(&shift_lead())).await.expect(201);
    let put = ask("PUT", "/api/roles/SHIFT_LEAD").by(&admin).json(&json!({"description": ""}));
    assert_eq!(face.send(put).await.blamed(422), ["name: required", "permissions: required"]);
    let taken = face.send(ask("POST", "/api/roles/").by(&admin).json(&shift_lead())).await;
    assert_eq!(taken.blamed(409), ["name: taken"]);
}

#[actix_web::test]
async fn what_is_built_in_or_in_use_stays() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let (id, _) = face.person("anna").await;
    let refused = face.send(ask("PATCH", "/api/roles/CLIENT").by(&admin).json(&json!({"name": "X"}))).await;
    assert_eq!(refused.problem(409), "built_in_role");
    face.send(ask("POST", "/api/roles/").by(&admin).json(&shift_lead())).await.expect(201);
    face.send(ask("POST", &format!("/api/users/{id}/roles/SHIFT_LEAD")).by(&admin)).await.expect(201);
    let refused = face.send(ask("DELETE", "/api/roles/SHIFT_LEAD").by(&admin)).await;
    assert_eq!(refused.problem(409), "role_in_use");
}

#[actix_web::test]
async fn roles_are_given_and_taken_one_by_one_or_all_at_once() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let (id, anna) = face.person("anna").await;
    let path = format!("/api/users/{id}/roles");
    let given = face.send(ask("POST", &format!("{path}/operator")).by(&admin)).await.expect(201);
    assert_eq!(given.json(), json!({"roles": ["CLIENT", "OPERATOR"]}));
    assert_eq!(given.header("location"), path);
    let held = face.send(get(&path).by(&anna)).await.expect(200).json();
    assert_eq!(held, given.json());
    face.send(ask("DELETE", &format!("{path}/CLIENT")).by(&admin)).await.expect(204);
    face.send(ask("DELETE", &format!("{path}/CLIENT")).by(&admin)).await.expect(404);
    face.send(ask("POST", &format!("{path}/NOBODY")).by(&admin)).await.expect(404);
    face.send(ask("POST", &format!("{path}/no%20name")).by(&admin)).await.expect(404);
    let all = json!({"roles": ["ADMIN", "CLIENT"]});
    let replaced = face.send(ask("PUT", &path).by(&admin).json(&all)).await.expect(200).json();
    assert_eq!(replaced, all);
    let refused = face.send(ask("PUT", &path).by(&admin).json(&json!({"roles": "ADMIN"}))).await;
    assert_eq!(refused.blamed(422), ["roles: type"]);
}

#[actix_web::test]
async fn somebody_elses_roles_are_not_everybodys_business() {
    let face = Face::new().await;
    let (id, _) = face.person("anna").await;
    let (_, ben) = face.person("ben").await;
    let refused = face.send(get(&format!("/api/users/{id}/roles")).by(&ben)).await;
    assert_eq!(refused.problem(403), "permission_required");
}

#[actix_web::test]
async fn roles_are_filtered_by_permission_and_by_holder() {
    let face = Face::new().await;
    let admin = face.admin().await;
    face.person("anna").await;
    let names = async |query: &str| {
        let list = face.send(get(&format!("/api/roles/?{query}&ordering=name")).by(&admin)).await;
        let list = list.expect(200).json();
        let results = list["results"].as_array().unwrap().clone();
        results.iter().map(|role| role["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("permission=users:write").await, ["ADMIN"]);
    assert_eq!(names("permission=data:write&name=operator").await, ["OPERATOR"]);
    assert_eq!(names("user=anna").await, ["CLIENT"]);
    assert_eq!(names("search=looks").await, ["CLIENT"]);
}

#[actix_web::test]
async fn every_permission_is_listed_with_what_it_allows() {
    let face = Face::new().await;
    let (_, anna) = face.person("anna").await;
    let list = face.send(get("/api/permissions/").by(&anna)).await.expect(200).json();
    let results = list["results"].as_array().unwrap();
    assert_eq!(list["count"], results.len());
    assert!(results.iter().all(|it| it["description"].as_str().unwrap().ends_with('.')));
    assert!(results.iter().any(|it| it["name"] == "alerts:acknowledge"));
}
