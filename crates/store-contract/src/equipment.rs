//! Promises about the equipment register, one piece at a time. Lists are in `equipment_lists`, the tree in `components`,
//! what goes with a piece in `purges`.

use crate::Database;
use crate::builders::{
    a_piece, a_piece_of, a_reading, at, day, label, location, no_piece, serial, some_details,
};
use crate::database::{assert_dangling, assert_taken};
use domain::equipment::{Attributes, Details, Equipment, EquipmentRef, NewEquipment, Status};
use domain::id::Version;
use domain::ports::{Reference, Unique};
use domain::time::Timestamp;

/// JSON that a database which reads it would write otherwise: its blanks, the order and number of its keys, the spelling
/// of numbers and characters.
fn attributes_as_they_are() -> Attributes {
    let start = r#"{ "z":1.0,  "a":1e400, "n":12345678901234567890, "A":"\u00e9🛠\n\"", "nested":{"b":[null,true]}, "text":""#;
    let filling = "ü".repeat((Attributes::MOST_BYTES - start.len() - 3) / 2);
    Attributes::restore(format!("{start}{filling}\"}}"))
}

/// A piece about which everything is known, at its greatest length.
async fn full_details(database: &Database) -> Details {
    Details {
        name: label(&"🛠".repeat(100)),
        // Folding makes these longer than they are.
        kind: label(&"ß".repeat(100)),
        model: Some(label(&"ﷺ".repeat(100))),
        manufacturer: Some(label(&"İ".repeat(100))),
        serial_number: Some(serial(&"ẞ".repeat(64))),
        installed_on: Some(day("9999-12-31")),
        location: Some(location(
            &["цех 1/линия-🛠", &"л".repeat(64), &"ß".repeat(64), &"x".repeat(56)].join("/"),
        )),
        parent: Some(database.piece("parent").await),
        status: Status::Fault,
        attributes: attributes_as_they_are(),
    }
}

pub async fn a_new_piece_has_the_first_version_and_is_found_by_id(database: Database) {
    let press = database.register(&a_piece("press")).await;
    assert_eq!((press.version, press.updated_at), (Version::FIRST, press.created_at));
    assert_eq!(database.equipment(press.id).await, Some(press));
}

pub async fn every_field_of_a_new_piece_round_trips_at_its_greatest_length(database: Database) {
    let new = NewEquipment { details: full_details(&database).await, created_at: at(5) };
    let stored = database.register(&new).await;
    let expected = Equipment {
        id: stored.id,
        details: new.details,
        last_maintained_at: None,
        next_maintenance_on: None,
        last_seen_at: None,
        hidden_at: None,
        version: Version::FIRST,
        created_at: at(5),
        updated_at: at(5),
    };
    assert_eq!(stored, expected);
    assert_eq!(database.equipment(stored.id).await, Some(expected));
}

pub async fn a_piece_may_lack_all_that_may_be_lacking(database: Database) {
    let bare = database.piece("bare").await;
    let found = database.equipment(bare).await.unwrap();
    assert_eq!(found.details, some_details("bare"));
    // Nobody's serial number is nobody's.
    database.piece("bare").await;
}

pub async fn every_state_of_equipment_round_trips(database: Database) {
    for status in Status::ALL {
        let new = a_piece_of(Details { status: *status, ..some_details("press") });
        let id = database.register(&new).await.id;
        assert_eq!(database.equipment(id).await.unwrap().details.status, *status);
    }
}

pub async fn instants_and_days_of_equipment_reach_from_the_first_year_to_the_last(database: Database) {
    let before_1970 = Timestamp::from_micros(-1).unwrap();
    for (instant, date) in
        [(Timestamp::MIN, "0001-01-01"), (before_1970, "1969-12-31"), (Timestamp::MAX, "9999-12-31")]
    {
        let details = Details { installed_on: Some(day(date)), ..some_details("press") };
        let id = database.register(&NewEquipment { details, created_at: instant }).await.id;
        let found = database.equipment(id).await.unwrap();
        assert_eq!((found.created_at, found.details.installed_on), (instant, Some(day(date))));
    }
}

pub async fn an_unknown_piece_is_not_found_anywhere(database: Database) {
    let mut unit = database.begin().await;
    assert_eq!(unit.equipment().find(no_piece()).await.unwrap(), None);
    assert_eq!(unit.equipment().lock(no_piece()).await.unwrap(), None);
    assert_eq!(unit.equipment().resolve(&[EquipmentRef::Id(no_piece())]).await.unwrap(), [None]);
    assert!(unit.equipment().above(no_piece()).await.unwrap().is_empty());
    assert!(!unit.equipment().delete(no_piece(), at(1)).await.unwrap());
}

