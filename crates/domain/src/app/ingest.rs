//! Taking readings in: one, many all-or-none, or many with the bad ones left out. They are stored, what is newest is
//! noted, rules judge them and alerts are raised, all in one transaction.
//!
//! What becomes of readings that meet under one identity is decided in `batch`, how many metrics a machine may have in
//! `repertoire`; `tally` counts them all.

mod batch;
mod repertoire;
mod tally;

use super::{App, judgement, rollups};
use crate::access::rights::WriteData;
use crate::access::{Actor, Granted};
use crate::audit::{Action, NewEvent, Subject, reading_facts};
use crate::equipment::EquipmentRef;
use crate::error::{Error, Flaw, Reason};
use crate::id::EquipmentId;
use crate::idempotency::Once;
use crate::live::NewLiveEvent;
use crate::ports::{Intake, IntakeNeeds, TakenIn, UnitOfWork};
use crate::telemetry::{AHEAD, Head, MOST_AT_ONCE, OnConflict, Reading, ReadingId, Tags, Values, settle};
use crate::time::Timestamp;
use batch::{Batch, Judged, Parted};
use judgement::{Before, Touched};
use repertoire::Repertoires;
pub(super) use repertoire::refuse_too_many_metrics;
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
    let requests = singles.iter().map(|single| Request {
        by: single.by.actor(),
        on_conflict: single.on_conflict,
        sent: single.sent.clone(),
    });
    let mut batch = take_in(app, requests.collect(), Order::EachForItself).await?;
    let readings: HashMap<ReadingId, &Reading> =
        batch.new.iter().chain(&batch.known).map(|reading| (reading.id, reading)).collect();
    let mut results = Vec::with_capacity(singles.len());
    for (single, result) in singles.iter().zip(std::mem::take(&mut batch.results)) {
        let taken = result.map_err(Error::from).and_then(|(id, outcome)| {
            let reading = readings.get(&id).copied().cloned().ok_or(Error::NotFound("reading"))?;
            Ok(Taken { reading, outcome })
        });
        if let Ok(taken) = &taken {
            single.once.remember_in(&mut *batch.tx, taken, batch.now).await?;
        }
        results.push(taken);
    }
    batch.commit(app).await?;
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
    let mut batch = take_in(app, requests(by.actor(), on_conflict, sent), Order::AllOrNone).await?;
    let counts = all_or_none(std::mem::take(&mut batch.results))?;
    once.remember_in(&mut *batch.tx, &counts, batch.now).await?;
    batch.commit(app).await?;
    pending.settle(counts);
    Ok(counts)
}

/// Refuses more readings than are taken all or none.
pub fn refuse_too_many(count: usize) -> Result<(), Error> {
    if count <= MOST_AT_ONCE {
        return Ok(());
    }
    Err(Error::flaw("readings", "too_many", format!("must be at most {MOST_AT_ONCE}")))
}

/// Takes the good ones of these readings and says what is wrong with the others.
pub async fn sift(
    app: &App,
    by: &Granted<WriteData>,
    sent: Vec<Sent>,
    on_conflict: OnConflict,
) -> Result<Sifted, Error> {
    let mut pending = app.tally.receive(sent.len());
    let mut batch = take_in(app, requests(by.actor(), on_conflict, sent), Order::EachForItself).await?;
    let results = std::mem::take(&mut batch.results);
    batch.commit(app).await?;
    let mut sifted = Sifted::default();
    for (index, result) in results.into_iter().enumerate() {
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

/// How many flaws of a batch are told, at most: there may be one for every few bytes of it.
const MOST_NAMED: usize = 1_000;

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
                let room = MOST_NAMED.saturating_sub(flaws.len());
                let found = found.into_iter().take(room);
                flaws.extend(found.map(|flaw| Flaw { field: named(&flaw.field), ..flaw }));
            }
            Err(Refusal::Contradicts(fields)) => {
                let room = MOST_NAMED.saturating_sub(differing.len());
                differing.extend(fields.iter().take(room).map(|field| named(field)));
            }
        }
    }
    if !flaws.is_empty() {
        return Err(Error::Invalid(flaws));
    }
    if differing.is_empty() { Ok(counts) } else { Err(Error::DifferentValue(differing)) }
}

/// What became of a reading that was sent, and under which identity.
type Fate = Result<(ReadingId, Outcome), Refusal>;

/// Readings that were taken in, in a unit of work that is still open.
struct TakenBatch {
    tx: Box<dyn UnitOfWork>,
    now: Timestamp,
    /// What became of each reading sent.
    results: Vec<Fate>,
    /// What was not there before.
    new: Vec<Reading>,
    /// What was there already, as it is stored now.
    known: Vec<Reading>,
    unwritten: Option<Unwritten>,
}

