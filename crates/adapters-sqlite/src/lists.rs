//! What lists share: SQL functions, ordering, cutting pages and stretches, statements too various to be kept prepared.
//! Long lists of numbers that go into a statement are in `among.rs`.

use crate::work::Answer;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::Text;
use diesel::sqlite::Sqlite;
use domain::page::{Direction, Seek, Stretch};
use domain::ports::StoreError;
use std::collections::HashSet;

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

/// Counts all rows that match, and loads those of one page in order.
macro_rules! cut_page {
    ($connection:expr, $page:expr, $matching:expr, $ordered:expr, $row:ty) => {{
        let count: i64 = crate::lists::Unprepared($matching.count()).get_result($connection)?;
        let ordered = $ordered($matching).limit($page.size().into()).offset($page.offset());
        let rows: Vec<$row> =
            crate::lists::Unprepared(ordered.select(<$row>::as_select())).load($connection)?;
        (crate::lists::total(count), rows)
    }};
}
pub(crate) use cut_page;

/// Keeps to rows in which the column holds one of these, when there are any.
macro_rules! any_of {
    ($query:expr, $column:expr, $wanted:expr, $value:expr) => {{
        let query = $query;
        if $wanted.is_empty() { query } else { query.filter($column.eq_any($wanted.iter().map($value))) }
    }};
}
pub(crate) use any_of;

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

/// Keeps to rows whose day lies in the span.
macro_rules! within_days {
    ($query:expr, $column:expr, $days:expr) => {{
        let mut query = $query;
        if let Some(from) = $days.from {
            query = query.filter($column.ge(from.to_string()));
        }
        if let Some(until) = $days.until {
            query = query.filter($column.lt(until.to_string()));
        }
        query
    }};
}
pub(crate) use within_days;

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

/// Where a walk along a stream begins.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Edge<M> {
    /// At the stream's end.
    Open,
    /// With the item at the mark, if there is one.
    At(M),
    /// Behind the mark.
    Beyond(M),
}

/// Reads a stretch of a stream. `walk` answers up to so many items from the edge in this direction. One item more than
/// asked for tells whether the stream goes on; what lies behind the mark is asked for by itself.
pub(crate) fn stretch<T, M: Copy>(
    seek: Seek<M>,
    direction: Direction,
    limit: u32,
    mut walk: impl FnMut(Edge<M>, Direction, i64) -> Answer<Vec<T>>,
) -> Answer<Stretch<T>> {
    let (edge, forwards) = match seek {
        Seek::Start => (Edge::Open, true),
        Seek::After(mark) => (Edge::Beyond(mark), true),
        Seek::Before(mark) => (Edge::Beyond(mark), false),
    };
    let (ahead, back) = (directed(direction, forwards), directed(direction, !forwards));
    let mut items = walk(edge, ahead, i64::from(limit) + 1)?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let goes_on = items.len() > limit;
    items.truncate(limit);
    let comes_from = match seek {
        Seek::Start => false,
        Seek::After(mark) | Seek::Before(mark) => !walk(Edge::At(mark), back, 1)?.is_empty(),
    };
    if forwards {
        return Ok(Stretch { items, has_previous: comes_from, has_next: goes_on });
    }
    items.reverse();
    Ok(Stretch { items, has_previous: goes_on, has_next: comes_from })
}

fn directed(direction: Direction, forwards: bool) -> Direction {
    match (direction, forwards) {
        (Direction::Ascending, true) | (Direction::Descending, false) => Direction::Ascending,
        (Direction::Descending, true) | (Direction::Ascending, false) => Direction::Descending,
    }
}

/// Climbs from parent to parent until there is none, or one for the second time.
pub(crate) fn climb(
    mut parent_of: impl FnMut(i64) -> QueryResult<Option<i64>>,
    from: i64,
) -> QueryResult<Vec<i64>> {
    let mut above = Vec::new();
    let mut seen = HashSet::new();
    let mut next = parent_of(from)?;
    while let Some(parent) = next.filter(|parent| seen.insert(*parent)) {
        above.push(parent);
        next = parent_of(parent)?;
    }
    Ok(above)
}
