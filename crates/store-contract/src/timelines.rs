//! Promises about the timelines of alerts.

use crate::Database;
use crate::builders::{a_line, a_person, a_user, about, an_alert, at, no_alert};
use crate::database::{assert_dangling, refused};
use domain::alerts::{AlertChange, AlertEntry, AlertStatus, NewAlertEntry};
use domain::id::AlertId;
use domain::ports::Reference;
use domain::time::Timestamp;
use std::slice::from_ref;

async fn timeline(database: &Database, alert: AlertId) -> Vec<AlertEntry> {
    database.reader().await.alerts().timeline(alert).await.unwrap()
}

/// What was said on a timeline, in its order.
async fn told(database: &Database, alert: AlertId) -> Vec<String> {
    let lines = timeline(database, alert).await;
    assert!(lines.is_sorted_by(|one, next| one.id < next.id), "{lines:?}");
    lines.iter().map(|line| line.what.note.as_ref().unwrap().to_string()).collect()
}

async fn alert(database: &Database) -> AlertId {
    let press = database.piece("press").await;
    database.raise(&an_alert(press)).await.id
}

pub async fn every_field_of_a_line_round_trips_at_its_greatest_length(database: Database) {
    let alert = alert(&database).await;
    let anna = database.insert_user(&a_user("anna")).await.id;
    let line = NewAlertEntry {
        alert,
        at: Timestamp::MAX,
        change: AlertChange::Acknowledged,
        by: Some(a_person(&"ß🦊".repeat(32), Some(anna))),
        status: AlertStatus::Acknowledged,
        note: Some(about(&"🛠\n".repeat(500))),
    };
    let bare = NewAlertEntry { at: Timestamp::MIN, by: None, note: None, ..line.clone() };
    database.note(from_ref(&line)).await;
    assert_eq!(timeline(&database, alert).await.pop().unwrap().what, line);
    let other = self::alert(&database).await;
    let bare = NewAlertEntry { alert: other, ..bare };
    database.note(from_ref(&bare)).await;
    assert_eq!(timeline(&database, other).await.pop().unwrap().what, bare);
}

pub async fn every_change_and_every_status_of_a_line_round_trips(database: Database) {
    let alert = alert(&database).await;
    let statuses = AlertStatus::ALL.iter().cycle();
    let lines: Vec<NewAlertEntry> = AlertChange::ALL
        .iter()
        .zip(statuses)
        .map(|(change, status)| NewAlertEntry { change: *change, status: *status, ..a_line(alert, "") })
        .collect();
    database.note(&lines).await;
    let stored: Vec<NewAlertEntry> =
        timeline(&database, alert).await.into_iter().map(|line| line.what).collect();
    assert_eq!(stored, lines);
}

pub async fn a_timeline_tells_of_one_alert_oldest_first_and_of_one_instant_in_the_order_of_writing(
    database: Database,
) {
    let [one, other] = [alert(&database).await, alert(&database).await];
    assert!(told(&database, one).await.is_empty());
    database.note(&[a_line(one, "z"), a_line(other, "of the other"), a_line(one, "a")]).await;
    database.note(&[a_line(one, "m")]).await;
    database.note(&[NewAlertEntry { at: at(9), ..a_line(one, "later") }]).await;
    assert_eq!(told(&database, one).await, ["z", "a", "m", "later"]);
    assert_eq!(told(&database, other).await, ["of the other"]);
    assert!(told(&database, no_alert()).await.is_empty());
}

pub async fn a_line_about_an_alert_that_is_gone_dangles_and_takes_the_others_along(database: Database) {
    let alert = alert(&database).await;
    let lines = [a_line(alert, "x"), a_line(no_alert(), "y")];
    let refusal = database.refusal(async |unit| unit.alerts().note(&lines).await).await;
    assert_dangling(refusal, Reference::Alert);
    assert!(told(&database, alert).await.is_empty());
    database.note(&[]).await;
}

pub async fn many_lines_are_written_at_once_and_keep_their_order(database: Database) {
    let alerts = [alert(&database).await, alert(&database).await];
    let lines: Vec<NewAlertEntry> =
        (0..2000).map(|number| a_line(alerts[number % 2], &number.to_string())).collect();
    database.note(&lines).await;
    for (index, alert) in alerts.into_iter().enumerate() {
        let expected: Vec<String> = (index..2000).step_by(2).map(|number| number.to_string()).collect();
        assert_eq!(told(&database, alert).await, expected);
    }
}

pub async fn a_timeline_keeps_the_name_of_somebody_whose_account_is_gone(database: Database) {
    let alert = alert(&database).await;
    let anna = database.insert_user(&a_user("anna")).await.id;
    let by = Some(a_person("anna", Some(anna)));
    database.note(&[NewAlertEntry { by, ..a_line(alert, "x") }]).await;
    assert!(database.within(async |unit| unit.users().delete(anna).await.unwrap()).await);
    assert_eq!(timeline(&database, alert).await[0].what.by, Some(a_person("anna", None)));
}

pub async fn an_alert_deleted_in_an_open_unit_gets_no_line_meanwhile(database: Database) {
    let alert = alert(&database).await;
    let mut first = database.begin().await;
    assert!(first.alerts().delete(alert).await.unwrap());
    let mut noting =
        database.meanwhile(async move |mut unit| unit.alerts().note(&[a_line(alert, "x")]).await);
    noting.waits().await;
    first.commit().await.unwrap();
    assert_dangling(refused(noting.outcome().await), Reference::Alert);
}
