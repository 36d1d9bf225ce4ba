//! `techtrack serve`: from an address and a database to a server that answers, and back in good order.

mod certificate;
mod deliverer;
mod descriptors;
mod upkeep;
mod welcome;

use crate::address::Reached;
use crate::compose::{self, Composed};
use crate::config::Config;
use crate::failure::Failure;
use crate::terminal;
use adapters_traces::Pipeline;
use api_http::{Listeners, State};
use certificate::Renewed;
use deliverer::Deliverer;
use domain::app::App;
use domain::app::setup::{FirstAdministrator, prepare};
use domain::text::Secret;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};

/// Serves until told to stop.
pub(crate) async fn run(config: &Config) -> Result<(), Failure> {
    let mut stop = StopSignals::listen()?;
    match stop.unless_stopped(Server::open(config)).await {
        Some(server) => server?.serve(config, stop, |_| String::new()).await,
        None => Ok(()),
    }
}

/// A server that has its address and its database, and answers nobody yet.
pub(crate) struct Server {
    listener: TcpListener,
    watchers: Option<TcpListener>,
    app: Arc<App>,
    state: State,
    heard: watch::Receiver<u64>,
    certificate: Option<Renewed>,
    traces: Option<Pipeline>,
}

/// How long the last spans may take on their way out.
const LAST_SPANS: Duration = Duration::from_secs(5);

impl Server {
    /// Takes the address and opens the database.
    pub(crate) async fn open(config: &Config) -> Result<Self, Failure> {
        let connections = descriptors::for_clients(config.database.max_connections.get() as usize);
        // Bound before the database is touched, so that a taken address is told at once and changes nothing.
        let listener = bind(config.http.listen).await?;
        let watchers = match config.metrics.listen {
            Some(address) => Some(bind(address).await?),
            None => None,
        };
        let certificate = Renewed::of(&config.http)?;
        let traces = compose::traces(config)?;
        let Composed { app, heard } = compose::composed(config, traces.as_ref()).await?;
        let (app, allowances) = (Arc::new(app), compose::allowances(config)?);
        let tls = certificate.as_ref().map(Renewed::tls).transpose()?;
        let mut settings = compose::http_settings(config, connections);
        settings.connections_per_address =
            descriptors::per_address(settings.connections_per_address, connections);
        let state = State::new(Arc::clone(&app), allowances, settings, heard.clone())
            .with_tls(tls)
            .with_traces(traces.as_ref().map(compose::told_of));
        Ok(Self { listener, watchers, app, state, heard, certificate, traces })
    }

    /// The use cases.
    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Serves until told to stop. `more` is said once people can be served, given where.
    pub(crate) async fn serve(
        self,
        config: &Config,
        mut stop: StopSignals,
        more: impl FnOnce(&Reached) -> String,
    ) -> Result<(), Failure> {
        let address = self.listener.local_addr()?;
        let reached = Reached::at(address, self.certificate.is_some());
        // Last of what can fail, and not broken off by a signal: a password that was invented must be shown.
        let generated = first_administrator(&self.app, config).await?;
        let mut upkeep = upkeep::start(&self.app);
        if let Some(certificate) = self.certificate {
            upkeep.spawn(certificate.keep_current(Arc::clone(&self.app.clock)));
        }
        let deliverer = Deliverer::start(&self.app, self.heard, self.state.draining.clone());
        let welcome = welcome::lines(&reached, &config.admin.username, generated.as_ref());
        terminal::print(&(welcome + &more(&reached)))?;
        tell_log(address, config);
        if let Some(watchers) = &self.watchers {
            tracing::info!(address = %watchers.local_addr()?, "metrics are told apart from the API");
        }
        let watchers = self.watchers.map(TcpListener::into_std).transpose()?;
        let listeners = Listeners { api: self.listener.into_std()?, watchers };
        let end = until_stopped(listeners, self.state, &mut stop).await?;
        if end == End::InGoodOrder {
            finish(deliverer, self.traces, &mut stop).await;
        }
        tracing::info!("stopped");
        Ok(())
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| Failure::while_doing(format!("cannot listen on {address}"), &error))
}

/// Makes the first administrator if there is none, and answers the password if it had to be invented.
async fn first_administrator(app: &App, config: &Config) -> Result<Option<Secret>, Failure> {
    let first = FirstAdministrator {
        username: config.admin.username.clone(),
        password: config.admin.password.clone(),
    };
    Ok(prepare(app, &first).await?)
}

fn tell_log(address: SocketAddr, config: &Config) {
    let redis = config.redis.url.as_ref().map(|url| format!("{url:?}"));
    tracing::info!(%address, tls = config.http.tls_cert.is_some(), traces = config.traces.endpoint.as_ref().map(|url| url.as_str()), database = ?config.database.url, redis, "serving");
    if !config.sign_in.limits {
        tracing::warn!(
            "SIGN-IN LIMITS ARE OFF: passwords can be guessed without end. This is for load tests alone; \
             set TECHTRACK_SIGN_IN_LIMITS=on"
        );
    }
}

/// How serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Everybody was served who had come.
    InGoodOrder,
    /// Whoever stops it did not want to wait for that, nor for anything else.
    AtOnce,
}

/// Serves until a signal comes, then lets the server finish what is under way; a second signal does not wait for that.
async fn until_stopped(listeners: Listeners, state: State, stop: &mut StopSignals) -> io::Result<End> {
    let (first, is_first) = oneshot::channel();
    let asked_to_stop = async {
        // Should the sender be lost, then with everything else.
        let _ = is_first.await;
    };
    let impatience = async {
        // Waited for outside of the log's macros: those skip their fields where nobody listens.
        let signal = stop.next().await;
        tracing::info!(signal, "finishing what is under way");
        let _ = first.send(());
        stop.at_once().await;
    };
    tokio::select! {
        ended = api_http::serve(listeners, state, asked_to_stop) => ended.map(|()| End::InGoodOrder),
        () = impatience => Ok(End::AtOnce),
    }
}

/// Lets what is on its way to others arrive; one more signal does not wait for that.
async fn finish(deliverer: Deliverer, traces: Option<Pipeline>, stop: &mut StopSignals) {
    let arrival = async {
        deliverer.finish().await;
        if let Some(traces) = traces {
            traces.finish(LAST_SPANS).await;
        }
    };
    tokio::select! {
        () = arrival => {}
        () = stop.at_once() => {}
    }
}

/// The signals by which people and supervisors ask a program to stop.
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// From now on they end nothing by themselves.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Does some work before anybody is served; nothing comes of it when a signal is there first.
    pub(crate) async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            signal = self.next() => {
                tracing::info!(signal, "stopped before serving");
                None
            }
        }
    }

    /// Waits for one from somebody who does not want to wait.
    async fn at_once(&mut self) {
        let signal = self.next().await;
        tracing::warn!(signal, "stopping at once");
    }

    /// Waits for one and tells its name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
