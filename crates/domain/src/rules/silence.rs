//! Judging silence. Unlike values it is judged on the clock: what a machine did not send has no time of its own.

use super::RuleDetails;
use crate::time::Timestamp;

/// Since when a piece of equipment owes a reading: the latest of its newest one, the moment when somebody last wrote about it
/// in the register, and the moment when the rule came into force.
pub fn owes_since(
    last_seen_at: Option<Timestamp>,
    written_at: Timestamp,
    in_force_since: Timestamp,
) -> Timestamp {
    written_at.max(in_force_since).max(last_seen_at.unwrap_or(written_at))
}

/// When the silence that began at `since` is long enough to raise the rule's alert.
pub fn due_at(rule: &RuleDetails, since: Timestamp) -> Timestamp {
    since.after(rule.wait)
}

/// Whether a reading of instant `at`, known at `now`, breaks the silence. Old data that a machine had kept does not.
pub fn is_broken_by(rule: &RuleDetails, at: Timestamp, now: Timestamp) -> bool {
    now < due_at(rule, at)
}

/// The silences of a machine between two instants, as the rule would have seen them had each of these readings arrived at
/// its own instant: when each was raised, and when a reading broke it. `seen` is ordered. Where the rule latches, nothing
/// breaks the first, which leaves no room for another.
pub fn silences(
    rule: &RuleDetails,
    from: Timestamp,
    until: Timestamp,
    seen: &[Timestamp],
) -> Vec<(Timestamp, Option<Timestamp>)> {
    let starts = std::iter::once(from).chain(seen.iter().copied());
    let ends = seen.iter().copied().map(Some).chain([None]);
    let gaps = starts.zip(ends).map(|(start, end)| (due_at(rule, start), end));
    let mut silences = gaps.filter(|(raised, end)| *raised < end.unwrap_or(until));
    if rule.latch {
        return silences.next().map(|(raised, _)| (raised, None)).into_iter().collect();
    }
    silences.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Condition, Severity, Target};
    use crate::text::Label;
    use std::time::Duration;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    fn rule() -> RuleDetails {
        RuleDetails {
            name: Label::parse("Silent").unwrap(),
            target: Target::All,
            condition: Condition::NoData(None),
            wait: Duration::from_secs(60),
            severity: Severity::Warning,
            enabled: true,
            latch: false,
        }
    }

    #[test]
    fn every_gap_that_is_long_enough_is_a_silence_and_the_last_one_may_go_on() {
        let told = silences(&rule(), at(0), at(400), &[at(59), at(120), at(200)]);
        assert_eq!(told, [(at(119), Some(at(120))), (at(180), Some(at(200))), (at(260), None)]);
        assert_eq!(silences(&rule(), at(0), at(60), &[]), []);
        assert_eq!(silences(&rule(), at(0), at(61), &[]), [(at(60), None)]);
    }

    #[test]
    fn a_latched_silence_outlasts_what_breaks_it() {
        let latched = RuleDetails { latch: true, ..rule() };
        assert_eq!(silences(&latched, at(0), at(400), &[at(59), at(120), at(200)]), [(at(119), None)]);
        assert_eq!(silences(&latched, at(0), at(60), &[at(30)]), []);
    }

    #[test]
    fn old_data_does_not_break_a_silence() {
        assert!(is_broken_by(&rule(), at(41), at(100)));
        assert!(!is_broken_by(&rule(), at(40), at(100)));
    }
}
