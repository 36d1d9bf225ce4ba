//! What is PostgreSQL's own about equipment, readings and live events.

use crate::observer::Observer;
use crate::{at, open};
use adapters_postgres::testing::TestDatabase;
use adapters_postgres::{PostgresStore, Settings};
use domain::equipment::{Details, Equipment, NewEquipment};
use domain::id::EquipmentId;
use domain::live::{Mark, NewLiveEvent};
use domain::page::{Direction, Seek};
use domain::ports::{Reference, Store, StoreError, Unique};
use domain::telemetry::{MetricName, Reading, ReadingFilter, ReadingId, ReadingQuery, Tags, Values};
use domain::text::Label;
use domain::time::Timestamp;

/// A store of a few connections and a piece of equipment in it.
pub(crate) async fn with_a_piece() -> (PostgresStore, Equipment, TestDatabase) {
    let database = TestDatabase::create().await;
    let store = open(Settings { max_connections: 8, ..Settings::new(database.url()) });
    let piece = register(&store).await;
    (store, piece, database)
}

async fn register(store: &PostgresStore) -> Equipment {
    let details = Details::new(Label::parse("Press").unwrap(), Label::parse("press").unwrap());
    let mut unit = store.begin().await.unwrap();
    let piece = unit.equipment().insert(&NewEquipment { details, created_at: at(0) }).await.unwrap();
    unit.commit().await.unwrap();
    piece
}

pub(crate) fn a_reading(equipment: EquipmentId, at: Timestamp) -> Reading {
    let temperature = MetricName::parse("temperature").unwrap();
    Reading {
        id: ReadingId { equipment, at },
        values: Values::of(vec![(temperature, 71.5)]).unwrap(),
        tags: Tags::new(),
        received_at: at,
    }
}

pub(crate) async fn store_all(store: &PostgresStore, readings: &[Reading]) {
    let mut unit = store.begin().await.unwrap();
    unit.readings().insert(readings).await.unwrap();
    unit.commit().await.unwrap();
}

async fn announce(store: &PostgresStore, equipment: EquipmentId) {
    let values = a_reading(equipment, at(1)).values;
    let mut unit = store.begin().await.unwrap();
    unit.live().announce(&[NewLiveEvent::Values { equipment, at: at(1), values }], at(1)).await.unwrap();
    unit.commit().await.unwrap();
}

#[tokio::test]
async fn a_second_reading_of_an_identity_is_named_in_every_partition() {
    let (store, piece, database) = with_a_piece().await;
    let partition =
        "CREATE TABLE readings_2030 PARTITION OF readings FOR VALUES FROM ('2030-01-01') TO ('2031-01-01')";
    Observer::of(&database).await.run(partition).await;
    let reading = a_reading(piece.id, Timestamp::parse("2030-05-04T07:30:00Z").unwrap());
    store_all(&store, std::slice::from_ref(&reading)).await;
    let mut unit = store.begin().await.unwrap();
    let refusal = unit.readings().insert(&[reading]).await.unwrap_err();
    assert!(matches!(refusal, StoreError::Conflict(Unique::Reading)), "{refusal:?}");
}

#[tokio::test]
async fn who_waited_for_the_head_of_a_piece_that_was_hidden_meanwhile_does_not_get_it() {
    let (store, piece, database) = with_a_piece().await;
    let observer = Observer::of(&database).await;
    let mut hiding = store.begin().await.unwrap();
    assert_eq!(hiding.readings().lock_heads(&[piece.id]).await.unwrap().len(), 1);
    let mut waiting = store.begin().await.unwrap();
    let wanted = [piece.id];
    let (heads, ()) = tokio::join!(waiting.readings().lock_heads(&wanted), async {
        observer.sees_somebody_wait().await;
        let hidden = Equipment { hidden_at: Some(at(5)), ..piece.clone() };
        hiding.equipment().save(&hidden).await.unwrap();
        hiding.commit().await.unwrap();
    });
    assert_eq!(heads.unwrap(), []);
}

#[tokio::test]
async fn a_reader_cannot_hold_the_rules_that_judge() {
    let (store, _, _database) = with_a_piece().await;
    let mut reader = store.reader().await.unwrap();
    assert!(matches!(reader.rules().in_force(None).await, Err(StoreError::ReadOnly)));
    assert!(matches!(reader.rules().lock().await, Err(StoreError::ReadOnly)));
}

#[tokio::test]
async fn a_person_whose_account_went_before_it_was_written_is_remembered_by_name() {
    let (store, piece, _database) = with_a_piece().await;
    let entry = domain::maintenance::NewMaintenance {
        equipment: piece.id,
        what: domain::text::Description::parse("oiled").unwrap(),
        performed_at: at(1),
        by: domain::maintenance::Person { id: domain::id::UserId::new(4711), name: "anna".into() },
        next_due_on: None,
        created_at: at(1),
    };
    let mut unit = store.begin().await.unwrap();
    let written = unit.maintenance().insert(&entry).await.unwrap();
    assert_eq!((written.what.by.id, written.what.by.name.as_str()), (None, "anna"));
}

/// Readings years apart, some at one instant, some close together.
fn scattered(pieces: &[Equipment]) -> Vec<Reading> {
    let years = ["0001-01-01", "1970-01-01", "2001-02-03", "2015-06-07", "2024-12-31", "9999-12-31"];
    let mut readings = Vec::new();
    for (number, day) in years.iter().enumerate() {
        let day = Timestamp::parse(&format!("{day}T00:00:00Z")).unwrap();
        for step in 0..=(number * 7) as i64 {
            let instant = Timestamp::from_micros(day.micros() + step * step * 50_000).unwrap();
            readings.extend(pieces.iter().map(|piece| a_reading(piece.id, instant)));
        }
    }
    readings
}

