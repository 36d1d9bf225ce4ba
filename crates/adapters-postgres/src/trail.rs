//! The audit trail: `audit_events`, read in stretches along its ids. How it is written is in `chain.rs`.

use crate::functions::{lower, strpos};
use crate::link::Link;
use crate::lists::Uncached;
use crate::rows::{JsonText, Row, stamp};
use crate::schema::audit_events;
use crate::{chain, facts};
use async_trait::async_trait;
use diesel::data_types::PgTimestamp;
use diesel::dsl::{AsSelect, Select};
use diesel::pg::Pg;
use diesel::prelude::*;
use domain::access::Origin;
use domain::audit::chain::{Head, Seal, StoredEvent};
use domain::audit::{Action, Event, EventFilter, EventQuery, NewEvent, Subject};
use domain::id::{EventId, UserId};
use domain::page::{Direction, Seek, Stretch};
use domain::ports::{StoreError, Trail};

#[async_trait]
impl Trail for Link {
    async fn record(&mut self, event: &NewEvent) -> Result<(), StoreError> {
        self.in_unit()?;
        self.recorded.push(event.clone());
        Ok(())
    }

    async fn read(&mut self, query: &EventQuery) -> Result<Stretch<Event>, StoreError> {
        let walk = Walk::of(query);
        let mut rows: Vec<EventRow> = self.all(Uncached(walk.step(query))).await?;
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let more_ahead = rows.len() > limit;
        rows.truncate(limit);
        let more_behind = match (rows.first(), walk.mark) {
            (_, None) => false,
            (Some(first), _) => self.any(walk.behind(query, first.id, false)).await?,
            (None, Some(mark)) => self.any(walk.behind(query, mark, true)).await?,
        };
        let mut items = rows.into_iter().map(Event::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(if walk.backwards {
            items.reverse();
            Stretch { items, has_previous: more_ahead, has_next: more_behind }
        } else {
            Stretch { items, has_previous: more_behind, has_next: more_ahead }
        })
    }

    async fn head(&mut self) -> Result<Head, StoreError> {
        chain::head(self).await
    }

    async fn sealed(&mut self, after: Option<i64>, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        let lines = audit_events::table
            .filter(audit_events::id.gt(after.unwrap_or(i64::MIN)))
            .order(audit_events::id)
            .limit(i64::from(limit))
            .select((EventRow::as_select(), audit_events::seal));
        let lines: Vec<(EventRow, Option<Vec<u8>>)> = self.all(lines).await?;
        Ok(lines.into_iter().map(|(row, seal)| row.sealed(seal.as_deref())).collect())
    }
}

impl Link {
    async fn any(&mut self, events: Events<'_>) -> Result<bool, StoreError> {
        let id: Option<i64> = self.one(Uncached(events.select(audit_events::id).limit(1))).await?;
        Ok(id.is_some())
    }
}

type Events<'filter> = audit_events::BoxedQuery<'filter, Pg>;

/// How to walk the trail from a mark: what precedes a mark is found by walking backwards, and turned round afterwards.
struct Walk {
    mark: Option<i64>,
    backwards: bool,
    to_larger_ids: bool,
}

impl Walk {
    fn of(query: &EventQuery) -> Self {
        let (mark, backwards) = match query.seek {
            Seek::Start => (None, false),
            Seek::After(mark) => (Some(mark.get()), false),
            Seek::Before(mark) => (Some(mark.get()), true),
        };
        let ascending = query.direction == Direction::Ascending;
        Self { mark, backwards, to_larger_ids: ascending != backwards }
    }

