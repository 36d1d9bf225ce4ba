//! A reader or a unit of work: the lease of a connection, and when its transaction begins and ends.
//!
//! The ports that [`Work`] implements are in the files named after them.

use crate::catalogue::{Catalogue, Known};
use crate::chain;
use crate::errors::{Failure, is_out_of_room};
use crate::workers::{Lease, Pool, Unanswered};
use async_trait::async_trait;
use diesel::connection::SimpleConnection;
use diesel::sqlite::SqliteConnection;
use domain::audit::NewEvent;
use domain::ports::{
    AlertRules, Alerts, ApiKeys, Deliveries, Idempotency, Live, MaintenanceLog, Mentorships, Metrics,
    Readings, Register, Repos, Roles, Rollups, Sessions, SignIns, SigningKeys, StoreError, Thinnings, Trail,
    UnitOfWork, Users, Webhooks,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::timeout;

/// What a job on a connection's thread answers.
pub(crate) type Answer<T> = Result<T, Failure>;

/// The use of one connection, for reading or for one transaction.
pub(crate) struct Work {
    lease: Lease,
    stage: Stage,
    answer_timeout: Duration,
    pub(crate) catalogue: Catalogue,
    /// The number under which this unit of work announces live events, once it has.
    pub(crate) announcing: Option<i64>,
    /// What its commit appends to the audit trail.
    pub(crate) recorded: Vec<NewEvent>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Each call sees one state of the database; nothing is left open between calls.
    Reading,
    /// A transaction is open.
    Writing,
    /// A step failed. It may have done half of what it was asked, or SQLite may have ended the transaction over it; what
    /// follows must neither run outside a transaction nor be committed. PostgreSQL sees it the same way.
    Broken,
    /// Committed or rolled back, or on the way there.
    Ended,
}

#[derive(Debug, thiserror::Error)]
#[error("an earlier step of this unit of work failed, so it can only be rolled back")]
struct BrokenUnit;

impl Work {
    pub(crate) async fn read(
        readers: &Arc<Pool>,
        answer_timeout: Duration,
        known: &Arc<Mutex<Known>>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            lease: readers.lease().await.map_err(nothing_written)?,
            stage: Stage::Reading,
            answer_timeout,
            catalogue: Catalogue::of_reader(known),
            announcing: None,
            recorded: Vec::new(),
        })
    }

    pub(crate) async fn begin(
        writer: &Arc<Pool>,
        answer_timeout: Duration,
        known: &Arc<Mutex<Known>>,
    ) -> Result<Self, StoreError> {
        let mut work = Self {
            lease: writer.lease().await.map_err(nothing_written)?,
            // Already here: who drops this future while the transaction begins has it rolled back, too.
            stage: Stage::Writing,
            answer_timeout,
            catalogue: Catalogue::of_unit(known),
            announcing: None,
            recorded: Vec::new(),
        };
        // Immediate: a transaction that asks for the write lock only when it first writes may find that it has read
        // what is no longer true, and fails at once.
        work.run(|connection| Ok(connection.batch_execute("BEGIN IMMEDIATE")?)).await?;
        Ok(work)
    }

    /// Runs statements on the connection's thread.
    pub(crate) async fn run<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&mut SqliteConnection) -> Answer<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self.stage {
            Stage::Reading => {
                let outcome = self.ask(|connection| Snapshot::of(connection)?.see(job)).await;
                outcome.map_err(nothing_written)?.map_err(StoreError::from)
            }
            Stage::Writing => {
                let outcome = self.ask(job).await.map_err(nothing_written);
                let outcome = outcome.and_then(|answer| answer.map_err(StoreError::from));
                if let Err(failure) = &outcome {
                    self.stage = Stage::Broken;
                    self.heed(failure);
                }
                outcome
            }
            Stage::Broken | Stage::Ended => Err(StoreError::Fault(Box::new(BrokenUnit))),
        }
    }

    fn heed(&self, failure: &StoreError) {
        if is_out_of_room(failure) {
            self.lease.note_want_of_room();
        }
    }

    /// A lock: what the one writer holds already. A reader holds nothing, so it cannot promise it.
    pub(crate) fn hold(&self) -> Result<(), StoreError> {
        match self.stage {
            Stage::Reading => Err(StoreError::ReadOnly),
            Stage::Writing => Ok(()),
            Stage::Broken | Stage::Ended => Err(StoreError::Fault(Box::new(BrokenUnit))),
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut SqliteConnection) -> T + Send + 'static,
    ) -> Result<T, Unanswered> {
        timeout(self.answer_timeout, self.lease.ask(job)).await.unwrap_or(Err(Unanswered::Late))
    }
}

/// The failure of a call that is not a commit: whatever it did is or will be rolled back.
fn nothing_written(reason: Unanswered) -> StoreError {
    match reason {
        Unanswered::Occupied | Unanswered::Late | Unanswered::Closed => StoreError::Busy(Box::new(reason)),
        Unanswered::Panicked => StoreError::Fault(Box::new(reason)),
    }
}

