//! Promises about alerts, one at a time, and about which of them judge and judged. Lists are in `alert_lists`, timelines in
//! `timelines`.

use crate::Database;
use crate::builders::{
    EXTREMES, a_line, a_person, a_user, about, acknowledged, an_alert, an_alert_by, at, metric, no_alert,
    no_piece, no_rule, resolved,
};
use crate::database::{assert_dangling, assert_taken, refused};
use domain::alerts::{Act, Alert, AlertStatus, NewAlert, RaisedBy};
use domain::id::{AlertId, Version};
use domain::ports::{Reference, StoreError, Unique};
use domain::rules::{Rule, Severity};
use domain::time::Timestamp;
use std::slice::from_ref;

async fn refusal(database: &Database, alert: &NewAlert) -> StoreError {
    database.refusal(async |unit| unit.alerts().insert(alert, None).await).await
}

fn reopened(alert: &Alert) -> Alert {
    Alert { status: AlertStatus::Open, resolved: None, ..alert.clone() }
}

pub async fn a_new_alert_is_open_and_has_the_first_version(database: Database) {
    let press = database.piece("press").await;
    let new = NewAlert { created_at: at(5), ..an_alert(press) };
    let stored = database.raise(&new).await;
    let expected = Alert {
        id: stored.id,
        what: new,
        status: AlertStatus::Open,
        acknowledged: None,
        resolved: None,
        version: Version::FIRST,
        updated_at: at(5),
    };
    assert_eq!(stored, expected);
    assert_eq!(database.alert(stored.id).await, Some(expected));
}

pub async fn an_alert_that_ended_already_is_stored_resolved_by_itself(database: Database) {
    let press = database.piece("press").await;
    for ended_at in [Timestamp::MIN, at(7), Timestamp::MAX] {
        let stored = database.raise_ended(&an_alert(press), ended_at).await;
        let act = Act { by: None, at: ended_at };
        assert_eq!((stored.status, &stored.resolved), (AlertStatus::Resolved, &Some(act)));
        assert_eq!((stored.version, stored.updated_at), (Version::FIRST, at(0)));
        assert_eq!(database.alert(stored.id).await, Some(stored));
    }
}

pub async fn every_field_of_a_new_alert_round_trips_at_its_greatest_length(database: Database) {
    let press = database.piece("press").await;
    let rule = database.make_rule("hot").await;
    let rule = database.save_rule(&rule).await;
    let new = NewAlert {
        equipment: press,
        raised_by: Some(RaisedBy { rule: rule.id, version: rule.version }),
        metric: Some(metric(&"m".repeat(64))),
        severity: Severity::Critical,
        description: about(&"🛠\n".repeat(500)),
        began_at: Timestamp::MIN,
        at: Timestamp::from_micros(-1).unwrap(),
        value: Some(f64::MAX),
        last_seen_at: Timestamp::MAX,
        occurrences: i64::MAX as u64,
        note: Some(about(&"ß\t".repeat(500))),
        created_at: at(5),
    };
    let stored = database.raise(&new).await;
    assert_eq!(stored.what, new);
    assert_eq!(database.alert(stored.id).await, Some(stored));
}

pub async fn an_alert_may_lack_all_that_may_be_lacking(database: Database) {
    let press = database.piece("press").await;
    let bare = NewAlert { description: about(""), ..an_alert(press) };
    let stored = database.raise(&bare).await;
    assert_eq!((stored.what.raised_by, &stored.what.metric, stored.what.value), (None, &None, None));
    assert_eq!(database.alert(stored.id).await, Some(stored));
}

pub async fn every_severity_and_every_value_of_an_alert_round_trips(database: Database) {
    let press = database.piece("press").await;
    for (value, severity) in EXTREMES.into_iter().zip(Severity::ALL.iter().cycle()) {
        let new =
            NewAlert { value: Some(value), severity: *severity, note: Some(about("")), ..an_alert(press) };
        let id = database.raise(&new).await.id;
        let stored = database.alert(id).await.unwrap().what;
        assert_eq!(stored.value.map(f64::to_bits), Some(value.to_bits()));
        assert_eq!(stored, new);
    }
}

