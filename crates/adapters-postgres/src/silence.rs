//! Equipment of which nothing was heard, found in one statement.

use crate::equipment::equipment_ids;
use crate::link::Link;
use crate::rows::stamp;
use crate::statement::Statement;
use diesel::sql_types::{Array, BigInt, Nullable, SmallInt, Text, Timestamptz};
use domain::equipment::Status;
use domain::id::{EquipmentId, RuleId};
use domain::ports::StoreError;
use domain::rules::Target;
use domain::telemetry::MetricName;
use domain::time::Timestamp;

/// What is owed is the newest reading, or the newest value of a metric. Who never reported a metric owes it to nobody but a
/// rule for exactly that piece. One text for each kind of target, so that each is planned for itself.
macro_rules! silent {
    ($target:literal, $never_reported:literal) => {
        concat!(
            "SELECT equipment.id FROM equipment JOIN equipment_heads AS head ON head.equipment_id = equipment.id \
             WHERE equipment.hidden_at IS NULL AND equipment.status = ANY(?) ",
            $target,
            " AND CASE WHEN ?::text IS NULL THEN coalesce(head.last_seen_at, equipment.created_at) \
                ELSE coalesce(CASE WHEN head.shape_id = ANY(ARRAY(SELECT shapes.id FROM shapes \
                        WHERE shapes.metrics && ARRAY(SELECT metrics.id FROM metrics WHERE metrics.name = ?))) \
                    THEN head.last_seen_at \
                    ELSE head.older_instants[array_position(head.older_metrics, \
                        (SELECT metrics.id FROM metrics WHERE metrics.name = ?))] END, ",
            $never_reported,
            ") END < ? AND equipment.updated_at < ? AND equipment.id > ? AND NOT EXISTS (SELECT FROM alerts \
                WHERE alerts.rule_id = ? AND alerts.equipment_id = equipment.id AND coalesce(alerts.resolved_at, 'infinity') >= ?) \
             ORDER BY equipment.id LIMIT ?"
        )
    };
}

const ALL: &str = silent!("", "NULL::timestamptz");
const OF_KIND: &str = silent!("AND equipment.kind_key = ?", "NULL::timestamptz");
const PIECE: &str = silent!("AND equipment.id = ?", "equipment.created_at");

/// The equipment that the target means and of which nothing was heard since `before`, nor read in the register, without those on
/// which the rule has an unresolved alert already, or had one until `before` or later.
pub(crate) async fn silent(
    link: &mut Link,
    rule: RuleId,
    target: &Target,
    metric: Option<&MetricName>,
    before: Timestamp,
    after: Option<EquipmentId>,
    limit: u32,
) -> Result<Vec<EquipmentId>, StoreError> {
    let reporting = Status::ALL.iter().filter(|status| status.is_expected_to_report());
    let reporting: Vec<i16> = reporting.map(|status| *status as i16).collect();
    let about = |text| Statement::<BigInt>::new(text).bind::<Array<SmallInt>, _>(reporting);
    let silent = match target {
        Target::All => about(ALL),
        Target::Kind(kind) => about(OF_KIND).bind::<Text, _>(kind.key()),
        Target::Equipment(id) => about(PIECE).bind::<BigInt, _>(id.get()),
    };
    let metric = metric.map(MetricName::as_str);
    let silent = silent
        .bind::<Nullable<Text>, _>(metric)
        .bind::<Nullable<Text>, _>(metric)
        .bind::<Nullable<Text>, _>(metric)
        .bind::<Timestamptz, _>(stamp(before))
        .bind::<Timestamptz, _>(stamp(before))
        .bind::<BigInt, _>(after.map_or(0, EquipmentId::get))
        .bind::<BigInt, _>(rule.get())
        .bind::<Timestamptz, _>(stamp(before))
        .bind::<BigInt, _>(i64::from(limit));
    equipment_ids(link.all(silent).await?)
}
