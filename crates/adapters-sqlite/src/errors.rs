//! What SQLite's failures mean. The one map from its messages to [`StoreError`].
//!
//! Diesel hands over messages, not codes, for most of them; they are compiled into the bundled SQLite and do not depend
//! on a locale. SQLite does not say which foreign key failed: the statement that can meet one says it with [`dangles`].

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::{BigInt, Bool};
use domain::ports::{Reference, StoreError, Unique};

/// A failure on its way out of a job, so that `?` serves database errors and verdicts alike.
#[derive(Debug)]
pub(crate) struct Failure(StoreError);

/// What uniqueness stands behind which columns, as SQLite names them.
const UNIQUES: [(&str, Unique); 10] = [
    ("users.username_key", Unique::Username),
    ("users.email_key", Unique::Email),
    ("users.phone_key", Unique::Phone),
    ("roles.name_key", Unique::RoleName),
    ("api_keys.user_id, api_keys.name", Unique::ApiKeyName),
    ("idempotency_keys.scope", Unique::IdempotencyKey),
    ("signing_keys.id", Unique::SigningKey),
    ("equipment.serial_number_key", Unique::SerialNumber),
    ("readings.equipment_id, readings.at", Unique::Reading),
    ("alerts.rule_id, alerts.equipment_id", Unique::UnresolvedAlert),
];

const FOREIGN_KEY: &str = "FOREIGN KEY constraint failed";
const READ_ONLY: &str = "attempt to write a readonly database";
const DISK_ERROR: &str = "disk I/O error";
const DISK_FULL: &str = "database or disk is full";

/// Not now, and nothing was written: somebody holds the file, or the machine is out of something.
const PASSING: [&str; 8] = [
    "database is locked",
    "database table is locked",
    "locking protocol",
    DISK_FULL,
    "unable to open database file",
    "out of memory",
    "interrupted",
    DISK_ERROR,
];

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(meaning(error))
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

impl Failure {
    /// What the failure means when it was COMMIT that failed. After a disk error in it the commit may yet be found in
    /// the log when the file is next recovered.
    pub(crate) fn of_commit(self) -> StoreError {
        if let StoreError::Busy(source) = &self.0
            && source.to_string().contains(DISK_ERROR)
        {
            return StoreError::OutcomeUnknown;
        }
        self.0
    }
}

/// Whether this failed for want of room on the disk.
pub(crate) fn is_out_of_room(failure: &StoreError) -> bool {
    matches!(failure, StoreError::Busy(source) if source.to_string().contains(DISK_FULL))
}

/// Reads a failed foreign key of a statement as this reference.
pub(crate) fn dangles(reference: Reference) -> impl Fn(Error) -> Failure {
    move |error| {
        if is_foreign_key(&error) { Failure(StoreError::Dangling(reference)) } else { Failure::from(error) }
    }
}

/// Reads a failed foreign key as the first of these references whose row is gone. Nobody else writes meanwhile, so
/// looking is as good as being told.
pub(crate) fn gone(
    connection: &mut SqliteConnection,
    error: Error,
    referred: &[(Reference, Option<i64>)],
) -> Failure {
    if !is_foreign_key(&error) {
        return Failure::from(error);
    }
    for (reference, id) in referred.iter().filter_map(|(reference, id)| Some((*reference, (*id)?))) {
        let row = format!("EXISTS (SELECT 1 FROM {} WHERE id = ", table(reference));
        let is_there = sql::<Bool>(&row).bind::<BigInt, _>(id).sql(")");
        match diesel::select(is_there).get_result(connection) {
            Ok(false) => return Failure(StoreError::Dangling(reference)),
            Ok(true) => {}
            Err(error) => return Failure::from(error),
        }
    }
    Failure::from(error)
}

const fn table(reference: Reference) -> &'static str {
    match reference {
        Reference::User => "users",
        Reference::Role => "roles",
        Reference::Equipment => "equipment",
        Reference::Rule => "alert_rules",
        Reference::Alert => "alerts",
        Reference::Metric => "metrics",
        Reference::Webhook => "webhooks",
    }
}

/// Whether a reference to, or from, a row stood against the statement. By its message: SQLite reports a RESTRICT as the
/// failure of a trigger.
fn is_foreign_key(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(_, information) if information.message() == FOREIGN_KEY)
}

