//! Taking readings in: one, many all-or-none, or many with the bad ones left out. They are stored, what is newest is
//! noted, rules judge them and alerts are raised, all in one transaction.
//!
//! What becomes of readings that meet under one identity is decided in `batch`; `tally` counts them all.

mod batch;
mod tally;

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
use crate::telemetry::{AHEAD, Head, MOST_AT_ONCE, OnConflict, Reading, ReadingId, Tags, Values, settle};
use crate::time::Timestamp;
use batch::{Batch, Judged, Parted};
use judgement::{Before, Touched};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;
pub use tally::{Tallied, Tally};

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
    once: Once<'static, Taken>,
) -> Result<Taken, Error> {
    let results = together(app, vec![Single { by, sent, on_conflict, once }]).await;
    results.into_iter().next().unwrap_or(Err(Error::NotFound("reading")))
}

/// A reading that comes on its own.
pub struct Single {
    /// Who sends it.
    pub by: Granted<WriteData>,
    /// The reading.
    pub sent: Sent,
    /// What to do if it says otherwise than the stored one.
    pub on_conflict: OnConflict,
    /// How often it may take effect.
    pub once: Once<'static, Taken>,
}

/// Takes readings that have nothing in common but the moment at which they came. Each is taken or refused for itself, the
/// results in the order of the readings; those that are taken cost one commit together.
pub async fn together(app: &App, singles: Vec<Single>) -> Vec<Result<Taken, Error>> {
    let mut pending = app.tally.receive(singles.len());
    let results = take_together_or_apart(app, &singles).await;
    let mut counts = Counts::default();
    results.iter().flatten().for_each(|taken| counts.count(taken.outcome));
    pending.settle(counts);
    results
}

async fn take_together_or_apart(app: &App, singles: &[Single]) -> Vec<Result<Taken, Error>> {
    match take_together(app, singles).await {
        Ok(results) => results,
        Err(error) if singles.len() <= 1 => vec![Err(error)],
        Err(Error::Busy(why, _)) => singles.iter().map(|_| Err(Error::Busy(why, None))).collect(),
        Err(Error::OutcomeUnknown) => singles.iter().map(|_| Err(Error::OutcomeUnknown)).collect(),
        // One of them is to blame, and the others shall not suffer for it.
        Err(_) => {
            let mut results = Vec::with_capacity(singles.len());
            for single in singles {
                match take_together(app, std::slice::from_ref(single)).await {
                    Ok(alone) => results.extend(alone),
                    Err(error) => results.push(Err(error)),
                }
            }
            results
        }
    }
}

async fn take_together(app: &App, singles: &[Single]) -> Result<Vec<Result<Taken, Error>>, Error> {
    let mut tx = app.store.begin().await?;
    let requests = singles.iter().map(|single| Request {
        by: single.by.actor(),
        on_conflict: single.on_conflict,
        sent: single.sent.clone(),
    });
    let stored = store_in(&mut *tx, app, requests.collect(), Order::EachForItself).await?;
    let readings: HashMap<ReadingId, &Reading> =
        stored.readings.iter().map(|reading| (reading.id, reading)).collect();
    let mut results = Vec::with_capacity(singles.len());
    for (single, result) in singles.iter().zip(stored.results) {
        let taken = result.map_err(Error::from).and_then(|(id, outcome)| {
            let reading = readings.get(&id).copied().cloned().ok_or(Error::NotFound("reading"))?;
            Ok(Taken { reading, outcome })
        });
        if let Ok(taken) = &taken {
            single.once.remember_in(&mut *tx, taken, stored.now).await?;
        }
        results.push(taken);
    }
    app.commit_heads(tx, equipment_of(&stored.readings)).await?;
    app.bell.ring();
    Ok(results)
}

