//! Statements in SQL of our own, for what Diesel's language lacks: arrays that are taken apart, joins along them, windows.

use diesel::expression::AsExpression;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::Error::QueryBuilderError;
use diesel::sql_types::{SingleValue, SqlType};
use diesel::{IntoSql, QueryResult};
use std::marker::PhantomData;

/// A statement that answers rows of the SQL types `Answer`.
///
/// Each `?` in its text stands for the next part: a value that is bound, or SQL of Diesel's. The first value can be named
/// again as `$1`, and so on. The text is always the same, so it is prepared once.
pub(crate) struct Statement<'part, Answer = ()> {
    text: &'static str,
    parts: Vec<Box<dyn QueryFragment<Pg> + Send + 'part>>,
    answer: PhantomData<fn() -> Answer>,
}

impl<'part, Answer> Statement<'part, Answer> {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text, parts: Vec::new(), answer: PhantomData }
    }

    /// Binds the next value.
    pub(crate) fn bind<ST, Value>(self, value: Value) -> Self
    where
        ST: SqlType + SingleValue,
        Value: AsExpression<ST>,
        Value::Expression: QueryFragment<Pg> + Send + 'part,
    {
        self.part(value.into_sql::<ST>())
    }

    /// Puts in the next piece of SQL.
    pub(crate) fn part(mut self, sql: impl QueryFragment<Pg> + Send + 'part) -> Self {
        self.parts.push(Box::new(sql));
        self
    }
}

impl<Answer> QueryFragment<Pg> for Statement<'_, Answer> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let mut parts = self.parts.iter();
        for (place, text) in self.text.split('?').enumerate() {
            if place > 0 {
                let part = parts.next();
                part.ok_or_else(|| QueryBuilderError("a part is missing".into()))?
                    .walk_ast(out.reborrow())?;
            }
            out.push_sql(text);
        }
        if parts.next().is_some() { Err(QueryBuilderError("a part is left over".into())) } else { Ok(()) }
    }
}

impl<Answer> QueryId for Statement<'_, Answer> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Answer> Query for Statement<'_, Answer> {
    type SqlType = Answer;
}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel::debug_query;
    use diesel::sql_types::{Array, BigInt, Text};

    #[test]
    fn parts_take_the_places_of_question_marks_in_order() {
        let statement = Statement::<BigInt>::new("SELECT ? FROM unnest(?) WHERE $1 = ?")
            .bind::<BigInt, _>(7)
            .bind::<Array<BigInt>, _>(vec![1, 2])
            .bind::<Text, _>("x");
        let shown = debug_query::<Pg, _>(&statement).to_string();
        assert_eq!(shown, r#"SELECT $1 FROM unnest($2) WHERE $1 = $3 -- binds: [7, [1, 2], "x"]"#);
    }

    #[test]
    fn a_statement_with_too_few_or_too_many_parts_is_not_said() {
        let none = Statement::<BigInt>::new("SELECT ?");
        assert!(QueryFragment::<Pg>::to_sql(&none, &mut Default::default(), &Pg).is_err());
        let one = Statement::<BigInt>::new("SELECT 1").bind::<BigInt, _>(1);
        assert!(QueryFragment::<Pg>::to_sql(&one, &mut Default::default(), &Pg).is_err());
    }

    #[test]
    fn a_statement_is_kept_prepared() {
        assert!(Statement::<BigInt>::new("SELECT 1").is_safe_to_cache_prepared(&Pg).unwrap());
    }
}
