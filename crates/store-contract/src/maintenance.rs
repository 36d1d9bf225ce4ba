//! Promises about maintenance logs, and about what a piece of equipment takes from its own.

use crate::Database;
use crate::builders::{a_person, a_piece, a_user, about, at, day, no_piece, page, some_maintenance};
use crate::database::assert_dangling;
use domain::equipment::Equipment;
use domain::id::{EquipmentId, MaintenanceId};
use domain::maintenance::{Maintenance, MaintenanceQuery, NewMaintenance};
use domain::page::{Page, PageRequest};
use domain::ports::Reference;
use domain::time::Timestamp;

async fn list(database: &Database, equipment: EquipmentId, page: PageRequest) -> Page<Maintenance> {
    database.reader().await.maintenance().list(&MaintenanceQuery { equipment, page }).await.unwrap()
}

/// What the log of a piece tells, in its order.
async fn told(database: &Database, equipment: EquipmentId) -> Vec<String> {
    let log = list(database, equipment, PageRequest::default()).await;
    assert_eq!(log.total, log.items.len() as u64);
    log.items.iter().map(|entry| entry.what.what.to_string()).collect()
}

async fn found(database: &Database, equipment: EquipmentId, id: MaintenanceId) -> Option<Maintenance> {
    database.reader().await.maintenance().find(equipment, id).await.unwrap()
}

/// Enters work of this name and second, due again by this day.
async fn enter(
    database: &Database,
    equipment: EquipmentId,
    what: &str,
    second: i64,
    due: Option<&str>,
) -> MaintenanceId {
    let entry = NewMaintenance {
        what: about(what),
        performed_at: at(second),
        next_due_on: due.map(day),
        ..some_maintenance(equipment)
    };
    database.enter(&entry).await.id
}

pub async fn every_field_of_an_entry_round_trips_at_its_greatest_length(database: Database) {
    let press = database.piece("press").await;
    let anna = database.insert_user(&a_user("anna")).await.id;
    for (performed_at, created_at, due) in
        [(Timestamp::MIN, Timestamp::MAX, "9999-12-31"), (at(1), at(2), "0001-01-01")]
    {
        let entry = NewMaintenance {
            equipment: press,
            what: about(&"🛠\n".repeat(500)),
            performed_at,
            by: a_person(&"ß🦊".repeat(32), Some(anna)),
            next_due_on: Some(day(due)),
            created_at,
        };
        let stored = database.enter(&entry).await;
        assert_eq!(stored.what, entry);
        assert_eq!(found(&database, press, stored.id).await.as_ref(), Some(&stored));
        database.within(async |unit| unit.maintenance().delete(press, stored.id).await.unwrap()).await;
    }
}

pub async fn an_entry_may_lack_all_that_may_be_lacking(database: Database) {
    let press = database.piece("press").await;
    let entry = NewMaintenance { what: about(""), ..some_maintenance(press) };
    let stored = database.enter(&entry).await;
    assert_eq!((stored.what.by.id, stored.what.next_due_on), (None, None));
    assert_eq!(found(&database, press, stored.id).await, Some(stored));
}

pub async fn an_entry_about_equipment_that_is_gone_dangles(database: Database) {
    let entry = some_maintenance(no_piece());
    let refusal = database.refusal(async |unit| unit.maintenance().insert(&entry).await).await;
    assert_dangling(refusal, Reference::Equipment);
}

pub async fn an_entry_is_found_and_removed_under_its_own_piece_alone(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let oiled = enter(&database, press, "oiled", 1, None).await;
    let painted = enter(&database, press, "painted", 2, None).await;
    assert_eq!(found(&database, robot, oiled).await, None);
    assert_eq!(found(&database, press, MaintenanceId::new(i64::MAX).unwrap()).await, None);

    let remove = async |equipment, id| {
        database.within(async |unit| unit.maintenance().delete(equipment, id).await.unwrap()).await
    };
    assert!(!remove(robot, oiled).await);
    assert_eq!(told(&database, press).await, ["painted", "oiled"]);
    assert!(remove(press, oiled).await);
    assert!(!remove(press, oiled).await);
    assert_eq!(found(&database, press, oiled).await, None);
    assert!(found(&database, press, painted).await.is_some());
}

pub async fn a_log_tells_the_newest_work_first_and_of_one_instant_the_later_entry(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    for (what, second) in [("b", 5), ("late entry", 1), ("a", 5), ("newest", 9), ("c", 5)] {
        enter(&database, press, what, second, None).await;
    }
    enter(&database, robot, "of another", 7, None).await;
    assert_eq!(told(&database, press).await, ["newest", "c", "a", "b", "late entry"]);
    assert_eq!(told(&database, robot).await, ["of another"]);
    assert!(told(&database, no_piece()).await.is_empty());
}

