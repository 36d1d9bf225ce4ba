//! Rollups: what each metric of a piece of equipment did within each minute, hour and day. Long series are folded from
//! them instead of from readings, and they are true to those: what is written late has them made anew.
//!
//! Sums of floating-point numbers depend on the order of adding. So that a series is the same to the last bit whether it
//! is folded from readings or from rollups, [`Fold`] always goes the same way: values into minutes, minutes into hours,
//! hours into days, as far as these divide the buckets that are asked for.

use super::series::{Bucket, bucket_of};
use super::{MetricName, Reading, Sample};
use crate::id::EquipmentId;
use crate::time::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the buckets of rollups are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grain {
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day of UTC.
    Day,
}

impl Grain {
    /// All of them, finest first.
    pub const ALL: [Grain; 3] = [Grain::Minute, Grain::Hour, Grain::Day];

    /// How long a bucket is.
    pub const fn length(self) -> Duration {
        Duration::from_secs(match self {
            Grain::Minute => 60,
            Grain::Hour => 3600,
            Grain::Day => 86_400,
        })
    }

    /// How long a bucket is, in microseconds.
    pub const fn micros(self) -> i64 {
        match self {
            Grain::Minute => 60_000_000,
            Grain::Hour => 3_600_000_000,
            Grain::Day => 86_400_000_000,
        }
    }

    /// The time of which buckets are kept together, and made together.
    pub const fn kept_by(self) -> Grain {
        match self {
            Grain::Minute => Grain::Hour,
            Grain::Hour | Grain::Day => Grain::Day,
        }
    }

    /// The coarsest whose buckets make up buckets of this length without remainder.
    pub fn serving(length: Duration) -> Option<Grain> {
        let serves = |grain: &Grain| length.as_micros().is_multiple_of(grain.length().as_micros());
        Self::ALL.into_iter().rev().find(serves)
    }

    /// The next finer one; what has none is folded from readings.
    pub const fn finer(self) -> Option<Grain> {
        match self {
            Grain::Minute => None,
            Grain::Hour => Some(Grain::Minute),
            Grain::Day => Some(Grain::Hour),
        }
    }

    /// Where the bucket that an instant falls into begins.
    pub fn start_of(self, at: Timestamp) -> Timestamp {
        bucket_of(at, self.length())
    }

    /// The first beginning of a bucket that is not before this instant.
    pub fn next_start(self, at: Timestamp) -> Timestamp {
        let start = self.start_of(at);
        if start < at { start.after(self.length()) } else { start }
    }
}

/// What one piece of equipment did within an hour, minute by minute, or within a day, by the hour or as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Digest {
    /// Whose readings it is about.
    pub equipment: EquipmentId,
    /// How long its buckets are.
    pub grain: Grain,
    /// Where the time that it is about begins: an hour for minutes, else a day.
    pub at: Timestamp,
    /// The metrics that were reported within that time, by name.
    pub columns: Vec<Column>,
}

/// The buckets of one metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Which metric.
    pub metric: MetricName,
    /// Those with values, oldest first.
    pub buckets: Vec<Bucket>,
}

impl Digest {
    /// A digest that tells of nothing yet.
    pub fn new(equipment: EquipmentId, grain: Grain, at: Timestamp) -> Self {
        Self { equipment, grain, at, columns: Vec::new() }
    }

    /// The first instant that it is not about any more.
    pub fn until(&self) -> Timestamp {
        self.at.after(self.grain.kept_by().length())
    }

    /// Whether it is worth its room. Hours and days are: they are few, and shall be there when the readings are not any more.
    /// Minutes are where they tell in fewer numbers what readings tell: a bucket takes the room of several values.
    pub fn is_worth_keeping(&self) -> bool {
        let buckets = self.columns.iter().flat_map(|column| &column.buckets);
        let (count, values) =
            buckets.fold((0_u64, 0_u64), |(count, values), bucket| (count + 1, values + bucket.count));
        count > 0 && (self.grain != Grain::Minute || values >= 4 * count)
    }
}

/// Folds what comes in order of time into buckets, by way of minutes, hours and days.
#[derive(Clone, Debug)]
pub struct Fold {
    /// The finest first; the last one is what is asked for.
    stages: Vec<Stage>,
    complete: Vec<Bucket>,
}

