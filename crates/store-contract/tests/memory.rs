//! The store in memory keeps the contract of the databases it stands in for.

use domain::ports::Store;
use domain::testing::MemoryStore;
use std::sync::Arc;
use store_contract::Fresh;

struct InMemory(MemoryStore);

impl Fresh for InMemory {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }
}

async fn fresh() -> InMemory {
    InMemory(MemoryStore::default())
}

store_contract::store_contract!(fresh);
