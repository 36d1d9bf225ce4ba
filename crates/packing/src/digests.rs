//! Rollups as bytes.
//!
//! A metric's buckets are columns: where they begin, how many values each has, and five numbers of each. Where every bucket
//! has one value all five are that value, so it is written once.

use crate::Damaged;
use crate::bytes::{Reader, Writer};
use domain::telemetry::MetricName;
use domain::telemetry::rollup::{Column, Digest};
use domain::telemetry::series::Bucket;
use domain::time::Timestamp;

const VERSION: u8 = 1;

const SINGLE_VALUES: u8 = 0;
const MANY_VALUES: u8 = 1;

/// The columns of this digest.
pub fn write(digest: &Digest) -> Vec<u8> {
    let mut writer = Writer::of(VERSION);
    writer.count(digest.columns.len());
    for Column { metric, buckets } in &digest.columns {
        writer.text(metric.as_str());
        let mut column = Writer::default();
        write_buckets(&mut column, digest, buckets);
        writer.part(&column.bytes());
    }
    writer.bytes()
}

/// Reads the columns of these metrics into the digest; of all metrics if none is named.
pub fn read(digest: &mut Digest, bytes: &[u8], metrics: &[MetricName]) -> Result<(), Damaged> {
    let mut reader = Reader::of(bytes, VERSION)?;
    for _ in 0..reader.count_of_some()? {
        let name = reader.text()?;
        let mut column = reader.part()?;
        if metrics.is_empty() || metrics.iter().any(|metric| metric.as_str() == name) {
            let buckets = read_buckets(&mut column, digest)?;
            digest.columns.push(Column { metric: MetricName::restore(name), buckets });
        }
    }
    Ok(())
}

fn write_buckets(column: &mut Writer, digest: &Digest, buckets: &[Bucket]) {
    let all = |number: fn(&Bucket) -> f64| buckets.iter().map(number).collect::<Vec<f64>>();
    let length = digest.grain.micros();
    column.count(buckets.len());
    let place = |bucket: &Bucket| bucket.at.micros().saturating_sub(digest.at.micros()) / length;
    column.column(&buckets.iter().map(place).collect::<Vec<i64>>());
    if buckets.iter().all(is_of_one_value) {
        column.byte(SINGLE_VALUES);
        column.column(&all(|bucket| bucket.sum));
        return;
    }
    column.byte(MANY_VALUES);
    column.column(&buckets.iter().map(|bucket| bucket.count).collect::<Vec<u64>>());
    column.column(&all(|bucket| bucket.sum));
    column.column(&all(|bucket| bucket.least));
    column.column(&all(|bucket| bucket.most));
    column.column(&all(|bucket| bucket.first));
    column.column(&all(|bucket| bucket.last));
}

/// Bit by bit: minus zero is not zero.
fn is_of_one_value(bucket: &Bucket) -> bool {
    let bits = bucket.sum.to_bits();
    bucket.count == 1
        && [bucket.least, bucket.most, bucket.first, bucket.last]
            .iter()
            .all(|number| number.to_bits() == bits)
}

fn read_buckets(column: &mut Reader<'_>, digest: &Digest) -> Result<Vec<Bucket>, Damaged> {
    let count = column.count()?;
    let places: Vec<i64> = column.column(count)?;
    let length = digest.grain.micros();
    let at = |place: i64| {
        let micros = place.checked_mul(length).and_then(|since| digest.at.micros().checked_add(since));
        micros.and_then(Timestamp::from_micros).ok_or(Damaged("an instant that is none"))
    };
    match column.byte()? {
        SINGLE_VALUES => {
            let values: Vec<f64> = column.column(count)?;
            places.into_iter().zip(values).map(|(place, value)| Ok(Bucket::new(at(place)?, value))).collect()
        }
        MANY_VALUES => {
            let counts: Vec<u64> = column.column(count)?;
            let mut numbers = || column.column::<f64>(count).map(Vec::into_iter);
            let (mut sums, mut least) = (numbers()?, numbers()?);
            let (mut most, mut first, mut last) = (numbers()?, numbers()?, numbers()?);
            let bucket = |(place, count)| {
                let next = |numbers: &mut std::vec::IntoIter<f64>| {
                    numbers.next().ok_or(Damaged("a number that is not there"))
                };
                Ok(Bucket {
                    at: at(place)?,
                    count,
                    sum: next(&mut sums)?,
                    least: next(&mut least)?,
                    most: next(&mut most)?,
                    first: next(&mut first)?,
                    last: next(&mut last)?,
                })
            };
            places.into_iter().zip(counts).map(bucket).collect()
        }
        _ => Err(Damaged("buckets of no known kind")),
    }
}
