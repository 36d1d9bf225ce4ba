//! A stretch of readings of one piece of equipment.

use crate::bytes::{Reader, Writer};
use crate::{Damaged, Outline};
use domain::id::EquipmentId;
use domain::telemetry::{MetricName, Reading, ReadingId, Tag, Tags, Values};
use domain::time::Timestamp;
use std::collections::{BTreeSet, HashMap};

const VERSION: u8 = 1;

const NO: u8 = 0;
const YES: u8 = 1;
const TEXT: u8 = 2;

/// Readings of one piece of equipment as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pack {
    /// The oldest instant.
    pub first_at: Timestamp,
    /// The newest instant.
    pub last_at: Timestamp,
    /// How many readings there are.
    pub count: u32,
    /// Which readings there are; see [`Outline`].
    pub outline: Vec<u8>,
    /// What they say.
    pub body: Vec<u8>,
}

impl Pack {
    /// The most readings that one pack holds. Further ones would hardly make it smaller, and all of them are unpacked when
    /// one of them is wanted.
    pub const MOST: usize = 1024;

    /// Packs readings of one piece of equipment, ordered by instant; `None` when there are none.
    pub fn of(readings: &[Reading]) -> Option<Self> {
        let (first, last) = (readings.first()?, readings.last()?);
        let outline = Outline::of(readings);
        let mut body = Writer::of(VERSION);
        write_numbers(&mut body, readings, &outline);
        write_tags(&mut body, readings);
        Some(Self {
            first_at: first.id.at,
            last_at: last.id.at,
            count: u32::try_from(readings.len()).unwrap_or(u32::MAX),
            outline: outline.write(),
            body: body.bytes(),
        })
    }

    /// The readings of this piece of equipment that the outline and the body tell of.
    pub fn unpack(equipment: EquipmentId, outline: &Outline, body: &[u8]) -> Result<Vec<Reading>, Damaged> {
        let all: Vec<usize> = (0..outline.len()).collect();
        Self::unpack_some(equipment, outline, body, &all)
    }

    /// The readings at these places, in their order.
    pub(crate) fn unpack_some(
        equipment: EquipmentId,
        outline: &Outline,
        body: &[u8],
        places: &[usize],
    ) -> Result<Vec<Reading>, Damaged> {
        let mut reader = Reader::of(body, VERSION)?;
        let numbers = Numbers::read(&mut reader, outline)?;
        let tags = PackedTags::read(&mut reader, outline.len())?;
        let instant = |micros: Option<&i64>| {
            micros
                .and_then(|micros| Timestamp::from_micros(*micros))
                .ok_or(Damaged("an instant that is none"))
        };
        let reading = |place: &usize| {
            let shape = outline.shape(*place)?;
            let values = Values::new(shape.clone(), numbers.of(*place, outline)?);
            Ok(Reading {
                id: ReadingId { equipment, at: instant(outline.at.get(*place))? },
                values: values.ok_or(Damaged("a number that is not finite"))?,
                tags: tags.of(*place)?,
                received_at: instant(outline.received_at.get(*place))?,
            })
        };
        places.iter().map(reading).collect()
    }
}

/// A column for each metric, of those readings that carry it.
fn write_numbers(body: &mut Writer, readings: &[Reading], outline: &Outline) {
    for metric in metrics(outline) {
        let numbers: Vec<f64> = readings.iter().filter_map(|reading| reading.values.get(metric)).collect();
        body.column(&numbers);
    }
}

/// All metrics of the outline, by name.
fn metrics(outline: &Outline) -> BTreeSet<&MetricName> {
    outline.shapes.iter().flat_map(|shape| shape.metrics()).collect()
}

/// Numbers column by column.
struct Numbers {
    columns: Vec<Vec<f64>>,
    /// For each shape, the columns of its metrics.
    columns_of: Vec<Vec<usize>>,
    /// For each reading, where its numbers stand in the columns of its shape: as many as carried the metric before.
    /// Absent when all readings are of one shape.
    rows: Option<Vec<Vec<usize>>>,
}

