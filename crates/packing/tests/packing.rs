//! What was packed is what comes out again, and walking through packs is walking through what is in them.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may")]

use domain::id::EquipmentId;
use domain::page::Direction;
use domain::telemetry::rollup::{Column, Digest, Grain};
use domain::telemetry::series::Bucket;
use domain::telemetry::{MetricName, Reading, ReadingFilter, ReadingId, Tag, Tags, Values};
use domain::time::{Span, Timestamp};
use packing::{Course, Listed, Outline, Pack, Start, digests};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};

fn metric(name: &str) -> MetricName {
    MetricName::parse(name).unwrap()
}

fn piece(id: i64) -> EquipmentId {
    EquipmentId::new(id).unwrap()
}

fn instant(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros).unwrap()
}

/// Any finite number, and often such as machines send.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => (-100_000..100_000_i32).prop_map(|hundredths| f64::from(hundredths) / 100.0),
        1 => any::<f64>().prop_filter("finite", |number| number.is_finite()),
        1 => prop::sample::select(vec![0.0, -0.0, f64::MIN_POSITIVE, f64::MAX, f64::MIN, 5e-324]),
    ]
}

fn values() -> impl Strategy<Value = Values> {
    let some =
        prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c.d", "e_1"]), number(), 1..4);
    some.prop_map(|named| {
        Values::of(named.into_iter().map(|(name, value)| (metric(name), value)).collect()).unwrap()
    })
}

fn tags() -> impl Strategy<Value = Tags> {
    let tag = prop_oneof![any::<bool>().prop_map(Tag::Flag), ".{0,12}".prop_map(Tag::Text)];
    prop_oneof![3 => Just(Tags::new()), 1 => prop::collection::btree_map("[a-z]{1,4}", tag, 0..3)]
}

/// Readings of one piece, in order of time.
fn readings(of: i64, most: usize) -> impl Strategy<Value = Vec<Reading>> {
    let instants = prop_oneof![
        4 => 0..5_000_i64,
        1 => Timestamp::MIN.micros()..=Timestamp::MAX.micros(),
        1 => prop::sample::select(vec![Timestamp::MIN.micros(), Timestamp::MAX.micros(), -1]),
    ];
    let what = (values(), tags(), 0..1_000_000_000_i64);
    prop::collection::btree_map(instants, what, 1..most).prop_map(move |readings| {
        let reading = |(at, (values, tags, received_at))| Reading {
            id: ReadingId { equipment: piece(of), at: instant(at) },
            values,
            tags,
            received_at: instant(received_at),
        };
        readings.into_iter().map(reading).collect()
    })
}

/// Bit by bit: minus zero is not zero.
fn bits(readings: &[Reading]) -> Vec<Vec<u64>> {
    readings
        .iter()
        .map(|reading| reading.values.numbers().iter().map(|number| number.to_bits()).collect())
        .collect()
}

/// The packs of these readings, of so many readings each.
fn listed(readings: &[Reading], each: usize, id: &mut i64) -> Vec<(Listed, Vec<u8>)> {
    let pack = |part: &[Reading]| {
        let pack = Pack::of(part).unwrap();
        *id += 1;
        let outline = Outline::read(&pack.outline).unwrap();
        let (first_at, last_at) = (pack.first_at, pack.last_at);
        (Listed { id: *id, equipment: part[0].id.equipment, first_at, last_at, outline }, pack.body)
    };
    readings.chunks(each).map(pack).collect()
}

/// What a database does for a course.
fn walk(
    packs: &BTreeMap<EquipmentId, Vec<(Listed, Vec<u8>)>>,
    mut course: Course<'_>,
    direction: Direction,
) -> Vec<Reading> {
    let mut rounds = 0;
    while let Some(want) = course.wants() {
        rounds += 1;
        assert!(rounds < 10_000, "the course does not end");
        let mut found = Vec::new();
        for (piece, edge) in &want.pieces {
            let of_piece = packs.get(piece).map(Vec::as_slice).unwrap_or_default();
            let mut reaching: Vec<&Listed> = of_piece.iter().map(|(listed, _)| listed).collect();
            match direction {
                Direction::Ascending => reaching.retain(|pack| pack.last_at >= *edge),
                Direction::Descending => {
                    reaching.reverse();
                    reaching.retain(|pack| pack.first_at <= *edge);
                }
            }
            found.extend(reaching.into_iter().take(want.of_each).cloned());
        }
        course.take(&want, found);
    }
    let needed = course.needed();
    let all = packs.values().flatten();
    let bodies: HashMap<i64, Vec<u8>> = all
        .filter(|(listed, _)| needed.contains(&listed.id))
        .map(|(listed, body)| (listed.id, body.clone()))
        .collect();
    course.readings(&bodies).unwrap()
}

