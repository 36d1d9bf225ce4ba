//! Promises about what waits for a unit that holds something of the plant: not its lock alone, but also what is written.

use crate::Database;
use crate::builders::{a_piece, a_reading, acknowledged, an_alert_by, at, metric, resolved};
use domain::alerts::Alert;
use domain::equipment::{Details, Equipment};
use domain::ports::UnitOfWork;
use domain::telemetry::Metric;

/// What the second unit does waits until the first, which holds something, has committed.
async fn waits_for<W>(
    database: &Database,
    hold: impl AsyncFnOnce(&mut dyn UnitOfWork),
    work: impl FnOnce(Box<dyn UnitOfWork>) -> W + Send + 'static,
) -> W::Output
where
    W: Future<Output: Send> + Send + 'static,
{
    let mut first = database.begin().await;
    hold(&mut *first).await;
    let mut second = database.meanwhile(work);
    second.waits().await;
    first.commit().await.unwrap();
    second.outcome().await
}

pub async fn a_piece_that_is_held_is_not_saved_meanwhile(database: Database) {
    let press = database.register(&a_piece("press")).await;
    let version = press.version;
    let hold = async |unit: &mut dyn UnitOfWork| {
        let held = unit.equipment().lock(press.id).await.unwrap().unwrap();
        unit.equipment().save(&held).await.unwrap();
    };
    let changed = Equipment { updated_at: at(9), ..press.clone() };
    let saved =
        waits_for(&database, hold, async move |mut unit| unit.equipment().save(&changed).await.unwrap());
    assert_eq!(saved.await.version, version.next().next());
}

pub async fn a_piece_that_is_held_is_not_purged_meanwhile(database: Database) {
    let press = database.piece("press").await;
    let hold = async |unit: &mut dyn UnitOfWork| {
        assert!(unit.equipment().lock(press).await.unwrap().is_some());
    };
    let purged = waits_for(&database, hold, async move |mut unit| {
        unit.equipment().delete(press, at(1)).await.unwrap()
    });
    assert!(purged.await);
}

pub async fn a_piece_saved_in_an_open_unit_is_held(database: Database) {
    let press = database.register(&a_piece("press")).await;
    let id = press.id;
    let hold = async |unit: &mut dyn UnitOfWork| drop(unit.equipment().save(&press).await.unwrap());
    let locked = waits_for(&database, hold, async move |mut unit| unit.equipment().lock(id).await.unwrap());
    assert_eq!(locked.await.unwrap().version, press.version.next());
}

pub async fn a_metric_that_is_held_is_not_saved_meanwhile(database: Database) {
    let press = database.piece("press").await;
    database.report(&[a_reading(press, 1)]).await;
    let stored = database.metric(&metric("temperature")).await.unwrap();
    let hold = async |unit: &mut dyn UnitOfWork| {
        let held = unit.metrics().lock(&stored.name).await.unwrap().unwrap();
        unit.metrics().save(&held).await.unwrap();
    };
    let changed = Metric { updated_at: at(9), ..stored.clone() };
    let saved =
        waits_for(&database, hold, async move |mut unit| unit.metrics().save(&changed).await.unwrap());
    assert_eq!(saved.await.version, stored.version.next().next());
}

/// An alert of a rule.
async fn an_alert_of_a_rule(database: &Database) -> Alert {
    let press = database.piece("press").await;
    let rule = database.make_rule("hot").await;
    database.raise(&an_alert_by(&rule, press)).await
}

pub async fn an_alert_that_is_held_is_not_saved_meanwhile(database: Database) {
    let alert = an_alert_of_a_rule(&database).await;
    let hold = async |unit: &mut dyn UnitOfWork| {
        let held = unit.alerts().lock(alert.id).await.unwrap().unwrap();
        unit.alerts().save_all(&[acknowledged(&held)]).await.unwrap();
    };
    let ended = resolved(&alert, 7);
    waits_for(&database, hold, async move |mut unit| {
        unit.alerts().save_all(&[ended]).await.unwrap();
        unit.commit().await.unwrap();
    })
    .await;
    let expected = Alert { version: alert.version.next().next(), ..resolved(&alert, 7) };
    assert_eq!(database.alert(alert.id).await, Some(expected));
}

pub async fn an_alert_that_is_held_is_not_deleted_meanwhile(database: Database) {
    let alert = an_alert_of_a_rule(&database).await.id;
    let hold = async |unit: &mut dyn UnitOfWork| {
        assert!(unit.alerts().lock(alert).await.unwrap().is_some());
    };
    let deleted =
        waits_for(&database, hold, async move |mut unit| unit.alerts().delete(alert).await.unwrap());
    assert!(deleted.await);
}

pub async fn an_alert_that_is_held_keeps_who_wants_all_of_its_rule_waiting(database: Database) {
    let alert = an_alert_of_a_rule(&database).await;
    let rule = alert.what.raised_by.unwrap().rule;
    let hold = async |unit: &mut dyn UnitOfWork| {
        unit.alerts().lock(alert.id).await.unwrap().unwrap();
        unit.alerts().save_all(&[resolved(&alert, 7)]).await.unwrap();
    };
    let unresolved = waits_for(&database, hold, async move |mut unit| {
        unit.alerts().lock_unresolved_of(rule).await.unwrap()
    });
    assert!(unresolved.await.is_empty());
}

pub async fn the_unresolved_alerts_of_a_rule_are_held_one_by_one(database: Database) {
    let alert = an_alert_of_a_rule(&database).await;
    let rule = alert.what.raised_by.unwrap().rule;
    let hold = async |unit: &mut dyn UnitOfWork| {
        assert_eq!(unit.alerts().lock_unresolved_of(rule).await.unwrap().len(), 1);
    };
    let id = alert.id;
    let locked = waits_for(&database, hold, async move |mut unit| unit.alerts().lock(id).await.unwrap());
    assert_eq!(locked.await, Some(alert));
}

pub async fn a_tree_that_is_held_is_seen_as_it_was_left(database: Database) {
    let [line, robot] =
        [database.register(&a_piece("line")).await, database.register(&a_piece("robot")).await];
    let [line_id, robot_id] = [line.id, robot.id];
    // Each makes the other its parent; the later must see that this would be a circle.
    let hold = async |unit: &mut dyn UnitOfWork| {
        unit.equipment().lock_tree().await.unwrap();
        assert!(unit.equipment().above(line_id).await.unwrap().is_empty());
        let details = Details { parent: Some(line_id), ..robot.details.clone() };
        unit.equipment().save(&Equipment { details, ..robot }).await.unwrap();
    };
    let above = waits_for(&database, hold, async move |mut unit| {
        unit.equipment().lock_tree().await.unwrap();
        unit.equipment().above(robot_id).await.unwrap()
    });
    assert_eq!(above.await, [line_id]);
}
