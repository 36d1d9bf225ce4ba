//! Which readings a pack holds: their instants, when they were received, and what they carry. Small, so that a question
//! looks at many of them before it asks for any body.

use crate::Damaged;
use crate::bytes::{Reader, Writer};
use domain::telemetry::{Reading, ReadingFilter, Shape};
use domain::time::Timestamp;

const VERSION: u8 = 1;

/// Which readings of one piece of equipment a pack holds, in order of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Outline {
    pub(crate) at: Vec<i64>,
    pub(crate) received_at: Vec<i64>,
    pub(crate) shapes: Vec<Shape>,
    /// The shape of each reading, by its place.
    pub(crate) shape_of: Vec<u64>,
}

impl Outline {
    pub(crate) fn of(readings: &[Reading]) -> Self {
        let mut outline =
            Self { at: Vec::new(), received_at: Vec::new(), shapes: Vec::new(), shape_of: Vec::new() };
        for reading in readings {
            outline.at.push(reading.id.at.micros());
            outline.received_at.push(reading.received_at.micros());
            let shape = reading.values.shape();
            let place = outline.shapes.iter().rposition(|known| known == shape).unwrap_or_else(|| {
                outline.shapes.push(shape.clone());
                outline.shapes.len() - 1
            });
            outline.shape_of.push(place as u64);
        }
        outline
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut writer = Writer::of(VERSION);
        writer.count(self.at.len());
        writer.column(&self.at);
        writer.column(&self.received_at);
        writer.count(self.shapes.len());
        self.shapes.iter().for_each(|shape| writer.shape(shape));
        if self.shapes.len() > 1 {
            writer.column(&self.shape_of);
        }
        writer.bytes()
    }

    /// Reads what [`Pack`](crate::Pack) has as `outline`.
    pub fn read(bytes: &[u8]) -> Result<Self, Damaged> {
        let mut reader = Reader::of(bytes, VERSION)?;
        let count = reader.count()?;
        let at = reader.column(count)?;
        let received_at = reader.column(count)?;
        let shapes = reader.count_of_some()?;
        let shapes: Vec<Shape> = (0..shapes).map(|_| reader.shape()).collect::<Result<_, _>>()?;
        let shape_of = if shapes.len() > 1 { reader.column(count)? } else { vec![0; count] };
        Ok(Self { at, received_at, shapes, shape_of })
    }

    /// How many readings there are.
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// Whether there are none, which is never so for what was packed.
    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    /// The instants of those that match, apart from whose they are, with their places.
    pub(crate) fn matching(&self, filter: &ReadingFilter) -> impl Iterator<Item = (usize, Timestamp)> {
        let carries = |shape: &Shape| {
            filter.metrics.is_empty() || filter.metrics.iter().any(|metric| shape.position(metric).is_some())
        };
        let carrying: Vec<bool> = self.shapes.iter().map(carries).collect();
        let received_from = filter.received_from.map_or(i64::MIN, Timestamp::micros);
        let span = filter.at;
        let each = self.at.iter().zip(&self.received_at).zip(&self.shape_of).enumerate();
        each.filter_map(move |(place, ((at, received_at), shape))| {
            let carries = usize::try_from(*shape).is_ok_and(|shape| carrying.get(shape) == Some(&true));
            let at = Timestamp::from_micros(*at)?;
            (carries && *received_at >= received_from && span.contains(at)).then_some((place, at))
        })
    }

    pub(crate) fn shape(&self, place: usize) -> Result<&Shape, Damaged> {
        let shape = self.shape_of.get(place).and_then(|shape| usize::try_from(*shape).ok());
        shape.and_then(|shape| self.shapes.get(shape)).ok_or(Damaged("a shape that is not there"))
    }
}
