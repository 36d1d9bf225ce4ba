//! Eight writers at once, who send readings one by one, in arrays and by the line, and write to the register. They remember
//! what they sent and what was acknowledged. What was not acknowledged they send again, as a client may that was told to, but
//! for some that they leave alone: of those everything may be stored, or nothing.

use crate::ledger::{Attempt, Kind, Ledger};
use crate::tell;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tests::patience::{LONG, until};
use tests::plant::Machine;
use tests::{Person, Server, Value, json};
use tokio::task::JoinSet;

const WRITERS: usize = 8;
const IN_AN_ARRAY: i64 = 20;
const LINES: i64 = 60;

/// How long a writer waits before it sends again.
const PAUSE: Duration = Duration::from_millis(20);

/// Eight writers at work.
pub(crate) struct Writers {
    door: Arc<Door>,
    tasks: JoinSet<Ledger>,
}

/// Where the server is, and what happens there.
pub(crate) struct Door {
    base: Mutex<String>,
    token: String,
    http: reqwest::Client,
    closing: AtomicBool,
    acknowledged: AtomicU64,
    turned_away: AtomicU64,
    unknown: AtomicU64,
    unanswered: AtomicU64,
    improper: Mutex<Vec<String>>,
    longest: Mutex<(Duration, Option<Kind>)>,
}

impl Writers {
    /// Eight writers who bear this person's token.
    pub(crate) async fn start(server: &Server, by: &Person) -> Self {
        let door = Arc::new(Door::to(server, by.token()));
        by.post("/api/alert-rules", rule()).await.expect(201);
        let mut tasks = JoinSet::new();
        for number in 0..WRITERS {
            let machine = by.machine_called(&format!("Machine {number}")).await;
            tasks.spawn(Writer { door: Arc::clone(&door), ledger: Ledger::of(machine, number) }.write());
        }
        Self { door, tasks }
    }

    /// From now on the server is there.
    pub(crate) fn go_to(&self, server: &Server) {
        self.door.lead_to(server);
    }

    /// Waits until so much more was acknowledged.
    pub(crate) async fn acknowledge(&self, more: u64) {
        let goal = self.door.acknowledged.load(Ordering::Relaxed) + more;
        let enough = async || (self.door.acknowledged.load(Ordering::Relaxed) >= goal).then_some(());
        until("writes to be acknowledged", LONG, enough).await;
    }

    /// Waits until somebody more was told to come back.
    pub(crate) async fn turned_away(&self) {
        let so_far =
            || self.door.turned_away.load(Ordering::Relaxed) + self.door.unknown.load(Ordering::Relaxed);
        let before = so_far();
        until("somebody to be turned away", LONG, async || (so_far() > before).then_some(())).await;
    }

    /// How many outcomes were unknown so far.
    pub(crate) fn unknown(&self) -> u64 {
        self.door.unknown.load(Ordering::Relaxed)
    }

    /// Lets all finish what they are at, and answers what they remember.
    pub(crate) async fn finish(self) -> Vec<Ledger> {
        self.door.closing.store(true, Ordering::Relaxed);
        let ledgers = self.tasks.join_all().await;
        self.door.report();
        ledgers
    }

    /// Fails unless every answer so far was a good one, or a refusal that says when to come back, and none was long in coming.
    pub(crate) fn expect_manners(&self, patience: Duration) {
        let improper = self.door.improper.lock().unwrap();
        assert!(improper.is_empty(), "{} answers without manners: {:?}", improper.len(), improper.first());
        let (longest, kind) = *self.door.longest.lock().unwrap();
        assert!(longest <= patience, "somebody waited {longest:?} for {kind:?}");
    }
}

/// Every reading breaches it, so that with each an alert must count one more.
fn rule() -> Value {
    json!({"name": "Running", "metric": "temperature", "operator": ">", "threshold": -1000, "severity": "info"})
}

impl Door {
    fn to(server: &Server, token: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(LONG);
        // As in the harness: the server hangs up on idle connections.
        let http = http.pool_idle_timeout(Duration::from_secs(3)).build().expect("an HTTP client");
        let door = Self {
            base: Mutex::default(),
            token: token.to_owned(),
            http,
            closing: AtomicBool::default(),
            acknowledged: AtomicU64::default(),
            turned_away: AtomicU64::default(),
            unknown: AtomicU64::default(),
            unanswered: AtomicU64::default(),
            improper: Mutex::default(),
            longest: Mutex::default(),
        };
        door.lead_to(server);
        door
    }

