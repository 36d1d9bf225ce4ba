//! Somebody outside who is told of alerts by webhook, and can be away for a while.

use crate::patience::{LONG, until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
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
    desk: Desk,
    listening: Option<JoinHandle<()>>,
}

/// Where deliveries are taken.
#[derive(Clone)]
struct Desk {
    got: Arc<Mutex<Vec<Delivered>>>,
    status: Arc<AtomicU16>,
    is_silent: watch::Sender<bool>,
    /// How many deliveries were read and not answered yet.
    waiting: Arc<AtomicUsize>,
}

impl Receiver {
    /// One that listens, and takes everything.
    pub async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let desk = Desk {
            got: Arc::default(),
            status: Arc::new(AtomicU16::new(204)),
            is_silent: watch::Sender::new(false),
            waiting: Arc::default(),
        };
        let mut receiver = Self { address, desk, listening: None };
        receiver.listen(listener);
        receiver
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}/alerts", self.address)
    }

    /// Answers everything with this status from now on.
    pub fn answer(&self, status: u16) {
        self.desk.status.store(status, Ordering::SeqCst);
    }

    /// Answers nothing until it is [told to](Self::speak).
    pub fn fall_silent(&self) {
        self.desk.is_silent.send_replace(true);
    }

    /// Answers again, also what came meanwhile.
    pub fn speak(&self) {
        self.desk.is_silent.send_replace(false);
    }

    /// Waits until so many deliveries wait for an answer.
    pub async fn keeps_waiting(&self, count: usize) {
        until("deliveries to wait for an answer", LONG, async || {
            (self.desk.waiting.load(Ordering::SeqCst) >= count).then_some(())
        })
        .await;
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
        self.desk.got.lock().expect("nobody panics while adding").clone()
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
        let desk = self.desk.clone();
        self.listening = Some(tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else { continue };
                tokio::spawn(serve(stream, desk.clone()));
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

async fn serve(mut stream: TcpStream, desk: Desk) {
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
    desk.waiting.fetch_add(1, Ordering::SeqCst);
    // Whoever gave up waiting was not heard.
    let mut is_silent = desk.is_silent.subscribe();
    let was_heard = tokio::select! {
        _ = is_silent.wait_for(|is_silent| !is_silent) => true,
        _ = more(&mut stream, &mut read) => false,
    };
    desk.waiting.fetch_sub(1, Ordering::SeqCst);
    if !was_heard {
        return;
    }
    let status = desk.status.load(Ordering::SeqCst);
    if (200..300).contains(&status) {
        desk.got.lock().expect("nobody panics while adding").push(Delivered { headers, body });
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
