//! Time as the machine tells it. The only place in the product that reads the wall clock.

use async_trait::async_trait;
use domain::ports::Clock;
use domain::time::Timestamp;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the port that everybody else has to ask")]
    fn now(&self) -> Timestamp {
        instant(SystemTime::now())
    }

    async fn wait(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

/// The instant of a reading. A machine whose clock is outside the calendar, as after a dead battery, is shown the
/// nearest end of it rather than stopped.
fn instant(reading: SystemTime) -> Timestamp {
    let since_epoch = reading.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).ok().and_then(Timestamp::from_micros).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_keeps_its_microseconds() {
        let reading = UNIX_EPOCH + Duration::from_micros(1_777_879_800_123_456);
        assert_eq!(instant(reading).to_string(), "2026-05-04T07:30:00.123456Z");
    }

    #[test]
    fn a_clock_before_1970_reads_as_1970() {
        let reading = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(instant(reading).to_string(), "1970-01-01T00:00:00.000000Z");
    }

    #[tokio::test]
    async fn waiting_lets_the_clock_move_on() {
        let before = SystemClock.now();
        SystemClock.wait(Duration::from_millis(5)).await;
        assert!(SystemClock.now().since(before) >= Duration::from_millis(4));
    }
}
