//! What becomes of readings that meet under one identity.

use super::{MOST_ATTRIBUTES, MOST_METRICS, Reading};
use crate::error::{Flaw, Reason};

/// What to do about a reading that says otherwise than the stored one of the same identity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Refuse it.
    #[default]
    Refuse,
    /// Believe the newer.
    Replace,
}

/// What becomes of a reading in view of what is stored under its identity.
#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// The same is there already.
    Same,
    /// What is there gains or changes something; this is the whole of it.
    Merged(Reading),
    /// It contradicts what is there, in these fields.
    Conflict(Vec<String>),
    /// Together with what is there it is more than a reading may be, in these fields.
    TooMuch(Vec<Flaw>),
}

impl Settled {
    /// Whether a stored value would be contradicted.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Settled::Conflict(_))
    }
}

/// Decides what becomes of `sent`. Further metrics of the same instant are added, as far as one reading can hold them; a different
/// value is a conflict.
pub fn settle(stored: &Reading, sent: &Reading, on_conflict: OnConflict) -> Settled {
    let differing = differences(stored, sent);
    if !differing.is_empty() && on_conflict == OnConflict::Refuse {
        return Settled::Conflict(differing);
    }
    let adds = sent.values.shape().metrics().iter().any(|metric| stored.values.get(metric).is_none())
        || sent.tags.keys().any(|name| !stored.tags.contains_key(name));
    if differing.is_empty() && !adds {
        return Settled::Same;
    }
    let mut tags = stored.tags.clone();
    tags.extend(sent.tags.clone());
    let values = stored.values.with(&sent.values);
    let whole = Reading { id: sent.id, values, tags, received_at: sent.received_at };
    let excesses = excesses(stored, &whole);
    if excesses.is_empty() { Settled::Merged(whole) } else { Settled::TooMuch(excesses) }
}

fn differences(stored: &Reading, sent: &Reading) -> Vec<String> {
    let numbers = sent.values.iter().filter_map(|(metric, value)| {
        let differs = stored.values.get(metric).is_some_and(|there| there != value);
        differs.then(|| format!("values.{metric}"))
    });
    let tags = sent.tags.iter().filter_map(|(name, tag)| {
        let differs = stored.tags.get(name).is_some_and(|there| there != tag);
        differs.then(|| format!("attributes.{name}"))
    });
    numbers.chain(tags).collect()
}

/// What the reading would have more of than it may.
fn excesses(before: &Reading, after: &Reading) -> Vec<Flaw> {
    let metrics = |reading: &Reading| reading.values.shape().metrics().len();
    let values = excess("values", MOST_METRICS, metrics(before), metrics(after));
    let attributes = excess("attributes", MOST_ATTRIBUTES, before.tags.len(), after.tags.len());
    values.into_iter().chain(attributes).collect()
}

/// What was too much before and does not grow is no reason to refuse a change.
fn excess(field: &str, most: usize, before: usize, after: usize) -> Option<Flaw> {
    let message =
        || format!("must have at most {most} entries together with what is there of the same instant");
    (after > most.max(before)).then(|| Reason::new("too_many", message()).at(field))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{metric, reading};
    use super::super::{MetricName, Tag, Values};
    use super::*;

    /// A reading with this many metrics, the first of them so far on in the row of all.
    fn wide(first: usize, count: usize) -> Reading {
        let name = |number: usize| metric(&format!("m{number}"));
        let named: Vec<(MetricName, f64)> =
            (first..first + count).map(|number| (name(number), 1.0)).collect();
        Reading { values: Values::of(named).unwrap(), ..reading(5, &[]) }
    }

    fn noted(reading: Reading, first: usize, count: usize) -> Reading {
        let tags = (first..first + count).map(|number| (format!("t{number}"), Tag::Flag(true))).collect();
        Reading { tags, ..reading }
    }

    fn too_much(settled: &Settled) -> Vec<&str> {
        let Settled::TooMuch(flaws) = settled else { return Vec::new() };
        assert!(flaws.iter().all(|flaw| flaw.reason.code == "too_many"));
        flaws.iter().map(|flaw| flaw.field.as_str()).collect()
    }

    #[test]
    fn a_reading_sent_again_is_the_same_also_in_part() {
        let stored = reading(5, &[("a", 1.0), ("b", 2.0)]);
        assert_eq!(settle(&stored, &stored, OnConflict::Refuse), Settled::Same);
        assert_eq!(settle(&stored, &reading(5, &[("b", 2.0)]), OnConflict::Refuse), Settled::Same);
    }

    #[test]
    fn further_metrics_of_the_same_instant_are_added() {
        let merged = settle(&reading(5, &[("a", 1.0)]), &reading(5, &[("b", 2.0)]), OnConflict::Refuse);
        assert_eq!(merged, Settled::Merged(reading(5, &[("a", 1.0), ("b", 2.0)])));
    }

    #[test]
    fn another_value_of_the_same_metric_is_a_conflict_unless_it_shall_replace() {
        let (stored, sent) = (reading(5, &[("a", 1.0), ("b", 2.0)]), reading(5, &[("a", 9.0)]));
        assert_eq!(settle(&stored, &sent, OnConflict::Refuse), Settled::Conflict(vec!["values.a".into()]));
        let replaced = settle(&stored, &sent, OnConflict::Replace);
        assert_eq!(replaced, Settled::Merged(reading(5, &[("a", 9.0), ("b", 2.0)])));
    }

    #[test]
    fn metrics_and_attributes_are_added_only_as_far_as_one_reading_can_hold_them() {
        let stored = noted(wide(0, MOST_METRICS - 1), 0, MOST_ATTRIBUTES - 1);
        let one_more = noted(wide(MOST_METRICS - 1, 1), MOST_ATTRIBUTES - 1, 1);
        for on_conflict in [OnConflict::Refuse, OnConflict::Replace] {
            let full = noted(wide(0, MOST_METRICS), 0, MOST_ATTRIBUTES);
            assert_eq!(settle(&stored, &one_more, on_conflict), Settled::Merged(full.clone()));
            let settled = |sent: &Reading| settle(&full, sent, on_conflict);
            assert_eq!(too_much(&settled(&wide(MOST_METRICS, 1))), ["values"]);
            assert_eq!(too_much(&settled(&noted(wide(0, 1), MOST_ATTRIBUTES, 1))), ["attributes"]);
            let both = noted(wide(MOST_METRICS, 1), MOST_ATTRIBUTES, 1);
            assert_eq!(too_much(&settled(&both)), ["values", "attributes"]);
            assert_eq!(settled(&one_more), Settled::Same);
        }
    }

    #[test]
    fn a_reading_that_was_too_large_before_can_be_changed_but_does_not_grow() {
        let stored = wide(0, MOST_METRICS + 5);
        let changed = settle(&stored, &reading(5, &[("m0", 2.0)]), OnConflict::Replace);
        assert!(matches!(changed, Settled::Merged(_)), "{changed:?}");
        assert_eq!(too_much(&settle(&stored, &reading(5, &[("x", 2.0)]), OnConflict::Replace)), ["values"]);
    }
}
