//! Readings that come, or are asked for, one by one over many connections. What comes while others are at storage goes there
//! together, so that many share a commit or a statement; who comes alone waits for nobody.
//!
//! Groups are of even size: one is on its way when it has its share of all that are here. Whoever is answered comes again a
//! moment later, so the first one back would else make a group of its own, and the others wait for it.

use domain::app::App;
use domain::app::ingest::{self, Single, Taken};
use domain::app::readings::{self, Asked};
use domain::error::Error;
use domain::telemetry::Reading;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};

/// How many make a group at most.
const MOST: usize = 256;

/// How long a group waits for its share at most.
const MOMENT: Duration = Duration::from_millis(1);

/// How many may wait; more are sent away to come again.
const LONGEST_QUEUE: usize = 8_192;

/// How long storage takes to fail when it does not answer at all.
const SILENCE: Duration = Duration::from_secs(1);

/// What many can have done for them together, each for itself.
pub trait Gathered: Send + Sized + 'static {
    /// What becomes of one.
    type Outcome: Send + 'static;

    /// How many groups are at storage at the same time. More would be smaller, and cost the database more in all than they gain.
    const SIDE_BY_SIDE: usize;

    /// What those hear who are too many.
    const TOO_MANY: Error;

    /// What those hear who wait while storage does not answer.
    const OUT_OF_REACH: Error;

    /// What those hear of whom nobody can say what became of them.
    const BROKEN_OFF: Error;

    /// Does it for a group; the outcomes are in its order.
    fn together(
        app: &App,
        group: Vec<Self>,
    ) -> impl Future<Output = Vec<Result<Self::Outcome, Error>>> + Send;
}

impl Gathered for Single {
    type Outcome = Taken;

    /// While one waits for the disk, another lines up.
    const SIDE_BY_SIDE: usize = 2;

    const TOO_MANY: Error = Error::Busy("too many readings are waiting to be stored", None);
    const OUT_OF_REACH: Error = Error::Busy("readings cannot be stored now", None);
    const BROKEN_OFF: Error = Error::OutcomeUnknown;

    async fn together(app: &App, group: Vec<Self>) -> Vec<Result<Taken, Error>> {
        ingest::together(app, group).await
    }
}

impl Gathered for Asked {
    /// Nothing when it is not at hand.
    type Outcome = Option<Reading>;

    /// Nobody waits for the disk.
    const SIDE_BY_SIDE: usize = 1;

    const TOO_MANY: Error = Error::Busy("too many readings are being looked up", None);
    const OUT_OF_REACH: Error = Error::Busy("readings cannot be looked up now", None);
    const BROKEN_OFF: Error = Self::OUT_OF_REACH;

    async fn together(app: &App, group: Vec<Self>) -> Vec<Result<Option<Reading>, Error>> {
        readings::at_hand(app, &group).await
    }
}

/// Gathers those who come one by one into groups.
pub struct Gatherer<G: Gathered> {
    queue: Mutex<Queue<G>>,
    /// Rung when those who wait have become enough for a group.
    enough: Notify,
    /// Where groups are at work: at home with the connections, not with one of the workers that serve requests.
    home: Option<Handle>,
}

struct Queue<G: Gathered> {
    waiting: VecDeque<Waiting<G>>,
    /// How many are at storage.
    on_their_way: usize,
    at_work: usize,
}

/// What somebody wants, and who waits for what becomes of it.
struct Waiting<G: Gathered> {
    wish: G,
    answer: oneshot::Sender<Result<G::Outcome, Error>>,
}

impl<G: Gathered> Default for Queue<G> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), on_their_way: 0, at_work: 0 }
    }
}

impl<G: Gathered> Default for Gatherer<G> {
    fn default() -> Self {
        Self { queue: Mutex::default(), enough: Notify::new(), home: Handle::try_current().ok() }
    }
}

impl<G: Gathered> Gatherer<G> {
    /// Does this together with what others want at the same time.
    pub async fn join(self: Arc<Self>, app: Arc<App>, wish: G) -> Result<G::Outcome, Error> {
        let (answer, outcome) = oneshot::channel();
        let (begins, is_enough) = {
            let mut queue = self.queue();
            (queue.line_up(Waiting { wish, answer })?, queue.is_enough())
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
        outcome.await.unwrap_or(Err(G::BROKEN_OFF))
    }

    fn queue(&self) -> MutexGuard<'_, Queue<G>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<G: Gathered> Queue<G> {
    /// Lines up. Says whether somebody has to begin to work, who is counted already.
    fn line_up(&mut self, waiting: Waiting<G>) -> Result<bool, Error> {
        if self.waiting.len() >= LONGEST_QUEUE {
            return Err(G::TOO_MANY);
        }
        self.waiting.push_back(waiting);
        let lacks = self.at_work < G::SIDE_BY_SIDE;
        self.at_work += usize::from(lacks);
        Ok(lacks)
    }

    /// Tells all who wait to come again.
    fn send_away(&mut self) {
        for waiting in self.waiting.drain(..) {
            let _ = waiting.answer.send(Err(G::OUT_OF_REACH));
        }
    }

    /// Whether those who wait are their share of all that are here.
    fn is_enough(&self) -> bool {
        let here = self.waiting.len() + self.on_their_way;
        !self.waiting.is_empty() && self.waiting.len() >= here.div_ceil(G::SIDE_BY_SIDE).min(MOST)
    }

    /// Who waited longest. When nobody waits the shift is over: found out and noted at once, or somebody could line up in
    /// between and wait for a shift that has ended.
    fn next_group(&mut self) -> Option<Vec<Waiting<G>>> {
        if self.waiting.is_empty() {
            self.at_work -= 1;
            return None;
        }
        let count = self.waiting.len().min(MOST);
        self.on_their_way += count;
        Some(self.waiting.drain(..count).collect())
    }
}

/// Whether storage did not answer.
fn is_out_of_reach<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Busy(..) | Error::OutcomeUnknown))
}

