//! Promises about answers to requests that asked to be done once.

use crate::Database;
use crate::builders::{a_digest, an_answer, at};
use crate::database::{Meanwhile, refused};
use domain::idempotency::{Claim, Remembered};
use domain::ports::{StoreError, Unique};

async fn remember(database: &Database, answer: &Remembered) {
    database.within(async |unit| unit.idempotency().remember(answer).await.unwrap()).await;
}

async fn found(database: &Database, scope: u8) -> Option<Remembered> {
    database.reader().await.idempotency().find(&a_digest(scope)).await.unwrap()
}

fn names_the_key(refusal: &StoreError) -> bool {
    matches!(refusal, StoreError::Conflict(Unique::IdempotencyKey))
}

pub async fn every_byte_of_an_answer_round_trips(database: Database) {
    let every_byte: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let scope = std::array::from_fn(|place| if place % 2 == 0 { 0 } else { 255 });
    let answer = Remembered {
        claim: Claim { scope, fingerprint: a_digest(0) },
        answer: every_byte,
        created_at: at(5),
    };
    remember(&database, &answer).await;
    let found = database.reader().await.idempotency().find(&scope).await.unwrap();
    assert_eq!(found, Some(answer));
}

pub async fn an_answer_may_be_empty(database: Database) {
    let empty = Remembered { answer: Vec::new(), ..an_answer(1) };
    remember(&database, &empty).await;
    assert_eq!(found(&database, 1).await, Some(empty));
}

pub async fn what_was_never_asked_has_no_answer(database: Database) {
    remember(&database, &an_answer(1)).await;
    assert_eq!(found(&database, 2).await, None);
}

pub async fn the_same_answer_twice_is_stored_once(database: Database) {
    remember(&database, &an_answer(1)).await;
    let refusal = database.refusal(async |unit| unit.idempotency().remember(&an_answer(1)).await).await;
    assert!(names_the_key(&refusal), "{refusal:?}");
    let forgotten = database.within(async |unit| unit.idempotency().forget(at(1), 9).await.unwrap()).await;
    assert_eq!(forgotten, 1);
}

pub async fn a_second_answer_does_not_replace_the_first(database: Database) {
    remember(&database, &an_answer(1)).await;
    let second = Remembered { answer: b"another".to_vec(), created_at: at(9), ..an_answer(1) };
    let refusal = database.refusal(async |unit| unit.idempotency().remember(&second).await).await;
    assert!(names_the_key(&refusal), "{refusal:?}");
    assert_eq!(found(&database, 1).await, Some(an_answer(1)));
}

/// Remembers another answer under the same scope, meanwhile; says how it ended.
fn a_rival(database: &Database) -> Meanwhile<Result<(), StoreError>> {
    database.meanwhile(async |mut unit| {
        let rival = Remembered { answer: b"rival".to_vec(), ..an_answer(1) };
        unit.idempotency().remember(&rival).await?;
        unit.commit().await
    })
}

pub async fn of_two_answers_at_the_same_moment_the_later_waits_and_is_refused(database: Database) {
    let mut first = database.begin().await;
    first.idempotency().remember(&an_answer(1)).await.unwrap();
    let mut rival = a_rival(&database);
    rival.waits().await;
    first.commit().await.unwrap();
    let refusal = refused(rival.outcome().await);
    assert!(names_the_key(&refusal), "{refusal:?}");
    assert_eq!(found(&database, 1).await, Some(an_answer(1)));
}

pub async fn of_two_answers_at_the_same_moment_the_later_is_kept_if_the_earlier_was_undone(
    database: Database,
) {
    let mut first = database.begin().await;
    first.idempotency().remember(&an_answer(1)).await.unwrap();
    let mut rival = a_rival(&database);
    rival.waits().await;
    first.rollback().await;
    rival.outcome().await.unwrap();
    assert_eq!(found(&database, 1).await.unwrap().answer, b"rival");
}

pub async fn answers_given_before_an_instant_are_forgotten_and_no_others(database: Database) {
    for (scope, seconds) in [(1, 1), (2, 2), (3, 3), (4, 1), (5, 1)] {
        let answer = Remembered { created_at: at(seconds), ..an_answer(scope) };
        remember(&database, &answer).await;
    }
    let forget =
        async || database.within(async |unit| unit.idempotency().forget(at(2), 2).await.unwrap()).await;
    assert_eq!(forget().await, 2);
    assert_eq!(forget().await, 1);
    assert_eq!(forget().await, 0);
    assert_eq!(found(&database, 1).await, None);
    assert!(found(&database, 2).await.is_some() && found(&database, 3).await.is_some());
    remember(&database, &an_answer(1)).await;
}
