//! The maintenance log: enter work that was done, read the log, remove an entry that was wrong.

use super::App;
use super::equipment::in_register;
use super::known::EQUIPMENT;
use crate::access::Granted;
use crate::access::rights::{ManageEquipment, ViewEquipment};
use crate::audit::{Action, NewEvent, Subject, maintenance_facts};
use crate::error::Error;
use crate::id::{EquipmentId, MaintenanceId};
use crate::idempotency::Once;
use crate::maintenance::{Maintenance, MaintenanceQuery, NewMaintenance, Person};
use crate::page::Page;
use crate::patch::Precondition;
use crate::telemetry::AHEAD;
use crate::text::Description;
use crate::time::{Date, Timestamp};

/// Work as somebody enters it.
#[derive(Clone, Debug)]
pub struct MaintenanceDraft {
    /// What was done.
    pub what: Description,
    /// When; now if nobody says.
    pub performed_at: Option<Timestamp>,
    /// By which day it is due again.
    pub next_due_on: Option<Date>,
}

/// A page of the log, newest work first.
pub async fn list(
    app: &App,
    by: &Granted<ViewEquipment>,
    query: &MaintenanceQuery,
) -> Result<Page<Maintenance>, Error> {
    let mut reader = app.store.reader().await?;
    in_register(reader.equipment().find(query.equipment).await?, by.actor())?;
    Ok(reader.maintenance().list(query).await?)
}

/// One entry of the log.
pub async fn get(
    app: &App,
    by: &Granted<ViewEquipment>,
    equipment: EquipmentId,
    id: MaintenanceId,
) -> Result<Maintenance, Error> {
    let mut reader = app.store.reader().await?;
    in_register(reader.equipment().find(equipment).await?, by.actor())?;
    reader.maintenance().find(equipment, id).await?.ok_or(Error::NotFound("maintenance entry"))
}

/// Enters work that was done.
pub async fn log(
    app: &App,
    by: Granted<ManageEquipment>,
    equipment: EquipmentId,
    draft: MaintenanceDraft,
    once: Once<'_, Maintenance>,
) -> Result<Maintenance, Error> {
    let now = app.clock.now();
    let performed_at = draft.performed_at.unwrap_or(now);
    if performed_at > now.after(AHEAD) {
        return Err(Error::flaw("performed_at", "future", "must not lie more than 10 minutes ahead"));
    }
    let mut tx = app.store.begin().await?;
    let piece = in_register(tx.equipment().lock(equipment).await?, by.actor())?;
    let new = NewMaintenance {
        equipment,
        what: draft.what,
        performed_at,
        by: Person::acting(by.actor()),
        next_due_on: draft.next_due_on,
        created_at: now,
    };
    let entry = tx.maintenance().insert(&new).await?;
    tx.equipment().note_maintenance(equipment, now).await?;
    let event = NewEvent::new(now, by.actor(), Action::MaintenanceLogged, Subject::equipment(&piece));
    tx.trail().record(&event.changing(Vec::new(), maintenance_facts(&entry))).await?;
    once.remember_in(&mut *tx, &entry, now).await?;
    app.commit_changing(EQUIPMENT, tx).await?;
    Ok(entry)
}

/// Removes an entry that was wrong.
pub async fn remove(
    app: &App,
    by: Granted<ManageEquipment>,
    equipment: EquipmentId,
    id: MaintenanceId,
    precondition: Precondition,
) -> Result<(), Error> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let piece = in_register(tx.equipment().lock(equipment).await?, by.actor())?;
    let missing = Error::NotFound("maintenance entry");
    let entry = tx.maintenance().find(equipment, id).await?.ok_or(missing)?;
    precondition.check(Maintenance::VERSION)?;
    tx.maintenance().delete(equipment, id).await?;
    tx.equipment().note_maintenance(equipment, now).await?;
    let event = NewEvent::new(now, by.actor(), Action::MaintenanceRemoved, Subject::equipment(&piece));
    tx.trail().record(&event.changing(maintenance_facts(&entry), Vec::new())).await?;
    app.commit_changing(EQUIPMENT, tx).await?;
    Ok(())
}
