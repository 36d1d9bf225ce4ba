//! Gets deliveries to webhooks out: looks when something was written down, and once a second in any case; carries some side by
//! side, and stops without breaking off what is on its way.

use crate::failure::with_causes;
use api_http::Draining;
use domain::app::App;
use domain::app::delivering::{self, Carried};
use domain::error::Error;
use domain::id::WebhookId;
use domain::webhooks::Claimed;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
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

/// How many are on their way besides to receivers that did not answer last time, one to each.
const AT_ONCE_TO_SILENT: usize = 8;

/// How many deliveries to one webhook are claimed at once.
const CLAIMED_AT_ONCE: u32 = 16;

/// How long what is on its way may take to arrive when the server stops.
const PATIENCE: Duration = Duration::from_secs(12);

/// Works until the server drains.
pub(super) struct Deliverer(JoinHandle<()>);

impl Deliverer {
    /// Begins.
    pub(super) fn start(app: &Arc<App>, heard: watch::Receiver<u64>, draining: Draining) -> Self {
        let carrier = Carrier {
            app: Arc::clone(app),
            draining,
            places: Arc::new(Semaphore::new(AT_ONCE)),
            places_for_silent: Arc::new(Semaphore::new(AT_ONCE_TO_SILENT)),
            silent: Mutex::default(),
        };
        let round = Round {
            attentive_until: Instant::now(),
            written: delivering::written(app),
            carrier: Arc::new(carrier),
            heard,
            jobs: JoinSet::new(),
            busy: HashMap::new(),
        };
        Self(tokio::spawn(round.go_on()))
    }

    /// Returns when nothing is on its way any more, or will not arrive. What was claimed and not sent is due again soon.
    pub(super) async fn finish(mut self) {
        if timeout(PATIENCE, &mut self.0).await.is_err() {
            self.0.abort();
        }
    }
}

struct Round {
    carrier: Arc<Carrier>,
    heard: watch::Receiver<u64>,
    /// How much had been written down when it was looked last.
    written: u64,
    attentive_until: Instant,
    jobs: JoinSet<WebhookId>,
    /// The webhooks that somebody is at work for, and what is to follow when that is done.
    busy: HashMap<WebhookId, Then>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Rest,
    Repeat,
}

