//! Readings that come one by one over many connections. What comes while others are being stored is stored together, so that
//! many share a commit; who comes alone waits for nobody.
//!
//! Groups are of even size: one is on its way when it has its share of all that are here. Whoever is answered comes again a
//! moment later, so the first one back would else make a group of its own, and the others wait for it.

use domain::app::App;
use domain::app::ingest::{Single, Taken, together};
use domain::error::Error;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};

/// How many groups are stored at the same time. While one waits for the disk, another lines up. More would be smaller, and
/// cost the database more in all than they gain.
const SIDE_BY_SIDE: usize = 2;

/// How many readings make a group at most.
const MOST: usize = 256;

/// How long a group waits for its share at most.
const MOMENT: Duration = Duration::from_millis(1);

/// How many may wait; more are sent away to come again.
const LONGEST_QUEUE: usize = 8_192;

/// How long storage takes to fail when it does not answer at all.
const SILENCE: Duration = Duration::from_secs(1);

/// Gathers readings into groups.
pub struct Gatherer {
    queue: Mutex<Queue>,
    /// Rung when those who wait have become enough for a group.
    enough: Notify,
    /// Where groups are stored: at home with the connections, not with one of the workers that serve requests.
    home: Option<Handle>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// How many are being stored.
    stored_now: usize,
    at_work: usize,
}

/// A reading, and who waits for what becomes of it.
struct Waiting {
    single: Single,
    answer: oneshot::Sender<Result<Taken, Error>>,
}

impl Default for Gatherer {
    fn default() -> Self {
        Self { queue: Mutex::default(), enough: Notify::new(), home: Handle::try_current().ok() }
    }
}

impl Gatherer {
    /// Takes a reading together with those that come at the same time.
    pub async fn take(self: Arc<Self>, app: Arc<App>, single: Single) -> Result<Taken, Error> {
        let (answer, outcome) = oneshot::channel();
        let (begins, is_enough) = {
            let mut queue = self.queue();
            (queue.join(Waiting { single, answer })?, queue.is_enough())
        };
        if is_enough {
            self.enough.notify_one();
        }
        if begins {
            let home = self.home.clone();
            let work = Shift { gatherer: self, at_hand: 0, is_over: false }.work(app);
            match home {
                Some(home) => drop(home.spawn(work)),
                None => drop(tokio::spawn(work)),
            }
        }
        // Who stored it did not get to say what became of it.
        outcome.await.unwrap_or(Err(Error::OutcomeUnknown))
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// Lines up. Says whether somebody has to begin to work, who is counted already.
    fn join(&mut self, waiting: Waiting) -> Result<bool, Error> {
        if self.waiting.len() >= LONGEST_QUEUE {
            return Err(Error::Busy("too many readings are waiting to be stored", None));
        }
        self.waiting.push_back(waiting);
        let lacks = self.at_work < SIDE_BY_SIDE;
        self.at_work += usize::from(lacks);
        Ok(lacks)
    }

    /// Tells all who wait to come again.
    fn send_away(&mut self) {
        for waiting in self.waiting.drain(..) {
            let _ = waiting.answer.send(Err(Error::Busy("readings cannot be stored now", None)));
        }
    }

    /// Whether those who wait are their share of all that are here.
    fn is_enough(&self) -> bool {
        let here = self.waiting.len() + self.stored_now;
        !self.waiting.is_empty() && self.waiting.len() >= here.div_ceil(SIDE_BY_SIDE).min(MOST)
    }

    /// Who waited longest. When nobody waits the shift is over: found out and noted at once, or somebody could line up in
    /// between and wait for a shift that has ended.
    fn next_group(&mut self) -> Option<Vec<Waiting>> {
        if self.waiting.is_empty() {
            self.at_work -= 1;
            return None;
        }
        let count = self.waiting.len().min(MOST);
        self.stored_now += count;
        Some(self.waiting.drain(..count).collect())
    }
}

/// Whether storage did not answer.
fn is_out_of_reach(outcome: &Result<Taken, Error>) -> bool {
    matches!(outcome, Err(Error::Busy(..) | Error::OutcomeUnknown))
}

/// Somebody at work, until nobody waits any more.
struct Shift {
    gatherer: Arc<Gatherer>,
    /// How many it is storing.
    at_hand: usize,
    is_over: bool,
}

impl Shift {
    async fn work(mut self, app: Arc<App>) {
        loop {
            self.company().await;
            let Some(group) = self.gatherer.queue().next_group() else { break };
            self.at_hand = group.len();
            let (singles, answers): (Vec<_>, Vec<_>) =
                group.into_iter().map(|waiting| (waiting.single, waiting.answer)).unzip();
            let began = Instant::now();
            let outcomes = together(&app, singles).await;
            if began.elapsed() >= SILENCE && outcomes.iter().all(is_out_of_reach) {
                // Who lined up meanwhile would wait as long as those did before hearing the same.
                self.gatherer.queue().send_away();
            }
            for (answer, outcome) in answers.into_iter().zip(outcomes) {
                // Whoever has left does not hear of it.
                let _ = answer.send(outcome);
            }
            self.hand_back();
        }
        self.is_over = true;
    }

