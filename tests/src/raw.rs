//! Requests byte by byte, for what no HTTP library would send.

use crate::patience::LONG;
use crate::server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Sends the bytes of one request, which should ask to close the connection, and answers status, head and body.
pub async fn exchange(server: &Server, request: &[u8]) -> (u16, String, String) {
    let mut link = TcpStream::connect(server.authority()).await.expect("the server listens");
    link.write_all(request).await.expect("the server reads");
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(LONG, link.read_to_end(&mut answer));
    // A reset after the answer is the server's right when the request made no sense.
    let _ = reading.await.expect("the server answers in time");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or(0), head.to_owned(), body.to_owned())
}

/// A request without a body for this target, taken as it is.
pub fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: techtrack\r\nConnection: close\r\n\r\n").into_bytes()
}
