//! How many different metrics one piece of equipment reports over its life.
//!
//! Its head tells the newest value of each, and is written with every batch: a gateway that writes ids or dates into the names
//! of metrics would make that longer for ever.

use super::Refusal;
use crate::error::{Error, Flaw, Reason};
use crate::id::EquipmentId;
use crate::telemetry::{Head, MOST_METRICS_OF_ONE, MetricName, Reading, Shape, Values};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What the pieces of equipment of one batch report that was not known of them.
pub(super) struct Repertoires<'a> {
    heads: &'a BTreeMap<EquipmentId, Head>,
    by_piece: HashMap<EquipmentId, Repertoire>,
}

#[derive(Default)]
struct Repertoire {
    added: BTreeSet<MetricName>,
    /// Of which nothing is unknown any more.
    familiar: Vec<Shape>,
}

impl<'a> Repertoires<'a> {
    /// As these heads tell.
    pub(super) fn of(heads: &'a BTreeMap<EquipmentId, Head>) -> Self {
        Self { heads, by_piece: HashMap::with_capacity(heads.len()) }
    }

    /// Refuses a reading with which there would be too many. What is known already is never too much.
    pub(super) fn widen(&mut self, reading: &Reading) -> Result<(), Refusal> {
        let Some(head) = self.heads.get(&reading.id.equipment) else { return Ok(()) };
        self.by_piece.entry(reading.id.equipment).or_default().widen(head, reading.values.shape())
    }
}

/// How many of the metrics that are too much are named: a batch may bring as many as it has bytes for.
const NAMED: usize = 10;

/// Refuses values that one piece would have too many metrics with.
pub(in crate::app) fn refuse_too_many_metrics(head: &Head, values: &Values) -> Result<(), Error> {
    match Repertoire::default().widen(head, values.shape()) {
        Err(Refusal::Flawed(flaws)) => Err(Error::Invalid(flaws)),
        _ => Ok(()),
    }
}

impl Repertoire {
    /// So many sets of metrics are compared with one by one.
    const FAMILIAR: usize = 4;

    fn widen(&mut self, head: &Head, shape: &Shape) -> Result<(), Refusal> {
        if self.familiar.contains(shape) {
            return Ok(());
        }
        let is_new = |metric: &&MetricName| head.latest(metric).is_none() && !self.added.contains(*metric);
        let new: Vec<MetricName> = shape.metrics().iter().filter(is_new).cloned().collect();
        let room = MOST_METRICS_OF_ONE.saturating_sub(head.latest.len() + self.added.len());
        if new.len() > room {
            return Err(Refusal::Flawed(new.iter().take(NAMED).map(one_too_many).collect()));
        }
        self.added.extend(new);
        if self.familiar.len() < Self::FAMILIAR {
            self.familiar.push(shape.clone());
        }
        Ok(())
    }
}

fn one_too_many(metric: &MetricName) -> Flaw {
    let message =
        format!("must not be yet another metric: one piece of equipment has at most {MOST_METRICS_OF_ONE}");
    Reason::new("too_many", message).at(format!("values.{metric}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{Latest, ReadingId};
    use crate::text::Label;
    use crate::time::Timestamp;

    fn metric(number: usize) -> MetricName {
        MetricName::parse(&format!("m{number}")).unwrap()
    }

    fn heads(known: usize) -> BTreeMap<EquipmentId, Head> {
        let at = Timestamp::from_micros(0).unwrap();
        let mut head = Head::new(EquipmentId::new(1).unwrap(), Label::restore("press".to_owned()));
        head.latest = (0..known).map(|number| Latest { metric: metric(number), at, value: 1.0 }).collect();
        head.latest.sort_unstable_by(|one, other| one.metric.cmp(&other.metric));
        BTreeMap::from([(head.equipment, head)])
    }

    fn reading(metrics: std::ops::Range<usize>) -> Reading {
        let at = Timestamp::from_micros(0).unwrap();
        Reading {
            id: ReadingId { equipment: EquipmentId::new(1).unwrap(), at },
            values: Values::of(metrics.map(|number| (metric(number), 1.0)).collect()).unwrap(),
            tags: Default::default(),
            received_at: at,
        }
    }

    fn refused(result: Result<(), Refusal>) -> Vec<String> {
        let Err(Refusal::Flawed(flaws)) = result else { return Vec::new() };
        flaws.into_iter().map(|flaw| flaw.field).collect()
    }

    #[test]
    fn as_many_metrics_are_taken_as_there_may_be_and_the_next_is_named() {
        let heads = heads(MOST_METRICS_OF_ONE - 2);
        let mut repertoires = Repertoires::of(&heads);
        let last = MOST_METRICS_OF_ONE - 1;
        assert_eq!(refused(repertoires.widen(&reading(last - 1..last))), [""; 0]);
        assert_eq!(refused(repertoires.widen(&reading(0..last + 1))), [""; 0]);
        let next = MOST_METRICS_OF_ONE;
        assert_eq!(refused(repertoires.widen(&reading(0..next + 1))), [format!("values.m{next}")]);
        assert_eq!(refused(repertoires.widen(&reading(0..next))), [""; 0]);
    }

    #[test]
    fn a_machine_that_has_too_many_goes_on_with_those() {
        let heads = heads(MOST_METRICS_OF_ONE + 5);
        let mut repertoires = Repertoires::of(&heads);
        assert_eq!(refused(repertoires.widen(&reading(0..MOST_METRICS_OF_ONE + 5))), [""; 0]);
        assert_eq!(refused(repertoires.widen(&reading(9000..9001))), ["values.m9000"]);
    }
}
