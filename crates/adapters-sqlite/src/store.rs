//! Opening a database file, and handing out readers and units of work.

use crate::catalogue::Known;
use crate::connection::{ConnectError, Purpose, connect};
use crate::lock::{Lock, Refused};
use crate::work::Work;
use crate::workers::Pool;
use async_trait::async_trait;
use diesel::{RunQueryDsl, SqliteConnection};
use domain::ports::{PoolUse, Repos, Store, StoreError, UnitOfWork};
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
    /// The last field, so that nobody else gets the file before it is closed. None where the file is only looked at.
    _lock: Option<Lock>,
}

impl SqliteStore {
    /// Opens the file. See [`SqliteStore::migrate`] for its tables.
    pub fn open(settings: Settings) -> Result<Self, OpenError> {
        let path = create(settings.path)?;
        let lock = lock(&path)?;
        let connected = |purpose| open_as(&path, purpose, settings.busy_timeout);
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
            _lock: Some(lock),
        })
    }

    /// Opens the file to look at it, also while another process has it for itself. Nothing can be written through this.
    pub fn beside(settings: Settings) -> Result<Self, OpenError> {
        let path = existing(settings.path)?;
        let connection = open_as(&path, Purpose::Reading, settings.busy_timeout)?;
        let reader = Pool::start("sqlite-onlooker", vec![connection], settings.acquire_timeout)
            .map_err(OpenError::Threads)?;
        Ok(Self {
            writer: Arc::clone(&reader),
            readers: reader,
            answer_timeout: settings.answer_timeout,
            known: Arc::default(),
            _lock: None,
        })
    }

    pub(crate) fn writer(&self) -> &Arc<Pool> {
        &self.writer
    }
}

/// Takes the file for this process.
pub(crate) fn lock(path: &Path) -> Result<Lock, OpenError> {
    Lock::take(path).map_err(|refused| match refused {
        Refused::Held(pid) => OpenError::InUse { path: path.to_owned(), pid },
        Refused::Failed(source) => OpenError::File { path: path.to_owned(), source },
    })
}

/// A connection to the file, which exists.
pub(crate) fn open_as(
    path: &Path,
    purpose: Purpose,
    busy_timeout: Duration,
) -> Result<SqliteConnection, OpenError> {
    let name = path.to_str().ok_or_else(|| OpenError::Name(path.to_owned()))?;
    connect(name, purpose, busy_timeout)
        .map_err(|source| OpenError::Connect { path: path.to_owned(), source })
}

/// The one true name of a file that must be there.
pub(crate) fn existing(path: PathBuf) -> Result<PathBuf, OpenError> {
    path.canonicalize().map_err(|source| OpenError::File { path, source })
}

/// Makes the file and its directory unless they are there, and answers its one true name: through a link, too, it must
/// be locked under the same.
fn create(path: PathBuf) -> Result<PathBuf, OpenError> {
    let made = create_directory(&path).and_then(|()| create_file(&path)).and_then(|()| path.canonicalize());
    made.map_err(|source| OpenError::File { path, source })
}

/// The one true name of a file that need not be there, in a directory that now is.
pub(crate) fn set_up_directory(path: PathBuf) -> Result<PathBuf, OpenError> {
    let real = || {
        create_directory(&path)?;
        if path.exists() {
            return path.canonicalize();
        }
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        Ok(directory.unwrap_or(Path::new(".")).canonicalize()?.join(name))
    };
    real().map_err(|source| OpenError::File { path: path.clone(), source })
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

    fn pools(&self) -> Vec<PoolUse> {
        vec![self.readers.in_use("reader"), self.writer.in_use("writer")]
    }
}

impl Drop for SqliteStore {
    /// The writer closes last: the last connection moves the log into the file.
    fn drop(&mut self) {
        self.readers.shut_down();
        self.writer.shut_down();
    }
}
