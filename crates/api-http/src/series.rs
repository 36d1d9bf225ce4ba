//! Series of values over time, folded into buckets of equal length.

use crate::auth::Lasting;
use crate::body::JSON;
use crate::documented::{Described, Documented, text_schema};
use crate::problem::{Problem, Reply};
use crate::query::{FromQuery, Params, Query};
use crate::state::State;
use crate::streamed::{self, broken_off};
use crate::turns::{Class, Turns};
use crate::values::{Number, Param, id_schema};
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, Responder};
use bytes::Bytes;
use domain::access::rights::ViewData;
use domain::app::{App, metrics, series};
use domain::error::{BoxError, Error};
use domain::id::EquipmentId;
use domain::page::PageRequest;
use domain::telemetry::series::{Aggregate, Interval, Series, SeriesQuery};
use domain::telemetry::{MetricName, MetricQuery};
use domain::text::Label;
use domain::time::Timestamp;
use futures_util::stream::try_unfold;
use serde::Serialize;
use serde_json::json;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use utoipa::openapi::schema::{Array, Object, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{Content, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// How far back a series goes unless somebody says.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

const DEFAULT_POINTS: u32 = 1000;
const MOST_POINTS: u32 = 10_000;

/// Series, and how they were made.
#[derive(ToSchema)]
#[schema(as = SeriesAnswer, examples(json!({
    "from": "2026-05-04T06:30:00.000000Z", "to": "2026-05-04T07:30:00.000000Z",
    "resolution": "5m", "resolution_seconds": 300, "cut": false,
    "series": [{
        "equipment": 7, "metric": "temperature", "unit": "°C",
        "timestamps": ["2026-05-04T06:30:00.000000Z", "2026-05-04T06:35:00.000000Z"], "avg": [71.5, 71.75], "max": [72, 73]
    }]
})))]
#[allow(dead_code, reason = "the shape of what is written portion by portion below")]
struct SeriesAnswerBody {
    /// The first instant.
    #[schema(format = DateTime)]
    from: String,
    /// The first instant after.
    #[schema(format = DateTime)]
    to: String,
    /// How long buckets are.
    #[schema(examples("5m"))]
    resolution: String,
    resolution_seconds: u64,
    /// Whether some series has more points than were asked for; the newest are missing then.
    cut: bool,
    series: Vec<SeriesBody>,
}

/// The series of one metric of one piece of equipment, column by column: a column of instants, and one for each aggregate
/// asked for.
#[derive(Debug, Serialize)]
struct SeriesBody {
    equipment: i64,
    metric: String,
    unit: Option<String>,
    timestamps: Vec<String>,
    /// What is too large to be told is no finite number, and becomes null.
    #[serde(flatten)]
    columns: BTreeMap<&'static str, Vec<Number>>,
}

impl PartialSchema for SeriesBody {
    fn schema() -> RefOr<Schema> {
        let mut unit = text_schema(None);
        unit.schema_type = SchemaType::Array(vec![Type::String, Type::Null]);
        let mut number = Object::with_type(SchemaType::Type(Type::Number));
        number.schema_type = SchemaType::Array(vec![Type::Number, Type::Null]);
        let about = "Of each bucket; null where it is too large to be told.";
        let instants = Array::new(text_schema(Some("date-time")));
        let mut series = ObjectBuilder::new()
            .description(Some("A series, column by column. Buckets without values are left out."))
            .property("equipment", id_schema())
            .property("metric", <MetricName as Param>::schema())
            .property("unit", unit)
            .property("timestamps", with_about(instants, "Where buckets begin."));
        for name in ["equipment", "metric", "unit", "timestamps"] {
            series = series.required(name);
        }
        for aggregate in Aggregate::ALL {
            series = series.property(aggregate.name(), with_about(Array::new(number.clone()), about));
        }
        series.build().into()
    }
}

fn with_about(mut list: Array, about: &str) -> Array {
    list.description = Some(about.to_owned());
    list
}

impl ToSchema for SeriesBody {
    fn name() -> Cow<'static, str> {
        "Series".into()
    }
}

