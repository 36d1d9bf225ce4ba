//! Gets deliveries to webhooks out: looks when something was written down, and once a second in any case; carries some side by
//! side, and stops without breaking off what is on its way.

use crate::failure::with_causes;
use api_http::Draining;
use domain::app::App;
use domain::app::delivering::{self, Batch};
use domain::error::Error;
use domain::id::WebhookId;
use domain::webhooks::Webhook;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};

/// How often everybody looks, should nobody have been told.
const NOW_AND_THEN: Duration = Duration::from_secs(1);

/// For how long rings are listened to after something was written down: its commit may take a while.
const ATTENTION: Duration = Duration::from_secs(3);

/// Rings in quick succession are answered together.
const GAP: Duration = Duration::from_millis(10);

/// How often it is looked who has to be told again, and how much waits.
const LOOK_AROUND_EVERY: Duration = Duration::from_secs(5);

/// How many deliveries are on their way at once, in all and to one webhook.
const AT_ONCE: usize = 16;
const AT_ONCE_TO_ONE: usize = 4;

/// How long what is on its way may take to arrive when the server stops.
const PATIENCE: Duration = Duration::from_secs(12);

/// Works until the server drains.
pub(super) struct Deliverer(JoinHandle<()>);

impl Deliverer {
    /// Begins.
    pub(super) fn start(app: &Arc<App>, heard: watch::Receiver<u64>, draining: Draining) -> Self {
        let round = Round {
            attentive_until: Instant::now(),
            written: delivering::written(app),
            app: Arc::clone(app),
            heard,
            sending: Arc::new(Semaphore::new(AT_ONCE)),
            jobs: JoinSet::new(),
            busy: HashMap::new(),
        };
        Self(tokio::spawn(round.go_on_until(draining)))
    }

    /// Returns when nothing is on its way any more, or will not arrive. What was claimed and not sent is due again soon.
    pub(super) async fn finish(mut self) {
        if timeout(PATIENCE, &mut self.0).await.is_err() {
            self.0.abort();
        }
    }
}

struct Round {
    app: Arc<App>,
    heard: watch::Receiver<u64>,
    /// How much had been written down when it was looked last.
    written: u64,
    attentive_until: Instant,
    sending: Arc<Semaphore>,
    jobs: JoinSet<WebhookId>,
    /// The webhooks that somebody is at work for, and what is to be told again when that is done.
    busy: HashMap<WebhookId, Option<Webhook>>,
}

impl Round {
    async fn go_on_until(mut self, draining: Draining) {
        let mut look_around_at = Instant::now();
        loop {
            self.heard.mark_unchanged();
            let looked_at = Instant::now();
            self.look().await;
            if looked_at >= look_around_at {
                look_around_at = looked_at + LOOK_AROUND_EVERY;
                self.look_around().await;
            }
            tokio::select! {
                () = draining.begun() => break,
                done = next(&mut self.jobs) => self.done(done),
                () = rung(&self.app, &mut self.heard, &mut self.written, &mut self.attentive_until) => {
                    sleep_until(looked_at + GAP).await;
                }
                () = sleep_until(looked_at + NOW_AND_THEN) => {}
            }
        }
        while self.jobs.join_next().await.is_some() {}
    }

    async fn look(&mut self) {
        match delivering::due(&self.app).await {
            Ok(due) => {
                for webhook in due {
                    if let Entry::Vacant(idle) = self.busy.entry(webhook) {
                        idle.insert(None);
                        let (app, sending) = (Arc::clone(&self.app), Arc::clone(&self.sending));
                        self.jobs.spawn(deliver(app, sending, webhook));
                    }
                }
            }
            Err(error) => warn("what is to be delivered to webhooks cannot be read just now", &error),
        }
    }

    async fn look_around(&mut self) {
        if let Err(error) = delivering::look_at_backlog(&self.app).await {
            warn("nobody knows how much waits to be delivered to webhooks", &error);
        }
        match delivering::due_repeats(&self.app).await {
            Ok(due) => due.into_iter().for_each(|webhook| self.repeat(webhook)),
            Err(error) => warn("nobody is told again what is unresolved", &error),
        }
    }

