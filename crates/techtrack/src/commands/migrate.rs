//! `techtrack migrate`: the schema, brought up to date or looked at.

use crate::compose::Database;
use crate::config::Config;
use crate::failure::Failure;
use crate::terminal;

/// Runs the missing migrations, or with `check` only names them.
pub(crate) async fn run(config: &Config, check: bool) -> Result<(), Failure> {
    let database = Database::open(config)?;
    let report = if check {
        refuse_missing(&database.pending().await?)?;
        "The schema is up to date.".to_owned()
    } else {
        match database.migrate().await?.as_slice() {
            [] => "The schema was up to date.".to_owned(),
            done => format!("Migrated: {}.", done.join(", ")),
        }
    };
    Ok(terminal::print(&report)?)
}

fn refuse_missing(pending: &[String]) -> Result<(), Failure> {
    if pending.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(format!("the schema lacks the migrations {}", pending.join(", "))))
}
