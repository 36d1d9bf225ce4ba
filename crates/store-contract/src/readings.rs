//! Promises about storing, finding and removing readings. Streams of them are in `reading_streams`, heads in `heads`.

use crate::Database;
use crate::builders::{
    EXTREMES, a_reading, a_reading_id, a_reading_of, at, bits, extreme_values, metric, no_piece, values,
};
use crate::database::{assert_dangling, assert_taken, report_in};
use domain::id::EquipmentId;
use domain::ports::{Reference, Unique};
use domain::telemetry::{
    MOST_AT_ONCE, MOST_ATTRIBUTES, MOST_METRICS, Reading, ReadingId, Shape, Tag, Tags, Values,
};
use domain::time::Timestamp;
use std::slice::from_ref;

async fn found_all(database: &Database, ids: &[ReadingId]) -> Vec<Reading> {
    let mut found = database.reader().await.readings().find_all(ids).await.unwrap();
    found.sort_by_key(|reading| reading.id);
    found
}

async fn replace(database: &Database, readings: &[Reading]) {
    database.within(async |unit| unit.readings().replace(readings).await.unwrap()).await;
}

async fn delete(database: &Database, ids: &[ReadingId]) -> u64 {
    database.within(async |unit| unit.readings().delete(ids).await.unwrap()).await
}

/// The reading comes back by id, among others and as part of a stream, bit for bit.
async fn round_trips(database: &Database, reading: &Reading) {
    let by_id = database.reading(reading.id).await.unwrap();
    let among = found_all(database, &[reading.id]).await.pop().unwrap();
    let scanning = &Default::default();
    let scanned =
        database.reader().await.readings().scan(scanning, Default::default(), None, 10).await.unwrap();
    let streamed = scanned.into_iter().find(|scanned| scanned.id == reading.id).unwrap();
    for found in [by_id, among, streamed] {
        assert_eq!(&found, reading);
        assert_eq!(bits(&found.values), bits(&reading.values));
    }
}

/// As many facts as a reading may carry, among them all that a careless database confuses.
fn most_tags() -> Tags {
    let text = |text: &str| Tag::Text(text.into());
    let named = [
        ("flag", Tag::Flag(true)),
        ("other flag", Tag::Flag(false)),
        ("text like a flag", text("true")),
        ("text like a number", text("1e5")),
        ("text like nothing", text("null")),
        ("empty", text("")),
        ("quoted", text("\"a\\b\"\n\t'c'")),
        ("цех 🛠", text(&"🦊".repeat(1000))),
        ("A", text("upper")),
        ("a", text("lower")),
        ("", text("without a name")),
    ];
    let mut tags: Tags = named.into_iter().map(|(name, tag)| (name.to_owned(), tag)).collect();
    let rest =
        (tags.len()..MOST_ATTRIBUTES).map(|number| (format!("{number}-{}", "x".repeat(60)), Tag::Flag(true)));
    tags.extend(rest.collect::<Vec<_>>());
    tags
}

pub async fn every_field_of_a_reading_round_trips_at_its_greatest_length(database: Database) {
    let press = database.piece("press").await;
    let names =
        (0..MOST_METRICS).map(|number| metric(&format!("m{number:03}{}", "_.z9".repeat(15)))).collect();
    let numbers = EXTREMES.iter().copied().cycle().take(MOST_METRICS).collect();
    let values = Values::new(Shape::new(names), numbers).unwrap();
    let reading = Reading { tags: most_tags(), received_at: at(7), ..a_reading_of(press, 1, values) };
    database.report(from_ref(&reading)).await;
    round_trips(&database, &reading).await;
}

pub async fn every_number_keeps_all_its_bits(database: Database) {
    let press = database.piece("press").await;
    let mut readings = Vec::new();
    for (second, number) in (0..).zip(EXTREMES) {
        readings.push(a_reading_of(press, second, values(&[("t", number)])));
    }
    readings.push(a_reading_of(press, 99, extreme_values()));
    database.report(&readings).await;
    for reading in &readings {
        round_trips(&database, reading).await;
    }
}

