//! Webhooks, and what is to be delivered to them.

use super::lists::{any, page};
use super::{Tables, Unit, remove};
use crate::id::{DeliveryId, Version, WebhookId};
use crate::page::Page;
use crate::ports::{Deliveries, Reference, StoreError, Webhooks};
use crate::text::fold;
use crate::time::Timestamp;
use crate::webhooks::{
    ATTEMPTS_KEPT, Attempt, Backlog, Claimed, Delivery, DeliveryFilter, DeliveryKey, DeliveryQuery,
    DeliveryStatus, LoggedDelivery, NewDelivery, NewWebhook, Settled, Shape, Webhook, WebhookFilter,
    WebhookKey, WebhookQuery,
};
use async_trait::async_trait;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What is stored of webhooks.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    webhooks: BTreeMap<WebhookId, Webhook>,
    repeated_until: BTreeMap<WebhookId, Timestamp>,
    deliveries: BTreeMap<DeliveryId, Delivery>,
    attempts: BTreeMap<(DeliveryId, u32), Attempt>,
}

impl Stored {
    fn enabled(&self) -> impl Iterator<Item = &Webhook> {
        self.webhooks.values().filter(|webhook| webhook.details.enabled)
    }

    /// What of this webhook is due and nothing older is in the way of.
    fn due_of(&self, webhook: &Webhook, now: Timestamp) -> impl Iterator<Item = &Delivery> {
        let (id, in_turn) = (webhook.id, !webhook.details.shape.keeps_the_newest_alone());
        let is_due = move |delivery: &&Delivery| {
            delivery.what.webhook == id
                && delivery.next_try_at.is_some_and(|at| at <= now)
                && !(in_turn && self.is_held_up(delivery, now))
        };
        self.deliveries.values().filter(is_due)
    }

    /// Whether something older about the same alert waits for its time.
    fn is_held_up(&self, delivery: &Delivery, now: Timestamp) -> bool {
        let waits_before = |other: &Delivery| {
            other.what.webhook == delivery.what.webhook
                && other.what.alert == delivery.what.alert
                && other.next_try_at.is_some_and(|at| at > now)
        };
        let older = || self.deliveries.range(..delivery.id).map(|(_, older)| older);
        delivery.what.alert.is_some() && older().any(waits_before)
    }

    fn logged(&self, delivery: &Delivery) -> LoggedDelivery {
        let attempts = self.attempts.range((delivery.id, 0)..=(delivery.id, u32::MAX));
        LoggedDelivery {
            delivery: delivery.clone(),
            attempts: attempts.map(|(_, attempt)| attempt.clone()).collect(),
        }
    }

    fn has_successor(&self, delivery: &Delivery) -> bool {
        let follows = |other: &Delivery| {
            other.id > delivery.id
                && other.what.webhook == delivery.what.webhook
                && other.what.alert == delivery.what.alert
        };
        delivery.what.alert.is_some() && self.deliveries.values().any(follows)
    }

    fn forget_attempts_of_the_forgotten(&mut self) {
        let Self { deliveries, attempts, .. } = self;
        attempts.retain(|(delivery, _), _| deliveries.contains_key(delivery));
    }
}

#[async_trait]
impl Webhooks for Unit {
    async fn insert(&mut self, webhook: &NewWebhook) -> Result<Webhook, StoreError> {
        self.change(|tables| {
            let webhook = Webhook {
                id: tables.next_id(WebhookId::new)?,
                details: webhook.details.clone(),
                secret: webhook.secret.clone(),
                former_secret: None,
                disabled_because: None,
                version: Version::FIRST,
                created_at: webhook.created_at,
                updated_at: webhook.created_at,
            };
            tables.webhooks.webhooks.insert(webhook.id, webhook.clone());
            Ok(webhook)
        })
    }

    async fn find(&mut self, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
        Ok(self.tables()?.webhooks.webhooks.get(&id).cloned())
    }

    async fn lock(&mut self, id: WebhookId) -> Result<Option<Webhook>, StoreError> {
        Ok(self.hold()?.webhooks.webhooks.get(&id).cloned())
    }

    async fn save(&mut self, webhook: &Webhook) -> Result<Webhook, StoreError> {
        self.change(|tables| {
            let gone = StoreError::Dangling(Reference::Webhook);
            let stored = tables.webhooks.webhooks.get_mut(&webhook.id).ok_or(gone)?;
            let (version, created_at) = (stored.version.next(), stored.created_at);
            *stored = Webhook { version, created_at, ..webhook.clone() };
            Ok(stored.clone())
        })
    }

