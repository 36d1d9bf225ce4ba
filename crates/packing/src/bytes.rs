//! Numbers, texts and columns of numbers, one after the other.

use crate::Damaged;
use domain::telemetry::{MetricName, Shape};
use pco::ChunkConfig;
use pco::data_types::Number;
use pco::standalone::{FileDecompressor, simple_compress};

/// How a column is written: its numbers as they are, or by the codec.
const PLAIN: u8 = 0;
const PACKED: u8 = 1;

/// What is written, byte by byte.
#[derive(Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn of(version: u8) -> Self {
        Self(vec![version])
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn count(&mut self, count: usize) {
        let mut rest = count;
        while rest >= 0x80 {
            self.0.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push((rest & 0x7f) as u8);
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A part that a reader may pass over.
    pub(crate) fn part(&mut self, part: &[u8]) {
        self.count(part.len());
        self.0.extend_from_slice(part);
    }

    pub(crate) fn shape(&mut self, shape: &Shape) {
        self.count(shape.metrics().len());
        shape.metrics().iter().for_each(|metric| self.text(metric.as_str()));
    }

    /// In whichever way is shorter: a few numbers are as they are.
    pub(crate) fn column<T: Plain>(&mut self, numbers: &[T]) {
        let plain = size_of_val(numbers);
        match simple_compress(numbers, &ChunkConfig::default()) {
            Ok(packed) if packed.len() < plain => {
                self.byte(PACKED);
                self.part(&packed);
            }
            Ok(_) | Err(_) => {
                self.byte(PLAIN);
                self.count(plain);
                numbers.iter().for_each(|number| self.0.extend_from_slice(&number.to_plain()));
            }
        }
    }
}

/// A number as eight bytes.
pub(crate) trait Plain: Number {
    fn to_plain(self) -> [u8; 8];
    fn from_plain(bytes: [u8; 8]) -> Self;
}

macro_rules! plain {
    ($($number:ty)*) => {$(
        impl Plain for $number {
            fn to_plain(self) -> [u8; 8] {
                self.to_le_bytes()
            }
            fn from_plain(bytes: [u8; 8]) -> Self {
                Self::from_le_bytes(bytes)
            }
        }
    )*};
}

plain!(i64 u64 f64);

/// What is left to read.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads what was written in this version.
    pub(crate) fn of(bytes: &'a [u8], version: u8) -> Result<Self, Damaged> {
        let mut reader = Self(bytes);
        if reader.byte()? == version { Ok(reader) } else { Err(Damaged("a version that is not known")) }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Damaged> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Damaged("it ends too soon"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Damaged> {
        self.take(1)?.first().copied().ok_or(Damaged("it ends too soon"))
    }

    pub(crate) fn count(&mut self) -> Result<usize, Damaged> {
        let mut count = 0_usize;
        for place in 0..5 {
            let byte = self.byte()?;
            count |= usize::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(count);
            }
        }
        Err(Damaged("a count that is too large"))
    }

    /// A count of things that each take a byte at least.
    pub(crate) fn count_of_some(&mut self) -> Result<usize, Damaged> {
        let count = self.count()?;
        if count <= self.0.len() { Ok(count) } else { Err(Damaged("a count that is too large")) }
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Damaged> {
        let length = self.count()?;
        str::from_utf8(self.take(length)?).map_err(|_| Damaged("a text that is none"))
    }

    pub(crate) fn part(&mut self) -> Result<Reader<'a>, Damaged> {
        let length = self.count()?;
        Ok(Self(self.take(length)?))
    }

    pub(crate) fn shape(&mut self) -> Result<Shape, Damaged> {
        let count = self.count_of_some()?;
        let metrics = (0..count).map(|_| self.text().map(MetricName::restore));
        Ok(Shape::new(metrics.collect::<Result<_, _>>()?))
    }

    /// A column of so many numbers.
    pub(crate) fn column<T: Plain>(&mut self, count: usize) -> Result<Vec<T>, Damaged> {
        let way = self.byte()?;
        let mut part = self.part()?;
        let numbers: Vec<T> = match way {
            PLAIN if part.0.len() == count.saturating_mul(size_of::<T>()) => {
                (0..count).map(|_| part.plain()).collect::<Result<_, _>>()?
            }
            PACKED => {
                let unpacked = FileDecompressor::new(part.0).and_then(|(codec, numbers)| {
                    let codec = codec.with_max_prealloc(count.saturating_mul(size_of::<T>()));
                    codec.simple_decompress(numbers)
                });
                unpacked.map_err(|_| Damaged("a column that cannot be unpacked"))?
            }
            _ => return Err(Damaged("a column written in no known way")),
        };
        if numbers.len() == count { Ok(numbers) } else { Err(Damaged("a column of another length")) }
    }

    fn plain<T: Plain>(&mut self) -> Result<T, Damaged> {
        let bytes = self.take(8)?.try_into().map_err(|_| Damaged("it ends too soon"))?;
        Ok(T::from_plain(bytes))
    }
}
