//! The end of the audit trail's chain: what is appended there, and who may.
//!
//! Whoever appends holds the one row of `audit_head` until the commit, so appending takes turns over all servers; that is why it is
//! the last that a unit of work does, and why it is said in one breath with the commit. Committed rows are therefore seen in the
//! order of their ids, without gaps.

use crate::facts;
use crate::link::Link;
use crate::rows::{JsonText, Row, stamp};
use crate::schema::{audit_events, audit_head};
use crate::statement::Statement;
use crate::trail::EventRow;
use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bytea, Json, Nullable, Text, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use domain::audit::chain::{END_REMOVED, Hash, Head, Seal};
use domain::audit::{Event, Facts};
use domain::error::BoxError;
use domain::id::UserId;
use domain::ports::StoreError;

/// What a unit of work says last.
type LastWords = [Option<Statement<'static>>; 3];

/// How many rows are sealed in one go.
const STEP: i64 = 1000;

const APPEND: &str = "INSERT INTO audit_events (id, at, actor_id, actor_name, action, subject_kind, subject_id, subject_label, \
     address, agent, request_id, before, after, seal) \
     SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const MOVE_ON: &str = "UPDATE audit_head SET events = ?, newest = ?, hash = ?";

const SEAL: &str = "UPDATE audit_events SET seal = sealed.seal FROM unnest(?, ?) AS sealed (id, seal) \
     WHERE audit_events.id = sealed.id";

type HeadRow = (i64, i64, Vec<u8>);

/// Where the chain ends.
pub(crate) async fn head(link: &mut Link) -> Result<Head, StoreError> {
    let head = audit_head::table.select((audit_head::events, audit_head::newest, audit_head::hash));
    restored(link.one(head).await?)
}

fn restored(head: Option<HeadRow>) -> Result<Head, StoreError> {
    let row = Row { table: "audit_head", key: &true };
    let (events, newest, hash) = row.read("id", head)?;
    let hash = Hash::restore(row.bytes("hash", &hash)?);
    Ok(Head { events: row.read("events", events.try_into().ok())?, newest, hash })
}

impl Link {
    /// What appends the events that this unit of work recorded. Waits for the end of the chain, and holds it until the unit ends.
    pub(crate) async fn appending(&mut self) -> Result<LastWords, StoreError> {
        let held =
            audit_head::table.select((audit_head::events, audit_head::newest, audit_head::hash)).for_update();
        let mut head = restored(self.one(held).await?)?;
        let mut rows = EventColumns::default();
        for event in std::mem::take(&mut self.recorded) {
            let appended = head.append(event);
            rows.push(appended.ok_or_else(|| StoreError::Fault("there are no more ids".into()))?)?;
        }
        Ok([Some(rows.appending()), Some(moving_on(head)), None])
    }
}

fn moving_on(head: Head) -> Statement<'static> {
    Statement::new(MOVE_ON)
        .bind::<BigInt, _>(i64::try_from(head.events).unwrap_or(i64::MAX))
        .bind::<BigInt, _>(head.newest)
        .bind::<Bytea, _>(head.hash.bytes().to_vec())
}

/// Rows column by column: any number of them is one statement, which is prepared once.
#[derive(Default)]
struct EventColumns {
    ids: Vec<i64>,
    at: Vec<PgTimestamp>,
    actor_ids: Vec<Option<i64>>,
    actor_names: Vec<String>,
    actions: Vec<&'static str>,
    subject_kinds: Vec<String>,
    subject_ids: Vec<Option<i64>>,
    subject_labels: Vec<String>,
    addresses: Vec<Option<String>>,
    agents: Vec<Option<String>>,
    request_ids: Vec<Option<String>>,
    before: Vec<JsonText>,
    after: Vec<JsonText>,
    seals: Vec<Vec<u8>>,
}

