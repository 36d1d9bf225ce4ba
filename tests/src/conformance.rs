//! What every answer owes, whatever the story: the shape of failures, headers, and the documented status, media type and
//! schema. Checked on each answer that a story gets, so that drift between document and server fails any test.

use crate::openapi::Document;
use crate::reply::Reply;
use reqwest::Method;
use serde_json::Value;

/// Fails the test when the answer breaks a promise that holds for all answers.
pub fn check(document: &Document, method: &Method, path: &str, authenticated: bool, reply: &Reply) {
    let breaches = breaches(document, method, path, authenticated, reply);
    assert!(
        breaches.is_empty(),
        "{} was answered {} {}\n{:#?}\nwhich breaks promises:\n- {}",
        reply.asked,
        reply.status,
        reply.start(),
        reply.headers,
        breaches.join("\n- ")
    );
}

/// The promises that hold for all answers and that this one breaks.
pub fn breaches(
    document: &Document,
    method: &Method,
    path: &str,
    authenticated: bool,
    reply: &Reply,
) -> Vec<String> {
    let mut breaches = Vec::new();
    let operation = document.operation(method, path);
    let concerns_somebody = authenticated && operation.is_some_and(|operation| !operation.is_public());
    breaches.extend(status_breach(reply));
    breaches.extend(header_breaches(concerns_somebody, reply));
    if reply["openapi"].is_null() {
        breaches.extend(instant_breaches(&reply.json));
    }
    let is_foreign = document.fails_in_a_form_of_its_own(method, path, reply);
    if reply.status.is_client_error() && *method != Method::HEAD && !is_foreign {
        breaches.extend(problem_breaches(reply));
    }
    if *method == Method::HEAD && !reply.bytes.is_empty() {
        breaches.push("an answer to HEAD has a body".to_owned());
    }
    breaches.extend(document.breaches(method, path, reply));
    breaches
}

fn status_breach(reply: &Reply) -> Option<String> {
    if reply.status.is_server_error() {
        return Some("no request may be answered with a failure of the server".to_owned());
    }
    let moved = reply.status.is_redirection() && reply.status != 304;
    moved.then(|| "no request is redirected".to_owned())
}

fn header_breaches(concerns_somebody: bool, reply: &Reply) -> Vec<String> {
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
    if concerns_somebody {
        let caching = reply.header("cache-control").unwrap_or_default();
        let validated = caching.contains("private") && has("etag");
        owes(
            caching.contains("no-store") || validated,
            "an answer to somebody known is not stored by caches",
        );
    }
    if status == 401 {
        let challenge = reply.header("www-authenticate").unwrap_or_default();
        owes(challenge.starts_with("Bearer"), "401 carries WWW-Authenticate: Bearer");
    }
    owes(status != 405 || has("allow"), "405 carries Allow");
    owes(status != 429 || has("retry-after"), "429 carries Retry-After");
    // Of many readings at once only the counts are told.
    let one_was_made = status == 201 && reply["accepted"].is_null();
    owes(!one_was_made || has("location"), "201 carries Location");
    if matches!(status, 204 | 304) {
        owes(reply.bytes.is_empty(), "204 and 304 have no body");
    }
    if let (200 | 201, Some(version)) = (status, reply["version"].as_i64()) {
        let tag = format!("\"{version}\"");
        owes(reply.header("etag") == Some(&tag), "the version is answered as a strong ETag");
    }
    breaches
}

/// Instants are answered in UTC with `Z` and microseconds, wherever they stand.
fn instant_breaches(body: &Value) -> Vec<String> {
    match body {
        Value::String(text) if is_foreign_instant(text) => {
            vec![format!("{text} is not in UTC with microseconds")]
        }
        Value::Array(items) => items.iter().flat_map(instant_breaches).collect(),
        Value::Object(fields) => fields.values().flat_map(instant_breaches).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn is_foreign_instant(text: &str) -> bool {
    let shape = "0000-00-00T00:00:00.000000Z";
    let fits = |(found, wanted): (char, char)| {
        if wanted == '0' { found.is_ascii_digit() } else { found == wanted }
    };
    let ours = text.len() == shape.len() && text.chars().zip(shape.chars()).all(fits);
    !ours && chrono::DateTime::parse_from_rfc3339(text).is_ok()
}

/// RFC 9457, as docs/api.md has it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_without_microseconds_or_in_another_zone_is_not_ours() {
        assert!(!is_foreign_instant("2026-05-04T07:30:00.000001Z"));
        for text in
            ["2026-05-04T07:30:00Z", "2026-05-04T07:30:00.000001+00:00", "2026-05-04T09:30:00.000000+02:00"]
        {
            assert!(is_foreign_instant(text), "{text}");
        }
        assert!(!is_foreign_instant("anna"));
    }
}
