//! Races about what is remembered: whoever reads after a change was made sees it, however many read meanwhile.

use crate::ROUNDS;
use crate::plant::{Plant, register, right, whole_page};
use domain::access::rights::{ManageEquipment, ViewData, ViewEquipment, WriteData};
use domain::app::{App, equipment, ingest};
use domain::equipment::{EquipmentChange, EquipmentQuery, EquipmentRef, Status};
use domain::id::EquipmentId;
use domain::idempotency::Once;
use domain::patch::{Patch, Precondition};
use domain::telemetry::{MetricName, OnConflict, Tags, Values};
use domain::text::Location;
use domain::time::Timestamp;
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How many read while somebody writes.
const READERS: usize = 12;

/// 2024-05-06T07:00:00Z, in seconds.
const MORNING: i64 = 1_714_978_800;

/// What the writer is done with, and whether all is over.
#[derive(Default)]
struct Score {
    done: AtomicUsize,
    is_over: AtomicBool,
}

/// Many read over and over what one changes round by round. No read may answer less than was done when it began, nor less
/// than another one answered before.
async fn watched<R, W>(
    app: &Arc<App>,
    read: impl Fn(Arc<App>) -> R + Clone + Send + 'static,
    write: impl Fn(Arc<App>, usize) -> W,
) where
    R: Future<Output = usize> + Send + 'static,
    W: Future<Output = ()>,
{
    let score = Arc::new(Score::default());
    let readers: Vec<_> = (0..READERS)
        .map(|_| {
            let (app, score, read) = (app.clone(), score.clone(), read.clone());
            tokio::spawn(async move {
                let mut last = 0;
                while !score.is_over.load(Ordering::SeqCst) {
                    let done = score.done.load(Ordering::SeqCst);
                    let seen = read(app.clone()).await;
                    assert!(seen >= done, "{seen} was answered when {done} was done");
                    assert!(seen >= last, "{seen} was answered after {last}");
                    last = seen;
                    // What is answered from memory never waits, and nobody else would get a turn.
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for round in 1..=ROUNDS {
        write(app.clone(), round).await;
        score.done.store(round, Ordering::SeqCst);
        assert_eq!(read(app.clone()).await, round, "a change is seen by whoever made it");
        tokio::task::yield_now().await;
    }
    score.is_over.store(true, Ordering::SeqCst);
    join_all(readers).await.into_iter().for_each(|reader| reader.unwrap());
}

fn second(number: usize) -> Timestamp {
    Timestamp::from_micros((MORNING + number as i64) * 1_000_000).unwrap()
}

fn number_of(location: Option<&Location>) -> usize {
    location.map_or(0, |location| location.as_str().parse().unwrap())
}

async fn report(app: Arc<App>, machine: EquipmentId, number: usize) {
    let sent = ingest::Sent {
        equipment: EquipmentRef::Id(machine),
        at: Some(second(number)),
        values: Values::of(vec![(MetricName::parse("count").unwrap(), number as f64)]).unwrap(),
        tags: Tags::default(),
    };
    ingest::one(&app, right::<WriteData>(), sent, OnConflict::Refuse, Once::each_time()).await.unwrap();
}

/// One thing and the list that it is on, by what people write.
pub(crate) async fn a_changed_piece_is_seen_as_it_is(plant: Plant) {
    let machine = plant.machine("press").await;
    let read = move |app: Arc<App>| async move {
        let by = right::<ViewEquipment>();
        let alone = equipment::get(&app, &by, machine).await.unwrap().value;
        let query = EquipmentQuery { page: whole_page(), ..EquipmentQuery::default() };
        let listed = equipment::list(&app, &by, query).await.unwrap().value.items.remove(0);
        let (alone, listed) = (alone.details.location, listed.details.location);
        assert!(number_of(listed.as_ref()) >= number_of(alone.as_ref()), "the list was asked for later");
        number_of(alone.as_ref())
    };
    let write = move |app: Arc<App>, round: usize| async move {
        let location = Patch::Set(Location::parse(&round.to_string()).unwrap());
        let change = EquipmentChange { location, status: Some(Status::Idle), ..EquipmentChange::default() };
        let by = right::<ManageEquipment>();
        equipment::change(&app, by, machine, change, Precondition::None).await.unwrap();
    };
    watched(&plant.app, read, write).await;
    assert!(plant.app.counts.equipment.told().0 > 0, "nothing was answered from memory");
}

/// What readings say of a piece: the newest values, and when it was last seen.
pub(crate) async fn the_newest_reading_is_seen_by_whoever_asks_after_it(plant: Plant) {
    let (machine, other) = (plant.machine("press").await, plant.machine("robot").await);
    let read = move |app: Arc<App>| async move {
        let known = equipment::latest(&app, &right::<ViewData>(), machine).await.unwrap().value;
        let newest = known.head.latest.first().map_or(0, |latest| latest.value as usize);
        let piece = equipment::get(&app, &right::<ViewEquipment>(), machine).await.unwrap().value;
        assert!(newest == 0 || piece.last_seen_at >= Some(second(newest)), "it was asked for later");
        newest
    };
    let write = move |app: Arc<App>, round: usize| async move {
        report(app.clone(), other, round).await;
        report(app, machine, round).await;
    };
    watched(&plant.app, read, write).await;
    assert!(plant.app.counts.heads.told().0 > 0, "nothing was answered from memory");
}

/// How many pieces there are, while some come and go.
pub(crate) async fn equipment_that_comes_and_goes_is_counted_as_it_is(plant: Plant) {
    let read = |app: Arc<App>| async move {
        let query = EquipmentQuery::default();
        equipment::list(&app, &right::<ViewEquipment>(), query).await.unwrap().value.total as usize
    };
    let write = |app: Arc<App>, round: usize| async move {
        let piece = register(&app, crate::plant::details(&round.to_string())).await.unwrap();
        equipment::hide(&app, right::<ManageEquipment>(), piece.id, Precondition::None).await.unwrap();
        let by = right::<ViewEquipment>();
        assert!(equipment::get(&app, &by, piece.id).await.is_err(), "it is hidden");
        let by = right::<ManageEquipment>();
        equipment::restore(&app, by, piece.id, Once::each_time()).await.unwrap();
    };
    // A piece that was hidden was counted before: what is counted goes down by one now and then.
    let score = Arc::new(AtomicBool::new(false));
    let readers = (0..READERS).map(|_| {
        let (app, score) = (plant.app.clone(), score.clone());
        tokio::spawn(async move {
            while !score.load(Ordering::SeqCst) {
                read(app.clone()).await;
                tokio::task::yield_now().await;
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    for round in 1..=ROUNDS {
        write(plant.app.clone(), round).await;
        assert_eq!(read(plant.app.clone()).await, round);
    }
    score.store(true, Ordering::SeqCst);
    join_all(readers).await.into_iter().for_each(|reader| reader.unwrap());
}
