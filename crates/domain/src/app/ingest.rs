//! Taking readings in: one, many all-or-none, or many with the bad ones left out. They are stored, what is newest is
//! noted, rules judge them and alerts are raised, all in one transaction.

use super::{App, judgement};
use crate::access::rights::WriteData;
use crate::access::{Actor, Granted};
use crate::audit::{Action, NewEvent, Subject, reading_facts};
use crate::equipment::EquipmentRef;
use crate::error::{Error, Flaw, Reason};
use crate::id::EquipmentId;
use crate::idempotency::Once;
use crate::live::NewLiveEvent;
use crate::ports::UnitOfWork;
use crate::telemetry::{
    AHEAD, Head, MOST_AT_ONCE, OnConflict, Reading, ReadingId, Settled, Tags, Values, settle,
};
use crate::time::Timestamp;
use judgement::{Before, Touched};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

/// A reading as a machine sends it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// Of which equipment.
    pub equipment: EquipmentRef,
    /// The instant that it is about; now if nobody says.
    pub at: Option<Timestamp>,
    /// What was measured.
    pub values: Values,
    /// Other facts.
    pub tags: Tags,
}

/// What became of a reading that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored, and was not there before.
    Stored,
    /// It added something to what was there.
    Merged,
    /// It was there already.
    Duplicate,
}

/// A single reading, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// The reading as it is stored now.
    pub reading: Reading,
    /// What became of it.
    pub outcome: Outcome,
}

/// How many readings became what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Stored, or added to what was there.
    pub accepted: u64,
    /// There already.
    pub duplicates: u64,
}

/// What became of readings of which the bad ones were left out.
#[derive(Debug, Default)]
pub struct Sifted {
    /// The good ones.
    pub counts: Counts,
    /// The bad ones, by their place from 0, and why.
    pub refused: Vec<(usize, Error)>,
}

/// Takes one reading.
pub async fn one(
    app: &App,
    by: Granted<WriteData>,
    sent: Sent,
    on_conflict: OnConflict,
    once: Once<'_, Taken>,
) -> Result<Taken, Error> {
    let mut tx = app.store.begin().await?;
    let order = Order { on_conflict, all_or_none: true };
    let mut stored = store_in(&mut *tx, app, by.actor(), vec![sent], order).await?;
    let outcome = stored.results.pop().ok_or(Error::NotFound("reading"))??;
    let reading = stored.readings.pop().ok_or(Error::NotFound("reading"))?;
    let taken = Taken { reading, outcome };
    once.remember_in(&mut *tx, &taken, stored.now).await?;
    tx.commit().await?;
    app.bell.ring();
    Ok(taken)
}

/// Takes all of these readings, or none when any is bad.
pub async fn all(
    app: &App,
    by: Granted<WriteData>,
    sent: Vec<Sent>,
    on_conflict: OnConflict,
    once: Once<'_, Counts>,
) -> Result<Counts, Error> {
    refuse_too_many(sent.len())?;
    let mut tx = app.store.begin().await?;
    let order = Order { on_conflict, all_or_none: true };
    let stored = store_in(&mut *tx, app, by.actor(), sent, order).await?;
    let counts = all_or_none(stored.results)?;
    once.remember_in(&mut *tx, &counts, stored.now).await?;
    tx.commit().await?;
    app.bell.ring();
    Ok(counts)
}

/// Refuses more readings than are taken all or none.
pub fn refuse_too_many(count: usize) -> Result<(), Error> {
    if count <= MOST_AT_ONCE {
        return Ok(());
    }
    Err(Error::flaw("", "too_many", format!("must be at most {MOST_AT_ONCE} readings")))
}

