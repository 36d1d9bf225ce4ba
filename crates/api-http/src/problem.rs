//! Failures on the wire: RFC 9457 `application/problem+json`, one shape for all of them.
//!
//! The one place that maps kinds of failure to statuses is [`table`]. A failure travels as [`Problem`] and becomes bytes
//! at the outer edge ([`present`]), where the request id is known and faults are logged. [`explanation`] is the page
//! behind each code.

pub mod explanation;
pub mod table;
pub(crate) mod wire;

use crate::body::coding;
use crate::manners::Manners;
use crate::middleware::allowance::{self, Left};
use crate::problem::table::{Misuse, Row};
use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT_ENCODING, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError};
use domain::error::{Code, Error, Flaw, Kind};
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// The media type of every failure.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Clients may send words of a megabyte, which need not come back to them.
const LONGEST_DETAIL: usize = 1000;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The domain says so.
    #[error(transparent)]
    Domain(#[from] Error),
    /// The domain says so, and the face knows what of the request is to blame.
    #[error("{1}: {0}")]
    About(Error, &'static str),
    /// It went wrong midway: so many lines are done, and stay.
    #[error("{0}; the first {1} lines were committed")]
    Midway(#[source] Box<Problem>, u64),
    /// Others want the same, more of them than can be served; this line of them was too long.
    #[error("the server has as much to do as it can ({0}); ask again")]
    Crowded(&'static str),
    /// Some of what was sent is stored, and some was left out: the text says what, and this line was the first.
    #[error("{message}")]
    Partial {
        /// The number of the first line that was left out.
        line: u64,
        /// What was left out, and why.
        message: String,
    },
    /// An allowance other than that of requests is used up, which the answer tells.
    #[error("{0}")]
    Spent(Error, Left),
    /// The caller has all of these that one caller may have.
    #[error(
        "you have as many requests of this kind ({0}) under way as one caller may have; let one end, and ask again"
    )]
    Greedy(&'static str),
    /// The message itself breaks HTTP's rules or this API's; the text says where.
    #[error("{1}")]
    Http(Misuse, String),
}

/// When to ask again where nobody knows better.
const ONE_SECOND: Duration = Duration::from_secs(1);

/// What a handler answers.
pub type Reply<R> = Result<R, Problem>;

impl Problem {
    /// A message that cannot be parsed. Of a detail that quotes at length the beginning is told.
    pub fn malformed(detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if let Some((end, _)) = detail.char_indices().nth(LONGEST_DETAIL) {
            detail.truncate(end);
            detail.push('…');
        }
        Problem::Http(Misuse::MalformedRequest, detail)
    }

    /// What the domain says.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Problem::Domain(error) | Problem::About(error, _) | Problem::Spent(error, _) => Some(error),
            Problem::Midway(problem, _) => problem.error(),
            Problem::Crowded(_) | Problem::Greedy(_) | Problem::Partial { .. } | Problem::Http(..) => None,
        }
    }

    /// The line that is to blame, where one is known.
    pub fn line(&self) -> Option<u64> {
        match self {
            Problem::Partial { line, .. } => Some(*line),
            Problem::Domain(_)
            | Problem::About(..)
            | Problem::Midway(..)
            | Problem::Crowded(_)
            | Problem::Greedy(_)
            | Problem::Spent(..)
            | Problem::Http(..) => None,
        }
    }

    /// How long to wait before trying again, where that makes sense.
    fn retry_after(&self) -> Option<Duration> {
        match self {
            Problem::Crowded(_) | Problem::Greedy(_) => Some(ONE_SECOND),
            Problem::Domain(_)
            | Problem::About(..)
            | Problem::Midway(..)
            | Problem::Spent(..)
            | Problem::Partial { .. }
            | Problem::Http(..) => self.error().and_then(Error::retry_after),
        }
    }

    /// The failure's row in the table.
    pub fn row(&self) -> Row {
        match self {
            Problem::Domain(error) | Problem::About(error, _) | Problem::Spent(error, _) => {
                Row::of_code(error.code())
            }
            Problem::Midway(problem, _) => problem.row(),
            Problem::Crowded(_) => Row::of_code(Code::Busy),
            Problem::Partial { .. } => Misuse::MalformedRequest.row(),
            Problem::Greedy(_) => Row::of_code(Code::RateLimited),
            Problem::Http(misuse, _) => misuse.row(),
        }
    }

    /// The nearest thing to say about a status that something below us answered without a code of ours.
    pub fn from_status(status: StatusCode, detail: String) -> Self {
        match Misuse::of_status(status) {
            Some(misuse) => Problem::Http(misuse, detail),
            None if status == StatusCode::NOT_FOUND => Error::NotFound("resource").into(),
            None if status.is_server_error() => Error::Fault(detail.into()).into(),
            None => Problem::malformed(detail),
        }
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.row().status
    }

    /// Status and headers; the body is added by [`present`].
    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponseBuilder::new(self.status_code());
        if let Some(wait) = self.retry_after() {
            response.insert_header((RETRY_AFTER, whole_seconds(wait)));
        }
        if matches!(self, Problem::Http(Misuse::UnsupportedCoding, _)) {
            response.insert_header((ACCEPT_ENCODING, coding::READ));
        }
        let mut response = response.finish();
        if let Problem::Spent(_, left) = self {
            allowance::tell(left, response.headers_mut());
        }
        response
    }
}

