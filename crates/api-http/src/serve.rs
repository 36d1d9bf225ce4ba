//! From a listener to a running server, and to a quiet end.

use crate::middleware::{context, problems};
use crate::remembered;
use crate::operation::{nowhere, resources};
use crate::routes;
use crate::state::State;
use actix_cors::Cors;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse, fn_service};
use actix_web::middleware::{Compress, Condition, from_fn};
use actix_web::rt::net::TcpStream;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use socket2::SockRef;
use std::any::Any;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

/// How long browsers remember what a page of another origin may do.
const PREFLIGHT_SECONDS: usize = 600;

/// The headers of answers that a web page of another origin may read.
const EXPOSED: [&str; 9] = [
    "content-disposition",
    "etag",
    "location",
    "retry-after",
    "ratelimit",
    "ratelimit-policy",
    "x-request-id",
    "idempotency-replayed",
    "www-authenticate",
];

/// The application as actix serves it.
pub fn app(
    state: &State,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    let origins = &state.settings.cors_origins;
    App::new()
        .app_data(Data::new(state.clone()))
        .app_data(Data::from(Arc::clone(&state.app)))
        .configure(|config| {
            for resource in resources(routes::operations()) {
                config.service(resource);
            }
        })
        .default_service(fn_service(nowhere))
        .wrap(from_fn(remembered::recall))
        .wrap(Condition::new(!origins.is_empty(), cors(origins)))
        .wrap(Compress::default())
        .wrap(from_fn(problems::explain))
        .wrap(from_fn(context::accompany))
}

fn cors(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allow_any_method()
        .allow_any_header()
        .expose_headers(EXPOSED)
        .max_age(PREFLIGHT_SECONDS);
    origins.iter().fold(cors, |cors, origin| match origin.as_str() {
        "*" => cors.allow_any_origin(),
        origin => cors.allowed_origin(origin),
    })
}

/// Serves until `shutdown` comes; then says so to probes, finishes what is under way, and returns.
pub async fn serve(
    listener: TcpListener,
    state: State,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let settings = Arc::clone(&state.settings);
    let draining = state.draining.clone();
    let patience = state.pace.patience;
    let mut server = HttpServer::new(move || app(&state))
        .on_connect(move |connection, _| limit_patience(connection, patience))
        .shutdown_timeout(settings.drain_timeout.as_secs())
        .shutdown_signal(async move {
            shutdown.await;
            draining.begin();
        });
    if let Some(workers) = settings.workers {
        server = server.workers(workers);
    }
    server.listen(listener)?.run().await
}

/// Who takes nothing of what is sent to them would keep their connection for ever: the server waits until it can send
/// more, and their machine says again and again that it is there. So ours is told when to give up.
fn limit_patience(connection: &dyn Any, patience: Duration) {
    let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
    if let Err(error) = SockRef::from(stream).set_tcp_user_timeout(Some(patience)) {
        tracing::warn!(%error, "a connection can be kept by who does not read");
    }
}