    /// Tells again what is unresolved, but not beside news: what is over must not seem to begin anew.
    fn repeat(&mut self, webhook: Webhook) {
        if let Some(later) = self.busy.get_mut(&webhook.id) {
            *later = Some(webhook);
            return;
        }
        self.busy.insert(webhook.id, None);
        self.jobs.spawn(repeat(Arc::clone(&self.app), webhook));
    }

    /// Somebody's work for this webhook is done. Of one whose work was broken off it is not known for whom it was: then all
    /// are looked after anew.
    fn done(&mut self, webhook: Option<WebhookId>) {
        match webhook {
            Some(webhook) => {
                if let Some(Some(again)) = self.busy.remove(&webhook) {
                    self.repeat(again);
                }
            }
            None => self.busy.clear(),
        }
    }
}

/// The next job that is done; waits for ever when there is none.
async fn next(jobs: &mut JoinSet<WebhookId>) -> Option<WebhookId> {
    match jobs.join_next().await {
        Some(done) => done.ok(),
        None => std::future::pending().await,
    }
}

/// Waits for a ring that may be about something that this server wrote down. Those of others are for readings mostly, and come
/// all the time.
async fn rung(app: &App, heard: &mut watch::Receiver<u64>, written: &mut u64, attentive_until: &mut Instant) {
    loop {
        if heard.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        let now = delivering::written(app);
        if now != *written {
            *written = now;
            *attentive_until = Instant::now() + ATTENTION;
        }
        if Instant::now() < *attentive_until {
            return;
        }
    }
}

/// Delivers what is due to one webhook, batch by batch.
async fn deliver(app: Arc<App>, sending: Arc<Semaphore>, webhook: WebhookId) -> WebhookId {
    loop {
        match delivering::claim(&app, webhook).await {
            Ok(Some(batch)) => {
                let is_full = batch.is_full;
                carry_all(&app, &sending, batch).await;
                if !is_full {
                    return webhook;
                }
            }
            Ok(None) => return webhook,
            Err(error) => {
                warn("deliveries to a webhook cannot be claimed just now", &error);
                return webhook;
            }
        }
    }
}

async fn carry_all(app: &Arc<App>, sending: &Arc<Semaphore>, batch: Batch) {
    let webhook = Arc::new(batch.webhook);
    let own = Arc::new(Semaphore::new(AT_ONCE_TO_ONE));
    let mut lanes = JoinSet::new();
    for lane in batch.lanes {
        let (app, webhook) = (Arc::clone(app), Arc::clone(&webhook));
        let (own, sending) = (Arc::clone(&own), Arc::clone(sending));
        lanes.spawn(async move {
            // Nobody closes either of them.
            let (Ok(_own), Ok(_one_of_all)) = (own.acquire().await, sending.acquire().await) else { return };
            for claimed in lane {
                if let Err(error) = delivering::carry(&app, &webhook, &claimed).await {
                    warn("what became of a delivery was not noted; it is sent again", &error);
                }
            }
        });
    }
    while lanes.join_next().await.is_some() {}
}

async fn repeat(app: Arc<App>, webhook: Webhook) -> WebhookId {
    match delivering::repeat(&app, &webhook).await {
        Ok((alerts, None)) => {
            tracing::debug!(webhook = webhook.id.get(), alerts, "told again what is unresolved");
        }
        Ok((_, Some(failure))) => {
            tracing::warn!(
                webhook = webhook.id.get(),
                failure,
                "a webhook was not told again what is unresolved"
            );
        }
        Err(error) => warn("a webhook was not told again what is unresolved", &error),
    }
    webhook.id
}

/// The next turn may do better, so it is a warning.
fn warn(what: &str, error: &Error) {
    tracing::warn!(cause = with_causes(error), "{what}");
}