pub async fn a_reading_may_carry_one_value_and_no_other_fact(database: Database) {
    let press = database.piece("press").await;
    let reading = a_reading(press, 1);
    assert!(reading.tags.is_empty());
    database.report(from_ref(&reading)).await;
    round_trips(&database, &reading).await;
}

pub async fn the_instants_of_readings_reach_from_the_first_year_to_the_last(database: Database) {
    let press = database.piece("press").await;
    for instant in [Timestamp::MIN, Timestamp::from_micros(-1).unwrap(), Timestamp::MAX] {
        let id = ReadingId { equipment: press, at: instant };
        let reading = Reading { id, received_at: instant, ..a_reading(press, 0) };
        database.report(from_ref(&reading)).await;
        round_trips(&database, &reading).await;
    }
}

pub async fn readings_of_different_metrics_are_kept_apart(database: Database) {
    let press = database.piece("press").await;
    let sets: [&[(&str, f64)]; 5] = [
        &[("a", 1.0)],
        &[("a", 2.0), ("b", 3.0)],
        &[("b", 4.0)],
        &[("a", 5.0), ("b", 6.0), ("c.d_e", 7.0)],
        &[("a", 8.0), ("b", 9.0)],
    ];
    let readings: Vec<Reading> =
        (0..).zip(sets).map(|(second, named)| a_reading_of(press, second, values(named))).collect();
    database.report(&readings).await;
    let ids: Vec<ReadingId> = readings.iter().map(|reading| reading.id).collect();
    assert_eq!(found_all(&database, &ids).await, readings);
}

pub async fn an_unknown_reading_is_not_found_anywhere(database: Database) {
    let press = database.piece("press").await;
    database.report(&[a_reading(press, 1)]).await;
    let a_moment_later = Timestamp::from_micros(at(1).micros() + 1).unwrap();
    for id in [
        a_reading_id(press, 2),
        a_reading_id(no_piece(), 1),
        ReadingId { equipment: press, at: a_moment_later },
    ] {
        assert_eq!(database.reading(id).await, None);
        assert!(found_all(&database, &[id]).await.is_empty());
        assert_eq!(delete(&database, &[id]).await, 0);
    }
}

pub async fn a_second_reading_of_an_identity_is_named_and_changes_nothing(database: Database) {
    let press = database.piece("press").await;
    let stored = a_reading(press, 1);
    database.report(from_ref(&stored)).await;
    let batch = [a_reading(press, 0), a_reading_of(press, 1, values(&[("other", 9.0)])), a_reading(press, 2)];
    let refusal = database.refusal(async |unit| unit.readings().insert(&batch).await).await;
    assert_taken(refusal, Unique::Reading);
    let ids = batch.map(|reading| reading.id);
    assert_eq!(found_all(&database, &ids).await, [stored]);
}

pub async fn two_readings_of_one_identity_at_once_are_named(database: Database) {
    let press = database.piece("press").await;
    let twice = [a_reading(press, 1), a_reading(press, 2), a_reading(press, 1)];
    let refusal = database.refusal(async |unit| unit.readings().insert(&twice).await).await;
    assert_taken(refusal, Unique::Reading);
    assert_eq!(database.reading(a_reading_id(press, 2)).await, None);
}

pub async fn a_reading_of_equipment_that_is_gone_dangles_and_takes_the_others_along(database: Database) {
    let press = database.piece("press").await;
    let batch = [a_reading(press, 1), a_reading(no_piece(), 1), a_reading(press, 2)];
    let refusal = database.refusal(async |unit| unit.readings().insert(&batch).await).await;
    assert_dangling(refusal, Reference::Equipment);
    assert!(found_all(&database, &batch.map(|reading| reading.id)).await.is_empty());
}

pub async fn equipment_and_instant_together_identify_a_reading(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let a_moment_later =
        ReadingId { equipment: press, at: Timestamp::from_micros(at(1).micros() + 1).unwrap() };
    let readings = [
        a_reading(press, 1),
        Reading { id: a_moment_later, ..a_reading(press, 2) },
        Reading { received_at: at(5), ..a_reading(robot, 1) },
    ];
    database.report(&readings).await;
    for reading in readings {
        assert_eq!(database.reading(reading.id).await, Some(reading));
    }
}

