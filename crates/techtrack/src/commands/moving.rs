//! `techtrack move`: the whole installation, from its file to a database of PostgreSQL.

use super::audit::{self, Trail};
use crate::cli::{self, Target};
use crate::compose::Database;
use crate::config::{Config, DatabaseUrl};
use crate::failure::Failure;
use crate::terminal::{self, Table};
use adapters_postgres::{MovingIn, PostgresStore, Settings, TakeError};
use adapters_security::SystemClock;
use adapters_sqlite::SqliteStore;
use domain::ports::Clock;
use domain::text::Secret;
use indicatif::ProgressBar;
use moving::{TABLES, Tally};

/// Carries everything over, and compares.
pub(crate) async fn run(config: &Config, to: Target, despite_trail: bool) -> Result<(), Failure> {
    let to = url(to)?;
    let DatabaseUrl::Sqlite(file) = &config.database.url else {
        let message = "only an embedded database moves, and the one that is configured is of PostgreSQL";
        return Err(Failure::Usage(message.to_owned()));
    };
    if !file.exists() {
        return Err(Failure::Usage(format!("there is no database at {}", file.display())));
    }
    let Database::Sqlite(source) = Database::open(config)? else {
        return Err(Failure::failed("the configured database is not embedded"));
    };
    source.migrate().await.map_err(Failure::failed)?;
    let left = audit::end_of(&*source, despite_trail, "move").await?;
    let target = PostgresStore::connect(Settings::new(to.reveal())).map_err(Failure::failed)?;
    target.migrate().await.map_err(Failure::failed)?;
    let moving = target.move_in(SystemClock.now()).await.map_err(Failure::failed)?;
    let moved = carry(&source, moving).await?;
    let trail = arrived(&target, left).await.map_err(|failure| {
        Failure::failed(format!(
            "everything was moved and stays, but the audit trail could not be held against what left: {failure}"
        ))
    })?;
    let rows: u64 = moved.iter().map(|(_, tally)| tally.rows).sum();
    let mut table = Table::new(["TABLE", "ROWS"]);
    moved.iter().for_each(|(name, tally)| table.row([(*name).to_owned(), tally.rows.to_string()]));
    Ok(terminal::print(&format!(
        "{table}\nMoved {rows} rows; every table arrived as it left. {trail}\n\
         Start servers with that URL as their database from now on. What was there before stays in its file as it was."
    ))?)
}

/// The trail in its new place, which ends as it ended in the old one.
async fn arrived(target: &PostgresStore, left: Trail) -> Result<Trail, Failure> {
    if left.flaw.is_none() {
        let head = audit::whole(target, Some(left.head.hash)).await?;
        return Ok(Trail { head, flaw: None });
    }
    let head = audit::end(target).await?;
    if head != left.head {
        return Err(Failure::failed("the audit trail ends otherwise than it did"));
    }
    Ok(Trail { head, ..left })
}

fn url(to: Target) -> Result<Secret, Failure> {
    match to {
        Target::Postgres(url) => Ok(url),
        Target::Said => {
            let said = terminal::password_from_stdin()?;
            cli::postgres(said.reveal()).map_err(|reason| Failure::Usage(format!("the URL {reason}")))
        }
    }
}

type Moved = Vec<(&'static str, Tally)>;

/// Carries all tables over and compares each; leaves nothing behind when one differs.
async fn carry(source: &SqliteStore, mut target: MovingIn) -> Result<Moved, Failure> {
    let mut counts = Vec::new();
    for table in TABLES {
        counts.push(source.count(table).await.map_err(Failure::failed)?);
    }
    let all = counts.iter().sum();
    let mut moved = Moved::new();
    let bar = terminal::progress(0, "Rows moved");
    bar.set_length(all);
    for (table, count) in TABLES.iter().zip(counts) {
        let mut rows = source.give(table).await.map_err(Failure::failed)?;
        let mut left = Tally::default();
        while let Some(step) = rows.recv().await {
            let step = step.map_err(Failure::failed)?;
            left.add(&step);
            target.take(table, &step).await.map_err(Failure::failed)?;
            bar.inc(step.len() as u64);
        }
        if left.rows != count {
            let name = table.name;
            return Err(Failure::failed(format!(
                "of {count} rows of {name} only {} could be read; nothing was moved",
                left.rows
            )));
        }
        moved.push((table.name, left));
    }
    bar.finish_and_clear();
    compare(&moved, &mut target, all).await?;
    let counters = source.counters().await.map_err(Failure::failed)?;
    match target.finish(&counters.ids, counters.rule_generation).await {
        // Nothing is amiss but speed, and that not for long.
        Err(late @ TakeError::Unanalysed(_)) => tracing::warn!(cause = ?late, "{late}"),
        outcome => outcome.map_err(Failure::failed)?,
    }
    Ok(moved)
}

async fn compare(moved: &Moved, target: &mut MovingIn, all: u64) -> Result<(), Failure> {
    let bar: ProgressBar = terminal::progress(0, "Rows compared");
    bar.set_length(all);
    let mut before = 0;
    for (table, (_, left)) in TABLES.iter().zip(moved) {
        let arrived =
            target.tally(table, |rows| bar.set_position(before + rows)).await.map_err(Failure::failed)?;
        if arrived != *left {
            return Err(Failure::failed(format!(
                "{} did not arrive as it left ({} rows of {}); nothing was moved",
                table.name, arrived.rows, left.rows
            )));
        }
        before += arrived.rows;
    }
    bar.finish_and_clear();
    Ok(())
}
