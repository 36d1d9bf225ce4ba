//! What equipment did within each minute, hour and day: the `rollups` table, and the hours of which it became untrue.

use crate::among::{among, among_pairs};
use crate::errors::dangles;
use crate::heads::head_even_hidden;
use crate::lists::changed;
use crate::overwrite::overwrite;
use crate::rows::{Place, equipment_id};
use crate::schema::{equipment, equipment_heads, rollups, rollups_due};
use crate::work::{Answer, Work};
use async_trait::async_trait;
use diesel::dsl::exists;
use diesel::prelude::*;
use domain::id::EquipmentId;
use domain::ports::{Reference, Rollups, StoreError};
use domain::telemetry::rollup::{Digest, Grain};
use domain::telemetry::{Head, MetricName};
use domain::time::Timestamp;
use packing::digests;

/// How many hours are noted by one statement.
const AT_ONCE: usize = 5_000;

const fn number(grain: Grain) -> i32 {
    match grain {
        Grain::Minute => 0,
        Grain::Hour => 1,
        Grain::Day => 2,
    }
}

#[async_trait]
impl Rollups for Work {
    async fn lock_head(&mut self, equipment: EquipmentId) -> Result<Option<Head>, StoreError> {
        self.hold()?;
        let catalogue = self.catalogue.clone();
        self.run(move |connection| head_even_hidden(connection, &catalogue, equipment)).await
    }

    async fn find(
        &mut self,
        equipment: EquipmentId,
        grain: Grain,
        span: (Timestamp, Timestamp),
        metrics: &[MetricName],
        limit: u32,
    ) -> Result<Vec<Digest>, StoreError> {
        let metrics = metrics.to_vec();
        self.run(move |connection| find(connection, (equipment, grain), span, &metrics, limit)).await
    }

    async fn keep(&mut self, digests: &[Digest]) -> Result<(), StoreError> {
        let digests = digests.to_vec();
        self.run(move |connection| keep(connection, &digests)).await
    }

    async fn outdate(&mut self, hours: &[(EquipmentId, Timestamp)]) -> Result<(), StoreError> {
        let hours = hours.to_vec();
        self.run(move |connection| outdate(connection, &hours)).await
    }

