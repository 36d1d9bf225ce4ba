//! Stored readings: look up, walk through, replace, move, delete. How they come in is in [`super::ingest`].

use super::equipment::refuse_out_of_reach;
use super::ingest::refuse_too_many_metrics;
use super::judgement::{self, Before, Touched};
use super::{App, rollups};
use crate::access::rights::{ViewData, WriteData};
use crate::access::{Actor, Granted};
use crate::audit::{Action, NewEvent, Subject, reading_facts};
use crate::equipment::{EquipmentRef, Reach};
use crate::error::Error;
use crate::id::EquipmentId;
use crate::live::NewLiveEvent;
use crate::page::{Direction, Stretch};
use crate::patch::Precondition;
use crate::ports::{Unique, UnitOfWork};
use crate::telemetry::rollup::Grain;
use crate::telemetry::{
    AHEAD, Head, Latest, MetricName, Reading, ReadingFilter, ReadingId, ReadingQuery, Tags, Values,
};
use crate::time::{Span, Timestamp};
use std::collections::HashMap;

/// How many readings an export holds at once.
const AT_ONCE: u32 = 2_000;

/// A change of a stored reading. What is absent stays.
#[derive(Clone, Debug, Default)]
pub struct ReadingChange {
    /// Of other equipment.
    pub equipment: Option<EquipmentRef>,
    /// About another instant.
    pub at: Option<Timestamp>,
    /// All that was measured.
    pub values: Option<Values>,
    /// All other facts.
    pub tags: Option<Tags>,
}

/// A stretch of readings that the caller may see.
pub async fn read(
    app: &App,
    by: &Granted<ViewData>,
    mut query: ReadingQuery,
) -> Result<Stretch<Reading>, Error> {
    let nothing = Stretch { items: Vec::new(), has_previous: false, has_next: false };
    if !narrow(&mut query.filter, by.actor()) {
        return Ok(nothing);
    }
    Ok(app.store.reader().await?.readings().read(&query).await?)
}

/// A stretch of the readings of one piece of equipment.
pub async fn read_of(
    app: &App,
    by: &Granted<ViewData>,
    equipment: EquipmentId,
    mut query: ReadingQuery,
) -> Result<Stretch<Reading>, Error> {
    refuse_out_of_reach(by.actor(), equipment)?;
    let mut reader = app.store.reader().await?;
    if reader.readings().heads(&[equipment]).await?.is_empty() {
        return Err(Error::NotFound("equipment"));
    }
    query.filter.equipment = vec![equipment];
    Ok(reader.readings().read(&query).await?)
}

/// The readings after `after` in the order of their instants, as many as fit into memory comfortably; none when there are no
/// more. For walking through any number of them.
pub async fn next(
    app: &App,
    by: &Granted<ViewData>,
    mut filter: ReadingFilter,
    direction: Direction,
    after: Option<ReadingId>,
) -> Result<Vec<Reading>, Error> {
    if !narrow(&mut filter, by.actor()) {
        return Ok(Vec::new());
    }
    Ok(app.store.reader().await?.readings().scan(&filter, direction, after, AT_ONCE).await?)
}

/// A reading that somebody asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Who asks.
    pub by: Granted<ViewData>,
    /// For which one.
    pub id: ReadingId,
}

/// Looks up readings that have nothing in common but the moment at which they are asked for, at the cost of little more
/// than one: in the order of the questions, with nothing for those that are not at hand. [`get`] knows where else to look.
pub async fn at_hand(app: &App, asked: &[Asked]) -> Vec<Result<Option<Reading>, Error>> {
    match find_at_hand(app, asked).await {
        Ok(found) => found.into_iter().map(Ok).collect(),
        Err(Error::Busy(why, _)) => asked.iter().map(|_| Err(Error::Busy(why, None))).collect(),
        // One of them is to blame, and hears of it when it is looked up alone.
        Err(_) => asked.iter().map(|_| Ok(None)).collect(),
    }
}

async fn find_at_hand(app: &App, asked: &[Asked]) -> Result<Vec<Option<Reading>>, Error> {
    let within_reach = |asked: &&Asked| refuse_out_of_reach(asked.by.actor(), asked.id.equipment).is_ok();
    let ids: Vec<ReadingId> = asked.iter().filter(within_reach).map(|asked| asked.id).collect();
    let found = app.store.reader().await?.readings().at_hand(&ids).await?;
    let found: HashMap<ReadingId, Reading> = found.into_iter().map(|reading| (reading.id, reading)).collect();
    let answer = |asked: &Asked| within_reach(&asked).then(|| found.get(&asked.id).cloned()).flatten();
    Ok(asked.iter().map(answer).collect())
}

/// One reading.
pub async fn get(app: &App, by: &Granted<ViewData>, id: ReadingId) -> Result<Reading, Error> {
    refuse_out_of_reach(by.actor(), id.equipment).map_err(|_| Error::NotFound("reading"))?;
    app.store.reader().await?.readings().find(id).await?.ok_or(Error::NotFound("reading"))
}

