//! Webhooks: make, look up, change, delete them; replace their secrets. What is delivered to them is in
//! [`super::deliveries`].

use super::App;
use super::known::WEBHOOKS;
use crate::access::rights::{ManageWebhooks, ViewWebhooks};
use crate::access::{Actor, Granted};
use crate::audit::{Action, NewEvent, Subject, webhook_facts};
use crate::equipment::{EquipmentRef, Reach};
use crate::error::{Denied, Error, Reason};
use crate::id::{EquipmentId, WebhookId};
use crate::idempotency::Once;
use crate::page::Page;
use crate::patch::Precondition;
use crate::ports::{Repos, UnitOfWork, VaultError};
use crate::rules::Severity;
use crate::text::{Label, Secret};
use crate::webhooks::{
    Event, NewWebhook, Shape, Wants, Webhook, WebhookDetails, WebhookQuery, WebhookUrl, secret_of,
};

/// How many there may be: whoever changes an alert looks through all of them.
pub const MOST: u64 = 100;

/// A webhook with its secret, which nobody sees again.
#[derive(Clone, Debug)]
pub struct FreshWebhook {
    /// The webhook.
    pub webhook: Webhook,
    /// Its secret.
    pub secret: Secret,
}

/// A change of a webhook, field by field. What is absent stays.
#[derive(Clone, Debug, Default)]
pub struct WebhookChange {
    /// Another name.
    pub name: Option<Label>,
    /// Another place to go to.
    pub url: Option<WebhookUrl>,
    /// Another shape.
    pub shape: Option<Shape>,
    /// Other events.
    pub events: Option<Vec<Event>>,
    /// Another severity at least.
    pub least: Option<Severity>,
    /// Other equipment.
    pub equipment: Option<Vec<EquipmentId>>,
    /// Other kinds of machines.
    pub kinds: Option<Vec<Label>>,
    /// On or off.
    pub enabled: Option<bool>,
}

impl WebhookChange {
    fn apply(self, details: &WebhookDetails) -> Result<WebhookDetails, Error> {
        let wants = &details.wants;
        let wants = Wants::parse(
            self.events.unwrap_or_else(|| wants.events.clone()),
            self.least.unwrap_or(wants.least),
            self.equipment.unwrap_or_else(|| wants.equipment.clone()),
            self.kinds.unwrap_or_else(|| wants.kinds.clone()),
        );
        Ok(WebhookDetails {
            name: self.name.unwrap_or_else(|| details.name.clone()),
            url: self.url.unwrap_or_else(|| details.url.clone()),
            shape: self.shape.unwrap_or(details.shape),
            wants: wants.map_err(Error::Invalid)?,
            enabled: self.enabled.unwrap_or(details.enabled),
        })
    }
}

/// A page of webhooks.
pub async fn list(
    app: &App,
    by: &Granted<ViewWebhooks>,
    query: &WebhookQuery,
) -> Result<Page<Webhook>, Error> {
    refuse_limited(by.actor())?;
    Ok(app.store.reader().await?.webhooks().list(query).await?)
}

/// One webhook.
pub async fn get(app: &App, by: &Granted<ViewWebhooks>, id: WebhookId) -> Result<Webhook, Error> {
    refuse_limited(by.actor())?;
    find_in(&mut *app.store.reader().await?, id).await
}

/// Makes a webhook. It is told what happens from now on.
pub async fn create(
    app: &App,
    by: Granted<ManageWebhooks>,
    details: WebhookDetails,
    once: Once<'_, FreshWebhook>,
) -> Result<FreshWebhook, Error> {
    refuse_limited(by.actor())?;
    refuse_address(app, &details.url)?;
    let (secret, sealed) = fresh_secret(app)?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    if tx.webhooks().list(&WebhookQuery::default()).await?.total >= MOST {
        return Err(Error::flaw("webhooks", "too_many", format!("must be at most {MOST}")));
    }
    refuse_unknown_in(&mut *tx, &details.wants.equipment, &[]).await?;
    let webhook = tx.webhooks().insert(&NewWebhook { details, secret: sealed, created_at: now }).await?;
    let event = NewEvent::new(now, by.actor(), Action::WebhookCreated, Subject::webhook(&webhook));
    tx.trail().record(&event.changing(Vec::new(), webhook_facts(&webhook))).await?;
    let fresh = FreshWebhook { webhook, secret };
    once.remember_in(&mut *tx, &fresh, now).await?;
    app.commit_changing(WEBHOOKS, tx).await?;
    Ok(fresh)
}

/// Changes a webhook. What waits to be delivered to it is delivered as it says from now on. Who says what it says already changes
/// nothing.
pub async fn change(
    app: &App,
    by: Granted<ManageWebhooks>,
    id: WebhookId,
    change: WebhookChange,
    precondition: Precondition,
) -> Result<Webhook, Error> {
    refuse_limited(by.actor())?;
    if let Some(url) = &change.url {
        refuse_address(app, url)?;
    }
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let before = lock_in(&mut *tx, id).await?;
    precondition.check(before.version)?;
    let details = change.apply(&before.details)?;
    refuse_unknown_in(&mut *tx, &details.wants.equipment, &before.details.wants.equipment).await?;
    if details == before.details {
        tx.rollback().await;
        return Ok(before);
    }
    let disabled_because = before.disabled_because.clone().filter(|_| !details.enabled);
    let after = Webhook { details, disabled_because, updated_at: now, ..before.clone() };
    let after = tx.webhooks().save(&after).await?;
    let event = NewEvent::new(now, by.actor(), Action::WebhookUpdated, Subject::webhook(&after));
    tx.trail().record(&event.changing(webhook_facts(&before), webhook_facts(&after))).await?;
    app.commit_changing(WEBHOOKS, tx).await?;
    app.bell.ring();
    Ok(after)
}

