//! Series of values over time.

use super::App;
use super::equipment::refuse_out_of_reach;
use super::folding::Folding;
use crate::access::Granted;
use crate::access::rights::ViewData;
use crate::error::Error;
use crate::telemetry::MetricName;
use crate::telemetry::series::{Series, SeriesAnswer, SeriesQuery};
use std::time::Duration;

/// The most series that one question may ask for.
pub const MOST_SERIES: usize = 1000;

/// How many points are held at once, unless a single series has more.
const POINTS_AT_ONCE: usize = 50_000;

/// The most readings that one answer is folded from. Beyond them it is cut.
pub const MOST_READINGS: u64 = 20_000_000;

/// The series of every combination of equipment and metric asked for, all at once.
pub async fn fold(app: &App, by: &Granted<ViewData>, query: &SeriesQuery) -> Result<SeriesAnswer, Error> {
    let mut walk = begin(app, by, query.clone()).await?;
    let mut series = Vec::new();
    while !walk.is_over() {
        series.extend(walk.next(app, by).await?);
    }
    Ok(SeriesAnswer { resolution: walk.resolution(), is_cut: walk.is_cut(), series })
}

/// Begins to answer a question, portion by portion.
pub async fn begin(app: &App, by: &Granted<ViewData>, query: SeriesQuery) -> Result<Walk, Error> {
    if query.until <= query.from {
        return Err(Error::flaw("to", "too_early", "must be later than from"));
    }
    if query.equipment.len().saturating_mul(query.metrics.len()) > MOST_SERIES {
        return Err(Error::flaw("metric", "too_many", format!("must make at most {MOST_SERIES} series")));
    }
    for equipment in &query.equipment {
        refuse_out_of_reach(by.actor(), *equipment)?;
    }
    let mut reader = app.store.reader().await?;
    if reader.readings().heads(&query.equipment).await?.len() < query.equipment.len() {
        return Err(Error::NotFound("equipment"));
    }
    let resolution = query.interval.resolve(query.from, query.until, query.max_points);
    Ok(Walk { query, resolution, piece: 0, metric: 0, readings_left: MOST_READINGS, is_cut: false })
}

/// Series on their way: equipment after equipment, and of each metric after metric.
pub struct Walk {
    query: SeriesQuery,
    resolution: Duration,
    /// The place of the next equipment.
    piece: usize,
    /// The place of the next metric.
    metric: usize,
    readings_left: u64,
    is_cut: bool,
}

impl Walk {
    /// How long buckets are.
    pub fn resolution(&self) -> Duration {
        self.resolution
    }

    /// Whether some series so far has more points than were asked for; the newest are missing then.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Whether there are no more series.
    pub fn is_over(&self) -> bool {
        self.piece >= self.query.equipment.len() || self.query.metrics.is_empty()
    }

    /// The next series; none when there are no more.
    pub async fn next(&mut self, app: &App, by: &Granted<ViewData>) -> Result<Vec<Series>, Error> {
        let Some(equipment) = self.query.equipment.get(self.piece).copied() else { return Ok(Vec::new()) };
        refuse_out_of_reach(by.actor(), equipment)?;
        let most = usize::try_from(self.query.max_points).unwrap_or(usize::MAX);
        let ahead = self.query.metrics.get(self.metric..).unwrap_or_default();
        let metrics = ahead.get(..(POINTS_AT_ONCE / most.max(1)).max(1)).unwrap_or(ahead);
        let mut folding = Folding::new(equipment, metrics, self.resolution, most);
        folding.readings_left = self.readings_left;
        let mut reader = app.store.reader().await?;
        folding.walk(&mut *reader, self.query.from, self.query.until).await?;
        drop(reader);
        self.readings_left = folding.readings_left;
        self.is_cut |= folding.is_cut || self.readings_left == 0;
        let mut folded = folding.finish();
        let series = |metric: &MetricName| Series {
            equipment,
            metric: metric.clone(),
            buckets: folded.remove(metric).unwrap_or_default(),
        };
        let portion: Vec<Series> = metrics.iter().map(series).collect();
        self.metric += portion.len();
        if self.metric >= self.query.metrics.len() {
            (self.piece, self.metric) = (self.piece + 1, 0);
        }
        Ok(portion)
    }
}
