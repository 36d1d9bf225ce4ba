//! How SQLite would run a statement, for tests that no list reads more of a table than it has to.

use crate::migrations::run_missing;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Integer, Text};
use diesel::sqlite::Sqlite;

/// A migrated database without rows, in memory.
pub(crate) fn empty_database() -> SqliteConnection {
    let mut connection = SqliteConnection::establish(":memory:").unwrap();
    run_missing(&mut connection).unwrap();
    connection
}

/// The steps of the statement's plan, joined by `; `.
pub(crate) fn plan(connection: &mut SqliteConnection, statement: impl QueryFragment<Sqlite>) -> String {
    let steps: Vec<(i32, i32, i32, String)> = Explained(statement).load(connection).unwrap();
    steps.into_iter().map(|(_, _, _, step)| step).collect::<Vec<_>>().join("; ")
}

struct Explained<Q>(Q);

impl<Q: QueryFragment<Sqlite>> QueryFragment<Sqlite> for Explained<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        out.push_sql("EXPLAIN QUERY PLAN ");
        self.0.walk_ast(out)
    }
}

impl<Q> QueryId for Explained<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q> Query for Explained<Q> {
    type SqlType = (Integer, Integer, Integer, Text);
}

impl<Q> RunQueryDsl<SqliteConnection> for Explained<Q> {}

#[test]
fn what_is_removed_looks_at_nothing_but_what_hangs_on_it() {
    let mut connection = empty_database();
    for table in ["users", "equipment", "alert_rules", "alerts"] {
        let removal = diesel::sql_query(format!("DELETE FROM {table} WHERE id = 1"));
        let plan = plan(&mut connection, removal);
        assert!(plan.contains("SEARCH") && !plan.contains("SCAN"), "{table}: {plan}");
    }
}
