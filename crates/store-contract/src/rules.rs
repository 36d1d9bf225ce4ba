//! Promises about alert rules, one at a time, and about those in force. Lists are in `rule_lists`.

use crate::Database;
use crate::builders::{
    EXTREMES, a_rule, a_rule_of, an_alert_by, at, label, metric, no_piece, no_rule, some_rule, too_hot,
};
use crate::database::{assert_dangling, refused};
use domain::alerts::{Alert, NewAlert};
use domain::id::Version;
use domain::ports::Reference;
use domain::rules::{
    Condition, LONGEST_WAIT, NewRule, Operator, Rule, RuleDetails, RulesInForce, Severity, Target, Threshold,
};
use domain::time::Timestamp;
use std::time::Duration;

async fn delete(database: &Database, rule: &Rule) -> bool {
    database.within(async |unit| unit.rules().delete(rule.id, at(9)).await.unwrap()).await
}

async fn round_trips(database: &Database, details: RuleDetails) {
    let stored = database.insert_rule(&a_rule_of(details.clone())).await;
    assert_eq!(stored.details, details);
    assert_eq!(database.rule(stored.id).await.as_ref(), Some(&stored));
    let other = database.make_rule("other").await;
    let saved = database.save_rule(&Rule { details, ..other }).await;
    assert_eq!(database.rule(saved.id).await.unwrap().details, stored.details);
}

pub async fn a_new_rule_has_the_first_version_and_is_in_force_since_it_was_made(database: Database) {
    for created_at in [Timestamp::MIN, at(5), Timestamp::MAX] {
        let new = NewRule { created_at, ..a_rule("hot") };
        let stored = database.insert_rule(&new).await;
        let expected = Rule {
            id: stored.id,
            details: new.details,
            in_force_since: created_at,
            in_force_version: Version::FIRST,
            version: Version::FIRST,
            created_at,
            updated_at: created_at,
        };
        assert_eq!(stored, expected);
        assert_eq!(database.rule(stored.id).await, Some(expected));
    }
}

pub async fn every_field_of_a_rule_round_trips_at_its_greatest_length(database: Database) {
    let threshold = Threshold {
        metric: metric(&"m".repeat(64)),
        operator: Operator::Outside,
        threshold: f64::MIN,
        threshold_high: Some(f64::MAX),
        clear_threshold: Some(5e-324),
    };
    let details = RuleDetails {
        name: label(&"ﷺ".repeat(100)),
        target: Target::Kind(label(&"🛠".repeat(100))),
        condition: Condition::Threshold(threshold),
        wait: LONGEST_WAIT,
        severity: Severity::Critical,
        enabled: false,
        latch: true,
    };
    round_trips(&database, details).await;
}

pub async fn every_kind_of_condition_round_trips(database: Database) {
    let of = |condition| RuleDetails { condition, ..some_rule("rule") };
    for operator in Operator::ALL {
        for clear_threshold in [None, Some(-0.5)] {
            let Condition::Threshold(threshold) = too_hot("t") else { unreachable!() };
            let threshold_high = (*operator == Operator::Outside).then_some(90.0);
            let threshold = Threshold { operator: *operator, threshold_high, clear_threshold, ..threshold };
            round_trips(&database, of(Condition::Threshold(threshold))).await;
        }
    }
    for number in EXTREMES {
        let Condition::Threshold(threshold) = too_hot("t") else { unreachable!() };
        let extreme = Threshold { threshold: number, clear_threshold: Some(number), ..threshold };
        round_trips(&database, of(Condition::Threshold(extreme))).await;
    }
    for metric in [None, Some(metric("t"))] {
        let no_data = RuleDetails { wait: Duration::from_secs(1), ..of(Condition::NoData(metric)) };
        round_trips(&database, no_data).await;
    }
}

pub async fn every_kind_of_target_round_trips(database: Database) {
    let press = database.piece("press").await;
    for target in [Target::All, Target::Kind(label("Robot")), Target::Equipment(press)] {
        round_trips(&database, RuleDetails { target, ..some_rule("rule") }).await;
    }
    for severity in Severity::ALL {
        round_trips(&database, RuleDetails { severity: *severity, ..some_rule("rule") }).await;
    }
}

pub async fn a_rule_about_a_metric_that_nobody_reported_yet_is_stored(database: Database) {
    database.make_rule("hot").await;
    assert_eq!(database.metric(&metric("temperature")).await, None);
}

pub async fn an_unknown_rule_is_not_found_anywhere(database: Database) {
    assert_eq!(database.rule(no_rule()).await, None);
    assert!(!database.within(async |unit| unit.rules().delete(no_rule(), at(9)).await.unwrap()).await);
    let held = database.within(async |unit| unit.alerts().lock_unresolved_of(no_rule()).await.unwrap());
    assert!(held.await.is_empty());
}

