//! The equipment register: find, register, change, hide and bring back. What machines measured is in
//! [`crate::readings`], what was done to them in [`crate::maintenance`].

pub mod body;
pub mod query;

use crate::auth::Granted;
use crate::body::{Body, Nothing};
use crate::completion::to_completion;
use crate::conditional::IfMatch;
use crate::equipment::body::{EquipmentBody, EquipmentPatch, EquipmentPut};
use crate::equipment::query::{ComponentsAsked, EquipmentAsked};
use crate::once::{Posted, Replayable};
use crate::page::Listed;
use crate::path::Id;
use crate::problem::{Problem, Reply};
use crate::query::{FromQuery, Params, Query};
use crate::remembered::{Kept, Topic};
use crate::reply::{Created, Done, Moving, Versioned};
use actix_web::web::Data;
use domain::access::rights::{ManageEquipment, ViewEquipment};
use domain::app::App;
use domain::app::equipment;
use domain::app::known::Known;
use domain::equipment::{Details, EquipmentChange};
use domain::error::Error;
use domain::id::EquipmentId;
use domain::patch::Precondition;

/// Lists equipment
#[utoipa::path(get, path = "/api/equipment/")]
pub async fn list_equipment(
    Granted(by): Granted<ViewEquipment>,
    Query { asked: EquipmentAsked(query), here }: Query<EquipmentAsked>,
    app: Data<App>,
) -> Reply<Kept<Listed<EquipmentBody>>> {
    let asked = query.page;
    let listed = equipment::list(&app, &by, query).await;
    let Known { value: page, grounds } = listed.map_err(|error| blame("hidden", error))?;
    let listed = Listed::new(&here, asked, page, |piece| EquipmentBody::from(&piece))?;
    Ok(Kept::new(Topic::Equipment, grounds, listed))
}

/// Tells which parameter asked for more than the caller may do.
fn blame(parameter: &'static str, error: Error) -> Problem {
    if matches!(error, Error::Forbidden(_)) { Problem::About(error, parameter) } else { error.into() }
}

/// Registers a piece of equipment
#[utoipa::path(post, path = "/api/equipment/", responses((status = 409)))]
pub async fn create_equipment(
    Granted(by): Granted<ManageEquipment>,
    details: Posted<Details>,
    app: Data<App>,
) -> Reply<Replayable<Created<EquipmentBody>>> {
    let work = |details, once| async move { equipment::create(&app, by, details, once).await };
    details.answer(EquipmentBody::created, work).await
}

/// Shows a piece of equipment
#[utoipa::path(get, path = "/api/equipment/{id}")]
pub async fn get_equipment(
    Granted(by): Granted<ViewEquipment>,
    Id(id): Id<EquipmentId>,
    app: Data<App>,
) -> Reply<Kept<Moving<EquipmentBody>>> {
    let Known { value: piece, grounds } = equipment::get(&app, &by, id).await?;
    Ok(Kept::new(Topic::Equipment, grounds, EquipmentBody::versioned(&piece)))
}

/// Replaces what is written about a piece of equipment
#[utoipa::path(put, path = "/api/equipment/{id}", responses((status = 409)))]
pub async fn put_equipment(
    Granted(by): Granted<ManageEquipment>,
    Id(id): Id<EquipmentId>,
    IfMatch(precondition): IfMatch,
    Body(EquipmentPut(change)): Body<EquipmentPut>,
    app: Data<App>,
) -> Reply<Moving<EquipmentBody>> {
    change_equipment(by, id, precondition, change, app).await
}

/// Changes some fields of a piece of equipment
#[utoipa::path(patch, path = "/api/equipment/{id}", responses((status = 409)))]
pub async fn patch_equipment(
    Granted(by): Granted<ManageEquipment>,
    Id(id): Id<EquipmentId>,
    IfMatch(precondition): IfMatch,
    Body(EquipmentPatch(change)): Body<EquipmentPatch>,
    app: Data<App>,
) -> Reply<Moving<EquipmentBody>> {
    change_equipment(by, id, precondition, change, app).await
}

async fn change_equipment(
    by: domain::access::Granted<ManageEquipment>,
    id: EquipmentId,
    precondition: Precondition,
    change: EquipmentChange,
    app: Data<App>,
) -> Reply<Moving<EquipmentBody>> {
    let work = async move { equipment::change(&app, by, id, change, precondition).await };
    Ok(EquipmentBody::versioned(&to_completion(work).await?))
}

/// How thoroughly equipment goes.
pub struct Removal {
    purge: bool,
}

impl FromQuery for Removal {
    fn read(params: &mut Params) -> Self {
        let purge = params.single("purge", "`true` removes it for good; needs `settings:write` as well.");
        Self { purge: purge.unwrap_or(false) }
    }
}

/// Takes a piece of equipment out of the register
///
/// It is out of sight from then on, its readings and alerts with it, and can be brought back. With `purge=true` it is
/// removed for good with all that hangs on it, whether it was hidden before or not; whoever brings it back meanwhile ends that.
#[utoipa::path(delete, path = "/api/equipment/{id}", responses((status = 409)))]
pub async fn delete_equipment(
    Granted(by): Granted<ManageEquipment>,
    Id(id): Id<EquipmentId>,
    Query { asked: Removal { purge }, .. }: Query<Removal>,
    IfMatch(precondition): IfMatch,
    app: Data<App>,
) -> Reply<Done> {
    if purge {
        let by = by.actor().grant().map_err(|denied| blame("purge", denied.into()))?;
        to_completion(async move { equipment::purge(&app, by, id, precondition).await }).await?;
    } else {
        to_completion(async move { equipment::hide(&app, by, id, precondition).await }).await?;
    }
    Ok(Done)
}

/// Brings hidden equipment back into the register
///
/// What is in the register already stays as it is.
#[utoipa::path(post, path = "/api/equipment/{id}/restore")]
pub async fn restore_equipment(
    Granted(by): Granted<ManageEquipment>,
    Id(id): Id<EquipmentId>,
    order: Posted<Nothing>,
    app: Data<App>,
) -> Reply<Replayable<Versioned<EquipmentBody>>> {
    let work = move |Nothing, once| async move { equipment::restore(&app, by, id, once).await };
    order.answer(|piece| EquipmentBody::versioned(piece).0, work).await
}

/// Lists the components of a piece of equipment
#[utoipa::path(get, path = "/api/equipment/{id}/children/")]
pub async fn list_components(
    Granted(by): Granted<ViewEquipment>,
    Id(id): Id<EquipmentId>,
    Query { asked, here }: Query<ComponentsAsked>,
    app: Data<App>,
) -> Reply<Listed<EquipmentBody>> {
    equipment::get(&app, &by, id).await?;
    let query = asked.of(id);
    let asked = query.page;
    let page = equipment::list(&app, &by, query).await?.value;
    Listed::new(&here, asked, page, |piece| EquipmentBody::from(&piece))
}
