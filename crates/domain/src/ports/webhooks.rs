//! Ports for telling others: webhooks, what is to be delivered to them, and who carries it there.

use super::StoreError;
use crate::error::Reason;
use crate::id::{DeliveryId, WebhookId};
use crate::page::Page;
use crate::text::Secret;
use crate::time::Timestamp;
use crate::webhooks::schedule::Answer;
use crate::webhooks::{
    Backlog, Claimed, Delivery, DeliveryQuery, LoggedDelivery, NewDelivery, NewWebhook, Notice, Settled,
    Shape, Webhook, WebhookQuery, WebhookUrl,
};
use async_trait::async_trait;

/// The register of webhooks.
#[async_trait]
pub trait Webhooks: Send {
    /// Stores a new webhook with the first version; `updated_at` is `created_at`.
    async fn insert(&mut self, webhook: &NewWebhook) -> Result<Webhook, StoreError>;

    /// The webhook with this id.
    async fn find(&mut self, id: WebhookId) -> Result<Option<Webhook>, StoreError>;

    /// The webhook, held until the unit of work ends: another unit's `lock`, `save` or `delete` of it waits. Whoever writes
    /// deliveries of it does not.
    async fn lock(&mut self, id: WebhookId) -> Result<Option<Webhook>, StoreError>;

    /// Writes everything but the id and `created_at`, and raises the stored version by one, which the returned webhook
    /// carries. MUST answer [`StoreError::Dangling`] when the webhook is gone.
    async fn save(&mut self, webhook: &Webhook) -> Result<Webhook, StoreError>;

    /// Removes the webhook with all its deliveries. `false` when there is none.
    async fn delete(&mut self, id: WebhookId) -> Result<bool, StoreError>;

    /// A page of webhooks. Ties and an empty order end in the id.
    async fn list(&mut self, query: &WebhookQuery) -> Result<Page<Webhook>, StoreError>;

    /// All that are enabled, by id.
    async fn enabled(&mut self) -> Result<Vec<Webhook>, StoreError>;

    /// Those among the enabled ones of this shape that were not told at `now` or later what is still true, or never: by id,
    /// noted to be told again at `next`. Of two units that ask at once, one gets each. MUST NOT raise the version.
    async fn take_repeats(
        &mut self,
        shape: Shape,
        now: Timestamp,
        next: Timestamp,
    ) -> Result<Vec<Webhook>, StoreError>;
}

/// What is to be delivered to webhooks, and what became of it.
#[async_trait]
pub trait Deliveries: Send {
    /// Stores deliveries that are due at once; answers the ids of those that were stored, in their order. Those of webhooks
    /// that are gone MUST be left out, also when the webhook goes at this very moment.
    async fn put(&mut self, deliveries: &[NewDelivery]) -> Result<Vec<DeliveryId>, StoreError>;

    /// The enabled webhooks of which something could be claimed at `now`, by id.
    async fn due(&mut self, now: Timestamp) -> Result<Vec<WebhookId>, StoreError>;

    /// Up to `limit` deliveries of this webhook that are due at `now`, by id, which are not due again before `until`. Of two
    /// units that claim at once, one gets each; neither waits for the other. Nothing when the webhook is not enabled.
    ///
    /// MUST leave out what is due while something older about the same alert is pending and does not come along, unless the
    /// shape of the webhook [keeps the newest alone](Shape::keeps_the_newest_alone). What is about other alerts is not held up.
    async fn claim(
        &mut self,
        webhook: WebhookId,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Claimed>, StoreError>;

    /// Writes what became of a claimed delivery; with an attempt, `tries` and `attempts` are raised by one, the attempt
    /// remembered, and those before the newest [`crate::webhooks::ATTEMPTS_KEPT`] forgotten. `false`, and nothing is written,
    /// when the claim was lost meanwhile.
    async fn settle(&mut self, settled: &Settled) -> Result<bool, StoreError>;

    /// The delivery of this webhook with this id, and how it was tried.
    async fn find(
        &mut self,
        webhook: WebhookId,
        id: DeliveryId,
    ) -> Result<Option<LoggedDelivery>, StoreError>;

    /// The delivery of this webhook with this id is pending again, due at `at`, and was not tried since. Answers it; nothing
    /// when there is none.
    async fn renew(
        &mut self,
        webhook: WebhookId,
        id: DeliveryId,
        at: Timestamp,
    ) -> Result<Option<Delivery>, StoreError>;

    /// A page of the deliveries of one webhook, and how each was tried. Ties and an empty order end in the id.
    async fn list(&mut self, query: &DeliveryQuery) -> Result<Page<LoggedDelivery>, StoreError>;

    /// What is pending, of all webhooks, enabled or not.
    async fn backlog(&mut self) -> Result<Backlog, StoreError>;

    /// Forgets up to `most` deliveries made before this instant, pending or not; returns how many.
    async fn forget(&mut self, before: Timestamp, most: u32) -> Result<u64, StoreError>;
}

/// What is carried to a receiver.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// Where to.
    pub url: WebhookUrl,
    /// In which shape.
    pub shape: Shape,
    /// The name under which receivers know it again.
    pub message: String,
    /// When it is sent.
    pub sent_at: Timestamp,
    /// What there is to say, as [`Courier::word`] said it. More than one only in the shape of an Alertmanager.
    pub notices: Vec<String>,
    /// What signs it, newest first.
    pub secrets: Vec<Secret>,
}

/// Carries notices to receivers outside.
#[cfg_attr(feature = "testing", mockall::automock)]
#[async_trait]
pub trait Courier: Send + Sync {
    /// The notice in words that are kept until it is carried. Asked inside of units of work: MUST NOT wait for anything.
    fn word(&self, notice: &Notice) -> String;

    /// Refuses an address that nothing would ever be carried to, as far as the address itself tells. MUST NOT ask anybody.
    fn refuse(&self, url: &WebhookUrl) -> Result<(), Reason>;

    /// Carries the parcel once; says what came of it. MUST end within some seconds, MUST NOT follow where an answer points,
    /// and MUST NOT reach an address that the operator did not allow, whatever name it goes by.
    async fn deliver(&self, parcel: &Parcel) -> Answer;
}
