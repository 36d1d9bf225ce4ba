//! The audit trail.

use crate::facts;
use crate::lists::{Unprepared, instr, lower, restored, within};
use crate::rows::{EventRow, Place};
use crate::schema::audit_events;
use crate::work::{Answer, Work};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::audit::{Action, Event, EventFilter, EventQuery, Facts, NewEvent};
use domain::id::{EventId, UserId};
use domain::page::{Direction, Seek, Stretch};
use domain::ports::{StoreError, Trail};

#[async_trait]
impl Trail for Work {
    async fn record(&mut self, event: &NewEvent) -> Result<EventId, StoreError> {
        let event = event.clone();
        self.run(move |connection| record(connection, &event)).await
    }

    async fn read(&mut self, query: &EventQuery) -> Result<Stretch<Event>, StoreError> {
        let query = query.clone();
        self.run(move |connection| read(connection, &query)).await
    }
}

fn record(connection: &mut SqliteConnection, event: &NewEvent) -> Answer<EventId> {
    let id: i64 = diesel::insert_into(audit_events::table)
        .values((
            audit_events::at.eq(event.at.micros()),
            audit_events::actor_id.eq(event.actor.map(UserId::get)),
            audit_events::actor_name.eq(&event.actor_name),
            audit_events::action.eq(event.action.name()),
            audit_events::subject_kind.eq(&event.subject.kind),
            audit_events::subject_id.eq(event.subject.id),
            audit_events::subject_label.eq(&event.subject.label),
            audit_events::address.eq(event.origin.address.map(|address| address.to_string())),
            audit_events::agent.eq(&event.origin.agent),
            audit_events::request_id.eq(&event.origin.request_id),
            audit_events::before.eq(json(&event.before)?),
            audit_events::after.eq(json(&event.after)?),
        ))
        .returning(audit_events::id)
        .get_result(connection)?;
    Ok(Place { table: "audit_events", row: id }.sound("id", EventId::new(id))?)
}

fn json(facts: &Facts) -> Result<String, StoreError> {
    facts::to_json(facts).map_err(|error| StoreError::Fault(Box::new(error)))
}

/// One row more than asked for tells whether the stream goes on; what lies behind the mark is asked for by itself.
fn read(connection: &mut SqliteConnection, query: &EventQuery) -> Answer<Stretch<Event>> {
    let towards_larger_ids = match query.seek {
        Seek::Start | Seek::After(_) => query.direction == Direction::Ascending,
        Seek::Before(_) => query.direction == Direction::Descending,
    };
    let mark = match query.seek {
        Seek::Start => None,
        Seek::After(mark) | Seek::Before(mark) => Some(mark.get()),
    };
    let ahead = beyond(matching(&query.filter), mark, towards_larger_ids);
    let rows = Unprepared(ahead.limit(i64::from(query.limit) + 1).select(EventRow::as_select()));
    let mut items: Vec<Event> = restored(rows.load(connection)?)?;
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let goes_on = items.len() > limit;
    items.truncate(limit);
    let comes_from = match mark {
        Some(mark) => any_behind(connection, query, mark, towards_larger_ids)?,
        None => false,
    };
    Ok(match query.seek {
        Seek::Start | Seek::After(_) => Stretch { items, has_previous: comes_from, has_next: goes_on },
        Seek::Before(_) => {
            items.reverse();
            Stretch { items, has_previous: goes_on, has_next: comes_from }
        }
    })
}

type Boxed<'a> = audit_events::BoxedQuery<'a, Sqlite>;

fn beyond(query: Boxed<'_>, mark: Option<i64>, towards_larger_ids: bool) -> Boxed<'_> {
    match (mark, towards_larger_ids) {
        (None, true) => query.order(audit_events::id.asc()),
        (None, false) => query.order(audit_events::id.desc()),
        (Some(mark), true) => query.filter(audit_events::id.gt(mark)).order(audit_events::id.asc()),
        (Some(mark), false) => query.filter(audit_events::id.lt(mark)).order(audit_events::id.desc()),
    }
}

/// Whether the stream holds the mark itself or anything on the side of it that was turned away from.
fn any_behind(
    connection: &mut SqliteConnection,
    query: &EventQuery,
    mark: i64,
    towards_larger_ids: bool,
) -> Answer<bool> {
    let all = matching(&query.filter);
    let behind = if towards_larger_ids {
        all.filter(audit_events::id.le(mark))
    } else {
        all.filter(audit_events::id.ge(mark))
    };
    let first: Option<i64> =
        Unprepared(behind.select(audit_events::id).limit(1)).get_result(connection).optional()?;
    Ok(first.is_some())
}

fn matching(filter: &EventFilter) -> Boxed<'_> {
    let mut query = audit_events::table.into_boxed();
    if !filter.actors.is_empty() {
        query = query.filter(audit_events::actor_id.eq_any(filter.actors.iter().map(|id| id.get())));
    }
    if !filter.actions.is_empty() {
        query = query.filter(audit_events::action.eq_any(filter.actions.iter().copied().map(Action::name)));
    }
    if !filter.subject_kinds.is_empty() {
        query = query.filter(audit_events::subject_kind.eq_any(&filter.subject_kinds));
    }
    if !filter.subject_ids.is_empty() {
        query = query.filter(audit_events::subject_id.eq_any(&filter.subject_ids));
    }
    if let Some(text) = filter.search.as_deref().map(str::to_ascii_lowercase) {
        let in_actor = instr(lower(audit_events::actor_name), text.clone()).gt(0);
        query = query.filter(in_actor.or(instr(lower(audit_events::subject_label), text).gt(0)));
    }
    within!(query, audit_events::at, filter.at)
}