pub async fn readings_are_found_among_others_whatever_the_state_of_their_equipment(database: Database) {
    let [press, hidden] = [database.piece("press").await, database.piece("hidden").await];
    let readings = [a_reading(press, 1), a_reading(press, 2), a_reading(hidden, 1)];
    database.report(&readings).await;
    database.hide(hidden).await;
    let [one, _, of_hidden] = readings;
    let asked = [of_hidden.id, a_reading_id(press, 9), one.id, a_reading_id(no_piece(), 1), one.id];
    assert_eq!(found_all(&database, &asked).await, [one, of_hidden]);
    assert!(found_all(&database, &[]).await.is_empty());
}

pub async fn a_reading_of_hidden_equipment_is_not_found_until_that_is_restored(database: Database) {
    let press = database.piece("press").await;
    let reading = a_reading(press, 1);
    database.report(from_ref(&reading)).await;
    database.hide(press).await;
    assert_eq!(database.reading(reading.id).await, None);
    database.restore(press).await;
    assert_eq!(database.reading(reading.id).await, Some(reading));
}

pub async fn what_is_at_hand_are_visible_readings_and_no_loose_one_is_missing(database: Database) {
    let [press, hidden] = [database.piece("press").await, database.piece("hidden").await];
    let [one, other] = [a_reading(press, 1), Reading { tags: most_tags(), ..a_reading(press, 3) }];
    let of_hidden = a_reading(hidden, 1);
    database.report(&[one.clone(), a_reading(press, 2), other.clone(), of_hidden.clone()]).await;
    database.hide(hidden).await;
    let asked = [of_hidden.id, other.id, a_reading_id(press, 9), one.id, a_reading_id(no_piece(), 1), one.id];
    let mut found = database.reader().await.readings().at_hand(&asked).await.unwrap();
    found.sort_by_key(|reading| reading.id);
    let loose = if database.packs_reports() { Vec::new() } else { vec![one.clone(), other.clone()] };
    assert!(found.iter().all(|found| [&one, &other].contains(&found)), "{found:?}");
    assert!(loose.iter().all(|loose| found.contains(loose)), "{found:?}");
    assert!(found.is_sorted_by(|one, next| one.id < next.id), "each once: {found:?}");
    assert!(database.reader().await.readings().at_hand(&[]).await.unwrap().is_empty());
}

pub async fn replacing_writes_everything_but_the_identity(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let old = Reading { tags: most_tags(), ..a_reading_of(press, 1, values(&[("a", 1.0), ("b", 2.0)])) };
    let beside = [a_reading(press, 2), a_reading(robot, 1)];
    database.report(from_ref(&old)).await;
    database.report(&beside).await;
    let one_tag = Tags::from([("note".to_owned(), Tag::Text("other".into()))]);
    for new in [
        a_reading_of(press, 1, values(&[("b", 3.0), ("c", 4.0)])),
        a_reading_of(press, 1, values(&[("b", -0.0), ("c", 4.0)])),
        Reading { tags: one_tag, received_at: at(99), ..a_reading_of(press, 1, extreme_values()) },
        old,
    ] {
        replace(&database, from_ref(&new)).await;
        round_trips(&database, &new).await;
    }
    assert_eq!(found_all(&database, &beside.clone().map(|reading| reading.id)).await, beside);
}

pub async fn replacing_passes_over_what_is_gone(database: Database) {
    let press = database.piece("press").await;
    database.report(&[a_reading(press, 1)]).await;
    let new = Reading { received_at: at(99), ..a_reading(press, 1) };
    let gone = [a_reading(press, 2), a_reading(no_piece(), 1)];
    replace(&database, &[gone[0].clone(), new.clone(), gone[1].clone()]).await;
    assert_eq!(database.reading(new.id).await, Some(new));
    assert!(found_all(&database, &gone.map(|reading| reading.id)).await.is_empty());
    replace(&database, &[]).await;
}

