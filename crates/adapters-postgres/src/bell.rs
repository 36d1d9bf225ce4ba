//! Telling every server on the same database that something was announced: LISTEN and NOTIFY on a connection of their own,
//! outside of all pools and units of work.
//!
//! On the same connection a server hears which registers were changed. Of that the database itself tells, by triggers and
//! as part of the commit, so that no change goes untold whoever makes it; and since a server remembers what it does not
//! hear to be changed, the link is tried several times a second.

use crate::PostgresStore;
use crate::connect::{Access, Connector};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use domain::changes::{Changes, Register};
use domain::error::BoxError;
use domain::ports::Bell;
use futures_util::StreamExt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

const LISTEN: &str = "LISTEN techtrack_changes; LISTEN techtrack_live";
const NOTIFY: &str = "NOTIFY techtrack_live";

/// Asks for nothing but an answer, and is told from the silence of others.
const SIGN_OF_LIFE: &str = "-- techtrack_live";

/// At most one notification is sent in this time: all rings within it become one.
const INTERVAL: Duration = Duration::from_millis(20);

/// The channel on which the database names registers that were changed. The triggers of the migration `changes` know it, too.
const CHANGES: &str = "techtrack_changes";

/// How often the server is asked for a sign of life: a link that died without a word must not go unnoticed.
const BETWEEN_SIGNS: Duration = Duration::from_millis(250);

/// How long the server may take to answer before it counts as not heard. With [`BETWEEN_SIGNS`] this makes less than the
/// second within which changes reach every server.
const HEARING: Duration = Duration::from_millis(500);

/// How long the server may take for anything.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait before connecting anew. Doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A bell that all servers on the same database hear. It hangs until it is dropped.
///
/// It may ring for nothing, and always does when it is connected anew: what rang meanwhile was not heard.
pub struct PostgresBell {
    rung: Arc<Notify>,
    heard: watch::Receiver<u64>,
    changes: Arc<Changes>,
    ringer: JoinHandle<()>,
}

impl PostgresStore {
    /// Hangs up a bell, on one connection more than the settings allow the pools. MUST be called within a tokio runtime.
    ///
    /// It keeps the account of `changes` made elsewhere.
    pub fn bell(&self, changes: Arc<Changes>) -> PostgresBell {
        let rung = Arc::new(Notify::new());
        let (hear, heard) = watch::channel(0);
        let told = Arc::clone(&changes);
        let ringer =
            Ringer { connector: Arc::clone(&self.connector), rung: Arc::clone(&rung), hear, changes };
        PostgresBell { rung, heard, changes: told, ringer: tokio::spawn(ringer.stay()) }
    }
}

impl PostgresBell {
    /// Counts how often the bell was heard, wherever it was rung.
    pub fn heard(&self) -> watch::Receiver<u64> {
        self.heard.clone()
    }
}

impl Bell for PostgresBell {
    fn ring(&self) {
        self.rung.notify_one();
    }
}

impl Drop for PostgresBell {
    fn drop(&mut self) {
        self.changes.hear_no_more();
        self.ringer.abort();
    }
}

/// The connection is gone, and nobody said why.
#[derive(Debug, thiserror::Error)]
#[error("the connection was closed")]
struct Closed;

struct Ringer {
    connector: Arc<Connector>,
    rung: Arc<Notify>,
    hear: watch::Sender<u64>,
    changes: Arc<Changes>,
}

impl Ringer {
    /// Stays connected for as long as anybody wants to know.
    async fn stay(self) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.connect().await {
                Ok(connection) => {
                    pause = FIRST_PAUSE;
                    self.heard();
                    self.changes.hear_again();
                    let lost = self.serve(connection).await;
                    self.changes.hear_no_more();
                    tracing::warn!(error = %lost, "the connection on which servers hear of events was lost");
                }
                Err(error) => tracing::warn!(%error, "servers cannot hear of events from each other"),
            }
            sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    async fn connect(&self) -> Result<AsyncPgConnection, BoxError> {
        let established = Arc::clone(&self.connector).establish(Access::Writing);
        let mut connection = timeout(PATIENCE, established).await??;
        say(&mut connection, LISTEN).await?;
        Ok(connection)
    }

    /// Rings and hears until the connection is lost. A ring that could not be sent is kept for the next connection.
    async fn serve(&self, mut connection: AsyncPgConnection) -> BoxError {
        let mut quiet_until = Instant::now();
        let mut sign_due = Instant::now() + BETWEEN_SIGNS;
        loop {
            let said = match self.next(&mut connection, quiet_until, sign_due).await {
                Next::Changed(name) => {
                    self.changed(&name);
                    Ok(())
                }
                Next::Heard => {
                    self.heard();
                    Ok(())
                }
                Next::Rung => {
                    quiet_until = Instant::now() + INTERVAL;
                    let said = self.say(&mut connection, NOTIFY).await;
                    said.inspect_err(|_| self.rung.notify_one())
                }
                Next::SignDue => {
                    sign_due = Instant::now() + BETWEEN_SIGNS;
                    self.say(&mut connection, SIGN_OF_LIFE).await
                }
                Next::Lost(error) => Err(error),
            };
            if let Err(error) = said {
                return error;
            }
        }
    }

    /// Says something. While the answer is overdue, so may be news of changes.
    async fn say(&self, connection: &mut AsyncPgConnection, words: &str) -> Result<(), BoxError> {
        let mut said = pin!(say(connection, words));
        if let Ok(answered) = timeout(HEARING, &mut said).await {
            return answered;
        }
        self.changes.hear_no_more();
        said.await?;
        // What was told meanwhile came before the answer or comes behind it, so this forgets too much rather than too little.
        self.changes.hear_again();
        Ok(())
    }

    /// Of a register that has no name here, it is not known what rests on it.
    fn changed(&self, name: &str) {
        match Register::parse(name) {
            Some(register) => self.changes.hear_of(register),
            None => Register::ALL.into_iter().for_each(|register| self.changes.hear_of(register)),
        }
    }

    async fn next(
        &self,
        connection: &mut AsyncPgConnection,
        quiet_until: Instant,
        sign_due: Instant,
    ) -> Next {
        let mut notifications = pin!(connection.notifications_stream());
        let rung = async {
            sleep_until(quiet_until).await;
            self.rung.notified().await;
        };
        tokio::select! {
            notification = notifications.next() => match notification {
                Some(Ok(told)) if told.channel == CHANGES => Next::Changed(told.payload),
                Some(Ok(_)) => Next::Heard,
                Some(Err(error)) => Next::Lost(error.into()),
                None => Next::Lost(Closed.into()),
            },
            () = rung => Next::Rung,
            () = sleep_until(sign_due) => Next::SignDue,
        }
    }

    fn heard(&self) {
        self.hear.send_modify(|times| *times = times.wrapping_add(1));
    }
}

/// What happens next on a connection.
enum Next {
    Heard,
    Rung,
    Changed(String),
    SignDue,
    Lost(BoxError),
}

async fn say(connection: &mut AsyncPgConnection, words: &str) -> Result<(), BoxError> {
    timeout(PATIENCE, connection.batch_execute(words)).await??;
    Ok(())
}