pub async fn a_rule_for_equipment_that_is_gone_dangles(database: Database) {
    let for_nothing = RuleDetails { target: Target::Equipment(no_piece()), ..some_rule("hot") };
    let new = a_rule_of(for_nothing.clone());
    let refusal = database.refusal(async |unit| unit.rules().insert(&new).await).await;
    assert_dangling(refusal, Reference::Equipment);

    let rule = database.make_rule("hot").await;
    let changed = Rule { details: for_nothing, ..rule.clone() };
    let refusal = database.refusal(async |unit| unit.rules().save(&changed).await).await;
    assert_dangling(refusal, Reference::Equipment);
    assert_eq!(database.rule(rule.id).await, Some(rule));
}

pub async fn a_rule_may_be_for_a_hidden_piece(database: Database) {
    let press = database.piece("press").await;
    database.hide(press).await;
    let details = RuleDetails { target: Target::Equipment(press), ..some_rule("hot") };
    let rule = database.insert_rule(&a_rule_of(details)).await;
    assert_eq!(database.rule(rule.id).await, Some(rule));
}

pub async fn saving_a_rule_writes_the_details_and_counts_from_the_stored_version(database: Database) {
    let rule = database.make_rule("hot").await;
    let other = database.make_rule("other").await;
    let second = database.save_rule(&rule).await;
    let renamed = RuleDetails { name: label("cold"), severity: Severity::Critical, ..some_rule("hot") };
    let stale = Rule { details: renamed.clone(), created_at: at(99), updated_at: at(9), ..rule.clone() };
    let third = database.save_rule(&stale).await;
    let expected = Rule { details: renamed, version: second.version.next(), updated_at: at(9), ..rule };
    assert_eq!(third, expected);
    assert_eq!(database.rule(expected.id).await, Some(expected));
    assert_eq!(database.rule(other.id).await, Some(other));
}

pub async fn a_rule_is_of_the_version_since_which_it_judges_as_it_does(database: Database) {
    let rule = database.make_rule("hot").await;
    let version = |number| Version::new(number).unwrap();
    let mut stored = rule.clone();
    for (in_force_since, in_force_version) in [
        (at(0), version(1)),
        (at(7), version(3)),
        (at(7), version(3)),
        (at(3), version(5)), // earlier is another instant as well
        (at(0), version(6)),
        (at(0), version(6)),
    ] {
        // What the caller believes about versions counts for nothing.
        let believed = Rule { in_force_version: version(99), version: version(50), ..stored.clone() };
        let saved = database.save_rule(&Rule { in_force_since, ..believed.clone() }).await;
        let expected = Rule { in_force_since, in_force_version, version: stored.version.next(), ..stored };
        assert_eq!(saved, expected);
        assert_eq!(database.rule(rule.id).await.as_ref(), Some(&saved));
        stored = saved;
    }
}

pub async fn saving_a_rule_that_is_gone_dangles(database: Database) {
    let rule = database.make_rule("hot").await;
    assert!(delete(&database, &rule).await);
    let refusal = database.refusal(async |unit| unit.rules().save(&rule).await).await;
    assert_dangling(refusal, Reference::Rule);
}

pub async fn alerts_outlive_their_rule_and_name_it_no_more_which_is_a_change_of_them(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let rule = database.make_rule("hot").await;
    let other = database.make_rule("other").await;
    let open = database.raise(&an_alert_by(&rule, press)).await;
    let ended = database.raise_ended(&an_alert_by(&rule, robot), at(1)).await;
    let of_other = database.raise(&an_alert_by(&other, press)).await;

    assert!(delete(&database, &rule).await);

    assert_eq!(database.rule(rule.id).await, None);
    for alert in [open, ended] {
        let stored = database.alert(alert.id).await.unwrap();
        let what = NewAlert { raised_by: None, ..alert.what.clone() };
        assert_eq!(stored, Alert { what, version: alert.version.next(), updated_at: at(9), ..alert });
    }
    assert_eq!(database.alert(of_other.id).await, Some(of_other));
    assert!(!delete(&database, &rule).await);
    assert_eq!(database.rule(other.id).await, Some(other));
}

async fn in_force(database: &Database, known: Option<i64>) -> Option<RulesInForce> {
    database.within(async |unit| unit.rules().in_force(known).await.unwrap()).await
}

pub async fn no_rules_are_in_force_in_a_new_store(database: Database) {
    let rules = in_force(&database, None).await.unwrap();
    assert!(rules.rules.is_empty());
    assert_eq!(in_force(&database, Some(rules.generation)).await, None);
}

