//! Promises about lists of rules: which, in which order, on which page.

use crate::Database;
use crate::builders::{a_rule, a_rule_of, at, down, label, metric, no_piece, page, some_rule, too_hot, up};
use domain::equipment::Reach;
use domain::id::EquipmentId;
use domain::page::Order;
use domain::rules::{
    Condition, NewRule, Rule, RuleDetails, RuleFilter, RuleKey, RuleQuery, Severity, Target,
};
use domain::time::Span;

/// The names that a question answers, in its order.
async fn asked(database: &Database, query: RuleQuery) -> Vec<String> {
    let answer = database.reader().await.rules().list(&query).await.unwrap();
    assert_eq!(answer.total, answer.items.len() as u64);
    answer.items.iter().map(|rule| rule.details.name.to_string()).collect()
}

async fn filtered(database: &Database, filter: RuleFilter) -> Vec<String> {
    asked(database, RuleQuery { filter, ..RuleQuery::default() }).await
}

async fn ordered(database: &Database, order: &[Order<RuleKey>]) -> Vec<String> {
    asked(database, RuleQuery { order: order.to_vec(), ..RuleQuery::default() }).await
}

async fn searched(database: &Database, text: &str) -> Vec<String> {
    filtered(database, RuleFilter { search: Some(text.into()), ..RuleFilter::default() }).await
}

async fn insert(database: &Database, details: RuleDetails) {
    database.insert_rule(&a_rule_of(details)).await;
}

pub async fn a_store_without_rules_lists_none(database: Database) {
    assert!(asked(&database, RuleQuery::default()).await.is_empty());
}

pub async fn a_listed_rule_is_the_stored_one(database: Database) {
    let rule = database.make_rule("hot").await;
    let rule = database.save_rule(&Rule { in_force_since: at(9), ..rule }).await;
    let listed = database.reader().await.rules().list(&RuleQuery::default()).await.unwrap();
    assert_eq!(listed.items, [rule]);
}

pub async fn rules_are_ordered_by_each_key_both_ways(database: Database) {
    for (name, severity, made, written) in [
        ("b_", Severity::Warning, 2, 30),
        ("B-", Severity::Critical, 1, 20),
        ("a", Severity::Info, 3, 10),
        ("Ä", Severity::Warning, 4, 40),
    ] {
        let details = RuleDetails { severity, ..some_rule(name) };
        let rule = database.insert_rule(&NewRule { created_at: at(made), ..a_rule_of(details) }).await;
        database.save_rule(&Rule { updated_at: at(written), ..rule }).await;
    }
    for (key, expected) in [
        (RuleKey::Id, ["b_", "B-", "a", "Ä"]),
        (RuleKey::Name, ["a", "B-", "b_", "Ä"]),
        (RuleKey::CreatedAt, ["B-", "b_", "a", "Ä"]),
        (RuleKey::UpdatedAt, ["a", "B-", "b_", "Ä"]),
    ] {
        assert_eq!(ordered(&database, &[up(key)]).await, expected, "{key:?}");
        let reversed: Vec<&str> = expected.into_iter().rev().collect();
        assert_eq!(ordered(&database, &[down(key)]).await, reversed, "{key:?}");
    }
    assert_eq!(ordered(&database, &[]).await, ["b_", "B-", "a", "Ä"]);
    assert_eq!(ordered(&database, &[up(RuleKey::Severity)]).await, ["a", "b_", "Ä", "B-"]);
    assert_eq!(ordered(&database, &[down(RuleKey::Severity)]).await, ["B-", "b_", "Ä", "a"]);
    let then_by_name = [down(RuleKey::Severity), down(RuleKey::Name)];
    assert_eq!(ordered(&database, &then_by_name).await, ["B-", "Ä", "b_", "a"]);
}

pub async fn equal_rules_are_ordered_by_id_whichever_way_the_list_runs(database: Database) {
    for name in ["same", "SAME", "Same"] {
        insert(&database, some_rule(name)).await;
    }
    for key in [RuleKey::Name, RuleKey::Severity, RuleKey::CreatedAt, RuleKey::UpdatedAt] {
        for order in [up(key), down(key)] {
            assert_eq!(ordered(&database, &[order]).await, ["same", "SAME", "Same"], "{key:?}");
        }
    }
}