/// Takes the good ones of these readings and says what is wrong with the others.
pub async fn sift(
    app: &App,
    by: &Granted<WriteData>,
    sent: Vec<Sent>,
    on_conflict: OnConflict,
) -> Result<Sifted, Error> {
    let mut tx = app.store.begin().await?;
    let order = Order { on_conflict, all_or_none: false };
    let stored = store_in(&mut *tx, app, by.actor(), sent, order).await?;
    tx.commit().await?;
    app.bell.ring();
    let mut sifted = Sifted::default();
    for (index, result) in stored.results.into_iter().enumerate() {
        match result {
            Ok(outcome) => sifted.counts.count(outcome),
            Err(refusal) => sifted.refused.push((index, refusal.into())),
        }
    }
    Ok(sifted)
}

impl Counts {
    fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Stored | Outcome::Merged => self.accepted += 1,
            Outcome::Duplicate => self.duplicates += 1,
        }
    }
}

/// Why a reading is not taken.
enum Refusal {
    Flawed(Vec<Flaw>),
    Contradicts(Vec<String>),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Flawed(flaws) => Error::Invalid(flaws),
            Refusal::Contradicts(fields) => Error::DifferentValue(fields),
        }
    }
}

/// Flaws of fields come first: what is malformed is said before what contradicts.
fn all_or_none(results: Vec<Result<Outcome, Refusal>>) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    let mut flaws: Vec<Flaw> = Vec::new();
    let mut differing: Vec<String> = Vec::new();
    for (index, result) in results.into_iter().enumerate() {
        let named = |field: &str| format!("{index}.{field}");
        match result {
            Ok(outcome) => counts.count(outcome),
            Err(Refusal::Flawed(found)) => {
                flaws.extend(found.into_iter().map(|flaw| Flaw { field: named(&flaw.field), ..flaw }));
            }
            Err(Refusal::Contradicts(fields)) => differing.extend(fields.iter().map(|field| named(field))),
        }
    }
    if !flaws.is_empty() {
        return Err(Error::Invalid(flaws));
    }
    if differing.is_empty() { Ok(counts) } else { Err(Error::DifferentValue(differing)) }
}

/// What became of each reading sent, and the readings touched as they are stored now.
struct StoredBatch {
    now: Timestamp,
    results: Vec<Result<Outcome, Refusal>>,
    readings: Vec<Reading>,
}

/// How readings shall be taken.
#[derive(Clone, Copy)]
struct Order {
    on_conflict: OnConflict,
    all_or_none: bool,
}

async fn store_in(
    tx: &mut dyn UnitOfWork,
    app: &App,
    by: &Actor,
    sent: Vec<Sent>,
    Order { on_conflict, all_or_none }: Order,
) -> Result<StoredBatch, Error> {
    let rules = judgement::rules_in(tx, app).await?;
    // Read while the rules are held, so that what is received now is judged by rules that were in force.
    let now = rules.arrival(app.clock.now());
    let addressed = address_in(tx, by, sent, now).await?;
    let pieces = distinct(addressed.iter().filter_map(|addressed| addressed.equipment));
    let mut heads: BTreeMap<EquipmentId, Head> =
        tx.readings().lock_heads(&pieces).await?.into_iter().map(|head| (head.equipment, head)).collect();
    let judged: Vec<Result<Reading, Refusal>> =
        addressed.into_iter().map(|addressed| addressed.judged(&heads, now)).collect();
    let good = judged.iter().filter_map(|reading| reading.as_ref().ok());
    // Whatever is newer than all that is stored cannot be stored already.
    let old = good.filter(|reading| {
        let head = heads.get(&reading.id.equipment);
        head.is_some_and(|head| head.last_seen_at.is_some_and(|last| reading.id.at <= last))
    });
    let ids: Vec<ReadingId> = distinct(old.map(|reading| reading.id));
    let stored = if ids.is_empty() { Vec::new() } else { tx.readings().find_all(&ids).await? };
    let before: HashMap<ReadingId, Reading> =
        stored.iter().map(|reading| (reading.id, reading.clone())).collect();
    let mut batch = Batch::over(stored, judged.len());
    let results: Vec<_> = judged.into_iter().map(|reading| batch.take(reading?, on_conflict)).collect();
    if all_or_none && results.iter().any(Result::is_err) {
        return Ok(StoredBatch { now, results, readings: Vec::new() });
    }
    let Parted { new, changed, untouched } = batch.parted();
    if !new.is_empty() {
        tx.readings().insert(&new).await?;
    }
    if !changed.is_empty() {
        tx.readings().replace(&changed).await?;
        record_replaced_in(tx, by, &before, &changed, now).await?;
    }
    let touched: Vec<&Reading> = new.iter().chain(&changed).collect();
    settle_in(tx, app, &rules, &mut heads, &touched, &before, now).await?;
    let readings = new.into_iter().chain(changed).chain(untouched).collect();
    Ok(StoredBatch { now, results, readings })
}

