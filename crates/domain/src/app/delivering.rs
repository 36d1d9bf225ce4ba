//! Getting out what was written down for receivers: claim, carry, settle. Any server may do it at any time.
//!
//! A claim is a time by which the delivery is due again, so a server that dies leaves nothing behind that somebody would
//! have to clean up. Nothing is carried inside of a unit of work. When to look is up to whoever calls.

use super::known::WEBHOOKS;
use super::outbox::{self, Surroundings};
use super::{App, webhooks};
use crate::access::Actor;
use crate::alerts::{Alert, AlertFilter, AlertKey, AlertQuery, AlertStatus};
use crate::audit::{Action, NewEvent, Subject, webhook_facts};
use crate::error::Error;
use crate::id::{AlertId, WebhookId};
use crate::page::{Direction, Order, PageRequest};
use crate::ports::{Parcel, UnitOfWork};
use crate::rules::Severity;
use crate::time::Timestamp;
use crate::webhooks::schedule::{Answer, Verdict};
use crate::webhooks::{Attempt, Backlog, Claimed, DeliveryStatus, Event, Notice, Settled, Shape, Webhook};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// For how long they are claimed.
const CLAIM: Duration = Duration::from_secs(30);

/// The longest that carrying one may take, with something to spare. What is not begun this long before the claim lapses is left.
const LONGEST: Duration = Duration::from_secs(12);

/// How many alerts are told again at once, and in all.
const REPEATED_AT_ONCE: u32 = 200;
const MOST_REPEATED: u64 = 10_000;

/// What became of deliveries since the process started, and what waits.
#[derive(Debug, Default)]
pub struct Deliveries {
    delivered: AtomicU64,
    failed: AtomicU64,
    given_up: AtomicU64,
    superseded: AtomicU64,
    backlog: Mutex<Backlog>,
}

/// How many deliveries came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    /// The receiver took it.
    pub delivered: u64,
    /// A try failed; there will be another one.
    pub failed: u64,
    /// It failed for the last time.
    pub given_up: u64,
    /// Something newer made it pointless.
    pub superseded: u64,
    /// What waits, as it was seen last.
    pub backlog: Backlog,
}