/// Changes a reading; to another instant or other equipment it moves, and gets another id. Who says what it says already changes
/// nothing.
pub async fn change(
    app: &App,
    by: Granted<WriteData>,
    id: ReadingId,
    change: ReadingChange,
    precondition: Precondition,
) -> Result<Reading, Error> {
    refuse_out_of_reach(by.actor(), id.equipment).map_err(|_| Error::NotFound("reading"))?;
    let mut tx = app.store.begin().await?;
    let rules = judgement::rules_in(&mut *tx, app).await?;
    let now = rules.arrival(app.clock.now());
    let to = target_in(&mut *tx, by.actor(), id, &change, now).await?;
    let mut heads = tx.readings().lock_heads(&[id.equipment, to.equipment]).await?;
    let before = tx.readings().find(id).await?.ok_or(Error::NotFound("reading"))?;
    precondition.check(before.version())?;
    if heads.iter().all(|head| head.equipment != to.equipment) {
        return Err(Error::flaw("equipment", "unknown", "must be equipment in the register"));
    }
    let after = Reading {
        id: to,
        values: change.values.unwrap_or_else(|| before.values.clone()),
        tags: change.tags.unwrap_or_else(|| before.tags.clone()),
        received_at: now,
    };
    if to == id && after.values == before.values && after.tags == before.tags {
        tx.rollback().await;
        return Ok(before);
    }
    if let Some(head) = heads.iter().find(|head| head.equipment == to.equipment) {
        refuse_too_many_metrics(head, &after.values)?;
    }
    if to == id {
        tx.readings().replace(std::slice::from_ref(&after)).await?;
    } else {
        if !tx.readings().find_all(&[to]).await?.is_empty() {
            return Err(taken(id, to));
        }
        tx.readings().delete(&[id]).await?;
        tx.readings().insert(std::slice::from_ref(&after)).await?;
    }
    settle_in(&mut *tx, app, &rules, &mut heads, (&before, Some(&after)), now).await?;
    let subject = Subject::other("reading", None, id);
    let event = NewEvent::new(now, by.actor(), Action::ReadingReplaced, subject);
    tx.trail().record(&event.changing(reading_facts(&before), reading_facts(&after))).await?;
    app.commit_heads(tx, vec![id.equipment, to.equipment]).await?;
    app.bell.ring();
    Ok(after)
}

/// Deletes a reading. What it had set off is judged anew without it.
pub async fn delete(
    app: &App,
    by: Granted<WriteData>,
    id: ReadingId,
    precondition: Precondition,
) -> Result<(), Error> {
    refuse_out_of_reach(by.actor(), id.equipment).map_err(|_| Error::NotFound("reading"))?;
    let mut tx = app.store.begin().await?;
    let rules = judgement::rules_in(&mut *tx, app).await?;
    let now = rules.arrival(app.clock.now());
    let mut heads = tx.readings().lock_heads(&[id.equipment]).await?;
    let before = tx.readings().find(id).await?.ok_or(Error::NotFound("reading"))?;
    precondition.check(before.version())?;
    tx.readings().delete(&[id]).await?;
    settle_in(&mut *tx, app, &rules, &mut heads, (&before, None), now).await?;
    let subject = Subject::other("reading", None, id);
    let event = NewEvent::new(now, by.actor(), Action::ReadingDeleted, subject);
    tx.trail().record(&event.changing(reading_facts(&before), Vec::new())).await?;
    app.commit_heads(tx, vec![id.equipment]).await?;
    app.bell.ring();
    Ok(())
}

/// Narrows the question to what the caller may see; `false` when that is nothing.
fn narrow(filter: &mut ReadingFilter, by: &Actor) -> bool {
    let Reach::Only(pieces) = by.reach() else { return true };
    if filter.equipment.is_empty() {
        filter.equipment.clone_from(pieces);
    } else {
        filter.equipment.retain(|id| by.reach().covers(*id));
    }
    !filter.equipment.is_empty()
}

/// The identity that the reading shall have.
async fn target_in(
    tx: &mut dyn UnitOfWork,
    by: &Actor,
    id: ReadingId,
    change: &ReadingChange,
    now: Timestamp,
) -> Result<ReadingId, Error> {
    let at = change.at.unwrap_or(id.at);
    if at > now.after(AHEAD) {
        return Err(Error::flaw("timestamp", "future", "must not lie more than 10 minutes ahead"));
    }
    let Some(name) = &change.equipment else { return Ok(ReadingId { at, ..id }) };
    let found = tx.equipment().resolve(std::slice::from_ref(name)).await?.into_iter().next().flatten();
    let found = found.filter(|equipment| by.reach().covers(*equipment));
    let unknown = || Error::flaw("equipment", "unknown", "must be equipment in the register");
    Ok(ReadingId { equipment: found.ok_or_else(unknown)?, at })
}

/// Another reading is where this one was to be moved: to blame is what was chosen anew.
fn taken(from: ReadingId, to: ReadingId) -> Error {
    let chosen =
        [(Unique::ReadingOfEquipment, from.equipment != to.equipment), (Unique::Reading, from.at != to.at)];
    Error::Taken(chosen.into_iter().filter_map(|(unique, is_new)| is_new.then_some(unique)).collect())
}

