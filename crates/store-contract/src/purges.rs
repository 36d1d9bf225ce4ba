//! Promises about what goes with a piece of equipment, and what does not.

use crate::Database;
use crate::builders::{
    a_line, a_piece, a_piece_of, a_reading, a_rule, a_rule_of, a_user, an_alert, an_alert_by, an_api_key, at,
    label, news_of, serial, some_details, some_maintenance, some_rule,
};
use crate::database::{assert_dangling, refused, report_in};
use domain::alerts::{Alert, NewAlert};
use domain::api_keys::NewApiKey;
use domain::equipment::Details;
use domain::id::{AlertId, EquipmentId, RuleId};
use domain::maintenance::MaintenanceQuery;
use domain::page::PageRequest;
use domain::ports::Reference;
use domain::rules::{Rule, RuleDetails, Target};
use std::slice::from_ref;

/// A piece with one of everything that hangs on it.
struct Laden {
    piece: EquipmentId,
    rule: RuleId,
    alert: AlertId,
}

async fn laden(database: &Database, name: &str) -> Laden {
    let piece = database.piece(name).await;
    database.enter(&some_maintenance(piece)).await;
    let rule = database
        .insert_rule(&a_rule_of(RuleDetails { target: Target::Equipment(piece), ..some_rule(name) }))
        .await;
    let alert = database.raise(&an_alert_by(&rule, piece)).await.id;
    database.note(&[a_line(alert, name)]).await;
    database.announce(&[news_of(piece, 1)]).await;
    Laden { piece, rule: rule.id, alert }
}

/// How much there is of the piece, its log, its rule, its alert, its timeline, its head, its events.
async fn weight(database: &Database, laden: &Laden) -> [usize; 7] {
    let mut reader = database.reader().await;
    let log = MaintenanceQuery { equipment: laden.piece, page: PageRequest::default() };
    let events = reader.live().after(None, 1000).await.unwrap().unwrap();
    [
        usize::from(reader.equipment().find(laden.piece).await.unwrap().is_some()),
        reader.maintenance().list(&log).await.unwrap().items.len(),
        usize::from(reader.rules().find(laden.rule).await.unwrap().is_some()),
        usize::from(reader.alerts().find(laden.alert).await.unwrap().is_some()),
        reader.alerts().timeline(laden.alert).await.unwrap().len(),
        reader.readings().heads(&[laden.piece]).await.unwrap().len(),
        events.iter().filter(|event| event.what.equipment() == laden.piece).count(),
    ]
}

pub async fn a_purged_piece_takes_all_along_that_hangs_on_it_and_nothing_of_others(database: Database) {
    let press = laden(&database, "press").await;
    let other = laden(&database, "other").await;
    database.seen(2).await;
    assert!(database.purge(press.piece).await);
    assert_eq!(weight(&database, &press).await, [0; 7]);
    assert_eq!(weight(&database, &other).await, [1; 7]);
}

pub async fn a_hidden_piece_is_purged_like_any(database: Database) {
    let press = laden(&database, "press").await;
    database.hide(press.piece).await;
    assert!(database.purge(press.piece).await);
    assert_eq!(weight(&database, &press).await, [0; 7]);
}

pub async fn purging_twice_says_that_there_is_none(database: Database) {
    let press = database.piece("press").await;
    assert!(database.purge(press).await);
    assert!(!database.purge(press).await);
}

pub async fn a_piece_with_readings_is_not_purged(database: Database) {
    let press = laden(&database, "press").await;
    let reading = a_reading(press.piece, 1);
    database.report(from_ref(&reading)).await;
    let refusal = database.refusal(async |unit| unit.equipment().delete(press.piece, at(1)).await).await;
    assert_dangling(refusal, Reference::Equipment);
    database.seen(1).await;
    assert_eq!(weight(&database, &press).await, [1; 7]);

    // Also not while it is hidden.
    database.hide(press.piece).await;
    let refusal = database.refusal(async |unit| unit.equipment().delete(press.piece, at(1)).await).await;
    assert_dangling(refusal, Reference::Equipment);

    database.within(async |unit| unit.readings().delete(&[reading.id]).await.unwrap()).await;
    assert!(database.purge(press.piece).await);
}

