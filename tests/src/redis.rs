//! A Redis of a story's own, to kill, to freeze and to empty; and one that is none and answers whatever it likes.

use crate::patience::{LONG, until};
use std::process::{Child, Command, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A Redis server. Killed when dropped.
pub struct Redis {
    process: Child,
    port: u16,
}

impl Redis {
    /// Starts one and waits until it answers.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let redis = Self { process: run(port), port };
        redis.answers().await;
        redis
    }

    /// Where servers find it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends it without a word.
    pub fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ends");
    }

    /// Starts it again, with nothing in it.
    pub async fn restart(&mut self) {
        self.process = run(self.port);
        self.answers().await;
    }

    /// It accepts connections still, and says nothing any more.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// It goes on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    /// Forgets everything.
    pub async fn flush(&self) {
        assert_eq!(self.say("FLUSHALL").await.as_deref(), Some("+OK\r\n"));
    }

    async fn answers(&self) {
        until("Redis to answer", LONG, async || {
            self.say("PING").await.filter(|answer| answer == "+PONG\r\n")
        })
        .await;
    }

    async fn say(&self, command: &str) -> Option<String> {
        let mut link = TcpStream::connect(("127.0.0.1", self.port)).await.ok()?;
        link.write_all(format!("{command}\r\n").as_bytes()).await.ok()?;
        let mut answer = [0; 64];
        let length = link.read(&mut answer).await.ok()?;
        Some(String::from_utf8_lossy(&answer[..length]).into_owned())
    }

    fn signal(&self, signal: &str) {
        // The shell's own `kill`: the program of that name is missing on small machines.
        let command = format!("kill {signal} {}", self.process.id());
        let sent = Command::new("sh").args(["-c", &command]).status().expect("a shell");
        assert!(sent.success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(port: u16) -> Child {
    Command::new("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port.to_string()])
        .stdout(Stdio::null())
        .spawn()
        .expect("these stories start a redis-server of their own: install one (Debian: redis-server)")
}

/// Listens like Redis, answers one question of each connection well, and every other one with this. Tells its URL.
pub async fn liar(lie: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("redis://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(lie_to(client, lie));
        }
    });
    url
}

async fn lie_to(mut client: TcpStream, lie: &'static [u8]) {
    let mut answer: &[u8] = b"*2\r\n:1\r\n:0\r\n";
    let mut received = [0; 4096];
    while let Ok(length @ 1..) = client.read(&mut received).await {
        let commands = String::from_utf8_lossy(&received[..length]).into_owned();
        let greetings = "+OK\r\n".repeat(commands.matches("SETINFO").count());
        let asked = if commands.contains("EVALSHA") { std::mem::replace(&mut answer, lie) } else { b"" };
        if client.write_all(&[greetings.as_bytes(), asked].concat()).await.is_err() {
            return;
        }
    }
}
