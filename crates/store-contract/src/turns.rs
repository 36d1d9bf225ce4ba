//! Promises about locks: two units that want the same thing take turns, and the later sees what the earlier did.
//!
//! A database with a single writer keeps them by letting one unit be open at a time.

use crate::Database;
use crate::builders::{a_reading, a_role, a_session, a_user, a_webhook, an_alert_by, at, login, metric};
use crate::database::refused;
use domain::id::{AlertId, EquipmentId, RoleId, RuleId, SessionId, UserId, WebhookId};
use domain::ports::{StoreError, Unique, UnitOfWork};
use domain::sign_in::Counter;
use futures_util::future::BoxFuture;

const COUNTER: [u8; 32] = [9; 32];

/// Something that one unit of work at a time can hold.
#[derive(Clone, Copy, Debug)]
enum Lock {
    User(UserId),
    Role(RoleId),
    Session(SessionId),
    Counter,
    Mentorships,
    Administration,
    SigningKeys,
    Rules,
    Tree,
    Equipment(EquipmentId),
    Head(EquipmentId),
    Metric,
    Alert(AlertId),
    UnresolvedOf(RuleId),
    Webhook(WebhookId),
}

impl Lock {
    fn take(self, unit: &mut dyn UnitOfWork) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            match self {
                Lock::User(id) => unit.users().lock(id).await.map(drop),
                Lock::Role(id) => unit.roles().lock(id).await.map(drop),
                Lock::Session(id) => unit.sessions().lock(id).await.map(drop),
                Lock::Counter => unit.sign_ins().lock(&COUNTER, at(0)).await.map(drop),
                Lock::Mentorships => unit.mentorships().lock().await,
                Lock::Administration => unit.roles().lock_administration().await,
                Lock::SigningKeys => unit.signing_keys().lock().await,
                Lock::Rules => unit.rules().lock().await,
                Lock::Tree => unit.equipment().lock_tree().await,
                Lock::Equipment(id) => unit.equipment().lock(id).await.map(drop),
                Lock::Head(id) => unit.readings().lock_heads(&[id]).await.map(drop),
                Lock::Metric => unit.metrics().lock(&metric("temperature")).await.map(drop),
                Lock::Alert(id) => unit.alerts().lock(id).await.map(drop),
                Lock::Webhook(id) => unit.webhooks().lock(id).await.map(drop),
                Lock::UnresolvedOf(rule) => unit.alerts().lock_unresolved_of(rule).await.map(drop),
            }
        })
    }
}

/// One of each lock, on things that are there.
async fn locks(database: &Database) -> Vec<Lock> {
    let user = database.insert_user(&a_user("locked")).await.id;
    let role = database.insert_role(&a_role("LOCKED")).await.id;
    let session = database.insert_session(&a_session(user)).await.id;
    let (piece, rule, alert) = an_alert_on_a_piece_that_reports(database).await;
    vec![
        Lock::Mentorships,
        Lock::Administration,
        Lock::SigningKeys,
        Lock::User(user),
        Lock::Role(role),
        Lock::Session(session),
        Lock::Counter,
        Lock::Rules,
        Lock::Tree,
        Lock::Equipment(piece),
        Lock::Head(piece),
        Lock::Metric,
        Lock::Alert(alert),
        Lock::UnresolvedOf(rule),
        Lock::Webhook(a_stored_webhook(database).await),
    ]
}

async fn an_alert_on_a_piece_that_reports(database: &Database) -> (EquipmentId, RuleId, AlertId) {
    let piece = database.piece("locked").await;
    database.report(&[a_reading(piece, 1)]).await;
    let rule = database.make_rule("locked").await;
    let alert = database.raise(&an_alert_by(&rule, piece)).await;
    (piece, rule.id, alert.id)
}

async fn a_stored_webhook(database: &Database) -> WebhookId {
    database.within(async |unit| unit.webhooks().insert(&a_webhook("locked")).await.unwrap()).await.id
}

/// The first unit locks and writes; the second, begun meanwhile, gets the lock when the first ends and sees its writes.
async fn take_turns(database: &Database, lock: Lock) {
    let mut first = database.begin().await;
    lock.take(&mut *first).await.unwrap();
    let mut second = database.meanwhile(async move |mut unit| {
        lock.take(&mut *unit).await.unwrap();
        unit.users().find_by_username(&login("written-by-the-first")).await.unwrap()
    });
    second.waits().await;
    let written = first.users().insert(&a_user("written-by-the-first")).await.unwrap();
    first.commit().await.unwrap();
    assert_eq!(second.outcome().await, Some(written));
}

