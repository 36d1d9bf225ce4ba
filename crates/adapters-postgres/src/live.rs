//! What happens right now: the `live_events` table, read strictly behind all transactions that may still add to it.
//!
//! Numbers are given when events are written, and transactions become visible in another order. So an event is shown only
//! when every transaction before its own has ended: then no event with a smaller mark can follow.

use crate::alert_rows::AlertRow;
use crate::distinct::Distinct;
use crate::functions::pg_stat_clear_snapshot;
use crate::link::Link;
use crate::rows::{Row, stamp};
use crate::schema::{alerts, equipment, live_events, live_forgotten};
use crate::statement::Statement;
use async_trait::async_trait;
use diesel::data_types::PgTimestamp;
use diesel::dsl::{AsSelect, SqlTypeOf};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Double, Integer, Nullable, Text, Timestamptz};
use domain::alerts::{Alert, AlertChange};
use domain::id::{AlertId, EquipmentId};
use domain::live::{LiveEvent, Mark, NewLiveEvent};
use domain::ports::{Live, StoreError};
use domain::telemetry::{Shape, Values};
use domain::time::Timestamp;
use std::collections::{BTreeSet, HashMap, HashSet};

/// So many events make a row at most: who wants a few of them reads the row as a whole.
const AT_ONCE: usize = 1000;

const ANNOUNCE: &str = "\
    INSERT INTO live_events (transaction, number, at, count, equipment, instants, shapes, numbers, alerts, changes) \
    VALUES (pg_current_xact_id()::text::bigint, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// As many rows as have the wanted number of events, at least one. What goes beyond is not even taken from its storage.
const AFTER: &str = "\
    SELECT ? FROM (SELECT live_events.*, \
            sum(count) OVER (ORDER BY transaction, number) - count AS events_before \
        FROM live_events WHERE (transaction, number) > (?, ?) AND transaction < ? \
        ORDER BY transaction, number LIMIT ?) AS live_events \
    WHERE events_before < $4 ORDER BY transaction, number";

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
    WITH gone AS (DELETE FROM live_events WHERE ctid = ANY(ARRAY( \
            SELECT ctid FROM live_events WHERE at < ? ORDER BY at LIMIT ?)) \
        RETURNING transaction, number, count), \
    noted AS (INSERT INTO live_forgotten (transaction, number) \
        SELECT transaction, number FROM gone ORDER BY transaction DESC, number DESC LIMIT 1 \
        ON CONFLICT (id) DO UPDATE SET transaction = excluded.transaction, number = excluded.number \
        WHERE (live_forgotten.transaction, live_forgotten.number) < (excluded.transaction, excluded.number)) \
    SELECT coalesce(sum(count), 0) FROM gone";

#[async_trait]
impl Live for Link {
    async fn announce(&mut self, events: &[NewLiveEvent], now: Timestamp) -> Result<(), StoreError> {
        for events in events.chunks(AT_ONCE) {
            let announcing = self.announcing(events, now).await?;
            self.run(announcing).await?;
        }
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
        let events = self.visible_after(mark.unwrap_or_default(), horizon, limit).await?;
        // A mark from beyond the horizon is not of this server: the database came here from another.
        let is_of_another = mark.is_some_and(|mark| mark.transaction >= horizon);
        if is_of_another || self.forgotten(horizon).await? > mark {
            return Ok(None);
        }
        self.with_alerts(events).await.map(Some)
    }

    async fn forget(&mut self, before: Timestamp, most: u32) -> Result<u64, StoreError> {
        let forgotten = Statement::<BigInt>::new(FORGET)
            .bind::<Timestamptz, _>(stamp(before))
            .bind::<BigInt, _>(i64::from(most));
        let forgotten: i64 = self.the(forgotten).await?;
        Ok(forgotten.unsigned_abs())
    }
}

