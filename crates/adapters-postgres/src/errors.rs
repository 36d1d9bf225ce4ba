//! The one table from the database's refusals to [`StoreError`].
//!
//! diesel-async hands on the SQLSTATE of constraint violations, serialisation failures and read-only refusals. All other
//! states reach us as "unknown" with the server's message and nothing else, so those that mean "not now" are known here by
//! their messages, which sessions ask for in English (see `connect`). The tests provoke every one of them.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use domain::ports::{Reference, StoreError, Unique};

/// What a violated constraint means.
#[derive(Clone, Copy, Debug)]
enum Breach {
    Taken(Unique),
    Dangling(Reference),
}

/// The constraints that a request can run into. A violation of any other is a bug.
const BREACHES: [(&str, Breach); 13] = [
    ("users_username_key_key", Breach::Taken(Unique::Username)),
    ("users_email_key_key", Breach::Taken(Unique::Email)),
    ("users_phone_key_key", Breach::Taken(Unique::Phone)),
    ("roles_name_key_key", Breach::Taken(Unique::RoleName)),
    ("api_keys_user_id_name_key", Breach::Taken(Unique::ApiKeyName)),
    ("idempotency_keys_pkey", Breach::Taken(Unique::IdempotencyKey)),
    ("signing_keys_pkey", Breach::Taken(Unique::SigningKey)),
    // Violated from both ends: by referring to nobody, and by deleting who is referred to.
    ("users_mentor_id_fkey", Breach::Dangling(Reference::User)),
    ("user_roles_user_id_fkey", Breach::Dangling(Reference::User)),
    ("user_roles_role_id_fkey", Breach::Dangling(Reference::Role)),
    ("role_permissions_role_id_fkey", Breach::Dangling(Reference::Role)),
    ("sessions_user_id_fkey", Breach::Dangling(Reference::User)),
    ("api_keys_user_id_fkey", Breach::Dangling(Reference::User)),
];

/// How messages begin that mean "not now" and end the statement.
const PASSING: [&str; 2] = [
    "deadlock detected",          // 40P01
    "canceling statement due to", // 55P03: lock timeout; 57014: statement timeout, user request
];

/// How messages begin that mean "not now" and end the session, or refuse one.
const PARTING: [&str; 5] = [
    "terminating connection",                  // 57P01, 57P02, 25P03, 57P05
    "the database system is",                  // 57P03: starting up, shutting down, in recovery mode
    "sorry, too many clients already",         // 53300
    "remaining connection slots are reserved", // 53300
    "too many connections for",                // 53300: a role, a database
];

/// Why the database did not do a statement.
pub(crate) fn refusal(error: DieselError) -> StoreError {
    let DieselError::DatabaseError(kind, information) = &error else {
        return match error {
            DieselError::BrokenTransactionManager => StoreError::Busy(Box::new(error)),
            other => StoreError::Fault(Box::new(other)),
        };
    };
    use DatabaseErrorKind as Kind;
    if matches!(kind, Kind::UniqueViolation | Kind::ForeignKeyViolation | Kind::RestrictViolation)
        && let Some(breach) = information.constraint_name().and_then(breach)
    {
        return match breach {
            Breach::Taken(unique) => StoreError::Conflict(unique),
            Breach::Dangling(reference) => StoreError::Dangling(reference),
        };
    }
    if matches!(kind, Kind::ReadOnlyTransaction) {
        return StoreError::ReadOnly;
    }
    if is_passing(&error) || ends_the_session(&error) {
        return StoreError::Busy(Box::new(error));
    }
    StoreError::Fault(Box::new(error))
}

/// Why a commit did not succeed. Only a refusal that the server gives *before* it commits proves that nothing is stored;
/// after a lost link, a shutdown or a cancelled wait for a standby nobody can know.
pub(crate) fn refusal_of_commit(error: DieselError) -> StoreError {
    use DatabaseErrorKind as Kind;
    match &error {
        DieselError::DatabaseError(
            Kind::SerializationFailure
            | Kind::UniqueViolation
            | Kind::ForeignKeyViolation
            | Kind::CheckViolation,
            _,
        ) => refusal(error),
        _ => StoreError::OutcomeUnknown,
    }
}

/// Whether the session is gone with this error, or about to go.
pub(crate) fn ends_the_session(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(
            DatabaseErrorKind::UnableToSendCommand | DatabaseErrorKind::ClosedConnection,
            _,
        )
        | DieselError::BrokenTransactionManager => true,
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, information) => {
            begins_with_any(information.message(), &PARTING)
        }
        _ => false,
    }
}

fn is_passing(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => true,
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, information) => {
            begins_with_any(information.message(), &PASSING)
        }
        _ => false,
    }
}

fn begins_with_any(message: &str, beginnings: &[&str]) -> bool {
    beginnings.iter().any(|beginning| message.starts_with(beginning))
}

fn breach(constraint: &str) -> Option<Breach> {
    BREACHES.iter().find(|(name, _)| *name == constraint).map(|(_, breach)| *breach)
}
