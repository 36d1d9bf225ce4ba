//! What machines measured. A reading is what one piece of equipment reported for one instant: named numbers, and
//! perhaps other facts. Equipment and instant identify it, so that sending it again stores nothing twice.
//!
//! What becomes of readings that meet under one identity is decided by [`settle`]. Series are folded from readings in [`series`], by
//! way of [`rollup`]s where there are some; what a reading sets off is in [`crate::rules`].

pub mod kept;
pub mod points;
pub mod rollup;
pub mod series;
mod settling;
mod version;

use crate::error::Reason;
use crate::id::{EquipmentId, Version};
use crate::page::{Direction, Order, PageRequest};
use crate::text::{Description, Label};
use crate::time::{Span, Timestamp};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

pub use settling::{OnConflict, Settled, settle};

/// How far ahead of the server's clock a reading's instant may be.
pub const AHEAD: Duration = Duration::from_secs(10 * 60);

/// The most metrics that one reading may carry.
pub const MOST_METRICS: usize = 256;

/// The most metrics that one piece of equipment may report over its life.
pub const MOST_METRICS_OF_ONE: usize = 4096;

/// The most other facts that one reading may carry.
pub const MOST_ATTRIBUTES: usize = 64;

/// The most readings that are taken all or none.
pub const MOST_AT_ONCE: usize = 10_000;

/// What is measured: 1 to 64 of `a-z 0-9 _ .`, starting with a letter. Clones share the text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricName(Arc<str>);

impl MetricName {
    /// Reads a metric's name.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        let allowed =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'.';
        let fits = text.len() <= 64
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(allowed);
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(Reason::new(
                "metric",
                "must be a metric's name: 1 to 64 of a-z, 0-9, _ and ., starting with a letter",
            ))
        }
    }

    /// What storage kept: checked when it was parsed, believed now.
    pub fn restore(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An ordered set of metrics. Machines send the same set over and over: clones share it, and storage keeps it once.
#[derive(Clone, Debug, Eq)]
pub struct Shape(Arc<[MetricName]>);

impl Shape {
    /// The set of these metrics.
    pub fn new(mut metrics: Vec<MetricName>) -> Self {
        metrics.sort_unstable();
        metrics.dedup();
        Self(metrics.into())
    }

    /// The metrics, ordered by name.
    pub fn metrics(&self) -> &[MetricName] {
        &self.0
    }

    /// Where the metric stands in the set.
    pub fn position(&self, metric: &MetricName) -> Option<usize> {
        self.0.binary_search(metric).ok()
    }

    fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Most comparisons are between clones, and those need not look at a single name.
impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        self.is_shared_with(other) || self.0 == other.0
    }
}

impl Ord for Shape {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.is_shared_with(other) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl PartialOrd for Shape {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Shapes of the same metrics are equal wherever they came from, so it is the names that count here.
impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// Named finite numbers: a shape, and a number for each of its metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    shape: Shape,
    numbers: Vec<f64>,
}

impl Values {
    /// These numbers in the order of the shape's metrics; `None` unless there is one finite number for each.
    pub fn new(shape: Shape, numbers: Vec<f64>) -> Option<Self> {
        let fits = numbers.len() == shape.metrics().len() && numbers.iter().all(|number| number.is_finite());
        fits.then_some(Self { shape, numbers })
    }

    /// These numbers by name. Of a metric named twice, and of what is not finite, nothing can be made.
    pub fn of(mut named: Vec<(MetricName, f64)>) -> Option<Self> {
        named.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let (metrics, numbers): (Vec<_>, Vec<_>) = named.into_iter().unzip();
        Self::new(Shape::new(metrics), numbers)
    }

    /// The metrics.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The numbers, in the order of the metrics.
    pub fn numbers(&self) -> &[f64] {
        &self.numbers
    }

    /// The number of this metric.
    pub fn get(&self, metric: &MetricName) -> Option<f64> {
        self.shape.position(metric).and_then(|position| self.numbers.get(position).copied())
    }

    /// These and further ones; of two for one metric the later counts.
    #[must_use]
    pub fn with(&self, later: &Self) -> Self {
        let named: BTreeMap<&MetricName, f64> = self.iter().chain(later.iter()).collect();
        let (metrics, numbers): (Vec<_>, Vec<_>) =
            named.into_iter().map(|(metric, number)| (metric.clone(), number)).unzip();
        Self { shape: Shape::new(metrics), numbers }
    }

    /// Names and numbers, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&MetricName, f64)> {
        self.shape.metrics().iter().zip(self.numbers.iter().copied())
    }
}

/// A fact about a reading that is not a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tag {
    /// Yes or no.
    Flag(bool),
    /// Text.
    Text(String),
}

/// Facts about a reading that are not numbers, by name.
pub type Tags = BTreeMap<String, Tag>;

/// What identifies a reading. Its text is `<equipment>-<microseconds since 1970>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadingId {
    /// Whose reading it is.
    pub equipment: EquipmentId,
    /// The instant that it is about.
    pub at: Timestamp,
}