/// Moves the heads on, tells watchers what is newest, and has the rules judge.
async fn settle_in(
    tx: &mut dyn UnitOfWork,
    app: &App,
    rules: &judgement::Compiled,
    heads: &mut BTreeMap<EquipmentId, Head>,
    readings: &[&Reading],
    before: &HashMap<ReadingId, Reading>,
    now: Timestamp,
) -> Result<(), Error> {
    let mut of_each: BTreeMap<EquipmentId, Vec<&Reading>> = BTreeMap::new();
    for reading in readings {
        of_each.entry(reading.id.equipment).or_default().push(reading);
    }
    let mut touched = Vec::with_capacity(of_each.len());
    let mut events = Vec::new();
    for (equipment, mut readings) in of_each {
        let Some(head) = heads.get_mut(&equipment) else { continue };
        readings.sort_unstable_by_key(|reading| reading.id.at);
        let last_seen_before = head.last_seen_at;
        head.advance(&readings);
        let is_newest = |newest: &&&Reading| last_seen_before.is_none_or(|last| newest.id.at >= last);
        if let Some(newest) = readings.last().filter(is_newest) {
            let (at, values) = (newest.id.at, newest.values.clone());
            events.push(NewLiveEvent::Values { equipment, at, values });
        }
        let (kind, before) = (head.kind.clone(), Before::Known(before));
        touched.push(Touched { equipment, kind, last_seen_before, readings, before });
    }
    let moved: Vec<Head> =
        touched.iter().filter_map(|touched| heads.get(&touched.equipment).cloned()).collect();
    if !moved.is_empty() {
        tx.readings().save_heads(&moved).await?;
        if !events.is_empty() {
            tx.live().announce(&events, now).await?;
        }
        judgement::judge_in(tx, app, rules, &touched, now).await?;
    }
    Ok(())
}

fn distinct<T: Ord + std::hash::Hash + Copy>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.collect::<HashSet<T>>().into_iter().collect();
    items.sort_unstable();
    items
}

/// A reading of which it is known what equipment it names, if that is within the sender's reach.
struct Addressed {
    equipment: Option<EquipmentId>,
    at: Timestamp,
    values: Values,
    tags: Tags,
}

impl Addressed {
    /// Refuses equipment of which there is no head, because it is gone or hidden, and instants that lie ahead.
    fn judged(self, heads: &BTreeMap<EquipmentId, Head>, now: Timestamp) -> Result<Reading, Refusal> {
        let equipment = self.equipment.filter(|equipment| heads.contains_key(equipment));
        let mut flaws = Vec::new();
        if equipment.is_none() {
            flaws.push(Reason::new("unknown", "must be equipment in the register").at("equipment"));
        }
        if self.at > now.after(AHEAD) {
            flaws.push(Reason::new("future", "must not lie more than 10 minutes ahead").at("timestamp"));
        }
        match equipment {
            Some(equipment) if flaws.is_empty() => {
                let id = ReadingId { equipment, at: self.at };
                Ok(Reading { id, values: self.values, tags: self.tags, received_at: now })
            }
            _ => Err(Refusal::Flawed(flaws)),
        }
    }
}