impl Link {
    /// Writes these events, no more than [`AT_ONCE`].
    pub(crate) async fn announcing(
        &mut self,
        events: &[NewLiveEvent],
        now: Timestamp,
    ) -> Result<Statement<'static>, StoreError> {
        let mut new = Columns::default();
        for event in events {
            new.push(event);
        }
        let appeared_at = vec![now; new.distinct.items().len()];
        let shapes = self.shape_numbers(&new.distinct, &appeared_at).await?;
        self.announced += i64::from(new.count);
        new.announced(self.announced, now, &shapes)
    }

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

    /// The events after the mark of which the equipment is in the register.
    async fn visible_after(
        &mut self,
        mut mark: Mark,
        horizon: i64,
        limit: u32,
    ) -> Result<Vec<(Mark, NewLiveEvent)>, StoreError> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut visible = Vec::new();
        while visible.len() < most {
            let lacking = i64::try_from(most.saturating_sub(visible.len())).unwrap_or(i64::MAX);
            let rows = Statement::<EventColumns>::new(AFTER)
                .part(EventRow::as_select())
                .bind::<BigInt, _>(mark.transaction)
                .bind::<BigInt, _>(mark.number)
                .bind::<BigInt, _>(horizon)
                .bind::<BigInt, _>(lacking);
            let rows: Vec<EventRow> = self.all(rows).await?;
            let Some(last) = rows.last().map(EventRow::mark) else { break };
            let registered = self.registered(rows.iter().flat_map(|row| &row.equipment)).await?;
            let shapes = rows.iter().flat_map(|row| &row.shapes).flatten().copied().collect();
            let shapes = self.shapes(shapes).await?;
            for row in &rows {
                let events = row.restore(&shapes)?.into_iter();
                visible.extend(
                    events.filter(|(at, event)| *at > mark && registered.contains(&event.equipment().get())),
                );
            }
            mark = last;
        }
        visible.truncate(most);
        Ok(visible)
    }

    /// Those of these pieces that are in the register.
    async fn registered(&mut self, pieces: impl Iterator<Item = &i64>) -> Result<HashSet<i64>, StoreError> {
        let pieces = Vec::from_iter(pieces.collect::<BTreeSet<_>>());
        let registered = equipment::table
            .filter(equipment::id.eq_any(pieces))
            .filter(equipment::hidden_at.is_null())
            .select(equipment::id);
        Ok(self.all::<i64, _>(registered).await?.into_iter().collect())
    }

    /// The events, each with its alert as it is now.
    async fn with_alerts(&mut self, events: Vec<(Mark, NewLiveEvent)>) -> Result<Vec<LiveEvent>, StoreError> {
        let wanted: BTreeSet<i64> = events.iter().filter_map(|(_, event)| alert_of(event)).collect();
        let mut found = HashMap::new();
        if !wanted.is_empty() {
            let rows = alerts::table
                .filter(alerts::id.eq_any(Vec::from_iter(wanted)))
                .select((alerts::id, AlertRow::as_select()));
            for (id, alert) in self.all::<(i64, AlertRow), _>(rows).await? {
                found.insert(id, Alert::try_from(alert)?);
            }
        }
        let alert = |event: &NewLiveEvent| alert_of(event).and_then(|id| found.get(&id).cloned());
        Ok(events.into_iter().map(|(mark, what)| LiveEvent { mark, alert: alert(&what), what }).collect())
    }
}

fn mark((transaction, number): (i64, i64)) -> Mark {
    Mark { transaction, number }
}

fn alert_of(event: &NewLiveEvent) -> Option<i64> {
    match event {
        NewLiveEvent::Alert { alert, .. } => Some(alert.get()),
        NewLiveEvent::Values { .. } => None,
    }
}

/// Events column by column.
#[derive(Default)]
struct Columns {
    count: i32,
    equipment: Vec<i64>,
    at: Vec<PgTimestamp>,
    /// By the place among the distinct ones.
    shapes: Vec<Option<usize>>,
    distinct: Distinct<Shape>,
    numbers: Vec<f64>,
    alerts: Vec<Option<i64>>,
    changes: Vec<Option<&'static str>>,
}

