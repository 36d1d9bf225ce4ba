//! The real server as a child process, with a plant in it: equipment, rules, and a key to send with.

use crate::failure::{Outcome, failed};
use crate::http::{Connection, request};
use crate::payload;
use crate::process;
use crate::sensors::{Row, SIGNALS};
use indicatif::ProgressBar;
use serde_json::{Value, json};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::sleep;

const PASSWORD: &str = "an echo beyond the last kiln";

/// For how long a server may be getting ready or stopping.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that runs.
pub(crate) struct Server {
    child: Child,
    pid: u32,
    address: SocketAddr,
    /// An API key that may do all that the figures need.
    key: String,
    log: TempDir,
}

impl Server {
    /// Starts one over this database, waits until it is ready, and makes a key.
    pub(crate) async fn start(binary: &Path, database_url: &str) -> Outcome<Self> {
        let mut server = Self::start_with(binary, database_url, String::new()).await?;
        server.key = server.make_key().await?;
        Ok(server)
    }

    /// Starts one over a database in which this key is known, and waits until it is ready.
    pub(crate) async fn start_with(binary: &Path, database_url: &str, key: String) -> Outcome<Self> {
        let log = tempfile::tempdir()?;
        let address = free_address()?;
        let child = Command::new(binary)
            .arg("serve")
            .current_dir(log.path())
            .env("TECHTRACK_LISTEN", address.to_string())
            .env("DATABASE_URL", database_url)
            .env("TECHTRACK_ADMIN_PASSWORD", PASSWORD)
            .env("TECHTRACK_SIGN_IN_LIMITS", "off")
            .env("TECHTRACK_RATE_LIMIT_PER_MINUTE", "0")
            // Points are the same readings as what comes otherwise.
            .env("TECHTRACK_INFLUX_METRIC_NAMES", "field")
            .env("TECHTRACK_LOG", "warn,techtrack::serve=info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(log.path().join("log"))?)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(format!("{} cannot be started: {error}", binary.display())))?;
        let pid = child.id().ok_or_else(|| failed("the server ended at once"))?;
        let mut server = Self { child, pid, address, key, log };
        server.wait_until_ready().await?;
        Ok(server)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it is asked with.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The most memory that it ever had.
    pub(crate) fn peak_memory_mib(&self) -> f64 {
        process::peak_memory_mib(self.pid).unwrap_or(f64::NAN)
    }

    /// Asks it to stop, waits until it has, and hands back the key.
    pub(crate) async fn stop(mut self) -> Outcome<String> {
        Command::new("kill").arg(self.pid.to_string()).status().await?;
        tokio::time::timeout(PATIENCE, self.child.wait())
            .await
            .map_err(|_| failed("the server does not stop"))??;
        Ok(self.key)
    }

    /// A request of this key.
    pub(crate) fn request(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
        let bearer = format!("Bearer {}", self.key);
        request(method, path, &[("Authorization", &bearer), ("Content-Type", content_type)], body)
    }

    /// A request for what this path names.
    pub(crate) fn get(&self, path: &str) -> Vec<u8> {
        request("GET", path, &[("Authorization", &format!("Bearer {}", self.key))], b"")
    }

    /// A request to sign the administrator in.
    pub(crate) fn sign_in(&self) -> Vec<u8> {
        let credentials = json!({"username": "admin", "password": PASSWORD}).to_string();
        request("POST", "/api/token/", &[("Content-Type", "application/json")], credentials.as_bytes())
    }

    async fn wait_until_ready(&mut self) -> Outcome<()> {
        let begun = Instant::now();
        let ask = request("GET", "/health/ready", &[], b"");
        while begun.elapsed() < PATIENCE {
            if let Ok(mut connection) = Connection::open(self.address).await
                && connection.exchange(&ask).await.is_ok_and(|answer| answer.status == 200)
            {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(failed(format!("the server ended with {status}: {}", self.last_words())));
            }
            sleep(Duration::from_millis(20)).await;
        }
        Err(failed(format!("the server does not get ready: {}", self.last_words())))
    }

    fn last_words(&self) -> String {
        std::fs::read_to_string(self.log.path().join("log")).unwrap_or_default()
    }

    async fn make_key(&self) -> Outcome<String> {
        let mut connection = Connection::open(self.address).await?;
        let access = text_of(&created(&mut connection, &self.sign_in()).await?, "access")?;
        let bearer = format!("Bearer {access}");
        let wish = json!({"name": "bench", "permissions": [
            "equipment:read", "equipment:write", "data:read", "data:write", "rules:read", "rules:write",
            "alerts:read", "alerts:write", "alerts:acknowledge",
        ]});
        let headers = [("Content-Type", "application/json"), ("Authorization", bearer.as_str())];
        let make_key = request("POST", "/api/api-keys/", &headers, wish.to_string().as_bytes());
        text_of(&created(&mut connection, &make_key).await?, "secret")
    }

    /// Posts these objects over a few connections and gives the numbers that they got, in their order.
    async fn post_all(&self, path: &str, objects: &[Value], what: &str) -> Outcome<Vec<i64>> {
        let progress = crate::terminal::progress(objects.len() as u64, what);
        let mut running = JoinSet::new();
        for (place, share) in objects.chunks(objects.len().div_ceil(POSTING).max(1)).enumerate() {
            let body = |object: &Value| object.to_string().into_bytes();
            let posts =
                share.iter().map(|object| self.request("POST", path, "application/json", &body(object)));
            let (posts, address, progress) = (posts.collect::<Vec<_>>(), self.address, progress.clone());
            running
                .spawn(async move { post(address, &posts, &progress).await.map(|numbers| (place, numbers)) });
        }
        let mut parts: Vec<(usize, Vec<i64>)> = Vec::new();
        while let Some(part) = running.join_next().await {
            parts.push(part??);
        }
        progress.finish_and_clear();
        parts.sort_unstable();
        Ok(parts.into_iter().flat_map(|(_, numbers)| numbers).collect())
    }

    /// Registers equipment, of ten types in turn, after that many others.
    pub(crate) async fn register(&self, registered: usize, count: usize) -> Outcome<Vec<i64>> {
        let piece = |number: usize| {
            json!({
                "name": format!("Machine {number}"), "type": kind_of(number), "model": "WR-9",
                "manufacturer": "Example Robotics", "serial_number": format!("BN-{number:06}"),
                "location": format!("plant-1/line-{}", number % 20), "attributes": {"payload_kg": 12},
            })
        };
        let pieces: Vec<Value> = (registered..registered + count).map(piece).collect();
        self.post_all("/api/equipment/", &pieces, "registering equipment").await
    }

    /// Raises that many alerts, each about another machine, and gives their numbers.
    pub(crate) async fn raise_alerts(&self, count: usize, equipment: &[i64]) -> Outcome<Vec<i64>> {
        let alerts: Vec<Value> = equipment.iter().cycle().take(count).map(|piece| alert(*piece)).collect();
        self.post_all("/api/alerts/", &alerts, "raising alerts").await
    }

    /// A request to raise an alert about this machine.
    pub(crate) fn raise_alert(&self, equipment: i64) -> Vec<u8> {
        self.request("POST", "/api/alerts/", "application/json", alert(equipment).to_string().as_bytes())
    }

    /// Stores these readings, whatever it takes.
    pub(crate) async fn store(&self, rows: &[Row]) -> Outcome<()> {
        let mut connection = Connection::open(self.address).await?;
        for batch in rows.chunks(BATCH) {
            let batch = payload::ndjson(batch);
            let request = self.request("POST", "/api/data/bulk", "application/x-ndjson", &batch);
            created(&mut connection, &request).await?;
        }
        Ok(())
    }

    /// Makes rules of which every reading is judged by ten, one a metric, and which none breaks: up to a hundred are
    /// about types, more are about single pieces.
    pub(crate) async fn make_rules(&self, count: usize, equipment: &[i64]) -> Outcome<()> {
        let mut rules = Vec::with_capacity(count);
        for number in 0..count {
            let Some(signal) = SIGNALS.get(number % SIGNALS.len()) else { continue };
            let group = number / SIGNALS.len();
            let mut rule = json!({
                "name": format!("Limit {number}"), "metric": signal.metric, "operator": ">",
                "threshold": signal.never(), "severity": "warning",
            });
            let target = match equipment.get(group) {
                Some(piece) if count > KINDS * SIGNALS.len() => ("equipment", json!(piece)),
                _ => ("equipment_type", json!(kind_of(group))),
            };
            if let Some(fields) = rule.as_object_mut() {
                fields.insert(target.0.to_owned(), target.1);
            }
            rules.push(rule);
        }
        self.post_all("/api/alert-rules/", &rules, "making rules").await.map(drop)
    }
}

/// Rolls up and packs all that is old, which is all that is sent here.
pub(crate) async fn tend(binary: &Path, database_url: &str) -> Outcome<()> {
    let mut tend = Command::new(binary);
    tend.arg("tend").env("DATABASE_URL", database_url).stdin(Stdio::null());
    let done = tend.output().await?;
    if done.status.success() {
        return Ok(());
    }
    Err(failed(format!("techtrack tend: {}", String::from_utf8_lossy(&done.stderr).trim())))
}

/// Over how many connections the plant is made.
const POSTING: usize = 8;

/// Readings in a request when many are stored that are not measured.
const BATCH: usize = 10_000;

fn alert(equipment: i64) -> Value {
    json!({"equipment": equipment, "severity": "warning", "description": "Sounds unwell."})
}

/// How many types of equipment there are.
const KINDS: usize = 10;

fn kind_of(number: usize) -> String {
    format!("kind-{}", number % KINDS)
}

async fn post(address: SocketAddr, posts: &[Vec<u8>], progress: &ProgressBar) -> Outcome<Vec<i64>> {
    let mut connection = Connection::open(address).await?;
    let mut numbers = Vec::with_capacity(posts.len());
    for post in posts {
        let answer = created(&mut connection, post).await?;
        numbers.push(answer.get("id").and_then(Value::as_i64).ok_or_else(|| failed("no id was answered"))?);
        progress.inc(1);
    }
    Ok(numbers)
}

/// Asks for what is not measured, and again where there is too much to do.
async fn created(connection: &mut Connection, request: &[u8]) -> Outcome<Value> {
    let begun = Instant::now();
    loop {
        let answer = connection.exchange(request).await?;
        if (200..300).contains(&answer.status) {
            return Ok(serde_json::from_slice(answer.body)?);
        }
        if !answer.is_turned_away() || begun.elapsed() > PATIENCE {
            return Err(failed(format!("the server answered {}: {}", answer.status, answer.excerpt())));
        }
        sleep(Duration::from_millis(200)).await;
    }
}

fn text_of(object: &Value, field: &str) -> Outcome<String> {
    let text = object.get(field).and_then(Value::as_str);
    text.map(str::to_owned).ok_or_else(|| failed(format!("the answer has no {field}")))
}

/// An address on which nobody listens.
pub(crate) fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
