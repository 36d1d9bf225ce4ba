//! When a delivery is tried again, and when enough is enough.

use crate::time::Timestamp;
use std::time::Duration;

/// The status by which a receiver says that it is gone for good.
const GONE: u16 = 410;

/// How the receiver, or whatever is on the way to it, answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status; none when there was no answer.
    pub status: Option<u16>,
    /// What went wrong on the way.
    pub error: Option<String>,
    /// The beginning of what was said.
    pub text: Option<String>,
    /// How long the receiver wants to be left alone.
    pub retry_after: Option<Duration>,
}

impl Answer {
    /// Whether the receiver took it.
    pub fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// What went wrong, in words, if something did.
    pub fn failure(&self) -> Option<String> {
        match (&self.error, self.status) {
            (Some(error), _) => Some(error.clone()),
            (None, Some(_)) if self.is_success() => None,
            (None, Some(status @ 300..400)) => Some(format!("answered {status}; redirects are not followed")),
            (None, Some(status)) => Some(format!("answered {status}")),
            (None, None) => Some("did not answer".to_owned()),
        }
    }
}

/// How long to wait after the first failure, after the second, and so on; after one more it is given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pauses(pub Vec<Duration>);

impl Default for Pauses {
    /// Eight tries within a day: 5 s, 30 s, 2 min, 10 min, 1 h, 6 h and 17 h apart.
    fn default() -> Self {
        Self([5, 30, 120, 600, 3600, 21_600, 61_200].map(Duration::from_secs).into())
    }
}

/// What follows from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken.
    Delivered,
    /// It is tried again then.
    Again(Timestamp),
    /// It was tried often enough.
    GivenUp,
    /// The receiver is gone for good, and nothing more should be sent to it.
    Gone,
}

impl Pauses {
    /// What follows from this answer to the try that is the `tries`th, from 1. `chance` is any number: it spreads tries out
    /// by up to a tenth, so that what failed together does not come back together.
    pub fn judge(&self, answer: &Answer, tries: u32, chance: u8, now: Timestamp) -> Verdict {
        if answer.is_success() {
            return Verdict::Delivered;
        }
        if answer.status == Some(GONE) {
            return Verdict::Gone;
        }
        let place = usize::try_from(tries.saturating_sub(1)).unwrap_or(usize::MAX);
        let Some(pause) = self.0.get(place) else { return Verdict::GivenUp };
        let longest = self.0.iter().max().copied().unwrap_or(*pause);
        let wanted = answer.retry_after.unwrap_or_default().min(longest);
        let pause = (*pause).max(wanted);
        Verdict::Again(now.after(pause + pause / 10 * u32::from(chance) / u32::from(u8::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_micros(0).unwrap()
    }

    fn answered(status: u16) -> Answer {
        Answer { status: Some(status), ..Answer::default() }
    }

    #[test]
    fn what_fails_is_tried_eight_times_within_about_a_day_and_then_given_up() {
        let pauses = Pauses::default();
        let mut at = now();
        let mut tries = 1;
        while let Verdict::Again(next) = pauses.judge(&answered(500), tries, 0, at) {
            assert!(next > at);
            (at, tries) = (next, tries + 1);
        }
        assert_eq!(tries, 8);
        assert_eq!(at.since(now()).as_secs() / 3600, 24);
        assert_eq!(pauses.judge(&Answer::default(), 8, 0, at), Verdict::GivenUp);
    }

    #[test]
    fn only_success_is_success() {
        let judge = |answer: &Answer| Pauses::default().judge(answer, 1, 0, now());
        assert_eq!(judge(&answered(204)), Verdict::Delivered);
        assert_eq!(judge(&answered(410)), Verdict::Gone);
        for status in [100, 199, 300, 302, 400, 404, 429, 500] {
            assert!(matches!(judge(&answered(status)), Verdict::Again(_)), "{status}");
            assert!(answered(status).failure().is_some(), "{status}");
        }
        assert_eq!(answered(200).failure(), None);
    }

    #[test]
    fn a_receiver_that_wants_to_be_left_alone_is_but_not_for_ever() {
        let wanting = |seconds| Answer { retry_after: Some(Duration::from_secs(seconds)), ..answered(503) };
        let after = |answer: &Answer| match Pauses::default().judge(answer, 1, 0, now()) {
            Verdict::Again(at) => at.since(now()).as_secs(),
            Verdict::Delivered | Verdict::GivenUp | Verdict::Gone => 0,
        };
        assert_eq!(after(&wanting(90)), 90);
        assert_eq!(after(&wanting(1)), 5);
        assert_eq!(after(&wanting(1_000_000)), 61_200);
    }

    #[test]
    fn chance_spreads_tries_by_a_tenth_at_most() {
        let at = |chance| Pauses::default().judge(&answered(500), 3, chance, now());
        assert_eq!(at(0), Verdict::Again(now().after(Duration::from_secs(120))));
        assert_eq!(at(u8::MAX), Verdict::Again(now().after(Duration::from_secs(132))));
    }
}
