//! The equipment register. How its lists are filtered and ordered is in `equipment_lists.rs`; the heads, which say when a
//! piece was last seen, are in `heads.rs`.

use crate::among::{among, among_texts};
use crate::errors::dangles;
use crate::lists::climb;
use crate::rows::{EquipmentRow, Ranked, equipment_id};
use crate::rules;
use crate::schema::{alert_rules, equipment, equipment_heads, live_events};
use crate::work::{Answer, Work};
use crate::{equipment_lists, maintenance};
use async_trait::async_trait;
use diesel::prelude::*;
use domain::equipment::{
    Details, Equipment, EquipmentFilter, EquipmentQuery, EquipmentRef, NewEquipment, unambiguous,
};
use domain::id::{EquipmentId, Version};
use domain::page::Page;
use domain::ports::{Reference, Register, StoreError};
use domain::text::{Label, Location, SerialNumber, fold};
use domain::time::Timestamp;
use std::collections::{HashMap, HashSet};

#[async_trait]
impl Register for Work {
    async fn insert(&mut self, equipment: &NewEquipment) -> Result<Equipment, StoreError> {
        let equipment = equipment.clone();
        self.run(move |connection| insert(connection, &equipment)).await
    }

    async fn find(&mut self, id: EquipmentId) -> Result<Option<Equipment>, StoreError> {
        self.run(move |connection| find(connection, id.get())).await
    }

    async fn resolve(&mut self, names: &[EquipmentRef]) -> Result<Vec<Option<EquipmentId>>, StoreError> {
        let names = names.to_vec();
        self.run(move |connection| resolve(connection, &names)).await
    }

    async fn lock(&mut self, id: EquipmentId) -> Result<Option<Equipment>, StoreError> {
        self.hold()?;
        Register::find(self, id).await
    }

    async fn save(&mut self, equipment: &Equipment) -> Result<Equipment, StoreError> {
        let equipment = equipment.clone();
        self.run(move |connection| save(connection, &equipment)).await
    }

    async fn note_maintenance(&mut self, id: EquipmentId, at: Timestamp) -> Result<(), StoreError> {
        self.run(move |connection| note_maintenance(connection, id, at)).await
    }

    async fn delete(&mut self, id: EquipmentId, at: Timestamp) -> Result<bool, StoreError> {
        self.run(move |connection| delete(connection, id.get(), at)).await
    }

    async fn list(&mut self, query: &EquipmentQuery) -> Result<Page<Equipment>, StoreError> {
        let query = query.clone();
        self.run(move |connection| equipment_lists::page(connection, &query)).await
    }

