//! For probes and dashboards: is the process alive, can it serve, what has it served.

use crate::auth::Public;
use crate::documented::{Described, Documented, text_schema};
use crate::metrics;
use crate::problem::Reply;
use crate::reply::Shown;
use crate::state::State;
use actix_web::body::BoxBody;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, Responder};
use domain::app::App;
use domain::error::Error;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Content;

/// That all is well; anything else is a failure with a code.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    #[schema(examples("ok"))]
    status: &'static str,
}

const WELL: Shown<Health> = Shown(Health { status: "ok" });

/// Says that the process is alive
///
/// Touches nothing but the process itself: a database that is away is no reason to restart it.
#[utoipa::path(get, path = "/health/live")]
pub async fn live(_: Public) -> Shown<Health> {
    WELL
}

/// Says whether the server can serve
///
/// 503 while the database is away, and as soon as the server is about to stop.
#[utoipa::path(get, path = "/health/ready")]
pub async fn ready(_: Public, state: Data<State>, app: Data<App>) -> Reply<Shown<Health>> {
    refuse_unless_ready(&state, &app).await?;
    Ok(WELL)
}

/// Refuses to be ready while the server is stopping or the database is away.
pub(crate) async fn refuse_unless_ready(state: &State, app: &App) -> Reply<()> {
    if state.draining.is_on() {
        return Err(Error::Busy("the server is stopping", None).into());
    }
    app.store.ping().await.map_err(|error| Error::Busy("the database is away", Some(error.into())))?;
    Ok(())
}

/// The text that Prometheus reads.
pub struct Exposition(String);

impl Exposition {
    const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
}

impl Responder for Exposition {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().content_type(Self::MEDIA_TYPE).body(self.0)
    }
}

impl Documented for Exposition {
    fn describe(operation: &mut Described) {
        let content = Content::new(Some(text_schema(None)));
        operation.answers(StatusCode::OK, "Prometheus text.", "text/plain", content);
    }
}

/// Where the figures are.
pub(crate) const METRICS: &str = "/metrics";

/// What the process counted
#[utoipa::path(get, path = "/metrics")]
pub async fn metrics(_: Public, state: Data<State>) -> Exposition {
    Exposition(metrics::collect(&state).await)
}
