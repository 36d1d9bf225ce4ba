//! What it costs to judge values by rules, and to fold them into series: `cargo bench -p domain`.
#![allow(clippy::unwrap_used, reason = "what cannot be set up cannot be measured")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use domain::rules::judge::{Judge, State};
use domain::rules::{Condition, Operator, RuleDetails, Severity, Target, Threshold};
use domain::telemetry::rollup::Fold;
use domain::telemetry::{MetricName, Sample};
use domain::text::Label;
use domain::time::Timestamp;
use std::hint::black_box;
use std::time::Duration;

/// A day of a value every ten seconds, which swings above 80 now and then.
fn a_day() -> Vec<Sample> {
    let sample = |number: i64| Sample {
        at: Timestamp::from_micros(1_777_852_800_000_000 + number * 10_000_000).unwrap(),
        value: 70.0 + (number as f64 / 300.0).sin() * 12.0,
    };
    (0..8_640).map(sample).collect()
}

fn above(threshold: f64) -> Threshold {
    Threshold {
        metric: MetricName::parse("temperature").unwrap(),
        operator: Operator::Above,
        threshold,
        threshold_high: None,
        clear_threshold: Some(threshold - 2.0),
    }
}

fn rules(criterion: &mut Criterion) {
    let day = a_day();
    let mut group = criterion.benchmark_group("a day of a value every ten seconds");
    group.throughput(Throughput::Elements(day.len() as u64));
    for (what, threshold) in [("that breaches nothing", 100.0), ("that breaches now and then", 80.0)] {
        let threshold = above(threshold);
        let rule = RuleDetails {
            name: Label::parse("Too hot").unwrap(),
            target: Target::All,
            condition: Condition::Threshold(threshold.clone()),
            wait: Duration::from_secs(60),
            severity: Severity::Warning,
            enabled: true,
            latch: false,
        };
        group.bench_function(format!("judged by a rule {what}"), |bencher| {
            bencher.iter(|| {
                let mut judge = Judge::new(&rule, &threshold, State::Calm);
                for sample in black_box(&day) {
                    judge.step(*sample);
                }
                judge.episodes()
            });
        });
    }
    for (what, seconds) in [("minutes", 60), ("days", 86_400)] {
        group.bench_function(format!("folded into {what}"), |bencher| {
            bencher.iter(|| {
                let mut fold = Fold::new(Duration::from_secs(seconds));
                black_box(&day).iter().for_each(|sample| fold.sample(*sample));
                fold.finish()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, rules);
criterion_main!(benches);
