//! Alerts by hand: look up, raise, correct, acknowledge, resolve, delete. What rules raise is in `judgement`.

use super::App;
use super::equipment::refuse_out_of_reach;
use super::outbox::{self, Told};
use crate::access::rights::{HandleAlerts, ViewAlerts, WriteAlerts};
use crate::access::{Actor, Granted};
use crate::alerts::{Alert, AlertChange, AlertEntry, AlertQuery, NewAlert, NewAlertEntry};
use crate::audit::{Action, NewEvent, Subject, alert_facts};
use crate::equipment::EquipmentRef;
use crate::error::{Error, Flaws};
use crate::id::{AlertId, EquipmentId};
use crate::idempotency::Once;
use crate::live::NewLiveEvent;
use crate::maintenance::Person;
use crate::page::Page;
use crate::patch::{Patch, Precondition};
use crate::ports::UnitOfWork;
use crate::rules::Severity;
use crate::telemetry::{AHEAD, MetricName};
use crate::text::Description;
use crate::time::Timestamp;

/// An alert as somebody raises it.
#[derive(Clone, Debug)]
pub struct AlertDraft {
    /// On what.
    pub equipment: EquipmentRef,
    /// What is wrong.
    pub description: Description,
    /// How bad it is.
    pub severity: Severity,
    /// Since when; now if nobody says.
    pub at: Option<Timestamp>,
    /// The metric that it is about.
    pub metric: Option<MetricName>,
    /// The value that is wrong.
    pub value: Option<f64>,
    /// What else there is to say.
    pub note: Option<Description>,
}

/// A correction of what an alert says. What is absent stays.
#[derive(Clone, Debug, Default)]
pub struct AlertEdit {
    /// What is wrong.
    pub description: Option<Description>,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// What else there is to say.
    pub note: Patch<Description>,
}

/// A page of alerts that the caller may see.
pub async fn list(app: &App, by: &Granted<ViewAlerts>, mut query: AlertQuery) -> Result<Page<Alert>, Error> {
    query.filter.reach = by.actor().reach().clone();
    Ok(app.store.reader().await?.alerts().list(&query).await?)
}

/// A page of the alerts on one piece of equipment.
pub async fn list_of(
    app: &App,
    by: &Granted<ViewAlerts>,
    equipment: EquipmentId,
    mut query: AlertQuery,
) -> Result<Page<Alert>, Error> {
    refuse_out_of_reach(by.actor(), equipment)?;
    let mut reader = app.store.reader().await?;
    if reader.readings().heads(&[equipment]).await?.is_empty() {
        return Err(Error::NotFound("equipment"));
    }
    query.filter.equipment = vec![equipment];
    Ok(reader.alerts().list(&query).await?)
}

/// One alert.
pub async fn get(app: &App, by: &Granted<ViewAlerts>, id: AlertId) -> Result<Alert, Error> {
    visible(app.store.reader().await?.alerts().find(id).await?, by.actor())
}

/// Who did what to an alert, and when, oldest first.
pub async fn timeline(app: &App, by: &Granted<ViewAlerts>, id: AlertId) -> Result<Vec<AlertEntry>, Error> {
    let mut reader = app.store.reader().await?;
    visible(reader.alerts().find(id).await?, by.actor())?;
    Ok(reader.alerts().timeline(id).await?)
}