pub async fn an_unknown_alert_is_not_found_anywhere(database: Database) {
    let mut unit = database.begin().await;
    assert_eq!(unit.alerts().find(no_alert()).await.unwrap(), None);
    assert_eq!(unit.alerts().lock(no_alert()).await.unwrap(), None);
    assert!(!unit.alerts().delete(no_alert()).await.unwrap());
    assert!(unit.alerts().touching(&[(no_piece(), at(0))]).await.unwrap().is_empty());
    assert_eq!(unit.alerts().last_resolved(no_rule(), no_piece(), at(9)).await.unwrap(), None);
    unit.alerts().save_all(&[]).await.unwrap();
}

pub async fn an_alert_of_what_is_gone_dangles(database: Database) {
    let press = database.piece("press").await;
    assert_dangling(refusal(&database, &an_alert(no_piece())).await, Reference::Equipment);
    let raised_by = Some(RaisedBy { rule: no_rule(), version: Version::FIRST });
    let by_nothing = NewAlert { raised_by, ..an_alert(press) };
    assert_dangling(refusal(&database, &by_nothing).await, Reference::Rule);
}

pub async fn a_second_unresolved_alert_of_a_rule_on_a_piece_is_named(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let [hot, cold] = [database.make_rule("hot").await, database.make_rule("cold").await];
    let first = database.raise(&an_alert_by(&hot, press)).await;
    assert_taken(refusal(&database, &an_alert_by(&hot, press)).await, Unique::UnresolvedAlert);
    let looked_after = acknowledged(&first);
    database.save_alerts(from_ref(&looked_after)).await;
    let later_version = Rule { version: hot.version.next(), ..hot.clone() };
    assert_taken(refusal(&database, &an_alert_by(&later_version, press)).await, Unique::UnresolvedAlert);

    // Of another rule, on another piece, of no rule, or over already: all of these may be.
    database.raise(&an_alert_by(&cold, press)).await;
    database.raise(&an_alert_by(&hot, robot)).await;
    database.raise(&an_alert(press)).await;
    database.raise(&an_alert(press)).await;
    database.raise_ended(&an_alert_by(&hot, press), at(1)).await;

    database.save_alerts(&[resolved(&looked_after, 1)]).await;
    database.raise(&an_alert_by(&hot, press)).await;
    assert_taken(refusal(&database, &an_alert_by(&hot, press)).await, Unique::UnresolvedAlert);
}

pub async fn of_two_units_that_raise_one_alert_the_later_is_refused(database: Database) {
    let press = database.piece("press").await;
    let hot = database.make_rule("hot").await;
    let alert = an_alert_by(&hot, press);
    let mut first = database.begin().await;
    first.alerts().insert(&alert, None).await.unwrap();
    let mut rival = database.meanwhile(async move |mut unit| unit.alerts().insert(&alert, None).await);
    rival.waits().await;
    first.commit().await.unwrap();
    assert_taken(refused(rival.outcome().await), Unique::UnresolvedAlert);
}

pub async fn of_twenty_units_that_raise_one_alert_at_once_one_succeeds(database: Database) {
    let press = database.piece("press").await;
    let alert = an_alert_by(&database.make_rule("hot").await, press);
    let raising: Vec<_> = (0..20)
        .map(|_| {
            let alert = alert.clone();
            database.meanwhile(async move |mut unit| {
                unit.alerts().insert(&alert, None).await?;
                unit.commit().await
            })
        })
        .collect();
    let mut raised = 0;
    for attempt in raising {
        match attempt.outcome().await {
            Ok(()) => raised += 1,
            Err(refusal) => assert_taken(refusal, Unique::UnresolvedAlert),
        }
    }
    assert_eq!(raised, 1);
}

pub async fn saving_alerts_writes_every_field_that_may_change_and_raises_the_versions(database: Database) {
    let press = database.piece("press").await;
    let hot = database.make_rule("hot").await;
    let anna = database.insert_user(&a_user("anna")).await.id;
    let alert = database.raise(&an_alert_by(&hot, press)).await;
    let other = database.raise(&an_alert(press)).await;
    let beside = database.raise(&an_alert(press)).await;
    let what = NewAlert {
        metric: Some(metric("speed")),
        severity: Severity::Critical,
        description: about("smokes 🛠"),
        began_at: at(-9),
        at: at(-8),
        value: Some(-0.0),
        last_seen_at: at(99),
        occurrences: 7,
        note: Some(about("noted")),
        ..alert.what.clone()
    };
    let changed = Alert {
        what,
        status: AlertStatus::Resolved,
        acknowledged: Some(Act { by: Some(a_person(&"ß🦊".repeat(32), Some(anna))), at: at(1) }),
        resolved: Some(Act { by: Some(a_person("guest", None)), at: Timestamp::MAX }),
        updated_at: at(60),
        ..alert
    };
    let noted = Alert { what: NewAlert { note: Some(about("x")), ..other.what.clone() }, ..other };
    database.save_alerts(&[changed.clone(), noted.clone()]).await;
    for alert in [changed.clone(), noted] {
        let expected = Alert { version: alert.version.next(), ..alert };
        assert_eq!(database.alert(expected.id).await, Some(expected));
    }
    assert_eq!(database.alert(beside.id).await, Some(beside));

    let bare = NewAlert { metric: None, value: None, note: None, ..changed.what.clone() };
    let cleared = Alert { what: bare, acknowledged: None, ..reopened(&changed) };
    database.save_alerts(from_ref(&cleared)).await;
    let expected = Alert { version: cleared.version.next().next(), ..cleared };
    assert_eq!(database.alert(expected.id).await, Some(expected));
}

