//! Readings that are old, packed: the `packs` table.
//!
//! Packs of a piece never overlap, and no row of `readings` lies within the time of a pack of its piece: whoever writes into
//! that time unpacks it first. What a pack's bytes say, the `packing` crate knows.

use crate::catalogue::Catalogue;
use crate::errors::dangles;
use crate::readings::{insert_rows, with_shapes};
use crate::rows::{Place, ReadingRow};
use crate::schema::{equipment, packs, readings};
use crate::work::Answer;
use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use diesel::sqlite::Sqlite;
use domain::id::EquipmentId;
use domain::page::Direction;
use domain::ports::{Reference, StoreError};
use domain::telemetry::{Reading, ReadingFilter, ReadingId};
use domain::time::Timestamp;
use packing::{Course, Listed, Outline, Pack, Start, Want};
use std::collections::{BTreeMap, HashMap, HashSet};

#[derive(Queryable, Selectable)]
#[diesel(table_name = packs, check_for_backend(Sqlite))]
struct ListedRow {
    id: i64,
    equipment_id: i64,
    first_at: i64,
    last_at: i64,
    outline: Vec<u8>,
}

impl ListedRow {
    fn restore(self) -> Result<Listed, StoreError> {
        let place = Place { table: "packs", row: self.id };
        Ok(Listed {
            id: self.id,
            equipment: place.sound("equipment_id", EquipmentId::new(self.equipment_id))?,
            first_at: place.instant("first_at", self.first_at)?,
            last_at: place.instant("last_at", self.last_at)?,
            outline: place.sound("outline", Outline::read(&self.outline).ok())?,
        })
    }
}

/// The next packed readings of these pieces (of all that the filter means if there are none), in order.
pub(crate) fn next(
    connection: &mut SqliteConnection,
    pieces: Option<&[i64]>,
    filter: &ReadingFilter,
    direction: Direction,
    start: Start,
    most: usize,
) -> Answer<Vec<Reading>> {
    let first = filter.at.from.unwrap_or(Timestamp::MIN).micros();
    let last = filter.at.until.map_or(Timestamp::MAX.micros(), |until| until.micros() - 1);
    let within = packs::table
        .filter(packs::equipment_id.eq(equipment::id))
        .filter(packs::last_at.ge(first))
        .filter(packs::first_at.le(last));
    let packed: Vec<i64> = match pieces {
        Some(pieces) => pieces.to_vec(),
        None => equipment::table
            .filter(equipment::hidden_at.is_null().or(filter.hidden_too.into_sql::<Bool>()))
            .filter(exists(within))
            .select(equipment::id)
            .load(connection)?,
    };
    let packed = packed.into_iter().filter_map(EquipmentId::new);
    let mut course = Course::new(packed, filter, direction, start, most);
    while let Some(want) = course.wants() {
        let listed = list(connection, &want, direction, (first, last))?;
        course.take(&want, listed);
    }
    let bodies = bodies(connection, &course.needed())?;
    let readings = course.readings(&bodies).ok();
    Ok(Place { table: "packs", row: "(those of a stretch)" }.sound("body", readings)?)
}

fn list(
    connection: &mut SqliteConnection,
    want: &Want,
    direction: Direction,
    (first, last): (i64, i64),
) -> Answer<Vec<Listed>> {
    let limit = i64::try_from(want.of_each).unwrap_or(i64::MAX);
    let mut listed = Vec::new();
    for (piece, edge) in &want.pieces {
        let of_piece =
            packs::table.filter(packs::equipment_id.eq(piece.get())).select(ListedRow::as_select());
        let rows: Vec<ListedRow> = match direction {
            Direction::Ascending => of_piece
                .filter(packs::last_at.ge(edge.micros()))
                .filter(packs::first_at.le(last))
                .order(packs::last_at)
                .limit(limit)
                .load(connection)?,
            Direction::Descending => of_piece
                .filter(packs::first_at.le(edge.micros()))
                .filter(packs::last_at.ge(first))
                .order(packs::first_at.desc())
                .limit(limit)
                .load(connection)?,
        };
        for row in rows {
            listed.push(row.restore()?);
        }
    }
    Ok(listed)
}

