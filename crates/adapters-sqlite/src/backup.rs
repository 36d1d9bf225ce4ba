//! A database in one file more: copied while a server works on it, and put back in its place.
//!
//! Both write to a draft beside the file that they are to make, and give it its name when it is complete and on the disk; a draft
//! that somebody pulled the plug on is in nobody's way.

use crate::connection::{Purpose, connect};
use crate::lock::Lock;
use crate::migrations::{MigrateError, is_ours, run_missing};
use crate::store::{OpenError, Settings, existing, lock, open_as, set_up_directory};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why a backup was not made, or not put in place.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database, or the backup, does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Nobody said that it may be replaced.
    #[error("{} is there already; --force replaces it", .0.display())]
    Taken(PathBuf),
    /// The backup would take the place of what it is a backup of.
    #[error("{} belongs to the database itself", .0.display())]
    Own(PathBuf),
    /// A file is not accessible.
    #[error("{} cannot be written or read", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// SQLite failed.
    #[error("SQLite cannot copy or check {}", path.display())]
    Sqlite {
        /// What was to be copied or checked.
        path: PathBuf,
        /// Why not.
        source: diesel::result::Error,
    },
    /// Somebody works on the file, or copied it while somebody did.
    #[error("{} has a log beside it (…-wal), which belongs to it: make backups by `techtrack backup`", .0.display())]
    NotAlone(PathBuf),
    /// What a killed server left in the log of the database that is there cannot be moved into it.
    #[error(
        "{} has a log beside it (…-wal) that cannot be moved into it, because it is damaged or somebody works on it; nothing was replaced: \
         move both files elsewhere first, so that neither is taken for a part of what is restored",
        .0.display()
    )]
    Unfolded(PathBuf),
    /// It is a database, but none of ours.
    #[error("{} is no database of TechTrack", .0.display())]
    Foreign(PathBuf),
    /// The file is damaged.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The backup is of another release.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
}

fn inaccessible(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    move |source| BackupError::File { path: path.to_owned(), source }
}

fn refused(path: &Path) -> impl FnOnce(diesel::result::Error) -> BackupError {
    move |source| BackupError::Sqlite { path: path.to_owned(), source }
}

/// Copies the database of these settings, as it is at this moment, into a new file for the owner alone; answers how many bytes
/// it has. Whoever works on the database goes on meanwhile, and all that was committed before is in the copy. Blocks.
pub fn back_up(settings: &Settings, target: &Path, replace: bool) -> Result<u64, BackupError> {
    let database = existing(settings.path.clone())?;
    let target = &absolute(target)?;
    refuse_own(&database, target)?;
    refuse_taken(target, replace)?;
    // Of this process alone: a second backup to the same place has a draft of its own.
    let draft = Draft::new(target, &format!("part-{}", std::process::id()))?;
    draft.make_empty()?;
    let mut connection = open_as(&database, Purpose::Copying, settings.busy_timeout)?;
    let name = draft.path.to_str().ok_or_else(|| OpenError::Name(draft.path.clone()))?;
    let copying = diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(name);
    copying.execute(&mut connection).map_err(refused(&database))?;
    let mut copy = SqliteConnection::establish(name)
        .map_err(|error| OpenError::Connect { path: draft.path.clone(), source: error.into() })?;
    refuse_damaged(&mut copy, &draft.path)?;
    drop(copy);
    let bytes = draft.path.metadata().map_err(inaccessible(&draft.path))?.len();
    draft.become_file(target, replace)?;
    Ok(bytes)
}

/// A backup on its way to being the database, which nobody else can open meanwhile.
pub struct Restore {
    database: PathBuf,
    draft: Draft,
    /// The last field, so that nobody else gets the file before all is in place.
    _lock: Lock,
}

