//! Promises about readings in order of instant: stretches of them, walks through all of them, and which ones.

use crate::Database;
use crate::builders::{a_reading, a_reading_id, a_reading_of, at, metric, no_piece, values};
use domain::id::EquipmentId;
use domain::page::{Direction, Seek, Stretch};
use domain::telemetry::{MetricName, Reading, ReadingFilter, ReadingId, ReadingQuery};
use domain::time::Span;

const OLDEST_FIRST: Direction = Direction::Ascending;
const NEWEST_FIRST: Direction = Direction::Descending;

async fn read(database: &Database, query: &ReadingQuery) -> Stretch<Reading> {
    database.reader().await.readings().read(query).await.unwrap()
}

async fn scan(
    database: &Database,
    filter: &ReadingFilter,
    direction: Direction,
    after: Option<ReadingId>,
    limit: u32,
) -> Vec<Reading> {
    database.reader().await.readings().scan(filter, direction, after, limit).await.unwrap()
}

/// Readings of two pieces, late data among them, some of the same instant. Stored out of order; answered in order.
async fn two_pieces(database: &Database) -> (Vec<Reading>, [EquipmentId; 2]) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    let order = [(press, 1), (press, 2), (robot, 2), (robot, 3), (press, 4), (robot, 4), (press, 5)];
    let stream: Vec<Reading> = order.map(|(piece, second)| a_reading(piece, second)).to_vec();
    for index in [5, 0, 3, 6, 2, 4, 1] {
        database.report(&[stream[index].clone()]).await;
    }
    (stream, [press, robot])
}

/// The stretch in one word: `p2` is the press's reading of second 2; a dash at each end beyond which there is more.
fn word(stretch: &Stretch<Reading>, [press, _]: [EquipmentId; 2]) -> String {
    let dash = |more| if more { "-" } else { "" };
    let name = |reading: &Reading| {
        let initial = if reading.id.equipment == press { "p" } else { "r" };
        format!("{initial}{}", reading.values.numbers()[0])
    };
    let names: String = stretch.items.iter().map(name).collect();
    format!("{}{names}{}", dash(stretch.has_previous), dash(stretch.has_next))
}

async fn stretch(
    database: &Database,
    pieces: [EquipmentId; 2],
    direction: Direction,
    seek: Seek<ReadingId>,
    limit: u32,
) -> String {
    let query = ReadingQuery { filter: ReadingFilter::default(), direction, seek, limit };
    word(&read(database, &query).await, pieces)
}

pub async fn a_store_without_readings_has_nothing_beyond_either_end(database: Database) {
    let press = database.piece("press").await;
    let mark = a_reading_id(press, 1);
    for direction in [OLDEST_FIRST, NEWEST_FIRST] {
        for seek in [Seek::Start, Seek::After(mark), Seek::Before(mark)] {
            let query = ReadingQuery { filter: ReadingFilter::default(), direction, seek, limit: 10 };
            let nothing = Stretch { items: Vec::new(), has_previous: false, has_next: false };
            assert_eq!(read(&database, &query).await, nothing);
        }
        assert!(scan(&database, &ReadingFilter::default(), direction, None, 10).await.is_empty());
    }
}

pub async fn readings_come_by_instant_and_of_one_instant_by_equipment(database: Database) {
    let (stream, pieces) = two_pieces(&database).await;
    assert_eq!(stretch(&database, pieces, OLDEST_FIRST, Seek::Start, 100).await, "p1p2r2r3p4r4p5");
    assert_eq!(stretch(&database, pieces, NEWEST_FIRST, Seek::Start, 100).await, "p5r4p4r3r2p2p1");
    let whole = ReadingQuery {
        filter: ReadingFilter::default(),
        direction: OLDEST_FIRST,
        seek: Seek::Start,
        limit: 100,
    };
    assert_eq!(read(&database, &whole).await.items, stream);
}

pub async fn a_stretch_of_readings_begins_at_the_start_and_knows_what_follows(database: Database) {
    let (_, pieces) = two_pieces(&database).await;
    for (direction, limit, expected) in [
        (OLDEST_FIRST, 2, "p1p2-"),
        (OLDEST_FIRST, 7, "p1p2r2r3p4r4p5"),
        (NEWEST_FIRST, 2, "p5r4-"),
        (NEWEST_FIRST, 6, "p5r4p4r3r2p2-"),
        (NEWEST_FIRST, 8, "p5r4p4r3r2p2p1"),
        (OLDEST_FIRST, u32::MAX, "p1p2r2r3p4r4p5"),
    ] {
        assert_eq!(stretch(&database, pieces, direction, Seek::Start, limit).await, expected);
    }
}