/// Takes all of these readings, or none when any is bad.
pub async fn all(
    app: &App,
    by: Granted<WriteData>,
    sent: Vec<Sent>,
    on_conflict: OnConflict,
    once: Once<'_, Counts>,
) -> Result<Counts, Error> {
    let mut pending = app.tally.receive(sent.len());
    refuse_too_many(sent.len())?;
    let mut tx = app.store.begin().await?;
    let stored = store_in(&mut *tx, app, requests(by.actor(), on_conflict, sent), Order::AllOrNone).await?;
    let counts = all_or_none(stored.results)?;
    once.remember_in(&mut *tx, &counts, stored.now).await?;
    app.commit_heads(tx, equipment_of(&stored.readings)).await?;
    pending.settle(counts);
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
    let mut pending = app.tally.receive(sent.len());
    let mut tx = app.store.begin().await?;
    let stored =
        store_in(&mut *tx, app, requests(by.actor(), on_conflict, sent), Order::EachForItself).await?;
    app.commit_heads(tx, equipment_of(&stored.readings)).await?;
    app.bell.ring();
    let mut sifted = Sifted::default();
    for (index, result) in stored.results.into_iter().enumerate() {
        match result {
            Ok((_, outcome)) => sifted.counts.count(outcome),
            Err(refusal) => sifted.refused.push((index, refusal.into())),
        }
    }
    pending.settle(sifted.counts);
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
fn all_or_none(results: Vec<Fate>) -> Result<Counts, Error> {
    let mut counts = Counts::default();
    let mut flaws: Vec<Flaw> = Vec::new();
    let mut differing: Vec<String> = Vec::new();
    for (index, result) in results.into_iter().enumerate() {
        let named = |field: &str| format!("{index}.{field}");
        match result {
            Ok((_, outcome)) => counts.count(outcome),
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

/// What became of a reading that was sent, and under which identity.
type Fate = Result<(ReadingId, Outcome), Refusal>;

/// What became of each reading sent, and the readings touched as they are stored now.
struct StoredBatch {
    now: Timestamp,
    results: Vec<Fate>,
    readings: Vec<Reading>,
}

/// Whose readings these are.
fn equipment_of(readings: &[Reading]) -> Vec<EquipmentId> {
    distinct(readings.iter().map(|reading| reading.id.equipment))
}

/// What a bad reading means for the others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    AllOrNone,
    EachForItself,
}

/// A reading as somebody sends it.
struct Request<'a> {
    by: &'a Actor,
    on_conflict: OnConflict,
    sent: Sent,
}

fn requests(by: &Actor, on_conflict: OnConflict, sent: Vec<Sent>) -> Vec<Request<'_>> {
    sent.into_iter().map(|sent| Request { by, on_conflict, sent }).collect()
}

async fn store_in(
    tx: &mut dyn UnitOfWork,
    app: &App,
    requests: Vec<Request<'_>>,
    order: Order,
) -> Result<StoredBatch, Error> {
    let rules = judgement::rules_in(tx, app).await?;
    // Read while the rules are held, so that what is received now is judged by rules that were in force.
    let now = rules.arrival(app.clock.now());
    let addressed = address_in(tx, requests, now).await?;
    let pieces = distinct(addressed.iter().filter_map(|addressed| addressed.equipment));
    let mut heads: BTreeMap<EquipmentId, Head> =
        tx.readings().lock_heads(&pieces).await?.into_iter().map(|head| (head.equipment, head)).collect();
    let judged: Vec<Result<Judged<'_>, Refusal>> =
        addressed.into_iter().map(|addressed| addressed.judged(&heads, now)).collect();
    // Whatever is newer than all that is stored cannot be stored already.
    let good = judged.iter().filter_map(|judged| judged.as_ref().ok()).map(|judged| judged.reading.id);
    let old = good.filter(|id| {
        heads.get(&id.equipment).and_then(|head| head.last_seen_at).is_some_and(|last| id.at <= last)
    });
    let ids: Vec<ReadingId> = distinct(old);
    let stored = if ids.is_empty() { Vec::new() } else { tx.readings().find_all(&ids).await? };
    let before: HashMap<ReadingId, Reading> =
        stored.iter().map(|reading| (reading.id, reading.clone())).collect();
    let mut batch = Batch::over(stored, judged.len());
    let results: Vec<Fate> = judged.into_iter().map(|judged| batch.take(judged?)).collect();
    if order == Order::AllOrNone && results.iter().any(Result::is_err) {
        return Ok(StoredBatch { now, results, readings: Vec::new() });
    }
    let Parted { new, changed, changed_by, untouched } = batch.parted();
    if !new.is_empty() {
        tx.readings().insert(&new).await?;
    }
    if !changed.is_empty() {
        tx.readings().replace(&changed).await?;
        for (after, by) in changed.iter().zip(changed_by) {
            record_replaced_in(tx, by, before.get(&after.id), after, now).await?;
        }
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
struct Addressed<'a> {
    by: &'a Actor,
    on_conflict: OnConflict,
    equipment: Option<EquipmentId>,
    at: Timestamp,
    values: Values,
    tags: Tags,
}

impl<'a> Addressed<'a> {
    /// Refuses equipment of which there is no head, because it is gone or hidden, and instants that lie ahead.
    fn judged(self, heads: &BTreeMap<EquipmentId, Head>, now: Timestamp) -> Result<Judged<'a>, Refusal> {
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
                let reading = Reading { id, values: self.values, tags: self.tags, received_at: now };
                Ok(Judged { by: self.by, on_conflict: self.on_conflict, reading })
            }
            _ => Err(Refusal::Flawed(flaws)),
        }
    }
}

