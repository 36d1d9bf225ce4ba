//! Promises about alerts as rules see them: which ones judge, when they last ended, what becomes of them when their rule
//! goes.

use crate::Database;
use crate::builders::{a_person, about, acknowledged, an_alert, an_alert_by, at, no_piece, resolved};
use crate::database::{assert_dangling, refused};
use domain::alerts::{Act, Alert, NewAlert};
use domain::id::{AlertId, EquipmentId, RuleId};
use domain::ports::Reference;
use domain::rules::{Rule, RuleDetails, Target};
use domain::time::Timestamp;
use std::slice::from_ref;

async fn touching(database: &Database, pieces: &[(EquipmentId, Timestamp)]) -> Vec<AlertId> {
    let alerts = database.reader().await.alerts().touching(pieces).await.unwrap();
    alerts.into_iter().map(|alert| alert.id).collect()
}

pub async fn alerts_touch_what_happens_before_they_end_on_each_piece_from_its_own_instant(
    database: Database,
) {
    let [press, robot, other] =
        [database.piece("press").await, database.piece("robot").await, database.piece("other").await];
    let hot = database.make_rule("hot").await;
    let mut ids = Vec::new();
    for piece in [press, robot, other] {
        for second in [1, 2, 3] {
            ids.push(database.raise_ended(&an_alert_by(&hot, piece), at(second)).await.id);
        }
        ids.push(database.raise(&an_alert_by(&hot, piece)).await.id);
    }
    let of_press = |from: usize| ids[from..4].to_vec();
    let of_robot = |from: usize| ids[4 + from..8].to_vec();
    assert_eq!(touching(&database, &[(press, at(2))]).await, of_press(1));
    assert_eq!(touching(&database, &[(press, Timestamp::MAX)]).await, of_press(3));
    assert_eq!(touching(&database, &[(press, Timestamp::MIN)]).await, of_press(0));
    let both = [of_press(2), of_robot(1)].concat();
    assert_eq!(touching(&database, &[(robot, at(2)), (press, at(3)), (no_piece(), at(0))]).await, both);
    let both = [of_press(0), of_robot(3)].concat();
    assert_eq!(touching(&database, &[(press, at(1)), (robot, at(4))]).await, both);
    assert!(touching(&database, &[]).await.is_empty());
}

pub async fn alerts_that_no_rule_raised_touch_nothing(database: Database) {
    let press = database.piece("press").await;
    let hot = database.make_rule("hot").await;
    database.raise(&an_alert(press)).await;
    let orphaned = database.raise(&an_alert_by(&hot, press)).await;
    assert_eq!(touching(&database, &[(press, at(0))]).await, [orphaned.id]);
    assert!(database.within(async |unit| unit.rules().delete(hot.id, at(9)).await.unwrap()).await);
    assert!(touching(&database, &[(press, at(0))]).await.is_empty());
}

pub async fn touching_alerts_come_by_equipment_rule_instant_and_id(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let [hot, cold] = [database.make_rule("hot").await, database.make_rule("cold").await];
    let mut ids = Vec::new();
    for (piece, rule, second) in [
        (robot, &cold, 1),
        (press, &cold, 9),
        (press, &hot, 5),
        (press, &hot, 3),
        (robot, &hot, 9),
        (press, &hot, 5),
    ] {
        let new = NewAlert { at: at(second), ..an_alert_by(rule, piece) };
        ids.push(database.raise_ended(&new, at(10)).await.id);
    }
    let expected = [3, 2, 5, 1, 4, 0].map(|index| ids[index]);
    assert_eq!(touching(&database, &[(robot, at(0)), (press, at(0))]).await, expected);
}

pub async fn thousands_of_pieces_are_asked_at_once_for_the_alerts_that_touch_them(database: Database) {
    let press = database.piece("press").await;
    let hot = database.make_rule("hot").await;
    let alert = database.raise_ended(&an_alert_by(&hot, press), at(5)).await.id;
    let others = (1..10_000).filter_map(|number| EquipmentId::new(press.get() + number));
    let pieces: Vec<_> = others.chain([press]).zip(std::iter::repeat(at(5))).collect();
    assert_eq!(touching(&database, &pieces).await, [alert]);
}

pub async fn touching_alerts_are_whole(database: Database) {
    let press = database.piece("press").await;
    let alert = database.raise(&an_alert_by(&database.make_rule("hot").await, press)).await;
    let by = Some(a_person("guest", None));
    let changed = Alert {
        what: NewAlert { note: Some(about("x")), ..alert.what.clone() },
        acknowledged: Some(Act { by, at: at(1) }),
        ..resolved(&alert, 7)
    };
    database.save_alerts(from_ref(&changed)).await;
    let expected = Alert { version: alert.version.next(), ..changed };
    let found = database.reader().await.alerts().touching(&[(press, at(7))]).await.unwrap();
    assert_eq!(found, [expected]);
}

