//! Making the alerts agree with a judgement: what is raised, what has changed, what is withdrawn, and who hears of it.

use crate::alerts::reconcile::Plan;
use crate::alerts::{Act, Alert, AlertChange, AlertStatus, NewAlert, NewAlertEntry, RaisedBy};
use crate::app::App;
use crate::app::outbox::{self, Told};
use crate::error::Error;
use crate::id::{AlertId, EquipmentId};
use crate::live::NewLiveEvent;
use crate::ports::UnitOfWork;
use crate::rules::judge::Episode;
use crate::rules::{Rule, describe};
use crate::text::Description;
use crate::time::Timestamp;

/// What a judgement comes to, gathered so that it is written in few steps.
pub(in crate::app) struct Outcome {
    now: Timestamp,
    saved: Vec<Alert>,
    entries: Vec<NewAlertEntry>,
    events: Vec<NewLiveEvent>,
    /// What receivers outside are told, if there may be any.
    told: Option<Vec<Told>>,
}

impl Outcome {
    pub(in crate::app) fn new(app: &App, now: Timestamp) -> Self {
        let told = app.outbox.may_be_heard(app).then(Vec::new);
        Self { now, saved: Vec::new(), entries: Vec::new(), events: Vec::new(), told }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// Does what the plan says.
    pub(super) async fn follow_in(
        &mut self,
        tx: &mut dyn UnitOfWork,
        rule: &Rule,
        equipment: EquipmentId,
        plan: Plan,
    ) -> Result<(), Error> {
        for alert in plan.withdrawn {
            self.withdraw_in(tx, alert).await?;
        }
        for (alert, episode) in plan.changed {
            self.change(alert, rule, episode);
        }
        for episode in plan.raised {
            self.raise_in(tx, rule, equipment, episode).await?;
        }
        Ok(())
    }

    pub(super) async fn raise_silence_in(
        &mut self,
        tx: &mut dyn UnitOfWork,
        rule: &Rule,
        equipment: EquipmentId,
        since: Timestamp,
    ) -> Result<(), Error> {
        let raised_at = since.after(rule.details.wait);
        let episode = Episode {
            began_at: since,
            raised_at,
            value: 0.0,
            last_seen_at: raised_at,
            occurrences: 1,
            ended_at: None,
        };
        let alert = NewAlert { value: None, ..raised(rule, equipment, episode, self.now) };
        self.insert_in(tx, alert, None).await
    }

    /// The alert is over by itself, now.
    pub(super) fn resolve(&mut self, mut alert: Alert, reason: Option<&str>) {
        if alert.resolve(None, self.now.max(alert.what.last_seen_at), self.now) {
            self.tell(&alert, AlertChange::Resolved, reason);
            self.saved.push(alert);
        }
    }

    /// Writes what was gathered.
    pub(in crate::app) async fn store_in(mut self, tx: &mut dyn UnitOfWork, app: &App) -> Result<(), Error> {
        self.save_in(tx).await?;
        if !self.entries.is_empty() {
            tx.alerts().note(&self.entries).await?;
        }
        if !self.events.is_empty() {
            tx.live().announce(&self.events, self.now).await?;
        }
        outbox::tell_in(tx, app, self.told.unwrap_or_default(), self.now).await
    }

    async fn save_in(&mut self, tx: &mut dyn UnitOfWork) -> Result<(), Error> {
        if !self.saved.is_empty() {
            tx.alerts().save_all(&std::mem::take(&mut self.saved)).await?;
        }
        Ok(())
    }

    async fn raise_in(
        &mut self,
        tx: &mut dyn UnitOfWork,
        rule: &Rule,
        equipment: EquipmentId,
        episode: Episode,
    ) -> Result<(), Error> {
        self.insert_in(tx, raised(rule, equipment, episode, self.now), episode.ended_at).await
    }

    async fn insert_in(
        &mut self,
        tx: &mut dyn UnitOfWork,
        alert: NewAlert,
        ended_at: Option<Timestamp>,
    ) -> Result<(), Error> {
        // At most one alert of a rule and a piece is unresolved: what ends must be written before what begins.
        self.save_in(tx).await?;
        let alert = tx.alerts().insert(&alert, ended_at).await?;
        let as_raised = Alert { status: AlertStatus::Open, ..alert.clone() };
        self.tell(&as_raised, AlertChange::Raised, None);
        if ended_at.is_some() {
            self.tell(&alert, AlertChange::Resolved, None);
        }
        Ok(())
    }

    async fn withdraw_in(&mut self, tx: &mut dyn UnitOfWork, mut alert: Alert) -> Result<(), Error> {
        if was_dealt_with_in(tx, alert.id).await? {
            // So it stays, with the reason why it is over.
            let ended_at = alert.what.last_seen_at;
            if alert.resolve(None, ended_at, self.now) {
                self.tell(
                    &alert,
                    AlertChange::Withdrawn,
                    Some("late data showed that it should not have been raised"),
                );
                self.saved.push(alert);
            }
            return Ok(());
        }
        tx.alerts().delete(alert.id).await?;
        self.announce(&alert, AlertChange::Withdrawn);
        Ok(())
    }

    fn change(&mut self, mut alert: Alert, rule: &Rule, episode: Episode) {
        let before = alert.episode();
        let is_generated = says_what_the_rule_said(&alert, rule);
        alert.what.began_at = episode.began_at;
        alert.what.last_seen_at = episode.last_seen_at;
        alert.what.occurrences = episode.occurrences;
        if (before.raised_at, before.value) != (episode.raised_at, episode.value) {
            alert.what.at = episode.raised_at;
            alert.what.value = Some(episode.value);
            if is_generated {
                alert.what.description = describe(&rule.details, episode.value);
            }
        }
        alert.updated_at = self.now;
        let change = if alert.was_resolved_by_a_person() {
            None
        } else {
            let moved = before.raised_at != episode.raised_at;
            match episode.ended_at {
                Some(at) if alert.resolve(None, at, self.now) => Some(AlertChange::Resolved),
                Some(at) => {
                    alert.resolved = alert.resolved.map(|act| Act { at, ..act });
                    (moved || before.ended_at != episode.ended_at).then_some(AlertChange::Rejudged)
                }
                None => {
                    alert.resolved = None;
                    let seen = alert.acknowledged.is_some();
                    alert.status = if seen { AlertStatus::Acknowledged } else { AlertStatus::Open };
                    (moved || before.ended_at.is_some()).then_some(AlertChange::Rejudged)
                }
            }
        };
        if let Some(change) = change {
            self.tell(&alert, change, None);
        }
        self.saved.push(alert);
    }

    fn tell(&mut self, alert: &Alert, change: AlertChange, note: Option<&str>) {
        let note = note.map(|note| Description::restore(note.to_owned()));
        let (at, status) = (self.now, alert.status);
        self.entries.push(NewAlertEntry { alert: alert.id, at, change, by: None, status, note });
        self.announce(alert, change);
    }

    fn announce(&mut self, alert: &Alert, change: AlertChange) {
        let (equipment, at) = (alert.what.equipment, self.now);
        self.events.push(NewLiveEvent::Alert { equipment, alert: alert.id, change, at });
        if let Some(told) = &mut self.told {
            told.push(Told { alert: alert.clone(), change });
        }
    }
}

/// Whether a person did anything with the alert, so that it must not vanish. The timeline knows also of what was undone since.
async fn was_dealt_with_in(tx: &mut dyn UnitOfWork, alert: AlertId) -> Result<bool, Error> {
    Ok(tx.alerts().timeline(alert).await?.iter().any(|entry| entry.what.by.is_some()))
}

/// Whether the alert says what its rule had said, and nobody wrote something else.
fn says_what_the_rule_said(alert: &Alert, rule: &Rule) -> bool {
    alert.what.description == describe(&rule.details, alert.what.value.unwrap_or_default())
}

fn raised(rule: &Rule, equipment: EquipmentId, episode: Episode, now: Timestamp) -> NewAlert {
    NewAlert {
        equipment,
        raised_by: Some(RaisedBy { rule: rule.id, version: rule.version }),
        metric: rule.details.condition.metric().cloned(),
        severity: rule.details.severity,
        description: describe(&rule.details, episode.value),
        began_at: episode.began_at,
        at: episode.raised_at,
        value: Some(episode.value),
        last_seen_at: episode.last_seen_at,
        occurrences: episode.occurrences,
        note: None,
        created_at: now,
    }
}
