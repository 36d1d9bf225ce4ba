//! What was done to equipment.

use crate::errors::gone;
use crate::lists::{cut_page, restored};
use crate::rows::MaintenanceRow;
use crate::schema::maintenance;
use crate::work::{Answer, Work};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::id::{EquipmentId, MaintenanceId, UserId};
use domain::maintenance::{Maintenance, MaintenanceQuery, NewMaintenance};
use domain::page::Page;
use domain::ports::{MaintenanceLog, Reference, StoreError};

#[async_trait]
impl MaintenanceLog for Work {
    async fn insert(&mut self, entry: &NewMaintenance) -> Result<Maintenance, StoreError> {
        let entry = entry.clone();
        self.run(move |connection| insert(connection, &entry)).await
    }

    async fn find(
        &mut self,
        equipment: EquipmentId,
        id: MaintenanceId,
    ) -> Result<Option<Maintenance>, StoreError> {
        self.run(move |connection| {
            let row = of_piece(equipment).filter(maintenance::id.eq(id.get()));
            let row = row.select(MaintenanceRow::as_select()).first(connection).optional()?;
            Ok(row.map(Maintenance::try_from).transpose()?)
        })
        .await
    }

    async fn delete(&mut self, equipment: EquipmentId, id: MaintenanceId) -> Result<bool, StoreError> {
        self.run(move |connection| {
            let entry = maintenance::table.find(id.get());
            let of_piece = entry.filter(maintenance::equipment_id.eq(equipment.get()));
            Ok(diesel::delete(of_piece).execute(connection)? > 0)
        })
        .await
    }

    async fn list(&mut self, query: &MaintenanceQuery) -> Result<Page<Maintenance>, StoreError> {
        let MaintenanceQuery { equipment, page } = *query;
        self.run(move |connection| {
            let (total, rows) =
                cut_page!(connection, page, of_piece(equipment), newest_first, MaintenanceRow);
            Ok(Page { total, items: restored(rows)? })
        })
        .await
    }
}

type Boxed = maintenance::BoxedQuery<'static, Sqlite>;

fn of_piece(equipment: EquipmentId) -> Boxed {
    maintenance::table.filter(maintenance::equipment_id.eq(equipment.get())).into_boxed()
}

fn newest_first(log: Boxed) -> Boxed {
    log.order((maintenance::performed_at.desc(), maintenance::id.desc()))
}

fn insert(connection: &mut SqliteConnection, entry: &NewMaintenance) -> Answer<Maintenance> {
    let by = entry.by.id.map(UserId::get);
    let row: Result<MaintenanceRow, _> = diesel::insert_into(maintenance::table)
        .values((
            maintenance::equipment_id.eq(entry.equipment.get()),
            maintenance::what.eq(entry.what.as_str()),
            maintenance::performed_at.eq(entry.performed_at.micros()),
            maintenance::by_id.eq(by),
            maintenance::by_name.eq(&entry.by.name),
            maintenance::next_due_on.eq(entry.next_due_on.map(|day| day.to_string())),
            maintenance::created_at.eq(entry.created_at.micros()),
        ))
        .returning(MaintenanceRow::as_returning())
        .get_result(connection);
    let referred = [(Reference::Equipment, Some(entry.equipment.get())), (Reference::User, by)];
    let row = row.map_err(|error| gone(connection, error, &referred))?;
    Ok(row.try_into()?)
}

/// When the piece was looked after last, and by which day it is due again.
pub(crate) fn newest(
    connection: &mut SqliteConnection,
    equipment: EquipmentId,
) -> QueryResult<Option<(i64, Option<String>)>> {
    let newest = newest_first(of_piece(equipment));
    newest.select((maintenance::performed_at, maintenance::next_due_on)).first(connection).optional()
}
