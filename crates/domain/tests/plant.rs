//! The plant at work over the store in memory: readings come in, alerts follow.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use domain::access::rights::{
    HandleAlerts, ManageEquipment, ManageRules, ViewAlerts, ViewData, ViewRules, WriteAlerts, WriteData,
};
use domain::access::{Actor, Granted};
use domain::alerts::{Alert, AlertQuery, AlertStatus};
use domain::app::alerts::AlertEdit;
use domain::app::ingest::{self, Outcome, Sent, Single};
use domain::app::preview::{Trial, preview};
use domain::app::readings::Asked;
use domain::app::{alerts, equipment, readings, retention, rules, silence};
use domain::equipment::{Details, Equipment, EquipmentChange, EquipmentRef, Reach, Status};
use domain::error::Error;
use domain::id::EquipmentId;
use domain::idempotency::{Claim, Once};
use domain::patch::{Patch, Precondition};
use domain::ports::Clock;
use domain::rules::judge::{Episode, Judge, State};
use domain::rules::written::ConditionPatch;
use domain::rules::{Condition, Operator, Rule, RuleDetails, Severity, Target, Threshold};
use domain::telemetry::{MetricName, OnConflict, ReadingId, Sample, Tags, Values};
use domain::testing::{MemoryStore, World};
use domain::text::{Description, Label};
use domain::time::Timestamp;
use pollster::block_on;
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

struct Plant {
    world: World,
    robot: Equipment,
}

fn metric() -> MetricName {
    MetricName::parse("temperature").unwrap()
}

fn above_80(wait: u64, clear: Option<f64>, latch: bool) -> RuleDetails {
    let threshold = Threshold {
        metric: metric(),
        operator: Operator::Above,
        threshold: 80.0,
        threshold_high: None,
        clear_threshold: clear,
    };
    RuleDetails {
        name: Label::parse("Too hot").unwrap(),
        target: Target::All,
        condition: Condition::Threshold(threshold),
        wait: Duration::from_secs(wait),
        severity: Severity::Warning,
        enabled: true,
        latch,
    }
}

fn no_data(wait: u64) -> RuleDetails {
    RuleDetails { condition: Condition::NoData(None), ..above_80(wait, None, false) }
}

impl Plant {
    async fn new() -> Self {
        let world = World::over(Arc::new(MemoryStore::default())).await.unwrap();
        let label = |text: &str| Label::parse(text).unwrap();
        let details = Details::new(label("Robot 1"), label("robot"));
        let by = World::system::<ManageEquipment>().unwrap();
        let robot = equipment::create(&world.app, by, details, Once::each_time()).await.unwrap();
        Self { world, robot }
    }

    async fn rule(&self, details: RuleDetails) -> Rule {
        let by = World::system::<ManageRules>().unwrap();
        rules::create(&self.world.app, by, details, Once::each_time()).await.unwrap()
    }

    /// The instant that many seconds into the test's own hour, which is over.
    fn at(&self, second: i64) -> Timestamp {
        let hour_ago = self.robot.created_at.before(Duration::from_secs(3600)).micros();
        Timestamp::from_micros(hour_ago + second * 1_000_000).unwrap()
    }

    fn sent(&self, (second, value): (i64, f64)) -> Sent {
        let values = Values::of(vec![(metric(), value)]).unwrap();
        let equipment = EquipmentRef::Id(self.robot.id);
        Sent { equipment, at: Some(self.at(second)), values, tags: Tags::new() }
    }

    async fn send(&self, samples: &[(i64, f64)]) {
        let sent = samples.iter().map(|sample| self.sent(*sample)).collect();
        let by = World::system::<WriteData>().unwrap();
        ingest::all(&self.world.app, by, sent, OnConflict::Replace, Once::each_time()).await.unwrap();
    }

    async fn stores(&self, second: i64) -> bool {
        let id = ReadingId { equipment: self.robot.id, at: self.at(second) };
        readings::get(&self.world.app, &World::system::<ViewData>().unwrap(), id).await.is_ok()
    }

    async fn delete(&self, second: i64) {
        let id = ReadingId { equipment: self.robot.id, at: self.at(second) };
        let by = World::system::<WriteData>().unwrap();
        readings::delete(&self.world.app, by, id, Precondition::None).await.unwrap();
    }

    async fn alerts(&self) -> Vec<Alert> {
        let by = World::system::<ViewAlerts>().unwrap();
        let mut alerts = alerts::list(&self.world.app, &by, AlertQuery::default()).await.unwrap().items;
        alerts.sort_by_key(|alert| (alert.what.at, alert.id));
        alerts
    }

