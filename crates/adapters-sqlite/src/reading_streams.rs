//! Readings in order of instant and equipment, from any place in any direction.
//!
//! A stream over all equipment walks the index of instants. One over a few pieces merges their own streams, each of which
//! the table keeps in order, so that nothing of other pieces is looked at. One over many pieces walks the index of instants
//! again, and looks at whose each reading is.

use crate::among::among;
use crate::catalogue::Catalogue;
use crate::equipment::visible_ids;
use crate::equipment_lists::hidden;
use crate::lists::{Edge, stretch};
use crate::packs;
use crate::readings::with_shapes;
use crate::rows::ReadingRow;
use crate::schema::{metrics, readings, shape_metrics};
use crate::work::Answer;
use diesel::dsl::{AsSelect, IntoBoxed, Select, SqlTypeOf, sql};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Bool};
use diesel::sqlite::Sqlite;
use domain::page::{Direction, Stretch};
use domain::telemetry::{MetricName, Reading, ReadingFilter, ReadingId, ReadingQuery};
use domain::time::{Span, Timestamp};
use packing::Start;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// So many pieces are read by merging their streams. A statement takes 500 of them at most; long before that, walking over
/// the readings of other pieces is cheaper.
const MOST_MERGED: usize = 100;

/// A stretch of readings.
pub(crate) fn read(
    connection: &mut SqliteConnection,
    catalogue: &Catalogue,
    query: &ReadingQuery,
) -> Answer<Stretch<Reading>> {
    let stream = Stream::of(connection, &query.filter)?;
    stretch(query.seek, query.direction, query.limit, |edge, direction, limit| {
        stream.walk(connection, catalogue, edge, direction, limit)
    })
}

/// The next readings after the one named.
pub(crate) fn scan(
    connection: &mut SqliteConnection,
    catalogue: &Catalogue,
    filter: &ReadingFilter,
    direction: Direction,
    after: Option<ReadingId>,
    limit: u32,
) -> Answer<Vec<Reading>> {
    let stream = Stream::of(connection, filter)?;
    stream.walk(connection, catalogue, after.map_or(Edge::Open, Edge::Beyond), direction, limit.into())
}

/// A filter, looked up.
struct Stream<'a> {
    filter: &'a ReadingFilter,
    /// Whose readings; all when there is none.
    pieces: Option<Vec<i64>>,
    /// The shapes that have one of the metrics; all when there is none.
    shapes: Option<Vec<i64>>,
}

impl<'a> Stream<'a> {
    fn of(connection: &mut SqliteConnection, filter: &'a ReadingFilter) -> Answer<Self> {
        let pieces = if filter.equipment.is_empty() {
            None
        } else {
            let named = filter.equipment.iter().map(|piece| piece.get());
            Some(if filter.hidden_too {
                named.collect::<BTreeSet<_>>().into_iter().collect()
            } else {
                visible_ids(connection, named)?.into_iter().collect()
            })
        };
        let shapes =
            if filter.metrics.is_empty() { None } else { Some(shapes_with(connection, &filter.metrics)?) };
        Ok(Self { filter, pieces, shapes })
    }

    /// The readings that are rows, and between them those that are packed.
    fn walk(
        &self,
        connection: &mut SqliteConnection,
        catalogue: &Catalogue,
        edge: Edge<ReadingId>,
        direction: Direction,
        limit: i64,
    ) -> Answer<Vec<Reading>> {
        let start = match edge {
            Edge::Open => Start::Anywhere,
            Edge::At(mark) => Start::At(mark),
            Edge::Beyond(mark) => Start::Beyond(mark),
        };
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let merged = self.merged(edge, direction, limit);
        let rows = if merged.parts.is_empty() { Vec::new() } else { merged.load(connection)? };
        let loose = with_shapes(connection, catalogue, rows)?;
        let mut filter = self.filter.clone();
        // What lies beyond the last one that is wanted is not looked at.
        if let Some(last) = loose.last().filter(|_| loose.len() >= most) {
            match direction {
                Direction::Ascending => filter.at.until = Some(last.id.at),
                Direction::Descending => filter.at.from = Some(last.id.at),
            }
        }
        let packed = packs::next(connection, self.pieces.as_deref(), &filter, direction, start, most)?;
        Ok(packing::merged(loose, packed, direction, most))
    }

