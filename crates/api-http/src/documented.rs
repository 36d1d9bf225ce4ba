//! The document of an operation, written by the types in its handler's signature.
//!
//! Each extractor and each answer says here what it adds: a parameter, a body, a status. What a handler takes and gives
//! is therefore what the document says, and nobody keeps the two in step by hand.

use actix_web::http::{Method, StatusCode};
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::Header;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{Object, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{Content, Ref, RefOr};

/// What an argument or an answer of a handler adds to the operation's document.
pub trait Documented {
    /// Adds it.
    fn describe(operation: &mut Described);
}

/// An operation's document while it is being written.
#[derive(Clone, Default)]
pub struct Described {
    /// The method that carries it.
    pub method: Method,
    /// The operation.
    pub operation: Operation,
    /// The schemas that it refers to, by name.
    pub schemas: BTreeMap<String, RefOr<Schema>>,
    /// Whether it may go on for as long as its client does.
    pub lasts: bool,
}

impl Described {
    /// The document of an operation of which only name, summary and the failures of its use case are known.
    pub fn new(method: Method, tag: &str, operation: Operation) -> Self {
        let mut described = Self { method, operation, schemas: BTreeMap::new(), lasts: false };
        described.operation.tags = Some(vec![tag.to_owned()]);
        let statuses: Vec<String> = described.operation.responses.responses.keys().cloned().collect();
        for status in statuses.iter().filter_map(|status| status.parse().ok()) {
            described.fails(status);
        }
        described
    }

    /// Adds a parameter.
    pub fn parameter(&mut self, parameter: impl Into<Parameter>) {
        let parameters = self.operation.parameters.get_or_insert_default();
        parameters.push(RefOr::T(parameter.into()));
    }

    /// Sets the body that the operation reads.
    pub fn reads(&mut self, body: RequestBody) {
        self.operation.request_body = Some(RefOr::T(body));
    }

    /// Adds an answer of this status, one of this media type among others.
    pub fn answers(&mut self, status: StatusCode, description: &str, media_type: &str, content: Content) {
        let mut response = self.response(status, description);
        response.content.insert(media_type.to_owned(), RefOr::T(content));
        self.put(status, response);
    }

    /// Adds an answer of this status without a body.
    pub fn answers_empty(&mut self, status: StatusCode, description: &str) {
        let response = self.response(status, description);
        self.put(status, response);
    }

    /// Adds the answer to a client that has the resource already.
    pub fn may_be_spared(&mut self) {
        if self.method == Method::GET {
            self.answers_empty(
                StatusCode::NOT_MODIFIED,
                "The client has it already, as `If-None-Match` says.",
            );
        }
    }

    /// Adds a header to the answers of success.
    pub fn success_header(&mut self, name: &str, description: &str) {
        let text = Object::with_type(SchemaType::Type(Type::String));
        for (status, response) in &mut self.operation.responses.responses {
            if let (true, RefOr::T(response)) = (status.starts_with('2'), response) {
                let mut header = Header::new(text.clone());
                header.description = Some(description.to_owned());
                response.headers.insert(name.to_owned(), RefOr::T(header));
            }
        }
    }

    /// Adds a failure: `application/problem+json` with this status.
    pub fn fails(&mut self, status: StatusCode) {
        let reference = Ref::new(format!("#/components/responses/{}", failure_name(status)));
        let responses = &mut self.operation.responses.responses;
        responses.insert(status.as_u16().to_string(), RefOr::Ref(reference));
    }

    /// Adds several failures.
    pub fn may_fail(&mut self, statuses: &[StatusCode]) {
        for status in statuses {
            self.fails(*status);
        }
    }

    /// Adds an `x-…` note.
    pub fn note(&mut self, name: &str, value: &str) {
        let note = Extensions::from_iter([(name, value)]);
        self.operation.extensions.get_or_insert_default().merge(note);
    }

    /// Whether there is an `x-…` note of this name.
    pub fn has_note(&self, name: &str) -> bool {
        self.operation.extensions.as_ref().is_some_and(|notes| notes.contains_key(name))
    }

    /// Adds a paragraph to the description.
    pub fn add_words(&mut self, words: &str) {
        let told = self.operation.description.take();
        self.operation.description = Some(match told {
            Some(told) => format!("{told}\n\n{words}"),
            None => words.to_owned(),
        });
    }

    /// A reference to the schema of `T`, which becomes part of the document.
    pub fn schema_of<T: ToSchema>(&mut self) -> Ref {
        let mut below = Vec::new();
        T::schemas(&mut below);
        self.schemas.extend(below);
        self.schema(&T::name(), T::schema())
    }

    /// A reference to this schema, which becomes part of the document under this name.
    pub fn schema(&mut self, name: &str, schema: RefOr<Schema>) -> Ref {
        self.schemas.insert(name.to_owned(), schema);
        Ref::from_schema_name(name)
    }

    /// The media types in which the operation answers success.
    pub fn media_types(&self) -> Vec<String> {
        let mut types = Vec::new();
        for (status, response) in &self.operation.responses.responses {
            if let (true, RefOr::T(response)) = (status.starts_with('2'), response) {
                types.extend(response.content.keys().cloned());
            }
        }
        types
    }

    /// Whether the operation takes query parameters.
    pub fn takes_query(&self) -> bool {
        let in_query = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query);
        self.operation.parameters.as_ref().is_some_and(|all| all.iter().any(in_query))
    }

    /// The answer of this status as written so far.
    fn response(&self, status: StatusCode, description: &str) -> Response {
        match self.operation.responses.responses.get(status.as_str()) {
            Some(RefOr::T(response)) => response.clone(),
            Some(RefOr::Ref(_)) | None => Response::new(description),
        }
    }

    fn put(&mut self, status: StatusCode, response: Response) {
        let responses = &mut self.operation.responses.responses;
        responses.insert(status.as_str().to_owned(), RefOr::T(response));
    }
}

/// The name under which the document keeps the failures of a status.
pub fn failure_name(status: StatusCode) -> String {
    let words = status.canonical_reason().unwrap_or("Failure");
    words.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// The schema of text in this format.
pub fn text_schema(format: Option<&str>) -> Object {
    let mut text = Object::with_type(SchemaType::Type(Type::String));
    text.format = format.map(|format| SchemaFormat::Custom(format.to_owned()));
    text
}

/// What the server brings along itself adds nothing to the document.
impl<T: ?Sized> Documented for actix_web::web::Data<T> {
    fn describe(_: &mut Described) {}
}