    /// Waits a moment for a group to have its share.
    async fn company(&self) {
        let enough = async {
            while !self.gatherer.queue().is_enough() {
                self.gatherer.enough.notified().await;
            }
        };
        let _ = timeout(MOMENT, enough).await;
    }

    fn hand_back(&mut self) {
        self.gatherer.queue().stored_now -= std::mem::take(&mut self.at_hand);
    }
}

impl Drop for Shift {
    /// Broken off by a panic or the end of its runtime: who lines up next must find that somebody has to begin again, and who
    /// waits with nobody at work any more would wait for that.
    fn drop(&mut self) {
        self.hand_back();
        if !self.is_over {
            let mut queue = self.gatherer.queue();
            queue.at_work -= 1;
            if queue.at_work == 0 {
                queue.send_away();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::access::Actor;
    use domain::app::ingest::Sent;
    use domain::equipment::EquipmentRef;
    use domain::id::EquipmentId;
    use domain::idempotency::Once;
    use domain::telemetry::{MetricName, OnConflict, Tags, Values};

    fn waiting() -> (Waiting, oneshot::Receiver<Result<Taken, Error>>) {
        let values = Values::of(vec![(MetricName::restore("t"), 1.0)]).unwrap();
        let equipment = EquipmentRef::Id(EquipmentId::new(1).unwrap());
        let single = Single {
            by: Actor::system("test").grant().unwrap(),
            sent: Sent { equipment, at: None, values, tags: Tags::new() },
            on_conflict: OnConflict::Refuse,
            once: Once::each_time(),
        };
        let (answer, outcome) = oneshot::channel();
        (Waiting { single, answer }, outcome)
    }

    #[test]
    fn the_first_ones_begin_at_once_and_the_others_wait_for_them() {
        let mut queue = Queue::default();
        let begin: Vec<bool> = (0..SIDE_BY_SIDE + 3).map(|_| queue.join(waiting().0).unwrap()).collect();
        assert_eq!(begin.iter().filter(|begins| **begins).count(), SIDE_BY_SIDE);
        assert!(begin.is_sorted_by(|one, next| one >= next));
        assert_eq!(queue.next_group().map(|group| group.len()), Some(begin.len()));
        assert!(queue.next_group().is_none());
        assert!(queue.join(waiting().0).unwrap(), "one of them is over, so somebody has to begin");
    }

    #[test]
    fn a_group_goes_when_it_has_its_share_of_all_that_are_here() {
        let mut queue = Queue::default();
        assert!(!queue.is_enough(), "nobody is here");
        queue.join(waiting().0).unwrap();
        assert!(queue.is_enough(), "who is alone waits for nobody");
        let group = queue.next_group().unwrap();
        queue.stored_now = (SIDE_BY_SIDE - 1) * 4;
        for _ in 0..3 {
            queue.join(waiting().0).unwrap();
            assert!(!queue.is_enough(), "the others are four each");
        }
        queue.join(waiting().0).unwrap();
        assert!(queue.is_enough());
        queue.stored_now = 100_000;
        assert!(!queue.is_enough());
        for _ in 0..MOST {
            queue.join(waiting().0).unwrap();
        }
        assert!(queue.is_enough(), "a full group waits for nobody");
        drop(group);
    }

    #[test]
    fn a_group_has_its_bound_and_so_has_the_queue() {
        let mut queue = Queue::default();
        for _ in 0..LONGEST_QUEUE {
            queue.join(waiting().0).unwrap();
        }
        assert!(matches!(queue.join(waiting().0), Err(Error::Busy(..))));
        assert_eq!(queue.next_group().map(|group| group.len()), Some(MOST));
        assert!(queue.join(waiting().0).is_ok());
    }

    #[test]
    fn when_storage_does_not_answer_those_who_wait_are_told_so_and_not_stored() {
        let mut queue = Queue::default();
        let (waiting, mut outcome) = waiting();
        queue.join(waiting).unwrap();
        queue.send_away();
        assert!(matches!(outcome.try_recv(), Ok(Err(Error::Busy(..)))));
        assert!(queue.next_group().is_none());
    }

    #[test]
    fn a_shift_that_is_broken_off_is_not_waited_for() {
        let gatherer = Arc::new(Gatherer::default());
        let mut outcome = {
            let (waiting, outcome) = waiting();
            assert!(gatherer.queue().join(waiting).unwrap());
            outcome
        };
        drop(Shift { gatherer: Arc::clone(&gatherer), at_hand: 0, is_over: false });
        assert_eq!(gatherer.queue().at_work, 0);
        assert!(matches!(outcome.try_recv(), Ok(Err(Error::Busy(..)))));
    }
}
