//! Keeping rollups: what has happened is rolled up hour by hour once it has settled, and what is written later has its hour
//! rolled up anew. Any server may do it at any time.
//!
//! Whoever writes a reading that is older than what its head says was rolled up removes, in the same unit of work, the
//! digests that it makes untrue (`outdate_in`). So a digest that is there is always true, and where there is none the
//! readings tell. Only of days that are about to go, or are gone, rollups stay as they are: nobody could make them anew.

use super::folding::Folding;
use super::{App, thinning};
use crate::error::Error;
use crate::id::EquipmentId;
use crate::page::Direction;
use crate::ports::UnitOfWork;
use crate::telemetry::rollup::{Column, Digest, Fold, Grain, Minutes};
use crate::telemetry::{Head, MetricName, Reading, ReadingFilter};
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

/// For how long those are gone on with of which one unit of work was not enough. The rest is for the next time: others wait
/// their turn.
const AT_A_STRETCH: Duration = Duration::from_secs(60);

/// How many readings are held at once.
const READINGS_IN_HAND: u32 = 5_000;

/// How many hours that are due are looked at: no day has more.
const HOURS_OF_A_DAY: u32 = 24;

/// Up to where to roll up.
#[derive(Clone, Copy)]
struct Goal {
    /// What is older has settled: it is rolled up where newer readings show that it is over.
    settled: Timestamp,
    /// What is older is rolled up whether more of it may come or not.
    closed: Timestamp,
}

impl Goal {
    /// All that has settled by now.
    fn settled(app: &App) -> Self {
        let settled = Grain::Hour.start_of(app.clock.now().before(SETTLES_AFTER));
        Self { settled, closed: Timestamp::MIN }
    }
}

/// Rolls up what has settled and what became untrue. Says for how many pieces of equipment there was something to do.
/// What takes too long is left for the next time.
pub async fn roll(app: &App) -> Result<u64, Error> {
    Ok(roll_towards(app, Goal::settled(app), AT_A_STRETCH).await?.pieces)
}

/// The same, however long it takes.
pub async fn roll_all(app: &App) -> Result<u64, Error> {
    Ok(roll_towards(app, Goal::settled(app), Duration::MAX).await?.pieces)
}

/// Rolls up all that is older than `before`, the beginning of a day, whether more of it may come or not: it is about to go.
/// Whole days at once, for of a day that is rolled up in part nothing is made any more once the rest of it is gone.
pub(super) async fn close(app: &App, before: Timestamp) -> Result<(), Error> {
    let rolled = roll_towards(app, Goal { settled: before, closed: before }, AT_A_STRETCH).await?;
    if rolled.is_all { Ok(()) } else { Err(Error::Busy("what is older is still being rolled up", None)) }
}

/// What was done in the time that there was.
struct Stretch {
    pieces: u64,
    is_all: bool,
}

/// Each piece gets a unit of work by turns, so that one with a long past does not keep the others.
async fn roll_towards(app: &App, goal: Goal, at_most: Duration) -> Result<Stretch, Error> {
    let began = app.clock.now();
    let mut pieces = BTreeSet::new();
    loop {
        let is_all = roll_one_round(app, goal, &mut pieces).await?;
        if is_all || app.clock.now().since(began) >= at_most {
            return Ok(Stretch { pieces: pieces.len() as u64, is_all });
        }
    }
}

