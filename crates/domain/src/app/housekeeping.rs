//! Forgetting what has lapsed.

use super::App;
use crate::error::Error;
use crate::idempotency::REMEMBERED;
use crate::live::WINDOW;

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
}

/// Removes lapsed sessions, quiet sign-in counters, answers older than a day and live events older than their window. Any node may do it at any time.
pub async fn sweep(app: &App) -> Result<Swept, Error> {
    let now = app.clock.now();
    let window = app.policy.sign_in_limits.unwrap_or_default().window;
    // One unit of work each, so that a backlog of one kind does not keep the others.
    let mut tx = app.store.begin().await?;
    let sessions = tx.sessions().forget_lapsed(now).await?;
    tx.commit().await?;
    let mut tx = app.store.begin().await?;
    let counters = tx.sign_ins().forget_quiet(now.before(window)).await?;
    tx.commit().await?;
    let mut tx = app.store.begin().await?;
    let answers = tx.idempotency().forget(now.before(REMEMBERED)).await?;
    tx.commit().await?;
    let mut tx = app.store.begin().await?;
    let events = tx.live().forget(now.before(WINDOW)).await?;
    tx.commit().await?;
    Ok(Swept { sessions, counters, answers, events })
}
