//! A connection that does not wait for ever for what a client says next. actix itself watches over the first head of a
//! connection alone: a second one that comes a byte a second would be waited for until the client has had enough.

use crate::doors::Entered;
use crate::middleware::heads::Heads;
use crate::problem::wire;
use crate::state::RequestIds;
use actix_web::rt::net::TcpStream;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// What actix says to whoever began a head and did not end it; they hear it in our words.
const TOO_SLOW: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A client's connection, and until when it has to say what it wants.
pub(crate) struct Watched {
    stream: TcpStream,
    heads: Heads,
    /// Names what is refused before it is a request.
    ids: Arc<RequestIds>,
    _entered: Entered,
    /// Goes off at the end of a wait, or before it: it is set anew only when it went off too early, because setting it with
    /// each request would cost more than reading the request.
    alarm: Option<Pin<Box<Sleep>>>,
    /// Whether something came since the last answer.
    heard: bool,
    /// Whether the client does not take what it is sent. Then it is not its turn; how long it may take is the kernel's to watch.
    clogged: bool,
}

impl Watched {
    pub(crate) fn new(stream: TcpStream, ids: Arc<RequestIds>, entered: Entered) -> Self {
        let heads = Heads::default();
        Self { stream, heads, ids, _entered: entered, alarm: None, heard: false, clogged: false }
    }

    /// Tells of requests that begin and answers that end.
    pub(crate) fn heads(&self) -> &Heads {
        &self.heads
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

    /// What is still on its way to the client counts as part of the answer.
    fn note<T>(&mut self, written: &Poll<T>) {
        self.clogged = written.is_pending();
        if self.heads.due().is_some() {
            self.heads.answered();
        }
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
                let _ = watched.stream.try_write(words.as_deref().unwrap_or(TOO_SLOW));
            }
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Watched {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let watched = self.get_mut();
        let written = match wire::in_words(bytes, &watched.ids) {
            // So short that it fits in, or nothing does.
            Some(words) => Pin::new(&mut watched.stream).poll_write(cx, &words).map_ok(|_| bytes.len()),
            None => Pin::new(&mut watched.stream).poll_write(cx, bytes),
        };
        watched.note(&written);
        written
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let watched = self.get_mut();
        let written = Pin::new(&mut watched.stream).poll_write_vectored(cx, slices);
        watched.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
