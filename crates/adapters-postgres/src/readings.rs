//! What equipment measured: the `readings` table, partitioned by instant. Stretches of it are in `stretches`, heads in
//! `heads`, and who said nothing in `silence`.

use crate::distinct::Distinct;
use crate::equipment::equipment_ids;
use crate::link::Link;
use crate::ragged::Ragged;
use crate::rows::{JsonText, Row, count, stamp};
use crate::schema::{packs as packs_table, readings};
use crate::statement::Statement;
use crate::{heads, packs, silence, stretches, tags, weeks};
use async_trait::async_trait;
use diesel::data_types::PgTimestamp;
use diesel::dsl::{AsSelect, SqlTypeOf, exists};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Double, Integer, Json, Nullable, Timestamptz};
use domain::id::{EquipmentId, RuleId};
use domain::page::{Direction, Stretch};
use domain::ports::{Part, Readings, StoreError};
use domain::rules::Target;
use domain::telemetry::{Head, MetricName, Reading, ReadingFilter, ReadingId, ReadingQuery, Shape, Values};
use domain::time::Timestamp;
use std::collections::HashMap;

/// Readings carry different numbers of values: they come one after the other, with where those of each begin and end. Taken
/// apart so, and row by row, they cost the server no more than a COPY of the same rows (decision 11 has the figures).
macro_rules! new {
    () => {
        "(SELECT unnest(?::bigint[]) AS equipment_id, unnest(?::timestamptz[]) AS at, \
            unnest(?::timestamptz[]) AS received_at, unnest(?::integer[]) AS shape_id, \
            unnest(?::integer[]) AS first, unnest(?::integer[]) AS last, unnest(?::json[]) AS tags) AS new"
    };
}

const INSERT: &str = concat!(
    "INSERT INTO readings (equipment_id, at, received_at, shape_id, numbers, tags) \
     SELECT equipment_id, at, received_at, shape_id, (?::double precision[])[first:last], tags FROM ",
    new!()
);

const REPLACE: &str = concat!(
    "UPDATE readings SET received_at = new.received_at, shape_id = new.shape_id, \
        numbers = (?::double precision[])[first:last], tags = new.tags FROM ",
    new!(),
    " WHERE readings.equipment_id = new.equipment_id AND readings.at = new.at"
);

const FIND: &str = "\
    SELECT ? FROM readings JOIN equipment ON equipment.id = readings.equipment_id AND equipment.hidden_at IS NULL \
    WHERE readings.equipment_id = ? AND readings.at = ?";

/// Walks from each wanted one to its row. The limit keeps it so; and as what is wanted is not known when this is planned, it is
/// planned once, where looking up one of them would have all partitions weighed up each time.
const AT_HAND: &str = "\
    SELECT ? FROM unnest(?::bigint[], ?::timestamptz[]) AS wanted (equipment_id, at) CROSS JOIN LATERAL ( \
        SELECT * FROM readings WHERE readings.equipment_id = wanted.equipment_id AND readings.at = wanted.at LIMIT 1 \
    ) AS readings \
    WHERE EXISTS (SELECT FROM equipment_heads AS head WHERE head.equipment_id = wanted.equipment_id AND NOT head.hidden)";

const FIND_ALL: &str = "\
    SELECT ? FROM unnest(?::bigint[], ?::timestamptz[]) AS wanted (equipment_id, at) \
    JOIN readings ON readings.equipment_id = wanted.equipment_id AND readings.at = wanted.at";

const DELETE: &str = "\
    DELETE FROM readings USING unnest(?::bigint[], ?::timestamptz[]) AS gone (equipment_id, at) \
    WHERE readings.equipment_id = gone.equipment_id AND readings.at = gone.at";

const DELETE_SOME: &str = "\
    DELETE FROM readings WHERE equipment_id = ? AND at <= ( \
        SELECT max(at) FROM (SELECT at FROM readings WHERE equipment_id = $1 ORDER BY at LIMIT ?) AS oldest)";

/// The limits keep the pieces apart: each is looked up in the index, and nothing else is read.
const REPORTING_BEFORE: &str = "\
    SELECT head.equipment_id FROM equipment_heads AS head CROSS JOIN LATERAL ( \
        (SELECT FROM readings WHERE readings.equipment_id = head.equipment_id AND readings.at < ? LIMIT 1) \
        UNION ALL (SELECT FROM packs WHERE packs.equipment_id = head.equipment_id AND packs.first_at < $1 LIMIT 1) \
        LIMIT 1) AS old \
    WHERE head.equipment_id > ? ORDER BY head.equipment_id LIMIT ?";