pub async fn when_a_rule_last_ended_on_a_piece_is_told_as_of_an_instant(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let [hot, cold] = [database.make_rule("hot").await, database.make_rule("cold").await];
    for (rule, piece, second) in [(&hot, press, 5), (&hot, press, 3), (&hot, robot, 6), (&cold, press, 7)] {
        database.raise_ended(&an_alert_by(rule, piece), at(second)).await;
    }
    database.raise(&an_alert_by(&hot, press)).await;
    let last = async |rule: RuleId, piece, before: Timestamp| {
        database.reader().await.alerts().last_resolved(rule, piece, before).await.unwrap()
    };
    for (before, expected) in [(9, Some(5)), (6, Some(5)), (5, Some(3)), (4, Some(3)), (3, None), (0, None)] {
        assert_eq!(last(hot.id, press, at(before)).await, expected.map(at), "{before}");
    }
    assert_eq!(last(hot.id, robot, Timestamp::MAX).await, Some(at(6)));
    assert_eq!(last(cold.id, press, Timestamp::MAX).await, Some(at(7)));
    assert_eq!(last(cold.id, robot, Timestamp::MAX).await, None);
}

pub async fn unresolved_alerts_of_a_rule_are_all_held_by_id_also_of_hidden_equipment(database: Database) {
    let [press, robot, hidden] =
        [database.piece("press").await, database.piece("robot").await, database.piece("hidden").await];
    let [hot, cold] = [database.make_rule("hot").await, database.make_rule("cold").await];
    let of_hidden = database.raise(&an_alert_by(&hot, hidden)).await;
    database.raise_ended(&an_alert_by(&hot, press), at(1)).await;
    let open = database.raise(&an_alert_by(&hot, robot)).await;
    let looked_after = database.raise(&an_alert_by(&hot, press)).await;
    database.raise(&an_alert_by(&cold, press)).await;
    let changed = acknowledged(&looked_after);
    database.save_alerts(from_ref(&changed)).await;
    let looked_after = Alert { version: changed.version.next(), ..changed };
    database.hide(hidden).await;
    let held = database.within(async |unit| unit.alerts().lock_unresolved_of(hot.id).await.unwrap()).await;
    assert_eq!(held, [of_hidden, open, looked_after]);
}

pub async fn a_rule_deleted_in_an_open_unit_raises_nothing_meanwhile(database: Database) {
    let press = database.piece("press").await;
    let hot = database.make_rule("hot").await;
    let mut first = database.begin().await;
    assert!(first.rules().delete(hot.id, at(9)).await.unwrap());
    let alert = an_alert_by(&hot, press);
    let mut raising = database.meanwhile(async move |mut unit| unit.alerts().insert(&alert, None).await);
    raising.waits().await;
    first.commit().await.unwrap();
    assert_dangling(refused(raising.outcome().await), Reference::Rule);
}

pub async fn a_rule_deleted_while_it_raises_an_alert_is_named_by_that_no_more(database: Database) {
    let press = database.piece("press").await;
    let hot = database.make_rule("hot").await;
    let mut first = database.begin().await;
    let alert = first.alerts().insert(&an_alert_by(&hot, press), None).await.unwrap();
    let mut deleting = database.meanwhile(async move |mut unit| {
        let deleted = unit.rules().delete(hot.id, at(9)).await.unwrap();
        unit.commit().await.unwrap();
        deleted
    });
    deleting.waits().await;
    first.commit().await.unwrap();
    assert!(deleting.outcome().await);
    let orphaned = database.alert(alert.id).await.unwrap();
    assert_eq!((orphaned.what.raised_by, orphaned.version), (None, alert.version.next()));
}

pub async fn alerts_on_others_change_when_a_piece_takes_its_rule_along(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let rule = database.make_rule("hot").await;
    let alert = database.raise(&an_alert_by(&rule, robot)).await;
    let details = RuleDetails { target: Target::Equipment(press), ..rule.details.clone() };
    let narrowed = Rule { details, ..rule };
    database.save_rule(&narrowed).await;
    assert!(database.purge(press).await);
    let what = NewAlert { raised_by: None, ..alert.what.clone() };
    let orphaned = Alert { what, version: alert.version.next(), updated_at: at(60), ..alert };
    assert_eq!(database.alert(alert.id).await, Some(orphaned));
}
