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
const BREACHES: [(&str, Breach); 29] = [
    ("users_username_key_key", Breach::Taken(Unique::Username)),
    ("users_email_key_key", Breach::Taken(Unique::Email)),
    ("users_phone_key_key", Breach::Taken(Unique::Phone)),
    ("roles_name_key_key", Breach::Taken(Unique::RoleName)),
    ("api_keys_user_id_name_key", Breach::Taken(Unique::ApiKeyName)),
    ("idempotency_keys_pkey", Breach::Taken(Unique::IdempotencyKey)),
    ("signing_keys_pkey", Breach::Taken(Unique::SigningKey)),
    ("equipment_serial_number_key_key", Breach::Taken(Unique::SerialNumber)),
    ("readings_pkey", Breach::Taken(Unique::Reading)),
    ("alerts_unresolved_key", Breach::Taken(Unique::UnresolvedAlert)),
    // Violated from both ends: by referring to nobody, and by deleting who is referred to.
    ("users_mentor_id_fkey", Breach::Dangling(Reference::User)),
    ("user_roles_user_id_fkey", Breach::Dangling(Reference::User)),
    ("user_roles_role_id_fkey", Breach::Dangling(Reference::Role)),
    ("sessions_user_id_fkey", Breach::Dangling(Reference::User)),
    ("api_keys_user_id_fkey", Breach::Dangling(Reference::User)),
    ("equipment_parent_id_fkey", Breach::Dangling(Reference::Equipment)),
    ("maintenance_equipment_id_fkey", Breach::Dangling(Reference::Equipment)),
    ("alert_rules_equipment_id_fkey", Breach::Dangling(Reference::Equipment)),
    ("packs_equipment_id_fkey", Breach::Dangling(Reference::Equipment)),
    ("rollups_equipment_id_fkey", Breach::Dangling(Reference::Equipment)),
    ("rollups_due_equipment_id_fkey", Breach::Dangling(Reference::Equipment)),
    ("thinnings_equipment_id_fkey", Breach::Dangling(Reference::Equipment)),
    ("alerts_equipment_id_fkey", Breach::Dangling(Reference::Equipment)),
    ("alerts_rule_id_fkey", Breach::Dangling(Reference::Rule)),
    ("alert_entries_alert_id_fkey", Breach::Dangling(Reference::Alert)),
    // Who acted is looked up when it is written, and may be gone a moment later.
    ("maintenance_by_id_fkey", Breach::Dangling(Reference::User)),
    ("alerts_acknowledged_by_id_fkey", Breach::Dangling(Reference::User)),
    ("alerts_resolved_by_id_fkey", Breach::Dangling(Reference::User)),
    ("alert_entries_by_id_fkey", Breach::Dangling(Reference::User)),
];

/// How messages begin that mean "not now" and end the statement.
const PASSING: [&str; 2] = [
    "deadlock detected",          // 40P01
    "canceling statement due to", // 55P03: lock timeout; 57014: statement timeout, user request
];

/// How messages begin that mean "not now" and end the session, refuse one, or leave it useless.
const PARTING: [&str; 6] = [
    "terminating connection",                  // 57P01, 57P02, 25P03, 57P05
    "the database system is",                  // 57P03: starting up, shutting down, in recovery mode
    "sorry, too many clients already",         // 53300
    "remaining connection slots are reserved", // 53300
    "too many connections for",                // 53300: a role, a database
    "cached plan must not change result type", // 0A000: a migration under a prepared statement
];

/// Why the database did not do a statement.
pub(crate) fn refusal(error: DieselError) -> StoreError {
    use DatabaseErrorKind as Kind;
    if let DieselError::DatabaseError(kind, information) = &error {
        if let Some(breach) = information.constraint_name().and_then(breach) {
            return match breach {
                Breach::Taken(unique) => StoreError::Conflict(unique),
                Breach::Dangling(reference) => StoreError::Dangling(reference),
            };
        }
        if matches!(kind, Kind::ReadOnlyTransaction) {
            return StoreError::ReadOnly;
        }
    }
    if is_passing(&error) || ends_the_session(&error) {
        StoreError::Busy(Box::new(error))
    } else {
        StoreError::Fault(Box::new(error))
    }
}

/// Why a commit did not succeed. Only a refusal that the server gives before it commits proves that nothing is stored;
/// after a lost link, a shutdown or a cancelled wait for a standby nobody can know.
pub(crate) fn refusal_of_commit(error: DieselError) -> StoreError {
    use DatabaseErrorKind as Kind;
    let nothing_stored = matches!(
        error,
        DieselError::DatabaseError(
            Kind::SerializationFailure
                | Kind::UniqueViolation
                | Kind::ForeignKeyViolation
                | Kind::CheckViolation,
            _
        )
    );
    if nothing_stored { refusal(error) } else { StoreError::OutcomeUnknown }
}

