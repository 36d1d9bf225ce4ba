//! `techtrack audit`: whether somebody touched the trail, and where it ends.

use super::granted;
use crate::compose::Database;
use crate::config::Config;
use crate::failure::Failure;
use crate::terminal;
use adapters_security::SystemClock;
use domain::app::audit;
use domain::audit::chain::{Flaw, Hash, Head};
use domain::ports::{Clock, Store};
use std::fmt;

/// Names the first row that somebody touched, or tells that there is none.
pub(crate) async fn verify(config: &Config, expected: Option<Hash>) -> Result<(), Failure> {
    let store = Database::beside(config).await?;
    let head = whole(&*store, expected).await?;
    let Head { events, hash, .. } = head;
    Ok(terminal::print(&format!("The audit trail is whole: {events} rows, head {hash}."))?)
}

/// Prints the hash of the newest row.
pub(crate) async fn head(config: &Config) -> Result<(), Failure> {
    let head = end(&*Database::beside(config).await?).await?;
    Ok(terminal::print(&head.hash.to_string())?)
}

/// Where the trail ends, whatever is in it.
pub(super) async fn end(store: &dyn Store) -> Result<Head, Failure> {
    Ok(audit::head(store, &granted("audit head")?).await?)
}

/// Where the trail ends, if nobody touched it.
pub(super) async fn whole(store: &dyn Store, expected: Option<Hash>) -> Result<Head, Failure> {
    judged(store, expected).await?.map_err(|flaw| Failure::failed(flaw.to_string()))
}

/// Where the trail ends, and whether it is whole. With one that is not it goes on only if somebody said so, loudly, and not without a
/// line at the end of that trail.
pub(super) async fn end_of(
    store: &dyn Store,
    despite_trail: bool,
    to: &'static str,
) -> Result<Trail, Failure> {
    let flaw = match judged(store, None).await? {
        Ok(head) => return Ok(Trail { head, flaw: None }),
        Err(flaw) => flaw,
    };
    if !despite_trail {
        let way_out = "nothing was changed; --despite-trail goes on all the same, and says so in the trail";
        return Err(Failure::failed(format!("{flaw}; {way_out}")));
    }
    tracing::warn!(%flaw, "THE AUDIT TRAIL IS NOT WHOLE; going on all the same, because of --despite-trail");
    let head = audit::accept_flaw(store, &granted(to)?, flaw, SystemClock.now()).await?;
    Ok(Trail { head, flaw: Some(flaw) })
}

/// What is known of a trail.
pub(super) struct Trail {
    /// Where it ends.
    pub(super) head: Head,
    /// What is wrong with it.
    pub(super) flaw: Option<Flaw>,
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Head { events, hash, .. } = self.head;
        match self.flaw {
            None => write!(f, "Its audit trail is whole: {events} rows, head {hash}."),
            Some(flaw) => {
                write!(
                    f,
                    "ITS AUDIT TRAIL IS NOT WHOLE: {flaw}. Its last row says so: {events} rows, head {hash}."
                )
            }
        }
    }
}

async fn judged(store: &dyn Store, expected: Option<Hash>) -> Result<Result<Head, Flaw>, Failure> {
    let bar = terminal::progress(0, "Rows of the audit trail");
    let at = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let found = audit::verify(store, &granted("audit verify")?, expected, at).await;
    bar.finish_and_clear();
    Ok(found?)
}
