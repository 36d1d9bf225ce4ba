//! Alerts: look up, raise by hand, correct, acknowledge, resolve, delete.

pub mod body;

use crate::alerts::body::{AlertBody, AlertDraftBody, AlertPatch, AlertPut, EntryBody, Remark};
use crate::auth::Granted;
use crate::body::Body;
use crate::completion::to_completion;
use crate::conditional::IfMatch;
use crate::once::{Posted, Replayable};
use crate::page::Listed;
use crate::path::Id;
use crate::problem::Reply;
use crate::query::{FromQuery, Params, Query};
use crate::reply::{Created, Done, Versioned};
use actix_web::web::Data;
use domain::access::rights::{HandleAlerts, ViewAlerts, WriteAlerts};
use domain::alerts::{AlertFilter, AlertKey, AlertQuery};
use domain::app::App;
use domain::app::alerts::{self, AlertEdit};
use domain::equipment::Reach;
use domain::id::{AlertId, EquipmentId};
use domain::patch::Precondition;

const KEYS: [(&str, AlertKey); 5] = [
    ("id", AlertKey::Id),
    ("timestamp", AlertKey::At),
    ("last_seen_at", AlertKey::LastSeenAt),
    ("severity", AlertKey::Severity),
    ("status", AlertKey::Status),
];

/// Which alerts are asked for.
pub struct AlertsAsked(AlertQuery);

impl FromQuery for AlertsAsked {
    fn read(params: &mut Params) -> Self {
        let equipment = params.any_of("equipment", "Id of the equipment.");
        let AlertsOfOneAsked(query) = AlertsOfOneAsked::read(params);
        Self(AlertQuery { filter: AlertFilter { equipment, ..query.filter }, ..query })
    }
}

/// Which alerts of one piece of equipment are asked for.
pub struct AlertsOfOneAsked(AlertQuery);

impl FromQuery for AlertsOfOneAsked {
    fn read(params: &mut Params) -> Self {
        let filter = AlertFilter {
            equipment: Vec::new(),
            severities: params.any_of("severity", "Severity."),
            statuses: params.any_of("status", "How far it has come."),
            rules: params.any_of("rule", "Id of the rule that raised it."),
            metrics: params.any_of("metric", "Metric."),
            at: params.span("timestamp__gte", "timestamp__lt"),
            search: params.search("Occurs in the description or the note."),
            reach: Reach::All,
        };
        Self(AlertQuery { filter, order: params.order(&KEYS), page: params.page() })
    }
}

/// Lists alerts
#[utoipa::path(get, path = "/api/alerts/")]
pub async fn list_alerts(
    Granted(by): Granted<ViewAlerts>,
    Query { asked: AlertsAsked(query), here }: Query<AlertsAsked>,
    app: Data<App>,
) -> Reply<Listed<AlertBody>> {
    let asked = query.page;
    let page = alerts::list(&app, &by, query).await?;
    Listed::new(&here, asked, page, |alert| AlertBody::from(&alert))
}

/// Lists the alerts on a piece of equipment
#[utoipa::path(get, path = "/api/equipment/{id}/alerts/")]
pub async fn list_alerts_of_equipment(
    Granted(by): Granted<ViewAlerts>,
    Id(equipment): Id<EquipmentId>,
    Query { asked: AlertsOfOneAsked(query), here }: Query<AlertsOfOneAsked>,
    app: Data<App>,
) -> Reply<Listed<AlertBody>> {
    let asked = query.page;
    let page = alerts::list_of(&app, &by, equipment, query).await?;
    Listed::new(&here, asked, page, |alert| AlertBody::from(&alert))
}

/// Raises an alert by hand
#[utoipa::path(post, path = "/api/alerts/")]
pub async fn create_alert(
    Granted(by): Granted<WriteAlerts>,
    draft: Posted<AlertDraftBody>,
    app: Data<App>,
) -> Reply<Replayable<Created<AlertBody>>> {
    let work = |AlertDraftBody(draft), once| async move { alerts::create(&app, by, draft, once).await };
    draft.answer(AlertBody::created, work).await
}