pub async fn a_locked_piece_is_the_stored_one(database: Database) {
    let details = full_details(&database).await;
    let press = database.register(&a_piece_of(details)).await;
    let locked = database.within(async |unit| unit.equipment().lock(press.id).await.unwrap()).await;
    assert_eq!(locked, Some(press));
}

pub async fn a_hidden_piece_is_found_and_locked_all_the_same(database: Database) {
    let press = database.piece("press").await;
    let hidden = database.hide(press).await;
    assert_eq!(hidden.hidden_at, Some(at(0)));
    assert_eq!(database.equipment(press).await.as_ref(), Some(&hidden));
    let locked = database.within(async |unit| unit.equipment().lock(press).await.unwrap()).await;
    assert_eq!(locked.as_ref(), Some(&hidden));
    let restored = database.restore(press).await;
    assert_eq!(restored, Equipment { hidden_at: None, version: hidden.version.next(), ..hidden });
}

fn with_serial(name: &str, number: &str) -> NewEquipment {
    a_piece_of(Details { serial_number: Some(serial(number)), ..some_details(name) })
}

pub async fn a_taken_serial_number_is_named_however_it_is_spelled(database: Database) {
    database.register(&with_serial("press", "SN-Straße 1")).await;
    for spelling in ["SN-Straße 1", "sn-STRASSE 1", "ＳＮ-straße 1"] {
        let rival = with_serial("rival", spelling);
        assert_taken(
            database.refusal(async |unit| unit.equipment().insert(&rival).await).await,
            Unique::SerialNumber,
        );
    }
    database.register(&with_serial("other", "SN-Straße 11")).await;
}

pub async fn a_serial_number_stays_taken_while_its_piece_is_hidden(database: Database) {
    let press = database.register(&with_serial("press", "SN-1")).await;
    database.hide(press.id).await;
    let rival = with_serial("rival", "sn-1");
    assert_taken(
        database.refusal(async |unit| unit.equipment().insert(&rival).await).await,
        Unique::SerialNumber,
    );
}

pub async fn saving_a_taken_serial_number_names_it(database: Database) {
    let press = database.register(&with_serial("press", "SN-1")).await;
    let other = database.register(&with_serial("other", "SN-2")).await;
    let details = Details { serial_number: Some(serial("sn-1")), ..other.details.clone() };
    let changed = Equipment { details, ..other.clone() };
    assert_taken(
        database.refusal(async |unit| unit.equipment().save(&changed).await).await,
        Unique::SerialNumber,
    );
    assert_eq!(database.equipment(other.id).await, Some(other));

    // Its own may be spelled anew.
    let details = Details { serial_number: Some(serial("sn-1")), ..press.details.clone() };
    let saved = database.save_equipment(&Equipment { details: details.clone(), ..press }).await;
    assert_eq!(saved.details, details);
}

pub async fn saving_writes_the_details_and_raises_the_version(database: Database) {
    let press = database.register(&a_piece("press")).await;
    let changed = Equipment {
        details: full_details(&database).await,
        hidden_at: Some(at(50)),
        updated_at: at(60),
        ..press.clone()
    };
    let saved = database.save_equipment(&changed).await;
    let expected = Equipment { version: press.version.next(), ..changed };
    assert_eq!(saved, expected);
    assert_eq!(database.equipment(press.id).await, Some(expected));
}

pub async fn saving_clears_what_is_cleared_of_a_piece(database: Database) {
    let details = full_details(&database).await;
    let press = database.register(&a_piece_of(details)).await;
    let bare = Equipment { details: some_details("bare"), ..press };
    let saved = database.save_equipment(&bare).await;
    let expected = Equipment { version: bare.version.next(), ..bare };
    assert_eq!(saved, expected);
    assert_eq!(database.equipment(expected.id).await, Some(expected));
}

pub async fn saving_a_piece_counts_from_the_stored_version_and_keeps_the_instant_of_creation(
    database: Database,
) {
    let press = database.register(&a_piece("press")).await;
    let second = database.save_equipment(&press).await;
    let stale = Equipment { created_at: at(99), updated_at: at(9), ..press.clone() };
    let third = database.save_equipment(&stale).await;
    let expected = Equipment { version: second.version.next(), updated_at: at(9), ..press };
    assert_eq!(third, expected);
    assert_eq!(database.equipment(expected.id).await, Some(expected));
}

