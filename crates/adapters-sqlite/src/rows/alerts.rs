//! Rows of alert rules, of alerts and of their timelines.

use super::ranks::Ranked;
use super::{Place, person};
use crate::schema::{alert_entries, alert_rules, alerts};
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::alerts::{Act, Alert, AlertChange, AlertEntry, AlertStatus, NewAlert, NewAlertEntry, RaisedBy};
use domain::id::{AlertEntryId, AlertId, EquipmentId, RuleId, Version};
use domain::maintenance::Person;
use domain::ports::StoreError;
use domain::rules::{Condition, Operator, Rule, RuleDetails, Severity, Target, Threshold};
use domain::telemetry::MetricName;
use domain::text::{Description, Label};
use std::time::Duration;

#[derive(Queryable, Selectable)]
#[diesel(table_name = alert_rules, check_for_backend(Sqlite))]
pub(crate) struct RuleRow {
    id: i64,
    name: String,
    equipment_id: Option<i64>,
    kind: Option<String>,
    metric: Option<String>,
    operator: Option<String>,
    threshold: Option<f64>,
    threshold_high: Option<f64>,
    clear_threshold: Option<f64>,
    wait_us: i64,
    severity: i32,
    enabled: bool,
    latch: bool,
    in_force_since: i64,
    in_force_version: i64,
    version: i64,
    created_at: i64,
    updated_at: i64,
}

fn target(row: &RuleRow, place: &Place<i64>) -> Result<Target, StoreError> {
    match (row.equipment_id, &row.kind) {
        (Some(id), _) => Ok(Target::Equipment(place.sound("equipment_id", EquipmentId::new(id))?)),
        (None, Some(kind)) => Ok(Target::Kind(Label::restore(kind.clone()))),
        (None, None) => Ok(Target::All),
    }
}

fn condition(row: &RuleRow, place: &Place<i64>) -> Result<Condition, StoreError> {
    let metric = row.metric.as_deref().map(MetricName::restore);
    let Some(operator) = &row.operator else {
        return Ok(Condition::NoData(metric));
    };
    Ok(Condition::Threshold(Threshold {
        metric: place.sound("metric", metric)?,
        operator: place.sound("operator", Operator::parse(operator))?,
        threshold: place.sound("threshold", row.threshold)?,
        threshold_high: row.threshold_high,
        clear_threshold: row.clear_threshold,
    }))
}

impl TryFrom<RuleRow> for Rule {
    type Error = StoreError;

