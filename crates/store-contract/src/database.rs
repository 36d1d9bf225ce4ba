//! The database under test, with the few verbs that let a promise read as a story.

use domain::ports::{Repos, Store, StoreError, UnitOfWork};
use domain::users::{NewUser, User};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Long enough for the slowest machine, short enough to say which promise waits for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// A store made for one test. It is kept until the test ends and cleans up when it is dropped.
pub trait Fresh {
    /// The store: migrated, and with nothing stored in it.
    fn store(&self) -> Arc<dyn Store>;
}

/// Checks one promise on one fresh store.
pub async fn hold(fresh: impl Fresh, promise: impl AsyncFnOnce(Database)) {
    let database = Database(fresh.store());
    timeout(PATIENCE, promise(database))
        .await
        .expect("something waits without limit");
    drop(fresh);
}

/// The store under test.
#[derive(Clone)]
pub struct Database(Arc<dyn Store>);

impl Database {
    pub(crate) async fn begin(&self) -> Box<dyn UnitOfWork> {
        self.0.begin().await.unwrap()
    }

    pub(crate) async fn reader(&self) -> Box<dyn Repos> {
        self.0.reader().await.unwrap()
    }

    /// Does `work` in a unit of its own and commits it.
    pub(crate) async fn within<T>(&self, work: impl AsyncFnOnce(&mut dyn UnitOfWork) -> T) -> T {
        let mut unit = self.begin().await;
        let outcome = work(&mut *unit).await;
        unit.commit().await.unwrap();
        outcome
    }

    /// Does `work`, which storage must refuse, in a unit of its own; says why it was refused.
    pub(crate) async fn refusal<T>(
        &self,
        work: impl AsyncFnOnce(&mut dyn UnitOfWork) -> Result<T, StoreError>,
    ) -> StoreError {
        let mut unit = self.begin().await;
        let outcome = work(&mut *unit).await;
        unit.rollback().await;
        outcome.err().expect("storage did what it must refuse")
    }

    pub(crate) async fn insert_user(&self, user: &NewUser) -> User {
        self.within(async |tx| tx.users().insert(user).await.unwrap())
            .await
    }
}
