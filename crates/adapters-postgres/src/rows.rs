//! What all rows share on their way to domain types. The rows themselves stand beside their ports.

use chrono::{Datelike, NaiveDate};
use diesel::data_types::{PgDate, PgTimestamp};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::Json;
use domain::access::{Permission, Permissions};
use domain::id::{UserId, Version};
use domain::maintenance::Person;
use domain::ports::StoreError;
use domain::time::{Date, Timestamp};
use std::fmt::Display;
use std::io::Write;

/// 2000-01-01T00:00:00Z, from where PostgreSQL counts.
pub(crate) const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// The instant as PostgreSQL keeps it: both count microseconds, so nothing is lost.
pub(crate) fn stamp(at: Timestamp) -> PgTimestamp {
    PgTimestamp(at.micros().saturating_sub(POSTGRES_EPOCH))
}

/// 2000-01-01, from where PostgreSQL counts days, in days from the one before year 1.
const POSTGRES_DAY: i32 = 730_120;

/// The day as PostgreSQL keeps it.
pub(crate) fn day(date: Date) -> PgDate {
    PgDate(date.get().num_days_from_ce().saturating_sub(POSTGRES_DAY))
}

/// The text of a JSON column, kept as it is.
#[derive(Debug, AsExpression, FromSqlRow)]
#[diesel(sql_type = Json)]
pub(crate) struct JsonText(pub(crate) String);

impl ToSql<Json, Pg> for JsonText {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<Json, Pg> for JsonText {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(std::str::from_utf8(value.as_bytes())?.to_owned()))
    }
}

/// Whose columns are being read, should one of them make no sense.
#[derive(Clone, Copy)]
pub(crate) struct Row<'row> {
    pub(crate) table: &'static str,
    pub(crate) key: &'row dyn Display,
}

impl Row<'_> {
    /// The column's value, or the complaint that it makes no sense.
    pub(crate) fn read<T>(&self, column: &'static str, value: Option<T>) -> Result<T, StoreError> {
        value.ok_or_else(|| StoreError::Corrupt { table: self.table, column, row: self.key.to_string() })
    }

    pub(crate) fn version(&self, number: i64) -> Result<Version, StoreError> {
        self.read("version", Version::new(number))
    }

    pub(crate) fn instant(&self, column: &'static str, at: PgTimestamp) -> Result<Timestamp, StoreError> {
        let micros = at.0.checked_add(POSTGRES_EPOCH);
        self.read(column, micros.and_then(Timestamp::from_micros))
    }

    pub(crate) fn maybe_instant(
        &self,
        column: &'static str,
        at: Option<PgTimestamp>,
    ) -> Result<Option<Timestamp>, StoreError> {
        at.map(|at| self.instant(column, at)).transpose()
    }

    pub(crate) fn maybe_day(
        &self,
        column: &'static str,
        day: Option<PgDate>,
    ) -> Result<Option<Date>, StoreError> {
        let date = |day: PgDate| {
            let days = day.0.checked_add(POSTGRES_DAY)?;
            NaiveDate::from_num_days_from_ce_opt(days).and_then(Date::restore)
        };
        day.map(|day| self.read(column, date(day))).transpose()
    }

    pub(crate) fn person(
        &self,
        column: &'static str,
        id: Option<i64>,
        name: String,
    ) -> Result<Person, StoreError> {
        let id = id.map(|id| self.read(column, UserId::new(id))).transpose()?;
        Ok(Person { id, name })
    }

    /// Who did it, or nobody where there is no name.
    pub(crate) fn maybe_person(
        &self,
        column: &'static str,
        id: Option<i64>,
        name: Option<String>,
    ) -> Result<Option<Person>, StoreError> {
        name.map(|name| self.person(column, id, name)).transpose()
    }

    /// The one of `all` that is stored as its place among them, by which the database orders.
    pub(crate) fn placed<T: Copy>(
        &self,
        column: &'static str,
        all: &[T],
        place: i16,
    ) -> Result<T, StoreError> {
        self.read(column, usize::try_from(place).ok().and_then(|place| all.get(place).copied()))
    }

    pub(crate) fn permissions(
        &self,
        column: &'static str,
        names: &[String],
    ) -> Result<Permissions, StoreError> {
        self.read(column, names.iter().map(|name| Permission::parse(name)).collect())
    }

    pub(crate) fn bytes<const N: usize>(
        &self,
        column: &'static str,
        bytes: &[u8],
    ) -> Result<[u8; N], StoreError> {
        self.read(column, bytes.try_into().ok())
    }
}

/// How many rows, as ports count them.
pub(crate) fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Row<'static> = Row { table: "users", key: &7 };

    #[test]
    fn an_instant_survives_the_change_of_epoch() {
        for at in [Timestamp::MIN, Timestamp::from_micros(1).unwrap(), Timestamp::MAX] {
            assert_eq!(ROW.instant("created_at", stamp(at)).unwrap(), at);
        }
    }

    #[test]
    fn a_day_survives_the_change_of_epoch() {
        assert_eq!(day(Date::parse("2000-01-01").unwrap()).0, 0);
        for text in ["0001-01-01", "1999-12-31", "2026-11-21", "9999-12-31"] {
            let date = Date::parse(text).unwrap();
            assert_eq!(ROW.maybe_day("installed_on", Some(day(date))).unwrap(), Some(date));
        }
        assert!(ROW.maybe_day("installed_on", Some(PgDate(i32::MAX))).is_err());
    }

    #[test]
    fn what_makes_no_sense_is_named_by_table_column_and_row() {
        let infinity = ROW.instant("created_at", PgTimestamp(i64::MAX)).unwrap_err();
        assert_eq!(infinity.to_string(), "users.created_at of row 7 does not make sense");
        assert!(ROW.version(0).is_err());
        assert!(ROW.placed("status", &["open"], 1).is_err() && ROW.placed("status", &["open"], -1).is_err());
        assert!(ROW.permissions("permissions", &["users:eat".into()]).is_err());
        assert!(ROW.bytes::<32>("digest", &[0; 31]).is_err());
    }
}
