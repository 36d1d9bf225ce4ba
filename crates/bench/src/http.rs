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
    /// As it came; in chunks with their sizes, if it came in chunks.
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
        let head = self.receive(request).await?;
        Ok(Answer { status: head.status, body: self.received.get(head.length..).unwrap_or_default() })
    }

    /// The same for an answer that must be a success; gives its body out of its chunks.
    pub(crate) async fn fetch(&mut self, request: &[u8]) -> Outcome<Vec<u8>> {
        let head = self.receive(request).await?;
        let body = self.received.get(head.length..).unwrap_or_default();
        let answer = Answer { status: head.status, body };
        match (answer.status, head.body) {
            (200, Some(_)) => Ok(body.to_vec()),
            (200, None) => joined(body),
            (status, _) => Err(failed(format!("the server answered {status}: {}", answer.excerpt()))),
        }
    }

    async fn receive(&mut self, request: &[u8]) -> Outcome<Head> {
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
            if let Some(head) = head.take_if(|head| head.is_whole(&self.received)) {
                return Ok(head);
            }
        }
    }
}

/// What is in these chunks.
fn joined(mut chunks: &[u8]) -> Outcome<Vec<u8>> {
    let broken = || failed("the chunks of the answer do not fit together");
    let mut whole = Vec::with_capacity(chunks.len());
    loop {
        let end = chunks.windows(2).position(|window| window == b"\r\n").ok_or_else(broken)?;
        let size = std::str::from_utf8(chunks.get(..end).unwrap_or_default())?;
        let size = usize::from_str_radix(size, 16)?;
        if size == 0 {
            return Ok(whole);
        }
        whole.extend_from_slice(chunks.get(end + 2..end + 2 + size).ok_or_else(broken)?);
        chunks = chunks.get(end + 4 + size..).ok_or_else(broken)?;
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
    fn what_came_in_chunks_is_joined_and_what_was_cut_off_is_not() {
        let chunks = b"5\r\nhello\r\n2\r\n, \r\n5\r\nworld\r\n0\r\n\r\n";
        assert_eq!(joined(chunks).unwrap(), b"hello, world");
        assert!(joined(&chunks[..12]).is_err());
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
