//! A few readings that come in one request and need not be stored all or none: they share commits with what others send.

use crate::readings::gather::Gatherer;
use domain::access::Granted;
use domain::access::rights::WriteData;
use domain::app::App;
use domain::app::ingest::{Counts, Outcome, Sent, Sifted, Single};
use domain::equipment::EquipmentRef;
use domain::error::{Code, Error, Kind};
use domain::idempotency::Once;
use domain::telemetry::{MOST_ATTRIBUTES, MOST_METRICS, OnConflict};
use domain::time::Timestamp;
use futures_util::future::join_all;
use std::collections::HashMap;
use std::sync::Arc;

/// So many are few.
const FEW: usize = 32;

/// From so many lines hardly ever few readings are made.
const MOST_LINES: usize = 512;

/// Puts readings of the same equipment and instant together, the later before the earlier where they differ; says whether few
/// are left, each of an instant of its own. More than can become few are left as they are: storage puts those together itself.
///
/// Nothing is put together that could be refused for what only a part of it says: neither where the first value counts, nor
/// where it would become more than a reading may be. Such readings have to be stored in their order, so that they are not few.
pub(crate) fn fused(sent: &mut Vec<Sent>, numbers: &mut Vec<u64>, on_conflict: OnConflict) -> bool {
    if sent.len() > MOST_LINES {
        return false;
    }
    let mut places: HashMap<(EquipmentRef, Option<Timestamp>), usize> = HashMap::with_capacity(sent.len());
    let mut left: Vec<Sent> = Vec::with_capacity(sent.len());
    let mut lines = Vec::with_capacity(sent.len());
    for (reading, number) in sent.drain(..).zip(numbers.drain(..)) {
        let place = *places.entry((reading.equipment.clone(), reading.at)).or_insert(left.len());
        let apart = match left.get_mut(place) {
            Some(first) => fuse(first, reading, on_conflict),
            None => Some(reading),
        };
        if let Some(reading) = apart {
            left.push(reading);
            lines.push(number);
        }
    }
    let is_each_alone = places.len() == left.len();
    *sent = left;
    *numbers = lines;
    is_each_alone && sent.len() <= FEW
}

/// Adds the second to the first, or gives it back if it has to stay apart.
fn fuse(first: &mut Sent, second: Sent, on_conflict: OnConflict) -> Option<Sent> {
    if on_conflict == OnConflict::Refuse {
        return Some(second);
    }
    let values = first.values.with(&second.values);
    let further = second.tags.keys().filter(|name| !first.tags.contains_key(*name)).count();
    if values.numbers().len() > MOST_METRICS || first.tags.len() + further > MOST_ATTRIBUTES {
        return Some(second);
    }
    first.values = values;
    first.tags.extend(second.tags);
    None
}

/// Stores them, the bad ones left out.
pub(crate) async fn store(
    app: Arc<App>,
    storing: Arc<Gatherer<Single>>,
    by: Granted<WriteData>,
    sent: Vec<Sent>,
    on_conflict: OnConflict,
) -> Result<Sifted, Error> {
    let singles = sent.into_iter().map(|sent| {
        let single = Single { by: by.clone(), sent, on_conflict, once: Once::each_time() };
        Arc::clone(&storing).join(Arc::clone(&app), single)
    });
    let mut sifted = Sifted::default();
    for (index, outcome) in join_all(singles).await.into_iter().enumerate() {
        match outcome {
            Ok(taken) => count(&mut sifted.counts, taken.outcome),
            Err(error) if is_its_own_fault(&error) => sifted.refused.push((index, error)),
            Err(error) => return Err(error),
        }
    }
    Ok(sifted)
}

/// Whether a reading was refused for what it is, and not because nothing could be stored.
fn is_its_own_fault(error: &Error) -> bool {
    error.code().kind() == Kind::Invalid || error.code() == Code::DifferentValue
}

fn count(counts: &mut Counts, outcome: Outcome) {
    match outcome {
        Outcome::Stored | Outcome::Merged => counts.accepted += 1,
        Outcome::Duplicate => counts.duplicates += 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::EquipmentId;
    use domain::telemetry::{MetricName, Tag, Tags, Values};

    /// A reading of one machine at this second, with metrics and flags of these numbers.
    fn sent(second: i64, metrics: std::ops::Range<usize>, flags: std::ops::Range<usize>) -> Sent {
        let metric = |number: usize| MetricName::parse(&format!("m{number}")).unwrap();
        let tags: Tags = flags.map(|number| (format!("t{number}"), Tag::Flag(true))).collect();
        Sent {
            equipment: EquipmentRef::Id(EquipmentId::new(7).unwrap()),
            at: Timestamp::from_micros(second * 1_000_000),
            values: Values::of(metrics.map(|number| (metric(number), 1.0)).collect()).unwrap(),
            tags,
        }
    }

    /// Whether few are left, and the numbers of metrics and flags of each that is left, with its line.
    fn fuse_all(mut all: Vec<Sent>, on_conflict: OnConflict) -> (bool, Vec<(u64, usize, usize)>) {
        let mut numbers: Vec<u64> = (1..).take(all.len()).collect();
        let are_few = fused(&mut all, &mut numbers, on_conflict);
        let sizes = all.iter().map(|sent| (sent.values.numbers().len(), sent.tags.len()));
        (are_few, numbers.iter().zip(sizes).map(|(line, (metrics, flags))| (*line, metrics, flags)).collect())
    }

    #[test]
    fn lines_of_one_instant_become_one_reading_where_the_later_counts() {
        let lines = vec![sent(1, 0..2, 0..1), sent(2, 0..1, 0..0), sent(1, 1..3, 0..2)];
        let expected = (true, vec![(1, 3, 2), (2, 1, 0)]);
        assert_eq!(fuse_all(lines, OnConflict::Replace), expected);
    }

    #[test]
    fn where_the_first_value_counts_every_line_stays_what_it_is() {
        let alone = vec![sent(1, 0..1, 0..0), sent(2, 0..1, 0..0)];
        assert_eq!(fuse_all(alone, OnConflict::Refuse), (true, vec![(1, 1, 0), (2, 1, 0)]));
        let doubled = vec![sent(1, 0..1, 0..0), sent(1, 1..2, 0..0)];
        assert_eq!(fuse_all(doubled, OnConflict::Refuse), (false, vec![(1, 1, 0), (2, 1, 0)]));
    }

    #[test]
    fn what_would_become_more_than_a_reading_may_be_stays_apart() {
        let full = sent(1, 0..MOST_METRICS, 0..MOST_ATTRIBUTES);
        let known = fuse_all(vec![full.clone(), sent(1, 0..1, 0..1)], OnConflict::Replace);
        assert_eq!(known, (true, vec![(1, MOST_METRICS, MOST_ATTRIBUTES)]));
        let metric = sent(1, MOST_METRICS..MOST_METRICS + 1, 0..0);
        let flag = sent(1, 0..0, MOST_ATTRIBUTES..MOST_ATTRIBUTES + 1);
        let (are_few, left) = fuse_all(vec![full, metric, sent(1, 0..1, 0..0), flag], OnConflict::Replace);
        assert_eq!(left, [(1, MOST_METRICS, MOST_ATTRIBUTES), (2, 1, 0), (4, 0, 1)]);
        assert!(!are_few, "they have to be stored in their order");
    }
}
