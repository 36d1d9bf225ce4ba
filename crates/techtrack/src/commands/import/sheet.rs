//! A file of comma-separated values as numbered lines of known columns. What the cells mean is in
//! [`crate::commands::columns`].

use crate::commands::columns::Column;
use crate::config::unknown;
use csv::{ByteRecord, Reader, ReaderBuilder};

/// What a file holds.
#[derive(Debug)]
pub(super) struct Sheet {
    /// Its columns, in their order.
    pub columns: Vec<Column>,
    /// Its lines, without empty ones.
    pub lines: Vec<Line>,
}

/// A line, which may be several in the file when a cell holds line breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Where it starts in the file, counted from 1.
    pub number: u64,
    /// Its cells, one for each column; else what is wrong with it.
    pub cells: Result<Vec<String>, String>,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Sheet {
    /// Reads a file with a header. Commas separate cells, or semicolons when the header has them, as spreadsheets write
    /// where the comma is a decimal sign.
    pub(super) fn read(file: &[u8]) -> Result<Self, String> {
        let file = file.strip_prefix(BYTE_ORDER_MARK).unwrap_or(file);
        let mut rows = Rows::of(file);
        let header = rows.next().ok_or("the file is empty; its first line must name the columns")?;
        let columns = columns(&header.cells?)?;
        let lines = rows.filter(|row| !row.is_empty()).map(|row| row.over(&columns)).collect();
        Ok(Self { columns, lines })
    }
}

impl Line {
    fn is_empty(&self) -> bool {
        self.cells.as_ref().is_ok_and(|cells| cells.iter().all(|cell| cell.trim().is_empty()))
    }

    fn over(mut self, columns: &[Column]) -> Self {
        self.cells = self.cells.and_then(|cells| {
            if cells.len() == columns.len() {
                return Ok(cells);
            }
            Err(format!("has {} cells, and the header names {} columns", cells.len(), columns.len()))
        });
        self
    }
}

/// The columns that a header names, or everything that is wrong with it.
fn columns(header: &[String]) -> Result<Vec<Column>, String> {
    let mut problems = Vec::new();
    let mut columns = Vec::new();
    let names = || Column::ALL.iter().map(|column| column.name());
    for name in header.iter().map(|name| name.trim()) {
        match Column::named(name) {
            None => problems.push(format!("{name:?} {}", unknown("column", name, names()))),
            Some(column) if columns.contains(&column) => {
                problems.push(format!("the column {name} is there more than once"));
            }
            Some(column) => columns.push(column),
        }
    }
    let missing = Column::ALL.iter().filter(|column| column.is_required() && !columns.contains(column));
    problems.extend(missing.map(|column| format!("the column {} is missing", column.name())));
    if problems.is_empty() { Ok(columns) } else { Err(problems.join("; ")) }
}

/// The rows of a file, the header among them.
struct Rows<'a> {
    file: &'a [u8],
    reader: Reader<&'a [u8]>,
}

impl<'a> Rows<'a> {
    fn of(file: &'a [u8]) -> Self {
        let header = file.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let delimiter = if header.contains(&b';') { b';' } else { b',' };
        let reader =
            ReaderBuilder::new().delimiter(delimiter).flexible(true).has_headers(false).from_reader(file);
        Self { file, reader }
    }

    /// Where the row starts. The reader counts from where the row before ended: empty lines come in between.
    fn number(&self, record: &ByteRecord) -> u64 {
        let Some(position) = record.position() else { return 0 };
        let start = usize::try_from(position.byte()).unwrap_or(usize::MAX);
        let ahead = self.file.get(start..).unwrap_or_default();
        let empty = ahead.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
        position.line() + empty.filter(|byte| **byte == b'\n').count() as u64
    }
}

impl Iterator for Rows<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let mut record = ByteRecord::new();
        let read = self.reader.read_byte_record(&mut record);
        if matches!(read, Ok(false)) {
            return None;
        }
        let cells = read.map_err(|error| error.to_string()).and_then(|_| texts(&record));
        Some(Line { number: self.number(&record), cells })
    }
}