/// The failure of a commit. One that was never begun wrote nothing; of any other nobody knows.
fn perhaps_written(reason: Unanswered) -> StoreError {
    match reason {
        Unanswered::Occupied | Unanswered::Closed => StoreError::Busy(Box::new(reason)),
        Unanswered::Late | Unanswered::Panicked => StoreError::OutcomeUnknown,
    }
}

/// A read transaction that ends when it is dropped, also by a panic.
struct Snapshot<'a>(&'a mut SqliteConnection);

impl<'a> Snapshot<'a> {
    fn of(connection: &'a mut SqliteConnection) -> Answer<Self> {
        connection.batch_execute("BEGIN")?;
        Ok(Self(connection))
    }

    fn see<T>(self, job: impl FnOnce(&mut SqliteConnection) -> Answer<T>) -> Answer<T> {
        job(self.0)
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        roll_back(self.0);
    }
}

fn roll_back(connection: &mut SqliteConnection) {
    if let Err(error) = connection.batch_execute("ROLLBACK") {
        // Usual after a failure that made SQLite roll back by itself; then there is nothing to undo.
        tracing::debug!(%error, "there was no transaction to roll back");
    }
}

/// Moves the log into the file now that there is room, however short it is: from then on it is written from its beginning
/// again. Else it would fill a small disk in the end, and then there is no room to move it to.
fn move_log(connection: &mut SqliteConnection) {
    if let Err(error) = connection.batch_execute("PRAGMA wal_checkpoint(PASSIVE)") {
        tracing::warn!(%error, "the log cannot be moved into the file yet");
    }
}

fn commit(connection: &mut SqliteConnection, recorded: Vec<NewEvent>) -> Result<(), StoreError> {
    if let Err(failure) = chain::append(connection, recorded) {
        roll_back(connection);
        return Err(failure.into());
    }
    connection.batch_execute("COMMIT").map_err(|error| {
        roll_back(connection);
        Failure::from(error).of_commit()
    })
}

#[async_trait]
impl UnitOfWork for Work {
    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        if self.stage != Stage::Writing {
            return Err(StoreError::Fault(Box::new(BrokenUnit)));
        }
        // From here on the job itself ends the transaction, even if nobody waits for it any more.
        self.stage = Stage::Ended;
        let catalogue = self.catalogue.clone();
        let recorded = std::mem::take(&mut self.recorded);
        let room_was_wanted = self.lease.wanted_room();
        let committed = move |connection: &mut SqliteConnection| {
            commit(connection, recorded)?;
            catalogue.publish();
            if room_was_wanted {
                move_log(connection);
            }
            Ok(())
        };
        let outcome = self.ask(committed).await.map_err(perhaps_written).and_then(|done| done);
        outcome.inspect_err(|failure| {
            if room_was_wanted {
                // Still.
                self.lease.note_want_of_room();
            }
            self.heed(failure);
        })
    }

    async fn rollback(mut self: Box<Self>) {
        self.stage = Stage::Ended;
        // Without an answer the thread is gone, and the transaction with it, or it is late and will come to it.
        let _ = self.ask(roll_back).await;
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        match self.stage {
            Stage::Writing | Stage::Broken => self.lease.tell(roll_back),
            Stage::Reading | Stage::Ended => {}
        }
    }
}

