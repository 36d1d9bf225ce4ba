//! Somebody outside who is told of alerts by webhook, and can be away for a while.

use crate::patience::{LONG, until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// One delivery that arrived.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// Its headers, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// What it says.
    pub body: Value,
}

impl Delivered {
    /// Its name among deliveries.
    pub fn message(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// What happened.
    pub fn event(&self) -> &str {
        self.body["type"].as_str().expect("a delivery has a type")
    }
}

/// A receiver on this machine.
pub struct Receiver {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Delivered>>>,
    status: Arc<AtomicU16>,
    listening: Option<JoinHandle<()>>,
}

impl Receiver {
    /// One that listens, and takes everything.
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let mut receiver =
            Self { address, got: Arc::default(), status: Arc::new(AtomicU16::new(204)), listening: None };
        receiver.listen(listener);
        receiver
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}/alerts", self.address)
    }

    /// Answers everything with this status from now on.
    pub fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// Goes away.
    pub async fn close(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
            let _ = listening.await;
        }
    }

    /// Comes back where it was.
    pub async fn reopen(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the port is still free");
        self.listen(listener);
    }

    /// All that arrived so far.
    pub fn got(&self) -> Vec<Delivered> {
        self.got.lock().expect("nobody panics while adding").clone()
    }

    /// Waits until so many different deliveries arrived.
    pub async fn gets(&self, count: usize) -> Vec<Delivered> {
        until("deliveries to arrive", LONG, async || {
            let got = self.got();
            let messages: BTreeSet<&str> = got.iter().map(Delivered::message).collect();
            (messages.len() >= count).then(|| got.clone())
        })
        .await
    }

    fn listen(&mut self, listener: TcpListener) {
        let (got, status) = (Arc::clone(&self.got), Arc::clone(&self.status));
        self.listening = Some(tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                tokio::spawn(serve(stream, Arc::clone(&got), Arc::clone(&status)));
            }
        }));
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(listening) = self.listening.take() {
            listening.abort();
        }
    }
}

async fn serve(mut stream: TcpStream, got: Arc<Mutex<Vec<Delivered>>>, status: Arc<AtomicU16>) {
    let mut read = Vec::new();
    let head = loop {
        let Some(count) = more(&mut stream, &mut read).await else { return };
        if let Some(end) = read[..count].windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = String::from_utf8_lossy(&read[..head]).into_owned();
    let headers: BTreeMap<String, String> = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers["content-length"].parse().expect("a length is a number");
    while read.len() < head + length {
        if more(&mut stream, &mut read).await.is_none() {
            return;
        }
    }
    let body = serde_json::from_slice(&read[head..]).expect("a delivery is JSON");
    let status = status.load(Ordering::SeqCst);
    if (200..300).contains(&status) {
        got.lock().expect("nobody panics while adding").push(Delivered { headers, body });
    }
    let answer = format!("HTTP/1.1 {status} So\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    let answer =
        if status == 204 { answer.replace("Content-Length: 2\r\n", "").replace("ok", "") } else { answer };
    let _ = stream.write_all(answer.as_bytes()).await;
}

async fn more(stream: &mut TcpStream, read: &mut Vec<u8>) -> Option<usize> {
    let mut part = [0; 8192];
    let count = stream.read(&mut part).await.ok().filter(|count| *count > 0)?;
    read.extend_from_slice(&part[..count]);
    Some(read.len())
}
