//! What lists share: SQL functions, ordering, cutting pages, statements too various to be kept prepared.

use crate::work::Answer;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use domain::ports::StoreError;

/// How many ids, or pairs of them, go into one statement: SQLite takes 32,766 parameters.
pub(crate) const PART: usize = 10_000;

#[diesel::declare_sql_function]
extern "SQL" {
    /// Where `part` begins in `text`, from 1, letter by letter; 0 when it is not there. Unlike LIKE it knows no wildcards.
    fn instr(text: Text, part: Text) -> Integer;

    /// ASCII letters in lower case.
    fn lower(text: Text) -> Text;
}

/// Orders a boxed query by one more column.
macro_rules! then_by {
    ($query:expr, $column:expr, $direction:expr) => {
        match $direction {
            domain::page::Direction::Ascending => $query.then_order_by($column.asc()),
            domain::page::Direction::Descending => $query.then_order_by($column.desc()),
        }
    };
}
pub(crate) use then_by;

/// Keeps to rows whose instant lies in the span.
macro_rules! within {
    ($query:expr, $column:expr, $span:expr) => {{
        let mut query = $query;
        if let Some(from) = $span.from {
            query = query.filter($column.ge(from.micros()));
        }
        if let Some(until) = $span.until {
            query = query.filter($column.lt(until.micros()));
        }
        query
    }};
}
pub(crate) use within;

/// A statement that is compiled anew each time. Filters and orderings combine into millions of statements, and Diesel
/// would keep each of them prepared for as long as the connection lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unprepared<Q>(pub(crate) Q);

impl<Q: QueryFragment<Sqlite>> QueryFragment<Sqlite> for Unprepared<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        self.0.walk_ast(out)
    }
}

impl<Q> QueryId for Unprepared<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Unprepared<Q> {
    type SqlType = Q::SqlType;
}

impl<Q> RunQueryDsl<SqliteConnection> for Unprepared<Q> {}

/// A count as the domain has it; SQLite counts from nothing upwards.
pub(crate) fn total(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// How many rows a statement changed.
pub(crate) fn changed(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

/// Turns every row into what it stands for, or says which one makes no sense.
pub(crate) fn restored<R, T>(rows: Vec<R>) -> Answer<Vec<T>>
where
    T: TryFrom<R, Error = StoreError>,
{
    Ok(rows.into_iter().map(T::try_from).collect::<Result<_, _>>()?)
}
