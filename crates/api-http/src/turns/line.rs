//! A line of requests of one class: so many are at work, so many wait, and nobody waits longer than makes sense.
//!
//! A burst may wait for as long as the line's patience. A line that everybody has waited long in for a while is no burst:
//! whoever joins it then waits for a moment only, so that those who do get their turn get it early, and the others can ask
//! elsewhere.

use super::Class;
use super::share::{Caller, Share, Shares};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// For how long everybody must have waited long, for a line to be a standing one.
const STANDING: Duration = Duration::from_secs(1);

/// How often the log is told that requests are turned away.
const SAID_EVERY: Duration = Duration::from_secs(1);

/// How long a line may get, and how fast it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measure {
    pub(super) at_once: usize,
    pub(super) waiting: usize,
    /// How long one waits as part of a burst.
    pub(super) patience: Duration,
    /// How long one waits in a standing line. Half of it is what counts as a long wait.
    pub(super) moment: Duration,
}

/// A line of requests of one class.
pub struct Line {
    class: Class,
    measure: Measure,
    places: Arc<Semaphore>,
    /// Where those queue who have time, before they join the others: a crowd of them never stands before who has none.
    antechamber: Semaphore,
    shares: Arc<Shares>,
    waiting: AtomicUsize,
    /// Of those who have time. They do not make the line too long for others.
    patient: AtomicUsize,
    began: Instant,
    /// Since when everybody has waited long, in microseconds from the beginning; nothing while somebody has not.
    slow_since: AtomicU64,
    turned_away: AtomicU64,
    said_at: AtomicU64,
}

/// A turn, for as long as it is held.
#[derive(Debug)]
pub struct Turn {
    _place: OwnedSemaphorePermit,
    _share: Option<Share>,
}

impl From<OwnedSemaphorePermit> for Turn {
    fn from(place: OwnedSemaphorePermit) -> Self {
        Self { _place: place, _share: None }
    }
}

impl Line {
    pub(super) fn new(class: Class, measure: Measure) -> Self {
        Self {
            class,
            measure,
            places: Arc::new(Semaphore::new(measure.at_once)),
            antechamber: Semaphore::new(measure.at_once),
            shares: Arc::default(),
            waiting: AtomicUsize::new(0),
            patient: AtomicUsize::new(0),
            began: Instant::now(),
            slow_since: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
            said_at: AtomicU64::new(0),
        }
    }

    /// How many may be at work.
    pub fn places(&self) -> usize {
        self.measure.at_once
    }