impl Numbers {
    fn read(reader: &mut Reader<'_>, outline: &Outline) -> Result<Self, Damaged> {
        let metrics = metrics(outline);
        let place: HashMap<&MetricName, usize> =
            metrics.iter().enumerate().map(|(place, metric)| (*metric, place)).collect();
        let columns_of: Vec<Vec<usize>> = outline
            .shapes
            .iter()
            .map(|shape| shape.metrics().iter().filter_map(|metric| place.get(metric).copied()).collect())
            .collect();
        let mut lengths = vec![0_usize; metrics.len()];
        let mut rows = (outline.shapes.len() > 1).then(Vec::new);
        for reading in 0..outline.len() {
            let shape = outline.shape_of.get(reading).and_then(|shape| usize::try_from(*shape).ok());
            let columns = shape.and_then(|shape| columns_of.get(shape));
            let columns = columns.ok_or(Damaged("a shape that is not there"))?;
            let mut row = Vec::with_capacity(if rows.is_some() { columns.len() } else { 0 });
            for column in columns {
                if let Some(length) = lengths.get_mut(*column) {
                    if rows.is_some() {
                        row.push(*length);
                    }
                    *length += 1;
                }
            }
            if let Some(rows) = &mut rows {
                rows.push(row);
            }
        }
        let columns = lengths.into_iter().map(|length| reader.column(length)).collect::<Result<_, _>>()?;
        Ok(Self { columns, columns_of, rows })
    }

    fn of(&self, reading: usize, outline: &Outline) -> Result<Vec<f64>, Damaged> {
        let missing = Damaged("a number that is not there");
        let shape = outline.shape_of.get(reading).and_then(|shape| usize::try_from(*shape).ok());
        let columns = shape.and_then(|shape| self.columns_of.get(shape)).ok_or(missing)?;
        let row = match &self.rows {
            Some(rows) => Some(rows.get(reading).ok_or(missing)?),
            None => None,
        };
        let number = |(nth, column): (usize, &usize)| {
            let place = row.map_or(Some(reading), |row| row.get(nth).copied());
            let column = self.columns.get(*column);
            place.and_then(|place| column?.get(place).copied()).ok_or(missing)
        };
        columns.iter().enumerate().map(number).collect()
    }
}

/// Other facts are few and repeat: each combination once, and which one each reading has.
fn write_tags(body: &mut Writer, readings: &[Reading]) {
    let mut distinct: Vec<&Tags> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut place_of: Vec<u64> = Vec::with_capacity(readings.len());
    for reading in readings {
        let key = format!("{:?}", reading.tags);
        let place = *places.entry(key).or_insert_with(|| {
            distinct.push(&reading.tags);
            distinct.len() - 1
        });
        place_of.push(place as u64);
    }
    body.count(distinct.len());
    for tags in &distinct {
        body.count(tags.len());
        for (name, tag) in *tags {
            body.text(name);
            match tag {
                Tag::Flag(flag) => body.byte(if *flag { YES } else { NO }),
                Tag::Text(text) => {
                    body.byte(TEXT);
                    body.text(text);
                }
            }
        }
    }
    if distinct.len() > 1 {
        body.column(&place_of);
    }
}

struct PackedTags {
    distinct: Vec<Tags>,
    /// Absent when all readings have the same.
    place_of: Option<Vec<u64>>,
}

impl PackedTags {
    fn read(reader: &mut Reader<'_>, readings: usize) -> Result<Self, Damaged> {
        let count = reader.count_of_some()?;
        let distinct: Vec<Tags> = (0..count).map(|_| read_tags(reader)).collect::<Result<_, _>>()?;
        let place_of = if distinct.len() > 1 { Some(reader.column(readings)?) } else { None };
        Ok(Self { distinct, place_of })
    }

    fn of(&self, reading: usize) -> Result<Tags, Damaged> {
        let place = self
            .place_of
            .as_ref()
            .map_or(Some(0), |places| places.get(reading).and_then(|place| usize::try_from(*place).ok()));
        let tags = place.and_then(|place| self.distinct.get(place));
        tags.cloned().ok_or(Damaged("a fact that is not there"))
    }
}

fn read_tags(reader: &mut Reader<'_>) -> Result<Tags, Damaged> {
    let count = reader.count_of_some()?;
    let tag = |_| {
        let name = reader.text()?.to_owned();
        let tag = match reader.byte()? {
            NO => Tag::Flag(false),
            YES => Tag::Flag(true),
            TEXT => Tag::Text(reader.text()?.to_owned()),
            _ => return Err(Damaged("a fact of no known kind")),
        };
        Ok((name, tag))
    };
    (0..count).map(tag).collect()
}
