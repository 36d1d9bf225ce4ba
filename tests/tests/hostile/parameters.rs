//! Every parameter of every operation: in the path, in the query, in the headers, and in forms.

use crate::asker::Asker;
use crate::corpus;
use crate::stage::Stage;
use tests::openapi::Operation;
use tests::{Method, Value};

const FORM: &str = "application/x-www-form-urlencoded";

/// Headers that mean something to some operation, and to most of them nothing.
const ANYWHERE: [&str; 14] = [
    "Accept",
    "Accept-Encoding",
    "Authorization",
    "Content-Encoding",
    "Content-Type",
    "Cookie",
    "Forwarded",
    "If-None-Match",
    "Origin",
    "Range",
    "User-Agent",
    "X-Forwarded-For",
    "X-HTTP-Method-Override",
    "X-Request-Id",
];

/// Nothing that is found under what names nothing.
pub(crate) async fn walk_paths<'a>(stage: &Stage<'a>, operation: &'a Operation, asker: &mut Asker) {
    let template: Vec<&str> = operation.path.split('/').collect();
    for (at, _) in template.iter().enumerate().filter(|(_, segment)| segment.starts_with('{')) {
        let good = stage.path(operation);
        for hostile in corpus::SEGMENTS {
            let mut segments: Vec<&str> = good.split('/').collect();
            segments[at] = hostile;
            let request = stage.request(operation).to(segments.join("/"));
            asker.ask_in_vain(stage.server, request, hostile.as_bytes()).await;
        }
        let mut segments: Vec<&str> = good.split('/').collect();
        let long = "%F0%9F%91%A9".repeat(300);
        segments[at] = &long;
        asker
            .ask_in_vain(stage.server, stage.request(operation).to(segments.join("/")), long.as_bytes())
            .await;
    }
}

/// Each parameter by itself, and names that are none.
pub(crate) async fn walk_queries<'a>(stage: &Stage<'a>, operation: &'a Operation, asker: &mut Asker) {
    let values = corpus::query_values();
    for (number, parameter) in named(operation, "query").into_iter().enumerate() {
        for hostile in corpus::share(&values, number) {
            let others = stage.query(operation).into_iter().filter(|(name, _)| *name != parameter);
            let mut query: Vec<String> = others.map(|(name, value)| format!("{name}={value}")).collect();
            query.push(format!("{parameter}={hostile}"));
            let request =
                stage.request(operation).to(format!("{}?{}", stage.path(operation), query.join("&")));
            asker.ask(stage.server, request, hostile.as_bytes()).await;
        }
    }
    if operation.method != Method::GET {
        return;
    }
    let number = operation.id.len();
    for hostile in corpus::share(&values, number).filter(|name| !name.is_empty()) {
        let request = stage.request(operation).to(format!("{}?{hostile}=1", stage.path(operation)));
        asker.ask(stage.server, request, hostile.as_bytes()).await;
    }
    let many = "&search=a".repeat(500);
    asker
        .ask(stage.server, stage.request(operation).to(format!("{}?{many}", stage.path(operation))), b"")
        .await;
}

/// Each header that the operation documents; those that mean something anywhere, to one operation of each kind.
pub(crate) async fn walk_headers<'a>(stage: &Stage<'a>, operation: &'a Operation, asker: &mut Asker) {
    let examples = ["create_role", "list_equipment", "get_equipment", "log_in", "send_readings", "live"];
    let anywhere = ANYWHERE.iter().filter(|_| examples.contains(&operation.id.as_str())).copied();
    for name in named(operation, "header").into_iter().chain(anywhere) {
        for hostile in corpus::headers() {
            let request = stage.request(operation).header(name, &hostile);
            asker.ask(stage.server, request, &hostile).await;
        }
    }
}

/// Each field of those bodies that may come as forms.
pub(crate) async fn walk_forms<'a>(stage: &Stage<'a>, operation: &'a Operation, asker: &mut Asker) {
    if operation.json["requestBody"]["content"][FORM].is_null() {
        return;
    }
    let Some((_, schema)) = stage.schema(operation) else { return };
    let values = corpus::query_values();
    for field in schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name) {
        for hostile in corpus::share(&values, field.len()) {
            let body = stage.body(operation, schema);
            let others = body.as_object().into_iter().flatten().filter(|(name, _)| *name != field);
            let pair =
                |(name, value): (&String, &Value)| format!("{name}={}&", value.as_str().unwrap_or_default());
            let form = others.map(pair).collect::<String>() + &format!("{field}={hostile}");
            asker.ask(stage.server, stage.request(operation).body(FORM, form), hostile.as_bytes()).await;
        }
    }
}

fn named<'a>(operation: &'a Operation, place: &str) -> Vec<&'a str> {
    let parameters = operation.json["parameters"].as_array().into_iter().flatten();
    parameters.filter(|one| one["in"] == place).filter_map(|one| one["name"].as_str()).collect()
}
