//! The keys that sign tokens: made once, kept, shared by every node, rotated on request.

use super::App;
use crate::access::Actor;
use crate::audit::{Action, NewEvent, Subject};
use crate::error::Error;
use crate::sessions::SigningKey;
use crate::time::Timestamp;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How many keys verify tokens: the one that signs and the one before.
pub const KEPT: usize = 2;

/// How often an unknown key may send us to the database, so that forged tokens do not become its load.
const RELOAD_INTERVAL: Duration = Duration::from_secs(1);

/// When the keys were last read, in microseconds.
#[derive(Default)]
pub(super) struct LastRead(AtomicI64);

impl LastRead {
    /// Whether enough time has passed; of simultaneous callers one is told so.
    fn is_due(&self, now: Timestamp) -> bool {
        let last = self.0.load(Ordering::Acquire);
        let due = Timestamp::from_micros(last).is_none_or(|last| now.since(last) >= RELOAD_INTERVAL);
        due && self.0.compare_exchange(last, now.micros(), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// Reads the keys from storage and installs them; makes the first one if there is none.
pub async fn load(app: &App) -> Result<(), Error> {
    let keys = app.store.reader().await?.signing_keys().list().await?;
    let keys = if keys.is_empty() { make_first(app).await? } else { keys };
    app.tokens.install(&keys).map_err(Error::Fault)
}

/// As [`load`], but at most once a second. Who comes in between waits for the next turn, for somebody else's turn to make
/// `known` true, or for a second to pass: a crowd of forged tokens must neither read the keys often nor wait for ever.
pub(super) async fn reload_in_turn(app: &App, known: impl Fn() -> bool + Send) -> Result<(), Error> {
    const PAUSE: Duration = Duration::from_millis(50);
    let mut waited = Duration::ZERO;
    while waited <= RELOAD_INTERVAL {
        if app.keys_read.is_due(app.clock.now()) {
            return load(app).await;
        }
        app.clock.wait(PAUSE).await;
        waited += PAUSE;
        if known() {
            return Ok(());
        }
    }
    Ok(())
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
