//! Reading the audit trail, and seeing whether somebody touched it.

use super::App;
use crate::access::Granted;
use crate::access::rights::ViewAudit;
use crate::audit::chain::{Flaw, Hash, Head, Walk};
use crate::audit::{Action, Event, EventQuery, Fact, NewEvent, Subject};
use crate::equipment::Reach;
use crate::error::{Denied, Error};
use crate::page::Stretch;
use crate::ports::Store;
use crate::time::Timestamp;

/// How many lines are looked at in one go.
const STEP: u32 = 1000;

/// A stretch of the trail.
pub async fn read(app: &App, by: &Granted<ViewAudit>, query: &EventQuery) -> Result<Stretch<Event>, Error> {
    // It tells of all equipment.
    if *by.actor().reach() != Reach::All {
        return Err(Denied::OutOfReach.into());
    }
    Ok(app.store.reader().await?.trail().read(query).await?)
}

/// Where the trail ends, to be noted elsewhere.
pub async fn head(store: &dyn Store, _by: &Granted<ViewAudit>) -> Result<Head, Error> {
    Ok(store.reader().await?.trail().head().await?)
}

/// Notes at the end of a trail what is wrong with it, and that somebody goes on with it all the same. Answers where it ends now.
pub async fn accept_flaw(
    store: &dyn Store,
    by: &Granted<ViewAudit>,
    flaw: Flaw,
    now: Timestamp,
) -> Result<Head, Error> {
    let mut tx = store.begin().await?;
    let subject = Subject::other("audit_trail", None, "the trail before this line");
    let event = NewEvent::new(now, by.actor(), Action::FlawAccepted, subject);
    let known = vec![("flaw".to_owned(), Fact::Text(flaw.to_string()))];
    tx.trail().record(&event.changing(Vec::new(), known)).await?;
    tx.commit().await?;
    head(store, by).await
}

/// Walks along the whole trail and answers where it ends, or the first thing that is wrong with it. Others may append to it
/// meanwhile. `expected` is a head that was noted earlier; `at` hears how far the walk came, and of how many lines.
pub async fn verify(
    store: &dyn Store,
    _by: &Granted<ViewAudit>,
    expected: Option<Hash>,
    mut at: impl FnMut(u64, u64) + Send,
) -> Result<Result<Head, Flaw>, Error> {
    let mut reader = store.reader().await?;
    let mut head = reader.trail().head().await?;
    let (mut walk, mut after) = (Walk::expecting(expected), None);
    loop {
        let lines = reader.trail().sealed(after, STEP).await?;
        let Some(last) = lines.last() else { return Ok(walk.end(head)) };
        after = Some(last.id);
        if last.id > head.newest {
            // Written since then, or not as part of the trail.
            head = reader.trail().head().await?;
        }
        for line in &lines {
            if let Err(flaw) = walk.step(line, head) {
                return Ok(Err(flaw));
            }
        }
        at(walk.at().events, head.events);
    }
}
