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
    /// Deliveries that are remembered no longer.
    pub deliveries: u64,
}

/// How many deliveries are forgotten at once; what is left waits for the next sweep.
const DELIVERIES_AT_ONCE: u32 = 5_000;

/// Removes lapsed sessions, quiet sign-in counters, answers older than a day, live events older than their window, and old
/// deliveries to webhooks. Any node may do it at any time.
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
    let mut tx = app.store.begin().await?;
    let kept_from = now.before(app.policy.webhooks.kept);
    let deliveries = tx.deliveries().forget(kept_from, DELIVERIES_AT_ONCE).await?;
    tx.commit().await?;
    Ok(Swept { sessions, counters, answers, events, deliveries })
}
