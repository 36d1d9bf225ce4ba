//! What equipment measured.

use super::equipment::Piece;
use super::lists::{any, directed, stretch};
use super::{Tables, Unit};
use crate::equipment::Equipment;
use crate::id::{EquipmentId, RuleId, Version};
use crate::page::{Direction, Stretch};
use crate::ports::{Part, Readings, StoreError, Unique};
use crate::rules::Target;
use crate::telemetry::{Head, Metric, MetricName, Reading, ReadingFilter, ReadingId, ReadingQuery};
use crate::time::Timestamp;
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// Where a reading stands in the order of readings.
type Place = (Timestamp, EquipmentId);

/// All readings, in their order. Copies share the readings themselves.
pub(super) type Stored = BTreeMap<Place, Arc<Reading>>;

fn place(id: ReadingId) -> Place {
    (id.at, id.equipment)
}

#[async_trait]
impl Readings for Unit {
    async fn lock_heads(&mut self, equipment: &[EquipmentId]) -> Result<Vec<Head>, StoreError> {
        Ok(self.hold()?.heads(equipment))
    }

    async fn heads(&mut self, equipment: &[EquipmentId]) -> Result<Vec<Head>, StoreError> {
        Ok(self.tables()?.heads(equipment))
    }

    async fn save_heads(&mut self, heads: &[Head]) -> Result<(), StoreError> {
        self.change(|tables| {
            for head in heads {
                if let Some(piece) = tables.equipment.get_mut(&head.equipment) {
                    piece.equipment.last_seen_at = head.last_seen_at;
                    piece.latest = head.latest.clone();
                }
            }
            Ok(())
        })
    }

    async fn find(&mut self, id: ReadingId) -> Result<Option<Reading>, StoreError> {
        let tables = self.tables()?;
        let stored = tables.readings.get(&place(id)).filter(|_| tables.visible(id.equipment).is_some());
        Ok(stored.map(|reading| Reading::clone(reading)))
    }

    async fn at_hand(&mut self, ids: &[ReadingId]) -> Result<Vec<Reading>, StoreError> {
        let mut found = self.find_all(ids).await?;
        let tables = self.tables()?;
        found.retain(|reading| tables.visible(reading.id.equipment).is_some());
        Ok(found)
    }

    async fn find_all(&mut self, ids: &[ReadingId]) -> Result<Vec<Reading>, StoreError> {
        let stored = &self.tables()?.readings;
        let meant: BTreeSet<&ReadingId> = ids.iter().collect();
        let found = meant.into_iter().filter_map(|id| stored.get(&place(*id)));
        Ok(found.map(|reading| Reading::clone(reading)).collect())
    }

    async fn insert(&mut self, readings: &[Reading]) -> Result<(), StoreError> {
        self.change(|tables| {
            for reading in readings {
                tables.piece(reading.id.equipment)?;
                let taken =
                    Arc::make_mut(&mut tables.readings).insert(place(reading.id), reading.clone().into());
                if taken.is_some() {
                    return Err(StoreError::Conflict(Unique::Reading));
                }
                Arc::make_mut(&mut tables.packed).remove(&reading.id);
                tables.note_metrics(reading);
            }
            Ok(())
        })
    }

    async fn replace(&mut self, readings: &[Reading]) -> Result<(), StoreError> {
        self.change(|tables| {
            for reading in readings {
                if let Some(stored) = Arc::make_mut(&mut tables.readings).get_mut(&place(reading.id)) {
                    *stored = reading.clone().into();
                    Arc::make_mut(&mut tables.packed).remove(&reading.id);
                    tables.note_metrics(reading);
                }
            }
            Ok(())
        })
    }

    async fn delete(&mut self, ids: &[ReadingId]) -> Result<u64, StoreError> {
        self.change(|tables| {
            let (stored, packed) = (Arc::make_mut(&mut tables.readings), Arc::make_mut(&mut tables.packed));
            let is_removed = |id: &&ReadingId| {
                packed.remove(id);
                stored.remove(&place(**id)).is_some()
            };
            Ok(ids.iter().filter(is_removed).count() as u64)
        })
    }

    async fn delete_some_of(&mut self, equipment: EquipmentId, most: u32) -> Result<u64, StoreError> {
        self.change(|tables| {
            let stored = Arc::make_mut(&mut tables.readings);
            let of_it = stored.extract_if(.., |(_, whose), _| *whose == equipment);
            Ok(of_it.take(most as usize).count() as u64)
        })
    }

    async fn make_room(&mut self, _now: Timestamp) -> Result<(), StoreError> {
        self.change(|_tables| Ok(()))
    }

    async fn emptied(&mut self, _now: Timestamp) -> Result<Vec<Part>, StoreError> {
        self.tables().map(|_| Vec::new())
    }

    async fn give_back(&mut self, _part: &Part) -> Result<(), StoreError> {
        self.change(|_tables| Ok(()))
    }

    async fn drop_before(&mut self, _before: Timestamp) -> Result<(), StoreError> {
        self.change(|_tables| Ok(()))
    }

