//! Requests byte by byte, for what no HTTP library would send.

use crate::patience::LONG;
use crate::server::Server;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Sends the bytes of one request, which should ask to close the connection, and answers status, head and body.
pub async fn exchange(server: &Server, request: &[u8]) -> (u16, String, String) {
    let mut link = TcpStream::connect(server.authority()).await.expect("the server listens");
    link.write_all(request).await.expect("the server reads");
    answer(link).await
}

/// Status, head and body of what the server sends until it hangs up.
async fn answer(mut link: TcpStream) -> (u16, String, String) {
    let mut answer = Vec::new();
    let reading = timeout(LONG, link.read_to_end(&mut answer));
    // A reset after the answer is the server's right when the request made no sense.
    let _ = reading.await.expect("the server answers in time");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or(0), head.to_owned(), body.to_owned())
}

/// Sends these bytes, goes on as if to wait for an answer for so long, and vanishes: the server gets a reset.
pub async fn vanish(server: &Server, sent: &[u8], after: Duration) {
    let mut link = TcpStream::connect(server.authority()).await.expect("the server listens");
    link.set_zero_linger().expect("a socket can be told to reset");
    // Who is refused early may be hung up on in the middle of it.
    let _ = link.write_all(sent).await;
    tokio::time::sleep(after).await;
}

/// A request whose body is sent piece by piece, for as long as a story likes.
pub struct Upload {
    link: TcpStream,
}

impl Upload {
    /// Sends the head of a POST to this path.
    pub async fn begin(server: &Server, token: &str, path: &str, content_type: &str) -> Self {
        let mut link = TcpStream::connect(server.authority()).await.expect("the server listens");
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: techtrack\r\nAuthorization: Bearer {token}\r\nContent-Type: {content_type}\r\n\
             Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        );
        link.write_all(head.as_bytes()).await.expect("the server reads");
        Self { link }
    }

    /// Sends a piece of the body. What the server does not read any more is lost.
    pub async fn send(&mut self, piece: &str) {
        let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
        let _ = self.link.write_all(chunk.as_bytes()).await;
    }

    /// Whether the server has begun to answer, or hangs up, before the body ends.
    pub async fn is_answered_within(&mut self, limit: Duration) -> bool {
        timeout(limit, self.link.readable()).await.is_ok()
    }

    /// Says that the body ends, and answers status and body of the answer.
    pub async fn end(mut self) -> (u16, String) {
        let _ = self.link.write_all(b"0\r\n\r\n").await;
        let (status, _, body) = answer(self.link).await;
        (status, body)
    }
}

/// A request without a body for this target, taken as it is.
pub fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: techtrack\r\nConnection: close\r\n\r\n").into_bytes()
}