    fn merged(&self, edge: Edge<ReadingId>, direction: Direction, limit: i64) -> Merged<'a> {
        let parts = match &self.pieces {
            None if self.filter.hidden_too => vec![self.of_all(edge, direction)],
            None => vec![self.of_all(edge, direction).filter(readings::equipment_id.ne_all(hidden()))],
            Some(pieces) if pieces.len() <= MOST_MERGED => {
                pieces.iter().map(|piece| self.of_piece(*piece, edge, direction)).collect()
            }
            Some(pieces) => {
                // The plus keeps SQLite from reading all that these pieces ever measured, and sorting it.
                let whose = sql::<BigInt>("+readings.equipment_id");
                vec![self.of_all(edge, direction).filter(among(whose, pieces.iter().copied()))]
            }
        };
        Merged { parts, direction, limit }
    }

    /// The bounds of the instant begin with the mark's own, so that it is found at once; readings of that very instant
    /// are then told apart by their equipment.
    fn of_all(&self, edge: Edge<ReadingId>, direction: Direction) -> Part<'a> {
        let (comparison, mark) = match (edge, direction) {
            (Edge::Open, _) => return self.between(Instants::of(self.filter.at)),
            (Edge::At(mark), Direction::Ascending) => (">=", mark),
            (Edge::At(mark), Direction::Descending) => ("<=", mark),
            (Edge::Beyond(mark), Direction::Ascending) => (">", mark),
            (Edge::Beyond(mark), Direction::Descending) => ("<", mark),
        };
        let instants = Instants::of(self.filter.at).cut(mark.at.micros(), true, direction);
        let place = sql::<Bool>(&format!("(readings.at, readings.equipment_id) {comparison} ("))
            .bind::<BigInt, _>(mark.at.micros())
            .sql(", ")
            .bind::<BigInt, _>(mark.equipment.get())
            .sql(")");
        self.between(instants).filter(place)
    }

    /// Of the instant of the mark the piece has one reading at most, and that lies on one side of the mark.
    fn of_piece(&self, piece: i64, edge: Edge<ReadingId>, direction: Direction) -> Part<'a> {
        let all = Instants::of(self.filter.at);
        let (mark, with_mark) = match edge {
            Edge::Open => return self.between(all).filter(readings::equipment_id.eq(piece)),
            Edge::At(mark) => (mark, true),
            Edge::Beyond(mark) => (mark, false),
        };
        let includes = match (piece.cmp(&mark.equipment.get()), direction) {
            (Ordering::Equal, _) => with_mark,
            (beside, Direction::Ascending) => beside.is_gt(),
            (beside, Direction::Descending) => beside.is_lt(),
        };
        let instants = all.cut(mark.at.micros(), includes, direction);
        self.between(instants).filter(readings::equipment_id.eq(piece))
    }

    fn between(&self, instants: Instants) -> Part<'a> {
        let mut part = readings::table.select(ReadingRow::as_select()).into_boxed();
        part = part.filter(readings::at.between(instants.first, instants.last));
        if let Some(from) = self.filter.received_from {
            part = part.filter(readings::received_at.ge(from.micros()));
        }
        match &self.shapes {
            Some(shapes) => part.filter(among(readings::shape_id, shapes.iter().copied())),
            None => part,
        }
    }
}

/// The first and the last instant that readings may have. One lower and one upper bound, whatever they come from: of two,
/// SQLite takes either for finding the first reading, and then reads up to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instants {
    first: i64,
    last: i64,
}

impl Instants {
    fn of(span: Span) -> Self {
        Self {
            first: span.from.unwrap_or(Timestamp::MIN).micros(),
            last: span.until.map_or(Timestamp::MAX.micros(), |until| until.micros() - 1),
        }
    }

    /// Those from the mark on, with it or without, in this direction.
    fn cut(self, mark: i64, with_mark: bool, direction: Direction) -> Self {
        let beside = i64::from(!with_mark);
        match direction {
            Direction::Ascending => Self { first: self.first.max(mark + beside), ..self },
            Direction::Descending => Self { last: self.last.min(mark - beside), ..self },
        }
    }
}

