//! The partitions of the readings: made ahead, dropped when old, and never in the way of whoever stores some.

use crate::observer::Observer;
use crate::plant::{a_reading, store_all, with_a_piece};
use adapters_postgres::PostgresStore;
use adapters_postgres::testing::TestDatabase;
use domain::id::EquipmentId;
use domain::page::Direction;
use domain::ports::{Store, StoreError, UnitOfWork};
use domain::telemetry::{Reading, ReadingFilter};
use domain::time::Timestamp;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn noon(day: &str) -> Timestamp {
    Timestamp::parse(&format!("{day}T12:00:00Z")).unwrap()
}

async fn make_room(store: &PostgresStore, now: Timestamp) -> Result<(), StoreError> {
    let mut unit = store.begin().await?;
    unit.readings().make_room(now).await?;
    unit.commit().await
}

async fn give_back_all(store: &PostgresStore, now: Timestamp) -> Result<(), StoreError> {
    let parts = store.reader().await?.readings().emptied(now).await?;
    for part in parts {
        let mut unit = store.begin().await?;
        unit.readings().give_back(&part).await?;
        unit.commit().await?;
    }
    Ok(())
}

async fn drop_before(store: &PostgresStore, before: Timestamp) -> Result<(), StoreError> {
    let mut unit = store.begin().await?;
    unit.readings().drop_before(before).await?;
    unit.commit().await
}

async fn store_one(store: &PostgresStore, reading: &Reading) -> Result<(), StoreError> {
    let mut unit = store.begin().await?;
    unit.readings().insert(std::slice::from_ref(reading)).await?;
    unit.commit().await
}

async fn are_stored(store: &PostgresStore, readings: &[Reading]) -> Vec<bool> {
    let mut reader = store.reader().await.unwrap();
    let mut stored = Vec::new();
    for reading in readings {
        stored.push(reader.readings().find(reading.id).await.unwrap().is_some());
    }
    stored
}

/// How many readings lie in this partition.
fn holds(partition: &str, count: usize) -> String {
    format!("SELECT count(*) = {count} FROM {partition}")
}

/// What these weeks are without: they lie years after the database was made.
fn of_four_weeks(piece: EquipmentId) -> [Reading; 4] {
    ["2040-05-02", "2040-05-09", "2040-05-16", "2040-05-23"].map(|day| a_reading(piece, noon(day)))
}

#[tokio::test]
async fn readings_that_came_before_their_week_was_made_are_moved_into_it() {
    let (store, piece, database) = with_a_piece().await;
    let observer = Observer::of(&database).await;
    let readings = of_four_weeks(piece.id);
    store_all(&store, &readings).await;
    observer.sees(&holds("readings_default", 4)).await;
    make_room(&store, noon("2040-05-02")).await.unwrap();
    // Two weeks ahead; the fourth reading is beyond.
    for week in ["20400430", "20400507", "20400514"] {
        observer.sees(&holds(&format!("readings_w{week}"), 1)).await;
    }
    observer.sees(&holds("readings_default", 1)).await;
    assert_eq!(are_stored(&store, &readings).await, [true; 4]);
}

#[tokio::test]
async fn weeks_in_which_everything_is_old_are_dropped_and_the_past_takes_their_place() {
    let (store, piece, database) = with_a_piece().await;
    let observer = Observer::of(&database).await;
    make_room(&store, noon("2040-05-16")).await.unwrap();
    let readings = of_four_weeks(piece.id);
    store_all(&store, &readings).await;
    store_all(&store, &[a_reading(piece.id, noon("2001-01-01"))]).await;
    observer.sees(&holds("readings_past", 1)).await;

    drop_before(&store, noon("2040-05-16")).await.unwrap();
    assert_eq!(are_stored(&store, &readings).await, [false, false, true, true]);
    observer.sees(&holds("readings_past", 0)).await;
    observer.sees("SELECT to_regclass('readings_w20400507') IS NULL").await;
    observer.sees(&holds("readings_w20400514", 1)).await;

    // What comes late has its place in the past, and no week is made there again.
    store_all(&store, &readings[..2]).await;
    make_room(&store, noon("2040-05-16")).await.unwrap();
    observer.sees(&holds("readings_past", 2)).await;
    assert_eq!(are_stored(&store, &readings).await, [true; 4]);
}

