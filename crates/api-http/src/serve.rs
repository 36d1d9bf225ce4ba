//! From a listener to a running server, and to a quiet end.

use crate::connection::{Transport, Watched};
use crate::health::METRICS;
use crate::middleware::context::Secrecy;
use crate::middleware::{context, problems};
use crate::operation::{nowhere, resources};
use crate::remembered;
use crate::routes;
use crate::state::State;
use crate::tls::Tls;
use actix_cors::Cors;
use actix_http::error::DispatchError;
use actix_http::{Extensions, HttpService, Protocol};
use actix_server::ServerBuilder;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, map_config};
use actix_web::App;
use actix_web::body::MessageBody;
use actix_web::dev::{AppConfig, Server, ServiceFactory, ServiceRequest, ServiceResponse, fn_service};
use actix_web::middleware::{Compress, Condition, from_fn};
use actix_web::rt::net::TcpStream;
use actix_web::web::Data;
use socket2::SockRef;
use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// How long the first head of a connection may take. The others are watched by the [`Watched`] connection.
const FIRST_HEAD: Duration = Duration::from_secs(5);

/// How long a connection on which nothing comes is kept.
const IDLE: Duration = Duration::from_secs(5);

/// How long a client may take to hang up after we did.
const FAREWELL: Duration = Duration::from_secs(1);

/// How many bytes of an answer the kernel takes over before the client has room for them.
const UNSENT: u32 = 256 * 1024;

/// How many connections may be waiting to be accepted.
const BACKLOG: i32 = 4096;

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

/// What is served at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Offer {
    /// All there is.
    Everything,
    /// All but what is for those who watch the server.
    Api,
    /// What is for those who watch the server.
    Watching,
}

impl Offer {
    /// How the threads that accept its connections are called.
    const fn name(self) -> &'static str {
        match self {
            Offer::Everything | Offer::Api => "techtrack",
            Offer::Watching => "techtrack-watchers",
        }
    }

    /// How its connections become secret. Who watches the server comes in the open.
    fn tls(self, state: &State) -> Option<Arc<Tls>> {
        state.tls.clone().filter(|_| self != Offer::Watching)
    }

    fn contains(self, path: &str) -> bool {
        match self {
            Offer::Everything => true,
            Offer::Api => path != METRICS,
            Offer::Watching => path == METRICS || path.starts_with("/health/"),
        }
    }
}

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
    offering(state, Offer::Everything)
}

fn offering(
    state: &State,
    offer: Offer,
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
            let offered = routes::operations().iter().filter(|operation| offer.contains(&operation.path));
            for resource in resources(offered) {
                config.service(resource);
            }
        })
        .default_service(fn_service(nowhere))
        // Those who watch the server are told what the router offers them, and nothing that was answered elsewhere.
        .wrap(Condition::new(offer != Offer::Watching, from_fn(remembered::recall)))
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

/// Where a server is listened to.
pub struct Listeners {
    /// By its clients.
    pub api: TcpListener,
    /// By those who watch it, in the open; where there are none, `/metrics` is at the other address.
    pub watchers: Option<TcpListener>,
}

/// Serves until `shutdown` comes. Then says so to probes and goes on serving for a moment, until load balancers have heard it;
/// takes nothing new any more, finishes what is under way, and returns.
pub async fn serve(
    listeners: Listeners,
    state: State,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (settings, draining) = (Arc::clone(&state.settings), state.draining.clone());
    let drain_delay = settings.drain_delay;
    let mut server =
        Server::build().shutdown_timeout(settings.drain_timeout.as_secs()).shutdown_signal(async move {
            shutdown.await;
            draining.begin();
            sleep(drain_delay).await;
        });
    let workers =
        settings.workers.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
    server = server.workers(workers).max_concurrent_connections((settings.connections_open / workers).max(1));
    let Listeners { api, watchers } = listeners;
    let offered = if watchers.is_some() { Offer::Api } else { Offer::Everything };
    server = listen(server, api, state.clone(), offered)?;
    if let Some(watchers) = watchers {
        server = listen(server, watchers, state, Offer::Watching)?;
    }
    server.run().await
}

/// Serves this at one more address.
fn listen(
    server: ServerBuilder,
    listener: TcpListener,
    state: State,
    offer: Offer,
) -> io::Result<ServerBuilder> {
    let address = listener.local_addr()?;
    // As many as want to come in at once; the kernel knows where its own limit is.
    SockRef::from(&listener).listen(BACKLOG)?;
    let ending = server.graceful_shutdown_signal();
    let served = move || {
        let ending = ending.clone();
        let http = HttpService::build()
            .keep_alive(IDLE)
            .client_request_timeout(FIRST_HEAD)
            .client_disconnect_timeout(FAREWELL)
            .local_addr(address)
            .graceful_shutdown_signal(move || {
                let ending = ending.clone();
                async move { ending.notified().await }
            })
            .on_connect_ext(|connection: &Watched, kept: &mut Extensions| {
                kept.insert(connection.heads().clone());
                kept.insert(Secrecy { is_secret: connection.is_secret() });
            });
        let app = offering(&state, offer).into_factory();
        let app = app.map_err(|error: actix_web::Error| error.error_response());
        let (patience, doors, ids, tls) = (
            state.pace.patience,
            Arc::clone(&state.doors),
            Arc::clone(&state.request_ids),
            offer.tls(&state),
        );
        fn_service(move |stream: TcpStream| {
            let peer = stream.peer_addr().ok();
            let entered = doors.enter(peer.map(|peer| peer.ip()));
            let (doors, ids, tls) = (Arc::clone(&doors), Arc::clone(&ids), tls.clone());
            async move {
                limit_patience(&stream, patience);
                send_at_once(&stream);
                keep_little(&stream);
                let Some(entered) = entered else {
                    // Who speaks TLS would not understand, and just finds it closed.
                    if tls.is_none() {
                        doors.refuse(stream, &ids).await;
                    }
                    return Err(DispatchError::Io(io::ErrorKind::ConnectionRefused.into()));
                };
                let transport = match &tls {
                    None => Transport::Plain(stream),
                    Some(tls) => {
                        let secret = tls.shake_hands(stream, &ids).await;
                        let secret =
                            secret.ok_or(DispatchError::Io(io::ErrorKind::ConnectionAborted.into()))?;
                        Transport::Secret(Box::new(secret))
                    }
                };
                Ok((Watched::new(transport, ids, entered, patience), Protocol::Http1, peer))
            }
        })
        .and_then(http.finish(map_config(app, |()| AppConfig::default())))
    };
    server.listen(offer.name(), listener, served)
}

/// The last portion of an answer shall not wait until somebody confirms the one before, which they are in no hurry to do.
fn send_at_once(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::warn!(%error, "answers in portions take longer than they need");
    }
}

/// What a client has not taken yet is kept by us, who know whose it is, and not by the kernel: else it says late, and of
/// megabytes at once, how a slow client gets on.
fn keep_little(stream: &TcpStream) {
    if let Err(error) = SockRef::from(stream).set_tcp_notsent_lowat(UNSENT) {
        tracing::warn!(%error, "the kernel keeps more of answers than it needs to");
    }
}

/// Who takes nothing of what is sent to them would keep their connection for ever: the server waits until it can send
/// more, and their machine says again and again that it is there. So ours is told when to give up.
fn limit_patience(stream: &TcpStream, patience: Duration) {
    if let Err(error) = SockRef::from(stream).set_tcp_user_timeout(Some(patience)) {
        tracing::warn!(%error, "a connection can be kept by who does not read");
    }
}
