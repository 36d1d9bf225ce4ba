//! The recent events, in memory.

use crate::stream::event::Frame;
use domain::live::Mark;
use std::collections::VecDeque;
use std::sync::Arc;

/// How many events are kept.
const MOST_EVENTS: usize = 10_000;

/// How many bytes of text are kept.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// The events that became visible after a certain mark, without a gap.
#[derive(Debug, Default)]
pub struct Ring {
    since: Option<Mark>,
    frames: VecDeque<Arc<Frame>>,
    bytes: usize,
}

impl Ring {
    /// A ring without events, of which the first one will be the one after this mark.
    pub fn beginning_after(mark: Mark) -> Self {
        Self { since: Some(mark), ..Self::default() }
    }

    /// The mark after which all events are here; nothing as long as nothing is.
    pub fn since(&self) -> Option<Mark> {
        self.since
    }

    /// The mark up to which events are here.
    pub fn until(&self) -> Option<Mark> {
        self.frames.back().map(|frame| frame.event.mark).or(self.since)
    }

    /// Adds the next event. The oldest make room for it.
    pub fn push(&mut self, frame: Frame) {
        self.bytes += frame.text.len();
        self.frames.push_back(Arc::new(frame));
        while self.frames.len() > MOST_EVENTS || self.bytes > MOST_BYTES {
            let Some(oldest) = self.frames.pop_front() else { break };
            self.bytes -= oldest.text.len();
            self.since = Some(oldest.event.mark);
        }
    }

    /// Up to so many events after this mark; nothing when the ring does not reach that far back.
    pub fn after(&self, mark: Mark, most: usize) -> Option<Vec<Arc<Frame>>> {
        self.since.filter(|since| mark >= *since)?;
        let seen = self.frames.partition_point(|frame| frame.event.mark <= mark);
        Some(self.frames.range(seen..).take(most).map(Arc::clone).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::EquipmentId;
    use domain::live::{LiveEvent, NewLiveEvent};
    use domain::telemetry::Values;
    use domain::time::Timestamp;

    fn mark(number: i64) -> Mark {
        Mark { transaction: number, number }
    }

    fn frame(number: i64) -> Frame {
        let equipment = EquipmentId::new(1).unwrap();
        let values = Values::of(Vec::new()).unwrap();
        let what = NewLiveEvent::Values { equipment, at: Timestamp::MIN, values };
        Frame::new(LiveEvent { mark: mark(number), what, alert: None })
    }

    fn numbers(frames: Option<Vec<Arc<Frame>>>) -> Option<Vec<i64>> {
        frames.map(|frames| frames.iter().map(|frame| frame.event.mark.number).collect())
    }

    #[test]
    fn it_answers_what_follows_a_mark_and_nothing_where_it_does_not_reach() {
        let mut ring = Ring::beginning_after(mark(3));
        [4, 6, 7].into_iter().for_each(|number| ring.push(frame(number)));
        assert_eq!(numbers(ring.after(mark(2), 9)), None);
        assert_eq!(numbers(ring.after(mark(3), 9)), Some(vec![4, 6, 7]));
        assert_eq!(numbers(ring.after(mark(5), 1)), Some(vec![6]));
        assert_eq!(numbers(ring.after(mark(9), 9)), Some(vec![]));
        assert_eq!(numbers(Ring::default().after(mark(9), 9)), None);
        assert_eq!((ring.since(), ring.until()), (Some(mark(3)), Some(mark(7))));
    }

    #[test]
    fn the_oldest_events_make_room() {
        let mut ring = Ring::beginning_after(mark(0));
        let count = MOST_EVENTS as i64 + 2;
        (1..=count).for_each(|number| ring.push(frame(number)));
        assert_eq!(ring.since(), Some(mark(2)));
        assert_eq!(numbers(ring.after(mark(1), 1)), None);
        assert_eq!(numbers(ring.after(mark(2), 1)), Some(vec![3]));
        assert_eq!(ring.bytes, ring.frames.iter().map(|frame| frame.text.len()).sum::<usize>());
    }
}
