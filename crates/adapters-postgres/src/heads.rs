//! The newest of each piece of equipment: the `equipment_heads` table. Who holds a head is alone with the readings.
//!
//! Nearly always the newest value of every metric came with the newest reading, so a row holds that reading's shape and
//! numbers, and beside them the metrics that were not in it.

use crate::distinct::Distinct;
use crate::link::Link;
use crate::ragged::Ragged;
use crate::rows::{Row, stamp};
use crate::schema::equipment_heads;
use crate::statement::Statement;
use diesel::data_types::PgTimestamp;
use diesel::dsl::{AsSelect, SqlTypeOf};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Double, Integer, Nullable, Text, Timestamptz};
use domain::equipment::Equipment;
use domain::id::EquipmentId;
use domain::ports::{Reference, StoreError};
use domain::telemetry::{Head, Latest, MetricName, Shape};
use domain::text::Label;
use domain::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashMap};

const LOCK: &str = "\
    SELECT ? FROM equipment_heads WHERE equipment_id = ANY(?) ORDER BY equipment_id FOR UPDATE";

/// Shapes are of different sizes: numbers come one after the other, with where those of each head begin and end.
const SAVE: &str = "\
    UPDATE equipment_heads AS head SET last_seen_at = new.last_seen_at, shape_id = new.shape_id, \
        numbers = CASE WHEN new.shape_id IS NOT NULL THEN (?::double precision[])[first:last] END, \
        older_metrics = CASE WHEN older_first <= older_last THEN (?::integer[])[older_first:older_last] END, \
        older_instants = CASE WHEN older_first <= older_last THEN (?::timestamptz[])[older_first:older_last] END, \
        older_numbers = CASE WHEN older_first <= older_last \
            THEN (?::double precision[])[older_first:older_last] END \
    FROM (SELECT unnest(?::bigint[]) AS equipment_id, unnest(?::timestamptz[]) AS last_seen_at, \
        unnest(?::integer[]) AS shape_id, unnest(?::integer[]) AS first, unnest(?::integer[]) AS last, \
        unnest(?::integer[]) AS older_first, unnest(?::integer[]) AS older_last) AS new \
    WHERE head.equipment_id = new.equipment_id";

/// What the head must know of the register. Nothing is written where nothing changes.
const KEEP_UP: &str = "\
    UPDATE equipment_heads AS head SET kind = new.kind, hidden = new.hidden \
    FROM (VALUES (?::bigint, ?::text, ?::boolean)) AS new (equipment_id, kind, hidden) \
    WHERE head.equipment_id = new.equipment_id AND (head.kind, head.hidden) <> (new.kind, new.hidden)";

/// The weakest lock that keeps a row from being deleted.
const GUARD: &str = "\
    SELECT equipment_id FROM equipment_heads WHERE equipment_id = ANY(?) ORDER BY equipment_id FOR KEY SHARE";

/// Asks for the heads of these pieces, hidden or not, to be held until the unit of work ends. All that is answered stands in
/// the row that is locked: whoever waited for it reads it as it is now, which a join would not grant.
pub(crate) fn locking(pieces: &[EquipmentId]) -> Statement<'static, HeadColumns> {
    Statement::new(LOCK).part(HeadRow::as_select()).bind::<Array<BigInt>, _>(ids(pieces))
}

/// The visible ones of these heads, which are held from now on.
pub(crate) async fn locked(link: &mut Link, locked: Vec<HeadRow>) -> Result<Vec<Head>, StoreError> {
    note_held(link, &locked);
    restored_visible(link, locked).await
}

fn note_held(link: &mut Link, locked: &[HeadRow]) {
    for head in locked {
        link.heads.insert(head.equipment_id);
        if let Some(until) = head.packed_until {
            link.packed.insert(head.equipment_id, until);
        }
    }
}

/// The heads of these pieces, held until the unit of work ends; the visible ones are answered.
pub(crate) async fn lock(link: &mut Link, pieces: &[EquipmentId]) -> Result<Vec<Head>, StoreError> {
    let rows = link.all(locking(pieces)).await?;
    locked(link, rows).await
}

/// The head of this piece, hidden or not, held until the unit of work ends.
pub(crate) async fn lock_even_hidden(
    link: &mut Link,
    piece: EquipmentId,
) -> Result<Option<Head>, StoreError> {
    let rows = link.all(locking(&[piece])).await?;
    note_held(link, &rows);
    Ok(restored(link, rows).await?.pop())
}

/// The heads of the visible ones among these pieces, ordered by id.
pub(crate) async fn find(link: &mut Link, pieces: &[EquipmentId]) -> Result<Vec<Head>, StoreError> {
    let rows = equipment_heads::table
        .filter(equipment_heads::equipment_id.eq_any(ids(pieces)))
        .order(equipment_heads::equipment_id)
        .select(HeadRow::as_select());
    let rows = link.all(rows).await?;
    restored_visible(link, rows).await
}

