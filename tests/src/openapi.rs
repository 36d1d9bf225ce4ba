//! The OpenAPI document that a server serves, as far as answers can be held against it.

use crate::reply::Reply;
use crate::schema::Schemas;
use reqwest::Method;
use serde_json::Value;

/// HTTP's own failures, which may come before it is known which operation was meant.
const ANYWHERE: [u16; 6] = [400, 404, 405, 408, 413, 431];

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// An OpenAPI 3.1 document.
pub struct Document {
    /// The document itself.
    pub json: Value,
    operations: Vec<Operation>,
}

/// A method on a path.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its id.
    pub id: String,
    /// Its method.
    pub method: Method,
    /// Its path, with `{parameters}`.
    pub path: String,
    /// What the document says about it.
    pub json: Value,
}

impl Operation {
    /// Whether strangers may call it.
    pub fn is_public(&self) -> bool {
        self.json["security"].as_array().is_some_and(Vec::is_empty)
    }

    /// One of its `x-` notes.
    pub fn note(&self, name: &str) -> Option<&str> {
        self.json[name].as_str()
    }

    fn matches(&self, method: &Method, path: &str) -> bool {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let (mut template, mut actual) = (segments(&self.path), segments(path));
        let parameter = |segment: &str| segment.starts_with('{');
        self.method == *method
            && template.clone().count() == actual.clone().count()
            && template.all(|wanted| actual.next().is_some_and(|found| wanted == found || parameter(wanted)))
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> + Clone {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.trim_end_matches('/').split('/')
}

impl Document {
    /// Reads a document.
    pub fn new(json: Value) -> Self {
        let mut operations = Vec::new();
        for (path, item) in json["paths"].as_object().expect("a document has paths") {
            for (method, operation) in item.as_object().expect("a path has methods") {
                let Ok(method) = method.to_ascii_uppercase().parse::<Method>() else { continue };
                let Some(id) = operation["operationId"].as_str() else { continue };
                operations.push(Operation {
                    id: id.to_owned(),
                    method,
                    path: path.clone(),
                    json: operation.clone(),
                });
            }
        }
        // A literal segment wins over a parameter, as in the router.
        operations.sort_by(|one, other| {
            (one.path.matches('{').count(), &one.id).cmp(&(other.path.matches('{').count(), &other.id))
        });
        Self { json, operations }
    }

    /// All operations.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operation that answers this request.
    pub fn operation(&self, method: &Method, path: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.matches(method, path))
    }

    /// Whether a failure has a form of its own that the document promises for the request, because its clients expect that.
    pub fn fails_in_a_form_of_its_own(&self, method: &Method, path: &str, reply: &Reply) -> bool {
        let (Some(operation), Some(form)) = (self.operation(method, path), reply.header("content-type"))
        else {
            return false;
        };
        let documented = &operation.json["responses"][reply.status.as_u16().to_string()];
        form != PROBLEM && Schemas::new(&self.json).resolve(documented)["content"].get(form).is_some()
    }

    /// How the answer differs from what the document promises for the request.
    pub fn breaches(&self, method: &Method, path: &str, reply: &Reply) -> Vec<String> {
        let status = reply.status.as_u16();
        let Some(operation) = self.operation(method, path) else {
            return Vec::new();
        };
        let documented = &operation.json["responses"][status.to_string()];
        if documented.is_null() {
            let expected = ANYWHERE.contains(&status) || status == 304;
            return if expected {
                Vec::new()
            } else {
                vec![format!("{} does not document {status}", operation.id)]
            };
        }
        let schemas = Schemas::new(&self.json);
        let documented = schemas.resolve(documented);
        if reply.bytes.is_empty() {
            // Of lines and rows there may be none.
            let owes_body = !documented["content"][JSON].is_null() && *method != Method::HEAD;
            return if owes_body { vec![format!("{} documents a body", operation.id)] } else { Vec::new() };
        }
        let media_type = reply.header("content-type").unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default();
        let Some(content) = documented["content"].get(media_type).or(documented["content"].get("*/*")) else {
            return vec![format!("{} does not document {media_type:?} with {status}", operation.id)];
        };
        let is_json = media_type == JSON || media_type.ends_with("+json");
        if is_json && reply.header("content-encoding").is_none() {
            schemas.breaches(&content["schema"], &reply.json)
        } else {
            Vec::new()
        }
    }

    /// A schema of the document by name.
    pub fn schemas(&self) -> Schemas<'_> {
        Schemas::new(&self.json)
    }
}