#[derive(Clone, Debug)]
struct Stage {
    length: Duration,
    bucket: Option<Bucket>,
}

impl Fold {
    /// Folds into buckets of this length.
    pub fn new(length: Duration) -> Self {
        let on_the_way = |grain: &Grain| {
            Grain::serving(length).is_some_and(|coarsest| *grain <= coarsest) && grain.length() < length
        };
        let lengths = Grain::ALL.into_iter().filter(on_the_way).map(Grain::length);
        let stage = |length| Stage { length, bucket: None };
        Self { stages: lengths.chain([length]).map(stage).collect(), complete: Vec::new() }
    }

    /// Takes a value in, newer than all before.
    pub fn sample(&mut self, sample: Sample) {
        self.put(0, Bucket::new(sample.at, sample.value));
    }

    /// Takes a bucket of a rollup in, newer than all before.
    pub fn bucket(&mut self, grain: Grain, bucket: Bucket) {
        let last = self.stages.len().saturating_sub(1);
        let stage = self.stages.iter().position(|stage| stage.length == grain.length()).unwrap_or(last);
        self.raise(stage);
        self.put(stage, bucket);
    }

    /// How many buckets there are already, complete or not.
    pub fn count(&self) -> usize {
        let Some(length) = self.stages.last().map(|last| last.length) else { return 0 };
        // What finer stages have gathered is newer, and may begin buckets beyond the one that is under way.
        let under_way = self.stages.iter().rev().filter_map(|stage| stage.bucket.as_ref());
        let mut begins: Vec<Timestamp> = under_way.map(|bucket| bucket_of(bucket.at, length)).collect();
        begins.dedup();
        self.complete.len() + begins.len()
    }

    /// Whether what is about this instant falls into a bucket that is there already, or there are fewer than `most`.
    pub fn has_room(&self, at: Timestamp, most: usize) -> bool {
        // Nearly always there is room, and then it need not be counted.
        if self.complete.len() + self.stages.len() < most || self.count() < most {
            return true;
        }
        let (Some(newest), Some(length)) = (self.newest(), self.stages.last().map(|last| last.length)) else {
            return false;
        };
        self.count() == most && bucket_of(at, length) == bucket_of(newest, length)
    }

    fn newest(&self) -> Option<Timestamp> {
        self.stages.iter().find_map(|stage| stage.bucket.as_ref()).map(|bucket| bucket.at)
    }

    /// All buckets, oldest first.
    pub fn finish(mut self) -> Vec<Bucket> {
        self.raise(self.stages.len());
        self.complete
    }

    /// Moves up what the stages below this one have gathered: whatever comes next is beyond it.
    fn raise(&mut self, stage: usize) {
        for finer in 0..stage {
            if let Some(gathered) = self.stages.get_mut(finer).and_then(|finer| finer.bucket.take()) {
                self.put(finer + 1, gathered);
            }
        }
    }

    fn put(&mut self, stage: usize, part: Bucket) {
        let Some(here) = self.stages.get_mut(stage) else {
            self.complete.push(part);
            return;
        };
        let at = bucket_of(part.at, here.length);
        match &mut here.bucket {
            Some(bucket) if bucket.at == at => bucket.merge(&part),
            bucket => {
                let gathered = bucket.replace(Bucket { at, ..part });
                if let Some(gathered) = gathered {
                    self.put(stage + 1, gathered);
                }
            }
        }
    }
}

/// The minutes of one hour, as they are gathered from readings.
#[derive(Clone, Debug, Default)]
pub struct Minutes(BTreeMap<MetricName, Vec<Bucket>>);

impl Minutes {
    /// Takes a reading in, newer than all before.
    pub fn add(&mut self, reading: &Reading) {
        let at = Grain::Minute.start_of(reading.id.at);
        for (metric, value) in reading.values.iter() {
            let buckets = match self.0.get_mut(metric) {
                Some(buckets) => buckets,
                None => self.0.entry(metric.clone()).or_default(),
            };
            match buckets.last_mut().filter(|last| last.at == at) {
                Some(last) => last.add(value),
                None => buckets.push(Bucket::new(at, value)),
            }
        }
    }