impl Deliveries {
    /// How many came to what.
    pub fn told(&self) -> Delivered {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Delivered {
            delivered: count(&self.delivered),
            failed: count(&self.failed),
            given_up: count(&self.given_up),
            superseded: count(&self.superseded),
            backlog: *self.backlog.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    fn count(&self, status: DeliveryStatus) {
        let counter = match status {
            DeliveryStatus::Delivered => &self.delivered,
            DeliveryStatus::Pending => &self.failed,
            DeliveryStatus::Failed => &self.given_up,
            DeliveryStatus::Superseded => &self.superseded,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Something that grows whenever this process writes something down for receivers. It may not be committed yet.
pub fn written(app: &App) -> u64 {
    app.outbox.written()
}

/// The webhooks that have something due.
pub async fn due(app: &App) -> Result<Vec<WebhookId>, Error> {
    if !app.outbox.may_be_heard(app) {
        return Ok(Vec::new());
    }
    let mut reader = app.store.reader().await?;
    if outbox::listeners_in(&mut *reader, app).await?.is_empty() {
        return Ok(Vec::new());
    }
    Ok(reader.deliveries().due(app.clock.now()).await?)
}

/// Looks how much waits, for who asks later.
pub async fn look_at_backlog(app: &App) -> Result<(), Error> {
    let backlog = app.store.reader().await?.deliveries().backlog().await?;
    *app.deliveries.backlog.lock().unwrap_or_else(PoisonError::into_inner) = backlog;
    Ok(())
}

/// Deliveries of one webhook that this server is to carry.
pub struct Batch {
    /// The deliveries by what they are about. Those of one lane go one after the other ([`carry_lane`]), so that whoever hears
    /// that an alert is over has heard of it; lanes go side by side.
    pub lanes: Vec<Vec<Claimed>>,
    /// Whether there may be more.
    pub is_full: bool,
}

/// Claims what is due to this webhook, up to so many; nothing when there is none, or none any more.
pub async fn claim(app: &App, webhook: WebhookId, most: u32) -> Result<Option<Batch>, Error> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let claimed = tx.deliveries().claim(webhook, now, now.after(CLAIM), most).await?;
    if claimed.is_empty() {
        return Ok(None);
    }
    tx.commit().await?;
    let is_full = claimed.len() >= most as usize;
    let mut about: BTreeMap<AlertId, Vec<Claimed>> = BTreeMap::new();
    let mut lanes = Vec::new();
    for claimed in claimed {
        match claimed.delivery.what.alert {
            Some(alert) => about.entry(alert).or_default().push(claimed),
            None => lanes.push(vec![claimed]),
        }
    }
    lanes.extend(about.into_values());
    Ok(Some(Batch { lanes, is_full }))
}

/// What became of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// It is over, one way or the other.
    Ended,
    /// It will be tried again: the receiver did not want it now.
    Again,
    /// It will be tried again: there was no answer.
    Unanswered,
    /// There was not enough time left, somebody else has it now, or the webhook wants nothing any more.
    Left,
}

/// Carries what was claimed about one alert, one after the other, for as long as it may go on and nothing stays behind: what
/// is newer must not arrive first. What is not carried is given back. Answers what became of the last one.
pub async fn carry_lane(
    app: &App,
    lane: &[Claimed],
    may_go_on: impl Fn() -> bool + Send,
) -> Result<Carried, Error> {
    let mut rest = lane;
    while let Some((claimed, later)) = rest.split_first() {
        let carried = if may_go_on() { carry(app, claimed).await? } else { Carried::Left };
        match carried {
            Carried::Ended => rest = later,
            Carried::Again | Carried::Unanswered => {
                give_back(app, later).await?;
                return Ok(carried);
            }
            Carried::Left => {
                give_back(app, rest).await?;
                return Ok(carried);
            }
        }
    }
    Ok(Carried::Ended)
}

/// Lets go of what was claimed and not carried: it is due at once, as far as nothing older is in its way.
async fn give_back(app: &App, claimed: &[Claimed]) -> Result<(), Error> {
    if claimed.is_empty() {
        return Ok(());
    }
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    for claimed in claimed {
        let Some(until) = claimed.delivery.next_try_at else { continue };
        let pending = ended(claimed, until, DeliveryStatus::Pending, None, now);
        tx.deliveries().settle(&Settled { next_try_at: Some(now), ..pending }).await?;
    }
    tx.commit().await?;
    Ok(())
}

/// The webhook as it is now, if it wants to be told anything.
async fn listening(app: &App, id: WebhookId) -> Result<Option<Webhook>, Error> {
    let webhook = app.store.reader().await?.webhooks().find(id).await?;
    Ok(webhook.filter(|webhook| webhook.details.enabled))
}

/// Carries one delivery that was claimed to where its webhook points by now, and writes down what became of it.
pub async fn carry(app: &App, claimed: &Claimed) -> Result<Carried, Error> {
    let what = &claimed.delivery.what;
    let Some(webhook) = listening(app, what.webhook).await? else { return Ok(Carried::Left) };
    let started_at = app.clock.now();
    let Some(until) = claimed.delivery.next_try_at.filter(|until| started_at.after(LONGEST) < *until) else {
        return Ok(Carried::Left);
    };
    if claimed.has_successor && webhook.details.shape.keeps_the_newest_alone() {
        let settled = ended(claimed, until, DeliveryStatus::Superseded, None, started_at);
        return settle(app, settled).await;
    }
    let answer = send(app, &webhook, what.message.clone(), vec![what.notice.clone()]).await;
    let now = app.clock.now();
    let tries = claimed.delivery.tries.saturating_add(1);
    let verdict = app.policy.webhooks.pauses.judge(&answer, tries, chance(app), now);
    let was_answered = answer.status.is_some();
    let attempt = Some(Attempt {
        number: claimed.delivery.attempts.saturating_add(1),
        at: started_at,
        took: now.since(started_at),
        status: answer.status,
        error: answer.failure(),
        answer: answer.text,
    });
    let end = |status, attempt| ended(claimed, until, status, attempt, now);
    match verdict {
        Verdict::Delivered => settle(app, end(DeliveryStatus::Delivered, attempt)).await,
        Verdict::GivenUp => settle(app, end(DeliveryStatus::Failed, attempt)).await,
        Verdict::Gone => settle_gone(app, &webhook, end(DeliveryStatus::Failed, attempt)).await,
        Verdict::Again(at) => {
            let again = Settled { next_try_at: Some(at), ..end(DeliveryStatus::Pending, attempt) };
            let carried = settle(app, again).await?;
            let is_silence = carried == Carried::Again && !was_answered;
            Ok(if is_silence { Carried::Unanswered } else { carried })
        }
    }
}

const GONE: &str = "the receiver answered 410: it is gone";

fn ended(
    claimed: &Claimed,
    claimed_until: Timestamp,
    status: DeliveryStatus,
    attempt: Option<Attempt>,
    at: Timestamp,
) -> Settled {
    Settled { id: claimed.delivery.id, claimed_until, status, next_try_at: None, attempt, at }
}

async fn settle(app: &App, settled: Settled) -> Result<Carried, Error> {
    let mut tx = app.store.begin().await?;
    if !tx.deliveries().settle(&settled).await? {
        return Ok(Carried::Left);
    }
    tx.commit().await?;
    Ok(counted(app, &settled))
}

/// Settles what a receiver answered that is gone for good, and disables the webhook. If that points elsewhere by now, it is
/// tried there.
async fn settle_gone(app: &App, told: &Webhook, settled: Settled) -> Result<Carried, Error> {
    let mut tx = app.store.begin().await?;
    let Some(present) = tx.webhooks().lock(told.id).await? else { return Ok(Carried::Left) };
    let has_moved = present.details.url != told.details.url;
    let settled = if has_moved {
        Settled { status: DeliveryStatus::Pending, next_try_at: Some(settled.at), ..settled }
    } else {
        disable_in(&mut *tx, present, GONE, settled.at).await?;
        settled
    };
    if !tx.deliveries().settle(&settled).await? {
        return Ok(Carried::Left);
    }
    app.commit_changing(WEBHOOKS, tx).await?;
    Ok(counted(app, &settled))
}

fn counted(app: &App, settled: &Settled) -> Carried {
    app.deliveries.count(settled.status);
    if settled.status == DeliveryStatus::Pending { Carried::Again } else { Carried::Ended }
}

async fn disable_in(
    tx: &mut dyn UnitOfWork,
    before: Webhook,
    reason: &str,
    now: Timestamp,
) -> Result<(), Error> {
    if !before.details.enabled {
        return Ok(());
    }
    let mut after = before.clone();
    after.details.enabled = false;
    after.disabled_because = Some(reason.to_owned());
    after.updated_at = now;
    let after = tx.webhooks().save(&after).await?;
    let by = Actor::system("webhooks");
    let event = NewEvent::new(now, &by, Action::WebhookDisabled, Subject::webhook(&after));
    tx.trail().record(&event.changing(webhook_facts(&before), webhook_facts(&after))).await?;
    Ok(())
}

async fn send(app: &App, webhook: &Webhook, message: String, notices: Vec<String>) -> Answer {
    let sent_at = app.clock.now();
    let Ok(secret) = webhooks::opened(app, &webhook.secret) else {
        let error = "the secret cannot be opened with this webhooks.seal_key; have it replaced".to_owned();
        return Answer { error: Some(error), ..Answer::default() };
    };
    // One from before another seal_key opens no more, and must not keep the new one from signing.
    let former = webhook.former_secret(sent_at).and_then(|sealed| webhooks::opened(app, sealed).ok());
    let secrets = std::iter::once(secret).chain(former).collect();
    let (url, shape) = (webhook.details.url.clone(), webhook.details.shape);
    app.courier.deliver(&Parcel { url, shape, message, sent_at, notices, secrets }).await
}

/// A random number.
fn chance(app: &App) -> u8 {
    app.entropy.secret().bytes().fold(0, |sum: u8, byte| sum.wrapping_mul(31).wrapping_add(byte))
}

/// The shape of receivers that forget what nobody repeats.
const FORGETFUL: Shape = Shape::Alertmanager;

/// Takes the webhooks that are to be told again what is still true.
pub async fn due_repeats(app: &App) -> Result<Vec<WebhookId>, Error> {
    if !app.outbox.may_be_heard(app) {
        return Ok(Vec::new());
    }
    let listeners = outbox::listeners_in(&mut *app.store.reader().await?, app).await?;
    if !listeners.iter().any(|listener| listener.shape == FORGETFUL) {
        return Ok(Vec::new());
    }
    let now = app.clock.now();
    let next = now.after(app.policy.webhooks.repeated_every);
    let mut tx = app.store.begin().await?;
    let due = tx.webhooks().take_repeats(FORGETFUL, now, next).await?;
    if !due.is_empty() {
        tx.commit().await?;
    }
    Ok(due.into_iter().map(|webhook| webhook.id).collect())
}

/// Tells a webhook which of the alerts that it wants to hear of are unresolved, for as long as it may go on and the webhook
/// wants it. Nothing of this is in the log: what gets lost is told again soon. Answers how many there were, and what went wrong
/// if something did.
pub async fn repeat(
    app: &App,
    id: WebhookId,
    may_go_on: impl Fn() -> bool + Send,
) -> Result<(u64, Option<String>), Error> {
    let mut told = 0;
    let mut number = 1;
    while told < MOST_REPEATED && may_go_on() {
        let webhook = listening(app, id).await?.filter(|webhook| webhook.details.shape == FORGETFUL);
        let Some(webhook) = webhook else { break };
        let (notices, is_last) = unresolved(app, &webhook, number).await?;
        number += 1;
        let count = notices.len() as u64;
        if count > 0 {
            let answer = send(app, &webhook, outbox::message(app), notices).await;
            if let Some(failure) = answer.failure() {
                return Ok((told, Some(failure)));
            }
        }
        told += count;
        if is_last {
            break;
        }
    }
    Ok((told, None))
}

/// A page of what is unresolved, in words, and whether it is the last one.
async fn unresolved(app: &App, webhook: &Webhook, number: u64) -> Result<(Vec<String>, bool), Error> {
    let wants = &webhook.details.wants;
    let bad_enough = |severity: &Severity| *severity >= wants.least;
    let filter = AlertFilter {
        equipment: wants.equipment.clone(),
        severities: Severity::ALL.iter().copied().filter(bad_enough).collect(),
        statuses: vec![AlertStatus::Open, AlertStatus::Acknowledged],
        ..AlertFilter::default()
    };
    let order = vec![Order { key: AlertKey::Id, direction: Direction::Ascending }];
    let page = PageRequest::new(number, REPEATED_AT_ONCE).unwrap_or_default();
    let mut reader = app.store.reader().await?;
    let alerts = reader.alerts().list(&AlertQuery { filter, order, page }).await?.items;
    let is_last = alerts.len() < REPEATED_AT_ONCE as usize;
    let surroundings = Surroundings::of_in(&mut *reader, alerts.iter()).await?;
    drop(reader);
    let at = app.clock.now();
    let is_meant = |alert: &Alert| {
        wants.events.contains(&Event::Opened) && wants.means_kind(surroundings.kind_of(alert))
    };
    let alerts = alerts.into_iter().filter(is_meant);
    let word = |alert: Alert| {
        let is_seen = alert.status == AlertStatus::Acknowledged;
        let event = if is_seen { Event::Acknowledged } else { Event::Opened };
        app.courier.word(&Notice { event, at, about: surroundings.about(alert) })
    };
    Ok((alerts.map(word).collect(), is_last))
}
