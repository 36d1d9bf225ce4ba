//! The promise that a reader only reads, port by port.

use crate::Database;
use crate::builders::{
    a_delivery, a_digest, a_line, a_piece, a_reading, a_role, a_rule, a_session, a_signing_key, a_user,
    a_webhook, an_alert, an_alert_by, an_answer, an_api_key, an_event, at, metric, news_of, some_maintenance,
};
use domain::ports::{Part, Repos, StoreError};
use domain::sign_in::Counter;
use domain::telemetry::kept::Thinned;
use domain::telemetry::rollup::{Digest, Grain};
use domain::time::Timestamp;
use domain::webhooks::Shape;
use std::slice::from_ref;

/// Each write gets a reader of its own: some databases take nothing more after a refusal.
async fn refuses<T>(database: &Database, write: impl AsyncFnOnce(&mut dyn Repos) -> Result<T, StoreError>) {
    let refusal = write(&mut *database.reader().await).await.err().expect("a reader wrote");
    assert!(matches!(refusal, StoreError::ReadOnly), "{refusal:?}");
}

pub async fn a_reader_writes_no_users(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    refuses(&database, async |reader| reader.users().insert(&a_user("ben")).await).await;
    refuses(&database, async |reader| reader.users().save(&anna).await).await;
    refuses(&database, async |reader| reader.users().touch(&[anna.id], at(1)).await).await;
    refuses(&database, async |reader| reader.users().delete(anna.id).await).await;
    assert_eq!(database.user(anna.id).await, Some(anna));
}

pub async fn a_reader_releases_no_mentees(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    refuses(&database, async |reader| reader.mentorships().release_all(anna.id, at(1)).await).await;
}

pub async fn a_reader_writes_no_roles(database: Database) {
    let role = database.insert_role(&a_role("EDITOR")).await;
    let anna = database.insert_user(&a_user("anna")).await.id;
    let ben = database.insert_user(&a_user("ben")).await.id;
    database.assign(anna, role.id).await;
    refuses(&database, async |reader| reader.roles().insert(&a_role("VIEWER")).await).await;
    refuses(&database, async |reader| reader.roles().save(&role).await).await;
    refuses(&database, async |reader| reader.roles().delete(role.id).await).await;
    refuses(&database, async |reader| reader.roles().assign(ben, role.id).await).await;
    refuses(&database, async |reader| reader.roles().unassign(anna, role.id).await).await;
    assert_eq!(database.reader().await.roles().holders(role.id).await.unwrap(), [anna]);
}

pub async fn a_reader_writes_no_sessions(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    let session = database.insert_session(&a_session(anna)).await.id;
    refuses(&database, async |reader| reader.sessions().insert(&a_session(anna)).await).await;
    refuses(&database, async |reader| reader.sessions().advance(session, 1, at(1), at(2)).await).await;
    refuses(&database, async |reader| reader.sessions().touch(session, at(1)).await).await;
    refuses(&database, async |reader| reader.sessions().prolong(session, at(1), at(2)).await).await;
    refuses(&database, async |reader| reader.sessions().end(anna, session).await).await;
    refuses(&database, async |reader| reader.sessions().end_all(anna, None).await).await;
    refuses(&database, async |reader| reader.sessions().forget_lapsed(at(9999), 9).await).await;
    assert!(database.reader().await.sessions().bearer(session).await.unwrap().is_some());
}

pub async fn a_reader_writes_no_keys(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    let key = database.insert_api_key(&an_api_key(anna, "press", 1)).await;
    refuses(&database, async |reader| reader.api_keys().insert(&an_api_key(anna, "b", 2)).await).await;
    refuses(&database, async |reader| reader.api_keys().touch(key.id, at(1)).await).await;
    refuses(&database, async |reader| reader.api_keys().delete(anna, key.id).await).await;
    assert_eq!(database.reader().await.api_keys().find(anna, key.id).await.unwrap(), Some(key));
}

pub async fn a_reader_counts_no_sign_ins(database: Database) {
    let counter = Counter::fresh(at(0));
    refuses(&database, async |reader| reader.sign_ins().save(&a_digest(1), &counter).await).await;
    refuses(&database, async |reader| reader.sign_ins().forget_quiet(at(1), 9).await).await;
}

