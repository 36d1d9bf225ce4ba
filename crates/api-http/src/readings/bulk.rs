//! Readings by the line, any number of them, as JSON.

use crate::auth::Lasting;
use crate::body::coding::Incoming;
use crate::body::{from_object, json, media_type, unread};
use crate::documented::{Described, Documented, text_schema};
use crate::problem::{Problem, Reply};
use crate::query::Query;
use crate::readings::intake::{Batch, BulkBody, Intake, LineError, Reads};
use crate::readings::lines::{LONGEST, Line};
use crate::readings::query::Conflicts;
use crate::readings::swift;
use crate::reply::Shown;
use crate::state::State;
use crate::turns::Pass;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use domain::access::rights::WriteData;
use domain::app::App;
use domain::app::ingest::Sent;
use std::future::{Ready, ready};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::{Content, Required};

/// The media type of JSON by the line.
pub const NDJSON: &str = "application/x-ndjson";

/// A body of lines.
pub struct LinesSent(Incoming);

impl FromRequest for LinesSent {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let kind = media_type(request.headers());
        let fits = kind.and_then(|kind| if kind == NDJSON { Ok(()) } else { Err(unread(&kind, NDJSON)) });
        ready(
            fits.and_then(|()| Incoming::new(request.headers(), payload.take(), Pass::of(request)).map(Self)),
        )
    }
}

impl Documented for LinesSent {
    fn describe(operation: &mut Described) {
        operation.lasts = true;
        let mut lines = text_schema(None);
        lines.description = Some(format!(
            "Readings as `POST /api/data/` takes them, one a line of at most {LONGEST} bytes. Blank lines do not count."
        ));
        lines.examples = vec![
            "{\"equipment\":7,\"values\":{\"temperature\":71.5}}\n{\"equipment\":\"WR-0007\",\"values\":{\"speed\":1200}}\n"
                .into(),
        ];
        let content = Content::new(Some(lines));
        let body = RequestBodyBuilder::new().required(Some(Required::True)).content(NDJSON, content);
        operation.reads(body.build());
        operation.may_fail(&[
            StatusCode::BAD_REQUEST,
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ]);
    }
}

/// Lines of JSON.
struct JsonLines;

impl Reads for JsonLines {
    fn take(&mut self, app: &App, line: Line, batch: &mut Batch) {
        if line.is_blank() {
            return;
        }
        match read(app, &line) {
            Ok(sent) => batch.good(line.number, sent),
            Err(bad) => batch.bad(app, bad),
        }
    }
}

fn read(app: &App, line: &Line) -> Result<Sent, LineError> {
    let Some(text) = &line.text else {
        return Err(LineError::unreadable(line.number, &format!("longer than {LONGEST} bytes")));
    };
    if let Some(sent) = swift::reading(text) {
        return Ok(sent);
    }
    let object = json::parse(text).and_then(json::object);
    let object = object.map_err(|what_it_is| LineError::unreadable(line.number, &what_it_is))?;
    from_object(app, object).map_err(|error| LineError::refused(line.number, &error))
}

/// Sends any number of readings, one a line
///
/// Lines are stored as they come, and what was stored stays stored: after a failure or a broken connection send them
/// again, nothing is stored twice. Bad lines are left out and told, the first 1000 of them; the others are counted. Pauses
/// do no harm as long as a line ends every ten seconds, and what came before a pause is stored during it.
#[utoipa::path(post, path = "/api/data/bulk")]
pub async fn send_lines(
    by: Lasting<WriteData>,
    Query { asked: Conflicts(on_conflict), .. }: Query<Conflicts>,
    LinesSent(incoming): LinesSent,
    state: Data<State>,
) -> Reply<Shown<BulkBody>> {
    Intake::new(&state, by, on_conflict, JsonLines).run(incoming).await.map(Shown)
}
