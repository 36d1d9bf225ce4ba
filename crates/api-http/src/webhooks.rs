//! Webhooks: who outside is told of alerts. What was delivered to them is in `deliveries`.

pub mod body;
pub mod deliveries;

use crate::auth::Granted;
use crate::body::{Body, Nothing};
use crate::completion::to_completion;
use crate::conditional::IfMatch;
use crate::once::{Posted, Replayable};
use crate::page::Listed;
use crate::path::Id;
use crate::problem::Reply;
use crate::query::{FromQuery, Params, Query};
use crate::reply::{Created, Done, Versioned};
use crate::webhooks::body::{WebhookBody, WebhookDraft, WebhookPatch, WebhookPut, may_see_urls};
use actix_web::web::Data;
use domain::access::rights::{ManageWebhooks, ViewWebhooks};
use domain::app::App;
use domain::app::webhooks::{self, WebhookChange};
use domain::id::WebhookId;
use domain::patch::Precondition;
use domain::webhooks::{WebhookFilter, WebhookKey, WebhookQuery};

const KEYS: [(&str, WebhookKey); 4] = [
    ("id", WebhookKey::Id),
    ("name", WebhookKey::Name),
    ("created_at", WebhookKey::CreatedAt),
    ("updated_at", WebhookKey::UpdatedAt),
];

/// Which webhooks are asked for.
pub struct WebhooksAsked(WebhookQuery);

impl FromQuery for WebhooksAsked {
    fn read(params: &mut Params) -> Self {
        let filter = WebhookFilter {
            names: params.any_of("name", "Name, whatever its case."),
            shapes: params.any_of("shape", "Shape."),
            enabled: params.flag("enabled", "Whether it is told anything."),
            created: params.span("created_at__gte", "created_at__lt"),
            search: params.search("Occurs in the name."),
        };
        Self(WebhookQuery { filter, order: params.order(&KEYS), page: params.page() })
    }
}

/// Lists webhooks
///
/// Without leave to change settings, of addresses only the origin is shown: the rest may be a secret.
#[utoipa::path(get, path = "/api/webhooks/")]
pub async fn list_webhooks(
    Granted(by): Granted<ViewWebhooks>,
    Query { asked: WebhooksAsked(query), here }: Query<WebhooksAsked>,
    app: Data<App>,
) -> Reply<Listed<WebhookBody>> {
    let page = webhooks::list(&app, &by, &query).await?;
    let whole = may_see_urls(by.actor());
    Listed::new(&here, query.page, page, |webhook| WebhookBody::new(&webhook, whole))
}

/// Makes a webhook
///
/// It is told what happens from then on. The answer holds the secret that signs deliveries, which nobody sees again.
#[utoipa::path(post, path = "/api/webhooks/")]
pub async fn create_webhook(
    Granted(by): Granted<ManageWebhooks>,
    draft: Posted<WebhookDraft>,
    app: Data<App>,
) -> Reply<Replayable<Created<WebhookBody>>> {
    let work = |WebhookDraft(details), once| async move { webhooks::create(&app, by, details, once).await };
    draft.answer(WebhookBody::created, work).await
}

/// Shows a webhook
///
/// Without leave to change settings, of its address only the origin is shown: the rest may be a secret.
#[utoipa::path(get, path = "/api/webhooks/{id}")]
pub async fn get_webhook(
    Granted(by): Granted<ViewWebhooks>,
    Id(webhook): Id<WebhookId>,
    app: Data<App>,
) -> Reply<Versioned<WebhookBody>> {
    let webhook = webhooks::get(&app, &by, webhook).await?;
    Ok(WebhookBody::versioned(&webhook, may_see_urls(by.actor())))
}

/// Replaces a webhook
///
/// What waits to be delivered to it is delivered as it says from then on. Its secret stays.
#[utoipa::path(put, path = "/api/webhooks/{id}")]
pub async fn put_webhook(
    Granted(by): Granted<ManageWebhooks>,
    Id(webhook): Id<WebhookId>,
    IfMatch(precondition): IfMatch,
    Body(WebhookPut(change)): Body<WebhookPut>,
    app: Data<App>,
) -> Reply<Versioned<WebhookBody>> {
    change_webhook(by, webhook, precondition, change, app).await
}

/// Changes some fields of a webhook
///
/// What waits to be delivered to it is delivered as it says from then on.
#[utoipa::path(patch, path = "/api/webhooks/{id}")]
pub async fn patch_webhook(
    Granted(by): Granted<ManageWebhooks>,
    Id(webhook): Id<WebhookId>,
    IfMatch(precondition): IfMatch,
    Body(WebhookPatch(change)): Body<WebhookPatch>,
    app: Data<App>,
) -> Reply<Versioned<WebhookBody>> {
    change_webhook(by, webhook, precondition, change, app).await
}

async fn change_webhook(
    by: domain::access::Granted<ManageWebhooks>,
    webhook: WebhookId,
    precondition: Precondition,
    change: WebhookChange,
    app: Data<App>,
) -> Reply<Versioned<WebhookBody>> {
    let work = async move { webhooks::change(&app, by, webhook, change, precondition).await };
    Ok(WebhookBody::versioned(&to_completion(work).await?, true))
}

/// Deletes a webhook
///
/// Its deliveries go with it, also those that wait.
#[utoipa::path(delete, path = "/api/webhooks/{id}")]
pub async fn delete_webhook(
    Granted(by): Granted<ManageWebhooks>,
    Id(webhook): Id<WebhookId>,
    IfMatch(precondition): IfMatch,
    app: Data<App>,
) -> Reply<Done> {
    to_completion(async move { webhooks::delete(&app, by, webhook, precondition).await }).await?;
    Ok(Done)
}

/// Gives a webhook another secret
///
/// The answer holds it, and nobody sees it again. The one before signs beside it for 24 hours; of several changes
/// within that time, the one before the first.
#[utoipa::path(post, path = "/api/webhooks/{id}/rotate-secret")]
pub async fn rotate_webhook_secret(
    Granted(by): Granted<ManageWebhooks>,
    Id(webhook): Id<WebhookId>,
    order: Posted<Nothing>,
    app: Data<App>,
) -> Reply<Replayable<Versioned<WebhookBody>>> {
    let work = move |Nothing, once| async move { webhooks::rotate_secret(&app, by, webhook, once).await };
    order.answer(WebhookBody::rotated, work).await
}
