//! Readings on their way in. What several ports do one after another can be said to storage at once, where storage takes it
//! so: for a single reading, waiting for an answer to each word costs more than the reading.

use super::{StoreError, UnitOfWork};
use crate::alerts::Alert;
use crate::id::EquipmentId;
use crate::live::NewLiveEvent;
use crate::rules::RulesInForce;
use crate::telemetry::{Head, Reading};
use crate::time::Timestamp;

/// What has to be held and known before readings are taken in.
#[derive(Clone, Copy, Debug)]
pub struct IntakeNeeds<'a> {
    /// The generation of the rules that are known already; see [`super::AlertRules::in_force`].
    pub known_rules: Option<i64>,
    /// Whose heads; see [`super::Readings::lock_heads`].
    pub pieces: &'a [EquipmentId],
    /// Which alerts; see [`super::Alerts::touching`].
    pub alerts_since: &'a [(EquipmentId, Timestamp)],
}

/// What is held and known.
#[derive(Debug)]
pub struct Intake {
    /// The rules in force, unless they are known.
    pub rules: Option<RulesInForce>,
    /// The heads.
    pub heads: Vec<Head>,
    /// The alerts.
    pub alerts: Vec<Alert>,
}

/// What is to be written of readings that were taken in.
#[derive(Clone, Copy, Debug)]
pub struct TakenIn<'a> {
    /// New readings, of equipment whose heads the unit holds.
    pub readings: &'a [Reading],
    /// The heads as the readings moved them on.
    pub heads: &'a [Head],
    /// What watchers are told.
    pub events: &'a [NewLiveEvent],
    /// When they were taken in.
    pub at: Timestamp,
}

impl IntakeNeeds<'_> {
    /// Holds and finds out what is needed, one after another.
    pub async fn meet_in<Unit: UnitOfWork + ?Sized>(self, tx: &mut Unit) -> Result<Intake, StoreError> {
        let rules = tx.rules().in_force(self.known_rules).await?;
        let heads = tx.readings().lock_heads(self.pieces).await?;
        let are_needed = !self.alerts_since.is_empty();
        let alerts = if are_needed { tx.alerts().touching(self.alerts_since).await? } else { Vec::new() };
        Ok(Intake { rules, heads, alerts })
    }
}

impl TakenIn<'_> {
    /// Writes what there is to write, one after another.
    pub async fn write_in<Unit: UnitOfWork + ?Sized>(self, tx: &mut Unit) -> Result<(), StoreError> {
        if !self.readings.is_empty() {
            tx.readings().insert(self.readings).await?;
        }
        if !self.heads.is_empty() {
            tx.readings().save_heads(self.heads).await?;
        }
        if !self.events.is_empty() {
            tx.live().announce(self.events, self.at).await?;
        }
        Ok(())
    }
}
