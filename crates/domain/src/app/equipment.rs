//! The equipment register: register, look up, change, hide, bring back, and remove for good.

use super::heads::KnownHead;
use super::known::{EQUIPMENT, Known, PLANT};
use super::{App, judgement};
use crate::access::rights::{ManageEquipment, PurgeEquipment, ViewData, ViewEquipment};
use crate::access::{Actor, Granted};
use crate::audit::{Action, NewEvent, Subject, equipment_facts};
use crate::equipment::{
    DEEPEST, Details, Equipment, EquipmentChange, EquipmentQuery, NewEquipment, Reach, may_contain,
};
use crate::error::{Denied, Error};
use crate::id::EquipmentId;
use crate::idempotency::Once;
use crate::page::Page;
use crate::patch::Precondition;
use crate::ports::UnitOfWork;
use crate::time::Timestamp;
use std::sync::Arc;

/// How many readings one step of a purge removes, so that no step takes long.
const PURGED_AT_ONCE: u32 = 20_000;

/// A page of equipment that the caller may see. What is hidden is shown to those alone who may bring it back.
pub async fn list(
    app: &App,
    by: &Granted<ViewEquipment>,
    mut query: EquipmentQuery,
) -> Result<Known<Page<Equipment>>, Error> {
    if query.filter.hidden {
        by.actor().grant::<ManageEquipment>()?;
    }
    query.filter.reach = by.actor().reach().clone();
    app.page(query).await
}

/// One piece of equipment.
pub async fn get(app: &App, by: &Granted<ViewEquipment>, id: EquipmentId) -> Result<Known<Equipment>, Error> {
    refuse_out_of_reach(by.actor(), id)?;
    let found = app.piece(id).await?.filter(|found| found.value.hidden_at.is_none());
    found.ok_or(Error::NotFound("equipment"))
}

/// The newest value of each metric, by the readings' own time.
pub async fn latest(
    app: &App,
    by: &Granted<ViewData>,
    id: EquipmentId,
) -> Result<Known<Arc<KnownHead>>, Error> {
    refuse_out_of_reach(by.actor(), id)?;
    app.latest_of(id).await?.ok_or(Error::NotFound("equipment"))
}

/// Registers a piece of equipment.
pub async fn create(
    app: &App,
    by: Granted<ManageEquipment>,
    details: Details,
    once: Once<'_, Equipment>,
) -> Result<Equipment, Error> {
    if *by.actor().reach() != Reach::All {
        return Err(Denied::OutOfReach.into());
    }
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    if let Some(parent) = details.parent {
        tx.equipment().lock_tree().await?;
        refuse_parent_in(&mut *tx, by.actor(), None, parent).await?;
    }
    let new = NewEquipment { details, created_at: now };
    let equipment = tx.equipment().insert(&new).await?;
    let event = NewEvent::new(now, by.actor(), Action::EquipmentCreated, Subject::equipment(&equipment));
    tx.trail().record(&event.changing(Vec::new(), equipment_facts(&equipment.details))).await?;
    once.remember_in(&mut *tx, &equipment, now).await?;
    app.commit_changing(EQUIPMENT, tx).await?;
    Ok(equipment)
}

/// Changes what is written about a piece of equipment. Who says what is written there already changes nothing.
pub async fn change(
    app: &App,
    by: Granted<ManageEquipment>,
    id: EquipmentId,
    change: EquipmentChange,
    precondition: Precondition,
) -> Result<Equipment, Error> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let rules = judgement::rules_in(&mut *tx, app).await?;
    tx.equipment().lock_tree().await?;
    tx.readings().lock_heads(&[id]).await?;
    let before = in_register(tx.equipment().lock(id).await?, by.actor())?;
    precondition.check(before.version)?;
    let details = change.apply(&before.details);
    if let Some(parent) = details.parent.filter(|_| details.parent != before.details.parent) {
        refuse_parent_in(&mut *tx, by.actor(), Some(id), parent).await?;
    }
    if details == before.details {
        tx.rollback().await;
        return Ok(before);
    }
    let after = tx.equipment().save(&Equipment { details, updated_at: now, ..before.clone() }).await?;
    judgement::release_uncovered_in(&mut *tx, app, &rules, &after, now).await?;
    let event = NewEvent::new(now, by.actor(), Action::EquipmentUpdated, Subject::equipment(&after));
    let facts = (equipment_facts(&before.details), equipment_facts(&after.details));
    tx.trail().record(&event.changing(facts.0, facts.1)).await?;
    app.commit_changing(EQUIPMENT, tx).await?;
    app.bell.ring();
    Ok(after)
}

/// Takes a piece of equipment out of sight, its readings and alerts with it. Nothing is lost.
pub async fn hide(
    app: &App,
    by: Granted<ManageEquipment>,
    id: EquipmentId,
    precondition: Precondition,
) -> Result<(), Error> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    // Whoever stores readings of it finishes first; whoever comes later does not find it.
    tx.readings().lock_heads(&[id]).await?;
    let equipment = in_register(tx.equipment().lock(id).await?, by.actor())?;
    precondition.check(equipment.version)?;
    hide_in(&mut *tx, by.actor(), equipment, now).await?;
    app.commit_changing(EQUIPMENT, tx).await?;
    Ok(())
}

