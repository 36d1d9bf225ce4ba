//! The promises that every database keeps, over a file of its own for each.
#![cfg(test)]

mod scratch;

use domain::ports::Store;
use scratch::Scratch;
use std::sync::Arc;

struct Fresh {
    store: Arc<dyn Store>,
    _scratch: Scratch,
}

impl store_contract::Fresh for Fresh {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }
}

async fn fresh() -> Fresh {
    let scratch = Scratch::new();
    Fresh { store: Arc::new(scratch.store().await), _scratch: scratch }
}

store_contract::store_contract!(fresh);
