//! One reader of storage for all watchers of the process. It works as long as somebody watches.

use crate::stream::event::Frame;
use crate::stream::ring::Ring;
use domain::app::{App, live};
use domain::error::Error;
use domain::live::{LiveEvent, Mark};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// How soon storage is asked again after something happened. An event may become visible a little after its bell: as long
/// as a transaction that began before it is still open.
const ECHOES_MS: [u64; 5] = [20, 50, 100, 200, 400];

/// How often storage is asked when nothing happens, should a ring have got lost.
const NOW_AND_THEN: Duration = Duration::from_secs(1);

/// Rings in quick succession are answered together.
const GAP: Duration = Duration::from_millis(20);

/// How many events a watcher takes at once.
const AT_ONCE: usize = 256;

/// What watchers read from.
pub struct Hub {
    app: Arc<App>,
    heard: watch::Receiver<u64>,
    ring: RwLock<Ring>,
    news: watch::Sender<()>,
    hall: watch::Sender<Hall>,
}

/// Who is there.
#[derive(Clone, Copy, Debug, Default)]
struct Hall {
    watchers: usize,
    is_reader_there: bool,
}

/// Events in order.
pub struct Stretch {
    /// The events.
    pub frames: Vec<Arc<Frame>>,
    /// The mark up to which there are no others.
    pub until: Mark,
}

impl Hub {
    /// A hub whose bell is heard here.
    pub fn new(app: Arc<App>, heard: watch::Receiver<u64>) -> Self {
        Self {
            app,
            heard,
            ring: RwLock::default(),
            news: watch::Sender::new(()),
            hall: watch::Sender::default(),
        }
    }

    /// Takes a place among the watchers.
    pub fn enter(self: &Arc<Self>) -> Seat {
        self.hall.send_modify(|hall| hall.watchers += 1);
        let seat = Seat { hub: Arc::clone(self), news: self.news.subscribe() };
        seat.see_to_the_reader();
        seat
    }

    /// How many watch.
    pub fn watchers(&self) -> usize {
        self.hall.borrow().watchers
    }

    /// Waits until nobody watches, and nobody reads for watchers.
    #[cfg(test)]
    pub(crate) async fn emptied(&self) {
        let is_empty = |hall: &Hall| hall.watchers == 0 && !hall.is_reader_there;
        self.hall.subscribe().wait_for(is_empty).await.map(drop).unwrap_or_default();
    }

    fn ring<T>(&self, look: impl FnOnce(&Ring) -> T) -> T {
        look(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change_ring(&self, change: impl FnOnce(&mut Ring)) {
        change(&mut self.ring.write().unwrap_or_else(PoisonError::into_inner));
        self.news.send_modify(|()| {});
    }
}

/// A place among the watchers, left when it is dropped.
pub struct Seat {
    hub: Arc<Hub>,
    news: watch::Receiver<()>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.hall.send_modify(|hall| hall.watchers -= 1);
    }
}

impl Seat {
    /// Waits for something that happened since [`Seat::after`] was called last.
    pub async fn news(&mut self) {
        // The hub lives as long as this seat, and with it the sender.
        let _ = self.news.changed().await;
    }

    /// The next events after this mark; nothing when some of them were forgotten already.
    pub async fn after(&mut self, mark: Mark) -> Result<Option<Stretch>, Error> {
        self.news.mark_unchanged();
        let (since, recent) = self.hub.ring(|ring| (ring.since(), ring.after(mark, AT_ONCE)));
        let frames = match recent {
            Some(frames) => frames,
            None => match live::after(&self.hub.app, Some(mark)).await? {
                Some(events) => events.into_iter().map(Frame::new).map(Arc::new).collect(),
                None => return Ok(None),
            },
        };
        // All that the ring had begun after was visible before storage was asked.
        let begun = since.map_or(mark, |since| since.max(mark));
        let until = frames.last().map_or(begun, |frame| frame.event.mark);
        Ok(Some(Stretch { frames, until }))
    }

