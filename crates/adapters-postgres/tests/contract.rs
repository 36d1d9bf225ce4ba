//! The contract of all databases, kept by PostgreSQL.
#![cfg(test)]

use adapters_postgres::testing::TestDatabase;
use adapters_postgres::{PostgresStore, Settings};
use domain::ports::Store;
use std::sync::Arc;
use std::time::Duration;

struct Fresh {
    store: Arc<PostgresStore>,
    /// Dropped last, when the store's connections are closed.
    _database: TestDatabase,
}

impl store_contract::Fresh for Fresh {
    fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }
}

/// How long a machine that runs all tests at once may take. How short the patience is otherwise, `adapter` tests.
const BUSY_MACHINE: Duration = Duration::from_secs(20);

async fn fresh() -> Fresh {
    let database = TestDatabase::create().await;
    let settings = Settings {
        acquire_timeout: BUSY_MACHINE,
        connect_timeout: BUSY_MACHINE,
        answer_timeout: BUSY_MACHINE,
        statement_timeout: BUSY_MACHINE,
        lock_timeout: BUSY_MACHINE,
        idle_in_transaction_timeout: BUSY_MACHINE,
        ..Settings::new(database.url())
    };
    Fresh { store: Arc::new(PostgresStore::connect(settings).unwrap()), _database: database }
}

store_contract::store_contract!(fresh);