/// Raises an alert by hand.
pub async fn create(
    app: &App,
    by: Granted<WriteAlerts>,
    draft: AlertDraft,
    once: Once<'_, Alert>,
) -> Result<Alert, Error> {
    let now = app.clock.now();
    let at = draft.at.unwrap_or(now);
    let mut flaws = Flaws::default();
    flaws.gather(refuse_far_ahead(at, now))?;
    let mut tx = app.store.begin().await?;
    let equipment = flaws.conclude(meant_in(&mut *tx, by.actor(), draft.equipment).await)?;
    let new = NewAlert {
        equipment,
        raised_by: None,
        metric: draft.metric,
        severity: draft.severity,
        description: draft.description,
        began_at: at,
        at,
        value: draft.value,
        last_seen_at: at,
        occurrences: 1,
        note: draft.note,
        created_at: now,
    };
    let alert = tx.alerts().insert(&new, None).await?;
    let step = Step { by: by.actor(), now, change: AlertChange::Raised, note: alert.what.note.clone() };
    step.note_in(&mut *tx, app, &alert).await?;
    let event = NewEvent::new(now, by.actor(), Action::AlertCreated, Subject::alert(&alert));
    tx.trail().record(&event.changing(Vec::new(), alert_facts(&alert))).await?;
    once.remember_in(&mut *tx, &alert, now).await?;
    tx.commit().await?;
    app.bell.ring();
    Ok(alert)
}

/// Corrects what an alert says.
pub async fn edit(
    app: &App,
    by: Granted<WriteAlerts>,
    id: AlertId,
    edit: AlertEdit,
    precondition: Precondition,
) -> Result<Alert, Error> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let before = lock_in(&mut *tx, by.actor(), id).await?;
    precondition.check(before.version)?;
    let mut after = before.clone();
    after.what.description = edit.description.unwrap_or(after.what.description);
    after.what.severity = edit.severity.unwrap_or(after.what.severity);
    after.what.note = edit.note.apply(&before.what.note);
    if after.what == before.what {
        tx.rollback().await;
        return Ok(before);
    }
    after.updated_at = now;
    let noted = after.what.note != before.what.note;
    let change = if noted { AlertChange::Noted } else { AlertChange::Edited };
    let note = after.what.note.clone().filter(|_| noted);
    let step = Step { by: by.actor(), now, change, note };
    let after = step.save_in(&mut *tx, app, after).await?;
    let event = NewEvent::new(now, by.actor(), Action::AlertUpdated, Subject::alert(&after));
    tx.trail().record(&event.changing(alert_facts(&before), alert_facts(&after))).await?;
    tx.commit().await?;
    app.bell.ring();
    Ok(after)
}

/// Says that one looks after an alert. Saying so again changes nothing.
pub async fn acknowledge(
    app: &App,
    by: Granted<HandleAlerts>,
    id: AlertId,
    note: Option<Description>,
    once: Once<'_, Alert>,
) -> Result<Alert, Error> {
    let act = |alert: &mut Alert, by, now| alert.acknowledge(by, now);
    handle(app, by, id, note, (AlertChange::Acknowledged, Action::AlertAcknowledged), act, once).await
}

/// Says that an alert is over. Saying so again changes nothing.
pub async fn resolve(
    app: &App,
    by: Granted<HandleAlerts>,
    id: AlertId,
    note: Option<Description>,
    once: Once<'_, Alert>,
) -> Result<Alert, Error> {
    // By a machine's clock that runs ahead of ours the last sign of it may be later than now.
    let act = |alert: &mut Alert, by, now: Timestamp| {
        Ok(alert.resolve(Some(by), now.max(alert.what.last_seen_at), now))
    };
    handle(app, by, id, note, (AlertChange::Resolved, Action::AlertResolved), act, once).await
}

async fn handle(
    app: &App,
    by: Granted<HandleAlerts>,
    id: AlertId,
    note: Option<Description>,
    (change, action): (AlertChange, Action),
    act: impl Fn(&mut Alert, Person, Timestamp) -> Result<bool, Error> + Send + Sync,
    once: Once<'_, Alert>,
) -> Result<Alert, Error> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let before = lock_in(&mut *tx, by.actor(), id).await?;
    let mut alert = before.clone();
    let changed = act(&mut alert, Person::acting(by.actor()), now)?;
    if changed {
        alert.what.note = note.clone().or(alert.what.note);
        alert = Step { by: by.actor(), now, change, note }.save_in(&mut *tx, app, alert).await?;
        let event = NewEvent::new(now, by.actor(), action, Subject::alert(&alert));
        tx.trail().record(&event.changing(alert_facts(&before), alert_facts(&alert))).await?;
    }
    once.remember_in(&mut *tx, &alert, now).await?;
    tx.commit().await?;
    if changed {
        app.bell.ring();
    }
    Ok(alert)
}

