//! Promises about rollups: what is kept is found, and what became untrue is gone and due.

use crate::Database;
use crate::builders::{EXTREMES, a_reading, at, metric, no_piece};
use crate::database::assert_dangling;
use domain::id::EquipmentId;
use domain::ports::Reference;
use domain::telemetry::MetricName;
use domain::telemetry::rollup::{Column, Digest, Grain};
use domain::telemetry::series::Bucket;
use domain::time::Timestamp;
use std::slice::from_ref;
use std::time::Duration;

const EVER: (Timestamp, Timestamp) = (Timestamp::MIN, Timestamp::MAX);

/// The beginning of an hour, so many hours after the beginning of a day.
fn hour(number: i64) -> Timestamp {
    let day = Grain::Day.start_of(at(0));
    Timestamp::from_micros(day.micros() + number * Grain::Hour.micros()).unwrap()
}

/// A digest about this time, with one bucket of this metric.
fn a_digest(piece: EquipmentId, grain: Grain, begins: Timestamp, name: &str) -> Digest {
    let columns = vec![Column { metric: metric(name), buckets: vec![Bucket::new(begins, 1.5)] }];
    Digest { columns, ..Digest::new(piece, grain, begins) }
}

async fn keep(database: &Database, digests: &[Digest]) {
    database.within(async |unit| unit.rollups().keep(digests).await.unwrap()).await;
}

async fn found_of(
    database: &Database,
    piece: EquipmentId,
    grain: Grain,
    span: (Timestamp, Timestamp),
    metrics: &[MetricName],
    limit: u32,
) -> Vec<Digest> {
    database.reader().await.rollups().find(piece, grain, span, metrics, limit).await.unwrap()
}

async fn all(database: &Database, piece: EquipmentId, grain: Grain) -> Vec<Digest> {
    found_of(database, piece, grain, EVER, &[], 1000).await
}

async fn due(database: &Database, piece: EquipmentId, limit: u32) -> Vec<Timestamp> {
    database.reader().await.rollups().due(piece, limit).await.unwrap()
}

async fn outdate(database: &Database, piece: EquipmentId, hours: &[Timestamp]) {
    let hours: Vec<(EquipmentId, Timestamp)> = hours.iter().map(|hour| (piece, *hour)).collect();
    database.within(async |unit| unit.rollups().outdate(&hours).await.unwrap()).await;
}

async fn behind(
    database: &Database,
    settled: Timestamp,
    closed: Timestamp,
    after: Option<EquipmentId>,
    limit: u32,
) -> Vec<EquipmentId> {
    database.reader().await.rollups().behind(settled, closed, after, limit).await.unwrap()
}

pub async fn every_field_of_a_digest_round_trips_in_every_grain(database: Database) {
    let press = database.piece("press").await;
    for grain in Grain::ALL {
        let begins = grain.kept_by().start_of(at(0));
        let bucket = |place: u32| {
            let extreme = |shift| EXTREMES[(place as usize + shift) % EXTREMES.len()];
            Bucket {
                at: begins.after(grain.length() * place),
                count: u64::from(place) + 1,
                sum: extreme(0),
                least: extreme(1),
                most: extreme(2),
                first: extreme(3),
                last: extreme(4),
            }
        };
        let places = if grain == Grain::Day { 1 } else { 20 };
        let columns = (0..40).map(|number| Column {
            metric: metric(&format!("m{number:02}")),
            buckets: (number % places..places).map(bucket).collect(),
        });
        let digest = Digest { columns: columns.collect(), ..Digest::new(press, grain, begins) };
        keep(&database, from_ref(&digest)).await;
        let found = all(&database, press, grain).await;
        assert_eq!(found, from_ref(&digest));
        let bits = |digest: &Digest| -> Vec<u64> {
            let buckets = digest.columns.iter().flat_map(|column| &column.buckets);
            buckets.map(|bucket| bucket.sum.to_bits() ^ bucket.last.to_bits()).collect()
        };
        assert_eq!(bits(&found[0]), bits(&digest));
    }
}

pub async fn a_digest_that_is_kept_again_takes_the_place_of_the_one_before(database: Database) {
    let press = database.piece("press").await;
    keep(&database, &[a_digest(press, Grain::Minute, hour(0), "a")]).await;
    let later = [a_digest(press, Grain::Minute, hour(0), "b"), a_digest(press, Grain::Minute, hour(1), "b")];
    keep(&database, &later).await;
    assert_eq!(all(&database, press, Grain::Minute).await, later);
    keep(&database, &[]).await;
}

