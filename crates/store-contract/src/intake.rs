//! Promises about readings on their way in: what is said to storage at once comes to the same as if it were said step by step.

use crate::Database;
use crate::builders::{a_reading, a_rule, acknowledged, an_alert_by, at, label, news_of, resolved};
use crate::database::{assert_taken, refused};
use domain::alerts::Alert;
use domain::id::EquipmentId;
use domain::live::LiveEvent;
use domain::ports::{Intake, IntakeNeeds, StoreError, TakenIn, Unique, UnitOfWork};
use domain::telemetry::{Head, Reading};
use std::slice::from_ref;

fn needs(pieces: &[EquipmentId]) -> IntakeNeeds<'_> {
    IntakeNeeds { known_rules: None, pieces, alerts_since: &[] }
}

async fn begin(database: &Database, needs: IntakeNeeds<'_>) -> (Box<dyn UnitOfWork>, Intake) {
    database.store().begin_intake(needs).await.unwrap()
}

/// Takes these readings in, all of one piece and in order of their instants.
async fn take_in(database: &Database, readings: &[Reading]) -> Result<(), StoreError> {
    let piece = readings[0].id.equipment;
    let (unit, intake) = begin(database, needs(&[piece])).await;
    let mut head = intake.heads[0].clone();
    head.advance(&readings.iter().collect::<Vec<_>>());
    let events = [news_of(piece, 1)];
    let taken = TakenIn { readings, heads: from_ref(&head), events: &events, at: at(60) };
    unit.commit_intake(taken).await
}

async fn watched(database: &Database) -> Vec<LiveEvent> {
    database.reader().await.live().after(None, 100).await.unwrap().unwrap()
}

pub async fn an_intake_begins_with_the_rules_the_heads_and_the_alerts(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let rule = database.insert_rule(&a_rule("hot")).await;
    let unresolved = database.raise(&an_alert_by(&rule, robot)).await;
    let asked = [robot, press];
    let wanted = IntakeNeeds { alerts_since: &[(robot, at(0)), (press, at(0))], ..needs(&asked) };
    let (unit, Intake { rules, heads, alerts }) = begin(&database, wanted).await;
    unit.rollback().await;
    let generation = rules.as_ref().map(|rules| rules.generation);
    assert_eq!(rules.map(|rules| rules.rules), Some(vec![rule]));
    assert_eq!(heads, [press, robot].map(|piece| Head::new(piece, label("robot"))));
    assert_eq!(alerts, [unresolved]);
    let known = IntakeNeeds { known_rules: generation, ..needs(&asked) };
    let (unit, Intake { rules, alerts, .. }) = begin(&database, known).await;
    unit.rollback().await;
    assert!(rules.is_none() && alerts.is_empty());
}

pub async fn an_intake_asks_for_alerts_of_each_piece_since_an_instant_of_its_own(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let rule = database.insert_rule(&a_rule("hot")).await;
    let mut over = Vec::new();
    for piece in [press, robot] {
        let alert = resolved(&acknowledged(&database.raise(&an_alert_by(&rule, piece)).await), 50);
        over.push(alert.id);
        database.save_alerts(&[alert]).await;
    }
    let asked = [press, robot];
    let wanted = IntakeNeeds { alerts_since: &[(press, at(51)), (robot, at(50))], ..needs(&asked) };
    let (unit, Intake { alerts, .. }) = begin(&database, wanted).await;
    unit.rollback().await;
    assert_eq!(alerts.iter().map(|alert: &Alert| alert.id).collect::<Vec<_>>(), over[1..]);
}

pub async fn an_intake_holds_its_heads(database: Database) {
    let press = database.piece("press").await;
    let (first, _) = begin(&database, needs(&[press])).await;
    let mut second =
        database.meanwhile(async move |mut unit| unit.readings().lock_heads(&[press]).await.map(drop));
    second.waits().await;
    drop(first);
    second.outcome().await.unwrap();
}

pub async fn what_was_taken_in_is_stored_with_its_head_and_told(database: Database) {
    let press = database.piece("press").await;
    for second in [10, 20] {
        let readings = [a_reading(press, second), a_reading(press, second + 1)];
        take_in(&database, &readings).await.unwrap();
        let ids = readings.clone().map(|reading| reading.id);
        let mut stored = database.reader().await.readings().find_all(&ids).await.unwrap();
        stored.sort_by_key(|reading| reading.id);
        assert_eq!(stored, readings);
        assert_eq!(database.head(press).await.unwrap().last_seen_at, Some(readings[1].id.at));
    }
    database.seen(2).await;
}

/// Also the very first time that a connection says these things, when each of them has to be prepared.
pub async fn an_intake_of_which_anything_is_refused_leaves_nothing(database: Database) {
    let press = database.piece("press").await;
    database.report(&[a_reading(press, 5)]).await;
    let before = database.head(press).await;
    for _ in 0..2 {
        let refusal = refused(take_in(&database, &[a_reading(press, 5), a_reading(press, 6)]).await);
        assert_taken(refusal, Unique::Reading);
        assert_eq!(database.head(press).await, before);
        assert!(watched(&database).await.is_empty());
    }
    take_in(&database, &[a_reading(press, 6)]).await.unwrap();
    database.seen(1).await;
}

pub async fn an_intake_that_is_dropped_leaves_nothing_and_holds_nothing(database: Database) {
    let press = database.piece("press").await;
    let (mut unit, _) = begin(&database, needs(&[press])).await;
    unit.readings().insert(&[a_reading(press, 5)]).await.unwrap();
    drop(unit);
    take_in(&database, &[a_reading(press, 5)]).await.unwrap();
}
