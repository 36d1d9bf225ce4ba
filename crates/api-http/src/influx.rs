//! InfluxDB's interface for writing, of both its versions, so that Telegraf and every other client of it writes to us
//! unchanged. What points mean here is for [`domain::telemetry::points`] and the operator to say ([`settings`]); they go the way
//! of all readings.
//!
//! [`line`](self) parts a line, `points` makes readings of it, `wholes` joins texts over several lines, `writers` tells series apart
//! that would hide each other, `precision` knows units of time. How failures look is for [`crate::manners`] to say.

mod line;
mod points;
mod precision;
pub mod settings;
mod wholes;
mod writers;

use crate::auth::{Gate, Lasting, Public, carried};
use crate::body::coding::Incoming;
use crate::body::{form, too_slow};
use crate::documented::{Described, Documented, text_schema};
use crate::influx::points::Points;
use crate::influx::precision::{Precision, PrecisionV1, PrecisionV2};
use crate::manners::Manners;
use crate::problem::{Problem, Reply};
use crate::query::{FromQuery, Params, Query};
use crate::readings::intake::{BulkBody, Intake};
use crate::reply::{Done, Shown};
use crate::state::State;
use crate::turns::Pass;
use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::web::{Bytes, Data};
use actix_web::{FromRequest, HttpRequest, HttpResponse, Responder};
use domain::access::rights::WriteData;
use domain::app::App;
use domain::error::Error;
use futures_util::future::LocalBoxFuture;
use serde::Serialize;
use std::future::{Ready, ready};
use std::time::Duration;
use tokio::time::timeout;
use utoipa::ToSchema;
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::{Content, Required};

/// As what we introduce ourselves: some clients ask for a version that they know how to speak with.
const VERSION: &str = concat!("1.8.10-techtrack-", env!("CARGO_PKG_VERSION"));

/// How many bad lines a failure tells.
const MOST_TOLD: usize = 10;

/// The most bytes that a form with a statement may have.
const LONGEST_FORM: usize = 64 * 1024;

/// How long one waits for that.
const PATIENCE: Duration = Duration::from_secs(10);

macro_rules! gates {
    ($($(#[$doc:meta])* $name:ident = $manners:expr, $words:literal;)*) => {$(
        $(#[$doc])*
        pub struct $name(Lasting<WriteData>);

        impl Gate for $name {
            const PUBLIC: bool = false;
            const MANNERS: Manners = $manners;
        }

        impl FromRequest for $name {
            type Error = Problem;
            type Future = Ready<Result<Self, Problem>>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                let token = carried(request.head(), $manners);
                ready(token.and_then(|token| Lasting::of(request, token)).map(Self))
            }
        }

        impl Documented for $name {
            fn describe(operation: &mut Described) {
                Lasting::<WriteData>::describe(operation);
                operation.add_words($words);
            }
        }
    )*};
}

gates! {
    /// A client of version 1 that may write readings.
    WriterV1 = Manners::InfluxV1, "An API key is sent as the password of `Basic` or as the parameter `p`, with any login, or as `Token …`.";
    /// A client of version 2 that may write readings.
    WriterV2 = Manners::InfluxV2, "An API key is sent as `Token …`.";
}

/// What a client of version 1 says about its points.
pub struct AskedV1(Precision);

impl FromQuery for AskedV1 {
    fn read(params: &mut Params) -> Self {
        params.ignored(&["db", "rp", "consistency"], "Without effect: there is one plant.");
        credential_params(params);
        let about = "The unit of instants.";
        Self(params.single("precision", about).map_or_else(Precision::default, |PrecisionV1(unit)| unit))
    }
}

/// What a client of version 2 says about its points.
pub struct AskedV2(Precision);

impl FromQuery for AskedV2 {
    fn read(params: &mut Params) -> Self {
        params.ignored(&["org", "orgID", "bucket", "bucketID"], "Without effect: there is one plant.");
        let about = "The unit of instants.";
        Self(params.single("precision", about).map_or_else(Precision::default, |PrecisionV2(unit)| unit))
    }
}

fn credential_params(params: &mut Params) {
    params.ignored(&["u"], "Any login.");
    params.ignored(&["p"], "An API key. It ends up in the logs of proxies: a header is better.");
}

/// A body of points.
pub struct PointsSent {
    incoming: Incoming,
    pass: Option<Pass>,
}

impl FromRequest for PointsSent {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    /// Clients say all kinds of things about the type of this body, and mean the same.
    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let pass = Pass::of(request);
        let incoming = Incoming::new(request.headers(), payload.take(), pass.clone());
        ready(incoming.map(|incoming| Self { incoming, pass }))
    }
}

