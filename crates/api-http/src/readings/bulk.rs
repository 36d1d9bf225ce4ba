//! Readings by the line, any number of them. They are read as they come, stored batch by batch, and never held all at
//! once; bad lines are left out and told. While one batch is stored, the next is read.

use crate::auth::Lasting;
use crate::body::{PATIENCE, broken_off, from_object, json, media_type, unread};
use crate::completion::{Started, start};
use crate::documented::{Described, Documented, text_schema};
use crate::problem::table::Misuse;
use crate::problem::{FlawBody, Problem, Reply};
use crate::query::Query;
use crate::readings::lines::{LONGEST, Line, Lines};
use crate::readings::query::Conflicts;
use crate::readings::swift;
use crate::reply::Shown;
use crate::state::State;
use crate::turns::{Class, Turns};
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use bytes::Bytes;
use domain::access::rights::WriteData;
use domain::app::App;
use domain::app::ingest::{self, Counts, Sent, Sifted};
use domain::error::Error;
use domain::telemetry::OnConflict;
use futures_util::StreamExt;
use serde::Serialize;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use utoipa::ToSchema;
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::{Content, Required};

/// The media type of JSON by the line.
pub const NDJSON: &str = "application/x-ndjson";

/// How many lines are stored at once.
const LINES_AT_ONCE: usize = 10_000;

/// How many bytes of lines are gathered before they are stored.
const BYTES_AT_ONCE: usize = 4 * 1024 * 1024;

/// For so many uploads there is room for all that they may gather. More of them gather less each.
const ROOM_FOR: usize = 16;

/// A line waits for others no longer than this before it is stored.
const PATIENCE_FOR_MORE: Duration = Duration::from_millis(100);

/// How many bad lines are told.
const MOST_TOLD: usize = 1000;

/// How many flaws of one line are told.
const MOST_FLAWS: usize = 10;

/// How many characters a text about a line may have: lines can be long, and are quoted.
const LONGEST_TEXT: usize = 200;

/// A body of lines.
pub struct LinesSent(Payload);

impl FromRequest for LinesSent {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let kind = media_type(request.headers());
        let fits = kind.and_then(|kind| if kind == NDJSON { Ok(()) } else { Err(unread(&kind, NDJSON)) });
        ready(fits.map(|()| Self(payload.take())))
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
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ]);
    }
}

/// What is wrong with a line.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LineError)]
pub struct LineError {
    /// The line's number, from 1.
    #[schema(minimum = 1)]
    line: u64,
    /// The code of the failure.
    #[schema(examples("invalid_fields"))]
    code: &'static str,
    message: String,
    /// The fields that are to blame; none when the line cannot be read.
    errors: Vec<FlawBody>,
}

impl LineError {
    /// A line that cannot be read.
    fn unreadable(line: u64, what_it_is: &str) -> Self {
        let message = shortened(&format!("the line is {what_it_is}"));
        Self { line, code: Misuse::MalformedRequest.row().code, message, errors: Vec::new() }
    }

    /// A line that was refused.
    fn refused(line: u64, error: &Error) -> Self {
        let told = error.flaws().into_iter().take(MOST_FLAWS).map(|flaw| FlawBody {
            field: shortened(&flaw.field),
            code: flaw.reason.code.to_owned(),
            message: shortened(&flaw.reason.message),
        });
        Self {
            line,
            code: error.code().name(),
            message: shortened(&error.to_string()),
            errors: told.collect(),
        }
    }
}

fn shortened(text: &str) -> String {
    let end = text.char_indices().nth(LONGEST_TEXT).map(|(end, _)| end);
    match end.and_then(|end| text.get(..end)) {
        Some(start) => format!("{start}…"),
        None => text.to_owned(),
    }
}

/// What became of the lines. `received` is always `accepted` + `duplicates` + `rejected`.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = BulkReceipt, examples(json!({
    "received": 3, "accepted": 1, "duplicates": 1, "rejected": 1, "errors_cut": false,
    "errors": [{
        "line": 3, "code": "invalid_fields", "message": "equipment must be equipment in the register",
        "errors": [{"field": "equipment", "code": "unknown", "message": "must be equipment in the register"}]
    }]
})))]
pub struct BulkBody {
    received: u64,
    /// Stored, or added to what was there.
    accepted: u64,
    /// There already.
    duplicates: u64,
    /// Left out.
    rejected: u64,
    /// The first bad lines, in their order.
    errors: Vec<LineError>,
    /// Whether there were more bad lines than are told.
    errors_cut: bool,
}

impl BulkBody {
    fn add(&mut self, counts: Counts, bad: Vec<LineError>) {
        let rejected = u64::try_from(bad.len()).unwrap_or(u64::MAX);
        self.accepted += counts.accepted;
        self.duplicates += counts.duplicates;
        self.rejected += rejected;
        self.received += counts.accepted + counts.duplicates + rejected;
        let room = MOST_TOLD.saturating_sub(self.errors.len());
        self.errors_cut |= bad.len() > room;
        self.errors.extend(bad.into_iter().take(room));
    }
}

/// Lines that were read and not handed over yet.
#[derive(Default)]
struct Batch {
    /// Readings, and the numbers of their lines.
    sent: Vec<Sent>,
    numbers: Vec<u64>,
    bad: Vec<LineError>,
    bytes: usize,
    /// The number of the last line.
    end: u64,
    /// By when it is handed over, once there is anything in it.
    due: Option<Instant>,
}

