//! How fast single resources and a list are read, beside a bare server that answers the same bytes and, where the
//! database is asked, beside `pgbench` that asks it for the same row.

use crate::bare::Bare;
use crate::failure::{Outcome, failed};
use crate::http::Connection;
use crate::load::{self, Lane, Pace, Ran};
use crate::plan::{CLIENTS, EQUIPMENT, Plan};
use crate::process::Costs;
use crate::results::{Bar, Figure, Measured, Pairs, Plot, Table, rounded};
use crate::server::Server;
use crate::statistics::median;
use crate::terminal::say;
use crate::workshop::{Plant, Workshop};
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;

/// Finds one of a machine's readings, for the machine that was picked.
const ANY_READING: &str = "\\set n random(0, 9)\n\
    SELECT * FROM readings WHERE equipment_id = :id AND at = timestamptz '2025-01-01Z' + make_interval(secs => :n);\n";

/// What is read.
struct Read {
    what: &'static str,
    paths: Vec<String>,
    /// The statement by which `pgbench` finds such a row; none when it is several rows.
    select: Option<String>,
    /// How it compares with the bare server and with `pgbench`, measured in turns with either.
    bare: Pairs,
    selected: Pairs,
    /// Latencies with all connections busy, and with half as many requests as that gets through; of ours and of the bare server.
    busy: Latencies,
    paced: Latencies,
    bare_busy: Latencies,
    bare_paced: Latencies,
    costs: Costs,
}

#[derive(Default)]
struct Latencies {
    median_ms: Vec<f64>,
    slow_ms: Vec<f64>,
}

impl Latencies {
    fn note(&mut self, ran: &Ran) {
        self.median_ms.push(ran.latency_ms(0.5));
        self.slow_ms.push(ran.latency_ms(0.99));
    }

    /// The slow ones as a multiple of the usual ones.
    fn tail(&self) -> f64 {
        median(&self.slow_ms) / median(&self.median_ms)
    }

    fn told(&self) -> String {
        format!("{} / {}", rounded(median(&self.median_ms)), rounded(median(&self.slow_ms)))
    }
}

impl Read {
    fn new(what: &'static str, paths: Vec<String>, select: Option<String>) -> Self {
        Self {
            what,
            paths,
            select,
            bare: Pairs::default(),
            selected: Pairs::default(),
            busy: Latencies::default(),
            paced: Latencies::default(),
            bare_busy: Latencies::default(),
            bare_paced: Latencies::default(),
            costs: Costs::default(),
        }
    }

    /// The database was hardly asked: what it spent on an answer is less than a tenth of what a point select costs.
    fn is_cached(&self) -> bool {
        median(&self.costs.database) < 4.0
    }
}

/// Measures reading one piece of equipment, its latest values, and one reading.
pub(crate) async fn one(shop: &mut Workshop) -> Outcome<Figure> {
    let plan = &shop.plan.clone();
    let mut plant = plant_with_data(shop, "reads").await?;
    let each = |path: fn(i64) -> String| plant.timeline.equipment.iter().map(|id| path(*id)).collect();
    let piece = each(|id| format!("/api/equipment/{id}"));
    let latest = each(|id| format!("/api/equipment/{id}/latest"));
    let row = |text: &str| Some(format!("{}{text}", any_machine(&plant)));
    let mut reads = [
        Read::new("GET one equipment", piece, row("SELECT * FROM equipment WHERE id = :id;\n")),
        Read::new(
            "GET its latest values",
            latest,
            row("SELECT * FROM equipment_heads WHERE equipment_id = :id;\n"),
        ),
        Read::new("GET one reading", readings(&plant.server).await?, row(ANY_READING)),
    ];
    for read in &mut reads {
        compare(plan, &mut plant, read).await?;
    }
    let memory = plant.server.peak_memory_mib();
    plant.server.stop().await?;
    let measured = reads.iter().map(|read| {
        let ours = median(&read.bare.ours);
        if read.is_cached() {
            let limit = ("bare actix-web", read.bare.limit_median());
            Measured::share(read.what, "requests/s", ours, limit, Bar::AtLeast(0.7))
        } else {
            let limit = ("pgbench -S", read.selected.limit_median());
            Measured::share(read.what, "requests/s", read.selected.our_median(), limit, Bar::AtLeast(0.7))
        }
    });
    Ok(Figure {
        name: "reads".to_owned(),
        title: "Reading one thing".to_owned(),
        method: format!(
            "{CLIENTS} connections ask for each of {EQUIPMENT} machines in turn, or for a reading of each. A bare actix-web \
             server answers the same bytes from memory; `pgbench` selects the same row by its primary key, prepared, with \
             {CLIENTS} clients. An answer counts as cached when the database spends less than 4 µs of processor time on it, and is then held \
             against the bare server, else against `pgbench`."
        ),
        measured: measured.collect(),
        tables: vec![table(&reads)],
        plot: plot(&reads),
        server_memory_mib: Some(memory),
    })
}

