//! What happens right now: the `live_events` table, read strictly behind all transactions that may still add to it.
//!
//! Numbers are given when events are written, and transactions become visible in another order. So an event is shown only
//! when every transaction before its own has ended: then no event with a smaller mark can follow.

use crate::alert_rows::AlertRow;
use crate::functions::pg_stat_clear_snapshot;
use crate::link::Link;
use crate::ragged::Ragged;
use crate::rows::{Row, stamp};
use crate::schema::{alerts, equipment, live_events, live_forgotten};
use crate::statement::Statement;
use async_trait::async_trait;
use diesel::data_types::PgTimestamp;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Double, Integer, Nullable, Text, Timestamptz};
use domain::alerts::{Alert, AlertChange};
use domain::id::{AlertId, EquipmentId};
use domain::live::{LiveEvent, Mark, NewLiveEvent};
use domain::ports::{Live, StoreError};
use domain::telemetry::{Shape, Values};
use domain::time::Timestamp;
use std::collections::HashMap;

/// In order, so that later events have larger numbers.
const ANNOUNCE: &str = "\
    INSERT INTO live_events (transaction, at, equipment_id, event_at, alert_id, change, shape_id, numbers) \
    SELECT pg_current_xact_id()::text::bigint, ?, equipment_id, event_at, alert_id, change, shape_id, \
        CASE WHEN shape_id IS NOT NULL THEN (?::double precision[])[first:last] END \
    FROM unnest(?::bigint[], ?::timestamptz[], ?::bigint[], ?::text[], ?::integer[], ?::integer[], ?::integer[]) \
        WITH ORDINALITY AS new (equipment_id, event_at, alert_id, change, shape_id, first, last, place) \
    ORDER BY place";

/// The first transaction that is not known to have ended: the oldest one under way in this database, or else the next. Every
/// event before it can be seen by whoever asks afterwards.
///
/// The server's own notion, `pg_snapshot_xmin`, would have watchers wait for the transactions of every other database too.
/// The numbers of those under way have 32 bits; each lies less than 2^31 from the next.
const HORIZON: &str = "\
    SELECT next - coalesce(max(behind) FILTER (WHERE behind < 2147483648), 0) \
    FROM (SELECT next, (next - backend_xid::text::bigint) & 4294967295 AS behind \
        FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next) AS snapshot \
        LEFT JOIN pg_stat_activity ON datname = current_database() AND backend_xid IS NOT NULL) AS under_way \
    GROUP BY next";

const FORGET: &str = "\
    WITH gone AS (DELETE FROM live_events WHERE at < ? RETURNING transaction, number), \
    noted AS (INSERT INTO live_forgotten (transaction, number) \
        SELECT transaction, number FROM gone ORDER BY transaction DESC, number DESC LIMIT 1 \
        ON CONFLICT (id) DO UPDATE SET transaction = excluded.transaction, number = excluded.number \
        WHERE (live_forgotten.transaction, live_forgotten.number) < (excluded.transaction, excluded.number)) \
    SELECT count(*) FROM gone";

#[async_trait]
impl Live for Link {
    async fn announce(&mut self, events: &[NewLiveEvent], now: Timestamp) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let shapes = events.iter().filter_map(|event| match event {
            NewLiveEvent::Values { values, .. } => Some((values.shape().clone(), now)),
            NewLiveEvent::Alert { .. } => None,
        });
        let shapes = self.shape_ids(shapes.collect()).await?;
        let mut new = Columns::default();
        for event in events {
            new.push(event, &shapes)?;
        }
        self.run(new.announced(now)).await?;
        Ok(())
    }

    async fn newest(&mut self) -> Result<Option<Mark>, StoreError> {
        let horizon = self.horizon().await?;
        let newest = live_events::table
            .filter(live_events::transaction.lt(horizon))
            .order((live_events::transaction.desc(), live_events::number.desc()))
            .select((live_events::transaction, live_events::number))
            .limit(1);
        let newest = self.one(newest).await?.map(mark);
        Ok(newest.max(self.forgotten(horizon).await?))
    }

    /// What was forgotten is looked up last: an event that was forgotten meanwhile is missing from those that were read.
    async fn after(&mut self, mark: Option<Mark>, limit: u32) -> Result<Option<Vec<LiveEvent>>, StoreError> {
        let horizon = self.horizon().await?;
        let Mark { transaction, number } = mark.unwrap_or_default();
        let events = live_events::table
            .inner_join(equipment::table)
            .left_join(alerts::table)
            .filter(equipment::hidden_at.is_null())
            .filter(live_events::transaction.ge(transaction).and(live_events::transaction.lt(horizon)))
            .filter(live_events::transaction.gt(transaction).or(live_events::number.gt(number)))
            .order((live_events::transaction, live_events::number))
            .select((EventRow::as_select(), Option::<AlertRow>::as_select()))
            .limit(i64::from(limit));
        let events: Vec<(EventRow, Option<AlertRow>)> = self.all(events).await?;
        // A mark from beyond the horizon is not of this server: the database came here from another.
        if transaction >= horizon || self.forgotten(horizon).await? > mark {
            return Ok(None);
        }
        let shapes = self.shapes(events.iter().filter_map(|(event, _)| event.shape_id).collect()).await?;
        events.into_iter().map(|event| restore(event, &shapes)).collect::<Result<_, _>>().map(Some)
    }

    async fn forget(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let forgotten = Statement::<BigInt>::new(FORGET).bind::<Timestamptz, _>(stamp(before));
        let forgotten: i64 = self.the(forgotten).await?;
        Ok(forgotten.unsigned_abs())
    }
}