pub async fn a_stretch_of_readings_after_a_mark_follows_it_also_within_one_instant(database: Database) {
    let (stream, pieces) = two_pieces(&database).await;
    for (direction, mark, limit, expected) in [
        (OLDEST_FIRST, 0, 2, "-p2r2-"),
        (OLDEST_FIRST, 1, 2, "-r2r3-"),
        (OLDEST_FIRST, 4, 2, "-r4p5"),
        (OLDEST_FIRST, 4, 100, "-r4p5"),
        (OLDEST_FIRST, 6, 100, "-"),
        (NEWEST_FIRST, 5, 2, "-p4r3-"),
        (NEWEST_FIRST, 2, 2, "-p2p1"),
        (NEWEST_FIRST, 0, 100, "-"),
    ] {
        let seek = Seek::After(stream[mark].id);
        assert_eq!(stretch(&database, pieces, direction, seek, limit).await, expected, "{mark} {limit}");
    }
}

pub async fn a_stretch_of_readings_before_a_mark_is_the_nearest_and_in_the_streams_order(database: Database) {
    let (stream, pieces) = two_pieces(&database).await;
    for (direction, mark, limit, expected) in [
        (OLDEST_FIRST, 5, 2, "-r3p4-"),
        (OLDEST_FIRST, 2, 2, "p1p2-"),
        (OLDEST_FIRST, 3, 100, "p1p2r2-"),
        (OLDEST_FIRST, 0, 100, "-"),
        (NEWEST_FIRST, 1, 2, "-r3r2-"),
        (NEWEST_FIRST, 4, 2, "p5r4-"),
        (NEWEST_FIRST, 4, 100, "p5r4-"),
        (NEWEST_FIRST, 6, 100, "-"),
    ] {
        let seek = Seek::Before(stream[mark].id);
        assert_eq!(stretch(&database, pieces, direction, seek, limit).await, expected, "{mark} {limit}");
    }
}

pub async fn a_mark_without_a_reading_cuts_the_stream_all_the_same(database: Database) {
    let (_, pieces) = two_pieces(&database).await;
    let [press, robot] = pieces;
    for (direction, seek, expected) in [
        (OLDEST_FIRST, Seek::After(a_reading_id(robot, 1)), "-p2r2r3p4r4p5"),
        (OLDEST_FIRST, Seek::After(a_reading_id(press, 3)), "-r3p4r4p5"),
        (OLDEST_FIRST, Seek::After(a_reading_id(press, 0)), "p1p2r2r3p4r4p5"),
        (OLDEST_FIRST, Seek::Before(a_reading_id(robot, 5)), "p1p2r2r3p4r4p5"),
        (NEWEST_FIRST, Seek::After(a_reading_id(press, 3)), "-r2p2p1"),
        (NEWEST_FIRST, Seek::Before(a_reading_id(press, 3)), "p5r4p4r3-"),
        (NEWEST_FIRST, Seek::After(a_reading_id(no_piece(), 9)), "p5r4p4r3r2p2p1"),
    ] {
        assert_eq!(stretch(&database, pieces, direction, seek, 100).await, expected, "{seek:?}");
    }
}

pub async fn walking_stretches_meets_every_reading_once_in_either_direction(database: Database) {
    let (mut expected, _) = two_pieces(&database).await;
    for direction in [OLDEST_FIRST, NEWEST_FIRST] {
        let mut met = Vec::new();
        let mut seek = Seek::Start;
        loop {
            let query = ReadingQuery { filter: ReadingFilter::default(), direction, seek, limit: 2 };
            let part = read(&database, &query).await;
            met.extend(part.items);
            if !part.has_next {
                break;
            }
            seek = Seek::After(met.last().unwrap().id);
        }
        assert_eq!(met, expected);
        expected.reverse();
    }
}

pub async fn scanning_meets_every_reading_once_in_either_direction(database: Database) {
    let (mut expected, _) = two_pieces(&database).await;
    for direction in [OLDEST_FIRST, NEWEST_FIRST] {
        for limit in [1, 2, 3, 6, 7, 8] {
            let mut met: Vec<Reading> = Vec::new();
            loop {
                let after = met.last().map(|reading| reading.id);
                let part = scan(&database, &ReadingFilter::default(), direction, after, limit).await;
                let is_last = part.len() < limit as usize;
                assert!(part.len() <= limit as usize);
                met.extend(part);
                if is_last {
                    break;
                }
            }
            assert_eq!(met, expected, "{limit}");
        }
        expected.reverse();
    }
}