impl Batch {
    /// Whether it is as much as one of so many uploads may gather.
    fn is_full(&self, uploads: usize) -> bool {
        let share = uploads.div_ceil(ROOM_FOR).max(1);
        let lines = self.sent.len() + self.bad.len();
        lines >= LINES_AT_ONCE / share || self.bytes >= BYTES_AT_ONCE / share
    }

    fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }

    fn take(&mut self, app: &App, line: Line) {
        self.end = line.number;
        if line.is_blank() {
            return;
        }
        self.due.get_or_insert_with(|| Instant::now() + PATIENCE_FOR_MORE);
        self.bytes += line.text.as_ref().map_or(0, Bytes::len);
        match read(app, &line) {
            Ok(sent) => {
                self.sent.push(sent);
                self.numbers.push(line.number);
            }
            Err(bad) => {
                app.tally.reject(1);
                self.bad.push(bad);
            }
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

/// A batch that is being stored.
struct UnderWay {
    numbers: Vec<u64>,
    bad: Vec<LineError>,
    end: u64,
    work: Started<Sifted>,
}

/// Takes lines in.
struct Intake {
    app: Arc<App>,
    turns: Arc<Turns>,
    by: Lasting<WriteData>,
    on_conflict: OnConflict,
    gathered: Batch,
    under_way: Option<UnderWay>,
    told: BulkBody,
    /// The number of the last line that was dealt with.
    done: u64,
}

impl Intake {
    /// Takes all lines of this body. What was stored stays stored, whatever happens later.
    async fn run(mut self, payload: Payload) -> Reply<BulkBody> {
        let read = self.read(payload).await;
        let handed_over = match read {
            Ok(()) => self.hand_over().await,
            Err(problem) => Err(problem),
        };
        match handed_over.and(self.settle().await) {
            Ok(()) => Ok(self.told),
            Err(problem) => Err(Problem::Midway(Box::new(problem), self.done)),
        }
    }

    async fn read(&mut self, mut payload: Payload) -> Result<(), Problem> {
        let mut lines = Lines::default();
        while self.receive(&mut lines, &mut payload).await? {
            while let Some(line) = lines.next() {
                self.gathered.take(&self.app, line);
                if self.gathered.is_full(self.turns.line(Class::Upload).at_work()) {
                    self.hand_over().await?;
                }
            }
            if self.gathered.is_due() {
                self.hand_over().await?;
            }
        }
        if let Some(line) = lines.last() {
            self.gathered.take(&self.app, line);
        }
        Ok(())
    }

    /// Waits until a line ends; `false` when no more will come. A client that pauses or trickles need not fear for what it sent.
    async fn receive(&mut self, lines: &mut Lines, payload: &mut Payload) -> Reply<bool> {
        if let Some(due) = self.gathered.due {
            if let Ok(more) = timeout_at(due, more(lines, payload)).await {
                return more;
            }
            self.hand_over().await?;
        }
        timeout(PATIENCE, more(lines, payload)).await.unwrap_or_else(|_| {
            let detail = format!("no line ended within {} s", PATIENCE.as_secs());
            Err(Problem::Http(Misuse::RequestTimeout, detail))
        })
    }

    /// Has what is gathered stored, once what was handed over before is.
    async fn hand_over(&mut self) -> Result<(), Problem> {
        self.settle().await?;
        let Batch { sent, numbers, bad, end, .. } = std::mem::take(&mut self.gathered);
        let by = self.by.now(&self.app).await?.clone();
        let (app, turns, on_conflict) = (Arc::clone(&self.app), Arc::clone(&self.turns), self.on_conflict);
        let work = start(async move {
            if sent.is_empty() {
                return Ok(Sifted::default());
            }
            let _turn = turns.wait(Class::Batch).await;
            ingest::sift(&app, &by, sent, on_conflict).await
        });
        self.under_way = Some(UnderWay { numbers, bad, end, work });
        Ok(())
    }

    /// Waits for the batch that is being stored.
    async fn settle(&mut self) -> Result<(), Problem> {
        let Some(UnderWay { numbers, mut bad, end, work }) = self.under_way.take() else {
            return Ok(());
        };
        let Sifted { counts, refused } = work.outcome().await?;
        bad.extend(refused.iter().filter_map(|(index, error)| {
            let number = numbers.get(*index)?;
            Some(LineError::refused(*number, error))
        }));
        bad.sort_unstable_by_key(|error| error.line);
        self.told.add(counts, bad);
        self.done = self.done.max(end);
        Ok(())
    }
}

async fn more(lines: &mut Lines, payload: &mut Payload) -> Reply<bool> {
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| broken_off(&error))?;
        if lines.push(chunk) {
            return Ok(true);
        }
    }
    Ok(false)
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
    LinesSent(payload): LinesSent,
    state: Data<State>,
) -> Reply<Shown<BulkBody>> {
    let intake = Intake {
        app: Arc::clone(&state.app),
        turns: Arc::clone(&state.turns),
        by,
        on_conflict,
        gathered: Batch::default(),
        under_way: None,
        told: BulkBody::default(),
        done: 0,
    };
    intake.run(payload).await.map(Shown)
}
