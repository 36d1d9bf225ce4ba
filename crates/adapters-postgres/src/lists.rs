//! What all lists share: orders that always end in the id, and queries whose text depends on the question.

use diesel::dsl::{IntoArrayExpression, array};
use diesel::expression::expression_types::NotSelectable;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Text};
use diesel::{BoxableExpression, QueryResult};
use domain::page::Order;

/// Something to order a table's rows by.
pub(crate) type Ordering<Table> = Box<dyn BoxableExpression<Table, Pg, SqlType = NotSelectable>>;

/// The order of a column, up or down. Null counts as smallest, which PostgreSQL has to be told.
macro_rules! by {
    ($column:expr, $direction:expr) => {
        match $direction {
            ::domain::page::Direction::Ascending => Box::new($column.asc()) as $crate::lists::Ordering<_>,
            ::domain::page::Direction::Descending => Box::new($column.desc()),
        }
    };
    (nullable $column:expr, $direction:expr) => {
        match $direction {
            ::domain::page::Direction::Ascending => {
                Box::new($column.asc().nulls_first()) as $crate::lists::Ordering<_>
            }
            ::domain::page::Direction::Descending => Box::new($column.desc().nulls_last()),
        }
    };
}
pub(crate) use by;

/// Keeps the rows whose column holds one of the wanted values, or all rows when nothing is wanted.
macro_rules! among {
    ($rows:ident, $column:expr, $wanted:expr, $stored:expr) => {
        if !$wanted.is_empty() {
            let wanted: Vec<_> = $wanted.iter().map($stored).collect();
            $rows = $rows.filter($column.eq_any(wanted));
        }
    };
}
pub(crate) use among;

/// Keeps the rows whose column lies within the span.
macro_rules! within {
    ($rows:ident, $column:expr, $span:expr, $stored:expr) => {
        if let Some(from) = $span.from {
            $rows = $rows.filter($column.ge($stored(from)));
        }
        if let Some(until) = $span.until {
            $rows = $rows.filter($column.lt($stored(until)));
        }
    };
}
pub(crate) use within;

/// A page of the rows that match, two statements however long it is: how many there are of all, and these in their order.
/// The texts depend on the question, so they are not kept.
macro_rules! page {
    ($link:expr, $page:expr, $matching:expr, $order:expr, $columns:expr, $row:ty => $restore:expr) => {{
        let total: i64 = $link.the($crate::lists::Uncached($matching.count())).await?;
        let mut page = $matching.select($columns).offset($page.offset()).limit(i64::from($page.size()));
        for order in $order {
            page = page.then_order_by(ordering(order));
        }
        let rows: Vec<$row> = $link.all($crate::lists::Uncached(page)).await?;
        Ok(::domain::page::Page {
            total: total.unsigned_abs(),
            items: rows.into_iter().map($restore).collect::<Result<_, _>>()?,
        })
    }};
}
pub(crate) use page;

/// The keys that make a difference: a repeated key never does, and nothing does after the id.
pub(crate) fn effective<K: Copy + PartialEq>(order: &[Order<K>], id: K) -> Vec<Order<K>> {
    let mut keys: Vec<Order<K>> = Vec::new();
    for wanted in order {
        if keys.iter().all(|order| order.key != wanted.key) {
            keys.push(*wanted);
        }
        if wanted.key == id {
            return keys;
        }
    }
    keys.push(Order { key: id, direction: domain::page::Direction::Ascending });
    keys
}

/// `ARRAY(query)` of texts: what belongs to a row, in the same statement as the row.
pub(crate) fn texts<Query: IntoArrayExpression<Text>>(query: Query) -> texts<Query> {
    array(query)
}

/// The type of [`texts`], named as `auto_type` looks for it.
#[allow(non_camel_case_types, reason = "Diesel names the type of an expression like its function")]
pub(crate) type texts<Query> = array<Text, Query>;

/// `ARRAY(query)` of numbers.
pub(crate) fn numbers<Query: IntoArrayExpression<BigInt>>(query: Query) -> numbers<Query> {
    array(query)
}

/// The type of [`numbers`].
#[allow(non_camel_case_types, reason = "Diesel names the type of an expression like its function")]
pub(crate) type numbers<Query> = array<BigInt, Query>;

/// A query whose text depends on the question. There are more such texts than a server should keep prepared statements
/// for, and whoever asks could make it keep them all; so these are prepared, used and forgotten.
pub(crate) struct Uncached<Q>(pub(crate) Q);

impl<Q: Query> Query for Uncached<Q> {
    type SqlType = Q::SqlType;
}

impl<Q> QueryId for Uncached<Q> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Uncached<Q> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        self.0.walk_ast(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::id::SessionId;
    use domain::page::Direction;
    use domain::ports::{ApiKeys, Roles, Sessions, Users};
    use domain::roles::RoleQuery;
    use domain::users::{UserKey, UserQuery};

    fn up(key: UserKey) -> Order<UserKey> {
        Order { key, direction: Direction::Ascending }
    }

    #[test]
    fn an_order_ends_in_the_id_and_repeats_nothing() {
        let wanted = [up(UserKey::Email), up(UserKey::Email), up(UserKey::IsMentor)];
        let kept = effective(&wanted, UserKey::Id);
        assert_eq!(kept, [up(UserKey::Email), up(UserKey::IsMentor), up(UserKey::Id)]);
    }

    #[test]
    fn what_follows_the_id_makes_no_difference() {
        let down = Order { key: UserKey::Id, direction: Direction::Descending };
        assert_eq!(effective(&[down, up(UserKey::Email)], UserKey::Id), [down]);
    }

    #[tokio::test]
    async fn what_every_request_asks_is_prepared_once_and_what_lists_ask_is_not_kept() {
        let database = crate::testing::TestDatabase::create().await;
        let settings = crate::Settings { max_connections: 2, ..crate::Settings::new(database.url()) };
        let store = crate::PostgresStore::connect(settings).unwrap();
        let mut link = store.readers.read().await.unwrap();
        for _ in 0..3 {
            assert!(Sessions::bearer(&mut link, SessionId::new(1).unwrap()).await.unwrap().is_none());
            assert!(ApiKeys::bearer(&mut link, &[7; 32]).await.unwrap().is_none());
            Users::list(&mut link, &UserQuery::default()).await.unwrap();
            Roles::list(&mut link, &RoleQuery::default()).await.unwrap();
        }
        let kept = "SELECT count(*) FROM pg_prepared_statements \
                    WHERE statement LIKE '%ARRAY(%' AND statement NOT LIKE '%pg_prepared%'";
        let kept: i64 = link.the(diesel::dsl::sql::<BigInt>(kept)).await.unwrap();
        assert_eq!(kept, 2);
    }
}