fn texts(record: &ByteRecord) -> Result<Vec<String>, String> {
    let cells = record.iter().map(|cell| str::from_utf8(cell).map(str::to_owned));
    cells.collect::<Result<_, _>>().map_err(|_| "is not valid UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(file: &[u8]) -> Vec<(u64, Result<String, String>)> {
        let told = |line: Line| (line.number, line.cells.map(|cells| cells.join("|")));
        Sheet::read(file).unwrap().lines.into_iter().map(told).collect()
    }

    #[test]
    fn a_line_is_counted_where_it_stands_in_the_file() {
        let file = b"name,type\n\n\nPress 1,press\r\n\r\n\"Press\n2\",press\n,\n\"Press 3\",\"pr\"\"ess\"";
        let expected = [(4, "Press 1|press"), (6, "Press\n2|press"), (9, "Press 3|pr\"ess")];
        assert_eq!(lines(file), expected.map(|(number, cells)| (number, Ok(cells.to_owned()))));
    }

    #[test]
    fn semicolons_separate_cells_when_the_header_has_them() {
        assert_eq!(lines(b"name;type\nPress 1;2,5 t press\n"), [(2, Ok("Press 1|2,5 t press".to_owned()))]);
        assert_eq!(lines(b"name,type\nPress; 1,press\n"), [(2, Ok("Press; 1|press".to_owned()))]);
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_name() {
        let sheet = Sheet::read(b"\xef\xbb\xbfname, type \n").unwrap();
        assert_eq!(sheet.columns, [Column::Name, Column::Kind]);
        assert_eq!(sheet.lines, []);
    }

    #[test]
    fn a_header_is_refused_with_all_that_is_wrong_with_it() {
        let refusal = Sheet::read(b"name,name,serialnumber,colour of the door\n").unwrap_err();
        assert_eq!(
            refusal,
            "the column name is there more than once; \"serialnumber\" is no column; did you mean serial_number?; \
             \"colour of the door\" is no column; the column type is missing"
        );
        assert!(Sheet::read(b"").unwrap_err().contains("empty"));
        assert!(Sheet::read(b"\xff\xfen\0a\0").unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn a_bad_line_does_not_keep_the_next_one() {
        let file = b"name,type\nPress 1\nPress \xff,press\nPress 3,press\n";
        let expected = [
            (2, Err("has 1 cells, and the header names 2 columns".to_owned())),
            (3, Err("is not valid UTF-8".to_owned())),
            (4, Ok("Press 3|press".to_owned())),
        ];
        assert_eq!(lines(file), expected);
    }

    proptest! {
        #[test]
        fn cells_are_read_as_they_were_written_and_no_bytes_panic(
            cells in prop::collection::vec(("[^\\x00]{0,12}", "[^\\x00]{0,12}"), 0..6),
            bytes in prop::collection::vec(prop_oneof![Just(b'"'), Just(b','), Just(b'\n'), any::<u8>()], 0..60),
        ) {
            let quoted = |cell: &str| format!("\"{}\"", cell.replace('"', "\"\""));
            let file: String =
                cells.iter().map(|(name, kind)| format!("{},{}\r\n", quoted(name), quoted(kind))).collect();
            let sheet = Sheet::read(format!("name,type\n{file}").as_bytes()).unwrap();
            let read: Vec<_> = sheet.lines.into_iter().map(|line| line.cells.unwrap()).collect();
            let blank = |cell: &String| cell.trim().is_empty();
            let expected: Vec<_> = cells
                .into_iter()
                .map(|(name, kind)| vec![name, kind])
                .filter(|cells| !cells.iter().all(blank))
                .collect();
            prop_assert_eq!(read, expected);
            let _ = Sheet::read(&bytes);
            let _ = Sheet::read(&[b"name,type\n", &bytes[..]].concat());
        }
    }
}
