//! Promises about what is remembered of sign-ins.

use crate::Database;
use crate::builders::at;
use domain::sign_in::Counter;
use domain::time::Timestamp;

const ANNA: [u8; 32] = [1; 32];
const BEN: [u8; 32] = [2; 32];

async fn counter(database: &Database, key: &[u8; 32], now: Timestamp) -> Counter {
    database.within(async |unit| unit.sign_ins().lock(key, now).await.unwrap()).await
}

async fn save(database: &Database, key: &[u8; 32], counter: &Counter) {
    database.within(async |unit| unit.sign_ins().save(key, counter).await.unwrap()).await;
}

pub async fn a_key_never_seen_has_a_fresh_counter(database: Database) {
    assert_eq!(counter(&database, &ANNA, at(5)).await, Counter::fresh(at(5)));
}

pub async fn every_field_of_a_counter_round_trips(database: Database) {
    let least = Counter { failures: 0, pending: 0, window_started_at: Timestamp::MIN, last_at: at(1) };
    let most =
        Counter { failures: u32::MAX, pending: u32::MAX, window_started_at: at(1), last_at: Timestamp::MAX };
    for saved in [least, most] {
        save(&database, &ANNA, &saved).await;
        assert_eq!(counter(&database, &ANNA, at(99)).await, saved);
    }
}

pub async fn a_counter_may_be_saved_without_being_locked(database: Database) {
    let saved = Counter::fresh(at(1)).failed(10, at(2));
    save(&database, &BEN, &saved).await;
    assert_eq!(counter(&database, &BEN, at(99)).await, saved);
}

pub async fn a_counter_saved_again_replaces_the_one_before(database: Database) {
    let once = Counter::fresh(at(1)).failed(10, at(1));
    save(&database, &ANNA, &once).await;
    let twice = counter(&database, &ANNA, at(2)).await.failed(10, at(2));
    save(&database, &ANNA, &twice).await;
    assert_eq!(counter(&database, &ANNA, at(3)).await.failures, 2);
}

pub async fn counters_under_different_keys_are_apart(database: Database) {
    save(&database, &ANNA, &Counter::fresh(at(1)).failed(10, at(1))).await;
    assert_eq!(counter(&database, &BEN, at(2)).await.failures, 0);
}

pub async fn a_counter_whose_unit_was_rolled_back_is_as_before(database: Database) {
    let mut undone = database.begin().await;
    let failed = undone.sign_ins().lock(&ANNA, at(1)).await.unwrap().failed(10, at(1));
    undone.sign_ins().save(&ANNA, &failed).await.unwrap();
    undone.rollback().await;
    assert_eq!(counter(&database, &ANNA, at(2)).await, Counter::fresh(at(2)));
}

pub async fn quiet_counters_are_forgotten_and_no_others(database: Database) {
    let failed_at = |seconds| Counter::fresh(at(0)).failed(10, at(seconds));
    for (key, last) in [([1; 32], 1), ([2; 32], 2), ([3; 32], 3)] {
        save(&database, &key, &failed_at(last)).await;
    }
    let forget = async |before, most| {
        database.within(async |unit| unit.sign_ins().forget_quiet(before, most).await.unwrap()).await
    };
    assert_eq!(forget(at(2), 9).await, 1);
    assert_eq!(forget(at(2), 9).await, 0);
    assert_eq!(counter(&database, &[1; 32], at(9)).await, Counter::fresh(at(9)));
    assert_eq!(counter(&database, &[2; 32], at(9)).await, failed_at(2));
    assert_eq!(counter(&database, &[3; 32], at(9)).await, failed_at(3));
    for expected in [1, 1, 0] {
        assert_eq!(forget(at(9), 1).await, expected);
    }
}