    async fn edit(&self, alert: &Alert, edit: AlertEdit) {
        let by = World::system::<WriteAlerts>().unwrap();
        alerts::edit(&self.world.app, by, alert.id, edit, Precondition::None).await.unwrap();
    }

    async fn resolve_the_newest(&self) {
        let by = World::system::<HandleAlerts>().unwrap();
        let id = self.alerts().await.last().unwrap().id;
        alerts::resolve(&self.world.app, by, id, None, Once::each_time()).await.unwrap();
    }

    /// What there is to say about each alert, oldest first: (began, raised, value, last seen, occurrences, ended).
    async fn told(&self) -> Vec<Told> {
        let tell = |alert: Alert| {
            assert_eq!(alert.status == AlertStatus::Resolved, alert.resolved.is_some());
            self.tell(alert.episode())
        };
        self.alerts().await.into_iter().map(tell).collect()
    }

    fn second(&self, at: Timestamp) -> i64 {
        (at.micros() - self.at(0).micros()) / 1_000_000
    }

    /// What the judge alone makes of these samples.
    fn judged(&self, rule: &RuleDetails, samples: &std::collections::BTreeMap<i64, f64>) -> Vec<Told> {
        let Condition::Threshold(threshold) = &rule.condition else { return Vec::new() };
        let mut judge = Judge::new(rule, threshold, State::Calm);
        for (second, value) in samples {
            judge.step(Sample { at: self.at(*second), value: *value });
        }
        judge.episodes().into_iter().map(|episode| self.tell(episode)).collect()
    }

    fn tell(&self, episode: Episode) -> Told {
        let [began, raised, seen] =
            [episode.began_at, episode.raised_at, episode.last_seen_at].map(|at| self.second(at));
        let ended = episode.ended_at.map(|at| self.second(at));
        (began, raised, episode.value, seen, episode.occurrences, ended)
    }
}

type Told = (i64, i64, f64, i64, u64, Option<i64>);

#[test]
fn readings_are_looked_up_together_and_each_asker_finds_what_is_within_their_reach() {
    block_on(async {
        let plant = Plant::new().await;
        plant.send(&[(0, 10.0), (1, 11.0)]).await;
        let id = |second| ReadingId { equipment: plant.robot.id, at: plant.at(second) };
        let anybody = World::system::<ViewData>().unwrap();
        let elsewhere = Reach::Only(vec![EquipmentId::new(plant.robot.id.get() + 1).unwrap()]);
        let kept_out: Granted<ViewData> = Actor::system("elsewhere").reaching(elsewhere).grant().unwrap();
        let asked = [(&anybody, 1), (&kept_out, 1), (&anybody, 7), (&anybody, 0), (&anybody, 1)];
        let asked = asked.map(|(by, second)| Asked { by: by.clone(), id: id(second) });
        let found = readings::at_hand(&plant.world.app, &asked).await;
        let found: Vec<Option<i64>> = found
            .into_iter()
            .map(|outcome| {
                outcome.unwrap().map(|reading| (0..9).find(|second| reading.id == id(*second)).unwrap())
            })
            .collect();
        assert_eq!(found, [Some(1), None, None, Some(0), Some(1)]);
    });
}

#[test]
fn a_reading_that_breaches_a_rule_raises_its_alert_and_a_good_one_resolves_it() {
    block_on(async {
        let plant = Plant::new().await;
        let rule = plant.rule(above_80(0, None, false)).await;
        plant.send(&[(1, 95.0)]).await;
        plant.send(&[(2, 96.0)]).await;
        let [alert] = plant.alerts().await.try_into().unwrap();
        assert_eq!((alert.status, alert.what.occurrences), (AlertStatus::Open, 2));
        assert_eq!(alert.what.raised_by.map(|by| (by.rule, by.version)), Some((rule.id, rule.version)));
        assert_eq!(alert.what.description.as_str(), "Too hot: temperature is above 80, at 95");
        plant.send(&[(3, 70.0)]).await;
        assert_eq!(plant.told().await, [(1, 1, 95.0, 2, 2, Some(3))]);
    });
}

