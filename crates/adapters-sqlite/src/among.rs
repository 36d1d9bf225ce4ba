//! Long lists of values in a statement: one JSON text, whatever the length, so that the statement stays prepared and meets
//! no limit of parameters. Compiling a statement with a parameter for each value takes longer than running it.

use diesel::expression::{AppearsOnTable, SelectableExpression, ValidGrouping, is_aggregate};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Bool, Text};
use diesel::sqlite::Sqlite;
use std::fmt::Write;

/// Whether a column, or a pair of columns, is among the members of a list.
#[derive(Clone, Debug, QueryId)]
pub(crate) struct Among<Columns> {
    columns: Columns,
    members: &'static str,
    list: String,
}

/// `column` is one of these numbers.
pub(crate) fn among<C>(column: C, numbers: impl IntoIterator<Item = i64>) -> Among<C> {
    let mut list = String::from("[");
    for (index, number) in numbers.into_iter().enumerate() {
        put(&mut list, format_args!("{}{number}", comma(index)));
    }
    list.push(']');
    Among { columns: column, members: "value", list }
}

/// `column` is one of these texts.
pub(crate) fn among_texts<C>(column: C, texts: impl IntoIterator<Item = impl Into<String>>) -> Among<C> {
    let texts: Vec<String> = texts.into_iter().map(Into::into).collect();
    Among { columns: column, members: "value", list: serde_json::Value::from(texts).to_string() }
}

/// Both columns are one of these pairs.
pub(crate) fn among_pairs<A, B>(
    columns: (A, B),
    pairs: impl IntoIterator<Item = (i64, i64)>,
) -> Among<(A, B)> {
    Among { columns, members: "CAST(key AS INTEGER), value", list: pairs_as_json(pairs) }
}

/// Pairs as an object, each an entry of it; SQLite minds no name that comes again.
pub(crate) fn pairs_as_json(pairs: impl IntoIterator<Item = (i64, i64)>) -> String {
    let mut object = String::from("{");
    for (index, (one, other)) in pairs.into_iter().enumerate() {
        put(&mut object, format_args!("{}\"{one}\":{other}", comma(index)));
    }
    object.push('}');
    object
}

const fn comma(index: usize) -> &'static str {
    if index == 0 { "" } else { "," }
}

fn put(text: &mut String, part: std::fmt::Arguments<'_>) {
    // Only numbers are written, and those into memory: there is nothing that could fail.
    let _ = text.write_fmt(part);
}

impl<C: QueryFragment<Sqlite>> QueryFragment<Sqlite> for Among<C> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("(");
        self.columns.walk_ast(out.reborrow())?;
        out.push_sql(") IN (SELECT ");
        out.push_sql(self.members);
        out.push_sql(" FROM json_each(");
        out.push_bind_param::<Text, _>(&self.list)?;
        out.push_sql("))");
        Ok(())
    }
}

impl<C> Expression for Among<C> {
    type SqlType = Bool;
}

impl<C> ValidGrouping<()> for Among<C> {
    type IsAggregate = is_aggregate::No;
}

impl<C: AppearsOnTable<From>, From> AppearsOnTable<From> for Among<C> {}

impl<C: SelectableExpression<From>, From> SelectableExpression<From> for Among<C> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::readings;

    #[test]
    fn a_list_is_one_parameter_whatever_its_length() {
        let query = |numbers: std::ops::Range<i64>| {
            let query = readings::table.filter(among(readings::equipment_id, numbers)).count();
            diesel::debug_query::<Sqlite, _>(&query).to_string()
        };
        assert!(
            query(0..0).ends_with(r#"IN (SELECT value FROM json_each(?)) -- binds: ["[]"]"#),
            "{}",
            query(0..0)
        );
        assert!(query(1..4).ends_with(r#"json_each(?)) -- binds: ["[1,2,3]"]"#), "{}", query(1..4));
    }

    #[test]
    fn a_text_is_a_member_whatever_is_in_it() {
        let listed = among_texts(readings::tags, ["a\"b", "c,d"]);
        assert_eq!(listed.list, r#"["a\"b","c,d"]"#);
    }

    #[test]
    fn a_number_may_come_again_with_another() {
        assert_eq!(pairs_as_json([(1, 2), (1, -3)]), r#"{"1":2,"1":-3}"#);
    }
}
