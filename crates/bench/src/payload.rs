//! Readings in the forms in which they are sent: JSON for the API, binary COPY for PostgreSQL, line protocol for peers.

use crate::sensors::{Row, SIGNALS};
use chrono::{DateTime, SecondsFormat};
use std::io::Write;

/// Seconds from 1970 to 2000, where PostgreSQL's time begins.
const POSTGRES_EPOCH: i64 = 946_684_800;

/// An instant, given in microseconds since 1970, as the API takes it.
pub(crate) fn instant(at: i64) -> String {
    let at = DateTime::from_timestamp_micros(at).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Appends a reading as the API takes it.
pub(crate) fn push_json(out: &mut Vec<u8>, row: &Row) {
    let at = instant(row.at);
    put(out, format_args!("{{\"equipment\":{},\"timestamp\":\"{at}\",\"values\":{{", row.equipment));
    for (place, (signal, number)) in SIGNALS.iter().zip(row.numbers).enumerate() {
        let comma = if place == 0 { "" } else { "," };
        put(out, format_args!("{comma}\"{}\":{number}", signal.metric));
    }
    out.extend_from_slice(b"}}");
}

/// Readings, one a line.
pub(crate) fn ndjson<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Vec<u8> {
    let mut out = Vec::new();
    for row in rows {
        push_json(&mut out, row);
        out.push(b'\n');
    }
    out
}

/// Readings as one array.
pub(crate) fn array<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Vec<u8> {
    let mut out = vec![b'['];
    for (place, row) in rows.into_iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        push_json(&mut out, row);
    }
    out.push(b']');
    out
}

/// One reading.
pub(crate) fn single(row: &Row) -> Vec<u8> {
    let mut out = Vec::new();
    push_json(&mut out, row);
    out
}

/// Readings as `COPY … (FORMAT binary)` reads them into `equipment_id, at, received_at, shape_id, numbers, tags`.
pub(crate) struct BinaryCopy<W: Write>(W);

impl<W: Write> BinaryCopy<W> {
    /// Begins a file.
    pub(crate) fn begin(mut out: W) -> std::io::Result<Self> {
        out.write_all(b"PGCOPY\n\xff\r\n\0")?;
        out.write_all(&[0; 8])?;
        Ok(Self(out))
    }

    /// Appends a reading.
    pub(crate) fn push(&mut self, row: &Row) -> std::io::Result<()> {
        const FLOAT8: i32 = 701;
        let at = row.at - POSTGRES_EPOCH * 1_000_000;
        let out = &mut self.0;
        out.write_all(&6_i16.to_be_bytes())?;
        for number in [row.equipment, at, at] {
            out.write_all(&8_i32.to_be_bytes())?;
            out.write_all(&number.to_be_bytes())?;
        }
        for word in [4, 1] {
            out.write_all(&i32::to_be_bytes(word))?;
        }
        let length = row.numbers.len() as i32;
        // An array: its size in bytes, dimensions, whether there are nulls, the type, how many, from which index.
        for word in [20 + 12 * length, 1, 0, FLOAT8, length, 1] {
            out.write_all(&word.to_be_bytes())?;
        }
        for number in row.numbers {
            out.write_all(&8_i32.to_be_bytes())?;
            out.write_all(&number.to_be_bytes())?;
        }
        out.write_all(&(-1_i32).to_be_bytes())
    }

    /// Ends the file.
    pub(crate) fn end(mut self) -> std::io::Result<()> {
        self.0.write_all(&(-1_i16).to_be_bytes())?;
        self.0.flush()
    }
}

/// Readings by line protocol, one a line, as peers take them.
pub(crate) fn lines<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Vec<u8> {
    line_protocol("readings,equipment", rows)
}

/// The same as we take them.
pub(crate) fn points<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Vec<u8> {
    line_protocol("readings,equipment_id", rows)
}

fn line_protocol<'a>(series: &str, rows: impl IntoIterator<Item = &'a Row>) -> Vec<u8> {
    let mut out = Vec::new();
    for row in rows {
        put(&mut out, format_args!("{series}={} ", row.equipment));
        for (place, (signal, number)) in SIGNALS.iter().zip(row.numbers).enumerate() {
            let comma = if place == 0 { "" } else { "," };
            put(&mut out, format_args!("{comma}{}={number}", signal.metric));
        }
        put(&mut out, format_args!(" {}000\n", row.at));
    }
    out
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing into memory cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let mut numbers = [1.5; 10];
        numbers[9] = 0.07;
        Row { equipment: 7, at: 1_777_879_800_250_000, numbers }
    }

    #[test]
    fn a_reading_is_json_that_names_equipment_instant_and_every_metric() {
        let json: serde_json::Value = serde_json::from_slice(&single(&row())).unwrap();
        assert_eq!(json["equipment"], 7);
        assert_eq!(json["timestamp"], "2026-05-04T07:30:00.250000Z");
        assert_eq!(json["values"]["vibration"], 0.07);
        assert_eq!(json["values"].as_object().unwrap().len(), 10);
    }

    #[test]
    fn an_array_is_json_and_lines_are_json_each() {
        let rows = [row(), row(), row()];
        let array: serde_json::Value = serde_json::from_slice(&array(&rows)).unwrap();
        assert_eq!(array.as_array().unwrap().len(), 3);
        let lines = String::from_utf8(ndjson(&rows)).unwrap();
        assert_eq!(lines.lines().count(), 3);
        assert!(lines.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }

    #[test]
    fn a_binary_copy_has_head_rows_of_known_size_and_an_end() {
        let mut bytes = Vec::new();
        let mut copy = BinaryCopy::begin(&mut bytes).unwrap();
        copy.push(&row()).unwrap();
        copy.end().unwrap();
        let (head, rest) = bytes.split_at(19);
        assert_eq!(head, b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0");
        let row_size = 2 + 3 * 12 + 8 + (4 + 20 + 10 * 12) + 4;
        assert_eq!(rest.len(), row_size + 2);
        assert_eq!(rest[2..14], [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7]);
        let at = i64::from_be_bytes(rest[18..26].try_into().unwrap());
        assert_eq!(at, 1_777_879_800_250_000 - POSTGRES_EPOCH * 1_000_000);
        assert_eq!(rest[row_size - 12..row_size - 4], 0.07_f64.to_be_bytes());
        assert_eq!(rest[row_size..], [0xff, 0xff]);
    }

    #[test]
    fn a_line_for_peers_has_its_instant_in_nanoseconds() {
        let line = String::from_utf8(lines([&row()])).unwrap();
        assert!(line.starts_with("readings,equipment=7 coolant_flow=1.5,current=1.5,"), "{line}");
        assert!(line.ends_with(",vibration=0.07 1777879800250000000\n"), "{line}");
    }
}
