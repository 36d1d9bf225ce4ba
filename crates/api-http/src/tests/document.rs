//! The document and the router are one list, seen from two sides.

use super::face::{Face, ask};
use crate::body::FromBody;
use crate::body::fields::Fields;
use crate::body::json::{Json, parse};
use crate::{document_json, routes};
use serde_json::Value;
use std::collections::HashSet;

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

fn written() -> Value {
    serde_json::from_str(&document_json().unwrap()).unwrap()
}

fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let methods = paths.iter().flat_map(|(path, item)| {
        item.as_object()
            .unwrap()
            .iter()
            .map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    });
    methods.collect()
}

#[actix_web::test]
async fn the_document_lists_exactly_what_the_router_serves() {
    let face = Face::new().await;
    let document = written();
    let served: HashSet<String> =
        routes::operations().iter().map(|it| format!("{} {}", it.method, it.path)).collect();
    let documented = operations(&document);
    assert_eq!(documented.len(), served.len());
    for (path, item) in document["paths"].as_object().unwrap() {
        let concrete =
            path.replace("{id}", "999999").replace("{name}", "NOBODY").replace("{entry}", "999999");
        let bare = concrete.trim_end_matches('/');
        for (method, form) in
            METHODS.iter().flat_map(|method| [(method, bare.to_owned()), (method, format!("{bare}/"))])
        {
            let answer = face.send(ask(&method.to_uppercase(), &form)).await;
            let known = item.get(*method).is_some();
            assert_eq!(answer.status != 405, known, "{method} {form}: {}", answer.status);
            // Whatever needs a credential says so before it looks for anything.
            let public = item[*method]["security"].as_array().is_some_and(Vec::is_empty);
            if known && !public {
                assert_eq!(answer.status, 401, "{method} {form}");
            }
        }
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_a_summary_a_tag_and_a_rule_of_access() {
    let document = written();
    let tags: Vec<&Value> = document["tags"].as_array().unwrap().iter().map(|tag| &tag["name"]).collect();
    let mut names = HashSet::new();
    for (path, method, operation) in operations(&document) {
        let place = format!("{method} {path}");
        assert!(names.insert(operation["operationId"].as_str().unwrap()), "{place}");
        assert!(!operation["summary"].as_str().unwrap().is_empty(), "{place}");
        assert!(tags.contains(&&operation["tags"][0]), "{place}");
        let public = operation["security"].as_array().unwrap().is_empty();
        let ruled = operation.get("x-permission").is_some() || operation.get("x-requires").is_some();
        assert_ne!(public, ruled, "{place}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(public || responses.contains_key("401") && responses.contains_key("403"), "{place}");
        assert!(responses.keys().any(|status| status.starts_with('2')), "{place}");
    }
}

#[test]
fn every_parameter_of_a_path_is_documented_and_no_other() {
    let document = written();
    for (path, method, operation) in operations(&document) {
        let in_path: HashSet<&str> =
            path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
        let described = operation["parameters"].as_array().cloned().unwrap_or_default();
        let described: Vec<&Value> = described.iter().filter(|it| it["in"] == "path").collect();
        let described: HashSet<&str> = described.iter().map(|it| it["name"].as_str().unwrap()).collect();
        assert_eq!(in_path, described, "{method} {path}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = written();
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(references.len() > 100);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect<'a>(value: &'a Value, references: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            references.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn the_document_is_the_same_each_time() {
    assert!((0..5).all(|_| document_json().unwrap() == document_json().unwrap()));
    assert_eq!(written()["openapi"], "3.1.0");
}

#[actix_web::test]
async fn the_document_is_served_with_a_tag() {
    let face = Face::new().await;
    let first = face.send(ask("GET", "/api/openapi.json")).await.expect(200);
    assert_eq!(first.json(), written());
    let again = ask("GET", "/api/openapi.json").with("If-None-Match", first.header("etag"));
    assert!(face.send(again).await.expect(304).bytes.is_empty());
}

#[actix_web::test]
async fn every_example_of_a_body_is_one_that_its_reader_accepts() {
    use crate::accounts::tokens::{Credentials, RefreshToken, SignOut, Token};
    use crate::alerts::body::{AlertDraftBody, AlertPatch, AlertPut, Remark};
    use crate::equipment::body::{EquipmentPatch, EquipmentPut};
    use crate::mentors::MentorChoice;
    use crate::readings::body::{ReadingPatch, ReadingPut, Sending};
    use crate::roles::assignment::RolesWanted;
    use crate::roles::{RolePatch, RolePut};
    use crate::rules::body::{RuleDraft, RulePatch, RulePut};
    use crate::rules::preview::TrialAsked;
    use crate::users::body::{UserPatch, UserPut};
    use crate::webhooks::body::{WebhookDraft, WebhookPatch, WebhookPut};
    use domain::app::api_keys::ApiKeyDraft;
    use domain::app::maintenance::MaintenanceDraft;
    use domain::app::metrics::MetricChange;
    use domain::app::roles::RoleDraft;
    use domain::app::users::{NewAccount, Registration};
    use domain::equipment::Details;

    let face = Face::new().await;
    let mut names = HashSet::from(["Nothing"]);
    let mut check = |name: &'static str, accepted: Result<(), domain::error::Error>| {
        assert!(accepted.is_ok(), "{name}: {accepted:?}");
        names.insert(name);
    };
    let app = &face.state.app;
    check(Registration::NAME, accepts::<Registration>(app));
    check(Credentials::NAME, accepts::<Credentials>(app));
    check(RefreshToken::NAME, accepts::<RefreshToken>(app));
    check(Token::NAME, accepts::<Token>(app));
    check(SignOut::NAME, accepts::<SignOut>(app));
    check(ApiKeyDraft::NAME, accepts::<ApiKeyDraft>(app));
    check(NewAccount::NAME, accepts::<NewAccount>(app));
    check(UserPatch::NAME, accepts::<UserPatch>(app));
    check(UserPut::NAME, accepts::<UserPut>(app));
    check(MentorChoice::NAME, accepts::<MentorChoice>(app));
    check(RolesWanted::NAME, accepts::<RolesWanted>(app));
    check(RoleDraft::NAME, accepts::<RoleDraft>(app));
    check(RolePut::NAME, accepts::<RolePut>(app));
    check(RolePatch::NAME, accepts::<RolePatch>(app));
    check(RuleDraft::NAME, accepts::<RuleDraft>(app));
    check(RulePut::NAME, accepts::<RulePut>(app));
    check(RulePatch::NAME, accepts::<RulePatch>(app));
    check(TrialAsked::NAME, accepts::<TrialAsked>(app));
    check(AlertDraftBody::NAME, accepts::<AlertDraftBody>(app));
    check(AlertPut::NAME, accepts::<AlertPut>(app));
    check(AlertPatch::NAME, accepts::<AlertPatch>(app));
    check(Remark::NAME, accepts::<Remark>(app));
    check(Details::NAME, accepts::<Details>(app));
    check(EquipmentPut::NAME, accepts::<EquipmentPut>(app));
    check(EquipmentPatch::NAME, accepts::<EquipmentPatch>(app));
    check(MaintenanceDraft::NAME, accepts::<MaintenanceDraft>(app));
    check(MetricChange::NAME, accepts::<MetricChange>(app));
    check(Sending::NAME, accepts::<Sending>(app));
    check(ReadingPut::NAME, accepts::<ReadingPut>(app));
    check(ReadingPatch::NAME, accepts::<ReadingPatch>(app));
    check(WebhookDraft::NAME, accepts::<WebhookDraft>(app));
    check(WebhookPut::NAME, accepts::<WebhookPut>(app));
    check(WebhookPatch::NAME, accepts::<WebhookPatch>(app));

    let document = written();
    for (path, method, operation) in operations(&document) {
        let body = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        if let Some(reference) = body.as_str() {
            let name = reference.rsplit('/').next().unwrap();
            assert!(names.contains(name), "{method} {path}: no example of {name} was tried");
        }
    }
}

fn accepts<B: FromBody>(app: &domain::app::App) -> Result<(), domain::error::Error> {
    let Json::Object(given) = parse(B::EXAMPLE.as_bytes()).unwrap() else {
        panic!("{} has an example that is no object", B::NAME);
    };
    let mut fields = Fields::new(app, given);
    let read = B::read(&mut fields);
    fields.finish()?;
    assert!(read.is_some(), "{}", B::NAME);
    Ok(())
}