const LOOSE_BEFORE: &str = "\
    SELECT head.equipment_id FROM equipment_heads AS head CROSS JOIN LATERAL ( \
        SELECT FROM readings WHERE readings.equipment_id = head.equipment_id AND readings.at < ? LIMIT 1) AS old \
    WHERE head.equipment_id > ? AND NOT head.hidden ORDER BY head.equipment_id LIMIT ?";

const DELETE_SOME_BEFORE: &str = "\
    DELETE FROM readings WHERE equipment_id = ? AND at < least(?, ( \
        SELECT at FROM readings WHERE equipment_id = $1 AND at < $2 ORDER BY at OFFSET ? LIMIT 1))";

/// The SQL types of a [`ReadingRow`].
pub(crate) type ReadingColumns = SqlTypeOf<AsSelect<ReadingRow, Pg>>;

#[async_trait]
impl Readings for Link {
    async fn lock_heads(&mut self, equipment: &[EquipmentId]) -> Result<Vec<Head>, StoreError> {
        heads::lock(self, equipment).await
    }

    async fn heads(&mut self, equipment: &[EquipmentId]) -> Result<Vec<Head>, StoreError> {
        heads::find(self, equipment).await
    }

    async fn save_heads(&mut self, heads: &[Head]) -> Result<(), StoreError> {
        heads::save(self, heads).await
    }

    async fn find(&mut self, id: ReadingId) -> Result<Option<Reading>, StoreError> {
        let row = Statement::<ReadingColumns>::new(FIND)
            .part(ReadingRow::as_select())
            .bind::<BigInt, _>(id.equipment.get())
            .bind::<Timestamptz, _>(stamp(id.at));
        let found: Option<ReadingRow> = self.one(row).await?;
        match found {
            Some(row) => Ok(self.restore_readings(vec![row]).await?.pop()),
            None => packs::find_visible(self, id).await,
        }
    }

    async fn at_hand(&mut self, ids: &[ReadingId]) -> Result<Vec<Reading>, StoreError> {
        self.rows_of(AT_HAND, ids).await
    }

    async fn find_all(&mut self, ids: &[ReadingId]) -> Result<Vec<Reading>, StoreError> {
        let glance = self.look_closely().await?;
        let found = self.find_everywhere(ids).await;
        self.look_away(glance).await;
        found
    }

    async fn insert(&mut self, readings: &[Reading]) -> Result<(), StoreError> {
        let inserting = self.inserting(readings).await?;
        self.run(inserting).await?;
        Ok(())
    }

    async fn replace(&mut self, readings: &[Reading]) -> Result<(), StoreError> {
        packs::unpack(self, readings.iter().map(|reading| reading.id)).await?;
        let replaced = self.written(REPLACE, readings).await?;
        self.run(replaced).await?;
        Ok(())
    }

    async fn delete(&mut self, ids: &[ReadingId]) -> Result<u64, StoreError> {
        packs::unpack(self, ids.iter().copied()).await?;
        let (equipment, instants) = columns(ids);
        let deleted = Statement::<()>::new(DELETE)
            .bind::<Array<BigInt>, _>(equipment)
            .bind::<Array<Timestamptz>, _>(instants);
        self.run(deleted).await.map(count)
    }

    async fn delete_some_of(&mut self, equipment: EquipmentId, most: u32) -> Result<u64, StoreError> {
        let packed = packs::delete_some(self, equipment, None, most).await?;
        let deleted = Statement::<()>::new(DELETE_SOME)
            .bind::<BigInt, _>(equipment.get())
            .bind::<BigInt, _>(i64::from(most) - packed);
        Ok(count(self.run(deleted).await?) + packed.unsigned_abs())
    }

    async fn make_room(&mut self, now: Timestamp) -> Result<(), StoreError> {
        weeks::make(self, stamp(now)).await
    }

    async fn emptied(&mut self, now: Timestamp) -> Result<Vec<Part>, StoreError> {
        weeks::emptied(self, stamp(now)).await
    }

    async fn give_back(&mut self, part: &Part) -> Result<(), StoreError> {
        weeks::give_back(self, part).await
    }

