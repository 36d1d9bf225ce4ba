//! Promises about equipment that says nothing for too long.

use crate::Database;
use crate::builders::{
    a_piece, a_piece_of, a_reading, a_reading_of, acknowledged, an_alert_by, at, label, metric, no_piece,
    no_rule, some_details, values,
};
use domain::equipment::{Details, Equipment, NewEquipment, Status};
use domain::id::{EquipmentId, RuleId};
use domain::rules::Target;

/// A question about silence, by default of any equipment that has said nothing at all since second 10.
struct Question {
    rule: RuleId,
    target: Target,
    metric: Option<&'static str>,
    after: Option<EquipmentId>,
    limit: u32,
}

fn about(target: Target) -> Question {
    Question { rule: no_rule(), target, metric: None, after: None, limit: 1000 }
}

async fn silent(database: &Database, question: Question) -> Vec<EquipmentId> {
    let Question { rule, target, metric: name, after, limit } = question;
    let name = name.map(metric);
    let mut reader = database.reader().await;
    reader.readings().silent(rule, &target, name.as_ref(), at(10), after, limit).await.unwrap()
}

async fn registered(database: &Database, name: &str, second: i64) -> EquipmentId {
    let new = NewEquipment { created_at: at(second), ..a_piece(name) };
    database.register(&new).await.id
}

pub async fn who_never_reported_is_silent_since_registration(database: Database) {
    let old = registered(&database, "old", 9).await;
    registered(&database, "new", 10).await;
    registered(&database, "newer", 11).await;
    assert_eq!(silent(&database, about(Target::All)).await, [old]);
}

pub async fn who_reported_is_silent_since_the_newest_reading(database: Database) {
    let [silent_one, on_time, chatty] = [
        registered(&database, "silent", 0).await,
        registered(&database, "on time", 0).await,
        registered(&database, "chatty", 0).await,
    ];
    database.report(&[a_reading(silent_one, 9), a_reading(on_time, 10), a_reading(chatty, 11)]).await;
    database.report(&[a_reading(chatty, 1)]).await;
    assert_eq!(silent(&database, about(Target::All)).await, [silent_one]);
}

pub async fn who_was_written_about_lately_is_not_silent(database: Database) {
    let [left_alone, looked_after] =
        [registered(&database, "left alone", 0).await, registered(&database, "looked after", 0).await];
    // Registered after it reported, as when readings were kept elsewhere before.
    let moved_in = registered(&database, "moved in", 20).await;
    database.report(&[left_alone, looked_after, moved_in].map(|piece| a_reading(piece, 5))).await;
    let piece = database.equipment(looked_after).await.unwrap();
    for (second, expected) in [(9, vec![left_alone, looked_after]), (10, vec![left_alone])] {
        let written = Equipment { updated_at: at(second), ..piece.clone() };
        database.within(async |unit| unit.equipment().save(&written).await.unwrap()).await;
        assert_eq!(silent(&database, about(Target::All)).await, expected);
        assert_eq!(
            silent(&database, Question { metric: Some("temperature"), ..about(Target::All) }).await,
            expected
        );
    }
}

pub async fn silence_about_a_metric_is_broken_by_that_metric_alone(database: Database) {
    let [press, robot] = [registered(&database, "press", 0).await, registered(&database, "robot", 0).await];
    for (piece, second, name) in [(press, 5, "t"), (press, 11, "speed"), (robot, 10, "t"), (robot, 1, "t")] {
        database.report(&[a_reading_of(piece, second, values(&[(name, 1.0)]))]).await;
    }
    let about_metric = |metric| Question { metric: Some(metric), ..about(Target::All) };
    assert_eq!(silent(&database, about_metric("t")).await, [press]);
    assert!(silent(&database, about_metric("speed")).await.is_empty());
    assert!(silent(&database, about(Target::All)).await.is_empty());
}

pub async fn who_never_reported_a_metric_owes_it_only_when_exactly_that_piece_is_meant(database: Database) {
    let [mute, other] = [registered(&database, "mute", 9).await, registered(&database, "other", 9).await];
    let late = registered(&database, "late", 10).await;
    database.report(&[a_reading_of(other, 99, values(&[("speed", 1.0)]))]).await;
    let about_t = |target| Question { metric: Some("t"), ..about(target) };
    for target in [Target::All, Target::Kind(label("robot")), Target::Equipment(late)] {
        assert!(silent(&database, about_t(target)).await.is_empty());
    }
    assert_eq!(silent(&database, about_t(Target::Equipment(mute))).await, [mute]);
    assert_eq!(silent(&database, about_t(Target::Equipment(other))).await, [other]);
}

