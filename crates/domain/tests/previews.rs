//! Trying rules on history, over the in-memory store: what a preview tells is what live judging raises, and it has its bounds.

#![cfg(test)]
#![allow(clippy::unwrap_used, reason = "a test may")]

use domain::access::rights::{ManageEquipment, ViewData, ViewRules, WriteData};
use domain::app::preview::{LONGEST, MOST_PIECES, Preview, Trial, begin, preview};
use domain::app::{equipment, ingest};
use domain::equipment::{Details, EquipmentChange, EquipmentRef, NewEquipment, Status};
use domain::id::EquipmentId;
use domain::idempotency::Once;
use domain::patch::Precondition;
use domain::ports::Clock;
use domain::rules::{Condition, Operator, RuleDetails, Severity, Target, Threshold};
use domain::telemetry::{MetricName, OnConflict, Tags, Values};
use domain::testing::{MemoryStore, World};
use domain::text::Label;
use domain::time::Timestamp;
use pollster::block_on;
use std::sync::Arc;
use std::time::Duration;

struct History {
    world: World,
    robot: EquipmentId,
    began_at: Timestamp,
}

fn label(text: &str) -> Label {
    Label::parse(text).unwrap()
}

fn temperature() -> MetricName {
    MetricName::parse("temperature").unwrap()
}

fn about(condition: Condition, wait: u64) -> RuleDetails {
    RuleDetails {
        name: label("Trial"),
        target: Target::All,
        condition,
        wait: Duration::from_secs(wait),
        severity: Severity::Warning,
        enabled: true,
        latch: false,
    }
}

fn too_hot() -> RuleDetails {
    let threshold = Threshold {
        metric: temperature(),
        operator: Operator::Above,
        threshold: 80.0,
        threshold_high: None,
        clear_threshold: None,
    };
    about(Condition::Threshold(threshold), 0)
}

fn silent() -> RuleDetails {
    about(Condition::NoData(None), 60)
}

impl History {
    /// A robot that was registered a day before the test's own history begins, an hour of which is over.
    async fn new() -> Self {
        let world = World::over(Arc::new(MemoryStore::default())).await.unwrap();
        let by = World::system::<ManageEquipment>().unwrap();
        let details = Details::new(label("Robot 1"), label("robot"));
        let robot = equipment::create(&world.app, by, details, Once::each_time()).await.unwrap().id;
        world.clock.advance(Duration::from_secs(86_400));
        let began_at = world.clock.now();
        world.clock.advance(Duration::from_secs(3600));
        Self { world, robot, began_at }
    }

    fn at(&self, second: i64) -> Timestamp {
        Timestamp::from_micros(self.began_at.micros() + second * 1_000_000).unwrap()
    }

    async fn send(&self, samples: impl IntoIterator<Item = (Timestamp, f64)>) {
        let sent = |(at, value)| ingest::Sent {
            equipment: EquipmentRef::Id(self.robot),
            at: Some(at),
            values: Values::of(vec![(temperature(), value)]).unwrap(),
            tags: Tags::new(),
        };
        let by = World::system::<WriteData>().unwrap();
        let sent = samples.into_iter().map(sent).collect();
        ingest::all(&self.world.app, by, sent, OnConflict::Refuse, Once::each_time()).await.unwrap();
    }

    fn trial(&self, rule: RuleDetails) -> Trial {
        Trial { rule, from: self.began_at, until: self.at(600) }
    }

    async fn preview(&self, rule: RuleDetails) -> Preview {
        let may = (World::system::<ViewRules>().unwrap(), World::system::<ViewData>().unwrap());
        preview(&self.world.app, &may.0, &may.1, self.trial(rule)).await.unwrap()
    }

    /// When alerts would have been raised and when they would have ended, in seconds.
    fn told(&self, preview: &Preview) -> Vec<(i64, Option<i64>)> {
        let second = |at: Timestamp| (at.micros() - self.began_at.micros()) / 1_000_000;
        let told = preview.alerts.iter().map(|alert| alert.episode);
        told.map(|episode| (second(episode.raised_at), episode.ended_at.map(second))).collect()
    }
}

