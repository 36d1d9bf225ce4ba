//! Reading the audit trail.

use super::App;
use crate::access::Granted;
use crate::access::rights::ViewAudit;
use crate::audit::{Event, EventQuery};
use crate::error::Error;
use crate::page::Stretch;

/// A stretch of the trail.
pub async fn read(app: &App, _by: &Granted<ViewAudit>, query: &EventQuery) -> Result<Stretch<Event>, Error> {
    Ok(app.store.reader().await?.trail().read(query).await?)
}