/// Finds the equipment that each reading names. An id speaks for itself; whether there is such equipment its head tells.
async fn address_in(
    tx: &mut dyn UnitOfWork,
    by: &Actor,
    sent: Vec<Sent>,
    now: Timestamp,
) -> Result<Vec<Addressed>, Error> {
    let is_serial = |name: &&EquipmentRef| matches!(name, EquipmentRef::Serial(_));
    let serials: HashSet<&EquipmentRef> = sent.iter().map(|sent| &sent.equipment).filter(is_serial).collect();
    let serials: Vec<EquipmentRef> = serials.into_iter().cloned().collect();
    let ids = if serials.is_empty() { Vec::new() } else { tx.equipment().resolve(&serials).await? };
    let known: HashMap<EquipmentRef, Option<EquipmentId>> = serials.into_iter().zip(ids).collect();
    let address = |(index, sent): (u64, Sent)| {
        let equipment = match sent.equipment {
            EquipmentRef::Id(id) => Some(id),
            EquipmentRef::Serial(_) => known.get(&sent.equipment).copied().flatten(),
        };
        Addressed {
            equipment: equipment.filter(|id| by.reach().covers(*id)),
            // Readings of now that come together are about instants of their own.
            at: sent.at.unwrap_or_else(|| now.after(Duration::from_micros(index))),
            values: sent.values,
            tags: sent.tags,
        }
    };
    Ok((0..).zip(sent).map(address).collect())
}

/// Notes in the trail which stored values gave way to others. What is merely added is no change of anything.
async fn record_replaced_in(
    tx: &mut dyn UnitOfWork,
    by: &Actor,
    before: &HashMap<ReadingId, Reading>,
    after: &[Reading],
    now: Timestamp,
) -> Result<(), Error> {
    for after in after {
        let Some(before) = before.get(&after.id) else { continue };
        if settle(before, after, OnConflict::Refuse).is_conflict() {
            let subject = Subject::other("reading", None, after.id);
            let event = NewEvent::new(now, by, Action::ReadingReplaced, subject);
            tx.trail().record(&event.changing(reading_facts(before), reading_facts(after))).await?;
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    New,
    Changed,
    Untouched,
}

/// Readings by identity, and what becomes of each.
struct Batch {
    places: HashMap<ReadingId, usize>,
    readings: Vec<(Reading, Fate)>,
}

/// Readings by what becomes of them.
#[derive(Default)]
struct Parted {
    new: Vec<Reading>,
    changed: Vec<Reading>,
    untouched: Vec<Reading>,
}

impl Batch {
    fn over(stored: Vec<Reading>, expected: usize) -> Self {
        let mut batch =
            Self { places: HashMap::with_capacity(expected), readings: Vec::with_capacity(expected) };
        for reading in stored {
            batch.add(reading, Fate::Untouched);
        }
        batch
    }

    fn add(&mut self, reading: Reading, fate: Fate) {
        self.places.insert(reading.id, self.readings.len());
        self.readings.push((reading, fate));
    }

    fn take(&mut self, sent: Reading, on_conflict: OnConflict) -> Result<Outcome, Refusal> {
        let place = self.places.get(&sent.id).copied();
        let Some((there, fate)) = place.and_then(|place| self.readings.get_mut(place)) else {
            self.add(sent, Fate::New);
            return Ok(Outcome::Stored);
        };
        match settle(there, &sent, on_conflict) {
            Settled::Same => Ok(Outcome::Duplicate),
            Settled::Conflict(fields) => Err(Refusal::Contradicts(fields)),
            Settled::Merged(whole) => {
                *there = whole;
                if *fate == Fate::Untouched {
                    *fate = Fate::Changed;
                }
                Ok(Outcome::Merged)
            }
        }
    }

    fn parted(self) -> Parted {
        let mut parted = Parted { new: Vec::with_capacity(self.readings.len()), ..Parted::default() };
        for (reading, fate) in self.readings {
            match fate {
                Fate::New => parted.new.push(reading),
                Fate::Changed => parted.changed.push(reading),
                Fate::Untouched => parted.untouched.push(reading),
            }
        }
        parted
    }
}
