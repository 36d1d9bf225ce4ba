//! The equipment register: the `equipment` table. Lists of it are in `equipment_lists`, heads in `heads`.

use crate::equipment_lists::{self, search_key};
use crate::heads;
use crate::link::Link;
use crate::rows::{JsonText, Row, day, stamp};
use crate::schema::{equipment, equipment_heads};
use crate::statement::Statement;
use async_trait::async_trait;
use diesel::data_types::{PgDate, PgTimestamp};
use diesel::dsl::{AsSelect, auto_type};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};
use domain::equipment::{
    Attributes, Details, Equipment, EquipmentFilter, EquipmentQuery, EquipmentRef, NewEquipment, Status,
    unambiguous,
};
use domain::id::EquipmentId;
use domain::page::Page;
use domain::ports::{Reference, Register, StoreError};
use domain::text::{Label, Location, SerialNumber};
use domain::time::Timestamp;
use std::collections::{HashMap, HashSet};

/// The advisory lock of whoever changes what is a component of what: spells "parents".
const TREE: i64 = i64::from_be_bytes(*b"\0parents");

/// Takes the rules for exactly this piece off the alerts that they raised on others, when they were for those as well.
const ORPHAN: &str = "\
    UPDATE alerts SET rule_id = NULL, version = alerts.version + 1, updated_at = ? FROM alert_rules \
    WHERE alert_rules.equipment_id = ? AND alerts.rule_id = alert_rules.id \
        AND alerts.equipment_id <> alert_rules.equipment_id";

/// Diesel's language has no recursion. CYCLE ends a circle at the first piece that comes again.
const ABOVE: &str = "\
    WITH RECURSIVE line (id, height) AS ( \
        SELECT parent_id, 1 FROM equipment WHERE id = ? AND parent_id IS NOT NULL \
        UNION ALL \
        SELECT equipment.parent_id, line.height + 1 FROM line JOIN equipment USING (id) \
        WHERE equipment.parent_id IS NOT NULL \
    ) CYCLE id SET came_again USING trace \
    SELECT id FROM line WHERE NOT came_again ORDER BY height";

/// How many levels of components are below a piece; a circle is gone round until that many are counted.
const LEVELS_BELOW: &str = "\
    WITH RECURSIVE below (id, level) AS ( \
        SELECT id, 0::bigint FROM equipment WHERE id = ? \
        UNION \
        SELECT equipment.id, below.level + 1 FROM below JOIN equipment ON equipment.parent_id = below.id \
        WHERE below.level < ? \
    ) \
    SELECT coalesce(max(level), 0) FROM below";

/// The newest entry of the log, or nothing where there is none.
const NOTE_MAINTENANCE: &str = "\
    UPDATE equipment SET version = version + 1, updated_at = ?, (last_maintained_at, next_maintenance_on) = ( \
        SELECT performed_at, next_due_on FROM maintenance WHERE equipment_id = equipment.id \
        ORDER BY performed_at DESC, id DESC LIMIT 1 \
    ) WHERE id = ?";

/// The visible pieces by name, but for names that several of them bear.
async fn only_ones_named(
    link: &mut Link,
    keys: &[String],
) -> Result<HashMap<String, EquipmentId>, StoreError> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let named = equipment::table
        .filter(equipment::hidden_at.is_null())
        .filter(equipment::name_key.eq_any(keys))
        .select((equipment::name_key, equipment::id));
    let named: Vec<(String, i64)> = link.all(named).await?;
    Ok(unambiguous(named.into_iter().filter_map(|(name, id)| Some((name, EquipmentId::new(id)?)))))
}

#[async_trait]
impl Register for Link {
    async fn insert(&mut self, new: &NewEquipment) -> Result<Equipment, StoreError> {
        let created_at = stamp(new.created_at);
        let row = diesel::insert_into(equipment::table)
            .values((
                DetailsWrite::from(&new.details),
                equipment::created_at.eq(created_at),
                equipment::updated_at.eq(created_at),
            ))
            .returning(EquipmentRow::as_returning());
        let row: EquipmentRow = self.the(row).await?;
        heads::begin(self, row.id, &new.details.kind).await?;
        restore((row, None))
    }

    async fn find(&mut self, id: EquipmentId) -> Result<Option<Equipment>, StoreError> {
        let row = equipment::table.find(id.get()).select(seen());
        self.one(row).await?.map(restore).transpose()
    }