#[test]
fn a_silence_that_latches_is_told_once_and_does_not_end() {
    block_on(async {
        let history = History::new().await;
        history.send([0, 100, 400, 500].map(|second| (history.at(second), 20.0))).await;
        let told = history.told(&history.preview(silent()).await);
        assert_eq!(told, [(60, Some(100)), (160, Some(400)), (460, Some(500)), (560, None)]);
        let latched = history.preview(RuleDetails { latch: true, ..silent() }).await;
        assert_eq!(history.told(&latched), [(60, None)]);
    });
}

#[test]
fn what_is_switched_off_may_be_silent_and_is_judged_by_its_values_all_the_same() {
    block_on(async {
        for (status, silences) in
            [(Status::Maintenance, 1), (Status::Offline, 0), (Status::Decommissioned, 0)]
        {
            let history = History::new().await;
            history.send([(history.at(599), 90.0)]).await;
            let change = EquipmentChange { status: Some(status), ..EquipmentChange::default() };
            let by = World::system::<ManageEquipment>().unwrap();
            let app = &history.world.app;
            equipment::change(app, by, history.robot, change, Precondition::None).await.unwrap();
            for target in [Target::All, Target::Equipment(history.robot)] {
                let told = history.preview(RuleDetails { target: target.clone(), ..silent() }).await;
                assert_eq!(told.alerts.len(), silences, "{status:?}");
                let told = history.preview(RuleDetails { target, ..too_hot() }).await;
                assert_eq!(told.alerts.len(), 1, "{status:?}");
            }
        }
    });
}

#[test]
fn a_preview_that_takes_too_long_tells_nothing_of_what_it_did_not_look_at() {
    block_on(async {
        let history = History::new().await;
        let reports =
            (0..9_999).map(|number| (history.began_at.after(Duration::from_millis(10 * number)), 90.0));
        history.send(reports).await;
        let may = (World::system::<ViewRules>().unwrap(), World::system::<ViewData>().unwrap());
        for (rule, whole, cut) in
            [(silent(), vec![(159, None)], vec![]), (too_hot(), vec![(0, None)], vec![(0, None)])]
        {
            let told = history.preview(rule.clone()).await;
            assert_eq!((history.told(&told), told.is_cut), (whole, false));
            let trial = history.trial(rule);
            let app = &history.world.app;
            let mut walk = begin(app, &may.0, &may.1, &trial).await.unwrap();
            walk.next(app).await.unwrap();
            assert!(!walk.is_over(), "a portion is not all");
            history.world.clock.advance(LONGEST);
            walk.next(app).await.unwrap();
            assert!(walk.is_over());
            let told = walk.finish();
            assert_eq!((history.told(&told), told.is_cut), (cut, true));
        }
    });
}

#[test]
fn a_preview_looks_at_so_many_machines_and_no_more_a_few_at_a_time() {
    block_on(async {
        let history = History::new().await;
        let store = &history.world.app.store;
        for (more, is_cut) in [(MOST_PIECES - 1, false), (1, true)] {
            let mut tx = store.begin().await.unwrap();
            for _ in 0..more {
                let details = Details::new(label("Robot"), label("robot"));
                let new = NewEquipment { details, created_at: history.began_at };
                tx.equipment().insert(&new).await.unwrap();
            }
            tx.commit().await.unwrap();
            assert_eq!(history.preview(too_hot()).await.is_cut, is_cut);
        }
        let may = (World::system::<ViewRules>().unwrap(), World::system::<ViewData>().unwrap());
        let (trial, app) = (history.trial(too_hot()), &history.world.app);
        let mut walk = begin(app, &may.0, &may.1, &trial).await.unwrap();
        walk.next(app).await.unwrap();
        assert!(!walk.is_over());
    });
}
