//! Lists of alerts: which, in which order.

use crate::among::{among, pairs_as_json};
use crate::equipment_lists::hidden;
use crate::lists::{any_of, cut_page, instr, restored, then_by, within};
use crate::rows::{AlertRow, Place, Ranked};
use crate::schema::alerts;
use crate::work::Answer;
use diesel::dsl::{AsSelect, SqlTypeOf, count_star, sql};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::Sqlite;
use domain::alerts::{Alert, AlertFilter, AlertKey, AlertQuery, AlertStatus};
use domain::equipment::Reach;
use domain::id::{EquipmentId, RuleId};
use domain::page::{Order, Page, effective_order};
use domain::rules::Severity;
use domain::telemetry::MetricName;
use domain::text::fold;
use domain::time::Timestamp;
use std::collections::BTreeMap;

type Boxed<'a> = alerts::BoxedQuery<'a, Sqlite>;

/// A page of alerts.
pub(crate) fn page(connection: &mut SqliteConnection, query: &AlertQuery) -> Answer<Page<Alert>> {
    let all = || matching(&query.filter);
    let (total, rows) = cut_page!(connection, query.page, all(), |all| ordered(all, query), AlertRow);
    Ok(Page { total, items: restored(rows)? })
}

/// How many are not resolved. The index on the status finds them, so that all the others are not looked at.
pub(crate) fn count_unresolved(
    connection: &mut SqliteConnection,
) -> Answer<Vec<(Severity, AlertStatus, u64)>> {
    let unresolved = [AlertStatus::Open.rank(), AlertStatus::Acknowledged.rank()];
    let kind = (alerts::severity, alerts::status);
    let counts = alerts::table
        .filter(alerts::status.eq_any(unresolved))
        .filter(alerts::equipment_id.ne_all(hidden()))
        .group_by(kind)
        .order(kind)
        .select((alerts::severity, alerts::status, count_star()))
        .load::<(i32, i32, i64)>(connection)?;
    let restored = counts.into_iter().map(|(severity, status, count)| {
        let place = Place { table: "alerts", row: &"(all that are not resolved)" };
        Ok((
            place.sound("severity", Severity::of_rank(severity))?,
            place.sound("status", AlertStatus::of_rank(status))?,
            place.sound("count", u64::try_from(count).ok())?,
        ))
    });
    restored.collect()
}

fn matching(filter: &AlertFilter) -> Boxed<'_> {
    let all = alerts::table.into_boxed().filter(alerts::equipment_id.ne_all(hidden()));
    let all = match &filter.reach {
        Reach::All => all,
        Reach::Only(pieces) => {
            all.filter(among(alerts::equipment_id, pieces.iter().map(|piece| piece.get())))
        }
    };
    let all = any_of!(all, alerts::equipment_id, filter.equipment, |piece: &EquipmentId| piece.get());
    let all = any_of!(all, alerts::severity, filter.severities, |severity| severity.rank());
    let all = any_of!(all, alerts::status, filter.statuses, |status| status.rank());
    let all = any_of!(all, alerts::rule_id, filter.rules, |rule: &RuleId| rule.get());
    let all = any_of!(all, alerts::metric, filter.metrics, MetricName::as_str);
    let all = within!(all, alerts::at, filter.at);
    let Some(text) = filter.search.as_deref().map(fold) else {
        return all;
    };
    let in_description = instr(alerts::description_key, text.clone()).gt(0);
    all.filter(in_description.or(instr(alerts::note_key.assume_not_null(), text).gt(0)))
}

fn ordered<'a>(all: Boxed<'a>, query: &AlertQuery) -> Boxed<'a> {
    let AlertFilter { at, .. } = query.filter;
    let has_span = at.from.is_some() || at.until.is_some();
    effective_order(&query.order, AlertKey::Id).iter().fold(all, |all, Order { key, direction }| match key {
        // The plus hides the order in which alerts are stored: SQLite would rather walk through all of them in that order
        // than find those of the span and sort them.
        AlertKey::Id if has_span => then_by!(all, sql::<BigInt>("+alerts.id"), direction),
        AlertKey::Id => then_by!(all, alerts::id, direction),
        AlertKey::At => then_by!(all, alerts::at, direction),
        AlertKey::LastSeenAt => then_by!(all, alerts::last_seen_at, direction),
        AlertKey::Severity => then_by!(all, alerts::severity, direction),
        AlertKey::Status => then_by!(all, alerts::status, direction),
    })
}

/// The alerts of rules on these pieces that last to an instant, for each piece its own.
pub(crate) fn touching(
    connection: &mut SqliteConnection,
    pieces: &[(EquipmentId, Timestamp)],
) -> Answer<Vec<Alert>> {
    let mut earliest: BTreeMap<EquipmentId, Timestamp> = BTreeMap::new();
    for (piece, from) in pieces {
        earliest.entry(*piece).and_modify(|earliest| *earliest = (*earliest).min(*from)).or_insert(*from);
    }
    let pieces = pairs_as_json(earliest.iter().map(|(piece, from)| (piece.get(), from.micros())));
    restored(Touching { columns: AlertRow::as_select(), pieces }.load(connection)?)
}

