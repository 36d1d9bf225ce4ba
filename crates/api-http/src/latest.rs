//! The newest values of many pieces of equipment, however many: as JSON, as JSON by the line, or as CSV. They are read in
//! portions while they are written.

use crate::auth::Lasting;
use crate::body::JSON;
use crate::documented::{Described, Documented, text_schema};
use crate::equipment::query::register_filter;
use crate::middleware::negotiation::preferred;
use crate::problem::table::Misuse;
use crate::problem::{Problem, Reply};
use crate::query::{FromQuery, Params, Query};
use crate::readings::bulk::NDJSON;
use crate::state::State;
use crate::streamed::{self, broken_off};
use crate::turns::{Class, Turns};
use crate::values::{Number, Param, listed};
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, VARY};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, Responder};
use bytes::Bytes;
use domain::access::rights::ViewData;
use domain::app::App;
use domain::app::latest::{self, Portion};
use domain::equipment::EquipmentFilter;
use domain::error::{BoxError, Error, Reason};
use domain::id::EquipmentId;
use domain::telemetry::{Head, Latest, MetricName};
use domain::time::Timestamp;
use futures_util::stream::try_unfold;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa::openapi::{Content, RefOr, Schema};

const CSV: &str = "text/csv";

/// How the newest values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Lines,
    Csv,
}

impl Format {
    const ALL: [Format; 3] = [Format::Json, Format::Lines, Format::Csv];

    const fn name(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Lines => "ndjson",
            Format::Csv => "csv",
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Format::Json => JSON,
            Format::Lines => NDJSON,
            Format::Csv => CSV,
        }
    }

    /// The one that was asked for by name, or else by what the client takes; none when it takes no such thing.
    fn choose(named: Option<Format>, request: &HttpRequest) -> Option<Format> {
        let offered = named.map_or(Self::ALL.to_vec(), |format| vec![format]);
        let media_types: Vec<&str> = offered.iter().map(|format| format.media_type()).collect();
        let chosen = preferred(request.headers(), &media_types)?;
        offered.into_iter().find(|format| format.media_type() == chosen)
    }

    const fn head(self) -> &'static [u8] {
        match self {
            Format::Json => b"{\"results\":[",
            Format::Lines => b"",
            Format::Csv => b"equipment,metric,timestamp,value\n",
        }
    }

    const fn tail(self) -> &'static [u8] {
        match self {
            Format::Json => b"]}",
            Format::Lines | Format::Csv => b"",
        }
    }
}

impl Param for Format {
    fn schema() -> RefOr<Schema> {
        listed(Self::ALL.iter().map(|format| format.name())).into()
    }

    fn parse(text: &str) -> Result<Self, Reason> {
        let known = Self::ALL.into_iter().find(|format| format.name() == text);
        known.ok_or_else(|| Reason::new("unknown", "must be json, ndjson or csv"))
    }
}

/// Of which equipment which metrics are asked for, and how they shall be written.
pub struct LatestAsked {
    pieces: Vec<EquipmentId>,
    metrics: Vec<MetricName>,
    filter: EquipmentFilter,
    format: Option<Format>,
}

impl FromQuery for LatestAsked {
    fn read(params: &mut Params) -> Self {
        Self {
            pieces: params.any_of("equipment", "Id of a piece of equipment."),
            metrics: params.any_of("metric", "Metric; all when there is none."),
            filter: register_filter(params),
            format: params.single("format", "How they are written; else as `Accept` says, or else as JSON."),
        }
    }
}

/// The newest values of a piece of equipment
#[derive(ToSchema)]
#[schema(as = LatestOfEquipment, examples(json!({
    "equipment": 7, "last_seen_at": "2026-05-04T07:30:00.000000Z",
    "latest": [
        {"timestamp": "2026-05-04T07:30:00.000000Z", "values": {"speed": 1200, "temperature": 71.5}},
        {"timestamp": "2026-05-04T07:00:00.000000Z", "values": {"pressure": 3.2}}
    ]
})))]
#[allow(dead_code, reason = "the shape of what is written by hand below")]
struct LatestOfEquipment {
    equipment: i64,
    /// The instant of the newest reading; null when there is none.
    #[schema(format = DateTime)]
    last_seen_at: Option<String>,
    /// The newest value of each metric, put together by the instant that they are about, newest first.
    latest: Vec<LatestAtInstant>,
}

