//! A few readings that come in one request and need not be stored all or none: they share commits with what others send.

use crate::readings::gather::Gatherer;
use domain::access::Granted;
use domain::access::rights::WriteData;
use domain::app::App;
use domain::app::ingest::{Counts, Outcome, Sent, Sifted, Single};
use domain::equipment::EquipmentRef;
use domain::error::{Code, Error, Kind};
use domain::idempotency::Once;
use domain::telemetry::{MetricName, OnConflict, Values};
use domain::time::Timestamp;
use futures_util::future::join_all;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// So many are few.
const FEW: usize = 32;

/// From so many lines hardly ever few readings are made.
const MOST_LINES: usize = 512;

/// Puts readings of the same equipment and instant together, the later before the earlier where they differ; says whether few
/// are left. More than can become few are left as they are: storage puts those together itself.
pub(crate) fn fused(sent: &mut Vec<Sent>, numbers: &mut Vec<u64>) -> bool {
    if sent.len() > MOST_LINES {
        return false;
    }
    let mut places: HashMap<(EquipmentRef, Option<Timestamp>), usize> = HashMap::with_capacity(sent.len());
    let mut left: Vec<Sent> = Vec::with_capacity(sent.len());
    let mut lines = Vec::with_capacity(sent.len());
    for (reading, number) in sent.drain(..).zip(numbers.drain(..)) {
        let identity = (reading.equipment.clone(), reading.at);
        match places.get(&identity).and_then(|place| left.get_mut(*place)) {
            Some(first) => fuse(first, reading),
            None => {
                places.insert(identity, left.len());
                left.push(reading);
                lines.push(number);
            }
        }
    }
    *sent = left;
    *numbers = lines;
    sent.len() <= FEW
}

fn fuse(first: &mut Sent, second: Sent) {
    let both = first.values.iter().chain(second.values.iter());
    let named: BTreeMap<MetricName, f64> = both.map(|(name, value)| (name.clone(), value)).collect();
    if let Some(values) = Values::of(named.into_iter().collect()) {
        first.values = values;
    }
    first.tags.extend(second.tags);
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
