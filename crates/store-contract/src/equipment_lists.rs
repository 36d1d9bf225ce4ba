//! Promises about lists of equipment: in which order, on which page. Which equipment is in `equipment_filters`.

use crate::Database;
use crate::builders::{a_piece, a_reading, at, day, down, label, location, page, serial, some_details, up};
use domain::equipment::{
    Details, Equipment, EquipmentFilter, EquipmentKey, EquipmentQuery, NewEquipment, Status,
};
use domain::id::EquipmentId;
use domain::page::{Order, PageRequest};

/// The names that a question answers, in its order.
pub(crate) async fn asked(database: &Database, query: EquipmentQuery) -> Vec<String> {
    let answer = database.reader().await.equipment().list(&query).await.unwrap();
    assert_eq!(answer.total, answer.items.len() as u64);
    let mut listed: Vec<EquipmentId> = answer.items.iter().map(|piece| piece.id).collect();
    listed.sort_unstable();
    assert_eq!(walked(database, &query.filter).await, listed);
    answer.items.iter().map(|piece| piece.details.name.to_string()).collect()
}

/// The same by walking, two at a time.
async fn walked(database: &Database, filter: &EquipmentFilter) -> Vec<EquipmentId> {
    let mut walked = Vec::new();
    loop {
        let after = walked.last().copied();
        let next = database.reader().await.equipment().walk(filter, after, 2).await.unwrap();
        let is_last = next.len() < 2;
        walked.extend(next);
        if is_last {
            return walked;
        }
    }
}

async fn ordered(database: &Database, order: &[Order<EquipmentKey>]) -> Vec<String> {
    asked(database, EquipmentQuery { order: order.to_vec(), ..EquipmentQuery::default() }).await
}

pub async fn a_store_without_equipment_lists_none(database: Database) {
    assert!(asked(&database, EquipmentQuery::default()).await.is_empty());
}

pub async fn a_listed_piece_is_the_stored_one(database: Database) {
    let press = database.piece("press").await;
    database.due(press, "2027-01-01").await;
    database.report(&[a_reading(press, 7)]).await;
    let stored = database.equipment(press).await.unwrap();
    let listed = database.reader().await.equipment().list(&EquipmentQuery::default()).await.unwrap();
    assert_eq!(listed.items, [stored]);
}

pub async fn equipment_is_listed_by_id_when_nobody_asks_otherwise(database: Database) {
    for name in ["c", "a", "b"] {
        database.piece(name).await;
    }
    assert_eq!(ordered(&database, &[]).await, ["c", "a", "b"]);
    assert_eq!(ordered(&database, &[up(EquipmentKey::Id)]).await, ["c", "a", "b"]);
    assert_eq!(ordered(&database, &[down(EquipmentKey::Id)]).await, ["b", "a", "c"]);
}

/// Registers pieces named after their place in the expected order, in another order, each with a text put in its place.
async fn registered_with(
    database: &Database,
    texts: &[&str],
    put: impl Fn(Details, &str) -> Details,
) -> Vec<String> {
    let names: Vec<String> = (0..texts.len()).map(|number| number.to_string()).collect();
    for index in (0..texts.len()).rev() {
        database.piece_of(put(some_details(&names[index]), texts[index])).await;
    }
    names
}

async fn is_ordered_both_ways(database: &Database, key: EquipmentKey, mut expected: Vec<String>) {
    assert_eq!(ordered(database, &[up(key)]).await, expected, "{key:?}");
    expected.reverse();
    assert_eq!(ordered(database, &[down(key)]).await, expected, "{key:?}");
}

/// In the order of their folded bytes.
const FOLDED: [&str; 8] = ["A b", "a-b", "A_B", "ab", "B", "strasse A", "STRAßE b", "Ä"];

pub async fn equipment_is_ordered_by_folded_name_byte_by_byte(database: Database) {
    for name in ["B", "Ä", "ab", "A_B", "a-b", "A b", "STRAßE b", "strasse A"] {
        database.piece(name).await;
    }
    let expected = FOLDED.map(str::to_owned).to_vec();
    is_ordered_both_ways(&database, EquipmentKey::Name, expected).await;
}

pub async fn equipment_is_ordered_by_folded_kind_byte_by_byte(database: Database) {
    let put = |details, text: &str| Details { kind: label(text), ..details };
    let expected = registered_with(&database, &FOLDED, put).await;
    is_ordered_both_ways(&database, EquipmentKey::Kind, expected).await;
}

pub async fn equipment_is_ordered_by_folded_model_byte_by_byte(database: Database) {
    let put = |details, text: &str| Details { model: Some(label(text)), ..details };
    let expected = registered_with(&database, &FOLDED, put).await;
    is_ordered_both_ways(&database, EquipmentKey::Model, expected).await;
}

pub async fn equipment_is_ordered_by_folded_manufacturer_byte_by_byte(database: Database) {
    let put = |details, text: &str| Details { manufacturer: Some(label(text)), ..details };
    let expected = registered_with(&database, &FOLDED, put).await;
    is_ordered_both_ways(&database, EquipmentKey::Manufacturer, expected).await;
}

pub async fn equipment_is_ordered_by_folded_serial_number_byte_by_byte(database: Database) {
    let put = |details, text: &str| Details { serial_number: Some(serial(text)), ..details };
    let expected = registered_with(&database, &FOLDED, put).await;
    is_ordered_both_ways(&database, EquipmentKey::SerialNumber, expected).await;
}

