//! All readings that match, however many, as CSV or JSON by the line. They are read in portions while they are written.

use crate::auth::Lasting;
use crate::documented::{Described, Documented, text_schema};
use crate::middleware::negotiation::preferred;
use crate::problem::table::Misuse;
use crate::problem::{Problem, Reply};
use crate::query::{FromQuery, Params, Query};
use crate::readings::body::ReadingBody;
use crate::readings::bulk::NDJSON;
use crate::readings::query::{direction, filter};
use crate::state::State;
use crate::streamed::broken_off;
use crate::turns::{Class, Pass, Turn, Turns};
use crate::values::{Number, Param, listed};
use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, VARY};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder};
use bytes::Bytes;
use domain::access::Granted;
use domain::access::rights::ViewData;
use domain::app::{App, metrics, readings};
use domain::error::{BoxError, Error, Reason};
use domain::page::{Direction, PageRequest};
use domain::telemetry::{MetricName, MetricQuery, Reading, ReadingFilter, ReadingId};
use futures_util::stream::try_unfold;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use tokio::task::spawn_blocking;
use utoipa::openapi::{Content, RefOr, Schema};

const CSV: &str = "text/csv";

/// The most metrics that a table has a column for.
const MOST_COLUMNS: u64 = 1000;

/// How readings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Csv,
    Lines,
}

impl Format {
    const ALL: [Format; 2] = [Format::Csv, Format::Lines];

    const fn name(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Lines => "ndjson",
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Format::Csv => CSV,
            Format::Lines => NDJSON,
        }
    }

    /// The one that was asked for by name, or else by what the client takes.
    fn choose(named: Option<Format>, Takes(request): &Takes) -> Reply<Format> {
        let offered = named.map_or(Self::ALL.to_vec(), |format| vec![format]);
        let media_types: Vec<&str> = offered.iter().map(|format| format.media_type()).collect();
        let chosen = preferred(request.headers(), &media_types);
        offered.into_iter().find(|format| Some(format.media_type()) == chosen).ok_or_else(|| {
            let detail = "the format asked for and the Accept header exclude each other".to_owned();
            Problem::Http(Misuse::NotAcceptable, detail)
        })
    }
}

impl Param for Format {
    fn schema() -> RefOr<Schema> {
        listed(Self::ALL.iter().map(|format| format.name())).into()
    }

    fn parse(text: &str) -> Result<Self, Reason> {
        let known = Self::ALL.into_iter().find(|format| format.name() == text);
        known.ok_or_else(|| Reason::new("unknown", "must be csv or ndjson"))
    }
}

/// What the client takes, as its request says.
pub struct Takes(HttpRequest);

impl FromRequest for Takes {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(request.clone())))
    }
}

impl Documented for Takes {
    fn describe(_: &mut Described) {}
}

/// Which readings are asked for, and how they shall be written.
pub struct ExportAsked {
    filter: ReadingFilter,
    direction: Direction,
    format: Option<Format>,
}

impl FromQuery for ExportAsked {
    fn read(params: &mut Params) -> Self {
        Self {
            filter: filter(params),
            direction: direction(params, Direction::Ascending),
            format: params.single("format", "How they are written; else as `Accept` says, or else as CSV."),
        }
    }
}

/// A walk through readings, portion by portion.
struct Walk {
    app: Arc<App>,
    turns: Arc<Turns>,
    by: Lasting<ViewData>,
    filter: ReadingFilter,
    direction: Direction,
    after: Option<ReadingId>,
}

impl Walk {
    /// The next portion, with the turn in which it was read. A few exports read at the same time, lest a crowd of them leave
    /// no connection to whoever wants an answer at once; while a portion is sent to its client nobody waits for it.
    async fn next(&mut self) -> Result<(Vec<Reading>, Option<Turn>), Error> {
        let turn = self.turns.wait(Class::Portion).await;
        Ok((self.read().await?, turn))
    }

    async fn read(&mut self) -> Result<Vec<Reading>, Error> {
        let by = self.by.now(&self.app).await?;
        let portion = readings::next(&self.app, by, self.filter.clone(), self.direction, self.after).await?;
        self.after = portion.last().map(|reading| reading.id).or(self.after);
        Ok(portion)
    }

    fn broken_off(&self, error: impl Into<BoxError>) -> actix_web::Error {
        broken_off(&self.by, "an export", error)
    }
}

/// Writes portions, the first with a head if there is one.
enum Writer {
    Csv { columns: Vec<MetricName>, has_head: bool },
    Lines,
}

impl Writer {
    /// Writes a portion where nobody waits for it: that takes so long that other requests of this thread would notice.
    async fn written(mut self, portion: Vec<Reading>) -> Result<(Bytes, Self), BoxError> {
        spawn_blocking(move || self.write(portion).map(|bytes| (bytes, self))).await?
    }

    fn write(&mut self, portion: Vec<Reading>) -> Result<Bytes, BoxError> {
        match self {
            Writer::Lines => lines(portion),
            Writer::Csv { columns, has_head } => {
                let is_first = !std::mem::replace(has_head, true);
                rows(columns, is_first, &portion)
            }
        }
    }
}

fn lines(portion: Vec<Reading>) -> Result<Bytes, BoxError> {
    let mut bytes = Vec::new();
    for reading in portion {
        serde_json::to_writer(&mut bytes, &ReadingBody::from(reading))?;
        bytes.push(b'\n');
    }
    Ok(bytes.into())
}