#[test]
fn an_alert_that_late_data_disproves_is_withdrawn_unless_somebody_dealt_with_it() {
    block_on(async {
        for deed in ["nothing", "acknowledged", "worse", "noted and forgotten"] {
            let plant = Plant::new().await;
            plant.rule(above_80(60, None, false)).await;
            plant.send(&[(0, 90.0), (60, 90.0)]).await;
            let [alert] = plant.alerts().await.try_into().unwrap();
            let noting = |note| AlertEdit { note, ..AlertEdit::default() };
            match deed {
                "acknowledged" => {
                    let by = World::system::<HandleAlerts>().unwrap();
                    let app = &plant.world.app;
                    alerts::acknowledge(app, by, alert.id, None, Once::each_time()).await.unwrap();
                }
                "worse" => {
                    let worse = AlertEdit { severity: Some(Severity::Critical), ..AlertEdit::default() };
                    plant.edit(&alert, worse).await;
                }
                "noted and forgotten" => {
                    let note = Description::parse("Looked at it.").unwrap();
                    plant.edit(&alert, noting(Patch::Set(note))).await;
                    plant.edit(&alert, noting(Patch::Clear)).await;
                }
                _ => {}
            }
            plant.send(&[(30, 70.0)]).await;
            let left: Vec<_> = plant.alerts().await.into_iter().map(|alert| alert.status).collect();
            let stays = deed != "nothing";
            assert_eq!(left, if stays { vec![AlertStatus::Resolved] } else { vec![] }, "{deed}");
        }
    });
}

#[test]
fn what_somebody_resolved_stays_resolved_and_the_next_breach_is_a_new_alert() {
    block_on(async {
        let plant = Plant::new().await;
        plant.rule(above_80(0, None, true)).await;
        plant.send(&[(1, 95.0)]).await;
        let [alert] = plant.alerts().await.try_into().unwrap();
        let by = World::system::<HandleAlerts>().unwrap();
        alerts::resolve(&plant.world.app, by, alert.id, None, Once::each_time()).await.unwrap();
        plant.send(&[(2, 70.0), (3, 96.0)]).await;
        let [first] = plant.alerts().await.try_into().unwrap();
        assert_eq!((first.status, first.what.occurrences), (AlertStatus::Resolved, 2), "it was before that");
        plant.send(&[(3700, 97.0)]).await;
        let statuses: Vec<_> = plant.alerts().await.into_iter().map(|alert| alert.status).collect();
        assert_eq!(statuses, [AlertStatus::Resolved, AlertStatus::Open]);
    });
}

#[test]
fn a_rule_that_judges_differently_ends_its_alerts_and_begins_anew() {
    block_on(async {
        let plant = Plant::new().await;
        let rule = plant.rule(above_80(0, None, false)).await;
        plant.send(&[(1, 95.0)]).await;
        plant.world.clock.advance(Duration::from_secs(1));
        let condition = ConditionPatch { threshold: Patch::Set(90.0), ..Default::default() };
        let change = rules::RuleChange { condition, ..Default::default() };
        let by = World::system::<ManageRules>().unwrap();
        let rule = rules::change(&plant.world.app, by, rule.id, change, Precondition::None).await.unwrap();
        plant.send(&[(2, 96.0)]).await;
        let alerts = plant.alerts().await;
        assert_eq!(
            alerts.iter().map(|alert| alert.status).collect::<Vec<_>>(),
            [AlertStatus::Resolved, AlertStatus::Open]
        );
        assert_eq!(alerts[1].what.raised_by.map(|by| by.version), Some(rule.version));
        plant.send(&[(1, 85.0)]).await;
        assert_eq!(plant.alerts().await[1].what.occurrences, 1, "85 does not breach the rule any more");
    });
}

#[test]
fn silence_raises_on_time_and_a_fresh_reading_ends_it() {
    block_on(async {
        let plant = Plant::new().await;
        plant.rule(no_data(60)).await;
        plant.world.clock.advance(Duration::from_secs(59));
        assert_eq!(silence::watch(&plant.world.app).await.unwrap(), 0);
        plant.world.clock.advance(Duration::from_secs(1));
        assert_eq!(silence::watch(&plant.world.app).await.unwrap(), 1);
        assert_eq!(silence::watch(&plant.world.app).await.unwrap(), 0, "once is enough");
        plant.send(&[(0, 20.0)]).await;
        assert_eq!(
            plant.alerts().await[0].status,
            AlertStatus::Open,
            "what is an hour old says nothing about now"
        );
        let now = plant.world.clock.now();
        let fresh = Sent { at: Some(now), ..plant.sent((0, 20.0)) };
        let by = World::system::<WriteData>().unwrap();
        ingest::one(&plant.world.app, by, fresh, OnConflict::Refuse, Once::each_time()).await.unwrap();
        assert_eq!(plant.alerts().await[0].status, AlertStatus::Resolved);
    });
}

