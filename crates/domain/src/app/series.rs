//! Series of values over time.

use super::App;
use super::equipment::refuse_out_of_reach;
use crate::access::Granted;
use crate::access::rights::ViewData;
use crate::error::Error;
use crate::id::EquipmentId;
use crate::page::Direction;
use crate::ports::Repos;
use crate::telemetry::series::{Series, SeriesAnswer, SeriesQuery};
use crate::telemetry::{Reading, ReadingFilter, Sample};
use crate::time::Span;
use std::time::Duration;

/// The most series that one question may ask for.
pub const MOST_SERIES: usize = 1000;

/// The most points that all series of one answer may have together: it is held in memory as a whole.
pub const MOST_POINTS: usize = 1_000_000;

/// The most readings that one answer is folded from. Beyond them it is cut.
pub const MOST_READINGS: u64 = 20_000_000;

/// How many readings are held at once.
const AT_ONCE: u32 = 5_000;

/// The series of every combination of equipment and metric asked for.
pub async fn fold(app: &App, by: &Granted<ViewData>, query: &SeriesQuery) -> Result<SeriesAnswer, Error> {
    if query.until <= query.from {
        return Err(Error::flaw("to", "too_early", "must be later than from"));
    }
    let count = query.equipment.len().saturating_mul(query.metrics.len());
    if count > MOST_SERIES {
        return Err(Error::flaw("metric", "too_many", format!("must make at most {MOST_SERIES} series")));
    }
    let most = usize::try_from(query.max_points).unwrap_or(usize::MAX);
    if count.saturating_mul(most) > MOST_POINTS {
        let message = format!("must make at most {MOST_POINTS} points in all {count} series together");
        return Err(Error::flaw("max_points", "too_many", message));
    }
    let resolution = query.interval.resolve(query.from, query.until, query.max_points);
    let mut reader = app.store.reader().await?;
    for equipment in &query.equipment {
        refuse_out_of_reach(by.actor(), *equipment)?;
    }
    if reader.readings().heads(&query.equipment).await?.len() < query.equipment.len() {
        return Err(Error::NotFound("equipment"));
    }
    let mut answer = SeriesAnswer { resolution, is_cut: false, series: Vec::new() };
    let mut looked_at = 0;
    for equipment in &query.equipment {
        fold_one(&mut *reader, *equipment, query, resolution, &mut looked_at, &mut answer).await?;
    }
    Ok(answer)
}

async fn fold_one(
    reader: &mut dyn Repos,
    equipment: EquipmentId,
    query: &SeriesQuery,
    resolution: Duration,
    looked_at: &mut u64,
    answer: &mut SeriesAnswer,
) -> Result<(), Error> {
    let mut series: Vec<Series> =
        query.metrics.iter().map(|metric| Series::new(equipment, metric.clone())).collect();
    let filter = ReadingFilter {
        equipment: vec![equipment],
        at: Span { from: Some(query.from), until: Some(query.until) },
        metrics: query.metrics.clone(),
        received_from: None,
    };
    let most = usize::try_from(query.max_points).unwrap_or(usize::MAX);
    let mut after = None;
    loop {
        let readings = reader.readings().scan(&filter, Direction::Ascending, after, AT_ONCE).await?;
        let mut full = 0;
        for reading in &readings {
            full = series
                .iter_mut()
                .map(|series| take(series, reading, resolution, most))
                .filter(|took| !took)
                .count();
            answer.is_cut |= full > 0;
        }
        after = readings.last().map(|reading| reading.id);
        *looked_at += readings.len() as u64;
        let is_end = readings.len() < AT_ONCE as usize;
        answer.is_cut |= !is_end && *looked_at >= MOST_READINGS;
        // Once no series has room there is nothing to wait for.
        if is_end || full == series.len() || *looked_at >= MOST_READINGS {
            break;
        }
    }
    answer.series.append(&mut series);
    Ok(())
}

/// Takes the reading's value into the series. `false` when there is no room for it.
fn take(series: &mut Series, reading: &Reading, resolution: Duration, most: usize) -> bool {
    let value = reading.values.get(&series.metric);
    value.is_none_or(|value| series.add(Sample { at: reading.id.at, value }, resolution, most))
}
