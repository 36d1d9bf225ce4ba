//! What answers have in common that are read in portions while they are written.
//!
//! Whoever takes such an answer slowly keeps a portion of it in memory, so large ones are counted ([`place`]). Who takes too
//! little of it in too long is hung up on by their connection ([`crate::connection`]), as with every answer.

use crate::auth::Lasting;
use crate::problem::Problem;
use crate::turns::{Caller, Pass, SMALL, Turn};
use actix_web::HttpRequest;
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

/// A place among the answers under way, to be held until this one has gone: if so many bytes are its first portion, and
/// `more` says whether that is not all. What is short and whole needs none.
pub(crate) fn place(request: &HttpRequest, bytes: usize, more: bool) -> Result<Option<Turn>, Problem> {
    let pass = Pass::of(request).filter(|_| more || bytes > SMALL);
    pass.map(|pass| pass.place_for_answer(Caller::of_request(request))).transpose()
}
