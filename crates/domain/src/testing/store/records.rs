//! What is kept about use itself: sign-in counters, remembered answers, signing keys, the audit trail.

use super::lists::{any, directed, stretch};
use super::{Unit, remove_some};
use crate::audit::chain::{Head, StoredEvent};
use crate::audit::{Event, EventFilter, EventQuery, NewEvent};
use crate::idempotency::Remembered;
use crate::page::{Direction, Stretch};
use crate::ports::{Idempotency, SignIns, SigningKeys, StoreError, Trail, Unique};
use crate::sessions::SigningKey;
use crate::sign_in::Counter;
use crate::time::Timestamp;
use async_trait::async_trait;
use std::cmp::Reverse;

#[async_trait]
impl SignIns for Unit {
    async fn lock(&mut self, key: &[u8; 32], now: Timestamp) -> Result<Counter, StoreError> {
        let stored = self.hold()?.counters.get(key).copied();
        Ok(stored.unwrap_or_else(|| Counter::fresh(now)))
    }

    async fn save(&mut self, key: &[u8; 32], counter: &Counter) -> Result<(), StoreError> {
        self.change(|tables| {
            tables.counters.insert(*key, *counter);
            Ok(())
        })
    }

    async fn forget_quiet(&mut self, before: Timestamp, most: u32) -> Result<u64, StoreError> {
        self.change(|tables| Ok(remove_some(&mut tables.counters, most, |counter| counter.last_at < before)))
    }
}

#[async_trait]
impl Idempotency for Unit {
    async fn remember(&mut self, answer: &Remembered) -> Result<(), StoreError> {
        self.change(|tables| {
            if tables.answers.contains_key(&answer.claim.scope) {
                return Err(StoreError::Conflict(Unique::IdempotencyKey));
            }
            tables.answers.insert(answer.claim.scope, answer.clone());
            Ok(())
        })
    }

    async fn find(&mut self, scope: &[u8; 32]) -> Result<Option<Remembered>, StoreError> {
        Ok(self.tables()?.answers.get(scope).cloned())
    }

    async fn forget(&mut self, before: Timestamp, most: u32) -> Result<u64, StoreError> {
        self.change(|tables| Ok(remove_some(&mut tables.answers, most, |answer| answer.created_at < before)))
    }
}

#[async_trait]
impl SigningKeys for Unit {
    async fn lock(&mut self) -> Result<(), StoreError> {
        self.hold().map(drop)
    }

    async fn list(&mut self) -> Result<Vec<SigningKey>, StoreError> {
        let mut keys: Vec<SigningKey> = self.tables()?.signing_keys.values().cloned().collect();
        keys.sort_by_key(|key| Reverse(key.created_at));
        Ok(keys)
    }

    async fn insert(&mut self, key: &SigningKey) -> Result<(), StoreError> {
        self.change(|tables| {
            if tables.signing_keys.contains_key(&key.id) {
                return Err(StoreError::Conflict(Unique::SigningKey));
            }
            tables.signing_keys.insert(key.id.clone(), key.clone());
            Ok(())
        })
    }

    async fn delete(&mut self, id: &str) -> Result<bool, StoreError> {
        self.change(|tables| Ok(tables.signing_keys.remove(id).is_some()))
    }
}

#[async_trait]
impl Trail for Unit {
    async fn record(&mut self, event: &NewEvent) -> Result<(), StoreError> {
        self.hold()?;
        self.recorded.push(event.clone());
        Ok(())
    }

    async fn read(&mut self, query: &EventQuery) -> Result<Stretch<Event>, StoreError> {
        let trail = self.tables()?.trail.iter();
        let mut stream: Vec<Event> = trail
            .filter(|(_, (event, _))| matches(event, &query.filter))
            .map(|(id, (event, _))| Event { id: *id, what: event.clone() })
            .collect();
        if query.direction == Direction::Descending {
            stream.reverse();
        }
        let beside = |event: &Event, mark| directed(query.direction, event.id.cmp(&mark));
        Ok(stretch(stream, query.seek, query.limit, beside))
    }

    async fn head(&mut self) -> Result<Head, StoreError> {
        Ok(self.tables()?.trail_head)
    }

    async fn sealed(&mut self, after: Option<i64>, limit: u32) -> Result<Vec<StoredEvent>, StoreError> {
        let lines = self.tables()?.trail.iter().map(|(id, (event, seal))| StoredEvent {
            id: id.get(),
            what: Some(event.clone()),
            seal: Some(*seal),
        });
        let further = lines.filter(|line| after.is_none_or(|after| line.id > after));
        Ok(further.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
    }
}

impl Unit {
    pub(super) fn append_recorded(&mut self) -> Result<(), StoreError> {
        let recorded = std::mem::take(&mut self.recorded);
        self.change(|tables| {
            for event in recorded {
                let appended = tables.trail_head.append(event);
                let (Event { id, what }, seal) =
                    appended.ok_or_else(|| StoreError::Fault("there are no more ids".into()))?;
                tables.trail.insert(id, (what, seal));
            }
            Ok(())
        })
    }
}

fn matches(event: &NewEvent, filter: &EventFilter) -> bool {
    any(&filter.actors, |actor| event.actor == Some(*actor))
        && any(&filter.actions, |action| event.action == *action)
        && any(&filter.subject_kinds, |kind| event.subject.kind == *kind)
        && any(&filter.subject_ids, |id| event.subject.id == Some(*id))
        && filter.at.contains(event.at)
        && filter.search.as_ref().is_none_or(|text| occurs(text, event))
}

fn occurs(text: &str, event: &NewEvent) -> bool {
    let text = text.to_ascii_lowercase();
    [&event.actor_name, &event.subject.label].iter().any(|name| name.to_ascii_lowercase().contains(&text))
}
