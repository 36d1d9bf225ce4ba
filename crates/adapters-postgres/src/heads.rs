//! The newest of each piece of equipment: the `equipment_heads` table. Who holds a head is alone with the readings.

use crate::link::Link;
use crate::ragged::Ragged;
use crate::rows::{Row, stamp};
use crate::schema::{equipment, equipment_heads};
use crate::statement::Statement;
use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Double, Integer, Nullable, Timestamptz};
use domain::id::EquipmentId;
use domain::ports::{Reference, StoreError};
use domain::telemetry::{Head, Latest, MetricName};
use domain::text::Label;
use std::collections::{BTreeSet, HashMap};

/// Heads know different numbers of metrics: they come one after the other, with where those of each begin and end.
const SAVE: &str = "\
    UPDATE equipment_heads AS head SET last_seen_at = new.last_seen_at, metrics = (?::integer[])[first:last], \
        instants = (?::timestamptz[])[first:last], numbers = (?::double precision[])[first:last] \
    FROM unnest(?::bigint[], ?::timestamptz[], ?::integer[], ?::integer[]) \
        AS new (equipment_id, last_seen_at, first, last) \
    WHERE head.equipment_id = new.equipment_id";

/// The weakest lock that keeps a row from being deleted.
const GUARD: &str = "\
    SELECT equipment_id FROM equipment_heads WHERE equipment_id = ANY(?) ORDER BY equipment_id FOR KEY SHARE";

/// The head of a piece, with its kind.
type HeadRow = (i64, String, Option<PgTimestamp>, Vec<i32>, Vec<PgTimestamp>, Vec<f64>);

/// Locks first and reads afterwards: a statement that waited for a lock would still see the register of before.
pub(crate) async fn lock(link: &mut Link, pieces: &[EquipmentId]) -> Result<Vec<Head>, StoreError> {
    let lock = equipment_heads::table
        .filter(equipment_heads::equipment_id.eq_any(ids(pieces)))
        .order(equipment_heads::equipment_id)
        .select(equipment_heads::equipment_id)
        .for_update();
    let locked: Vec<i64> = link.all(lock).await?;
    link.heads.extend(locked);
    find(link, pieces).await
}

/// The heads of the visible ones among these pieces, ordered by id.
pub(crate) async fn find(link: &mut Link, pieces: &[EquipmentId]) -> Result<Vec<Head>, StoreError> {
    let rows = equipment_heads::table
        .inner_join(equipment::table)
        .filter(equipment_heads::equipment_id.eq_any(ids(pieces)))
        .filter(equipment::hidden_at.is_null())
        .order(equipment_heads::equipment_id)
        .select((
            equipment_heads::equipment_id,
            equipment::kind,
            equipment_heads::last_seen_at,
            equipment_heads::metrics,
            equipment_heads::instants,
            equipment_heads::numbers,
        ));
    let rows: Vec<HeadRow> = link.all(rows).await?;
    let metrics: BTreeSet<i32> = rows.iter().flat_map(|(_, _, _, metrics, _, _)| metrics).copied().collect();
    let names = link.metric_names(metrics).await?;
    rows.into_iter().map(|row| restore(row, &names)).collect()
}

pub(crate) async fn save(link: &mut Link, heads: &[Head]) -> Result<(), StoreError> {
    let latest = || heads.iter().flat_map(|head| &head.latest);
    let metrics = latest().map(|latest| (latest.metric.clone(), latest.at)).collect();
    let numbers = link.metric_ids(metrics).await?;
    let mut new = Columns::default();
    for head in heads {
        new.push(head, &numbers)?;
    }
    let saved = Statement::<()>::new(SAVE)
        .bind::<Array<Integer>, _>(new.metrics.items)
        .bind::<Array<Timestamptz>, _>(new.instants)
        .bind::<Array<Double>, _>(new.numbers)
        .bind::<Array<BigInt>, _>(new.equipment)
        .bind::<Array<Nullable<Timestamptz>>, _>(new.last_seen_at)
        .bind::<Array<Integer>, _>(new.metrics.first)
        .bind::<Array<Integer>, _>(new.metrics.last);
    link.run(saved).await?;
    Ok(())
}

/// Refuses equipment that is gone, and keeps the rest from going until the unit of work ends. Costs nothing where this unit
/// holds the heads, as it should.
pub(crate) async fn guard(link: &mut Link, pieces: BTreeSet<i64>) -> Result<(), StoreError> {
    let unguarded: Vec<i64> = pieces.into_iter().filter(|piece| !link.heads.contains(piece)).collect();
    if unguarded.is_empty() {
        return Ok(());
    }
    let wanted = unguarded.len();
    let guard = Statement::<BigInt>::new(GUARD).bind::<Array<BigInt>, _>(unguarded);
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
    metrics: Ragged<i32>,
    instants: Vec<PgTimestamp>,
    numbers: Vec<f64>,
}

impl Columns {
    fn push(&mut self, head: &Head, ids: &HashMap<MetricName, i32>) -> Result<(), StoreError> {
        let row = Row { table: "equipment_heads", key: &head.equipment };
        self.equipment.push(head.equipment.get());
        self.last_seen_at.push(head.last_seen_at.map(stamp));
        for latest in &head.latest {
            self.metrics.items.push(row.read("metrics", ids.get(&latest.metric).copied())?);
            self.instants.push(stamp(latest.at));
            self.numbers.push(latest.value);
        }
        self.metrics.end();
        Ok(())
    }
}

fn restore(
    (equipment, kind, last_seen_at, metrics, instants, numbers): HeadRow,
    names: &HashMap<i32, MetricName>,
) -> Result<Head, StoreError> {
    let row = Row { table: "equipment_heads", key: &equipment };
    let latest = metrics.iter().zip(instants).zip(numbers).map(|((metric, at), value)| {
        let metric = row.read("metrics", names.get(metric).cloned())?;
        Ok(Latest { metric, at: row.instant("instants", at)?, value })
    });
    Ok(Head {
        equipment: row.read("equipment_id", EquipmentId::new(equipment))?,
        last_seen_at: row.maybe_instant("last_seen_at", last_seen_at)?,
        latest: latest.collect::<Result<_, StoreError>>()?,
        kind: Label::restore(kind),
    })
}
