//! Reading the audit trail.

use super::App;
use crate::access::Granted;
use crate::access::rights::ViewAudit;
use crate::audit::{Event, EventQuery};
use crate::equipment::Reach;
use crate::error::{Denied, Error};
use crate::page::Stretch;

/// A stretch of the trail.
pub async fn read(app: &App, by: &Granted<ViewAudit>, query: &EventQuery) -> Result<Stretch<Event>, Error> {
    // It tells of all equipment.
    if *by.actor().reach() != Reach::All {
        return Err(Denied::OutOfReach.into());
    }
    Ok(app.store.reader().await?.trail().read(query).await?)
}