pub(crate) async fn save(link: &mut Link, heads: &[Head]) -> Result<(), StoreError> {
    let saving = saving(link, heads).await?;
    link.run(saving).await?;
    Ok(())
}

/// Writes the heads, with the numbers of their shapes.
pub(crate) async fn saving(link: &mut Link, heads: &[Head]) -> Result<Statement<'static>, StoreError> {
    let mut new = Columns::default();
    for head in heads {
        new.push(head);
    }
    let shapes = link.shape_numbers(&new.shapes, &new.appeared_at).await?;
    let older = link.metric_ids(std::mem::take(&mut new.older)).await?;
    new.saved(&shapes, &older)
}

/// Makes the head of a new piece.
pub(crate) async fn begin(link: &mut Link, piece: i64, kind: &Label) -> Result<(), StoreError> {
    let head = diesel::insert_into(equipment_heads::table)
        .values((equipment_heads::equipment_id.eq(piece), equipment_heads::kind.eq(kind.as_str())));
    link.run(head).await?;
    Ok(())
}

/// Tells the head of a piece what the register says of it now.
pub(crate) async fn keep_up(link: &mut Link, piece: &Equipment) -> Result<(), StoreError> {
    let told = Statement::<()>::new(KEEP_UP)
        .bind::<BigInt, _>(piece.id.get())
        .bind::<Text, _>(piece.details.kind.as_str())
        .bind::<Bool, _>(piece.hidden_at.is_some());
    link.run(told).await?;
    Ok(())
}

/// Refuses equipment that is gone, and keeps the rest from going until the unit of work ends. Costs nothing where this unit
/// holds the heads, as it should.
pub(crate) async fn guard(link: &mut Link, pieces: impl Iterator<Item = i64>) -> Result<(), StoreError> {
    let unguarded: BTreeSet<i64> = pieces.filter(|piece| !link.heads.contains(piece)).collect();
    if unguarded.is_empty() {
        return Ok(());
    }
    let wanted = unguarded.len();
    let guard = Statement::<BigInt>::new(GUARD).bind::<Array<BigInt>, _>(Vec::from_iter(unguarded));
    let guarded: Vec<i64> = link.all(guard).await?;
    if guarded.len() < wanted { Err(StoreError::Dangling(Reference::Equipment)) } else { Ok(()) }
}

fn ids(pieces: &[EquipmentId]) -> Vec<i64> {
    pieces.iter().map(|piece| piece.get()).collect()
}

/// Heads column by column.
#[derive(Default)]
struct Columns {
    equipment: Vec<i64>,
    last_seen_at: Vec<Option<PgTimestamp>>,
    /// The shape of each head's newest reading, by its place among the distinct ones.
    newest: Vec<Option<usize>>,
    shapes: Distinct<Shape>,
    /// For each distinct shape, from when on its metrics are known.
    appeared_at: Vec<Timestamp>,
    numbers: Ragged<f64>,
    older: BTreeMap<MetricName, Timestamp>,
    older_metrics: Ragged<MetricName>,
    older_instants: Vec<PgTimestamp>,
    older_numbers: Vec<f64>,
}

impl Columns {
    fn push(&mut self, head: &Head) {
        self.equipment.push(head.equipment.get());
        self.last_seen_at.push(head.last_seen_at.map(stamp));
        let (newest, older): (Vec<&Latest>, Vec<&Latest>) =
            head.latest.iter().partition(|latest| Some(latest.at) == head.last_seen_at);
        self.numbers.items.extend(newest.iter().map(|latest| latest.value));
        self.numbers.end();
        let shape = newest.first().map(|first| self.place(&newest, first.at));
        self.newest.push(shape);
        for latest in older {
            self.older.entry(latest.metric.clone()).or_insert(latest.at);
            self.older_metrics.items.push(latest.metric.clone());
            self.older_instants.push(stamp(latest.at));
            self.older_numbers.push(latest.value);
        }
        self.older_metrics.end();
    }

    /// The place of the shape that these metrics make.
    fn place(&mut self, newest: &[&Latest], at: Timestamp) -> usize {
        let metrics = || newest.iter().map(|latest| &latest.metric);
        let repeated = self.shapes.last().filter(|last| last.metrics().iter().eq(metrics())).cloned();
        let shape = repeated.unwrap_or_else(|| Shape::new(metrics().cloned().collect()));
        let place = self.shapes.place(&shape);
        if place == self.appeared_at.len() {
            self.appeared_at.push(at);
        }
        place
    }

