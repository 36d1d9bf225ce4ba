//! What holds for every request, whatever it asks for.

use super::face::{Face, ask, get, str_of};
use serde_json::json;

#[actix_web::test]
async fn both_slash_forms_are_the_same_resource_and_never_a_redirect() {
    let face = Face::new().await;
    let admin = face.admin().await;
    for path in ["/api", "/api/users", "/api/users/me", "/api/permissions", "/health/live", "/api/audit"] {
        let bare = face.send(get(path).by(&admin)).await.expect(200);
        let slashed = face.send(get(&format!("{path}/")).by(&admin)).await.expect(200);
        assert_eq!(bare.bytes, slashed.bytes, "{path}");
    }
}

#[actix_web::test]
async fn a_method_that_the_resource_does_not_know_is_answered_with_those_it_knows() {
    let face = Face::new().await;
    let answer = face.send(ask("DELETE", "/api/users/")).await;
    assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS, POST");
    assert_eq!(answer.problem(405), "method_not_allowed");
    let answer = face.send(ask("BREW", "/api/login")).await.expect(405);
    assert_eq!(answer.header("allow"), "OPTIONS, POST");
}

#[actix_web::test]
async fn options_are_told_to_everybody() {
    let face = Face::new().await;
    let answer = face.send(ask("OPTIONS", "/api/users/7")).await.expect(204);
    assert_eq!(answer.header("allow"), "DELETE, GET, HEAD, OPTIONS, PATCH, PUT");
}

#[actix_web::test]
async fn nothing_is_where_nothing_is() {
    let face = Face::new().await;
    for path in ["/api/nothing", "/", "/api//users", "/api/users/7/nothing", "/problems/no_such_code"] {
        assert_eq!(face.send(get(path)).await.problem(404), "not_found", "{path}");
    }
}

#[actix_web::test]
async fn an_impossible_id_is_simply_not_there() {
    let face = Face::new().await;
    let admin = face.admin().await;
    for id in ["0", "-1", "01", "x", "1.0", "9223372036854775808", "%00", "%31%00", "%ff", "1%20"] {
        let path = format!("/api/users/{id}");
        assert_eq!(face.send(get(&path).by(&admin)).await.problem(404), "not_found", "{id}");
    }
}

#[actix_web::test]
async fn every_answer_has_a_request_id_and_the_clients_own_is_kept() {
    let face = Face::new().await;
    let own = face.send(get("/health/live").with("X-Request-Id", "my-id.1")).await;
    assert_eq!(own.header("x-request-id"), "my-id.1");
    let forged = face.send(get("/health/live").with("X-Request-Id", "a b")).await;
    assert!(!forged.header("x-request-id").is_empty() && forged.header("x-request-id") != "a b");
    let next = face.send(get("/health/live")).await;
    assert_ne!(next.header("x-request-id"), forged.header("x-request-id"));
}

#[actix_web::test]
async fn every_answer_forbids_what_it_does_not_need() {
    let face = Face::new().await;
    let admin = face.admin().await;
    for ask in [get("/health/live"), get("/nothing"), get("/api/users/").by(&admin)] {
        let answer = face.send(ask).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"));
    }
}

#[actix_web::test]
async fn a_stranger_is_asked_who_they_are_and_a_bad_credential_is_called_bad() {
    let face = Face::new().await;
    let anonymous = face.send(get("/api/users/")).await;
    assert_eq!(anonymous.header("www-authenticate"), "Bearer realm=\"techtrack\"");
    assert_eq!(anonymous.problem(401), "unauthenticated");
    for credential in ["Bearer forged", "Basic YTpi", "Bearer", "ttk_x"] {
        let answer = face.send(get("/api/users/").with("Authorization", credential)).await;
        assert!(answer.header("www-authenticate").ends_with("error=\"invalid_token\""), "{credential}");
        assert_eq!(answer.problem(401), "unauthenticated");
    }
}

#[actix_web::test]
async fn both_schemes_are_taken_and_two_credentials_are_not() {
    let face = Face::new().await;
    let admin = face.admin().await;
    for scheme in ["Bearer", "bearer", "Token", "TOKEN"] {
        let ask = get("/api/users/me").with("Authorization", &format!("{scheme} {admin}"));
        face.send(ask).await.expect(200);
    }
    let twice = face.send(get("/api/users/me").by(&admin).by(&admin)).await;
    assert_eq!(twice.problem(400), "malformed_request");
}

#[actix_web::test]
async fn what_is_open_to_everybody_does_not_mind_a_bad_credential() {
    let face = Face::new().await;
    face.send(get("/api/").by("forged")).await.expect(200);
    face.send(get("/health/live").by("a").by("b")).await.expect(200);
}

#[actix_web::test]
async fn a_body_is_not_even_read_before_the_caller_may_send_it() {
    let face = Face::new().await;
    let (_, anna) = face.person("anna").await;
    let broken = |ask: super::face::Ask| ask.body("text/plain", "{");
    assert_eq!(face.send(broken(ask("POST", "/api/users/"))).await.problem(401), "unauthenticated");
    let denied = face.send(broken(ask("POST", "/api/users/").by(&anna))).await;
    assert_eq!(denied.problem(403), "permission_required");
}

