//! A connection that does not wait for ever for what a client says next. actix itself watches over the first head of a
//! connection alone: a second one that comes a byte a second would be waited for until the client has had enough.

mod transport;

pub(crate) use transport::Transport;

use crate::doors::Entered;
use crate::middleware::heads::Heads;
use crate::problem::wire;
use crate::state::RequestIds;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// What actix says to whoever began a head and did not end it; they hear it in our words.
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// How many bytes of what there is for it a client must take each time that patience with it could end: as little as the slowest
/// of lines carries in half a minute. Whoever takes less keeps an answer, and a place, for its own sake.
const LEAST_TAKEN: usize = 64 * 1024;

/// A client's connection, and until when it has to say what it wants.
pub(crate) struct Watched {
    stream: Transport,
    heads: Heads,
    /// Names what is refused before it is a request.
    ids: Arc<RequestIds>,
    _entered: Entered,
    /// Goes off at the end of a wait, or before it: it is set anew only when it went off too early, because setting it with
    /// each request would cost more than reading the request.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Whether something came since the last answer.
    heard: bool,
    /// Whether the client does not take what it is sent. Then it is not its turn.
    clogged: bool,
    /// For how long it may take next to nothing of what it is sent.
    patience: Duration,
    /// How it gets on with what it is sent, while there is more than it takes at once.
    taking: Option<Taking>,
}

/// How a client gets on with what it is sent.
struct Taking {
    /// What it took since the alarm was set.
    taken: usize,
    patience: Duration,
    alarm: Pin<Box<Sleep>>,
}

impl Taking {
    fn within(patience: Duration) -> Self {
        Self { taken: 0, patience, alarm: Box::pin(sleep(patience)) }
    }

    /// Whether it took too little in the time that it had. Wakes the task when that may be so.
    fn is_too_slow(&mut self, cx: &mut Context<'_>) -> bool {
        while self.alarm.as_mut().poll(cx).is_ready() {
            if self.taken < LEAST_TAKEN {
                return true;
            }
            *self = Self::within(self.patience);
        }
        false
    }
}

impl Watched {
    pub(crate) fn new(stream: Transport, ids: Arc<RequestIds>, entered: Entered, patience: Duration) -> Self {
        Self {
            stream,
            heads: Heads::default(),
            ids,
            _entered: entered,
            alarm: None,
            heard: false,
            clogged: false,
            patience,
            taking: None,
        }
    }

    /// Tells of requests that begin and answers that end.
    pub(crate) fn heads(&self) -> &Heads {
        &self.heads
    }

    /// Whether nobody on the way can read along.
    pub(crate) fn is_secret(&self) -> bool {
        self.stream.is_secret()
    }

    /// Whether the next head should have been complete by now. Wakes the task when that becomes so.
    fn is_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(due) = self.heads.due() else {
            self.heard = false;
            return false;
        };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
        while alarm.as_mut().poll(cx).is_ready() {
            if self.clogged {
                self.heads.answered();
            } else if Instant::now() >= due {
                return true;
            }
            alarm.as_mut().reset(self.heads.due().unwrap_or(due));
        }
        false
    }

    /// What is still on its way to the client counts as part of the answer. Whoever takes too little of it is given up.
    fn note(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.clogged = written.is_pending();
        if self.heads.due().is_some() {
            self.heads.answered();
        }
        let Poll::Ready(taken) = &written else {
            let taking = self.taking.get_or_insert_with(|| Taking::within(self.patience));
            let is_too_slow = taking.is_too_slow(cx);
            return if is_too_slow { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { written };
        };
        if let (Ok(taken), Some(taking)) = (taken, &mut self.taking) {
            taking.taken += taken;
        }
        written
    }
}

impl AsyncRead for Watched {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let watched = self.get_mut();
        let before = into.filled().len();
        let read = Pin::new(&mut watched.stream).poll_read(cx, into);
        if read.is_ready() {
            watched.heard |= into.filled().len() > before;
            return read;
        }
        if watched.is_overdue(cx) {
            if watched.heard {
                // Whoever does not take it now never will.
                let words = wire::in_words(TOO_SLOW, &watched.ids);
                let words = words.as_deref().unwrap_or(TOO_SLOW);
                let _ = Pin::new(&mut watched.stream).poll_write(cx, words);
                let _ = Pin::new(&mut watched.stream).poll_flush(cx);
            }
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let watched = self.get_mut();
        let bare = wire::find_bare(bytes);
        let words = bare.filter(|start| *start == 0).and_then(|_| wire::in_words(bytes, &watched.ids));
        let written = match words {
            // So short that it fits in, or nothing does.
            Some(words) => Pin::new(&mut watched.stream).poll_write(cx, &words).map_ok(|_| bytes.len()),
            // First what comes before it.
            None => {
                let before = bare.and_then(|start| bytes.get(..start)).filter(|before| !before.is_empty());
                Pin::new(&mut watched.stream).poll_write(cx, before.unwrap_or(bytes))
            }
        };
        watched.note(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let watched = self.get_mut();
        let written = Pin::new(&mut watched.stream).poll_write_vectored(cx, slices);
        watched.note(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let watched = self.get_mut();
        let flushed = Pin::new(&mut watched.stream).poll_flush(cx);
        if flushed.is_pending() {
            // With TLS around it, what was written may still wait for the socket.
            return watched.note(cx, Poll::Pending).map_ok(drop);
        }
        // It has taken all that there was for it.
        watched.clogged = false;
        watched.taking = None;
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