/// Finds the equipment that each reading names. An id speaks for itself; whether there is such equipment its head tells.
async fn address_in<'a>(
    tx: &mut dyn UnitOfWork,
    requests: Vec<Request<'a>>,
    now: Timestamp,
) -> Result<Vec<Addressed<'a>>, Error> {
    let is_serial = |name: &&EquipmentRef| matches!(name, EquipmentRef::Serial(_));
    let serials: HashSet<&EquipmentRef> =
        requests.iter().map(|request| &request.sent.equipment).filter(is_serial).collect();
    let serials: Vec<EquipmentRef> = serials.into_iter().cloned().collect();
    let ids = if serials.is_empty() { Vec::new() } else { tx.equipment().resolve(&serials).await? };
    let known: HashMap<EquipmentRef, Option<EquipmentId>> = serials.into_iter().zip(ids).collect();
    let address = |(index, Request { by, on_conflict, sent }): (u64, Request<'a>)| {
        let equipment = match sent.equipment {
            EquipmentRef::Id(id) => Some(id),
            EquipmentRef::Serial(_) => known.get(&sent.equipment).copied().flatten(),
        };
        Addressed {
            by,
            on_conflict,
            equipment: equipment.filter(|id| by.reach().covers(*id)),
            // Readings of now that come together are about instants of their own.
            at: sent.at.unwrap_or_else(|| now.after(Duration::from_micros(index))),
            values: sent.values,
            tags: sent.tags,
        }
    };
    Ok((0..).zip(requests).map(address).collect())
}

/// Notes in the trail that stored values gave way to others. What is merely added is no change of anything.
async fn record_replaced_in(
    tx: &mut dyn UnitOfWork,
    by: &Actor,
    before: Option<&Reading>,
    after: &Reading,
    now: Timestamp,
) -> Result<(), Error> {
    let Some(before) = before else { return Ok(()) };
    if settle(before, after, OnConflict::Refuse).is_conflict() {
        let subject = Subject::other("reading", None, after.id);
        let event = NewEvent::new(now, by, Action::ReadingReplaced, subject);
        tx.trail().record(&event.changing(reading_facts(before), reading_facts(after))).await?;
    }
    Ok(())
}