    async fn due(&mut self, equipment: EquipmentId, limit: u32) -> Result<Vec<Timestamp>, StoreError> {
        self.run(move |connection| {
            let place = Place { table: "rollups_due", row: equipment };
            let hours: Vec<i64> = rollups_due::table
                .filter(rollups_due::equipment_id.eq(equipment.get()))
                .order(rollups_due::at)
                .select(rollups_due::at)
                .limit(limit.into())
                .load(connection)?;
            Ok(hours.into_iter().map(|hour| place.instant("at", hour)).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn settle(&mut self, equipment: EquipmentId, hours: &[Timestamp]) -> Result<(), StoreError> {
        let hours: Vec<i64> = hours.iter().map(|hour| hour.micros()).collect();
        self.run(move |connection| {
            let due = rollups_due::table.filter(rollups_due::equipment_id.eq(equipment.get()));
            diesel::delete(due.filter(among(rollups_due::at, hours))).execute(connection)?;
            Ok(())
        })
        .await
    }

    async fn note_rolled(&mut self, equipment: EquipmentId, until: Timestamp) -> Result<(), StoreError> {
        self.run(move |connection| {
            diesel::update(equipment_heads::table.find(equipment.get()))
                .set(equipment_heads::rolled_until.eq(until.micros()))
                .execute(connection)?;
            Ok(())
        })
        .await
    }

    async fn behind(
        &mut self,
        settled: Timestamp,
        closed: Timestamp,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError> {
        self.run(move |connection| behind(connection, settled, closed, after, limit)).await
    }

    async fn forget(&mut self, grain: Grain, before: Timestamp, most: u32) -> Result<u64, StoreError> {
        self.run(move |connection| forget(connection, grain, before, most)).await
    }
}

fn find(
    connection: &mut SqliteConnection,
    (piece, grain): (EquipmentId, Grain),
    (from, until): (Timestamp, Timestamp),
    metrics: &[MetricName],
    limit: u32,
) -> Answer<Vec<Digest>> {
    let rows: Vec<(i64, Vec<u8>)> = rollups::table
        .filter(rollups::equipment_id.eq(piece.get()))
        .filter(rollups::grain.eq(number(grain)))
        .filter(rollups::at.ge(from.micros()))
        .filter(rollups::at.lt(until.micros()))
        .order(rollups::at)
        .select((rollups::at, rollups::body))
        .limit(limit.into())
        .load(connection)?;
    let digest = |(at, body): (i64, Vec<u8>)| {
        let place = Place { table: "rollups", row: at };
        let mut digest = Digest::new(piece, grain, place.instant("at", at)?);
        place.sound("body", digests::read(&mut digest, &body, metrics).ok())?;
        Ok(digest)
    };
    Ok(rows.into_iter().map(digest).collect::<Result<_, StoreError>>()?)
}

fn keep(connection: &mut SqliteConnection, kept: &[Digest]) -> Answer<()> {
    for digest in kept {
        let row = (
            rollups::equipment_id.eq(digest.equipment.get()),
            rollups::grain.eq(number(digest.grain)),
            rollups::at.eq(digest.at.micros()),
            rollups::body.eq(digests::write(digest)),
        );
        diesel::insert_into(rollups::table)
            .values(row)
            .on_conflict((rollups::equipment_id, rollups::grain, rollups::at))
            .do_update()
            .set(overwrite!(rollups: body))
            .execute(connection)
            .map_err(dangles(Reference::Equipment))?;
    }
    Ok(())
}

fn outdate(connection: &mut SqliteConnection, hours: &[(EquipmentId, Timestamp)]) -> Answer<()> {
    for grain in Grain::ALL {
        let begins =
            hours.iter().map(|(piece, hour)| (piece.get(), grain.kept_by().start_of(*hour).micros()));
        let untrue = rollups::table
            .filter(rollups::grain.eq(number(grain)))
            .filter(among_pairs((rollups::equipment_id, rollups::at), begins));
        diesel::delete(untrue).execute(connection)?;
    }
    let row = |(piece, hour): &(EquipmentId, Timestamp)| {
        (rollups_due::equipment_id.eq(piece.get()), rollups_due::at.eq(hour.micros()))
    };
    for part in hours.chunks(AT_ONCE) {
        diesel::insert_or_ignore_into(rollups_due::table)
            .values(part.iter().map(row).collect::<Vec<_>>())
            .execute(connection)
            .map_err(dangles(Reference::Equipment))?;
    }
    Ok(())
}

fn behind(
    connection: &mut SqliteConnection,
    settled: Timestamp,
    closed: Timestamp,
    after: Option<EquipmentId>,
    limit: u32,
) -> Answer<Vec<EquipmentId>> {
    let due = rollups_due::table
        .filter(rollups_due::equipment_id.eq(equipment::id))
        .filter(rollups_due::at.lt(settled.micros()));
    let (seen, rolled) = (equipment_heads::last_seen_at, equipment_heads::rolled_until);
    let never = seen.is_not_null().and(rolled.is_null());
    let moved_on = seen.ge(rolled + Grain::Hour.micros()).and(rolled.lt(settled.micros()));
    let lags = moved_on.or(seen.ge(rolled).and(rolled.lt(closed.micros())));
    let pieces: Vec<i64> = equipment::table
        .inner_join(equipment_heads::table)
        .filter(equipment::id.gt(after.map_or(0, EquipmentId::get)))
        .filter(exists(due).or(never.assume_not_null()).or(lags.assume_not_null()))
        .order(equipment::id)
        .select(equipment::id)
        .limit(limit.into())
        .load(connection)?;
    Ok(pieces.into_iter().map(|id| equipment_id("equipment", id)).collect::<Result<_, _>>()?)
}

fn forget(connection: &mut SqliteConnection, grain: Grain, before: Timestamp, most: u32) -> Answer<u64> {
    let old: Vec<(i64, i64)> = rollups::table
        .filter(rollups::grain.eq(number(grain)))
        .filter(rollups::at.lt(before.micros()))
        .order(rollups::at)
        .select((rollups::equipment_id, rollups::at))
        .limit(most.into())
        .load(connection)?;
    let mut forgotten = 0;
    for (piece, at) in old {
        forgotten +=
            changed(diesel::delete(rollups::table.find((piece, number(grain), at))).execute(connection)?);
    }
    Ok(forgotten)
}