pub async fn the_serial_number_of_a_purged_piece_is_free_again(database: Database) {
    let new = a_piece_of(Details { serial_number: Some(serial("SN-1")), ..some_details("press") });
    let press = database.register(&new).await.id;
    assert!(database.purge(press).await);
    database.register(&new).await;
}

pub async fn a_purge_leaves_the_limits_of_keys_alone(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let anna = database.insert_user(&a_user("anna")).await.id;
    let new = NewApiKey { equipment: vec![press, robot], ..an_api_key(anna, "key", 1) };
    let key = database.insert_api_key(&new).await;
    assert!(database.purge(press).await);
    let stored = database.reader().await.api_keys().find(anna, key.id).await.unwrap();
    assert_eq!(stored, Some(key));
}

pub async fn a_purge_leaves_rules_that_are_not_for_exactly_this_piece(database: Database) {
    let details = Details { kind: label("press"), ..some_details("press") };
    let press = database.piece_of(details).await;
    let for_kind = RuleDetails { target: Target::Kind(label("press")), ..some_rule("kind") };
    for rule in [a_rule("all"), a_rule_of(for_kind)] {
        let rule = database.insert_rule(&rule).await;
        database.raise(&an_alert_by(&rule, press)).await;
    }
    let rules = database.reader().await.rules().list(&Default::default()).await.unwrap().items;
    assert!(database.purge(press).await);
    assert_eq!(database.reader().await.rules().list(&Default::default()).await.unwrap().items, rules);
}

pub async fn alerts_elsewhere_outlive_a_rule_that_is_purged_with_its_piece(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let details = RuleDetails { target: Target::Equipment(robot), ..some_rule("hot") };
    let rule = database.insert_rule(&a_rule_of(details.clone())).await;
    let alert = database.raise(&an_alert_by(&rule, robot)).await;
    let details = RuleDetails { target: Target::Equipment(press), ..details };
    database.save_rule(&Rule { details, ..rule }).await;

    assert!(database.purge(press).await);

    let stored = database.alert(alert.id).await.unwrap();
    let what = NewAlert { raised_by: None, ..alert.what.clone() };
    let expected = Alert { what, version: alert.version.next(), updated_at: at(60), ..alert };
    assert_eq!(stored, expected);
}

pub async fn a_piece_purged_in_an_open_unit_reports_nothing_meanwhile(database: Database) {
    let press = database.piece("press").await;
    let mut first = database.begin().await;
    assert!(first.equipment().delete(press, at(1)).await.unwrap());
    let mut reporting = database.meanwhile(async move |mut unit| {
        assert!(unit.readings().lock_heads(&[press]).await.unwrap().is_empty());
        unit.readings().insert(&[a_reading(press, 1)]).await
    });
    reporting.waits().await;
    first.commit().await.unwrap();
    assert_dangling(refused(reporting.outcome().await), Reference::Equipment);
}

pub async fn a_piece_that_reports_in_an_open_unit_is_not_purged_meanwhile(database: Database) {
    let press = database.piece("press").await;
    let mut first = database.begin().await;
    report_in(&mut *first, &[a_reading(press, 1)]).await;
    let mut purging = database.meanwhile(async move |mut unit| unit.equipment().delete(press, at(1)).await);
    purging.waits().await;
    first.commit().await.unwrap();
    assert_dangling(refused(purging.outcome().await), Reference::Equipment);
    assert!(database.equipment(press).await.is_some());
}

pub async fn a_piece_purged_in_an_open_unit_raises_no_alert_meanwhile(database: Database) {
    let press = database.piece("press").await;
    let mut first = database.begin().await;
    assert!(first.equipment().delete(press, at(1)).await.unwrap());
    let mut raising =
        database.meanwhile(async move |mut unit| unit.alerts().insert(&an_alert(press), None).await);
    raising.waits().await;
    first.commit().await.unwrap();
    assert_dangling(refused(raising.outcome().await), Reference::Equipment);
}

pub async fn a_purge_that_is_undone_leaves_everything(database: Database) {
    let press = laden(&database, "press").await;
    database.seen(1).await;
    let mut unit = database.begin().await;
    assert!(unit.equipment().delete(press.piece, at(1)).await.unwrap());
    drop(unit);
    assert_eq!(weight(&database, &press).await, [1; 7]);
    database.register(&a_piece("another")).await;
}
