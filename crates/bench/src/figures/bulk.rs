//! How fast readings come in by the many, beside `psql \copy` of the same rows into the same table.

use crate::database::Database;
use crate::failure::{Outcome, failed};
use crate::load::{self, Lane, Pace};
use crate::payload::{self, BinaryCopy};
use crate::plan::{Plan, Split};
use crate::process::Costs;
use crate::results::{Bar, Figure, Measured, Pairs, Plot, Table, rounded};
use crate::sensors::{METRICS, Row};
use crate::server::Server;
use crate::terminal::say;
use crate::workshop::{Plant, Workshop};
use std::fmt;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// In which form readings are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Lines,
    Array,
    /// InfluxDB's line protocol.
    Points,
}

/// A way of sending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) form: Form,
    pub(crate) connections: usize,
    pub(crate) readings_a_request: usize,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match self.form {
            Form::Lines => "NDJSON",
            Form::Array => "JSON array",
            Form::Points => "line protocol",
        };
        write!(f, "{form} × {} by {}", self.connections, self.readings_a_request)
    }
}

impl Way {
    pub(crate) const fn new(form: Form, connections: usize, readings_a_request: usize) -> Self {
        Self { form, connections, readings_a_request }
    }

    /// What each connection sends.
    pub(crate) fn lanes(self, server: &Server, parts: &[Vec<Row>]) -> Vec<Lane> {
        let lane = |rows: &Vec<Row>| {
            Lane::once(rows.chunks(self.readings_a_request).map(|rows| self.request(server, rows)).collect())
        };
        parts.iter().map(lane).collect()
    }

    fn request(self, server: &Server, rows: &[Row]) -> Vec<u8> {
        match self.form {
            Form::Lines => {
                server.request("POST", "/api/data/bulk", "application/x-ndjson", &payload::ndjson(rows))
            }
            Form::Array => server.request("POST", "/api/data", "application/json", &payload::array(rows)),
            Form::Points => server.request("POST", "/api/v2/write", "text/plain", &payload::points(rows)),
        }
    }
}

const WAYS: [Way; 12] = [
    Way::new(Form::Lines, 1, 1_000),
    Way::new(Form::Lines, 1, 10_000),
    Way::new(Form::Lines, 2, 1_000),
    Way::new(Form::Lines, 2, 10_000),
    Way::new(Form::Lines, 4, 1_000),
    Way::new(Form::Lines, 4, 10_000),
    Way::new(Form::Array, 1, 10_000),
    Way::new(Form::Array, 2, 10_000),
    Way::new(Form::Array, 4, 1_000),
    Way::new(Form::Array, 4, 10_000),
    Way::new(Form::Points, 1, 10_000),
    Way::new(Form::Points, 4, 10_000),
];

const QUICK_WAYS: [Way; 5] = [
    Way::new(Form::Lines, 1, 10_000),
    Way::new(Form::Lines, 2, 10_000),
    Way::new(Form::Lines, 4, 10_000),
    Way::new(Form::Array, 4, 10_000),
    Way::new(Form::Points, 4, 10_000),
];

/// One way of sending, measured again and again.
struct Series {
    way: Way,
    pairs: Pairs,
    /// A reading's.
    costs: Costs,
}

/// A table like `readings` that nobody but the limit uses.
pub(crate) const LIMIT_TABLE: &str = "limit_readings";

/// What binary rows consist of.
pub(crate) const COLUMNS: &str = "equipment_id, at, received_at, shape_id, numbers, tags";

/// Measures all ways.
pub(crate) async fn measure(shop: &mut Workshop) -> Outcome<Figure> {
    let plan = &shop.plan.clone();
    let mut plant = shop.plant("bulk", 100).await?;
    plant.database.ask(&format!("CREATE TABLE {LIMIT_TABLE} (LIKE readings INCLUDING ALL)"))?;
    let ways: &[Way] = if plan.is_quick { &QUICK_WAYS } else { &WAYS };
    let mut all: Vec<Series> = ways
        .iter()
        .map(|way| Series { way: *way, pairs: Pairs::default(), costs: Costs::default() })
        .collect();

    // Nobody is measured cold.
    let warm_up = plant.next(plan.readings / 4, 2);
    send(&plant.server, Way::new(Form::Lines, 2, 1_000), &warm_up).await?;
    for _ in 0..plan.repetitions {
        for series in &mut all {
            let split = plant.next(plan.readings, series.way.connections);
            let limit = copy(&plant.database, &split.whole)?;
            once(&plant, series, &split, limit).await?;
        }
    }
    let memory = plant.server.peak_memory_mib();
    plant.server.stop().await?;
    Ok(figure(plan, &all, memory))
}

