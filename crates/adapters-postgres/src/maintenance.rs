//! What was done to equipment: the `maintenance` table.

use crate::link::Link;
use crate::rows::{Row, day, stamp};
use crate::schema::{maintenance, users};
use async_trait::async_trait;
use diesel::data_types::{PgDate, PgTimestamp};
use diesel::pg::Pg;
use diesel::prelude::*;
use domain::id::{EquipmentId, MaintenanceId, UserId};
use domain::maintenance::{Maintenance, MaintenanceQuery, NewMaintenance};
use domain::page::Page;
use domain::ports::{MaintenanceLog, StoreError};
use domain::text::Description;

#[async_trait]
impl MaintenanceLog for Link {
    async fn insert(&mut self, entry: &NewMaintenance) -> Result<Maintenance, StoreError> {
        // Whoever is gone meanwhile is remembered by name alone.
        let account = users::table.filter(users::id.nullable().eq(entry.by.id.map(UserId::get)));
        let row = diesel::insert_into(maintenance::table)
            .values((
                maintenance::equipment_id.eq(entry.equipment.get()),
                maintenance::what.eq(entry.what.as_str()),
                maintenance::performed_at.eq(stamp(entry.performed_at)),
                maintenance::by_id.eq(account.select(users::id).single_value()),
                maintenance::by_name.eq(&entry.by.name),
                maintenance::next_due_on.eq(entry.next_due_on.map(day)),
                maintenance::created_at.eq(stamp(entry.created_at)),
            ))
            .returning(MaintenanceRow::as_returning());
        Maintenance::try_from(self.the(row).await?)
    }

    async fn find(
        &mut self,
        equipment: EquipmentId,
        id: MaintenanceId,
    ) -> Result<Option<Maintenance>, StoreError> {
        let row = maintenance::table
            .find(id.get())
            .filter(maintenance::equipment_id.eq(equipment.get()))
            .select(MaintenanceRow::as_select());
        self.one(row).await?.map(Maintenance::try_from).transpose()
    }

    async fn delete(&mut self, equipment: EquipmentId, id: MaintenanceId) -> Result<bool, StoreError> {
        let meant = maintenance::table.find(id.get()).filter(maintenance::equipment_id.eq(equipment.get()));
        Ok(self.run(diesel::delete(meant)).await? > 0)
    }

    async fn list(&mut self, query: &MaintenanceQuery) -> Result<Page<Maintenance>, StoreError> {
        let log = maintenance::table.filter(maintenance::equipment_id.eq(query.equipment.get()));
        let total: i64 = self.the(log.count()).await?;
        let rows = log
            .select(MaintenanceRow::as_select())
            .order((maintenance::performed_at.desc(), maintenance::id.desc()))
            .offset(query.page.offset())
            .limit(i64::from(query.page.size()));
        let rows: Vec<MaintenanceRow> = self.all(rows).await?;
        Ok(Page {
            total: total.unsigned_abs(),
            items: rows.into_iter().map(Maintenance::try_from).collect::<Result<_, _>>()?,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = maintenance, check_for_backend(Pg))]
struct MaintenanceRow {
    id: i64,
    equipment_id: i64,
    what: String,
    performed_at: PgTimestamp,
    by_id: Option<i64>,
    by_name: String,
    next_due_on: Option<PgDate>,
    created_at: PgTimestamp,
}

impl TryFrom<MaintenanceRow> for Maintenance {
    type Error = StoreError;

    fn try_from(entry: MaintenanceRow) -> Result<Self, StoreError> {
        let row = Row { table: "maintenance", key: &entry.id };
        Ok(Self {
            id: row.read("id", MaintenanceId::new(entry.id))?,
            what: NewMaintenance {
                equipment: row.read("equipment_id", EquipmentId::new(entry.equipment_id))?,
                performed_at: row.instant("performed_at", entry.performed_at)?,
                by: row.person("by_id", entry.by_id, entry.by_name)?,
                next_due_on: row.maybe_day("next_due_on", entry.next_due_on)?,
                created_at: row.instant("created_at", entry.created_at)?,
                what: Description::restore(entry.what),
            },
        })
    }
}