    async fn reporting_before(
        &mut self,
        before: Timestamp,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError> {
        let old = self.tables()?.readings.values().filter(|reading| reading.id.at < before);
        let pieces: BTreeSet<EquipmentId> = old.map(|reading| reading.id.equipment).collect();
        Ok(pieces.into_iter().filter(|piece| Some(*piece) > after).take(limit as usize).collect())
    }

    async fn delete_some_before(
        &mut self,
        equipment: EquipmentId,
        before: Timestamp,
        most: u32,
    ) -> Result<u64, StoreError> {
        self.change(|tables| {
            let stored = Arc::make_mut(&mut tables.readings);
            let old = stored.extract_if(.., |(at, whose), _| *whose == equipment && *at < before);
            Ok(old.take(most as usize).count() as u64)
        })
    }

    async fn pack(
        &mut self,
        equipment: EquipmentId,
        before: Timestamp,
        most: u32,
    ) -> Result<u64, StoreError> {
        self.change(|tables| {
            let loose = |id: &ReadingId| id.equipment == equipment && !tables.packed.contains(id);
            let old = tables.readings.values().map(|reading| reading.id).filter(|id| id.at < before);
            let packed: Vec<ReadingId> = old.filter(loose).take(most as usize).collect();
            let count = packed.len() as u64;
            Arc::make_mut(&mut tables.packed).extend(packed);
            Ok(count)
        })
    }

    async fn loose_before(
        &mut self,
        before: Timestamp,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError> {
        let tables = self.tables()?;
        let old = tables.readings.values().map(|reading| reading.id).filter(|id| id.at < before);
        let loose = old.filter(|id| !tables.packed.contains(id) && tables.visible(id.equipment).is_some());
        let pieces: BTreeSet<EquipmentId> = loose.map(|id| id.equipment).collect();
        Ok(pieces.into_iter().filter(|piece| Some(*piece) > after).take(limit as usize).collect())
    }

    async fn read(&mut self, query: &ReadingQuery) -> Result<Stretch<Reading>, StoreError> {
        let stream = self.tables()?.walk(&query.filter, query.direction, None).collect();
        let beside =
            |reading: &&Reading, mark| directed(query.direction, place(reading.id).cmp(&place(mark)));
        let Stretch { items, has_previous, has_next } = stretch(stream, query.seek, query.limit, beside);
        Ok(Stretch { items: items.into_iter().cloned().collect(), has_previous, has_next })
    }

    async fn scan(
        &mut self,
        filter: &ReadingFilter,
        direction: Direction,
        after: Option<ReadingId>,
        limit: u32,
    ) -> Result<Vec<Reading>, StoreError> {
        let following = self.tables()?.walk(filter, direction, after);
        Ok(following.take(limit as usize).cloned().collect())
    }

    async fn silent(
        &mut self,
        rule: RuleId,
        target: &Target,
        metric: Option<&MetricName>,
        before: Timestamp,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError> {
        let tables = self.tables()?;
        let owing = tables.equipment.values().filter(|piece| {
            let Equipment { id, details, updated_at, .. } = &piece.equipment;
            Some(*id) > after
                && piece.is_visible()
                && details.status.is_expected_to_report()
                && target.covers(*id, &details.kind)
                && *updated_at < before
                && owes_since(piece, target, metric).is_some_and(|since| since < before)
                && !tables.told_of_silence(rule, *id, before)
        });
        Ok(owing.map(|piece| piece.equipment.id).take(limit as usize).collect())
    }
}

impl Tables {
    fn heads(&self, equipment: &[EquipmentId]) -> Vec<Head> {
        let meant: BTreeSet<&EquipmentId> = equipment.iter().collect();
        meant.into_iter().filter_map(|id| self.visible(*id)).map(Piece::head).collect()
    }

    fn note_metrics(&mut self, reading: &Reading) {
        for name in reading.values.shape().metrics() {
            self.metrics.entry(name.clone()).or_insert_with(|| Metric {
                name: name.clone(),
                unit: None,
                description: None,
                version: Version::FIRST,
                created_at: reading.received_at,
                updated_at: reading.received_at,
            });
        }
    }

    /// The readings that match, in order, strictly after `after`.
    fn walk(
        &self,
        filter: &ReadingFilter,
        direction: Direction,
        after: Option<ReadingId>,
    ) -> impl Iterator<Item = &Reading> {
        let mark = after.map_or(Bound::Unbounded, |id| Bound::Excluded(place(id)));
        let mut places = match direction {
            Direction::Ascending => self.readings.range((mark, Bound::Unbounded)),
            Direction::Descending => self.readings.range((Bound::Unbounded, mark)),
        };
        let in_order = std::iter::from_fn(move || match direction {
            Direction::Ascending => places.next(),
            Direction::Descending => places.next_back(),
        });
        in_order.map(|(_, reading)| &**reading).filter(|reading| self.reading_matches(reading, filter))
    }

    fn reading_matches(&self, reading: &Reading, filter: &ReadingFilter) -> bool {
        let ReadingId { equipment, at } = reading.id;
        any(&filter.equipment, |wanted| equipment == *wanted)
            && filter.at.contains(at)
            && any(&filter.metrics, |wanted| reading.values.get(wanted).is_some())
            && filter.received_from.is_none_or(|from| reading.received_at >= from)
            && (filter.hidden_too || self.visible(equipment).is_some())
    }
}

/// Since when the piece owes a reading, if it owes one at all.
fn owes_since(piece: &Piece, target: &Target, metric: Option<&MetricName>) -> Option<Timestamp> {
    let registered_at = piece.equipment.created_at;
    match metric {
        None => piece.equipment.last_seen_at.or(Some(registered_at)),
        Some(metric) => {
            let newest = piece.latest.iter().find(|latest| latest.metric == *metric);
            let is_meant = *target == Target::Equipment(piece.equipment.id);
            newest.map(|latest| latest.at).or(is_meant.then_some(registered_at))
        }
    }
}