impl SeriesBody {
    fn new(series: &Series, aggregates: &[Aggregate], unit: Option<&Label>) -> Self {
        let column = |aggregate: &Aggregate| {
            series.buckets.iter().map(|bucket| Number(bucket.tell(*aggregate))).collect()
        };
        Self {
            equipment: series.equipment.get(),
            metric: series.metric.to_string(),
            unit: unit.map(ToString::to_string),
            timestamps: series.buckets.iter().map(|bucket| bucket.at.to_string()).collect(),
            columns: aggregates.iter().map(|aggregate| (aggregate.name(), column(aggregate))).collect(),
        }
    }
}

/// A question for series.
pub struct SeriesAsked {
    equipment: Vec<EquipmentId>,
    metrics: Vec<MetricName>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    interval: Interval,
    aggregates: Vec<Aggregate>,
    max_points: u32,
}

impl FromQuery for SeriesAsked {
    fn read(params: &mut Params) -> Self {
        Self {
            equipment: distinct(params.some_of("equipment", "Id of equipment.")),
            metrics: distinct(params.some_of("metric", "Metric.")),
            from: params.single("from", "The first instant; else a day before `to`."),
            until: params.single("to", "The first instant after; else now."),
            interval: params
                .single("interval", "How long buckets are: `auto`, or a number of `s`, `m`, `h` or `d`.")
                .unwrap_or_default(),
            aggregates: params.names("agg", "What is told of each bucket; else `avg`."),
            max_points: params.count(
                "max_points",
                "How many points a series has at most.",
                DEFAULT_POINTS,
                MOST_POINTS,
            ),
        }
    }
}

/// Once each, in the order in which they came first.
fn distinct<T: PartialEq>(items: Vec<T>) -> Vec<T> {
    let mut once: Vec<T> = Vec::with_capacity(items.len());
    for item in items {
        if !once.contains(&item) {
            once.push(item);
        }
    }
    once
}

impl SeriesAsked {
    /// The question, and what shall be told of each bucket.
    fn at(self, now: Timestamp) -> (SeriesQuery, Vec<Aggregate>) {
        let until = self.until.unwrap_or(now);
        let query = SeriesQuery {
            equipment: self.equipment,
            metrics: self.metrics,
            from: self.from.unwrap_or_else(|| until.before(A_DAY)),
            until,
            interval: self.interval,
            max_points: self.max_points,
        };
        let aggregates = if self.aggregates.is_empty() { vec![Aggregate::Average] } else { self.aggregates };
        (query, aggregates)
    }
}

/// The length as it is written in questions: in the largest unit of which it is a whole number.
fn written(length: Duration) -> String {
    let seconds = length.as_secs();
    let units = [(86_400, 'd'), (3600, 'h'), (60, 'm')];
    let unit = units.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit));
    let (unit, letter) = unit.unwrap_or((1, 's'));
    format!("{}{letter}", seconds / unit)
}

/// The units of these metrics, where they are known.
async fn units(
    app: &App,
    by: &domain::access::Granted<ViewData>,
    names: &[MetricName],
) -> Result<BTreeMap<MetricName, Label>, Error> {
    // No question asks for more metrics than fit on a page.
    let page = PageRequest::new(1, PageRequest::MAX_SIZE).unwrap_or_default();
    let query = MetricQuery { names: names.to_vec(), page, ..MetricQuery::default() };
    let known = metrics::list(app, by, &query).await?.items;
    Ok(known.into_iter().filter_map(|metric| Some((metric.name, metric.unit?))).collect())
}

/// Series on their way out.
pub struct SeriesOfAll {
    walk: Walk,
    first: Vec<Series>,
    head: Vec<u8>,
}

/// A walk through series, portion by portion.
struct Walk {
    app: Arc<App>,
    turns: Arc<Turns>,
    by: Lasting<ViewData>,
    series: series::Walk,
    aggregates: Vec<Aggregate>,
    units: BTreeMap<MetricName, Label>,
}

impl Walk {
    /// The next portion, read in a turn of its own: that of the request was over when the answer began.
    async fn more(&mut self) -> Result<Bytes, BoxError> {
        let turn = self.turns.wait(Class::Portion).await;
        let portion = self.read().await?;
        drop(turn);
        self.write(None, &portion)
    }

