//! Promises about readings that are old, and about room for those to come.

use crate::Database;
use crate::builders::{self, a_reading, no_piece};
use domain::id::EquipmentId;
use domain::ports::{Part, UnitOfWork};
use domain::telemetry::{Reading, ReadingId};
use domain::time::Timestamp;
use std::collections::BTreeSet;

const WEEK: i64 = 7 * 24 * 60 * 60;

/// So far ahead that no database has made room for it by itself.
const AHEAD: i64 = 2000 * WEEK;

fn at(second: i64) -> Timestamp {
    builders::at(AHEAD + second)
}

async fn make_room(database: &Database, now: Timestamp) {
    database.within(async |unit| unit.readings().make_room(now).await.unwrap()).await;
}

async fn drop_before(database: &Database, before: Timestamp) {
    database.within(async |unit| unit.readings().drop_before(before).await.unwrap()).await;
}

async fn delete_some(database: &Database, piece: EquipmentId, before: Timestamp, most: u32) -> u64 {
    database.within(async |unit| delete_some_in(unit, piece, before, most).await).await
}

async fn delete_some_in(unit: &mut dyn UnitOfWork, piece: EquipmentId, before: Timestamp, most: u32) -> u64 {
    unit.readings().delete_some_before(piece, before, most).await.unwrap()
}

async fn reporting(
    database: &Database,
    before: Timestamp,
    after: Option<EquipmentId>,
    limit: u32,
) -> Vec<EquipmentId> {
    database.reader().await.readings().reporting_before(before, after, limit).await.unwrap()
}

/// Which of these are stored.
async fn left(database: &Database, readings: &[Reading]) -> BTreeSet<ReadingId> {
    let ids: Vec<ReadingId> = readings.iter().map(|reading| reading.id).collect();
    let found = database.reader().await.readings().find_all(&ids).await.unwrap();
    found.into_iter().map(|reading| reading.id).collect()
}

fn ids(readings: &[Reading]) -> BTreeSet<ReadingId> {
    readings.iter().map(|reading| reading.id).collect()
}

/// Readings of many weeks, three days apart.
fn of_many_weeks(piece: EquipmentId) -> Vec<Reading> {
    (-20..=20).map(|place| a_reading(piece, AHEAD + place * 3 * 24 * 60 * 60)).collect()
}

pub async fn room_for_readings_is_made_without_touching_any(database: Database) {
    let press = database.piece("press").await;
    let readings = of_many_weeks(press);
    database.report(&readings[..20]).await;
    for week in [0, 0, -3, 2, 1] {
        make_room(&database, at(week * WEEK)).await;
        assert_eq!(left(&database, &readings).await, ids(&readings[..20]));
    }
    database.report(&readings[20..]).await;
    make_room(&database, at(0)).await;
    assert_eq!(left(&database, &readings).await, ids(&readings));
    for reading in readings {
        assert_eq!(database.reading(reading.id).await, Some(reading));
    }
}

pub async fn readings_may_be_of_any_time_whatever_room_was_made(database: Database) {
    let press = database.piece("press").await;
    make_room(&database, at(0)).await;
    let instants = [Timestamp::MIN, at(-500 * WEEK), at(0), at(500 * WEEK), Timestamp::MAX];
    let readings =
        instants.map(|at| Reading { id: ReadingId { equipment: press, at }, ..a_reading(press, 0) });
    database.report(&readings).await;
    assert_eq!(left(&database, &readings).await, ids(&readings));
}

