//! Between one answer and the next request of a connection: how long a client may take to say what it wants.

use crate::traces::Trace;
use actix_web::HttpRequest;
use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use pin_project_lite::pin_project;
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// How long that is: from the end of an answer to the end of the next head. A connection on which nothing comes for as long is
/// closed anyway.
const PATIENCE: Duration = Duration::from_secs(5);

/// Until when a connection's next head must be complete; shared between the connection and what serves its requests.
#[derive(Clone, Debug, Default)]
pub struct Heads(Rc<Cell<Option<Instant>>>);

impl Heads {
    /// Those of the request's connection, unless it came without one, as in tests.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        request.conn_data::<Self>().cloned()
    }

    /// A request is here: its head is complete.
    pub fn begun(&self) {
        self.0.set(None);
    }

    /// The answer ends: the next request is awaited.
    pub fn answered(&self) {
        self.0.set(Some(Instant::now() + PATIENCE));
    }

    /// Until when the next head must be complete; none while a request is served, and before the first, which actix watches.
    pub fn due(&self) -> Option<Instant> {
        self.0.get()
    }
}

/// Tells the connection that the answer ended, when it is dropped; with it ends the span of the request.
#[derive(Debug)]
struct End {
    heads: Option<Heads>,
    _trace: Option<Trace>,
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(heads) = &self.heads {
            heads.answered();
        }
    }
}

pin_project! {
    /// A body that tells when it ends.
    pub struct Attended<B> {
        #[pin]
        body: B,
        end: End,
    }
}

impl<B> Attended<B> {
    /// The same body, which tells these heads and ends this span.
    pub(crate) fn new(body: B, heads: Option<Heads>, trace: Option<Trace>) -> Self {
        Self { body, end: End { heads, _trace: trace } }
    }
}

impl<B: MessageBody> MessageBody for Attended<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.project().body.poll_next(cx)
    }
}
