//! Judging goes on however many machines there are, and however long the past of one is.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use domain::access::rights::{HandleAlerts, ManageEquipment, ManageRules, ViewAlerts, WriteData};
use domain::alerts::{Alert, AlertQuery};
use domain::app::ingest::{self, Sent};
use domain::app::{alerts, equipment, rules, silence};
use domain::equipment::{Details, EquipmentRef};
use domain::id::EquipmentId;
use domain::idempotency::Once;
use domain::page::PageRequest;
use domain::ports::Clock;
use domain::rules::{Condition, Operator, RuleDetails, Severity, Target, Threshold};
use domain::telemetry::{MetricName, OnConflict, Reading, ReadingId, Tags, Values};
use domain::testing::{MemoryStore, World};
use domain::text::Label;
use domain::time::Timestamp;
use pollster::block_on;
use std::sync::Arc;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn label(text: &str) -> Label {
    Label::parse(text).unwrap()
}

fn hot(value: f64) -> Values {
    Values::of(vec![(MetricName::parse("temperature").unwrap(), value)]).unwrap()
}

/// A rule that waits a minute.
fn rule_about(condition: Condition) -> RuleDetails {
    RuleDetails {
        name: label("Watch"),
        target: Target::All,
        condition,
        wait: MINUTE,
        severity: Severity::Warning,
        enabled: true,
        latch: false,
    }
}

fn above_80() -> Condition {
    Condition::Threshold(Threshold {
        metric: MetricName::parse("temperature").unwrap(),
        operator: Operator::Above,
        threshold: 80.0,
        threshold_high: None,
        clear_threshold: None,
    })
}

struct Plant(World);

impl Plant {
    async fn watched_by(condition: Condition) -> Self {
        let world = World::over(Arc::new(MemoryStore::default())).await.unwrap();
        let by = World::system::<ManageRules>().unwrap();
        rules::create(&world.app, by, rule_about(condition), Once::each_time()).await.unwrap();
        Self(world)
    }

    async fn robots(&self, count: usize) -> Vec<EquipmentId> {
        let mut robots = Vec::new();
        for _ in 0..count {
            let by = World::system::<ManageEquipment>().unwrap();
            let details = Details::new(label("Robot"), label("robot"));
            let made = equipment::create(&self.0.app, by, details, Once::each_time()).await.unwrap();
            robots.push(made.id);
        }
        robots
    }

    async fn alerts(&self) -> Vec<Alert> {
        let by = World::system::<ViewAlerts>().unwrap();
        let page = PageRequest::new(1, PageRequest::MAX_SIZE).unwrap();
        let query = AlertQuery { page, ..AlertQuery::default() };
        alerts::list(&self.0.app, &by, query).await.unwrap().items
    }

    async fn send(&self, robot: EquipmentId, at: Timestamp, value: f64) {
        let sent =
            Sent { equipment: EquipmentRef::Id(robot), at: Some(at), values: hot(value), tags: Tags::new() };
        let by = World::system::<WriteData>().unwrap();
        ingest::one(&self.0.app, by, sent, OnConflict::Refuse, Once::each_time()).await.unwrap();
    }
}

#[test]
fn those_who_were_given_another_while_hide_nobody_who_is_due() {
    block_on(async {
        let plant = Plant::watched_by(Condition::NoData(None)).await;
        let many = plant.robots(450).await;
        plant.0.clock.advance(MINUTE / 2);
        let late = plant.robots(1).await[0];
        plant.0.clock.advance(MINUTE / 2);
        assert_eq!(silence::watch(&plant.0.app).await.unwrap(), many.len() as u64);
        for alert in plant.alerts().await {
            let by = World::system::<HandleAlerts>().unwrap();
            alerts::resolve(&plant.0.app, by, alert.id, None, Once::each_time()).await.unwrap();
        }
        plant.0.clock.advance(MINUTE / 2);
        assert_eq!(silence::watch(&plant.0.app).await.unwrap(), 1);
        assert!(plant.alerts().await.iter().any(|alert| alert.what.equipment == late));
        plant.0.clock.advance(MINUTE / 2);
        assert_eq!(silence::watch(&plant.0.app).await.unwrap(), many.len() as u64);
    });
}

#[test]
fn the_first_value_of_a_metric_does_not_have_the_past_searched_for_others() {
    block_on(async {
        let plant = Plant::watched_by(above_80()).await;
        let robot = plant.robots(1).await[0];
        let now = plant.0.clock.now();
        // A value that nothing tells of but a search.
        let id = ReadingId { equipment: robot, at: now.before(MINUTE * 20) };
        let unknown = Reading { id, values: hot(95.0), tags: Tags::new(), received_at: now };
        let mut tx = plant.0.app.store.begin().await.unwrap();
        tx.readings().insert(&[unknown]).await.unwrap();
        tx.commit().await.unwrap();
        plant.send(robot, now.before(MINUTE * 10), 96.0).await;
        assert!(plant.alerts().await.is_empty(), "nothing was searched for");
        plant.send(robot, now.before(MINUTE * 5), 97.0).await;
        let raised = plant.alerts().await;
        assert_eq!(raised.len(), 1, "the breach had waited long enough");
        assert_eq!(raised[0].what.began_at, now.before(MINUTE * 10));
    });
}

#[test]
fn what_comes_late_is_judged_by_what_was_before_it() {
    block_on(async {
        let plant = Plant::watched_by(above_80()).await;
        let robot = plant.robots(1).await[0];
        let now = plant.0.clock.now();
        for (minutes, value) in [(20, 95.0), (10, 20.0), (15, 96.0)] {
            plant.send(robot, now.before(MINUTE * minutes), value).await;
        }
        let raised = plant.alerts().await;
        assert_eq!(raised.len(), 1);
        assert_eq!(raised[0].what.began_at, now.before(MINUTE * 20));
        assert_eq!(raised[0].ended_at(), Some(now.before(MINUTE * 10)));
    });
}
