//! Promises about what is remembered of values that go early.

use crate::Database;
use crate::builders::{a_reading, at, no_piece};
use crate::database::assert_dangling;
use domain::id::EquipmentId;
use domain::ports::Reference;
use domain::telemetry::kept::Thinned;
use domain::time::Timestamp;

const DECISION: &str = "vibration.*=604800 *";

fn as_of(second: i64) -> Thinned {
    Thinned { by: DECISION.to_owned(), as_of: at(second), late_from: None }
}

async fn keep(database: &Database, piece: EquipmentId, thinned: &Thinned) {
    database.within(async |unit| unit.thinnings().keep(piece, thinned).await.unwrap()).await;
}

async fn note_late(database: &Database, late: &[(EquipmentId, Timestamp)]) {
    database.within(async |unit| unit.thinnings().note_late(late).await.unwrap()).await;
}

async fn found(database: &Database, piece: EquipmentId) -> Option<Thinned> {
    database.reader().await.thinnings().find(piece).await.unwrap()
}

pub async fn what_is_remembered_of_a_thinning_round_trips_and_is_replaced_as_a_whole(database: Database) {
    let press = database.piece("press").await;
    assert_eq!(found(&database, press).await, None);
    let all = [
        Thinned { by: "ü".repeat(2000), as_of: Timestamp::MIN, late_from: Some(Timestamp::MAX) },
        Thinned { by: String::new(), as_of: Timestamp::MAX, late_from: None },
        Thinned { late_from: Some(at(3)), ..as_of(1) },
    ];
    for thinned in all {
        keep(&database, press, &thinned).await;
        assert_eq!(found(&database, press).await, Some(thinned));
    }
}

pub async fn what_was_written_late_is_noted_from_its_oldest_instant(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    keep(&database, press, &as_of(100)).await;
    for (late, noted) in [(7, 7), (9, 7), (2, 2)] {
        note_late(&database, &[(press, at(late)), (robot, at(late))]).await;
        let expected = Thinned { late_from: Some(at(noted)), ..as_of(100) };
        assert_eq!(found(&database, press).await, Some(expected));
    }
    assert_eq!(found(&database, robot).await, None, "of whom nothing was remembered");
}

pub async fn who_was_not_thinned_so_far_by_this_decision_or_was_written_to_late_is_behind(
    database: Database,
) {
    let mut pieces = Vec::new();
    for name in ["silent", "never", "earlier", "otherwise", "late", "done", "further", "hidden"] {
        pieces.push(database.piece(name).await);
    }
    for piece in &pieces[1..] {
        database.report(&[a_reading(*piece, 1)]).await;
    }
    let [never, earlier, otherwise, late, done, further] =
        [pieces[1], pieces[2], pieces[3], pieces[4], pieces[5], pieces[6]];
    keep(&database, earlier, &as_of(99)).await;
    keep(&database, otherwise, &Thinned { by: "*".to_owned(), ..as_of(100) }).await;
    keep(&database, late, &Thinned { late_from: Some(at(5)), ..as_of(100) }).await;
    keep(&database, done, &as_of(100)).await;
    keep(&database, further, &as_of(101)).await;
    database.hide(pieces[7]).await;
    let behind = async |after, limit| {
        database.reader().await.thinnings().behind(DECISION, at(100), after, limit).await.unwrap()
    };
    assert_eq!(behind(None, 10).await, [never, earlier, otherwise, late]);
    assert_eq!(behind(None, 2).await, [never, earlier]);
    assert_eq!(behind(Some(earlier), 10).await, [otherwise, late]);
}

pub async fn a_purged_piece_takes_its_thinning_along_and_nobody_elses(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    for piece in [press, robot] {
        keep(&database, piece, &as_of(1)).await;
    }
    assert!(database.purge(press).await);
    assert_eq!(found(&database, press).await, None);
    assert_eq!(found(&database, robot).await, Some(as_of(1)));
}

pub async fn a_thinning_of_equipment_that_is_gone_dangles(database: Database) {
    let refused = database.refusal(async |unit| unit.thinnings().keep(no_piece(), &as_of(1)).await).await;
    assert_dangling(refused, Reference::Equipment);
}