pub async fn who_acted_on_an_alert_may_have_no_account_and_what_ended_it_may_be_nobody(database: Database) {
    let press = database.piece("press").await;
    let mut alert = database.raise(&an_alert(press)).await;
    let anna = database.insert_user(&a_user("anna")).await.id;
    for (by, second) in
        [a_person("guest", None), a_person("anna", Some(anna)), a_person("", None)].into_iter().zip(1..)
    {
        let act = Act { by: Some(by), at: at(second) };
        let by_itself = Act { by: None, at: at(second) };
        for resolved in [None, Some(by_itself), Some(act.clone())] {
            let status = if resolved.is_some() { AlertStatus::Resolved } else { AlertStatus::Acknowledged };
            for acknowledged in [Some(act.clone()), None] {
                let status =
                    if acknowledged.is_none() && resolved.is_none() { AlertStatus::Open } else { status };
                let changed = Alert { status, acknowledged, resolved: resolved.clone(), ..alert };
                database.save_alerts(from_ref(&changed)).await;
                alert = Alert { version: changed.version.next(), ..changed };
                assert_eq!(database.alert(alert.id).await.as_ref(), Some(&alert));
            }
        }
    }
}

pub async fn saving_alerts_keeps_what_they_are_of_and_counts_from_the_stored_version(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let [hot, cold] = [database.make_rule("hot").await, database.make_rule("cold").await];
    let alert = database.raise(&an_alert_by(&hot, press)).await;
    database.save_alerts(from_ref(&alert)).await;
    let raised_by = Some(RaisedBy { rule: cold.id, version: cold.version });
    let moved = NewAlert { equipment: robot, raised_by, created_at: at(99), ..alert.what.clone() };
    database.save_alerts(&[Alert { what: moved, updated_at: at(9), ..alert.clone() }]).await;
    let expected = Alert { version: Version::new(3).unwrap(), updated_at: at(9), ..alert };
    assert_eq!(database.alert(expected.id).await, Some(expected));
}

pub async fn saving_an_alert_that_is_gone_dangles_and_takes_the_others_along(database: Database) {
    let press = database.piece("press").await;
    let alert = database.raise(&an_alert(press)).await;
    let gone = database.raise(&an_alert(press)).await;
    assert!(database.within(async |unit| unit.alerts().delete(gone.id).await.unwrap()).await);
    let both = [resolved(&alert, 1), resolved(&gone, 1)];
    assert_dangling(
        database.refusal(async |unit| unit.alerts().save_all(&both).await).await,
        Reference::Alert,
    );
    assert_eq!(database.alert(alert.id).await, Some(alert));
}

pub async fn one_call_may_swap_which_of_two_alerts_is_unresolved(database: Database) {
    let press = database.piece("press").await;
    let hot = database.make_rule("hot").await;
    let over = database.raise_ended(&an_alert_by(&hot, press), at(1)).await;
    let open = database.raise(&an_alert_by(&hot, press)).await;
    let statuses = async || {
        let status = async |alert: &Alert| database.alert(alert.id).await.unwrap().status;
        (status(&over).await, status(&open).await)
    };
    // In both orders of the call, with the smaller id on either side.
    database.save_alerts(&[reopened(&over), resolved(&open, 2)]).await;
    assert_eq!(statuses().await, (AlertStatus::Open, AlertStatus::Resolved));
    database.save_alerts(&[reopened(&open), resolved(&over, 3)]).await;
    assert_eq!(statuses().await, (AlertStatus::Resolved, AlertStatus::Open));
    database.save_alerts(&[resolved(&open, 4), reopened(&over)]).await;
    assert_eq!(statuses().await, (AlertStatus::Open, AlertStatus::Resolved));
    database.save_alerts(&[resolved(&over, 5), reopened(&open)]).await;
    assert_eq!(statuses().await, (AlertStatus::Resolved, AlertStatus::Open));
}

