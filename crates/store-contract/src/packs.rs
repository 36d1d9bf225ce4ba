//! Promises about readings that are packed. All that is promised of readings is promised of packed ones as well: the other
//! concerns of readings are checked once more with all of them packed.

use crate::Database;
use crate::builders::{a_reading, a_reading_id, a_reading_of, at, values};
use crate::database::assert_dangling;
use domain::id::EquipmentId;
use domain::page::Direction;
use domain::ports::Reference;
use domain::telemetry::{Reading, ReadingFilter, ReadingId, Tag, Tags};
use domain::time::Timestamp;
use std::slice::from_ref;

/// More than fit into one pack, whoever makes packs.
const MANY: i64 = 5_000;

async fn loose(
    database: &Database,
    before: Timestamp,
    after: Option<EquipmentId>,
    limit: u32,
) -> Vec<EquipmentId> {
    database.reader().await.readings().loose_before(before, after, limit).await.unwrap()
}

/// All readings, met in parts of this many.
async fn walked(
    database: &Database,
    filter: &ReadingFilter,
    direction: Direction,
    limit: u32,
) -> Vec<Reading> {
    let mut met: Vec<Reading> = Vec::new();
    loop {
        let after = met.last().map(|reading| reading.id);
        let mut reader = database.reader().await;
        let part = reader.readings().scan(filter, direction, after, limit).await.unwrap();
        let is_last = part.len() < limit as usize;
        met.extend(part);
        if is_last {
            return met;
        }
    }
}

async fn all(database: &Database) -> Vec<Reading> {
    walked(database, &ReadingFilter::default(), Direction::Ascending, 1000).await
}

fn seconds(piece: EquipmentId, seconds: impl IntoIterator<Item = i64>) -> Vec<Reading> {
    seconds.into_iter().map(|second| a_reading(piece, second)).collect()
}

pub async fn packing_takes_the_oldest_first_and_says_how_many(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let readings = seconds(press, 0..10);
    database.report(&readings).await;
    database.report(&seconds(robot, 0..10)).await;
    assert_eq!(database.pack(press, at(0), 100).await, 0);
    assert_eq!(database.pack(press, at(8), 3).await, 3);
    assert_eq!(loose(&database, at(3), None, 10).await, [robot]);
    assert_eq!(loose(&database, at(4), None, 10).await, [press, robot]);
    assert_eq!(database.pack(press, at(8), 100).await, 5);
    assert_eq!(database.pack(press, at(8), 100).await, 0);
    assert_eq!(loose(&database, at(8), None, 10).await, [robot]);
    assert_eq!(loose(&database, at(9), None, 10).await, [press, robot]);
    assert_eq!(database.pack(EquipmentId::new(i64::MAX).unwrap(), at(8), 100).await, 0);
}

pub async fn what_is_packed_is_what_was_stored(database: Database) {
    let press = database.piece("press").await;
    let shapes: [&[(&str, f64)]; 3] =
        [&[("a", 0.1 + 0.2), ("b", -0.0)], &[("b", f64::MAX)], &[("a", 5e-324), ("c.d", 1.0)]];
    let tags = [
        Tags::new(),
        Tags::from([("door open".into(), Tag::Flag(true)), ("note 🛠".into(), Tag::Text("\"é\"\n".into()))]),
    ];
    let reading = |second: i64| {
        let place = usize::try_from(second).unwrap();
        let reading = a_reading_of(press, second, values(shapes[place % 3]));
        Reading { tags: tags[place / 7 % 2].clone(), received_at: at(second * 3 % 1000), ..reading }
    };
    let readings: Vec<Reading> = (0..MANY).map(reading).collect();
    database.report(&readings).await;
    let head = database.head(press).await;
    while database.pack(press, Timestamp::MAX, 1_500).await > 0 {}
    assert_eq!(all(&database).await, readings);
    assert_eq!(database.head(press).await, head);
    let bits = |readings: &[Reading]| -> Vec<u64> {
        readings.iter().flat_map(|reading| reading.values.numbers()).map(|number| number.to_bits()).collect()
    };
    assert_eq!(bits(&all(&database).await), bits(&readings));
    for place in [0, 1, 1023, 1024, 4999] {
        assert_eq!(database.reading(readings[place].id).await.as_ref(), Some(&readings[place]));
    }
    assert_eq!(database.reading(a_reading_id(press, MANY)).await, None);
    database.hide(press).await;
    assert_eq!(database.reading(readings[7].id).await, None);
    assert_eq!(all(&database).await, []);
}

pub async fn equipment_with_loose_readings_is_named_in_order_without_what_is_hidden(database: Database) {
    let mut pieces = Vec::new();
    for name in ["a", "b", "hidden", "c", "silent"] {
        pieces.push(database.piece(name).await);
    }
    for piece in &pieces[..4] {
        database.report(&seconds(*piece, [1, 5])).await;
    }
    database.hide(pieces[2]).await;
    assert_eq!(loose(&database, at(1), None, 10).await, []);
    assert_eq!(loose(&database, at(2), None, 10).await, [pieces[0], pieces[1], pieces[3]]);
    assert_eq!(loose(&database, at(2), None, 2).await, pieces[..2]);
    assert_eq!(loose(&database, at(2), Some(pieces[1]), 2).await, [pieces[3]]);
    database.pack(pieces[0], at(9), 10).await;
    assert_eq!(loose(&database, at(9), None, 10).await, [pieces[1], pieces[3]]);
}

