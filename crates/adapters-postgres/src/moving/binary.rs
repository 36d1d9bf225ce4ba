//! Rows of any query, in the form in which PostgreSQL sends them, and what they mean.

use crate::rows::POSTGRES_EPOCH;
use diesel::deserialize::{self, FromSqlRow};
use diesel::pg::Pg;
use diesel::row::Field;
use diesel::sql_types::Untyped;
use moving::{Cell, Kind, Row, Table};

/// The bytes of each column.
pub(super) struct Values(Vec<Option<Vec<u8>>>);

impl FromSqlRow<Untyped, Pg> for Values {
    fn build_from_row<'a>(row: &impl diesel::row::Row<'a, Pg>) -> deserialize::Result<Self> {
        let values = (0..row.field_count()).map(|place| {
            let field = row.get(place).ok_or("there are fewer columns than were asked for")?;
            Ok(field.value().map(|value| value.as_bytes().to_vec()))
        });
        values.collect::<deserialize::Result<_>>().map(Self)
    }
}

impl Values {
    /// The row, if every value is what its column is for.
    pub(super) fn of(self, table: &Table) -> Option<Row> {
        let values = table.columns.iter().zip(self.0);
        values
            .map(|(column, value)| value.map_or(Some(Cell::Null), |bytes| cell(column.kind, bytes)))
            .collect()
    }
}

fn cell(kind: Kind, bytes: Vec<u8>) -> Option<Cell> {
    match kind {
        Kind::Flag | Kind::Number => whole(&bytes).map(Cell::Number),
        Kind::Instant => instant(&bytes).map(Cell::Number),
        Kind::Day | Kind::Text | Kind::Json => String::from_utf8(bytes).ok().map(Cell::Text),
        Kind::Float => float(&bytes).map(Cell::Float),
        Kind::Bytes => Some(Cell::Bytes(bytes)),
        Kind::Numbers => list(&bytes, whole).map(Cell::Numbers),
        Kind::Instants => list(&bytes, instant).map(Cell::Numbers),
        Kind::Floats => list(&bytes, float).map(Cell::Floats),
        Kind::Texts => list(&bytes, |bytes| String::from_utf8(bytes.to_vec()).ok()).map(Cell::Texts),
    }
}

/// A whole number of any size; a flag is one of a single byte.
fn whole(bytes: &[u8]) -> Option<i64> {
    match *bytes {
        [flag] => Some(flag.into()),
        [a, b] => Some(i16::from_be_bytes([a, b]).into()),
        [a, b, c, d] => Some(i32::from_be_bytes([a, b, c, d]).into()),
        _ => bytes.try_into().ok().map(i64::from_be_bytes),
    }
}

fn instant(bytes: &[u8]) -> Option<i64> {
    whole(bytes)?.checked_add(POSTGRES_EPOCH)
}

fn float(bytes: &[u8]) -> Option<f64> {
    bytes.try_into().ok().map(f64::from_be_bytes)
}

/// An array of one dimension: how many dimensions, whether any item is absent, of which type; its length and where it begins;
/// and each item with its length.
fn list<T>(bytes: &[u8], item: impl Fn(&[u8]) -> Option<T>) -> Option<Vec<T>> {
    let (dimensions, rest) = number(bytes)?;
    if dimensions == 0 {
        return Some(Vec::new());
    }
    let (length, mut rest) = number(rest.get(8..)?)?;
    rest = rest.get(4..)?;
    let mut items = Vec::new();
    for _ in 0..length {
        let (size, bytes) = number(rest)?;
        let (one, behind) = bytes.split_at_checked(usize::try_from(size).ok()?)?;
        items.push(item(one)?);
        rest = behind;
    }
    (dimensions == 1 && rest.is_empty()).then_some(items)
}

fn number(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((i32::from_be_bytes(*number), rest))
}
