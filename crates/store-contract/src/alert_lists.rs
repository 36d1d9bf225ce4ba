//! Promises about lists of alerts: which, in which order, on which page.

use crate::Database;
use crate::builders::{
    a_person, about, acknowledged, an_alert, an_alert_by, at, down, metric, no_piece, no_rule, page, up,
};
use domain::alerts::{Act, Alert, AlertFilter, AlertKey, AlertQuery, AlertStatus, NewAlert};
use domain::equipment::Reach;
use domain::id::EquipmentId;
use domain::page::Order;
use domain::rules::Severity;
use domain::time::Span;
use std::slice::from_ref;

/// The descriptions that a question answers, in its order.
async fn asked(database: &Database, query: AlertQuery) -> Vec<String> {
    let answer = database.reader().await.alerts().list(&query).await.unwrap();
    assert_eq!(answer.total, answer.items.len() as u64);
    answer.items.iter().map(|alert| alert.what.description.to_string()).collect()
}

async fn filtered(database: &Database, filter: AlertFilter) -> Vec<String> {
    asked(database, AlertQuery { filter, ..AlertQuery::default() }).await
}

async fn ordered(database: &Database, order: &[Order<AlertKey>]) -> Vec<String> {
    asked(database, AlertQuery { order: order.to_vec(), ..AlertQuery::default() }).await
}

fn described(equipment: EquipmentId, description: &str) -> NewAlert {
    NewAlert { description: about(description), ..an_alert(equipment) }
}

/// Raises an alert that has come so far.
async fn raise(database: &Database, alert: &NewAlert, status: AlertStatus) {
    match status {
        AlertStatus::Open => drop(database.raise(alert).await),
        AlertStatus::Resolved => drop(database.raise_ended(alert, at(1)).await),
        AlertStatus::Acknowledged => {
            let raised = database.raise(alert).await;
            database.save_alerts(&[acknowledged(&raised)]).await;
        }
    }
}

pub async fn a_store_without_alerts_lists_none(database: Database) {
    assert!(asked(&database, AlertQuery::default()).await.is_empty());
}

pub async fn a_listed_alert_is_the_stored_one(database: Database) {
    let press = database.piece("press").await;
    let rule = database.make_rule("hot").await;
    let alert = database.raise_ended(&an_alert_by(&rule, press), at(7)).await;
    let changed = Alert { acknowledged: Some(Act { by: Some(a_person("guest", None)), at: at(5) }), ..alert };
    database.save_alerts(from_ref(&changed)).await;
    let listed = database.reader().await.alerts().list(&AlertQuery::default()).await.unwrap();
    assert_eq!(listed.items, [Alert { version: changed.version.next(), ..changed }]);
}

pub async fn alerts_are_ordered_by_each_key_both_ways(database: Database) {
    let press = database.piece("press").await;
    for (name, second, seen, severity, status) in [
        ("a", 2, 30, Severity::Warning, AlertStatus::Resolved),
        ("b", 3, 10, Severity::Critical, AlertStatus::Open),
        ("c", 1, 20, Severity::Info, AlertStatus::Acknowledged),
    ] {
        let new = NewAlert { at: at(second), last_seen_at: at(seen), severity, ..described(press, name) };
        raise(&database, &new, status).await;
    }
    for (key, expected) in [
        (AlertKey::Id, ["a", "b", "c"]),
        (AlertKey::At, ["c", "a", "b"]),
        (AlertKey::LastSeenAt, ["b", "c", "a"]),
        (AlertKey::Severity, ["c", "a", "b"]),
        (AlertKey::Status, ["b", "c", "a"]),
    ] {
        assert_eq!(ordered(&database, &[up(key)]).await, expected, "{key:?}");
        let reversed: Vec<&str> = expected.into_iter().rev().collect();
        assert_eq!(ordered(&database, &[down(key)]).await, reversed, "{key:?}");
    }
}

pub async fn equal_alerts_are_ordered_by_id_whichever_way_the_list_runs(database: Database) {
    let press = database.piece("press").await;
    for (name, second) in [("c", 1), ("a", 1), ("b", 1), ("d", 0)] {
        database.raise(&NewAlert { at: at(second), ..described(press, name) }).await;
    }
    assert_eq!(ordered(&database, &[]).await, ["c", "a", "b", "d"]);
    for key in [AlertKey::Severity, AlertKey::Status, AlertKey::LastSeenAt] {
        assert_eq!(ordered(&database, &[up(key)]).await, ["c", "a", "b", "d"]);
        assert_eq!(ordered(&database, &[down(key)]).await, ["c", "a", "b", "d"]);
    }
    assert_eq!(ordered(&database, &[up(AlertKey::At)]).await, ["d", "c", "a", "b"]);
    assert_eq!(ordered(&database, &[down(AlertKey::At)]).await, ["c", "a", "b", "d"]);
    let then_by_id = [down(AlertKey::At), down(AlertKey::Id)];
    assert_eq!(ordered(&database, &then_by_id).await, ["b", "a", "c", "d"]);
}

