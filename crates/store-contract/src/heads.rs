//! Promises about the heads of readings: what they hold, and that whoever holds them is alone.

use crate::Database;
use crate::builders::{
    EXTREMES, a_piece, a_reading, a_reading_of, at, label, metric, no_piece, some_details, values,
};
use crate::database::report_in;
use domain::equipment::{Details, Equipment};
use domain::id::EquipmentId;
use domain::telemetry::{Head, Latest, MOST_METRICS, MetricName, Shape, Values};
use domain::time::Timestamp;
use std::slice::from_ref;

async fn heads(database: &Database, pieces: &[EquipmentId]) -> Vec<Head> {
    database.reader().await.readings().heads(pieces).await.unwrap()
}

async fn save(database: &Database, heads: &[Head]) {
    let pieces: Vec<EquipmentId> = heads.iter().map(|head| head.equipment).collect();
    database
        .within(async |unit| {
            unit.readings().lock_heads(&pieces).await.unwrap();
            unit.readings().save_heads(heads).await.unwrap();
        })
        .await;
}

pub async fn a_new_piece_has_an_empty_head_of_its_kind(database: Database) {
    let details = Details { kind: label("Presse 🛠"), ..some_details("press") };
    let press = database.piece_of(details).await;
    assert_eq!(database.head(press).await, Some(Head::new(press, label("Presse 🛠"))));
    let locked = database.within(async |unit| unit.readings().lock_heads(&[press]).await.unwrap()).await;
    assert_eq!(locked, [Head::new(press, label("Presse 🛠"))]);
}

pub async fn every_field_of_a_head_round_trips(database: Database) {
    let press = database.piece("press").await;
    let names: Vec<MetricName> =
        (0..4 * MOST_METRICS).map(|number| metric(&format!("m{number:04}{}", "_.z9".repeat(14)))).collect();
    for (second, part) in (0..).zip(names.chunks(MOST_METRICS)) {
        let values = Values::new(Shape::new(part.to_vec()), vec![0.0; part.len()]).unwrap();
        database.report(&[a_reading_of(press, second, values)]).await;
    }
    let instants = [Timestamp::MIN, at(1), Timestamp::MAX];
    let latest = names.into_iter().zip(instants.into_iter().cycle()).zip(EXTREMES.into_iter().cycle());
    let latest = latest.map(|((metric, at), value)| Latest { metric, at, value }).collect();
    let head = Head { last_seen_at: Some(Timestamp::MAX), latest, ..Head::new(press, label("robot")) };
    save(&database, from_ref(&head)).await;
    let locked = database.within(async |unit| unit.readings().lock_heads(&[press]).await.unwrap()).await;
    let bits = |head: &Head| head.latest.iter().map(|latest| latest.value.to_bits()).collect::<Vec<_>>();
    for found in [database.head(press).await.unwrap(), locked[0].clone()] {
        assert_eq!(found, head);
        assert_eq!(bits(&found), bits(&head));
    }
}

pub async fn saving_a_head_replaces_all_that_it_held(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    database.report(&[a_reading_of(press, 5, values(&[("a", 1.0), ("b", 2.0)])), a_reading(robot, 6)]).await;
    let beside = database.head(robot).await;
    // As when the newest readings were deleted.
    let only = Latest { metric: metric("b"), at: at(3), value: 9.0 };
    let shrunk = Head { last_seen_at: Some(at(3)), latest: vec![only], ..Head::new(press, label("robot")) };
    for head in [shrunk, Head::new(press, label("robot"))] {
        save(&database, from_ref(&head)).await;
        assert_eq!(database.head(press).await, Some(head));
    }
    assert_eq!(database.head(robot).await, beside);
}

pub async fn saving_a_head_moves_when_its_piece_was_seen_and_nothing_else_of_it(database: Database) {
    let press = database.register(&a_piece("press")).await;
    let of_another_kind = Head { last_seen_at: Some(at(9)), ..Head::new(press.id, label("other")) };
    save(&database, &[of_another_kind]).await;
    let expected = Equipment { last_seen_at: Some(at(9)), ..press };
    assert_eq!(database.equipment(expected.id).await.as_ref(), Some(&expected));
    assert_eq!(database.head(expected.id).await.unwrap().kind, label("robot"));
}

pub async fn a_head_knows_the_kind_that_the_register_says(database: Database) {
    let press = database.register(&a_piece("press")).await;
    let details = Details { kind: label("press"), ..press.details.clone() };
    database.save_equipment(&Equipment { details, ..press.clone() }).await;
    assert_eq!(database.head(press.id).await.unwrap().kind, label("press"));
}

