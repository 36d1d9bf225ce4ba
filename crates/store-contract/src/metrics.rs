//! Promises about the catalogue of what is measured.

use crate::Database;
use crate::builders::{a_reading, a_reading_of, about, at, down, label, metric, page, up, values};
use crate::database::{assert_dangling, report_in};
use domain::id::{EquipmentId, Version};
use domain::page::Order;
use domain::ports::Reference;
use domain::telemetry::{Metric, MetricKey, MetricQuery, Reading};
use domain::time::Timestamp;

/// A reading of these metrics that was received in that second.
fn received(equipment: EquipmentId, names: &[&str], second: i64) -> Reading {
    let named: Vec<(&str, f64)> = names.iter().map(|name| (*name, 1.0)).collect();
    Reading { received_at: at(second), ..a_reading_of(equipment, second, values(&named)) }
}

fn appeared(name: &str, second: i64) -> Metric {
    Metric {
        name: metric(name),
        unit: None,
        description: None,
        version: Version::FIRST,
        created_at: at(second),
        updated_at: at(second),
    }
}

async fn save(database: &Database, metric: &Metric) -> Metric {
    database.within(async |unit| unit.metrics().save(metric).await.unwrap()).await
}

/// The names that a question answers, in its order.
async fn asked(database: &Database, query: MetricQuery) -> Vec<String> {
    let answer = database.reader().await.metrics().list(&query).await.unwrap();
    assert_eq!(answer.total, answer.items.len() as u64);
    answer.items.iter().map(|metric| metric.name.to_string()).collect()
}

pub async fn a_metric_appears_with_the_first_reading_that_carries_it(database: Database) {
    let press = database.piece("press").await;
    assert_eq!(database.metric(&metric("speed")).await, None);
    database.report(&[received(press, &["speed", "torque"], 5)]).await;
    // Also when that arrives later than others, or is about an earlier instant.
    let late = Reading { id: a_reading(press, 1).id, ..received(press, &["speed", "load"], 9) };
    database.report(&[late]).await;
    for (name, second) in [("speed", 5), ("torque", 5), ("load", 9)] {
        assert_eq!(database.metric(&metric(name)).await, Some(appeared(name, second)));
    }
    assert_eq!(asked(&database, MetricQuery::default()).await, ["load", "speed", "torque"]);
}

pub async fn further_metrics_of_a_replaced_reading_appear(database: Database) {
    let press = database.piece("press").await;
    database.report(&[received(press, &["speed"], 5)]).await;
    let merged = Reading { received_at: at(7), ..received(press, &["speed", "torque"], 5) };
    database.within(async |unit| unit.readings().replace(&[merged]).await.unwrap()).await;
    assert_eq!(database.metric(&metric("torque")).await, Some(appeared("torque", 7)));
    assert_eq!(database.metric(&metric("speed")).await, Some(appeared("speed", 5)));
}

pub async fn a_known_metric_stays_as_people_describe_it(database: Database) {
    let press = database.piece("press").await;
    database.report(&[received(press, &["speed"], 5)]).await;
    let described = Metric { unit: Some(label("m/s")), ..appeared("speed", 5) };
    let saved = save(&database, &described).await;
    database.report(&[received(press, &["speed"], 9)]).await;
    assert_eq!(database.metric(&metric("speed")).await, Some(saved));
}

pub async fn metrics_of_a_unit_that_was_undone_do_not_appear(database: Database) {
    let press = database.piece("press").await;
    let mut undone = database.begin().await;
    report_in(&mut *undone, &[received(press, &["speed"], 5)]).await;
    assert!(undone.metrics().find(&metric("speed")).await.unwrap().is_some());
    undone.rollback().await;
    assert_eq!(database.metric(&metric("speed")).await, None);
    assert!(asked(&database, MetricQuery::default()).await.is_empty());
    database.report(&[received(press, &["speed"], 6)]).await;
    assert_eq!(database.metric(&metric("speed")).await, Some(appeared("speed", 6)));
}