impl ReadingId {
    /// Reads the canonical text.
    pub fn parse(text: &str) -> Option<Self> {
        let (equipment, micros) = text.split_once('-')?;
        let id = Self {
            equipment: EquipmentId::parse(equipment)?,
            at: Timestamp::from_micros(micros.parse().ok()?)?,
        };
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for ReadingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.equipment, self.at.micros())
    }
}

/// What one piece of equipment reported for one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What identifies it.
    pub id: ReadingId,
    /// What was measured.
    pub values: Values,
    /// Other facts.
    pub tags: Tags,
    /// When it reached us, or was last written. Rules judge what arrived while they were in force.
    pub received_at: Timestamp,
}

/// The newest value of a metric by event time.
#[derive(Clone, Debug, PartialEq)]
pub struct Latest {
    /// Of what.
    pub metric: MetricName,
    /// The instant that it is about.
    pub at: Timestamp,
    /// The value.
    pub value: f64,
}

/// The front of what is known of one piece of equipment: its newest instant, and the newest value of each metric.
/// Whoever holds it locked is the only one who stores or judges readings of that equipment.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// Whose it is.
    pub equipment: EquipmentId,
    /// What kind of machine it is, as the register says.
    pub kind: Label,
    /// The instant of the newest reading.
    pub last_seen_at: Option<Timestamp>,
    /// The newest value of each metric, ordered by name.
    pub latest: Vec<Latest>,
    /// Up to where its readings were looked at to make rollups. What is written before that makes some of them untrue.
    pub rolled_until: Option<Timestamp>,
}

impl Head {
    /// The head of equipment that never reported.
    pub fn new(equipment: EquipmentId, kind: Label) -> Self {
        Self { equipment, kind, last_seen_at: None, latest: Vec::new(), rolled_until: None }
    }

    /// The newest value of this metric.
    pub fn latest(&self, metric: &MetricName) -> Option<&Latest> {
        let found = self.latest.binary_search_by(|latest| latest.metric.cmp(metric)).ok();
        found.and_then(|index| self.latest.get(index))
    }

    /// Takes note of stored readings, ordered by instant. Late data never overwrites newer.
    pub fn advance(&mut self, readings: &[&Reading]) {
        let mut newer: Vec<&Shape> = Vec::new();
        for reading in readings.iter().rev() {
            let shape = reading.values.shape();
            // What carries the same metrics and is older adds nothing.
            if !newer.contains(&shape) {
                self.note(reading);
                if newer.len() < Self::SHAPES_IN_MIND {
                    newer.push(shape);
                }
            }
        }
    }

    /// So many shapes are compared with one by one.
    const SHAPES_IN_MIND: usize = 4;

    fn note(&mut self, reading: &Reading) {
        let (at, shape) = (reading.id.at, reading.values.shape());
        self.last_seen_at = self.last_seen_at.max(Some(at));
        // Most machines always report the same metrics, so that those that are known are those that come.
        if self.latest.iter().map(|latest| &latest.metric).eq(shape.metrics()) {
            for (latest, value) in self.latest.iter_mut().zip(reading.values.numbers()) {
                latest.replace(at, *value);
            }
            return;
        }
        for (metric, value) in reading.values.iter() {
            match self.latest.binary_search_by(|latest| latest.metric.cmp(metric)) {
                Ok(index) => {
                    if let Some(latest) = self.latest.get_mut(index) {
                        latest.replace(at, value);
                    }
                }
                Err(index) => self.latest.insert(index, Latest { metric: metric.clone(), at, value }),
            }
        }
    }
}

impl Latest {
    /// Takes over what is not older.
    fn replace(&mut self, at: Timestamp, value: f64) {
        if self.at <= at {
            self.at = at;
            self.value = value;
        }
    }
}

/// One value of one metric, as rules and series see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The instant that it is about.
    pub at: Timestamp,
    /// The value.
    pub value: f64,
}

/// Which readings are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadingFilter {
    /// Of which equipment; empty means all.
    pub equipment: Vec<EquipmentId>,
    /// When.
    pub at: Span,
    /// Those that carry one of these metrics; empty means all.
    pub metrics: Vec<MetricName>,
    /// Received at this instant or later.
    pub received_from: Option<Timestamp>,
    /// Those of hidden equipment as well, which are never answered otherwise.
    pub hidden_too: bool,
}

/// A question for a stretch of readings in order of instant, readings of the same instant in order of equipment (also
/// downwards when the instants run downwards).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadingQuery {
    /// Which readings.
    pub filter: ReadingFilter,
    /// Oldest or newest first.
    pub direction: Direction,
    /// From where.
    pub seek: crate::page::Seek<ReadingId>,
    /// How many at most.
    pub limit: u32,
}

