//! What it costs to read readings, the swift way and the exact one: `cargo bench -p api-http`.

use api_http::body::{FromBody, from_object, json};
use api_http::readings::body::Sending;
use api_http::readings::swift;
use criterion::{Criterion, Throughput};
use domain::app::App;
use domain::app::ingest::Sent;
use domain::error::BoxError;
use domain::testing::{MemoryStore, World};
use domain::time::Timestamp;
use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;

/// What one machine of the kind measures, in the order in which it names them.
const METRICS: [&str; 10] = [
    "temperature",
    "speed",
    "pressure",
    "vibration",
    "torque",
    "current",
    "voltage",
    "power",
    "flow",
    "humidity",
];

fn line(number: u64) -> String {
    let (minute, second) = (number / 60 % 60, number % 60);
    let mut line = format!(
        "{{\"equipment\":{},\"timestamp\":\"2026-05-04T07:{minute:02}:{second:02}.250000Z\",\"values\":{{",
        number % 100 + 1
    );
    for (place, metric) in (0..).zip(METRICS) {
        let comma = if place == 0 { "" } else { "," };
        let value = (number * 7919 + place * 104_729) % 100_000;
        // Writing into memory cannot fail.
        let _ = write!(line, "{comma}\"{metric}\":{}.{:02}", value / 100, value % 100);
    }
    line + "}}"
}

fn exact(app: &App, line: &[u8]) -> Option<Sent> {
    from_object(app, json::object(json::parse(line).ok()?).ok()?).ok()
}

fn exact_array(app: &App, array: &[u8]) -> Option<Sending> {
    Sending::take(app, json::parse(array).ok()?).ok()
}

fn main() -> Result<(), BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let World { app, .. } = runtime.block_on(World::over(Arc::new(MemoryStore::default())))?;
    let mut criterion = Criterion::default().configure_from_args();
    one_line(&mut criterion, &app);
    an_array(&mut criterion, &app);
    criterion.bench_function("an instant", |bencher| {
        bencher.iter(|| Timestamp::parse(black_box("2026-05-04T07:30:00.250000Z")));
    });
    criterion.final_summary();
    Ok(())
}

fn one_line(criterion: &mut Criterion, app: &App) {
    let line = line(1).into_bytes();
    assert_eq!(swift::reading(&line), exact(app, &line));
    let mut group = criterion.benchmark_group("a line of ten metrics");
    group.throughput(Throughput::Bytes(line.len() as u64));
    group.bench_function("swift", |bencher| bencher.iter(|| swift::reading(black_box(&line))));
    group.bench_function("exact", |bencher| bencher.iter(|| exact(app, black_box(&line))));
    group.finish();
}

fn an_array(criterion: &mut Criterion, app: &App) {
    const READINGS: u64 = 1000;
    let lines: Vec<String> = (0..READINGS).map(line).collect();
    let array = format!("[{}]", lines.join(",")).into_bytes();
    let mut group = criterion.benchmark_group("an array of 1,000");
    group.throughput(Throughput::Elements(READINGS));
    group.bench_function("swift", |bencher| bencher.iter(|| Sending::swift(black_box(&array))));
    group.bench_function("exact", |bencher| bencher.iter(|| exact_array(app, black_box(&array))));
    group.finish();
}