#[actix_web::test]
async fn who_takes_no_json_gets_none() {
    let face = Face::new().await;
    let answer = face.send(get("/api/").with("Accept", "text/html")).await;
    assert_eq!(answer.problem(406), "not_acceptable");
    face.send(get("/api/").with("Accept", "text/html, */*;q=0.1")).await.expect(200);
}

#[actix_web::test]
async fn a_body_of_another_form_is_refused() {
    let face = Face::new().await;
    let registration = r#"{"username": "anna", "password": "robots need rest"}"#;
    let kinds = [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "application/json; charset=utf-16",
        "",
    ];
    for kind in kinds {
        let answer = face.send(ask("POST", "/api/registration").body(kind, registration)).await;
        assert_eq!(answer.problem(415), "unsupported_media_type", "{kind}");
    }
    let packed = ask("POST", "/api/registration").with("Content-Encoding", "br");
    let answer = face.send(packed.body("application/json", registration)).await;
    assert_eq!(answer.problem(415), "unsupported_coding");
    let upper = ask("POST", "/api/registration").body("Application/JSON; Charset=\"UTF-8\"", registration);
    face.send(upper).await.expect(201);
}

#[actix_web::test]
async fn a_body_that_cannot_be_parsed_is_refused() {
    let face = Face::new().await;
    let bodies = [
        "",
        "{",
        "[]",
        "null",
        "\"text\"",
        "{\"username\": \"a\", \"username\": \"b\"}",
        "{} {}",
        "{\"username\": \"a\\u0000\"}",
        "{\"username\": \"\\ud800\"}",
        "[{\"username\": \"anna\"}]",
    ];
    for body in bodies {
        let answer = face.send(ask("POST", "/api/registration").body("application/json", body)).await;
        assert_eq!(answer.problem(400), "malformed_request", "{body}");
    }
    let latin =
        face.send(ask("POST", "/api/registration").body("application/json", &b"{\"a\":\"\xe4\"}"[..])).await;
    assert_eq!(latin.problem(400), "malformed_request");
}

#[actix_web::test]
async fn a_body_beyond_the_limit_of_its_operation_is_refused() {
    let face = Face::new().await;
    let long = format!("{{\"username\": \"{}\"}}", "x".repeat(5000));
    let sign_in = face.send(ask("POST", "/api/token/").body("application/json", long.clone())).await;
    assert_eq!(sign_in.problem(413), "too_large");
    let registration = face.send(ask("POST", "/api/registration").body("application/json", long)).await;
    assert_eq!(registration.problem(422), "invalid_fields");
}

#[actix_web::test]
async fn all_bad_fields_are_told_at_once_unknown_ones_too() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let body =
        json!({"username": "two words", "password": "short", "email": 7, "is_activ": true, "mentor": []});
    let answer = face.send(ask("POST", "/api/users/").by(&admin).json(&body)).await;
    let blamed = answer.blamed(422);
    let expected = [
        "username: characters",
        "email: type",
        "password: too_short",
        "mentor: type",
        "is_activ: unknown_field",
    ];
    assert_eq!(blamed, expected);
}

#[actix_web::test]
async fn parameters_that_nobody_reads_are_refused() {
    let face = Face::new().await;
    let admin = face.admin().await;
    let answer = face.send(get("/api/users/me?fields=id").by(&admin)).await;
    assert_eq!(answer.problem(400), "unknown_parameter");
    let answer = face.send(get("/api/users/?is_mentr=true").by(&admin)).await.expect(400);
    assert!(str_of(&answer.json()["detail"]).contains("did you mean is_mentor?"));
}

#[actix_web::test]
async fn answers_are_compressed_for_who_asks() {
    let face = Face::new().await;
    let openapi = || get("/api/openapi.json");
    let plain = face.send(openapi()).await.expect(200);
    for coding in ["gzip", "zstd"] {
        let small = face.send(openapi().with("Accept-Encoding", coding)).await.expect(200);
        assert_eq!(small.header("content-encoding"), coding);
        assert!(small.header("vary").contains("accept-encoding"));
        assert!(small.bytes.len() * 3 < plain.bytes.len());
    }
    let refused = face.send(openapi().with("Accept-Encoding", "br, identity;q=0")).await;
    assert_eq!(refused.problem(406), "not_acceptable");
}

#[actix_web::test]
async fn an_error_code_is_explained_to_programs_and_to_people() {
    let face = Face::new().await;
    let explained = face.send(get("/problems/stale_version")).await.expect(200).json();
    assert_eq!((&explained["status"], &explained["code"]), (&json!(412), &json!("stale_version")));
    let page =
        face.send(get("/problems/stale_version").with("Accept", "text/html,*/*;q=0.8")).await.expect(200);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(String::from_utf8_lossy(&page.bytes).contains("<code>stale_version</code>"));
}

#[actix_web::test]
async fn the_resources_are_listed() {
    let face = Face::new().await;
    let resources = face.send(get("/api/")).await.expect(200).json();
    assert_eq!(resources["users"], "/api/users/");
    assert_eq!(resources["api_keys"], "/api/api-keys/");
}
