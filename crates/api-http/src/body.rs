//! Request bodies: unpacked as they come ([`coding`]), read whole within a limit, parsed strictly ([`json`]), judged field by
//! field ([`fields`]).

pub mod coding;
pub mod fields;
pub mod form;
pub mod json;

use crate::auth;
use crate::body::coding::Incoming;
use crate::body::fields::Fields;
use crate::body::json::Json;
use crate::documented::{Described, Documented};
use crate::problem::Problem;
use crate::problem::table::Misuse;
use crate::turns::{Class, Pass, SMALL};
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use bytes::{Bytes, BytesMut};
use domain::app::App;
use domain::error::Error;
use futures_util::future::LocalBoxFuture;
use std::time::Duration;
use tokio::time::timeout;
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::{Content, Ref, Required};

/// How long a client may pause within a body. Nobody else watches over bodies, so without this a few clients that never finish
/// what they send would hold on to their connections for ever.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How long a whole body may take to arrive, however it trickles.
pub const LONGEST: Duration = Duration::from_secs(30);

/// The media type of bodies and answers.
pub const JSON: &str = "application/json";

/// The media type that HTML forms and OAuth clients send.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// Something that a body says.
pub trait FromBody: Sized + 'static {
    /// The name of its schema.
    const NAME: &'static str;
    /// What it is, in a sentence.
    const ABOUT: &'static str;
    /// A body that would be accepted.
    const EXAMPLE: &'static str;
    /// The most bytes that it may have.
    const LIMIT: usize = 1024 * 1024;
    /// Whether it may come as a form, too.
    const FORM_TOO: bool = false;
    /// Whether no body at all says as much as `{}`.
    const OPTIONAL: bool = false;
    /// Whether it proves who calls. Under an idempotency key another such body is another request, never a misuse of the
    /// key: else whoever guesses the key could try passwords without being counted.
    const PROVES: bool = false;
    /// Whether it holds a password: nothing may be stored of it from which that could be guessed fast.
    const HOLDS_PASSWORD: bool = false;

    /// Reads the fields. Asks for every one of them before it gives up; `None` only if there are flaws.
    fn read(fields: &mut Fields<'_>) -> Option<Self>;

    /// Reads the whole of a body straight from the bytes of its JSON, if it is of a kind that comes often and looks as
    /// usual. MUST NOT read anything that [`FromBody::take`] would refuse, or read otherwise.
    fn swift(_: &[u8]) -> Option<Self> {
        None
    }

    /// The login that it tries a password for. Nothing that takes long is done for those who tried too many.
    fn tries(&self) -> Option<&str> {
        None
    }

    /// Reads the whole of a body.
    fn take(app: &App, json: Json) -> Result<Self, Problem> {
        take_object(app, json)
    }

    /// A reference to the schema of the whole of a body, which becomes part of the document.
    fn schema(operation: &mut Described) -> Ref {
        operation.schema(Self::NAME, fields::schema::<Self>().into())
    }
}

/// Reads the whole of a body that must be an object.
pub fn take_object<T: FromBody>(app: &App, json: Json) -> Result<T, Problem> {
    Ok(from_object(app, json::object(json).map_err(unreadable)?)?)
}

/// Reads a body, or a part of one, from the fields of its object.
pub fn from_object<T: FromBody>(app: &App, object: Vec<(String, Json)>) -> Result<T, Error> {
    let mut fields = Fields::new(app, object);
    let read = T::read(&mut fields);
    fields.finish()?;
    read.ok_or_else(|| Error::Fault(format!("{} gave up without a reason", T::NAME).into()))
}

/// A body, read and judged.
pub struct Body<T>(pub T);

impl<T: FromBody> FromRequest for Body<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let bytes = receive::<T>(&request, payload).await?;
            read(&request, &bytes).map(Body)
        })
    }
}

impl<T: FromBody> Documented for Body<T> {
    fn describe(operation: &mut Described) {
        let schema = T::schema(operation);
        let content = Content::new(Some(schema));
        let mut body = RequestBodyBuilder::new()
            .required(Some(if T::OPTIONAL { Required::False } else { Required::True }))
            .content(JSON, content.clone());
        if T::FORM_TOO {
            body = body.content(FORM, content);
        }
        operation.reads(body.build());
        operation.may_fail(&[
            StatusCode::BAD_REQUEST,
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            StatusCode::UNPROCESSABLE_ENTITY,
        ]);
    }
}

/// A body that says nothing.
pub struct Nothing;

impl FromBody for Nothing {
    const NAME: &'static str = "Nothing";
    const ABOUT: &'static str = "An empty object, or no body at all.";
    const EXAMPLE: &'static str = "{}";
    const OPTIONAL: bool = true;

    fn read(_: &mut Fields<'_>) -> Option<Self> {
        Some(Nothing)
    }
}