/// What is still to be written of new readings, beside them, when no rule has anything to say about them.
struct Unwritten {
    heads: Vec<Head>,
    events: Vec<NewLiveEvent>,
}

impl TakenBatch {
    /// Writes what is not written yet, makes all of it so, and tells watchers.
    async fn commit(self, app: &App) -> Result<(), Error> {
        let Self { tx, now, new, known, unwritten, .. } = self;
        let pieces = distinct(new.iter().chain(&known).map(|reading| reading.id.equipment));
        app.moving_heads(pieces, async {
            match unwritten {
                Some(Unwritten { heads, events }) => {
                    tx.commit_intake(TakenIn { readings: &new, heads: &heads, events: &events, at: now })
                        .await
                }
                None => tx.commit().await,
            }
        })
        .await?;
        app.bell.ring();
        Ok(())
    }
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

/// Takes readings in. What nothing else depends on is not written before the end, so that it goes together with the commit.
async fn take_in(app: &App, requests: Vec<Request<'_>>, order: Order) -> Result<TakenBatch, Error> {
    let addressed = address(app, requests).await?;
    let since = earliest(&addressed, app.clock.now());
    let pieces: Vec<EquipmentId> = since.iter().map(|(piece, _)| *piece).collect();
    let known = app.rules.known();
    let needs = IntakeNeeds {
        known_rules: known.generation,
        pieces: &pieces,
        alerts_since: if known.is_empty() { &[] } else { &since },
    };
    let lacks_alerts = known.is_empty();
    let (mut tx, Intake { rules, heads, mut alerts }) = app.store.begin_intake(needs).await?;
    let rules = app.rules.renewed(known, rules);
    if lacks_alerts && !rules.is_empty() {
        alerts = tx.alerts().touching(&since).await?;
    }
    // Read while the rules are held, so that what is received now is judged by rules that were in force.
    let now = rules.arrival(app.clock.now());
    let mut heads: BTreeMap<EquipmentId, Head> =
        heads.into_iter().map(|head| (head.equipment, head)).collect();
    let mut repertoires = Repertoires::of(&heads);
    let judged: Vec<Result<Judged<'_>, Refusal>> = addressed
        .into_iter()
        .map(|addressed| {
            let judged = addressed.judged(&heads, now)?;
            repertoires.widen(&judged.reading)?;
            Ok(judged)
        })
        .collect();
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
        return Ok(TakenBatch { tx, now, results, new: Vec::new(), known: Vec::new(), unwritten: None });
    }
    let Parted { new, changed, changed_by, untouched } = batch.parted();
    let touched: Vec<&Reading> = new.iter().chain(&changed).collect();
    let of_heads = touched.iter().filter_map(|reading| Some((heads.get(&reading.id.equipment)?, *reading)));
    rollups::outdate_in(&mut *tx, app, of_heads, now).await?;
    let moved = move_heads(&mut heads, &touched, &before);
    let cases = judgement::cases(app, &rules, &moved.touched, alerts);
    let unwritten = if changed.is_empty() && cases.is_empty() {
        Some(moved.unwritten)
    } else {
        let Unwritten { heads, events } = &moved.unwritten;
        TakenIn { readings: &new, heads, events, at: now }.write_in(&mut *tx).await?;
        if !changed.is_empty() {
            tx.readings().replace(&changed).await?;
            for (after, by) in changed.iter().zip(changed_by) {
                record_replaced_in(&mut *tx, by, before.get(&after.id), after, now).await?;
            }
        }
        judgement::judge_cases_in(&mut *tx, app, cases, now).await?;
        None
    };
    let known = changed.into_iter().chain(untouched).collect();
    Ok(TakenBatch { tx, now, results, new, known, unwritten })
}

/// Heads that readings moved on, and what the rules have to know of it.
struct Moved<'a> {
    touched: Vec<Touched<'a>>,
    unwritten: Unwritten,
}