/// Shows an alert
#[utoipa::path(get, path = "/api/alerts/{id}")]
pub async fn get_alert(
    Granted(by): Granted<ViewAlerts>,
    Id(alert): Id<AlertId>,
    app: Data<App>,
) -> Reply<Versioned<AlertBody>> {
    Ok(AlertBody::versioned(&alerts::get(&app, &by, alert).await?))
}

/// Replaces what an alert says
#[utoipa::path(put, path = "/api/alerts/{id}")]
pub async fn put_alert(
    Granted(by): Granted<WriteAlerts>,
    Id(alert): Id<AlertId>,
    IfMatch(precondition): IfMatch,
    Body(AlertPut(edit)): Body<AlertPut>,
    app: Data<App>,
) -> Reply<Versioned<AlertBody>> {
    edit_alert(by, alert, precondition, edit, app).await
}

/// Changes something of what an alert says
#[utoipa::path(patch, path = "/api/alerts/{id}")]
pub async fn patch_alert(
    Granted(by): Granted<WriteAlerts>,
    Id(alert): Id<AlertId>,
    IfMatch(precondition): IfMatch,
    Body(AlertPatch(edit)): Body<AlertPatch>,
    app: Data<App>,
) -> Reply<Versioned<AlertBody>> {
    edit_alert(by, alert, precondition, edit, app).await
}

async fn edit_alert(
    by: domain::access::Granted<WriteAlerts>,
    alert: AlertId,
    precondition: Precondition,
    edit: AlertEdit,
    app: Data<App>,
) -> Reply<Versioned<AlertBody>> {
    let work = async move { alerts::edit(&app, by, alert, edit, precondition).await };
    Ok(AlertBody::versioned(&to_completion(work).await?))
}

/// Deletes an alert with its timeline
#[utoipa::path(delete, path = "/api/alerts/{id}")]
pub async fn delete_alert(
    Granted(by): Granted<WriteAlerts>,
    Id(alert): Id<AlertId>,
    IfMatch(precondition): IfMatch,
    app: Data<App>,
) -> Reply<Done> {
    to_completion(async move { alerts::delete(&app, by, alert, precondition).await }).await?;
    Ok(Done)
}

/// Says that one looks after an alert
///
/// Saying so again changes nothing. What is resolved cannot be acknowledged.
#[utoipa::path(post, path = "/api/alerts/{id}/acknowledge", responses((status = 409)))]
pub async fn acknowledge_alert(
    Granted(by): Granted<HandleAlerts>,
    Id(alert): Id<AlertId>,
    remark: Posted<Remark>,
    app: Data<App>,
) -> Reply<Replayable<Versioned<AlertBody>>> {
    let work = |Remark(note), once| async move { alerts::acknowledge(&app, by, alert, note, once).await };
    remark.answer(AlertBody::versioned, work).await
}

/// Says that an alert is over
///
/// Saying so again changes nothing.
#[utoipa::path(post, path = "/api/alerts/{id}/resolve")]
pub async fn resolve_alert(
    Granted(by): Granted<HandleAlerts>,
    Id(alert): Id<AlertId>,
    remark: Posted<Remark>,
    app: Data<App>,
) -> Reply<Replayable<Versioned<AlertBody>>> {
    let work = |Remark(note), once| async move { alerts::resolve(&app, by, alert, note, once).await };
    remark.answer(AlertBody::versioned, work).await
}

/// Tells who did what to an alert, and when
///
/// Oldest first.
#[utoipa::path(get, path = "/api/alerts/{id}/timeline")]
pub async fn list_timeline(
    Granted(by): Granted<ViewAlerts>,
    Id(alert): Id<AlertId>,
    app: Data<App>,
) -> Reply<Listed<EntryBody>> {
    let entries = alerts::timeline(&app, &by, alert).await?;
    Ok(Listed::whole(entries.iter().map(EntryBody::from)))
}
