//! What happens right now, as server-sent events.
//!
//! [`hub`] reads new events from storage, once for all watchers of the process, into a [`ring`]; each [`watcher`] reads the
//! ring from its own mark on, and storage where the ring does not reach. [`event`] is how events look on the wire.

pub mod event;
pub mod hub;
pub mod ring;
pub mod watcher;

use crate::auth::Lasting;
use crate::documented::{Described, Documented, text_schema};
use crate::problem::{Problem, Reply};
use crate::query::{FromQuery, Params, Query};
use crate::state::State;
use crate::stream::event::{StreamedAlert, StreamedEnd, StreamedValues};
use crate::stream::watcher::Watcher;
use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, HeaderName};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder};
use domain::access::rights::SignedIn;
use domain::app::live;
use domain::id::EquipmentId;
use domain::live::Mark;
use std::future::{Ready, ready};
use std::time::Duration;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::{Content, Required};

/// The media type of server-sent events.
pub const MEDIA_TYPE: &str = "text/event-stream";

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// How often streams do what they do now and then.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How often something is said when there is nothing to say.
    pub heartbeat: Duration,
    /// How often it is asked whether the caller may still watch.
    pub recheck: Duration,
    /// How long a client may take nothing of what there is for it.
    pub patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(15),
            recheck: Duration::from_millis(500),
            patience: Duration::from_secs(30),
        }
    }
}

/// What is to be watched.
pub struct StreamAsked {
    equipment: Vec<EquipmentId>,
    last: String,
}

impl FromQuery for StreamAsked {
    fn read(params: &mut Params) -> Self {
        let equipment =
            params.any_of("equipment", "Id of equipment to watch; without it, all that one may see.");
        let last: Option<String> =
            params.single("last_event_id", "Like `Last-Event-ID`, for clients that cannot send the header.");
        Self { equipment, last: last.unwrap_or_default() }
    }
}

/// The `id` of the last event that the client saw, if it says so.
pub struct LastEventId(Option<Mark>);

impl LastEventId {
    /// A client that connects again sends the header; the address is still the one that it first connected to.
    fn or(self, asked: &str) -> Reply<Option<Mark>> {
        match self.0 {
            Some(mark) => Ok(Some(mark)),
            None => read_mark(asked, "last_event_id"),
        }
    }
}

impl FromRequest for LastEventId {
    type Error = Problem;
    type Future = Ready<Reply<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let given = request.headers().get(LAST_EVENT_ID);
        // What is no text is no mark either.
        let text = given.map_or("", |value| value.to_str().unwrap_or("?"));
        ready(read_mark(text, "Last-Event-ID").map(LastEventId))
    }
}

impl Documented for LastEventId {
    fn describe(operation: &mut Described) {
        operation.parameter(
            ParameterBuilder::new()
                .name("Last-Event-ID")
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .description(Some("The `id` of the last event seen: the stream goes on right after it."))
                .schema(Some(text_schema(None))),
        );
        operation.fails(StatusCode::BAD_REQUEST);
    }
}

/// Clients that saw nothing yet say so with an empty text.
fn read_mark(text: &str, name: &str) -> Reply<Option<Mark>> {
    if text.is_empty() {
        return Ok(None);
    }
    let malformed = || Problem::malformed(format!("{name} is not the id of an event of this stream"));
    Mark::parse(text).map(Some).ok_or_else(malformed)
}

/// A stream of events that begins.
pub struct EventStream(Watcher);

impl Responder for EventStream {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::Ok();
        response
            .content_type(MEDIA_TYPE)
            .insert_header((CACHE_CONTROL, "no-store"))
            .insert_header((ACCEL_BUFFERING, "no"))
            // Compression would hold events back until there is enough of them.
            .insert_header((CONTENT_ENCODING, "identity"))
            .force_close();
        if request.method() == Method::HEAD { response.finish() } else { response.streaming(self.0.tell()) }
    }
}

impl Documented for EventStream {
    fn describe(operation: &mut Described) {
        operation.schema_of::<StreamedValues>();
        operation.schema_of::<StreamedAlert>();
        operation.schema_of::<StreamedEnd>();
        let content = Content::new(Some(text_schema(None)));
        operation.answers(StatusCode::OK, "Events, for as long as the client listens.", MEDIA_TYPE, content);
    }
}

/// Watches what happens right now
///
/// Server-sent events, each with an `id`: `values` (data: `StreamedValues`) with `data:read`, `alert` (data:
/// `StreamedAlert`) with `alerts:read`; one of both permissions is needed. The stream begins now or, with `Last-Event-ID`,
/// right after that event. When events after it were forgotten already (they are kept for ten minutes) it begins with
/// `reset`: read the state anew. A comment comes every 15 s. It ends with `end` (data: `StreamedEnd`).
#[utoipa::path(get, path = "/api/stream")]
pub async fn watch_events(
    by: Lasting<SignedIn>,
    Query { asked, .. }: Query<StreamAsked>,
    last: LastEventId,
    state: Data<State>,
) -> Reply<EventStream> {
    let after = last.or(&asked.last)?;
    let watch = live::watch(by.held(), asked.equipment)?;
    Ok(EventStream(Watcher::begin(&state, watch, by, after).await?))
}