pub async fn units_that_lock_one_user_take_turns(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    take_turns(&database, Lock::User(anna)).await;
}

pub async fn units_that_lock_one_role_take_turns(database: Database) {
    let role = database.insert_role(&a_role("EDITOR")).await.id;
    take_turns(&database, Lock::Role(role)).await;
}

pub async fn units_that_lock_one_session_take_turns(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    let session = database.insert_session(&a_session(anna)).await.id;
    take_turns(&database, Lock::Session(session)).await;
}

pub async fn units_that_lock_one_counter_take_turns_also_when_neither_was_there(database: Database) {
    take_turns(&database, Lock::Counter).await;
}

pub async fn units_that_lock_a_stored_counter_take_turns(database: Database) {
    let failed = Counter::fresh(at(0)).failed(10, at(1));
    database.within(async |unit| unit.sign_ins().save(&COUNTER, &failed).await.unwrap()).await;
    take_turns(&database, Lock::Counter).await;
}

pub async fn units_that_lock_one_webhook_take_turns(database: Database) {
    let webhook = a_stored_webhook(&database).await;
    take_turns(&database, Lock::Webhook(webhook)).await;
}

pub async fn units_that_lock_the_mentorships_take_turns(database: Database) {
    take_turns(&database, Lock::Mentorships).await;
}

pub async fn units_that_lock_the_administration_take_turns(database: Database) {
    take_turns(&database, Lock::Administration).await;
}

pub async fn units_that_lock_the_signing_keys_take_turns(database: Database) {
    take_turns(&database, Lock::SigningKeys).await;
}

pub async fn units_that_lock_the_rules_take_turns(database: Database) {
    take_turns(&database, Lock::Rules).await;
}

pub async fn units_that_lock_the_tree_take_turns(database: Database) {
    take_turns(&database, Lock::Tree).await;
}

pub async fn units_that_lock_one_piece_take_turns(database: Database) {
    let press = database.piece("press").await;
    take_turns(&database, Lock::Equipment(press)).await;
}

pub async fn units_that_lock_one_head_take_turns(database: Database) {
    let press = database.piece("press").await;
    take_turns(&database, Lock::Head(press)).await;
}

pub async fn units_that_lock_one_metric_take_turns(database: Database) {
    an_alert_on_a_piece_that_reports(&database).await;
    take_turns(&database, Lock::Metric).await;
}

pub async fn units_that_lock_one_alert_take_turns(database: Database) {
    let (_, _, alert) = an_alert_on_a_piece_that_reports(&database).await;
    take_turns(&database, Lock::Alert(alert)).await;
}

pub async fn units_that_lock_the_unresolved_alerts_of_one_rule_take_turns(database: Database) {
    let (_, rule, _) = an_alert_on_a_piece_that_reports(&database).await;
    take_turns(&database, Lock::UnresolvedOf(rule)).await;
}

pub async fn a_lock_may_be_taken_twice_by_the_unit_that_holds_it(database: Database) {
    let locks = locks(&database).await;
    let mut unit = database.begin().await;
    for lock in locks.iter().chain(&locks) {
        lock.take(&mut *unit).await.unwrap();
    }
    unit.commit().await.unwrap();
}

pub async fn a_user_saved_in_an_open_unit_is_locked(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    let mut first = database.begin().await;
    let saved = first.users().save(&anna).await.unwrap();
    let mut locking = database.meanwhile(async move |mut unit| unit.users().lock(saved.id).await.unwrap());
    locking.waits().await;
    first.commit().await.unwrap();
    assert_eq!(locking.outcome().await.unwrap().version, anna.version.next());
}

/// All locks at once are free within moments.
async fn are_free(database: &Database, locks: &[Lock]) {
    let mut unit = database.begin().await;
    for lock in locks {
        lock.take(&mut *unit).await.unwrap();
    }
    unit.commit().await.unwrap();
}