/// A metric as the catalogue knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: MetricName,
    /// In which unit its numbers are.
    pub unit: Option<Label>,
    /// What it is.
    pub description: Option<Description>,
    /// How often it was written.
    pub version: Version,
    /// When it first appeared.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// A question for a page of the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetricQuery {
    /// These names; empty means all.
    pub names: Vec<MetricName>,
    /// Text that occurs in name, unit or description, compared folded.
    pub search: Option<String>,
    /// In which order; ties and an empty order end in the name.
    pub order: Vec<Order<MetricKey>>,
    /// Which page.
    pub page: PageRequest,
}

/// What metrics can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKey {
    /// The name, byte by byte.
    Name,
    /// When it first appeared.
    CreatedAt,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    pub(super) fn metric(name: &str) -> MetricName {
        MetricName::parse(name).unwrap()
    }

    pub(super) fn reading(at: i64, values: &[(&str, f64)]) -> Reading {
        Reading {
            id: ReadingId {
                equipment: EquipmentId::new(7).unwrap(),
                at: Timestamp::from_micros(at).unwrap(),
            },
            values: Values::of(values.iter().map(|(name, value)| (metric(name), *value)).collect()).unwrap(),
            tags: Tags::new(),
            received_at: Timestamp::MIN,
        }
    }

    #[test]
    fn a_metric_name_is_lower_case_and_starts_with_a_letter() {
        for good in ["t", "temperature", "axis_1.torque", &"x".repeat(64)] {
            assert!(MetricName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "1t", "Temp", "a-b", "a b", "é", "_a", &"x".repeat(65)] {
            assert!(MetricName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_readings_id_round_trips_and_has_one_spelling() {
        for micros in [-62_135_596_800_000_000, -1, 0, 1_777_880_000_000_000] {
            let id = reading(micros, &[("t", 1.0)]).id;
            assert_eq!(ReadingId::parse(&id.to_string()), Some(id));
        }
        for bad in ["", "7", "7-", "-7-1", "7-+1", "7-01", "07-1", "7-1-1", "7-99999999999999999999", "x-1"] {
            assert_eq!(ReadingId::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn shapes_are_equal_by_their_metrics_whether_they_are_clones_or_not() {
        let shape = |names: &[&str]| Shape::new(names.iter().map(|name| metric(name)).collect());
        let (one, twin, longer) = (shape(&["b", "a"]), shape(&["a", "b", "a"]), shape(&["a", "b", "c"]));
        let clone = one.clone();
        assert_eq!(one.metrics(), [metric("a"), metric("b")]);
        for same in [&clone, &twin] {
            assert_eq!((&one, one.cmp(same)), (same, Ordering::Equal));
        }
        assert!(one != longer && one < longer && longer > twin);
        assert_eq!(HashSet::from([one, clone, twin, longer]).len(), 2);
    }

    #[test]
    fn values_are_finite_and_named_once() {
        assert!(Values::of(vec![(metric("a"), f64::NAN)]).is_none());
        assert!(Values::of(vec![(metric("a"), f64::INFINITY)]).is_none());
        assert!(Values::of(vec![(metric("a"), 1.0), (metric("a"), 2.0)]).is_none());
        let values = Values::of(vec![(metric("b"), 2.0), (metric("a"), 1.0)]).unwrap();
        assert_eq!(values.numbers(), [1.0, 2.0]);
        assert_eq!(values.get(&metric("b")), Some(2.0));
    }

    #[test]
    fn late_data_never_overwrites_newer() {
        let mut head = Head::new(EquipmentId::new(7).unwrap(), Label::parse("robot").unwrap());
        head.advance(&[&reading(5, &[("a", 1.0)])]);
        head.advance(&[&reading(3, &[("a", 9.0), ("b", 2.0)])]);
        assert_eq!(head.last_seen_at, Timestamp::from_micros(5));
        assert_eq!(head.latest(&metric("a")).map(|latest| latest.value), Some(1.0));
        assert_eq!(head.latest(&metric("b")).map(|latest| latest.at), Timestamp::from_micros(3));
    }

    #[test]
    fn a_head_is_the_same_whether_readings_come_one_by_one_or_together() {
        let shapes: [&[(&str, f64)]; 6] = [
            &[("a", 1.0)],
            &[("a", 2.0), ("b", 2.0)],
            &[("b", 3.0)],
            &[("c", 4.0)],
            &[("a", 5.0), ("c", 5.0)],
            &[("d", 6.0)],
        ];
        let readings: Vec<Reading> = (0..40)
            .map(|number| reading(number, shapes[usize::try_from(number * 5 + number / 6).unwrap() % 6]))
            .collect();
        let new = || Head::new(EquipmentId::new(7).unwrap(), Label::parse("robot").unwrap());
        let (mut one_by_one, mut together) = (new(), new());
        for reading in readings.iter().rev() {
            one_by_one.advance(&[reading]);
        }
        together.advance(&readings.iter().collect::<Vec<_>>());
        assert_eq!(one_by_one, together);
        assert_eq!(together.latest.len(), 4);
    }
}