pub async fn alerts_are_filtered_by_equipment_and_by_rule(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let hot = database.make_rule("hot").await;
    let cold = database.make_rule("cold").await;
    for (name, piece, rule) in
        [("a", press, Some(&hot)), ("b", press, Some(&cold)), ("c", robot, Some(&hot)), ("d", robot, None)]
    {
        let new = rule.map_or(an_alert(piece), |rule| an_alert_by(rule, piece));
        database.raise(&NewAlert { description: about(name), ..new }).await;
    }
    let of = |equipment: &[EquipmentId]| AlertFilter { equipment: equipment.to_vec(), ..Default::default() };
    assert_eq!(filtered(&database, of(&[robot])).await, ["c", "d"]);
    assert_eq!(filtered(&database, of(&[robot, no_piece(), press])).await, ["a", "b", "c", "d"]);
    assert!(filtered(&database, of(&[no_piece()])).await.is_empty());
    let by = |rules: &[_]| AlertFilter { rules: rules.to_vec(), ..Default::default() };
    assert_eq!(filtered(&database, by(&[hot.id])).await, ["a", "c"]);
    assert_eq!(filtered(&database, by(&[cold.id, no_rule(), hot.id])).await, ["a", "b", "c"]);
    assert!(filtered(&database, by(&[no_rule()])).await.is_empty());
}

pub async fn alerts_are_filtered_by_severity_and_by_status(database: Database) {
    let press = database.piece("press").await;
    for (name, severity, status) in [
        ("a", Severity::Info, AlertStatus::Open),
        ("b", Severity::Critical, AlertStatus::Resolved),
        ("c", Severity::Warning, AlertStatus::Acknowledged),
        ("d", Severity::Critical, AlertStatus::Open),
    ] {
        raise(&database, &NewAlert { severity, ..described(press, name) }, status).await;
    }
    let of = |severities: &[Severity]| AlertFilter { severities: severities.to_vec(), ..Default::default() };
    assert_eq!(filtered(&database, of(&[Severity::Critical])).await, ["b", "d"]);
    assert_eq!(filtered(&database, of(&[Severity::Warning, Severity::Info])).await, ["a", "c"]);
    let of = |statuses: &[AlertStatus]| AlertFilter { statuses: statuses.to_vec(), ..Default::default() };
    assert_eq!(filtered(&database, of(&[AlertStatus::Open])).await, ["a", "d"]);
    assert_eq!(
        filtered(&database, of(&[AlertStatus::Resolved, AlertStatus::Acknowledged])).await,
        ["b", "c"]
    );
}

pub async fn alerts_are_filtered_by_metric_and_by_a_half_open_span(database: Database) {
    let press = database.piece("press").await;
    for (name, second, of_metric) in [("a", 1, Some("t")), ("b", 2, None), ("c", 3, Some("speed"))] {
        let new = NewAlert { at: at(second), metric: of_metric.map(metric), ..described(press, name) };
        database.raise(&new).await;
    }
    let of = |names: &[&str]| AlertFilter {
        metrics: names.iter().map(|name| metric(name)).collect(),
        ..Default::default()
    };
    assert_eq!(filtered(&database, of(&["t"])).await, ["a"]);
    assert_eq!(filtered(&database, of(&["speed", "unknown", "t"])).await, ["a", "c"]);
    assert!(filtered(&database, of(&["unknown"])).await.is_empty());
    let of = |from, until| AlertFilter { at: Span { from, until }, ..Default::default() };
    assert_eq!(filtered(&database, of(Some(at(2)), None)).await, ["b", "c"]);
    assert_eq!(filtered(&database, of(None, Some(at(2)))).await, ["a"]);
    assert_eq!(filtered(&database, of(Some(at(2)), Some(at(3)))).await, ["b"]);
}

