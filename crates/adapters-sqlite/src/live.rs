//! What happens right now.

use crate::among::{among, among_pairs};
use crate::catalogue::Catalogue;
use crate::equipment_lists::hidden;
use crate::lists::{changed, restored};
use crate::rows::{AlertRow, LiveEventRow, numbers_column};
use crate::schema::{alerts, live_events, live_marks};
use crate::work::{Answer, Work};
use async_trait::async_trait;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};
use domain::alerts::Alert;
use domain::live::{LiveEvent, Mark, NewLiveEvent};
use domain::ports::{Live, StoreError};
use domain::telemetry::Shape;
use domain::time::Timestamp;
use std::collections::{HashMap, HashSet};

/// How many events are written by one statement: SQLite takes 32,766 parameters.
const AT_ONCE: usize = 1_000;

#[async_trait]
impl Live for Work {
    async fn announce(&mut self, events: &[NewLiveEvent], now: Timestamp) -> Result<(), StoreError> {
        let (catalogue, events, unit) = (self.catalogue.clone(), events.to_vec(), self.announcing);
        let unit = self.run(move |connection| announce(connection, &catalogue, unit, &events, now)).await?;
        self.announcing = Some(unit);
        Ok(())
    }

    async fn newest(&mut self) -> Result<Option<Mark>, StoreError> {
        self.run(|connection| {
            let newest = (live_marks::newest_unit, live_marks::newest_number);
            Ok(mark(live_marks::table.select(newest).first(connection)?))
        })
        .await
    }

    async fn after(&mut self, mark: Option<Mark>, limit: u32) -> Result<Option<Vec<LiveEvent>>, StoreError> {
        let catalogue = self.catalogue.clone();
        self.run(move |connection| after(connection, &catalogue, mark, limit)).await
    }

    async fn forget(&mut self, before: Timestamp, most: u32) -> Result<u64, StoreError> {
        self.hold()?;
        self.run(move |connection| forget(connection, before, most)).await
    }
}

/// The mark in two columns; there is none while nothing was numbered.
fn mark((unit, number): (i64, i64)) -> Option<Mark> {
    (number > 0).then_some(Mark { transaction: unit, number })
}

#[derive(Insertable)]
#[diesel(table_name = live_events, treat_none_as_default_value = false)]
struct NewRow {
    unit: i64,
    number: i64,
    written_at: i64,
    equipment_id: i64,
    at: i64,
    shape_id: Option<i64>,
    numbers: Option<Vec<u8>>,
    alert_id: Option<i64>,
    change: Option<&'static str>,
}

/// Answers the number of the unit of work, which is larger than that of any before it: only one writes at a time, so they
/// are committed in the order in which they began.
fn announce(
    connection: &mut SqliteConnection,
    catalogue: &Catalogue,
    unit: Option<i64>,
    events: &[NewLiveEvent],
    now: Timestamp,
) -> Answer<i64> {
    let newest = (live_marks::newest_unit, live_marks::newest_number);
    let (newest_unit, newest_number): (i64, i64) = live_marks::table.select(newest).first(connection)?;
    let unit = unit.unwrap_or(newest_unit + 1);
    let shapes = catalogue.shapes(connection, &shapes_of(events, now))?;
    let row = |(number, event)| NewRow { unit, number, written_at: now.micros(), ..row(event, &shapes) };
    let rows: Vec<NewRow> = (newest_number + 1..).zip(events).map(row).collect();
    for part in rows.chunks(AT_ONCE) {
        diesel::insert_into(live_events::table).values(part).execute(connection)?;
    }
    let numbered = newest_number + i64::try_from(events.len()).unwrap_or(i64::MAX);
    diesel::update(live_marks::table)
        .set((live_marks::newest_unit.eq(unit), live_marks::newest_number.eq(numbered)))
        .execute(connection)?;
    Ok(unit)
}

