//! Time that moves only when a test says so.

use crate::ports::{Bell, Clock};
use crate::time::Timestamp;
use async_trait::async_trait;
use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

/// A clock that stands still until it is set or advanced; waiting advances it.
#[derive(Debug)]
pub struct FrozenClock(Mutex<Timestamp>);

impl FrozenClock {
    /// A clock that shows this instant.
    pub fn at(now: Timestamp) -> Self {
        Self(Mutex::new(now))
    }

    /// Shows this instant from here on, be it later or earlier.
    pub fn set(&self, now: Timestamp) {
        *self.face() = now;
    }

    /// Moves on by this span.
    pub fn advance(&self, span: Duration) {
        let mut face = self.face();
        *face = face.after(span);
    }

    fn face(&self) -> MutexGuard<'_, Timestamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for FrozenClock {
    /// A Monday morning: 2026-05-04T07:30:00Z.
    fn default() -> Self {
        const MONDAY_MORNING: i64 = 1_777_879_800_000_000;
        Self::at(Timestamp::from_micros(MONDAY_MORNING).unwrap_or(Timestamp::MIN))
    }
}

#[async_trait]
impl Clock for FrozenClock {
    fn now(&self) -> Timestamp {
        *self.face()
    }

    /// Advances the clock by `span` and lets other tasks run once, so that what is waited for can come about.
    async fn wait(&self, span: Duration) {
        self.advance(span);
        let mut yielded = false;
        poll_fn(|context| {
            if yielded {
                return Poll::Ready(());
            }
            yielded = true;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

/// A bell that nobody hears.
#[derive(Clone, Copy, Debug, Default)]
pub struct SilentBell;

impl Bell for SilentBell {
    fn ring(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_moves_by_advancing_setting_and_waiting_alone() {
        let clock = FrozenClock::default();
        let start = clock.now();
        assert_eq!(start.to_string(), "2026-05-04T07:30:00.000000Z");
        clock.advance(Duration::from_secs(60));
        assert_eq!(clock.now(), start.after(Duration::from_secs(60)));
        clock.set(start);
        pollster::block_on(clock.wait(Duration::from_secs(3)));
        assert_eq!(clock.now(), start.after(Duration::from_secs(3)));
    }
}