pub async fn scanning_goes_on_from_where_a_reading_was_deleted(database: Database) {
    let (stream, [press, _]) = two_pieces(&database).await;
    let ids = [stream[2].id, stream[4].id];
    database.within(async |unit| unit.readings().delete(&ids).await.unwrap()).await;
    let following = scan(&database, &ReadingFilter::default(), OLDEST_FIRST, Some(ids[0]), 2).await;
    assert_eq!(following, [stream[3].clone(), stream[5].clone()]);
    let of_press = ReadingFilter { equipment: vec![press], ..ReadingFilter::default() };
    let following = scan(&database, &of_press, NEWEST_FIRST, Some(ids[1]), 2).await;
    assert_eq!(following, [stream[1].clone(), stream[0].clone()]);
}

pub async fn late_readings_stand_where_their_instant_says(database: Database) {
    let press = database.piece("press").await;
    for second in [5, 1, 3, 4, 2] {
        database.report(&[a_reading(press, second)]).await;
    }
    let seconds: Vec<i64> = scan(&database, &ReadingFilter::default(), OLDEST_FIRST, None, 10)
        .await
        .iter()
        .map(|reading| reading.values.numbers()[0] as i64)
        .collect();
    assert_eq!(seconds, [1, 2, 3, 4, 5]);
}

/// The seconds of the readings that a filter lets through, oldest first; both ways of asking agree.
async fn filtered(database: &Database, filter: ReadingFilter) -> Vec<i64> {
    let scanned = scan(database, &filter, OLDEST_FIRST, None, 1000).await;
    let mut backwards = scan(database, &filter, NEWEST_FIRST, None, 1000).await;
    backwards.reverse();
    assert_eq!(scanned, backwards);
    let query = ReadingQuery { filter, direction: OLDEST_FIRST, seek: Seek::Start, limit: 1000 };
    let stretch = read(database, &query).await;
    assert_eq!((&stretch.items, stretch.has_previous, stretch.has_next), (&scanned, false, false));
    let seconds = scanned.iter().map(|reading| (reading.id.at.micros() - at(0).micros()) / 1_000_000);
    seconds.collect()
}

pub async fn readings_are_filtered_by_equipment(database: Database) {
    let (_, [press, robot]) = two_pieces(&database).await;
    let of =
        |equipment: &[EquipmentId]| ReadingFilter { equipment: equipment.to_vec(), ..Default::default() };
    assert_eq!(filtered(&database, of(&[robot])).await, [2, 3, 4]);
    assert_eq!(filtered(&database, of(&[robot, no_piece(), press, robot])).await, [1, 2, 2, 3, 4, 4, 5]);
    assert!(filtered(&database, of(&[no_piece()])).await.is_empty());
}

pub async fn readings_are_filtered_by_a_half_open_span_of_time(database: Database) {
    two_pieces(&database).await;
    let of = |from, until| ReadingFilter { at: Span { from, until }, ..Default::default() };
    assert_eq!(filtered(&database, of(Some(at(4)), None)).await, [4, 4, 5]);
    assert_eq!(filtered(&database, of(None, Some(at(2)))).await, [1]);
    assert_eq!(filtered(&database, of(Some(at(2)), Some(at(4)))).await, [2, 2, 3]);
    assert!(filtered(&database, of(Some(at(2)), Some(at(2)))).await.is_empty());
    assert!(filtered(&database, of(Some(at(4)), Some(at(2)))).await.is_empty());
}

pub async fn readings_are_filtered_by_any_of_the_metrics_that_they_carry(database: Database) {
    let press = database.piece("press").await;
    let sets: [&[(&str, f64)]; 5] =
        [&[("a", 1.0)], &[("a", 1.0), ("b", 1.0)], &[("b", 0.0)], &[("c", 1.0)], &[("ab", 1.0), ("c", 1.0)]];
    for (second, named) in (1..).zip(sets) {
        database.report(&[a_reading_of(press, second, values(named))]).await;
    }
    let of = |names: &[&str]| {
        let metrics: Vec<MetricName> = names.iter().map(|name| metric(name)).collect();
        ReadingFilter { metrics, ..Default::default() }
    };
    assert_eq!(filtered(&database, of(&["a"])).await, [1, 2]);
    assert_eq!(filtered(&database, of(&["b"])).await, [2, 3]);
    assert_eq!(filtered(&database, of(&["c", "b"])).await, [2, 3, 4, 5]);
    assert_eq!(filtered(&database, of(&["unknown", "a"])).await, [1, 2]);
    assert!(filtered(&database, of(&["unknown"])).await.is_empty());
}

pub async fn readings_are_filtered_by_when_they_were_received(database: Database) {
    let press = database.piece("press").await;
    for (second, received) in [(1, 30), (2, 20), (3, 10)] {
        let reading = Reading { received_at: at(received), ..a_reading(press, second) };
        database.report(&[reading]).await;
    }
    let from = |second| ReadingFilter { received_from: Some(at(second)), ..Default::default() };
    assert_eq!(filtered(&database, from(20)).await, [1, 2]);
    assert_eq!(filtered(&database, from(10)).await, [1, 2, 3]);
    assert!(filtered(&database, from(31)).await.is_empty());
}