pub async fn saving_a_second_unresolved_alert_names_it(database: Database) {
    let press = database.piece("press").await;
    let hot = database.make_rule("hot").await;
    let over = database.raise_ended(&an_alert_by(&hot, press), at(1)).await;
    let open = database.raise(&an_alert_by(&hot, press)).await;
    for batch in [vec![reopened(&over)], vec![reopened(&over), reopened(&open)]] {
        let refusal = database.refusal(async |unit| unit.alerts().save_all(&batch).await).await;
        assert_taken(refusal, Unique::UnresolvedAlert);
    }
    assert_eq!(database.alert(over.id).await, Some(over));
}

pub async fn a_thousand_alerts_are_saved_at_once(database: Database) {
    let press = database.piece("press").await;
    let raised = database
        .within(async |unit| {
            let mut raised = Vec::new();
            for _ in 0..1000 {
                raised.push(unit.alerts().insert(&an_alert(press), None).await.unwrap());
            }
            raised
        })
        .await;
    let ended: Vec<Alert> = raised.iter().zip(0..).map(|(alert, second)| resolved(alert, second)).collect();
    database.save_alerts(&ended).await;
    for alert in ended.into_iter().step_by(333) {
        let expected = Alert { version: alert.version.next(), ..alert };
        assert_eq!(database.alert(expected.id).await, Some(expected));
    }
}

pub async fn alerts_of_hidden_equipment_are_not_found_until_that_is_restored(database: Database) {
    let press = database.piece("press").await;
    let alert = database.raise(&an_alert(press)).await;
    let locked = async || database.within(async |unit| unit.alerts().lock(alert.id).await.unwrap()).await;
    assert_eq!(locked().await.as_ref(), Some(&alert));
    database.hide(press).await;
    assert_eq!((database.alert(alert.id).await, locked().await), (None, None));
    database.restore(press).await;
    assert_eq!(locked().await.as_ref(), Some(&alert));
    assert_eq!(database.alert(alert.id).await, Some(alert));
}

pub async fn a_deleted_alert_takes_its_timeline_along_and_no_other(database: Database) {
    let press = database.piece("press").await;
    let hot = database.make_rule("hot").await;
    let alert = database.raise(&an_alert_by(&hot, press)).await;
    let other = database.raise(&an_alert(press)).await;
    database.note(&[a_line(alert.id, "x"), a_line(other.id, "y")]).await;
    let delete =
        async |id: AlertId| database.within(async |unit| unit.alerts().delete(id).await.unwrap()).await;
    assert!(delete(alert.id).await);
    assert!(!delete(alert.id).await);
    assert_eq!(database.alert(alert.id).await, None);
    let mut reader = database.reader().await;
    assert!(reader.alerts().timeline(alert.id).await.unwrap().is_empty());
    assert_eq!(reader.alerts().timeline(other.id).await.unwrap().len(), 1);
    assert_eq!(reader.alerts().find(other.id).await.unwrap(), Some(other));
    // Another of the same rule may be raised, under an id of its own.
    assert!(database.raise(&an_alert_by(&hot, press)).await.id > alert.id);
}

pub async fn an_alert_keeps_the_name_of_somebody_whose_account_is_gone(database: Database) {
    let press = database.piece("press").await;
    let anna = database.insert_user(&a_user("anna")).await.id;
    let ben = database.insert_user(&a_user("ben")).await.id;
    let alert = database.raise(&an_alert(press)).await;
    let by = |name, id| Some(Act { by: Some(a_person(name, id)), at: at(1) });
    let changed = Alert {
        acknowledged: by("anna", Some(anna)),
        resolved: by("ben", Some(ben)),
        status: AlertStatus::Resolved,
        ..alert
    };
    database.save_alerts(from_ref(&changed)).await;
    for (id, acknowledged, resolved) in
        [(anna, by("anna", None), by("ben", Some(ben))), (ben, by("anna", None), by("ben", None))]
    {
        assert!(database.within(async |unit| unit.users().delete(id).await.unwrap()).await);
        let stored = database.alert(changed.id).await.unwrap();
        assert_eq!((stored.acknowledged, stored.resolved), (acknowledged, resolved));
    }
}
