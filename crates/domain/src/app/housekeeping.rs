//! Forgetting what has lapsed.

use super::App;
use crate::error::Error;
use crate::idempotency::REMEMBERED;
use crate::live::WINDOW;
use crate::ports::{StoreError, UnitOfWork};
use crate::time::Timestamp;
use std::time::Duration;

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Sessions that had lapsed.
    pub sessions: u64,
    /// Sign-in counters that had been quiet.
    pub counters: u64,
    /// Answers that need not be repeated any more.
    pub answers: u64,
    /// Live events that nobody can come back to any more.
    pub events: u64,
    /// Deliveries that are remembered no longer.
    pub deliveries: u64,
}

/// How many of a kind one unit of work forgets: one that takes too long would be undone, and tried again for ever.
const AT_ONCE: u32 = 5_000;

/// For how long a sweep goes on with a kind of which there is a backlog. What is left waits for the next one.
const AT_A_STRETCH: Duration = Duration::from_secs(10);

/// Removes lapsed sessions, quiet sign-in counters, answers older than a day, live events older than their window, and old
/// deliveries to webhooks: each kind whatever becomes of the others. Any node may do it at any time.
pub async fn sweep(app: &App) -> Result<Swept, Error> {
    let mut steps = Steps::default();
    let swept = Swept {
        sessions: steps.take(forget(app, Kind::Sessions).await),
        counters: steps.take(forget(app, Kind::Counters).await),
        answers: steps.take(forget(app, Kind::Answers).await),
        events: steps.take(forget(app, Kind::Events).await),
        deliveries: steps.take(forget(app, Kind::Deliveries).await),
    };
    steps.end(swept)
}

/// What lapses.
#[derive(Clone, Copy)]
enum Kind {
    Sessions,
    Counters,
    Answers,
    Events,
    Deliveries,
}

async fn forget(app: &App, kind: Kind) -> Result<u64, Error> {
    let began = app.clock.now();
    let mut forgotten = 0;
    loop {
        let mut tx = app.store.begin().await?;
        let some = forget_some_in(&mut *tx, app, kind, began).await?;
        tx.commit().await?;
        forgotten += some;
        if some < AT_ONCE.into() || app.clock.now().since(began) >= AT_A_STRETCH {
            return Ok(forgotten);
        }
    }
}

async fn forget_some_in(
    tx: &mut dyn UnitOfWork,
    app: &App,
    kind: Kind,
    now: Timestamp,
) -> Result<u64, StoreError> {
    match kind {
        Kind::Sessions => tx.sessions().forget_lapsed(now, AT_ONCE).await,
        Kind::Counters => {
            let window = app.policy.sign_in_limits.unwrap_or_default().window;
            tx.sign_ins().forget_quiet(now.before(window), AT_ONCE).await
        }
        Kind::Answers => tx.idempotency().forget(now.before(REMEMBERED), AT_ONCE).await,
        Kind::Events => tx.live().forget(now.before(WINDOW), AT_ONCE).await,
        Kind::Deliveries => tx.deliveries().forget(now.before(app.policy.webhooks.kept), AT_ONCE).await,
    }
}

/// Things to do of which none waits for another to succeed. When all have been tried the first failure is told, a fault rather
/// than that something was busy: that passes, and must not hide for days what does not.
#[derive(Default)]
pub(super) struct Steps {
    failed: Option<Error>,
}

impl Steps {
    /// What a step came to; nothing if it failed.
    pub(super) fn take<T: Default>(&mut self, step: Result<T, Error>) -> T {
        step.unwrap_or_else(|error| {
            let is_fault = |error: &Error| matches!(error, Error::Fault(_));
            if self.failed.as_ref().is_none_or(|first| is_fault(&error) && !is_fault(first)) {
                self.failed = Some(error);
            }
            T::default()
        })
    }

    /// What all of them came to, unless one failed.
    pub(super) fn end<T>(self, done: T) -> Result<T, Error> {
        self.failed.map_or(Ok(done), Err)
    }
}
