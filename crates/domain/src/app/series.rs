//! Series of values over time.

use super::App;
use super::equipment::refuse_out_of_reach;
use super::folding::Folding;
use crate::access::Granted;
use crate::access::rights::ViewData;
use crate::error::Error;
use crate::telemetry::series::{Series, SeriesAnswer, SeriesQuery};

/// The most series that one question may ask for.
pub const MOST_SERIES: usize = 1000;

/// The most points that all series of one answer may have together: it is held in memory as a whole.
pub const MOST_POINTS: usize = 1_000_000;

/// The most readings that one answer is folded from. Beyond them it is cut.
pub const MOST_READINGS: u64 = 20_000_000;

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
    let mut readings_left = MOST_READINGS;
    for equipment in &query.equipment {
        let mut folding = Folding::new(*equipment, &query.metrics, resolution, most);
        folding.readings_left = readings_left;
        folding.walk(&mut *reader, query.from, query.until).await?;
        readings_left = folding.readings_left;
        answer.is_cut |= folding.is_cut || readings_left == 0;
        let mut folded = folding.finish();
        for metric in &query.metrics {
            let buckets = folded.remove(metric).unwrap_or_default();
            answer.series.push(Series { equipment: *equipment, metric: metric.clone(), buckets });
        }
    }
    Ok(answer)
}
