//! As of when values that go early are gone: the `thinnings` table.

use crate::errors::dangles;
use crate::rows::{Place, equipment_id};
use crate::schema::{equipment, equipment_heads, thinnings};
use crate::work::{Answer, Work};
use async_trait::async_trait;
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::id::EquipmentId;
use domain::ports::{Reference, StoreError, Thinnings};
use domain::telemetry::kept::Thinned;
use domain::time::Timestamp;

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = thinnings, primary_key(equipment_id), check_for_backend(Sqlite), treat_none_as_null = true)]
struct ThinnedRow {
    equipment_id: i64,
    decision: String,
    as_of: i64,
    late_from: Option<i64>,
}

impl ThinnedRow {
    fn new(equipment: EquipmentId, thinned: &Thinned) -> Self {
        Self {
            equipment_id: equipment.get(),
            decision: thinned.by.clone(),
            as_of: thinned.as_of.micros(),
            late_from: thinned.late_from.map(Timestamp::micros),
        }
    }

    fn restore(self) -> Result<Thinned, StoreError> {
        let place = Place { table: "thinnings", row: self.equipment_id };
        Ok(Thinned {
            as_of: place.instant("as_of", self.as_of)?,
            late_from: place.instant_if_any("late_from", self.late_from)?,
            by: self.decision,
        })
    }
}

#[async_trait]
impl Thinnings for Work {
    async fn find(&mut self, equipment: EquipmentId) -> Result<Option<Thinned>, StoreError> {
        self.run(move |connection| {
            let row = thinnings::table.find(equipment.get()).select(ThinnedRow::as_select());
            Ok(row.first(connection).optional()?.map(ThinnedRow::restore).transpose()?)
        })
        .await
    }

    async fn keep(&mut self, equipment: EquipmentId, thinned: &Thinned) -> Result<(), StoreError> {
        let row = ThinnedRow::new(equipment, thinned);
        self.run(move |connection| {
            diesel::insert_into(thinnings::table)
                .values(&row)
                .on_conflict(thinnings::equipment_id)
                .do_update()
                .set(&row)
                .execute(connection)
                .map_err(dangles(Reference::Equipment))?;
            Ok(())
        })
        .await
    }

    async fn note_late(&mut self, late: &[(EquipmentId, Timestamp)]) -> Result<(), StoreError> {
        let late = late.to_vec();
        self.run(move |connection| {
            for (piece, at) in late {
                let unknown = thinnings::late_from.is_null().assume_not_null();
                let later = thinnings::late_from.gt(at.micros()).assume_not_null();
                diesel::update(thinnings::table.find(piece.get()).filter(unknown.or(later)))
                    .set(thinnings::late_from.eq(at.micros()))
                    .execute(connection)?;
            }
            Ok(())
        })
        .await
    }

    async fn behind(
        &mut self,
        by: &str,
        as_of: Timestamp,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError> {
        let by = by.to_owned();
        self.run(move |connection| behind(connection, by, as_of, after, limit)).await
    }
}

fn behind(
    connection: &mut SqliteConnection,
    by: String,
    as_of: Timestamp,
    after: Option<EquipmentId>,
    limit: u32,
) -> Answer<Vec<EquipmentId>> {
    let done = thinnings::table
        .filter(thinnings::equipment_id.eq(equipment::id))
        .filter(thinnings::decision.eq(by))
        .filter(thinnings::as_of.ge(as_of.micros()))
        .filter(thinnings::late_from.is_null());
    let pieces: Vec<i64> = equipment::table
        .inner_join(equipment_heads::table)
        .filter(equipment::hidden_at.is_null())
        .filter(equipment_heads::last_seen_at.is_not_null())
        .filter(equipment::id.gt(after.map_or(0, EquipmentId::get)))
        .filter(diesel::dsl::not(exists(done)))
        .order(equipment::id)
        .select(equipment::id)
        .limit(limit.into())
        .load(connection)?;
    Ok(pieces.into_iter().map(|id| equipment_id("equipment", id)).collect::<Result<_, _>>()?)
}
