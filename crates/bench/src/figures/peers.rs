//! How fast databases that are made for series take in the same readings, sent by line protocol over HTTP.

use crate::failure::{Outcome, failed};
use crate::figures::bulk::{Form, Way, send};
use crate::http::{Connection, request};
use crate::load::{self, Lane, Pace};
use crate::payload;
use crate::plan::{Plan, Split};
use crate::results::{Bar, Figure, Measured, Plot, Table, rounded};
use crate::sensors::METRICS;
use crate::statistics::median;
use crate::terminal::say;
use crate::workshop::Workshop;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::sleep;

/// Over how many connections and with how many lines a request everybody is fed. Each is at its best with another.
const WAYS: [(usize, usize); 6] = [(1, 5_000), (1, 10_000), (2, 5_000), (2, 10_000), (4, 5_000), (4, 10_000)];

const PATIENCE: Duration = Duration::from_secs(30);

/// A database that runs with its data in a directory of its own.
struct Peer {
    name: &'static str,
    address: SocketAddr,
    path: &'static str,
    _child: Child,
    _data: TempDir,
}

impl Peer {
    async fn victoria_metrics() -> Outcome<Self> {
        let (data, address) = (tempfile::tempdir()?, free_address()?);
        let child = quietly(
            Command::new("victoria-metrics")
                .arg(format!("-storageDataPath={}", data.path().display()))
                .arg(format!("-httpListenAddr={address}"))
                .arg("-retentionPeriod=100y"),
        )?;
        let peer = Self { name: "VictoriaMetrics", address, path: "/write", _child: child, _data: data };
        peer.ready("GET", "/health").await
    }

    async fn influxdb() -> Outcome<Self> {
        let (data, address, other) = (tempfile::tempdir()?, free_address()?, free_address()?);
        let configuration = data.path().join("influxdb.conf");
        std::fs::write(&configuration, influxdb_configuration(data.path(), address, other))?;
        let child = quietly(Command::new("influxd").arg("-config").arg(&configuration))?;
        let peer = Self { name: "InfluxDB", address, path: "/write?db=bench", _child: child, _data: data };
        peer.ready("POST", "/query?q=CREATE%20DATABASE%20bench").await
    }

    /// Waits until this request succeeds.
    async fn ready(self, method: &str, path: &str) -> Outcome<Self> {
        let begun = Instant::now();
        let ask = request(method, path, &[], b"");
        while begun.elapsed() < PATIENCE {
            if let Ok(mut connection) = Connection::open(self.address).await
                && connection.exchange(&ask).await.is_ok_and(|answer| answer.status == 200)
            {
                return Ok(self);
            }
            sleep(Duration::from_millis(50)).await;
        }
        Err(failed(format!("{} does not get ready", self.name)))
    }

    /// Values a second that it takes.
    async fn take(&self, split: &Split, lines: usize) -> Outcome<f64> {
        let lane = |rows: &Vec<_>| {
            let requests =
                rows.chunks(lines).map(|rows| request("POST", self.path, &[], &payload::lines(rows)));
            Lane::once(requests.collect())
        };
        let lanes = split.lanes.iter().map(lane).collect();
        let ran = load::drive(self.address, lanes, Pace::Saturating, load::one).await?;
        Ok((split.whole.len() * METRICS) as f64 / ran.elapsed.as_secs_f64())
    }
}

fn influxdb_configuration(data: &Path, http: SocketAddr, other: SocketAddr) -> String {
    let data = data.display();
    format!(
        "reporting-disabled = true\nbind-address = \"{other}\"\n\
         [meta]\n  dir = \"{data}/meta\"\n[data]\n  dir = \"{data}/data\"\n  wal-dir = \"{data}/wal\"\n\
         [monitor]\n  store-enabled = false\n[http]\n  bind-address = \"{http}\"\n  log-enabled = false\n"
    )
}