impl Restore {
    /// Takes the database of these settings for this process, puts a copy of the backup beside it, sees that it is sound and
    /// brings it up to date. Nothing is replaced yet. Blocks.
    pub fn prepare(settings: &Settings, backup: &Path, replace: bool) -> Result<Self, BackupError> {
        let backup = existing(backup.to_owned())?;
        if beside(&backup, "-wal").metadata().is_ok_and(|log| log.len() > 0) {
            return Err(BackupError::NotAlone(backup));
        }
        let database = set_up_directory(settings.path.clone())?;
        let lock = lock(&database)?;
        refuse_taken(&database, replace)?;
        if backup == absolute(&beside(&database, ".restoring"))? {
            return Err(BackupError::Own(backup));
        }
        let draft = Draft::new(&database, "restoring")?;
        draft.make_copy_of(&backup)?;
        let mut connection = open_as(&draft.path, Purpose::Writing, settings.busy_timeout)?;
        refuse_damaged(&mut connection, &backup)?;
        if !is_ours(&mut connection)? {
            return Err(BackupError::Foreign(backup));
        }
        run_missing(&mut connection)?;
        Ok(Self { database, draft, _lock: lock })
    }

    /// What will be the database.
    pub fn draft(&self) -> &Path {
        &self.draft.path
    }

    /// Makes it the database. One that was there is kept beside it under its name with this behind, which is answered. Whenever the
    /// plug is pulled, either the one or the other is in place, whole: the log of the old one is moved into it first. Blocks.
    pub fn finish(self, kept_as: &str) -> Result<Option<PathBuf>, BackupError> {
        let is_there = self.database.exists();
        if is_there {
            fold_log(&self.database);
        }
        self.remove_empty_log()?;
        let kept = if is_there { Some(self.keep(kept_as)?) } else { None };
        self.draft.become_file(&self.database, true)?;
        Ok(kept)
    }

    /// The log of a database that went before would be taken for the new one's.
    fn remove_empty_log(&self) -> Result<(), BackupError> {
        let log = beside(&self.database, "-wal");
        if log.metadata().is_ok_and(|log| log.len() > 0) {
            return Err(BackupError::Unfolded(self.database.clone()));
        }
        for file in [log, beside(&self.database, "-shm")] {
            remove_if_there(&file).map_err(inaccessible(&file))?;
        }
        Ok(())
    }

    /// Gives the database that is there a second name.
    fn keep(&self, kept_as: &str) -> Result<PathBuf, BackupError> {
        let kept = beside(&self.database, kept_as);
        refuse_taken(&kept, false)?;
        // Not every file system gives a file two names; where it does not, a copy has to do.
        let named = fs::hard_link(&self.database, &kept).or_else(|_| {
            fs::copy(&self.database, &kept)?;
            File::open(&kept)?.sync_all()
        });
        named.map_err(inaccessible(&kept))?;
        Ok(kept)
    }
}

/// What every database of SQLite begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Has what a killed server left in the log moved into the file, by opening and closing it. What is no database keeps its log:
/// SQLite would throw that away.
fn fold_log(database: &Path) {
    let mut beginning = Vec::with_capacity(MAGIC.len());
    let read =
        File::open(database).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut beginning));
    if read.is_err() || beginning != MAGIC {
        tracing::warn!("what is replaced is no database");
        return;
    }
    let name = database.to_string_lossy();
    if let Err(error) = connect(&name, Purpose::Writing, std::time::Duration::ZERO) {
        tracing::warn!(%error, "the database that is replaced does not open");
    }
}

fn remove_if_there(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Where a file is or shall be: its directory is there.
fn absolute(file: &Path) -> Result<PathBuf, BackupError> {
    let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new(".")).canonicalize().map_err(inaccessible(file))?;
    let name = file.file_name().ok_or_else(|| OpenError::Name(file.to_owned()))?;
    Ok(directory.join(name))
}

