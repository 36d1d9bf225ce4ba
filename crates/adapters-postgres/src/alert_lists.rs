//! Pages of alerts. A page is two statements however long it is.

use crate::alert_rows::AlertRow;
use crate::link::Link;
use crate::lists::{Ordering, among, by, effective, page, within};
use crate::rows::{Row, stamp};
use crate::schema::{alerts, equipment};
use crate::search;
use diesel::dsl::{count_star, exists, not};
use diesel::pg::Pg;
use diesel::prelude::*;
use domain::alerts::{Alert, AlertFilter, AlertKey, AlertQuery, AlertStatus};
use domain::equipment::Reach;
use domain::page::{Order, Page};
use domain::ports::StoreError;
use domain::rules::Severity;
use domain::telemetry::MetricName;

/// A page of alerts.
pub(crate) async fn list(link: &mut Link, query: &AlertQuery) -> Result<Page<Alert>, StoreError> {
    let order = effective(&query.order, AlertKey::Id);
    page!(link, query.page, matching(&query.filter), order, AlertRow::as_select(), AlertRow => Alert::try_from)
}

/// How many are not resolved. The index on what is not resolved finds them, so that all the others are not looked at.
pub(crate) async fn count_unresolved(
    link: &mut Link,
) -> Result<Vec<(Severity, AlertStatus, u64)>, StoreError> {
    let unresolved = [AlertStatus::Open as i16, AlertStatus::Acknowledged as i16];
    let kind = (alerts::severity, alerts::status);
    let counts: Vec<(i16, i16, i64)> = link
        .all(
            alerts::table
                .inner_join(equipment::table)
                .filter(equipment::hidden_at.is_null())
                .filter(alerts::status.eq_any(unresolved))
                .group_by(kind)
                .order(kind)
                .select((alerts::severity, alerts::status, count_star())),
        )
        .await?;
    let row = Row { table: "alerts", key: &"(all that are not resolved)" };
    let restored = counts.into_iter().map(|(severity, status, count)| {
        Ok((
            row.placed("severity", Severity::ALL, severity)?,
            row.placed("status", AlertStatus::ALL, status)?,
            row.read("count", u64::try_from(count).ok())?,
        ))
    });
    restored.collect()
}

fn matching(filter: &AlertFilter) -> alerts::BoxedQuery<'_, Pg> {
    let hidden = equipment::table
        .filter(equipment::id.eq(alerts::equipment_id))
        .filter(equipment::hidden_at.is_not_null());
    let mut matching = alerts::table.filter(not(exists(hidden))).into_boxed();
    among!(matching, alerts::equipment_id, filter.equipment, |piece| piece.get());
    among!(matching, alerts::severity, filter.severities, |severity| *severity as i16);
    among!(matching, alerts::status, filter.statuses, |status| *status as i16);
    among!(matching, alerts::rule_id, filter.rules, |rule| rule.get());
    among!(matching, alerts::metric, filter.metrics, MetricName::as_str);
    within!(matching, alerts::at, filter.at, stamp);
    if let Reach::Only(pieces) = &filter.reach {
        matching = matching.filter(alerts::equipment_id.eq_any(pieces.iter().map(|piece| piece.get())));
    }
    if let Some(text) = &filter.search {
        matching = matching.filter(alerts::search_key.like(search::pattern(text)));
    }
    matching
}

fn ordering(order: Order<AlertKey>) -> Ordering<alerts::table> {
    match order.key {
        AlertKey::Id => by!(alerts::id, order.direction),
        AlertKey::At => by!(alerts::at, order.direction),
        AlertKey::LastSeenAt => by!(alerts::last_seen_at, order.direction),
        AlertKey::Severity => by!(alerts::severity, order.direction),
        AlertKey::Status => by!(alerts::status, order.direction),
    }
}
