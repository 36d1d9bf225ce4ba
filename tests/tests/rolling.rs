//! Two servers behind HAProxy are restarted one after the other, while people go on working. Nobody notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tests::balancer::Balancer;
use tests::plant::{Machine, second};
use tests::{Backend, Installation, Options, Person, Server, json};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// How many requests come a second: two hundred where that is what is asked for. Servers that are not optimised, on cores that
/// others want as well, have as much to do as they can with fewer, and say so; that is no story of restarts.
#[expect(clippy::disallowed_methods, reason = "this is how a test is told how much is wanted of it")]
fn a_second() -> u32 {
    if std::env::var("TEST_FRONT").is_ok() { 200 } else { 40 }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_notices_that_servers_are_restarted_one_after_the_other() {
    let installation = Installation::new(Backend::Postgres).await;
    // As long as an operator who changes nothing would let them announce it.
    let options = Options::default().unset("TECHTRACK_HTTP_DRAIN_DELAY_SECONDS");
    let start = async |options: Options| Server::start_alone(installation.clone(), options).await;
    let (one, two) = (start(options.clone()).await, start(options.clone()).await);
    let balancer = Balancer::before([one.authority(), two.authority()]).await;
    let admin = one.admin().await;
    let crowd = Crowd::begin(&balancer, &admin).await;
    // Before, between and after the restarts.
    let in_peace = a_second() as usize;

    crowd.served(in_peace).await;
    for (server, name) in [(one, "one"), (two, "two")] {
        let address = server.authority().to_owned();
        let finished = server.stop().await;
        assert!(finished.status.success(), "{finished:?}");
        balancer.finds_gone(name).await;
        crowd.served(in_peace).await;
        let again = start(options.clone().listening_on(&address)).await;
        balancer.finds_ready(name).await;
        crowd.served(in_peace).await;
        // It goes on until the story ends.
        crowd.keep(again);
    }
    crowd.finish(&balancer).await;
}

/// People who work, each request on its own.
struct Crowd {
    tally: Arc<Tally>,
    machine: Machine,
    token: String,
    kept: std::sync::Mutex<Vec<Server>>,
    work: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Tally {
    begun: AtomicUsize,
    served: AtomicUsize,
    closing: std::sync::atomic::AtomicBool,
    failures: std::sync::Mutex<Vec<String>>,
}

impl Tally {
    fn nothing_failed(&self) {
        // Not held while panicking: those who are still under way write theirs down, too.
        let failures = self.failures.lock().unwrap().clone();
        let begun = self.begun.load(Ordering::Relaxed);
        assert!(
            failures.is_empty(),
            "{} of {begun} requests failed:\n{}",
            failures.len(),
            failures.join("\n")
        );
    }
}

/// What is asked for.
#[derive(Clone)]
struct Desk {
    http: reqwest::Client,
    base: String,
    token: String,
    machine: Machine,
}

impl Crowd {
    async fn begin(balancer: &Balancer, by: &Person) -> Self {
        let machine = by.machine_called("Press").await;
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30));
        // HAProxy closes connections that are idle for five seconds.
        let http = http.pool_idle_timeout(Duration::from_secs(3)).build().expect("an HTTP client");
        let base = format!("http://{}", balancer.authority());
        let desk = Desk { http, base, token: by.token().to_owned(), machine: machine.clone() };
        let tally = Arc::<Tally>::default();
        let work = tokio::spawn(work(desk, Arc::clone(&tally)));
        Self { tally, machine, token: by.token().to_owned(), kept: std::sync::Mutex::default(), work }
    }

    /// Waits until so many more were served.
    async fn served(&self, more: usize) {
        let goal = self.tally.served.load(Ordering::Relaxed) + more;
        tests::patience::until("requests to be served", tests::patience::LONG, async || {
            self.tally.nothing_failed();
            (self.tally.served.load(Ordering::Relaxed) >= goal).then_some(())
        })
        .await;
    }

    fn keep(&self, server: Server) {
        self.kept.lock().unwrap().push(server);
    }

    /// Lets all finish. Whatever was acknowledged must be there.
    #[allow(clippy::print_stderr, reason = "the figures are what this test is run for")]
    async fn finish(self, balancer: &Balancer) {
        self.tally.closing.store(true, Ordering::Relaxed);
        self.work.await.expect("nobody panics");
        let begun = self.tally.begun.load(Ordering::Relaxed);
        eprintln!("{begun} requests during two restarts, {} a second", a_second());
        self.tally.nothing_failed();
        let desk = reqwest::Client::builder().no_proxy().build().expect("an HTTP client");
        let url = |path: &str| format!("http://{}{path}", balancer.authority());
        let count = async |path: &str| {
            let answer = desk.get(url(path)).bearer_auth(&self.token).send().await.expect("an answer");
            answer.text().await.expect("text")
        };
        let readings = count(&format!("/api/data/export?format=ndjson&equipment={}", self.machine.id)).await;
        assert_eq!(readings.lines().count(), (0..begun).filter(|number| number % 5 == 3).count());
        let pieces: tests::Value =
            serde_json::from_str(&count("/api/equipment?type=pump&page_size=1").await).expect("JSON");
        assert_eq!(pieces["count"], (0..begun).filter(|number| number % 5 == 4).count());
    }
}

async fn work(desk: Desk, tally: Arc<Tally>) {
    let mut tick = interval(Duration::from_secs(1) / a_second());
    // As open as people are: who comes late comes all the same.
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut under_way = JoinSet::new();
    while !tally.closing.load(Ordering::Relaxed) {
        tick.tick().await;
        let number = tally.begun.fetch_add(1, Ordering::Relaxed);
        let (desk, tally) = (desk.clone(), Arc::clone(&tally));
        under_way.spawn(async move {
            match desk.ask(number).await {
                Ok(()) => {
                    tally.served.fetch_add(1, Ordering::Relaxed);
                }
                Err(failure) => tally.failures.lock().unwrap().push(failure),
            }
        });
        while under_way.try_join_next().is_some() {}
    }
    under_way.join_all().await;
}

impl Desk {
    /// Three of five only read; one reports, one registers a piece.
    async fn ask(&self, number: usize) -> Result<(), String> {
        let url = |path: &str| format!("{}{path}", self.base);
        let request = match number % 5 {
            0 => self.http.get(url(&self.machine.path())),
            1 => self.http.get(url("/api/equipment?page_size=20")),
            2 => self.http.get(url(&self.machine.its("latest"))),
            3 => {
                let reading = json!({
                    "equipment": self.machine.id, "timestamp": second(number as i64), "values": {"temperature": number},
                });
                self.http.post(url("/api/data")).json(&reading)
            }
            _ => {
                let piece = json!({"name": "Pump", "type": "pump"});
                self.http
                    .post(url("/api/equipment"))
                    .json(&piece)
                    .header("idempotency-key", format!("pump-{number}"))
            }
        };
        let answer =
            request.bearer_auth(&self.token).send().await.map_err(|error| format!("{number}: {error:?}"))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| format!("{number}: {error:?}"))?;
        if status.is_success() { Ok(()) } else { Err(format!("{number}: {status} {text}")) }
    }
}
