//! What a machine of the demo plant measures at an instant. The same seed gives the same values.

use super::kinds::{Fault, Kind, Signal};
use domain::telemetry::{MetricName, Shape, Values};
use domain::time::Timestamp;
use std::f64::consts::TAU;

/// Random enough for a demo, and the same every time: SplitMix64.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A whole number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// A number from -1 to 1.
    fn either_way(&mut self) -> f64 {
        self.next() as f64 / u64::MAX as f64 * 2.0 - 1.0
    }

    /// One of these.
    pub(super) fn one_of<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len() as u64) as usize)
    }
}

/// A time in which something is wrong with a machine.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// What is wrong.
    pub fault: &'static Fault,
    /// From this instant on.
    pub from: Timestamp,
    /// Until this one.
    pub until: Timestamp,
}

impl Trouble {
    /// How far it has come at an instant, from nothing to 1: it builds up over its first quarter.
    fn share(&self, at: Timestamp) -> f64 {
        if at < self.from || at >= self.until {
            return 0.0;
        }
        let (passed, whole) = (at.since(self.from).as_secs_f64(), self.until.since(self.from).as_secs_f64());
        (passed * 4.0 / whole).min(1.0)
    }
}

/// A machine at work.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    kind: &'static Kind,
    shape: Shape,
    random: Random,
    /// How far each signal has wandered off.
    wandered: Vec<f64>,
    troubles: Vec<Trouble>,
}

impl Machine {
    /// A machine of this kind that is well.
    pub(super) fn new(kind: &'static Kind, seed: u64) -> Self {
        let metrics = kind.signals.iter().map(|signal| MetricName::restore(signal.metric)).collect();
        let wandered = vec![0.0; kind.signals.len()];
        Self { kind, shape: Shape::new(metrics), random: Random::new(seed), wandered, troubles: Vec::new() }
    }

    /// What kind it is of.
    pub(super) fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// Something will be wrong with it.
    pub(super) fn trouble(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }

    /// Whether something is wrong with it at this instant or later.
    pub(super) fn has_trouble_ahead(&self, at: Timestamp) -> bool {
        self.troubles.iter().any(|trouble| trouble.until > at)
    }

    /// What it measures at an instant. Instants go forward from call to call.
    pub(super) fn measure(&mut self, at: Timestamp) -> Option<Values> {
        self.troubles.retain(|trouble| trouble.until > at);
        let (load, warmth) = (load(at), warmth(at));
        let mut numbers = Vec::with_capacity(self.wandered.len());
        for (signal, wandered) in self.kind.signals.iter().zip(&mut self.wandered) {
            *wandered = wander(signal, *wandered, self.random.either_way());
            let well = signal.idle + (signal.full - signal.idle) * load + signal.warmth * warmth;
            let troubles = self.troubles.iter().filter(|trouble| trouble.fault.metric == signal.metric);
            let value = troubles
                .fold(well, |value, trouble| value + (trouble.fault.level - value) * trouble.share(at));
            numbers.push(two_decimals(value + *wandered));
        }
        Values::new(self.shape.clone(), numbers)
    }
}

fn wander(signal: &Signal, before: f64, push: f64) -> f64 {
    (before * 0.9 + push * signal.noise).clamp(-3.0 * signal.noise, 3.0 * signal.noise)
}

fn two_decimals(value: f64) -> f64 {
    (value.max(0.0) * 100.0).round() / 100.0
}

const HOUR: i64 = 60 * 60;

/// How hard the plant works: three shifts a day, the third with few people, and less at weekends.
fn load(at: Timestamp) -> f64 {
    let shift = match hour(at) as u32 {
        6..14 => 1.0,
        14..22 => 0.85,
        _ => 0.45,
    };
    // 1970 began on a Thursday.
    let weekday = (at.seconds().div_euclid(24 * HOUR) + 3).rem_euclid(7);
    if weekday < 5 { shift } else { shift * 0.5 }
}

/// How warm the day is, from -1 before dawn to 1 in the afternoon.
fn warmth(at: Timestamp) -> f64 {
    ((hour(at) - 9.0) / 24.0 * TAU).sin()
}