pub async fn deleting_counts_what_was_there_and_leaves_the_rest(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let beside = [a_reading(press, 3), a_reading(robot, 1)];
    database.report(&[a_reading(press, 1), a_reading(press, 2)]).await;
    database.report(&beside).await;
    let meant =
        [a_reading_id(press, 1), a_reading_id(press, 9), a_reading_id(press, 2), a_reading_id(robot, 2)];
    assert_eq!(delete(&database, &meant).await, 2);
    assert_eq!(delete(&database, &meant).await, 0);
    assert_eq!(delete(&database, &[]).await, 0);
    assert_eq!(database.reading(meant[0]).await, None);
    assert_eq!(found_all(&database, &beside.clone().map(|reading| reading.id)).await, beside);

    // What was deleted may come again.
    database.report(&[a_reading(press, 1)]).await;
}

pub async fn readings_of_a_piece_are_deleted_some_at_a_time(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let readings: Vec<Reading> = (0..5).map(|second| a_reading(press, second)).collect();
    let beside = a_reading(robot, 1);
    database.report(&readings).await;
    database.report(from_ref(&beside)).await;
    let ids: Vec<ReadingId> = readings.iter().map(|reading| reading.id).collect();
    for (most, deleted, left) in [(2, 2, 3), (0, 0, 3), (2, 2, 1), (2, 1, 0), (2, 0, 0)] {
        let some = async |equipment: EquipmentId| {
            database.within(async |unit| unit.readings().delete_some_of(equipment, most).await.unwrap()).await
        };
        assert_eq!(some(press).await, deleted);
        assert_eq!(found_all(&database, &ids).await.len(), left);
        assert_eq!(some(no_piece()).await, 0);
    }
    assert_eq!(database.reading(beside.id).await, Some(beside));
}

pub async fn readings_of_hidden_equipment_are_deleted_like_any(database: Database) {
    let press = database.piece("press").await;
    database.report(&[a_reading(press, 1), a_reading(press, 2)]).await;
    database.hide(press).await;
    assert_eq!(delete(&database, &[a_reading_id(press, 1)]).await, 1);
    let some = database.within(async |unit| unit.readings().delete_some_of(press, 10).await.unwrap());
    assert_eq!(some.await, 1);
    assert!(database.purge(press).await);
}

pub async fn as_many_readings_as_may_be_sent_at_once_are_stored_found_replaced_and_deleted(
    database: Database,
) {
    let pieces = [database.piece("press").await, database.piece("robot").await];
    let sent = |received_at| -> Vec<Reading> {
        let seconds = 0..MOST_AT_ONCE as i64;
        let readings = seconds.map(|second| a_reading(pieces[(second % 2) as usize], second));
        readings.map(|reading| Reading { received_at, ..reading }).collect()
    };
    let mut readings = sent(at(1));
    let ids: Vec<ReadingId> = readings.iter().map(|reading| reading.id).collect();
    database.within(async |unit| report_in(unit, &readings).await).await;
    readings.sort_by_key(|reading| reading.id);
    assert!(found_all(&database, &ids).await == readings);

    let mut newer = sent(at(2));
    replace(&database, &newer).await;
    newer.sort_by_key(|reading| reading.id);
    assert!(found_all(&database, &ids).await == newer);

    assert_eq!(delete(&database, &ids).await, ids.len() as u64);
    assert!(found_all(&database, &ids).await.is_empty());
}

pub async fn readings_of_a_unit_that_was_undone_are_unseen_and_may_come_again(database: Database) {
    let press = database.piece("press").await;
    let mut undone = database.begin().await;
    report_in(&mut *undone, &[a_reading(press, 1)]).await;
    assert_eq!(undone.readings().find(a_reading_id(press, 1)).await.unwrap(), Some(a_reading(press, 1)));
    assert_eq!(database.reading(a_reading_id(press, 1)).await, None);
    undone.rollback().await;
    assert_eq!(database.reading(a_reading_id(press, 1)).await, None);
    assert_eq!(database.head(press).await.unwrap().last_seen_at, None);
    database.report(&[a_reading(press, 1)]).await;
}
