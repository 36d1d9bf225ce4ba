//! Letting go of the values of metrics that are kept shorter than others, day by day. Any server may do it at any time.
//!
//! What is newest of each piece stays known, and so do alerts and rollups: what is about to go is rolled up first. Of each
//! piece it is remembered as of when that was done, so that nobody looks at the same past again; what is written into it
//! later is noted in the same unit of work (`note_late_in`).

use super::{App, rollups};
use crate::error::Error;
use crate::id::EquipmentId;
use crate::page::{Direction, PageRequest};
use crate::ports::{Repos, UnitOfWork};
use crate::telemetry::kept::{GoingEarly, Thinned};
use crate::telemetry::rollup::Grain;
use crate::telemetry::{MetricName, MetricQuery, Reading, ReadingFilter, ReadingId, Values};
use crate::time::{Span, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many pieces of equipment are looked for at once.
const PIECES_AT_ONCE: u32 = 1000;

/// How many readings one unit of work changes at most: whoever stores readings of the same equipment waits for it.
const READINGS_AT_ONCE: u32 = 2_000;

/// Removes the values that are older than their metrics are to be kept, and readings that have none left. Says how many
/// readings were changed or removed.
pub async fn thin(app: &App) -> Result<u64, Error> {
    let Some(shortest) = app.policy.readings_kept.shortest() else { return Ok(0) };
    let early = app.policy.readings_kept.going_early(&all_metrics(app).await?);
    if early.is_empty() {
        return Ok(0);
    }
    let by = app.policy.readings_kept.to_string();
    let as_of = Grain::Day.start_of(app.clock.now());
    rollups::close(app, day_of(as_of, shortest)).await?;
    let (mut thinned, mut after) = (0, None);
    loop {
        let mut reader = app.store.reader().await?;
        let pieces = reader.thinnings().behind(&by, as_of, after, PIECES_AT_ONCE).await?;
        drop(reader);
        for piece in &pieces {
            thinned += thin_of(app, *piece, &early, as_of).await?;
        }
        let Some(last) = pieces.last() else { return Ok(thinned) };
        after = Some(*last);
    }
}

/// The beginning of the day that lies so long before an instant. Values go by whole days, as rollups of them are made.
fn day_of(instant: Timestamp, kept: Duration) -> Timestamp {
    Grain::Day.start_of(instant.before(kept))
}

/// No metric is kept for less.
const LEAST_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Notes which of these pieces had something written into a past from which values may be gone already: also by a decision that does
/// not hold now, and may hold again.
pub(super) async fn note_late_in<'a>(
    tx: &mut dyn UnitOfWork,
    touched: impl Iterator<Item = &'a Reading>,
    now: Timestamp,
) -> Result<(), Error> {
    let whole_from = now.before(LEAST_KEPT);
    let mut late: BTreeMap<EquipmentId, Timestamp> = BTreeMap::new();
    for ReadingId { equipment, at } in touched.map(|reading| reading.id).filter(|id| id.at < whole_from) {
        late.entry(equipment).and_modify(|from| *from = at.min(*from)).or_insert(at);
    }
    if !late.is_empty() {
        tx.thinnings().note_late(&Vec::from_iter(late)).await?;
    }
    Ok(())
}

async fn all_metrics(app: &App) -> Result<Vec<MetricName>, Error> {
    let mut reader = app.store.reader().await?;
    let mut names = Vec::new();
    for number in 1.. {
        let page = PageRequest::new(number, PageRequest::MAX_SIZE).unwrap_or_default();
        let found = reader.metrics().list(&MetricQuery { page, ..MetricQuery::default() }).await?.items;
        let is_last = found.len() < PageRequest::MAX_SIZE as usize;
        names.extend(found.into_iter().map(|metric| metric.name));
        if is_last {
            break;
        }
    }
    Ok(names)
}

