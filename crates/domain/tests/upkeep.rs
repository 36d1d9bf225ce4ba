//! What a server does by itself: one thing that cannot be done keeps no other from being done.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use async_trait::async_trait;
use domain::access::rights::{ManageEquipment, WriteData};
use domain::app::housekeeping::{self, Swept};
use domain::app::ingest::{self, Sent};
use domain::app::{equipment, retention};
use domain::equipment::{Details, EquipmentRef};
use domain::error::Error;
use domain::idempotency::Once;
use domain::ports::{Clock, Repos, Store, StoreError, UnitOfWork};
use domain::sign_in::Counter;
use domain::telemetry::{MetricName, OnConflict, ReadingFilter, Tags, Values};
use domain::testing::{MemoryStore, World};
use domain::text::Label;
use domain::time::Timestamp;
use pollster::block_on;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// A store whose next unit of work does not begin if it is told so.
#[derive(Default)]
struct Moody {
    store: MemoryStore,
    refuses: AtomicBool,
}

#[async_trait]
impl Store for Moody {
    async fn reader(&self) -> Result<Box<dyn Repos>, StoreError> {
        self.store.reader().await
    }

    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, StoreError> {
        if self.refuses.swap(false, Ordering::Relaxed) {
            return Err(StoreError::Busy("in a mood".into()));
        }
        self.store.begin().await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}

async fn moody_world() -> (World, Arc<Moody>) {
    let store = Arc::new(Moody::default());
    (World::over(Arc::clone(&store) as Arc<dyn Store>).await.unwrap(), store)
}

async fn fail_to_sign_in(world: &World, times: u64, at: Timestamp) {
    let mut tx = world.app.store.begin().await.unwrap();
    for number in 0..times {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        tx.sign_ins().save(&key, &Counter::fresh(at)).await.unwrap();
    }
    tx.commit().await.unwrap();
}

#[test]
fn what_cannot_be_swept_keeps_nothing_else_from_being_swept() {
    block_on(async {
        let (world, store) = moody_world().await;
        fail_to_sign_in(&world, 3, world.clock.now()).await;
        world.clock.advance(DAY);
        store.refuses.store(true, Ordering::Relaxed);
        let refused = housekeeping::sweep(&world.app).await.unwrap_err();
        assert!(matches!(refused, Error::Busy(..)), "{refused:?}");
        let swept = housekeeping::sweep(&world.app).await.unwrap();
        assert_eq!(swept.counters, 0, "they were swept though sessions were not");
    });
}

#[test]
fn a_backlog_is_swept_bit_by_bit_until_nothing_is_left() {
    block_on(async {
        let (world, _) = moody_world().await;
        fail_to_sign_in(&world, 12_345, world.clock.now()).await;
        world.clock.advance(DAY);
        let swept = housekeeping::sweep(&world.app).await.unwrap();
        assert_eq!(swept, Swept { counters: 12_345, ..Swept::default() });
    });
}

#[test]
fn old_readings_go_also_where_no_room_can_be_made_for_new_ones() {
    block_on(async {
        let (mut world, store) = moody_world().await;
        world.app.policy.readings_kept.otherwise = Some(DAY * 10);
        let label = |text: &str| Label::parse(text).unwrap();
        let by = World::system::<ManageEquipment>().unwrap();
        let details = Details::new(label("Press"), label("press"));
        let press = equipment::create(&world.app, by, details, Once::each_time()).await.unwrap();
        let sent = Sent {
            equipment: EquipmentRef::Id(press.id),
            at: Some(world.clock.now().before(DAY * 20)),
            values: Values::of(vec![(MetricName::parse("speed").unwrap(), 1.0)]).unwrap(),
            tags: Tags::new(),
        };
        let by = World::system::<WriteData>().unwrap();
        ingest::one(&world.app, by, sent, OnConflict::Refuse, Once::each_time()).await.unwrap();
        store.refuses.store(true, Ordering::Relaxed);
        let refused = retention::tend(&world.app).await.unwrap_err();
        assert!(matches!(refused, Error::Busy(..)), "{refused:?}");
        let mut reader = world.app.store.reader().await.unwrap();
        let ascending = domain::page::Direction::Ascending;
        let left = reader.readings().scan(&ReadingFilter::default(), ascending, None, 10).await.unwrap();
        assert_eq!(left, []);
    });
}