#[test]
fn judging_anew_does_not_repeat_what_is_there_already() {
    block_on(async {
        let plant = Plant::new().await;
        plant.rule(above_80(0, None, false)).await;
        plant.send(&[(0, 95.0)]).await;
        plant.resolve_the_newest().await;
        plant.send(&[(10, 70.0), (14, 95.0), (15, 70.0)]).await;
        let told = plant.told().await;
        for second in 16..20 {
            plant.send(&[(second, 70.0)]).await;
        }
        assert_eq!(plant.told().await, told);
    });
}

#[test]
fn what_comes_after_an_alert_that_somebody_ended_is_the_same_in_one_batch_or_singly() {
    block_on(async {
        let later = [(2, 70.0), (3, 96.0)];
        let mut told = Vec::new();
        for singly in [false, true] {
            let plant = Plant::new().await;
            plant.rule(above_80(0, None, false)).await;
            plant.send(&[(1, 95.0)]).await;
            plant.resolve_the_newest().await;
            for batch in later.chunks(if singly { 1 } else { 2 }) {
                plant.send(batch).await;
            }
            told.push(plant.told().await);
        }
        assert_eq!(told[0], told[1]);
    });
}

#[test]
fn a_changed_rule_does_not_wait_for_what_the_rule_before_it_ended() {
    block_on(async {
        let later = [(3690, 95.0), (3715, 95.0), (3725, 95.0)];
        let mut told = Vec::new();
        for singly in [false, true] {
            let plant = Plant::new().await;
            let rule = plant.rule(above_80(0, None, false)).await;
            plant.send(&[(3600, 95.0)]).await;
            plant.world.clock.advance(Duration::from_secs(100));
            let change = rules::RuleChange { wait: Some(Duration::from_secs(30)), ..Default::default() };
            let by = World::system::<ManageRules>().unwrap();
            rules::change(&plant.world.app, by, rule.id, change, Precondition::None).await.unwrap();
            for batch in later.chunks(if singly { 1 } else { 3 }) {
                plant.send(batch).await;
            }
            told.push(plant.told().await);
        }
        assert_eq!(told[0].len(), 2);
        assert_eq!(told[0], told[1]);
    });
}

#[test]
fn late_readings_within_an_alert_that_is_over_only_count() {
    block_on(async {
        let plant = Plant::new().await;
        plant.rule(above_80(0, None, false)).await;
        plant.send(&[(1, 95.0), (50, 70.0)]).await;
        plant.send(&[(2, 95.0)]).await;
        plant.send(&[(3, 95.0)]).await;
        let [alert] = plant.alerts().await.try_into().unwrap();
        assert_eq!(alert.what.occurrences, 3);
        let by = World::system::<ViewAlerts>().unwrap();
        let timeline = alerts::timeline(&plant.world.app, &by, alert.id).await.unwrap();
        assert_eq!(timeline.len(), 2, "raised and resolved");
    });
}

#[test]
fn equipment_that_is_switched_on_again_is_given_time_to_report() {
    block_on(async {
        let plant = Plant::new().await;
        plant.rule(no_data(60)).await;
        let set = async |status| {
            let change = EquipmentChange { status: Some(status), ..Default::default() };
            let by = World::system::<ManageEquipment>().unwrap();
            equipment::change(&plant.world.app, by, plant.robot.id, change, Precondition::None)
                .await
                .unwrap();
        };
        set(Status::Offline).await;
        plant.world.clock.advance(Duration::from_secs(3600));
        assert_eq!(silence::watch(&plant.world.app).await.unwrap(), 0);
        set(Status::Operational).await;
        assert_eq!(silence::watch(&plant.world.app).await.unwrap(), 0);
        plant.world.clock.advance(Duration::from_secs(60));
        assert_eq!(silence::watch(&plant.world.app).await.unwrap(), 1);
        plant.resolve_the_newest().await;
        assert_eq!(silence::watch(&plant.world.app).await.unwrap(), 0, "somebody knows");
        plant.world.clock.advance(Duration::from_secs(60));
        assert_eq!(silence::watch(&plant.world.app).await.unwrap(), 1);
    });
}

