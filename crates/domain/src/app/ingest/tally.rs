//! Counting readings: what was received is stored, there already, or rejected, and nothing else.

use super::Counts;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many readings were received since the process started, and what became of them. Whenever nothing is under way,
/// `received` is the sum of the others.
#[derive(Debug, Default)]
pub struct Tally {
    received: AtomicU64,
    stored: AtomicU64,
    duplicate: AtomicU64,
    rejected: AtomicU64,
}

/// A tally at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallied {
    /// All.
    pub received: u64,
    /// Stored, or added to what was there.
    pub stored: u64,
    /// There already.
    pub duplicate: u64,
    /// Not stored, for whatever reason.
    pub rejected: u64,
}

impl Tally {
    /// Counts readings that never came as far as a use case.
    pub fn reject(&self, count: u64) {
        self.received.fetch_add(count, Ordering::Relaxed);
        self.rejected.fetch_add(count, Ordering::Relaxed);
    }

    /// The numbers as they are now.
    pub fn read(&self) -> Tallied {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Tallied {
            received: read(&self.received),
            stored: read(&self.stored),
            duplicate: read(&self.duplicate),
            rejected: read(&self.rejected),
        }
    }

    /// Counts readings that are about to be dealt with.
    pub(super) fn receive(&self, count: usize) -> Pending<'_> {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.received.fetch_add(count, Ordering::Relaxed);
        Pending { tally: self, count }
    }
}

/// Readings of which nobody knows yet what becomes of them. What is not said to be stored is rejected, however the work
/// ends.
pub(super) struct Pending<'a> {
    tally: &'a Tally,
    count: u64,
}

impl Pending<'_> {
    /// So many of them are stored or were there.
    pub(super) fn settle(&mut self, counts: Counts) {
        self.tally.stored.fetch_add(counts.accepted, Ordering::Relaxed);
        self.tally.duplicate.fetch_add(counts.duplicates, Ordering::Relaxed);
        self.count = self.count.saturating_sub(counts.accepted + counts.duplicates);
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.tally.rejected.fetch_add(self.count, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_received_is_the_sum_of_what_became_of_it() {
        let tally = Tally::default();
        let mut pending = tally.receive(5);
        pending.settle(Counts { accepted: 2, duplicates: 1 });
        drop(pending);
        drop(tally.receive(3));
        tally.reject(4);
        assert_eq!(tally.read(), Tallied { received: 12, stored: 2, duplicate: 1, rejected: 9 });
    }
}
