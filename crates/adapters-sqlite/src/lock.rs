//! One process at a time: an advisory lock on a file beside the database.
//!
//! SQLite itself would let a second process in. But what this process knows of the database (who is signed in, what is
//! allowed) it learns from its own writes, so two of them on one file would believe different things.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Holds the lock until it is dropped. The operating system releases it when the process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

#[derive(Debug)]
pub(crate) enum Refused {
    /// Somebody else has it; the process id that they left.
    Held(String),
    Failed(io::Error),
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Lock {
    /// Takes the lock of this database, or says who has it. The lock file stays behind when it is released: removing it
    /// would let two processes lock two files of the same name.
    pub(crate) fn take(database: &Path) -> Result<Self, Refused> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path(database))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Refused::Held(holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(Refused::Failed(error)),
        }
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        write!(file, "{}", std::process::id())?;
        Ok(Self { _file: file })
    }
}

fn path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    PathBuf::from(path)
}

/// The holder writes its id a moment after it has the lock, so there may be none to read yet.
fn holder(file: &mut File) -> String {
    let mut id = String::new();
    match file.read_to_string(&mut id) {
        Ok(length) if length > 0 => id,
        Ok(_) | Err(_) => "unknown".to_owned(),
    }
}
