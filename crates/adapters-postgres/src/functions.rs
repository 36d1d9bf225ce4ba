//! Functions of PostgreSQL that Diesel does not know.
#![allow(unreachable_pub, reason = "what Diesel's macro makes of a function is always public")]

use diesel::query_builder::QueryId;
use diesel::sql_types::{BigInt, Nullable, SqlType, Text};

/// What a function returns that returns nothing.
#[derive(Clone, Copy, Debug, SqlType, QueryId)]
#[diesel(postgres_type(oid = 2278, array_oid = 0))]
pub struct Void;

#[diesel::declare_sql_function]
extern "SQL" {
    /// Where `wanted` begins in `text`, counted from 1; 0 when it does not occur there. It has no wildcards.
    fn strpos(text: Nullable<Text>, wanted: Text) -> Nullable<Integer>;

    /// Lower case. Under the collation "C" that concerns ASCII letters only.
    fn lower(text: Text) -> Text;

    /// Takes the lock until the transaction ends.
    fn pg_advisory_xact_lock(key: BigInt) -> Void;

    /// Takes the lock until the session ends.
    fn pg_advisory_lock(key: BigInt) -> Void;

    /// Takes the lock until the session ends, unless somebody else has it.
    fn pg_try_advisory_lock(key: BigInt) -> Bool;

    /// Forgets what the transaction has read of the server's activity.
    fn pg_stat_clear_snapshot() -> Void;

    /// A setting of the session.
    fn current_setting(name: Text) -> Text;

    /// The table of this name, if there is one.
    fn to_regclass(name: Text) -> Nullable<Oid>;
}
