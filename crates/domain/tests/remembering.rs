//! What is remembered between calls, and what is not.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use async_trait::async_trait;
use domain::access::rights::{ManageEquipment, ViewData, ViewEquipment, WriteData};
use domain::app::ingest::{self, Sent};
use domain::app::{App, equipment, latest};
use domain::changes::Changes;
use domain::equipment::{Details, Equipment, EquipmentFilter, EquipmentQuery, EquipmentRef};
use domain::error::Error;
use domain::idempotency::Once;
use domain::ports::{self, Repos, Store, StoreError, UnitOfWork};
use domain::telemetry::{MetricName, OnConflict, Tags, Values};
use domain::testing::{MemoryStore, World};
use domain::text::Label;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A world that remembers.
async fn world() -> World {
    let world = World::over(Arc::new(MemoryStore::default())).await.unwrap();
    let app = world.app.remembering(Arc::new(Changes::alone()));
    World { app, ..world }
}

async fn register(app: &App, name: &str) -> Equipment {
    let details = Details::new(Label::parse(name).unwrap(), Label::parse("press").unwrap());
    let by = World::system::<ManageEquipment>().unwrap();
    equipment::create(app, by, details, Once::each_time()).await.unwrap()
}

#[test]
fn a_page_is_read_once_and_its_grounds_hold_until_something_changes() {
    pollster::block_on(async {
        let World { app, .. } = world().await;
        register(&app, "first").await;
        let by = World::system::<ViewEquipment>().unwrap();
        let page = equipment::list(&app, &by, EquipmentQuery::default()).await.unwrap();
        let grounds = page.grounds.unwrap();
        assert!(app.hold(&grounds));
        let (hits, _) = app.counts.equipment.told();
        equipment::list(&app, &by, EquipmentQuery::default()).await.unwrap();
        assert_eq!(app.counts.equipment.told().0, hits + 1);
        register(&app, "second").await;
        assert!(!app.hold(&grounds));
        let page = equipment::list(&app, &by, EquipmentQuery::default()).await.unwrap();
        assert_eq!(page.value.total, 2);
    });
}

#[test]
fn who_hears_of_no_changes_remembers_nothing() {
    pollster::block_on(async {
        let World { app, .. } = World::over(Arc::new(MemoryStore::default())).await.unwrap();
        let piece = register(&app, "press").await;
        let by = World::system::<ViewEquipment>().unwrap();
        for _ in 0..3 {
            assert!(equipment::get(&app, &by, piece.id).await.unwrap().grounds.is_none());
            let by = World::system::<ViewData>().unwrap();
            assert!(equipment::latest(&app, &by, piece.id).await.unwrap().grounds.is_none());
        }
        assert_eq!((app.counts.equipment.told().0, app.counts.heads.told().0), (0, 0));
    });
}

#[test]
fn any_number_of_machines_is_walked_through_each_once() {
    pollster::block_on(async {
        let World { app, .. } = world().await;
        for number in 0..1100 {
            register(&app, &format!("Machine {number}")).await;
        }
        let (by, mut told, mut after) = (World::system::<ViewData>().unwrap(), Vec::new(), None);
        loop {
            let portion = latest::next(&app, &by, &EquipmentFilter::default(), &[], after).await.unwrap();
            told.extend(portion.heads.iter().map(|known| known.head.equipment));
            after = portion.after;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(told.len(), 1100);
        assert!(told.is_sorted_by(|one, next| one < next));
    });
}

/// A database that does not always say how a commit ended.
#[derive(Default)]
struct Reticent {
    store: MemoryStore,
    keeps_silent: Arc<AtomicBool>,
}

#[async_trait]
impl Store for Reticent {
    async fn reader(&self) -> Result<Box<dyn Repos>, StoreError> {
        self.store.reader().await
    }

    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, StoreError> {
        Ok(Box::new(Untold(self.store.begin().await?, Arc::clone(&self.keeps_silent))))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}

/// A unit of work of a [`Reticent`] database.
struct Untold(Box<dyn UnitOfWork>, Arc<AtomicBool>);

#[async_trait]
impl UnitOfWork for Untold {
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.0.commit().await?;
        if self.1.load(Ordering::Relaxed) { Err(StoreError::OutcomeUnknown) } else { Ok(()) }
    }

    async fn rollback(self: Box<Self>) {
        self.0.rollback().await;
    }
}

macro_rules! same_repos {
    ($($method:ident -> $port:ident),* $(,)?) => {
        impl Repos for Untold {
            $(fn $method(&mut self) -> &mut dyn ports::$port {
                self.0.$method()
            })*
        }
    };
}

same_repos! {
    users -> Users, mentorships -> Mentorships, roles -> Roles, sessions -> Sessions, api_keys -> ApiKeys,
    sign_ins -> SignIns, idempotency -> Idempotency, signing_keys -> SigningKeys, trail -> Trail,
    equipment -> Register, maintenance -> MaintenanceLog, readings -> Readings, rollups -> Rollups,
    thinnings -> Thinnings, metrics -> Metrics, rules -> AlertRules, alerts -> Alerts, live -> Live,
    webhooks -> Webhooks, deliveries -> Deliveries,
}

async fn report(app: &App, piece: &Equipment) -> Result<(), Error> {
    let values = Values::of(vec![(MetricName::parse("temperature").unwrap(), 20.0)]).unwrap();
    let sent = Sent { equipment: EquipmentRef::Id(piece.id), at: None, values, tags: Tags::new() };
    let by = World::system::<WriteData>().unwrap();
    ingest::one(app, by, sent, OnConflict::Refuse, Once::each_time()).await.map(drop)
}

/// Whether what is newest of a piece may be remembered.
async fn is_remembered(app: &App, piece: &Equipment) -> bool {
    let by = World::system::<ViewData>().unwrap();
    let latest = equipment::latest(app, &by, piece.id).await.unwrap();
    latest.grounds.is_some_and(|grounds| app.hold(&grounds))
}

#[test]
fn what_a_commit_without_an_answer_may_have_changed_is_remembered_again_after_the_next_one() {
    pollster::block_on(async {
        let store = Arc::new(Reticent::default());
        let world = World::over(store.clone()).await.unwrap();
        let app = world.app.remembering(Arc::new(Changes::alone()));
        let (press, drill) = (register(&app, "press").await, register(&app, "drill").await);
        assert!(is_remembered(&app, &press).await);

        store.keeps_silent.store(true, Ordering::Relaxed);
        let by = World::system::<ManageEquipment>().unwrap();
        let outcome = equipment::hide(&app, by, drill.id, domain::patch::Precondition::None).await;
        assert!(matches!(outcome, Err(Error::OutcomeUnknown)), "{outcome:?}");
        assert!(!is_remembered(&app, &press).await, "the register is in doubt");
        store.keeps_silent.store(false, Ordering::Relaxed);
        report(&app, &press).await.unwrap();
        assert!(is_remembered(&app, &press).await);

        store.keeps_silent.store(true, Ordering::Relaxed);
        world.clock.advance(std::time::Duration::from_secs(1));
        assert!(matches!(report(&app, &press).await, Err(Error::OutcomeUnknown)));
        assert!(!is_remembered(&app, &press).await, "its head is in doubt");
        store.keeps_silent.store(false, Ordering::Relaxed);
        register(&app, "lathe").await;
        assert!(is_remembered(&app, &press).await);
    });
}
