//! Connections on threads of their own, and leases of them.
//!
//! A lease outlives its holder: every job carries a clone of it, so a thread is free for the next holder only when all
//! that was asked of it is done, however early the asking request went away.

use diesel::sqlite::SqliteConnection;
use domain::ports::PoolUse;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{io, thread};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

/// Why a connection's thread gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    #[error("every connection was in use for too long")]
    Occupied,
    #[error("the answer took too long")]
    Late,
    #[error("the store is closed")]
    Closed,
    #[error("a storage job panicked")]
    Panicked,
}

type Job = Box<dyn FnOnce(&mut SqliteConnection) + Send>;

enum Message {
    Do(Job),
    Stop,
}

/// The way to one connection's thread.
#[derive(Clone)]
struct Worker(mpsc::Sender<Message>);

impl Worker {
    fn start(name: String, connection: SqliteConnection) -> io::Result<(Self, JoinHandle<()>)> {
        let (sender, inbox) = mpsc::channel();
        let thread = thread::Builder::new().name(name).spawn(move || serve(connection, &inbox))?;
        Ok((Self(sender), thread))
    }

    fn send(&self, job: Job) -> Result<(), Unanswered> {
        self.0.send(Message::Do(job)).map_err(|_| Unanswered::Closed)
    }
}

fn serve(mut connection: SqliteConnection, inbox: &mpsc::Receiver<Message>) {
    while let Ok(Message::Do(job)) = inbox.recv() {
        job(&mut connection);
    }
}

/// A fixed number of connections, each on its thread, lent out one at a time.
pub(crate) struct Pool {
    workers: Vec<Worker>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    idle: Mutex<Vec<Worker>>,
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    patience: Duration,
    /// Whether the log of an embedded database is to be moved into its file at the next chance.
    log_is_in_the_way: AtomicBool,
}

impl Pool {
    /// Starts a thread for each connection. `patience` bounds the wait for a lease.
    pub(crate) fn start(
        name: &str,
        connections: Vec<SqliteConnection>,
        patience: Duration,
    ) -> io::Result<Arc<Self>> {
        let mut workers = Vec::with_capacity(connections.len());
        let mut threads = Vec::with_capacity(connections.len());
        for (number, connection) in connections.into_iter().enumerate() {
            let (worker, thread) = Worker::start(format!("{name}-{number}"), connection)?;
            workers.push(worker);
            threads.push(thread);
        }
        Ok(Arc::new(Self {
            idle: Mutex::new(workers.clone()),
            permits: Arc::new(Semaphore::new(workers.len())),
            threads: Mutex::new(threads),
            workers,
            waiting: AtomicUsize::new(0),
            patience,
            log_is_in_the_way: AtomicBool::new(false),
        }))
    }

    /// Waits for a connection that nobody uses, first come first served.
    pub(crate) async fn lease(self: &Arc<Self>) -> Result<Lease, Unanswered> {
        let _queued = Queued::among(&self.waiting);
        let permit = timeout(self.patience, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_| Unanswered::Occupied)?
            .map_err(|_| Unanswered::Closed)?;
        let worker = held(&self.idle).pop().ok_or(Unanswered::Closed)?;
        Ok(Lease(Arc::new(Leased { worker, pool: Arc::clone(self), _permit: permit })))
    }

    /// How the connections are used, under this name.
    pub(crate) fn in_use(&self, purpose: &'static str) -> PoolUse {
        let (most, idle) = (self.workers.len(), held(&self.idle).len());
        // Whoever takes a connection that is idle is among those who wait, for a moment.
        let waiting = self.waiting.load(Ordering::Relaxed);
        PoolUse { purpose, most, in_use: most.saturating_sub(idle), idle, waiting }
    }

    /// Lets the threads finish what they were asked before, and waits until they have closed their connections.
    /// Whoever asks later is told that the store is closed.
    pub(crate) fn shut_down(&self) {
        self.permits.close();
        for worker in &self.workers {
            // A thread that ended already needs no telling.
            let _ = worker.0.send(Message::Stop);
        }
        for thread in held(&self.threads).drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the database ended in a panic");
            }
        }
    }
}

