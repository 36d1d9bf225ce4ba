//! What a run is to do, and what its figures share.

use crate::sensors::{Fleet, Row};
use std::path::PathBuf;
use std::time::Duration;

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The server's program.
    pub(crate) server: PathBuf,
    /// A PostgreSQL server on which databases may be made.
    pub(crate) database_url: String,
    /// How often each measurement is repeated.
    pub(crate) repetitions: usize,
    /// Readings that are sent in one bulk measurement.
    pub(crate) readings: usize,
    /// Readings that are sent one by one in one measurement.
    pub(crate) singles: usize,
    /// How long one measurement lasts that has no natural end.
    pub(crate) span: Duration,
    /// Values that are stored when growth is measured.
    pub(crate) grown_to: usize,
    /// Readings of the piece whose year is asked for.
    pub(crate) readings_of_a_year: usize,
    /// Equipment of which the latest is asked for at once.
    pub(crate) large_fleet: usize,
    /// Whether all is to be over soon.
    pub(crate) is_quick: bool,
}

impl Plan {
    /// What the report is written from.
    pub(crate) fn full(server: PathBuf, database_url: String) -> Self {
        Self {
            server,
            database_url,
            repetitions: 5,
            readings: 200_000,
            singles: 64_000,
            span: Duration::from_secs(5),
            grown_to: 100_000_000,
            readings_of_a_year: 3_000_000,
            large_fleet: 10_000,
            is_quick: false,
        }
    }

    /// The same questions, small enough to be over in two minutes.
    pub(crate) fn quick(server: PathBuf, database_url: String) -> Self {
        Self {
            server,
            database_url,
            repetitions: 3,
            readings: 40_000,
            singles: 8_000,
            span: Duration::from_millis(500),
            grown_to: 1_000_000,
            readings_of_a_year: 50_000,
            large_fleet: 1_000,
            is_quick: true,
        }
    }
}

/// How many machines report.
pub(crate) const EQUIPMENT: usize = 1000;

/// How many clients there are where many are meant.
pub(crate) const CLIENTS: usize = 32;

/// 2025-01-01T00:00:00Z in microseconds: what is sent happened long ago, so that nothing depends on today.
pub(crate) const BEGINNING: i64 = 1_735_689_600 * 1_000_000;

/// Every machine reports once a second.
const STEP: i64 = 1_000_000;

/// The readings of some machines, as time goes on.
pub(crate) struct Timeline {
    pub(crate) equipment: Vec<i64>,
    at: i64,
}

/// The same readings twice: as they happen, and by who sends them.
pub(crate) struct Split {
    pub(crate) lanes: Vec<Vec<Row>>,
    pub(crate) whole: Vec<Row>,
}

impl Timeline {
    /// From the beginning.
    pub(crate) fn of(equipment: Vec<i64>) -> Self {
        Self { equipment, at: BEGINNING }
    }

    /// The machines after the first so many, with a timeline of their own that goes on at the same time.
    pub(crate) fn split_off(&mut self, count: usize) -> Self {
        Self { equipment: self.equipment.split_off(count.min(self.equipment.len())), at: self.at }
    }

    /// The next readings of all machines, split among so many connections, each with machines of its own.
    pub(crate) fn next(&mut self, readings: usize, connections: usize) -> Split {
        let share = self.equipment.len().div_ceil(connections);
        let part = |machines: &[i64]| {
            let count = readings * machines.len() / self.equipment.len();
            Fleet::new(machines, self.at, STEP).take(count).collect()
        };
        let lanes: Vec<Vec<Row>> = self.equipment.chunks(share).map(part).collect();
        let count = lanes.iter().map(Vec::len).sum();
        let whole = Fleet::new(&self.equipment, self.at, STEP).take(count).collect();
        self.at += STEP * (readings.div_ceil(self.equipment.len()) as i64 + 1);
        Split { lanes, whole }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_connections_send_is_together_what_happened() {
        let mut timeline = Timeline::of((1..=10).collect());
        for connections in [1, 2, 4] {
            let Split { lanes, mut whole } = timeline.next(40, connections);
            let mut sent: Vec<Row> = lanes.into_iter().flatten().collect();
            let place = |row: &Row| (row.at, row.equipment);
            sent.sort_by_key(place);
            whole.sort_by_key(place);
            assert_eq!(sent, whole);
        }
    }

    #[test]
    fn time_never_goes_back() {
        let mut timeline = Timeline::of((1..=10).collect());
        let before = timeline.next(95, 1).whole;
        let after = timeline.next(20, 1).whole;
        assert!(before.iter().map(|row| row.at).max() < after.iter().map(|row| row.at).min());
    }
}
