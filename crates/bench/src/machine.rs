//! On what was measured: as much as a reader needs to compare, and nothing that tells whose machine it was.

use crate::database::ask;
use crate::failure::Outcome;
use crate::plan::Plan;
use serde::{Deserialize, Serialize};
use std::fs;
use std::process::Command;

/// A machine and the versions on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: f64,
    pub(crate) rustc: String,
    pub(crate) postgres: String,
    /// What decides whether a commit is durable.
    pub(crate) durability: String,
    pub(crate) techtrack: String,
    pub(crate) date: String,
}

impl Machine {
    /// Looks around.
    pub(crate) fn look(plan: &Plan) -> Outcome<Self> {
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        let memory = fs::read_to_string("/proc/meminfo")?;
        let kib: f64 = field(&memory, "MemTotal").trim_end_matches(" kB").parse().unwrap_or(f64::NAN);
        let postgres = ask(&plan.database_url, "SHOW server_version")?;
        let setting = |name: &str| ask(&plan.database_url, &format!("SHOW {name}"));
        let (fsync, commit, buffers) =
            (setting("fsync")?, setting("synchronous_commit")?, setting("shared_buffers")?);
        Ok(Self {
            processor: field(&processors, "model name"),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
            memory_gib: kib / 1024.0 / 1024.0,
            rustc: first_words(Command::new("rustc").arg("--version")),
            postgres: postgres.split(' ').next().unwrap_or_default().to_owned(),
            durability: format!("fsync={fsync}, synchronous_commit={commit}, shared_buffers={buffers}"),
            techtrack: first_words(Command::new(&plan.server).arg("--version")),
            date: ask(&plan.database_url, "SELECT current_date")?,
        })
    }
}

/// Watches how much of the processors other machines on the same hardware take.
pub(crate) struct Neighbours(Option<[u64; 2]>);

impl Neighbours {
    /// From now on.
    pub(crate) fn watch() -> Self {
        Self(processor_time())
    }

    /// What they took so far, as a share of what this machine wanted; nothing where nobody counts.
    pub(crate) fn took(&self) -> Option<f64> {
        let ([wanted_before, stolen_before], [wanted, stolen]) = (self.0?, processor_time()?);
        let wanted = wanted.checked_sub(wanted_before).filter(|wanted| *wanted > 0)?;
        Some(stolen.saturating_sub(stolen_before) as f64 / wanted as f64)
    }
}

/// The processor time that was wanted since the machine started, and what of it others had.
fn processor_time() -> Option<[u64; 2]> {
    wanted_and_stolen(&fs::read_to_string("/proc/stat").ok()?)
}

/// Fields of the first line are user, nice, system, idle, iowait, irq, softirq, and steal; see proc(5).
fn wanted_and_stolen(stat: &str) -> Option<[u64; 2]> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let fields: Vec<u64> = fields.map(|field| field.parse().unwrap_or(0)).collect();
    let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = *fields else { return None };
    Some([user + nice + system + irq + softirq + steal, steal])
}

/// The first value of this name in one of Linux's lists.
fn field(list: &str, name: &str) -> String {
    let line = list.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_once(':')).map_or("unknown", |(_, value)| value.trim()).to_owned()
}

/// The name and version that a program tells of itself.
fn first_words(program: &mut Command) -> String {
    let told = program.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let words: Vec<String> = told.unwrap_or_default().split_whitespace().take(2).map(str::to_owned).collect();
    if words.is_empty() { "unknown".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_processors_are_wanted_by_nobody() {
        let stat = "cpu  10 1 5 1000 500 1 1 2 0 0\ncpu0 5 0 3 500 250 0 1 1 0 0\n";
        assert_eq!(wanted_and_stolen(stat), Some([20, 2]));
        assert_eq!(wanted_and_stolen("intr 1 2\n"), None);
    }

    #[test]
    fn a_field_is_found_by_its_name() {
        let list = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: Another\n";
        assert_eq!(field(list, "model name"), "Some CPU @ 2 GHz");
        assert_eq!(field(list, "bogomips"), "unknown");
    }
}
