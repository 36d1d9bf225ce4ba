//! The OpenAPI document: what the operations say of themselves, and a frame around it.

use crate::auth::SCHEME;
use crate::documented::{Described, failure_name};
use crate::operation::Operation;
use crate::problem::table::{Row, codes_of};
use crate::problem::{MEDIA_TYPE, ProblemBody};
use crate::routes;
use actix_web::http::{Method, StatusCode};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use domain::error::BoxError;
use domain::ports::Vault;
use std::collections::BTreeMap;
use utoipa::openapi::response::Response;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{
    Components, Content, Info, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Paths, Ref, RefOr,
    ServerBuilder,
};

const ABOUT: &str = "\
Watches the equipment of a plant: who works there, what is installed, what it measures, and when to worry.

* Every path answers with and without its final slash.
* Sign in at `/api/token/` and send the access token as `Authorization: Bearer …`; machines send an API key the same way.
* Failures are `application/problem+json`; each `code` is explained at `/problems/{code}`.
* Changes: PUT replaces, PATCH merges (`null` empties a field). Send `If-Match` with the `ETag` that you read, and nobody's
  change gets lost. Send `Idempotency-Key` with a POST, and repeating it is harmless.";

/// The document of everything that is served.
pub fn document() -> OpenApi {
    document_of(routes::operations(), None)
}

/// The document of these operations, reached at this address.
pub fn document_of(operations: &[Operation], public_url: Option<&str>) -> OpenApi {
    let mut schemas = BTreeMap::new();
    let mut paths = Paths::new();
    for operation in operations {
        schemas.extend(operation.described.schemas.clone());
        add(&mut paths, operation);
    }
    let mut problem = Described::default();
    problem.schema_of::<ProblemBody>();
    schemas.extend(problem.schemas);

    let mut components = Components::new();
    components.schemas = schemas;
    components.responses = failures();
    components.add_security_scheme(SCHEME, bearer());
    let here = ServerBuilder::new().url(public_url.unwrap_or("/")).build();
    OpenApiBuilder::new()
        .info(info())
        .servers(Some([here]))
        .paths(paths)
        .components(Some(components))
        .tags(Some(tags()))
        .build()
}

fn add(paths: &mut Paths, operation: &Operation) {
    let document = operation.described.operation.clone();
    let item = paths.paths.entry(operation.path.clone()).or_default();
    let place = match operation.method {
        Method::PUT => &mut item.put,
        Method::POST => &mut item.post,
        Method::DELETE => &mut item.delete,
        Method::PATCH => &mut item.patch,
        _ => &mut item.get,
    };
    *place = Some(document);
}

fn info() -> Info {
    InfoBuilder::new()
        .title("TechTrack")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").build()))
        .build()
}

fn bearer() -> SecurityScheme {
    SecurityScheme::Http(
        HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An access token of `/api/token/`, or an API key (`ttk_…`)."))
            .build(),
    )
}

fn tags() -> Vec<Tag> {
    let tags = [
        ("account", "Registering, signing in and out, one's own sessions and API keys."),
        ("users", "People with accounts."),
        ("mentors", "Who trains whom."),
        ("roles", "Named sets of permissions, and who holds them."),
        ("rules", "What raises alerts, and what it would have raised."),
        ("alerts", "What needs a person."),
        ("live", "What happens right now."),
        ("webhooks", "Who outside is told of alerts, and what became of telling them."),
        ("equipment", "The machines of the plant, what is part of what, and what was done to them."),
        ("readings", "What machines measured: sent, read, folded into series; and the catalogue of metrics."),
        ("influx", "InfluxDB's interface for writing, for clients of it such as Telegraf."),
        ("audit", "Who did what to what, when and from where."),
        ("service", "About the service itself: health, metrics, keys, this document."),
    ];
    let tag = |(name, about): (&str, &str)| TagBuilder::new().name(name).description(Some(about)).build();
    tags.into_iter().map(tag).collect()
}

/// One response for each status of failure, with the codes that it may carry.
fn failures() -> BTreeMap<String, RefOr<Response>> {
    let mut statuses: Vec<StatusCode> = Row::all().iter().map(|row| row.status).collect();
    statuses.dedup();
    statuses.into_iter().map(|status| (failure_name(status), RefOr::T(failure(status)))).collect()
}

fn failure(status: StatusCode) -> Response {
    let lines: Vec<String> =
        codes_of(status).iter().map(|row| format!("* `{}`: {}", row.code, row.title)).collect();
    let mut response = Response::new(lines.join("\n"));
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    response.content.insert(MEDIA_TYPE.to_owned(), RefOr::T(content));
    response
}

/// The document as it is served: its bytes, and the tag that they have.
pub struct Page {
    /// The document.
    pub bytes: Bytes,
    /// What changes with it.
    pub tag: String,
}

impl Page {
    /// The document of everything that is served, reached at this address.
    pub fn new(public_url: Option<&str>, vault: &dyn Vault) -> Result<Self, BoxError> {
        let bytes = Bytes::from(written(&document_of(routes::operations(), public_url))?);
        let digest = vault.digest(&[&bytes]);
        let tag = BASE64_URL_SAFE_NO_PAD.encode(digest);
        Ok(Self { bytes, tag })
    }
}

/// The document of everything that is served, as text; the same for the same build.
pub fn document_json() -> Result<String, serde_json::Error> {
    written(&document())
}

/// By way of a value, whose keys are sorted: maps inside the document have another order each time.
fn written(document: &OpenApi) -> Result<String, serde_json::Error> {
    serde_json::to_string_pretty(&serde_json::to_value(document)?)
}
