//! What equipment measured. Streams of readings are in `reading_streams.rs`, heads in `heads.rs`.

use crate::among::among_pairs;
use crate::catalogue::Catalogue;
use crate::errors::dangles;
use crate::heads::{self, Silence};
use crate::lists::changed;
use crate::overwrite::overwrite;
use crate::packs;
use crate::reading_streams;
use crate::rows::{ReadingRow, numbers_column, tags_column};
use crate::schema::{equipment, equipment_heads, packs as packs_table, readings};
use crate::work::{Answer, Work};
use async_trait::async_trait;
use diesel::connection::SimpleConnection;
use diesel::dsl::exists;
use diesel::prelude::*;
use domain::id::{EquipmentId, RuleId};
use domain::page::{Direction, Stretch};
use domain::ports::{Part, Readings, Reference, StoreError};
use domain::rules::Target;
use domain::telemetry::{Head, MetricName, Reading, ReadingFilter, ReadingId, ReadingQuery, Shape};
use domain::time::Timestamp;
use std::collections::{HashMap, HashSet};

#[async_trait]
impl Readings for Work {
    async fn lock_heads(&mut self, equipment: &[EquipmentId]) -> Result<Vec<Head>, StoreError> {
        self.hold()?;
        self.heads(equipment).await
    }

    async fn heads(&mut self, equipment: &[EquipmentId]) -> Result<Vec<Head>, StoreError> {
        let (catalogue, pieces) = (self.catalogue.clone(), equipment.to_vec());
        self.run(move |connection| heads::heads(connection, &catalogue, &pieces)).await
    }

    async fn save_heads(&mut self, heads: &[Head]) -> Result<(), StoreError> {
        let (catalogue, heads) = (self.catalogue.clone(), heads.to_vec());
        self.run(move |connection| heads::save(connection, &catalogue, &heads)).await
    }

    async fn find(&mut self, id: ReadingId) -> Result<Option<Reading>, StoreError> {
        let catalogue = self.catalogue.clone();
        self.run(move |connection| find(connection, &catalogue, id)).await
    }

    async fn at_hand(&mut self, ids: &[ReadingId]) -> Result<Vec<Reading>, StoreError> {
        let (catalogue, ids) = (self.catalogue.clone(), ids.to_vec());
        self.run(move |connection| {
            let rows = readings::table
                .inner_join(equipment::table)
                .filter(among_pairs(IDENTITY, pairs(&ids)))
                .filter(equipment::hidden_at.is_null())
                .select(ReadingRow::as_select())
                .load(connection)?;
            with_shapes(connection, &catalogue, rows)
        })
        .await
    }

    async fn find_all(&mut self, ids: &[ReadingId]) -> Result<Vec<Reading>, StoreError> {
        let (catalogue, ids) = (self.catalogue.clone(), ids.to_vec());
        self.run(move |connection| {
            let stored = readings::table.filter(among_pairs(IDENTITY, pairs(&ids)));
            let rows = stored.select(ReadingRow::as_select()).load(connection)?;
            let mut found = with_shapes(connection, &catalogue, rows)?;
            found.extend(packs::find(connection, &ids)?);
            Ok(found)
        })
        .await
    }

    async fn insert(&mut self, readings: &[Reading]) -> Result<(), StoreError> {
        let (catalogue, new) = (self.catalogue.clone(), readings.to_vec());
        self.run(move |connection| insert(connection, &catalogue, &new)).await
    }

    async fn replace(&mut self, readings: &[Reading]) -> Result<(), StoreError> {
        let (catalogue, changed) = (self.catalogue.clone(), readings.to_vec());
        self.run(move |connection| replace(connection, &catalogue, changed)).await
    }

    async fn delete(&mut self, ids: &[ReadingId]) -> Result<u64, StoreError> {
        let (catalogue, ids) = (self.catalogue.clone(), ids.to_vec());
        self.run(move |connection| {
            packs::unpack(connection, &catalogue, &ids)?;
            let stored = readings::table.filter(among_pairs(IDENTITY, pairs(&ids)));
            Ok(changed(diesel::delete(stored).execute(connection)?))
        })
        .await
    }

    async fn delete_some_of(&mut self, equipment: EquipmentId, most: u32) -> Result<u64, StoreError> {
        let catalogue = self.catalogue.clone();
        self.run(move |connection| delete_some(connection, &catalogue, equipment, None, most)).await
    }

    /// A file grows by itself.
    async fn make_room(&mut self, _now: Timestamp) -> Result<(), StoreError> {
        self.hold()
    }

    /// What nothing is in any more may lie anywhere in the file.
    async fn emptied(&mut self, _now: Timestamp) -> Result<Vec<Part>, StoreError> {
        Ok(vec![Part("the file".to_owned())])
    }

    /// Gives some of the file that is not needed any more back to the file system.
    async fn give_back(&mut self, _part: &Part) -> Result<(), StoreError> {
        self.hold()?;
        self.run(|connection| Ok(connection.batch_execute(GIVE_BACK)?)).await
    }