    /// How many are at work.
    pub fn at_work(&self) -> usize {
        self.measure.at_once.saturating_sub(self.places.available_permits())
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed) + self.patient.load(Ordering::Relaxed)
    }

    /// How many were turned away.
    pub fn turned_away(&self) -> u64 {
        self.turned_away.load(Ordering::Relaxed)
    }

    /// A turn, at once or soon; else nothing.
    pub(super) async fn take(&self) -> Option<Turn> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            self.note_a_wait(Duration::ZERO);
            return Some(place.into());
        }
        let turn = match self.join() {
            Some(_waiting) => self.next_place_soon().await,
            None => None,
        };
        if turn.is_none() {
            self.turn_away();
        }
        turn
    }

    async fn next_place_soon(&self) -> Option<Turn> {
        let joined = Instant::now();
        let turn = timeout(self.patience(), self.next_place()).await;
        self.note_a_wait(joined.elapsed());
        turn.ok().flatten()
    }

    /// A turn, however long it takes. Of those who have that much time no more stand in the line itself than places are in it.
    /// Never closed, so there is always one to be had; should it be, work goes on without.
    pub(super) async fn wait(&self) -> Option<Turn> {
        self.patient.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.patient);
        let _admitted = self.antechamber.acquire().await;
        self.next_place().await
    }

    async fn next_place(&self) -> Option<Turn> {
        Arc::clone(&self.places).acquire_owned().await.ok().map(Turn::from)
    }

    /// Holds a turn against a caller. Whoever has their share of this line already loses it.
    pub(super) fn charge(&self, turn: Turn, caller: Caller) -> Option<Turn> {
        let share = self.shares.take(caller, self.measure.at_once);
        if share.is_none() {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
        }
        share.map(|share| Turn { _share: Some(share), ..turn })
    }

    /// A place at the end, if the line is not too long.
    fn join(&self) -> Option<Waiting<'_>> {
        let waiting = Waiting(&self.waiting);
        (self.waiting.fetch_add(1, Ordering::Relaxed) < self.measure.waiting).then_some(waiting)
    }

    /// Whoever gives up has waited longest of all.
    fn note_a_wait(&self, waited: Duration) {
        let since = self.slow_since.load(Ordering::Relaxed);
        if waited < self.measure.moment / 2 {
            // Looked at first, because it hardly ever is anything else.
            if since != 0 {
                self.slow_since.store(0, Ordering::Relaxed);
            }
        } else if since == 0 {
            self.slow_since.store(self.micros(), Ordering::Relaxed);
        }
    }

    /// How long whoever joins now may wait.
    fn patience(&self) -> Duration {
        let since = self.slow_since.load(Ordering::Relaxed);
        let stands = since != 0 && u128::from(self.micros().saturating_sub(since)) >= STANDING.as_micros();
        if stands { self.measure.moment } else { self.measure.patience }
    }

    /// Since the beginning; never nothing.
    fn micros(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
    }

    /// Counts it, and tells the log now and then: a line for each would be one more burden when there are too many.
    fn turn_away(&self) {
        let count = self.turned_away.fetch_add(1, Ordering::Relaxed) + 1;
        let (now, said_at) = (self.micros(), self.said_at.load(Ordering::Relaxed));
        let is_due = said_at == 0 || u128::from(now.saturating_sub(said_at)) >= SAID_EVERY.as_micros();
        let (set, fail) = (Ordering::Relaxed, Ordering::Relaxed);
        if is_due && self.said_at.compare_exchange(said_at, now, set, fail).is_ok() {
            let class = self.class.name();
            tracing::warn!(
                class,
                since_start = count,
                "more comes than can be done: requests are turned away"
            );
        }
    }
}

