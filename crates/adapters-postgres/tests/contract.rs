//! The contract of all databases, kept by PostgreSQL.
#![cfg(test)]

use adapters_postgres::testing::TestDatabase;
use adapters_postgres::{PostgresStore, Settings};
use domain::ports::Store;
use std::sync::Arc;

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

async fn fresh() -> Fresh {
    let database = TestDatabase::create().await;
    let store =
        PostgresStore::connect(Settings::new(database.url())).expect("the test database's URL is good");
    Fresh { store: Arc::new(store), _database: database }
}

store_contract::store_contract!(fresh);
