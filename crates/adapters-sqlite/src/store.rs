//! Opening a database file, and handing out readers and units of work.

use crate::catalogue::Known;
use crate::connection::{ConnectError, Purpose, connect};
use crate::lock::{Lock, Refused};
use crate::work::Work;
use crate::workers::Pool;
use async_trait::async_trait;
use diesel::RunQueryDsl;
use domain::ports::{Repos, Store, StoreError, UnitOfWork};
use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::timeout;

/// How long a database may take to give a sign of life.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);

/// Where the database is, and how much it may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The file. It and its directory are made, for the owner alone, when they are not there.
    pub path: PathBuf,
    /// How many connections read at the same time; at least one.
    pub readers: usize,
    /// How long to wait for the writer, or for a reader, before answering [`StoreError::Busy`].
    pub acquire_timeout: Duration,
    /// How long a single call may take before it is given up.
    pub answer_timeout: Duration,
    /// How long SQLite waits when a program that does not know our lock, such as a backup, holds the file.
    pub busy_timeout: Duration,
}

impl Settings {
    /// This file, with the usual limits.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            readers: 4,
            acquire_timeout: Duration::from_secs(2),
            answer_timeout: Duration::from_secs(10),
            busy_timeout: Duration::from_secs(2),
        }
    }
}

/// Why a database did not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database is in use.
    #[error("another process (pid {pid}) already uses {}; stop it first, or choose another database file", path.display())]
    InUse {
        /// The database.
        path: PathBuf,
        /// The process that has it, as far as it can be told.
        pid: String,
    },
    /// The file or its directory is not accessible.
    #[error("cannot open {}", path.display())]
    File {
        /// What was to be opened.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// SQLite wants file names in UTF-8.
    #[error("the name {} is not valid UTF-8", .0.display())]
    Name(PathBuf),
    /// The file is no database of ours, or the platform does not do.
    #[error("cannot use {} as a database", path.display())]
    Connect {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: ConnectError,
    },
    /// No threads are to be had.
    #[error("cannot start the threads of the database")]
    Threads(#[source] io::Error),
}

/// A database file that this process has for itself.
///
/// Dropping it waits for what was begun, undoes what was not committed, moves the log into the file and lets go of it.
pub struct SqliteStore {
    writer: Arc<Pool>,
    readers: Arc<Pool>,
    answer_timeout: Duration,
    known: Arc<Mutex<Known>>,
    /// The last field, so that nobody else gets the file before it is closed.
    _lock: Lock,
}

impl SqliteStore {
    /// Opens the file. See [`SqliteStore::migrate`] for its tables.
    pub fn open(settings: Settings) -> Result<Self, OpenError> {
        let path = create(settings.path)?;
        let lock = Lock::take(&path).map_err(|refused| match refused {
            Refused::Held(pid) => OpenError::InUse { path: path.clone(), pid },
            Refused::Failed(source) => OpenError::File { path: path.clone(), source },
        })?;
        let connected = |purpose| {
            let name = path.to_str().ok_or_else(|| OpenError::Name(path.clone()))?;
            connect(name, purpose, settings.busy_timeout)
                .map_err(|source| OpenError::Connect { path: path.clone(), source })
        };
        let writer = vec![connected(Purpose::Writing)?];
        let readers = (0..settings.readers.max(1))
            .map(|_| connected(Purpose::Reading))
            .collect::<Result<Vec<_>, _>>()?;
        let pool = |name, connections| {
            Pool::start(name, connections, settings.acquire_timeout).map_err(OpenError::Threads)
        };
        Ok(Self {
            writer: pool("sqlite-writer", writer)?,
            readers: pool("sqlite-reader", readers)?,
            answer_timeout: settings.answer_timeout,
            known: Arc::default(),
            _lock: lock,
        })
    }

    pub(crate) fn writer(&self) -> &Arc<Pool> {
        &self.writer
    }
}

/// Makes the file and its directory unless they are there, and answers its one true name: through a link, too, it must
/// be locked under the same.
fn create(path: PathBuf) -> Result<PathBuf, OpenError> {
    let made = create_directory(&path).and_then(|()| create_file(&path)).and_then(|()| path.canonicalize());
    made.map_err(|source| OpenError::File { path, source })
}

fn create_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => {
            DirBuilder::new().recursive(true).mode(0o700).create(directory)
        }
        Some(_) | None => Ok(()),
    }
}

fn create_file(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.mode(0o600).open(path).map(drop)
}

#[async_trait]
impl Store for SqliteStore {
    async fn reader(&self) -> Result<Box<dyn Repos>, StoreError> {
        Ok(Box::new(Work::read(&self.readers, self.answer_timeout, &self.known).await?))
    }

    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, StoreError> {
        Ok(Box::new(Work::begin(&self.writer, self.answer_timeout, &self.known).await?))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let sign_of_life = async {
            let mut reader = Work::read(&self.readers, self.answer_timeout, &self.known).await?;
            reader
                .run(|connection| {
                    // Unlike a bare `SELECT 1`, this has to look into the file.
                    diesel::sql_query("SELECT count(*) FROM sqlite_schema").execute(connection)?;
                    Ok(())
                })
                .await
        };
        timeout(SIGN_OF_LIFE, sign_of_life).await.unwrap_or_else(|late| Err(StoreError::Busy(Box::new(late))))
    }
}

impl Drop for SqliteStore {
    /// The writer closes last: the last connection moves the log into the file.
    fn drop(&mut self) {
        self.readers.shut_down();
        self.writer.shut_down();
    }
}