proptest! {
    #[test]
    fn what_was_packed_comes_out_as_it_was(readings in readings(7, 60)) {
        let pack = Pack::of(&readings).unwrap();
        let outline = Outline::read(&pack.outline).unwrap();
        let unpacked = Pack::unpack(piece(7), &outline, &pack.body).unwrap();
        prop_assert_eq!(bits(&unpacked), bits(&readings));
        prop_assert_eq!((pack.first_at, pack.last_at), (readings[0].id.at, readings[readings.len() - 1].id.at));
        prop_assert_eq!(pack.count as usize, readings.len());
        prop_assert_eq!(unpacked, readings);
    }

    #[test]
    fn damaged_bytes_are_refused_and_never_panic(readings in readings(7, 20), at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let pack = Pack::of(&readings).unwrap();
        let spoil = |bytes: &[u8]| {
            let mut spoilt = bytes.to_vec();
            spoilt[at.index(bytes.len())] ^= flip;
            spoilt
        };
        let _ = Outline::read(&spoil(&pack.outline)).map(|outline| Pack::unpack(piece(7), &outline, &pack.body));
        let outline = Outline::read(&pack.outline).unwrap();
        let _ = Pack::unpack(piece(7), &outline, &spoil(&pack.body));
        prop_assert!(Pack::unpack(piece(7), &outline, &pack.body[..at.index(pack.body.len())]).is_err());
        prop_assert!(Outline::read(&pack.outline[..at.index(pack.outline.len())]).is_err());
    }

    #[test]
    fn a_walk_through_packs_meets_what_is_in_them_in_order(
        one in readings(1, 40), two in readings(2, 40), three in readings(3, 10),
        each in 1..9_usize, most in 1..30_usize, downwards: bool, with_mark: bool,
        mark in prop::option::of((1..4_i64, 0..5_000_i64)), wanted in prop::sample::subsequence(vec!["a", "b"], 0..2),
        from in prop::option::of(0..5_000_i64), until in prop::option::of(0..5_000_i64), received in prop::option::of(0..1_000_000_000_i64),
    ) {
        let direction = if downwards { Direction::Descending } else { Direction::Ascending };
        let mark = mark.map(|(of, at)| ReadingId { equipment: piece(of), at: instant(at) });
        let filter = ReadingFilter {
            at: Span { from: from.map(instant), until: until.map(instant) },
            metrics: wanted.into_iter().map(metric).collect(),
            received_from: received.map(instant),
            ..ReadingFilter::default()
        };
        let place = |id: ReadingId| (id.at, id.equipment);
        let mut expected: Vec<Reading> = [&one, &two, &three].into_iter().flatten().cloned().collect();
        expected.retain(|reading| {
            filter.at.contains(reading.id.at)
                && (filter.metrics.is_empty() || filter.metrics.iter().any(|metric| reading.values.get(metric).is_some()))
                && filter.received_from.is_none_or(|from| reading.received_at >= from)
                && mark.is_none_or(|mark| {
                    let beyond = if downwards { place(reading.id) < place(mark) } else { place(reading.id) > place(mark) };
                    beyond || (with_mark && reading.id == mark)
                })
        });
        expected.sort_by_key(|reading| place(reading.id));
        if downwards {
            expected.reverse();
        }
        expected.truncate(most);
        let start = mark.map_or(Start::Anywhere, if with_mark { Start::At } else { Start::Beyond });
        let mut id = 0;
        let packs: BTreeMap<_, _> =
            [one, two, three].into_iter().map(|of| (of[0].id.equipment, listed(&of, each, &mut id))).collect();
        let course = Course::new(packs.keys().copied(), &filter, direction, start, most);
        prop_assert_eq!(walk(&packs, course, direction), expected);
    }

    #[test]
    fn rollups_come_out_as_they_were(buckets in prop::collection::btree_map(0..24_i64, (1..5_u64, prop::collection::vec(number(), 5)), 0..24)) {
        let day = instant(1_777_852_800_000_000);
        let many = buckets.iter().map(|(place, (count, numbers))| Bucket {
            at: instant(day.micros() + place * Grain::Hour.micros()),
            count: *count, sum: numbers[0], least: numbers[1], most: numbers[2], first: numbers[3], last: numbers[4],
        });
        let single = buckets.iter().map(|(place, (_, numbers))| {
            Bucket::new(instant(day.micros() + place * Grain::Hour.micros()), numbers[0])
        });
        let columns = vec![
            Column { metric: metric("many"), buckets: many.collect() },
            Column { metric: metric("single"), buckets: single.collect() },
        ];
        let digest = Digest { columns, ..Digest::new(piece(7), Grain::Hour, day) };
        let bytes = digests::write(&digest);
        let read = |metrics: &[MetricName]| {
            let mut read = Digest::new(piece(7), Grain::Hour, day);
            digests::read(&mut read, &bytes, metrics).unwrap();
            read
        };
        prop_assert_eq!(&read(&[metric("single")]).columns, &digest.columns[1..]);
        prop_assert_eq!(read(&[metric("another")]).columns, vec![]);
        prop_assert_eq!(read(&[]), digest);
    }
}

#[test]
fn nothing_makes_no_pack() {
    assert_eq!(Pack::of(&[]), None);
}

#[test]
fn sensors_take_less_than_two_bytes_a_value() {
    let reading = |second: i64| {
        let wave = |scale: f64| ((second as f64 / scale).sin() * 1000.0).round() / 100.0 + 70.0;
        let named = (0..10).map(|nth| (metric(&format!("m{nth}")), wave(30.0 + f64::from(nth))));
        Reading {
            id: ReadingId { equipment: piece(7), at: instant(second * 1_000_000) },
            values: Values::of(named.collect()).unwrap(),
            tags: Tags::new(),
            received_at: instant(second * 1_000_000 + second % 1000),
        }
    };
    let readings: Vec<Reading> = (0..Pack::MOST as i64).map(reading).collect();
    let pack = Pack::of(&readings).unwrap();
    let bytes = pack.outline.len() + pack.body.len();
    assert!(bytes < 2 * 10 * readings.len(), "{bytes} bytes");
}