#[tokio::test]
async fn what_is_not_wholly_old_is_not_dropped() {
    let (store, piece, database) = with_a_piece().await;
    let observer = Observer::of(&database).await;
    store_all(&store, &[a_reading(piece.id, noon("2001-01-01"))]).await;
    drop_before(&store, noon("2002-01-01")).await.unwrap();
    observer.sees(&holds("readings_past", 1)).await;
}

#[tokio::test]
async fn several_servers_make_the_same_weeks_at_once() {
    let (store, _, database) = with_a_piece().await;
    let now = noon("2040-05-02");
    let made = tokio::join!(make_room(&store, now), make_room(&store, now), make_room(&store, now));
    for made in [made.0, made.1, made.2] {
        made.unwrap();
    }
    let weeks =
        "SELECT count(*) = 29 FROM pg_class WHERE relname LIKE 'readings_w________' AND relkind = 'r'";
    Observer::of(&database).await.sees(weeks).await;
}

#[tokio::test]
async fn readings_are_stored_while_weeks_are_made_and_dropped() {
    let (store, piece, _database) = with_a_piece().await;
    let first = noon("2040-05-01");
    let storing = async {
        let mut stored = Vec::new();
        for day in 0..100 {
            let reading = a_reading(piece.id, first.after(DAY * day));
            // Its week may be made while it is on its way to where those without a week go.
            while let Err(refused) = store_one(&store, &reading).await {
                assert!(matches!(refused, StoreError::Busy(_)), "{refused:?}");
            }
            stored.push(reading);
        }
        stored
    };
    let tending = async {
        for week in 0..14 {
            // Whoever is busy tries again.
            let now = first.after(DAY * 7 * week);
            while make_room(&store, now).await.is_err() {}
            while drop_before(&store, first).await.is_err() {}
        }
    };
    let (stored, ()) = tokio::join!(storing, tending);
    assert_eq!(are_stored(&store, &stored).await, [true; 100]);
    drop_before(&store, first.after(DAY * 50)).await.unwrap();
    let left = are_stored(&store, &stored).await;
    assert!(!left[0] && left[50..].iter().all(|stored| *stored), "{left:?}");
}

#[tokio::test]
async fn weeks_are_not_dropped_at_the_cost_of_everybody_else() {
    let (store, piece, database) = with_a_piece().await;
    make_room(&store, noon("2040-05-16")).await.unwrap();
    let readings = of_four_weeks(piece.id);
    store_all(&store, &readings).await;
    // Somebody takes long to read.
    let somebody = Observer::of(&database).await;
    somebody.run("BEGIN; SELECT count(*) FROM readings").await;
    let refused = drop_before(&store, noon("2040-05-16")).await.unwrap_err();
    assert!(matches!(refused, StoreError::Busy(_)), "{refused:?}");
    somebody.run("COMMIT").await;
    assert_eq!(are_stored(&store, &readings).await, [true; 4]);
    drop_before(&store, noon("2040-05-16")).await.unwrap();
    assert_eq!(are_stored(&store, &readings).await, [false, false, true, true]);
}

