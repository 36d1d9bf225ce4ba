//! What receivers outside are to be told, written down in the transaction of its cause.
//!
//! Whoever changes alerts says so here, once for each unit of work. Where nobody listens that costs nothing: who does is
//! remembered for as long as the register of webhooks does not change. How what was written down gets out is in
//! [`super::delivering`].

use super::App;
use super::known::WEBHOOKS;
use crate::alerts::{Alert, AlertChange};
use crate::changes::Generation;
use crate::equipment::{Equipment, EquipmentFilter, EquipmentQuery, Reach};
use crate::error::Error;
use crate::id::{EquipmentId, RuleId, WebhookId};
use crate::page::PageRequest;
use crate::ports::{Repos, UnitOfWork};
use crate::text::Label;
use crate::time::Timestamp;
use crate::webhooks::{About, Event, NewDelivery, Notice, Shape, Wants};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Somebody who listens.
#[derive(Clone, Debug)]
pub(super) struct Listener {
    pub(super) id: WebhookId,
    pub(super) shape: Shape,
    wants: Wants,
}

/// Who listens, as far as it is known, and how much was written down for them.
#[derive(Default)]
pub(super) struct Outbox {
    known: Mutex<Option<(Generation, Arc<Vec<Listener>>)>>,
    written: AtomicU64,
}

impl Outbox {
    fn known(&self, generation: Generation) -> Option<Arc<Vec<Listener>>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(of, _)| *of == generation).map(|(_, listeners)| Arc::clone(listeners))
    }

    fn remember(&self, generation: Generation, listeners: &Arc<Vec<Listener>>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some((generation, Arc::clone(listeners)));
    }

    /// Whether somebody may listen.
    pub(super) fn may_be_heard(&self, app: &App) -> bool {
        let known = app.changes.generation(WEBHOOKS).and_then(|generation| self.known(generation));
        known.is_none_or(|listeners| !listeners.is_empty())
    }

    /// Something is being written down.
    pub(super) fn note_written(&self) {
        self.written.fetch_add(1, Ordering::Release);
    }

    /// How much was written down by this process, committed or not.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }
}

/// Who listens.
pub(super) async fn listeners_in<R: Repos + ?Sized>(
    repos: &mut R,
    app: &App,
) -> Result<Arc<Vec<Listener>>, Error> {
    let generation = app.changes.generation(WEBHOOKS);
    if let Some(known) = generation.and_then(|generation| app.outbox.known(generation)) {
        return Ok(known);
    }
    let enabled = repos.webhooks().enabled().await?.into_iter();
    let listener = |webhook: crate::webhooks::Webhook| Listener {
        id: webhook.id,
        shape: webhook.details.shape,
        wants: webhook.details.wants,
    };
    let listeners = Arc::new(enabled.map(listener).collect());
    if let Some(generation) = generation {
        app.outbox.remember(generation, &listeners);
    }
    Ok(listeners)
}

/// Something that happened to an alert, as it was afterwards.
pub(super) struct Told {
    pub(super) alert: Alert,
    pub(super) change: AlertChange,
}

/// Writes down for whoever listens what happened to these alerts.
pub(super) async fn tell_in(
    tx: &mut dyn UnitOfWork,
    app: &App,
    told: Vec<Told>,
    now: Timestamp,
) -> Result<(), Error> {
    if told.is_empty() {
        return Ok(());
    }
    let listeners = listeners_in(tx, app).await?;
    let may_be_meant = |told: &Told| {
        listeners.iter().any(|listener| listener.wants.may_mean(told.change.into(), &told.alert))
    };
    let told: Vec<Told> = told.into_iter().filter(may_be_meant).collect();
    if told.is_empty() {
        return Ok(());
    }
    let surroundings = Surroundings::of_in(tx, told.iter().map(|told| &told.alert)).await?;
    let mut deliveries = Vec::new();
    for Told { alert, change } in told {
        address(app, &listeners, &surroundings, (alert, change.into()), now, &mut deliveries);
    }
    if !deliveries.is_empty() {
        tx.deliveries().put(&deliveries).await?;
        app.outbox.note_written();
    }
    Ok(())
}

/// Adds a delivery for each who wants to be told.
fn address(
    app: &App,
    listeners: &[Listener],
    surroundings: &Surroundings,
    (alert, event): (Alert, Event),
    now: Timestamp,
    deliveries: &mut Vec<NewDelivery>,
) {
    let kind = surroundings.kind_of(&alert);
    let wants =
        |listener: &&Listener| listener.wants.may_mean(event, &alert) && listener.wants.means_kind(kind);
    let meant: Vec<WebhookId> = listeners.iter().filter(wants).map(|listener| listener.id).collect();
    if meant.is_empty() {
        return;
    }
    let id = alert.id;
    let notice = app.courier.word(&Notice { event, at: now, about: surroundings.about(alert) });
    deliveries.extend(meant.into_iter().map(|webhook| NewDelivery {
        webhook,
        event,
        alert: Some(id),
        message: message(app),
        notice: notice.clone(),
        created_at: now,
    }));
}

/// A name that no other message has.
pub(super) fn message(app: &App) -> String {
    format!("msg_{}", app.entropy.secret())
}

/// What there is to say about alerts beside themselves.
#[derive(Default)]
pub(super) struct Surroundings {
    equipment: HashMap<EquipmentId, Equipment>,
    rules: HashMap<RuleId, Label>,
}

impl Surroundings {
    pub(super) async fn of_in<'a, R: Repos + ?Sized>(
        repos: &mut R,
        alerts: impl Iterator<Item = &'a Alert> + Clone,
    ) -> Result<Self, Error> {
        let mut found = Self::default();
        let pieces: BTreeSet<EquipmentId> = alerts.clone().map(|alert| alert.what.equipment).collect();
        let pieces: Vec<EquipmentId> = pieces.into_iter().collect();
        for part in pieces.chunks(PageRequest::MAX_SIZE as usize) {
            let filter = EquipmentFilter { reach: Reach::Only(part.to_vec()), ..EquipmentFilter::default() };
            let page = PageRequest::new(1, PageRequest::MAX_SIZE).unwrap_or_default();
            let query = EquipmentQuery { filter, order: Vec::new(), page };
            let page = repos.equipment().list(&query).await?;
            found.equipment.extend(page.items.into_iter().map(|piece| (piece.id, piece)));
        }
        let rules: BTreeSet<RuleId> =
            alerts.filter_map(|alert| alert.what.raised_by).map(|by| by.rule).collect();
        for id in rules {
            if let Some(rule) = repos.rules().find(id).await? {
                found.rules.insert(id, rule.details.name);
            }
        }
        Ok(found)
    }

    /// What kind of machine the alert is on.
    pub(super) fn kind_of(&self, alert: &Alert) -> Option<&Label> {
        self.equipment.get(&alert.what.equipment).map(|piece| &piece.details.kind)
    }

    /// The alert, and what there is to say beside it.
    pub(super) fn about(&self, alert: Alert) -> About {
        let equipment = self.equipment.get(&alert.what.equipment).cloned().map(Box::new);
        let rule = alert.what.raised_by.and_then(|by| self.rules.get(&by.rule)).cloned();
        About::Alert { alert: Box::new(alert), equipment, rule }
    }
}