/// Somebody who waits, until this is dropped.
struct Queued<'a>(&'a AtomicUsize);

impl<'a> Queued<'a> {
    fn among(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The sole use of one connection, until the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Lease(Arc<Leased>);

struct Leased {
    worker: Worker,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Leased {
    /// The worker returns before the permit, which is dropped after this: who gets a permit finds a worker.
    fn drop(&mut self) {
        held(&self.pool.idle).push(self.worker.clone());
    }
}

impl Lease {
    /// There was no room for what was to be written.
    pub(crate) fn note_want_of_room(&self) {
        self.0.pool.log_is_in_the_way.store(true, Ordering::Relaxed);
    }

    /// Whether that was noted. Said once.
    pub(crate) fn wanted_room(&self) -> bool {
        self.0.pool.log_is_in_the_way.swap(false, Ordering::Relaxed)
    }

    /// Has the job done after all that was asked before, and waits for its answer. The job is done even if the caller
    /// stops waiting; a panic in it ends neither the thread nor the connection.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut SqliteConnection) -> T + Send + 'static,
    ) -> Result<T, Unanswered> {
        let (reply, answer) = oneshot::channel();
        let lease = self.clone();
        self.0.worker.send(Box::new(move |connection| {
            // Unwind safe: a connection resets its statement when it unwinds, and the transaction that the panic left
            // half done is never committed (see `work.rs`).
            let outcome = catch_unwind(AssertUnwindSafe(|| job(connection)));
            drop(lease);
            // Nobody listens any more when the request was abandoned.
            let _ = reply.send(outcome);
        }))?;
        let outcome = answer.await.map_err(|_| Unanswered::Closed)?;
        outcome.map_err(|_| Unanswered::Panicked)
    }

    /// Has the job done after all that was asked before, without waiting for it.
    pub(crate) fn tell(&self, job: impl FnOnce(&mut SqliteConnection) + Send + 'static) {
        let lease = self.clone();
        // A closed store has closed its connections, and with them undone what was not committed.
        let _ = self.0.worker.send(Box::new(move |connection| {
            if catch_unwind(AssertUnwindSafe(|| job(connection))).is_err() {
                tracing::error!("a storage job panicked");
            }
            drop(lease);
        }));
    }
}

/// A panic elsewhere cannot leave these lists half changed, so a poisoned lock is as good as any.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel::prelude::*;
    use std::sync::mpsc::channel;

    fn pool(size: usize) -> Arc<Pool> {
        let connections = (0..size).map(|_| SqliteConnection::establish(":memory:").unwrap()).collect();
        Pool::start("test", connections, Duration::from_millis(50)).unwrap()
    }

    #[tokio::test]
    async fn a_panic_in_a_job_is_an_answer_and_the_thread_lives_on() {
        let pool = pool(1);
        let lease = pool.lease().await.unwrap();
        let failed = lease.ask(|_| -> () { panic!("a bug") }).await;
        assert_eq!(failed, Err(Unanswered::Panicked));
        assert_eq!(lease.ask(|_| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_wait_for_a_lease_is_bounded() {
        let pool = pool(1);
        let held = pool.lease().await.unwrap();
        assert_eq!(pool.lease().await.err(), Some(Unanswered::Occupied));
        drop(held);
        assert!(pool.lease().await.is_ok());
    }

    #[tokio::test]
    async fn a_connection_is_lent_again_only_after_an_abandoned_job_is_done() {
        let pool = pool(1);
        let lease = pool.lease().await.unwrap();
        let (release, gate) = channel::<()>();
        let started = lease.ask(move |_| gate.recv());
        assert!(timeout(Duration::from_millis(10), started).await.is_err());
        drop(lease);
        assert_eq!(pool.lease().await.err(), Some(Unanswered::Occupied));
        release.send(()).unwrap();
        assert!(pool.lease().await.is_ok());
    }

    #[tokio::test]
    async fn a_pool_that_was_shut_down_says_so() {
        let pool = pool(2);
        let lease = pool.lease().await.unwrap();
        pool.shut_down();
        assert_eq!(lease.ask(|_| ()).await, Err(Unanswered::Closed));
        assert_eq!(pool.lease().await.err(), Some(Unanswered::Closed));
    }
}
