//! Readings that are old, packed: the `packs` table.
//!
//! Packs of a piece never overlap, and no row of `readings` lies within the time of a pack of its piece: whoever writes into
//! that time unpacks it first. What a pack's bytes say, the `packing` crate knows.

use crate::link::Link;
use crate::readings::{ReadingColumns, ReadingRow};
use crate::rows::{Row, count, stamp};
use crate::schema::packs;
use crate::statement::Statement;
use crate::stretches;
use diesel::data_types::PgTimestamp;
use diesel::dsl::{AsSelect, SqlTypeOf};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Integer, Nullable, Timestamptz};
use domain::id::EquipmentId;
use domain::page::Direction;
use domain::ports::StoreError;
use domain::telemetry::{Reading, ReadingFilter, ReadingId};
use domain::time::{Span, Timestamp};
use packing::{Course, Listed, Outline, Pack, Start, Want};
use std::collections::{HashMap, HashSet};

/// The pieces with packs that reach into this span, the hidden ones among them only if they are asked for.
const PACKED_WITHIN: &str = "\
    SELECT head.equipment_id FROM equipment_heads AS head \
    WHERE head.packed_until >= ? AND (?::bigint[] IS NULL OR head.equipment_id = ANY($2)) \
    AND EXISTS (SELECT FROM packs WHERE packs.equipment_id = head.equipment_id \
        AND packs.last_at >= $1 AND packs.first_at <= ?) \
    AND (? OR NOT head.hidden)";

const NEXT_UPWARDS: &str = "\
    SELECT ? FROM unnest(?::bigint[], ?::timestamptz[]) AS piece (id, edge) CROSS JOIN LATERAL ( \
        SELECT * FROM packs WHERE packs.equipment_id = piece.id \
            AND packs.last_at >= piece.edge AND packs.first_at <= ? ORDER BY packs.last_at LIMIT ?) AS packs \
    ORDER BY packs.last_at";

const NEXT_DOWNWARDS: &str = "\
    SELECT ? FROM unnest(?::bigint[], ?::timestamptz[]) AS piece (id, edge) CROSS JOIN LATERAL ( \
        SELECT * FROM packs WHERE packs.equipment_id = piece.id \
            AND packs.first_at <= piece.edge AND packs.last_at >= ? ORDER BY packs.first_at DESC LIMIT ?) AS packs \
    ORDER BY packs.first_at DESC";

const BODIES: &str = "SELECT id, body FROM packs WHERE id = ANY(?)";

/// Of each reading the one pack within whose time it lies, if there is one.
const HOLDING: &str = "\
    SELECT DISTINCT pack.id FROM unnest(?::bigint[], ?::timestamptz[]) AS wanted (equipment_id, at) \
    CROSS JOIN LATERAL (SELECT packs.id, packs.first_at FROM packs \
        WHERE packs.equipment_id = wanted.equipment_id AND packs.last_at >= wanted.at \
        ORDER BY packs.last_at LIMIT 1) AS pack \
    WHERE pack.first_at <= wanted.at";

const WHOLE: &str = "SELECT ? FROM packs WHERE packs.id = ANY(?) ORDER BY packs.id";

const REMOVE: &str = "DELETE FROM packs WHERE id = ANY(?)";

/// The oldest rows of a piece, no further than to the next pack: in between there must be none.
const OLDEST_LOOSE: &str = "\
    SELECT ? FROM readings WHERE readings.equipment_id = ? AND readings.at < least(?, ( \
        SELECT min(packs.first_at) FROM packs WHERE packs.equipment_id = $1 AND packs.first_at > ( \
            SELECT oldest.at FROM readings AS oldest WHERE oldest.equipment_id = $1 ORDER BY oldest.at LIMIT 1))) \
    ORDER BY readings.at LIMIT ?";

/// The pack just before an instant, if it holds few readings.
const SMALL_BEFORE: &str = "\
    SELECT pack.id FROM (SELECT packs.id, packs.count FROM packs \
        WHERE packs.equipment_id = ? AND packs.last_at < ? ORDER BY packs.last_at DESC LIMIT 1) AS pack \
    WHERE pack.count <= ?";

const REMOVE_LOOSE: &str = "DELETE FROM readings WHERE equipment_id = ? AND at BETWEEN ? AND ?";

const INSERT: &str = "\
    INSERT INTO packs (equipment_id, first_at, last_at, count, outline, body) \
    SELECT ?::bigint, unnest(?::timestamptz[]), unnest(?::timestamptz[]), unnest(?::integer[]), \
        unnest(?::bytea[]), unnest(?::bytea[])";