    /// The digest of the hour.
    pub fn digest(self, equipment: EquipmentId, hour: Timestamp) -> Digest {
        let columns = self.0.into_iter().map(|(metric, buckets)| Column { metric, buckets }).collect();
        Digest { equipment, grain: Grain::Minute, at: hour, columns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    fn second(number: i64) -> Sample {
        Sample { at: at(number), value: (number as f64 * 0.37).sin() * 100.0 }
    }

    fn folded(samples: impl Iterator<Item = Sample>, length: u64) -> Vec<Bucket> {
        let mut fold = Fold::new(Duration::from_secs(length));
        samples.for_each(|sample| fold.sample(sample));
        fold.finish()
    }

    #[test]
    fn the_coarsest_grain_that_divides_a_length_serves_it() {
        let served = [
            (1, None),
            (90, None),
            (60, Some(Grain::Minute)),
            (300, Some(Grain::Minute)),
            (5400, Some(Grain::Minute)),
            (7200, Some(Grain::Hour)),
            (86_400, Some(Grain::Day)),
            (7 * 86_400, Some(Grain::Day)),
        ];
        for (length, grain) in served {
            assert_eq!(Grain::serving(Duration::from_secs(length)), grain, "{length}");
        }
    }

    #[test]
    fn beginnings_are_aligned_also_before_1970() {
        assert_eq!(Grain::Hour.start_of(at(-1)), at(-3600));
        assert_eq!(Grain::Hour.next_start(at(-1)), at(0));
        assert_eq!(Grain::Hour.next_start(at(0)), at(0));
    }

    #[test]
    fn sums_are_the_same_to_the_last_bit_whether_folded_from_readings_or_from_rollups() {
        let span = -86_400..3 * 86_400 + 1000;
        let samples = || span.clone().step_by(7).map(second);
        for length in [60, 300, 3600, 3 * 3600, 86_400, 7 * 86_400] {
            let expected = folded(samples(), length);
            for grain in Grain::ALL {
                let rollups = folded(samples(), grain.length().as_secs());
                if Grain::serving(Duration::from_secs(length)).is_none_or(|coarsest| coarsest < grain) {
                    continue;
                }
                let mut fold = Fold::new(Duration::from_secs(length));
                // The first and the last day come as readings, what lies between as rollups.
                samples().filter(|sample| sample.at < at(0)).for_each(|sample| fold.sample(sample));
                let between = |bucket: &&Bucket| bucket.at >= at(0) && bucket.at < at(3 * 86_400);
                rollups.iter().filter(between).for_each(|bucket| fold.bucket(grain, *bucket));
                samples().filter(|sample| sample.at >= at(3 * 86_400)).for_each(|sample| fold.sample(sample));
                assert_eq!(fold.finish(), expected, "{length} from {grain:?}");
            }
        }
    }

    #[test]
    fn a_bucket_tells_of_all_that_was_folded_into_it() {
        let day = folded((0..86_400).map(|number| Sample { at: at(number), value: number as f64 }), 86_400);
        let expected = Bucket {
            at: at(0),
            count: 86_400,
            sum: 86_399.0 * 43_200.0,
            least: 0.0,
            most: 86_399.0,
            first: 0.0,
            last: 86_399.0,
        };
        assert_eq!(day, [expected]);
    }

    #[test]
    fn minutes_are_worth_keeping_where_they_sum_up_and_hours_and_days_wherever_there_is_a_value() {
        let column = |count| {
            let buckets = vec![Bucket { count, ..Bucket::new(at(0), 1.0) }];
            Column { metric: MetricName::parse("t").unwrap(), buckets }
        };
        let digest =
            |columns| Digest { columns, ..Digest::new(EquipmentId::new(1).unwrap(), Grain::Minute, at(0)) };
        for grain in [Grain::Hour, Grain::Day] {
            assert!(Digest { grain, ..digest(vec![column(1)]) }.is_worth_keeping());
            assert!(!Digest { grain, ..digest(vec![]) }.is_worth_keeping());
        }
        assert!(!digest(vec![]).is_worth_keeping());
        assert!(!digest(vec![column(1), column(6)]).is_worth_keeping());
        assert!(digest(vec![column(1), column(7)]).is_worth_keeping());
    }
}
