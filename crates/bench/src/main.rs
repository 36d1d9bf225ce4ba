//! `techtrack-bench`: drives the real server over HTTP beside the limits of the same machine, alternately in one run, and
//! writes what came of it.
//!
//! [`plan`] says how much is measured, [`figures`] has the questions, [`server`], [`front`] and [`database`] what they are put to,
//! [`load`] puts them over [`http`]; [`results`] is what all of them answer, and [`report`] what people read.

mod bare;
mod database;
mod failure;
mod figures;
mod front;
mod http;
mod load;
mod machine;
mod payload;
mod plan;
mod plot;
mod process;
mod report;
mod results;
mod sensors;
mod server;
mod statistics;
mod terminal;
mod workshop;

use clap::{Parser, Subcommand, ValueEnum};
use failure::Outcome;
use machine::{Machine, Neighbours};
use plan::Plan;
use report::Report;
use results::Figure;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;
use workshop::Workshop;

/// Measures TechTrack beside the limits of the machine.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Measure, and write down what came of it.
    Run(Run),
    /// Serve a file at every path: the limit of answers over HTTP. Its address is the first line of output.
    Bare { body: PathBuf },
}

#[derive(Debug, clap::Args)]
struct Run {
    /// The server's program, built for release.
    #[arg(long, default_value = "target/release/techtrack")]
    server: PathBuf,
    /// A PostgreSQL server on which databases may be made.
    #[arg(long, default_value = "postgres://postgres@127.0.0.1:5432/postgres")]
    database_url: String,
    /// Few and small runs.
    #[arg(long)]
    quick: bool,
    /// These figures alone.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Name>,
    /// Repetitions of each measurement.
    #[arg(long)]
    repetitions: Option<usize>,
    /// Readings in one bulk measurement.
    #[arg(long)]
    readings: Option<usize>,
    /// Add to the results of an earlier run, if there was one.
    #[arg(long)]
    add: bool,
    /// Where the results go.
    #[arg(long, default_value = "target/bench/results.json")]
    results: PathBuf,
    /// A directory for the report and its plots; without one, none is written.
    #[arg(long)]
    report: Option<PathBuf>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    Bulk,
    Single,
    Reads,
    List,
    Rules,
    Disk,
    Queries,
    Growth,
    Sqlite,
    Overload,
    OverloadWrites,
    Load,
    Peers,
}

/// What is measured unless somebody chooses; peers must be installed first.
const USUAL: [Name; 12] = [
    Name::Bulk,
    Name::Single,
    Name::Reads,
    Name::List,
    Name::Rules,
    Name::Disk,
    Name::Queries,
    Name::Growth,
    Name::Sqlite,
    Name::Overload,
    Name::OverloadWrites,
    Name::Load,
];

impl Name {
    async fn measure(self, shop: &mut Workshop) -> Outcome<Figure> {
        match self {
            Self::Bulk => figures::bulk::measure(shop).await,
            Self::Single => figures::single::measure(shop).await,
            Self::Reads => figures::reads::one(shop).await,
            Self::List => figures::reads::list(shop).await,
            Self::Rules => figures::rules::measure(shop).await,
            Self::Disk => figures::growth::disk(shop).await,
            Self::Queries => figures::queries::measure(shop).await,
            Self::Growth => figures::growth::measure(shop).await,
            Self::Sqlite => figures::sqlite::measure(shop).await,
            Self::Overload => figures::overload::measure(shop).await,
            Self::OverloadWrites => figures::overload::measure_writes(shop).await,
            Self::Load => figures::load::measure(shop).await,
            Self::Peers => figures::peers::measure(shop).await,
        }
    }
}

impl Run {
    fn plan(&self) -> Outcome<Plan> {
        let (server, database_url) = (self.server.canonicalize()?, self.database_url.clone());
        let mut plan =
            if self.quick { Plan::quick(server, database_url) } else { Plan::full(server, database_url) };
        if let Some(repetitions) = self.repetitions {
            plan.repetitions = repetitions;
        }
        if let Some(readings) = self.readings {
            plan.readings = readings;
        }
        Ok(plan)
    }

    fn names(&self) -> &[Name] {
        if self.only.is_empty() { &USUAL } else { &self.only }
    }

    async fn measure(&self) -> Outcome<()> {
        let plan = self.plan()?;
        let mut report =
            if self.add { Report::load(&self.results)? } else { Report::new(Machine::look(&plan)?, &plan) };
        let mut shop = Workshop::new(plan);
        for name in self.names() {
            let (begun, neighbours) = (Instant::now(), Neighbours::watch());
            let figure = name.measure(&mut shop).await?;
            let stolen = neighbours.took();
            terminal::say(&report::summary(&figure));
            stolen.iter().for_each(|share| terminal::say(&format!("== {}", report::theft(*share))));
            terminal::say(&format!("== measured in {} s", begun.elapsed().as_secs()));
            report.add(figure, stolen);
            // After each figure, so that an hour of measuring is not lost with the last one.
            report.save(&self.results)?;
        }
        if let Some(directory) = &self.report {
            report.write(directory)?;
        }
        Ok(())
    }
}

/// One thread: the generator shares its machine with what it measures.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = tokio::select! {
        done = perform(Options::parse().task) => done,
        // Servers and databases are cleared away as their owners are dropped.
        _ = tokio::signal::ctrl_c() => Err(failure::failed("interrupted")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            terminal::complain(&why.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn perform(task: Task) -> Outcome<()> {
    match task {
        Task::Run(run) => run.measure().await,
        Task::Bare { body } => bare::serve(&body).await,
    }
}