impl Round {
    async fn go_on(mut self) {
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
                () = self.carrier.draining.begun() => break,
                done = next(&mut self.jobs) => self.done(done),
                () = rung(&self.carrier.app, &mut self.heard, &mut self.written, &mut self.attentive_until) => {
                    sleep_until(looked_at + GAP).await;
                }
                () = sleep_until(looked_at + NOW_AND_THEN) => {}
            }
        }
        while self.jobs.join_next().await.is_some() {}
    }

    async fn look(&mut self) {
        match delivering::due(&self.carrier.app).await {
            Ok(due) => {
                for webhook in due {
                    if let Entry::Vacant(idle) = self.busy.entry(webhook) {
                        idle.insert(Then::Rest);
                        self.jobs.spawn(Arc::clone(&self.carrier).deliver(webhook));
                    }
                }
            }
            Err(error) => warn("what is to be delivered to webhooks cannot be read just now", &error),
        }
    }

    async fn look_around(&mut self) {
        if let Err(error) = delivering::look_at_backlog(&self.carrier.app).await {
            warn("nobody knows how much waits to be delivered to webhooks", &error);
        }
        match delivering::due_repeats(&self.carrier.app).await {
            Ok(due) => due.into_iter().for_each(|webhook| self.repeat(webhook)),
            Err(error) => warn("nobody is told again what is unresolved", &error),
        }
    }

    /// Tells again what is unresolved, but not beside news: what is over must not seem to begin anew.
    fn repeat(&mut self, webhook: WebhookId) {
        if let Some(then) = self.busy.get_mut(&webhook) {
            *then = Then::Repeat;
            return;
        }
        self.busy.insert(webhook, Then::Rest);
        self.jobs.spawn(Arc::clone(&self.carrier).repeat(webhook));
    }

    /// Somebody's work for this webhook is done. Of one whose work was broken off it is not known for whom it was: then all
    /// are looked after anew.
    fn done(&mut self, webhook: Option<WebhookId>) {
        match webhook {
            Some(webhook) => {
                if self.busy.remove(&webhook) == Some(Then::Repeat) {
                    self.repeat(webhook);
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

/// Carries what is due, a place for each that is on its way. Once the server drains, what is on its way arrives and nothing
/// new begins.
struct Carrier {
    app: Arc<App>,
    draining: Draining,
    places: Arc<Semaphore>,
    /// Receivers that are away keep each of their places for as long as a try may take, so they have their own.
    places_for_silent: Arc<Semaphore>,
    /// The webhooks whose receivers did not answer last time.
    silent: Mutex<HashSet<WebhookId>>,
}

impl Carrier {
    /// Delivers what is due to one webhook, batch by batch.
    async fn deliver(self: Arc<Self>, webhook: WebhookId) -> WebhookId {
        while !self.draining.is_on() && self.deliver_some(webhook).await {}
        webhook
    }

    /// Delivers a batch; answers whether there may be more that should go at once. What is claimed lapses, so there is a
    /// place before there is a claim.
    async fn deliver_some(self: &Arc<Self>, webhook: WebhookId) -> bool {
        let is_silent = self.is_silent(webhook);
        let places = if is_silent { &self.places_for_silent } else { &self.places };
        // Nobody closes either of them.
        let Ok(place) = Arc::clone(places).acquire_owned().await else { return false };
        if self.draining.is_on() {
            return false;
        }
        // Those that are silent take turns, try by try.
        let most = if is_silent { 1 } else { CLAIMED_AT_ONCE };
        match delivering::claim(&self.app, webhook, most).await {
            Ok(Some(batch)) => {
                self.carry_all(webhook, batch.lanes, place, is_silent).await;
                batch.is_full && !is_silent
            }
            Ok(None) => false,
            Err(error) => {
                warn("deliveries to a webhook cannot be claimed just now", &error);
                false
            }
        }
    }

    /// Carries lanes side by side: in this place, and in further ones if the receiver answers and as far as they are free.
    async fn carry_all(
        self: &Arc<Self>,
        webhook: WebhookId,
        lanes: Vec<Vec<Claimed>>,
        place: OwnedSemaphorePermit,
        is_silent: bool,
    ) {
        let most = if is_silent { 1 } else { AT_ONCE_TO_ONE };
        let further = lanes.len().min(most).saturating_sub(1);
        let further = (0..further).map_while(|_| Arc::clone(&self.places).try_acquire_owned().ok());
        let lanes = Arc::new(Mutex::new(lanes.into_iter()));
        let mut carrying = JoinSet::new();
        for place in std::iter::once(place).chain(further) {
            let (carrier, lanes) = (Arc::clone(self), Arc::clone(&lanes));
            carrying.spawn(async move {
                let next = || lanes.lock().unwrap_or_else(PoisonError::into_inner).next();
                while let Some(lane) = next() {
                    carrier.carry(webhook, &lane, is_silent).await;
                }
                drop(place);
            });
        }
        while carrying.join_next().await.is_some() {}
    }

    /// Carries a lane. What is left of it when the receiver falls silent or the server drains is given back.
    async fn carry(&self, webhook: WebhookId, lane: &[Claimed], was_silent: bool) {
        let may_go_on = || !self.draining.is_on() && (was_silent || !self.is_silent(webhook));
        match delivering::carry_lane(&self.app, lane, may_go_on).await {
            Ok(Carried::Unanswered) => self.note_silent(webhook, true),
            Ok(Carried::Ended | Carried::Again) => self.note_silent(webhook, false),
            Ok(Carried::Left) => {}
            Err(error) => warn("what became of a delivery was not noted; it is sent again", &error),
        }
    }

    fn is_silent(&self, webhook: WebhookId) -> bool {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner).contains(&webhook)
    }

    fn note_silent(&self, webhook: WebhookId, is_silent: bool) {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        if is_silent {
            silent.insert(webhook);
        } else {
            silent.remove(&webhook);
        }
    }

    async fn repeat(self: Arc<Self>, webhook: WebhookId) -> WebhookId {
        match delivering::repeat(&self.app, webhook, || !self.draining.is_on()).await {
            Ok((alerts, None)) => {
                tracing::debug!(webhook = webhook.get(), alerts, "told again what is unresolved");
            }
            Ok((_, Some(failure))) => {
                let webhook = webhook.get();
                tracing::warn!(webhook, failure, "a webhook was not told again what is unresolved");
            }
            Err(error) => warn("a webhook was not told again what is unresolved", &error),
        }
        webhook
    }
}

/// The next turn may do better, so it is a warning.
fn warn(what: &str, error: &Error) {
    tracing::warn!(cause = with_causes(error), "{what}");
}