    /// The mark of the newest event.
    pub async fn newest(&self) -> Result<Mark, Error> {
        newest(&self.hub.app).await
    }

    /// Sees to it that somebody reads for the watchers. The reader is a task of whichever worker was there first, and may
    /// go with it.
    pub fn see_to_the_reader(&self) {
        let is_missing = |hall: &mut Hall| !std::mem::replace(&mut hall.is_reader_there, true);
        if self.hub.hall.send_if_modified(is_missing) {
            tokio::spawn(Reader { hub: Arc::clone(&self.hub), is_relieved: false }.read());
        }
    }
}

async fn newest(app: &App) -> Result<Mark, Error> {
    Ok(live::now(app).await?.unwrap_or_default())
}

/// Whoever fills the ring.
struct Reader {
    hub: Arc<Hub>,
    is_relieved: bool,
}

/// What a look at storage brought.
enum Found {
    /// Nothing.
    Nothing,
    /// All that there was.
    Some,
    /// Perhaps not all that there was.
    More,
}

impl Reader {
    async fn read(mut self) {
        let mut heard = self.hub.heard.clone();
        let mut echoes = ECHOES_MS.iter();
        while !self.is_relieved() {
            heard.mark_unchanged();
            let looked_at = Instant::now();
            match self.look().await {
                Ok(Found::More) => continue,
                Ok(Found::Some) => echoes = ECHOES_MS.iter(),
                Ok(Found::Nothing) => {}
                Err(error) => {
                    tracing::warn!(cause = %error, "live events cannot be read just now");
                    echoes = [].iter();
                }
            }
            let pause = echoes.next().map_or(NOW_AND_THEN, |ms| Duration::from_millis(*ms));
            tokio::select! {
                () = rung(&mut heard) => {
                    echoes = ECHOES_MS.iter();
                    sleep_until(looked_at + GAP).await;
                }
                () = sleep(pause) => {}
            }
        }
    }

    /// Whether nobody watches any more. The ring is left empty for the next reader.
    fn is_relieved(&mut self) -> bool {
        self.is_relieved = self.hub.hall.send_if_modified(|hall| {
            let is_deserted = hall.watchers == 0;
            if is_deserted {
                self.leave(hall);
            }
            is_deserted
        });
        self.is_relieved
    }

    fn leave(&self, hall: &mut Hall) {
        hall.is_reader_there = false;
        self.hub.change_ring(|ring| *ring = Ring::default());
    }

    async fn look(&self) -> Result<Found, Error> {
        let Some(until) = self.hub.ring(Ring::until) else {
            return self.begin().await;
        };
        match live::after(&self.hub.app, Some(until)).await? {
            Some(events) if events.is_empty() => Ok(Found::Nothing),
            Some(events) => Ok(self.take(events)),
            None => self.begin().await,
        }
    }

    async fn begin(&self) -> Result<Found, Error> {
        let now = newest(&self.hub.app).await?;
        self.hub.change_ring(|ring| *ring = Ring::beginning_after(now));
        Ok(Found::Some)
    }

    fn take(&self, events: Vec<LiveEvent>) -> Found {
        let is_full = events.len() >= live::AT_ONCE as usize;
        let frames: Vec<Frame> = events.into_iter().map(Frame::new).collect();
        self.hub.change_ring(|ring| frames.into_iter().for_each(|frame| ring.push(frame)));
        if is_full { Found::More } else { Found::Some }
    }
}

/// Who goes without being relieved (because its worker goes) leaves the place to another.
impl Drop for Reader {
    fn drop(&mut self) {
        if !self.is_relieved {
            self.hub.hall.send_modify(|hall| self.leave(hall));
        }
    }
}

/// Waits for the bell. A bell that nobody can ring any more is never heard.
async fn rung(heard: &mut watch::Receiver<u64>) {
    if heard.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
