//! How long packing takes: readings of ten metrics that walk about as sensors do. `cargo bench -p packing`.
#![allow(clippy::unwrap_used, reason = "what cannot be set up cannot be measured")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use domain::id::EquipmentId;
use domain::telemetry::{MetricName, Reading, ReadingId, Shape, Tags, Values};
use domain::time::Timestamp;
use packing::{Outline, Pack};
use std::hint::black_box;

const METRICS: usize = 10;

/// A walk with two decimals, different for each metric and the same in every run.
fn readings() -> Vec<Reading> {
    let metrics = (0..METRICS).map(|nth| MetricName::parse(&format!("metric_{nth}")).unwrap());
    let shape = Shape::new(metrics.collect());
    let mut state = 88_172_645_463_325_252_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut level = [70.0; METRICS];
    let reading = |nth: i64| {
        let at = Timestamp::from_micros(1_777_880_000_000_000 + nth * 1_000_000).unwrap();
        let numbers = level.iter_mut().map(|level| {
            *level += (random() - 0.5) * 0.4;
            (*level * 100.0_f64).round() / 100.0
        });
        Reading {
            id: ReadingId { equipment: EquipmentId::new(7).unwrap(), at },
            values: Values::new(shape.clone(), numbers.collect()).unwrap(),
            tags: Tags::new(),
            received_at: at,
        }
    };
    (0..Pack::MOST as i64).map(reading).collect()
}

fn packing(criterion: &mut Criterion) {
    let readings = readings();
    let pack = Pack::of(&readings).unwrap();
    let values = (readings.len() * METRICS) as u64;
    let mut group = criterion.benchmark_group("a pack of 1024 readings of ten metrics");
    group.throughput(Throughput::Elements(values));
    group.bench_function("packed", |bencher| bencher.iter(|| Pack::of(black_box(&readings))));
    group.bench_function("its outline read", |bencher| {
        bencher.iter(|| Outline::read(black_box(&pack.outline)));
    });
    let outline = Outline::read(&pack.outline).unwrap();
    group.bench_function("unpacked", |bencher| {
        bencher.iter(|| Pack::unpack(EquipmentId::new(7).unwrap(), &outline, black_box(&pack.body)));
    });
    group.finish();
}

criterion_group!(benches, packing);
criterion_main!(benches);
