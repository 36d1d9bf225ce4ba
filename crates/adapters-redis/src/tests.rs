//! Against real Redis servers, healthy, dead and frozen, and against one that lies.
//!
//! Most tests use the server at `TEST_REDIS_URL`; those that harm it start one of their own.

use super::*;
use async_trait::async_trait;
use domain::testing::FrozenClock;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A fallback that grants everything and is known by its limit.
#[derive(Default)]
struct Fallback {
    asked: AtomicU32,
}

const BY_FALLBACK: Allowance =
    Allowance { granted: true, limit: 4242, remaining: 4241, retry_after: Duration::ZERO };

#[async_trait]
impl Allowances for Fallback {
    async fn take(&self, _caller: &str, _per_minute: u32) -> Allowance {
        self.asked.fetch_add(1, Ordering::Relaxed);
        BY_FALLBACK
    }

    fn sharing(&self) -> Sharing {
        Sharing::Alone
    }
}

impl super::Fallback for Fallback {
    fn note(&self, _caller: &str, _debt: Duration) {}
}

/// So patient that a busy machine does not look like a broken Redis; quick to try again.
const PATIENT: Timing = Timing {
    answer: Duration::from_secs(20),
    connection: Duration::from_secs(20),
    back_off: Duration::from_millis(50),
};

/// As in production, but for the tries to connect.
const EAGER: Timing = Timing {
    answer: Duration::from_millis(50),
    connection: Duration::from_millis(500),
    back_off: Duration::from_millis(50),
};

fn instance(url: &str, timing: Timing) -> SharedAllowances {
    SharedAllowances::connect_with(url, Arc::new(Fallback::default()), timing).unwrap()
}

/// Waits for the link, and says what to do when there is no Redis.
async fn up(allowances: &SharedAllowances, url: &str) {
    let patience = Duration::from_secs(30);
    assert!(
        tokio::time::timeout(patience, allowances.link.up()).await.is_ok(),
        "no Redis answers at {url}: start one (`redis-server`) or name one in TEST_REDIS_URL"
    );
}

#[expect(clippy::disallowed_methods, reason = "the environment says where the tests' Redis is")]
fn url() -> String {
    std::env::var("TEST_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".into())
}