pub async fn equipment_is_ordered_by_location_as_it_is_byte_by_byte(database: Database) {
    let put = |details, text: &str| Details { location: Some(location(text)), ..details };
    let in_order = ["A", "B", "a", "a b", "a-1", "a/b", "a0", "aB", "ab", "Ä"];
    let expected = registered_with(&database, &in_order, put).await;
    is_ordered_both_ways(&database, EquipmentKey::Location, expected).await;
}

pub async fn equipment_is_ordered_by_state_as_states_are_declared(database: Database) {
    for status in Status::ALL.iter().rev() {
        database.piece_of(Details { status: *status, ..some_details(status.name()) }).await;
    }
    let expected = Status::ALL.iter().map(ToString::to_string).collect();
    is_ordered_both_ways(&database, EquipmentKey::Status, expected).await;
}

pub async fn equipment_is_ordered_by_its_days(database: Database) {
    for (name, installed, next) in [
        ("a", "2026-05-04", "0001-01-01"),
        ("b", "9999-12-31", "2026-05-04"),
        ("c", "0001-01-01", "9999-12-31"),
    ] {
        let details = Details { installed_on: Some(day(installed)), ..some_details(name) };
        let id = database.piece_of(details).await;
        database.due(id, next).await;
    }
    let names = |names: [&str; 3]| names.map(str::to_owned).to_vec();
    is_ordered_both_ways(&database, EquipmentKey::InstalledOn, names(["c", "a", "b"])).await;
    is_ordered_both_ways(&database, EquipmentKey::NextMaintenanceOn, names(["a", "b", "c"])).await;
}

pub async fn equipment_is_ordered_by_when_it_was_made_and_written(database: Database) {
    for (name, made, written) in [("a", 2, 30), ("b", 1, 20), ("c", 3, 10)] {
        let piece = database.register(&NewEquipment { created_at: at(made), ..a_piece(name) }).await;
        database.save_equipment(&Equipment { updated_at: at(written), ..piece }).await;
    }
    let names = |names: [&str; 3]| names.map(str::to_owned).to_vec();
    is_ordered_both_ways(&database, EquipmentKey::CreatedAt, names(["b", "a", "c"])).await;
    is_ordered_both_ways(&database, EquipmentKey::UpdatedAt, names(["c", "b", "a"])).await;
}

pub async fn what_is_absent_counts_as_smallest(database: Database) {
    database.piece("none").await;
    let full = Details {
        model: Some(label("m")),
        manufacturer: Some(label("m")),
        serial_number: Some(serial("m")),
        installed_on: Some(day("0001-01-01")),
        location: Some(location("m")),
        ..some_details("full")
    };
    let id = database.piece_of(full).await;
    database.due(id, "0001-01-01").await;
    database.piece("void").await;
    for key in [
        EquipmentKey::Model,
        EquipmentKey::Manufacturer,
        EquipmentKey::SerialNumber,
        EquipmentKey::InstalledOn,
        EquipmentKey::Location,
        EquipmentKey::NextMaintenanceOn,
    ] {
        assert_eq!(ordered(&database, &[up(key)]).await, ["none", "void", "full"], "{key:?}");
        assert_eq!(ordered(&database, &[down(key)]).await, ["full", "none", "void"], "{key:?}");
    }
}

pub async fn equal_pieces_are_ordered_by_id_whichever_way_the_list_runs(database: Database) {
    for (name, kind) in [("d", "PRESS"), ("c", "robot"), ("b", "press"), ("a", "Robot")] {
        database.piece_of(Details { kind: label(kind), ..some_details(name) }).await;
    }
    for key in [EquipmentKey::Status, EquipmentKey::CreatedAt, EquipmentKey::UpdatedAt, EquipmentKey::Model] {
        assert_eq!(ordered(&database, &[up(key)]).await, ["d", "c", "b", "a"], "{key:?}");
        assert_eq!(ordered(&database, &[down(key)]).await, ["d", "c", "b", "a"], "{key:?}");
    }
    assert_eq!(ordered(&database, &[up(EquipmentKey::Kind)]).await, ["d", "b", "c", "a"]);
    assert_eq!(ordered(&database, &[down(EquipmentKey::Kind)]).await, ["c", "a", "d", "b"]);
    let then_by_name = [down(EquipmentKey::Kind), up(EquipmentKey::Name)];
    assert_eq!(ordered(&database, &then_by_name).await, ["a", "c", "b", "d"]);
}

pub async fn pages_of_equipment_cut_the_list_without_gap_or_repetition(database: Database) {
    for name in ["a", "b", "c", "d", "e"] {
        database.piece(name).await;
    }
    let farthest = PageRequest::new(u64::MAX / 2048, PageRequest::MAX_SIZE).unwrap();
    let pages = [(page(1, 2), "ab"), (page(2, 2), "cd"), (page(3, 2), "e"), (page(4, 2), ""), (farthest, "")];
    for (page, expected) in pages {
        // All are equal under this key, so only a stable end of the order keeps the pages apart.
        let query = EquipmentQuery { order: vec![up(EquipmentKey::Status)], page, ..Default::default() };
        let answer = database.reader().await.equipment().list(&query).await.unwrap();
        let names: String = answer.items.iter().map(|piece| piece.details.name.to_string()).collect();
        assert_eq!((names.as_str(), answer.total), (expected, 5));
    }
}