pub async fn silence_is_asked_of_all_of_a_kind_or_of_one_piece(database: Database) {
    let of_kind = async |kind: &str| {
        database.register(&a_piece_of(Details { kind: label(kind), ..some_details("piece") })).await.id
    };
    let [press, robot, other_press] =
        [of_kind("Presse-ß").await, of_kind("robot").await, of_kind("PRESSE-SS").await];
    assert_eq!(silent(&database, about(Target::All)).await, [press, robot, other_press]);
    assert_eq!(silent(&database, about(Target::Kind(label("presse-ß")))).await, [press, other_press]);
    assert_eq!(silent(&database, about(Target::Equipment(robot))).await, [robot]);
    assert!(silent(&database, about(Target::Kind(label("presse")))).await.is_empty());
    assert!(silent(&database, about(Target::Equipment(no_piece()))).await.is_empty());
}

pub async fn who_is_hidden_or_not_expected_to_report_is_not_silent(database: Database) {
    let mut expected = Vec::new();
    for status in Status::ALL {
        let new = a_piece_of(Details { status: *status, ..some_details("piece") });
        let id = database.register(&new).await.id;
        if status.is_expected_to_report() {
            expected.push(id);
        }
        assert_eq!(
            silent(&database, about(Target::Equipment(id))).await.len(),
            usize::from(status.is_expected_to_report()),
            "{status}"
        );
    }
    assert_eq!(silent(&database, about(Target::All)).await, expected);
    let hidden = expected.remove(1);
    database.hide(hidden).await;
    assert_eq!(silent(&database, about(Target::All)).await, expected);
    assert!(silent(&database, about(Target::Equipment(hidden))).await.is_empty());
}

pub async fn whose_alert_of_the_rule_is_unresolved_or_was_lately_is_not_told_again(database: Database) {
    let rule = database.make_rule("silent").await;
    let other = database.make_rule("other").await;
    let [raised, looked_after, ended, ended_lately, by_other, quiet] = {
        let mut pieces = [no_piece(); 6];
        for piece in &mut pieces {
            *piece = database.piece("press").await;
        }
        pieces
    };
    database.raise(&an_alert_by(&rule, raised)).await;
    let alert = database.raise(&an_alert_by(&rule, looked_after)).await;
    database.save_alerts(&[acknowledged(&alert)]).await;
    database.raise_ended(&an_alert_by(&rule, ended), at(9)).await;
    database.raise_ended(&an_alert_by(&rule, ended_lately), at(10)).await;
    database.raise(&an_alert_by(&other, by_other)).await;
    let question = Question { rule: rule.id, ..about(Target::All) };
    assert_eq!(silent(&database, question).await, [ended, by_other, quiet]);
}

pub async fn the_silent_are_told_by_id_and_no_more_than_asked_for(database: Database) {
    let mut pieces = Vec::new();
    for second in [9, 1, 5, 3] {
        pieces.push(registered(&database, "piece", second).await);
    }
    database.report(&[a_reading(pieces[1], 8), a_reading(pieces[3], 7)]).await;
    let limited = |limit| Question { limit, ..about(Target::All) };
    assert_eq!(silent(&database, limited(2)).await, pieces[..2]);
    assert_eq!(silent(&database, limited(4)).await, pieces);
    let beyond = |after, limit| Question { after: Some(after), ..limited(limit) };
    assert_eq!(silent(&database, beyond(pieces[0], 2)).await, pieces[1..3]);
    assert_eq!(silent(&database, beyond(pieces[2], 4)).await, pieces[3..]);
    assert!(silent(&database, beyond(pieces[3], 4)).await.is_empty());
    let about_metric = Question { metric: Some("temperature"), ..beyond(pieces[1], 4) };
    assert_eq!(silent(&database, about_metric).await, pieces[3..]);
    let of_kind = Question { limit: 3, ..about(Target::Kind(label("robot"))) };
    assert_eq!(silent(&database, of_kind).await, pieces[..3]);
    let about_metric = Question { metric: Some("temperature"), limit: 1, ..about(Target::All) };
    assert_eq!(silent(&database, about_metric).await, pieces[1..2]);
}