pub async fn every_field_of_a_metric_round_trips_at_its_greatest_length(database: Database) {
    let press = database.piece("press").await;
    let name = format!("z{}", "_.z9".repeat(15)) + "end";
    database.report(&[received(press, &[&name], 5)]).await;
    let described = Metric {
        unit: Some(label(&"°🛠".repeat(50))),
        description: Some(about(&"🦊\n".repeat(500))),
        updated_at: Timestamp::MAX,
        ..appeared(&name, 5)
    };
    let saved = save(&database, &described).await;
    let expected = Metric { version: Version::FIRST.next(), ..described };
    assert_eq!(saved, expected);
    assert_eq!(database.metric(&expected.name).await.as_ref(), Some(&expected));

    let bare = Metric { unit: None, description: None, ..expected };
    save(&database, &bare).await;
    let expected = Metric { version: bare.version.next(), ..bare };
    assert_eq!(database.metric(&expected.name).await, Some(expected));
}

pub async fn saving_a_metric_counts_from_the_stored_version_and_leaves_the_rest_alone(database: Database) {
    let press = database.piece("press").await;
    database.report(&[received(press, &["speed", "torque"], 5)]).await;
    let second = save(&database, &appeared("speed", 5)).await;
    let stale = Metric { created_at: at(99), updated_at: at(9), ..appeared("speed", 5) };
    let third = save(&database, &stale).await;
    let expected = Metric { version: second.version.next(), updated_at: at(9), ..appeared("speed", 5) };
    assert_eq!(third, expected);
    assert_eq!(database.metric(&metric("speed")).await, Some(expected));
    assert_eq!(database.metric(&metric("torque")).await, Some(appeared("torque", 5)));
}

pub async fn an_unknown_metric_is_not_found_and_not_saved(database: Database) {
    let unknown = appeared("unknown", 1);
    assert_eq!(database.metric(&unknown.name).await, None);
    let locked = database.within(async |unit| unit.metrics().lock(&unknown.name).await.unwrap()).await;
    assert_eq!(locked, None);
    let refusal = database.refusal(async |unit| unit.metrics().save(&unknown).await).await;
    assert_dangling(refusal, Reference::Metric);
}

pub async fn a_locked_metric_is_the_stored_one(database: Database) {
    let press = database.piece("press").await;
    database.report(&[received(press, &["speed"], 5)]).await;
    let saved = save(&database, &Metric { unit: Some(label("m/s")), ..appeared("speed", 5) }).await;
    let locked = database.within(async |unit| unit.metrics().lock(&saved.name).await.unwrap()).await;
    assert_eq!(locked, Some(saved));
}

pub async fn of_two_units_that_bring_the_same_metric_both_are_stored(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let mut first = database.begin().await;
    report_in(&mut *first, &[received(press, &["speed", "load"], 5)]).await;
    let second = database.meanwhile(async move |mut unit| {
        report_in(&mut *unit, &[received(robot, &["speed", "torque"], 6)]).await;
        unit.commit().await.unwrap();
    });
    first.commit().await.unwrap();
    second.outcome().await;
    assert_eq!(asked(&database, MetricQuery::default()).await, ["load", "speed", "torque"]);
    for (piece, second) in [(press, 5), (robot, 6)] {
        assert_eq!(database.head(piece).await.unwrap().last_seen_at, Some(at(second)));
    }
}

pub async fn units_that_bring_many_metrics_at_once_do_not_block_each_other(database: Database) {
    let mut pieces = Vec::new();
    for _ in 0..20 {
        pieces.push(database.piece("press").await);
    }
    let names: Vec<String> = (0..40).map(|number| format!("m{number:02}")).collect();
    let reporting: Vec<_> = pieces
        .into_iter()
        .zip(0..)
        .map(|(piece, number)| {
            let mut names = names.clone();
            names.rotate_left(number as usize);
            database.meanwhile(async move |mut unit| {
                // A reading for each metric, so that units meet the metrics in different orders.
                let readings: Vec<Reading> = (0..)
                    .zip(&names)
                    .map(|(second, name)| a_reading_of(piece, second, values(&[(name, 1.0)])))
                    .collect();
                report_in(&mut *unit, &readings).await;
                unit.commit().await
            })
        })
        .collect();
    for unit in reporting {
        unit.outcome().await.unwrap();
    }
    assert_eq!(asked(&database, MetricQuery::default()).await, names);
}