impl Documented for PointsSent {
    fn describe(operation: &mut Described) {
        operation.lasts = true;
        let mut lines = text_schema(None);
        lines.description = Some("Points in line protocol, of any media type.".to_owned());
        lines.examples = vec![
            "hydraulics,serial_number=HP-0004 oil_temperature=41.5,pressure=182.4 1777879800000000000\n"
                .into(),
        ];
        let content = Content::new(Some(lines));
        let body = RequestBodyBuilder::new().required(Some(Required::True)).content("text/plain", content);
        operation.reads(body.build());
        operation.may_fail(&[
            StatusCode::BAD_REQUEST,
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ]);
    }
}

/// Writes points as InfluxDB 2 takes them
///
/// Measurement, tags and fields become readings of equipment: see the guide to integrations. Good points are stored; bad ones
/// are left out, and told by a 400 `partial write`. Other values of the same instant replace those that are there.
#[utoipa::path(post, path = "/api/v2/write")]
pub async fn write_points_v2(
    WriterV2(by): WriterV2,
    Query { asked: AskedV2(precision), .. }: Query<AskedV2>,
    sent: PointsSent,
    state: Data<State>,
) -> Reply<Done> {
    write(by, precision, sent, &state).await
}

/// Writes points as InfluxDB 1 takes them
///
/// Measurement, tags and fields become readings of equipment: see the guide to integrations. Good points are stored; bad ones
/// are left out, and told by a 400 `partial write`. Other values of the same instant replace those that are there.
#[utoipa::path(post, path = "/write")]
pub async fn write_points_v1(
    WriterV1(by): WriterV1,
    Query { asked: AskedV1(precision), .. }: Query<AskedV1>,
    sent: PointsSent,
    state: Data<State>,
) -> Reply<Done> {
    write(by, precision, sent, &state).await
}

async fn write(by: Lasting<WriteData>, precision: Precision, sent: PointsSent, state: &State) -> Reply<Done> {
    let settings = &state.settings.points;
    let reader = Points::new(settings.mapping.clone(), precision, state.app.clock.now());
    let intake =
        Intake::new(state, by, settings.on_conflict, reader).with_newcomers(settings.register_as.clone());
    let told = intake.run_few(sent.incoming, sent.pass, &state.storing).await?;
    if told.rejected == 0 { Ok(Done) } else { Err(left_out(&told)) }
}

fn left_out(told: &BulkBody) -> Problem {
    let lines: Vec<String> = told
        .errors
        .iter()
        .take(MOST_TOLD)
        .map(|error| format!("line {}: {}", error.line, error.message))
        .collect();
    let message = format!(
        "partial write: {} of {} points left out; {}",
        told.rejected,
        told.received,
        lines.join("; ")
    );
    Problem::Partial { line: told.errors.first().map_or(0, |error| error.line), message }
}

/// That somebody is there, and of which version.
pub struct Pong;

impl Responder for Pong {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut answer = HttpResponse::NoContent();
        answer
            .insert_header(("x-influxdb-version", VERSION))
            .insert_header(("x-influxdb-build", "TechTrack"));
        answer.finish()
    }
}

impl Documented for Pong {
    fn describe(operation: &mut Described) {
        operation.answers_empty(StatusCode::NO_CONTENT, "Somebody is there.");
        operation.success_header("X-Influxdb-Version", "The version that clients of InfluxDB take us for.");
    }
}

/// Says that somebody is there, as clients of InfluxDB ask
#[utoipa::path(get, path = "/ping")]
pub async fn ping(_: Public) -> Pong {
    Pong
}

