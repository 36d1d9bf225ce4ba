//! How often a caller may ask: the token bucket, as arithmetic and as kept by one process on its own.
//!
//! A bucket holds a minute's worth of requests and refills steadily, so all there is to know about it is how much is
//! missing: the *debt*, the time until it is full again. [`Rate`] is that arithmetic; whoever keeps buckets keeps one
//! instant for each. [`LocalAllowances`] keeps them in memory. Instances that share their buckets do so in an adapter,
//! and fall back to this one.

use crate::ports::{Allowance, Allowances, Clock, Sharing};
use crate::time::Timestamp;
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The time in which an empty bucket fills.
const MINUTE: Duration = Duration::from_secs(60);

/// Requests per minute, and the most that may come at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(u32);

impl Rate {
    /// This many requests per minute; with none, no request is ever granted.
    pub const fn per_minute(limit: u32) -> Self {
        Self(limit)
    }

    /// The debt that one request adds: the time in which the bucket gains one, in whole microseconds.
    pub fn cost(self) -> Duration {
        let micros = MINUTE.as_micros() / u128::from(self.0.max(1));
        Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX).max(1))
    }

    /// The debt of an empty bucket: as much as the bucket holds.
    pub fn depth(self) -> Duration {
        self.cost().saturating_mul(self.0)
    }

    /// Takes a request from a bucket with this debt: the debt afterwards, or nothing when it would be too much.
    pub fn take(self, debt: Duration) -> Option<Duration> {
        let after = debt.saturating_add(self.cost());
        (after <= self.depth()).then_some(after)
    }

    /// What to tell a caller whose bucket now has this debt.
    pub fn allowance(self, granted: bool, debt: Duration) -> Allowance {
        let left = self.depth().saturating_sub(debt).as_micros() / self.cost().as_micros();
        let remaining = u32::try_from(left).unwrap_or(u32::MAX);
        let retry_after = if remaining > 0 {
            Duration::ZERO
        } else {
            debt.saturating_add(self.cost()).saturating_sub(self.depth())
        };
        Allowance { granted, limit: self.0, remaining, retry_after }
    }
}

/// Buckets in the memory of this process, for a single instance or for one that cannot reach the others.
///
/// Holds a bounded number of callers. When more come within a minute, those that asked least recently are forgotten and
/// start with a full bucket again: rather that than memory without end.
pub struct LocalAllowances {
    clock: Arc<dyn Clock>,
    buckets: Mutex<Buckets>,
}

impl LocalAllowances {
    /// The most callers remembered.
    pub const CAPACITY: usize = 100_000;