/// An instance on the tests' Redis that is up, and a connection to look behind it.
async fn healthy() -> (SharedAllowances, redis::aio::MultiplexedConnection) {
    let allowances = instance(&url(), PATIENT);
    up(&allowances, &url()).await;
    let direct = redis::Client::open(url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    (allowances, direct)
}

/// A caller that no other test, nor an earlier run, has used.
fn caller() -> String {
    static CALLERS: AtomicU32 = AtomicU32::new(0);
    format!("test:{}:{}", std::process::id(), CALLERS.fetch_add(1, Ordering::Relaxed))
}

/// A Redis of a test's own, to be harmed.
struct Server {
    process: Child,
    port: u16,
}

impl Server {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { process: Self::run(port), port }
    }

    fn run(port: u16) -> Child {
        Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port", &port.to_string()])
            .stdout(Stdio::null())
            .spawn()
            .expect("these tests start a redis-server of their own: install one (Debian: redis-server)")
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn restart(&mut self) {
        self.process = Self::run(self.port);
    }

    fn signal(&self, signal: &str) {
        // The shell's own `kill`: the program of that name is missing on small machines.
        let command = format!("kill {signal} {}", self.process.id());
        let sent = Command::new("sh").args(["-c", &command]).status().unwrap();
        assert!(sent.success());
    }

    /// Connections are accepted still, by the kernel; nobody answers.
    fn freeze(&self) {
        self.signal("-STOP");
    }

    fn thaw(&self) {
        self.signal("-CONT");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

#[tokio::test]
async fn a_bucket_grants_its_limit_and_then_says_when_the_next_request_is_due() {
    let (allowances, _) = healthy().await;
    let caller = caller();
    for remaining in [2, 1, 0] {
        let allowance = allowances.take(&caller, 3).await;
        assert_eq!((allowance.granted, allowance.limit, allowance.remaining), (true, 3, remaining));
    }
    let refused = allowances.take(&caller, 3).await;
    assert_eq!((refused.granted, refused.limit, refused.remaining), (false, 3, 0));
    let wait = refused.retry_after;
    assert!(wait > Duration::from_secs(10) && wait <= Duration::from_secs(20), "{wait:?}");
    assert!(allowances.take(&self::caller(), 3).await.granted, "others are not concerned");
    assert!(!allowances.take(&self::caller(), 0).await.granted, "no limit grants nothing");
}

#[tokio::test]
async fn a_bucket_refills() {
    let (allowances, _) = healthy().await;
    let caller = caller();
    while allowances.take(&caller, 600).await.granted {}
    let refused = allowances.take(&caller, 600).await;
    tokio::time::sleep(refused.retry_after + Duration::from_millis(1)).await;
    assert!(allowances.take(&caller, 600).await.granted);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_share_one_bucket_exactly() {
    let instances = [Arc::new(healthy().await.0), Arc::new(healthy().await.0)];
    let caller = caller();
    let start = Instant::now();
    let requests: Vec<_> = (0..500)
        .map(|request| {
            let (instance, caller) = (Arc::clone(&instances[request % 2]), caller.clone());
            tokio::spawn(async move { instance.take(&caller, 100).await })
        })
        .collect();
    let mut granted = 0;
    for request in requests {
        let allowance = request.await.unwrap();
        assert_eq!(allowance.limit, 100, "answered by the fallback");
        granted += u32::from(allowance.granted);
    }
    let gained = u32::try_from(start.elapsed().as_millis() / 600).unwrap();
    assert!((100..=100 + gained).contains(&granted), "{granted} granted, {gained} gained meanwhile");
}

#[tokio::test]
async fn a_bucket_is_forgotten_when_it_is_full() {
    let (allowances, mut redis) = healthy().await;
    let caller = caller();
    allowances.take(&caller, 60).await;
    let key = format!("techtrack:allowance:{caller}");
    let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut redis).await.unwrap();
    assert!((1..=1000).contains(&left), "{left} ms");
}

#[tokio::test]
async fn what_somebody_else_put_in_a_buckets_place_is_overwritten() {
    let (allowances, mut redis) = healthy().await;
    let intruders: [(&str, &[&str]); 6] = [
        ("HSET", &["a", "b"]),
        ("RPUSH", &["a"]),
        ("SET", &["no number"]),
        ("SET", &["nan"]),
        ("SET", &["1e308"]),
        ("SET", &["-1"]),
    ];
    for (command, arguments) in intruders {
        let caller = caller();
        let key = format!("techtrack:allowance:{caller}");
        redis::cmd(command).arg(&key).arg(arguments).exec_async(&mut redis).await.unwrap();
        let first = allowances.take(&caller, 6000).await;
        assert_eq!(first.limit, 6000, "{command} {arguments:?}");
        // One that is never full counts as empty, once.
        tokio::time::sleep(first.retry_after).await;
        assert!(allowances.take(&caller, 6000).await.granted, "{command} {arguments:?}");
        let left: i64 = redis::cmd("PTTL").arg(&key).query_async(&mut redis).await.unwrap();
        assert_ne!(left, -1, "{command} {arguments:?}: stays for ever");
    }
}

#[tokio::test]
async fn a_redis_that_dies_is_done_without_and_taken_up_again() {
    let mut server = Server::start();
    let allowances = instance(&server.url(), PATIENT);
    up(&allowances, &server.url()).await;
    assert_eq!(allowances.take("anna", 10).await.limit, 10);

    server.kill();
    assert_eq!(allowances.take("anna", 10).await, BY_FALLBACK);
    assert_eq!(allowances.take("anna", 10).await, BY_FALLBACK);

    server.restart();
    up(&allowances, &server.url()).await;
    assert_eq!(allowances.take("anna", 10).await.remaining, 9, "a new Redis, a new bucket");
}

#[tokio::test]
async fn whoever_does_without_redis_goes_on_from_what_it_said_last() {
    let mut server = Server::start();
    let local = Arc::new(LocalAllowances::new(Arc::new(FrozenClock::default())));
    let allowances = SharedAllowances::connect_with(&server.url(), local, PATIENT).unwrap();
    up(&allowances, &server.url()).await;
    for remaining in [2, 1] {
        assert_eq!(allowances.take("anna", 3).await.remaining, remaining);
    }
    server.kill();
    let granted = [(); 3].map(|()| allowances.take("anna", 3));
    let [first, second, third] = granted;
    assert!(first.await.granted && !second.await.granted && !third.await.granted);
    assert!(allowances.take("berta", 3).await.granted);
}

#[tokio::test]
async fn a_redis_that_is_not_there_yet_is_done_without_until_it_is() {
    let mut server = Server::start();
    server.kill();
    let allowances = instance(&server.url(), PATIENT);
    assert_eq!(allowances.take("anna", 10).await, BY_FALLBACK);
    server.restart();
    up(&allowances, &server.url()).await;
    assert_eq!(allowances.take("anna", 10).await.limit, 10);
}

#[tokio::test]
async fn a_frozen_redis_costs_fifty_milliseconds_once() {
    let server = Server::start();
    let allowances = instance(&server.url(), EAGER);
    up(&allowances, &server.url()).await;
    while allowances.take("anna", 10).await == BY_FALLBACK {
        up(&allowances, &server.url()).await;
    }

    server.freeze();
    let start = Instant::now();
    assert_eq!(allowances.take("anna", 10).await, BY_FALLBACK);
    let first = start.elapsed();
    assert!(first >= Duration::from_millis(50), "it was not asked: {first:?}");
    assert!(first < Duration::from_millis(200), "{first:?}");

    // Longer than several tries to connect again, which are not at the callers' expense.
    let mut requests = Vec::new();
    while start.elapsed() < Duration::from_millis(1500) {
        let start = Instant::now();
        assert_eq!(allowances.take("anna", 10).await, BY_FALLBACK);
        requests.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    requests.sort_unstable();
    let ninety_percent = requests[requests.len() * 9 / 10];
    assert!(ninety_percent < Duration::from_millis(5), "{ninety_percent:?}");

    server.thaw();
    up(&allowances, &server.url()).await;
}

#[tokio::test]
async fn requests_that_were_under_way_when_redis_froze_wait_side_by_side() {
    let server = Server::start();
    let allowances = Arc::new(instance(&server.url(), EAGER));
    up(&allowances, &server.url()).await;
    server.freeze();
    let start = Instant::now();
    let requests: Vec<_> = (0..2000)
        .map(|_| {
            let allowances = Arc::clone(&allowances);
            tokio::spawn(async move { allowances.take("anna", 10).await })
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap(), BY_FALLBACK);
    }
    assert!(start.elapsed() < Duration::from_millis(500), "{:?}", start.elapsed());
}

#[tokio::test]
async fn falling_back_is_said_once_and_so_is_its_end() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut server = Server::start();
    let allowances = instance(&server.url(), PATIENT);
    up(&allowances, &server.url()).await;
    let starts = || log.count("each instance counts requests for itself");
    let ends = || log.count("instances count requests together");
    // The server may have needed a moment to start, which is said as well.
    let before = starts();
    assert_eq!(ends(), before);

    server.kill();
    for _request in 0..100 {
        assert_eq!(allowances.take("anna", 10).await, BY_FALLBACK);
    }
    assert_eq!((starts(), ends()), (before + 1, before));
    server.restart();
    up(&allowances, &server.url()).await;
    for _request in 0..100 {
        assert_ne!(allowances.take("anna", 10).await, BY_FALLBACK);
    }
    assert_eq!((starts(), ends()), (before + 1, before + 1));
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl Log {
    fn count(&self, text: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock().unwrap()).matches(text).count()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Log {
    type Writer = Log;

    fn make_writer(&'a self) -> Log {
        self.clone()
    }
}

#[tokio::test]
async fn a_redis_that_lies_is_not_believed() {
    let lies: [&[u8]; 23] = [
        b":1\r\n",
        b"+OK\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"*1\r\n:1\r\n",
        b"*3\r\n:1\r\n:0\r\n:0\r\n",
        b"*2\r\n:2\r\n:0\r\n",
        b"*2\r\n:-1\r\n:0\r\n",
        b"*2\r\n:1\r\n:-1\r\n",
        b"*2\r\n:1\r\n:0\r\n",
        b"*2\r\n:0\r\n:0\r\n",
        b"*2\r\n:0\r\n:54000000\r\n",
        b"*2\r\n:1\r\n:60000001\r\n",
        b"*2\r\n:1\r\n:9223372036854775807\r\n",
        b"*2\r\n:1\r\n:9223372036854775808\r\n",
        b"*2\r\n$3\r\nabc\r\n:0\r\n",
        b"*2\r\n*1\r\n:1\r\n:0\r\n",
        b"*2147483647\r\n:1\r\n",
        b"-READONLY You can't write against a read only replica.\r\n",
        b"-\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xff\xfe\x00\r\n",
    ];
    for lie in lies {
        let url = liar(lie).await;
        let allowances = instance(&url, EAGER);
        up(&allowances, &url).await;
        let told = String::from_utf8_lossy(lie);
        assert_eq!(allowances.take("anna", 10).await, BY_FALLBACK, "{told}");
    }
}

/// A server that gives every connection one good answer, and from then on lies.
async fn liar(lie: &'static [u8]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut answer: &[u8] = b"*2\r\n:1\r\n:1\r\n";
                let mut received = [0; 4096];
                while let Ok(length @ 1..) = client.read(&mut received).await {
                    let commands = String::from_utf8_lossy(&received[..length]).into_owned();
                    for _greeting in commands.matches("SETINFO") {
                        client.write_all(b"+OK\r\n").await.unwrap();
                    }
                    if commands.contains("EVALSHA") {
                        client.write_all(answer).await.unwrap();
                        answer = lie;
                    }
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn a_late_failure_of_an_earlier_connection_does_not_cost_the_present_one() {
    let (allowances, _) = healthy().await;
    let link = &allowances.link;
    link.lose(0);
    link.up().await;
    link.lose(0);
    assert!(link.is_up());
    link.lose(1);
    assert!(!link.is_up());
}

#[tokio::test]
async fn an_address_that_makes_no_sense_is_refused_without_being_repeated() {
    for url in ["", "127.0.0.1", "http://user:hunter42@localhost", "redis://user:hunter42@:port"] {
        let refused = SharedAllowances::connect(url, Arc::new(Fallback::default())).err().unwrap();
        let LinkError::Url(source) = refused else { panic!("{url}: {refused}") };
        assert!(!format!("{source} {source:?}").contains("hunter42"), "{source:?}");
    }
}

#[test]
fn outside_a_runtime_there_is_nobody_to_keep_the_link() {
    let refused = SharedAllowances::connect(&url(), Arc::new(Fallback::default()));
    assert!(matches!(refused, Err(LinkError::NoRuntime(_))));
}