async fn thin_of(
    app: &App,
    piece: EquipmentId,
    early: &[GoingEarly],
    as_of: Timestamp,
) -> Result<u64, Error> {
    let mut thinned = 0;
    let mut round: Option<Round<'_>> = None;
    loop {
        let mut tx = app.store.begin().await?;
        if tx.readings().lock_heads(&[piece]).await?.is_empty() {
            return Ok(thinned);
        }
        let mut walk = match round.take() {
            Some(begun) => begun,
            None => Round {
                piece,
                as_of,
                since: begin_in(&mut *tx, app, piece).await?,
                ahead: early,
                after: None,
            },
        };
        let some = walk.thin_some_in(&mut *tx).await?;
        if walk.ahead.is_empty() {
            end_in(&mut *tx, piece, as_of).await?;
        }
        tx.commit().await?;
        app.totals.count_thinned(some);
        thinned += some;
        if walk.ahead.is_empty() {
            return Ok(thinned);
        }
        round = Some(walk);
    }
}

/// Since when the past of this piece is to be looked at. What is written into it from now on is looked at the next time.
async fn begin_in(tx: &mut dyn UnitOfWork, app: &App, piece: EquipmentId) -> Result<Timestamp, Error> {
    let by = app.policy.readings_kept.to_string();
    let shortest = app.policy.readings_kept.shortest().unwrap_or_default();
    let before = tx.thinnings().find(piece).await?.filter(|thinned| thinned.by == by);
    let since = before.map_or(Timestamp::MIN, |Thinned { as_of, late_from, .. }| {
        late_from.map_or(as_of, |late| as_of.min(late.after(shortest)))
    });
    tx.thinnings().keep(piece, &Thinned { by, as_of: since, late_from: None }).await?;
    Ok(since)
}

async fn end_in(tx: &mut dyn UnitOfWork, piece: EquipmentId, as_of: Timestamp) -> Result<(), Error> {
    if let Some(thinned) = tx.thinnings().find(piece).await? {
        tx.thinnings().keep(piece, &Thinned { as_of, ..thinned }).await?;
    }
    Ok(())
}

/// One walk through what has grown too old of one piece.
struct Round<'plan> {
    piece: EquipmentId,
    since: Timestamp,
    as_of: Timestamp,
    /// What is still to go, the next first.
    ahead: &'plan [GoingEarly],
    /// How far it came with the first of them.
    after: Option<ReadingId>,
}

impl Round<'_> {
    /// Goes on for as long as is good for one unit of work. Says how many readings it was about.
    async fn thin_some_in(&mut self, tx: &mut dyn UnitOfWork) -> Result<u64, Error> {
        let mut thinned = 0;
        while let [early, later @ ..] = self.ahead {
            let found = self.next_in(tx, early).await?;
            thinned += found.len() as u64;
            self.after = found.last().map(|reading| reading.id);
            let is_over = found.len() < READINGS_AT_ONCE as usize;
            remove_values_in(tx, found, &early.metrics).await?;
            if !is_over {
                break;
            }
            (self.ahead, self.after) = (later, None);
        }
        Ok(thinned)
    }

    async fn next_in(&self, repos: &mut dyn Repos, early: &GoingEarly) -> Result<Vec<Reading>, Error> {
        let filter = ReadingFilter {
            equipment: vec![self.piece],
            at: Span {
                from: Some(day_of(self.since, early.kept)),
                until: Some(day_of(self.as_of, early.kept)),
            },
            metrics: early.metrics.clone(),
            ..ReadingFilter::default()
        };
        Ok(repos.readings().scan(&filter, Direction::Ascending, self.after, READINGS_AT_ONCE).await?)
    }
}

/// Leaves what other metrics say. A reading about which nothing is said any more goes as a whole.
async fn remove_values_in(
    tx: &mut dyn UnitOfWork,
    readings: Vec<Reading>,
    metrics: &[MetricName],
) -> Result<(), Error> {
    let (mut left, mut emptied) = (Vec::new(), Vec::new());
    for mut reading in readings {
        let others = reading.values.iter().filter(|(metric, _)| !metrics.contains(metric));
        let others: Vec<(MetricName, f64)> = others.map(|(metric, value)| (metric.clone(), value)).collect();
        match Values::of(others) {
            Some(values) if !values.numbers().is_empty() => {
                reading.values = values;
                left.push(reading);
            }
            _ => emptied.push(reading.id),
        }
    }
    if !left.is_empty() {
        tx.readings().replace(&left).await?;
    }
    if !emptied.is_empty() {
        tx.readings().delete(&emptied).await?;
    }
    Ok(())
}