    async fn resolve(&mut self, names: &[EquipmentRef]) -> Result<Vec<Option<EquipmentId>>, StoreError> {
        let (mut ids, mut serials, mut called) = (Vec::new(), Vec::new(), Vec::new());
        for name in names {
            match name {
                EquipmentRef::Id(id) => ids.push(id.get()),
                EquipmentRef::Serial(serial) => serials.push(serial.key()),
                EquipmentRef::Called(label) => called.push(label.key()),
            }
        }
        let by_name = only_ones_named(self, &called).await?;
        serials.extend(called);
        let meant = equipment::id.nullable().eq_any(ids).or(equipment::serial_number_key.eq_any(serials));
        let found = equipment::table
            .filter(equipment::hidden_at.is_null())
            .filter(meant)
            .select((equipment::id, equipment::serial_number_key));
        let found: Vec<(i64, Option<String>)> = self.all(found).await?;
        let there: HashSet<i64> = found.iter().map(|(id, _)| *id).collect();
        let by_serial: HashMap<String, i64> =
            found.into_iter().filter_map(|(id, serial)| Some((serial?, id))).collect();
        let resolved = |name: &EquipmentRef| match name {
            EquipmentRef::Id(id) => there.contains(&id.get()).then_some(*id),
            EquipmentRef::Serial(serial) => by_serial.get(&serial.key()).and_then(|id| EquipmentId::new(*id)),
            EquipmentRef::Called(label) => {
                let key = label.key();
                let with_serial = by_serial.get(&key).and_then(|id| EquipmentId::new(*id));
                with_serial.or_else(|| by_name.get(&key).copied())
            }
        };
        Ok(names.iter().map(resolved).collect())
    }

    /// Not the strongest lock: alerts may go on referring to a piece that somebody changes. Locks first and reads
    /// afterwards, because a statement that waited for the lock would still see the head of before.
    async fn lock(&mut self, id: EquipmentId) -> Result<Option<Equipment>, StoreError> {
        let lock = equipment::table.find(id.get()).select(equipment::id).for_no_key_update();
        let locked: Option<i64> = self.one(lock).await?;
        if locked.is_none() {
            return Ok(None);
        }
        Register::find(self, id).await
    }

    async fn save(&mut self, piece: &Equipment) -> Result<Equipment, StoreError> {
        let saved = diesel::update(equipment::table.find(piece.id.get())).set((
            DetailsWrite::from(&piece.details),
            equipment::hidden_at.eq(piece.hidden_at.map(stamp)),
            equipment::version.eq(equipment::version + 1),
            equipment::updated_at.eq(stamp(piece.updated_at)),
        ));
        self.run(saved).await?;
        heads::keep_up(self, piece).await?;
        Register::find(self, piece.id).await?.ok_or(StoreError::Dangling(Reference::Equipment))
    }

    async fn note_maintenance(&mut self, id: EquipmentId, at: Timestamp) -> Result<(), StoreError> {
        let noted = Statement::<()>::new(NOTE_MAINTENANCE)
            .bind::<Timestamptz, _>(stamp(at))
            .bind::<BigInt, _>(id.get());
        self.run(noted).await?;
        Ok(())
    }

    /// The head goes first: whoever stores readings has hold of it, so no more can come while we look whether there are any.
    /// Live events stay in their window, but only those of registered equipment are ever answered.
    async fn delete(&mut self, id: EquipmentId, at: Timestamp) -> Result<bool, StoreError> {
        let head = equipment_heads::table.find(id.get());
        self.run(diesel::delete(head)).await?;
        self.heads.remove(&id.get());
        if self.has_readings(id).await? {
            return Err(StoreError::Dangling(Reference::Equipment));
        }
        let released = diesel::update(equipment::table.filter(equipment::parent_id.eq(id.get()))).set((
            equipment::parent_id.eq(None::<i64>),
            equipment::version.eq(equipment::version + 1),
            equipment::updated_at.eq(stamp(at)),
        ));
        self.run(released).await?;
        let orphaned =
            Statement::<()>::new(ORPHAN).bind::<Timestamptz, _>(stamp(at)).bind::<BigInt, _>(id.get());
        self.run(orphaned).await?;
        Ok(self.run(diesel::delete(equipment::table.find(id.get()))).await? > 0)
    }

    async fn list(&mut self, query: &EquipmentQuery) -> Result<Page<Equipment>, StoreError> {
        equipment_lists::list(self, query).await
    }