    async fn read(&mut self) -> Result<Vec<Series>, Error> {
        let by = self.by.now(&self.app).await?;
        self.series.next(&self.app, by).await
    }

    /// Writes a portion: the first one after the head, the last one with the end.
    fn write(&self, head: Option<Vec<u8>>, portion: &[Series]) -> Result<Bytes, BoxError> {
        let is_first = head.is_some();
        let mut bytes = head.unwrap_or_default();
        for (place, series) in portion.iter().enumerate() {
            if place > 0 || !is_first {
                bytes.push(b',');
            }
            let body = SeriesBody::new(series, &self.aggregates, self.units.get(&series.metric));
            serde_json::to_writer(&mut bytes, &body)?;
        }
        if self.series.is_over() {
            write!(bytes, "],\"cut\":{}}}", self.series.is_cut())?;
        }
        Ok(bytes.into())
    }

    fn broken_off(&self, error: impl Into<BoxError>) -> actix_web::Error {
        broken_off(&self.by, "an answer of series", error)
    }
}

/// What comes before the series. Whether they were cut is known only after them.
fn head(query: &SeriesQuery, resolution: Duration) -> Vec<u8> {
    let head = json!({
        "from": query.from.to_string(),
        "to": query.until.to_string(),
        "resolution": written(resolution),
        "resolution_seconds": resolution.as_secs(),
    });
    let mut head = head.to_string().into_bytes();
    head.pop();
    head.extend_from_slice(b",\"series\":[");
    head
}

impl Responder for SeriesOfAll {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let Self { walk, first, head } = self;
        let first = match walk.write(Some(head), &first) {
            Ok(first) => first,
            Err(error) => return HttpResponse::from_error(Problem::from(Error::Fault(error))),
        };
        let place = match streamed::place(request, first.len(), !walk.series.is_over()) {
            Ok(place) => place,
            Err(problem) => return HttpResponse::from_error(problem),
        };
        let portions = try_unfold((walk, Some(first), place), |(mut walk, first, place)| async move {
            let bytes = match first {
                Some(first) => first,
                None if walk.series.is_over() => return Ok(None),
                None => match walk.more().await {
                    Ok(bytes) => bytes,
                    Err(error) => return Err(walk.broken_off(error)),
                },
            };
            Ok(Some((bytes, (walk, None, place))))
        });
        HttpResponse::Ok().insert_header((CONTENT_TYPE, JSON)).streaming(portions)
    }
}

impl Documented for SeriesOfAll {
    fn describe(operation: &mut Described) {
        let about = "The series. When something fails on the way, the connection breaks off before the end.";
        let content = Content::new(Some(operation.schema_of::<SeriesAnswerBody>()));
        operation.answers(StatusCode::OK, about, JSON, content);
    }
}

/// Folds readings into series
///
/// One series for every combination of equipment and metric, oldest bucket first. Buckets are aligned to the clock in UTC.
/// They are folded while they are written, so a thousand series take no more memory than a few.
#[utoipa::path(get, path = "/api/series", responses((status = 404)))]
pub async fn fold_series(
    by: Lasting<ViewData>,
    Query { asked, .. }: Query<SeriesAsked>,
    state: Data<State>,
) -> Reply<SeriesOfAll> {
    let (app, turns) = (Arc::clone(&state.app), Arc::clone(&state.turns));
    let (query, aggregates) = asked.at(app.clock.now());
    let units = units(&app, by.held(), &query.metrics).await?;
    let series = series::begin(&app, by.held(), query.clone()).await?;
    let head = head(&query, series.resolution());
    let mut walk = Walk { app, turns, by, series, aggregates, units };
    let first = walk.read().await?;
    Ok(SeriesOfAll { walk, first, head })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_written_as_it_is_read() {
        for text in ["1s", "90s", "5m", "90m", "1h", "36h", "1d", "366d"] {
            let Ok(Interval::Fixed(length)) = Interval::parse(text) else { panic!("{text}") };
            assert_eq!(written(length), text);
        }
    }
}
