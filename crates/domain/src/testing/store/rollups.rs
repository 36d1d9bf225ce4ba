//! What equipment did within each minute, hour and day.

use super::equipment::Piece;
use super::{Tables, Unit};
use crate::id::EquipmentId;
use crate::ports::{Rollups, StoreError};
use crate::telemetry::rollup::{Column, Digest, Grain};
use crate::telemetry::{Head, MetricName};
use crate::time::Timestamp;
use async_trait::async_trait;
use std::collections::BTreeMap;

/// Digests by grain, piece and beginning.
pub(super) type Stored = BTreeMap<(Grain, EquipmentId, Timestamp), Vec<Column>>;

#[async_trait]
impl Rollups for Unit {
    async fn lock_head(&mut self, equipment: EquipmentId) -> Result<Option<Head>, StoreError> {
        Ok(self.hold()?.equipment.get(&equipment).map(Piece::head))
    }

    async fn find(
        &mut self,
        equipment: EquipmentId,
        grain: Grain,
        (from, until): (Timestamp, Timestamp),
        metrics: &[MetricName],
        limit: u32,
    ) -> Result<Vec<Digest>, StoreError> {
        let tables = self.tables()?;
        if from >= until {
            return Ok(Vec::new());
        }
        let found = tables.rollups.range((grain, equipment, from)..(grain, equipment, until));
        let asked = |column: &&Column| metrics.is_empty() || metrics.contains(&column.metric);
        let digest = |((_, _, at), columns): (&(Grain, EquipmentId, Timestamp), &Vec<Column>)| Digest {
            columns: columns.iter().filter(asked).cloned().collect(),
            ..Digest::new(equipment, grain, *at)
        };
        Ok(found.take(limit as usize).map(digest).collect())
    }

    async fn keep(&mut self, digests: &[Digest]) -> Result<(), StoreError> {
        self.change(|tables| {
            for digest in digests {
                tables.piece(digest.equipment)?;
                tables.rollups.insert((digest.grain, digest.equipment, digest.at), digest.columns.clone());
            }
            Ok(())
        })
    }

    async fn outdate(&mut self, hours: &[(EquipmentId, Timestamp)]) -> Result<(), StoreError> {
        self.change(|tables| {
            for (equipment, hour) in hours {
                tables.piece(*equipment)?;
                for grain in Grain::ALL {
                    let begins = grain.kept_by().start_of(*hour);
                    tables.rollups.remove(&(grain, *equipment, begins));
                }
                tables.due.insert((*equipment, *hour));
            }
            Ok(())
        })
    }

    async fn due(&mut self, equipment: EquipmentId, limit: u32) -> Result<Vec<Timestamp>, StoreError> {
        let due = &self.tables()?.due;
        let of_piece = due.iter().filter(|(whose, _)| *whose == equipment);
        Ok(of_piece.map(|(_, hour)| *hour).take(limit as usize).collect())
    }

    async fn settle(&mut self, equipment: EquipmentId, hours: &[Timestamp]) -> Result<(), StoreError> {
        self.change(|tables| {
            for hour in hours {
                tables.due.remove(&(equipment, *hour));
            }
            Ok(())
        })
    }

    async fn note_rolled(&mut self, equipment: EquipmentId, until: Timestamp) -> Result<(), StoreError> {
        self.change(|tables| {
            if let Some(piece) = tables.equipment.get_mut(&equipment) {
                piece.rolled_until = Some(until);
            }
            Ok(())
        })
    }

    async fn behind(
        &mut self,
        settled: Timestamp,
        closed: Timestamp,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError> {
        let tables = self.tables()?;
        let beyond = tables.equipment.values().map(|piece| piece.equipment.id).filter(|id| Some(*id) > after);
        Ok(beyond.filter(|id| tables.is_behind(*id, settled, closed)).take(limit as usize).collect())
    }

    async fn forget(&mut self, grain: Grain, before: Timestamp, most: u32) -> Result<u64, StoreError> {
        self.change(|tables| {
            let old = tables.rollups.extract_if(.., |(kept, _, at), _| *kept == grain && *at < before);
            Ok(old.take(most as usize).count() as u64)
        })
    }
}

impl Tables {
    fn is_behind(&self, equipment: EquipmentId, settled: Timestamp, closed: Timestamp) -> bool {
        let Some(piece) = self.equipment.get(&equipment) else { return false };
        let lags = match (piece.equipment.last_seen_at, piece.rolled_until) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(seen), Some(rolled)) => {
                let moved_on = seen >= rolled.after(Grain::Hour.length()) && rolled < settled;
                moved_on || (seen >= rolled && rolled < closed)
            }
        };
        lags || self.due.iter().any(|(whose, hour)| *whose == equipment && *hour < settled)
    }
}