pub async fn heads_are_answered_once_each_by_id_without_what_is_hidden_or_gone(database: Database) {
    let mut pieces = Vec::new();
    for name in ["a", "hidden", "b", "gone", "c"] {
        pieces.push(database.piece(name).await);
    }
    database.hide(pieces[1]).await;
    database.purge(pieces[3]).await;
    let asked = [pieces[4], no_piece(), pieces[1], pieces[0], pieces[3], pieces[2], pieces[4]];
    let expected = [pieces[0], pieces[2], pieces[4]];
    let ids = |heads: Vec<Head>| heads.iter().map(|head| head.equipment).collect::<Vec<_>>();
    assert_eq!(ids(heads(&database, &asked).await), expected);
    let locked = database.within(async |unit| unit.readings().lock_heads(&asked).await.unwrap()).await;
    assert_eq!(ids(locked), expected);
    assert!(heads(&database, &[]).await.is_empty());
}

pub async fn a_head_outlives_the_hiding_of_its_piece(database: Database) {
    let press = database.piece("press").await;
    database.report(&[a_reading(press, 5)]).await;
    let before = database.head(press).await;
    database.hide(press).await;
    assert_eq!(database.head(press).await, None);
    database.restore(press).await;
    assert_eq!(database.head(press).await, before);
}

pub async fn a_thousand_heads_are_held_and_saved_at_once(database: Database) {
    let pieces = database
        .within(async |unit| {
            let mut pieces = Vec::new();
            for _ in 0..1000 {
                pieces.push(unit.equipment().insert(&a_piece("press")).await.unwrap().id);
            }
            pieces
        })
        .await;
    let readings: Vec<_> = pieces.iter().zip(0..).map(|(piece, second)| a_reading(*piece, second)).collect();
    database.report(&readings).await;
    let seen = heads(&database, &pieces).await.into_iter().map(|head| (head.equipment, head.last_seen_at));
    let expected = pieces.iter().zip(0..).map(|(piece, second)| (*piece, Some(at(second))));
    assert!(seen.eq(expected));
}

/// Two pieces, the first with the smaller id.
async fn a_pair(database: &Database) -> [EquipmentId; 2] {
    [database.piece("press").await, database.piece("robot").await]
}

pub async fn a_unit_that_asks_for_some_of_the_heads_that_another_holds_waits_for_it(database: Database) {
    let pair = a_pair(&database).await;
    let mut first = database.begin().await;
    report_in(&mut *first, &[a_reading(pair[1], 5)]).await;
    let mut second = database.meanwhile(async move |mut unit| {
        let heads = unit.readings().lock_heads(&pair).await.unwrap();
        heads.into_iter().map(|head| head.last_seen_at).collect::<Vec<_>>()
    });
    second.waits().await;
    first.commit().await.unwrap();
    assert_eq!(second.outcome().await, [None, Some(at(5))]);
}

pub async fn a_dropped_unit_frees_the_heads_that_it_held(database: Database) {
    let pair = a_pair(&database).await;
    let mut first = database.begin().await;
    report_in(&mut *first, &[a_reading(pair[0], 5)]).await;
    let mut second =
        database.meanwhile(async move |mut unit| unit.readings().lock_heads(&pair).await.unwrap());
    second.waits().await;
    drop(first);
    assert_eq!(second.outcome().await, pair.map(|piece| Head::new(piece, label("robot"))));
}

pub async fn heads_are_read_without_waiting_for_who_holds_them(database: Database) {
    let pair = a_pair(&database).await;
    let mut first = database.begin().await;
    report_in(&mut *first, &[a_reading(pair[0], 5)]).await;
    assert_eq!(heads(&database, &pair).await, pair.map(|piece| Head::new(piece, label("robot"))));
    first.commit().await.unwrap();
    assert_eq!(database.head(pair[0]).await.unwrap().last_seen_at, Some(at(5)));
}

pub async fn units_that_ask_for_heads_in_opposite_orders_do_not_block_each_other(database: Database) {
    let mut pieces = Vec::new();
    for _ in 0..8 {
        pieces.push(database.piece("press").await);
    }
    let reporting: Vec<_> = (0..40)
        .map(|number| {
            let mut pieces = pieces.clone();
            pieces.rotate_left(number as usize % 8);
            if number % 2 == 0 {
                pieces.reverse();
            }
            database.meanwhile(async move |mut unit| {
                let readings: Vec<_> = pieces.iter().map(|piece| a_reading(*piece, number)).collect();
                report_in(&mut *unit, &readings).await;
                unit.commit().await
            })
        })
        .collect();
    for unit in reporting {
        unit.outcome().await.unwrap();
    }
    for head in heads(&database, &pieces).await {
        assert_eq!(head.last_seen_at, Some(at(39)));
    }
}

pub async fn of_twenty_units_that_report_on_one_piece_at_once_none_forgets_another(database: Database) {
    let press = database.piece("press").await;
    let reporting: Vec<_> = (0..20)
        .map(|number| {
            database.meanwhile(async move |mut unit| {
                let reading = a_reading_of(press, number, values(&[(&format!("m{number:02}"), 1.0)]));
                report_in(&mut *unit, &[reading]).await;
                unit.commit().await.unwrap();
            })
        })
        .collect();
    for unit in reporting {
        unit.outcome().await;
    }
    let head = database.head(press).await.unwrap();
    assert_eq!((head.last_seen_at, head.latest.len()), (Some(at(19)), 20));
}