pub async fn a_reader_remembers_no_answers(database: Database) {
    refuses(&database, async |reader| reader.idempotency().remember(&an_answer(1)).await).await;
    refuses(&database, async |reader| reader.idempotency().forget(at(1), 9).await).await;
}

pub async fn a_reader_writes_no_signing_keys(database: Database) {
    let key = a_signing_key("key", at(1));
    refuses(&database, async |reader| reader.signing_keys().insert(&key).await).await;
    refuses(&database, async |reader| reader.signing_keys().delete("key").await).await;
}

pub async fn a_reader_records_no_events(database: Database) {
    refuses(&database, async |reader| reader.trail().record(&an_event("x")).await).await;
}

pub async fn a_reader_writes_no_equipment(database: Database) {
    let press = database.register(&a_piece("press")).await;
    let id = press.id;
    refuses(&database, async |reader| reader.equipment().insert(&a_piece("robot")).await).await;
    refuses(&database, async |reader| reader.equipment().save(&press).await).await;
    refuses(&database, async |reader| reader.equipment().note_maintenance(id, at(1)).await).await;
    refuses(&database, async |reader| reader.equipment().delete(id, at(1)).await).await;
    refuses(&database, async |reader| reader.equipment().lock(id).await).await;
    refuses(&database, async |reader| reader.equipment().lock_tree().await).await;
    assert_eq!(database.equipment(id).await, Some(press));
}

pub async fn a_reader_enters_no_maintenance(database: Database) {
    let press = database.piece("press").await;
    let entry = database.enter(&some_maintenance(press)).await;
    refuses(&database, async |reader| reader.maintenance().insert(&entry.what).await).await;
    refuses(&database, async |reader| reader.maintenance().delete(press, entry.id).await).await;
    assert_eq!(database.reader().await.maintenance().find(press, entry.id).await.unwrap(), Some(entry));
}

pub async fn a_reader_writes_no_readings(database: Database) {
    let press = database.piece("press").await;
    let [stored, new] = [a_reading(press, 1), a_reading(press, 2)];
    database.report(from_ref(&stored)).await;
    let head = database.head(press).await.unwrap();
    refuses(&database, async |reader| reader.readings().insert(from_ref(&new)).await).await;
    refuses(&database, async |reader| reader.readings().replace(from_ref(&stored)).await).await;
    refuses(&database, async |reader| reader.readings().delete(&[stored.id]).await).await;
    refuses(&database, async |reader| reader.readings().delete_some_of(press, 1).await).await;
    refuses(&database, async |reader| reader.readings().delete_some_before(press, at(9), 1).await).await;
    refuses(&database, async |reader| reader.readings().make_room(at(0)).await).await;
    let part = Part("a part".to_owned());
    refuses(&database, async |reader| reader.readings().give_back(&part).await).await;
    refuses(&database, async |reader| reader.readings().pack(press, at(9), 1).await).await;
    refuses(&database, async |reader| reader.readings().drop_before(at(0)).await).await;
    refuses(&database, async |reader| reader.readings().lock_heads(&[press]).await).await;
    refuses(&database, async |reader| reader.readings().save_heads(from_ref(&head)).await).await;
    assert_eq!(database.reading(stored.id).await, Some(stored));
}

pub async fn a_reader_keeps_no_rollups(database: Database) {
    let press = database.piece("press").await;
    let digest = Digest::new(press, Grain::Day, Grain::Day.start_of(at(0)));
    database.within(async |unit| unit.rollups().keep(from_ref(&digest)).await.unwrap()).await;
    refuses(&database, async |reader| reader.rollups().lock_head(press).await).await;
    refuses(&database, async |reader| reader.rollups().keep(from_ref(&digest)).await).await;
    refuses(&database, async |reader| reader.rollups().outdate(&[(press, digest.at)]).await).await;
    refuses(&database, async |reader| reader.rollups().settle(press, &[digest.at]).await).await;
    refuses(&database, async |reader| reader.rollups().note_rolled(press, at(0)).await).await;
    refuses(&database, async |reader| reader.rollups().forget(Grain::Day, Timestamp::MAX, 1).await).await;
    let span = (Timestamp::MIN, Timestamp::MAX);
    let found = database.reader().await.rollups().find(press, Grain::Day, span, &[], 10).await.unwrap();
    assert_eq!(found, [digest]);
}

