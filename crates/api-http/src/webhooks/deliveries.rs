//! What was delivered to a webhook and what was not; trying it, and sending again.

use crate::auth::Granted;
use crate::body::Nothing;
use crate::once::{Posted, Replayable};
use crate::page::Listed;
use crate::path::{Entry, Id};
use crate::problem::Reply;
use crate::query::{FromQuery, Params, Query};
use crate::reply::{Created, Shown};
use actix_web::web::Data;
use domain::access::rights::{ManageWebhooks, ViewWebhooks};
use domain::app::{App, deliveries};
use domain::id::{DeliveryId, WebhookId};
use domain::page::{Order, PageRequest};
use domain::webhooks::{Attempt, DeliveryFilter, DeliveryKey, DeliveryQuery, LoggedDelivery};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// Something that is told to a webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
pub struct DeliveryBody {
    id: i64,
    webhook: i64,
    /// What happened.
    #[schema(examples("alert.opened"))]
    event: &'static str,
    /// To which alert, if to any.
    #[schema(required)]
    alert: Option<i64>,
    /// By which the receiver knows it again: the header `webhook-id`.
    #[schema(examples("msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"))]
    message: String,
    /// What there is to say, as the generic shape says it.
    #[schema(value_type = Object)]
    content: Option<Box<RawValue>>,
    /// `pending`, `delivered`, `failed`, or `superseded` by something newer about the same alert.
    #[schema(examples("delivered"))]
    status: &'static str,
    /// How often it was tried, since somebody last had it sent again.
    tries: u32,
    #[schema(required, format = DateTime)]
    next_try_at: Option<String>,
    #[schema(required, format = DateTime)]
    finished_at: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    /// Its newest tries, oldest first.
    attempts: Vec<AttemptBody>,
}

/// One try of a delivery.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookAttempt)]
pub struct AttemptBody {
    /// The how-manieth of all.
    number: u32,
    #[schema(format = DateTime)]
    at: String,
    took_ms: u64,
    /// The status of the answer, if there was one.
    #[schema(required)]
    status: Option<u16>,
    /// What went wrong, if something did.
    #[schema(required)]
    error: Option<String>,
    /// The beginning of what the receiver said.
    #[schema(required)]
    answer: Option<String>,
}

impl From<&Attempt> for AttemptBody {
    fn from(attempt: &Attempt) -> Self {
        Self {
            number: attempt.number,
            at: attempt.at.to_string(),
            took_ms: u64::try_from(attempt.took.as_millis()).unwrap_or(u64::MAX),
            status: attempt.status,
            error: attempt.error.clone(),
            answer: attempt.answer.clone(),
        }
    }
}

impl From<&LoggedDelivery> for DeliveryBody {
    fn from(logged: &LoggedDelivery) -> Self {
        let LoggedDelivery { delivery, attempts } = logged;
        let what = &delivery.what;
        Self {
            id: delivery.id.get(),
            webhook: what.webhook.get(),
            event: what.event.name(),
            alert: what.alert.map(|alert| alert.get()),
            message: what.message.clone(),
            content: RawValue::from_string(what.notice.clone()).ok(),
            status: delivery.status.name(),
            tries: delivery.tries,
            next_try_at: delivery.next_try_at.map(|at| at.to_string()),
            finished_at: delivery.finished_at.map(|at| at.to_string()),
            created_at: what.created_at.to_string(),
            attempts: attempts.iter().map(AttemptBody::from).collect(),
        }
    }
}

impl DeliveryBody {
    fn created(logged: &LoggedDelivery) -> Created<Self> {
        let delivery = &logged.delivery;
        let location = format!("/api/webhooks/{}/deliveries/{}", delivery.what.webhook, delivery.id);
        Created { location, version: None, body: logged.into() }
    }
}

const KEYS: [(&str, DeliveryKey); 2] = [("id", DeliveryKey::Id), ("created_at", DeliveryKey::CreatedAt)];

/// Which deliveries are asked for.
pub struct DeliveriesAsked {
    filter: DeliveryFilter,
    order: Vec<Order<DeliveryKey>>,
    page: PageRequest,
}

impl FromQuery for DeliveriesAsked {
    fn read(params: &mut Params) -> Self {
        let filter = DeliveryFilter {
            events: params.any_of("event", "What happened."),
            statuses: params.any_of("status", "How far it has come."),
            alerts: params.any_of("alert", "Id of the alert that it is about."),
            created: params.span("created_at__gte", "created_at__lt"),
        };
        Self { filter, order: params.order(&KEYS), page: params.page() }
    }
}

/// Lists what was to be told to a webhook, and what became of it
#[utoipa::path(get, path = "/api/webhooks/{id}/deliveries/")]
pub async fn list_webhook_deliveries(
    Granted(by): Granted<ViewWebhooks>,
    Id(webhook): Id<WebhookId>,
    Query { asked, here }: Query<DeliveriesAsked>,
    app: Data<App>,
) -> Reply<Listed<DeliveryBody>> {
    let DeliveriesAsked { filter, order, page } = asked;
    let found = deliveries::list(&app, &by, &DeliveryQuery { webhook, filter, order, page }).await?;
    Listed::new(&here, page, found, |logged| DeliveryBody::from(&logged))
}

/// Shows one delivery
#[utoipa::path(get, path = "/api/webhooks/{id}/deliveries/{entry}")]
pub async fn get_webhook_delivery(
    Granted(by): Granted<ViewWebhooks>,
    Id(webhook): Id<WebhookId>,
    Entry(delivery): Entry<DeliveryId>,
    app: Data<App>,
) -> Reply<Shown<DeliveryBody>> {
    Ok(Shown((&deliveries::get(&app, &by, webhook, delivery).await?).into()))
}

/// Tries a webhook
///
/// It gets a delivery that says nothing; look at that to see whether it arrived.
#[utoipa::path(post, path = "/api/webhooks/{id}/test", responses((status = 409)))]
pub async fn test_webhook(
    Granted(by): Granted<ManageWebhooks>,
    Id(webhook): Id<WebhookId>,
    order: Posted<Nothing>,
    app: Data<App>,
) -> Reply<Replayable<Created<DeliveryBody>>> {
    let work = move |Nothing, once| async move { deliveries::test(&app, by, webhook, once).await };
    order.answer(DeliveryBody::created, work).await
}

/// Sends a delivery again
///
/// At once, and as often as the first time if need be. The receiver knows it again by its message id.
#[utoipa::path(post, path = "/api/webhooks/{id}/deliveries/{entry}/replay", responses((status = 409)))]
pub async fn replay_webhook_delivery(
    Granted(by): Granted<ManageWebhooks>,
    Id(webhook): Id<WebhookId>,
    Entry(delivery): Entry<DeliveryId>,
    order: Posted<Nothing>,
    app: Data<App>,
) -> Reply<Replayable<Shown<DeliveryBody>>> {
    let work =
        move |Nothing, once| async move { deliveries::replay(&app, by, webhook, delivery, once).await };
    order.answer(|logged: &LoggedDelivery| Shown(DeliveryBody::from(logged)), work).await
}