pub async fn an_alert_search_looks_into_description_and_note_and_takes_characters_literally(
    database: Database,
) {
    let press = database.piece("press").await;
    for (description, note) in
        [("Straße", ""), ("100%", ""), ("a_b", ""), (r"c\d", ""), ("axb", ""), ("with", "Noted in ÜBER")]
    {
        let note = (!note.is_empty()).then(|| about(note));
        database.raise(&NewAlert { note, ..described(press, description) }).await;
    }
    for (text, expected) in [
        ("STRASSE", vec!["Straße"]),
        ("über", vec!["with"]),
        ("ed in", vec!["with"]),
        ("%", vec!["100%"]),
        ("_", vec!["a_b"]),
        (r"\", vec![r"c\d"]),
        ("a", vec!["Straße", "a_b", "axb"]),
        ("nowhere", vec![]),
    ] {
        let filter = AlertFilter { search: Some(text.into()), ..Default::default() };
        assert_eq!(filtered(&database, filter).await, expected, "{text}");
    }
}

pub async fn alerts_of_hidden_equipment_are_not_listed(database: Database) {
    let [press, hidden] = [database.piece("press").await, database.piece("hidden").await];
    database.raise(&described(hidden, "hidden")).await;
    database.raise(&described(press, "seen")).await;
    database.hide(hidden).await;
    assert_eq!(asked(&database, AlertQuery::default()).await, ["seen"]);
    let of_it = AlertFilter { equipment: vec![hidden], ..Default::default() };
    assert!(filtered(&database, of_it).await.is_empty());
    database.restore(hidden).await;
    assert_eq!(asked(&database, AlertQuery::default()).await, ["hidden", "seen"]);
}

pub async fn a_list_of_alerts_reaches_no_further_than_the_caller(database: Database) {
    let mut pieces = Vec::new();
    for name in ["a", "b", "c"] {
        let piece = database.piece(name).await;
        database.raise(&described(piece, name)).await;
        pieces.push(piece);
    }
    let within = |reach: &[EquipmentId], equipment: &[EquipmentId]| AlertFilter {
        reach: Reach::Only(reach.to_vec()),
        equipment: equipment.to_vec(),
        ..Default::default()
    };
    assert_eq!(filtered(&database, within(&[pieces[0], pieces[2]], &[])).await, ["a", "c"]);
    assert_eq!(filtered(&database, within(&[pieces[0], pieces[2]], &pieces[1..])).await, ["c"]);
    assert!(filtered(&database, within(&[pieces[0]], &[pieces[1]])).await.is_empty());
    assert!(filtered(&database, within(&[], &[])).await.is_empty());
    let everywhere = AlertFilter { reach: Reach::All, ..Default::default() };
    assert_eq!(filtered(&database, everywhere).await, ["a", "b", "c"]);
}

pub async fn filters_of_alerts_must_all_hold(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let rule = database.make_rule("hot").await;
    let whole = NewAlert { severity: Severity::Critical, ..an_alert_by(&rule, press) };
    for (alert, status) in [
        (NewAlert { description: about("smokes!"), ..whole.clone() }, AlertStatus::Resolved),
        (NewAlert { equipment: robot, ..whole.clone() }, AlertStatus::Resolved),
        (NewAlert { severity: Severity::Info, ..whole.clone() }, AlertStatus::Resolved),
        (NewAlert { raised_by: None, ..whole.clone() }, AlertStatus::Resolved),
        (NewAlert { metric: None, ..whole.clone() }, AlertStatus::Resolved),
        (NewAlert { at: at(5), ..whole.clone() }, AlertStatus::Resolved),
        (NewAlert { description: about("stinks"), ..whole.clone() }, AlertStatus::Resolved),
        (whole, AlertStatus::Open),
    ] {
        raise(&database, &alert, status).await;
    }
    let filter = AlertFilter {
        equipment: vec![press],
        severities: vec![Severity::Critical],
        statuses: vec![AlertStatus::Resolved],
        rules: vec![rule.id],
        metrics: vec![metric("temperature")],
        at: Span { from: Some(at(0)), until: Some(at(1)) },
        search: Some("SMOKES".into()),
        reach: Reach::Only(vec![press]),
    };
    assert_eq!(filtered(&database, filter).await, ["smokes!"]);
}

pub async fn pages_of_alerts_cut_the_list_and_know_the_total(database: Database) {
    let press = database.piece("press").await;
    for name in ["a", "b", "c"] {
        database.raise(&described(press, name)).await;
    }
    for (number, expected) in [(1, vec!["a", "b"]), (2, vec!["c"]), (3, vec![]), (1_000_000, vec![])] {
        let query = AlertQuery { page: page(number, 2), ..AlertQuery::default() };
        let answer = database.reader().await.alerts().list(&query).await.unwrap();
        let names: Vec<&str> = answer.items.iter().map(|alert| alert.what.description.as_str()).collect();
        assert_eq!((names, answer.total), (expected, 3));
    }
}

pub async fn what_is_not_resolved_is_counted_by_severity_and_status(database: Database) {
    let count = async || database.reader().await.alerts().count_unresolved().await.unwrap();
    assert_eq!(count().await, []);
    let (press, hidden) = (database.piece("press").await, database.piece("lathe").await);
    let graded = |equipment, severity| NewAlert { severity, ..an_alert(equipment) };
    raise(&database, &graded(press, Severity::Critical), AlertStatus::Open).await;
    for status in AlertStatus::ALL {
        raise(&database, &graded(press, Severity::Info), *status).await;
        raise(&database, &graded(hidden, Severity::Warning), *status).await;
    }
    raise(&database, &graded(press, Severity::Info), AlertStatus::Open).await;
    database.hide(hidden).await;
    let expected = [
        (Severity::Info, AlertStatus::Open, 2),
        (Severity::Info, AlertStatus::Acknowledged, 1),
        (Severity::Critical, AlertStatus::Open, 1),
    ];
    assert_eq!(count().await, expected);
}