/// Whoever works on a database goes on with a file that lost its name, and with a log that belongs to it.
fn refuse_own(database: &Path, target: &Path) -> Result<(), BackupError> {
    let database = absolute(database)?;
    let its_own = ["", "-wal", "-shm", "-journal", ".lock"].map(|behind| beside(&database, behind));
    let same = |one: &Path, other: &Path| match (one.metadata(), other.metadata()) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    };
    if its_own.iter().any(|own| own == target || same(own, target)) {
        return Err(BackupError::Own(target.to_owned()));
    }
    Ok(())
}

fn refuse_taken(path: &Path, replace: bool) -> Result<(), BackupError> {
    // A link to nothing is there, too.
    if !replace && path.symlink_metadata().is_ok() {
        return Err(BackupError::Taken(path.to_owned()));
    }
    Ok(())
}

#[derive(QueryableByName)]
struct Integrity {
    #[diesel(sql_type = Text)]
    integrity_check: String,
}

#[derive(QueryableByName)]
struct Dangling {
    #[diesel(sql_type = BigInt)]
    dangling: i64,
}

fn refuse_damaged(connection: &mut SqliteConnection, path: &Path) -> Result<(), BackupError> {
    let damaged = |what: String| Err(BackupError::Damaged { path: path.to_owned(), what });
    let found = diesel::sql_query("PRAGMA integrity_check(1)").get_result(connection);
    let Integrity { integrity_check } = found.map_err(refused(path))?;
    if integrity_check != "ok" {
        return damaged(integrity_check);
    }
    let dangling = diesel::sql_query("SELECT count(*) AS dangling FROM pragma_foreign_key_check");
    match dangling.get_result(connection).map_err(refused(path))? {
        Dangling { dangling: 0 } => Ok(()),
        Dangling { dangling } => damaged(format!("{dangling} rows refer to what is not there")),
    }
}

/// The file of this name with something behind.
fn beside(path: &Path, behind: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(behind);
    PathBuf::from(name)
}

/// A file on its way to its name. Removed when it does not get there.
struct Draft {
    path: PathBuf,
}

impl Draft {
    /// A draft of this file. What is left of an earlier one is removed.
    fn new(of: &Path, stage: &str) -> Result<Self, BackupError> {
        let path = beside(of, &format!(".{stage}"));
        let draft = Self { path };
        draft.remove().map_err(inaccessible(&draft.path))?;
        Ok(draft)
    }

    fn create(&self) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path)
    }

    fn make_empty(&self) -> Result<(), BackupError> {
        self.create().map(drop).map_err(inaccessible(&self.path))
    }

    fn make_copy_of(&self, other: &Path) -> Result<(), BackupError> {
        let mut source = File::open(other).map_err(inaccessible(other))?;
        let copied = self.create().and_then(|mut file| io::copy(&mut source, &mut file));
        copied.map(drop).map_err(inaccessible(&self.path))
    }

    /// Gives it its name, where it stays whatever happens to the machine. Never takes another's unless told to.
    fn become_file(self, name: &Path, replace: bool) -> Result<(), BackupError> {
        let path = &self.path;
        File::open(path).and_then(|file| file.sync_all()).map_err(inaccessible(path))?;
        if replace {
            fs::rename(path, name).map_err(inaccessible(name))?;
        } else {
            self.take_free(name)?;
        }
        let directory = name.parent().filter(|directory| !directory.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(inaccessible(directory))
    }

    /// A second name is refused where there is a file already, also one that came a moment ago.
    fn take_free(&self, name: &Path) -> Result<(), BackupError> {
        match fs::hard_link(&self.path, name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(BackupError::Taken(name.to_owned()))
            }
            Err(_) => fs::rename(&self.path, name).map_err(inaccessible(name)),
            Ok(()) => Ok(()),
        }
    }

    fn remove(&self) -> io::Result<()> {
        ["", "-wal", "-shm", "-journal", ".lock"]
            .into_iter()
            .try_for_each(|behind| remove_if_there(&beside(&self.path, behind)))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!(%error, draft = %self.path.display(), "a draft was left behind");
        }
    }
}
