//! Instants: UTC, microseconds, years 1 to 9999. Nothing here reads a clock; see [`crate::ports::Clock`].

use crate::error::Reason;
use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, Utc};
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

/// A day of the calendar, of years 1 to 9999, wherever on Earth it is that day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(NaiveDate);

impl Date {
    /// Reads `YYYY-MM-DD`.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        let read = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(Self::restore);
        read.filter(|date| date.to_string() == text)
            .ok_or_else(|| Reason::new("date", "must be a date of the calendar, such as 2026-05-04"))
    }

    /// What storage kept; `None` outside years 1 to 9999.
    pub fn restore(date: NaiveDate) -> Option<Self> {
        (1..=9999).contains(&date.year()).then_some(Self(date))
    }

    /// The day as the calendar crate has it.
    pub const fn get(self) -> NaiveDate {
        self.0
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%d"))
    }
}

/// A half-open span of days, `from` included and `until` not; a missing end is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Days {
    /// The first day inside.
    pub from: Option<Date>,
    /// The first day after.
    pub until: Option<Date>,
}

impl Days {
    /// Whether the day lies inside.
    pub fn contains(&self, day: Date) -> bool {
        self.from.is_none_or(|from| day >= from) && self.until.is_none_or(|until| day < until)
    }
}

/// A half-open span of instants, `from` included and `until` not; a missing end is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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
    fn a_date_is_read_from_its_canonical_form_alone() {
        assert_eq!(Date::parse("2026-05-04").unwrap().to_string(), "2026-05-04");
        assert_eq!(Date::parse("0001-01-01").unwrap().to_string(), "0001-01-01");
        for text in
            ["2026-02-30", "2026-5-4", "10000-01-01", "0000-01-01", "+2026-05-04", "", "2026-05-04T00:00:00Z"]
        {
            assert!(Date::parse(text).is_err(), "{text:?}");
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