impl Link {
    async fn horizon(&mut self) -> Result<i64, StoreError> {
        if self.in_unit().is_ok() {
            // Within a transaction the server would answer who was at work when it was first asked.
            self.run(diesel::select(pg_stat_clear_snapshot())).await?;
        }
        self.the(Statement::<BigInt>::new(HORIZON)).await
    }

    /// How far the events reach that were forgotten. What lies beyond the horizon came from another server and means nothing.
    async fn forgotten(&mut self, horizon: i64) -> Result<Option<Mark>, StoreError> {
        let forgotten = live_forgotten::table
            .filter(live_forgotten::transaction.lt(horizon))
            .select((live_forgotten::transaction, live_forgotten::number));
        Ok(self.one(forgotten).await?.map(mark))
    }
}

fn mark((transaction, number): (i64, i64)) -> Mark {
    Mark { transaction, number }
}

/// Events column by column.
#[derive(Default)]
struct Columns {
    equipment: Vec<i64>,
    at: Vec<PgTimestamp>,
    alerts: Vec<Option<i64>>,
    changes: Vec<Option<&'static str>>,
    shapes: Vec<Option<i32>>,
    numbers: Ragged<f64>,
}

impl Columns {
    fn push(&mut self, event: &NewLiveEvent, shapes: &HashMap<Shape, i32>) -> Result<(), StoreError> {
        self.equipment.push(event.equipment().get());
        match event {
            NewLiveEvent::Values { equipment, at, values } => {
                let row = Row { table: "live_events", key: equipment };
                self.at.push(stamp(*at));
                self.shapes.push(Some(row.read("shape_id", shapes.get(values.shape()).copied())?));
                self.numbers.push(values.numbers());
                self.alerts.push(None);
                self.changes.push(None);
            }
            NewLiveEvent::Alert { alert, change, at, .. } => {
                self.at.push(stamp(*at));
                self.shapes.push(None);
                self.numbers.push(&[]);
                self.alerts.push(Some(alert.get()));
                self.changes.push(Some(change.name()));
            }
        }
        Ok(())
    }

    fn announced(self, now: Timestamp) -> Statement<'static> {
        Statement::new(ANNOUNCE)
            .bind::<Timestamptz, _>(stamp(now))
            .bind::<Array<Double>, _>(self.numbers.items)
            .bind::<Array<BigInt>, _>(self.equipment)
            .bind::<Array<Timestamptz>, _>(self.at)
            .bind::<Array<Nullable<BigInt>>, _>(self.alerts)
            .bind::<Array<Nullable<Text>>, _>(self.changes)
            .bind::<Array<Nullable<Integer>>, _>(self.shapes)
            .bind::<Array<Integer>, _>(self.numbers.first)
            .bind::<Array<Integer>, _>(self.numbers.last)
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = live_events, check_for_backend(Pg))]
struct EventRow {
    transaction: i64,
    number: i64,
    equipment_id: i64,
    event_at: PgTimestamp,
    alert_id: Option<i64>,
    change: Option<String>,
    shape_id: Option<i32>,
    numbers: Option<Vec<f64>>,
}

fn restore(
    (event, alert): (EventRow, Option<AlertRow>),
    shapes: &HashMap<i32, Shape>,
) -> Result<LiveEvent, StoreError> {
    let mark = Mark { transaction: event.transaction, number: event.number };
    let row = Row { table: "live_events", key: &mark };
    let equipment = row.read("equipment_id", EquipmentId::new(event.equipment_id))?;
    let at = row.instant("event_at", event.event_at)?;
    let what = match event.alert_id {
        Some(alert) => {
            let change = event.change.as_deref().and_then(AlertChange::parse);
            let alert = row.read("alert_id", AlertId::new(alert))?;
            NewLiveEvent::Alert { equipment, alert, change: row.read("change", change)?, at }
        }
        None => {
            let shape = event.shape_id.and_then(|id| shapes.get(&id).cloned());
            let shape = row.read("shape_id", shape)?;
            let values = Values::new(shape, event.numbers.unwrap_or_default());
            NewLiveEvent::Values { equipment, at, values: row.read("numbers", values)? }
        }
    };
    Ok(LiveEvent { mark, what, alert: alert.map(Alert::try_from).transpose()? })
}
