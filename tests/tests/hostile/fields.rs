//! Every field of every body: where it stands, and whether what was stored in it is what was sent.

use crate::asker::Asker;
use crate::corpus;
use crate::stage::Stage;
use tests::openapi::Operation;
use tests::plant::floats;
use tests::wire::Request;
use tests::{Method, Reply, Value, json};

/// Stands where something is put in, as a value or as the name of a field.
const HERE: &str = "@here@";

/// How deep objects in objects are looked into.
const DEPTH: usize = 3;

/// A body with a place for something else in it.
struct Place {
    /// The top-level field that is meant, where what is answered can be held against what was sent.
    field: Option<String>,
    template: Value,
}

/// Sends each of the corpus in each field.
pub(crate) async fn walk<'a>(stage: &Stage<'a>, operation: &'a Operation, asker: &mut Asker) {
    let Some((kind, schema)) = stage.schema(operation) else { return };
    let values = corpus::values();
    let count = places(stage, schema, &json!({}), DEPTH).len();
    for number in 0..count {
        for value in corpus::share(&values, number) {
            // What must be unique is so in each body.
            let place = places(stage, schema, &stage.body(operation, schema), DEPTH).swap_remove(number);
            let request = stage.request(operation).body(&kind, fill(&place.template, value));
            let Some(reply) = asker.ask(stage.server, request.clone(), value).await else { continue };
            if operation.id == "send_lines" {
                hold_counts(&request, value, &reply, asker);
            } else if reply.status.is_success() {
                hold_field(stage, &place, (&request, value), reply, asker).await;
            }
        }
    }
}

/// Sends each document that is none.
pub(crate) async fn walk_documents<'a>(stage: &Stage<'a>, operation: &'a Operation, asker: &mut Asker) {
    let Some((kind, schema)) = stage.schema(operation) else { return };
    for document in corpus::documents(&stage.body(operation, schema).to_string()) {
        let request = stage.request(operation).body(&kind, document.clone());
        let reply = asker.ask(stage.server, request.clone(), &document).await;
        // Lines are refused one by one, an array of readings is one, and where nothing is required nothing need be sent.
        let may_pass = matches!(operation.id.as_str(), "send_lines" | "send_readings")
            || document.iter().all(u8::is_ascii_whitespace) && schema["required"].is_null();
        let passed = reply.is_some_and(|reply| !reply.status.is_client_error());
        if passed && !may_pass {
            asker.breach(&request, &document, "was let through");
        }
    }
}

/// Where something can stand in an object of this schema, which else is as given.
fn places<'a>(stage: &Stage<'a>, schema: &'a Value, around: &Value, depth: usize) -> Vec<Place> {
    let schemas = stage.server.document.schemas();
    let schema = schemas.resolve(schema);
    if schema["properties"].is_null() {
        let alternatives = schema["oneOf"].as_array().into_iter().flatten();
        let mut objects =
            alternatives.map(|one| schemas.resolve(one)).filter(|one| one["properties"].is_object());
        return objects.next().map_or_else(Vec::new, |object| places(stage, object, around, depth));
    }
    let mut found = Vec::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let property = schemas.resolve(property);
        let mut put = |field: Option<String>, value: Value| {
            let mut template = around.clone();
            template[name] = value;
            found.push(Place { field, template });
        };
        // What is hidden in answers, or only read, is not answered as it was sent.
        let is_answered = property["readOnly"].is_null() && property["format"] != "password";
        put(is_answered.then(|| name.clone()), json!(HERE));
        if is(property, "array") {
            put(None, json!([HERE]));
        }
        if is(property, "object") {
            put(None, json!({"temperature": HERE}));
            put(None, json!({HERE: 1}));
        }
        if depth > 1 && property["items"].is_object() {
            for inner in places(stage, &property["items"], &json!({}), depth - 1) {
                put(None, json!([inner.template]));
            }
        }
    }
    let mut stranger = around.clone();
    stranger[HERE] = json!(1);
    found.push(Place { field: None, template: stranger });
    found
}

fn is(schema: &Value, kind: &str) -> bool {
    let types = &schema["type"];
    types == kind || types.as_array().is_some_and(|types| types.contains(&json!(kind)))
}

/// The body with the value in its place.
fn fill(template: &Value, value: &[u8]) -> Vec<u8> {
    let text = template.to_string();
    let (before, after) = text.split_once(&format!("\"{HERE}\"")).expect("a template has a place");
    [before.as_bytes(), value, after.as_bytes()].concat()
}

/// What was taken is answered as it was sent, now and when it is asked for later.
async fn hold_field(
    stage: &Stage<'_>,
    place: &Place,
    (request, value): (&Request, &[u8]),
    reply: Reply,
    asker: &mut Asker,
) {
    let Some(field) = &place.field else { return };
    let Ok(sent) = serde_json::from_slice::<Value>(value) else {
        return asker.breach(request, value, "is no JSON, and was taken");
    };
    hold(field, &sent, (request, value), &reply, asker);
    let location = match reply.header("location") {
        Some(location) => location.to_owned(),
        None if request.method == Method::POST => return,
        None => request.path(),
    };
    let again = Request::new(&Method::GET, location);
    if let Some(stored) = asker.ask(stage.server, again, value).await
        && stored.status.is_success()
    {
        hold(field, &sent, (request, value), &stored, asker);
    }
}

fn hold(field: &str, sent: &Value, (request, value): (&Request, &[u8]), reply: &Reply, asker: &mut Asker) {
    let Some(found) = reply.json.get(field) else { return };
    if !may_differ(field, sent, found, request) && !same(sent, found) {
        asker.breach(request, value, &format!("was taken for {field}, which is now {found}"));
    }
}

/// Where something else than what was sent is answered, and says the same.
fn may_differ(field: &str, sent: &Value, found: &Value, request: &Request) -> bool {
    let path = request.path();
    match field {
        // What holds by default.
        _ if sent.is_null() => true,
        // Equipment may be named by its serial number.
        "equipment" => sent.is_string() && found.is_i64(),
        // Numbers are kept without what only people need.
        "phone" => digits(sent) == digits(found),
        // Names that look alike are one.
        "username" => sent.as_str().is_some_and(|sent| !sent.is_ascii()),
        // A step that was taken already changes nothing when it is taken again.
        "note" => path.ends_with("/resolve") || path.ends_with("/acknowledge"),
        _ => false,
    }
}

fn digits(text: &Value) -> Vec<char> {
    text.as_str().unwrap_or_default().chars().filter(|one| one.is_alphanumeric() || *one == '+').collect()
}

/// Numbers and instants may be written in more than one way.
fn same(one: &Value, other: &Value) -> bool {
    let instant = |value: &Value| chrono::DateTime::parse_from_rfc3339(value.as_str()?).ok();
    let is_same_instant = instant(one).is_some_and(|one| instant(other) == Some(one));
    is_same_instant || floats(one) == floats(other)
}

fn hold_counts(request: &Request, value: &[u8], reply: &Reply, asker: &mut Asker) {
    let [received, accepted, duplicates, rejected] = ["received", "accepted", "duplicates", "rejected"]
        .map(|name| reply[name].as_u64().unwrap_or_default());
    if reply.status == 200 && received != accepted + duplicates + rejected {
        asker.breach(request, value, &format!("is counted as {}", reply.json));
    }
}
