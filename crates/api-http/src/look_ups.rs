//! Who is asked for in storage, and how many at a time: those who send readings, watch, upload and export are more than
//! there are connections. Of those who bring the same credential one asks, and the others find what was found.

use crate::problem::Problem;
use crate::turns::{Class, Turn, Turns};
use domain::access::{Actor, Origin};
use domain::app::{App, sessions};
use domain::error::Error;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex as Door, OwnedMutexGuard};
use tokio::time::timeout;

/// How long one waits for somebody else's look-up of the same credential.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is kept of a credential: its digest.
type Digest = [u8; 32];

/// The look-ups under way.
pub(crate) struct LookUps {
    turns: Arc<Turns>,
    doors: Mutex<HashMap<Digest, Arc<Door<()>>>>,
}

/// Somebody who is the only one to look this credential up, until dropped.
struct Alone<'a> {
    look_ups: &'a LookUps,
    digest: Digest,
    /// Nothing once it is given back.
    door: Option<OwnedMutexGuard<()>>,
}

impl LookUps {
    /// In these lines.
    pub(crate) fn among(turns: Arc<Turns>) -> Self {
        Self { turns, doors: Mutex::default() }
    }

    /// Finds out who brings this token, unless that takes too long.
    pub(crate) async fn identify(&self, app: &App, token: &str, origin: Origin) -> Result<Actor, Problem> {
        if let Some(actor) = sessions::remembered(app, token) {
            return Ok(actor.coming_from(origin));
        }
        let alone = timeout(PATIENCE, self.alone(app, token)).await;
        let _alone = alone.map_err(|_| Problem::Crowded(Class::LookUp.name()))?;
        // The one before may have found it out.
        if let Some(actor) = sessions::remembered(app, token) {
            return Ok(actor.coming_from(origin));
        }
        let _turn = self.turns.take(Class::LookUp).await?;
        Ok(sessions::authenticate(app, token, origin).await?)
    }

    /// Finds out what may be done now by who came in with this token some time ago.
    pub(crate) async fn identify_again(
        &self,
        app: &App,
        before: &Actor,
        token: &str,
    ) -> Result<Actor, Error> {
        if let Some(actor) = sessions::remembered_again(app, before, token) {
            return Ok(actor);
        }
        let _alone = self.alone(app, token).await;
        if let Some(actor) = sessions::remembered_again(app, before, token) {
            return Ok(actor);
        }
        let _turn: Option<Turn> = self.turns.wait(Class::LookUp).await;
        sessions::authenticate_again(app, before, token).await
    }

    /// Whether nobody is being looked up.
    #[cfg(test)]
    pub(crate) fn is_idle(&self) -> bool {
        self.doors().is_empty()
    }

    async fn alone(&self, app: &App, token: &str) -> Alone<'_> {
        let digest = app.vault.digest(&[token.as_bytes()]);
        let door = Arc::clone(self.doors().entry(digest).or_default());
        // Given up while waiting it cleans up all the same.
        let mut alone = Alone { look_ups: self, digest, door: None };
        alone.door = Some(door.lock_owned().await);
        alone
    }

    fn doors(&self) -> MutexGuard<'_, HashMap<Digest, Arc<Door<()>>>> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        let mut doors = self.look_ups.doors();
        self.door.take();
        // Nobody else stands before it: who wants to must ask for it here.
        if doors.get(&self.digest).is_some_and(|door| Arc::strong_count(door) == 1) {
            doors.remove(&self.digest);
        }
    }
}