/// Whether the session is gone with this error, about to go, or of no further use.
pub(crate) fn ends_the_session(error: &DieselError) -> bool {
    use DatabaseErrorKind as Kind;
    matches!(
        error,
        DieselError::DatabaseError(Kind::UnableToSendCommand | Kind::ClosedConnection, _)
            | DieselError::BrokenTransactionManager
    ) || says_any_of(error, &PARTING)
}

/// Whether the server takes no writes, on this session or at all.
pub(crate) fn refuses_writes(error: &DieselError) -> bool {
    matches!(error, DieselError::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _))
}

fn is_passing(error: &DieselError) -> bool {
    matches!(error, DieselError::DatabaseError(DatabaseErrorKind::SerializationFailure, _))
        || lost_its_place(error)
        || says_any_of(error, &PASSING)
}

/// A reading was on its way into the partition for what has no week yet, and meanwhile its week was made.
fn lost_its_place(error: &DieselError) -> bool {
    matches!(error, DieselError::DatabaseError(DatabaseErrorKind::CheckViolation, information)
        if information.message().ends_with("violates partition constraint"))
}

fn says_any_of(error: &DieselError, beginnings: &[&str]) -> bool {
    if let DieselError::DatabaseError(DatabaseErrorKind::Unknown, information) = error {
        beginnings.iter().any(|beginning| information.message().starts_with(beginning))
    } else {
        false
    }
}

fn breach(constraint: &str) -> Option<Breach> {
    // Each partition of the readings has their key under a name of its own.
    let of_partition = constraint.starts_with("readings_") && constraint.ends_with("_pkey");
    let constraint = if of_partition { "readings_pkey" } else { constraint };
    BREACHES.iter().find(|(name, _)| *name == constraint).map(|(_, breach)| *breach)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::{Access, Connector};
    use crate::settings::Settings;
    use crate::testing::TestDatabase;
    use diesel::sql_types::Text;
    use diesel::{QueryableByName, sql_query};
    use diesel_async::RunQueryDsl;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    #[derive(QueryableByName)]
    struct Constraint {
        #[diesel(sql_type = Text)]
        conname: String,
    }

    /// What no request can run into: numbers that the database gives, pairs that are inserted once, digests of secrets, and
    /// what is inserted only where it is not yet.
    const OUT_OF_REACH: [&str; 37] = [
        "alert_entries_pkey",
        "alert_rules_pkey",
        "alerts_pkey",
        "api_key_equipment_api_key_id_fkey",
        "api_key_equipment_pkey",
        "api_keys_digest_key",
        "api_keys_pkey",
        "audit_events_pkey",
        "audit_head_pkey",
        "equipment_heads_equipment_id_fkey",
        "equipment_heads_pkey",
        "equipment_pkey",
        "live_events_pkey",
        "live_forgotten_pkey",
        "maintenance_pkey",
        "metrics_name_key",
        "metrics_pkey",
        "packs_first_at_key",
        "packs_last_at_key",
        "packs_pkey",
        "role_permissions_pkey",
        "role_permissions_role_id_fkey",
        "roles_pkey",
        "rollups_due_pkey",
        "rollups_pkey",
        "sessions_pkey",
        "shapes_metrics_key",
        "shapes_pkey",
        "sign_in_counters_pkey",
        "thinnings_pkey",
        "user_roles_pkey",
        "users_pkey",
        "webhook_attempts_delivery_id_fkey",
        "webhook_attempts_pkey",
        "webhook_deliveries_pkey",
        "webhook_deliveries_webhook_id_fkey",
        "webhooks_pkey",
    ];

    #[tokio::test]
    async fn every_unique_and_every_reference_of_the_schema_is_known_by_name() {
        let database = TestDatabase::create().await;
        let connector = Arc::new(Connector::new(&Settings::new(database.url())).unwrap());
        let mut connection = connector.establish(Access::Reading).await.unwrap();
        let stored: Vec<Constraint> = sql_query(
            "SELECT conname::text FROM pg_constraint WHERE contype IN ('u', 'p', 'f') AND conparentid = 0 \
             AND connamespace = 'public'::regnamespace AND conrelid <> '__diesel_schema_migrations'::regclass \
             UNION SELECT relname::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid \
             WHERE indisunique AND indpred IS NOT NULL AND relnamespace = 'public'::regnamespace",
        )
        .load(&mut connection)
        .await
        .unwrap();
        let stored: BTreeSet<&str> = stored.iter().map(|constraint| constraint.conname.as_str()).collect();
        let known = BREACHES.iter().map(|(name, _)| *name).chain(OUT_OF_REACH);
        assert_eq!(stored, known.collect::<BTreeSet<_>>());
    }
}
