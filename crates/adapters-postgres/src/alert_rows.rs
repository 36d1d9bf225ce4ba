//! Between alerts, the lines of their timelines, and rows.

use crate::rows::{Row, stamp};
use crate::schema::{alert_entries, alerts};
use crate::search;
use diesel::data_types::PgTimestamp;
use diesel::dsl::{AsSelect, SqlTypeOf};
use diesel::pg::Pg;
use diesel::prelude::*;
use domain::alerts::{Act, Alert, AlertChange, AlertEntry, AlertStatus, NewAlert, NewAlertEntry, RaisedBy};
use domain::id::{AlertEntryId, AlertId, EquipmentId, RuleId};
use domain::ports::StoreError;
use domain::rules::Severity;
use domain::telemetry::MetricName;
use domain::text::Description;
use domain::time::Timestamp;

/// The SQL types of an [`AlertRow`].
pub(crate) type AlertColumns = SqlTypeOf<AsSelect<AlertRow, Pg>>;

/// All that a search looks through.
pub(crate) fn search_key(alert: &NewAlert) -> String {
    search::key([&alert.description].into_iter().chain(&alert.note).map(Description::as_str))
}

/// How often, as the database counts.
pub(crate) fn stored_count(occurrences: u64) -> i64 {
    i64::try_from(occurrences).unwrap_or(i64::MAX)
}

#[derive(Insertable)]
#[diesel(table_name = alerts, treat_none_as_default_value = false)]
pub(crate) struct NewAlertRow<'alert> {
    equipment_id: i64,
    rule_id: Option<i64>,
    rule_version: Option<i64>,
    metric: Option<&'alert str>,
    severity: i16,
    description: &'alert str,
    began_at: PgTimestamp,
    at: PgTimestamp,
    value: Option<f64>,
    last_seen_at: PgTimestamp,
    occurrences: i64,
    note: Option<&'alert str>,
    search_key: String,
    status: i16,
    resolved_at: Option<PgTimestamp>,
    created_at: PgTimestamp,
    updated_at: PgTimestamp,
}

impl<'alert> NewAlertRow<'alert> {
    pub(crate) fn new(alert: &'alert NewAlert, ended_at: Option<Timestamp>) -> Self {
        let status = if ended_at.is_some() { AlertStatus::Resolved } else { AlertStatus::Open };
        Self {
            equipment_id: alert.equipment.get(),
            rule_id: alert.raised_by.map(|by| by.rule.get()),
            rule_version: alert.raised_by.map(|by| by.version.get()),
            metric: alert.metric.as_ref().map(MetricName::as_str),
            severity: alert.severity as i16,
            description: alert.description.as_str(),
            began_at: stamp(alert.began_at),
            at: stamp(alert.at),
            value: alert.value,
            last_seen_at: stamp(alert.last_seen_at),
            occurrences: stored_count(alert.occurrences),
            note: alert.note.as_ref().map(Description::as_str),
            search_key: search_key(alert),
            status: status as i16,
            resolved_at: ended_at.map(stamp),
            created_at: stamp(alert.created_at),
            updated_at: stamp(alert.created_at),
        }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = alerts, check_for_backend(Pg))]
pub(crate) struct AlertRow {
    id: i64,
    equipment_id: i64,
    rule_id: Option<i64>,
    rule_version: Option<i64>,
    metric: Option<String>,
    severity: i16,
    description: String,
    began_at: PgTimestamp,
    at: PgTimestamp,
    value: Option<f64>,
    last_seen_at: PgTimestamp,
    occurrences: i64,
    note: Option<String>,
    status: i16,
    acknowledged_at: Option<PgTimestamp>,
    acknowledged_by_id: Option<i64>,
    acknowledged_by_name: Option<String>,
    resolved_at: Option<PgTimestamp>,
    resolved_by_id: Option<i64>,
    resolved_by_name: Option<String>,
    version: i64,
    created_at: PgTimestamp,
    updated_at: PgTimestamp,
}

impl TryFrom<AlertRow> for Alert {
    type Error = StoreError;

    fn try_from(alert: AlertRow) -> Result<Self, StoreError> {
        let row = Row { table: "alerts", key: &alert.id };
        let acknowledged_by =
            row.maybe_person("acknowledged_by_id", alert.acknowledged_by_id, alert.acknowledged_by_name)?;
        let resolved_by = row.maybe_person("resolved_by_id", alert.resolved_by_id, alert.resolved_by_name)?;
        let acknowledged_at = row.maybe_instant("acknowledged_at", alert.acknowledged_at)?;
        let resolved_at = row.maybe_instant("resolved_at", alert.resolved_at)?;
        Ok(Self {
            id: row.read("id", AlertId::new(alert.id))?,
            status: row.placed("status", AlertStatus::ALL, alert.status)?,
            acknowledged: acknowledged_at.map(|at| Act { by: acknowledged_by, at }),
            resolved: resolved_at.map(|at| Act { by: resolved_by, at }),
            version: row.version(alert.version)?,
            updated_at: row.instant("updated_at", alert.updated_at)?,
            what: NewAlert {
                equipment: row.read("equipment_id", EquipmentId::new(alert.equipment_id))?,
                raised_by: raised_by(&row, alert.rule_id, alert.rule_version)?,
                metric: alert.metric.as_deref().map(MetricName::restore),
                severity: row.placed("severity", Severity::ALL, alert.severity)?,
                began_at: row.instant("began_at", alert.began_at)?,
                at: row.instant("at", alert.at)?,
                value: alert.value,
                last_seen_at: row.instant("last_seen_at", alert.last_seen_at)?,
                occurrences: row.read("occurrences", u64::try_from(alert.occurrences).ok())?,
                created_at: row.instant("created_at", alert.created_at)?,
                description: Description::restore(alert.description),
                note: alert.note.map(Description::restore),
            },
        })
    }
}

/// The rule that raised an alert, while there is that rule. Its version stays behind when it goes.
fn raised_by(row: &Row<'_>, rule: Option<i64>, version: Option<i64>) -> Result<Option<RaisedBy>, StoreError> {
    let Some(rule) = rule else { return Ok(None) };
    let version = row.version(row.read("rule_version", version)?)?;
    Ok(Some(RaisedBy { rule: row.read("rule_id", RuleId::new(rule))?, version }))
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = alert_entries, check_for_backend(Pg))]
pub(crate) struct EntryRow {
    id: i64,
    alert_id: i64,
    at: PgTimestamp,
    change: String,
    by_id: Option<i64>,
    by_name: Option<String>,
    status: i16,
    note: Option<String>,
}

impl TryFrom<EntryRow> for AlertEntry {
    type Error = StoreError;

    fn try_from(entry: EntryRow) -> Result<Self, StoreError> {
        let row = Row { table: "alert_entries", key: &entry.id };
        Ok(Self {
            id: row.read("id", AlertEntryId::new(entry.id))?,
            what: NewAlertEntry {
                alert: row.read("alert_id", AlertId::new(entry.alert_id))?,
                at: row.instant("at", entry.at)?,
                change: row.read("change", AlertChange::parse(&entry.change))?,
                by: row.maybe_person("by_id", entry.by_id, entry.by_name)?,
                status: row.placed("status", AlertStatus::ALL, entry.status)?,
                note: entry.note.map(Description::restore),
            },
        })
    }
}
