//! What answers have in common that are read in portions while they are written.

use crate::auth::Lasting;
use crate::problem::Problem;
use domain::access::Right;
use domain::error::{BoxError, Error};

/// What has been sent cannot be taken back, so the connection breaks off: a clean end would look like all of it.
pub(crate) fn broken_off<R: Right>(
    by: &Lasting<R>,
    what: &str,
    error: impl Into<BoxError>,
) -> actix_web::Error {
    let (cause, request_id) = (error.into(), by.held().actor().origin().request_id.as_deref());
    tracing::warn!(request_id, %cause, "{what} broke off");
    Problem::from(Error::Fault(cause)).into()
}
