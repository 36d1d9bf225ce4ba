//! As of when values that go early are gone: the `thinnings` table.

use crate::equipment::equipment_ids;
use crate::link::Link;
use crate::rows::{Row, stamp};
use crate::schema::thinnings;
use crate::statement::Statement;
use async_trait::async_trait;
use diesel::data_types::PgTimestamp;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text, Timestamptz};
use domain::id::EquipmentId;
use domain::ports::{StoreError, Thinnings};
use domain::telemetry::kept::Thinned;
use domain::time::Timestamp;

const NOTE_LATE: &str = "\
    UPDATE thinnings SET late_from = least(late_from, late.at) \
    FROM unnest(?::bigint[], ?::timestamptz[]) AS late (equipment_id, at) \
    WHERE thinnings.equipment_id = late.equipment_id";

const BEHIND: &str = "\
    SELECT head.equipment_id FROM equipment_heads AS head \
    LEFT JOIN thinnings ON thinnings.equipment_id = head.equipment_id \
    WHERE NOT head.hidden AND head.last_seen_at IS NOT NULL AND head.equipment_id > ? \
        AND (thinnings.decision = ? AND thinnings.as_of >= ? AND thinnings.late_from IS NULL) IS NOT TRUE \
    ORDER BY head.equipment_id LIMIT ?";

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = thinnings, primary_key(equipment_id), check_for_backend(Pg), treat_none_as_null = true)]
struct ThinnedRow {
    equipment_id: i64,
    decision: String,
    as_of: PgTimestamp,
    late_from: Option<PgTimestamp>,
}

impl ThinnedRow {
    fn new(equipment: EquipmentId, thinned: &Thinned) -> Self {
        Self {
            equipment_id: equipment.get(),
            decision: thinned.by.clone(),
            as_of: stamp(thinned.as_of),
            late_from: thinned.late_from.map(stamp),
        }
    }

    fn restore(self) -> Result<Thinned, StoreError> {
        let row = Row { table: "thinnings", key: &self.equipment_id };
        Ok(Thinned {
            as_of: row.instant("as_of", self.as_of)?,
            late_from: row.maybe_instant("late_from", self.late_from)?,
            by: self.decision,
        })
    }
}

#[async_trait]
impl Thinnings for Link {
    async fn find(&mut self, equipment: EquipmentId) -> Result<Option<Thinned>, StoreError> {
        let row = thinnings::table.find(equipment.get()).select(ThinnedRow::as_select());
        self.one(row).await?.map(ThinnedRow::restore).transpose()
    }

    async fn keep(&mut self, equipment: EquipmentId, thinned: &Thinned) -> Result<(), StoreError> {
        let row = ThinnedRow::new(equipment, thinned);
        let kept = diesel::insert_into(thinnings::table)
            .values(&row)
            .on_conflict(thinnings::equipment_id)
            .do_update()
            .set(&row);
        self.run(kept).await?;
        Ok(())
    }

    async fn note_late(&mut self, late: &[(EquipmentId, Timestamp)]) -> Result<(), StoreError> {
        let (pieces, instants): (Vec<i64>, Vec<PgTimestamp>) =
            late.iter().map(|(piece, at)| (piece.get(), stamp(*at))).unzip();
        let noted = Statement::<()>::new(NOTE_LATE)
            .bind::<Array<BigInt>, _>(pieces)
            .bind::<Array<Timestamptz>, _>(instants);
        self.run(noted).await?;
        Ok(())
    }

    async fn behind(
        &mut self,
        by: &str,
        as_of: Timestamp,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError> {
        let behind = Statement::<BigInt>::new(BEHIND)
            .bind::<BigInt, _>(after.map_or(0, EquipmentId::get))
            .bind::<Text, _>(by)
            .bind::<Timestamptz, _>(stamp(as_of))
            .bind::<BigInt, _>(i64::from(limit));
        equipment_ids(self.all(behind).await?)
    }
}
