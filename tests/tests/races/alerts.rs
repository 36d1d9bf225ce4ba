//! Races about alerts: who raises, handles and judges them at the same time.

use crate::ROUNDS;
use crate::plant::{Plant, above, at, codes, right, send, sent};
use domain::access::rights::ViewAlerts;
use domain::alerts::{Alert, AlertChange, AlertStatus};
use domain::app::{App, alerts, rules, silence};
use domain::error::{Code, Error};
use domain::id::{AlertId, EquipmentId, RuleId, Version};
use domain::idempotency::Once;
use domain::patch::Precondition;
use domain::rules::{Condition, RuleDetails, Target};
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::time::Duration;

pub(crate) async fn many_breaches_at_once_are_one_alert(plant: Plant) {
    plant.rule(above(80.0, Target::All)).await;
    for round in 0..ROUNDS {
        let machine = plant.machine("Press").await;
        let results = plant
            .at_once(
                50,
                |app, number| async move { send(&app, vec![sent(machine, number as i64, 90.0)]).await },
            )
            .await;
        assert_eq!(codes(&results), [], "round {round}");
        let raised = plant.alerts_on(machine).await;
        let [alert] = raised.as_slice() else { panic!("round {round}: {} alerts", raised.len()) };
        assert_eq!((alert.status, alert.what.occurrences), (AlertStatus::Open, 50), "round {round}");
        assert_eq!((alert.what.at, alert.what.last_seen_at), (at(0), at(49)), "round {round}");
    }
}

/// A good value, a further breach and an acknowledgement meet; in every other round a person resolves as well.
pub(crate) async fn an_alert_that_is_handled_while_readings_come_in_takes_legal_steps(plant: Plant) {
    plant.rule(above(80.0, Target::All)).await;
    for round in 0..ROUNDS {
        let machine = plant.machine("Press").await;
        send(&plant.app, vec![sent(machine, 0, 90.0)]).await.unwrap();
        let first = plant.alerts_on(machine).await[0].id;
        let resolves = round % 2 == 1;
        let results = plant
            .at_once(if resolves { 4 } else { 3 }, |app, number| async move {
                match number {
                    0 => send(&app, vec![sent(machine, 10, 20.0)]).await.map(drop),
                    1 => send(&app, vec![sent(machine, 20, 95.0)]).await.map(drop),
                    2 => alerts::acknowledge(&app, right(), first, None, Once::each_time()).await.map(drop),
                    _ => alerts::resolve(&app, right(), first, None, Once::each_time()).await.map(drop),
                }
            })
            .await;
        let refused = codes(&results);
        assert!(refused.iter().all(|code| *code == Code::IllegalTransition), "round {round}: {refused:?}");
        let raised = plant.alerts_on(machine).await;
        let unresolved = raised.iter().filter(|alert| alert.is_unresolved()).count();
        assert!(unresolved <= 1, "round {round}: {unresolved} are unresolved");
        for alert in &raised {
            follow(&plant.app, alert).await;
        }
        if !resolves {
            let told: Vec<_> = raised.iter().map(|alert| (alert.what.at, alert.ended_at())).collect();
            assert_eq!(told, [(at(0), Some(at(10))), (at(20), None)], "round {round}");
            assert_eq!(raised[0].acknowledged.is_some(), refused.is_empty(), "round {round}");
        }
    }
}

/// Follows the timeline of an alert: every step is legal, and the last one led to where the alert is.
async fn follow(app: &App, alert: &Alert) {
    let timeline = alerts::timeline(app, &right::<ViewAlerts>(), alert.id).await.unwrap();
    let mut status = None;
    for entry in &timeline {
        let (change, next) = (entry.what.change, entry.what.status);
        let is_legal = match (status, change) {
            (None, AlertChange::Raised) => next == AlertStatus::Open,
            (Some(AlertStatus::Open), AlertChange::Acknowledged) => next == AlertStatus::Acknowledged,
            (Some(AlertStatus::Open | AlertStatus::Acknowledged), AlertChange::Resolved) => {
                next == AlertStatus::Resolved
            }
            (Some(_), AlertChange::Rejudged) => true,
            _ => false,
        };
        assert!(is_legal, "from {status:?} by {change} to {next}: {timeline:?}");
        status = Some(next);
    }
    assert_eq!(status, Some(alert.status), "{timeline:?}");
    assert_eq!(alert.resolved.is_some(), alert.status == AlertStatus::Resolved);
}

pub(crate) async fn an_alert_names_a_version_of_the_rule_that_its_value_breaches(plant: Plant) {
    for round in 0..ROUNDS {
        let machine = plant.machine("Press").await;
        let rule = plant.rule(above(50.0, Target::Equipment(machine))).await;
        let results = plant
            .at_once(21, |app, number| async move {
                if number == 5 {
                    return edited(&app, rule.id, machine).await;
                }
                // All values between the thresholds and above them, in an order of their own.
                let value = 40.0 + (number * 13 % 21 * 3) as f64;
                send(&app, vec![sent(machine, number as i64, value)]).await.map(|_| Vec::new())
            })
            .await;
        assert_eq!(codes(&results), [], "round {round}");
        let mut thresholds: BTreeMap<Version, f64> = results.into_iter().flatten().flatten().collect();
        let newest = thresholds.last_key_value().map(|(version, _)| *version);
        thresholds.insert(rule.version, 50.0);
        let raised = plant.alerts_on(machine).await;
        for alert in &raised {
            let by = alert.what.raised_by.unwrap();
            assert!(alert.what.value > thresholds.get(&by.version).copied(), "round {round}: {alert:?}");
        }
        let unresolved: Vec<&Alert> = raised.iter().filter(|alert| alert.is_unresolved()).collect();
        assert!(unresolved.len() <= 1, "round {round}: {} are unresolved", unresolved.len());
        let by_newest = |alert: &&Alert| alert.what.raised_by.map(|by| by.version) == newest;
        assert!(unresolved.iter().all(by_newest), "round {round}: the rule said otherwise before");
    }
}

/// Raises the threshold of a rule twice; answers which version had which.
async fn edited(app: &App, rule: RuleId, machine: EquipmentId) -> Result<Vec<(Version, f64)>, Error> {
    let mut versions = Vec::new();
    for threshold in [70.0, 90.0] {
        let change = above(threshold, Target::Equipment(machine)).into();
        let after = rules::change(app, right(), rule, change, Precondition::None).await?;
        versions.push((after.version, threshold));
    }
    Ok(versions)
}

pub(crate) async fn silence_is_told_once_whoever_watches(plant: Plant) {
    let hour = Duration::from_secs(3600);
    let quiet = RuleDetails { condition: Condition::NoData(None), wait: hour / 2, ..above(0.0, Target::All) };
    plant.rule(quiet).await;
    let watchman = plant.later_by(hour);
    for round in 0..ROUNDS {
        let machines: Vec<EquipmentId> = join_all((0..5).map(|_| plant.machine("Press"))).await;
        // What it kept from before the rule is old, and does not count as a sign of life.
        let old = machines.iter().map(|machine| sent(*machine, 0, 20.0)).collect();
        send(&plant.app, old).await.unwrap();
        let watch = |_, _| {
            let watchman = watchman.clone();
            async move { silence::watch(&watchman).await }
        };
        let told: u64 = plant.at_once(10, watch).await.into_iter().map(Result::unwrap).sum();
        assert_eq!(told, machines.len() as u64, "round {round}");
        for machine in machines {
            let raised: Vec<AlertId> = plant.alerts_on(machine).await.iter().map(|alert| alert.id).collect();
            assert_eq!(raised.len(), 1, "round {round}");
        }
    }
}