pub async fn filters_of_readings_must_all_hold(database: Database) {
    let [press, robot] = [database.piece("press").await, database.piece("robot").await];
    for (piece, second, name, received) in [
        (press, 1, "a", 20),
        (press, 2, "b", 20),
        (press, 3, "a", 10),
        (press, 4, "a", 20),
        (robot, 5, "a", 20),
        (press, 6, "a", 20),
    ] {
        let reading = a_reading_of(piece, second, values(&[(name, 1.0)]));
        database.report(&[Reading { received_at: at(received), ..reading }]).await;
    }
    let filter = ReadingFilter {
        equipment: vec![press],
        at: Span { from: Some(at(2)), until: Some(at(6)) },
        metrics: vec![metric("a")],
        received_from: Some(at(20)),
        ..Default::default()
    };
    assert_eq!(filtered(&database, filter).await, [4]);
}

pub async fn what_a_filter_leaves_out_of_the_readings_lies_beyond_no_end(database: Database) {
    let (_, pieces) = two_pieces(&database).await;
    let filter = ReadingFilter { equipment: vec![pieces[1]], ..Default::default() };
    let of = |direction, seek, limit| ReadingQuery { filter: filter.clone(), direction, seek, limit };
    for (query, expected) in [
        (of(OLDEST_FIRST, Seek::Start, 3), "r2r3r4"),
        (of(NEWEST_FIRST, Seek::Start, 2), "r4r3-"),
        (of(OLDEST_FIRST, Seek::After(a_reading_id(pieces[0], 1)), 3), "r2r3r4"),
        (of(OLDEST_FIRST, Seek::After(a_reading_id(pieces[1], 2)), 1), "-r3-"),
        (of(OLDEST_FIRST, Seek::Before(a_reading_id(pieces[1], 4)), 2), "r2r3-"),
        (of(NEWEST_FIRST, Seek::Before(a_reading_id(pieces[0], 1)), 3), "r4r3r2"),
    ] {
        assert_eq!(word(&read(&database, &query).await, pieces), expected, "{query:?}");
    }
    let span = ReadingFilter { at: Span { from: Some(at(2)), until: Some(at(4)) }, ..Default::default() };
    let query = ReadingQuery { filter: span, direction: OLDEST_FIRST, seek: Seek::Start, limit: 3 };
    assert_eq!(word(&read(&database, &query).await, pieces), "p2r2r3");
}

pub async fn readings_of_hidden_equipment_are_in_no_stream(database: Database) {
    let (_, pieces) = two_pieces(&database).await;
    database.hide(pieces[0]).await;
    assert_eq!(filtered(&database, ReadingFilter::default()).await, [2, 3, 4]);
    let of_hidden = ReadingFilter { equipment: vec![pieces[0]], ..Default::default() };
    assert!(filtered(&database, of_hidden).await.is_empty());
    assert_eq!(stretch(&database, pieces, OLDEST_FIRST, Seek::Start, 3).await, "r2r3r4");
    // What is hidden takes no place of what is not.
    let first = scan(&database, &ReadingFilter::default(), OLDEST_FIRST, None, 1).await;
    assert_eq!(first, [a_reading(pieces[1], 2)]);
    database.restore(pieces[0]).await;
    assert_eq!(stretch(&database, pieces, OLDEST_FIRST, Seek::Start, 100).await, "p1p2r2r3p4r4p5");
}

pub async fn readings_of_hidden_equipment_are_there_for_who_asks_for_those_too(database: Database) {
    let (_, pieces) = two_pieces(&database).await;
    database.hide(pieces[0]).await;
    let of = |equipment: &[EquipmentId]| ReadingFilter {
        equipment: equipment.to_vec(),
        hidden_too: true,
        ..Default::default()
    };
    for packed_before in [0, 3] {
        let packed = at(packed_before);
        database.within(async |unit| unit.readings().pack(pieces[0], packed, 10).await.unwrap()).await;
        assert_eq!(filtered(&database, of(&pieces[..1])).await, [1, 2, 4, 5]);
        assert_eq!(filtered(&database, of(&pieces)).await, [1, 2, 2, 3, 4, 4, 5]);
        assert_eq!(filtered(&database, of(&[])).await, [1, 2, 2, 3, 4, 4, 5]);
        let temperature = ReadingFilter { metrics: vec![metric("temperature")], ..of(&pieces[..1]) };
        assert_eq!(filtered(&database, temperature).await, [1, 2, 4, 5]);
    }
}