pub async fn saving_a_piece_writes_nothing_that_log_and_readings_say(database: Database) {
    let press = database.piece("press").await;
    database.report(&[a_reading(press, 7)]).await;
    database.due(press, "2027-01-01").await;
    let stored = database.equipment(press).await.unwrap();
    assert_eq!(stored.last_seen_at, Some(at(7)));

    let blank = Equipment {
        last_maintained_at: None,
        next_maintenance_on: None,
        last_seen_at: None,
        ..stored.clone()
    };
    let saved = database.save_equipment(&blank).await;
    let expected = Equipment { version: stored.version.next(), ..stored };
    assert_eq!(saved, expected);
    assert_eq!(database.equipment(press).await, Some(expected));
}

pub async fn saving_a_piece_leaves_the_others_alone(database: Database) {
    let press = database.register(&a_piece("press")).await;
    let other = database.register(&a_piece("other")).await;
    database.save_equipment(&Equipment { updated_at: at(60), ..press }).await;
    assert_eq!(database.equipment(other.id).await, Some(other));
}

pub async fn saving_a_piece_that_is_gone_dangles(database: Database) {
    let press = database.register(&a_piece("press")).await;
    database.purge(press.id).await;
    let refusal = database.refusal(async |unit| unit.equipment().save(&press).await).await;
    assert_dangling(refusal, Reference::Equipment);
}

pub async fn a_reading_moves_when_a_piece_was_seen_without_its_version(database: Database) {
    let press = database.register(&a_piece("press")).await;
    database.report(&[a_reading(press.id, 7)]).await;
    let expected = Equipment { last_seen_at: Some(at(7)), ..press };
    assert_eq!(database.equipment(expected.id).await, Some(expected));
}

pub async fn names_of_equipment_are_resolved_in_their_order(database: Database) {
    let press = database.register(&with_serial("press", "SN-Straße")).await.id;
    let robot = database.piece("robot").await;
    let hidden = database.register(&with_serial("hidden", "SN-H")).await.id;
    database.hide(hidden).await;
    let by_serial = |number: &str| EquipmentRef::Serial(serial(number));
    let names = [
        by_serial("sn-STRASSE"),
        EquipmentRef::Id(robot),
        by_serial("unknown"),
        EquipmentRef::Id(press),
        EquipmentRef::Id(hidden),
        by_serial("SN-H"),
        // A serial number that looks like an id is none.
        by_serial(&robot.to_string()),
        EquipmentRef::Id(robot),
    ];
    let expected = [Some(press), Some(robot), None, Some(press), None, None, None, Some(robot)];
    let mut reader = database.reader().await;
    assert_eq!(reader.equipment().resolve(&names).await.unwrap(), expected);
    assert!(reader.equipment().resolve(&[]).await.unwrap().is_empty());
}

pub async fn what_a_piece_is_called_is_its_serial_number_or_else_a_name_of_its_own(database: Database) {
    let press = database.register(&with_serial("Press", "SN-1")).await.id;
    let robot = database.register(&with_serial("Robot Straße", "SN-2")).await.id;
    let rival = database.register(&with_serial("SN-2", "SN-3")).await.id;
    for serial in ["SN-4", "SN-5"] {
        database.register(&with_serial("twin", serial)).await;
    }
    for hidden in [with_serial("gone", "SN-6"), with_serial("Press", "SN-7")] {
        let hidden = database.register(&hidden).await.id;
        database.hide(hidden).await;
    }
    let called = |name: &str| EquipmentRef::Called(label(name));
    let names = ["sn-1", "PRESS", "robot strasse", "SN-2", "sn-3", "twin", "gone", "SN-6", "nobody"];
    let expected = [Some(press), Some(press), Some(robot), Some(robot), Some(rival), None, None, None, None];
    let names = names.map(called);
    assert_eq!(database.reader().await.equipment().resolve(&names).await.unwrap(), expected);
}

pub async fn thousands_of_names_are_resolved_at_once(database: Database) {
    let press = database.register(&with_serial("press", "SN-1")).await.id;
    let names: Vec<EquipmentRef> =
        (0..10_000).map(|number| EquipmentRef::Serial(serial(&format!("SN-{number}")))).collect();
    let resolved = database.reader().await.equipment().resolve(&names).await.unwrap();
    let found: Vec<usize> = (0..resolved.len()).filter(|index| resolved[*index] == Some(press)).collect();
    assert_eq!((resolved.len(), found), (names.len(), vec![1]));
}

pub async fn the_id_of_a_piece_is_never_given_twice(database: Database) {
    let first = database.piece("first").await;
    database.purge(first).await;
    assert!(database.piece("second").await > first);
}