fn shapes_of(events: &[NewLiveEvent], now: Timestamp) -> HashMap<Shape, Timestamp> {
    let shape = |event: &NewLiveEvent| match event {
        NewLiveEvent::Values { values, .. } => Some((values.shape().clone(), now)),
        NewLiveEvent::Alert { .. } => None,
    };
    events.iter().filter_map(shape).collect()
}

/// What the event says. Where it stands and when it was written is not said yet.
fn row(event: &NewLiveEvent, shapes: &HashMap<Shape, i64>) -> NewRow {
    let nothing = NewRow {
        unit: 0,
        number: 0,
        written_at: 0,
        equipment_id: event.equipment().get(),
        at: 0,
        shape_id: None,
        numbers: None,
        alert_id: None,
        change: None,
    };
    match event {
        NewLiveEvent::Values { at, values, .. } => NewRow {
            at: at.micros(),
            shape_id: shapes.get(values.shape()).copied(),
            numbers: Some(numbers_column(values)),
            ..nothing
        },
        NewLiveEvent::Alert { alert, change, at, .. } => {
            NewRow { at: at.micros(), alert_id: Some(alert.get()), change: Some(change.name()), ..nothing }
        }
    }
}

fn after(
    connection: &mut SqliteConnection,
    catalogue: &Catalogue,
    seen: Option<Mark>,
    limit: u32,
) -> Answer<Option<Vec<LiveEvent>>> {
    let forgotten = (live_marks::forgotten_unit, live_marks::forgotten_number);
    if mark(live_marks::table.select(forgotten).first(connection)?) > seen {
        return Ok(None);
    }
    let Mark { transaction, number } = seen.unwrap_or_default();
    let later = sql::<Bool>("(live_events.unit, live_events.number) > (")
        .bind::<BigInt, _>(transaction)
        .sql(", ")
        .bind::<BigInt, _>(number)
        .sql(")");
    let rows: Vec<LiveEventRow> = live_events::table
        .filter(later)
        .filter(live_events::equipment_id.ne_all(hidden()))
        .order((live_events::unit, live_events::number))
        .limit(limit.into())
        .select(LiveEventRow::as_select())
        .load(connection)?;
    let shapes: HashSet<i64> = rows.iter().filter_map(|row| row.shape_id).collect();
    let shapes = catalogue.shapes_numbered(connection, shapes)?;
    let alerts = alerts_now(connection, rows.iter().filter_map(|row| row.alert_id))?;
    let event = |row: LiveEventRow| {
        let alert = row.alert_id.and_then(|id| alerts.get(&id).cloned());
        row.with(&shapes, alert)
    };
    Ok(Some(rows.into_iter().map(event).collect::<Result<_, _>>()?))
}

/// These alerts as they are now, as far as they are there.
fn alerts_now(
    connection: &mut SqliteConnection,
    ids: impl Iterator<Item = i64>,
) -> Answer<HashMap<i64, Alert>> {
    let ids: HashSet<i64> = ids.collect();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = alerts::table.filter(among(alerts::id, ids)).select(AlertRow::as_select());
    let alerts: Vec<Alert> = restored(rows.load(connection)?)?;
    Ok(alerts.into_iter().map(|alert| (alert.id.get(), alert)).collect())
}

fn forget(connection: &mut SqliteConnection, before: Timestamp, most: u32) -> Answer<u64> {
    let marks: Vec<(i64, i64)> = live_events::table
        .filter(live_events::written_at.lt(before.micros()))
        .order(live_events::written_at)
        .limit(most.into())
        .select((live_events::unit, live_events::number))
        .load(connection)?;
    let forgotten = among_pairs((live_events::unit, live_events::number), marks.iter().copied());
    diesel::delete(live_events::table.filter(forgotten)).execute(connection)?;
    if let Some((unit, number)) = marks.iter().max() {
        diesel::update(live_marks::table)
            .filter(live_marks::forgotten_number.lt(*number))
            .set((live_marks::forgotten_unit.eq(*unit), live_marks::forgotten_number.eq(*number)))
            .execute(connection)?;
    }
    Ok(changed(marks.len()))
}