/// Metrics that appeared in these seconds, described so.
async fn catalogue(database: &Database, metrics: &[(&str, i64, &str, &str)]) {
    let press = database.piece("press").await;
    for (name, second, unit, description) in metrics {
        database
            .report(&[Reading {
                id: a_reading(press, metrics.len() as i64 + second).id,
                ..received(press, &[name], *second)
            }])
            .await;
        let described = Metric {
            unit: (!unit.is_empty()).then(|| label(unit)),
            description: (!description.is_empty()).then(|| about(description)),
            ..appeared(name, *second)
        };
        save(database, &described).await;
    }
}

pub async fn metrics_are_ordered_by_each_key_both_ways_and_equals_by_name(database: Database) {
    catalogue(&database, &[("b_", 2, "", ""), ("b.", 3, "", ""), ("a", 1, "", "")]).await;
    let press = database.piece("other").await;
    database.report(&[received(press, &["z", "y", "b0"], 9)]).await;
    let by = async |order: &[Order<MetricKey>]| {
        asked(&database, MetricQuery { order: order.to_vec(), ..MetricQuery::default() }).await
    };
    let by_name = ["a", "b.", "b0", "b_", "y", "z"];
    assert_eq!(by(&[]).await, by_name);
    assert_eq!(by(&[up(MetricKey::Name)]).await, by_name);
    assert_eq!(by(&[down(MetricKey::Name)]).await, ["z", "y", "b_", "b0", "b.", "a"]);
    assert_eq!(by(&[up(MetricKey::CreatedAt)]).await, ["a", "b_", "b.", "b0", "y", "z"]);
    assert_eq!(by(&[down(MetricKey::CreatedAt)]).await, ["b0", "y", "z", "b.", "b_", "a"]);
    let then_by_name = [down(MetricKey::CreatedAt), down(MetricKey::Name)];
    assert_eq!(by(&then_by_name).await, ["z", "y", "b0", "b.", "b_", "a"]);
}

pub async fn metrics_are_filtered_by_name_and_by_search_together(database: Database) {
    catalogue(
        &database,
        &[
            ("speed", 1, "m/s", ""),
            ("spindle.speed", 2, "1/min", "of the Straße"),
            ("load", 3, "%", "100% is nominal"),
            ("t_1", 4, "°C", r"c\d"),
        ],
    )
    .await;
    let of = async |names: &[&str], text: Option<&str>| {
        let names = names.iter().map(|name| metric(name)).collect();
        asked(&database, MetricQuery { names, search: text.map(Into::into), ..MetricQuery::default() }).await
    };
    assert_eq!(of(&["speed"], None).await, ["speed"]);
    assert_eq!(of(&["t_1", "unknown", "load"], None).await, ["load", "t_1"]);
    assert_eq!(of(&[], Some("PEED")).await, ["speed", "spindle.speed"]);
    assert_eq!(of(&[], Some("M/S")).await, ["speed"]);
    assert_eq!(of(&[], Some("STRASSE")).await, ["spindle.speed"]);
    assert_eq!(of(&[], Some("%")).await, ["load"]);
    assert_eq!(of(&[], Some("_")).await, ["t_1"]);
    assert_eq!(of(&[], Some(r"\")).await, ["t_1"]);
    assert!(of(&[], Some("nothing")).await.is_empty());
    assert_eq!(of(&["speed", "load"], Some("speed")).await, ["speed"]);
}

pub async fn pages_of_metrics_cut_the_list_and_know_the_total(database: Database) {
    let press = database.piece("press").await;
    database.report(&[received(press, &["c", "a", "b"], 1)]).await;
    for (number, expected) in [(1, vec!["a", "b"]), (2, vec!["c"]), (3, vec![]), (1_000_000, vec![])] {
        let query = MetricQuery { page: page(number, 2), ..MetricQuery::default() };
        let answer = database.reader().await.metrics().list(&query).await.unwrap();
        let names: Vec<&str> = answer.items.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!((names, answer.total), (expected, 3));
    }
}
