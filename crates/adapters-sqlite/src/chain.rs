//! The end of the audit trail's chain, where units of work append what they recorded when they commit.

use crate::facts;
use crate::rows::{EventRow, Place};
use crate::schema::{audit_events, audit_head};
use crate::work::Answer;
use diesel::prelude::*;
use domain::audit::chain::{END_REMOVED, Hash, Head, Seal};
use domain::audit::{Event, Facts, NewEvent};
use domain::id::UserId;
use domain::ports::StoreError;

/// How many rows are sealed in one go.
const STEP: i64 = 1000;

type HeadRow = (i64, i64, Vec<u8>);

/// Where the chain ends.
pub(crate) fn head(connection: &mut SqliteConnection) -> Answer<Head> {
    let place = Place { table: "audit_head", row: 1 };
    let (events, newest, hash) = place.sound("id", stored_head(connection)?)?;
    let hash = place.sound("hash", hash.try_into().ok().map(Hash::restore))?;
    Ok(Head { events: place.sound("events", events.try_into().ok())?, newest, hash })
}

fn stored_head(connection: &mut SqliteConnection) -> QueryResult<Option<HeadRow>> {
    let head = audit_head::table.select((audit_head::events, audit_head::newest, audit_head::hash));
    head.first(connection).optional()
}

/// Appends what a unit of work recorded; the last that it does before its commit.
pub(crate) fn append(connection: &mut SqliteConnection, recorded: Vec<NewEvent>) -> Answer<()> {
    if recorded.is_empty() {
        return Ok(());
    }
    let mut head = head(connection)?;
    for event in recorded {
        let appended = head.append(event);
        let (event, seal) = appended.ok_or_else(|| StoreError::Fault("there are no more ids".into()))?;
        insert(connection, &event, seal)?;
    }
    save(connection, head)
}

fn insert(connection: &mut SqliteConnection, Event { id, what }: &Event, seal: Seal) -> Answer<()> {
    diesel::insert_into(audit_events::table)
        .values((
            audit_events::id.eq(id.get()),
            audit_events::at.eq(what.at.micros()),
            audit_events::actor_id.eq(what.actor.map(UserId::get)),
            audit_events::actor_name.eq(&what.actor_name),
            audit_events::action.eq(what.action.name()),
            audit_events::subject_kind.eq(&what.subject.kind),
            audit_events::subject_id.eq(what.subject.id),
            audit_events::subject_label.eq(&what.subject.label),
            audit_events::address.eq(what.origin.address.map(|address| address.to_string())),
            audit_events::agent.eq(&what.origin.agent),
            audit_events::request_id.eq(&what.origin.request_id),
            audit_events::before.eq(json(&what.before)?),
            audit_events::after.eq(json(&what.after)?),
            audit_events::seal.eq(seal.to_bytes().as_slice()),
        ))
        .execute(connection)?;
    Ok(())
}

fn json(facts: &Facts) -> Result<String, StoreError> {
    facts::to_json(facts).map_err(|error| StoreError::Fault(Box::new(error)))
}

fn save(connection: &mut SqliteConnection, head: Head) -> Answer<()> {
    let moved = (
        audit_head::id.eq(1),
        audit_head::events.eq(i64::try_from(head.events).unwrap_or(i64::MAX)),
        audit_head::newest.eq(head.newest),
        audit_head::hash.eq(head.hash.bytes().as_slice()),
    );
    diesel::replace_into(audit_head::table).values(moved).execute(connection)?;
    Ok(())
}

/// Whether rows from before there was a chain still have no seal.
pub(crate) fn lacks_seals(connection: &mut SqliteConnection) -> QueryResult<bool> {
    Ok(stored_head(connection)?.is_none())
}

/// Seals rows from before there was a chain, all or none. Says whether there was something to do.
pub(crate) fn seal_older(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let sealed = connection.immediate_transaction(|connection| {
        let lacking = lacks_seals(connection)?;
        if lacking {
            refuse_sealed(connection)?;
            let head = seal_all(connection)?;
            save(connection, head)?;
        }
        Ok(lacking)
    });
    sealed.map_err(|failure: crate::errors::Failure| failure.into())
}

/// Rows get their first seals all at once, together with the end of the chain: where some are sealed and the end is missing, somebody
/// removed it, and new seals would cover up whatever else they did.
fn refuse_sealed(connection: &mut SqliteConnection) -> Answer<()> {
    let sealed: i64 =
        audit_events::table.filter(audit_events::seal.is_not_null()).count().get_result(connection)?;
    if sealed > 0 {
        return Err(StoreError::Fault(END_REMOVED.into()).into());
    }
    Ok(())
}

fn seal_all(connection: &mut SqliteConnection) -> Answer<Head> {
    let mut head = Head::EMPTY;
    loop {
        let older: Vec<EventRow> = audit_events::table
            .filter(audit_events::id.gt(head.newest))
            .order(audit_events::id)
            .limit(STEP)
            .select(EventRow::as_select())
            .load(connection)?;
        if older.is_empty() {
            return Ok(head);
        }
        for row in older {
            let event = Event::try_from(row)?;
            let seal = audit_events::seal.eq(head.take_in(&event).to_bytes().to_vec());
            diesel::update(audit_events::table.find(event.id.get())).set(seal).execute(connection)?;
        }
    }
}