/// Leaves the line when it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::time::advance;

    const PATIENCE: Duration = Duration::from_secs(2);
    const MOMENT: Duration = Duration::from_millis(100);

    /// What a wait may take longer than asked for.
    const TICK: Duration = Duration::from_millis(1);

    #[track_caller]
    fn assert_waited(since: Instant, expected: Duration) {
        let waited = since.elapsed();
        assert!((expected..=expected + 2 * TICK).contains(&waited), "{waited:?}");
    }

    fn line(at_once: usize, waiting: usize) -> Line {
        tokio::time::pause();
        Line::new(Class::Read, Measure { at_once, waiting, patience: PATIENCE, moment: MOMENT })
    }

    #[tokio::test]
    async fn so_many_are_at_work_and_the_next_one_when_one_is_done() {
        let line = line(2, 10);
        let (one, _two) = (line.take().await.unwrap(), line.take().await.unwrap());
        let mut third = Box::pin(line.take());
        assert!(third.as_mut().now_or_never().is_none());
        assert_eq!((line.at_work(), line.waiting()), (2, 1));
        drop(one);
        assert!(third.now_or_never().unwrap().is_some());
        assert_eq!((line.waiting(), line.turned_away()), (0, 0));
    }

    #[tokio::test]
    async fn whoever_came_first_is_next() {
        let line = line(1, 10);
        let turn = line.take().await;
        let (mut early, mut late) = (Box::pin(line.take()), Box::pin(line.take()));
        assert!(early.as_mut().now_or_never().is_none() && late.as_mut().now_or_never().is_none());
        drop(turn);
        assert!(late.as_mut().now_or_never().is_none());
        assert!(early.now_or_never().unwrap().is_some());
    }

    #[tokio::test]
    async fn nobody_joins_a_line_that_is_too_long() {
        let line = line(1, 2);
        let _turn = line.take().await;
        let mut waiting = [Box::pin(line.take()), Box::pin(line.take())];
        assert!(waiting.iter_mut().all(|one| one.as_mut().now_or_never().is_none()));
        assert!(line.take().now_or_never().unwrap().is_none(), "told at once");
        assert_eq!((line.waiting(), line.turned_away()), (2, 1));
    }

    #[tokio::test]
    async fn a_burst_waits_as_long_as_the_lines_patience_and_no_longer() {
        let line = line(1, 10);
        let _turn = line.take().await;
        let began = Instant::now();
        assert!(join_all([line.take(), line.take()]).await.iter().all(Option::is_none));
        assert_waited(began, PATIENCE);
        assert_eq!((line.waiting(), line.turned_away()), (0, 2));
    }

    /// Lets one wait for so long that it counts, and answers the turn that they got.
    async fn after_a_long_wait(line: &Line, turn: Turn) -> Turn {
        let mut waiting = Box::pin(line.take());
        assert!(waiting.as_mut().now_or_never().is_none());
        advance(MOMENT).await;
        drop(turn);
        waiting.await.unwrap()
    }

    #[tokio::test]
    async fn in_a_standing_line_one_waits_for_a_moment_only() {
        let line = line(1, 10);
        let turn = line.take().await.unwrap();
        let turn = after_a_long_wait(&line, turn).await;
        let mut of_the_burst = Box::pin(line.take());
        assert!(of_the_burst.as_mut().now_or_never().is_none());
        advance(STANDING + TICK).await;
        let began = Instant::now();
        assert!(line.take().await.is_none());
        assert_waited(began, MOMENT);
        drop(turn);
        assert!(of_the_burst.await.is_some(), "who came with the burst may still wait");
    }

    #[tokio::test]
    async fn a_line_that_flowed_in_between_does_not_stand() {
        let line = line(1, 10);
        let turn = line.take().await.unwrap();
        drop(after_a_long_wait(&line, turn).await);
        let _turn = line.take().await.unwrap();
        advance(STANDING + TICK).await;
        let began = Instant::now();
        assert!(line.take().await.is_none());
        assert_waited(began, PATIENCE);
    }

    #[tokio::test]
    async fn a_line_that_moves_on_quickly_does_not_stand_however_long_there_is_one() {
        let line = line(1, 10);
        let mut turn = line.take().await.unwrap();
        let began = Instant::now();
        while began.elapsed() < 2 * STANDING {
            let mut next = Box::pin(line.take());
            assert!(next.as_mut().now_or_never().is_none());
            advance(MOMENT / 4).await;
            drop(turn);
            turn = next.await.unwrap();
        }
        let began = Instant::now();
        assert!(line.take().await.is_none());
        assert_waited(began, PATIENCE);
    }

    #[tokio::test]
    async fn whoever_gives_up_leaves_the_line() {
        let line = line(1, 1);
        let turn = line.take().await;
        let mut impatient = Box::pin(line.take());
        assert!(impatient.as_mut().now_or_never().is_none());
        drop(impatient);
        assert_eq!(line.waiting(), 0);
        let mut patient = Box::pin(line.take());
        assert!(patient.as_mut().now_or_never().is_none());
        drop(turn);
        assert!(patient.await.is_some());
    }

    /// Those of a crowd who have got their turn by now.
    fn served<F: Future<Output = Option<Turn>> + Unpin>(crowd: &mut Vec<F>) -> Vec<Turn> {
        let mut served = Vec::new();
        crowd.retain_mut(|one| match one.now_or_never() {
            Some(turn) => {
                served.extend(turn);
                false
            }
            None => true,
        });
        served
    }

    #[tokio::test]
    async fn a_crowd_of_those_who_have_time_does_not_stand_before_who_has_none() {
        let line = line(2, 1);
        let turns = [line.take().await, line.take().await];
        let mut crowd: Vec<_> = (0..50).map(|_| Box::pin(line.wait())).collect();
        assert!(served(&mut crowd).is_empty());
        let mut pressed = Box::pin(line.take());
        assert!(pressed.as_mut().now_or_never().is_none());
        drop(turns);
        let mut before = served(&mut crowd);
        assert_eq!((before.len(), line.waiting()), (2, 49));
        assert!(served(&mut crowd).is_empty());
        before.pop();
        assert!(served(&mut crowd).is_empty());
        assert!(pressed.now_or_never().unwrap().is_some());
    }
}
