//! What processes cost: processor time and memory, as Linux tells it under `/proc`.

use crate::results::rounded;
use crate::statistics::median;
use std::fs;
use std::time::Duration;

/// Linux counts processor time in hundredths of a second for everybody who asks, whatever its own clock does.
const TICK: Duration = Duration::from_millis(10);

/// The fields of `/proc/PID/stat` after the name, which may contain anything.
struct Stat(Vec<u64>);

impl Stat {
    fn of(pid: u32) -> Option<Self> {
        Self::read(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn read(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(')')?;
        Some(Self(fields.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect()))
    }

    /// By the numbers of the manual, proc(5).
    fn field(&self, number: usize) -> u64 {
        self.0.get(number - 3).copied().unwrap_or(0)
    }

    fn ticks(&self, numbers: &[usize]) -> Duration {
        let ticks: u64 = numbers.iter().map(|number| self.field(*number)).sum();
        TICK * u32::try_from(ticks).unwrap_or(u32::MAX)
    }
}

const PARENT: usize = 4;
/// In user and in system mode.
const OWN_TIME: [usize; 2] = [14, 15];
/// The same of children that are gone.
const CHILDREN_TIME: [usize; 2] = [16, 17];

/// Processor time that a process has used.
fn cpu(pid: u32) -> Duration {
    Stat::of(pid).map(|stat| stat.ticks(&OWN_TIME)).unwrap_or_default()
}

/// Processor time that a process and its children have used, those that are gone included.
fn family_cpu(pid: u32) -> Duration {
    let parent = Stat::of(pid);
    let gone = parent.map(|stat| stat.ticks(&OWN_TIME) + stat.ticks(&CHILDREN_TIME)).unwrap_or_default();
    let living = pids().filter_map(Stat::of).filter(|stat| stat.field(PARENT) == u64::from(pid));
    living.fold(gone, |sum, child| sum + child.ticks(&OWN_TIME))
}

/// What the server and the database have used so far.
pub(crate) struct Meter {
    server: u32,
    postmaster: Option<u32>,
    before: [Duration; 2],
}

impl Meter {
    /// From now on, for this server and the PostgreSQL whose first process this is.
    pub(crate) fn start(server: u32, postmaster: Option<u32>) -> Self {
        let before = [Duration::ZERO; 2];
        let mut meter = Self { server, postmaster, before };
        meter.before = meter.used();
        meter
    }

    fn used(&self) -> [Duration; 2] {
        [cpu(self.server), self.postmaster.map(family_cpu).unwrap_or_default()]
    }
}

/// Processor time in microseconds a piece of work, measurement by measurement.
#[derive(Default)]
pub(crate) struct Costs {
    pub(crate) server: Vec<f64>,
    pub(crate) database: Vec<f64>,
}

impl Costs {
    /// Notes what so many pieces of work cost since the meter started, and tells it.
    pub(crate) fn note(&mut self, meter: &Meter, pieces: usize) -> String {
        let [server, database] = meter.used();
        let [server_before, database_before] = meter.before;
        let cost = |after: Duration, before| after.saturating_sub(before).as_secs_f64() * 1e6 / pieces as f64;
        self.server.push(cost(server, server_before));
        self.database.push(cost(database, database_before));
        let last = |costs: &Vec<f64>| rounded(costs.last().copied().unwrap_or(f64::NAN));
        format!("{} + {}", last(&self.server), last(&self.database))
    }

    /// The medians.
    pub(crate) fn told(&self) -> String {
        format!("{} + {}", rounded(median(&self.server)), rounded(median(&self.database)))
    }

    /// The medians together.
    pub(crate) fn whole(&self) -> f64 {
        median(&self.server) + median(&self.database)
    }
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The most memory that a process ever had resident, in MiB.
pub(crate) fn peak_memory_mib(pid: u32) -> Option<f64> {
    mib(pid, "VmHWM:")
}

/// The memory that a process has resident now, in MiB.
pub(crate) fn memory_mib(pid: u32) -> Option<f64> {
    mib(pid, "VmRSS:")
}

fn mib(pid: u32, what: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(what))?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_after_a_name_with_brackets_and_blanks() {
        let text = "42 (a (b) c) S 7 1 1 0 -1 0 0 0 0 0 150 50 30 20 20 0";
        let stat = Stat::read(text).unwrap();
        assert_eq!(stat.field(PARENT), 7);
        assert_eq!(stat.ticks(&OWN_TIME), Duration::from_secs(2));
        assert_eq!(stat.ticks(&CHILDREN_TIME), Duration::from_millis(500));
    }

    #[test]
    fn this_process_has_memory() {
        assert!(peak_memory_mib(std::process::id()).unwrap() > 1.0);
    }
}