pub async fn pages_of_a_log_cut_it_and_know_the_total(database: Database) {
    let press = database.piece("press").await;
    for what in ["a", "b", "c"] {
        enter(&database, press, what, 1, None).await;
    }
    for (number, expected) in [(1, vec!["c", "b"]), (2, vec!["a"]), (3, vec![]), (1_000_000, vec![])] {
        let answer = list(&database, press, page(number, 2)).await;
        let told: Vec<&str> = answer.items.iter().map(|entry| entry.what.what.as_str()).collect();
        assert_eq!((told, answer.total), (expected, 3));
    }
}

/// What the piece takes from its log.
async fn taken(database: &Database, piece: &Equipment, second: i64) -> (Option<Timestamp>, Option<String>) {
    let before = database.equipment(piece.id).await.unwrap();
    database
        .within(async |unit| unit.equipment().note_maintenance(piece.id, at(second)).await.unwrap())
        .await;
    let after = database.equipment(piece.id).await.unwrap();
    let written = Equipment {
        last_maintained_at: after.last_maintained_at,
        next_maintenance_on: after.next_maintenance_on,
        version: before.version.next(),
        updated_at: at(second),
        ..before
    };
    assert_eq!(after, written);
    (after.last_maintained_at, after.next_maintenance_on.map(|day| day.to_string()))
}

pub async fn the_newest_entry_says_when_a_piece_was_looked_after_and_is_due(database: Database) {
    let press = database.register(&a_piece("press")).await;
    let robot = database.register(&a_piece("robot")).await;
    enter(&database, robot.id, "of another", 99, Some("2030-01-01")).await;
    assert_eq!(taken(&database, &press, 10).await, (None, None));

    enter(&database, press.id, "a", 5, Some("2027-01-01")).await;
    let expected = Some("2027-01-01".to_owned());
    assert_eq!(taken(&database, &press, 11).await, (Some(at(5)), expected.clone()));

    // Work that was done before, though entered later, changes nothing.
    enter(&database, press.id, "late entry", 4, Some("2026-01-01")).await;
    assert_eq!(taken(&database, &press, 12).await, (Some(at(5)), expected));

    // Of one instant the later entry counts, also when it names no day.
    let last = enter(&database, press.id, "b", 5, None).await;
    assert_eq!(taken(&database, &press, 13).await, (Some(at(5)), None));

    database.within(async |unit| unit.maintenance().delete(press.id, last).await.unwrap()).await;
    assert_eq!(taken(&database, &press, 14).await, (Some(at(5)), Some("2027-01-01".to_owned())));
    assert_eq!(database.equipment(robot.id).await, Some(robot));
}

pub async fn a_piece_whose_log_was_emptied_was_never_looked_after(database: Database) {
    let press = database.register(&a_piece("press")).await;
    let only = enter(&database, press.id, "a", 5, Some("2027-01-01")).await;
    assert_eq!(taken(&database, &press, 10).await.0, Some(at(5)));
    database.within(async |unit| unit.maintenance().delete(press.id, only).await.unwrap()).await;
    assert_eq!(taken(&database, &press, 11).await, (None, None));
}

pub async fn a_log_keeps_the_name_of_somebody_whose_account_is_gone(database: Database) {
    let press = database.piece("press").await;
    let anna = database.insert_user(&a_user("anna")).await.id;
    let ben = database.insert_user(&a_user("ben")).await.id;
    for (name, id) in [("anna", anna), ("ben", ben)] {
        let by = a_person(name, Some(id));
        database.enter(&NewMaintenance { by, ..some_maintenance(press) }).await;
    }
    assert!(database.within(async |unit| unit.users().delete(anna).await.unwrap()).await);
    let log = list(&database, press, PageRequest::default()).await;
    let people: Vec<_> = log.items.into_iter().map(|entry| entry.what.by).collect();
    assert_eq!(people, [a_person("ben", Some(ben)), a_person("anna", None)]);
}

pub async fn a_piece_purged_in_an_open_unit_is_not_written_about_meanwhile(database: Database) {
    let press = database.piece("press").await;
    let mut first = database.begin().await;
    assert!(first.equipment().delete(press, at(1)).await.unwrap());
    let mut entering =
        database.meanwhile(async move |mut unit| unit.maintenance().insert(&some_maintenance(press)).await);
    entering.waits().await;
    first.commit().await.unwrap();
    assert_dangling(crate::database::refused(entering.outcome().await), Reference::Equipment);
}
