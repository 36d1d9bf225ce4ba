//! Instants: UTC, microseconds, years 1 to 9999. Nothing here reads a clock; see [`crate::ports::Clock`].

use crate::error::Reason;
use chrono::{DateTime, SecondsFormat, Utc};
use std::fmt;
use std::time::Duration;

/// An instant in UTC with microseconds, the finest that both databases keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 0001-01-01T00:00:00Z.
    pub const MIN: Timestamp = Timestamp(-62_135_596_800_000_000);
    /// 9999-12-31T23:59:59.999999Z.
    pub const MAX: Timestamp = Timestamp(253_402_300_799_999_999);

    /// The instant this many microseconds after 1970-01-01T00:00:00Z; `None` outside years 1 to 9999.
    pub const fn from_micros(micros: i64) -> Option<Self> {
        if micros >= Self::MIN.0 && micros <= Self::MAX.0 { Some(Self(micros)) } else { None }
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, as tokens carry them.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Reads RFC 3339. An offset must be there: an instant without one could mean any of 26 hours.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        let read = DateTime::parse_from_rfc3339(text).map_err(|_| {
            Reason::new("instant", "must be an RFC 3339 instant with an offset, such as 2026-05-04T07:30:00Z")
        })?;
        Self::from_micros(read.timestamp_micros())
            .ok_or_else(|| Reason::new("instant", "must lie between the years 1 and 9999"))
    }

    /// The instant `span` later, or the last one there is.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_add(span).min(Self::MAX.0))
    }

    /// The instant `span` earlier, or the first one there is.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        let span = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
        Self(self.0.saturating_sub(span).max(Self::MIN.0))
    }

    /// How long ago `earlier` was; nothing when it was not earlier.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = DateTime::<Utc>::from_timestamp_micros(self.0).unwrap_or_default();
        f.write_str(&instant.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

/// A half-open span of instants, `from` included and `until` not; a missing end is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first instant inside.
    pub from: Option<Timestamp>,
    /// The first instant after.
    pub until: Option<Timestamp>,
}

impl Span {
    /// Whether the instant lies inside.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| at >= from) && self.until.is_none_or(|until| at < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_answered_in_utc_with_microseconds() {
        let read = Timestamp::parse("2026-05-04T09:30:00.5+02:00").unwrap();
        assert_eq!(read.to_string(), "2026-05-04T07:30:00.500000Z");
        assert_eq!(Timestamp::parse(&read.to_string()).unwrap(), read);
    }

    #[test]
    fn an_instant_without_offset_or_outside_the_calendar_is_refused() {
        let bad = [
            "2026-05-04T07:30:00",
            "2026-02-30T00:00:00Z",
            "+10000-01-01T00:00:00Z",
            "2026-05-04",
            "",
            "now",
        ];
        for text in bad {
            assert!(Timestamp::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_ends_of_time_hold() {
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999999Z");
        assert_eq!(Timestamp::MIN.to_string(), "0001-01-01T00:00:00.000000Z");
        assert_eq!(Timestamp::MAX.after(Duration::from_secs(1)), Timestamp::MAX);
        assert_eq!(Timestamp::from_micros(i64::MAX), None);
    }
}