pub async fn the_rules_in_force_are_the_enabled_ones_by_id(database: Database) {
    let mut enabled = Vec::new();
    for (name, is_enabled) in [("z", true), ("off", false), ("a", true), ("m", true)] {
        let details = RuleDetails { enabled: is_enabled, ..some_rule(name) };
        let rule = database.insert_rule(&a_rule_of(details)).await;
        if is_enabled {
            enabled.push(rule);
        }
    }
    // Whoever writes a rule again does not move it.
    enabled[0] = database.save_rule(&Rule { in_force_since: at(9), ..enabled[0].clone() }).await;
    assert_eq!(in_force(&database, None).await.unwrap().rules, enabled);
}

pub async fn every_change_under_the_lock_makes_a_generation_that_nobody_knew(database: Database) {
    let mut known = vec![in_force(&database, None).await.unwrap().generation];
    let mut rules = Vec::new();
    for name in ["a", "b", "c"] {
        let rule = database
            .within(async |unit| {
                unit.rules().lock().await.unwrap();
                unit.rules().insert(&a_rule(name)).await.unwrap()
            })
            .await;
        rules.push(rule);
        for generation in &known {
            assert_eq!(in_force(&database, Some(*generation)).await.unwrap().rules, rules);
        }
        let newest = in_force(&database, None).await.unwrap().generation;
        assert!(!known.contains(&newest));
        assert_eq!(in_force(&database, Some(newest)).await, None);
        known.push(newest);
    }
}

pub async fn who_changes_rules_sees_the_change_in_the_same_unit(database: Database) {
    let known = in_force(&database, None).await.unwrap().generation;
    let mut unit = database.begin().await;
    unit.rules().lock().await.unwrap();
    let rule = unit.rules().insert(&a_rule("hot")).await.unwrap();
    let news = unit.rules().in_force(Some(known)).await.unwrap().unwrap();
    assert_eq!(news.rules, [rule]);
    unit.rollback().await;
    assert!(in_force(&database, None).await.unwrap().rules.is_empty());
}

pub async fn a_unit_that_changes_rules_waits_for_those_that_judge_by_them(database: Database) {
    let mut judging = database.begin().await;
    judging.rules().in_force(None).await.unwrap();
    let mut changing = database.meanwhile(async |mut unit| {
        unit.rules().lock().await.unwrap();
        unit.rules().insert(&a_rule("hot")).await.unwrap();
        unit.commit().await.unwrap();
    });
    changing.waits().await;
    // Whoever holds the rules may ask for them again.
    assert!(judging.rules().in_force(None).await.unwrap().unwrap().rules.is_empty());
    judging.commit().await.unwrap();
    changing.outcome().await;
}

pub async fn a_unit_that_judges_waits_for_who_changes_the_rules_and_sees_the_change(database: Database) {
    let known = in_force(&database, None).await.unwrap().generation;
    let mut changing = database.begin().await;
    changing.rules().lock().await.unwrap();
    let rule = changing.rules().insert(&a_rule("hot")).await.unwrap();
    let mut judging =
        database.meanwhile(async move |mut unit| unit.rules().in_force(Some(known)).await.unwrap());
    judging.waits().await;
    changing.commit().await.unwrap();
    assert_eq!(judging.outcome().await.unwrap().rules, [rule]);
}

pub async fn a_dropped_unit_frees_the_rules_that_it_held(database: Database) {
    let known = in_force(&database, None).await.unwrap();
    let mut changing = database.begin().await;
    changing.rules().lock().await.unwrap();
    changing.rules().insert(&a_rule("hot")).await.unwrap();
    let mut judging = database.meanwhile(async |mut unit| unit.rules().in_force(None).await.unwrap());
    judging.waits().await;
    drop(changing);
    assert_eq!(judging.outcome().await.unwrap().rules, known.rules);
}

pub async fn many_units_judge_while_others_change_the_rules(database: Database) {
    let judging: Vec<_> = (0..20)
        .map(|number| {
            database.meanwhile(async move |mut unit| {
                if number % 5 == 0 {
                    unit.rules().lock().await?;
                    unit.rules().insert(&a_rule("hot")).await?;
                } else {
                    unit.rules().in_force(None).await?;
                }
                unit.commit().await
            })
        })
        .collect();
    for unit in judging {
        unit.outcome().await.unwrap();
    }
    assert_eq!(in_force(&database, None).await.unwrap().rules.len(), 4);
}

pub async fn a_piece_purged_in_an_open_unit_gets_no_rule_meanwhile(database: Database) {
    let press = database.piece("press").await;
    let mut first = database.begin().await;
    assert!(first.equipment().delete(press, at(1)).await.unwrap());
    let details = RuleDetails { target: Target::Equipment(press), ..some_rule("hot") };
    let mut making = database.meanwhile(async move |mut unit| unit.rules().insert(&a_rule_of(details)).await);
    making.waits().await;
    first.commit().await.unwrap();
    assert_dangling(refused(making.outcome().await), Reference::Equipment);
}