pub async fn digests_are_found_by_piece_grain_and_half_open_span_oldest_first(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let hours: Vec<Digest> =
        (0..5).rev().map(|number| a_digest(press, Grain::Minute, hour(number), "a")).collect();
    keep(&database, &hours).await;
    keep(&database, &[a_digest(robot, Grain::Minute, hour(2), "a")]).await;
    keep(&database, &[a_digest(press, Grain::Hour, hour(0), "a")]).await;
    for (from, until, limit, expected) in [
        (0, 5, 10, 0..5),
        (1, 3, 10, 1..3),
        (1, 5, 2, 1..3),
        (3, 3, 10, 3..3),
        (4, 1, 10, 4..4),
        (5, 9, 10, 5..5),
    ] {
        let found = found_of(&database, press, Grain::Minute, (hour(from), hour(until)), &[], limit).await;
        let begins: Vec<Timestamp> = found.into_iter().map(|digest| digest.at).collect();
        assert_eq!(begins, expected.map(hour).collect::<Vec<_>>(), "{from} to {until}");
    }
    assert_eq!(all(&database, press, Grain::Hour).await.len(), 1);
    assert_eq!(all(&database, press, Grain::Day).await, []);
    assert_eq!(all(&database, no_piece(), Grain::Minute).await, []);
}

pub async fn digests_tell_of_the_metrics_that_are_asked_for(database: Database) {
    let press = database.piece("press").await;
    let [a, b] = ["a", "b"].map(|name| a_digest(press, Grain::Minute, hour(0), name).columns.remove(0));
    let digest = Digest { columns: vec![a.clone(), b.clone()], ..Digest::new(press, Grain::Minute, hour(0)) };
    keep(&database, from_ref(&digest)).await;
    for (asked, columns) in [
        (vec![], vec![a.clone(), b.clone()]),
        (vec![metric("b")], vec![b.clone()]),
        (vec![metric("b"), metric("c"), metric("a")], vec![a, b]),
        (vec![metric("c")], vec![]),
    ] {
        let found = found_of(&database, press, Grain::Minute, EVER, &asked, 10).await;
        assert_eq!(found, [Digest { columns, ..digest.clone() }], "{asked:?}");
    }
}

pub async fn hidden_equipment_is_rolled_up_like_any_other(database: Database) {
    let press = database.piece("press").await;
    database.report(&[a_reading(press, 5)]).await;
    let head = database.head(press).await.unwrap();
    database.hide(press).await;
    let held = database.within(async |unit| unit.rollups().lock_head(press).await.unwrap()).await;
    assert_eq!(held, Some(head));
    keep(&database, &[a_digest(press, Grain::Day, hour(0), "a")]).await;
    outdate(&database, press, &[hour(30)]).await;
    assert_eq!(all(&database, press, Grain::Day).await.len(), 1);
    assert_eq!(due(&database, press, 10).await, [hour(30)]);
    let nobody = database.within(async |unit| unit.rollups().lock_head(no_piece()).await.unwrap()).await;
    assert_eq!(nobody, None);
}

pub async fn outdating_removes_the_digests_about_the_hours_and_their_days_alone(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    for piece in [press, robot] {
        let minutes = [0, 5, 23, 24, 47, 48].map(|number| a_digest(piece, Grain::Minute, hour(number), "a"));
        keep(&database, &minutes).await;
        for day in [0, 24, 48] {
            keep(&database, &[a_digest(piece, Grain::Hour, hour(day), "a")]).await;
            keep(&database, &[a_digest(piece, Grain::Day, hour(day), "a")]).await;
        }
    }
    outdate(&database, press, &[hour(5), hour(6), hour(47)]).await;
    let begins = async |piece, grain| -> Vec<Timestamp> {
        all(&database, piece, grain).await.into_iter().map(|digest| digest.at).collect()
    };
    assert_eq!(begins(press, Grain::Minute).await, [0, 23, 24, 48].map(hour));
    assert_eq!(begins(press, Grain::Hour).await, [hour(48)]);
    assert_eq!(begins(press, Grain::Day).await, [hour(48)]);
    assert_eq!(begins(robot, Grain::Minute).await.len(), 6);
    assert_eq!(begins(robot, Grain::Day).await.len(), 3);
    outdate(&database, press, &[]).await;
}

pub async fn hours_are_due_once_each_until_they_are_settled(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    assert_eq!(due(&database, press, 10).await, []);
    outdate(&database, press, &[hour(5), hour(1)]).await;
    outdate(&database, press, &[hour(3), hour(1)]).await;
    outdate(&database, robot, &[hour(9)]).await;
    assert_eq!(due(&database, press, 10).await, [hour(1), hour(3), hour(5)]);
    assert_eq!(due(&database, press, 2).await, [hour(1), hour(3)]);
    let settled = [hour(3), hour(1), hour(7)];
    database.within(async |unit| unit.rollups().settle(press, &settled).await.unwrap()).await;
    assert_eq!(due(&database, press, u32::MAX).await, [hour(5)]);
    assert_eq!(due(&database, robot, 10).await, [hour(9)]);
}