    async fn walk(
        &mut self,
        filter: &EquipmentFilter,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError> {
        let filter = filter.clone();
        self.run(move |connection| equipment_lists::walk(connection, &filter, after, limit)).await
    }

    async fn lock_tree(&mut self) -> Result<(), StoreError> {
        self.hold()
    }

    async fn above(&mut self, id: EquipmentId) -> Result<Vec<EquipmentId>, StoreError> {
        self.run(move |connection| {
            let above = climb(|piece| parent_of(connection, piece), id.get())?;
            Ok(above.into_iter().map(|id| equipment_id("equipment", id)).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn levels_below(&mut self, id: EquipmentId, most: usize) -> Result<usize, StoreError> {
        self.run(move |connection| Ok(levels_below(connection, id.get(), most)?)).await
    }
}

/// The columns that people's words about a piece are written to.
#[derive(Insertable, AsChangeset)]
#[diesel(table_name = equipment, treat_none_as_null = true, treat_none_as_default_value = false)]
struct Columns<'a> {
    name: &'a str,
    name_key: String,
    kind: &'a str,
    kind_key: String,
    model: Option<&'a str>,
    model_key: Option<String>,
    manufacturer: Option<&'a str>,
    manufacturer_key: Option<String>,
    serial_number: Option<&'a str>,
    serial_number_key: Option<String>,
    installed_on: Option<String>,
    location: Option<&'a str>,
    location_key: Option<String>,
    parent_id: Option<i64>,
    status: i32,
    attributes: &'a str,
}

impl<'a> From<&'a Details> for Columns<'a> {
    fn from(details: &'a Details) -> Self {
        Self {
            name: details.name.as_str(),
            name_key: details.name.key(),
            kind: details.kind.as_str(),
            kind_key: details.kind.key(),
            model: details.model.as_ref().map(Label::as_str),
            model_key: details.model.as_ref().map(Label::key),
            manufacturer: details.manufacturer.as_ref().map(Label::as_str),
            manufacturer_key: details.manufacturer.as_ref().map(Label::key),
            serial_number: details.serial_number.as_ref().map(SerialNumber::as_str),
            serial_number_key: details.serial_number.as_ref().map(SerialNumber::key),
            installed_on: details.installed_on.map(|day| day.to_string()),
            location: details.location.as_ref().map(Location::as_str),
            location_key: details.location.as_ref().map(|location| fold(location.as_str())),
            parent_id: details.parent.map(EquipmentId::get),
            status: details.status.rank(),
            attributes: details.attributes.as_json(),
        }
    }
}

fn insert(connection: &mut SqliteConnection, new: &NewEquipment) -> Answer<Equipment> {
    let at = new.created_at.micros();
    let row: EquipmentRow = diesel::insert_into(equipment::table)
        .values((
            Columns::from(&new.details),
            equipment::version.eq(Version::FIRST.get()),
            equipment::created_at.eq(at),
            equipment::updated_at.eq(at),
        ))
        .returning(EquipmentRow::as_returning())
        .get_result(connection)
        .map_err(dangles(Reference::Equipment))?;
    diesel::insert_into(equipment_heads::table)
        .values((equipment_heads::equipment_id.eq(row.id), equipment_heads::latest.eq(Vec::new())))
        .execute(connection)?;
    Ok(row.with(None)?)
}

fn find(connection: &mut SqliteConnection, id: i64) -> Answer<Option<Equipment>> {
    let rows = equipment::table.find(id).select(EquipmentRow::as_select()).load(connection)?;
    Ok(with_heads(connection, rows)?.pop())
}

/// These pieces, with when each was last seen.
pub(crate) fn with_heads(
    connection: &mut SqliteConnection,
    rows: Vec<EquipmentRow>,
) -> Answer<Vec<Equipment>> {
    let seen: HashMap<i64, Option<i64>> = equipment_heads::table
        .filter(among(equipment_heads::equipment_id, rows.iter().map(|row| row.id)))
        .select((equipment_heads::equipment_id, equipment_heads::last_seen_at))
        .load_iter(connection)?
        .collect::<QueryResult<_>>()?;
    let with_its_own = |row: EquipmentRow| {
        let last_seen_at = seen.get(&row.id).copied().flatten();
        row.with(last_seen_at)
    };
    Ok(rows.into_iter().map(with_its_own).collect::<Result<_, _>>()?)
}

fn resolve(connection: &mut SqliteConnection, names: &[EquipmentRef]) -> Answer<Vec<Option<EquipmentId>>> {
    let mut ids = Vec::new();
    let mut keys: HashMap<&str, String> = HashMap::new();
    let mut called: Vec<String> = Vec::new();
    for name in names {
        match name {
            EquipmentRef::Id(id) => ids.push(id.get()),
            EquipmentRef::Serial(serial) => drop(keys.insert(serial.as_str(), serial.key())),
            EquipmentRef::Called(label) => {
                called.push(label.key());
                keys.insert(label.as_str(), label.key());
            }
        }
    }
    let there = visible_ids(connection, ids)?;
    let with_serial = visible_keys(connection, keys.values())?;
    let named = only_ones_named(connection, called)?;
    let meant = |name: &EquipmentRef| match name {
        EquipmentRef::Id(id) => there.contains(&id.get()).then_some(*id),
        EquipmentRef::Serial(serial) => {
            let id = keys.get(serial.as_str()).and_then(|key| with_serial.get(key));
            id.copied().and_then(EquipmentId::new)
        }
        EquipmentRef::Called(label) => {
            let key = keys.get(label.as_str())?;
            with_serial.get(key).copied().and_then(EquipmentId::new).or_else(|| named.get(key).copied())
        }
    };
    Ok(names.iter().map(meant).collect())
}

/// The pieces among these that are in the register and not hidden.
pub(crate) fn visible_ids(
    connection: &mut SqliteConnection,
    ids: impl IntoIterator<Item = i64>,
) -> Answer<HashSet<i64>> {
    let there = equipment::table.filter(among(equipment::id, ids)).filter(equipment::hidden_at.is_null());
    Ok(there.select(equipment::id).load_iter(connection)?.collect::<QueryResult<_>>()?)
}

/// The visible pieces by name, but for names that several of them bear.
fn only_ones_named(
    connection: &mut SqliteConnection,
    keys: Vec<String>,
) -> Answer<HashMap<String, EquipmentId>> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let named = equipment::table
        .filter(among_texts(equipment::name_key, keys))
        .filter(equipment::hidden_at.is_null());
    let named: Vec<(String, i64)> = named.select((equipment::name_key, equipment::id)).load(connection)?;
    Ok(unambiguous(named.into_iter().filter_map(|(name, id)| Some((name, EquipmentId::new(id)?)))))
}

fn visible_keys<'a>(
    connection: &mut SqliteConnection,
    keys: impl ExactSizeIterator<Item = &'a String>,
) -> Answer<HashMap<String, i64>> {
    if keys.len() == 0 {
        return Ok(HashMap::new());
    }
    let key = equipment::serial_number_key.assume_not_null();
    let there = equipment::table
        .filter(among_texts(equipment::serial_number_key, keys))
        .filter(equipment::hidden_at.is_null());
    Ok(there.select((key, equipment::id)).load_iter(connection)?.collect::<QueryResult<_>>()?)
}

fn save(connection: &mut SqliteConnection, piece: &Equipment) -> Answer<Equipment> {
    let row: Option<EquipmentRow> = diesel::update(equipment::table.find(piece.id.get()))
        .set((
            Columns::from(&piece.details),
            equipment::hidden_at.eq(piece.hidden_at.map(Timestamp::micros)),
            equipment::version.eq(equipment::version + 1),
            equipment::updated_at.eq(piece.updated_at.micros()),
        ))
        .returning(EquipmentRow::as_returning())
        .get_result(connection)
        .optional()
        .map_err(dangles(Reference::Equipment))?;
    let row = row.ok_or(StoreError::Dangling(Reference::Equipment))?;
    let saved = with_heads(connection, vec![row])?.pop();
    Ok(saved.ok_or(StoreError::Dangling(Reference::Equipment))?)
}

fn note_maintenance(connection: &mut SqliteConnection, id: EquipmentId, at: Timestamp) -> Answer<()> {
    let (performed_at, next_due_on) = maintenance::newest(connection, id)?.unzip();
    diesel::update(equipment::table.find(id.get()))
        .set((
            equipment::last_maintained_at.eq(performed_at),
            equipment::next_maintenance_on.eq(next_due_on.flatten()),
            equipment::version.eq(equipment::version + 1),
            equipment::updated_at.eq(at.micros()),
        ))
        .execute(connection)?;
    Ok(())
}

/// Whatever else hangs on the piece goes by cascade.
fn delete(connection: &mut SqliteConnection, id: i64, at: Timestamp) -> Answer<bool> {
    diesel::update(equipment::table.filter(equipment::parent_id.eq(id)))
        .set((
            equipment::parent_id.eq(None::<i64>),
            equipment::version.eq(equipment::version + 1),
            equipment::updated_at.eq(at.micros()),
        ))
        .execute(connection)?;
    diesel::delete(live_events::table.filter(live_events::equipment_id.eq(id))).execute(connection)?;
    // They may have been for other pieces once, and have raised alerts on those.
    let its_rules = alert_rules::table.filter(alert_rules::equipment_id.eq(id)).select(alert_rules::id);
    let its_rules: Vec<i64> = its_rules.load(connection)?;
    rules::orphan(connection, &its_rules, at)?;
    let rows = diesel::delete(equipment::table.find(id))
        .execute(connection)
        .map_err(dangles(Reference::Equipment))?;
    Ok(rows > 0)
}

fn levels_below(connection: &mut SqliteConnection, piece: i64, most: usize) -> QueryResult<usize> {
    let mut level = vec![piece];
    for levels in 0..most {
        let components = equipment::table.filter(among(equipment::parent_id, level)).select(equipment::id);
        level = components.load(connection)?;
        if level.is_empty() {
            return Ok(levels);
        }
    }
    Ok(most)
}

fn parent_of(connection: &mut SqliteConnection, piece: i64) -> QueryResult<Option<i64>> {
    let parent = equipment::table.find(piece).select(equipment::parent_id);
    Ok(parent.first::<Option<i64>>(connection).optional()?.flatten())
}