pub async fn what_is_dropped_as_a_whole_is_older_than_the_instant(database: Database) {
    let press = database.piece("press").await;
    for week in -10..=8 {
        make_room(&database, at(week * WEEK)).await;
    }
    let readings = of_many_weeks(press);
    database.report(&readings).await;
    let head = database.head(press).await;
    for second in [-500 * WEEK, -3 * WEEK + 1, 0, 5 * WEEK, 500 * WEEK] {
        drop_before(&database, at(second)).await;
        let later: Vec<Reading> =
            readings.iter().filter(|reading| reading.id.at >= at(second)).cloned().collect();
        assert!(left(&database, &readings).await.is_superset(&ids(&later)), "{second}");
        assert_eq!(database.head(press).await, head);
    }
    // What comes late is stored all the same.
    let gone: Vec<Reading> = {
        let left = left(&database, &readings).await;
        readings.iter().filter(|reading| !left.contains(&reading.id)).cloned().collect()
    };
    database.within(async |unit| unit.readings().insert(&gone).await.unwrap()).await;
    assert_eq!(left(&database, &readings).await, ids(&readings));
}

pub async fn room_that_is_given_back_takes_no_reading_along(database: Database) {
    let press = database.piece("press").await;
    make_room(&database, at(0)).await;
    let readings = of_many_weeks(press);
    database.report(&readings).await;
    database.within(async |unit| unit.readings().pack(press, at(-2 * WEEK), 100).await.unwrap()).await;
    let mut parts = database.reader().await.readings().emptied(at(WEEK)).await.unwrap();
    parts.push(Part("nobody's".to_owned()));
    for part in parts {
        database.within(async |unit| unit.readings().give_back(&part).await.unwrap()).await;
        assert_eq!(left(&database, &readings).await, ids(&readings));
    }
}

pub async fn equipment_with_old_readings_is_named_in_order_hidden_or_not(database: Database) {
    let mut pieces = Vec::new();
    for name in ["a", "b", "hidden", "new", "silent"] {
        pieces.push(database.piece(name).await);
    }
    let old = pieces[..3].iter().map(|piece| a_reading(*piece, AHEAD + 1));
    let new = pieces[..4].iter().map(|piece| a_reading(*piece, AHEAD + 5));
    database.report(&old.chain(new).collect::<Vec<_>>()).await;
    database.hide(pieces[2]).await;
    assert_eq!(reporting(&database, at(1), None, 10).await, []);
    assert_eq!(reporting(&database, at(5), None, 10).await, pieces[..3]);
    assert_eq!(reporting(&database, at(5), None, 2).await, pieces[..2]);
    assert_eq!(reporting(&database, at(5), Some(pieces[1]), 2).await, pieces[2..3]);
    assert_eq!(reporting(&database, at(6), Some(pieces[2]), 2).await, pieces[3..4]);
}

pub async fn old_readings_of_a_piece_go_some_at_a_time_and_no_others(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let readings: Vec<Reading> = (0..6).map(|second| a_reading(press, AHEAD + second)).collect();
    let beside = a_reading(robot, AHEAD);
    database.report(&readings).await;
    database.report(std::slice::from_ref(&beside)).await;
    let head = database.head(press).await;
    for (most, deleted, first_left) in [(0, 0, 0), (3, 3, 3), (3, 1, 4), (3, 0, 4)] {
        assert_eq!(delete_some(&database, press, at(4), most).await, deleted);
        assert_eq!(left(&database, &readings).await, ids(&readings[first_left..]));
        assert_eq!(delete_some(&database, no_piece(), at(4), most).await, 0);
    }
    assert_eq!(delete_some(&database, press, Timestamp::MAX, 10).await, 2);
    assert_eq!(database.head(press).await, head);
    assert_eq!(database.reading(beside.id).await, Some(beside));
}

pub async fn a_forgetting_of_readings_that_is_undone_forgets_nothing(database: Database) {
    let press = database.piece("press").await;
    make_room(&database, at(0)).await;
    let readings = of_many_weeks(press);
    database.report(&readings).await;
    let mut undone = database.begin().await;
    undone.readings().drop_before(at(4 * WEEK)).await.unwrap();
    delete_some_in(&mut *undone, press, at(4 * WEEK), 100).await;
    undone.rollback().await;
    assert_eq!(left(&database, &readings).await, ids(&readings));
}