pub async fn rules_are_filtered_by_name_however_it_is_spelled(database: Database) {
    for name in ["Straße", "STRASSE", "cold", "col"] {
        insert(&database, some_rule(name)).await;
    }
    let of = |names: &[&str]| RuleFilter {
        names: names.iter().map(|name| label(name)).collect(),
        ..Default::default()
    };
    assert_eq!(filtered(&database, of(&["strasse"])).await, ["Straße", "STRASSE"]);
    assert_eq!(filtered(&database, of(&["COLD", "nothing", "straße"])).await, ["Straße", "STRASSE", "cold"]);
    assert!(filtered(&database, of(&["nothing"])).await.is_empty());
}

pub async fn rules_are_filtered_by_exactly_what_they_are_for(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    for (name, target) in [
        ("all", Target::All),
        ("kind", Target::Kind(label("Robot"))),
        ("other kind", Target::Kind(label("robots"))),
        ("press", Target::Equipment(press)),
        ("robot", Target::Equipment(robot)),
    ] {
        insert(&database, RuleDetails { target, ..some_rule(name) }).await;
    }
    let of_pieces = |pieces: &[EquipmentId]| RuleFilter { equipment: pieces.to_vec(), ..Default::default() };
    assert_eq!(filtered(&database, of_pieces(&[robot])).await, ["robot"]);
    assert_eq!(filtered(&database, of_pieces(&[robot, no_piece(), press])).await, ["press", "robot"]);
    let of_kinds = |kinds: &[&str]| RuleFilter {
        kinds: kinds.iter().map(|kind| label(kind)).collect(),
        ..Default::default()
    };
    assert_eq!(filtered(&database, of_kinds(&["ROBOT"])).await, ["kind"]);
    assert_eq!(filtered(&database, of_kinds(&["robots", "robot"])).await, ["kind", "other kind"]);
    let both = RuleFilter { kinds: vec![label("robot")], ..of_pieces(&[robot]) };
    assert!(filtered(&database, both).await.is_empty());
}

pub async fn rules_for_a_piece_out_of_reach_are_left_out(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    for (name, target) in [
        ("all", Target::All),
        ("kind", Target::Kind(label("robot"))),
        ("press", Target::Equipment(press)),
        ("robot", Target::Equipment(robot)),
    ] {
        insert(&database, RuleDetails { target, ..some_rule(name) }).await;
    }
    let within =
        |pieces: &[EquipmentId]| RuleFilter { reach: Reach::Only(pieces.to_vec()), ..Default::default() };
    assert_eq!(filtered(&database, within(&[press])).await, ["all", "kind", "press"]);
    assert_eq!(filtered(&database, within(&[press, robot])).await, ["all", "kind", "press", "robot"]);
    assert_eq!(filtered(&database, within(&[])).await, ["all", "kind"]);
    let other = RuleFilter { equipment: vec![robot], ..within(&[press]) };
    assert!(filtered(&database, other).await.is_empty());
}

pub async fn rules_are_filtered_by_metric_severity_and_whether_they_judge(database: Database) {
    for (name, condition, severity, enabled) in [
        ("t", too_hot("t"), Severity::Info, true),
        ("speed", too_hot("speed"), Severity::Critical, false),
        ("no t", Condition::NoData(Some(metric("t"))), Severity::Critical, true),
        ("nothing", Condition::NoData(None), Severity::Warning, false),
    ] {
        insert(&database, RuleDetails { condition, severity, enabled, ..some_rule(name) }).await;
    }
    let of = |names: &[&str]| RuleFilter {
        metrics: names.iter().map(|name| metric(name)).collect(),
        ..Default::default()
    };
    assert_eq!(filtered(&database, of(&["t"])).await, ["t", "no t"]);
    assert_eq!(filtered(&database, of(&["speed", "unknown", "t"])).await, ["t", "speed", "no t"]);
    assert!(filtered(&database, of(&["unknown"])).await.is_empty());
    let of = |severities: &[Severity]| RuleFilter { severities: severities.to_vec(), ..Default::default() };
    assert_eq!(filtered(&database, of(&[Severity::Critical])).await, ["speed", "no t"]);
    assert_eq!(filtered(&database, of(&[Severity::Warning, Severity::Info])).await, ["t", "nothing"]);
    let of = |enabled| RuleFilter { enabled: Some(enabled), ..Default::default() };
    assert_eq!(filtered(&database, of(true)).await, ["t", "no t"]);
    assert_eq!(filtered(&database, of(false)).await, ["speed", "nothing"]);
}

