//! The machine that judges the samples of one metric of one piece of equipment by one rule, in order of their own time.
//!
//! Live readings, late readings and previews on history all go through [`Judge::step`], and through nothing else.

use super::{Class, RuleDetails, Threshold};
use crate::telemetry::Sample;
use crate::time::Timestamp;
use std::time::Duration;

/// A stretch of time in which a rule was breached, once it had been for as long as the rule waits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Episode {
    /// The first breaching sample.
    pub began_at: Timestamp,
    /// The sample that showed that it had lasted long enough.
    pub raised_at: Timestamp,
    /// The value of that sample.
    pub value: f64,
    /// The newest breaching sample.
    pub last_seen_at: Timestamp,
    /// How many samples breached since it began.
    pub occurrences: u64,
    /// When it ended, if it did.
    pub ended_at: Option<Timestamp>,
}

/// Where the judgement stands after a sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum State {
    /// Nothing is wrong.
    #[default]
    Calm,
    /// Breached, but not for long enough yet.
    Pending {
        /// The first breaching sample.
        since: Timestamp,
        /// How many samples breached since.
        breaches: u64,
    },
    /// Breached for long enough, and not over.
    Raised(Episode),
}

/// Judges samples one by one, oldest first.
#[derive(Clone, Debug)]
pub struct Judge<'a> {
    threshold: &'a Threshold,
    wait: Duration,
    latch: bool,
    state: State,
    ended: Vec<Episode>,
}

impl<'a> Judge<'a> {
    /// A judge by this rule, who finds things in this state.
    pub fn new(rule: &RuleDetails, threshold: &'a Threshold, state: State) -> Self {
        Self { threshold, wait: rule.wait, latch: rule.latch, state, ended: Vec::new() }
    }

    /// Where the judgement stands.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Judges the next sample. Says whether it put an end to all that was before: what follows does not depend on it.
    pub fn step(&mut self, sample: Sample) -> bool {
        let Sample { at, value } = sample;
        match (self.threshold.class(value), &mut self.state) {
            (Class::Breach, State::Raised(episode)) => {
                episode.occurrences += 1;
                episode.last_seen_at = at;
            }
            (Class::Breach, State::Calm) => self.breach(at, 0, sample),
            (Class::Breach, State::Pending { since, breaches }) => {
                let (since, breaches) = (*since, *breaches);
                self.breach(since, breaches, sample);
            }
            (Class::Between, State::Raised(_)) => {}
            (Class::Clear, State::Raised(_)) if self.latch => {}
            (Class::Clear, State::Raised(_)) => self.end(at),
            (Class::Between | Class::Clear, State::Calm | State::Pending { .. }) => self.state = State::Calm,
        }
        self.state == State::Calm && self.threshold.class(value) == Class::Clear
    }

    /// Somebody ended it at this instant, whatever the samples say.
    pub fn end(&mut self, at: Timestamp) {
        if let State::Raised(episode) = std::mem::take(&mut self.state) {
            self.ended.push(Episode { ended_at: Some(at), ..episode });
        }
    }

    /// The episodes, oldest first; the last one may not have ended.
    pub fn episodes(self) -> Vec<Episode> {
        let mut episodes = self.ended;
        if let State::Raised(episode) = self.state {
            episodes.push(episode);
        }
        episodes
    }

    fn breach(&mut self, since: Timestamp, before: u64, sample: Sample) {
        let breaches = before + 1;
        self.state = if sample.at.since(since) >= self.wait {
            State::Raised(Episode {
                began_at: since,
                raised_at: sample.at,
                value: sample.value,
                last_seen_at: sample.at,
                occurrences: breaches,
                ended_at: None,
            })
        } else {
            State::Pending { since, breaches }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Condition, Operator, Severity, Target};
    use crate::telemetry::MetricName;
    use crate::text::Label;

    fn rule(wait: u64, clear: Option<f64>, latch: bool) -> (RuleDetails, Threshold) {
        let metric = MetricName::parse("t").unwrap();
        let threshold = Threshold {
            metric,
            operator: Operator::Above,
            threshold: 80.0,
            threshold_high: None,
            clear_threshold: clear,
        };
        let details = RuleDetails {
            name: Label::parse("Too hot").unwrap(),
            target: Target::All,
            condition: Condition::Threshold(threshold.clone()),
            wait: Duration::from_secs(wait),
            severity: Severity::Warning,
            enabled: true,
            latch,
        };
        (details, threshold)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    /// Judges samples `(second, value)`; answers `(began, raised, last seen, occurrences, ended)` of each episode.
    fn judged(
        (details, threshold): &(RuleDetails, Threshold),
        samples: &[(i64, f64)],
    ) -> Vec<(i64, i64, i64, u64, Option<i64>)> {
        let mut judge = Judge::new(details, threshold, State::Calm);
        for (second, value) in samples {
            judge.step(Sample { at: at(*second), value: *value });
        }
        let told = |episode: Episode| {
            let Episode { began_at, raised_at, last_seen_at, occurrences, ended_at, .. } = episode;
            let ended = ended_at.map(Timestamp::seconds);
            (began_at.seconds(), raised_at.seconds(), last_seen_at.seconds(), occurrences, ended)
        };
        judge.episodes().into_iter().map(told).collect()
    }

    #[test]
    fn a_breach_raises_and_a_good_value_ends_it() {
        let samples = [(1, 70.0), (2, 81.0), (3, 82.0), (4, 80.0), (5, 90.0)];
        assert_eq!(judged(&rule(0, None, false), &samples), [(2, 2, 3, 2, Some(4)), (5, 5, 5, 1, None)]);
    }

    #[test]
    fn an_alert_stays_until_the_value_is_back_far_enough() {
        let samples = [(1, 81.0), (2, 78.0), (3, 81.0), (4, 75.0)];
        assert_eq!(judged(&rule(0, Some(75.0), false), &samples), [(1, 1, 3, 2, Some(4))]);
    }

    #[test]
    fn a_breach_must_last_as_long_as_the_rule_waits() {
        let samples = [(0, 81.0), (30, 82.0), (59, 83.0), (60, 84.0), (70, 85.0)];
        assert_eq!(judged(&rule(60, None, false), &samples), [(0, 60, 70, 5, None)]);
        let interrupted = [(0, 81.0), (30, 79.0), (60, 84.0), (119, 85.0)];
        assert_eq!(judged(&rule(60, None, false), &interrupted), []);
        let eased = [(0, 81.0), (30, 79.0), (60, 84.0)];
        assert_eq!(
            judged(&rule(60, Some(75.0), false), &eased),
            [],
            "waiting starts anew when the breach stops"
        );
    }

    #[test]
    fn a_latched_alert_outlasts_its_cause() {
        let samples = [(1, 81.0), (2, 70.0), (3, 90.0)];
        assert_eq!(judged(&rule(0, None, true), &samples), [(1, 1, 3, 2, None)]);
    }

    #[test]
    fn what_somebody_ended_is_raised_anew_by_the_next_breach() {
        let (details, threshold) = rule(0, None, true);
        let mut judge = Judge::new(&details, &threshold, State::Calm);
        judge.step(Sample { at: at(1), value: 90.0 });
        judge.end(at(2));
        judge.step(Sample { at: at(3), value: 91.0 });
        let ends: Vec<_> = judge.episodes().into_iter().map(|episode| episode.ended_at).collect();
        assert_eq!(ends, [Some(at(2)), None]);
    }
}
