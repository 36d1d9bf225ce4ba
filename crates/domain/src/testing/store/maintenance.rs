//! What was done to equipment.

use super::lists::page;
use super::{Tables, Unit};
use crate::id::{EquipmentId, MaintenanceId};
use crate::maintenance::{Maintenance, MaintenanceQuery, NewMaintenance};
use crate::page::Page;
use crate::ports::{MaintenanceLog, StoreError};
use async_trait::async_trait;
use std::cmp::{Ordering, Reverse};

#[async_trait]
impl MaintenanceLog for Unit {
    async fn insert(&mut self, entry: &NewMaintenance) -> Result<Maintenance, StoreError> {
        self.change(|tables| {
            tables.piece(entry.equipment)?;
            let id = tables.next_id(MaintenanceId::new)?;
            tables.maintenance.insert(id, entry.clone());
            Ok(Maintenance { id, what: entry.clone() })
        })
    }

    async fn find(
        &mut self,
        equipment: EquipmentId,
        id: MaintenanceId,
    ) -> Result<Option<Maintenance>, StoreError> {
        let entry = self.tables()?.maintenance.get(&id).filter(|entry| entry.equipment == equipment);
        Ok(entry.map(|entry| Maintenance { id, what: entry.clone() }))
    }

    async fn delete(&mut self, equipment: EquipmentId, id: MaintenanceId) -> Result<bool, StoreError> {
        self.change(|tables| {
            let meant = tables.maintenance.get(&id).is_some_and(|entry| entry.equipment == equipment);
            Ok(meant && tables.maintenance.remove(&id).is_some())
        })
    }

    async fn list(&mut self, query: &MaintenanceQuery) -> Result<Page<Maintenance>, StoreError> {
        let log = self.tables()?.log_of(query.equipment).into_iter();
        let entries = log.map(|(id, entry)| Maintenance { id, what: entry.clone() });
        Ok(page(entries.collect(), &[], |(), _, _| Ordering::Equal, query.page))
    }
}

impl Tables {
    /// The log of a piece of equipment, newest work first, of the same instant the larger id first.
    pub(super) fn log_of(&self, equipment: EquipmentId) -> Vec<(MaintenanceId, &NewMaintenance)> {
        let of_it = self.maintenance.iter().filter(|(_, entry)| entry.equipment == equipment);
        let mut log: Vec<_> = of_it.map(|(id, entry)| (*id, entry)).collect();
        log.sort_by_key(|(id, entry)| Reverse((entry.performed_at, *id)));
        log
    }
}
