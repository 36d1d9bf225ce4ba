//! The keys that sign tokens: made once, kept, shared by every node, rotated on request.

use super::App;
use crate::access::Actor;
use crate::audit::{Action, NewEvent, Subject};
use crate::error::Error;
use crate::sessions::SigningKey;
use crate::time::Timestamp;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many keys verify tokens: the one that signs and the one before.
pub const KEPT: usize = 2;

/// For how long keys that were read are all there are. Forged tokens send us to storage no more often than that; and it is
/// so short that nobody brings a token of a key that was made meanwhile: other servers must find the key, sign with it,
/// and their answer must come to us by way of a client.
const READ_JUST_NOW: Duration = Duration::from_millis(50);

/// For how long nobody tries again after reading failed. Forged tokens make no more of a broken storage than one complaint a
/// second; whether a token is forged nobody knows meanwhile.
const FAILED_JUST_NOW: Duration = Duration::from_secs(1);

/// How long one waits for somebody else who is reading the keys. They are a few rows, so longer is a storage that hangs.
const PATIENCE: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_millis(2);

/// When the keys were last looked for, and whether somebody is about to.
#[derive(Default)]
pub(super) struct LastRead(Mutex<Read>);

#[derive(Default)]
struct Read {
    is_under_way: bool,
    ended: Option<Ended>,
}

/// How reading ended the last time.
struct Ended {
    at: Timestamp,
    well: bool,
}

impl Ended {
    fn is_just_now(&self, now: Timestamp) -> bool {
        let moment = if self.well { READ_JUST_NOW } else { FAILED_JUST_NOW };
        self.at <= now && now.since(self.at) < moment
    }
}

/// What to do about a key that is not known.
enum Advice<'a> {
    /// Nothing: the keys were read a moment ago.
    Believe,
    /// Nothing: they could not be read a moment ago.
    GiveUp,
    /// Wait for whoever reads them.
    Wait,
    /// Read them.
    Read(Reader<'a>),
}

/// Whoever reads the keys just now; nobody any more when it is dropped.
struct Reader<'a>(&'a LastRead);

impl LastRead {
    fn advice(&self, now: Timestamp) -> Advice<'_> {
        let mut last = self.read();
        if let Some(ended) = last.ended.as_ref().filter(|ended| ended.is_just_now(now)) {
            return if ended.well { Advice::Believe } else { Advice::GiveUp };
        }
        if last.is_under_way {
            return Advice::Wait;
        }
        last.is_under_way = true;
        Advice::Read(Reader(self))
    }

    fn read(&self) -> MutexGuard<'_, Read> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader<'_> {
    /// The keys are known as they are now; or they cannot be read just now.
    fn ended(self, at: Timestamp, well: bool) {
        self.0.read().ended = Some(Ended { at, well });
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.0.read().is_under_way = false;
    }
}

/// Reads the keys from storage and installs them; makes the first one if there is none.
pub async fn load(app: &App) -> Result<(), Error> {
    let keys = app.store.reader().await?.signing_keys().list().await?;
    let keys = if keys.is_empty() { make_first(app).await? } else { keys };
    app.tokens.install(&keys).map_err(Error::Fault)
}

/// As [`load`], unless the keys were read a moment ago. Of many callers one reads them; the others wait for that, but no
/// longer than reading takes: a crowd with forged tokens stands in nobody's way.
pub(super) async fn load_unless_current(app: &App) -> Result<(), Error> {
    let mut waited = Duration::ZERO;
    loop {
        match app.keys_read.advice(app.clock.now()) {
            Advice::Believe => return Ok(()),
            Advice::Read(reader) => {
                let read = load(app).await;
                reader.ended(app.clock.now(), read.is_ok());
                return read;
            }
            Advice::GiveUp => return Err(Error::Busy("the signing keys could not be read", None)),
            Advice::Wait if waited >= PATIENCE => {
                return Err(Error::Busy("the signing keys are being read", None));
            }
            Advice::Wait => {
                app.clock.wait(PAUSE).await;
                waited += PAUSE;
            }
        }
    }
}

/// Makes a new key that signs from now on. The one before still verifies; older ones do not.
pub async fn rotate(app: &App, by: &Actor) -> Result<SigningKey, Error> {
    let now = app.clock.now();
    let fresh = app.tokens.generate(now).map_err(Error::Fault)?;
    let mut tx = app.store.begin().await?;
    tx.signing_keys().lock().await?;
    tx.signing_keys().insert(&fresh).await?;
    let keys = tx.signing_keys().list().await?;
    for outdated in keys.iter().skip(KEPT) {
        tx.signing_keys().delete(&outdated.id).await?;
    }
    let subject = Subject::other("signing_key", None, &fresh.id);
    tx.trail().record(&NewEvent::new(now, by, Action::KeysRotated, subject)).await?;
    tx.commit().await?;
    load(app).await?;
    Ok(fresh)
}

async fn make_first(app: &App) -> Result<Vec<SigningKey>, Error> {
    let fresh = app.tokens.generate(app.clock.now()).map_err(Error::Fault)?;
    let mut tx = app.store.begin().await?;
    tx.signing_keys().lock().await?;
    let existing = tx.signing_keys().list().await?;
    if !existing.is_empty() {
        return Ok(existing);
    }
    tx.signing_keys().insert(&fresh).await?;
    tx.commit().await?;
    Ok(vec![fresh])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(millis * 1000).unwrap()
    }

    fn reader(advice: Advice<'_>) -> Reader<'_> {
        match advice {
            Advice::Read(reader) => reader,
            Advice::Believe | Advice::GiveUp | Advice::Wait => panic!("somebody must read the keys"),
        }
    }

    #[test]
    fn of_many_who_bring_unknown_keys_one_reads_them_and_the_others_wait() {
        let last = LastRead::default();
        let reader = reader(last.advice(at(0)));
        assert!(matches!(last.advice(at(0)), Advice::Wait));
        reader.ended(at(1), true);
        assert!(matches!(last.advice(at(1)), Advice::Believe));
    }

    #[test]
    fn keys_are_believed_to_be_all_for_a_moment_only() {
        let last = LastRead::default();
        reader(last.advice(at(0))).ended(at(1), true);
        assert!(matches!(last.advice(at(50)), Advice::Believe));
        assert!(matches!(last.advice(at(51)), Advice::Read(_)));
        assert!(matches!(last.advice(at(0)), Advice::Read(_)), "the clock was set back");
    }

    #[test]
    fn after_reading_failed_nobody_tries_again_for_a_second() {
        let last = LastRead::default();
        reader(last.advice(at(0))).ended(at(1), false);
        assert!(matches!(last.advice(at(1000)), Advice::GiveUp));
        assert!(matches!(last.advice(at(1001)), Advice::Read(_)));
    }

    #[test]
    fn when_reading_is_given_up_the_next_one_reads() {
        let last = LastRead::default();
        drop(reader(last.advice(at(0))));
        assert!(matches!(last.advice(at(0)), Advice::Read(_)));
    }
}