/// The values that are about one instant.
#[derive(ToSchema)]
#[allow(dead_code, reason = "the shape of what is written by hand below")]
struct LatestAtInstant {
    #[schema(format = DateTime)]
    timestamp: String,
    values: BTreeMap<String, f64>,
}

#[derive(ToSchema)]
#[schema(as = LatestOfMany)]
#[allow(dead_code, reason = "the shape of what is written by hand below")]
struct LatestOfMany {
    results: Vec<LatestOfEquipment>,
}

/// What is newest of a piece, as far as it is asked for.
struct Newest<'a> {
    head: &'a Head,
    metrics: &'a [MetricName],
}

impl<'a> Newest<'a> {
    fn values(&self) -> impl Iterator<Item = &'a Latest> {
        let metrics = self.metrics;
        self.head.latest.iter().filter(move |latest| metrics.is_empty() || metrics.contains(&latest.metric))
    }

    /// By instant, newest first. Nearly always there is one.
    fn by_instant(&self) -> Vec<AtInstant<'a>> {
        let mut groups: Vec<AtInstant<'a>> = Vec::with_capacity(1);
        for latest in self.values() {
            match groups.iter_mut().find(|group| group.at == latest.at) {
                Some(group) => group.values.push(latest),
                None => groups.push(AtInstant { at: latest.at, values: vec![latest] }),
            }
        }
        groups.sort_by_key(|group| std::cmp::Reverse(group.at));
        groups
    }
}

struct AtInstant<'a> {
    at: Timestamp,
    values: Vec<&'a Latest>,
}

impl Serialize for Newest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("equipment", &self.head.equipment.get())?;
        map.serialize_entry("last_seen_at", &self.head.last_seen_at.map(|at| at.to_string()))?;
        map.serialize_entry("latest", &self.by_instant())?;
        map.end()
    }
}

impl Serialize for AtInstant<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Values<'a>(&'a [&'a Latest]);
        impl Serialize for Values<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let pairs = self.0.iter().map(|latest| (latest.metric.as_str(), Number(latest.value)));
                serializer.collect_map(pairs)
            }
        }
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("timestamp", &self.at.to_string())?;
        map.serialize_entry("values", &Values(&self.values))?;
        map.end()
    }
}

/// A walk through equipment, portion by portion.
struct Walk {
    app: Arc<App>,
    turns: Arc<Turns>,
    by: Lasting<ViewData>,
    asked: LatestAsked,
    /// After which piece to go on; `None` at the end.
    after: Option<EquipmentId>,
}

impl Walk {
    /// The next portion, read in a turn of its own: that of the request was over when the answer began.
    async fn more(&mut self, format: Format) -> Result<Bytes, BoxError> {
        let turn = self.turns.wait(Class::Portion).await;
        let portion = self.read().await?;
        drop(turn);
        self.write(format, false, &portion)
    }

    async fn read(&mut self) -> Result<Portion, Error> {
        let by = self.by.now(&self.app).await?;
        let LatestAsked { pieces, filter, .. } = &self.asked;
        let portion = latest::next(&self.app, by, filter, pieces, self.after).await?;
        self.after = portion.after;
        Ok(portion)
    }

    fn broken_off(&self, error: impl Into<BoxError>) -> actix_web::Error {
        broken_off(&self.by, "an answer of newest values", error)
    }

    /// Writes a portion, with what comes before the first and after the last.
    fn write(&self, format: Format, is_first: bool, portion: &Portion) -> Result<Bytes, BoxError> {
        let mut bytes = Vec::with_capacity(256 * portion.heads.len() + 64);
        if is_first {
            bytes.extend_from_slice(format.head());
        }
        for (place, known) in portion.heads.iter().enumerate() {
            let newest = Newest { head: &known.head, metrics: &self.asked.metrics };
            match format {
                Format::Json => {
                    if place > 0 || !is_first {
                        bytes.push(b',');
                    }
                    serde_json::to_writer(&mut bytes, &newest)?;
                }
                Format::Lines => {
                    serde_json::to_writer(&mut bytes, &newest)?;
                    bytes.push(b'\n');
                }
                Format::Csv => rows(&newest, &mut bytes)?,
            }
        }
        if portion.after.is_none() {
            bytes.extend_from_slice(format.tail());
        }
        Ok(bytes.into())
    }
}

