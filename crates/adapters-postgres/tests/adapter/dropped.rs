//! Units of work and readers whose caller went away.

use crate::observer::Observer;
use crate::{a_user, at, with_anna};
use domain::id::RoleId;
use domain::ports::Store;
use std::time::Duration;
use tokio::time::timeout;

/// Far less than the statement that the caller went away from would have taken.
const PROMPTLY: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_dropped_unit_holds_no_lock_and_its_connection_is_used_again() {
    let (store, anna, database) = with_anna(|_| {}).await;
    let observer = Observer::of(&database).await;
    for _ in 0..20 {
        let mut dropped = store.begin().await.unwrap();
        dropped.users().lock(anna.id).await.unwrap();
        dropped.mentorships().lock().await.unwrap();
        drop(dropped);
        let mut next = store.begin().await.unwrap();
        timeout(PROMPTLY, next.users().lock(anna.id)).await.unwrap().unwrap();
        timeout(PROMPTLY, next.mentorships().lock()).await.unwrap().unwrap();
    }
    observer.sees_nobody_at_work().await;
    observer.sees_sessions(1).await;
    assert_eq!(store.pool_status().size, 1);
}

#[tokio::test]
async fn a_unit_dropped_in_mid_statement_is_not_lent_again_and_soon_holds_no_lock() {
    let (store, anna, database) = with_anna(|settings| settings.max_connections = 4).await;
    let observer = Observer::of(&database).await;
    let mut holder = store.begin().await.unwrap();
    holder.users().lock(anna.id).await.unwrap();

    let mut waiting = store.begin().await.unwrap();
    waiting.mentorships().lock().await.unwrap();
    tokio::select! {
        outcome = waiting.users().lock(anna.id) => panic!("did not wait: {outcome:?}"),
        () = observer.sees_somebody_wait() => {}
    }
    drop(waiting);
    assert_eq!(store.pool_status().size, 1);

    // The server notices that its client is gone long before the lock is free.
    observer.sees_sessions(1).await;
    let mut next = store.begin().await.unwrap();
    timeout(PROMPTLY, next.mentorships().lock()).await.unwrap().unwrap();
    holder.rollback().await;
    timeout(PROMPTLY, next.users().lock(anna.id)).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_commit_dropped_half_way_is_never_lent_again() {
    let (store, _, database) = with_anna(|_| {}).await;
    let observer = Observer::of(&database).await;
    let mut unit = store.begin().await.unwrap();
    unit.users().insert(&a_user("ben")).await.unwrap();
    let mut commit = unit.commit();
    // Polled once: the server has it, the answer is on its way.
    assert!(futures_util::poll!(&mut commit).is_pending());
    drop(commit);
    assert_eq!(store.pool_status().size, 0);
    observer.sees_nobody_at_work().await;
    store.begin().await.unwrap().commit().await.unwrap();
}

#[tokio::test]
async fn a_reader_dropped_in_mid_query_keeps_nobody_waiting() {
    let (store, anna, database) = with_anna(|_| {}).await;
    let observer = Observer::of(&database).await;
    let holder = Observer::of(&database).await;
    holder.run("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await;
    let mut dropped = store.reader().await.unwrap();
    tokio::select! {
        outcome = dropped.users().find(anna.id) => panic!("did not wait: {outcome:?}"),
        () = observer.sees_somebody_wait() => {}
    }
    drop(dropped);
    // The only reader there may be: were it the same connection, it would first have to wait for the table.
    let mut next = store.reader().await.unwrap();
    let found = timeout(PROMPTLY, next.roles().find(RoleId::new(1).unwrap())).await.unwrap();
    assert_eq!(found.unwrap(), None);
    holder.run("ROLLBACK").await;
}

#[tokio::test]
async fn a_unit_dropped_outside_of_any_runtime_is_undone() {
    let (store, anna, database) = with_anna(|_| {}).await;
    let observer = Observer::of(&database).await;
    let mut unit = store.begin().await.unwrap();
    unit.users().touch(&[anna.id], at(9)).await.unwrap();
    std::thread::spawn(move || drop(unit)).join().unwrap();
    observer.sees_nobody_at_work().await;
    let mut reader = store.reader().await.unwrap();
    assert_eq!(reader.users().find(anna.id).await.unwrap(), Some(anna));
}