const NOTE: &str = "\
    UPDATE equipment_heads SET packed_until = greatest(packed_until, ?) WHERE equipment_id = ?";

/// The oldest pack of a piece, if it begins before an instant; and whether there are older rows.
const OLDEST: &str = "\
    SELECT packs.id, packs.last_at, packs.count, \
        EXISTS (SELECT FROM readings WHERE readings.equipment_id = $1 AND readings.at < packs.first_at) \
    FROM packs WHERE packs.equipment_id = ? AND packs.first_at < ? ORDER BY packs.first_at LIMIT 1";

#[derive(Queryable, Selectable)]
#[diesel(table_name = packs, check_for_backend(Pg))]
struct ListedRow {
    id: i64,
    equipment_id: i64,
    first_at: PgTimestamp,
    last_at: PgTimestamp,
    outline: Vec<u8>,
}

type ListedColumns = SqlTypeOf<AsSelect<ListedRow, Pg>>;

#[derive(Queryable, Selectable)]
#[diesel(table_name = packs, check_for_backend(Pg))]
struct WholeRow {
    #[diesel(embed)]
    listed: ListedRow,
    body: Vec<u8>,
}

type WholeColumns = SqlTypeOf<AsSelect<WholeRow, Pg>>;

impl ListedRow {
    fn restore(self) -> Result<Listed, StoreError> {
        let row = Row { table: "packs", key: &self.id };
        Ok(Listed {
            id: self.id,
            equipment: row.read("equipment_id", EquipmentId::new(self.equipment_id))?,
            first_at: row.instant("first_at", self.first_at)?,
            last_at: row.instant("last_at", self.last_at)?,
            outline: row.read("outline", Outline::read(&self.outline).ok())?,
        })
    }
}

impl WholeRow {
    fn open(self) -> Result<Vec<Reading>, StoreError> {
        let pack = self.listed.restore()?;
        let readings = Pack::unpack(pack.equipment, &pack.outline, &self.body);
        Row { table: "packs", key: &pack.id }.read("body", readings.ok())
    }
}

/// The next packed readings that match the filter, in order.
pub(crate) async fn next(
    link: &mut Link,
    filter: &ReadingFilter,
    direction: Direction,
    start: Start,
    most: usize,
) -> Result<Vec<Reading>, StoreError> {
    let low = filter.at.from.map_or(PgTimestamp(i64::MIN), stamp);
    let high = filter.at.until.map_or(i64::MAX, |until| stamp(until).0.saturating_sub(1));
    let span = within(direction, start, low, PgTimestamp(high));
    let asked: Vec<i64> = filter.equipment.iter().map(|piece| piece.get()).collect();
    let packed = Statement::<BigInt>::new(PACKED_WITHIN)
        .bind::<Timestamptz, _>(span.0)
        .bind::<Nullable<Array<BigInt>>, _>(Some(asked).filter(|asked| !asked.is_empty()))
        .bind::<Timestamptz, _>(span.1)
        .bind::<Bool, _>(filter.hidden_too);
    let pieces: Vec<i64> = link.all(packed).await?;
    if pieces.is_empty() {
        return Ok(Vec::new());
    }
    let pieces = pieces.into_iter().filter_map(EquipmentId::new);
    let mut course = Course::new(pieces, filter, direction, start, most);
    while let Some(want) = course.wants() {
        let listed = list(link, &want, direction, span).await?;
        course.take(&want, listed);
    }
    let bodies = bodies(link, course.needed()).await?;
    let readings = course.readings(&bodies);
    Row { table: "packs", key: &"(those of a stretch)" }.read("body", readings.ok())
}

/// The part of the span that lies in the direction from the start.
fn within(
    direction: Direction,
    start: Start,
    low: PgTimestamp,
    high: PgTimestamp,
) -> (PgTimestamp, PgTimestamp) {
    let mark = match start {
        Start::Anywhere => return (low, high),
        Start::At(mark) | Start::Beyond(mark) => stamp(mark.at).0,
    };
    match direction {
        Direction::Ascending => (PgTimestamp(low.0.max(mark)), high),
        Direction::Descending => (low, PgTimestamp(high.0.min(mark))),
    }
}