    fn lead_to(&self, server: &Server) {
        *self.base.lock().unwrap() = format!("http://{}", server.authority());
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.base.lock().unwrap());
        self.http.request(method, url).bearer_auth(&self.token)
    }

    /// Sends one write; answers whether it was acknowledged.
    async fn send(&self, kind: Kind, request: RequestBuilder) -> bool {
        let started = Instant::now();
        let answer = request.send().await;
        let acknowledged = match answer {
            Ok(answer) => self.judge(answer).await,
            Err(_) => {
                self.unanswered.fetch_add(1, Ordering::Relaxed);
                false
            }
        };
        let took = started.elapsed();
        let mut longest = self.longest.lock().unwrap();
        if took > longest.0 {
            *longest = (took, Some(kind));
        }
        if acknowledged {
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
        acknowledged
    }

    async fn judge(&self, answer: Response) -> bool {
        let status = answer.status().as_u16();
        let comes_back = answer.headers().contains_key(RETRY_AFTER);
        let Ok(body) = answer.text().await else {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
            return false;
        };
        let json: Value = serde_json::from_str(&body).unwrap_or_default();
        match (status, json["code"].as_str()) {
            (200 | 201, _) => {
                json["rejected"] == 0 || json["rejected"].is_null() || self.complain(status, &body)
            }
            (503, Some("busy")) if comes_back => self.count(&self.turned_away),
            (503, Some("outcome_unknown")) if comes_back => self.count(&self.unknown),
            _ => self.complain(status, &body),
        }
    }

    fn count(&self, what: &AtomicU64) -> bool {
        what.fetch_add(1, Ordering::Relaxed);
        false
    }

    fn complain(&self, status: u16, body: &str) -> bool {
        self.improper.lock().unwrap().push(format!("{status} {body}"));
        false
    }

    fn report(&self) {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        tell(&format!(
            "  requests: {} acknowledged, {} turned away, {} of unknown outcome, {} without an answer; longest {:.2} s",
            of(&self.acknowledged),
            of(&self.turned_away),
            of(&self.unknown),
            of(&self.unanswered),
            self.longest.lock().unwrap().0.as_secs_f64(),
        ));
    }
}

struct Writer {
    door: Arc<Door>,
    ledger: Ledger,
}

impl Writer {
    async fn write(mut self) -> Ledger {
        let kinds = [Kind::One, Kind::Array, Kind::Lines, Kind::Piece, Kind::Change];
        for turn in 0.. {
            if self.door.closing.load(Ordering::Relaxed) {
                break;
            }
            let length = match kinds[turn % kinds.len()] {
                Kind::One | Kind::Piece | Kind::Change => 1,
                Kind::Array => IN_AN_ARRAY,
                Kind::Lines => LINES,
            };
            let attempt = self.ledger.begin(kinds[turn % kinds.len()], length);
            // Not the last: what is not acknowledged in the end may still be under way.
            let may_be_left_alone = turn % 3 == 0 && !self.door.closing.load(Ordering::Relaxed);
            let acknowledged = self.insist(&attempt, may_be_left_alone).await;
            self.ledger.end(attempt, acknowledged);
        }
        self.ledger
    }

    async fn insist(&self, attempt: &Attempt, may_be_left_alone: bool) -> bool {
        let deadline = Instant::now() + LONG;
        loop {
            if self.door.send(attempt.kind, self.request(attempt)).await {
                return true;
            }
            if may_be_left_alone {
                return false;
            }
            let improper = self.door.improper.lock().unwrap().first().cloned();
            assert!(Instant::now() < deadline, "{attempt:?} was sent in vain for {LONG:?}; {improper:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn request(&self, attempt: &Attempt) -> RequestBuilder {
        let (machine, writer) = (&self.ledger.machine, self.ledger.writer);
        let readings = || attempt.numbers().map(|number| reading(machine, number));
        let first = attempt.first;
        match attempt.kind {
            Kind::One => self.json(Method::POST, "/api/data", &reading(machine, first)),
            Kind::Array => self.json(Method::POST, "/api/data", &readings().collect()),
            Kind::Lines => {
                let lines: String = readings().map(|reading| format!("{reading}\n")).collect();
                let bulk = self.door.request(Method::POST, "/api/data/bulk");
                bulk.header(CONTENT_TYPE, "application/x-ndjson").body(lines)
            }
            Kind::Piece => {
                let serial = Ledger::serial(writer, first);
                let piece = json!({"name": serial, "type": "pump", "serial_number": serial});
                self.json(Method::POST, "/api/equipment", &piece).header("idempotency-key", serial)
            }
            Kind::Change => self.json(Method::PATCH, &machine.path(), &json!({"model": first.to_string()})),
        }
    }

    fn json(&self, method: Method, path: &str, body: &Value) -> RequestBuilder {
        self.door.request(method, path).header(CONTENT_TYPE, "application/json").body(body.to_string())
    }
}

fn reading(machine: &Machine, number: i64) -> Value {
    machine.reading(number, Ledger::values(number))
}