/// Measures reading a list of a hundred.
pub(crate) async fn list(shop: &mut Workshop) -> Outcome<Figure> {
    let plan = &shop.plan.clone();
    let mut plant = plant_with_data(shop, "list").await?;
    let pages = (1..=EQUIPMENT / 100).map(|page| format!("/api/equipment?page_size=100&page={page}"));
    let mut read = Read::new("List of 100 equipment", pages.collect(), None);
    compare(plan, &mut plant, &mut read).await?;
    let memory = plant.server.peak_memory_mib();
    plant.server.stop().await?;
    let tail = |how: &str, ours: &Latencies, bare: &Latencies| {
        let what = format!("List: p99 as a multiple of p50, {how}");
        Measured::absolute(&what, "×", ours.tail(), Bar::AtMost(5.0)).beside("bare actix-web", bare.tail())
    };
    Ok(Figure {
        name: "list".to_owned(),
        title: "Reading a list".to_owned(),
        method: format!(
            "{CLIENTS} connections ask for the ten pages of 100 in turn. A bare actix-web server answers the bytes of the \
             first page from memory. Latencies are told twice: with all connections busy, and \
             in an open loop with half as many requests a second as that gets through; the bare server is asked as many."
        ),
        measured: vec![
            Measured::share(
                read.what,
                "requests/s",
                read.bare.our_median(),
                ("bare actix-web", read.bare.limit_median()),
                Bar::AtLeast(0.4),
            ),
            tail("all connections busy", &read.busy, &read.bare_busy),
            tail("open loop", &read.paced, &read.bare_paced),
        ],
        plot: plot(std::slice::from_ref(&read)),
        tables: vec![table(&[read])],
        server_memory_mib: Some(memory),
    })
}

async fn plant_with_data(shop: &mut Workshop, purpose: &str) -> Outcome<Plant> {
    use crate::figures::bulk::{Form, Way, send};
    let mut plant = shop.plant(purpose, 100).await?;
    let some = plant.next(EQUIPMENT * 10, 2);
    send(&plant.server, Way::new(Form::Lines, 2, 1_000), &some).await?;
    plant.database.ask("VACUUM ANALYZE")?;
    Ok(plant)
}

/// The beginning of a script of `pgbench` that picks a machine.
fn any_machine(plant: &Plant) -> String {
    let ids = plant.timeline.equipment.iter();
    let (low, high) = (ids.clone().min().unwrap_or(&1), ids.max().unwrap_or(&1));
    format!("\\set id random({low}, {high})\n")
}

/// The newest readings there are, about one of each machine.
async fn readings(server: &Server) -> Outcome<Vec<String>> {
    let page = server.get(&format!("/api/data/?page_size={EQUIPMENT}"));
    let page: Value = serde_json::from_slice(&body_of(server, Some(&page)).await?)?;
    let found = page.get("results").and_then(Value::as_array).ok_or("a page without results")?;
    let ids = found.iter().filter_map(|reading| reading.get("id").and_then(Value::as_str));
    Ok(ids.map(|id| format!("/api/data/{id}")).collect())
}