/// A unit of work for every piece that is behind. Says whether none of them has more to do.
async fn roll_one_round(app: &App, goal: Goal, rolled: &mut BTreeSet<EquipmentId>) -> Result<bool, Error> {
    let (mut is_all, mut after) = (true, None);
    loop {
        let mut reader = app.store.reader().await?;
        let pieces = reader.rollups().behind(goal.settled, goal.closed, after, PIECES_AT_ONCE).await?;
        drop(reader);
        for piece in &pieces {
            is_all &= !roll_some_of(app, *piece, goal).await?;
        }
        rolled.extend(&pieces);
        let Some(last) = pieces.last() else { return Ok(is_all) };
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
    // Where readings are kept no more, rollups are all that is left, and must not be made anew from nothing. An hour takes the
    // digests of its day along, so days count: what goes next is a whole day that is over for that long.
    let kept_from = app.policy.readings_kept.whole_from(now);
    let is_late = |(head, reading): &(&Head, &Reading)| {
        head.rolled_until.is_some_and(|rolled_until| reading.id.at < rolled_until)
    };
    let untrue =
        touched.filter(is_late).map(|(head, reading)| (head.equipment, Grain::Hour.start_of(reading.id.at)));
    let is_kept = |hour: Timestamp| {
        Grain::Day.start_of(hour).after(Grain::Day.length()) > kept_from.after(CLOCKS_DIFFER)
    };
    let hours: BTreeSet<(EquipmentId, Timestamp)> = untrue.filter(|(_, hour)| is_kept(*hour)).collect();
    if !hours.is_empty() {
        tx.rollups().outdate(&Vec::from_iter(hours)).await?;
    }
    Ok(())
}

/// One unit of work for one piece. Says whether there is more to do.
async fn roll_some_of(app: &App, piece: EquipmentId, goal: Goal) -> Result<bool, Error> {
    let mut tx = app.store.begin().await?;
    let Some(head) = tx.rollups().lock_head(piece).await? else { return Ok(false) };
    let mut due = tx.rollups().due(piece, HOURS_OF_A_DAY).await?;
    due.retain(|hour| *hour < goal.settled);
    let mut made = 0;
    let more = match due.first().map(|first| Grain::Day.start_of(*first)) {
        None => {
            // Of the hour of the newest reading there is more to come, however long ago it was.
            let newest = head.last_seen_at.map_or(Timestamp::MIN, |at| Grain::Hour.start_of(at));
            advance_in(&mut *tx, &head, newest.min(goal.settled).max(goal.closed), &mut made).await?
        }
        Some(day) => {
            due.retain(|hour| Grain::Day.start_of(*hour) == day);
            mend_in(&mut *tx, &head, day, &due, &mut made).await?;
            true
        }
    };
    tx.commit().await?;
    app.totals.count_rollups(made);
    Ok(more)
}

/// Rolls up anew as many of the hours of a day that are due as are looked at comfortably, and the day after the last of them.
async fn mend_in(
    tx: &mut dyn UnitOfWork,
    head: &Head,
    day: Timestamp,
    due: &[Timestamp],
    made: &mut usize,
) -> Result<(), Error> {
    let (mut mended, mut looked_at) = (Vec::new(), 0);
    for hour in due {
        let end = hour.after(Grain::Hour.length());
        let rolled = roll_hours_in(tx, head.equipment, *hour, end).await?;
        *made += rolled.made;
        mended.push(*hour);
        looked_at += rolled.looked_at;
        if looked_at >= READINGS_AT_ONCE {
            break;
        }
    }
    tx.rollups().settle(head.equipment, &mended).await?;
    if mended.len() == due.len() {
        let rolled_until = head.rolled_until.unwrap_or(Timestamp::MIN);
        *made += roll_days_in(tx, head, [day].into(), rolled_until).await?;
    }
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
    let Rolled { until, mut hours, made: minutes, .. } = roll_hours_in(tx, head.equipment, from, end).await?;
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
    /// How many readings there are in those hours.
    looked_at: usize,
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
        hidden_too: true,
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
    Ok(Rolled { until: end, hours: with_readings, made: digests.len(), looked_at })
}

/// Rolls up those of these days that are over by this instant. Says how many digests were kept.
async fn roll_days_in(
    tx: &mut dyn UnitOfWork,
    head: &Head,
    days: BTreeSet<Timestamp>,
    until: Timestamp,
) -> Result<usize, Error> {
    let mut digests = Vec::new();
    for day in days {
        let end = day.after(Grain::Day.length());
        if end > until {
            continue;
        }
        let mut hours = Folding::new(head.equipment, &[], Grain::Hour.length(), usize::MAX).of_hidden_too();
        hours.walk(tx, day, end).await?;
        let hours: Vec<Column> =
            hours.finish().into_iter().map(|(metric, buckets)| Column { metric, buckets }).collect();
        let whole = hours.iter().map(whole_day).collect();
        digests.push(Digest { columns: hours, ..Digest::new(head.equipment, Grain::Hour, day) });
        digests.push(Digest { columns: whole, ..Digest::new(head.equipment, Grain::Day, day) });
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

/// By how much the clocks of servers may differ, with time for what is under way.
const CLOCKS_DIFFER: Duration = Duration::from_secs(3600);

/// How many digests are held at once.
const DIGESTS_IN_HAND: u32 = 500;

/// How many days on which a metric was reported are worth looking into: where it is not found on the first, its readings are
/// mostly gone.
const DAYS_TO_LOOK_INTO: usize = 30;

/// The last days before `until` on which each of these metrics may have been reported, the newest first: those that tell of it,
/// and those that are to be rolled up anew.
pub(super) async fn days_with_in(
    tx: &mut dyn UnitOfWork,
    piece: EquipmentId,
    metrics: Vec<MetricName>,
    until: Timestamp,
) -> Result<Vec<(MetricName, Vec<Timestamp>)>, Error> {
    let mut telling: BTreeMap<MetricName, BTreeSet<Timestamp>> = BTreeMap::new();
    let mut from = Timestamp::MIN;
    loop {
        let span = (from, until);
        let digests = tx.rollups().find(piece, Grain::Day, span, &metrics, DIGESTS_IN_HAND).await?;
        for digest in &digests {
            for column in &digest.columns {
                let days = telling.entry(column.metric.clone()).or_default();
                days.insert(digest.at);
                if days.len() > DAYS_TO_LOOK_INTO {
                    days.pop_first();
                }
            }
        }
        match digests.last() {
            Some(last) if digests.len() == DIGESTS_IN_HAND as usize => from = last.until(),
            _ => break,
        }
    }
    let due = tx.rollups().due(piece, u32::MAX).await?;
    let due = due.into_iter().map(|hour| Grain::Day.start_of(hour)).filter(|day| *day < until);
    let due: BTreeSet<Timestamp> = due.collect();
    let days_of = |metric: MetricName| {
        let mut days = telling.remove(&metric).unwrap_or_default();
        days.extend(&due);
        (metric, days.into_iter().rev().collect())
    };
    Ok(metrics.into_iter().map(days_of).collect())
}