async fn list(
    link: &mut Link,
    want: &Want,
    direction: Direction,
    (low, high): (PgTimestamp, PgTimestamp),
) -> Result<Vec<Listed>, StoreError> {
    let (pieces, edges): (Vec<i64>, Vec<PgTimestamp>) =
        want.pieces.iter().map(|(piece, edge)| (piece.get(), stamp(*edge))).unzip();
    let (text, bound) = match direction {
        Direction::Ascending => (NEXT_UPWARDS, high),
        Direction::Descending => (NEXT_DOWNWARDS, low),
    };
    let rows = Statement::<ListedColumns>::new(text)
        .part(ListedRow::as_select())
        .bind::<Array<BigInt>, _>(pieces)
        .bind::<Array<Timestamptz>, _>(edges)
        .bind::<Timestamptz, _>(bound)
        .bind::<BigInt, _>(i64::try_from(want.of_each).unwrap_or(i64::MAX));
    let rows: Vec<ListedRow> = link.all(rows).await?;
    rows.into_iter().map(ListedRow::restore).collect()
}

async fn bodies(link: &mut Link, needed: Vec<i64>) -> Result<HashMap<i64, Vec<u8>>, StoreError> {
    if needed.is_empty() {
        return Ok(HashMap::new());
    }
    let bodies = Statement::<(BigInt, Binary)>::new(BODIES).bind::<Array<BigInt>, _>(needed);
    let bodies: Vec<(i64, Vec<u8>)> = link.all(bodies).await?;
    Ok(bodies.into_iter().collect())
}

/// The reading, if it is packed (or was, a moment ago) and its equipment is not hidden.
pub(crate) async fn find_visible(link: &mut Link, id: ReadingId) -> Result<Option<Reading>, StoreError> {
    let filter = ReadingFilter {
        equipment: vec![id.equipment],
        at: Span { from: Some(id.at), until: None },
        ..ReadingFilter::default()
    };
    let glance = link.look_closely().await?;
    let found = stretches::next(link, &filter, Direction::Ascending, Start::At(id), 1).await;
    link.look_away(glance).await;
    Ok(found?.pop().filter(|found| found.id == id))
}

/// Those of these readings that are packed.
pub(crate) async fn find(link: &mut Link, ids: &[ReadingId]) -> Result<Vec<Reading>, StoreError> {
    let holding = holding(link, ids.iter().copied()).await?;
    let meant: HashSet<&ReadingId> = ids.iter().collect();
    let mut found = Vec::new();
    for pack in whole(link, &holding).await? {
        found.extend(pack.open()?.into_iter().filter(|reading| meant.contains(&reading.id)));
    }
    Ok(found)
}

/// Makes rows again of the packs about whose time these readings are.
pub(crate) async fn unpack(link: &mut Link, ids: impl Iterator<Item = ReadingId>) -> Result<(), StoreError> {
    let holding = holding(link, ids).await?;
    unpack_these(link, &holding).await
}

async fn unpack_these(link: &mut Link, packs: &[i64]) -> Result<(), StoreError> {
    let packed = whole(link, packs).await?;
    remove(link, packs).await?;
    for pack in packed {
        link.insert_rows(&pack.open()?).await?;
    }
    Ok(())
}

/// The packs within whose time these readings lie. Costs nothing where this unit holds the heads and they know of no packs
/// that old, which is so for nearly all that is ever written.
async fn holding(link: &mut Link, ids: impl Iterator<Item = ReadingId>) -> Result<Vec<i64>, StoreError> {
    let may_be_packed = |id: &ReadingId| {
        let piece = id.equipment.get();
        let reaches = link.packed.get(&piece).is_some_and(|until| stamp(id.at).0 <= until.0);
        reaches || !link.heads.contains(&piece)
    };
    let (pieces, instants): (Vec<i64>, Vec<PgTimestamp>) =
        ids.filter(may_be_packed).map(|id| (id.equipment.get(), stamp(id.at))).unzip();
    if pieces.is_empty() {
        return Ok(Vec::new());
    }
    let holding = Statement::<BigInt>::new(HOLDING)
        .bind::<Array<BigInt>, _>(pieces)
        .bind::<Array<Timestamptz>, _>(instants);
    link.all(holding).await
}

async fn whole(link: &mut Link, packs: &[i64]) -> Result<Vec<WholeRow>, StoreError> {
    if packs.is_empty() {
        return Ok(Vec::new());
    }
    let rows = Statement::<WholeColumns>::new(WHOLE)
        .part(WholeRow::as_select())
        .bind::<Array<BigInt>, _>(packs.to_vec());
    link.all(rows).await
}

async fn remove(link: &mut Link, packs: &[i64]) -> Result<(), StoreError> {
    if !packs.is_empty() {
        link.run(Statement::<()>::new(REMOVE).bind::<Array<BigInt>, _>(packs.to_vec())).await?;
    }
    Ok(())
}