#[test]
fn an_alert_ends_when_its_rule_is_not_about_the_equipment_any_more() {
    block_on(async {
        let plant = Plant::new().await;
        plant
            .rule(RuleDetails {
                target: Target::Kind(Label::parse("ROBOT").unwrap()),
                ..above_80(0, None, false)
            })
            .await;
        plant.send(&[(1, 95.0)]).await;
        let change = EquipmentChange { kind: Some(Label::parse("press").unwrap()), ..Default::default() };
        let by = World::system::<ManageEquipment>().unwrap();
        equipment::change(&plant.world.app, by, plant.robot.id, change, Precondition::None).await.unwrap();
        assert_eq!(plant.alerts().await[0].status, AlertStatus::Resolved);
        plant.send(&[(2, 95.0)]).await;
        assert_eq!(plant.alerts().await.len(), 1);
    });
}

#[test]
fn a_preview_tells_what_live_readings_then_raise() {
    block_on(async {
        let plant = Plant::new().await;
        let draft = above_80(2, Some(75.0), false);
        let samples = [(1, 90.0), (2, 91.0), (3, 92.0), (4, 78.0), (5, 70.0), (6, 90.0), (9, 90.0)];
        plant.send(&samples).await;
        let trial = Trial { rule: draft.clone(), from: plant.at(0), until: plant.at(100) };
        let may = (World::system::<ViewRules>().unwrap(), World::system::<ViewData>().unwrap());
        let preview = preview(&plant.world.app, &may.0, &may.1, trial).await.unwrap();
        let told: Vec<_> = preview.alerts.iter().map(|alert| plant.tell(alert.episode)).collect();
        let live = Plant::new().await;
        live.rule(draft).await;
        live.send(&samples).await;
        assert_eq!(told, live.told().await);
        assert_eq!(told, [(1, 3, 92.0, 3, 3, Some(5)), (6, 9, 90.0, 9, 2, None)]);
    });
}

#[test]
fn a_batch_with_a_contradiction_stores_nothing() {
    block_on(async {
        let plant = Plant::new().await;
        plant.send(&[(1, 20.0)]).await;
        let by = World::system::<WriteData>().unwrap();
        let batch = vec![plant.sent((2, 20.0)), plant.sent((1, 21.0)), plant.sent((1, 20.0))];
        let refused =
            ingest::all(&plant.world.app, by.clone(), batch.clone(), OnConflict::Refuse, Once::each_time())
                .await;
        assert!(matches!(refused, Err(Error::DifferentValue(fields)) if fields == ["1.values.temperature"]));
        let sifted = ingest::sift(&plant.world.app, &by, batch, OnConflict::Refuse).await.unwrap();
        assert_eq!((sifted.counts.accepted, sifted.counts.duplicates, sifted.refused.len()), (1, 1, 1));
    });
}

#[test]
fn readings_that_come_together_are_taken_or_refused_each_for_itself() {
    block_on(async {
        let plant = Plant::new().await;
        plant.send(&[(0, 20.0)]).await;
        let elsewhere = EquipmentRef::Id(EquipmentId::new(999).unwrap());
        let single = |sent| Single {
            by: World::system().unwrap(),
            sent,
            on_conflict: OnConflict::Refuse,
            once: Once::each_time(),
        };
        let before = plant.world.app.tally.read();
        let sent = [
            plant.sent((1, 21.0)),
            plant.sent((0, 99.0)),
            Sent { equipment: elsewhere, ..plant.sent((2, 22.0)) },
            plant.sent((0, 20.0)),
            plant.sent((1, 21.0)),
        ];
        let results = ingest::together(&plant.world.app, sent.into_iter().map(single).collect()).await;
        let told: Vec<_> = results.iter().map(|result| result.as_ref().map(|taken| taken.outcome)).collect();
        assert!(matches!(
            told.as_slice(),
            [
                Ok(Outcome::Stored),
                Err(Error::DifferentValue(_)),
                Err(Error::Invalid(_)),
                Ok(Outcome::Duplicate),
                Ok(Outcome::Duplicate)
            ]
        ));
        let now = plant.world.app.tally.read();
        let since = (now.received - before.received, now.stored - before.stored);
        assert_eq!(since, (5, 1));
        assert_eq!((now.duplicate - before.duplicate, now.rejected - before.rejected), (2, 2));
    });
}