    /// The next events from the mark, and one more, which tells whether there are more.
    fn step<'query>(&self, query: &'query EventQuery) -> Select<Events<'query>, AsSelect<EventRow, Pg>> {
        let mut events = matching(&query.filter).limit(i64::from(query.limit).saturating_add(1));
        if let Some(mark) = self.mark {
            events = if self.to_larger_ids {
                events.filter(audit_events::id.gt(mark))
            } else {
                events.filter(audit_events::id.lt(mark))
            };
        }
        events = if self.to_larger_ids {
            events.order(audit_events::id.asc())
        } else {
            events.order(audit_events::id.desc())
        };
        events.select(EventRow::as_select())
    }

    /// The events on the other side of this one.
    fn behind<'query>(&self, query: &'query EventQuery, id: i64, inclusive: bool) -> Events<'query> {
        let events = matching(&query.filter);
        match (self.to_larger_ids, inclusive) {
            (true, false) => events.filter(audit_events::id.lt(id)),
            (true, true) => events.filter(audit_events::id.le(id)),
            (false, false) => events.filter(audit_events::id.gt(id)),
            (false, true) => events.filter(audit_events::id.ge(id)),
        }
    }
}

fn matching(filter: &EventFilter) -> Events<'_> {
    let mut matching = audit_events::table.into_boxed();
    if !filter.actors.is_empty() {
        let actors: Vec<i64> = filter.actors.iter().map(|id| id.get()).collect();
        matching = matching.filter(audit_events::actor_id.eq_any(actors));
    }
    if !filter.actions.is_empty() {
        let actions: Vec<&str> = filter.actions.iter().copied().map(Action::name).collect();
        matching = matching.filter(audit_events::action.eq_any(actions));
    }
    if !filter.subject_kinds.is_empty() {
        matching = matching.filter(audit_events::subject_kind.eq_any(&filter.subject_kinds));
    }
    if !filter.subject_ids.is_empty() {
        matching = matching.filter(audit_events::subject_id.eq_any(&filter.subject_ids));
    }
    if let Some(from) = filter.at.from {
        matching = matching.filter(audit_events::at.ge(stamp(from)));
    }
    if let Some(until) = filter.at.until {
        matching = matching.filter(audit_events::at.lt(stamp(until)));
    }
    if let Some(text) = &filter.search {
        let text = text.to_ascii_lowercase();
        let in_actor = strpos(lower(audit_events::actor_name).nullable(), text.clone()).gt(0);
        let in_subject = strpos(lower(audit_events::subject_label).nullable(), text).gt(0);
        matching = matching.filter(in_actor.or(in_subject));
    }
    matching
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_events, check_for_backend(Pg))]
pub(crate) struct EventRow {
    id: i64,
    at: PgTimestamp,
    actor_id: Option<i64>,
    actor_name: String,
    action: String,
    subject_kind: String,
    subject_id: Option<i64>,
    subject_label: String,
    address: Option<String>,
    agent: Option<String>,
    request_id: Option<String>,
    before: JsonText,
    after: JsonText,
}

impl EventRow {
    fn sealed(self, seal: Option<&[u8]>) -> StoredEvent {
        let id = self.id;
        let what = Event::try_from(self).ok().map(|event| event.what);
        StoredEvent { id, what, seal: seal.and_then(Seal::restore) }
    }
}

impl TryFrom<EventRow> for Event {
    type Error = StoreError;

    fn try_from(event: EventRow) -> Result<Self, StoreError> {
        let row = Row { table: "audit_events", key: &event.id };
        let actor = event.actor_id.map(|id| row.read("actor_id", UserId::new(id)));
        let address = event.address.map(|text| row.read("address", text.parse().ok()));
        Ok(Self {
            id: row.read("id", EventId::new(event.id))?,
            what: NewEvent {
                at: row.instant("at", event.at)?,
                actor: actor.transpose()?,
                action: row.read("action", Action::parse(&event.action))?,
                origin: Origin {
                    address: address.transpose()?,
                    agent: event.agent,
                    request_id: event.request_id,
                },
                before: row.read("before", facts::read(&event.before.0))?,
                after: row.read("after", facts::read(&event.after.0))?,
                actor_name: event.actor_name,
                subject: Subject {
                    kind: event.subject_kind,
                    id: event.subject_id,
                    label: event.subject_label,
                },
            },
        })
    }
}