#[tokio::test]
async fn a_week_whose_room_is_given_back_takes_nothing_along_that_is_committed_meanwhile() {
    let (store, piece, database) = with_a_piece().await;
    let observer = Observer::of(&database).await;
    let now = noon("2040-05-30");
    make_room(&store, now).await.unwrap();
    let at = |millis| noon("2040-05-02").after(Duration::from_millis(millis));
    let old: Vec<Reading> = (0..20_000).map(|number| a_reading(piece.id, at(number))).collect();
    store_all(&store, &old).await;
    observer.run("DELETE FROM readings").await;

    let late = a_reading(piece.id, at(5));
    let mut unit = store.begin().await.unwrap();
    unit.readings().insert(std::slice::from_ref(&late)).await.unwrap();
    let committing = async {
        observer.sees_somebody_wait().await;
        unit.commit().await
    };
    let (given_back, committed) = tokio::join!(give_back_all(&store, now), committing);
    given_back.unwrap();
    committed.unwrap();
    assert_eq!(are_stored(&store, &[late]).await, [true]);
}

/// A piece whose readings of one week were all packed, though they take up their room still.
async fn with_a_packed_week(now: Timestamp) -> (PostgresStore, Vec<Reading>, TestDatabase) {
    let (store, piece, database) = with_a_piece().await;
    make_room(&store, now).await.unwrap();
    let at = |millis| noon("2040-05-02").after(Duration::from_millis(millis));
    let readings: Vec<Reading> = (0..20_000).map(|number| a_reading(piece.id, at(number))).collect();
    store_all(&store, &readings).await;
    (store, readings, database)
}

/// A unit of work in which all of them are packed.
async fn packing(store: &PostgresStore, readings: &[Reading]) -> Box<dyn UnitOfWork> {
    let piece = readings[0].id.equipment;
    let mut unit = store.begin().await.unwrap();
    unit.readings().lock_heads(&[piece]).await.unwrap();
    while unit.readings().pack(piece, Timestamp::MAX, 4096).await.unwrap() > 0 {}
    unit
}

#[tokio::test]
async fn a_week_that_somebody_is_at_keeps_its_room_until_later() {
    let now = noon("2040-05-30");
    let (store, readings, database) = with_a_packed_week(now).await;
    packing(&store, &readings).await.commit().await.unwrap();
    let somebody = Observer::of(&database).await;
    somebody.run("BEGIN; SELECT count(*) FROM readings").await;
    let refused = give_back_all(&store, now).await.unwrap_err();
    assert!(matches!(refused, StoreError::Busy(_)), "{refused:?}");
    somebody.run("COMMIT").await;
    give_back_all(&store, now).await.unwrap();
    somebody.sees("SELECT pg_total_relation_size('readings_w20400430') < 1048576").await;
    assert_eq!(are_stored(&store, &readings[..3]).await, [true; 3]);
}

#[tokio::test]
async fn who_began_to_read_before_readings_were_packed_finds_them_after_their_room_was_given_back() {
    let now = noon("2040-05-30");
    let (store, readings, database) = with_a_packed_week(now).await;
    let piece = readings[0].id.equipment;
    let somebody = Observer::of(&database).await;
    // Between looking for packs, of which there are none yet, and looking for rows the reader is kept waiting here.
    somebody.run("BEGIN; LOCK TABLE shapes IN ACCESS EXCLUSIVE MODE").await;
    let packed = packing(&store, &readings).await;
    let filter = ReadingFilter {
        equipment: vec![piece],
        metrics: readings[0].values.shape().metrics().to_vec(),
        ..ReadingFilter::default()
    };
    let reading = async {
        let mut reader = store.reader().await.unwrap();
        reader.readings().scan(&filter, Direction::Ascending, None, 10).await.unwrap()
    };
    let meanwhile = async {
        Observer::of(&database).await.sees_somebody_wait().await;
        packed.commit().await.unwrap();
        let given_back = give_back_all(&store, now).await;
        somebody.run("COMMIT").await;
        given_back
    };
    let (read, given_back) = tokio::join!(reading, meanwhile);
    assert_eq!(read, readings[..10]);
    assert!(matches!(given_back, Err(StoreError::Busy(_))), "{given_back:?}");
    give_back_all(&store, now).await.unwrap();
}
