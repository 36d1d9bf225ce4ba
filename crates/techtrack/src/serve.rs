//! `techtrack serve`: from an address and a database to a server that answers, and back in good order.

mod descriptors;
mod upkeep;
mod welcome;

use crate::compose::{self, Composed};
use crate::config::Config;
use crate::failure::Failure;
use crate::terminal;
use api_http::State;
use domain::app::App;
use domain::app::setup::{FirstAdministrator, prepare};
use domain::text::Secret;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// Serves until told to stop.
pub(crate) async fn run(config: &Config) -> Result<(), Failure> {
    Server::start(config).await?.serve(config, |_| String::new()).await
}

/// A server that has its address and its database, and answers nobody yet.
pub(crate) struct Server {
    listener: TcpListener,
    stop: StopSignals,
    app: Arc<App>,
    state: State,
}

impl Server {
    /// Takes the address and opens the database.
    pub(crate) async fn start(config: &Config) -> Result<Self, Failure> {
        let stop = StopSignals::listen()?;
        let connections = descriptors::for_clients(config.database.max_connections.get() as usize);
        // Bound before the database is touched, so that a taken address is told at once and changes nothing.
        let listener = bind(config.http.listen).await?;
        let Composed { app, heard } = compose::composed(config).await?;
        let (app, allowances) = (Arc::new(app), compose::allowances(config)?);
        let state =
            State::new(Arc::clone(&app), allowances, compose::http_settings(config, connections), heard);
        Ok(Self { listener, stop, app, state })
    }

    /// The use cases.
    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Does some work before anybody is served; nothing comes of it when a signal to stop is there first.
    pub(crate) async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            signal = self.stop.next() => {
                tracing::info!(signal, "stopped before serving");
                None
            }
        }
    }

    /// Serves until told to stop. `more` is said once people can be served, given where.
    pub(crate) async fn serve(
        self,
        config: &Config,
        more: impl FnOnce(SocketAddr) -> String,
    ) -> Result<(), Failure> {
        let address = self.listener.local_addr()?;
        // Last of what can fail: a password that was invented must be shown.
        let generated = first_administrator(&self.app, config).await?;
        let _upkeep = upkeep::start(&self.app);
        let welcome = welcome::lines(address, &config.admin.username, generated.as_ref());
        terminal::print(&(welcome + &more(address)))?;
        tell_log(address, config);
        until_stopped(self.listener.into_std()?, self.state, self.stop).await?;
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
    tracing::info!(%address, database = ?config.database.url, redis, "serving");
    if !config.sign_in.limits {
        tracing::warn!(
            "SIGN-IN LIMITS ARE OFF: passwords can be guessed without end. This is for load tests alone; \
             set TECHTRACK_SIGN_IN_LIMITS=on"
        );
    }
}

/// Serves until a signal comes, then lets the server finish what is under way; a second signal does not wait for that.
async fn until_stopped(
    listener: std::net::TcpListener,
    state: State,
    mut stop: StopSignals,
) -> io::Result<()> {
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
        let signal = stop.next().await;
        tracing::warn!(signal, "stopping at once");
    };
    tokio::select! {
        ended = api_http::serve(listener, state, asked_to_stop) => ended,
        () = impatience => Ok(()),
    }
}

/// The signals by which people and supervisors ask a program to stop.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for one and tells its name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
