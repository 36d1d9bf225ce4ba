//! The unit in which points' instants are written.

use crate::documented::text_schema;
use crate::values::Param;
use domain::error::Reason;
use domain::time::Timestamp;
use utoipa::openapi::{RefOr, Schema};

/// A unit of time. Instants finer than a microsecond are cut to the microsecond that they lie in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Precision {
    #[default]
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    Minutes,
    Hours,
}

impl Precision {
    /// The instant so many units after 1970; nothing outside years 1 to 9999.
    pub(super) fn instant(self, units: i64) -> Option<Timestamp> {
        let micros = match self {
            Precision::Nanoseconds => Some(units.div_euclid(1000)),
            Precision::Microseconds => Some(units),
            Precision::Milliseconds => units.checked_mul(1000),
            Precision::Seconds => units.checked_mul(1_000_000),
            Precision::Minutes => units.checked_mul(60_000_000),
            Precision::Hours => units.checked_mul(3_600_000_000),
        };
        Timestamp::from_micros(micros?)
    }

    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "n" | "ns" => Self::Nanoseconds,
            "u" | "us" | "µ" => Self::Microseconds,
            "ms" => Self::Milliseconds,
            "s" => Self::Seconds,
            "m" => Self::Minutes,
            "h" => Self::Hours,
            _ => return None,
        })
    }
}

fn schema(units: &[&str]) -> RefOr<Schema> {
    let mut unit = text_schema(None);
    unit.enum_values = Some(units.iter().map(|unit| (*unit).into()).collect());
    unit.default = Some("ns".into());
    unit.into()
}

fn parse(text: &str, units: &[&str]) -> Result<Precision, Reason> {
    let known = units.contains(&text).then(|| Precision::parse(text)).flatten();
    known.ok_or_else(|| Reason::new("precision", format!("must be one of {}", units.join(", "))))
}

macro_rules! versions {
    ($($(#[$doc:meta])* $name:ident = $units:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name(pub(super) Precision);

        impl Param for $name {
            fn schema() -> RefOr<Schema> {
                schema(&$units)
            }

            fn parse(text: &str) -> Result<Self, Reason> {
                parse(text, &$units).map(Self)
            }
        }
    )*};
}

versions! {
    /// As version 1 of the interface names it.
    PrecisionV1 = ["n", "ns", "u", "us", "ms", "s", "m", "h"];
    /// As version 2 names it.
    PrecisionV2 = ["ns", "us", "ms", "s"];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_the_same_in_every_unit() {
        let hour = Timestamp::parse("2026-05-04T07:00:00Z").unwrap();
        let micros = hour.micros();
        for (unit, units) in [
            ("n", micros * 1000),
            ("us", micros),
            ("ms", micros / 1000),
            ("s", micros / 1_000_000),
            ("m", micros / 60_000_000),
            ("h", micros / 3_600_000_000),
        ] {
            assert_eq!(Precision::parse(unit).unwrap().instant(units), Some(hour), "{unit}");
        }
    }

    #[test]
    fn what_is_finer_than_a_microsecond_is_cut_towards_the_past() {
        let micros = |nanos| Precision::Nanoseconds.instant(nanos).unwrap().micros();
        assert_eq!([micros(1999), micros(1000), micros(999), micros(-1), micros(-1000)], [1, 1, 0, -1, -1]);
    }

    #[test]
    fn instants_that_no_calendar_has_are_none() {
        for unit in ["us", "ms", "s", "m", "h"] {
            assert_eq!(Precision::parse(unit).unwrap().instant(i64::MAX), None, "{unit}");
            assert_eq!(Precision::parse(unit).unwrap().instant(i64::MIN), None, "{unit}");
        }
    }
}
