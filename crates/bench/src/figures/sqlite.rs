//! How fast readings come into SQLite, beside rows that Diesel inserts into the same table with nothing in between.

use crate::failure::{Outcome, failed};
use crate::figures::bulk::{Form, Way, send};
use crate::plan::{EQUIPMENT, Plan, Split, Timeline};
use crate::results::{Bar, Figure, Measured, Pairs, Plot, Table, rounded};
use crate::sensors::{METRICS, Row};
use crate::server::Server;
use crate::terminal::say;
use crate::workshop::Workshop;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use std::path::Path;
use std::time::Instant;

diesel::table! {
    readings (equipment_id, at) {
        equipment_id -> BigInt,
        at -> BigInt,
        received_at -> BigInt,
        shape_id -> BigInt,
        numbers -> Binary,
    }
}

#[derive(Insertable)]
#[diesel(table_name = readings)]
struct NewReading {
    equipment_id: i64,
    at: i64,
    received_at: i64,
    shape_id: i64,
    numbers: Vec<u8>,
}

/// As many as the server stores at once when lines are streamed to it.
const ROWS_A_TRANSACTION: usize = 2_000;

const WAYS: [Way; 3] =
    [Way::new(Form::Lines, 1, 10_000), Way::new(Form::Lines, 2, 10_000), Way::new(Form::Array, 1, 10_000)];

/// Measures all ways.
pub(crate) async fn measure(shop: &mut Workshop) -> Outcome<Figure> {
    let plan = &shop.plan.clone();
    let directory = tempfile::tempdir()?;
    let (ours, raw) = (directory.path().join("ours.db"), directory.path().join("raw.db"));
    let url = format!("sqlite://{}", ours.display());
    // The other file is a copy of the stopped server's, so that the rows refer to the same equipment.
    let server = Server::start(&plan.server, &url).await?;
    let equipment = server.register(0, EQUIPMENT).await?;
    server.make_rules(100, &equipment).await?;
    let key = server.stop().await?;
    std::fs::copy(&ours, &raw)?;
    let mut limit = open(&raw)?;
    let server = Server::start_with(&plan.server, &url, key).await?;
    let mut timeline = Timeline::of(equipment);

    send(&server, Way::new(Form::Lines, 1, 1_000), &timeline.next(plan.readings / 4, 1)).await?;
    let ways = if plan.is_quick { WAYS.get(..1).unwrap_or_default() } else { &WAYS };
    let mut all: Vec<(Way, Pairs)> = ways.iter().map(|way| (*way, Pairs::default())).collect();
    for _ in 0..plan.repetitions {
        for (way, pairs) in &mut all {
            let split = timeline.next(plan.readings, way.connections);
            pairs.limit.push(insert(&mut limit, &split)?);
            pairs.ours.push(send(&server, *way, &split).await?);
            if let (Some(ours), Some(limit)) = (pairs.ours.last(), pairs.limit.last()) {
                let (told, of) = (rounded(*ours), rounded(*limit));
                say(&format!("sqlite  {way}: {told} values/s, limit {of}, ratio {:.3}", ours / limit));
            }
        }
    }
    let memory = server.peak_memory_mib();
    server.stop().await?;
    Ok(figure(plan, &all, memory))
}

fn open(path: &Path) -> Outcome<SqliteConnection> {
    let mut connection = SqliteConnection::establish(path.to_str().ok_or_else(|| failed("no path"))?)?;
    connection
        .batch_execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")?;
    Ok(connection)
}

/// Values a second that Diesel inserts, one transaction a batch. Rows are made ready before the clock runs.
fn insert(connection: &mut SqliteConnection, split: &Split) -> Outcome<f64> {
    let batches: Vec<Vec<NewReading>> =
        split.whole.chunks(ROWS_A_TRANSACTION).map(|rows| rows.iter().map(new).collect()).collect();
    let begun = Instant::now();
    for batch in &batches {
        connection.transaction(|connection| {
            diesel::insert_into(readings::table).values(batch).execute(connection)
        })?;
    }
    Ok((split.whole.len() * METRICS) as f64 / begun.elapsed().as_secs_f64())
}

fn new(row: &Row) -> NewReading {
    NewReading {
        equipment_id: row.equipment,
        at: row.at,
        received_at: row.at,
        shape_id: 1,
        numbers: row.numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
    }
}

fn figure(plan: &Plan, all: &[(Way, Pairs)], memory: f64) -> Figure {
    let mut table = Table::new(&["way", "values/s", "limit", "ratio", "of each run"]);
    let mut plot = Plot { unit: "values/s".to_owned(), ..Plot::default() };
    for (way, pairs) in all {
        table.rows.push(vec![
            way.to_string(),
            rounded(pairs.our_median()),
            rounded(pairs.limit_median()),
            format!("{:.2}", pairs.ratio()),
            pairs.runs(),
        ]);
        plot.column(way.to_string(), pairs.our_median(), false);
    }
    let limits: Vec<f64> = all.iter().flat_map(|(_, pairs)| pairs.limit.iter().copied()).collect();
    plot.column("Diesel alone", crate::statistics::median(&limits), true);
    let best = all.iter().max_by(|one, other| one.1.ratio().total_cmp(&other.1.ratio()));
    let measured = best.map(|(way, pairs)| {
        let what = format!("SQLite: {way}");
        let limit = ("Diesel, multi-row inserts", pairs.limit_median());
        Measured::share(&what, "values/s", pairs.our_median(), limit, Bar::AtLeast(0.5))
    });
    Figure {
        name: "sqlite".to_owned(),
        title: "Readings into SQLite".to_owned(),
        method: format!(
            "{} readings of {METRICS} values a run, 100 rules. The limit is synchronous Diesel with multi-row inserts of \
             {ROWS_A_TRANSACTION} rows into the same table of a second file, one transaction a batch; both with WAL, \
             `synchronous=FULL` and foreign keys on.",
            plan.readings
        ),
        measured: measured.into_iter().collect(),
        tables: vec![table],
        plot,
        server_memory_mib: Some(memory),
    }
}