/// Packs the oldest rows of this piece. A small pack just before them is taken in, so that packs do not stay small.
pub(crate) async fn pack(
    link: &mut Link,
    piece: EquipmentId,
    before: Timestamp,
    most: u32,
) -> Result<u64, StoreError> {
    link.in_unit()?;
    let rows = Statement::<ReadingColumns>::new(OLDEST_LOOSE)
        .part(ReadingRow::as_select())
        .bind::<BigInt, _>(piece.get())
        .bind::<Timestamptz, _>(stamp(before))
        .bind::<BigInt, _>(i64::from(most));
    let rows = link.all(rows).await?;
    let loose = link.restore_readings(rows).await?;
    let (Some(first), Some(last)) = (loose.first(), loose.last()) else { return Ok(0) };
    let (first, last) = (stamp(first.id.at), stamp(last.id.at));
    let removed = Statement::<()>::new(REMOVE_LOOSE)
        .bind::<BigInt, _>(piece.get())
        .bind::<Timestamptz, _>(first)
        .bind::<Timestamptz, _>(last);
    let packed = count(link.run(removed).await?);
    let mut all = taken_in(link, piece, first, loose.len()).await?;
    all.extend(loose);
    insert(link, piece, &all).await?;
    let noted = Statement::<()>::new(NOTE).bind::<Timestamptz, _>(last).bind::<BigInt, _>(piece.get());
    link.run(noted).await?;
    // From now on this unit knows of the pack, should it go on writing.
    let until = link.packed.entry(piece.get()).or_insert(last);
    until.0 = until.0.max(last.0);
    Ok(packed)
}

/// The readings of the pack just before this instant, which is removed, if it is small enough to take so many more.
async fn taken_in(
    link: &mut Link,
    piece: EquipmentId,
    first: PgTimestamp,
    more: usize,
) -> Result<Vec<Reading>, StoreError> {
    let room = Pack::MOST.saturating_sub(more).min(Pack::MOST / 2);
    let small = Statement::<BigInt>::new(SMALL_BEFORE)
        .bind::<BigInt, _>(piece.get())
        .bind::<Timestamptz, _>(first)
        .bind::<Integer, _>(i32::try_from(room).unwrap_or(i32::MAX));
    let small: Vec<i64> = link.all(small).await?;
    let mut readings = Vec::new();
    for pack in whole(link, &small).await? {
        readings.extend(pack.open()?);
    }
    remove(link, &small).await?;
    Ok(readings)
}

async fn insert(link: &mut Link, piece: EquipmentId, readings: &[Reading]) -> Result<(), StoreError> {
    let packs: Vec<Pack> = readings.chunks(Pack::MOST).filter_map(Pack::of).collect();
    let counts = packs.iter().map(|pack| i32::try_from(pack.count).unwrap_or(i32::MAX));
    let inserted = Statement::<()>::new(INSERT)
        .bind::<BigInt, _>(piece.get())
        .bind::<Array<Timestamptz>, _>(packs.iter().map(|pack| stamp(pack.first_at)).collect::<Vec<_>>())
        .bind::<Array<Timestamptz>, _>(packs.iter().map(|pack| stamp(pack.last_at)).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(counts.collect::<Vec<_>>())
        .bind::<Array<Binary>, _>(packs.iter().map(|pack| pack.outline.clone()).collect::<Vec<_>>())
        .bind::<Array<Binary>, _>(packs.into_iter().map(|pack| pack.body).collect::<Vec<_>>());
    link.run(inserted).await?;
    Ok(())
}

/// Removes packs of this piece that are older than its oldest row, as far as all in them is wanted gone: the oldest first.
/// One that is not to go as a whole becomes rows. Says how many readings went.
pub(crate) async fn delete_some(
    link: &mut Link,
    piece: EquipmentId,
    before: Option<Timestamp>,
    most: u32,
) -> Result<i64, StoreError> {
    let before = before.map_or(PgTimestamp(i64::MAX), stamp);
    let mut gone = 0;
    while gone < i64::from(most) {
        let oldest = Statement::<(BigInt, Timestamptz, Integer, Bool)>::new(OLDEST)
            .bind::<BigInt, _>(piece.get())
            .bind::<Timestamptz, _>(before);
        let oldest: Option<(i64, PgTimestamp, i32, bool)> = link.one(oldest).await?;
        let Some((id, last_at, count, has_older_rows)) = oldest else { break };
        if has_older_rows || last_at.0 >= before.0 || gone + i64::from(count) > i64::from(most) {
            unpack_these(link, &[id]).await?;
            break;
        }
        remove(link, &[id]).await?;
        gone += i64::from(count);
    }
    Ok(gone)
}
