//! What equipment did within each minute, hour and day: the `rollups` table, and the hours of which it became untrue.

use crate::equipment::equipment_ids;
use crate::heads;
use crate::link::Link;
use crate::rows::{Row, count, stamp};
use crate::schema::{equipment_heads, rollups_due};
use crate::statement::Statement;
use async_trait::async_trait;
use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, SmallInt, Timestamptz};
use domain::id::EquipmentId;
use domain::ports::{Rollups, StoreError};
use domain::telemetry::rollup::{Digest, Grain};
use domain::telemetry::{Head, MetricName};
use domain::time::Timestamp;
use packing::digests;

const FIND: &str = "\
    SELECT rollups.at, rollups.body FROM rollups \
    WHERE rollups.equipment_id = ? AND rollups.grain = ? AND rollups.at >= ? AND rollups.at < ? \
    ORDER BY rollups.at LIMIT ?";

const KEEP: &str = "\
    INSERT INTO rollups (equipment_id, grain, at, body) \
    SELECT unnest(?::bigint[]), unnest(?::smallint[]), unnest(?::timestamptz[]), unnest(?::bytea[]) \
    ON CONFLICT ON CONSTRAINT rollups_pkey DO UPDATE SET body = excluded.body";

/// The digests about these hours and about their days; and the hours, which are due from now on.
const OUTDATE: &str = "\
    WITH gone AS (DELETE FROM rollups \
        USING unnest(?::bigint[], ?::smallint[], ?::timestamptz[]) AS untrue (equipment_id, grain, at) \
        WHERE rollups.equipment_id = untrue.equipment_id AND rollups.grain = untrue.grain \
            AND rollups.at = untrue.at) \
    INSERT INTO rollups_due (equipment_id, at) SELECT unnest(?::bigint[]), unnest(?::timestamptz[]) \
    ON CONFLICT ON CONSTRAINT rollups_due_pkey DO NOTHING";

const BEHIND: &str = "\
    SELECT head.equipment_id FROM equipment_heads AS head \
    WHERE head.equipment_id > ? AND ( \
        (head.last_seen_at IS NOT NULL AND head.rolled_until IS NULL) \
        OR (head.last_seen_at - interval '1 hour' >= head.rolled_until AND head.rolled_until < ?) \
        OR (head.last_seen_at >= head.rolled_until AND head.rolled_until < ?) \
        OR EXISTS (SELECT FROM rollups_due AS due WHERE due.equipment_id = head.equipment_id AND due.at < $2)) \
    ORDER BY head.equipment_id LIMIT ?";

const FORGET: &str = "\
    DELETE FROM rollups WHERE ctid = ANY(ARRAY(SELECT ctid FROM rollups WHERE grain = ? AND at < ? LIMIT ?))";

const fn number(grain: Grain) -> i16 {
    match grain {
        Grain::Minute => 0,
        Grain::Hour => 1,
        Grain::Day => 2,
    }
}

#[async_trait]
impl Rollups for Link {
    async fn lock_head(&mut self, equipment: EquipmentId) -> Result<Option<Head>, StoreError> {
        heads::lock_even_hidden(self, equipment).await
    }

    async fn find(
        &mut self,
        equipment: EquipmentId,
        grain: Grain,
        (from, until): (Timestamp, Timestamp),
        metrics: &[MetricName],
        limit: u32,
    ) -> Result<Vec<Digest>, StoreError> {
        let found = Statement::<(Timestamptz, Binary)>::new(FIND)
            .bind::<BigInt, _>(equipment.get())
            .bind::<SmallInt, _>(number(grain))
            .bind::<Timestamptz, _>(stamp(from))
            .bind::<Timestamptz, _>(stamp(until))
            .bind::<BigInt, _>(i64::from(limit));
        let found: Vec<(PgTimestamp, Vec<u8>)> = self.all(found).await?;
        let digest = |(at, body): (PgTimestamp, Vec<u8>)| {
            let key = format_args!("({equipment}, {grain:?}, {})", at.0);
            let row = Row { table: "rollups", key: &key };
            let mut digest = Digest::new(equipment, grain, row.instant("at", at)?);
            row.read("body", digests::read(&mut digest, &body, metrics).ok())?;
            Ok(digest)
        };
        found.into_iter().map(digest).collect()
    }

