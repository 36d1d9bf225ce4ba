//! As of when values that go early are gone.

use super::Unit;
use crate::id::EquipmentId;
use crate::ports::{StoreError, Thinnings};
use crate::telemetry::kept::Thinned;
use crate::time::Timestamp;
use async_trait::async_trait;

#[async_trait]
impl Thinnings for Unit {
    async fn find(&mut self, equipment: EquipmentId) -> Result<Option<Thinned>, StoreError> {
        Ok(self.tables()?.thinned.get(&equipment).cloned())
    }

    async fn keep(&mut self, equipment: EquipmentId, thinned: &Thinned) -> Result<(), StoreError> {
        self.change(|tables| {
            tables.piece(equipment)?;
            tables.thinned.insert(equipment, thinned.clone());
            Ok(())
        })
    }

    async fn note_late(&mut self, late: &[(EquipmentId, Timestamp)]) -> Result<(), StoreError> {
        self.change(|tables| {
            for (equipment, at) in late {
                if let Some(thinned) = tables.thinned.get_mut(equipment) {
                    thinned.late_from = Some(thinned.late_from.map_or(*at, |from| from.min(*at)));
                }
            }
            Ok(())
        })
    }

    async fn behind(
        &mut self,
        by: &str,
        as_of: Timestamp,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError> {
        let tables = self.tables()?;
        let is_done = |id: &EquipmentId| {
            tables.thinned.get(id).is_some_and(|thinned| {
                thinned.by == by && thinned.as_of >= as_of && thinned.late_from.is_none()
            })
        };
        let reported = |id: &EquipmentId| {
            tables.visible(*id).is_some_and(|piece| piece.equipment.last_seen_at.is_some())
        };
        let beyond = tables.equipment.keys().copied().filter(|id| Some(*id) > after);
        Ok(beyond.filter(|id| reported(id) && !is_done(id)).take(limit as usize).collect())
    }
}
