//! Promises about the chain as which the audit trail is written.

use crate::Database;
use crate::builders::{a_reading, a_user, an_event, at, login};
use domain::access::Actor;
use domain::app::audit::verify;
use domain::audit::chain::{Head, Walk};
use domain::audit::{EventFilter, EventQuery};
use domain::page::{Direction, Seek};
use domain::ports::{IntakeNeeds, Repos, TakenIn};
use futures_util::future::join_all;

async fn ids_and_labels(repos: &mut dyn Repos) -> Vec<(i64, String)> {
    let filter = EventFilter::default();
    let whole = EventQuery { filter, direction: Direction::Ascending, seek: Seek::Start, limit: 10_000 };
    let lines = repos.trail().read(&whole).await.unwrap().items;
    lines.into_iter().map(|line| (line.id.get(), line.what.subject.label)).collect()
}

/// The trail as it is to be seen, which must be whole, numbered from 1 without gaps.
async fn whole(database: &Database) -> Vec<String> {
    let by = Actor::system("the contract").grant().unwrap();
    let head = verify(database.store(), &by, None, |_, _| {}).await.unwrap().unwrap();
    let lines = ids_and_labels(&mut *database.reader().await).await;
    assert!(lines.iter().map(|(id, _)| *id).eq(1..=head.newest), "{lines:?}");
    assert_eq!(head.events, lines.len() as u64);
    lines.into_iter().map(|(_, label)| label).collect()
}

pub async fn a_trail_without_a_line_is_whole(database: Database) {
    assert_eq!(database.chain_head().await, Head::EMPTY);
    assert!(whole(&database).await.is_empty());
}

pub async fn what_a_unit_records_is_appended_in_order_by_its_commit_and_unseen_before(database: Database) {
    database.record(&an_event("a")).await;
    let mut unit = database.begin().await;
    for label in ["b", "c", "d"] {
        unit.trail().record(&an_event(label)).await.unwrap();
    }
    assert_eq!(ids_and_labels(&mut *unit).await, [(1, "a".to_owned())]);
    assert_eq!(whole(&database).await, ["a"]);
    unit.commit().await.unwrap();
    assert_eq!(whole(&database).await, ["a", "b", "c", "d"]);
}

pub async fn a_unit_that_is_undone_leaves_no_gap_in_the_trail(database: Database) {
    database.record(&an_event("a")).await;
    let mut undone = database.begin().await;
    undone.trail().record(&an_event("undone")).await.unwrap();
    undone.rollback().await;
    let mut dropped = database.begin().await;
    dropped.trail().record(&an_event("dropped")).await.unwrap();
    drop(dropped);
    let mut refused = database.begin().await;
    refused.trail().record(&an_event("refused")).await.unwrap();
    refused.users().insert(&a_user("anna")).await.unwrap();
    refused.users().insert(&a_user("anna")).await.unwrap_err();
    refused.commit().await.unwrap_err();
    database.record(&an_event("b")).await;
    assert_eq!(whole(&database).await, ["a", "b"]);
    let anna = database.reader().await.users().find_by_username(&login("anna")).await.unwrap();
    assert_eq!(anna, None);
}

pub async fn lines_come_with_their_seals_in_steps(database: Database) {
    for label in ["a", "b", "c", "d", "e"] {
        database.record(&an_event(label)).await;
    }
    let head = database.chain_head().await;
    let mut reader = database.reader().await;
    let (mut walk, mut after) = (Walk::expecting(None), None);
    for expected in [2, 2, 1, 0] {
        let lines = reader.trail().sealed(after, 2).await.unwrap();
        assert_eq!(lines.len(), expected);
        lines.iter().for_each(|line| walk.step(line, head).unwrap());
        after = lines.last().map(|line| line.id).or(after);
    }
    assert_eq!(walk.end(head), Ok(head));
}

pub async fn units_that_record_at_the_same_time_make_one_chain(database: Database) {
    let writers = (0..8).map(|writer| {
        let database = database.clone();
        tokio::spawn(async move {
            for round in 0..10 {
                let mut unit = database.begin().await;
                for part in ["x", "y"] {
                    unit.trail().record(&an_event(&format!("{writer}.{round}{part}"))).await.unwrap();
                }
                if round % 3 == 2 { unit.rollback().await } else { unit.commit().await.unwrap() }
            }
        })
    });
    join_all(writers).await.into_iter().for_each(Result::unwrap);
    let labels = whole(&database).await;
    assert_eq!(labels.len(), 8 * 7 * 2);
    for pair in labels.chunks(2) {
        assert_eq!(pair[0].trim_end_matches('x'), pair[1].trim_end_matches('y'), "two units are mixed");
    }
}

pub async fn who_follows_the_trail_by_its_ids_misses_nothing(database: Database) {
    const EACH: i64 = 25;
    let writers = (0..4).map(|_| {
        let database = database.clone();
        tokio::spawn(async move {
            for _ in 0..EACH {
                let mut unit = database.begin().await;
                unit.trail().record(&an_event("x")).await.unwrap();
                unit.commit().await.unwrap();
            }
        })
    });
    let writers = tokio::spawn(join_all(writers));
    let mut last = 0;
    while last < 4 * EACH {
        for line in database.reader().await.trail().sealed(Some(last), 1000).await.unwrap() {
            assert_eq!(line.id, last + 1);
            last = line.id;
        }
        tokio::task::yield_now().await;
    }
    writers.await.unwrap().into_iter().for_each(Result::unwrap);
}

pub async fn units_that_hold_what_others_want_do_not_hold_the_end_of_the_trail(database: Database) {
    let anna = database.insert_user(&a_user("anna")).await.id;
    let mut first = database.begin().await;
    first.trail().record(&an_event("first")).await.unwrap();
    // Were the end held from here on, this one would have it while it waits for Anna, and the first would never get it.
    let second = database.meanwhile(async move |mut unit| {
        unit.trail().record(&an_event("second")).await.unwrap();
        unit.users().lock(anna).await.unwrap();
        unit.commit().await.unwrap();
    });
    first.users().lock(anna).await.unwrap();
    second.has_a_moment().await;
    first.commit().await.unwrap();
    second.outcome().await;
    let mut labels = whole(&database).await;
    labels.sort_unstable();
    assert_eq!(labels, ["first", "second"]);
}

pub async fn what_is_recorded_while_readings_are_taken_in_is_appended_too(database: Database) {
    let piece = database.piece("press").await;
    let needs = IntakeNeeds { pieces: &[piece], known_rules: None, alerts_since: &[] };
    let (mut unit, intake) = database.store().begin_intake(needs).await.unwrap();
    unit.trail().record(&an_event("replaced")).await.unwrap();
    let reading = a_reading(piece, 1);
    let mut heads = intake.heads;
    heads[0].advance(&[&reading]);
    let readings = std::slice::from_ref(&reading);
    unit.commit_intake(TakenIn { readings, heads: &heads, events: &[], at: at(1) }).await.unwrap();
    assert_eq!(whole(&database).await, ["replaced"]);
    assert_eq!(database.reading(reading.id).await, Some(reading));
}