    async fn drop_before(&mut self, before: Timestamp) -> Result<(), StoreError> {
        weeks::drop_before(self, before).await
    }

    async fn reporting_before(
        &mut self,
        before: Timestamp,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError> {
        let pieces = Statement::<BigInt>::new(REPORTING_BEFORE)
            .bind::<Timestamptz, _>(stamp(before))
            .bind::<BigInt, _>(after.map_or(0, EquipmentId::get))
            .bind::<BigInt, _>(i64::from(limit));
        equipment_ids(self.all(pieces).await?)
    }

    async fn delete_some_before(
        &mut self,
        equipment: EquipmentId,
        before: Timestamp,
        most: u32,
    ) -> Result<u64, StoreError> {
        let packed = packs::delete_some(self, equipment, Some(before), most).await?;
        let deleted = Statement::<()>::new(DELETE_SOME_BEFORE)
            .bind::<BigInt, _>(equipment.get())
            .bind::<Timestamptz, _>(stamp(before))
            .bind::<BigInt, _>(i64::from(most) - packed);
        Ok(count(self.run(deleted).await?) + packed.unsigned_abs())
    }

    async fn pack(
        &mut self,
        equipment: EquipmentId,
        before: Timestamp,
        most: u32,
    ) -> Result<u64, StoreError> {
        packs::pack(self, equipment, before, most).await
    }

    async fn loose_before(
        &mut self,
        before: Timestamp,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError> {
        let pieces = Statement::<BigInt>::new(LOOSE_BEFORE)
            .bind::<Timestamptz, _>(stamp(before))
            .bind::<BigInt, _>(after.map_or(0, EquipmentId::get))
            .bind::<BigInt, _>(i64::from(limit));
        equipment_ids(self.all(pieces).await?)
    }

    async fn read(&mut self, query: &ReadingQuery) -> Result<Stretch<Reading>, StoreError> {
        stretches::read(self, query).await
    }

    async fn scan(
        &mut self,
        filter: &ReadingFilter,
        direction: Direction,
        after: Option<ReadingId>,
        limit: u32,
    ) -> Result<Vec<Reading>, StoreError> {
        stretches::scan(self, filter, direction, after, limit).await
    }

    async fn silent(
        &mut self,
        rule: RuleId,
        target: &Target,
        metric: Option<&MetricName>,
        before: Timestamp,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError> {
        silence::silent(self, rule, target, metric, before, after, limit).await
    }
}

impl Link {
    /// Whether any reading of this piece is stored.
    pub(crate) async fn has_readings(&mut self, equipment: EquipmentId) -> Result<bool, StoreError> {
        let of_it = readings::table.filter(readings::equipment_id.eq(equipment.get()));
        let packed = packs_table::table.filter(packs_table::equipment_id.eq(equipment.get()));
        self.the(diesel::select(exists(of_it).or(exists(packed)))).await
    }

    /// The stored ones among these, wherever they lie.
    async fn find_everywhere(&mut self, ids: &[ReadingId]) -> Result<Vec<Reading>, StoreError> {
        let mut found = self.rows_of(FIND_ALL, ids).await?;
        found.extend(packs::find(self, ids).await?);
        Ok(found)
    }

    /// What a statement finds of these that is not packed.
    async fn rows_of(
        &mut self,
        finding: &'static str,
        ids: &[ReadingId],
    ) -> Result<Vec<Reading>, StoreError> {
        let (equipment, instants) = columns(ids);
        let rows = Statement::<ReadingColumns>::new(finding)
            .part(ReadingRow::as_select())
            .bind::<Array<BigInt>, _>(equipment)
            .bind::<Array<Timestamptz>, _>(instants);
        let rows = self.all(rows).await?;
        self.restore_readings(rows).await
    }

    /// Stores readings of times about which there is no pack.
    pub(crate) async fn insert_rows(&mut self, readings: &[Reading]) -> Result<(), StoreError> {
        let inserted = self.written(INSERT, readings).await?;
        self.run(inserted).await?;
        Ok(())
    }

    /// Writes new readings of equipment that is there to stay.
    pub(crate) async fn inserting(&mut self, readings: &[Reading]) -> Result<Statement<'static>, StoreError> {
        heads::guard(self, readings.iter().map(|reading| reading.id.equipment.get())).await?;
        packs::unpack(self, readings.iter().map(|reading| reading.id)).await?;
        self.written(INSERT, readings).await
    }

    /// The statement that writes the readings, with the numbers of their shapes. In the order of the key: what lies together
    /// in the index is written together.
    async fn written(
        &mut self,
        text: &'static str,
        readings: &[Reading],
    ) -> Result<Statement<'static>, StoreError> {
        let mut readings: Vec<&Reading> = readings.iter().collect();
        readings.sort_unstable_by_key(|reading| reading.id);
        let mut new = Columns::default();
        for reading in readings {
            new.push(reading)?;
        }
        let shapes = self.shape_numbers(&new.distinct, &new.appeared_at).await?;
        new.bound_to(text, &shapes)
    }

    /// The readings of these rows, in their order.
    pub(crate) async fn restore_readings(
        &mut self,
        rows: Vec<ReadingRow>,
    ) -> Result<Vec<Reading>, StoreError> {
        let shapes = self.shapes(rows.iter().map(|row| row.shape_id).collect()).await?;
        rows.into_iter().map(|row| row.restore(&shapes)).collect()
    }
}

/// Ids column by column, each once.
fn columns(ids: &[ReadingId]) -> (Vec<i64>, Vec<PgTimestamp>) {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids.iter().map(|id| (id.equipment.get(), stamp(id.at))).unzip()
}

/// Readings column by column.
#[derive(Default)]
struct Columns {
    equipment: Vec<i64>,
    at: Vec<PgTimestamp>,
    received_at: Vec<PgTimestamp>,
    /// By the place among the distinct ones.
    shapes: Vec<usize>,
    distinct: Distinct<Shape>,
    /// For each distinct shape, when the first reading of it was received.
    appeared_at: Vec<Timestamp>,
    numbers: Ragged<f64>,
    tags: Vec<Option<JsonText>>,
}

impl Columns {
    fn push(&mut self, reading: &Reading) -> Result<(), StoreError> {
        let shape = self.distinct.place(reading.values.shape());
        if shape == self.appeared_at.len() {
            self.appeared_at.push(reading.received_at);
        }
        self.shapes.push(shape);
        self.equipment.push(reading.id.equipment.get());
        self.at.push(stamp(reading.id.at));
        self.received_at.push(stamp(reading.received_at));
        self.numbers.push(reading.values.numbers());
        self.tags.push(tags::write(&reading.tags)?);
        Ok(())
    }