impl EventColumns {
    fn push(&mut self, (Event { id, what }, seal): (Event, Seal)) -> Result<(), StoreError> {
        self.before.push(json(&what.before)?);
        self.after.push(json(&what.after)?);
        self.ids.push(id.get());
        self.at.push(stamp(what.at));
        self.actor_ids.push(what.actor.map(UserId::get));
        self.actor_names.push(what.actor_name);
        self.actions.push(what.action.name());
        self.subject_kinds.push(what.subject.kind);
        self.subject_ids.push(what.subject.id);
        self.subject_labels.push(what.subject.label);
        self.addresses.push(what.origin.address.map(|address| address.to_string()));
        self.agents.push(what.origin.agent);
        self.request_ids.push(what.origin.request_id);
        self.seals.push(seal.to_bytes().to_vec());
        Ok(())
    }

    fn appending(self) -> Statement<'static> {
        Statement::new(APPEND)
            .bind::<Array<BigInt>, _>(self.ids)
            .bind::<Array<Timestamptz>, _>(self.at)
            .bind::<Array<Nullable<BigInt>>, _>(self.actor_ids)
            .bind::<Array<Text>, _>(self.actor_names)
            .bind::<Array<Text>, _>(self.actions)
            .bind::<Array<Text>, _>(self.subject_kinds)
            .bind::<Array<Nullable<BigInt>>, _>(self.subject_ids)
            .bind::<Array<Text>, _>(self.subject_labels)
            .bind::<Array<Nullable<Text>>, _>(self.addresses)
            .bind::<Array<Nullable<Text>>, _>(self.agents)
            .bind::<Array<Nullable<Text>>, _>(self.request_ids)
            .bind::<Array<Json>, _>(self.before)
            .bind::<Array<Json>, _>(self.after)
            .bind::<Array<Bytea>, _>(self.seals)
    }
}

fn json(facts: &Facts) -> Result<JsonText, StoreError> {
    facts::write(facts).map(JsonText).map_err(|error| StoreError::Fault(Box::new(error)))
}

/// Whether rows from before there was a chain still have no seal.
pub(crate) async fn lacks_seals(link: &mut Link) -> Result<bool, StoreError> {
    let head = audit_head::table.select(audit_head::newest);
    Ok(link.one::<i64, _>(head).await?.is_none())
}

/// Seals rows from before there was a chain, all or none. Says whether there was something to do.
pub(crate) async fn seal_older(connection: &mut AsyncPgConnection) -> Result<bool, BoxError> {
    let begun: i64 = audit_head::table.count().get_result(connection).await?;
    if begun > 0 {
        return Ok(false);
    }
    connection.transaction::<_, BoxError, _>(async |connection| seal_all(connection).await).await?;
    Ok(true)
}

async fn seal_all(connection: &mut AsyncPgConnection) -> Result<(), BoxError> {
    // Rows get their first seals all at once, together with the end of the chain: where some are sealed and the end is missing,
    // somebody removed it, and new seals would cover up whatever else they did.
    let sealed = audit_events::table.filter(audit_events::seal.is_not_null()).count();
    let sealed: i64 = sealed.get_result(connection).await?;
    if sealed > 0 {
        return Err(END_REMOVED.into());
    }
    let mut head = Head::EMPTY;
    loop {
        let older = audit_events::table
            .filter(audit_events::id.gt(head.newest))
            .order(audit_events::id)
            .limit(STEP)
            .select(EventRow::as_select());
        let older: Vec<EventRow> = older.load(connection).await?;
        if older.is_empty() {
            break;
        }
        let (mut ids, mut seals) = (Vec::new(), Vec::new());
        for row in older {
            let event = Event::try_from(row)?;
            ids.push(event.id.get());
            seals.push(head.take_in(&event).to_bytes().to_vec());
        }
        let sealing = Statement::<()>::new(SEAL).bind::<Array<BigInt>, _>(ids).bind::<Array<Bytea>, _>(seals);
        sealing.execute(connection).await?;
    }
    diesel::insert_into(audit_head::table)
        .values((
            audit_head::id.eq(true),
            audit_head::events.eq(i64::try_from(head.events)?),
            audit_head::newest.eq(head.newest),
            audit_head::hash.eq(head.hash.bytes().as_slice()),
        ))
        .execute(connection)
        .await?;
    Ok(())
}