fn bodies(connection: &mut SqliteConnection, needed: &[i64]) -> Answer<HashMap<i64, Vec<u8>>> {
    let mut bodies = HashMap::with_capacity(needed.len());
    for id in needed {
        bodies.insert(*id, packs::table.find(id).select(packs::body).first(connection)?);
    }
    Ok(bodies)
}

/// Those of these readings that are packed.
pub(crate) fn find(connection: &mut SqliteConnection, ids: &[ReadingId]) -> Answer<Vec<Reading>> {
    let meant: HashSet<&ReadingId> = ids.iter().collect();
    let mut found = Vec::new();
    for pack in holding(connection, ids)? {
        let mut readings = opened(connection, &pack)?;
        readings.retain(|reading| meant.contains(&reading.id));
        found.append(&mut readings);
    }
    Ok(found)
}

/// Makes rows again of the packs about whose time these readings are. Readings in any other time stay where they are.
pub(crate) fn unpack(
    connection: &mut SqliteConnection,
    catalogue: &Catalogue,
    ids: &[ReadingId],
) -> Answer<()> {
    for pack in holding(connection, ids)? {
        unpack_one(connection, catalogue, &pack)?;
    }
    Ok(())
}

fn unpack_one(connection: &mut SqliteConnection, catalogue: &Catalogue, pack: &Listed) -> Answer<()> {
    let readings = opened(connection, pack)?;
    diesel::delete(packs::table.find(pack.id)).execute(connection)?;
    insert_rows(connection, catalogue, &readings)
}

/// The packs within whose time these instants lie.
fn holding(connection: &mut SqliteConnection, ids: &[ReadingId]) -> Answer<Vec<Listed>> {
    let Some(oldest) = ids.iter().map(|id| id.at.micros()).min() else { return Ok(Vec::new()) };
    // Nearly always there is none: what comes in is newer than what is packed.
    let reaching = packs::table.filter(packs::last_at.ge(oldest));
    if !diesel::select(exists(reaching)).get_result::<bool>(connection)? {
        return Ok(Vec::new());
    }
    let mut instants: BTreeMap<EquipmentId, Vec<i64>> = BTreeMap::new();
    for id in ids {
        instants.entry(id.equipment).or_default().push(id.at.micros());
    }
    let mut holding = Vec::new();
    for (piece, mut instants) in instants {
        instants.sort_unstable();
        let (Some(oldest), Some(newest)) = (instants.first(), instants.last()) else { continue };
        let near: Vec<ListedRow> = packs::table
            .filter(packs::equipment_id.eq(piece.get()))
            .filter(packs::last_at.ge(oldest))
            .filter(packs::first_at.le(newest))
            .order(packs::last_at)
            .select(ListedRow::as_select())
            .load(connection)?;
        for pack in near {
            let next = instants.partition_point(|at| *at < pack.first_at);
            if instants.get(next).is_some_and(|at| *at <= pack.last_at) {
                holding.push(pack.restore()?);
            }
        }
    }
    Ok(holding)
}

fn opened(connection: &mut SqliteConnection, pack: &Listed) -> Answer<Vec<Reading>> {
    let body: Vec<u8> = packs::table.find(pack.id).select(packs::body).first(connection)?;
    let readings = Pack::unpack(pack.equipment, &pack.outline, &body).ok();
    Ok(Place { table: "packs", row: pack.id }.sound("body", readings)?)
}