/// Somebody at work, until nobody waits any more.
struct Shift<G: Gathered> {
    gatherer: Arc<Gatherer<G>>,
    /// How many it has taken to storage.
    at_hand: usize,
    is_over: bool,
}

impl<G: Gathered> Shift<G> {
    async fn work(mut self, app: Arc<App>) {
        loop {
            self.company().await;
            let Some(group) = self.gatherer.queue().next_group() else { break };
            self.at_hand = group.len();
            let (wishes, answers): (Vec<_>, Vec<_>) =
                group.into_iter().map(|waiting| (waiting.wish, waiting.answer)).unzip();
            let began = Instant::now();
            let outcomes = G::together(&app, wishes).await;
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
        self.gatherer.queue().on_their_way -= std::mem::take(&mut self.at_hand);
    }
}

impl<G: Gathered> Drop for Shift<G> {
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

    fn waiting() -> (Waiting<Single>, oneshot::Receiver<Result<Taken, Error>>) {
        let values = Values::of(vec![(MetricName::restore("t"), 1.0)]).unwrap();
        let equipment = EquipmentRef::Id(EquipmentId::new(1).unwrap());
        let wish = Single {
            by: Actor::system("test").grant().unwrap(),
            sent: Sent { equipment, at: None, values, tags: Tags::new() },
            on_conflict: OnConflict::Refuse,
            once: Once::each_time(),
        };
        let (answer, outcome) = oneshot::channel();
        (Waiting { wish, answer }, outcome)
    }

    #[test]
    fn the_first_ones_begin_at_once_and_the_others_wait_for_them() {
        let mut queue = Queue::<Single>::default();
        let begin: Vec<bool> =
            (0..Single::SIDE_BY_SIDE + 3).map(|_| queue.line_up(waiting().0).unwrap()).collect();
        assert_eq!(begin.iter().filter(|begins| **begins).count(), Single::SIDE_BY_SIDE);
        assert!(begin.is_sorted_by(|one, next| one >= next));
        assert_eq!(queue.next_group().map(|group| group.len()), Some(begin.len()));
        assert!(queue.next_group().is_none());
        assert!(queue.line_up(waiting().0).unwrap(), "one of them is over, so somebody has to begin");
    }

    #[test]
    fn a_group_goes_when_it_has_its_share_of_all_that_are_here() {
        let mut queue = Queue::<Single>::default();
        assert!(!queue.is_enough(), "nobody is here");
        queue.line_up(waiting().0).unwrap();
        assert!(queue.is_enough(), "who is alone waits for nobody");
        let group = queue.next_group().unwrap();
        queue.on_their_way = (Single::SIDE_BY_SIDE - 1) * 4;
        for _ in 0..3 {
            queue.line_up(waiting().0).unwrap();
            assert!(!queue.is_enough(), "the others are four each");
        }
        queue.line_up(waiting().0).unwrap();
        assert!(queue.is_enough());
        queue.on_their_way = 100_000;
        assert!(!queue.is_enough());
        for _ in 0..MOST {
            queue.line_up(waiting().0).unwrap();
        }
        assert!(queue.is_enough(), "a full group waits for nobody");
        drop(group);
    }

    #[test]
    fn a_group_has_its_bound_and_so_has_the_queue() {
        let mut queue = Queue::<Single>::default();
        for _ in 0..LONGEST_QUEUE {
            queue.line_up(waiting().0).unwrap();
        }
        assert!(matches!(queue.line_up(waiting().0), Err(Error::Busy(..))));
        assert_eq!(queue.next_group().map(|group| group.len()), Some(MOST));
        assert!(queue.line_up(waiting().0).is_ok());
    }

    #[test]
    fn when_storage_does_not_answer_those_who_wait_are_told_so_and_not_stored() {
        let mut queue = Queue::<Single>::default();
        let (waiting, mut outcome) = waiting();
        queue.line_up(waiting).unwrap();
        queue.send_away();
        assert!(matches!(outcome.try_recv(), Ok(Err(Error::Busy(..)))));
        assert!(queue.next_group().is_none());
    }

    #[test]
    fn a_shift_that_is_broken_off_is_not_waited_for() {
        let gatherer = Arc::new(Gatherer::default());
        let mut outcome = {
            let (waiting, outcome) = waiting();
            assert!(gatherer.queue().line_up(waiting).unwrap());
            outcome
        };
        drop(Shift { gatherer: Arc::clone(&gatherer), at_hand: 0, is_over: false });
        assert_eq!(gatherer.queue().at_work, 0);
        assert!(matches!(outcome.try_recv(), Ok(Err(Error::Busy(..)))));
    }
}
