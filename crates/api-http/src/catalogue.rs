//! The catalogue of metrics: what is measured, in which unit. Metrics appear in it with their first reading; what the
//! process counts about itself is in [`crate::metrics`].

use crate::auth::Granted;
use crate::body::fields::Fields;
use crate::body::{Body, FromBody};
use crate::completion::to_completion;
use crate::conditional::IfMatch;
use crate::page::Listed;
use crate::path::Name;
use crate::problem::Reply;
use crate::query::{FromQuery, Params, Query};
use crate::reply::Versioned;
use actix_web::web::Data;
use domain::access::rights::{ViewData, WriteData};
use domain::app::App;
use domain::app::metrics::{self, MetricChange};
use domain::telemetry::{Metric, MetricKey, MetricName, MetricQuery};
use serde::Serialize;
use utoipa::ToSchema;

/// A metric.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Metric, examples(json!({
    "name": "temperature", "unit": "°C", "description": "Of the winding.", "version": 2,
    "created_at": "2026-05-04T07:30:00.000000Z", "updated_at": "2026-05-04T07:31:00.000000Z"
})))]
pub struct MetricBody {
    name: String,
    #[schema(required)]
    unit: Option<String>,
    #[schema(required)]
    description: Option<String>,
    version: i64,
    /// When it first appeared.
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<&Metric> for MetricBody {
    fn from(metric: &Metric) -> Self {
        Self {
            name: metric.name.to_string(),
            unit: metric.unit.as_ref().map(ToString::to_string),
            description: metric.description.as_ref().map(ToString::to_string),
            version: metric.version.get(),
            created_at: metric.created_at.to_string(),
            updated_at: metric.updated_at.to_string(),
        }
    }
}

impl MetricBody {
    fn versioned(metric: &Metric) -> Versioned<Self> {
        Versioned { version: metric.version, body: metric.into() }
    }
}

impl FromBody for MetricChange {
    const NAME: &'static str = "MetricPatch";
    const ABOUT: &'static str = "What shall be different. What is absent stays; `null` empties a field.";
    const EXAMPLE: &'static str = r#"{"unit": "°C", "description": "Of the winding."}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.read_only(&["name", "version", "created_at", "updated_at"]);
        Some(Self { unit: fields.patched("unit"), description: fields.patched("description") })
    }
}

/// Which metrics are asked for.
pub struct MetricsAsked(MetricQuery);

impl FromQuery for MetricsAsked {
    fn read(params: &mut Params) -> Self {
        let keys = [("name", MetricKey::Name), ("created_at", MetricKey::CreatedAt)];
        Self(MetricQuery {
            names: params.any_of("name", "Name."),
            search: params.search("Occurs in name, unit or description."),
            order: params.order(&keys),
            page: params.page(),
        })
    }
}

/// Lists metrics
#[utoipa::path(get, path = "/api/metrics/")]
pub async fn list_metrics(
    Granted(by): Granted<ViewData>,
    Query { asked: MetricsAsked(query), here }: Query<MetricsAsked>,
    app: Data<App>,
) -> Reply<Listed<MetricBody>> {
    let page = metrics::list(&app, &by, &query).await?;
    Listed::new(&here, query.page, page, |metric| MetricBody::from(&metric))
}

/// Shows a metric
#[utoipa::path(get, path = "/api/metrics/{name}")]
pub async fn get_metric(
    Granted(by): Granted<ViewData>,
    Name(name): Name<MetricName>,
    app: Data<App>,
) -> Reply<Versioned<MetricBody>> {
    Ok(MetricBody::versioned(&metrics::get(&app, &by, &name).await?))
}

/// Says what a metric is
#[utoipa::path(patch, path = "/api/metrics/{name}")]
pub async fn patch_metric(
    Granted(by): Granted<WriteData>,
    Name(name): Name<MetricName>,
    IfMatch(precondition): IfMatch,
    Body(change): Body<MetricChange>,
    app: Data<App>,
) -> Reply<Versioned<MetricBody>> {
    let work = async move { metrics::change(&app, by, &name, change, precondition).await };
    Ok(MetricBody::versioned(&to_completion(work).await?))
}
