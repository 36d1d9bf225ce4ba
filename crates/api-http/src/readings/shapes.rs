//! The sequences in which machines name their metrics. A machine names the same ones in the same order in reading after
//! reading, so what a sequence amounts to is found out once.
//!
//! Sequences are kept as a tree: each [`Step`] is a metric behind those that were named before it in the same reading.
//! A reading is followed through the tree while it is read; only where it leaves what is known are names looked at.

use domain::telemetry::{MOST_METRICS, MetricName, Shape, Values};
use std::iter::successors;

/// When so many metrics are kept, in steps and in shapes, everything is forgotten: inventions cost no more memory than
/// that, and what keeps coming is soon known again.
const MOST_KEPT: usize = 16_384;

/// A reading looks at its own metrics and few others. When one had to look at so many, everything is forgotten, too:
/// whoever invents names makes nobody search through them for long.
const MOST_LOOKED_AT: usize = 1024;

/// Where every sequence starts.
const START: usize = 0;

/// The sequences that were seen.
#[derive(Debug)]
pub(crate) struct Shapes {
    /// Steps name each other by their places here.
    steps: Vec<Step>,
    /// How many metrics there are in shapes.
    shaped: usize,
    /// How many steps were looked at for the reading that is followed.
    looked_at: usize,
    /// The numbers of that reading, kept for their room.
    numbers: Vec<f64>,
}

#[derive(Debug, Default)]
struct Step {
    /// The metric; none at the start.
    metric: Option<MetricName>,
    before: usize,
    /// One of those that were seen behind it.
    behind: Option<usize>,
    /// Another one that was seen in its stead.
    beside: Option<usize>,
    /// What a sequence amounts to that ends here.
    whole: Option<Whole>,
}

impl Step {
    fn is_named(&self, name: &str) -> bool {
        self.metric.as_ref().is_some_and(|metric| metric.as_str() == name)
    }
}

#[derive(Debug)]
struct Whole {
    shape: Shape,
    /// Where each metric of the shape stands in the sequence.
    places: Vec<usize>,
}

impl Whole {
    /// What these metrics amount to; nothing if one is there twice.
    fn of(sequence: &[MetricName]) -> Option<Self> {
        let mut places: Vec<usize> = (0..sequence.len()).collect();
        places.sort_unstable_by_key(|place| sequence.get(*place));
        let shape = Shape::new(sequence.to_vec());
        (shape.metrics().len() == sequence.len()).then_some(Self { shape, places })
    }

    /// The values of a reading that gave its numbers in the order of the sequence.
    fn with(&self, numbers: &[f64]) -> Option<Values> {
        let mut ordered = Vec::with_capacity(self.places.len());
        ordered.extend(self.places.iter().filter_map(|place| numbers.get(*place)));
        Values::new(self.shape.clone(), ordered)
    }
}

impl Default for Shapes {
    fn default() -> Self {
        Self { steps: vec![Step::default()], shaped: 0, looked_at: 0, numbers: Vec::new() }
    }
}

impl Shapes {
    /// Begins to follow a reading.
    pub(crate) fn follow(&mut self) -> Followed<'_> {
        if self.kept() > MOST_KEPT || self.looked_at > MOST_LOOKED_AT {
            *self = Self::default();
        }
        self.looked_at = 0;
        self.numbers.clear();
        Followed { shapes: self, at: START }
    }

    fn kept(&self) -> usize {
        self.steps.len() + self.shaped
    }

    fn known(&mut self, behind: usize, name: &str) -> Option<usize> {
        let mut place = self.steps.get(behind)?.behind?;
        loop {
            self.looked_at += 1;
            let step = self.steps.get(place)?;
            if step.is_named(name) {
                return Some(place);
            }
            place = step.beside?;
        }
    }

    fn learn(&mut self, before: usize, name: &str) -> Option<usize> {
        let metric = Some(MetricName::parse(name).ok()?);
        let place = self.steps.len();
        let beside = self.steps.get_mut(before)?.behind.replace(place);
        self.steps.push(Step { metric, before, beside, ..Step::default() });
        Some(place)
    }

    /// Finds out what the sequence amounts to that ends with this step.
    fn understand(&mut self, end: usize) -> Option<()> {
        let whole = Whole::of(&self.sequence(end))?;
        self.shaped += whole.places.len();
        self.steps.get_mut(end)?.whole = Some(whole);
        Some(())
    }

    /// The metrics from the start up to this step.
    fn sequence(&self, end: usize) -> Vec<MetricName> {
        let steps = successors(self.steps.get(end), |step| self.steps.get(step.before));
        let mut sequence: Vec<MetricName> = steps.map_while(|step| step.metric.clone()).collect();
        sequence.reverse();
        sequence
    }
}

/// A reading that is followed, from metric to metric.
pub(crate) struct Followed<'a> {
    shapes: &'a mut Shapes,
    at: usize,
}