/// For each piece one look into the index of alerts by when they are over.
#[derive(QueryId)]
struct Touching {
    columns: AsSelect<AlertRow, Sqlite>,
    pieces: String,
}

impl QueryFragment<Sqlite> for Touching {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("SELECT ");
        self.columns.walk_ast(out.reborrow())?;
        out.push_sql(" FROM json_each(");
        out.push_bind_param::<Text, _>(&self.pieces)?;
        out.push_sql(
            ") AS piece CROSS JOIN alerts ON alerts.equipment_id = CAST(piece.key AS INTEGER) \
             AND coalesce(alerts.resolved_at, 9223372036854775807) >= piece.value \
             WHERE alerts.rule_id IS NOT NULL \
             ORDER BY alerts.equipment_id, alerts.rule_id, alerts.at, alerts.id",
        );
        Ok(())
    }
}

impl Query for Touching {
    type SqlType = SqlTypeOf<AsSelect<AlertRow, Sqlite>>;
}

impl RunQueryDsl<SqliteConnection> for Touching {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::{empty_database, plan};
    use domain::alerts::AlertStatus;
    use domain::page::Direction;
    use domain::rules::Severity;
    use domain::time::Span;

    fn plan_of(filter: AlertFilter, order: &[Order<AlertKey>]) -> String {
        let query = AlertQuery { filter, order: order.to_vec(), ..Default::default() };
        plan(&mut empty_database(), ordered(matching(&query.filter), &query).limit(50))
    }

    #[test]
    fn a_list_of_all_alerts_is_read_in_the_order_asked_for() {
        let indexes = [
            (AlertKey::Id, "SCAN alerts;"),
            (AlertKey::At, "SCAN alerts USING INDEX alerts_at;"),
            (AlertKey::LastSeenAt, "SCAN alerts USING INDEX alerts_last_seen_at;"),
            (AlertKey::Severity, "SCAN alerts USING INDEX alerts_severity;"),
            (AlertKey::Status, "SCAN alerts USING INDEX alerts_status;"),
        ];
        for (key, expected) in indexes {
            for direction in [Direction::Ascending, Direction::Descending] {
                let plan = plan_of(AlertFilter::default(), &[Order { key, direction }]);
                assert!(plan.starts_with(expected), "{key:?} {direction:?}: {plan}");
                assert!(!plan.contains("B-TREE FOR ORDER BY"), "{key:?} {direction:?}: {plan}");
            }
        }
    }

    #[test]
    fn alerts_that_a_filter_leaves_out_are_not_looked_at() {
        let piece = EquipmentId::new(1).unwrap();
        let none = AlertFilter::default;
        let from = Span { from: Some(Timestamp::MIN), until: None };
        let filters = [
            (AlertFilter { equipment: vec![piece], ..none() }, "alerts_equipment_id (equipment_id=?)"),
            (AlertFilter { severities: vec![Severity::Info], ..none() }, "alerts_severity (severity=?)"),
            (AlertFilter { statuses: vec![AlertStatus::Open], ..none() }, "alerts_status (status=?)"),
            (AlertFilter { rules: vec![RuleId::new(1).unwrap()], ..none() }, "alerts_rule_id (rule_id=?)"),
            (AlertFilter { metrics: vec![MetricName::restore("t")], ..none() }, "alerts_metric (metric=?)"),
            (AlertFilter { at: from, ..none() }, "alerts_at (at>?)"),
            (
                AlertFilter { reach: Reach::Only(vec![piece]), ..none() },
                "alerts_equipment_id (equipment_id=?)",
            ),
        ];
        for (filter, expected) in filters {
            let plan = plan_of(filter, &[]);
            assert!(plan.starts_with(&format!("SEARCH alerts USING INDEX {expected}")), "{plan}");
        }
    }

    #[test]
    fn alerts_are_counted_in_an_index_alone() {
        let filter = AlertFilter { severities: vec![Severity::Critical], ..Default::default() };
        for filter in [AlertFilter::default(), filter] {
            let plan = plan(&mut empty_database(), matching(&filter).count());
            assert!(plan.contains("USING COVERING INDEX alerts_"), "{plan}");
        }
    }

    #[test]
    fn alerts_that_touch_a_time_are_found_by_when_they_are_over() {
        let touching = Touching { columns: AlertRow::as_select(), pieces: "{}".into() };
        let plan = plan(&mut empty_database(), touching);
        assert!(
            plan.contains("SEARCH alerts USING INDEX alerts_over_at (equipment_id=? AND <expr>>?)"),
            "{plan}"
        );
    }
}
