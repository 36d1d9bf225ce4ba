//! Series: the values of a metric over time, folded into buckets of equal length.

use super::MetricName;
use crate::equipment::named;
use crate::error::Reason;
use crate::id::EquipmentId;
use crate::time::Timestamp;
use std::time::Duration;

named! {
    /// What is told about a bucket.
    Aggregate {
        /// The mean of the values.
        Average = "avg",
        /// The smallest value.
        Least = "min",
        /// The largest value.
        Most = "max",
        /// The sum of the values.
        Sum = "sum",
        /// How many values there are.
        Count = "count",
        /// The oldest value.
        First = "first",
        /// The newest value.
        Last = "last",
    }
}

/// How long buckets are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interval {
    /// As short as the wanted number of points allows.
    #[default]
    Auto,
    /// This long.
    Fixed(Duration),
}

/// The lengths that [`Interval::Auto`] chooses among, in seconds.
const STEPS: [u64; 19] = [
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    3 * 3600,
    6 * 3600,
    12 * 3600,
    86_400,
    7 * 86_400,
    30 * 86_400,
];

impl Interval {
    /// The longest bucket.
    pub const LONGEST: Duration = Duration::from_secs(366 * 86_400);

    /// Reads `auto` or a whole number of `s`, `m`, `h` or `d`.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        if text == "auto" {
            return Ok(Interval::Auto);
        }
        let bad =
            || Reason::new("interval", "must be auto or a length of 1s to 366d, such as 30s, 5m, 1h or 1d");
        let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(bad)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(bad()),
        };
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let count: u64 = if digits { number.parse().map_err(|_| bad())? } else { return Err(bad()) };
        let length = Duration::from_secs(count.checked_mul(seconds).ok_or_else(bad)?);
        if length.is_zero() || length > Self::LONGEST { Err(bad()) } else { Ok(Interval::Fixed(length)) }
    }

    /// The length of buckets for this span, so that at most `max_points` of them cover it.
    pub fn resolve(self, from: Timestamp, until: Timestamp, max_points: u32) -> Duration {
        match self {
            Interval::Fixed(length) => length,
            Interval::Auto => {
                let span = until.since(from);
                // Buckets are aligned to the clock, so that a span touches one more than it is long.
                let fits =
                    |step: &&u64| Duration::from_secs(**step) * max_points.saturating_sub(1).max(1) >= span;
                let longest = STEPS.last().copied().unwrap_or(1);
                let points = u64::from(max_points.saturating_sub(1).max(1));
                let needed = span.as_secs().div_ceil(points).div_ceil(longest) * longest;
                Duration::from_secs(STEPS.iter().find(fits).copied().unwrap_or(needed))
            }
        }
    }
}

/// Where the bucket that an instant falls into begins. Buckets are aligned to 1970-01-01T00:00:00Z.
pub fn bucket_of(at: Timestamp, length: Duration) -> Timestamp {
    let length = i64::try_from(length.as_micros()).unwrap_or(i64::MAX).max(1);
    let start = at.micros() - at.micros().rem_euclid(length);
    Timestamp::from_micros(start).unwrap_or(Timestamp::MIN)
}

/// What happened within one bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Where it begins.
    pub at: Timestamp,
    /// How many values there are.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
    /// The smallest.
    pub least: f64,
    /// The largest.
    pub most: f64,
    /// The oldest.
    pub first: f64,
    /// The newest.
    pub last: f64,
}

impl Bucket {
    /// A bucket with one value in it.
    pub fn new(at: Timestamp, value: f64) -> Self {
        Self { at, count: 1, sum: value, least: value, most: value, first: value, last: value }
    }

    /// Takes a newer value in.
    pub fn add(&mut self, value: f64) {
        self.count += 1;
        self.sum += value;
        self.least = self.least.min(value);
        self.most = self.most.max(value);
        self.last = value;
    }

    /// Takes what came after it in.
    pub fn merge(&mut self, later: &Bucket) {
        self.count += later.count;
        self.sum += later.sum;
        self.least = self.least.min(later.least);
        self.most = self.most.max(later.most);
        self.last = later.last;
    }

    /// What is asked about it. Not finite when the sum of its values is too large to be told.
    pub fn tell(&self, aggregate: Aggregate) -> f64 {
        let count = self.count as f64;
        match aggregate {
            Aggregate::Average => self.sum / count,
            Aggregate::Least => self.least,
            Aggregate::Most => self.most,
            Aggregate::Sum => self.sum,
            Aggregate::Count => count,
            Aggregate::First => self.first,
            Aggregate::Last => self.last,
        }
    }
}

/// A question for series: every combination of equipment and metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesQuery {
    /// Of which equipment.
    pub equipment: Vec<EquipmentId>,
    /// Of which metrics.
    pub metrics: Vec<MetricName>,
    /// The first instant.
    pub from: Timestamp,
    /// The first instant after.
    pub until: Timestamp,
    /// How long buckets are.
    pub interval: Interval,
    /// How many points a series has at most.
    pub max_points: u32,
}

/// The series of one metric of one piece of equipment. Buckets without values are left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Of what.
    pub equipment: EquipmentId,
    /// Which metric.
    pub metric: MetricName,
    /// Oldest first.
    pub buckets: Vec<Bucket>,
}

/// Series, and how they were made.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesAnswer {
    /// How long the buckets are.
    pub resolution: Duration,
    /// Whether some series has more points than were asked for; the newest are missing then.
    pub is_cut: bool,
    /// In order of equipment as asked, then of metric as asked.
    pub series: Vec<Series>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    #[test]
    fn an_interval_is_auto_or_a_length() {
        assert_eq!(Interval::parse("auto").unwrap(), Interval::Auto);
        assert_eq!(Interval::parse("5m").unwrap(), Interval::Fixed(Duration::from_secs(300)));
        for bad in ["", "5", "m", "0s", "-1m", "367d", "1.5h", "5 m", "é", "99999999999999999999d"] {
            assert!(Interval::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn auto_covers_the_span_with_no_more_points_than_wanted() {
        for span in [1, 59, 3600, 86_400, 31_536_000, 3_000_000_000] {
            for max_points in [2, 10, 1000] {
                let length = Interval::Auto.resolve(at(7), at(7 + span), max_points);
                let mut buckets = 0;
                let mut next = bucket_of(at(7), length);
                while next < at(7 + span) {
                    buckets += 1;
                    next = next.after(length);
                }
                assert!(buckets <= max_points, "{span} s in {max_points}: {buckets} of {length:?}");
            }
        }
    }
}
