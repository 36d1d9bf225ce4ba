//! The maintenance log of a piece of equipment: read it, enter work that was done, remove an entry that was wrong.

use crate::auth::Granted;
use crate::body::FromBody;
use crate::body::fields::Fields;
use crate::completion::to_completion;
use crate::conditional::IfMatch;
use crate::once::{Posted, Replayable};
use crate::page::Listed;
use crate::path::{Entry, Id};
use crate::problem::Reply;
use crate::query::{FromQuery, Params, Query};
use crate::reply::{Created, Done, Versioned};
use actix_web::web::Data;
use domain::access::rights::{ManageEquipment, ViewEquipment};
use domain::app::App;
use domain::app::maintenance::{self, MaintenanceDraft};
use domain::id::{EquipmentId, MaintenanceId};
use domain::maintenance::{Maintenance, MaintenanceQuery};
use domain::page::PageRequest;
use serde::Serialize;
use utoipa::ToSchema;

/// An entry of a maintenance log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Maintenance, examples(json!({
    "id": 12, "equipment": 7, "what": "Changed the seals.", "performed_at": "2026-05-04T06:00:00.000000Z",
    "performed_by": "anna", "next_due_on": "2026-11-01", "version": 1, "created_at": "2026-05-04T07:30:00.000000Z"
})))]
pub struct MaintenanceBody {
    id: i64,
    equipment: i64,
    /// What was done.
    what: String,
    #[schema(format = DateTime)]
    performed_at: String,
    /// The login of whoever says so, as it was then.
    performed_by: String,
    /// By which day it is due again.
    #[schema(required, format = Date)]
    next_due_on: Option<String>,
    /// An entry is never rewritten, so this is always the first.
    version: i64,
    #[schema(format = DateTime)]
    created_at: String,
}

impl From<&Maintenance> for MaintenanceBody {
    fn from(entry: &Maintenance) -> Self {
        let what = &entry.what;
        Self {
            id: entry.id.get(),
            equipment: what.equipment.get(),
            what: what.what.to_string(),
            performed_at: what.performed_at.to_string(),
            performed_by: what.by.name.clone(),
            next_due_on: what.next_due_on.map(|day| day.to_string()),
            version: Maintenance::VERSION.get(),
            created_at: what.created_at.to_string(),
        }
    }
}

impl MaintenanceBody {
    fn created(entry: &Maintenance) -> Created<Self> {
        let location = format!("/api/equipment/{}/maintenance/{}", entry.what.equipment, entry.id);
        Created { location, version: Some(Maintenance::VERSION), body: entry.into() }
    }
}

impl FromBody for MaintenanceDraft {
    const NAME: &'static str = "NewMaintenance";
    const ABOUT: &'static str = "Work that was done; just now, unless `performed_at` says when.";
    const EXAMPLE: &'static str = r#"{"what": "Changed the seals.", "performed_at": "2026-05-04T06:00:00Z",
        "next_due_on": "2026-11-01"}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let what = fields.required("what");
        let (performed_at, next_due_on) = (fields.optional("performed_at"), fields.optional("next_due_on"));
        Some(Self { what: what?, performed_at, next_due_on })
    }
}

/// Which part of a log is asked for.
pub struct EntriesAsked(PageRequest);

impl FromQuery for EntriesAsked {
    fn read(params: &mut Params) -> Self {
        Self(params.page())
    }
}

/// Lists what was done to a piece of equipment, newest work first
#[utoipa::path(get, path = "/api/equipment/{id}/maintenance/")]
pub async fn list_maintenance(
    Granted(by): Granted<ViewEquipment>,
    Id(equipment): Id<EquipmentId>,
    Query { asked: EntriesAsked(page), here }: Query<EntriesAsked>,
    app: Data<App>,
) -> Reply<Listed<MaintenanceBody>> {
    let log = maintenance::list(&app, &by, &MaintenanceQuery { equipment, page }).await?;
    Listed::new(&here, page, log, |entry| MaintenanceBody::from(&entry))
}

/// Enters work that was done
#[utoipa::path(post, path = "/api/equipment/{id}/maintenance/")]
pub async fn log_maintenance(
    Granted(by): Granted<ManageEquipment>,
    Id(equipment): Id<EquipmentId>,
    draft: Posted<MaintenanceDraft>,
    app: Data<App>,
) -> Reply<Replayable<Created<MaintenanceBody>>> {
    let work = move |draft, once| async move { maintenance::log(&app, by, equipment, draft, once).await };
    draft.answer(MaintenanceBody::created, work).await
}

/// Shows an entry of a maintenance log
#[utoipa::path(get, path = "/api/equipment/{id}/maintenance/{entry}")]
pub async fn get_maintenance(
    Granted(by): Granted<ViewEquipment>,
    Id(equipment): Id<EquipmentId>,
    Entry(entry): Entry<MaintenanceId>,
    app: Data<App>,
) -> Reply<Versioned<MaintenanceBody>> {
    let entry = maintenance::get(&app, &by, equipment, entry).await?;
    Ok(Versioned { version: Maintenance::VERSION, body: (&entry).into() })
}

/// Removes an entry that was wrong
#[utoipa::path(delete, path = "/api/equipment/{id}/maintenance/{entry}")]
pub async fn remove_maintenance(
    Granted(by): Granted<ManageEquipment>,
    Id(equipment): Id<EquipmentId>,
    Entry(entry): Entry<MaintenanceId>,
    IfMatch(precondition): IfMatch,
    app: Data<App>,
) -> Reply<Done> {
    let work = async move { maintenance::remove(&app, by, equipment, entry, precondition).await };
    to_completion(work).await?;
    Ok(Done)
}
