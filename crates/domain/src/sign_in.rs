//! Guessing passwords must not pay. Failed sign-ins are counted per account and per address, and what is being tried
//! right now counts as if it failed until it is known not to; so a thousand parallel guesses are ten guesses.

use crate::time::Timestamp;
use std::time::Duration;

/// How many failures are forgiven, and for how long they are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Failures of one account within the window before sign-in has to wait.
    pub per_account: u32,
    /// Failures from one address within the window before sign-in has to wait.
    pub per_address: u32,
    /// How long a failure is remembered, and the longest wait.
    pub window: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_account: 10, per_address: 10, window: Duration::from_secs(15 * 60) }
    }
}

/// After this long an attempt that nobody settled is taken for a failure: its process must have died.
const ABANDONED: Duration = Duration::from_secs(30);

/// What is remembered of the sign-ins of one account or address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Attempts that failed within the window.
    pub failures: u32,
    /// Attempts whose outcome is not known yet.
    pub pending: u32,
    /// When the first of these failures happened; once there are too many, when the last one did.
    pub window_started_at: Timestamp,
    /// When the last attempt was admitted or settled.
    pub last_at: Timestamp,
}

/// Whether an attempt may go ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Go ahead; the attempt is counted as pending.
    Admitted(Counter),
    /// Others are being tried; ask again in a moment.
    Crowded,
    /// Too many failures: come back after this long.
    Wait(Duration),
}

impl Counter {
    /// A counter that remembers nothing.
    pub fn fresh(now: Timestamp) -> Self {
        Self { failures: 0, pending: 0, window_started_at: now, last_at: now }
    }

    /// Forgets what is past and takes abandoned attempts for failures.
    #[must_use]
    pub fn at(self, forgiven: u32, now: Timestamp, limits: &Limits) -> Self {
        let mut counter = self;
        if now.since(counter.last_at) >= ABANDONED {
            for _ in 0..counter.pending {
                counter = counter.failed(forgiven, counter.last_at);
            }
        }
        // Successes in between must neither prolong the memory of failures nor the wait after them.
        let over = now.since(counter.window_started_at) >= limits.window;
        if counter.pending == 0 && over { Self::fresh(now) } else { counter }
    }

    /// Judges one more attempt against `forgiven` failures.
    pub fn admit(self, forgiven: u32, now: Timestamp, limits: &Limits) -> Admission {
        let counter = self.at(forgiven, now, limits);
        let admitted =
            Admission::Admitted(Self { pending: counter.pending.saturating_add(1), last_at: now, ..counter });
        if counter.failures < forgiven {
            let room = counter.failures.saturating_add(counter.pending) < forgiven;
            return if room { admitted } else { Admission::Crowded };
        }
        if counter.pending > 0 {
            return Admission::Crowded;
        }
        let wait = growing_wait(counter.failures.saturating_sub(forgiven), limits.window);
        let waited = now.since(counter.window_started_at);
        if waited >= wait { admitted } else { Admission::Wait(wait - waited) }
    }

    /// The pending attempt succeeded.
    #[must_use]
    pub fn succeeded(self) -> Self {
        Self { pending: self.pending.saturating_sub(1), ..self }
    }

    /// The pending attempt failed.
    #[must_use]
    pub fn failed(self, forgiven: u32, now: Timestamp) -> Self {
        let failures = self.failures.saturating_add(1);
        let starts_window = self.failures == 0 || failures >= forgiven;
        let window_started_at = if starts_window { now } else { self.window_started_at };
        Self { failures, pending: self.pending.saturating_sub(1), window_started_at, last_at: now }
    }

    /// The account proved itself: its failures are forgiven, attempts still under way are not.
    #[must_use]
    pub fn forgiven(self, now: Timestamp) -> Self {
        Self { failures: 0, pending: self.pending.saturating_sub(1), window_started_at: now, last_at: now }
    }
}

/// 1 s, 2 s, 4 s, … up to `longest`.
fn growing_wait(beyond: u32, longest: Duration) -> Duration {
    Duration::from_secs(1u64.checked_shl(beyond).unwrap_or(u64::MAX)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000).unwrap()
    }

    fn admitted(admission: Admission) -> Counter {
        match admission {
            Admission::Admitted(counter) => counter,
            Admission::Crowded | Admission::Wait(_) => panic!("{admission:?}"),
        }
    }

    fn after_failures(count: u32) -> Counter {
        (0..count).fold(Counter::fresh(at(0)), |counter, _| counter.failed(10, at(0)))
    }

    #[test]
    fn the_eleventh_failure_waits_and_each_further_one_twice_as_long() {
        let limits = Limits::default();
        assert!(matches!(after_failures(9).admit(10, at(0), &limits), Admission::Admitted(_)));
        assert_eq!(after_failures(10).admit(10, at(0), &limits), Admission::Wait(Duration::from_secs(1)));
        assert_eq!(after_failures(13).admit(10, at(0), &limits), Admission::Wait(Duration::from_secs(8)));
        assert_eq!(after_failures(40).admit(10, at(0), &limits), Admission::Wait(limits.window));
        assert!(matches!(after_failures(13).admit(10, at(8), &limits), Admission::Admitted(_)));
    }

    #[test]
    fn parallel_guesses_count_before_they_are_known_to_fail() {
        let limits = Limits::default();
        let ten =
            (0..10).fold(Counter::fresh(at(0)), |counter, _| admitted(counter.admit(10, at(0), &limits)));
        assert_eq!(ten.admit(10, at(0), &limits), Admission::Crowded);
    }

    #[test]
    fn honest_parallel_sign_ins_make_room_for_each_other() {
        let limits = Limits::default();
        let mut counter = Counter::fresh(at(0));
        for _ in 0..50 {
            counter = admitted(counter.admit(10, at(0), &limits)).succeeded();
        }
        assert_eq!((counter.failures, counter.pending), (0, 0));
    }

    #[test]
    fn attempts_of_a_process_that_died_end_up_as_failures() {
        let limits = Limits::default();
        let pending = admitted(Counter::fresh(at(0)).admit(10, at(0), &limits));
        assert_eq!(pending.at(10, at(30), &limits).failures, 1);
        assert_eq!(pending.at(10, at(29), &limits).pending, 1);
    }

    #[test]
    fn failures_are_forgotten_after_a_quiet_window() {
        let limits = Limits::default();
        assert_eq!(after_failures(5).at(10, at(900), &limits).failures, 0);
        assert_eq!(after_failures(5).at(10, at(899), &limits).failures, 5);
    }

    #[test]
    fn successes_in_between_neither_prolong_the_memory_nor_the_wait() {
        let limits = Limits::default();
        let busy = admitted(after_failures(9).admit(10, at(600), &limits)).succeeded();
        assert_eq!(busy.at(10, at(900), &limits).failures, 0);
        let full = after_failures(10);
        let admitted_once = admitted(full.admit(10, at(1), &limits)).succeeded();
        assert!(matches!(admitted_once.admit(10, at(1), &limits), Admission::Admitted(_)));
    }
}
