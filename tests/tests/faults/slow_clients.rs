//! Clients that never get to the end: of a head, of a body, of the next head, of what they asked for. They are hung up on in
//! time, and whoever behaves does not notice them.

use crate::{rounds, tell};
use futures_util::FutureExt;
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use tests::plant::from_now;
use tests::{Backend, Client, Method, Options, Person, Server, json, stories};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// What the server may take to notice on a busy machine.
const SLACK: Duration = Duration::from_secs(3);

/// The longest that a client waits to be hung up on.
const FOR_EVER: Duration = Duration::from_secs(100);

const HONEST: usize = 300;

const SECOND: Duration = Duration::from_secs(1);

/// How long it takes until all slow ones are there.
const ARRIVAL: Duration = Duration::from_millis(4500);

/// At what a client stops getting on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sloth {
    /// A byte a second of the head.
    Head,
    /// As much of the head after a good request.
    SecondHead,
    /// Nothing of the body.
    NoBody,
    /// A byte a second of the body.
    Body,
    /// Reads nothing of a long answer.
    Answer,
}

impl Sloth {
    /// How long the server waits.
    fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Head | Self::SecondHead => 5,
            Self::NoBody => 10,
            // The kernel notices that nothing is taken only when it asks, which it does less and less often.
            Self::Answer => 60,
            Self::Body => 30,
        })
    }
}

stories! {
    async fn who_never_gets_to_the_end_is_hung_up_on_and_nobody_else_notices(backend: Backend) {
        let server = Server::start_with(backend, Options::default()).await;
        let admin = server.admin().await;
        let machine = admin.machine_called("Press").await;
        fill(&admin, machine.id).await;
        let mut before = honest(&admin, &machine.path(), HONEST).await;

        let quick = [Sloth::Head, Sloth::SecondHead, Sloth::NoBody];
        let all = [Sloth::Head, Sloth::SecondHead, Sloth::NoBody, Sloth::Body, Sloth::Answer];
        let sloths = if rounds(0, 1) == 0 { &quick[..] } else { &all[..] };
        let mut crowd = JoinSet::new();
        let count = rounds(200, 2000);
        for number in 0..count {
            let (authority, token) = (server.authority().to_owned(), admin.token().to_owned());
            let sloth = sloths[number % sloths.len()];
            // They come one after the other, all before the first is hung up on, and do not all send their byte at once.
            let share = ARRIVAL.mul_f64(number as f64 / count as f64);
            crowd.spawn(async move {
                sleep(share).await;
                (sloth, suffer(&authority, &token, sloth).await)
            });
        }
        let mut meanwhile = Vec::new();
        while meanwhile.len() < HONEST || crowd.try_join_next().is_none() {
            meanwhile.extend(honest(&admin, &machine.path(), 50).await);
        }
        let ended = crowd.join_all().await;

        for sloth in sloths {
            let waits = ended.iter().filter(|(of, _)| of == sloth).map(|(_, wait)| *wait);
            let longest = waits.max().unwrap_or_default();
            tell(&format!("{backend:?}: {sloth:?} was waited for {:.1} s at most", longest.as_secs_f64()));
            assert!(longest <= sloth.limit() + SLACK, "{sloth:?} was waited for {longest:?}");
        }
        let (before, during) = (p99(&mut before), p99(&mut meanwhile));
        tell(&format!("{backend:?}: p99 of the honest {before:?} before, {during:?} with {} slow ones", ended.len()));
        // The server is not optimised here, and two thousand who come and ask within seconds take what cores there are.
        let hiccup = Duration::from_millis(20);
        assert!(during <= (before * 2).max(before + hiccup), "{during:?} after {before:?}");
    }
}

/// Readings for an answer that no socket's buffers hold.
async fn fill(by: &Person, machine: i64) {
    for batch in 0..3 {
        let line = |number: i64| {
            let at = from_now(-(batch * 10_000 + number));
            format!("{}\n", json!({"equipment": machine, "timestamp": at, "values": {"temperature": number}}))
        };
        let lines: String = (1..=10_000).map(line).collect();
        let bulk = by.call(Method::POST, "/api/data/bulk");
        bulk.body("application/x-ndjson", lines.as_bytes()).await.expect(200);
    }
}

/// How long each of so many good requests takes, one after the other.
async fn honest(by: &Client, path: &str, times: usize) -> Vec<Duration> {
    let mut took = Vec::new();
    for _ in 0..times {
        let asked = Instant::now();
        by.get(path).await.expect(200);
        took.push(asked.elapsed());
    }
    took
}

fn p99(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() * 99 / 100]
}

/// Is slow until the server has had enough, and answers how long that took.
async fn suffer(authority: &str, token: &str, sloth: Sloth) -> Duration {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let mut link = socket.connect(authority.parse().expect("an address")).await.expect("the server listens");
    let start = match sloth {
        Sloth::Head => String::new(),
        Sloth::SecondHead => "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
        Sloth::NoBody | Sloth::Body => format!(
            "POST /api/data HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 5000\r\n\
             Content-Type: application/json\r\n\r\n{{"
        ),
        Sloth::Answer => format!(
            "GET /api/data/export?format=ndjson HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
        ),
    };
    link.write_all(start.as_bytes()).await.expect("the server reads");
    if sloth == Sloth::SecondHead {
        let mut answer = [0; 4096];
        assert!(link.read(&mut answer).await.expect("the server answers") > 0);
    }
    let begun = Instant::now();
    let ended = timeout(FOR_EVER, dawdle(&mut link, sloth)).await;
    ended.unwrap_or_else(|_| panic!("{sloth:?} was never hung up on"));
    begun.elapsed()
}

/// An error once the server is gone, for whoever reads nothing. A kernel that gave a connection up says so only to those
/// who say something themselves.
fn is_over(link: &TcpStream) -> std::io::Result<()> {
    if let Some(error) = link.take_error()? {
        return Err(error);
    }
    let ready = link.ready(Interest::READABLE).now_or_never();
    if ready.is_some_and(|ready| ready.is_ok_and(|ready| ready.is_read_closed())) {
        return Err(ErrorKind::ConnectionReset.into());
    }
    match link.try_write(b" ") {
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Goes on being slow until nobody is there any more.
async fn dawdle(link: &mut TcpStream, sloth: Sloth) {
    let mut answer = [0; 4096];
    let head = b"GET /health/live HTTP/1.1\r\nX-Slow: ".iter().chain(std::iter::repeat(&b'a'));
    for byte in head {
        let sent = match sloth {
            Sloth::Head | Sloth::SecondHead => link.write_all(&[*byte]).await,
            Sloth::Body => link.write_all(b" ").await,
            Sloth::NoBody => Ok(()),
            Sloth::Answer => is_over(link),
        };
        if sent.is_err() {
            return;
        }
        if sloth == Sloth::Answer {
            sleep(SECOND).await;
            continue;
        }
        // An answer that comes first is one of 408; what ends the wait is the end of the connection.
        while let Ok(read) = timeout(SECOND, link.read(&mut answer)).await {
            if !read.is_ok_and(|length| length > 0) {
                return;
            }
        }
    }
}
