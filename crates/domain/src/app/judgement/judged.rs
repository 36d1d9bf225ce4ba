//! How much rules had to judge, and how long that took.

use super::{Case, Touched};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What rules judged since the process started.
#[derive(Debug, Default)]
pub struct Judged {
    batches: AtomicU64,
    readings: AtomicU64,
    values: AtomicU64,
    cases: AtomicU64,
    micros: AtomicU64,
}

/// What [`Judged`] comes to at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JudgedSoFar {
    /// Units of work whose readings rules looked at.
    pub batches: u64,
    /// Readings that rules looked at.
    pub readings: u64,
    /// Values in those.
    pub values: u64,
    /// Pairs of a rule and a piece of equipment that were not dismissed at a glance.
    pub cases: u64,
    /// How long all of that took.
    pub took: Duration,
}

impl Judged {
    /// What it comes to now.
    pub fn so_far(&self) -> JudgedSoFar {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        JudgedSoFar {
            batches: of(&self.batches),
            readings: of(&self.readings),
            values: of(&self.values),
            cases: of(&self.cases),
            took: Duration::from_micros(of(&self.micros)),
        }
    }

    /// These readings were looked through, and this is what was left to judge.
    pub(super) fn looked_through(&self, touched: &[Touched<'_>], left: &[Case<'_>], took: Duration) {
        let readings = || touched.iter().flat_map(|touched| &touched.readings);
        let whole = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let values = readings().map(|reading| reading.values.numbers().len()).sum();
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.readings.fetch_add(whole(readings().count()), Ordering::Relaxed);
        self.values.fetch_add(whole(values), Ordering::Relaxed);
        self.cases.fetch_add(whole(left.iter().map(|case| case.rules.len()).sum()), Ordering::Relaxed);
        self.judged_for(took);
    }

    /// Judging took so long.
    pub(super) fn judged_for(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }
}