async fn hide_in(
    tx: &mut dyn UnitOfWork,
    by: &Actor,
    equipment: Equipment,
    now: Timestamp,
) -> Result<(), Error> {
    let hidden = Equipment { hidden_at: Some(now), updated_at: now, ..equipment };
    let hidden = tx.equipment().save(&hidden).await?;
    let event = NewEvent::new(now, by, Action::EquipmentHidden, Subject::equipment(&hidden));
    tx.trail().record(&event).await?;
    Ok(())
}

/// Brings hidden equipment back into the register. What is there already stays as it is.
pub async fn restore(
    app: &App,
    by: Granted<ManageEquipment>,
    id: EquipmentId,
    once: Once<'_, Equipment>,
) -> Result<Equipment, Error> {
    refuse_out_of_reach(by.actor(), id)?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    tx.readings().lock_heads(&[id]).await?;
    let mut equipment = tx.equipment().lock(id).await?.ok_or(Error::NotFound("equipment"))?;
    if equipment.hidden_at.is_some() {
        equipment = tx.equipment().save(&Equipment { hidden_at: None, updated_at: now, ..equipment }).await?;
        let event = NewEvent::new(now, by.actor(), Action::EquipmentRestored, Subject::equipment(&equipment));
        tx.trail().record(&event).await?;
    }
    once.remember_in(&mut *tx, &equipment, now).await?;
    app.commit_changing(EQUIPMENT, tx).await?;
    Ok(equipment)
}

/// Removes equipment, hidden or not, for good with all that hangs on it. Its readings go in steps, out of sight: a purge
/// that is interrupted leaves hidden equipment, and can be asked for again.
pub async fn purge(
    app: &App,
    by: Granted<PurgeEquipment>,
    id: EquipmentId,
    precondition: Precondition,
) -> Result<(), Error> {
    refuse_out_of_reach(by.actor(), id)?;
    put_out_of_sight(app, by.actor(), id, &precondition).await?;
    loop {
        let mut tx = app.store.begin().await?;
        still_hidden_in(&mut *tx, id).await?;
        let removed = tx.readings().delete_some_of(id, PURGED_AT_ONCE).await?;
        tx.commit().await?;
        if removed == 0 {
            break;
        }
    }
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    tx.rules().lock().await?;
    tx.equipment().lock_tree().await?;
    let equipment = still_hidden_in(&mut *tx, id).await?;
    tx.equipment().delete(id, now).await?;
    let event = NewEvent::new(now, by.actor(), Action::EquipmentPurged, Subject::equipment(&equipment));
    tx.trail().record(&event.changing(equipment_facts(&equipment.details), Vec::new())).await?;
    app.commit_changing(PLANT, tx).await?;
    Ok(())
}

/// The equipment, unless somebody has brought it back while it was being purged: then the purge ends.
async fn still_hidden_in(tx: &mut dyn UnitOfWork, id: EquipmentId) -> Result<Equipment, Error> {
    let equipment = tx.equipment().lock(id).await?.ok_or(Error::NotFound("equipment"))?;
    let restored = Error::IllegalTransition("the equipment was restored while it was being purged");
    if equipment.hidden_at.is_some() { Ok(equipment) } else { Err(restored) }
}

async fn put_out_of_sight(
    app: &App,
    by: &Actor,
    id: EquipmentId,
    precondition: &Precondition,
) -> Result<(), Error> {
    let mut tx = app.store.begin().await?;
    tx.readings().lock_heads(&[id]).await?;
    let equipment = tx.equipment().lock(id).await?.ok_or(Error::NotFound("equipment"))?;
    precondition.check(equipment.version)?;
    if equipment.hidden_at.is_none() {
        hide_in(&mut *tx, by, equipment, app.clock.now()).await?;
    }
    app.commit_changing(EQUIPMENT, tx).await?;
    Ok(())
}

/// Refuses a parent that is not there, or that would make the tree a circle. The tree must be locked.
async fn refuse_parent_in(
    tx: &mut dyn UnitOfWork,
    by: &Actor,
    component: Option<EquipmentId>,
    parent: EquipmentId,
) -> Result<(), Error> {
    let found = tx.equipment().find(parent).await?;
    in_register(found, by)
        .map_err(|_| Error::flaw("parent", "unknown", "must be equipment in the register"))?;
    let above = tx.equipment().above(parent).await?;
    let below = match component {
        Some(component) => tx.equipment().levels_below(component, DEEPEST).await?,
        None => 0,
    };
    may_contain(component, parent, &above, below)
}

/// The equipment, if it is there and the caller may know it.
pub(super) fn in_register(found: Option<Equipment>, by: &Actor) -> Result<Equipment, Error> {
    let visible = |equipment: &Equipment| equipment.hidden_at.is_none() && by.reach().covers(equipment.id);
    found.filter(visible).ok_or(Error::NotFound("equipment"))
}

/// What is beyond the caller's reach is as if it were not there.
pub(super) fn refuse_out_of_reach(by: &Actor, equipment: EquipmentId) -> Result<(), Error> {
    if by.reach().covers(equipment) { Ok(()) } else { Err(Error::NotFound("equipment")) }
}
