//! What happens right now.

use super::{Tables, Unit};
use crate::alerts::Alert;
use crate::id::EquipmentId;
use crate::live::{LiveEvent, Mark, NewLiveEvent};
use crate::ports::{Live, StoreError};
use crate::time::Timestamp;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::ops::Bound;

/// The events that are kept, and how far those reach that are not.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    newest: Option<Mark>,
    forgotten: Option<Mark>,
    events: BTreeMap<Mark, (Timestamp, NewLiveEvent)>,
}

#[async_trait]
impl Live for Unit {
    async fn announce(&mut self, events: &[NewLiveEvent], now: Timestamp) -> Result<(), StoreError> {
        let seen = self.store.committed().live.newest.unwrap_or_default();
        self.change(|tables| {
            let stream = &mut tables.live;
            for event in events {
                let number = stream.newest.unwrap_or_default().number + 1;
                // One unit is open at a time, so units become visible in the order of their work.
                let mark = Mark { transaction: seen.transaction + 1, number };
                stream.events.insert(mark, (now, event.clone()));
                stream.newest = Some(mark);
            }
            Ok(())
        })
    }

    async fn newest(&mut self) -> Result<Option<Mark>, StoreError> {
        Ok(self.tables()?.live.newest)
    }

    async fn after(&mut self, mark: Option<Mark>, limit: u32) -> Result<Option<Vec<LiveEvent>>, StoreError> {
        let tables = self.tables()?;
        if tables.live.forgotten > mark {
            return Ok(None);
        }
        let beyond = mark.map_or(Bound::Unbounded, Bound::Excluded);
        let following = tables.live.events.range((beyond, Bound::Unbounded));
        let visible = following.filter(|(_, (_, event))| tables.visible(event.equipment()).is_some());
        let events = visible.take(limit as usize);
        Ok(Some(events.map(|(mark, (_, what))| tables.live_event(*mark, what)).collect()))
    }

    async fn forget(&mut self, before: Timestamp, most: u32) -> Result<u64, StoreError> {
        self.change(|tables| {
            let stream = &mut tables.live;
            let forgotten = stream.events.extract_if(.., |_, (written_at, _)| *written_at < before);
            let marks: Vec<Mark> = forgotten.take(most as usize).map(|(mark, _)| mark).collect();
            stream.forgotten = stream.forgotten.max(marks.last().copied());
            Ok(marks.len() as u64)
        })
    }
}

impl Stream {
    pub(super) fn drop_all_of(&mut self, equipment: EquipmentId) {
        self.events.retain(|_, (_, event)| event.equipment() != equipment);
    }
}

impl Tables {
    fn live_event(&self, mark: Mark, what: &NewLiveEvent) -> LiveEvent {
        LiveEvent { mark, what: what.clone(), alert: self.announced(what).cloned() }
    }

    fn announced(&self, event: &NewLiveEvent) -> Option<&Alert> {
        match event {
            NewLiveEvent::Values { .. } => None,
            NewLiveEvent::Alert { alert, .. } => self.alerts.get(alert),
        }
    }
}