    fn saved(
        self,
        shapes: &[i32],
        older: &HashMap<MetricName, i32>,
    ) -> Result<Statement<'static>, StoreError> {
        let row = Row { table: "equipment_heads", key: &"(one to be written)" };
        let shape = |place: usize| row.read("shape_id", shapes.get(place).copied());
        let newest: Vec<Option<i32>> =
            self.newest.into_iter().map(|place| place.map(shape).transpose()).collect::<Result<_, _>>()?;
        let metric = |metric: &MetricName| row.read("older_metrics", older.get(metric).copied());
        let older: Vec<i32> = self.older_metrics.items.iter().map(metric).collect::<Result<_, _>>()?;
        // Columns that are shorter than the others are filled up with what is absent.
        let (older_first, older_last) = if older.is_empty() {
            (Vec::new(), Vec::new())
        } else {
            (self.older_metrics.first, self.older_metrics.last)
        };
        Ok(Statement::new(SAVE)
            .bind::<Array<Double>, _>(self.numbers.items)
            .bind::<Array<Integer>, _>(older)
            .bind::<Array<Timestamptz>, _>(self.older_instants)
            .bind::<Array<Double>, _>(self.older_numbers)
            .bind::<Array<BigInt>, _>(self.equipment)
            .bind::<Array<Nullable<Timestamptz>>, _>(self.last_seen_at)
            .bind::<Array<Nullable<Integer>>, _>(newest)
            .bind::<Array<Integer>, _>(self.numbers.first)
            .bind::<Array<Integer>, _>(self.numbers.last)
            .bind::<Array<Integer>, _>(older_first)
            .bind::<Array<Integer>, _>(older_last))
    }
}

/// The SQL types of a [`HeadRow`].
pub(crate) type HeadColumns = SqlTypeOf<AsSelect<HeadRow, Pg>>;

#[derive(Queryable, Selectable)]
#[diesel(table_name = equipment_heads, check_for_backend(Pg))]
pub(crate) struct HeadRow {
    equipment_id: i64,
    kind: String,
    hidden: bool,
    last_seen_at: Option<PgTimestamp>,
    shape_id: Option<i32>,
    numbers: Option<Vec<f64>>,
    older_metrics: Option<Vec<i32>>,
    older_instants: Option<Vec<PgTimestamp>>,
    older_numbers: Option<Vec<f64>>,
    rolled_until: Option<PgTimestamp>,
    packed_until: Option<PgTimestamp>,
}

/// The visible ones of these heads.
async fn restored_visible(link: &mut Link, mut rows: Vec<HeadRow>) -> Result<Vec<Head>, StoreError> {
    rows.retain(|head| !head.hidden);
    restored(link, rows).await
}

async fn restored(link: &mut Link, rows: Vec<HeadRow>) -> Result<Vec<Head>, StoreError> {
    let shapes = link.shapes(rows.iter().filter_map(|head| head.shape_id).collect()).await?;
    let older = rows.iter().filter_map(|head| head.older_metrics.as_deref()).flatten().copied().collect();
    let names = link.metric_names(older).await?;
    rows.into_iter().map(|head| head.restore(&shapes, &names)).collect()
}

impl HeadRow {
    fn restore(
        self,
        shapes: &HashMap<i32, Shape>,
        names: &HashMap<i32, MetricName>,
    ) -> Result<Head, StoreError> {
        let row = Row { table: "equipment_heads", key: &self.equipment_id };
        let last_seen_at = row.maybe_instant("last_seen_at", self.last_seen_at)?;
        let mut latest = Vec::new();
        if let Some(shape) = self.shape_id {
            let shape = row.read("shape_id", shapes.get(&shape))?;
            let at = row.read("last_seen_at", last_seen_at)?;
            let numbers = self.numbers.filter(|numbers| numbers.len() == shape.metrics().len());
            let newest = shape.metrics().iter().zip(row.read("numbers", numbers)?);
            latest.extend(newest.map(|(metric, value)| Latest { metric: metric.clone(), at, value }));
        }
        let (metrics, instants) =
            (self.older_metrics.unwrap_or_default(), self.older_instants.unwrap_or_default());
        let older = metrics.iter().zip(instants).zip(self.older_numbers.unwrap_or_default());
        for ((metric, at), value) in older {
            let metric = row.read("older_metrics", names.get(metric).cloned())?;
            latest.push(Latest { metric, at: row.instant("older_instants", at)?, value });
        }
        if !metrics.is_empty() {
            latest.sort_unstable_by(|one, other| one.metric.cmp(&other.metric));
        }
        Ok(Head {
            equipment: row.read("equipment_id", EquipmentId::new(self.equipment_id))?,
            kind: Label::restore(self.kind),
            last_seen_at,
            latest,
            rolled_until: row.maybe_instant("rolled_until", self.rolled_until)?,
        })
    }
}