impl Followed<'_> {
    /// Goes on to the next metric; `None` if it cannot be one.
    pub(crate) fn measured(&mut self, name: &str, number: f64) -> Option<()> {
        let next = match self.shapes.known(self.at, name) {
            Some(next) => next,
            None if self.shapes.numbers.len() < MOST_METRICS => self.shapes.learn(self.at, name)?,
            None => return None,
        };
        self.at = next;
        self.shapes.numbers.push(number);
        Some(())
    }

    /// All that was measured; `None` if there is nothing, something twice, or no finite number.
    pub(crate) fn values(self) -> Option<Values> {
        let Self { shapes, at } = self;
        if at == START {
            return None;
        }
        if shapes.steps.get(at)?.whole.is_none() {
            shapes.understand(at)?;
        }
        shapes.steps.get(at)?.whole.as_ref()?.with(&shapes.numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(shapes: &mut Shapes, named: &[(&str, f64)]) -> Option<Values> {
        let mut followed = shapes.follow();
        for (name, number) in named {
            followed.measured(name, *number)?;
        }
        followed.values()
    }

    fn exact(named: &[(&str, f64)]) -> Option<Values> {
        let parsed = named.iter().map(|(name, number)| Some((MetricName::parse(name).ok()?, *number)));
        Values::of(parsed.collect::<Option<_>>()?)
    }

    fn is_shared(one: &Values, other: &Values) -> bool {
        std::ptr::eq(one.shape().metrics(), other.shape().metrics())
    }

    #[test]
    fn numbers_come_to_stand_with_their_metrics_in_whatever_order_they_were_named() {
        let mut shapes = Shapes::default();
        for named in [
            [("b", 2.0), ("c", 3.0), ("a", 1.0)],
            [("a", 1.0), ("b", 2.0), ("c", 3.0)],
            [("c", 3.0), ("b", 2.0), ("a", 1.0)],
        ] {
            for _ in 0..2 {
                let read = values(&mut shapes, &named).unwrap();
                assert_eq!(Some(&read), exact(&named).as_ref());
                assert_eq!(read.numbers(), [1.0, 2.0, 3.0]);
            }
        }
    }

    #[test]
    fn readings_that_name_the_same_metrics_in_the_same_order_share_their_shape() {
        let mut shapes = Shapes::default();
        let mut read = |named: &[(&str, f64)]| values(&mut shapes, named).unwrap();
        let first = read(&[("b", 2.0), ("a", 1.0)]);
        let (part, more) = (read(&[("b", 5.0)]), read(&[("b", 5.0), ("a", 1.0), ("c", 0.0)]));
        let again = read(&[("b", 3.0), ("a", 4.0)]);
        assert!(is_shared(&first, &again));
        assert_eq!(again.numbers(), [4.0, 3.0]);
        assert_eq!([part.numbers().len(), more.numbers().len()], [1, 3]);
        assert!(is_shared(&part, &read(&[("b", 6.0)])));
    }

    #[test]
    fn what_makes_no_values_makes_none_however_often_it_comes() {
        let mut shapes = Shapes::default();
        let cases: [&[(&str, f64)]; 5] = [
            &[],
            &[("a", 1.0), ("b", 1.0), ("a", 1.0)],
            &[("a", 1.0), ("B", 1.0)],
            &[("", 1.0)],
            &[("a", f64::NAN)],
        ];
        for named in cases.iter().cycle().take(3 * cases.len()) {
            assert_eq!(values(&mut shapes, named), None, "{named:?}");
        }
        assert!(values(&mut shapes, &[("a", 1.0), ("b", 1.0)]).is_some());
    }

    #[test]
    fn a_reading_has_no_more_metrics_than_it_may() {
        let names: Vec<String> = (0..=MOST_METRICS).map(|number| format!("m{number}")).collect();
        let named: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), 1.0)).collect();
        let mut shapes = Shapes::default();
        for _ in 0..2 {
            assert_eq!(values(&mut shapes, &named[..MOST_METRICS]), exact(&named[..MOST_METRICS]));
            assert_eq!(values(&mut shapes, &named), None);
        }
    }

    #[test]
    fn what_is_invented_anew_all_the_time_is_forgotten() {
        let mut shapes = Shapes::default();
        let mut most = 0;
        for number in 0..1000 {
            let names: Vec<String> = (0..64).map(|place| format!("m{place}.{number}")).collect();
            let named: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), 1.0)).collect();
            assert_eq!(values(&mut shapes, &named), exact(&named));
            most = most.max(shapes.kept());
        }
        assert!((MOST_KEPT..=MOST_KEPT + 2 * MOST_METRICS).contains(&most), "{most}");
    }

    #[test]
    fn nobody_has_to_search_through_many_inventions() {
        let mut shapes = Shapes::default();
        let mut most = 0;
        for number in 0..5 * MOST_LOOKED_AT {
            let name = format!("m{number}");
            for named in [[("temperature", 1.0)], [(name.as_str(), 2.0)]] {
                assert_eq!(values(&mut shapes, &named), exact(&named));
                most = most.max(shapes.looked_at);
            }
        }
        assert!((MOST_LOOKED_AT..=MOST_LOOKED_AT + 1).contains(&most), "{most}");
    }
}