/// Sees to what follows from a reading that is not any more what it was.
async fn settle_in(
    tx: &mut dyn UnitOfWork,
    app: &App,
    rules: &judgement::Compiled,
    heads: &mut [Head],
    (before, after): (&Reading, Option<&Reading>),
    now: Timestamp,
) -> Result<(), Error> {
    let mut touched = Vec::with_capacity(heads.len());
    let mut events = Vec::new();
    for head in heads.iter_mut() {
        let equipment = head.equipment;
        let mut readings: Vec<&Reading> = [Some(before), after].into_iter().flatten().collect();
        readings.retain(|reading| reading.id.equipment == equipment);
        readings.sort_unstable_by_key(|reading| reading.id.at);
        rollups::outdate_in(tx, app, readings.iter().map(|reading| (&*head, *reading)), now).await?;
        let (last_seen_before, latest_before) = (head.last_seen_at, head.latest.as_slice().into());
        if before.id.equipment == equipment {
            forget_in(tx, app, head, before).await?;
        }
        if let Some(after) = after.filter(|after| after.id.equipment == equipment) {
            head.advance(&[after]);
            if head.last_seen_at == Some(after.id.at) {
                let (at, values) = (after.id.at, after.values.clone());
                events.push(NewLiveEvent::Values { equipment, at, values });
            }
        }
        let kind = head.kind.clone();
        touched.push(Touched {
            equipment,
            kind,
            last_seen_before,
            latest_before,
            readings,
            before: Before::Unknown,
        });
    }
    tx.readings().save_heads(heads).await?;
    if !events.is_empty() {
        tx.live().announce(&events, now).await?;
    }
    judgement::judge_in(tx, app, rules, &touched, now).await
}

/// Looks up anew what the head knew from this reading, which is stored no more as it was.
async fn forget_in(tx: &mut dyn UnitOfWork, app: &App, head: &mut Head, gone: &Reading) -> Result<(), Error> {
    if head.last_seen_at == Some(gone.id.at) {
        let of_it = ReadingFilter { equipment: vec![head.equipment], ..ReadingFilter::default() };
        let newest = tx.readings().scan(&of_it, Direction::Descending, None, 1).await?;
        head.last_seen_at = newest.first().map(|reading| reading.id.at);
    }
    let known_from_it =
        |latest: &&Latest| latest.at == gone.id.at && gone.values.get(&latest.metric).is_some();
    let metrics: Vec<MetricName> =
        head.latest.iter().filter(known_from_it).map(|latest| latest.metric.clone()).collect();
    head.latest.retain(|latest| !metrics.contains(&latest.metric));
    let found = newest_in(tx, app, head, &metrics, gone.id.at).await?;
    head.latest.extend(found);
    head.latest.sort_unstable_by(|one, other| one.metric.cmp(&other.metric));
    Ok(())
}

/// The newest values of these metrics that are older than this instant; none is stored that is as new. They are searched for
/// among the readings of the time that rules look back, and of days that no rollup tells of yet; what lies before that is found
/// on the days that rollups tell, however many readings there are in between.
async fn newest_in(
    tx: &mut dyn UnitOfWork,
    app: &App,
    head: &Head,
    metrics: &[MetricName],
    at: Timestamp,
) -> Result<Vec<Latest>, Error> {
    let looked_back = Grain::Day.start_of(at.before(app.policy.judged_back));
    let not_rolled_up = head.rolled_until.map_or(Timestamp::MIN, |until| Grain::Day.start_of(until));
    let recent = looked_back.min(not_rolled_up);
    let lately = Span { from: Some(recent), until: Some(at) };
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for metric in metrics {
        match newest_within_in(tx, head.equipment, metric, lately).await? {
            Some(latest) => found.push(latest),
            None => missing.push(metric.clone()),
        }
    }
    if missing.is_empty() {
        return Ok(found);
    }
    for (metric, days) in rollups::days_with_in(tx, head.equipment, missing, recent).await? {
        for day in days {
            let day = Span { from: Some(day), until: Some(day.after(Grain::Day.length())) };
            let then = newest_within_in(tx, head.equipment, &metric, day).await?;
            if then.is_some() {
                found.extend(then);
                break;
            }
        }
    }
    Ok(found)
}

async fn newest_within_in(
    tx: &mut dyn UnitOfWork,
    equipment: EquipmentId,
    metric: &MetricName,
    at: Span,
) -> Result<Option<Latest>, Error> {
    let filter = ReadingFilter {
        equipment: vec![equipment],
        metrics: vec![metric.clone()],
        at,
        ..ReadingFilter::default()
    };
    let newest = tx.readings().scan(&filter, Direction::Descending, None, 1).await?;
    Ok(newest.first().and_then(|reading| {
        let value = reading.values.get(metric)?;
        Some(Latest { metric: metric.clone(), at: reading.id.at, value })
    }))
}