    async fn delete(&mut self, id: WebhookId) -> Result<bool, StoreError> {
        self.change(|tables| {
            let stored = &mut tables.webhooks;
            stored.repeated_until.remove(&id);
            remove(&mut stored.deliveries, |delivery| delivery.what.webhook == id);
            stored.forget_attempts_of_the_forgotten();
            Ok(stored.webhooks.remove(&id).is_some())
        })
    }

    async fn list(&mut self, query: &WebhookQuery) -> Result<Page<Webhook>, StoreError> {
        let webhooks = self.tables()?.webhooks.webhooks.values();
        let matching = webhooks.filter(|webhook| matches(webhook, &query.filter));
        Ok(page(matching.cloned().collect(), &query.order, compare, query.page))
    }

    async fn enabled(&mut self) -> Result<Vec<Webhook>, StoreError> {
        Ok(self.tables()?.webhooks.enabled().cloned().collect())
    }

    async fn take_repeats(
        &mut self,
        shape: Shape,
        now: Timestamp,
        next: Timestamp,
    ) -> Result<Vec<Webhook>, StoreError> {
        self.change(|tables| {
            let stored = &mut tables.webhooks;
            let is_due = |webhook: &&Webhook| {
                let until = stored.repeated_until.get(&webhook.id);
                webhook.details.shape == shape && until.is_none_or(|until| *until <= now)
            };
            let due: Vec<Webhook> = stored.enabled().filter(is_due).cloned().collect();
            stored.repeated_until.extend(due.iter().map(|webhook| (webhook.id, next)));
            Ok(due)
        })
    }
}

#[async_trait]
impl Deliveries for Unit {
    async fn put(&mut self, deliveries: &[NewDelivery]) -> Result<Vec<DeliveryId>, StoreError> {
        self.change(|tables| {
            let mut ids = Vec::new();
            for what in deliveries {
                if tables.webhooks.webhooks.contains_key(&what.webhook) {
                    ids.push(tables.put(what)?);
                }
            }
            Ok(ids)
        })
    }

    async fn due(&mut self, now: Timestamp) -> Result<Vec<WebhookId>, StoreError> {
        let stored = &self.tables()?.webhooks;
        let has_due = |webhook: &&Webhook| stored.due_of(webhook, now).next().is_some();
        Ok(stored.enabled().filter(has_due).map(|webhook| webhook.id).collect())
    }