fn quietly(program: &mut Command) -> Outcome<Child> {
    let name = program.as_std().get_program().to_string_lossy().into_owned();
    program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    program.spawn().map_err(|error| failed(format!("{name} cannot be started: {error}")))
}

fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Rates of one of those that are fed, by way.
struct Fed {
    name: &'static str,
    rates: [Vec<f64>; WAYS.len()],
}

impl Fed {
    fn new(name: &'static str) -> Self {
        Self { name, rates: Default::default() }
    }

    fn note(&mut self, place: usize, rate: f64) {
        say(&format!("peers  {}: {} values/s", self.name, rounded(rate)));
        if let Some(rates) = self.rates.get_mut(place) {
            rates.push(rate);
        }
    }

    fn best(&self) -> f64 {
        self.rates.iter().map(|rates| median(rates)).fold(0.0, f64::max)
    }
}

/// Feeds everybody in turn.
pub(crate) async fn measure(shop: &mut Workshop) -> Outcome<Figure> {
    let plan = &shop.plan.clone();
    let mut plant = shop.plant("peers", 100).await?;
    let (victoria, influx) = (Peer::victoria_metrics().await?, Peer::influxdb().await?);
    let mut ours = Fed::new("TechTrack");
    let mut peers = [(Fed::new(victoria.name), victoria), (Fed::new(influx.name), influx)];

    let warm_up = plant.next(plan.readings / 4, 2);
    let (connections, lines) = WAYS[2];
    send(&plant.server, Way::new(Form::Lines, connections, lines), &warm_up).await?;
    for (_, peer) in &peers {
        peer.take(&warm_up, lines).await?;
    }
    for _ in 0..plan.repetitions {
        for (place, (connections, lines)) in WAYS.into_iter().enumerate() {
            let split = plant.next(plan.readings, connections);
            for (fed, peer) in &mut peers {
                fed.note(place, peer.take(&split, lines).await?);
            }
            plant.database.ask("CHECKPOINT")?;
            let way = Way::new(Form::Lines, connections, lines);
            ours.note(place, send(&plant.server, way, &split).await?);
        }
    }
    let memory = plant.server.peak_memory_mib();
    plant.server.stop().await?;
    Ok(figure(plan, &ours, &peers.map(|(fed, _)| fed), memory))
}

fn figure(plan: &Plan, ours: &Fed, peers: &[Fed], memory: f64) -> Figure {
    let ways = WAYS.map(|(connections, lines)| format!("{connections} × {lines}"));
    let header: Vec<&str> = std::iter::once("who").chain(ways.iter().map(String::as_str)).collect();
    let mut table = Table::new(&header);
    let mut plot = Plot { unit: "values/s".to_owned(), ..Plot::default() };
    for (fed, is_peer) in std::iter::once((ours, false)).chain(peers.iter().map(|peer| (peer, true))) {
        let rates = fed.rates.iter().map(|rates| rounded(median(rates)));
        table.rows.push(std::iter::once(fed.name.to_owned()).chain(rates).collect());
        plot.column(fed.name, fed.best(), is_peer);
    }
    let measured = peers.iter().map(|peer| {
        let what = format!("Bulk beside {}", peer.name);
        Measured::share(&what, "values/s", ours.best(), (peer.name, peer.best()), Bar::AtLeast(1.0))
    });
    Figure {
        name: "peers".to_owned(),
        title: "Beside databases made for series".to_owned(),
        method: format!(
            "{} readings of {METRICS} values a run to each in turn, over so many connections × so many lines a request: NDJSON to TechTrack, \
             with 100 rules judging, line protocol to the peers as Debian packages them, with their default durability \
             (VictoriaMetrics answers before the data is on disk; TechTrack after the commit). What each is best \
             at counts for it.",
            plan.readings
        ),
        measured: measured.collect(),
        tables: vec![table],
        plot,
        server_memory_mib: Some(memory),
    }
}