/// That all is well, in the words of InfluxDB.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InfluxHealth)]
pub struct InfluxHealth {
    #[schema(examples("techtrack"))]
    name: &'static str,
    message: &'static str,
    #[schema(examples("pass"))]
    status: &'static str,
    version: &'static str,
    #[schema(value_type = Vec<String>)]
    checks: [&'static str; 0],
}

/// Says whether points can be written, as clients of InfluxDB ask
///
/// 503 while the database is away, and as soon as the server is about to stop.
#[utoipa::path(get, path = "/health")]
pub async fn influx_health(_: Public, state: Data<State>, app: Data<App>) -> Reply<Shown<InfluxHealth>> {
    crate::health::refuse_unless_ready(&state, &app).await?;
    Ok(Shown(InfluxHealth {
        name: "techtrack",
        message: "ready for writes",
        status: "pass",
        version: VERSION,
        checks: [],
    }))
}

/// A statement in the address.
pub struct StatementAsked(Option<String>);

impl FromQuery for StatementAsked {
    fn read(params: &mut Params) -> Self {
        params.ignored(
            &["db", "rp", "epoch", "pretty", "chunked", "chunk_size", "params"],
            "Without effect: there is one plant, and nothing to answer.",
        );
        credential_params(params);
        Self(params.single("q", "The statement."))
    }
}

/// A statement in a form, if there is one.
pub struct StatementSent(Option<String>);

impl FromRequest for StatementSent {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let pass = Pass::of(request);
        let incoming = Incoming::new(request.headers(), payload.take(), pass.clone());
        Box::pin(async move {
            let bytes = whole_form(incoming?, pass).await?;
            let text =
                std::str::from_utf8(&bytes).map_err(|_| Problem::malformed("the form is not UTF-8"))?;
            let pairs: Result<Vec<_>, String> = form::pairs(text).map(form::decode_pair).collect();
            let mut pairs = pairs.map_err(Problem::malformed)?.into_iter();
            Ok(Self(pairs.find(|(name, _)| name == "q").map(|(_, statement)| statement)))
        })
    }
}

/// Receives the bytes of a form. It is nobody's turn meanwhile.
async fn whole_form(mut incoming: Incoming, pass: Option<Pass>) -> Result<Bytes, Problem> {
    let whole = timeout(PATIENCE, incoming.whole(LONGEST_FORM));
    let received = match pass {
        Some(pass) => pass.aside(whole).await?,
        None => whole.await,
    };
    let too_late = |_| Err(too_slow(format!("the form was not complete after {} s", PATIENCE.as_secs())));
    received.unwrap_or_else(too_late)
}

impl Documented for StatementSent {
    fn describe(operation: &mut Described) {
        let mut form = text_schema(None);
        form.description = Some("A form with the statement as `q`.".to_owned());
        let body = RequestBodyBuilder::new()
            .required(Some(Required::False))
            .content(crate::body::FORM, Content::new(Some(form)));
        operation.reads(body.build());
        operation.may_fail(&[
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ]);
    }
}

/// What statements came to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InfluxResults, examples(json!({"results": [{"statement_id": 0}]})))]
pub struct Results {
    results: Vec<Outcome>,
}

/// What one statement came to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InfluxResult)]
pub struct Outcome {
    statement_id: usize,
    /// Only there when there is something to tell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    series: Vec<Series>,
}

/// A table of texts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InfluxSeries)]
pub struct Series {
    name: &'static str,
    #[schema(value_type = Vec<String>)]
    columns: [&'static str; 1],
    #[schema(value_type = Vec<Vec<String>>)]
    values: [[&'static str; 1]; 1],
}

/// Carries out the statements that writing clients begin with
///
/// `CREATE DATABASE`, `CREATE` and `ALTER RETENTION POLICY` change nothing, because there is nothing to prepare;
/// `SHOW DATABASES` names one. Anything else is refused: readings are read elsewhere.
#[utoipa::path(post, path = "/query")]
pub async fn execute_statement(
    _: WriterV1,
    Query { asked: StatementAsked(asked), .. }: Query<StatementAsked>,
    StatementSent(sent): StatementSent,
) -> Reply<Shown<Results>> {
    execute(asked.or(sent))
}

/// Carries out the statements that writing clients begin with
///
/// As by `POST`.
#[utoipa::path(get, path = "/query")]
pub async fn execute_statement_by_get(
    _: WriterV1,
    Query { asked: StatementAsked(asked), .. }: Query<StatementAsked>,
) -> Reply<Shown<Results>> {
    execute(asked)
}

fn execute(statements: Option<String>) -> Reply<Shown<Results>> {
    let statements = statements.ok_or_else(|| Error::flaw("q", "required", "is required"))?;
    let statements = statements.split(';').map(str::trim).filter(|statement| !statement.is_empty());
    let results = statements
        .enumerate()
        .map(|(statement_id, statement)| Ok(Outcome { statement_id, series: execute_one(statement)? }));
    Ok(Shown(Results { results: results.collect::<Reply<_>>()? }))
}

fn execute_one(statement: &str) -> Reply<Vec<Series>> {
    let words: Vec<String> = statement.split_whitespace().take(3).map(str::to_ascii_lowercase).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["create", "database", _] | ["create" | "alter", "retention", "policy"] => Ok(Vec::new()),
        ["show", "databases"] => {
            Ok(vec![Series { name: "databases", columns: ["name"], values: [["techtrack"]] }])
        }
        _ => Err(Problem::malformed(
            "this server takes points in and answers no statements; its readings are read by /api/data/ and /api/series",
        )),
    }
}