    /// Buckets that refill by this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_capacity(clock, Self::CAPACITY)
    }

    fn with_capacity(clock: Arc<dyn Clock>, capacity: usize) -> Self {
        let buckets = Buckets {
            since: clock.now(),
            generation: capacity / 2,
            young: HashMap::new(),
            old: HashMap::new(),
        };
        Self { clock, buckets: Mutex::new(buckets) }
    }

    /// Takes over what another keeper of the caller's bucket said: that this much is missing in it now.
    pub fn note(&self, caller: &str, debt: Duration) {
        self.buckets().note(caller, debt, self.clock.now());
    }

    fn buckets(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Allowances for LocalAllowances {
    async fn take(&self, caller: &str, per_minute: u32) -> Allowance {
        self.buckets().take(caller, Rate::per_minute(per_minute), self.clock.now())
    }

    fn sharing(&self) -> Sharing {
        Sharing::Alone
    }
}

/// When each caller's bucket will be full again, in two generations.
///
/// Who asks is in the young one. A minute after it began, or when it is full, it becomes the old one and the old one is
/// dropped: buckets untouched for a minute are full, and a full bucket is as good as none. So nothing has to be searched
/// for what may go.
struct Buckets {
    since: Timestamp,
    generation: usize,
    young: HashMap<String, Timestamp>,
    old: HashMap<String, Timestamp>,
}

impl Buckets {
    fn take(&mut self, caller: &str, rate: Rate, now: Timestamp) -> Allowance {
        self.age(now);
        let full_at = self.young.get(caller).or_else(|| self.old.get(caller)).copied().unwrap_or(now);
        // Never more than the bucket holds: the limit may have been lowered, or the clock set back.
        let debt = full_at.since(now).min(rate.depth());
        match rate.take(debt) {
            Some(debt) => {
                self.keep(caller, now.after(debt), now);
                rate.allowance(true, debt)
            }
            None => rate.allowance(false, debt),
        }
    }

    fn note(&mut self, caller: &str, debt: Duration, now: Timestamp) {
        self.age(now);
        self.keep(caller, now.after(debt), now);
    }

    fn age(&mut self, now: Timestamp) {
        if now.since(self.since) >= MINUTE || now < self.since {
            self.begin_generation(now);
        }
    }

    fn keep(&mut self, caller: &str, full_at: Timestamp, now: Timestamp) {
        if let Some(known) = self.young.get_mut(caller) {
            *known = full_at;
            return;
        }
        if self.young.len() >= self.generation {
            self.begin_generation(now);
        }
        self.young.insert(caller.to_owned(), full_at);
    }

    fn begin_generation(&mut self, now: Timestamp) {
        self.old = std::mem::take(&mut self.young);
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FrozenClock;
    use proptest::prelude::*;

    fn start() -> Timestamp {
        FrozenClock::default().now()
    }

    fn local(capacity: usize) -> (LocalAllowances, Arc<FrozenClock>) {
        let clock = Arc::new(FrozenClock::default());
        (LocalAllowances::with_capacity(clock.clone(), capacity), clock)
    }

    fn take(allowances: &LocalAllowances, caller: &str, per_minute: u32) -> Allowance {
        pollster::block_on(allowances.take(caller, per_minute))
    }

    #[test]
    fn a_bucket_grants_its_limit_at_once_and_then_says_when_the_next_is_due() {
        let (allowances, clock) = local(10);
        for remaining in [2, 1, 0] {
            let allowance = take(&allowances, "anna", 3);
            assert!(allowance.granted);
            assert_eq!((allowance.limit, allowance.remaining), (3, remaining));
            assert_eq!(allowance.retry_after.is_zero(), remaining > 0);
        }
        let refused = take(&allowances, "anna", 3);
        let twenty_seconds = Duration::from_secs(20);
        assert_eq!(
            refused,
            Allowance { granted: false, limit: 3, remaining: 0, retry_after: twenty_seconds }
        );

        clock.advance(twenty_seconds - Duration::from_micros(1));
        assert!(!take(&allowances, "anna", 3).granted);
        clock.advance(Duration::from_micros(1));
        assert!(take(&allowances, "anna", 3).granted);
        assert!(!take(&allowances, "anna", 3).granted);
    }

    #[test]
    fn a_refusal_costs_nothing() {
        let (allowances, clock) = local(10);
        take(&allowances, "anna", 1);
        for _impatient in 0..100 {
            assert!(!take(&allowances, "anna", 1).granted);
        }
        clock.advance(MINUTE);
        assert!(take(&allowances, "anna", 1).granted);
    }

    #[test]
    fn one_callers_requests_are_not_anothers() {
        let (allowances, _clock) = local(10);
        assert!(take(&allowances, "anna", 1).granted);
        assert!(!take(&allowances, "anna", 1).granted);
        assert!(take(&allowances, "berta", 1).granted);
    }

    #[test]
    fn a_limit_of_none_grants_none() {
        let (allowances, _clock) = local(10);
        let refused = take(&allowances, "anna", 0);
        assert_eq!(refused, Allowance { granted: false, limit: 0, remaining: 0, retry_after: MINUTE });
    }

    #[test]
    fn a_lowered_limit_holds_at_once_and_a_raised_one_soon() {
        let (allowances, clock) = local(10);
        for _request in 0..60 {
            take(&allowances, "anna", 60);
        }
        let lowered = take(&allowances, "anna", 6);
        assert_eq!((lowered.granted, lowered.retry_after), (false, Duration::from_secs(10)));
        clock.advance(Duration::from_millis(100));
        assert!(take(&allowances, "anna", 600).granted);
    }

    #[test]
    fn a_clock_that_is_set_back_locks_nobody_out_for_longer_than_a_minute() {
        let (allowances, clock) = local(10);
        take(&allowances, "anna", 1);
        clock.set(start().before(Duration::from_secs(86_400)));
        assert_eq!(take(&allowances, "anna", 1).retry_after, MINUTE);
        clock.advance(MINUTE);
        assert!(take(&allowances, "anna", 1).granted);
    }

    #[test]
    fn a_used_bucket_is_remembered_as_long_as_it_is_not_full() {
        let (allowances, clock) = local(100);
        // The first request ages the generation, so that it ends while anna's bucket is still empty.
        take(&allowances, "early", 2);
        clock.advance(Duration::from_secs(59));
        take(&allowances, "anna", 2);
        take(&allowances, "anna", 2);
        clock.advance(Duration::from_secs(29));
        assert!(!take(&allowances, "anna", 2).granted);
        clock.advance(Duration::from_secs(1));
        assert!(take(&allowances, "anna", 2).granted);
    }

    #[test]
    fn whoever_takes_over_goes_on_from_what_the_other_keeper_said() {
        let (allowances, clock) = local(10);
        allowances.note("anna", Duration::from_secs(40));
        assert_eq!(take(&allowances, "anna", 3).remaining, 0);
        assert!(!take(&allowances, "anna", 3).granted);
        clock.advance(MINUTE);
        assert_eq!(take(&allowances, "anna", 3).remaining, 2);
        allowances.note("anna", Duration::ZERO);
        assert_eq!(take(&allowances, "anna", 3).remaining, 2, "the other one knows better");
    }

    #[test]
    fn callers_without_end_do_not_take_memory_without_end() {
        let (allowances, clock) = local(100);
        for caller in 0..10_000 {
            take(&allowances, &caller.to_string(), 1);
            let buckets = allowances.buckets();
            assert!(buckets.young.len() + buckets.old.len() <= 100);
        }
        assert!(!take(&allowances, "9999", 1).granted, "those who asked last are remembered");
        assert!(take(&allowances, "0", 1).granted, "those who asked first are forgotten");
        clock.advance(MINUTE);
        take(&allowances, "anna", 1);
        clock.advance(MINUTE);
        take(&allowances, "anna", 1);
        let buckets = allowances.buckets();
        assert_eq!(buckets.young.len() + buckets.old.len(), 2, "full buckets are dropped as time goes by");
    }

    proptest! {
        #[test]
        fn in_any_stretch_of_time_no_more_is_granted_than_the_bucket_held_and_gained(
            limit in 1u32..10_000,
            pauses in prop::collection::vec(0u64..5_000_000, 1..200),
        ) {
            let (allowances, clock) = local(10);
            let mut granted = 0u128;
            let mut elapsed = Duration::ZERO;
            for pause in pauses {
                let pause = Duration::from_micros(pause);
                clock.advance(pause);
                elapsed += pause;
                let allowance = take(&allowances, "anna", limit);
                granted += u128::from(allowance.granted);
                prop_assert!(allowance.remaining < limit);
                prop_assert!(allowance.retry_after <= Rate::per_minute(limit).cost());
                prop_assert_eq!(allowance.retry_after.is_zero(), allowance.remaining > 0);
            }
            let gained = elapsed.as_micros() / Rate::per_minute(limit).cost().as_micros();
            prop_assert!(granted <= u128::from(limit) + gained);
        }

        #[test]
        fn who_waits_as_told_is_granted(limit in 1u32.., debt in 0u64..=u64::MAX) {
            let rate = Rate::per_minute(limit);
            let debt = Duration::from_micros(debt).min(rate.depth());
            let wait = rate.allowance(false, debt).retry_after;
            prop_assert!(rate.take(debt.saturating_sub(wait)).is_some());
        }
    }
}
