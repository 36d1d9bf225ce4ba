//! Equipment that comes into the register because it reports.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use domain::access::rights::ManageEquipment;
use domain::app::{equipment, newcomers};
use domain::equipment::{Details, Equipment, EquipmentFilter, EquipmentQuery, EquipmentRef};
use domain::idempotency::Once;
use domain::patch::Precondition;
use domain::testing::{MemoryStore, World};
use domain::text::Label;
use pollster::block_on;
use std::sync::Arc;

fn label(text: &str) -> Label {
    Label::parse(text).unwrap()
}

async fn world() -> World {
    World::over(Arc::new(MemoryStore::default())).await.unwrap()
}

/// A piece that is known by its name alone.
async fn install(world: &World, name: &str) -> Equipment {
    let details = Details::new(label(name), label("press"));
    let by = World::system::<ManageEquipment>().unwrap();
    equipment::create(&world.app, by, details, Once::each_time()).await.unwrap()
}

async fn hide(world: &World, piece: &Equipment) {
    let by = World::system::<ManageEquipment>().unwrap();
    equipment::hide(&world.app, by, piece.id, Precondition::None).await.unwrap();
}

/// Reports of what is called so come in.
async fn report(world: &World, names: &[&str]) {
    let named: Vec<EquipmentRef> = names.iter().map(|name| EquipmentRef::Called(label(name))).collect();
    let by = World::system::<ManageEquipment>().unwrap();
    newcomers::register(&world.app, &by, &label("sensor"), &named).await.unwrap();
}

/// What is in the register, hidden or not, by name.
async fn names(world: &World, hidden: bool) -> Vec<String> {
    let filter = EquipmentFilter { hidden, ..EquipmentFilter::default() };
    let query = EquipmentQuery { filter, ..EquipmentQuery::default() };
    let by = World::system().unwrap();
    let page = equipment::list(&world.app, &by, query).await.unwrap().value;
    page.items.iter().map(|piece| piece.details.name.to_string()).collect()
}

#[test]
fn what_nobody_knows_comes_into_the_register_once() {
    block_on(async {
        let world = world().await;
        for _ in 0..2 {
            report(&world, &["new-1", "new-1", "NEW-1", "new-2"]).await;
        }
        let mut names = names(&world, false).await;
        names.iter_mut().for_each(|name| *name = name.to_lowercase());
        names.sort();
        assert_eq!(names, ["new-1", "new-2"]);
    });
}

#[test]
fn a_name_that_several_pieces_bear_makes_no_further_one() {
    block_on(async {
        let world = world().await;
        install(&world, "Press").await;
        install(&world, "press").await;
        report(&world, &["PRESS", "other"]).await;
        assert_eq!(names(&world, false).await, ["Press", "press", "other"]);
    });
}

#[test]
fn a_hidden_piece_that_is_known_by_its_name_alone_is_not_doubled() {
    block_on(async {
        let world = world().await;
        let press = install(&world, "Press").await;
        hide(&world, &press).await;
        report(&world, &["press"]).await;
        assert!(names(&world, false).await.is_empty());
        assert_eq!(names(&world, true).await, ["Press"]);
    });
}
