//! A client that costs next to nothing: requests are bytes that were written before, answers are looked at just enough
//! to know where they end.

use crate::failure::{Outcome, failed};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request as it goes over the wire.
pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("{method} {path} HTTP/1.1\r\nHost: bench\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(body);
    out
}

/// An answer that has come in.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Answer<'_> {
    /// Whether the server says that too much is asked of it.
    pub(crate) fn is_turned_away(&self) -> bool {
        matches!(self.status, 429 | 503)
    }

    /// The start of the body, for messages.
    pub(crate) fn excerpt(&self) -> String {
        String::from_utf8_lossy(self.body).chars().take(300).collect()
    }
}

/// A connection that is kept.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(64 * 1024) })
    }

    /// Sends a request and waits for all of its answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Outcome<Answer<'_>> {
        self.received.clear();
        self.stream.write_all(request).await?;
        let mut head = None;
        loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(failed("the server closed the connection"));
            }
            if head.is_none() {
                head = Head::read(&self.received)?;
            }
            let whole = head.as_ref().filter(|head| head.is_whole(&self.received));
            if let Some(Head { status, length, .. }) = whole {
                let body = self.received.get(*length..).unwrap_or_default();
                return Ok(Answer { status: *status, body });
            }
        }
    }
}

#[derive(Debug, PartialEq)]
struct Head {
    status: u16,
    /// Of the head itself.
    length: usize,
    /// Of the body; none when it comes in chunks.
    body: Option<usize>,
}

impl Head {
    /// The head, once all of it is there.
    fn read(received: &[u8]) -> Outcome<Option<Self>> {
        let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Ok(None);
        };
        let text = std::str::from_utf8(received.get(..end).unwrap_or_default())?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().parse()?;
        let mut body = Some(0);
        for line in lines {
            let (name, value) = line.split_once(':').unwrap_or_default();
            if name.eq_ignore_ascii_case("content-length") {
                body = Some(value.trim().parse()?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                body = None;
            }
        }
        Ok(Some(Self { status, length: end + 4, body }))
    }

    fn is_whole(&self, received: &[u8]) -> bool {
        match self.body {
            Some(body) => received.len() >= self.length + body,
            None => received.ends_with(b"\r\n0\r\n\r\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_all_of_it_is_there() {
        let text = b"HTTP/1.1 201 Created\r\nContent-length: 5\r\n\r\nhello";
        assert_eq!(Head::read(&text[..30]).unwrap(), None);
        let head = Head::read(text).unwrap().unwrap();
        assert_eq!((head.status, head.body), (201, Some(5)));
        assert!(head.is_whole(text) && !head.is_whole(&text[..text.len() - 1]));
    }

    #[test]
    fn an_answer_in_chunks_ends_with_an_empty_one() {
        let text = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        let head = Head::read(text).unwrap().unwrap();
        assert!(head.is_whole(text) && !head.is_whole(&text[..text.len() - 5]));
    }

    #[test]
    fn a_request_ends_with_its_body() {
        let bytes = request("POST", "/api/data/", &[("Accept", "*/*")], b"{}");
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(
            text,
            "POST /api/data/ HTTP/1.1\r\nHost: bench\r\nContent-Length: 2\r\nAccept: */*\r\n\r\n{}"
        );
    }
}
