//! The connection to Redis: kept by a task of its own, so that a request either finds it working or does without.
//!
//! No request ever connects, waits for a connection or tries a broken one again. One that gets no proper answer in time
//! declares the link lost; the keeper waits a moment and makes a new one.

use crate::LinkError;
use crate::bucket::{Buckets, Taken, Trouble};
use domain::allowance::Rate;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// How long things may take.
#[derive(Clone, Copy)]
pub(crate) struct Timing {
    /// An answer to a request.
    pub(crate) answer: Duration,
    /// A new connection, with the first answer over it.
    pub(crate) connection: Duration,
    /// Between losing a connection, or failing to get one, and trying again.
    pub(crate) back_off: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            answer: Duration::from_millis(50),
            connection: Duration::from_secs(1),
            back_off: Duration::from_secs(1),
        }
    }
}

/// A link to Redis that is there or not, and comes back by itself.
pub(crate) struct Link {
    shared: Arc<Shared>,
    keeper: JoinHandle<()>,
}

/// What requests and the keeper share.
struct Shared {
    buckets: Buckets,
    timing: Timing,
    live: watch::Sender<Option<Live>>,
}

/// A connection that works as far as anybody knows.
#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    /// Which one since the start. An answer that comes late must not cost its successor the link.
    number: u64,
}

impl Link {
    /// A link to this Redis, for as long as it is not dropped.
    pub(crate) fn keep(url: &str, buckets: Buckets, timing: Timing) -> Result<Self, LinkError> {
        let client = Client::open(url).map_err(|error| LinkError::Url(error.into()))?;
        let runtime = Handle::try_current().map_err(|error| LinkError::NoRuntime(error.into()))?;
        if let ConnectionAddr::TcpTls { .. } = client.get_connection_info().addr() {
            choose_cryptography();
        }
        let shared = Arc::new(Shared { buckets, timing, live: watch::Sender::new(None) });
        let keeper = runtime.spawn(Arc::clone(&shared).keep_up(client));
        Ok(Self { shared, keeper })
    }

    /// Takes a request from the caller's bucket, or nothing when Redis cannot be asked just now.
    pub(crate) async fn take(&self, caller: &str, rate: Rate) -> Option<Taken> {
        self.shared.take(caller, rate).await
    }

    /// Returns once the link is up.
    #[cfg(test)]
    pub(crate) async fn up(&self) {
        self.shared.live.subscribe().wait_for(Option::is_some).await.unwrap();
    }

    /// Whether the link is up, as far as anybody knows.
    pub(crate) fn is_up(&self) -> bool {
        self.shared.live.borrow().is_some()
    }

    /// What a request does that got no proper answer over the connection of this number.
    #[cfg(test)]
    pub(crate) fn lose(&self, number: u64) {
        self.shared.give_up(number, &Trouble::Silent(Duration::ZERO));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Shared {
    async fn take(&self, caller: &str, rate: Rate) -> Option<Taken> {
        let Live { connection, number } = self.live.borrow().clone()?;
        let answer = within(self.timing.answer, self.buckets.take(connection, caller, rate)).await;
        answer.map_err(|trouble| self.give_up(number, &trouble)).ok()
    }

    /// Declares this connection lost, unless another request already has.
    fn give_up(&self, number: u64, trouble: &Trouble) {
        let lost = self.live.send_if_modified(|live| live.take_if(|live| live.number == number).is_some());
        if lost {
            warn_away(trouble);
        }
    }

    async fn keep_up(self: Arc<Self>, client: Client) {
        let mut away_was_said = false;
        for number in 0.. {
            match within(self.timing.connection, self.connect(&client)).await {
                Ok(connection) => {
                    if away_was_said {
                        tracing::warn!("Redis answers again: instances count requests together");
                    }
                    self.live.send_replace(Some(Live { connection, number }));
                    self.until_lost().await;
                    away_was_said = true;
                }
                Err(trouble) if !away_was_said => {
                    warn_away(&trouble);
                    away_was_said = true;
                }
                Err(_still_away) => {}
            }
            sleep(self.timing.back_off).await;
        }
    }

    async fn connect(&self, client: &Client) -> Result<MultiplexedConnection, Trouble> {
        // Both limits are this module's own; within them, a burst of requests is written out without queueing here.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(1024);
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        self.buckets.prove(connection.clone()).await?;
        Ok(connection)
    }

    async fn until_lost(&self) {
        let mut live = self.live.subscribe();
        // Fails only when there is no sender left, and `self` holds one.
        let _lost = live.wait_for(Option::is_none).await;
    }
}

async fn within<T>(limit: Duration, answer: impl Future<Output = Result<T, Trouble>>) -> Result<T, Trouble> {
    timeout(limit, answer).await.unwrap_or(Err(Trouble::Silent(limit)))
}

/// Said when the link is lost, not with every request that does without it.
fn warn_away(trouble: &Trouble) {
    tracing::warn!(error = %trouble, "Redis does not answer: until it does, each instance counts requests for itself");
}

/// The redis crate asks for the process's TLS provider and panics where there is a choice. Whoever chose before us is
/// welcome.
fn choose_cryptography() {
    let _chosen_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