pub async fn a_reader_keeps_no_thinnings(database: Database) {
    let press = database.piece("press").await;
    let thinned = Thinned { by: "*".to_owned(), as_of: at(0), late_from: None };
    database.within(async |unit| unit.thinnings().keep(press, &thinned).await.unwrap()).await;
    let other = Thinned { as_of: at(1), ..thinned.clone() };
    refuses(&database, async |reader| reader.thinnings().keep(press, &other).await).await;
    refuses(&database, async |reader| reader.thinnings().note_late(&[(press, at(0))]).await).await;
    assert_eq!(database.reader().await.thinnings().find(press).await.unwrap(), Some(thinned));
}

pub async fn a_reader_describes_no_metrics(database: Database) {
    let press = database.piece("press").await;
    database.report(&[a_reading(press, 1)]).await;
    let stored = database.metric(&metric("temperature")).await.unwrap();
    refuses(&database, async |reader| reader.metrics().save(&stored).await).await;
    refuses(&database, async |reader| reader.metrics().lock(&stored.name).await).await;
}

pub async fn a_reader_writes_and_holds_no_rules(database: Database) {
    let rule = database.make_rule("hot").await;
    refuses(&database, async |reader| reader.rules().in_force(None).await).await;
    refuses(&database, async |reader| reader.rules().lock().await).await;
    refuses(&database, async |reader| reader.rules().insert(&a_rule("cold")).await).await;
    refuses(&database, async |reader| reader.rules().save(&rule).await).await;
    refuses(&database, async |reader| reader.rules().delete(rule.id, at(9)).await).await;
    assert_eq!(database.rule(rule.id).await, Some(rule));
}

pub async fn a_reader_writes_and_holds_no_alerts(database: Database) {
    let press = database.piece("press").await;
    let rule = database.make_rule("hot").await;
    let alert = database.raise(&an_alert_by(&rule, press)).await;
    let new = an_alert(press);
    refuses(&database, async |reader| reader.alerts().insert(&new, None).await).await;
    refuses(&database, async |reader| reader.alerts().save_all(from_ref(&alert)).await).await;
    refuses(&database, async |reader| reader.alerts().delete(alert.id).await).await;
    refuses(&database, async |reader| reader.alerts().note(&[a_line(alert.id, "x")]).await).await;
    refuses(&database, async |reader| reader.alerts().lock(alert.id).await).await;
    refuses(&database, async |reader| reader.alerts().lock_unresolved_of(rule.id).await).await;
    assert_eq!(database.alert(alert.id).await, Some(alert));
}

pub async fn a_reader_announces_and_forgets_nothing(database: Database) {
    let event = news_of(database.piece("press").await, 1);
    refuses(&database, async |reader| reader.live().announce(from_ref(&event), at(0)).await).await;
    refuses(&database, async |reader| reader.live().forget(at(1), 9).await).await;
}

pub async fn a_reader_writes_no_webhooks_and_no_deliveries(database: Database) {
    let new = a_webhook("hook");
    let hook = database.within(async |unit| unit.webhooks().insert(&new).await.unwrap()).await;
    let delivery = a_delivery(hook.id, 1);
    let put = database.within(async |unit| unit.deliveries().put(from_ref(&delivery)).await.unwrap()).await;
    refuses(&database, async |reader| reader.webhooks().insert(&new).await).await;
    refuses(&database, async |reader| reader.webhooks().lock(hook.id).await).await;
    refuses(&database, async |reader| reader.webhooks().save(&hook).await).await;
    refuses(&database, async |reader| reader.webhooks().delete(hook.id).await).await;
    refuses(&database, async |reader| reader.webhooks().take_repeats(Shape::Generic, at(1), at(2)).await)
        .await;
    refuses(&database, async |reader| reader.deliveries().put(from_ref(&delivery)).await).await;
    refuses(&database, async |reader| reader.deliveries().claim(hook.id, at(1), at(2), 1).await).await;
    refuses(&database, async |reader| reader.deliveries().renew(hook.id, put[0], at(2)).await).await;
    refuses(&database, async |reader| reader.deliveries().forget(at(2), 1).await).await;
    assert_eq!(database.webhook(hook.id).await, Some(hook));
}
