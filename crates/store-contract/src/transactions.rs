//! Promises about units of work: all of it or nothing, seen when it is committed and not before.

use crate::Database;
use crate::builders::{
    a_digest, a_line, a_piece, a_reading, a_role, a_rule, a_session, a_signing_key, a_user, an_alert_by,
    an_answer, an_api_key, an_event, at, login, some_maintenance,
};
use crate::database::report_in;
use domain::alerts::AlertQuery;
use domain::audit::EventQuery;
use domain::equipment::EquipmentQuery;
use domain::id::UserId;
use domain::maintenance::MaintenanceQuery;
use domain::page::{Direction, PageRequest, Seek};
use domain::ports::{Repos, StoreError, UnitOfWork};
use domain::roles::RoleQuery;
use domain::rules::RuleQuery;
use domain::telemetry::{MetricQuery, ReadingFilter};
use domain::users::UserQuery;
use futures_util::future::join_all;

/// One of everything, hanging on Anna.
async fn write_one_of_everything(unit: &mut dyn UnitOfWork) -> UserId {
    let anna = unit.users().insert(&a_user("anna")).await.unwrap().id;
    let role = unit.roles().insert(&a_role("EDITOR")).await.unwrap().id;
    unit.roles().assign(anna, role).await.unwrap();
    unit.sessions().insert(&a_session(anna)).await.unwrap();
    unit.api_keys().insert(&an_api_key(anna, "press", 1)).await.unwrap();
    unit.idempotency().remember(&an_answer(1)).await.unwrap();
    unit.signing_keys().insert(&a_signing_key("key", at(0))).await.unwrap();
    unit.trail().record(&an_event("anna")).await.unwrap();
    write_one_of_everything_of_the_plant(unit).await;
    anna
}

async fn write_one_of_everything_of_the_plant(unit: &mut dyn UnitOfWork) {
    let rule = unit.rules().insert(&a_rule("hot")).await.unwrap();
    let press = unit.equipment().insert(&a_piece("press")).await.unwrap().id;
    unit.maintenance().insert(&some_maintenance(press)).await.unwrap();
    report_in(unit, &[a_reading(press, 1)]).await;
    let alert = unit.alerts().insert(&an_alert_by(&rule, press), None).await.unwrap().id;
    unit.alerts().note(&[a_line(alert, "x")]).await.unwrap();
}

/// How many users, roles, roles given, sessions, keys, answers, signing keys and events there are to be seen, and of the
/// plant pieces, entries, readings, heads that moved, metrics, rules, alerts and lines.
async fn seen(repos: &mut dyn Repos, anna: UserId) -> [u64; 16] {
    let everything = EventQuery {
        filter: Default::default(),
        direction: Direction::Ascending,
        seek: Seek::Start,
        limit: 10,
    };
    let whole = PageRequest::default();
    let [pieces, entries, readings, heads, metrics, rules, alerts, lines] = seen_of_the_plant(repos).await;
    [
        repos.users().list(&UserQuery::default()).await.unwrap().total,
        repos.roles().list(&RoleQuery::default()).await.unwrap().total,
        repos.roles().of_user(anna).await.unwrap().len() as u64,
        repos.sessions().list(anna, at(0), &[], whole).await.unwrap().total,
        repos.api_keys().list(anna, &[], whole).await.unwrap().total,
        u64::from(repos.idempotency().find(&a_digest(1)).await.unwrap().is_some()),
        repos.signing_keys().list().await.unwrap().len() as u64,
        repos.trail().read(&everything).await.unwrap().items.len() as u64,
        pieces,
        entries,
        readings,
        heads,
        metrics,
        rules,
        alerts,
        lines,
    ]
}

async fn seen_of_the_plant(repos: &mut dyn Repos) -> [u64; 8] {
    let pieces = repos.equipment().list(&EquipmentQuery::default()).await.unwrap().items;
    let alerts = repos.alerts().list(&AlertQuery::default()).await.unwrap().items;
    let (mut entries, mut heads, mut lines) = (0, 0, 0);
    for piece in &pieces {
        let log = MaintenanceQuery { equipment: piece.id, page: PageRequest::default() };
        entries += repos.maintenance().list(&log).await.unwrap().total;
        let head = repos.readings().heads(&[piece.id]).await.unwrap().pop().unwrap();
        heads += u64::from(head.last_seen_at.is_some());
    }
    for alert in &alerts {
        lines += repos.alerts().timeline(alert.id).await.unwrap().len() as u64;
    }
    let readings =
        repos.readings().scan(&ReadingFilter::default(), Direction::Ascending, None, 10).await.unwrap();
    [
        pieces.len() as u64,
        entries,
        readings.len() as u64,
        heads,
        repos.metrics().list(&MetricQuery::default()).await.unwrap().total,
        repos.rules().list(&RuleQuery::default()).await.unwrap().total,
        alerts.len() as u64,
        lines,
    ]
}

const NOTHING: [u64; 16] = [0; 16];
const ONE_OF_EVERYTHING: [u64; 16] = [1; 16];

/// The trail takes in what the unit recorded when it commits.
const WITHOUT_THE_EVENT: [u64; 16] = [1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1];

/// How many connections are lent; nothing where nobody counts them.
fn lent(database: &Database) -> Option<usize> {
    let pools = database.store().pools();
    pools.iter().for_each(|pool| assert!(pool.in_use + pool.idle <= pool.most, "{pool:?}"));
    (!pools.is_empty()).then(|| pools.iter().map(|pool| pool.in_use).sum())
}

