//! A server on a socket, and a client that listens to its events.

use super::face::str_of;
use super::plant::Plant;
use crate::{Listeners, serve};
use actix_web::rt::spawn;
use serde_json::Value;
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What takes longer never comes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for it, but not for ever.
pub(super) async fn soon<T>(awaited: impl Future<Output = T>) -> T {
    timeout(PATIENCE, awaited).await.expect("it should have come long since")
}

/// A server that other threads run.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<io::Result<()>>,
}

impl Running {
    pub(super) fn start(plant: &Plant) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let listeners = Listeners { api: listener, watchers: None };
        let serving = serve(listeners, plant.state.clone(), async move { stopped.await.unwrap_or_default() });
        Self { address, stop, server: spawn(serving) }
    }

    /// Tells it to stop, and waits until it did.
    pub(super) async fn stop(self) {
        self.stop.send(()).unwrap();
        soon(self.server).await.unwrap().unwrap();
    }

    /// Listens by this credential.
    pub(super) async fn listen(&self, path: &str, token: &str) -> Listener {
        self.listen_with(path, token, "").await
    }

    /// Listens with further headers.
    pub(super) async fn listen_with(&self, path: &str, token: &str, headers: &str) -> Listener {
        let stream = TcpStream::connect(self.address).await.unwrap();
        Listener::over(stream, path, token, headers).await
    }
}

/// A block of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) id: Option<String>,
    pub(super) event: String,
    pub(super) data: Value,
    pub(super) comment: bool,
}

impl Told {
    pub(super) fn id(&self) -> &str {
        self.id.as_deref().unwrap()
    }

    /// The temperature that the event tells of.
    pub(super) fn temperature(&self) -> f64 {
        assert_eq!(self.event, "values", "{self:?}");
        self.data["values"]["temperature"].as_f64().unwrap()
    }

    pub(super) fn reason(&self) -> &str {
        assert_eq!(self.event, "end", "{self:?}");
        str_of(&self.data["reason"])
    }
}

/// A client that listens.
pub(super) struct Listener {
    stream: BufReader<TcpStream>,
    pub(super) head: String,
}

impl Listener {
    pub(super) async fn over(stream: TcpStream, path: &str, token: &str, headers: &str) -> Self {
        let mut stream = BufReader::new(stream);
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(soon(stream.read_line(&mut head)).await.unwrap(), 0, "{head}");
        }
        Self { stream, head: head.to_ascii_lowercase() }
    }

    /// The next block as it comes, an empty one included; nothing at the end of the stream.
    pub(super) async fn block(&mut self) -> Option<Told> {
        let mut told = Told::default();
        loop {
            let mut line = String::new();
            if soon(self.stream.read_line(&mut line)).await.unwrap() == 0 {
                return None;
            }
            // What frames a chunk ends in both characters, what is told in one.
            if line.ends_with("\r\n") {
                continue;
            }
            let (name, value) = line.trim_end().split_once(':').unwrap_or_default();
            let value = value.trim_start();
            match name {
                "id" => told.id = Some(value.to_owned()),
                "event" => told.event = value.to_owned(),
                "data" => told.data = serde_json::from_str(value).unwrap(),
                "retry" => assert_eq!(value, "2000"),
                "" if line.starts_with(':') => told.comment = true,
                "" => return Some(told),
                other => panic!("{other} has no meaning here"),
            }
        }
    }

    /// Takes some hundred bytes, and has a rest.
    pub(super) async fn trickle(&mut self) {
        let mut bytes = [0; 256];
        let _ = self.stream.get_mut().read(&mut bytes).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    /// The next event.
    pub(super) async fn event(&mut self) -> Told {
        loop {
            let told = self.block().await.expect("the stream goes on");
            if !told.event.is_empty() {
                return told;
            }
        }
    }

    /// The next temperature.
    pub(super) async fn temperature(&mut self) -> f64 {
        self.event().await.temperature()
    }

    /// Waits for the last event, after which the connection is closed.
    pub(super) async fn end(mut self) -> Told {
        let last = self.event().await;
        assert_eq!(self.block().await, None);
        last
    }

    /// Goes without a word.
    pub(super) fn hang_up(self) {
        SockRef::from(self.stream.get_ref()).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// All that is still to come until the connection is gone, whatever it is.
    pub(super) async fn rest(mut self) -> usize {
        let mut bytes = Vec::new();
        let _ = soon(self.stream.read_to_end(&mut bytes)).await;
        bytes.len()
    }
}