    fn bound_to(self, text: &'static str, shapes: &[i32]) -> Result<Statement<'static>, StoreError> {
        let row = Row { table: "readings", key: &"(one to be written)" };
        let shape = |place: usize| row.read("shape_id", shapes.get(place).copied());
        let shapes: Vec<i32> = self.shapes.into_iter().map(shape).collect::<Result<_, _>>()?;
        // A column that is shorter than the others is filled up with what is absent.
        let tags = if self.tags.iter().any(Option::is_some) { self.tags } else { Vec::new() };
        Ok(Statement::new(text)
            .bind::<Array<Double>, _>(self.numbers.items)
            .bind::<Array<BigInt>, _>(self.equipment)
            .bind::<Array<Timestamptz>, _>(self.at)
            .bind::<Array<Timestamptz>, _>(self.received_at)
            .bind::<Array<Integer>, _>(shapes)
            .bind::<Array<Integer>, _>(self.numbers.first)
            .bind::<Array<Integer>, _>(self.numbers.last)
            .bind::<Array<Nullable<Json>>, _>(tags))
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = readings, check_for_backend(Pg))]
pub(crate) struct ReadingRow {
    equipment_id: i64,
    at: PgTimestamp,
    received_at: PgTimestamp,
    shape_id: i32,
    numbers: Vec<f64>,
    tags: Option<JsonText>,
}

impl ReadingRow {
    fn restore(self, shapes: &HashMap<i32, Shape>) -> Result<Reading, StoreError> {
        let key = format_args!("({}, {})", self.equipment_id, self.at.0);
        let row = Row { table: "readings", key: &key };
        let shape = row.read("shape_id", shapes.get(&self.shape_id).cloned())?;
        Ok(Reading {
            id: ReadingId {
                equipment: row.read("equipment_id", EquipmentId::new(self.equipment_id))?,
                at: row.instant("at", self.at)?,
            },
            values: row.read("numbers", Values::new(shape, self.numbers))?,
            tags: row.read("tags", tags::read(self.tags.as_ref()))?,
            received_at: row.instant("received_at", self.received_at)?,
        })
    }
}
