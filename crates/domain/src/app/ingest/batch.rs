//! Readings by identity: which are new, which add to or change a stored one, which say nothing new.

use super::{Fate, Outcome, Refusal};
use crate::access::Actor;
use crate::telemetry::{OnConflict, Reading, ReadingId, Settled, settle};
use std::collections::HashMap;

/// A reading that is good in itself.
pub(super) struct Judged<'a> {
    pub(super) by: &'a Actor,
    pub(super) on_conflict: OnConflict,
    pub(super) reading: Reading,
}

/// Readings by identity.
pub(super) struct Batch<'a> {
    places: HashMap<ReadingId, usize>,
    readings: Vec<(Reading, Novelty<'a>)>,
}

#[derive(Clone, Copy)]
enum Novelty<'a> {
    New,
    /// By whom last.
    Changed(&'a Actor),
    Untouched,
}

/// Readings by what becomes of them.
#[derive(Default)]
pub(super) struct Parted<'a> {
    pub(super) new: Vec<Reading>,
    pub(super) changed: Vec<Reading>,
    /// Who changed them, in their order.
    pub(super) changed_by: Vec<&'a Actor>,
    pub(super) untouched: Vec<Reading>,
}

impl<'a> Batch<'a> {
    /// Nothing but what is stored; so many are expected to come.
    pub(super) fn over(stored: Vec<Reading>, expected: usize) -> Self {
        let mut batch =
            Self { places: HashMap::with_capacity(expected), readings: Vec::with_capacity(expected) };
        for reading in stored {
            batch.add(reading, Novelty::Untouched);
        }
        batch
    }

    fn add(&mut self, reading: Reading, novelty: Novelty<'a>) {
        self.places.insert(reading.id, self.readings.len());
        self.readings.push((reading, novelty));
    }

    /// Takes a reading, or refuses what contradicts the one of the same identity or is too much for it.
    pub(super) fn take(&mut self, Judged { by, on_conflict, reading }: Judged<'a>) -> Fate {
        let id = reading.id;
        let place = self.places.get(&id).copied();
        let Some((there, novelty)) = place.and_then(|place| self.readings.get_mut(place)) else {
            self.add(reading, Novelty::New);
            return Ok((id, Outcome::Stored));
        };
        match settle(there, &reading, on_conflict) {
            Settled::Same => Ok((id, Outcome::Duplicate)),
            Settled::Conflict(fields) => Err(Refusal::Contradicts(fields)),
            Settled::TooMuch(flaws) => Err(Refusal::Flawed(flaws)),
            Settled::Merged(whole) => {
                *there = whole;
                if !matches!(novelty, Novelty::New) {
                    *novelty = Novelty::Changed(by);
                }
                Ok((id, Outcome::Merged))
            }
        }
    }

    pub(super) fn parted(self) -> Parted<'a> {
        let mut parted = Parted { new: Vec::with_capacity(self.readings.len()), ..Parted::default() };
        for (reading, novelty) in self.readings {
            match novelty {
                Novelty::New => parted.new.push(reading),
                Novelty::Changed(by) => {
                    parted.changed.push(reading);
                    parted.changed_by.push(by);
                }
                Novelty::Untouched => parted.untouched.push(reading),
            }
        }
        parted
    }
}