pub async fn a_connection_counts_as_in_use_until_its_unit_of_work_or_reader_ends(database: Database) {
    database.within(async |unit| unit.users().insert(&a_user("anna")).await.unwrap()).await;
    drop(database.reader().await);
    if lent(&database).is_none() {
        return;
    }
    assert_eq!(lent(&database), Some(0));
    let (unit, reader) = (database.begin().await, database.reader().await);
    assert_eq!(lent(&database), Some(2));
    unit.rollback().await;
    assert_eq!(lent(&database), Some(1));
    drop(reader);
    assert_eq!(lent(&database), Some(0));
}

pub async fn the_database_gives_a_sign_of_life(database: Database) {
    database.store().ping().await.unwrap();
}

pub async fn a_unit_sees_its_own_work(database: Database) {
    let mut unit = database.begin().await;
    let anna = write_one_of_everything(&mut *unit).await;
    assert_eq!(seen(&mut *unit, anna).await, WITHOUT_THE_EVENT);
    unit.rollback().await;
}

pub async fn committed_work_is_seen_by_the_next_reader_and_the_next_unit(database: Database) {
    let anna = database.within(write_one_of_everything).await;
    assert_eq!(seen(&mut *database.reader().await, anna).await, ONE_OF_EVERYTHING);
    assert_eq!(seen(&mut *database.begin().await, anna).await, ONE_OF_EVERYTHING);
}

pub async fn uncommitted_work_is_unseen_by_readers_who_do_not_wait_for_it(database: Database) {
    let mut unit = database.begin().await;
    let anna = write_one_of_everything(&mut *unit).await;
    assert_eq!(seen(&mut *database.reader().await, anna).await, NOTHING);
    unit.commit().await.unwrap();
    assert_eq!(seen(&mut *database.reader().await, anna).await, ONE_OF_EVERYTHING);
}

pub async fn uncommitted_changes_and_deletions_are_unseen_by_readers(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    let ben = database.insert_user(&a_user("ben")).await;
    let mut unit = database.begin().await;
    unit.users().touch(&[anna.id], at(9)).await.unwrap();
    unit.users().delete(ben.id).await.unwrap();
    assert_eq!(database.user(anna.id).await, Some(anna));
    assert_eq!(database.user(ben.id).await, Some(ben));
    unit.rollback().await;
}

pub async fn uncommitted_work_is_unseen_by_another_unit(database: Database) {
    let mut undone = database.begin().await;
    let anna = write_one_of_everything(&mut *undone).await;
    let other = database.meanwhile(async move |mut unit| seen(&mut *unit, anna).await);
    undone.rollback().await;
    assert_eq!(other.outcome().await, NOTHING);
}

pub async fn a_rollback_leaves_nothing(database: Database) {
    let mut undone = database.begin().await;
    let anna = write_one_of_everything(&mut *undone).await;
    undone.rollback().await;
    assert_eq!(seen(&mut *database.reader().await, anna).await, NOTHING);
    database.within(write_one_of_everything).await;
}

pub async fn a_dropped_unit_leaves_nothing(database: Database) {
    let mut dropped = database.begin().await;
    let anna = write_one_of_everything(&mut *dropped).await;
    drop(dropped);
    assert_eq!(seen(&mut *database.reader().await, anna).await, NOTHING);
    database.within(write_one_of_everything).await;
    assert_eq!(seen(&mut *database.reader().await, anna).await[0], 1);
}

pub async fn a_rollback_puts_back_what_was_changed_and_deleted(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    let ben = database.insert_user(&a_user("ben")).await;
    let mut unit = database.begin().await;
    unit.users().touch(&[anna.id], at(9)).await.unwrap();
    unit.users().delete(ben.id).await.unwrap();
    unit.rollback().await;
    assert_eq!(database.user(anna.id).await, Some(anna));
    assert_eq!(database.user(ben.id).await, Some(ben));
}

pub async fn after_a_refused_statement_a_rollback_undoes_the_whole_unit(database: Database) {
    database.insert_user(&a_user("anna")).await;
    let mut unit = database.begin().await;
    let ben = unit.users().insert(&a_user("ben")).await.unwrap();
    let refused = unit.users().insert(&a_user("anna")).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");
    unit.rollback().await;
    assert_eq!(database.user(ben.id).await, None);
    database.insert_user(&a_user("ben")).await;
}

pub async fn after_a_refused_statement_a_drop_undoes_the_whole_unit(database: Database) {
    database.insert_user(&a_user("anna")).await;
    let mut unit = database.begin().await;
    let ben = unit.users().insert(&a_user("ben")).await.unwrap();
    assert!(unit.users().insert(&a_user("anna")).await.is_err());
    drop(unit);
    assert_eq!(database.user(ben.id).await, None);
    database.insert_user(&a_user("ben")).await;
}

pub async fn many_units_one_after_the_other_leave_nothing_behind(database: Database) {
    for round in 0..50 {
        let mut unit = database.begin().await;
        unit.users().insert(&a_user("anna")).await.unwrap();
        if round % 2 == 0 {
            unit.rollback().await;
        }
    }
    let found = database.reader().await.users().find_by_username(&login("anna")).await.unwrap();
    assert_eq!(found, None);
}

pub async fn many_readers_may_look_at_once(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await;
    let looking = (0..30).map(|_| database.user(anna.id));
    for found in join_all(looking).await {
        assert_eq!(found.as_ref(), Some(&anna));
    }
}