pub async fn a_rollback_holds_no_lock(database: Database) {
    let locks = locks(&database).await;
    let mut unit = database.begin().await;
    for lock in &locks {
        lock.take(&mut *unit).await.unwrap();
    }
    unit.rollback().await;
    are_free(&database, &locks).await;
}

pub async fn a_dropped_unit_holds_no_lock(database: Database) {
    let locks = locks(&database).await;
    let mut unit = database.begin().await;
    for lock in &locks {
        lock.take(&mut *unit).await.unwrap();
    }
    drop(unit);
    are_free(&database, &locks).await;
}

pub async fn a_unit_abandoned_while_it_waits_holds_no_lock(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    let mut first = database.begin().await;
    first.users().lock(anna).await.unwrap();
    let mut waiting = database.meanwhile(async move |mut unit| {
        unit.users().insert(&a_user("ben")).await.unwrap();
        unit.users().lock(anna).await.unwrap();
    });
    waiting.waits().await;
    waiting.abandon().await;
    first.commit().await.unwrap();
    are_free(&database, &[Lock::User(anna)]).await;
    database.insert_user(&a_user("ben")).await;
}

pub async fn of_two_units_that_take_one_login_the_later_is_refused(database: Database) {
    let mut first = database.begin().await;
    first.users().insert(&a_user("anna")).await.unwrap();
    let mut rival = database.meanwhile(async |mut unit| unit.users().insert(&a_user("ANNA")).await);
    rival.waits().await;
    first.commit().await.unwrap();
    let refusal = refused(rival.outcome().await);
    assert!(matches!(refusal, StoreError::Conflict(Unique::Username)), "{refusal:?}");
}

pub async fn of_two_units_that_take_one_login_the_later_has_it_if_the_earlier_is_undone(database: Database) {
    let mut first = database.begin().await;
    first.users().insert(&a_user("anna")).await.unwrap();
    let mut rival = database.meanwhile(async |mut unit| {
        let rival = unit.users().insert(&a_user("ANNA")).await.unwrap();
        unit.commit().await.unwrap();
        rival
    });
    rival.waits().await;
    drop(first);
    let rival = rival.outcome().await;
    assert_eq!(database.user(rival.id).await, Some(rival));
}

pub async fn twenty_units_that_count_under_a_lock_lose_no_count(database: Database) {
    let counting: Vec<_> = (0..20)
        .map(|_| {
            database.meanwhile(async |mut unit| {
                let counter = unit.sign_ins().lock(&COUNTER, at(0)).await.unwrap();
                unit.sign_ins().save(&COUNTER, &counter.failed(10, at(0))).await.unwrap();
                unit.commit().await.unwrap();
            })
        })
        .collect();
    for unit in counting {
        unit.outcome().await;
    }
    let counter = database.within(async |unit| unit.sign_ins().lock(&COUNTER, at(0)).await.unwrap()).await;
    assert_eq!(counter.failures, 20);
}

pub async fn of_twenty_units_that_take_one_login_at_once_one_succeeds(database: Database) {
    let registering: Vec<_> = (0..20)
        .map(|_| {
            database.meanwhile(async |mut unit| {
                unit.users().insert(&a_user("anna")).await?;
                unit.commit().await
            })
        })
        .collect();
    let mut registered = 0;
    for attempt in registering {
        match attempt.outcome().await {
            Ok(()) => registered += 1,
            Err(refusal) => {
                assert!(matches!(refusal, StoreError::Conflict(Unique::Username)), "{refusal:?}");
            }
        }
    }
    assert_eq!(registered, 1);
}

pub async fn the_last_of_two_administrators_is_seen_to_be_the_last(database: Database) {
    let role = database.insert_role(&a_role("ADMIN")).await.id;
    let anna = database.insert_user(&a_user("anna")).await.id;
    let ben = database.insert_user(&a_user("ben")).await.id;
    for user in [anna, ben] {
        database.assign(user, role).await;
    }
    let mut first = database.begin().await;
    first.roles().lock_administration().await.unwrap();
    assert!(first.roles().unassign(anna, role).await.unwrap());
    let mut stepping_down = database.meanwhile(async move |mut unit| {
        unit.roles().lock_administration().await.unwrap();
        unit.roles().active_holders(role).await.unwrap()
    });
    stepping_down.waits().await;
    first.commit().await.unwrap();
    assert_eq!(stepping_down.outcome().await, [ben]);
}
