//! Who may hash now: as many as are allowed at once, and a short queue behind them.

use domain::ports::HashingError;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many may wait. A longer queue would only hold people who give up before their turn.
const QUEUE: usize = 64;

/// How long anybody waits.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Turns {
    running: Arc<Semaphore>,
    queue: Semaphore,
}

/// The right to run one hash, until it is dropped.
pub(super) type Turn = OwnedSemaphorePermit;

impl Turns {
    pub(super) fn new(at_once: NonZeroUsize) -> Self {
        let at_once = at_once.get().min(Semaphore::MAX_PERMITS);
        Self { running: Arc::new(Semaphore::new(at_once)), queue: Semaphore::new(QUEUE) }
    }

    /// Waits for a turn, first come, first served.
    pub(super) async fn wait(&self) -> Result<Turn, HashingError> {
        if let Ok(turn) = Arc::clone(&self.running).try_acquire_owned() {
            return Ok(turn);
        }
        let _place = self.queue.try_acquire().map_err(|_| HashingError::Busy)?;
        let turn = tokio::time::timeout(PATIENCE, Arc::clone(&self.running).acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or(HashingError::Busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn busy(turn: Result<Turn, HashingError>) -> bool {
        matches!(turn, Err(HashingError::Busy))
    }

    #[tokio::test]
    async fn sixty_four_wait_in_order_and_the_next_is_turned_away_at_once() {
        let turns = Arc::new(Turns::new(NonZeroUsize::MIN));
        let running = turns.wait().await.unwrap();
        let waiting: Vec<_> = (0..64)
            .map(|_| {
                let turns = Arc::clone(&turns);
                tokio::spawn(async move { turns.wait().await })
            })
            .collect();
        while turns.queue.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(busy(turns.wait().now_or_never().unwrap()));

        drop(running);
        for waiter in waiting {
            assert!(waiter.await.unwrap().is_ok(), "each turn that ends is the next one's");
        }
        assert_eq!(turns.queue.available_permits(), 64);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_two_seconds() {
        let turns = Turns::new(NonZeroUsize::MIN);
        let _running = turns.wait().await.unwrap();
        let start = tokio::time::Instant::now();
        assert!(busy(turns.wait().await));
        assert!(start.elapsed() < Duration::from_millis(2100), "{:?}", start.elapsed());
        assert_eq!(turns.queue.available_permits(), 64, "who gave up left the queue");
    }

    #[tokio::test]
    async fn a_waiter_that_goes_away_leaves_its_place() {
        let turns = Turns::new(NonZeroUsize::MIN);
        let _running = turns.wait().await.unwrap();
        assert!(turns.wait().now_or_never().is_none());
        assert_eq!(turns.queue.available_permits(), 64);
    }
}