async fn once(plant: &Plant, series: &mut Series, split: &Split, limit: f64) -> Outcome<()> {
    plant.database.ask("CHECKPOINT")?;
    let meter = plant.meter();
    let rate = send(&plant.server, series.way, split).await?;
    let cost = series.costs.note(&meter, split.whole.len());
    say(&format!(
        "bulk  {:26} {:>8} values/s, limit {:>8}, ratio {:.3}; {cost} µs of CPU a reading",
        series.way.to_string(),
        rounded(rate),
        rounded(limit),
        rate / limit,
    ));
    series.pairs.ours.push(rate);
    series.pairs.limit.push(limit);
    Ok(())
}

/// Values a second that the server takes in this way.
pub(crate) async fn send(server: &Server, way: Way, split: &Split) -> Outcome<f64> {
    let lanes = way.lanes(server, &split.lanes);
    let count = if way.form == Form::Points { load::one } else { load::accepted };
    let ran = load::drive(server.address(), lanes, Pace::Saturating, count).await?;
    let sent = split.whole.len() as u64;
    // Points are answered by a 204 alone, and only if all of them are stored.
    let due = if way.form == Form::Points { ran.counted } else { sent };
    if ran.counted != due {
        return Err(failed(format!("{sent} readings were sent and {} stored", ran.counted)));
    }
    Ok((sent * METRICS as u64) as f64 / ran.elapsed.as_secs_f64())
}

/// Values a second that `\copy` loads into an empty table.
pub(crate) fn copy(database: &Database, rows: &[Row]) -> Outcome<f64> {
    let file = tempfile::NamedTempFile::new()?;
    write(rows, file.path())?;
    database.ask(&format!("TRUNCATE {LIMIT_TABLE}"))?;
    database.ask("CHECKPOINT")?;
    let time = database.load(LIMIT_TABLE, COLUMNS, file.path())?;
    Ok((rows.len() * METRICS) as f64 / time.as_secs_f64())
}

fn write(rows: &[Row], path: &Path) -> Outcome<()> {
    let mut copy = BinaryCopy::begin(BufWriter::new(File::create(path)?))?;
    for row in rows {
        copy.push(row)?;
    }
    Ok(copy.end()?)
}

fn figure(plan: &Plan, all: &[Series], memory: f64) -> Figure {
    let headings =
        ["way", "values/s", "limit", "ratio", "of each run", "µs of CPU a reading, server + database"];
    let mut table = Table::new(&headings);
    let mut plot = Plot { unit: "values/s".to_owned(), ..Plot::default() };
    for series in all {
        let pairs = &series.pairs;
        table.rows.push(vec![
            series.way.to_string(),
            rounded(pairs.our_median()),
            rounded(pairs.limit_median()),
            format!("{:.2}", pairs.ratio()),
            pairs.runs(),
            series.costs.told(),
        ]);
        plot.column(series.way.to_string(), pairs.our_median(), false);
    }
    let limits: Vec<f64> = all.iter().flat_map(|series| series.pairs.limit.iter().copied()).collect();
    plot.column("\\copy binary", crate::statistics::median(&limits), true);
    let best = |form| {
        let of_form = all.iter().filter(move |series| series.way.form == form);
        of_form.max_by(|one, other| one.pairs.ratio().total_cmp(&other.pairs.ratio()))
    };
    let measured = [Form::Lines, Form::Array, Form::Points].into_iter().filter_map(best).map(|series| {
        let limit = ("psql \\copy, binary", series.pairs.limit_median());
        let what = format!("Bulk: {}", series.way);
        Measured::share(&what, "values/s", series.pairs.our_median(), limit, Bar::AtLeast(0.6))
    });
    Figure {
        name: "bulk".to_owned(),
        title: "Readings by the many".to_owned(),
        method: format!(
            "{} readings of {METRICS} values a run from 1,000 machines, in order of time, 100 rules of which ten judge \
             each reading; durable commits. The limit loads the same rows into an empty table like `readings`, with its \
             primary key and index, just before. \"× 4 by 10,000\" is four connections, each with machines of its own, \
             that send 10,000 readings a request.",
            plan.readings
        ),
        measured: measured.collect(),
        tables: vec![table],
        plot,
        server_memory_mib: Some(memory),
    }
}
