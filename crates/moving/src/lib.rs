//! What is stored, in no database's words, on its way from one database to another.
//!
//! [`TABLES`] lists what moves: a storage adapter gives rows of these columns whatever its own look like, and another takes them.
//! Both add up what they have in a [`Tally`], so that what arrived can be held against what left. What storage derives from other
//! columns is not in the list, and neither are live events, which last for minutes: who watches begins anew.

mod tables;

pub use tables::TABLES;

use sha2::{Digest, Sha256};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// None.
    Null,
    /// A whole number: also a flag (0 or 1), and an instant in microseconds since 1970.
    Number(i64),
    /// A number as it was measured.
    Float(f64),
    /// Text; JSON as it was written; a day as `YYYY-MM-DD`.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Several whole numbers.
    Numbers(Vec<i64>),
    /// Several measured numbers.
    Floats(Vec<f64>),
    /// Several texts.
    Texts(Vec<String>),
}

/// What kind of values a column has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Yes or no.
    Flag,
    /// Whole numbers.
    Number,
    /// Instants.
    Instant,
    /// Days.
    Day,
    /// Text.
    Text,
    /// JSON.
    Json,
    /// Measured numbers.
    Float,
    /// Bytes.
    Bytes,
    /// Lists of whole numbers.
    Numbers,
    /// Lists of instants.
    Instants,
    /// Lists of measured numbers.
    Floats,
    /// Lists of texts.
    Texts,
}

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What is in it.
    pub kind: Kind,
}

/// A table.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns.
    pub columns: &'static [Column],
}

/// As many values as the table has columns, in their order.
pub type Row = Vec<Cell>;

/// How many rows there are, and a sum of what they say, in whatever order they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub rows: u64,
    sum: [u64; 4],
}

impl Tally {
    /// Counts these rows in.
    pub fn add(&mut self, rows: &[Row]) {
        for row in rows {
            self.rows = self.rows.wrapping_add(1);
            let digest: [u8; 32] = digest(row).into();
            for (sum, part) in self.sum.iter_mut().zip(digest.as_chunks().0) {
                *sum = sum.wrapping_add(u64::from_be_bytes(*part));
            }
        }
    }
}

/// How many bytes of rows are carried at once: packed readings may weigh a megabyte a row.
pub const BYTES_AT_ONCE: usize = 4 * 1024 * 1024;

/// About how many bytes a row takes.
pub fn weight(row: &[Cell]) -> usize {
    let of = |cell: &Cell| match cell {
        Cell::Null | Cell::Number(_) | Cell::Float(_) => 8,
        Cell::Text(text) => text.len(),
        Cell::Bytes(bytes) => bytes.len(),
        Cell::Numbers(numbers) => numbers.len() * 8,
        Cell::Floats(numbers) => numbers.len() * 8,
        Cell::Texts(texts) => texts.iter().map(String::len).sum(),
    };
    row.iter().map(|cell| size_of::<Cell>() + of(cell)).sum()
}

fn digest(row: &[Cell]) -> sha2::digest::Output<Sha256> {
    let mut sha = Sha256::new();
    row.iter().for_each(|cell| write(&mut sha, cell));
    sha.finalize()
}

/// Kinds are told apart by a number, and parts by their lengths.
fn write(sha: &mut Sha256, cell: &Cell) {
    let part = |sha: &mut Sha256, bytes: &[u8]| {
        sha.update((bytes.len() as u64).to_be_bytes());
        sha.update(bytes);
    };
    match cell {
        Cell::Null => sha.update([0]),
        Cell::Number(number) => {
            sha.update([1]);
            sha.update(number.to_be_bytes());
        }
        Cell::Float(number) => {
            sha.update([2]);
            sha.update(number.to_bits().to_be_bytes());
        }
        Cell::Text(text) => {
            sha.update([3]);
            part(sha, text.as_bytes());
        }
        Cell::Bytes(bytes) => {
            sha.update([4]);
            part(sha, bytes);
        }
        Cell::Numbers(numbers) => {
            sha.update([5]);
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
            part(sha, &bytes);
        }
        Cell::Floats(numbers) => {
            sha.update([6]);
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_bits().to_be_bytes()).collect();
            part(sha, &bytes);
        }
        Cell::Texts(texts) => {
            sha.update([7]);
            sha.update((texts.len() as u64).to_be_bytes());
            texts.iter().for_each(|text| part(sha, text.as_bytes()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(rows: &[Row]) -> Tally {
        let mut tally = Tally::default();
        tally.add(rows);
        tally
    }

    #[test]
    fn rows_in_another_order_come_to_the_same_and_any_other_row_does_not() {
        let one = vec![Cell::Number(1), Cell::Text("a".into())];
        let two = vec![Cell::Number(2), Cell::Null];
        assert_eq!(tally(&[one.clone(), two.clone()]), tally(&[two.clone(), one.clone()]));
        for other in [
            vec![],
            vec![two.clone()],
            vec![one.clone(), one.clone()],
            vec![one.clone(), two.clone(), two.clone()],
            vec![one.clone(), vec![Cell::Number(2), Cell::Text(String::new())]],
        ] {
            assert_ne!(tally(&[one.clone(), two.clone()]), tally(&other), "{other:?}");
        }
    }

    #[test]
    fn values_that_look_alike_are_told_apart() {
        let cells = [
            Cell::Null,
            Cell::Number(0),
            Cell::Float(0.0),
            Cell::Float(-0.0),
            Cell::Text(String::new()),
            Cell::Bytes(Vec::new()),
            Cell::Numbers(Vec::new()),
            Cell::Numbers(vec![0]),
            Cell::Floats(Vec::new()),
            Cell::Floats(vec![0.0]),
            Cell::Texts(Vec::new()),
            Cell::Texts(vec![String::new()]),
            Cell::Texts(vec!["ab".into()]),
            Cell::Texts(vec!["a".into(), "b".into()]),
        ];
        for (place, one) in cells.iter().enumerate() {
            for other in cells.iter().skip(place + 1) {
                assert_ne!(tally(&[vec![one.clone()]]), tally(&[vec![other.clone()]]), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn no_table_and_no_column_is_listed_twice() {
        for (place, table) in TABLES.iter().enumerate() {
            assert!(TABLES.iter().skip(place + 1).all(|other| other.name != table.name), "{}", table.name);
            for (place, column) in table.columns.iter().enumerate() {
                let others = table.columns.iter().skip(place + 1);
                assert!(others.clone().all(|other| other.name != column.name), "{}", column.name);
            }
        }
    }
}