fn shapes_with(connection: &mut SqliteConnection, names: &[MetricName]) -> Answer<Vec<i64>> {
    let with_any = shape_metrics::table
        .inner_join(metrics::table)
        .filter(metrics::name.eq_any(names.iter().map(MetricName::as_str)))
        .select(shape_metrics::shape_id)
        .distinct();
    Ok(with_any.load(connection)?)
}

type Part<'a> = IntoBoxed<'a, Select<readings::table, AsSelect<ReadingRow, Sqlite>>, Sqlite>;

/// Streams, merged as they are read. Of a single one the statement stays prepared: there are few such texts.
struct Merged<'a> {
    parts: Vec<Part<'a>>,
    direction: Direction,
    limit: i64,
}

impl QueryFragment<Sqlite> for Merged<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        if self.parts.len() > 1 {
            out.unsafe_to_cache_prepared();
        }
        for (index, part) in self.parts.iter().enumerate() {
            out.push_sql(if index == 0 { "" } else { " UNION ALL " });
            QueryFragment::<Sqlite>::walk_ast(part, out.reborrow())?;
        }
        // By number, as what is merged has no names: instant, then equipment.
        out.push_sql(match self.direction {
            Direction::Ascending => " ORDER BY 2, 1 LIMIT ",
            Direction::Descending => " ORDER BY 2 DESC, 1 DESC LIMIT ",
        });
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

impl QueryId for Merged<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Merged<'_> {
    type SqlType = SqlTypeOf<AsSelect<ReadingRow, Sqlite>>;
}

impl RunQueryDsl<SqliteConnection> for Merged<'_> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::{empty_database, plan};
    use domain::id::EquipmentId;

    const DIRECTIONS: [Direction; 2] = [Direction::Ascending, Direction::Descending];

    fn edges() -> [Edge<ReadingId>; 3] {
        let mark =
            ReadingId { equipment: EquipmentId::new(2).unwrap(), at: Timestamp::from_micros(5).unwrap() };
        [Edge::Open, Edge::At(mark), Edge::Beyond(mark)]
    }

    /// The plans of walks from every kind of edge in both directions, with and without a filter.
    fn plans(pieces: Option<Vec<i64>>) -> Vec<String> {
        let at = Span { from: Some(Timestamp::MIN), until: Some(Timestamp::MAX) };
        let narrow = ReadingFilter { at, received_from: Some(Timestamp::MIN), ..Default::default() };
        let mut connection = empty_database();
        let mut plans = Vec::new();
        for (filter, shapes) in [(&ReadingFilter::default(), None), (&narrow, Some(vec![1, 2]))] {
            let stream = Stream { filter, pieces: pieces.clone(), shapes };
            for (edge, direction) in edges().into_iter().flat_map(|edge| DIRECTIONS.map(|way| (edge, way))) {
                plans.push(plan(&mut connection, stream.merged(edge, direction, 50)));
            }
        }
        plans
    }

    #[test]
    fn readings_of_all_equipment_are_found_by_instant_and_not_sorted() {
        for pieces in [None, Some((1..=101).collect())] {
            for plan in plans(pieces) {
                assert!(
                    plan.starts_with("SEARCH readings USING INDEX readings_at (at>? AND at<?)"),
                    "{plan}"
                );
                assert!(!plan.contains("ORDER BY"), "{plan}");
            }
        }
    }

    #[test]
    fn readings_of_some_pieces_are_found_where_they_lie_and_merged_unsorted() {
        for count in [1, 2, 5, 100] {
            for plan in plans(Some((1..=count).collect())) {
                let searches = plan
                    .matches("SEARCH readings USING PRIMARY KEY (equipment_id=? AND at>? AND at<?)")
                    .count();
                assert_eq!(i64::try_from(searches), Ok(count), "{plan}");
                assert!(!plan.contains("SCAN readings") && !plan.contains("ORDER BY"), "{plan}");
            }
        }
    }

    #[test]
    fn a_mark_cuts_the_span_on_one_side() {
        let all = Instants { first: 0, last: 9 };
        assert_eq!(all.cut(5, true, Direction::Ascending), Instants { first: 5, last: 9 });
        assert_eq!(all.cut(5, false, Direction::Ascending), Instants { first: 6, last: 9 });
        assert_eq!(all.cut(5, false, Direction::Descending), Instants { first: 0, last: 4 });
        assert_eq!(all.cut(20, true, Direction::Descending), all);
    }
}
