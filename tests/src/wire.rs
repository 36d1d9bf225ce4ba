//! Requests as bytes, on a connection that is kept: for what no HTTP library would send, in great numbers.

use crate::patience::LONG;
use crate::reply::Reply;
use crate::server::Server;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::timeout;

/// The server hangs up on connections that are idle for five seconds; who sends just then is not heard.
const FRESH: Duration = Duration::from_secs(3);

/// A request, taken as it is.
#[derive(Clone, Debug)]
#[must_use]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// What it asks for, as it stands on the first line.
    pub target: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
}

impl Request {
    /// A request without a body.
    pub fn new(method: &Method, target: impl Into<Vec<u8>>) -> Self {
        let host = ("Host".to_owned(), b"techtrack".to_vec());
        Self { method: method.clone(), target: target.into(), headers: vec![host], body: None }
    }

    /// For this instead.
    pub fn to(self, target: impl Into<Vec<u8>>) -> Self {
        Self { target: target.into(), ..self }
    }

    /// With this header in place of any other of that name.
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// On behalf of whom this token was given to.
    pub fn bearing(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// With a body.
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self.header("Content-Type", content_type)
    }

    /// Whether it says who asks.
    pub fn is_authenticated(&self) -> bool {
        self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"))
    }

    /// What it asks for, for messages and for whoever looks for the operation.
    pub fn path(&self) -> String {
        String::from_utf8_lossy(&self.target).into_owned()
    }

    /// All of it, as it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} ", self.method).into_bytes();
        bytes.extend(&self.target);
        bytes.extend(b" HTTP/1.1\r\n");
        for (name, value) in &self.headers {
            bytes.extend(name.as_bytes());
            bytes.extend(b": ");
            bytes.extend(value);
            bytes.extend(b"\r\n");
        }
        if let Some(body) = &self.body {
            bytes.extend(format!("Content-Length: {}\r\n", body.len()).into_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(self.body.iter().flatten());
        bytes
    }
}

/// A connection to a server, made anew when it is needed.
pub struct Wire {
    authority: String,
    kept: Option<(TcpStream, Instant)>,
}

impl Wire {
    /// One to this server.
    pub fn to(server: &Server) -> Self {
        Self { authority: server.authority().to_owned(), kept: None }
    }

    /// The answer to a request. Who is hung up on without one gets to know how that came.
    pub async fn ask(&mut self, request: &Request) -> Result<Reply, String> {
        self.tell(&request.bytes(), &request.method, &request.path()).await
    }

    /// The answer to these bytes, which are said to ask for something by this method.
    pub async fn tell(&mut self, bytes: &[u8], method: &Method, path: &str) -> Result<Reply, String> {
        let mut link = match self.kept.take() {
            Some((link, used)) if used.elapsed() < FRESH => link,
            _ => TcpStream::connect(&self.authority).await.map_err(|error| error.to_string())?,
        };
        let (mut from, mut to) = link.split();
        let exchange = timeout(LONG, exchange(&mut from, &mut to, bytes, method));
        let (mut reply, may_be_kept) = exchange.await.map_err(|_| format!("no answer for {LONG:?}"))??;
        reply.asked = format!("{method} {path}");
        if may_be_kept {
            self.kept = Some((link, Instant::now()));
        }
        Ok(reply)
    }
}

/// Sends and reads at once: a server need not hear all of what it refuses.
async fn exchange(
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    bytes: &[u8],
    method: &Method,
) -> Result<(Reply, bool), String> {
    let mut sent = false;
    let sending = async {
        // An answer may have come before; it is what counts.
        sent = to.write_all(bytes).await.is_ok();
        std::future::pending::<()>().await;
    };
    let (reply, is_last) = tokio::select! {
        biased;
        answer = read(from, method) => answer?,
        () = sending => unreachable!("it is never done"),
    };
    Ok((reply, sent && !is_last))
}

/// An answer, and whether it is the last on its connection.
async fn read(from: &mut ReadHalf<'_>, method: &Method) -> Result<(Reply, bool), String> {
    let mut unread = Vec::new();
    let (status, headers) = loop {
        let Some(at) = find(&unread, b"\r\n\r\n") else {
            more(from, &mut unread).await?;
            continue;
        };
        let (status, headers) = head(&unread[..at + 4])?;
        unread.drain(..at + 4);
        // "Continue" is said before an answer.
        if !status.is_informational() {
            break (status, headers);
        }
    };
    let says = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut is_last = says("connection").eq_ignore_ascii_case("close");
    let bytes = if says("content-type") == "text/event-stream" {
        // It is never over; that there is one must do.
        is_last = true;
        b":".to_vec()
    } else if *method == Method::HEAD || matches!(status.as_u16(), 204 | 304) {
        Vec::new()
    } else if says("transfer-encoding").eq_ignore_ascii_case("chunked") {
        chunks(from, &mut unread).await?
    } else if let Ok(length) = says("content-length").parse::<usize>() {
        while unread.len() < length {
            more(from, &mut unread).await?;
        }
        unread
    } else {
        is_last = true;
        while more(from, &mut unread).await.is_ok() {}
        unread
    };
    let json = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok((Reply { asked: String::new(), status, headers, bytes, json }, is_last))
}

fn head(bytes: &[u8]) -> Result<(StatusCode, HeaderMap), String> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split("\r\n").filter(|line| !line.is_empty());
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse::<u16>().ok());
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let name: HeaderName = name.parse().map_err(|_| format!("a header called {name:?}"))?;
        let value = HeaderValue::from_str(value.trim()).map_err(|_| format!("{name} that is no text"))?;
        headers.append(name, value);
    }
    Ok((status.ok_or_else(|| format!("an answer without a status: {text}"))?, headers))
}

async fn chunks(from: &mut ReadHalf<'_>, unread: &mut Vec<u8>) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    loop {
        let Some(end) = find(unread, b"\r\n") else {
            more(from, unread).await?;
            continue;
        };
        let size = String::from_utf8_lossy(&unread[..end]).into_owned();
        let size = usize::from_str_radix(size.trim(), 16).map_err(|_| format!("a chunk of size {size:?}"))?;
        while unread.len() < end + 2 + size + 2 {
            more(from, unread).await?;
        }
        body.extend(&unread[end + 2..end + 2 + size]);
        unread.drain(..end + 2 + size + 2);
        if size == 0 {
            return Ok(body);
        }
    }
}

async fn more(from: &mut ReadHalf<'_>, unread: &mut Vec<u8>) -> Result<(), String> {
    match from.read_buf(unread).await {
        Ok(0) => Err("the server hung up".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(format!("the connection broke: {error}")),
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