/// Deletes an alert with its timeline. The trail keeps that it was there.
pub async fn delete(
    app: &App,
    by: Granted<WriteAlerts>,
    id: AlertId,
    precondition: Precondition,
) -> Result<(), Error> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let alert = lock_in(&mut *tx, by.actor(), id).await?;
    precondition.check(alert.version)?;
    tx.alerts().delete(id).await?;
    let event = NewEvent::new(now, by.actor(), Action::AlertDeleted, Subject::alert(&alert));
    tx.trail().record(&event.changing(alert_facts(&alert), Vec::new())).await?;
    tx.live().announce(&[announcement(&alert, AlertChange::Deleted, now)], now).await?;
    outbox::tell_in(&mut *tx, app, vec![Told { alert, change: AlertChange::Deleted }], now).await?;
    tx.commit().await?;
    app.bell.ring();
    Ok(())
}

/// A step that somebody takes with an alert.
struct Step<'a> {
    by: &'a Actor,
    now: Timestamp,
    change: AlertChange,
    note: Option<Description>,
}

impl Step<'_> {
    async fn save_in(self, tx: &mut dyn UnitOfWork, app: &App, alert: Alert) -> Result<Alert, Error> {
        tx.alerts().save_all(std::slice::from_ref(&alert)).await?;
        let alert = Alert { version: alert.version.next(), ..alert };
        self.note_in(tx, app, &alert).await?;
        Ok(alert)
    }

    async fn note_in(self, tx: &mut dyn UnitOfWork, app: &App, alert: &Alert) -> Result<(), Error> {
        let Step { by, now, change, note } = self;
        let by = Some(Person::acting(by));
        let entry = NewAlertEntry { alert: alert.id, at: now, change, by, status: alert.status, note };
        tx.alerts().note(&[entry]).await?;
        tx.live().announce(&[announcement(alert, change, now)], now).await?;
        outbox::tell_in(tx, app, vec![Told { alert: alert.clone(), change }], now).await
    }
}

fn announcement(alert: &Alert, change: AlertChange, at: Timestamp) -> NewLiveEvent {
    NewLiveEvent::Alert { equipment: alert.what.equipment, alert: alert.id, change, at }
}

fn visible(found: Option<Alert>, by: &Actor) -> Result<Alert, Error> {
    found.filter(|alert| by.reach().covers(alert.what.equipment)).ok_or(Error::NotFound("alert"))
}

/// Holds the head of the equipment, so that no reading is judged meanwhile; `false` when the caller may not know it.
async fn hold_in(tx: &mut dyn UnitOfWork, by: &Actor, equipment: EquipmentId) -> Result<bool, Error> {
    Ok(by.reach().covers(equipment) && !tx.readings().lock_heads(&[equipment]).await?.is_empty())
}

fn refuse_far_ahead(at: Timestamp, now: Timestamp) -> Result<(), Error> {
    let refused = || Error::flaw("timestamp", "future", "must not lie more than 10 minutes ahead");
    if at > now.after(AHEAD) { Err(refused()) } else { Ok(()) }
}

/// The equipment that is named, held.
async fn meant_in(tx: &mut dyn UnitOfWork, by: &Actor, name: EquipmentRef) -> Result<EquipmentId, Error> {
    let found = tx.equipment().resolve(&[name]).await?.into_iter().flatten().next();
    match found {
        Some(equipment) if hold_in(tx, by, equipment).await? => Ok(equipment),
        Some(_) | None => Err(Error::flaw("equipment", "unknown", "must be equipment in the register")),
    }
}

async fn lock_in(tx: &mut dyn UnitOfWork, by: &Actor, id: AlertId) -> Result<Alert, Error> {
    let found = visible(tx.alerts().find(id).await?, by)?;
    hold_in(tx, by, found.what.equipment).await?;
    tx.alerts().lock(id).await?.ok_or(Error::NotFound("alert"))
}
