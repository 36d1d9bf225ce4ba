//! What is remembered between calls, and what is not.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use domain::access::rights::{ManageEquipment, ViewData, ViewEquipment};
use domain::app::{App, equipment, latest};
use domain::changes::Changes;
use domain::equipment::{Details, Equipment, EquipmentFilter, EquipmentQuery};
use domain::idempotency::Once;
use domain::testing::{MemoryStore, World};
use domain::text::Label;
use std::sync::Arc;

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