fn meaning(error: Error) -> StoreError {
    let Error::DatabaseError(kind, information) = &error else {
        return StoreError::Fault(Box::new(error));
    };
    let message = information.message();
    if let (DatabaseErrorKind::UniqueViolation, Some(unique)) = (kind, unique(message)) {
        StoreError::Conflict(unique)
    } else if message == READ_ONLY {
        StoreError::ReadOnly
    } else if PASSING.iter().any(|passing| message.starts_with(passing)) {
        StoreError::Busy(Box::new(error))
    } else {
        StoreError::Fault(Box::new(error))
    }
}

fn unique(message: &str) -> Option<Unique> {
    let columns = message.strip_prefix("UNIQUE constraint failed: ")?;
    UNIQUES.iter().find(|(known, _)| *known == columns).map(|(_, unique)| *unique)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sqlite(kind: DatabaseErrorKind, message: &str) -> Error {
        Error::DatabaseError(kind, Box::new(message.to_owned()))
    }

    fn unknown(message: &str) -> StoreError {
        Failure::from(sqlite(DatabaseErrorKind::Unknown, message)).into()
    }

    #[test]
    fn every_uniqueness_is_told_by_its_columns() {
        for (columns, expected) in UNIQUES {
            let message = format!("UNIQUE constraint failed: {columns}");
            let told = meaning(sqlite(DatabaseErrorKind::UniqueViolation, &message));
            assert!(matches!(told, StoreError::Conflict(unique) if unique == expected), "{message}");
        }
    }

    #[test]
    fn a_uniqueness_that_has_no_name_is_a_fault() {
        let message = "UNIQUE constraint failed: api_keys.digest";
        let told = meaning(sqlite(DatabaseErrorKind::UniqueViolation, message));
        assert!(matches!(told, StoreError::Fault(_)));
    }

    #[test]
    fn a_failed_foreign_key_is_the_reference_that_the_statement_names() {
        for kind in [DatabaseErrorKind::ForeignKeyViolation, DatabaseErrorKind::Unknown] {
            let told = StoreError::from(dangles(Reference::Role)(sqlite(kind, FOREIGN_KEY)));
            assert!(matches!(told, StoreError::Dangling(Reference::Role)), "{kind:?}");
        }
        let other = StoreError::from(dangles(Reference::Role)(Error::NotFound));
        assert!(matches!(other, StoreError::Fault(_)));
    }

    #[test]
    fn what_passes_is_busy_and_what_stays_is_a_fault() {
        for message in PASSING {
            assert!(matches!(unknown(message), StoreError::Busy(_)), "{message}");
        }
        for message in ["database disk image is malformed", "no such table: users"] {
            assert!(matches!(unknown(message), StoreError::Fault(_)), "{message}");
        }
        assert!(matches!(unknown(READ_ONLY), StoreError::ReadOnly));
    }

    #[test]
    fn a_disk_error_in_commit_leaves_the_outcome_unknown_and_a_full_disk_does_not() {
        let of_commit = |message| Failure::from(sqlite(DatabaseErrorKind::Unknown, message)).of_commit();
        assert!(matches!(of_commit(DISK_ERROR), StoreError::OutcomeUnknown));
        assert!(matches!(of_commit("database or disk is full"), StoreError::Busy(_)));
    }

    #[test]
    fn a_failed_foreign_key_is_the_first_reference_whose_row_is_gone() {
        let mut connection = crate::plans::empty_database();
        let piece = "INSERT INTO equipment (id, name, name_key, kind, kind_key, status, version, created_at, \
                     updated_at, attributes) VALUES (1, '', '', '', '', 1, 1, 0, 0, '{}')";
        diesel::sql_query(piece).execute(&mut connection).unwrap();
        let mut told = |referred: &[(Reference, Option<i64>)]| {
            let error = sqlite(DatabaseErrorKind::ForeignKeyViolation, FOREIGN_KEY);
            StoreError::from(gone(&mut connection, error, referred))
        };
        let (there, user) = ((Reference::Equipment, Some(1)), (Reference::User, Some(1)));
        assert!(matches!(told(&[there, user]), StoreError::Dangling(Reference::User)));
        let (nobody, rule) = ((Reference::User, None), (Reference::Rule, Some(1)));
        assert!(matches!(told(&[nobody, there, rule, user]), StoreError::Dangling(Reference::Rule)));
        assert!(matches!(told(&[there, nobody]), StoreError::Fault(_)), "all of them are there");
    }
}