    async fn keep(&mut self, digests: &[Digest]) -> Result<(), StoreError> {
        let kept = Statement::<()>::new(KEEP)
            .bind::<Array<BigInt>, _>(digests.iter().map(|digest| digest.equipment.get()).collect::<Vec<_>>())
            .bind::<Array<SmallInt>, _>(digests.iter().map(|digest| number(digest.grain)).collect::<Vec<_>>())
            .bind::<Array<Timestamptz>, _>(digests.iter().map(|digest| stamp(digest.at)).collect::<Vec<_>>())
            .bind::<Array<Binary>, _>(digests.iter().map(digests::write).collect::<Vec<_>>());
        self.run(kept).await?;
        Ok(())
    }

    async fn outdate(&mut self, hours: &[(EquipmentId, Timestamp)]) -> Result<(), StoreError> {
        let mut untrue = (Vec::new(), Vec::new(), Vec::new());
        for (piece, hour) in hours {
            for grain in Grain::ALL {
                untrue.0.push(piece.get());
                untrue.1.push(number(grain));
                untrue.2.push(stamp(grain.kept_by().start_of(*hour)));
            }
        }
        let (pieces, due): (Vec<i64>, Vec<PgTimestamp>) =
            hours.iter().map(|(piece, hour)| (piece.get(), stamp(*hour))).unzip();
        let outdated = Statement::<()>::new(OUTDATE)
            .bind::<Array<BigInt>, _>(untrue.0)
            .bind::<Array<SmallInt>, _>(untrue.1)
            .bind::<Array<Timestamptz>, _>(untrue.2)
            .bind::<Array<BigInt>, _>(pieces)
            .bind::<Array<Timestamptz>, _>(due);
        self.run(outdated).await?;
        Ok(())
    }

    async fn due(&mut self, equipment: EquipmentId, limit: u32) -> Result<Vec<Timestamp>, StoreError> {
        let due = rollups_due::table
            .filter(rollups_due::equipment_id.eq(equipment.get()))
            .order(rollups_due::at)
            .select(rollups_due::at)
            .limit(limit.into());
        let due: Vec<PgTimestamp> = self.all(due).await?;
        let row = Row { table: "rollups_due", key: &equipment };
        due.into_iter().map(|at| row.instant("at", at)).collect()
    }

    async fn settle(&mut self, equipment: EquipmentId, hours: &[Timestamp]) -> Result<(), StoreError> {
        let hours: Vec<PgTimestamp> = hours.iter().map(|hour| stamp(*hour)).collect();
        let due = rollups_due::table
            .filter(rollups_due::equipment_id.eq(equipment.get()))
            .filter(rollups_due::at.eq_any(hours));
        self.run(diesel::delete(due)).await?;
        Ok(())
    }

    async fn note_rolled(&mut self, equipment: EquipmentId, until: Timestamp) -> Result<(), StoreError> {
        let head = diesel::update(equipment_heads::table.find(equipment.get()));
        self.run(head.set(equipment_heads::rolled_until.eq(stamp(until)))).await?;
        Ok(())
    }

    async fn behind(
        &mut self,
        settled: Timestamp,
        closed: Timestamp,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError> {
        let behind = Statement::<BigInt>::new(BEHIND)
            .bind::<BigInt, _>(after.map_or(0, EquipmentId::get))
            .bind::<Timestamptz, _>(stamp(settled))
            .bind::<Timestamptz, _>(stamp(closed))
            .bind::<BigInt, _>(i64::from(limit));
        equipment_ids(self.all(behind).await?)
    }

    async fn forget(&mut self, grain: Grain, before: Timestamp, most: u32) -> Result<u64, StoreError> {
        let forgotten = Statement::<()>::new(FORGET)
            .bind::<SmallInt, _>(number(grain))
            .bind::<Timestamptz, _>(stamp(before))
            .bind::<BigInt, _>(i64::from(most));
        self.run(forgotten).await.map(count)
    }
}