async fn compare(plan: &Plan, plant: &mut Plant, read: &mut Read) -> Outcome<()> {
    let server = &plant.server;
    let requests: Vec<Vec<u8>> = read.paths.iter().map(|path| server.get(path)).collect();
    let bare = Bare::answering(&body_of(server, requests.first()).await?).await?;
    let script = tempfile::NamedTempFile::new()?;

    round(server.address(), &requests, plan.span / 2).await?;
    for _ in 0..plan.repetitions {
        let bare_ran = round(bare.address, &requests, plan.span).await?;
        let limit = bare_ran.per_second();
        let meter = plant.meter();
        let ran = round(server.address(), &requests, plan.span).await?;
        read.costs.note(&meter, ran.latencies.len());
        read.bare.limit.push(limit);
        read.bare.ours.push(ran.per_second());
        read.busy.note(&ran);
        read.bare_busy.note(&bare_ran);
        let half = Pace::PerSecond(ran.per_second() / 2.0);
        read.paced.note(&paced_round(server.address(), &requests, plan.span, half).await?);
        read.bare_paced.note(&paced_round(bare.address, &requests, plan.span, half).await?);
        say(&format!(
            "{}: {} requests/s, bare {}, ratio {:.3}; p50 {:.2} ms, p99 {:.2} ms",
            read.what,
            rounded(ran.per_second()),
            rounded(limit),
            ran.per_second() / limit,
            ran.latency_ms(0.5),
            ran.latency_ms(0.99)
        ));
        if let Some(select) = &read.select {
            std::fs::write(script.path(), select)?;
            let limit = plant.database.transactions_per_second(script.path(), CLIENTS, plan.span)?;
            let again = round(server.address(), &requests, plan.span).await?;
            say(&format!(
                "{}: {} requests/s, pgbench -S {}, ratio {:.3}",
                read.what,
                rounded(again.per_second()),
                rounded(limit),
                again.per_second() / limit
            ));
            read.selected.limit.push(limit);
            read.selected.ours.push(again.per_second());
        }
    }
    Ok(())
}

async fn round(address: SocketAddr, requests: &[Vec<u8>], time: Duration) -> Outcome<Ran> {
    paced_round(address, requests, time, Pace::Saturating).await
}

async fn paced_round(address: SocketAddr, requests: &[Vec<u8>], time: Duration, pace: Pace) -> Outcome<Ran> {
    load::drive(address, Lane::several_round(CLIENTS, requests, time), pace, load::one).await
}

async fn body_of(server: &Server, request: Option<&Vec<u8>>) -> Outcome<Vec<u8>> {
    let request = request.ok_or_else(|| failed("nothing to ask for"))?;
    let mut connection = Connection::open(server.address()).await?;
    let answer = connection.exchange(request).await?;
    load::one(&answer)?;
    Ok(answer.body.to_vec())
}

fn table(reads: &[Read]) -> Table {
    let mut table = Table::new(&[
        "what",
        "requests/s",
        "bare",
        "of bare",
        "pgbench -S",
        "of pgbench",
        "p50 / p99 ms, busy",
        "bare",
        "p50 / p99 ms, open loop",
        "bare",
        "µs of CPU, server + database",
    ]);
    for read in reads {
        let select = |text: String| if read.select.is_some() { text } else { "–".to_owned() };
        table.rows.push(vec![
            read.what.to_owned(),
            rounded(read.bare.our_median()),
            rounded(read.bare.limit_median()),
            format!("{:.2}", read.bare.ratio()),
            select(rounded(read.selected.limit_median())),
            select(format!("{:.2}", read.selected.ratio())),
            read.busy.told(),
            read.bare_busy.told(),
            read.paced.told(),
            read.bare_paced.told(),
            read.costs.told(),
        ]);
    }
    table
}

fn plot(reads: &[Read]) -> Plot {
    let mut plot = Plot { unit: "requests/s".to_owned(), ..Plot::default() };
    for read in reads {
        plot.column(read.what, read.bare.our_median(), false);
        plot.column(format!("{}: bare actix-web", read.what), read.bare.limit_median(), true);
        if read.select.is_some() {
            plot.column(format!("{}: pgbench -S", read.what), read.selected.limit_median(), true);
        }
    }
    plot
}
