//! What is sent: paths with the target in them, and the least body that the document calls valid.

use crate::body_schema;
use crate::cast::{Subject, Target};
use tests::openapi::Operation;
use tests::{Installation, Person, Server, Value, json};

/// Somebody whom everybody may have as mentor.
pub(crate) const MENTOR: &str = "mona";

/// A role that nobody holds yet.
pub(crate) const ROLE_TO_GIVE: &str = "to-give";

/// The operation's path with its parameters filled in.
pub(crate) fn path(operation: &Operation, target: Target, subject: &Subject) -> String {
    let path = operation.path.as_str();
    let id = if path.starts_with("/api/users/") {
        subject.user.to_string()
    } else if path.starts_with("/api/sessions/") {
        subject.session.to_string()
    } else if path.starts_with("/api/api-keys/") {
        subject.key.to_string()
    } else {
        subject.role.as_str().map_or_else(|| subject.role.to_string(), str::to_owned)
    };
    let name = match (path.split('/').nth(1), target, operation.method.as_str()) {
        (Some("problems"), Target::Other, _) => "taken",
        (Some("swagger"), Target::Other, _) => "index.html",
        (Some("problems" | "swagger"), _, _) => "no-such-thing",
        (_, _, "DELETE") => &subject.held_role,
        (_, _, _) => ROLE_TO_GIVE,
    };
    let filled = path.replace("{id}", &id).replace("{name}", name);
    assert!(!filled.contains('{'), "{path} has a parameter that this test does not know");
    filled
}

/// The required fields of the body, from the documented example where it does not matter what they say.
pub(crate) async fn body(
    server: &Server,
    director: &Person,
    operation: &Operation,
    fresh: String,
) -> Option<Value> {
    let schema = body_schema(&server.document, operation)?;
    let required: Vec<String> = serde_json::from_value(schema["required"].clone()).unwrap_or_default();
    let signs_in = matches!(operation.path.trim_end_matches('/'), "/api/login" | "/api/token");
    let mut body = json!({});
    for field in required {
        body[&field] = match field.as_str() {
            "username" if signs_in => json!("admin"),
            "password" if signs_in => json!(Installation::ADMIN_PASSWORD),
            "username" | "name" => json!(fresh),
            "mentor" => json!(MENTOR),
            "roles" => json!(["CLIENT"]),
            "permissions" => json!([]),
            "refresh" => json!(director.signed_in_again(server).await.refresh),
            "token" => json!(director.token()),
            other => schema["examples"][0][other].clone(),
        };
    }
    Some(body)
}
