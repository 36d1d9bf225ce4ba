//! What all rows share on their way to domain types. The rows themselves stand beside their ports.

use diesel::data_types::PgTimestamp;
use domain::access::{Permission, Permissions};
use domain::id::Version;
use domain::ports::StoreError;
use domain::time::Timestamp;
use std::fmt::Display;

/// 2000-01-01T00:00:00Z, from where PostgreSQL counts.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// The instant as PostgreSQL keeps it: both count microseconds, so nothing is lost.
pub(crate) fn stamp(at: Timestamp) -> PgTimestamp {
    PgTimestamp(at.micros().saturating_sub(POSTGRES_EPOCH))
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
    fn what_makes_no_sense_is_named_by_table_column_and_row() {
        let infinity = ROW.instant("created_at", PgTimestamp(i64::MAX)).unwrap_err();
        assert_eq!(infinity.to_string(), "users.created_at of row 7 does not make sense");
        assert!(ROW.version(0).is_err());
        assert!(ROW.permissions("permissions", &["users:eat".into()]).is_err());
        assert!(ROW.bytes::<32>("digest", &[0; 31]).is_err());
    }
}
