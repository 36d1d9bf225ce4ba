//! Walking through one piece's past in order of time, from rollups where there are some and from readings where not.

use crate::error::Error;
use crate::id::EquipmentId;
use crate::page::Direction;
use crate::ports::Repos;
use crate::telemetry::rollup::{Digest, Fold, Grain};
use crate::telemetry::series::Bucket;
use crate::telemetry::{MetricName, Reading, ReadingFilter, Sample};
use crate::time::{Span, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;

/// How many readings are held at once.
const READINGS_AT_ONCE: u32 = 5_000;

/// How many digests are held at once.
const DIGESTS_AT_ONCE: u32 = 500;

/// The series of one piece of equipment, as they are folded.
pub(super) struct Folding<'query> {
    equipment: EquipmentId,
    /// Which metrics; empty means all that come.
    metrics: &'query [MetricName],
    length: Duration,
    /// How many buckets each metric may have.
    most: usize,
    folds: BTreeMap<MetricName, Fold>,
    /// Whether values were left out because there was no room for their buckets.
    pub(super) is_cut: bool,
    /// How many further readings may be looked at.
    pub(super) readings_left: u64,
    hidden_too: bool,
}

/// What is still to be walked through, the nearest last.
enum Step {
    /// The time from one instant to another, by buckets of this grain at most; without a grain, by readings.
    Through(Option<Grain>, Timestamp, Timestamp),
    /// Buckets that lie in that time.
    Take(Digest, Timestamp, Timestamp),
}

impl<'query> Folding<'query> {
    /// Folds these metrics (all if none is named) into at most `most` buckets of this length each.
    pub(super) fn new(
        equipment: EquipmentId,
        metrics: &'query [MetricName],
        length: Duration,
        most: usize,
    ) -> Self {
        let folds = metrics.iter().map(|metric| (metric.clone(), Fold::new(length))).collect();
        let (is_cut, readings_left, hidden_too) = (false, u64::MAX, false);
        Self { equipment, metrics, length, most, folds, is_cut, readings_left, hidden_too }
    }

    /// The same if the piece is hidden: for looking after it, not for showing it.
    pub(super) fn of_hidden_too(self) -> Self {
        Self { hidden_too: true, ..self }
    }

    /// Takes the time from one instant to another in. What comes next must be later.
    pub(super) async fn walk(
        &mut self,
        repos: &mut dyn Repos,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<(), Error> {
        let mut ahead = vec![Step::Through(Grain::serving(self.length), from, until)];
        while let Some(step) = ahead.pop() {
            match step {
                Step::Take(digest, from, until) => self.take_digest(digest, from, until),
                Step::Through(_, from, until) if from >= until => {}
                Step::Through(Some(grain), from, until) => {
                    self.step_through(repos, &mut ahead, grain, (from, until)).await?;
                }
                Step::Through(None, from, until) => self.read_through(repos, from, until).await?,
            }
            if self.is_full() {
                break;
            }
        }
        Ok(())
    }

    /// The buckets of each metric, oldest first.
    pub(super) fn finish(self) -> BTreeMap<MetricName, Vec<Bucket>> {
        self.folds.into_iter().map(|(metric, fold)| (metric, fold.finish())).collect()
    }

    /// Looks for digests that are about some of this time; what lies between them is to be walked through more finely.
    async fn step_through(
        &self,
        repos: &mut dyn Repos,
        ahead: &mut Vec<Step>,
        grain: Grain,
        (from, until): (Timestamp, Timestamp),
    ) -> Result<(), Error> {
        let finer = grain.finer();
        // Only whole buckets count: where the time begins or ends within one, finer ones tell.
        let (first, end) = (grain.next_start(from), grain.start_of(until));
        if first >= end {
            ahead.push(Step::Through(finer, from, until));
            return Ok(());
        }
        let begins = grain.kept_by().start_of(first);
        let found =
            repos.rollups().find(self.equipment, grain, (begins, end), self.metrics, DIGESTS_AT_ONCE).await?;
        let mut steps = Vec::with_capacity(found.len() * 2 + 1);
        let is_all = found.len() < DIGESTS_AT_ONCE as usize;
        let mut at = from;
        for digest in found {
            let (whole_from, whole_until) = (digest.at.max(first), digest.until().min(end));
            if whole_from < whole_until {
                steps.push(Step::Through(finer, at, whole_from));
                steps.push(Step::Take(digest, whole_from, whole_until));
                at = whole_until;
            }
        }
        steps.push(Step::Through(if is_all { finer } else { Some(grain) }, at, until));
        ahead.extend(steps.into_iter().rev());
        Ok(())
    }

    fn take_digest(&mut self, digest: Digest, from: Timestamp, until: Timestamp) {
        let grain = digest.grain;
        for column in digest.columns {
            let whole = column.buckets.into_iter().filter(|bucket| bucket.at >= from && bucket.at < until);
            let fold = match self.folds.get_mut(&column.metric) {
                Some(fold) => fold,
                None => self.folds.entry(column.metric).or_insert_with(|| Fold::new(self.length)),
            };
            for bucket in whole {
                if fold.has_room(bucket.at, self.most) {
                    fold.bucket(grain, bucket);
                } else {
                    self.is_cut = true;
                }
            }
        }
    }

    async fn read_through(
        &mut self,
        repos: &mut dyn Repos,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<(), Error> {
        let filter = ReadingFilter {
            equipment: vec![self.equipment],
            at: Span { from: Some(from), until: Some(until) },
            metrics: self.metrics.to_vec(),
            received_from: None,
            hidden_too: self.hidden_too,
        };
        let mut after = None;
        loop {
            let limit = u32::try_from(self.readings_left).unwrap_or(u32::MAX).min(READINGS_AT_ONCE);
            let readings = repos.readings().scan(&filter, Direction::Ascending, after, limit).await?;
            readings.iter().for_each(|reading| self.take_reading(reading));
            after = readings.last().map(|reading| reading.id);
            self.readings_left = self.readings_left.saturating_sub(readings.len() as u64);
            if readings.len() < limit as usize || self.is_full() {
                return Ok(());
            }
        }
    }

    fn take_reading(&mut self, reading: &Reading) {
        if self.metrics.is_empty() {
            for (metric, value) in reading.values.iter() {
                self.take_value(metric, Sample { at: reading.id.at, value });
            }
            return;
        }
        for metric in self.metrics {
            if let Some(value) = reading.values.get(metric) {
                self.take_value(metric, Sample { at: reading.id.at, value });
            }
        }
    }

    fn take_value(&mut self, metric: &MetricName, sample: Sample) {
        let fold = match self.folds.get_mut(metric) {
            Some(fold) => fold,
            None => self.folds.entry(metric.clone()).or_insert_with(|| Fold::new(self.length)),
        };
        if fold.has_room(sample.at, self.most) {
            fold.sample(sample);
        } else {
            self.is_cut = true;
        }
    }

    /// Whether nothing that comes later can be taken in.
    fn is_full(&self) -> bool {
        let full = |fold: &Fold| fold.count() >= self.most;
        self.readings_left == 0 || (self.is_cut && !self.metrics.is_empty() && self.folds.values().all(full))
    }
}