/// Receives the bytes of a body, no more than its limit and no longer than [`LONGEST`]. It is nobody's turn meanwhile; and who
/// took long is asked again who they are, or a credential would go on acting that was revoked since.
pub async fn receive<T: FromBody>(request: &HttpRequest, payload: Payload) -> Result<Bytes, Problem> {
    refuse_announced_size(request.headers(), T::LIMIT)?;
    let pass = Pass::of(request);
    let incoming = Incoming::new(request.headers(), payload, pass.clone())?;
    let collected = timeout(LONGEST, collect(incoming, T::LIMIT, pass.as_ref()));
    let received = match &pass {
        Some(pass) => pass.aside(collected).await?,
        None => collected.await,
    };
    let too_late = |_| Err(too_slow(format!("the body was not complete after {} s", LONGEST.as_secs())));
    let bytes = received.unwrap_or_else(too_late)?;
    let Some(pass) = pass else {
        return Ok(bytes);
    };
    if bytes.len() > SMALL {
        pass.change_to(Class::Batch).await?;
    }
    if pass.stood_aside() >= auth::BELIEVED {
        auth::ask_again(request).await?;
    }
    Ok(bytes)
}

async fn collect(mut incoming: Incoming, limit: usize, pass: Option<&Pass>) -> Result<Bytes, Problem> {
    let mut bytes = BytesMut::new();
    let pause = |_| too_slow(format!("nothing of the body came for {} s", PATIENCE.as_secs()));
    while let Some(chunk) = timeout(PATIENCE, incoming.next()).await.map_err(pause)? {
        let chunk = chunk?;
        if bytes.len() + chunk.len() > limit {
            return Err(if incoming.is_packed() { too_large_unpacked(limit) } else { too_large(limit) });
        }
        bytes.extend_from_slice(&chunk);
        if let Some(pass) = pass.filter(|_| bytes.len() > SMALL) {
            pass.hold(chunk.len())?;
        }
    }
    Ok(bytes.freeze())
}

/// Reads a body from its bytes.
pub fn read<T: FromBody>(request: &HttpRequest, bytes: &[u8]) -> Result<T, Problem> {
    let app = request
        .app_data::<Data<App>>()
        .ok_or_else(|| Error::Fault("the application is not installed".into()))?;
    if bytes.is_empty() && T::OPTIONAL {
        return T::take(app, Json::Object(Vec::new()));
    }
    match form_of::<T>(request.headers())? {
        Form::Json => match T::swift(bytes) {
            Some(body) => Ok(body),
            None => T::take(app, json::parse(bytes).map_err(unreadable)?),
        },
        Form::UrlEncoded => T::take(app, Json::Object(form::parse(bytes).map_err(Problem::malformed)?)),
    }
}

fn unreadable(what_it_is: String) -> Problem {
    Problem::malformed(format!("the body is {what_it_is}"))
}

enum Form {
    Json,
    UrlEncoded,
}

fn form_of<T: FromBody>(headers: &HeaderMap) -> Result<Form, Problem> {
    match media_type(headers)?.as_str() {
        JSON => Ok(Form::Json),
        FORM if T::FORM_TOO => Ok(Form::UrlEncoded),
        other => Err(unread(other, JSON)),
    }
}

/// A body of another type than the one that is read.
pub fn unread(given: &str, wanted: &str) -> Problem {
    let detail = match given {
        "" => format!("the Content-Type is missing; send {wanted}"),
        other => format!("{other} is not read here; send {wanted}"),
    };
    Problem::Http(Misuse::UnsupportedMediaType, detail)
}

/// The media type of a body, in lower case; empty when it has none. Charsets that nobody reads are refused.
pub fn media_type(headers: &HeaderMap) -> Result<String, Problem> {
    let refused = |detail: String| Problem::Http(Misuse::UnsupportedMediaType, detail);
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (kind, parameters) = given.split_once(';').unwrap_or((given, ""));
    let charset = parameters
        .split(';')
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))
        .map(|(_, value)| value.trim().trim_matches('"'));
    if let Some(charset) = charset.filter(|charset| !charset.eq_ignore_ascii_case("utf-8")) {
        return Err(refused(format!("the charset must be utf-8, not {charset}")));
    }
    Ok(kind.trim().to_ascii_lowercase())
}

fn refuse_announced_size(headers: &HeaderMap, limit: usize) -> Result<(), Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) { Err(too_large(limit)) } else { Ok(()) }
}

/// Whether a request says that it has a body.
pub fn is_announced(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0")
}

pub(crate) fn too_slow(detail: String) -> Problem {
    Problem::Http(Misuse::RequestTimeout, detail)
}

pub(crate) fn too_large(limit: usize) -> Problem {
    Problem::Http(Misuse::TooLarge, format!("the body may have at most {limit} bytes"))
}

fn too_large_unpacked(limit: usize) -> Problem {
    let detail = format!("the body may have at most {limit} bytes when it is unpacked");
    Problem::Http(Misuse::TooLarge, detail)
}

/// A body that ended before it was complete.
pub fn broken_off(error: &PayloadError) -> Problem {
    if matches!(error, PayloadError::Overflow) {
        Problem::Http(Misuse::TooLarge, "the body is too large".to_owned())
    } else {
        Problem::malformed(format!("the body broke off: {error}"))
    }
}
