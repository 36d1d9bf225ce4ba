//! Keeping rollups: what has happened is rolled up hour by hour once it has settled, and what is written later has its hour
//! rolled up anew. Any server may do it at any time.
//!
//! Whoever writes a reading that is older than what its head says was rolled up removes, in the same unit of work, the
//! digests that it makes untrue (`outdate_in`). So a digest that is there is always true, and where there is none the
//! readings tell.

use super::folding::Folding;
use super::{App, thinning};
use crate::error::Error;
use crate::id::EquipmentId;
use crate::page::Direction;
use crate::ports::UnitOfWork;
use crate::telemetry::rollup::{Column, Digest, Fold, Grain, Minutes};
use crate::telemetry::{Head, Reading, ReadingFilter};
use crate::time::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long after its end an hour is believed to be complete. What comes later has it rolled up once more.
const SETTLES_AFTER: Duration = Duration::from_secs(5 * 60);

/// How many pieces of equipment are looked for at once.
const PIECES_AT_ONCE: u32 = 1000;

/// After how many readings a unit of work ends with the hour that it is at: whoever stores readings of the same equipment
/// waits for it.
const READINGS_AT_ONCE: usize = 10_000;

/// How many readings are held at once.
const READINGS_IN_HAND: u32 = 5_000;

/// How many hours that became untrue one unit of work rolls up anew.
const HOURS_AT_ONCE: u32 = 6;

/// Rolls up what has settled and what became untrue. Says for how many pieces of equipment there was something to do.
pub async fn roll(app: &App) -> Result<u64, Error> {
    roll_closed(app, Timestamp::MIN).await
}

/// The same, and rolls up all that is older than `closed` whether more of it may come or not.
pub(super) async fn roll_closed(app: &App, closed: Timestamp) -> Result<u64, Error> {
    let settled = Grain::Hour.start_of(app.clock.now().before(SETTLES_AFTER));
    let closed = Grain::Hour.next_start(closed).min(settled);
    let mut rolled = 0;
    let mut after = None;
    loop {
        let mut reader = app.store.reader().await?;
        let pieces = reader.rollups().behind(settled, closed, after, PIECES_AT_ONCE).await?;
        drop(reader);
        for piece in &pieces {
            while roll_some_of(app, *piece, settled, closed).await? {}
            rolled += 1;
        }
        let Some(last) = pieces.last() else { return Ok(rolled) };
        after = Some(*last);
    }
}

/// Removes what these readings, which are written or removed now, make untrue of the rollups, and notes what is written where
/// values went early. Each comes with the head of its equipment.
pub(super) async fn outdate_in<'a>(
    tx: &mut dyn UnitOfWork,
    app: &App,
    touched: impl Iterator<Item = (&'a Head, &'a Reading)> + Clone,
    now: Timestamp,
) -> Result<(), Error> {
    thinning::note_late_in(tx, touched.clone().map(|(_, reading)| reading), now).await?;
    // Where readings are kept no more, rollups are all that is left, and must not be made anew from nothing.
    let kept_from = app.policy.readings_kept.whole_from(now);
    let is_late = |(head, reading): &(&Head, &Reading)| {
        head.rolled_until.is_some_and(|rolled_until| reading.id.at < rolled_until)
    };
    let untrue =
        touched.filter(is_late).map(|(head, reading)| (head.equipment, Grain::Hour.start_of(reading.id.at)));
    let hours: BTreeSet<(EquipmentId, Timestamp)> = untrue.filter(|(_, hour)| *hour >= kept_from).collect();
    if !hours.is_empty() {
        tx.rollups().outdate(&Vec::from_iter(hours)).await?;
    }
    Ok(())
}

/// One unit of work for one piece. Says whether there is more to do.
async fn roll_some_of(
    app: &App,
    piece: EquipmentId,
    settled: Timestamp,
    closed: Timestamp,
) -> Result<bool, Error> {
    let mut tx = app.store.begin().await?;
    let Some(head) = tx.readings().lock_heads(&[piece]).await?.pop() else { return Ok(false) };
    let due = tx.rollups().due(piece, HOURS_AT_ONCE).await?;
    let mut made = 0;
    let more = if due.is_empty() {
        // Of the hour of the newest reading there is more to come, however long ago it was.
        let newest = head.last_seen_at.map_or(Timestamp::MIN, |at| Grain::Hour.start_of(at));
        advance_in(&mut *tx, &head, newest.min(settled).max(closed), &mut made).await?
    } else {
        mend_in(&mut *tx, &head, &due, &mut made).await?;
        true
    };
    tx.commit().await?;
    app.totals.count_rollups(made);
    Ok(more)
}

