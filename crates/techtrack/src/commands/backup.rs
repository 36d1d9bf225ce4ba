//! `techtrack backup` and `techtrack restore`: the embedded database as a file of its own, and back.

use super::audit::{self, Trail};
use crate::config::{Config, DatabaseUrl};
use crate::failure::Failure;
use crate::terminal;
use adapters_security::SystemClock;
use adapters_sqlite::{BackupError, Restore, Settings, SqliteStore};
use domain::ports::Clock;
use std::path::{Path, PathBuf};

/// Copies the database into a file while servers go on.
pub(crate) async fn back_up(config: &Config, file: PathBuf, force: bool) -> Result<(), Failure> {
    let settings = embedded(config)?;
    let place = file.display().to_string();
    let bytes = blocking(move || adapters_sqlite::back_up(&settings, &file, force)).await?;
    Ok(terminal::print(&format!("Backed up to {place}: {bytes} bytes."))?)
}

/// Makes a backup the database.
pub(crate) async fn restore(
    config: &Config,
    file: PathBuf,
    force: bool,
    despite_trail: bool,
) -> Result<(), Failure> {
    let settings = embedded(config)?;
    let (database, place) = (settings.path.display().to_string(), file.display().to_string());
    let restore = blocking(move || Restore::prepare(&settings, &file, force)).await?;
    let trail = trail(restore.draft(), despite_trail).await?;
    let kept_as = format!(".replaced-{}", SystemClock.now().to_string().replace(':', ""));
    let kept = blocking(move || restore.finish(&kept_as)).await?;
    let mut report = format!(
        "Restored {database} from {place}. {trail}
"
    );
    if let Some(kept) = kept {
        report.push_str(&format!(
            "What was there before is kept as {}.
",
            kept.display()
        ));
    }
    Ok(terminal::print(&report)?)
}

/// Where the audit trail of this file ends, if nobody touched it, or if that does not matter.
async fn trail(file: &Path, despite_trail: bool) -> Result<Trail, Failure> {
    // Whoever notes something closes the file again before it becomes the database.
    let store = SqliteStore::open(Settings::new(file)).map_err(Failure::failed)?;
    audit::end_of(&store, despite_trail, "restore").await
}

fn embedded(config: &Config) -> Result<Settings, Failure> {
    match &config.database.url {
        DatabaseUrl::Sqlite(path) => Ok(Settings::new(path)),
        DatabaseUrl::Postgres(_) => Err(Failure::Usage(
            "this is for embedded databases; a database of PostgreSQL is backed up by `pg_dump --format=custom` and put back by \
             `pg_restore`, or kept by continuous archiving: see Backup in docs/operations.md"
                .to_owned(),
        )),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(Failure::failed)?.map_err(Failure::failed)
}
