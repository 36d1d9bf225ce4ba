//! Answers of success. Each type knows its status and headers, and documents itself.

use crate::body::JSON;
use crate::conditional::{entity_tag, is_fresh};
use crate::documented::{Described, Documented};
use crate::problem::Problem;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ContentType, ETAG, HeaderValue, LOCATION};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, Responder};
use domain::error::BoxError;
use domain::id::Version;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::Content;

/// With a validator a private cache may keep the answer, as long as it asks before using it.
const REVALIDATE: &str = "private, no-cache";

/// 200 with something that has no version of its own.
pub struct Shown<T>(pub T);

/// 200 with a stored resource and its version; 304 for a client that has it.
pub struct Versioned<T> {
    /// The version.
    pub version: Version,
    /// The resource.
    pub body: T,
}

/// 200 with a stored resource of which not everybody sees all. Only with all of it goes the version: the same one must not
/// stand for two answers, or who comes to see more is told that they have it already.
pub enum Seen<T> {
    /// All of it.
    Whole(Versioned<T>),
    /// A part.
    Part(T),
}

/// 200 with a stored resource and its version, of which a part moves without the version. Who has the version is spared
/// the body all the same, but no cache may keep it: it would show old things for new.
pub struct Moving<T>(pub Versioned<T>);

/// 201 with what was made, and where it is now.
pub struct Created<T> {
    /// Its path.
    pub location: String,
    /// Its version, if it has one.
    pub version: Option<Version>,
    /// What was made.
    pub body: T,
}

/// 204: done, and nothing to say.
pub struct Done;

impl<T: Serialize> Responder for Shown<T> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().json(self.0)
    }
}

impl<T: ToSchema> Documented for Shown<T> {
    fn describe(operation: &mut Described) {
        let content = Content::new(Some(operation.schema_of::<T>()));
        operation.answers(StatusCode::OK, "Done.", JSON, content);
    }
}

impl<T: Serialize> Responder for Versioned<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        // After a change the answer is due, whatever the header says.
        let asked =
            request.method().is_safe().then(|| is_fresh(request.headers(), &self.version.to_string()));
        let spared = match asked.transpose() {
            Ok(fresh) => fresh.unwrap_or(false),
            Err(problem) => return HttpResponse::from_error(problem),
        };
        let status = if spared { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        let mut response = HttpResponseBuilder::new(status);
        response.insert_header((ETAG, entity_tag(self.version)));
        response.insert_header((CACHE_CONTROL, REVALIDATE));
        if spared { response.finish() } else { response.json(self.body) }
    }
}

impl<T: ToSchema> Documented for Versioned<T> {
    fn describe(operation: &mut Described) {
        let content = Content::new(Some(operation.schema_of::<T>()));
        operation.answers(StatusCode::OK, "The resource as it is now.", JSON, content);
        operation.success_header("ETag", "Its version in quotes, for `If-Match` and `If-None-Match`.");
        operation.may_be_spared();
    }
}

impl<T: Serialize> Responder for Seen<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        match self {
            Seen::Whole(versioned) => versioned.respond_to(request),
            Seen::Part(body) => Shown(body).respond_to(request),
        }
    }
}

impl<T: ToSchema> Documented for Seen<T> {
    fn describe(operation: &mut Described) {
        Versioned::<T>::describe(operation);
    }
}

impl<T: Serialize> Responder for Moving<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let mut response = self.0.respond_to(request);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl<T: ToSchema> Documented for Moving<T> {
    fn describe(operation: &mut Described) {
        Versioned::<T>::describe(operation);
    }
}

impl<T: ToSchema> Documented for Created<T> {
    fn describe(operation: &mut Described) {
        let content = Content::new(Some(operation.schema_of::<T>()));
        operation.answers(StatusCode::CREATED, "What was made.", JSON, content);
        operation.success_header("Location", "Where it is.");
    }
}

impl Responder for Done {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::NoContent().finish()
    }
}

impl Documented for Done {
    fn describe(operation: &mut Described) {
        operation.answers_empty(StatusCode::NO_CONTENT, "Done.");
    }
}

impl<R: Documented> Documented for Result<R, Problem> {
    fn describe(operation: &mut Described) {
        R::describe(operation);
    }
}

/// An answer in full, as it is remembered for a request that comes again.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Recorded {
    status: u16,
    location: Option<String>,
    tag: Option<String>,
    body: Option<String>,
}

impl Recorded {
    /// An answer of this status with this body.
    pub fn new(status: StatusCode, body: &impl Serialize) -> Result<Self, BoxError> {
        let body = Some(serde_json::to_string(body)?);
        Ok(Self { status: status.as_u16(), location: None, tag: None, body })
    }

    /// The same answer, pointing to where something is.
    #[must_use]
    pub fn located(self, location: String) -> Self {
        Self { location: Some(location), ..self }
    }

    /// The answer as a response.
    pub fn response(self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let mut response = HttpResponseBuilder::new(status);
        for (name, value) in [(LOCATION, self.location), (ETAG, self.tag)] {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                response.insert_header((name, value));
            }
        }
        match self.body {
            Some(body) => response.insert_header(ContentType::json()).body(body),
            None => response.finish(),
        }
    }
}

/// An answer that can be remembered.
pub trait Record: Documented {
    /// The answer in full.
    fn record(&self) -> Result<Recorded, BoxError>;
}

impl<T: Serialize + ToSchema> Record for Created<T> {
    fn record(&self) -> Result<Recorded, BoxError> {
        let recorded = Recorded::new(StatusCode::CREATED, &self.body)?.located(self.location.clone());
        Ok(Recorded { tag: self.version.map(entity_tag), ..recorded })
    }
}

impl<T: Serialize + ToSchema> Record for Shown<T> {
    fn record(&self) -> Result<Recorded, BoxError> {
        Recorded::new(StatusCode::OK, &self.0)
    }
}

impl<T: Serialize + ToSchema> Record for Versioned<T> {
    fn record(&self) -> Result<Recorded, BoxError> {
        let recorded = Recorded::new(StatusCode::OK, &self.body)?;
        Ok(Recorded { tag: Some(entity_tag(self.version)), ..recorded })
    }
}

impl Record for Done {
    fn record(&self) -> Result<Recorded, BoxError> {
        Ok(Recorded { status: StatusCode::NO_CONTENT.as_u16(), location: None, tag: None, body: None })
    }
}
