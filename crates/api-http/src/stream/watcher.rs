//! One watcher's stream: what happens, for as long as they may see it and take it.

use crate::auth::Lasting;
use crate::problem::Reply;
use crate::state::{Draining, State};
use crate::stream::Pace;
use crate::stream::event::{self, Reason};
use crate::stream::hub::{Seat, Stretch};
use bytes::{Bytes, BytesMut};
use domain::access::rights::SignedIn;
use domain::app::App;
use domain::app::live::Watch;
use domain::error::Kind;
use domain::live::Mark;
use futures_util::{Stream, stream};
use std::convert::Infallible;
use std::sync::Arc;
use tokio::time::{Instant, sleep_until};

/// About how many bytes are handed over at once. What a client does not take is nowhere kept for it but this.
const AT_ONCE: usize = 64 * 1024;

/// Somebody who watches.
pub struct Watcher {
    app: Arc<App>,
    watch: Watch,
    by: Lasting<SignedIn>,
    draining: Draining,
    pace: Pace,
    seat: Seat,
    /// Up to here everything was told.
    mark: Mark,
    /// Whether events after the mark were forgotten.
    has_missed: bool,
    /// Whether the caller was known when last asked. As long as nobody knows, nothing is told.
    is_known: bool,
    checked_at: Instant,
    told_at: Option<Instant>,
    is_over: bool,
}

/// What a look at the events brought.
enum Look {
    /// Something to tell.
    Tell(Bytes),
    /// Nothing for this watcher so far.
    GoOn,
    /// Nothing at all.
    Nothing,
}

impl Watcher {
    /// Somebody who watches from after this mark on, or from now on.
    pub async fn begin(
        state: &State,
        watch: Watch,
        by: Lasting<SignedIn>,
        after: Option<Mark>,
    ) -> Reply<Self> {
        let seat = state.hub.enter();
        let newest = seat.newest().await?;
        // A mark ahead of all is of another database, or of one that was set back.
        let has_missed = after.is_some_and(|mark| mark > newest);
        Ok(Self {
            app: Arc::clone(&state.app),
            watch,
            by,
            draining: state.draining.clone(),
            pace: state.pace,
            seat,
            mark: after.unwrap_or(newest).min(newest),
            has_missed,
            is_known: true,
            checked_at: Instant::now(),
            told_at: None,
            is_over: false,
        })
    }

    /// All that there is to tell, until there is a reason to end.
    pub fn tell(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, |mut watcher| async move {
            let text = watcher.next().await?;
            watcher.told_at = Some(Instant::now());
            Some((Ok(text), watcher))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        // The server asks for more as soon as it got rid of what it has.
        let Some(told_at) = self.told_at else {
            return Some(event::beginning(self.mark));
        };
        let draining = self.draining.clone();
        let outcome = tokio::select! {
            biased;
            () = draining.begun() => Err(Reason::Draining),
            _ = std::future::ready(()), if told_at.elapsed() > self.pace.patience => Err(Reason::Slow),
            outcome = self.something(told_at) => outcome,
        };
        Some(outcome.unwrap_or_else(|reason| {
            self.is_over = true;
            event::end(reason)
        }))
    }

    /// Waits for something to tell.
    async fn something(&mut self, told_at: Instant) -> Result<Bytes, Reason> {
        let heartbeat_at = told_at + self.pace.heartbeat;
        loop {
            self.refuse_revoked().await?;
            if Instant::now() >= heartbeat_at {
                return Ok(event::heartbeat(self.mark));
            }
            match self.look().await {
                Look::Tell(text) => return Ok(text),
                Look::GoOn => {}
                Look::Nothing => {
                    let until = heartbeat_at.min(self.checked_at + self.pace.recheck);
                    tokio::select! {
                        () = self.seat.news() => {}
                        () = sleep_until(until) => {}
                    }
                }
            }
        }
    }

    /// Asks now and then whether the caller may still watch just this.
    async fn refuse_revoked(&mut self) -> Result<(), Reason> {
        if self.checked_at.elapsed() < self.pace.recheck {
            return Ok(());
        }
        self.seat.see_to_the_reader();
        let known = self.by.again(&self.app).await;
        self.checked_at = Instant::now();
        self.is_known = known.is_ok();
        let may_stay = match known {
            Ok(by) => self.watch.is_still_allowed(by.actor()),
            Err(error) => matches!(error.code().kind(), Kind::Busy | Kind::Fault),
        };
        if may_stay { Ok(()) } else { Err(Reason::Revoked) }
    }

    async fn look(&mut self) -> Look {
        if !self.is_known {
            return Look::Nothing;
        }
        if self.has_missed {
            return self.begin_anew().await;
        }
        match self.seat.after(self.mark).await {
            Ok(Some(stretch)) => self.take(&stretch),
            Ok(None) => {
                self.has_missed = true;
                Look::GoOn
            }
            // Whoever reads for all watchers says so in the log.
            Err(_) => Look::Nothing,
        }
    }

    async fn begin_anew(&mut self) -> Look {
        let Ok(newest) = self.seat.newest().await else {
            return Look::Nothing;
        };
        self.mark = newest;
        self.has_missed = false;
        Look::Tell(event::reset(newest))
    }

    fn take(&mut self, stretch: &Stretch) -> Look {
        let before = self.mark;
        let mut text = BytesMut::new();
        for frame in &stretch.frames {
            if text.len() >= AT_ONCE {
                return Look::Tell(text.freeze());
            }
            self.mark = frame.event.mark;
            if self.watch.wants(&frame.event) {
                text.extend_from_slice(&frame.text);
            }
        }
        self.mark = stretch.until;
        match text.is_empty() {
            false => Look::Tell(text.freeze()),
            true if self.mark > before => Look::GoOn,
            true => Look::Nothing,
        }
    }
}