/// Moves the heads on, and finds out what to tell watchers and the rules.
fn move_heads<'a>(
    heads: &mut BTreeMap<EquipmentId, Head>,
    readings: &[&'a Reading],
    before: &'a HashMap<ReadingId, Reading>,
) -> Moved<'a> {
    let mut of_each: BTreeMap<EquipmentId, Vec<&'a Reading>> = BTreeMap::new();
    for reading in readings {
        of_each.entry(reading.id.equipment).or_default().push(reading);
    }
    let mut touched = Vec::with_capacity(of_each.len());
    let mut events = Vec::new();
    for (equipment, mut readings) in of_each {
        let Some(head) = heads.get_mut(&equipment) else { continue };
        readings.sort_unstable_by_key(|reading| reading.id.at);
        let (last_seen_before, latest_before) = (head.last_seen_at, head.latest.as_slice().into());
        head.advance(&readings);
        let is_newest = |newest: &&&Reading| last_seen_before.is_none_or(|last| newest.id.at >= last);
        if let Some(newest) = readings.last().filter(is_newest) {
            let (at, values) = (newest.id.at, newest.values.clone());
            events.push(NewLiveEvent::Values { equipment, at, values });
        }
        let (kind, before) = (head.kind.clone(), Before::Known(before));
        touched.push(Touched { equipment, kind, last_seen_before, latest_before, readings, before });
    }
    let heads = touched.iter().filter_map(|touched| heads.get(&touched.equipment).cloned()).collect();
    Moved { touched, unwritten: Unwritten { heads, events } }
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
    at: Option<Timestamp>,
    /// Its place among those that came with it.
    place: u64,
    values: Values,
    tags: Tags,
}

impl<'a> Addressed<'a> {
    /// Refuses equipment of which there is no head, because it is gone or hidden, and instants that lie ahead.
    fn judged(self, heads: &BTreeMap<EquipmentId, Head>, now: Timestamp) -> Result<Judged<'a>, Refusal> {
        // Readings of now that come together are about instants of their own.
        let at = self.at.unwrap_or_else(|| now.after(Duration::from_micros(self.place)));
        let equipment = self.equipment.filter(|equipment| heads.contains_key(equipment));
        let mut flaws = Vec::new();
        if equipment.is_none() {
            flaws.push(Reason::new("unknown", "must be equipment in the register").at("equipment"));
        }
        if at > now.after(AHEAD) {
            flaws.push(Reason::new("future", "must not lie more than 10 minutes ahead").at("timestamp"));
        }
        match equipment {
            Some(equipment) if flaws.is_empty() => {
                let id = ReadingId { equipment, at };
                let reading = Reading { id, values: self.values, tags: self.tags, received_at: now };
                Ok(Judged { by: self.by, on_conflict: self.on_conflict, reading })
            }
            _ => Err(Refusal::Flawed(flaws)),
        }
    }
}

/// Finds the equipment that each reading names. An id speaks for itself; whether there is such equipment its head tells.
async fn address<'a>(app: &App, requests: Vec<Request<'a>>) -> Result<Vec<Addressed<'a>>, Error> {
    let is_name = |name: &&EquipmentRef| !matches!(name, EquipmentRef::Id(_));
    let names: HashSet<&EquipmentRef> =
        requests.iter().map(|request| &request.sent.equipment).filter(is_name).collect();
    let names: Vec<EquipmentRef> = names.into_iter().cloned().collect();
    let ids = if names.is_empty() {
        Vec::new()
    } else {
        app.store.reader().await?.equipment().resolve(&names).await?
    };
    let known: HashMap<EquipmentRef, Option<EquipmentId>> = names.into_iter().zip(ids).collect();
    let address = |(place, Request { by, on_conflict, sent }): (u64, Request<'a>)| {
        let equipment = match sent.equipment {
            EquipmentRef::Id(id) => Some(id),
            EquipmentRef::Serial(_) | EquipmentRef::Called(_) => {
                known.get(&sent.equipment).copied().flatten()
            }
        };
        Addressed {
            by,
            on_conflict,
            equipment: equipment.filter(|id| by.reach().covers(*id)),
            at: sent.at,
            place,
            values: sent.values,
            tags: sent.tags,
        }
    };
    Ok((0..).zip(requests).map(address).collect())
}

/// The equipment that readings name, in ascending order, each with an instant before which none of its readings lies.
fn earliest(addressed: &[Addressed<'_>], now: Timestamp) -> Vec<(EquipmentId, Timestamp)> {
    // Clocks are set back now and then.
    let now = now.before(AHEAD);
    let mut earliest: HashMap<EquipmentId, Timestamp> = HashMap::new();
    for Addressed { equipment, at, .. } in addressed {
        if let Some(equipment) = equipment {
            let at = at.unwrap_or(now);
            earliest.entry(*equipment).and_modify(|first| *first = at.min(*first)).or_insert(at);
        }
    }
    let mut earliest: Vec<(EquipmentId, Timestamp)> = earliest.into_iter().collect();
    earliest.sort_unstable();
    earliest
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
