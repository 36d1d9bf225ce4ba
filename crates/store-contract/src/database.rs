//! The database under test, with the few verbs that let a promise read as a story.

mod plant;

pub(crate) use plant::report_in;

use domain::api_keys::{ApiKey, NewApiKey};
use domain::audit::chain::Head;
use domain::id::{EventId, RoleId, UserId};
use domain::ports::{Reference, Repos, Store, StoreError, Unique, UnitOfWork};
use domain::roles::{NewRole, Role};
use domain::sessions::{NewSession, Session};
use domain::users::{NewUser, User};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Long enough for the slowest machine, short enough to say which promise waits for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long somebody who must wait is watched doing so.
const A_MOMENT: Duration = Duration::from_millis(100);

/// How long somebody who waits for what nobody tells them looks away.
const A_GLANCE: Duration = Duration::from_millis(2);

/// A store made for one test. It is kept until the test ends and cleans up when it is dropped.
pub trait Fresh {
    /// The store: migrated, and with nothing stored in it.
    fn store(&self) -> Arc<dyn Store>;
}

/// Checks one promise on one fresh store.
pub async fn hold(fresh: impl Fresh, promise: impl AsyncFnOnce(Database)) {
    let database = Database { store: fresh.store(), packs: false };
    timeout(PATIENCE, promise(database)).await.expect("something waits without limit");
    drop(fresh);
}

/// Checks one promise on one fresh store, in which all readings are packed as soon as they are reported.
pub async fn hold_packed(fresh: impl Fresh, promise: impl AsyncFnOnce(Database)) {
    let database = Database { store: fresh.store(), packs: true };
    timeout(PATIENCE, promise(database)).await.expect("something waits without limit");
    drop(fresh);
}

/// The store under test.
#[derive(Clone)]
pub struct Database {
    store: Arc<dyn Store>,
    /// Whether readings are packed as soon as they are reported.
    packs: bool,
}

impl Database {
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    pub(crate) async fn begin(&self) -> Box<dyn UnitOfWork> {
        self.store.begin().await.unwrap()
    }

    pub(crate) async fn reader(&self) -> Box<dyn Repos> {
        self.store.reader().await.unwrap()
    }

    /// Does `work` in a unit of its own and commits it.
    pub(crate) async fn within<T>(&self, work: impl AsyncFnOnce(&mut dyn UnitOfWork) -> T) -> T {
        let mut unit = self.begin().await;
        let outcome = work(&mut *unit).await;
        unit.commit().await.unwrap();
        outcome
    }

    /// Lets somebody else do `work` in another unit; undone unless the work commits it.
    ///
    /// The unit is begun in the other task, because a database with one writer keeps it waiting from there on.
    pub(crate) fn meanwhile<W>(
        &self,
        work: impl FnOnce(Box<dyn UnitOfWork>) -> W + Send + 'static,
    ) -> Meanwhile<W::Output>
    where
        W: Future<Output: Send> + Send + 'static,
    {
        let database = self.clone();
        Meanwhile(tokio::spawn(async move { work(database.begin().await).await }))
    }

    /// Does `work`, which storage must refuse, in a unit of its own; says why it was refused.
    pub(crate) async fn refusal<T>(
        &self,
        work: impl AsyncFnOnce(&mut dyn UnitOfWork) -> Result<T, StoreError>,
    ) -> StoreError {
        let mut unit = self.begin().await;
        let outcome = work(&mut *unit).await;
        unit.rollback().await;
        refused(outcome)
    }

    pub(crate) async fn insert_user(&self, user: &NewUser) -> User {
        self.within(async |unit| unit.users().insert(user).await.unwrap()).await
    }

    pub(crate) async fn save_user(&self, user: &User) -> User {
        self.within(async |unit| unit.users().save(user).await.unwrap()).await
    }

    pub(crate) async fn user(&self, id: UserId) -> Option<User> {
        self.reader().await.users().find(id).await.unwrap()
    }

    pub(crate) async fn insert_role(&self, role: &NewRole) -> Role {
        self.within(async |unit| unit.roles().insert(role).await.unwrap()).await
    }

    pub(crate) async fn role(&self, id: RoleId) -> Option<Role> {
        self.reader().await.roles().find(id).await.unwrap()
    }

    pub(crate) async fn assign(&self, user: UserId, role: RoleId) -> bool {
        self.within(async |unit| unit.roles().assign(user, role).await.unwrap()).await
    }

    pub(crate) async fn insert_session(&self, session: &NewSession) -> Session {
        self.within(async |unit| unit.sessions().insert(session).await.unwrap()).await
    }

    pub(crate) async fn insert_api_key(&self, key: &NewApiKey) -> ApiKey {
        self.within(async |unit| unit.api_keys().insert(key).await.unwrap()).await
    }

    /// Records an event in a unit of its own; answers under which id it is in the trail.
    pub(crate) async fn record(&self, event: &domain::audit::NewEvent) -> EventId {
        self.within(async |unit| unit.trail().record(event).await.unwrap()).await;
        EventId::new(self.chain_head().await.newest).unwrap()
    }

    /// Where the audit trail ends.
    pub(crate) async fn chain_head(&self) -> Head {
        self.reader().await.trail().head().await.unwrap()
    }
}

/// Why storage refused what it must refuse.
pub(crate) fn refused<T>(outcome: Result<T, StoreError>) -> StoreError {
    outcome.err().expect("storage did what it must refuse")
}

/// Storage refused because this is taken.
pub(crate) fn assert_taken(refusal: StoreError, expected: Unique) {
    assert!(matches!(refusal, StoreError::Conflict(unique) if unique == expected), "{refusal:?}");
}

/// Storage refused because a reference to or from this would dangle.
pub(crate) fn assert_dangling(refusal: StoreError, expected: Reference) {
    assert!(matches!(refusal, StoreError::Dangling(reference) if reference == expected), "{refusal:?}");
}

/// Somebody else at work, in a task of their own.
pub(crate) struct Meanwhile<T>(JoinHandle<T>);

impl<T> Meanwhile<T> {
    /// Watches for a moment that the work does not get done.
    pub(crate) async fn waits(&mut self) {
        let watched = timeout(A_MOMENT, &mut self.0).await;
        assert!(watched.is_err(), "the second did not wait for the first");
    }

    /// Lets the work get done, unless it must wait.
    pub(crate) async fn has_a_moment(&self) {
        let done = async {
            while !self.0.is_finished() {
                tokio::time::sleep(A_GLANCE).await;
            }
        };
        // Where it must wait, it goes on when the first is done.
        let _ = timeout(A_MOMENT, done).await;
    }

    /// Drops the work where it stands.
    pub(crate) async fn abandon(self) {
        self.0.abort();
        assert!(self.0.await.is_err_and(|end| end.is_cancelled()), "the second was done already");
    }

    pub(crate) async fn outcome(self) -> T {
        self.0.await.expect("the second failed")
    }
}