/// Rolls these hours up anew, and the days in which they lie.
async fn mend_in(
    tx: &mut dyn UnitOfWork,
    head: &Head,
    due: &[Timestamp],
    made: &mut usize,
) -> Result<(), Error> {
    for hour in due {
        let end = hour.after(Grain::Hour.length());
        *made += roll_hours_in(tx, head.equipment, *hour, end).await?.made;
    }
    tx.rollups().settle(head.equipment, due).await?;
    let days: BTreeSet<Timestamp> = due.iter().map(|hour| Grain::Day.start_of(*hour)).collect();
    *made += roll_days_in(tx, head, days, head.rolled_until.unwrap_or(Timestamp::MIN)).await?;
    Ok(())
}

/// Rolls up what came after the last time, up to this end. Says whether there is more.
async fn advance_in(
    tx: &mut dyn UnitOfWork,
    head: &Head,
    end: Timestamp,
    made: &mut usize,
) -> Result<bool, Error> {
    let from = head.rolled_until.unwrap_or(Timestamp::MIN);
    if from >= end {
        if head.rolled_until.is_none() {
            tx.rollups().note_rolled(head.equipment, end).await?;
        }
        return Ok(false);
    }
    let Rolled { until, mut hours, made: minutes } = roll_hours_in(tx, head.equipment, from, end).await?;
    // The hours of the day that it stopped in last time were rolled up then.
    hours.insert(from);
    let days: BTreeSet<Timestamp> = hours.into_iter().map(|hour| Grain::Day.start_of(hour)).collect();
    *made += minutes + roll_days_in(tx, head, days, until).await?;
    tx.rollups().note_rolled(head.equipment, until).await?;
    Ok(until < end)
}

/// How far it came.
struct Rolled {
    until: Timestamp,
    /// The hours with readings.
    hours: BTreeSet<Timestamp>,
    /// How many digests were worth keeping.
    made: usize,
}

/// Rolls up the minutes of the hours from one instant to another, which both begin hours, or of as many as are looked at
/// comfortably.
async fn roll_hours_in(
    tx: &mut dyn UnitOfWork,
    piece: EquipmentId,
    from: Timestamp,
    until: Timestamp,
) -> Result<Rolled, Error> {
    let filter = ReadingFilter {
        equipment: vec![piece],
        at: Span { from: Some(from), until: Some(until) },
        ..ReadingFilter::default()
    };
    let mut hours: BTreeMap<Timestamp, Minutes> = BTreeMap::new();
    let (mut after, mut looked_at, mut end) = (None, 0, until);
    'walk: loop {
        let readings = tx.readings().scan(&filter, Direction::Ascending, after, READINGS_IN_HAND).await?;
        for reading in &readings {
            let hour = Grain::Hour.start_of(reading.id.at);
            if looked_at >= READINGS_AT_ONCE && !hours.contains_key(&hour) {
                end = hour;
                break 'walk;
            }
            hours.entry(hour).or_default().add(reading);
            looked_at += 1;
        }
        after = readings.last().map(|reading| reading.id);
        if readings.len() < READINGS_IN_HAND as usize {
            break;
        }
    }
    let with_readings = hours.keys().copied().collect();
    let mut digests: Vec<Digest> =
        hours.into_iter().map(|(hour, minutes)| minutes.digest(piece, hour)).collect();
    digests.retain(Digest::is_worth_keeping);
    if !digests.is_empty() {
        tx.rollups().keep(&digests).await?;
    }
    Ok(Rolled { until: end, hours: with_readings, made: digests.len() })
}

/// Rolls up those of these days that are over by this instant and of which no hour is due. Says how many digests were kept.
async fn roll_days_in(
    tx: &mut dyn UnitOfWork,
    head: &Head,
    days: BTreeSet<Timestamp>,
    until: Timestamp,
) -> Result<usize, Error> {
    let due = tx.rollups().due(head.equipment, u32::MAX).await?;
    let due: BTreeSet<Timestamp> = due.into_iter().map(|hour| Grain::Day.start_of(hour)).collect();
    let mut digests = Vec::new();
    for day in days.difference(&due) {
        let end = day.after(Grain::Day.length());
        if end > until {
            continue;
        }
        let mut hours = Folding::new(head.equipment, &[], Grain::Hour.length(), usize::MAX);
        hours.walk(tx, *day, end).await?;
        let hours: Vec<Column> =
            hours.finish().into_iter().map(|(metric, buckets)| Column { metric, buckets }).collect();
        let whole = hours.iter().map(whole_day).collect();
        digests.push(Digest { columns: hours, ..Digest::new(head.equipment, Grain::Hour, *day) });
        digests.push(Digest { columns: whole, ..Digest::new(head.equipment, Grain::Day, *day) });
    }
    digests.retain(Digest::is_worth_keeping);
    if !digests.is_empty() {
        tx.rollups().keep(&digests).await?;
    }
    Ok(digests.len())
}

fn whole_day(hours: &Column) -> Column {
    let mut day = Fold::new(Grain::Day.length());
    hours.buckets.iter().for_each(|hour| day.bucket(Grain::Hour, *hour));
    Column { metric: hours.metric.clone(), buckets: day.finish() }
}
