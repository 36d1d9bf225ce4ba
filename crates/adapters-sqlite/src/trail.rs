//! The audit trail.

use crate::facts;
use crate::lists::{Edge, Unprepared, instr, lower, restored, stretch, then_by, within};
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

fn read(connection: &mut SqliteConnection, query: &EventQuery) -> Answer<Stretch<Event>> {
    let seek = match query.seek {
        Seek::Start => Seek::Start,
        Seek::After(mark) => Seek::After(mark.get()),
        Seek::Before(mark) => Seek::Before(mark.get()),
    };
    stretch(seek, query.direction, query.limit, |edge, direction, limit| {
        let ahead = from_edge(matching(&query.filter), edge, direction).limit(limit);
        restored(Unprepared(ahead.select(EventRow::as_select())).load(connection)?)
    })
}

type Boxed<'a> = audit_events::BoxedQuery<'a, Sqlite>;

fn from_edge(query: Boxed<'_>, edge: Edge<i64>, direction: Direction) -> Boxed<'_> {
    let id = audit_events::id;
    let query = match (edge, direction) {
        (Edge::Open, _) => query,
        (Edge::At(mark), Direction::Ascending) => query.filter(id.ge(mark)),
        (Edge::At(mark), Direction::Descending) => query.filter(id.le(mark)),
        (Edge::Beyond(mark), Direction::Ascending) => query.filter(id.gt(mark)),
        (Edge::Beyond(mark), Direction::Descending) => query.filter(id.lt(mark)),
    };
    then_by!(query, id, direction)
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