/// Gives a webhook another secret. The one before signs beside it for a day, so that receivers can be changed meanwhile; of
/// several changes within a day, that is the one before the first.
pub async fn rotate_secret(
    app: &App,
    by: Granted<ManageWebhooks>,
    id: WebhookId,
    once: Once<'_, FreshWebhook>,
) -> Result<FreshWebhook, Error> {
    refuse_limited(by.actor())?;
    let (secret, sealed) = fresh_secret(app)?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let before = lock_in(&mut *tx, id).await?;
    let useful = before.former_secret.clone().filter(|former| opened(app, &former.sealed).is_ok());
    let before = Webhook { former_secret: useful, ..before };
    let webhook = tx.webhooks().save(&before.rotated(sealed, now)).await?;
    let event = NewEvent::new(now, by.actor(), Action::WebhookSecretRotated, Subject::webhook(&webhook));
    tx.trail().record(&event).await?;
    let fresh = FreshWebhook { webhook, secret };
    once.remember_in(&mut *tx, &fresh, now).await?;
    app.commit_changing(WEBHOOKS, tx).await?;
    Ok(fresh)
}

/// Deletes a webhook with its deliveries, also those that wait.
pub async fn delete(
    app: &App,
    by: Granted<ManageWebhooks>,
    id: WebhookId,
    precondition: Precondition,
) -> Result<(), Error> {
    refuse_limited(by.actor())?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let webhook = lock_in(&mut *tx, id).await?;
    precondition.check(webhook.version)?;
    tx.webhooks().delete(id).await?;
    let event = NewEvent::new(now, by.actor(), Action::WebhookDeleted, Subject::webhook(&webhook));
    tx.trail().record(&event.changing(webhook_facts(&webhook), Vec::new())).await?;
    app.commit_changing(WEBHOOKS, tx).await?;
    Ok(())
}

pub(super) async fn find_in<R: Repos + ?Sized>(repos: &mut R, id: WebhookId) -> Result<Webhook, Error> {
    repos.webhooks().find(id).await?.ok_or(Error::NotFound("webhook"))
}

pub(super) async fn lock_in(tx: &mut dyn UnitOfWork, id: WebhookId) -> Result<Webhook, Error> {
    tx.webhooks().lock(id).await?.ok_or(Error::NotFound("webhook"))
}

/// Webhooks tell of the whole plant, so whoever is limited to some of it has nothing to do with them.
pub(super) fn refuse_limited(by: &Actor) -> Result<(), Error> {
    if *by.reach() == Reach::All { Ok(()) } else { Err(Denied::OutOfReach.into()) }
}

fn refuse_address(app: &App, url: &WebhookUrl) -> Result<(), Error> {
    app.courier.refuse(url).map_err(|reason| reason.at("url").into())
}

/// Equipment that is not in the register would never be told of. What was named before may have gone meanwhile.
async fn refuse_unknown_in(
    tx: &mut dyn UnitOfWork,
    wanted: &[EquipmentId],
    before: &[EquipmentId],
) -> Result<(), Error> {
    let new: Vec<EquipmentId> = wanted.iter().copied().filter(|id| !before.contains(id)).collect();
    let names: Vec<EquipmentRef> = new.iter().copied().map(EquipmentRef::Id).collect();
    let found = if names.is_empty() { Vec::new() } else { tx.equipment().resolve(&names).await? };
    let unknown = new.iter().zip(found).filter(|(_, found)| found.is_none());
    let flaw = |(id, _): (&EquipmentId, Option<EquipmentId>)| {
        Reason::new("unknown", format!("must be equipment in the register, which {id} is not"))
            .at("equipment")
    };
    let flaws: Vec<_> = unknown.map(flaw).collect();
    if flaws.is_empty() { Ok(()) } else { Err(Error::Invalid(flaws)) }
}

/// A secret, and the same sealed.
fn fresh_secret(app: &App) -> Result<(Secret, Vec<u8>), Error> {
    let secret = secret_of(&app.entropy.secret());
    let sealed = app.vault.seal(&sealing_key(app), secret.reveal().as_bytes());
    let sealed = sealed.map_err(|error: VaultError| Error::Fault(Box::new(error)))?;
    Ok((secret, sealed))
}

/// The secret that was sealed.
pub(super) fn opened(app: &App, sealed: &[u8]) -> Result<Secret, VaultError> {
    let opened = app.vault.open(&sealing_key(app), sealed)?;
    String::from_utf8(opened).map(Secret::new).map_err(|_| VaultError)
}

/// Says what it is for, so that a key that is used elsewhere as well opens nothing of this.
fn sealing_key(app: &App) -> Vec<u8> {
    [b"webhooks ".as_slice(), app.policy.webhooks.seal_key.reveal().as_bytes()].concat()
}