pub async fn what_is_written_into_a_packed_time_stands_in_its_place_and_is_packed_again(database: Database) {
    let press = database.piece("press").await;
    let mut readings = seconds(press, (0..MANY).step_by(2));
    database.report(&readings).await;
    while database.pack(press, Timestamp::MAX, 4_096).await > 0 {}
    let late = seconds(press, [1, 2_001, 4_997]);
    database.report(&late).await;
    readings.extend(late);
    readings.sort_by_key(|reading| reading.id);
    assert_eq!(all(&database).await, readings);
    let replaced = Reading { received_at: at(9), ..a_reading_of(press, 100, values(&[("late", 1.5)])) };
    database.within(async |unit| unit.readings().replace(from_ref(&replaced)).await.unwrap()).await;
    let place = readings.iter().position(|reading| reading.id == replaced.id).unwrap();
    readings[place] = replaced;
    let gone: Vec<ReadingId> = [0, 2_002, 4_998].map(|second| a_reading_id(press, second)).to_vec();
    assert_eq!(database.within(async |unit| unit.readings().delete(&gone).await.unwrap()).await, 3);
    readings.retain(|reading| !gone.contains(&reading.id));
    assert_eq!(all(&database).await, readings);
    assert_eq!(loose(&database, Timestamp::MAX, None, 10).await, [press]);
    while database.pack(press, Timestamp::MAX, 4_096).await > 0 {}
    assert_eq!(loose(&database, Timestamp::MAX, None, 10).await, []);
    assert_eq!(all(&database).await, readings);
}

pub async fn readings_on_both_sides_of_what_is_packed_are_walked_through_in_order(database: Database) {
    let press = database.piece("press").await;
    database.report(&seconds(press, 10..20)).await;
    database.pack(press, Timestamp::MAX, 100).await;
    database.report(&seconds(press, 0..10)).await;
    database.report(&seconds(press, 20..30)).await;
    database.pack(press, at(25), 3).await;
    let mut expected = seconds(press, 0..30);
    for direction in [Direction::Ascending, Direction::Descending] {
        for limit in [1, 7, 10, 29, 30, 31] {
            assert_eq!(
                walked(&database, &ReadingFilter::default(), direction, limit).await,
                expected,
                "{limit}"
            );
        }
        expected.reverse();
    }
}

pub async fn many_packs_are_walked_through_in_either_direction(database: Database) {
    let mut pieces = Vec::new();
    for name in ["a", "b", "c"] {
        pieces.push(database.piece(name).await);
    }
    let mut expected = Vec::new();
    for (step, piece) in (2_usize..).zip(&pieces) {
        let readings = seconds(*piece, (0..MANY).step_by(step));
        database.report(&readings).await;
        while database.pack(*piece, at(MANY - 500), 700).await > 0 {}
        expected.extend(readings);
    }
    expected.sort_by_key(|reading| (reading.id.at, reading.id.equipment));
    let some = ReadingFilter { equipment: pieces[1..].to_vec(), ..ReadingFilter::default() };
    for direction in [Direction::Ascending, Direction::Descending] {
        for limit in [900, 10_000] {
            let whole = walked(&database, &ReadingFilter::default(), direction, limit).await;
            assert_eq!(whole, expected, "{limit}");
            let part = walked(&database, &some, direction, limit).await;
            let of_some = |reading: &&Reading| reading.id.equipment != pieces[0];
            assert_eq!(part, expected.iter().filter(of_some).cloned().collect::<Vec<_>>(), "{limit}");
        }
        expected.reverse();
    }
}

pub async fn a_packing_that_is_undone_packs_nothing(database: Database) {
    let press = database.piece("press").await;
    let readings = seconds(press, 0..10);
    database.report(&readings).await;
    let mut undone = database.begin().await;
    undone.readings().lock_heads(&[press]).await.unwrap();
    undone.readings().pack(press, at(9), 100).await.unwrap();
    undone.rollback().await;
    assert_eq!(all(&database).await, readings);
    assert_eq!(database.pack(press, at(9), 100).await, 9);
}

pub async fn a_piece_whose_readings_are_packed_is_not_purged_before_they_are_gone(database: Database) {
    let press = database.piece("press").await;
    database.report(&seconds(press, 0..10)).await;
    database.pack(press, Timestamp::MAX, 100).await;
    let refused = database.refusal(async |unit| unit.equipment().delete(press, at(0)).await).await;
    assert_dangling(refused, Reference::Equipment);
    let deleted =
        database.within(async |unit| unit.readings().delete_some_of(press, 100).await.unwrap()).await;
    assert_eq!(deleted, 10);
    assert!(database.purge(press).await);
}