pub async fn how_far_readings_were_rolled_up_is_known_to_the_head_and_saved_with_nothing_else(
    database: Database,
) {
    let press = database.piece("press").await;
    database.report(&[a_reading(press, 5)]).await;
    let head = database.head(press).await.unwrap();
    assert_eq!(head.rolled_until, None);
    for until in [hour(9), hour(3), Timestamp::MIN, Timestamp::MAX] {
        database.within(async |unit| unit.rollups().note_rolled(press, until).await.unwrap()).await;
        let expected = domain::telemetry::Head { rolled_until: Some(until), ..head.clone() };
        assert_eq!(database.head(press).await, Some(expected.clone()));
        let locked = database.within(async |unit| unit.readings().lock_heads(&[press]).await.unwrap()).await;
        assert_eq!(locked, [expected]);
        database.within(async |unit| unit.readings().save_heads(from_ref(&head)).await.unwrap()).await;
        assert_eq!(database.head(press).await.unwrap().rolled_until, Some(until));
    }
    database.within(async |unit| unit.rollups().note_rolled(no_piece(), hour(1)).await.unwrap()).await;
}

pub async fn who_moved_on_or_has_hours_that_are_due_is_behind(database: Database) {
    let mut pieces = Vec::new();
    for name in ["silent", "never rolled", "rolled", "moved on", "just begun", "due", "hidden"] {
        pieces.push(database.piece(name).await);
    }
    let seen = a_reading(pieces[0], 0).id.at;
    let this_hour = Grain::Hour.start_of(seen);
    let next_hour = this_hour.after(Grain::Hour.length());
    let much_later = next_hour.after(Duration::from_secs(86_400));
    for piece in &pieces[1..] {
        database.report(&[a_reading(*piece, 0)]).await;
    }
    let an_hour_ago = seen.before(Grain::Hour.length());
    let rolled =
        [(2, next_hour), (3, an_hour_ago), (4, an_hour_ago.after(Duration::from_micros(1))), (5, much_later)];
    for (place, rolled) in rolled {
        let piece = pieces[place];
        database.within(async |unit| unit.rollups().note_rolled(piece, rolled).await.unwrap()).await;
    }
    outdate(&database, pieces[5], &[this_hour]).await;
    database.hide(pieces[6]).await;
    let [never, moved_on, begun, with_due, hidden] = [1, 3, 4, 5, 6].map(|place: usize| pieces[place]);
    let none = Timestamp::MIN;
    assert_eq!(behind(&database, an_hour_ago, none, None, 10).await, [never, hidden]);
    assert_eq!(behind(&database, this_hour, none, None, 10).await, [never, moved_on, hidden]);
    assert_eq!(behind(&database, next_hour, none, None, 10).await, [never, moved_on, with_due, hidden]);
    assert_eq!(behind(&database, next_hour, none, None, 2).await, [never, moved_on]);
    assert_eq!(behind(&database, next_hour, none, Some(moved_on), 10).await, [with_due, hidden]);
    let closed = behind(&database, none, next_hour, None, 10).await;
    assert_eq!(closed, [never, moved_on, begun, hidden]);
}

pub async fn digests_that_begin_before_an_instant_are_forgotten_some_at_a_time(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    for piece in [press, robot] {
        let minutes: Vec<Digest> =
            (0..4).map(|number| a_digest(piece, Grain::Minute, hour(number), "a")).collect();
        keep(&database, &minutes).await;
        keep(&database, &[a_digest(piece, Grain::Hour, hour(0), "a")]).await;
    }
    let forget = async |grain, before, most| {
        database.within(async |unit| unit.rollups().forget(grain, before, most).await.unwrap()).await
    };
    assert_eq!(forget(Grain::Minute, hour(0), 100).await, 0);
    assert_eq!(forget(Grain::Minute, hour(3), 4).await, 4);
    assert_eq!(forget(Grain::Minute, hour(3), 4).await, 2);
    assert_eq!(forget(Grain::Minute, hour(3), 4).await, 0);
    for piece in [press, robot] {
        let left = all(&database, piece, Grain::Minute).await;
        assert_eq!(left.into_iter().map(|digest| digest.at).collect::<Vec<_>>(), [hour(3)]);
        assert_eq!(all(&database, piece, Grain::Hour).await.len(), 1);
    }
}

pub async fn a_purged_piece_takes_its_rollups_along_and_nobody_elses(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    for piece in [press, robot] {
        keep(&database, &[a_digest(piece, Grain::Day, hour(0), "a")]).await;
        outdate(&database, piece, &[hour(100)]).await;
    }
    assert!(database.purge(press).await);
    assert_eq!(all(&database, press, Grain::Day).await, []);
    assert_eq!(due(&database, press, 10).await, []);
    assert_eq!(all(&database, robot, Grain::Day).await.len(), 1);
    assert_eq!(due(&database, robot, 10).await, [hour(100)]);
}

pub async fn a_digest_of_equipment_that_is_gone_dangles(database: Database) {
    let gone = a_digest(no_piece(), Grain::Day, hour(0), "a");
    let refused = database.refusal(async |unit| unit.rollups().keep(from_ref(&gone)).await).await;
    assert_dangling(refused, Reference::Equipment);
    let refused = database.refusal(async |unit| unit.rollups().outdate(&[(no_piece(), hour(0))]).await).await;
    assert_dangling(refused, Reference::Equipment);
}
