//! Who wrote what. Points that differ in a tag belong to different series, and what would be one metric of one reading here may be
//! written by one of them alone.

use domain::telemetry::{MetricName, Shape};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};

/// The points of a batch, as far as that has to be known of them.
#[derive(Debug, Default)]
pub(super) struct Writers {
    readings: HashMap<u64, Written>,
    /// Whose each metric is, where the points of a reading are of different series.
    metrics: HashMap<u64, u64>,
    hasher: RandomState,
}

/// Who wrote a reading so far.
#[derive(Debug)]
enum Written {
    /// One series, which is the rule: metrics need not be looked at one by one.
    ByOne {
        series: u64,
        first: Shape,
        further: Vec<Shape>,
    },
    BySeveral,
}

impl Written {
    /// Whether it goes on being written by one.
    fn goes_on(&mut self, shape: &Shape, by: u64) -> bool {
        match self {
            Written::ByOne { series, first, further } if *series == by => {
                if shape != first && further.last() != Some(shape) {
                    further.push(shape.clone());
                }
                true
            }
            Written::ByOne { .. } | Written::BySeveral => false,
        }
    }
}

impl Writers {
    /// Takes note of a point of this series that writes these metrics of this reading, unless one of them was written by another
    /// series, which it then answers.
    pub(super) fn note(&mut self, reading: u64, shape: &Shape, series: u64) -> Result<(), MetricName> {
        let known = match self.readings.entry(reading) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                unknown.insert(Written::ByOne { series, first: shape.clone(), further: Vec::new() });
                return Ok(());
            }
        };
        if known.goes_on(shape, series) {
            return Ok(());
        }
        if let Written::ByOne { series, first, further } = std::mem::replace(known, Written::BySeveral) {
            further.iter().chain([&first]).for_each(|shape| self.own(reading, shape, series));
        }
        match shape.metrics().iter().find(|metric| self.owner(reading, metric).is_some_and(|it| it != series))
        {
            Some(metric) => Err(metric.clone()),
            None => {
                self.own(reading, shape, series);
                Ok(())
            }
        }
    }

    /// Begins anew, with another batch.
    pub(super) fn forget(&mut self) {
        self.readings.clear();
        self.metrics.clear();
    }

    fn owner(&self, reading: u64, metric: &MetricName) -> Option<u64> {
        self.metrics.get(&self.hasher.hash_one((reading, metric))).copied()
    }

    fn own(&mut self, reading: u64, shape: &Shape, series: u64) {
        for metric in shape.metrics() {
            self.metrics.insert(self.hasher.hash_one((reading, metric)), series);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(names: &[&str]) -> Shape {
        Shape::new(names.iter().map(|name| MetricName::parse(name).unwrap()).collect())
    }

    #[test]
    fn a_metric_of_a_reading_belongs_to_the_series_that_wrote_it_first() {
        let mut writers = Writers::default();
        let mut note = |reading, names: &[&str], series| {
            writers.note(reading, &shape(names), series).map_err(|metric| metric.to_string())
        };
        assert_eq!(note(1, &["a", "b"], 0), Ok(()));
        assert_eq!(note(1, &["c"], 0), Ok(()));
        assert_eq!(note(1, &["b", "d"], 7), Err("b".to_owned()), "also if the first has no other tags");
        assert_eq!(note(1, &["c"], 7), Err("c".to_owned()), "also if it was not the last one written");
        assert_eq!(note(1, &["d"], 7), Ok(()));
        assert_eq!(note(1, &["d"], 0), Err("d".to_owned()));
        assert_eq!(note(1, &["a", "e"], 0), Ok(()));
        assert_eq!(note(2, &["a"], 7), Ok(()), "another reading is another matter");
    }

    #[test]
    fn who_is_refused_owns_nothing() {
        let mut writers = Writers::default();
        for (names, series, is_taken) in [(&["b"][..], 1, true), (&["a", "b"], 2, false), (&["a"], 3, true)] {
            assert_eq!(writers.note(1, &shape(names), series).is_ok(), is_taken, "{names:?}");
        }
    }

    #[test]
    fn a_batch_knows_nothing_of_the_one_before() {
        let mut writers = Writers::default();
        assert!(writers.note(1, &shape(&["a"]), 1).is_ok());
        writers.forget();
        assert!(writers.note(1, &shape(&["a"]), 2).is_ok());
    }
}