impl Repos for Work {
    fn users(&mut self) -> &mut dyn Users {
        self
    }
    fn mentorships(&mut self) -> &mut dyn Mentorships {
        self
    }
    fn roles(&mut self) -> &mut dyn Roles {
        self
    }
    fn sessions(&mut self) -> &mut dyn Sessions {
        self
    }
    fn api_keys(&mut self) -> &mut dyn ApiKeys {
        self
    }
    fn sign_ins(&mut self) -> &mut dyn SignIns {
        self
    }
    fn idempotency(&mut self) -> &mut dyn Idempotency {
        self
    }
    fn signing_keys(&mut self) -> &mut dyn SigningKeys {
        self
    }
    fn trail(&mut self) -> &mut dyn Trail {
        self
    }
    fn equipment(&mut self) -> &mut dyn Register {
        self
    }
    fn maintenance(&mut self) -> &mut dyn MaintenanceLog {
        self
    }
    fn readings(&mut self) -> &mut dyn Readings {
        self
    }
    fn rollups(&mut self) -> &mut dyn Rollups {
        self
    }
    fn thinnings(&mut self) -> &mut dyn Thinnings {
        self
    }
    fn metrics(&mut self) -> &mut dyn Metrics {
        self
    }
    fn rules(&mut self) -> &mut dyn AlertRules {
        self
    }
    fn alerts(&mut self) -> &mut dyn Alerts {
        self
    }
    fn live(&mut self) -> &mut dyn Live {
        self
    }
    fn webhooks(&mut self) -> &mut dyn Webhooks {
        self
    }
    fn deliveries(&mut self) -> &mut dyn Deliveries {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel::prelude::*;
    use diesel::sql_types::BigInt;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn pool(setup: &str) -> Arc<Pool> {
        let mut connection = SqliteConnection::establish(":memory:").unwrap();
        connection.batch_execute(setup).unwrap();
        Pool::start("test", vec![connection], PATIENCE).unwrap()
    }

    async fn begin(pool: &Arc<Pool>) -> Result<Work, StoreError> {
        Work::begin(pool, PATIENCE, &Arc::default()).await
    }

    async fn read(pool: &Arc<Pool>, patience: Duration) -> Result<Work, StoreError> {
        Work::read(pool, patience, &Arc::default()).await
    }

    async fn execute(work: &mut Work, sql: &'static str) -> Result<(), StoreError> {
        work.run(move |connection| Ok(connection.batch_execute(sql)?)).await
    }

    async fn count(pool: &Arc<Pool>) -> i64 {
        let mut work = read(pool, PATIENCE).await.unwrap();
        let rows = diesel::dsl::sql::<BigInt>("(SELECT count(*) FROM t)");
        work.run(|connection| Ok(diesel::select(rows).get_result(connection)?)).await.unwrap()
    }

    #[tokio::test]
    async fn a_unit_of_work_in_which_a_step_panicked_cannot_be_committed_and_leaves_the_store_usable() {
        let pool = pool("CREATE TABLE t (x)");
        let mut work = Box::new(begin(&pool).await.unwrap());
        execute(&mut work, "INSERT INTO t VALUES (1)").await.unwrap();
        let panicked = work.run(|_| -> Answer<()> { panic!("a bug") }).await;
        assert!(matches!(panicked, Err(StoreError::Fault(_))));
        assert!(matches!(work.commit().await, Err(StoreError::Fault(_))));
        let mut next = Box::new(begin(&pool).await.unwrap());
        execute(&mut next, "INSERT INTO t VALUES (2), (3)").await.unwrap();
        next.commit().await.unwrap();
        assert_eq!(count(&pool).await, 2);
    }

    #[tokio::test]
    async fn a_panic_while_reading_leaves_no_transaction_open() {
        let pool = pool("CREATE TABLE t (x)");
        let mut reader = read(&pool, PATIENCE).await.unwrap();
        assert!(reader.run(|_| -> Answer<()> { panic!("a bug") }).await.is_err());
        drop(reader);
        assert_eq!(count(&pool).await, 0);
    }

    #[tokio::test]
    async fn a_full_disk_is_busy_and_nothing_of_the_unit_of_work_stays() {
        let pool = pool("CREATE TABLE t (x); PRAGMA max_page_count = 8");
        let mut work = Box::new(begin(&pool).await.unwrap());
        execute(&mut work, "INSERT INTO t VALUES (1)").await.unwrap();
        let full = execute(&mut work, "INSERT INTO t VALUES (randomblob(1000000))").await;
        assert!(matches!(full, Err(StoreError::Busy(_))));
        // SQLite has ended the transaction by itself: without a guard this would be stored at once.
        assert!(execute(&mut work, "INSERT INTO t VALUES (2)").await.is_err());
        assert!(work.commit().await.is_err());
        assert_eq!(count(&pool).await, 0);
    }

    #[tokio::test]
    async fn after_a_want_of_room_the_log_is_moved_into_the_file_at_the_first_commit() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("test.db");
        let mut connection = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
        connection.batch_execute("PRAGMA journal_mode = WAL; CREATE TABLE t (x)").unwrap();
        let pool = Pool::start("test", vec![connection], PATIENCE).unwrap();
        let length = || std::fs::metadata(&file).unwrap().len();
        let insert = async || {
            let mut work = Box::new(begin(&pool).await.unwrap());
            execute(&mut work, "PRAGMA max_page_count = 1000; INSERT INTO t VALUES (1)").await.unwrap();
            work.commit().await.unwrap();
        };
        let before = length();
        insert().await;
        assert_eq!(length(), before, "the log is short");
        let mut work = begin(&pool).await.unwrap();
        let full = "PRAGMA max_page_count = 8; INSERT INTO t VALUES (randomblob(1000000))";
        assert!(matches!(execute(&mut work, full).await, Err(StoreError::Busy(_))));
        drop(work);
        insert().await;
        assert!(length() > before, "the log stays where it is");
    }

    #[tokio::test]
    async fn an_answer_that_takes_too_long_is_given_up() {
        let pool = pool("CREATE TABLE t (x)");
        let mut reader = read(&pool, Duration::from_millis(10)).await.unwrap();
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let late = reader
            .run(move |_| {
                let _ = gate.recv();
                Ok(())
            })
            .await;
        assert!(matches!(late, Err(StoreError::Busy(_))));
        drop(release);
    }
}