fn hour(at: Timestamp) -> f64 {
    at.seconds().rem_euclid(24 * HOUR) as f64 / HOUR as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::demo::{kinds, rules};
    use domain::rules::{Class, Condition, Target, Threshold};
    use std::time::Duration;

    const MINUTE: Duration = Duration::from_secs(60);

    fn monday() -> Timestamp {
        Timestamp::parse("2026-05-04T00:00:00Z").unwrap()
    }

    fn instants(count: u32) -> impl Iterator<Item = Timestamp> {
        (0..count).map(|minute| monday().after(MINUTE * minute))
    }

    fn limits(kind: &Kind) -> Vec<Threshold> {
        let kind = Target::Kind(domain::text::Label::restore(kind.name.to_owned()));
        let limits = rules::all().into_iter().filter(|rule| rule.target == kind);
        let thresholds = limits.filter_map(|rule| match rule.condition {
            Condition::Threshold(threshold) => Some(threshold),
            Condition::NoData(_) => None,
        });
        thresholds.collect()
    }

    #[test]
    fn a_well_machine_keeps_far_inside_every_limit_for_a_week() {
        for kind in kinds::ALL {
            let mut machine = Machine::new(kind, 7);
            for at in instants(7 * 24 * 60) {
                let values = machine.measure(at).unwrap();
                for limit in limits(kind) {
                    let value = values.get(&limit.metric).unwrap();
                    assert_eq!(limit.class(value), Class::Clear, "{} {}: {value}", kind.name, limit.metric);
                }
            }
        }
    }

    #[test]
    fn every_fault_breaks_a_limit_for_most_of_its_time() {
        let usual =
            kinds::ALL.into_iter().flat_map(|kind| kind.faults.iter().map(move |fault| (kind, *fault)));
        for (kind, fault) in usual.chain([(&kinds::INDUCTION_FURNACE, &kinds::COOLANT_LOST)]) {
            let mut machine = Machine::new(kind, 7);
            let until = monday().after(MINUTE * 40);
            machine.trouble(Trouble { fault, from: monday(), until });
            let limit = limits(kind).into_iter().find(|limit| limit.metric.as_str() == fault.metric).unwrap();
            let values = instants(60).map(|at| machine.measure(at).unwrap().get(&limit.metric).unwrap());
            let classes: Vec<_> = values.map(|value| limit.class(value)).collect();
            assert_eq!(classes[0], Class::Clear, "it builds up");
            assert!(classes[10..40].iter().all(|class| *class == Class::Breach), "{} {classes:?}", kind.name);
            assert!(classes[40..].iter().all(|class| *class == Class::Clear), "{} {classes:?}", kind.name);
        }
    }

    #[test]
    fn values_belong_to_the_metrics_that_they_stand_for_and_have_two_decimals() {
        for kind in kinds::ALL {
            let values = Machine::new(kind, 7).measure(monday().after(MINUTE * 600)).unwrap();
            for signal in kind.signals {
                let value = values.get(&MetricName::parse(signal.metric).unwrap()).unwrap();
                let (least, most) = (signal.idle.min(signal.full), signal.idle.max(signal.full));
                let reach = signal.warmth + 3.0 * signal.noise + 0.01;
                assert!((least - reach..=most + reach).contains(&value), "{} {value}", signal.metric);
                assert_eq!(value, (value * 100.0).round() / 100.0);
                assert!(kinds::METRICS.iter().any(|(name, ..)| *name == signal.metric), "{}", signal.metric);
            }
            assert!(kind.signals.iter().any(|signal| signal.metric == kinds::COMMON_METRIC), "{}", kind.name);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_values_and_another_seed_others() {
        let week = |seed| {
            let mut machine = Machine::new(&kinds::CNC_MILL, seed);
            instants(100).map(|at| machine.measure(at).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(week(1), week(1));
        assert_ne!(week(1), week(2));
    }

    #[test]
    fn nights_and_weekends_are_quieter_than_weekdays() {
        let power = |text: &str| {
            let values = Machine::new(&kinds::CNC_MILL, 3).measure(Timestamp::parse(text).unwrap()).unwrap();
            values.get(&MetricName::parse("power").unwrap()).unwrap()
        };
        let (day, night) = (power("2026-05-04T10:00:00Z"), power("2026-05-04T02:00:00Z"));
        let (friday, saturday) = (power("2026-05-08T10:00:00Z"), power("2026-05-09T10:00:00Z"));
        assert!(day > night + 3.0 && friday > saturday + 3.0, "{day} {night} {friday} {saturday}");
    }
}