    async fn walk(
        &mut self,
        filter: &EquipmentFilter,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError> {
        equipment_lists::walk(self, filter, after, limit).await
    }

    async fn lock_tree(&mut self) -> Result<(), StoreError> {
        self.hold(TREE).await
    }

    async fn above(&mut self, id: EquipmentId) -> Result<Vec<EquipmentId>, StoreError> {
        let line = Statement::<BigInt>::new(ABOVE).bind::<BigInt, _>(id.get());
        equipment_ids(self.all(line).await?)
    }

    async fn levels_below(&mut self, id: EquipmentId, most: usize) -> Result<usize, StoreError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let levels =
            Statement::<BigInt>::new(LEVELS_BELOW).bind::<BigInt, _>(id.get()).bind::<BigInt, _>(most);
        let levels: i64 = self.the(levels).await?;
        Ok(usize::try_from(levels).unwrap_or_default())
    }
}

/// What people write about equipment, as it is written.
#[derive(Insertable, AsChangeset)]
#[diesel(table_name = equipment, treat_none_as_default_value = false, treat_none_as_null = true)]
struct DetailsWrite<'details> {
    name: &'details str,
    name_key: String,
    kind: &'details str,
    kind_key: String,
    model: Option<&'details str>,
    model_key: Option<String>,
    manufacturer: Option<&'details str>,
    manufacturer_key: Option<String>,
    serial_number: Option<&'details str>,
    serial_number_key: Option<String>,
    installed_on: Option<PgDate>,
    location: Option<&'details str>,
    parent_id: Option<i64>,
    status: i16,
    attributes: JsonText,
    search_key: String,
}

impl<'details> From<&'details Details> for DetailsWrite<'details> {
    fn from(details: &'details Details) -> Self {
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
            installed_on: details.installed_on.map(day),
            location: details.location.as_ref().map(Location::as_str),
            parent_id: details.parent.map(EquipmentId::get),
            status: details.status as i16,
            attributes: JsonText(details.attributes.as_json().to_owned()),
            search_key: search_key(details),
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = equipment, check_for_backend(Pg))]
pub(crate) struct EquipmentRow {
    id: i64,
    name: String,
    kind: String,
    model: Option<String>,
    manufacturer: Option<String>,
    serial_number: Option<String>,
    installed_on: Option<PgDate>,
    location: Option<String>,
    parent_id: Option<i64>,
    status: i16,
    attributes: JsonText,
    last_maintained_at: Option<PgTimestamp>,
    next_maintenance_on: Option<PgDate>,
    hidden_at: Option<PgTimestamp>,
    version: i64,
    created_at: PgTimestamp,
    updated_at: PgTimestamp,
}

/// A piece, and when it was last seen.
pub(crate) type SeenRow = (EquipmentRow, Option<PgTimestamp>);

/// The columns of a [`SeenRow`].
#[auto_type]
pub(crate) fn seen() -> _ {
    let piece: AsSelect<EquipmentRow, Pg> = EquipmentRow::as_select();
    let last_seen_at = equipment_heads::table
        .filter(equipment_heads::equipment_id.eq(equipment::id))
        .select(equipment_heads::last_seen_at)
        .single_value();
    (piece, last_seen_at)
}

pub(crate) fn restore((piece, last_seen_at): SeenRow) -> Result<Equipment, StoreError> {
    let row = Row { table: "equipment", key: &piece.id };
    let head = Row { table: "equipment_heads", key: &piece.id };
    let parent = piece.parent_id.map(|parent| row.read("parent_id", EquipmentId::new(parent)));
    Ok(Equipment {
        id: row.read("id", EquipmentId::new(piece.id))?,
        details: Details {
            parent: parent.transpose()?,
            status: row.placed("status", Status::ALL, piece.status)?,
            installed_on: row.maybe_day("installed_on", piece.installed_on)?,
            name: Label::restore(piece.name),
            kind: Label::restore(piece.kind),
            model: piece.model.map(Label::restore),
            manufacturer: piece.manufacturer.map(Label::restore),
            serial_number: piece.serial_number.map(SerialNumber::restore),
            location: piece.location.map(Location::restore),
            attributes: Attributes::restore(piece.attributes.0),
        },
        last_maintained_at: row.maybe_instant("last_maintained_at", piece.last_maintained_at)?,
        next_maintenance_on: row.maybe_day("next_maintenance_on", piece.next_maintenance_on)?,
        last_seen_at: head.maybe_instant("last_seen_at", last_seen_at)?,
        hidden_at: row.maybe_instant("hidden_at", piece.hidden_at)?,
        version: row.version(piece.version)?,
        created_at: row.instant("created_at", piece.created_at)?,
        updated_at: row.instant("updated_at", piece.updated_at)?,
    })
}

/// Ids that the query found.
pub(crate) fn equipment_ids(ids: Vec<i64>) -> Result<Vec<EquipmentId>, StoreError> {
    ids.into_iter().map(|id| Row { table: "equipment", key: &id }.read("id", EquipmentId::new(id))).collect()
}