/// Packs the oldest rows of this piece. A small pack just before them is taken in, so that packs do not stay small.
pub(crate) fn pack(
    connection: &mut SqliteConnection,
    catalogue: &Catalogue,
    piece: EquipmentId,
    before: Timestamp,
    most: u32,
) -> Answer<u64> {
    let of_piece = || packs::table.filter(packs::equipment_id.eq(piece.get()));
    let loose = || readings::table.filter(readings::equipment_id.eq(piece.get()));
    let oldest = loose().filter(readings::at.lt(before.micros())).select(readings::at).order(readings::at);
    let Some(oldest) = oldest.first::<i64>(connection).optional()? else { return Ok(0) };
    // No further than to the next pack: in between there must be no rows.
    let next = of_piece().filter(packs::first_at.gt(oldest)).select(packs::first_at).order(packs::first_at);
    let next = next.first::<i64>(connection).optional()?;
    let until = next.map_or(before.micros(), |next| next.min(before.micros()));
    let rows: Vec<ReadingRow> = loose()
        .filter(readings::at.between(oldest, until - 1))
        .order(readings::at)
        .limit(most.into())
        .select(ReadingRow::as_select())
        .load(connection)?;
    let packed = with_shapes(connection, catalogue, rows)?;
    let Some(newest) = packed.last().map(|reading| reading.id.at.micros()) else { return Ok(0) };
    let count = packed.len() as u64;
    diesel::delete(loose().filter(readings::at.between(oldest, newest))).execute(connection)?;
    let previous = of_piece().filter(packs::last_at.lt(oldest)).order(packs::last_at.desc());
    let previous = previous.select((ListedRow::as_select(), packs::count)).first(connection).optional()?;
    let mut all = match previous {
        Some((row, held)) if is_taken_in(held, packed.len()) => {
            let previous = ListedRow::restore(row)?;
            let readings = opened(connection, &previous)?;
            diesel::delete(packs::table.find(previous.id)).execute(connection)?;
            readings
        }
        Some(_) | None => Vec::new(),
    };
    all.extend(packed);
    for part in all.chunks(Pack::MOST) {
        insert(connection, piece, part)?;
    }
    Ok(count)
}

/// Whether a pack of so many readings is packed anew together with so many more.
fn is_taken_in(held: i64, more: usize) -> bool {
    usize::try_from(held).is_ok_and(|held| held < Pack::MOST / 2 && held + more <= Pack::MOST)
}

fn insert(connection: &mut SqliteConnection, piece: EquipmentId, part: &[Reading]) -> Answer<()> {
    let Some(pack) = Pack::of(part) else { return Ok(()) };
    let row = (
        packs::equipment_id.eq(piece.get()),
        packs::first_at.eq(pack.first_at.micros()),
        packs::last_at.eq(pack.last_at.micros()),
        packs::count.eq(i64::from(pack.count)),
        packs::outline.eq(pack.outline),
        packs::body.eq(pack.body),
    );
    diesel::insert_into(packs::table)
        .values(row)
        .execute(connection)
        .map_err(dangles(Reference::Equipment))?;
    Ok(())
}

/// Removes packs of this piece that are older than its oldest row, as far as all in them is wanted gone: the oldest first.
/// One that is not as a whole to go becomes rows. Says how many readings went.
pub(crate) fn delete_some(
    connection: &mut SqliteConnection,
    catalogue: &Catalogue,
    piece: EquipmentId,
    last: i64,
    most: u32,
) -> Answer<u64> {
    let mut left = i64::from(most);
    while left > 0 {
        let oldest = packs::table.filter(packs::equipment_id.eq(piece.get())).order(packs::first_at);
        let oldest =
            oldest.select((ListedRow::as_select(), packs::count)).first::<(ListedRow, i64)>(connection);
        let Some((pack, count)) = oldest.optional()?.filter(|(pack, _)| pack.first_at <= last) else { break };
        let older_rows = readings::table
            .filter(readings::equipment_id.eq(piece.get()))
            .filter(readings::at.lt(pack.first_at));
        if count > left || pack.last_at > last || diesel::select(exists(older_rows)).get_result(connection)? {
            unpack_one(connection, catalogue, &pack.restore()?)?;
            break;
        }
        diesel::delete(packs::table.find(pack.id)).execute(connection)?;
        left -= count;
    }
    Ok(u64::try_from(i64::from(most) - left).unwrap_or_default())
}
