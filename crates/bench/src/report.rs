//! What people read: `benchmarks.md` and a plot for each figure; and the same as JSON for programs.

use crate::failure::{Outcome, failed};
use crate::machine::Machine;
use crate::plan::Plan;
use crate::plot;
use crate::results::{Bar, Figure, Measured, Table, rounded};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// All that came of a run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    machine: Machine,
    is_quick: bool,
    repetitions: usize,
    figures: Vec<Figure>,
    /// By the figure's name, what other machines took of the processors meanwhile.
    #[serde(default)]
    stolen: BTreeMap<String, f64>,
}

/// The least memory that would be too much, in MiB.
const MEMORY_BAR_MIB: f64 = 150.0;

const INTRODUCTION: &str = "\
Written by `make bench`; `make bench-quick` does the same small. Each figure of ours stands beside its limit: what the same
machine does when TechTrack is left out. Both are measured in turns in the same run, and the medians are compared. Server,
database, load generator and limits share the machine, so ratios mean something elsewhere; absolute numbers do not.
";

const METHOD: &str = "\
- The server is the release build, started as `techtrack serve` with an API key that may read and write, without a limit of
  requests and without a line of log for each request. The database is a fresh one with the settings named above.
- The generator is one thread that sends requests written beforehand over kept connections and looks at an answer just
  enough to know its end. Its loop is open: latency counts from when a request was due. Saturating runs, which tell
  throughput, have every request due as soon as its connection is free.
- Readings are random walks with two decimals, ten metrics each, the same from run to run, from a plant of 1,000 machines
  that report in turn. All instants are in the past, and each reading is sent once.
- A checkpoint is made before each measured load, of ours and of the limit.
- Processor time is what Linux accounts for the server and for all processes of PostgreSQL.
- Where the machine is a virtual one, others on the same hardware slow it down unevenly, which shows most in the slowest of many
  requests. What they took is told below each figure.
";

impl Report {
    /// A report without figures yet.
    pub(crate) fn new(machine: Machine, plan: &Plan) -> Self {
        Self {
            machine,
            is_quick: plan.is_quick,
            repetitions: plan.repetitions,
            figures: Vec::new(),
            stolen: BTreeMap::new(),
        }
    }

    /// What an earlier run wrote for programs.
    pub(crate) fn load(path: &Path) -> Outcome<Self> {
        Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
    }

    /// Takes this figure in, in place of an earlier one of its name.
    pub(crate) fn add(&mut self, figure: Figure, stolen: Option<f64>) {
        self.stolen.remove(&figure.name);
        self.stolen.extend(stolen.map(|share| (figure.name.clone(), share)));
        match self.figures.iter_mut().find(|earlier| earlier.name == figure.name) {
            Some(earlier) => *earlier = figure,
            None => self.figures.push(figure),
        }
    }

    /// Writes it for programs.
    pub(crate) fn save(&self, path: &Path) -> Outcome<()> {
        let directory = path.parent().ok_or_else(|| failed("results need a file"))?;
        fs::create_dir_all(directory)?;
        Ok(fs::write(path, serde_json::to_string_pretty(self)?)?)
    }

    /// Writes it for people, with a plot for each figure.
    pub(crate) fn write(&self, directory: &Path) -> Outcome<()> {
        let plots = directory.join("benchmarks");
        fs::create_dir_all(&plots)?;
        for figure in &self.figures {
            fs::write(plots.join(format!("{}.svg", figure.name)), plot::svg(&figure.title, &figure.plot))?;
        }
        Ok(fs::write(directory.join("benchmarks.md"), self.text())?)
    }

    fn text(&self) -> String {
        let mut out = format!("# Benchmarks\n\n{INTRODUCTION}\n");
        if self.is_quick {
            out.push_str("This run was a quick one: few repetitions, little data.\n\n");
        }
        out.push_str(&self.about());
        let mut summary = Table::new(&["figure", "ours", "limit", "ratio", "bar", "met"]);
        summary.rows.extend(self.figures.iter().flat_map(|figure| &figure.measured).map(row));
        summary.rows.extend(self.memory().as_ref().map(row));
        let _ = write!(out, "## All figures\n\n{}\n", markdown(&summary));
        for figure in &self.figures {
            let Figure { name, title, method, tables, .. } = figure;
            let _ = write!(out, "## {title}\n\n{method}\n\n![{title}](benchmarks/{name}.svg)\n\n");
            for table in tables {
                let _ = writeln!(out, "{}", markdown(table));
            }
            if let Some(share) = self.stolen.get(name) {
                let _ = writeln!(out, "Meanwhile {}.\n", theft(*share));
            }
        }
        out
    }

    fn about(&self) -> String {
        let Machine { processor, cores, memory_gib, rustc, postgres, durability, techtrack, date } =
            &self.machine;
        format!(
            "## Machine and method\n\n\
             {processor}, {cores} cores, {memory_gib:.0} GiB of memory. {techtrack}, built by {rustc}; PostgreSQL {postgres} \
             with {durability}. Measured on {date}, medians of {}.\n\n{METHOD}\n",
            self.repetitions
        )
    }

    /// The most memory of all servers.
    fn memory(&self) -> Option<Measured> {
        let most = self.figures.iter().filter_map(|figure| figure.server_memory_mib).reduce(f64::max)?;
        Some(Measured::absolute(
            "Memory of the server, all of the above",
            "MiB",
            most,
            Bar::AtMost(MEMORY_BAR_MIB),
        ))
    }
}

/// What a reader has to know of the machine's neighbours.
pub(crate) fn theft(share: f64) -> String {
    format!(
        "other machines on the same hardware had {:.0} % of the processor time that this one wanted",
        share * 100.0
    )
}

/// What came of a figure, for the terminal.
pub(crate) fn summary(figure: &Figure) -> String {
    let lines = figure.measured.iter().map(|measured| row(measured).join(" | "));
    let memory = figure.server_memory_mib.map(|most| format!("server memory at most {most:.0} MiB"));
    lines.chain(memory).map(|line| format!("== {line}")).collect::<Vec<_>>().join("\n")
}

fn row(measured: &Measured) -> Vec<String> {
    let Measured { what, unit, ours, limit, judged, bar, is_met } = measured;
    let (limit, ratio) = match limit {
        Some((name, limit)) => (format!("{} ({name})", rounded(*limit)), format!("{judged:.2}")),
        None => ("–".to_owned(), "–".to_owned()),
    };
    let bar = match bar {
        Bar::AtLeast(bar) => format!("≥ {bar}"),
        Bar::AtMost(bar) => format!("≤ {bar}"),
    };
    let met = if *is_met { "yes" } else { "**no**" };
    vec![what.clone(), format!("{} {unit}", rounded(*ours)), limit, ratio, bar, met.to_owned()]
}

fn markdown(table: &Table) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = vec!["---".to_owned(); table.headings.len()];
    let rows = table.rows.iter().map(|row| line(row));
    line(&table.headings) + &line(&rule) + &rows.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_headings_a_rule_and_rows() {
        let mut table = Table::new(&["a", "b"]);
        table.rows.push(vec!["1".into(), "2".into()]);
        assert_eq!(markdown(&table), "| a | b |\n| --- | --- |\n| 1 | 2 |\n");
    }

    #[test]
    fn a_figure_that_falls_short_says_so() {
        let measured = Measured::share("Bulk", "values/s", 50.0, ("copy", 100.0), Bar::AtLeast(0.6));
        assert_eq!(row(&measured), ["Bulk", "50.0 values/s", "100 (copy)", "0.50", "≥ 0.6", "**no**"]);
    }
}
