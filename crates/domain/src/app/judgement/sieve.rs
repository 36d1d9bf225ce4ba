//! Leaving out what needs no judgement. Where nothing was wrong before, a new reading that breaches nothing changes
//! nothing, and that is what nearly all readings are.

use super::compiled::{About, Alike, Compiled};
use super::{ByRule, Touched};
use crate::rules::{Calm, Rule};
use crate::telemetry::{MetricName, Shape};
use std::collections::{HashMap, HashSet};

/// What is known of the readings of one unit of work: which values are calm, by who is judged alike and by shape.
#[derive(Default)]
pub(super) struct Sieve<'a>(HashMap<Alike<'a>, HashMap<Shape, Vec<Calm>>>);

impl<'a> Sieve<'a> {
    /// The rules that may have something to say about what was touched, in their order. `alerts` are the ones of this
    /// piece that its readings touch.
    pub(super) fn worth_judging(
        &mut self,
        rules: &'a Compiled,
        touched: &Touched<'_>,
        alerts: &ByRule,
    ) -> Vec<&'a Rule> {
        let about = rules.about(touched.equipment, &touched.kind);
        if !touched.before.knows_none_of(&touched.readings) {
            return about.at(about.places(|_| true).collect());
        }
        let breached = self.breached(&about, touched);
        if breached.is_empty() && alerts.is_empty() {
            return Vec::new();
        }
        let mut places: Vec<usize> = breached.iter().flat_map(|metric| about.about_metric(metric)).collect();
        if !alerts.is_empty() {
            places.extend(about.places(|rule| alerts.contains_key(&rule.id)));
        }
        about.at(places)
    }

    /// The metrics of which a value breaches a rule.
    fn breached<'t>(&mut self, about: &About<'a>, touched: &Touched<'t>) -> HashSet<&'t MetricName> {
        let known = self.0.entry(about.alike()).or_default();
        let mut breached = HashSet::new();
        for alike in touched.readings.chunk_by(|one, next| one.values.shape() == next.values.shape()) {
            let Some(first) = alike.first() else { continue };
            let shape = first.values.shape();
            if !known.contains_key(shape) {
                known.insert(shape.clone(), about.calm(shape));
            }
            let Some(calm) = known.get(shape) else { continue };
            for reading in alike {
                let numbers = reading.values.numbers().iter().zip(calm).zip(shape.metrics());
                let loud = numbers.filter(|((number, calm), _)| !calm.contains(**number));
                breached.extend(loud.map(|(_, metric)| metric));
            }
        }
        breached
    }
}