pub async fn rules_are_filtered_by_a_half_open_span_of_creation(database: Database) {
    for (name, second) in [("a", 1), ("b", 2), ("c", 3)] {
        database.insert_rule(&NewRule { created_at: at(second), ..a_rule(name) }).await;
    }
    let of = |from, until| RuleFilter { created: Span { from, until }, ..Default::default() };
    assert_eq!(filtered(&database, of(Some(at(2)), None)).await, ["b", "c"]);
    assert_eq!(filtered(&database, of(None, Some(at(2)))).await, ["a"]);
    assert_eq!(filtered(&database, of(Some(at(2)), Some(at(3)))).await, ["b"]);
}

pub async fn a_rule_search_looks_into_name_and_metric_and_takes_characters_literally(database: Database) {
    for (name, metric_name) in [("Straße 100%", "t"), ("a_b", "spindle.speed"), (r"c\d", "t2"), ("axb", "x")]
    {
        insert(&database, RuleDetails { condition: too_hot(metric_name), ..some_rule(name) }).await;
    }
    insert(&database, RuleDetails { condition: Condition::NoData(None), ..some_rule("silence") }).await;
    for (text, expected) in [
        ("STRASSE", vec!["Straße 100%"]),
        ("SPEED", vec!["a_b"]),
        ("e.s", vec!["a_b"]),
        ("SILEN", vec!["silence"]),
        ("x", vec!["axb"]),
        ("%", vec!["Straße 100%"]),
        ("_", vec!["a_b"]),
        (r"\", vec![r"c\d"]),
        ("nowhere", vec![]),
    ] {
        assert_eq!(searched(&database, text).await, expected, "{text}");
    }
}

pub async fn filters_of_rules_must_all_hold(database: Database) {
    for (name, kind, metric_name, severity, enabled) in [
        ("hot", "robot", "t", Severity::Warning, true),
        ("hot", "press", "t", Severity::Warning, true),
        ("hot", "robot", "u", Severity::Warning, true),
        ("hot", "robot", "t", Severity::Info, true),
        ("hot", "robot", "t", Severity::Warning, false),
        ("cold", "robot", "t", Severity::Warning, true),
    ] {
        let target = Target::Kind(label(kind));
        let condition = too_hot(metric_name);
        insert(&database, RuleDetails { target, condition, severity, enabled, ..some_rule(name) }).await;
    }
    let filter = RuleFilter {
        names: vec![label("hot")],
        equipment: Vec::new(),
        kinds: vec![label("robot")],
        metrics: vec![metric("t")],
        severities: vec![Severity::Warning],
        enabled: Some(true),
        created: Span { from: Some(at(0)), until: Some(at(1)) },
        search: Some("HO".into()),
        reach: Reach::All,
    };
    assert_eq!(filtered(&database, filter.clone()).await, ["hot"]);
    let later = RuleFilter { created: Span { from: Some(at(1)), until: None }, ..filter };
    assert!(filtered(&database, later).await.is_empty());
}

pub async fn pages_of_rules_cut_the_list_and_know_the_total(database: Database) {
    for name in ["a", "b", "c"] {
        insert(&database, some_rule(name)).await;
    }
    for (number, expected) in [(1, vec!["a", "b"]), (2, vec!["c"]), (3, vec![]), (1_000_000, vec![])] {
        let query = RuleQuery { page: page(number, 2), ..RuleQuery::default() };
        let answer = database.reader().await.rules().list(&query).await.unwrap();
        let names: Vec<&str> = answer.items.iter().map(|rule| rule.details.name.as_str()).collect();
        assert_eq!((names, answer.total), (expected, 3));
    }
}
