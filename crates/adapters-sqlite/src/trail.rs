//! The audit trail, as it is read. How it is written is in `chain.rs`.

use crate::chain;
use crate::lists::{Edge, Unprepared, instr, lower, restored, stretch, then_by, within};
use crate::rows::EventRow;
use crate::schema::audit_events;
use crate::work::{Answer, Work};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::audit::chain::{Head, StoredEvent};
use domain::audit::{Action, Event, EventFilter, EventQuery, NewEvent};
use domain::page::{Direction, Seek, Stretch};
use domain::ports::{StoreError, Trail};

#[async_trait]
impl Trail for Work {
    async fn record(&mut self, event: &NewEvent) -> Result<(), StoreError> {
        self.hold()?;
        self.recorded.push(event.clone());
        Ok(())
    }

    async fn read(&mut self, query: &EventQuery) -> Result<Stretch<Event>, StoreError> {
        let query = query.clone();
        self.run(move |connection| read(connection, &query)).await
    }

    async fn head(&mut self) -> Result<Head, StoreError> {
        self.run(chain::head).await
    }

    async fn sealed(&mut self, after: Option<i64>, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        self.run(move |connection| sealed(connection, after, limit)).await
    }
}

fn sealed(connection: &mut SqliteConnection, after: Option<i64>, limit: u32) -> Answer<Vec<StoredEvent>> {
    let lines: Vec<(EventRow, Option<Vec<u8>>)> = audit_events::table
        .filter(audit_events::id.gt(after.unwrap_or(i64::MIN)))
        .order(audit_events::id)
        .limit(limit.into())
        .select((EventRow::as_select(), audit_events::seal))
        .load(connection)?;
    Ok(lines.into_iter().map(|(row, seal)| row.sealed(seal.as_deref())).collect())
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