/// Rounded up, because asking again too early is refused again.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// A failure as clients see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem, examples(json!({
    "type": "/problems/invalid_fields",
    "title": "Some fields are not valid",
    "status": 422,
    "code": "invalid_fields",
    "detail": "email must be an e-mail address, such as name@example.com",
    "errors": [{
        "field": "email",
        "code": "email",
        "message": "must be an e-mail address, such as name@example.com"
    }],
    "request_id": "1f8b4c2e90d7-42"
})))]
pub struct ProblemBody {
    /// Where the code is explained.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the code means, in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable name of the failure.
    pub code: String,
    /// What happened this time.
    pub detail: String,
    /// All fields that are to blame; with 409 and 422 only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FlawBody>,
    /// The request's id in the log.
    pub request_id: String,
}

/// A field and why its value is not acceptable.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FieldError)]
pub struct FlawBody {
    /// The field's path in the request, such as `email` or `roles.2`.
    pub field: String,
    /// A stable word for programs.
    pub code: String,
    /// A sentence fragment for people that follows the field's name.
    pub message: String,
}

impl ProblemBody {
    fn new(problem: &Problem, request_id: &str) -> Self {
        let row = problem.row();
        let blames_fields = matches!(row.status, StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY);
        Self {
            kind: format!("/problems/{}", row.code),
            title: row.title.to_owned(),
            status: row.status.as_u16(),
            code: row.code.to_owned(),
            detail: problem.to_string(),
            errors: if blames_fields { flaws(problem) } else { Vec::new() },
            request_id: request_id.to_owned(),
        }
    }
}

impl From<Flaw> for FlawBody {
    fn from(Flaw { field, reason }: Flaw) -> Self {
        Self { field, code: reason.code.to_owned(), message: reason.message }
    }
}

fn flaws(problem: &Problem) -> Vec<FlawBody> {
    let flaws = problem.error().map(Error::flaws).unwrap_or_default();
    flaws.into_iter().map(FlawBody::from).collect()
}

/// Writes the failure into the response that it became, and into the log if it is our own fault.
pub fn present(problem: &Problem, request: &HttpRequest, response: HttpResponse) -> HttpResponse {
    let request_id = crate::middleware::context::request_id(request);
    log(problem, &request_id);
    let body = ProblemBody::new(problem, &request_id);
    let manners = request.extensions().get::<Manners>().copied().unwrap_or_default();
    let (bytes, media_type) = manners.failure(problem, &body);
    let mut response = response.set_body(actix_web::body::BoxBody::new(bytes));
    let headers = response.headers_mut();
    headers.insert(actix_web::http::header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    if body.status == StatusCode::UNAUTHORIZED.as_u16() {
        headers.insert(WWW_AUTHENTICATE, challenge(problem, request));
    }
    response
}

/// RFC 6750: a client that sent no credential is not told that it is wrong.
fn challenge(problem: &Problem, request: &HttpRequest) -> HeaderValue {
    let credential_refused = matches!(problem.error(), Some(Error::Unauthenticated))
        && request.headers().contains_key(actix_web::http::header::AUTHORIZATION);
    HeaderValue::from_static(if credential_refused {
        "Bearer realm=\"techtrack\", error=\"invalid_token\""
    } else {
        "Bearer realm=\"techtrack\""
    })
}

/// What clients cannot mend is the operator's to know: our own faults, and that we were too busy.
fn log(problem: &Problem, request_id: &str) {
    let Some(error) = problem.error() else {
        return;
    };
    let cause = || causes(error);
    match error.code().kind() {
        Kind::Fault => tracing::error!(request_id, cause = cause(), "a request failed by our own fault"),
        Kind::Busy => tracing::warn!(request_id, cause = cause(), "a request was turned away"),
        Kind::Invalid
        | Kind::Unauthenticated
        | Kind::Forbidden
        | Kind::Missing
        | Kind::Conflict
        | Kind::Stale
        | Kind::Limited => {}
    };
}

/// The error and everything below it, outermost first.
fn causes(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        told.push_str(": ");
        told.push_str(&error.to_string());
        cause = error.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::error::Reason;

    #[test]
    fn a_wait_is_told_in_whole_seconds_and_never_too_short() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_secs(7)), 7);
        assert_eq!(whole_seconds(Duration::from_millis(7001)), 8);
    }

    #[test]
    fn the_body_lists_every_flawed_field() {
        let flaws = vec![
            Reason::new("email", "is none").at("email"),
            Reason::new("too_short", "is short").at("password"),
        ];
        let body = ProblemBody::new(&Error::Invalid(flaws).into(), "r1");
        assert_eq!((body.status, body.code.as_str()), (422, "invalid_fields"));
        assert_eq!(body.kind, "/problems/invalid_fields");
        let fields: Vec<_> = body.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["email", "password"]);
    }

    #[test]
    fn a_fault_tells_the_client_nothing_and_the_log_everything() {
        let fault = Error::Fault("the disk is full".into());
        assert_eq!(causes(&fault), "internal error: the disk is full");
        let body = ProblemBody::new(&fault.into(), "r1");
        assert!(!body.detail.contains("disk"), "{}", body.detail);
    }
}