    fn try_from(row: RuleRow) -> Result<Self, StoreError> {
        let place = Place { table: "alert_rules", row: row.id };
        let wait_us = place.sound("wait_us", u64::try_from(row.wait_us).ok())?;
        Ok(Self {
            id: place.sound("id", RuleId::new(row.id))?,
            details: RuleDetails {
                target: target(&row, &place)?,
                condition: condition(&row, &place)?,
                name: Label::restore(row.name),
                wait: Duration::from_micros(wait_us),
                severity: place.sound("severity", Severity::of_rank(row.severity))?,
                enabled: row.enabled,
                latch: row.latch,
            },
            in_force_since: place.instant("in_force_since", row.in_force_since)?,
            in_force_version: place.sound("in_force_version", Version::new(row.in_force_version))?,
            version: place.sound("version", Version::new(row.version))?,
            created_at: place.instant("created_at", row.created_at)?,
            updated_at: place.instant("updated_at", row.updated_at)?,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = alerts, check_for_backend(Sqlite))]
pub(crate) struct AlertRow {
    id: i64,
    equipment_id: i64,
    rule_id: Option<i64>,
    rule_version: Option<i64>,
    metric: Option<String>,
    severity: i32,
    status: i32,
    description: String,
    began_at: i64,
    at: i64,
    value: Option<f64>,
    last_seen_at: i64,
    occurrences: i64,
    note: Option<String>,
    acknowledged_at: Option<i64>,
    acknowledged_by_id: Option<i64>,
    acknowledged_by_name: Option<String>,
    resolved_at: Option<i64>,
    resolved_by_id: Option<i64>,
    resolved_by_name: Option<String>,
    version: i64,
    created_at: i64,
    updated_at: i64,
}

fn raised_by(row: &AlertRow, place: &Place<i64>) -> Result<Option<RaisedBy>, StoreError> {
    let Some(rule) = row.rule_id else {
        return Ok(None);
    };
    let rule = place.sound("rule_id", RuleId::new(rule))?;
    let version = place.sound("rule_version", row.rule_version.and_then(Version::new))?;
    Ok(Some(RaisedBy { rule, version }))
}

fn person_if_any(
    place: &Place<i64>,
    column: &'static str,
    id: Option<i64>,
    name: Option<String>,
) -> Result<Option<Person>, StoreError> {
    name.map(|name| person(place, column, id, name)).transpose()
}

impl TryFrom<AlertRow> for Alert {
    type Error = StoreError;

    fn try_from(row: AlertRow) -> Result<Self, StoreError> {
        let place = Place { table: "alerts", row: row.id };
        let raised_by = raised_by(&row, &place)?;
        let acknowledged_by =
            person_if_any(&place, "acknowledged_by_id", row.acknowledged_by_id, row.acknowledged_by_name)?;
        let resolved_by = person_if_any(&place, "resolved_by_id", row.resolved_by_id, row.resolved_by_name)?;
        let acknowledged_at = place.instant_if_any("acknowledged_at", row.acknowledged_at)?;
        let resolved_at = place.instant_if_any("resolved_at", row.resolved_at)?;
        let what = NewAlert {
            equipment: place.sound("equipment_id", EquipmentId::new(row.equipment_id))?,
            raised_by,
            metric: row.metric.as_deref().map(MetricName::restore),
            severity: place.sound("severity", Severity::of_rank(row.severity))?,
            description: Description::restore(row.description),
            began_at: place.instant("began_at", row.began_at)?,
            at: place.instant("at", row.at)?,
            value: row.value,
            last_seen_at: place.instant("last_seen_at", row.last_seen_at)?,
            occurrences: place.sound("occurrences", u64::try_from(row.occurrences).ok())?,
            note: row.note.map(Description::restore),
            created_at: place.instant("created_at", row.created_at)?,
        };
        Ok(Self {
            id: place.sound("id", AlertId::new(row.id))?,
            what,
            status: place.sound("status", AlertStatus::of_rank(row.status))?,
            acknowledged: acknowledged_at.map(|at| Act { by: acknowledged_by, at }),
            resolved: resolved_at.map(|at| Act { by: resolved_by, at }),
            version: place.sound("version", Version::new(row.version))?,
            updated_at: place.instant("updated_at", row.updated_at)?,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = alert_entries, check_for_backend(Sqlite))]
pub(crate) struct AlertEntryRow {
    id: i64,
    alert_id: i64,
    at: i64,
    change: String,
    by_id: Option<i64>,
    by_name: Option<String>,
    status: i32,
    note: Option<String>,
}

impl TryFrom<AlertEntryRow> for AlertEntry {
    type Error = StoreError;

    fn try_from(row: AlertEntryRow) -> Result<Self, StoreError> {
        let place = Place { table: "alert_entries", row: row.id };
        let what = NewAlertEntry {
            alert: place.sound("alert_id", AlertId::new(row.alert_id))?,
            at: place.instant("at", row.at)?,
            change: place.sound("change", AlertChange::parse(&row.change))?,
            by: person_if_any(&place, "by_id", row.by_id, row.by_name)?,
            status: place.sound("status", AlertStatus::of_rank(row.status))?,
            note: row.note.map(Description::restore),
        };
        Ok(Self { id: place.sound("id", AlertEntryId::new(row.id))?, what })
    }
}