    async fn claim(
        &mut self,
        webhook: WebhookId,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Claimed>, StoreError> {
        self.change(|tables| {
            let stored = &mut tables.webhooks;
            let Some(webhook) = stored.enabled().find(|enabled| enabled.id == webhook) else {
                return Ok(Vec::new());
            };
            let due: Vec<DeliveryId> =
                stored.due_of(webhook, now).take(limit as usize).map(|delivery| delivery.id).collect();
            let mut claimed = Vec::new();
            for id in due {
                let Some(delivery) = stored.deliveries.get_mut(&id) else { continue };
                delivery.next_try_at = Some(until);
                let delivery = delivery.clone();
                claimed.push(Claimed { has_successor: stored.has_successor(&delivery), delivery });
            }
            Ok(claimed)
        })
    }

    async fn settle(&mut self, settled: &Settled) -> Result<bool, StoreError> {
        self.change(|tables| {
            let stored = &mut tables.webhooks;
            let Some(delivery) = stored.deliveries.get_mut(&settled.id) else { return Ok(false) };
            if delivery.next_try_at != Some(settled.claimed_until) {
                return Ok(false);
            }
            delivery.status = settled.status;
            delivery.next_try_at = settled.next_try_at;
            delivery.finished_at = (settled.status != DeliveryStatus::Pending).then_some(settled.at);
            if let Some(attempt) = &settled.attempt {
                delivery.tries += 1;
                delivery.attempts += 1;
                stored.attempts.insert((settled.id, attempt.number), attempt.clone());
                let newest = attempt.number.saturating_sub(ATTEMPTS_KEPT);
                stored.attempts.retain(|(id, number), _| *id != settled.id || *number > newest);
            }
            Ok(true)
        })
    }

    async fn find(
        &mut self,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> Result<Option<LoggedDelivery>, StoreError> {
        let stored = &self.tables()?.webhooks;
        let found = stored.deliveries.get(&id).filter(|delivery| delivery.what.webhook == webhook);
        Ok(found.map(|delivery| stored.logged(delivery)))
    }

    async fn renew(
        &mut self,
        webhook: WebhookId,
        id: DeliveryId,
        at: Timestamp,
    ) -> Result<Option<Delivery>, StoreError> {
        self.change(|tables| {
            let found = tables.webhooks.deliveries.get_mut(&id);
            let Some(delivery) = found.filter(|delivery| delivery.what.webhook == webhook) else {
                return Ok(None);
            };
            delivery.status = DeliveryStatus::Pending;
            delivery.tries = 0;
            delivery.next_try_at = Some(at);
            delivery.finished_at = None;
            Ok(Some(delivery.clone()))
        })
    }

    async fn list(&mut self, query: &DeliveryQuery) -> Result<Page<LoggedDelivery>, StoreError> {
        let stored = &self.tables()?.webhooks;
        let is_meant = |delivery: &&Delivery| {
            delivery.what.webhook == query.webhook && is_asked_for(delivery, &query.filter)
        };
        let matching = stored.deliveries.values().filter(is_meant).cloned().collect();
        let Page { total, items } = page(matching, &query.order, compare_deliveries, query.page);
        Ok(Page { total, items: items.iter().map(|delivery| stored.logged(delivery)).collect() })
    }

    async fn backlog(&mut self) -> Result<Backlog, StoreError> {
        let deliveries = self.tables()?.webhooks.deliveries.values();
        let pending = deliveries.filter(|delivery| delivery.status == DeliveryStatus::Pending);
        let created: Vec<Timestamp> = pending.map(|delivery| delivery.what.created_at).collect();
        Ok(Backlog { count: created.len() as u64, oldest_at: created.into_iter().min() })
    }

    async fn forget(&mut self, before: Timestamp, most: u32) -> Result<u64, StoreError> {
        self.change(|tables| {
            let stored = &mut tables.webhooks;
            let old = stored.deliveries.values().filter(|delivery| delivery.what.created_at < before);
            let old: Vec<DeliveryId> = old.take(most as usize).map(|delivery| delivery.id).collect();
            for id in &old {
                stored.deliveries.remove(id);
            }
            stored.forget_attempts_of_the_forgotten();
            Ok(old.len() as u64)
        })
    }
}

impl Tables {
    fn put(&mut self, what: &NewDelivery) -> Result<DeliveryId, StoreError> {
        let id = self.next_id(DeliveryId::new)?;
        let delivery = Delivery {
            id,
            what: what.clone(),
            status: DeliveryStatus::Pending,
            tries: 0,
            attempts: 0,
            next_try_at: Some(what.created_at),
            finished_at: None,
        };
        self.webhooks.deliveries.insert(id, delivery);
        Ok(id)
    }
}

fn matches(webhook: &Webhook, filter: &WebhookFilter) -> bool {
    let details = &webhook.details;
    any(&filter.names, |wanted| wanted.key() == details.name.key())
        && any(&filter.shapes, |wanted| *wanted == details.shape)
        && filter.enabled.is_none_or(|wanted| wanted == details.enabled)
        && filter.created.contains(webhook.created_at)
        && filter.search.as_ref().is_none_or(|text| details.name.key().contains(&fold(text)))
}

fn is_asked_for(delivery: &Delivery, filter: &DeliveryFilter) -> bool {
    any(&filter.events, |wanted| *wanted == delivery.what.event)
        && any(&filter.statuses, |wanted| *wanted == delivery.status)
        && any(&filter.alerts, |wanted| Some(*wanted) == delivery.what.alert)
        && filter.created.contains(delivery.what.created_at)
}

fn compare(key: WebhookKey, one: &Webhook, other: &Webhook) -> Ordering {
    match key {
        WebhookKey::Id => one.id.cmp(&other.id),
        WebhookKey::Name => one.details.name.key().cmp(&other.details.name.key()),
        WebhookKey::CreatedAt => one.created_at.cmp(&other.created_at),
        WebhookKey::UpdatedAt => one.updated_at.cmp(&other.updated_at),
    }
}

fn compare_deliveries(key: DeliveryKey, one: &Delivery, other: &Delivery) -> Ordering {
    match key {
        DeliveryKey::Id => one.id.cmp(&other.id),
        DeliveryKey::CreatedAt => one.what.created_at.cmp(&other.what.created_at),
    }
}
