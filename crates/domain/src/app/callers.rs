//! Callers as they were found a moment ago. Looking somebody up with every request costs more than most requests;
//! remembering them for long would let in who has been thrown out.
//!
//! Whatever is changed through this application is known at once: everybody is forgotten with it. So it is with what is
//! changed through another one as soon as this one hears of it, and should it hear nothing, when [`REMEMBERED`] is over.

use super::App;
use super::known::ACCESS;
use crate::access::Actor;
use crate::api_keys::Digest;
use crate::changes::Generation as Said;
use crate::ports::{StoreError, UnitOfWork};
use crate::time::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long a caller is believed to be who they were. Changes reach every server within a second; this leaves half of it.
pub(super) const REMEMBERED: Duration = Duration::from_millis(500);

/// So many are remembered at most.
const MOST: usize = 10_000;

/// Callers by the digest of what they came with.
#[derive(Default)]
pub(super) struct Callers(Mutex<Known>);

#[derive(Default)]
struct Known {
    generation: u64,
    found: HashMap<Digest, Found>,
}

struct Found {
    actor: Actor,
    /// What the registers said then, if that could be known.
    said: Option<Said>,
    at: Timestamp,
    until: Timestamp,
}

/// What was known when a look-up began: what it finds may be outdated once somebody has changed something.
#[derive(Clone, Copy)]
pub(super) struct Generation(u64, Option<Said>);

impl Callers {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The caller, if they were found a moment ago. `said` is what the registers say now, if that can be known.
    pub(super) fn recall(&self, bearer: &Digest, now: Timestamp, said: Option<Said>) -> Option<Actor> {
        let known = self.known();
        let found = known.found.get(bearer)?;
        let is_current = said.is_none() || found.said == said;
        (is_current && found.at <= now && now < found.until).then(|| found.actor.clone())
    }

    /// To be asked before a look-up.
    pub(super) fn generation(&self, said: Option<Said>) -> Generation {
        Generation(self.known().generation, said)
    }

    /// Remembers who was found, but no longer than what they came with is good.
    pub(super) fn remember(
        &self,
        since: Generation,
        bearer: Digest,
        actor: &Actor,
        now: Timestamp,
        expires_at: Option<Timestamp>,
    ) {
        let mut known = self.known();
        if known.generation != since.0 {
            return;
        }
        if known.found.len() >= MOST {
            known.found.clear();
        }
        let until = now.after(REMEMBERED);
        let until = expires_at.map_or(until, |expires_at| until.min(expires_at));
        known.found.insert(bearer, Found { actor: actor.clone(), said: since.1, at: now, until });
    }

    fn forget_all(&self) {
        let mut known = self.known();
        known.generation += 1;
        known.found.clear();
    }
}

impl App {
    /// Commits what changes who may do what. However that ends, nobody is believed to be who they were.
    pub(super) async fn commit_access(&self, tx: Box<dyn UnitOfWork>) -> Result<(), StoreError> {
        let outcome = self.commit_changing(ACCESS, tx).await;
        self.callers.forget_all();
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::{Changes, Register};

    const BEARER: Digest = [7; 32];

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(millis * 1000).unwrap()
    }

    fn remembering(expires_at: Option<Timestamp>) -> Callers {
        let callers = Callers::default();
        callers.remember(callers.generation(None), BEARER, &Actor::system("test"), at(0), expires_at);
        callers
    }

    #[test]
    fn a_caller_is_remembered_for_half_a_second_and_not_longer_than_their_credential() {
        let callers = remembering(None);
        assert!(callers.recall(&BEARER, at(499), None).is_some());
        assert!(callers.recall(&BEARER, at(500), None).is_none());
        assert!(callers.recall(&[8; 32], at(0), None).is_none());
        assert!(callers.recall(&BEARER, at(-1), None).is_none(), "the clock was set back");
        assert!(remembering(Some(at(100))).recall(&BEARER, at(100), None).is_none());
    }

    #[test]
    fn a_look_up_that_a_change_overtook_is_not_remembered() {
        let callers = remembering(None);
        let before = callers.generation(None);
        callers.forget_all();
        assert!(callers.recall(&BEARER, at(0), None).is_none());
        callers.remember(before, BEARER, &Actor::system("test"), at(0), None);
        assert!(callers.recall(&BEARER, at(0), None).is_none());
    }

    #[test]
    fn what_was_changed_elsewhere_is_known_as_soon_as_it_is_heard_of() {
        let changes = Changes::shared();
        let callers = Callers::default();
        changes.hear_again();
        let since = callers.generation(changes.generation(ACCESS));
        callers.remember(since, BEARER, &Actor::system("test"), at(0), None);
        assert!(callers.recall(&BEARER, at(0), changes.generation(ACCESS)).is_some());
        changes.hear_of(Register::Credentials);
        assert!(callers.recall(&BEARER, at(0), changes.generation(ACCESS)).is_none());
    }

    #[test]
    fn whoever_invents_credentials_does_not_fill_the_memory() {
        let callers = remembering(None);
        for number in 0..=u32::try_from(MOST).unwrap() {
            let mut bearer = BEARER;
            bearer[..4].copy_from_slice(&number.to_be_bytes());
            callers.remember(callers.generation(None), bearer, &Actor::system("test"), at(0), None);
        }
        assert!(callers.known().found.len() <= MOST);
    }
}
