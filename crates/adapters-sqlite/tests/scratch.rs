//! A directory for one test, and the store in it.

use adapters_sqlite::{Settings, SqliteStore};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of its own, removed when it is dropped.
pub(crate) struct Scratch {
    pub(crate) directory: PathBuf,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("techtrack-sqlite-{}-{number}", std::process::id());
            let directory = std::env::temp_dir().join(name);
            // A process of the same number may have died here before; take the next name then.
            if fs::create_dir(&directory).is_ok() {
                return Self { directory };
            }
        }
    }

    /// The usual settings for a database in this directory.
    pub(crate) fn settings(&self) -> Settings {
        Settings::new(self.directory.join("techtrack.db"))
    }

    /// A migrated store.
    pub(crate) async fn store(&self) -> SqliteStore {
        let store = SqliteStore::open(self.settings()).unwrap();
        store.migrate().await.unwrap();
        store
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left of it lies where the system clears up by itself.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