impl Columns {
    fn push(&mut self, event: &NewLiveEvent) {
        self.count += 1;
        self.equipment.push(event.equipment().get());
        self.alerts.push(alert_of(event));
        match event {
            NewLiveEvent::Values { at, values, .. } => {
                self.at.push(stamp(*at));
                self.shapes.push(Some(self.distinct.place(values.shape())));
                self.numbers.extend_from_slice(values.numbers());
                self.changes.push(None);
            }
            NewLiveEvent::Alert { change, at, .. } => {
                self.at.push(stamp(*at));
                self.shapes.push(None);
                self.changes.push(Some(change.name()));
            }
        }
    }

    fn announced(
        self,
        number: i64,
        now: Timestamp,
        shapes: &[i32],
    ) -> Result<Statement<'static>, StoreError> {
        let row = Row { table: "live_events", key: &"(one to be written)" };
        let shape = |place: usize| row.read("shapes", shapes.get(place).copied());
        let shapes: Vec<Option<i32>> =
            self.shapes.into_iter().map(|place| place.map(shape).transpose()).collect::<Result<_, _>>()?;
        let is_about_alerts = self.alerts.iter().any(Option::is_some);
        Ok(Statement::new(ANNOUNCE)
            .bind::<BigInt, _>(number)
            .bind::<Timestamptz, _>(stamp(now))
            .bind::<Integer, _>(self.count)
            .bind::<Array<BigInt>, _>(self.equipment)
            .bind::<Array<Timestamptz>, _>(self.at)
            .bind::<Array<Nullable<Integer>>, _>(shapes)
            .bind::<Array<Double>, _>(self.numbers)
            .bind::<Nullable<Array<Nullable<BigInt>>>, _>(is_about_alerts.then_some(self.alerts))
            .bind::<Nullable<Array<Nullable<Text>>>, _>(is_about_alerts.then_some(self.changes)))
    }
}

/// The SQL types of an [`EventRow`].
type EventColumns = SqlTypeOf<AsSelect<EventRow, Pg>>;

/// What one transaction announced at once.
#[derive(Queryable, Selectable)]
#[diesel(table_name = live_events, check_for_backend(Pg))]
struct EventRow {
    transaction: i64,
    number: i64,
    equipment: Vec<i64>,
    instants: Vec<PgTimestamp>,
    shapes: Vec<Option<i32>>,
    numbers: Vec<f64>,
    alerts: Option<Vec<Option<i64>>>,
    changes: Option<Vec<Option<String>>>,
}

impl EventRow {
    /// Where the last of its events stands.
    fn mark(&self) -> Mark {
        mark((self.transaction, self.number))
    }

    /// Its events.
    fn restore(&self, shapes: &HashMap<i32, Shape>) -> Result<Vec<(Mark, NewLiveEvent)>, StoreError> {
        let last = self.mark();
        let row = Row { table: "live_events", key: &last };
        let count = i64::try_from(self.equipment.len()).unwrap_or(i64::MAX);
        let mut numbers = self.numbers.as_slice();
        let mut events = Vec::with_capacity(self.equipment.len());
        let places = self.equipment.iter().zip(&self.instants).zip(&self.shapes).zip(1..).enumerate();
        for (place, (((equipment, at), shape), ordinal)) in places {
            let equipment = row.read("equipment", EquipmentId::new(*equipment))?;
            let at = row.instant("instants", *at)?;
            let event = match shape {
                Some(shape) => {
                    let shape = row.read("shapes", shapes.get(shape).cloned())?;
                    let (its_own, rest) =
                        row.read("numbers", numbers.split_at_checked(shape.metrics().len()))?;
                    numbers = rest;
                    let values = row.read("numbers", Values::new(shape, its_own.to_vec()))?;
                    NewLiveEvent::Values { equipment, at, values }
                }
                None => {
                    let (alert, change) = row.read("alerts", self.alert(place))?;
                    NewLiveEvent::Alert { equipment, alert, change, at }
                }
            };
            let number = last.number.saturating_sub(count).saturating_add(ordinal);
            events.push((Mark { number, ..last }, event));
        }
        Ok(events)
    }

    fn alert(&self, place: usize) -> Option<(AlertId, AlertChange)> {
        let alert = (*self.alerts.as_ref()?.get(place)?)?;
        let change = self.changes.as_ref()?.get(place)?.as_deref()?;
        Some((AlertId::new(alert)?, AlertChange::parse(change)?))
    }
}
