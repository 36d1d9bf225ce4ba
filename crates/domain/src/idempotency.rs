//! A repeated request gets its first answer. What is remembered is stored in the transaction that did the work, so the
//! promise holds after a crash as well.

use crate::error::{BoxError, Error};
use crate::ports::UnitOfWork;
use crate::time::Timestamp;
use std::time::Duration;

/// How long an answer is remembered.
pub const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// A request that asked to be done once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Digest of caller and idempotency key: who asked, under which name.
    pub scope: [u8; 32],
    /// Keyed digest of the call and its body: what was asked.
    pub fingerprint: [u8; 32],
}

/// An answer that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// To whom, and to what.
    pub claim: Claim,
    /// The answer, sealed by the face that gave it: it may hold secrets that only the key's owner may see again.
    pub answer: Vec<u8>,
    /// When.
    pub created_at: Timestamp,
}

/// Turns an outcome into the sealed answer to remember.
pub type Render<'a, T> = Box<dyn Fn(&T) -> Result<Vec<u8>, BoxError> + Send + Sync + 'a>;

/// How often a use case that creates something may take effect: once per claim, or each time it is called.
pub struct Once<'a, T>(Option<(Claim, Render<'a, T>)>);

impl<'a, T> Once<'a, T> {
    /// Takes effect each time.
    pub fn each_time() -> Self {
        Self(None)
    }

    /// Takes effect once for this claim, and remembers what `render` makes of the outcome.
    pub fn per(claim: Claim, render: Render<'a, T>) -> Self {
        Self(Some((claim, render)))
    }

    /// Remembers the outcome within the transaction that produced it. The last step before commit.
    pub async fn remember_in(
        &self,
        tx: &mut dyn UnitOfWork,
        outcome: &T,
        now: Timestamp,
    ) -> Result<(), Error> {
        let Some((claim, render)) = &self.0 else {
            return Ok(());
        };
        let answer = render(outcome).map_err(Error::Fault)?;
        tx.idempotency().remember(&Remembered { claim: *claim, answer, created_at: now }).await?;
        Ok(())
    }
}