#[tokio::test]
async fn readings_years_apart_are_met_in_order_whichever_way_one_walks() {
    let (store, first, _database) = with_a_piece().await;
    let pieces = [first, register(&store).await, register(&store).await];
    let mut readings = scattered(&pieces);
    store_all(&store, &readings).await;
    readings.sort_by_key(|reading| (reading.id.at, reading.id.equipment));
    let mut reader = store.reader().await.unwrap();
    for direction in [Direction::Ascending, Direction::Descending] {
        let (mut scanned, mut after) = (Vec::new(), None);
        loop {
            let next = reader.readings().scan(&ReadingFilter::default(), direction, after, 17).await.unwrap();
            after = next.last().map(|reading| reading.id);
            scanned.extend(next);
            if after.is_none() {
                break;
            }
        }
        assert_eq!(scanned, readings, "{direction:?}");
        readings.reverse();
    }
}

#[tokio::test]
async fn a_stretch_knows_what_lies_beyond_a_gap_of_years() {
    let (store, piece, _database) = with_a_piece().await;
    let instants = ["2001-01-01T00:00:00Z", "2015-01-01T00:00:00Z", "2024-01-01T00:00:00Z"];
    let readings = instants.map(|text| a_reading(piece.id, Timestamp::parse(text).unwrap()));
    store_all(&store, &readings).await;
    let mut reader = store.reader().await.unwrap();
    let query = ReadingQuery {
        filter: ReadingFilter::default(),
        direction: Direction::Descending,
        seek: Seek::After(readings[2].id),
        limit: 1,
    };
    let stretch = reader.readings().read(&query).await.unwrap();
    assert_eq!(stretch.items, [readings[1].clone()]);
    assert!(stretch.has_previous && stretch.has_next);
}

#[tokio::test]
async fn a_new_connection_believes_nothing_that_was_known_of_numbers() {
    let (store, piece, database) = with_a_piece().await;
    let observer = Observer::of(&database).await;
    let reading = a_reading(piece.id, at(1));
    store_all(&store, std::slice::from_ref(&reading)).await;
    assert_eq!(
        store.reader().await.unwrap().readings().find(reading.id).await.unwrap(),
        Some(reading.clone())
    );
    // As if another server had taken over, in which the number means something else.
    observer.run("UPDATE metrics SET name = 'pressure'").await;
    observer.interferes("pg_terminate_backend", "true").await;
    observer.sees_sessions(0).await;
    let found = store.reader().await.unwrap().readings().find(reading.id).await.unwrap().unwrap();
    assert_eq!(found.values.shape().metrics(), [MetricName::parse("pressure").unwrap()]);
}

#[tokio::test]
async fn transactions_of_another_database_keep_no_watcher_waiting() {
    let (store, piece, _database) = with_a_piece().await;
    let elsewhere = TestDatabase::create().await;
    let busy = Observer::of(&elsewhere).await;
    busy.run("BEGIN; SELECT pg_current_xact_id()").await;
    announce(&store, piece.id).await;
    let events = store.reader().await.unwrap().live().after(None, 10).await.unwrap().unwrap();
    assert_eq!(events.len(), 1);
    busy.run("ROLLBACK").await;
}

#[tokio::test]
async fn a_transaction_that_wrote_before_and_is_not_over_holds_back_what_came_later() {
    let (store, piece, _database) = with_a_piece().await;
    let mut slow = store.begin().await.unwrap();
    slow.equipment().note_maintenance(piece.id, at(2)).await.unwrap();
    announce(&store, piece.id).await;
    let mut reader = store.reader().await.unwrap();
    assert_eq!(reader.live().after(None, 10).await.unwrap(), Some(vec![]));
    assert_eq!(reader.live().newest().await.unwrap(), None);
    slow.rollback().await;
    assert_eq!(reader.live().after(None, 10).await.unwrap().unwrap().len(), 1);
    assert!(reader.live().newest().await.unwrap().is_some());
}

#[tokio::test]
async fn what_a_database_brought_along_from_another_server_leads_nobody_astray() {
    let (store, piece, database) = with_a_piece().await;
    let far = i64::MAX / 2;
    let forgotten = format!("INSERT INTO live_forgotten (transaction, number) VALUES ({far}, 1)");
    Observer::of(&database).await.run(&forgotten).await;
    announce(&store, piece.id).await;
    let mut reader = store.reader().await.unwrap();
    let newest = reader.live().newest().await.unwrap().unwrap();
    assert!(newest.transaction < far);
    assert_eq!(reader.live().after(Some(newest), 10).await.unwrap(), Some(vec![]));
    assert_eq!(reader.live().after(Some(Mark { transaction: far, number: 1 }), 10).await.unwrap(), None);
}

#[tokio::test]
async fn a_reading_without_equipment_is_refused_also_when_its_head_was_never_asked_for() {
    let (store, piece, _database) = with_a_piece().await;
    let mut unit = store.begin().await.unwrap();
    assert!(unit.equipment().delete(piece.id, at(1)).await.unwrap());
    let refusal = unit.readings().insert(&[a_reading(piece.id, at(1))]).await.unwrap_err();
    assert!(matches!(refusal, StoreError::Dangling(Reference::Equipment)), "{refusal:?}");
}