fn rows(columns: &[MetricName], with_head: bool, portion: &[Reading]) -> Result<Bytes, BoxError> {
    let mut table = csv::Writer::from_writer(Vec::new());
    if with_head {
        let fixed = ["id", "equipment", "timestamp"].into_iter();
        table.write_record(fixed.chain(columns.iter().map(MetricName::as_str)))?;
    }
    let mut cell = Vec::new();
    for reading in portion {
        table.write_field(reading.id.to_string())?;
        table.write_field(reading.id.equipment.to_string())?;
        table.write_field(reading.id.at.to_string())?;
        for metric in columns {
            cell.clear();
            if let Some(value) = reading.values.get(metric) {
                serde_json::to_writer(&mut cell, &Number(value))?;
            }
            table.write_field(&cell)?;
        }
        table.write_record(None::<&[u8]>)?;
    }
    Ok(table.into_inner().map_err(csv::IntoInnerError::into_error)?.into())
}

/// Readings on their way out.
pub struct Export {
    walk: Walk,
    first: Bytes,
    format: Format,
    writer: Writer,
}

impl Export {
    /// Reads and writes the first portion, so that what fails at once is answered as any failure is.
    async fn open(state: &State, by: Lasting<ViewData>, asked: ExportAsked, format: Format) -> Reply<Self> {
        let ExportAsked { filter, direction, .. } = asked;
        let (app, turns) = (Arc::clone(&state.app), Arc::clone(&state.turns));
        let _turn = turns.take(Class::Portion).await?;
        let writer = match format {
            Format::Lines => Writer::Lines,
            Format::Csv => Writer::Csv { columns: columns(&app, by.held(), &filter).await?, has_head: false },
        };
        let mut walk = Walk { app, turns: Arc::clone(&turns), by, filter, direction, after: None };
        let first = walk.read().await?;
        let (first, writer) = writer.written(first).await.map_err(Error::Fault)?;
        Ok(Self { walk, first, format, writer })
    }
}

/// The metrics asked for, or else all that are known now. A table with a column for each of many thousands would be more
/// commas than numbers, so whoever wants one says which.
async fn columns(
    app: &App,
    by: &Granted<ViewData>,
    filter: &ReadingFilter,
) -> Result<Vec<MetricName>, Error> {
    let mut columns: Vec<MetricName> = Vec::new();
    for metric in &filter.metrics {
        if !columns.contains(metric) {
            columns.push(metric.clone());
        }
    }
    for number in 1.. {
        let page = PageRequest::new(number, PageRequest::MAX_SIZE).filter(|_| filter.metrics.is_empty());
        let Some(page) = page else { break };
        let known = metrics::list(app, by, &MetricQuery { page, ..MetricQuery::default() }).await?;
        if known.total > MOST_COLUMNS {
            return Err(too_many_columns(known.total));
        }
        columns.extend(known.items.into_iter().map(|metric| metric.name));
        if u64::try_from(columns.len()).is_ok_and(|count| count >= known.total) {
            break;
        }
    }
    Ok(columns)
}

fn too_many_columns(known: u64) -> Error {
    let message = format!(
        "must say which: {known} metrics are known, and a table has at most {MOST_COLUMNS} columns; NDJSON has no such limit"
    );
    Error::flaw("metric", "too_many", message)
}

impl Responder for Export {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let Self { walk, first, format, writer } = self;
        let under_way = Pass::of(request).and_then(|pass| pass.keep());
        let begin = (walk, writer, Some(first), under_way);
        let portions = try_unfold(begin, |(mut walk, writer, first, under_way)| async {
            if let Some(first) = first {
                return Ok(Some((first, (walk, writer, None, under_way))));
            }
            let (portion, _turn) = match walk.next().await {
                Ok((portion, _)) if portion.is_empty() => return Ok(None),
                Ok(portion) => portion,
                Err(error) => return Err(walk.broken_off(error)),
            };
            let written = writer.written(portion).await;
            let (bytes, writer) = written.map_err(|error| walk.broken_off(error))?;
            Ok(Some((bytes, (walk, writer, None, under_way))))
        });
        HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, format!("{}; charset=utf-8", format.media_type())))
            .insert_header((
                CONTENT_DISPOSITION,
                format!("attachment; filename=\"readings.{}\"", format.name()),
            ))
            .insert_header((VARY, "accept"))
            .streaming(portions)
    }
}

impl Documented for Export {
    fn describe(operation: &mut Described) {
        let about = "All readings that match. When something fails on the way, the connection breaks off before the end.";
        let sample = |text: &str| {
            let mut schema = text_schema(None);
            schema.examples = vec![text.into()];
            Content::new(Some(schema))
        };
        let rows =
            "id,equipment,timestamp,temperature\n7-1777879800000000,7,2026-05-04T07:30:00.000000Z,71.5\n";
        operation.answers(StatusCode::OK, about, CSV, sample(rows));
        let lines = "{\"id\":\"7-1777879800000000\",\"equipment\":7,\"timestamp\":\"2026-05-04T07:30:00.000000Z\",\
            \"values\":{\"temperature\":71.5}}\n";
        operation.answers(StatusCode::OK, about, NDJSON, sample(lines));
        operation.success_header("Content-Disposition", "A name for the file.");
    }
}

/// Exports readings, however many
///
/// Oldest first, unless `ordering=-timestamp` turns it around. CSV has a column for each metric asked for, or else for
/// each that is known, up to a thousand.
#[utoipa::path(get, path = "/api/data/export")]
pub async fn export_readings(
    by: Lasting<ViewData>,
    Query { asked, .. }: Query<ExportAsked>,
    takes: Takes,
    state: Data<State>,
) -> Reply<Export> {
    let format = Format::choose(asked.format, &takes)?;
    Export::open(&state, by, asked, format).await
}