#[test]
fn who_breaks_a_group_breaks_it_for_nobody_else() {
    block_on(async {
        let plant = Plant::new().await;
        // The same wish to take effect once: the second cannot be remembered, and the group with it.
        let claim = Claim { scope: [7; 32], fingerprint: [8; 32] };
        let single = |second, claim: Option<Claim>| {
            let once =
                claim.map_or_else(Once::each_time, |claim| Once::per(claim, Box::new(|_| Ok(Vec::new()))));
            let sent = plant.sent((second, 20.0));
            Single { by: World::system().unwrap(), sent, on_conflict: OnConflict::Refuse, once }
        };
        let singles = vec![single(0, None), single(1, Some(claim)), single(2, Some(claim)), single(3, None)];
        let results = ingest::together(&plant.world.app, singles).await;
        let are_stored: Vec<bool> = results.iter().map(Result::is_ok).collect();
        assert_eq!(are_stored, [true, true, false, true]);
        assert_eq!(plant.world.app.tally.read().stored, 3);
    });
}

fn rule() -> impl Strategy<Value = RuleDetails> {
    (0_u64..4, prop_oneof![Just(None), Just(Some(75.0))], any::<bool>())
        .prop_map(|(wait, clear, latch)| above_80(wait, clear, latch))
}

/// Values that breach, lie between, or clear, at up to 24 distinct seconds.
fn samples() -> impl Strategy<Value = Vec<(i64, f64)>> {
    let value = prop_oneof![3 => Just(90.0), 1 => Just(85.0), 1 => Just(78.0), 2 => Just(70.0)];
    proptest::collection::btree_map(0_i64..40, value, 1..24).prop_map(|samples| samples.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_same_readings_in_any_order_of_arrival_end_in_the_same_alerts(
        rule in rule(),
        (samples, shuffled) in samples().prop_flat_map(|samples| (Just(samples.clone()), Just(samples).prop_shuffle())),
        sizes in proptest::collection::vec(1_usize..5, 24),
    ) {
        block_on(async {
            let plant = Plant::new().await;
            plant.rule(rule.clone()).await;
            let mut rest = shuffled.as_slice();
            for size in sizes {
                let (batch, later) = rest.split_at(size.min(rest.len()));
                plant.send(batch).await;
                rest = later;
            }
            plant.send(rest).await;
            let expected = plant.judged(&rule, &samples.into_iter().collect());
            prop_assert_eq!(plant.told().await, expected);
            Ok(())
        })?;
    }

    #[test]
    fn readings_that_are_replaced_and_deleted_leave_the_alerts_of_what_remains(
        rule in rule(),
        samples in samples(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), prop_oneof![Just(None), Just(Some(90.0)), Just(Some(70.0))]), 0..6),
    ) {
        block_on(async {
            let plant = Plant::new().await;
            plant.rule(rule.clone()).await;
            plant.send(&samples).await;
            let mut remaining: std::collections::BTreeMap<i64, f64> = samples.iter().copied().collect();
            for (index, change) in changes {
                let (second, _) = *index.get(&samples);
                match change {
                    Some(value) => {
                        remaining.insert(second, value);
                        plant.send(&[(second, value)]).await;
                    }
                    None if remaining.remove(&second).is_some() => plant.delete(second).await,
                    None => {}
                }
            }
            prop_assert_eq!(plant.told().await, plant.judged(&rule, &remaining));
            Ok(())
        })?;
    }
}

#[test]
fn readings_go_when_they_are_older_than_they_are_kept_and_nothing_else_does() {
    block_on(async {
        let mut plant = Plant::new().await;
        plant.rule(above_80(0, None, false)).await;
        // Readings go by whole days.
        let [yesterday, later] = [-30_000, -29_999];
        plant.send(&[(yesterday, 95.0), (later, 96.0), (600, 70.0), (601, 71.0)]).await;
        let alerts = plant.alerts().await;
        retention::make_room(&plant.world.app).await.unwrap();
        assert_eq!(retention::forget(&plant.world.app).await.unwrap(), 0);
        assert!(plant.stores(yesterday).await, "without a limit readings are kept for ever");

        let now = plant.world.clock.now();
        let kept = u64::try_from((now.micros() - plant.at(600).micros()) / 1_000_000).unwrap();
        plant.world.app.policy.readings_kept.otherwise = Some(Duration::from_secs(kept));
        assert_eq!(retention::forget(&plant.world.app).await.unwrap(), 2);
        for (second, is_left) in [(yesterday, false), (later, false), (600, true), (601, true)] {
            assert_eq!(plant.stores(second).await, is_left, "{second}");
        }
        assert_eq!(plant.alerts().await, alerts);
        assert_eq!(retention::forget(&plant.world.app).await.unwrap(), 0);
    });
}
