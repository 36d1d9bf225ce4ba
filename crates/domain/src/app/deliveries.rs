//! The log of deliveries to webhooks: look into it, try a webhook, have a delivery sent again.

use super::webhooks::{find_in, lock_in, refuse_limited};
use super::{App, outbox};
use crate::access::Granted;
use crate::access::rights::{ManageWebhooks, ViewWebhooks};
use crate::audit::{Action, Fact, NewEvent, Subject};
use crate::error::Error;
use crate::id::{DeliveryId, WebhookId};
use crate::idempotency::Once;
use crate::page::Page;
use crate::webhooks::{About, DeliveryQuery, Event, LoggedDelivery, NewDelivery, Notice, Webhook};

/// A page of the deliveries of a webhook.
pub async fn list(
    app: &App,
    by: &Granted<ViewWebhooks>,
    query: &DeliveryQuery,
) -> Result<Page<LoggedDelivery>, Error> {
    refuse_limited(by.actor())?;
    let mut reader = app.store.reader().await?;
    find_in(&mut *reader, query.webhook).await?;
    Ok(reader.deliveries().list(query).await?)
}

/// One delivery of a webhook.
pub async fn get(
    app: &App,
    by: &Granted<ViewWebhooks>,
    webhook: WebhookId,
    id: DeliveryId,
) -> Result<LoggedDelivery, Error> {
    refuse_limited(by.actor())?;
    let found = app.store.reader().await?.deliveries().find(webhook, id).await?;
    found.ok_or(Error::NotFound("delivery"))
}

/// Has something delivered that says nothing, to see whether it arrives.
pub async fn test(
    app: &App,
    by: Granted<ManageWebhooks>,
    id: WebhookId,
    once: Once<'_, LoggedDelivery>,
) -> Result<LoggedDelivery, Error> {
    refuse_limited(by.actor())?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let webhook = enabled(lock_in(&mut *tx, id).await?)?;
    let about = About::Webhook { id, name: webhook.details.name.clone() };
    let delivery = NewDelivery {
        webhook: id,
        event: Event::Test,
        alert: None,
        message: outbox::message(app),
        notice: app.courier.word(&Notice { event: Event::Test, at: now, about }),
        created_at: now,
    };
    let stored = tx.deliveries().put(&[delivery]).await?.into_iter().next();
    let stored = stored.ok_or(Error::NotFound("webhook"))?;
    let logged = tx.deliveries().find(id, stored).await?.ok_or(Error::NotFound("delivery"))?;
    let event = NewEvent::new(now, by.actor(), Action::WebhookTested, Subject::webhook(&webhook));
    tx.trail().record(&event).await?;
    once.remember_in(&mut *tx, &logged, now).await?;
    app.outbox.note_written();
    tx.commit().await?;
    app.bell.ring();
    Ok(logged)
}

/// Has a delivery sent again, at once, and tried anew as often as the first time. Receivers know it again by its message id.
pub async fn replay(
    app: &App,
    by: Granted<ManageWebhooks>,
    webhook: WebhookId,
    id: DeliveryId,
    once: Once<'_, LoggedDelivery>,
) -> Result<LoggedDelivery, Error> {
    refuse_limited(by.actor())?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let of = enabled(lock_in(&mut *tx, webhook).await?)?;
    let missing = || Error::NotFound("delivery");
    tx.deliveries().renew(webhook, id, now).await?.ok_or_else(missing)?;
    let logged = tx.deliveries().find(webhook, id).await?.ok_or_else(missing)?;
    let event = NewEvent::new(now, by.actor(), Action::DeliveryReplayed, Subject::webhook(&of));
    let facts = vec![("delivery".to_owned(), Fact::Text(id.to_string()))];
    tx.trail().record(&event.changing(Vec::new(), facts)).await?;
    once.remember_in(&mut *tx, &logged, now).await?;
    app.outbox.note_written();
    tx.commit().await?;
    app.bell.ring();
    Ok(logged)
}

fn enabled(webhook: Webhook) -> Result<Webhook, Error> {
    let disabled = Error::IllegalTransition("the webhook is disabled; enable it first");
    if webhook.details.enabled { Ok(webhook) } else { Err(disabled) }
}
