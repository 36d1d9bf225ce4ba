//! What is sent: paths with the target in them, and the least body that the document calls valid.

use crate::body_schema;
use crate::cast::{Machinery, Subject, Target};
use tests::client::Call;
use tests::openapi::Operation;
use tests::plant::{second, with};
use tests::{Installation, Person, Server, Value, json};

/// Somebody whom everybody may have as mentor.
pub(crate) const MENTOR: &str = "mona";

/// A role that nobody holds yet.
pub(crate) const ROLE_TO_GIVE: &str = "to-give";

/// The operation's path with its parameters filled in, and what it cannot do without behind it.
pub(crate) fn path(operation: &Operation, target: Target, subject: &Subject) -> String {
    let path = operation.path.as_str();
    let plant = &subject.plant;
    let id = match path.split('/').nth(2) {
        Some("users") => subject.user.to_string(),
        Some("sessions") => subject.session.to_string(),
        Some("api-keys") => subject.key.to_string(),
        Some("equipment") => plant.machine.to_string(),
        Some("data") => plant.reading.clone(),
        Some("alert-rules") => plant.rule.to_string(),
        Some("alerts") => plant.alert.to_string(),
        Some("webhooks") => plant.webhook.to_string(),
        _ => subject.role.as_str().map_or_else(|| subject.role.to_string(), str::to_owned),
    };
    let name = match (path.trim_start_matches("/api").split('/').nth(1), target, operation.method.as_str()) {
        (Some("problems"), Target::Other, _) => "taken",
        (Some("swagger"), Target::Other, _) => "index.html",
        (Some("metrics"), Target::Other, _) => "temperature",
        (Some("problems" | "swagger" | "metrics"), _, _) => "no-such-thing",
        (_, _, "DELETE") => &subject.held_role,
        (_, _, _) => ROLE_TO_GIVE,
    };
    let entry = if path.starts_with("/api/webhooks/") { plant.delivery } else { plant.maintenance };
    let filled = path.replace("{id}", &id).replace("{name}", name).replace("{entry}", &entry.to_string());
    assert!(!filled.contains('{'), "{path} has a parameter that this test does not know");
    filled + &query(operation, subject)
}

/// Whether it concerns machines and nobody's account.
pub(crate) fn is_of_plant(operation: &Operation) -> bool {
    let areas =
        ["equipment", "data", "latest", "metrics", "series", "alert-rules", "alerts", "stream", "webhooks"];
    operation.path.strip_prefix("/api/").is_some_and(|path| areas.iter().any(|area| path.starts_with(area)))
}

/// The parameters without which a question cannot be asked.
fn query(operation: &Operation, subject: &Subject) -> String {
    match operation.id.as_str() {
        "fold_series" => {
            let (machine, from, to) = (subject.plant.machine, second(0), second(60));
            format!("?equipment={machine}&metric=temperature&from={from}&to={to}")
        }
        "execute_statement" | "execute_statement_by_get" => "?q=SHOW%20DATABASES".to_owned(),
        _ => String::new(),
    }
}

/// A body in the one form that an operation reads.
pub(crate) enum Sent {
    Json(Value),
    Lines(Value),
    Points(String),
}

impl Sent {
    /// The call with this body.
    pub(crate) fn send_with(self, call: Call) -> Call {
        match self {
            Sent::Json(body) => call.json(body),
            Sent::Points(line) => call.body("text/plain", line.as_bytes()),
            Sent::Lines(line) => call.body("application/x-ndjson", line.to_string().as_bytes()),
        }
    }
}

/// The least body that makes sense: the required fields, from the documented example where it does not matter what they
/// say.
pub(crate) async fn body(
    server: &Server,
    director: &Person,
    operation: &Operation,
    (fresh, plant): (&str, &Machinery),
) -> Option<Sent> {
    let reading =
        || json!({"equipment": plant.machine, "timestamp": second(1), "values": {"temperature": 20}});
    let above = json!({"name": fresh, "metric": "temperature", "operator": ">", "threshold": 80});
    match operation.id.as_str() {
        "send_readings" => return Some(Sent::Json(reading())),
        "put_reading" => return Some(Sent::Json(json!({"values": {"temperature": 20}}))),
        "send_lines" => return Some(Sent::Lines(reading())),
        "write_points_v1" | "write_points_v2" => {
            let line = format!("oven,equipment_id={} temperature=20 1777874400000000000", plant.machine);
            return Some(Sent::Points(line));
        }
        "create_alert_rule" | "put_alert_rule" => return Some(Sent::Json(above)),
        "preview_alert_rule" => return Some(Sent::Json(with(above, json!({"from": second(0)})))),
        _ => {}
    }
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
            "url" => json!("https://example.invalid/"),
            "refresh" => json!(director.signed_in_again(server).await.refresh),
            "token" => json!(director.token()),
            "equipment" => json!(plant.machine),
            other => schema["examples"][0][other].clone(),
        };
    }
    Some(Sent::Json(body))
}