fn rows(newest: &Newest<'_>, bytes: &mut Vec<u8>) -> Result<(), BoxError> {
    let mut table = csv::Writer::from_writer(bytes);
    for latest in newest.values() {
        let value = serde_json::to_string(&Number(latest.value))?;
        let (equipment, at) = (newest.head.equipment.to_string(), latest.at.to_string());
        table.write_record([equipment.as_str(), latest.metric.as_str(), &at, &value])?;
    }
    table.flush()?;
    Ok(())
}

/// Newest values on their way out.
pub struct LatestOfAll {
    walk: Walk,
    first: Portion,
}

impl Responder for LatestOfAll {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let Some(format) = Format::choose(self.walk.asked.format, request) else {
            let detail = "the format asked for and the Accept header exclude each other".to_owned();
            return HttpResponse::from_error(Problem::Http(Misuse::NotAcceptable, detail));
        };
        let Self { walk, first } = self;
        let first = match walk.write(format, true, &first) {
            Ok(first) => first,
            Err(error) => return HttpResponse::from_error(Problem::from(Error::Fault(error))),
        };
        let place = match streamed::place(request, first.len(), walk.after.is_some()) {
            Ok(place) => place,
            Err(problem) => return HttpResponse::from_error(problem),
        };
        let portions = try_unfold((walk, Some(first), place), move |(mut walk, first, place)| async move {
            let bytes = match first {
                Some(first) => first,
                None if walk.after.is_none() => return Ok(None),
                None => match walk.more(format).await {
                    Ok(bytes) => bytes,
                    Err(error) => return Err(walk.broken_off(error)),
                },
            };
            Ok(Some((bytes, (walk, None, place))))
        });
        HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, content_type(format)))
            .insert_header((VARY, "accept"))
            .streaming(portions)
    }
}

fn content_type(format: Format) -> String {
    match format {
        Format::Json => JSON.to_owned(),
        Format::Lines | Format::Csv => format!("{}; charset=utf-8", format.media_type()),
    }
}

impl Documented for LatestOfAll {
    fn describe(operation: &mut Described) {
        let about = "What is newest, by equipment. When something fails on the way, the connection breaks off before the end.";
        let content = Content::new(Some(operation.schema_of::<LatestOfMany>()));
        operation.answers(StatusCode::OK, about, JSON, content);
        let sample = |text: &str| {
            let mut schema = text_schema(None);
            schema.examples = vec![text.into()];
            Content::new(Some(schema))
        };
        let lines = "{\"equipment\":7,\"last_seen_at\":\"2026-05-04T07:30:00.000000Z\",\
            \"latest\":[{\"timestamp\":\"2026-05-04T07:30:00.000000Z\",\"values\":{\"temperature\":71.5}}]}\n";
        operation.answers(StatusCode::OK, about, NDJSON, sample(lines));
        let rows = "equipment,metric,timestamp,value\n7,temperature,2026-05-04T07:30:00.000000Z,71.5\n";
        operation.answers(StatusCode::OK, about, CSV, sample(rows));
    }
}

/// Lists the newest values of many pieces of equipment
///
/// The newest value of each metric by the readings' own time, of all equipment in the register that matches, ordered by
/// id. Filters other than `equipment` and `metric` need `equipment:read`.
#[utoipa::path(get, path = "/api/latest")]
pub async fn list_latest_of_many(
    by: Lasting<ViewData>,
    Query { asked, .. }: Query<LatestAsked>,
    state: Data<State>,
) -> Reply<LatestOfAll> {
    let (app, turns) = (Arc::clone(&state.app), Arc::clone(&state.turns));
    let mut walk = Walk { app, turns, by, asked, after: None };
    let first = walk.read().await?;
    Ok(LatestOfAll { walk, first })
}