    /// One file has no parts that could go as a whole.
    async fn drop_before(&mut self, _before: Timestamp) -> Result<(), StoreError> {
        self.hold()
    }

    async fn reporting_before(
        &mut self,
        before: Timestamp,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError> {
        self.run(move |connection| reporting_before(connection, before, after, limit)).await
    }

    async fn delete_some_before(
        &mut self,
        equipment: EquipmentId,
        before: Timestamp,
        most: u32,
    ) -> Result<u64, StoreError> {
        let catalogue = self.catalogue.clone();
        self.run(move |connection| delete_some(connection, &catalogue, equipment, Some(before), most)).await
    }

    async fn pack(
        &mut self,
        equipment: EquipmentId,
        before: Timestamp,
        most: u32,
    ) -> Result<u64, StoreError> {
        let catalogue = self.catalogue.clone();
        self.run(move |connection| packs::pack(connection, &catalogue, equipment, before, most)).await
    }

    async fn loose_before(
        &mut self,
        before: Timestamp,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError> {
        self.run(move |connection| loose_before(connection, before, after, limit)).await
    }

    async fn read(&mut self, query: &ReadingQuery) -> Result<Stretch<Reading>, StoreError> {
        let (catalogue, query) = (self.catalogue.clone(), query.clone());
        self.run(move |connection| reading_streams::read(connection, &catalogue, &query)).await
    }

    async fn scan(
        &mut self,
        filter: &ReadingFilter,
        direction: Direction,
        after: Option<ReadingId>,
        limit: u32,
    ) -> Result<Vec<Reading>, StoreError> {
        let (catalogue, filter) = (self.catalogue.clone(), filter.clone());
        self.run(move |connection| {
            reading_streams::scan(connection, &catalogue, &filter, direction, after, limit)
        })
        .await
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
        let catalogue = self.catalogue.clone();
        let (target, metric) = (target.clone(), metric.cloned());
        let asked = Silence { rule, target, metric, before, after, limit };
        self.run(move |connection| heads::silent(connection, &catalogue, &asked)).await
    }
}

const IDENTITY: (readings::equipment_id, readings::at) = (readings::equipment_id, readings::at);

fn pairs(ids: &[ReadingId]) -> impl Iterator<Item = (i64, i64)> {
    ids.iter().map(|id| (id.equipment.get(), id.at.micros()))
}

/// The readings that these rows stand for.
pub(crate) fn with_shapes(
    connection: &mut SqliteConnection,
    catalogue: &Catalogue,
    rows: Vec<ReadingRow>,
) -> Answer<Vec<Reading>> {
    let numbers: HashSet<i64> = rows.iter().map(|row| row.shape_id).collect();
    let shapes = catalogue.shapes_numbered(connection, numbers)?;
    let with_its_own = |row: ReadingRow| {
        let shape = shapes.get(&row.shape_id);
        row.with(shape)
    };
    Ok(rows.into_iter().map(with_its_own).collect::<Result<_, _>>()?)
}

fn find(connection: &mut SqliteConnection, catalogue: &Catalogue, id: ReadingId) -> Answer<Option<Reading>> {
    let rows = readings::table
        .inner_join(equipment::table)
        .filter(readings::equipment_id.eq(id.equipment.get()))
        .filter(readings::at.eq(id.at.micros()))
        .filter(equipment::hidden_at.is_null())
        .select(ReadingRow::as_select())
        .load(connection)?;
    if let Some(found) = with_shapes(connection, catalogue, rows)?.pop() {
        return Ok(Some(found));
    }
    let is_hidden = equipment::table.find(id.equipment.get()).filter(equipment::hidden_at.is_not_null());
    let packed = packs::find(connection, &[id])?.pop();
    Ok(if packed.is_some() && diesel::select(exists(is_hidden)).get_result(connection)? {
        None
    } else {
        packed
    })
}

/// How many readings are written by one statement. More of them gain nothing, and meet the limit of parameters.
const AT_ONCE: usize = 500;

#[derive(Insertable)]
#[diesel(table_name = readings, treat_none_as_default_value = false)]
struct NewRow {
    equipment_id: i64,
    at: i64,
    received_at: i64,
    shape_id: i64,
    numbers: Vec<u8>,
    tags: Option<String>,
}

fn rows(
    connection: &mut SqliteConnection,
    catalogue: &Catalogue,
    readings: &[Reading],
) -> Answer<Vec<NewRow>> {
    let appearing: HashMap<Shape, Timestamp> =
        readings.iter().map(|reading| (reading.values.shape().clone(), reading.received_at)).collect();
    let shapes = catalogue.shapes(connection, &appearing)?;
    let row = |reading: &Reading| {
        Ok(NewRow {
            equipment_id: reading.id.equipment.get(),
            at: reading.id.at.micros(),
            received_at: reading.received_at.micros(),
            shape_id: shapes.get(reading.values.shape()).copied().unwrap_or_default(),
            numbers: numbers_column(&reading.values),
            tags: tags_column(&reading.tags)?,
        })
    };
    readings.iter().map(row).collect()
}

fn insert(connection: &mut SqliteConnection, catalogue: &Catalogue, new: &[Reading]) -> Answer<()> {
    let ids: Vec<ReadingId> = new.iter().map(|reading| reading.id).collect();
    packs::unpack(connection, catalogue, &ids)?;
    insert_rows(connection, catalogue, new)
}

/// Stores readings of times about which there is no pack.
pub(crate) fn insert_rows(
    connection: &mut SqliteConnection,
    catalogue: &Catalogue,
    new: &[Reading],
) -> Answer<()> {
    for part in rows(connection, catalogue, new)?.chunks(AT_ONCE) {
        diesel::insert_into(readings::table)
            .values(part)
            .execute(connection)
            .map_err(dangles(Reference::Equipment))?;
    }
    Ok(())
}

/// What is gone is left out first, so that its metrics do not appear and it does not come back.
fn replace(
    connection: &mut SqliteConnection,
    catalogue: &Catalogue,
    mut changed: Vec<Reading>,
) -> Answer<()> {
    let ids: Vec<ReadingId> = changed.iter().map(|reading| reading.id).collect();
    packs::unpack(connection, catalogue, &ids)?;
    let stored: HashSet<(i64, i64)> = readings::table
        .filter(among_pairs(IDENTITY, pairs(&ids)))
        .select(IDENTITY)
        .load_iter(connection)?
        .collect::<QueryResult<_>>()?;
    changed.retain(|reading| stored.contains(&(reading.id.equipment.get(), reading.id.at.micros())));
    for part in rows(connection, catalogue, &changed)?.chunks(AT_ONCE) {
        diesel::insert_into(readings::table)
            .values(part)
            .on_conflict(IDENTITY)
            .do_update()
            .set(overwrite!(readings: received_at, shape_id, numbers, tags))
            .execute(connection)?;
    }
    Ok(())
}

/// Pages at most, so that nobody waits long.
const GIVE_BACK: &str = "PRAGMA incremental_vacuum(1000)";

fn reporting_before(
    connection: &mut SqliteConnection,
    before: Timestamp,
    after: Option<EquipmentId>,
    limit: u32,
) -> Answer<Vec<EquipmentId>> {
    let old = readings::table
        .filter(readings::equipment_id.eq(equipment_heads::equipment_id))
        .filter(readings::at.lt(before.micros()));
    let packed = packs_table::table
        .filter(packs_table::equipment_id.eq(equipment_heads::equipment_id))
        .filter(packs_table::first_at.lt(before.micros()));
    let pieces: Vec<i64> = equipment_heads::table
        .filter(equipment_heads::equipment_id.gt(after.map_or(0, EquipmentId::get)))
        .filter(exists(old).or(exists(packed)))
        .order(equipment_heads::equipment_id)
        .select(equipment_heads::equipment_id)
        .limit(limit.into())
        .load(connection)?;
    Ok(pieces.into_iter().filter_map(EquipmentId::new).collect())
}

fn loose_before(
    connection: &mut SqliteConnection,
    before: Timestamp,
    after: Option<EquipmentId>,
    limit: u32,
) -> Answer<Vec<EquipmentId>> {
    let old = readings::table
        .filter(readings::equipment_id.eq(equipment::id))
        .filter(readings::at.lt(before.micros()));
    let pieces: Vec<i64> = equipment::table
        .filter(equipment::id.gt(after.map_or(0, EquipmentId::get)))
        .filter(equipment::hidden_at.is_null())
        .filter(exists(old))
        .order(equipment::id)
        .select(equipment::id)
        .limit(limit.into())
        .load(connection)?;
    Ok(pieces.into_iter().filter_map(EquipmentId::new).collect())
}

/// The oldest go first: whole packs while they are not too many, then what else there is.
fn delete_some(
    connection: &mut SqliteConnection,
    catalogue: &Catalogue,
    equipment: EquipmentId,
    before: Option<Timestamp>,
    most: u32,
) -> Answer<u64> {
    let last = before.map_or(Timestamp::MAX.micros(), |before| before.micros() - 1);
    let packed = packs::delete_some(connection, catalogue, equipment, last, most)?;
    let most = u64::from(most) - packed;
    let old = || {
        let of_it = readings::table.filter(readings::equipment_id.eq(equipment.get()));
        of_it.filter(readings::at.le(last))
    };
    let offset = i64::try_from(most).unwrap_or(i64::MAX);
    let oldest_left = old().select(readings::at).order(readings::at).offset(offset).limit(1);
    let rows = match oldest_left.first::<i64>(connection).optional()? {
        Some(at) => diesel::delete(old().filter(readings::at.lt(at))).execute(connection)?,
        None => diesel::delete(old()).execute(connection)?,
    };
    Ok(packed + changed(rows))
}
