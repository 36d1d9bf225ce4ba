//! What every answer owes, whatever the story: the shape of failures, headers, and the documented status, media type and
//! schema. Checked on each answer that a story gets, so that drift between document and server fails any test.

use crate::openapi::Document;
use crate::reply::Reply;
use reqwest::Method;
use serde_json::Value;

/// Fails the test when the answer breaks a promise that holds for all answers.
pub fn check(document: &Document, method: &Method, path: &str, authenticated: bool, reply: &Reply) {
    let mut breaches = Vec::new();
    breaches.extend(status_breach(reply));
    breaches.extend(header_breaches(path, authenticated, reply));
    if reply.status.is_client_error() && *method != Method::HEAD {
        breaches.extend(problem_breaches(reply));
    }
    if *method == Method::HEAD && !reply.bytes.is_empty() {
        breaches.push("an answer to HEAD has a body".to_owned());
    }
    breaches.extend(document.breaches(method, path, reply));
    assert!(
        breaches.is_empty(),
        "{} was answered {} {}\n{:#?}\nwhich breaks promises:\n- {}",
        reply.asked,
        reply.status,
        String::from_utf8_lossy(&reply.bytes),
        reply.headers,
        breaches.join("\n- ")
    );
}

fn status_breach(reply: &Reply) -> Option<String> {
    if reply.status.is_server_error() {
        return Some("no request may be answered with a failure of the server".to_owned());
    }
    let moved = reply.status.is_redirection() && reply.status != 304;
    moved.then(|| "no request is redirected".to_owned())
}

fn header_breaches(path: &str, authenticated: bool, reply: &Reply) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut owes = |kept: bool, promise: &str| {
        if !kept {
            breaches.push(promise.to_owned());
        }
    };
    let status = reply.status.as_u16();
    let has = |name: &str| reply.headers.contains_key(name);
    owes(has("x-request-id"), "every answer carries X-Request-Id");
    owes(reply.header("x-content-type-options") == Some("nosniff"), "every answer carries nosniff");
    if authenticated && path.starts_with("/api") {
        let caching = reply.header("cache-control").unwrap_or_default();
        let validated = caching.contains("private") && has("etag");
        owes(caching.contains("no-store") || validated, "an answer to somebody known is not stored by caches");
    }
    if status == 401 {
        let challenge = reply.header("www-authenticate").unwrap_or_default();
        owes(challenge.starts_with("Bearer"), "401 carries WWW-Authenticate: Bearer");
    }
    owes(status != 405 || has("allow"), "405 carries Allow");
    owes(status != 429 || has("retry-after"), "429 carries Retry-After");
    owes(status != 201 || has("location"), "201 carries Location");
    if matches!(status, 204 | 304) {
        owes(reply.bytes.is_empty(), "204 and 304 have no body");
    }
    if let (200 | 201, Some(version)) = (status, reply["version"].as_i64()) {
        let tag = format!("\"{version}\"");
        owes(reply.header("etag") == Some(&tag), "the version is answered as a strong ETag");
    }
    breaches
}

/// RFC 9457, as the contract has it.
fn problem_breaches(reply: &Reply) -> Vec<String> {
    let mut breaches = Vec::new();
    if reply.header("content-type") != Some("application/problem+json") {
        breaches.push("a failure is application/problem+json".to_owned());
    }
    let code = reply.code();
    let expected = [
        ("type", Value::from(format!("/problems/{code}"))),
        ("status", Value::from(reply.status.as_u16())),
        ("request_id", Value::from(reply.header("x-request-id").unwrap_or_default())),
    ];
    for (field, value) in expected {
        if reply[field] != value {
            breaches.push(format!("a problem's {field} is {value} here, not {}", reply[field]));
        }
    }
    for field in ["code", "title", "detail"] {
        if reply[field].as_str().is_none_or(str::is_empty) {
            breaches.push(format!("a problem has a {field}"));
        }
    }
    if !reply["errors"].is_null() && !matches!(reply.status.as_u16(), 409 | 422) {
        breaches.push("fields are blamed with 409 and 422 only".to_owned());
    }
    breaches
}
