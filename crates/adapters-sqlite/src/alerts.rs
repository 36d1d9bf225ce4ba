//! Alerts and their timelines. Lists of alerts are in `alert_lists.rs`.

use crate::alert_lists::{self, touching};
use crate::among::among;
use crate::errors::{dangles, gone};
use crate::lists::restored;
use crate::overwrite::overwrite;
use crate::rows::{AlertEntryRow, AlertRow, Place, Ranked};
use crate::schema::{alert_entries, alerts, equipment};
use crate::work::{Answer, Work};
use async_trait::async_trait;
use diesel::prelude::*;
use domain::alerts::{Act, Alert, AlertEntry, AlertQuery, AlertStatus, NewAlert, NewAlertEntry};
use domain::id::{AlertId, EquipmentId, RuleId, UserId, Version};
use domain::maintenance::Person;
use domain::page::Page;
use domain::ports::{Alerts, Reference, StoreError};
use domain::rules::Severity;
use domain::telemetry::MetricName;
use domain::text::{Description, fold};
use domain::time::Timestamp;
use std::collections::HashSet;

/// How many rows are written by one statement: SQLite takes 32,766 parameters.
const AT_ONCE: usize = 1_000;

#[async_trait]
impl Alerts for Work {
    async fn insert(&mut self, alert: &NewAlert, ended_at: Option<Timestamp>) -> Result<Alert, StoreError> {
        let alert = alert.clone();
        self.run(move |connection| insert(connection, &alert, ended_at)).await
    }

    async fn find(&mut self, id: AlertId) -> Result<Option<Alert>, StoreError> {
        self.run(move |connection| {
            let row = alerts::table
                .inner_join(equipment::table)
                .filter(alerts::id.eq(id.get()))
                .filter(equipment::hidden_at.is_null())
                .select(AlertRow::as_select())
                .first(connection)
                .optional()?;
            Ok(row.map(Alert::try_from).transpose()?)
        })
        .await
    }

    async fn lock(&mut self, id: AlertId) -> Result<Option<Alert>, StoreError> {
        self.hold()?;
        Alerts::find(self, id).await
    }

    async fn save_all(&mut self, alerts: &[Alert]) -> Result<(), StoreError> {
        let alerts = alerts.to_vec();
        self.run(move |connection| save_all(connection, alerts)).await
    }

    async fn delete(&mut self, id: AlertId) -> Result<bool, StoreError> {
        self.run(move |connection| Ok(diesel::delete(alerts::table.find(id.get())).execute(connection)? > 0))
            .await
    }

    async fn list(&mut self, query: &AlertQuery) -> Result<Page<Alert>, StoreError> {
        let query = query.clone();
        self.run(move |connection| alert_lists::page(connection, &query)).await
    }

    async fn count_unresolved(&mut self) -> Result<Vec<(Severity, AlertStatus, u64)>, StoreError> {
        self.run(alert_lists::count_unresolved).await
    }

    async fn touching(&mut self, equipment: &[(EquipmentId, Timestamp)]) -> Result<Vec<Alert>, StoreError> {
        let pieces = equipment.to_vec();
        self.run(move |connection| touching(connection, &pieces)).await
    }

    async fn last_resolved(
        &mut self,
        rule: RuleId,
        equipment: EquipmentId,
        before: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.run(move |connection| last_resolved(connection, rule, equipment, before)).await
    }

    async fn lock_unresolved_of(&mut self, rule: RuleId) -> Result<Vec<Alert>, StoreError> {
        self.hold()?;
        self.run(move |connection| {
            let unresolved = alerts::table
                .filter(alerts::rule_id.eq(rule.get()))
                .filter(alerts::resolved_at.is_null())
                .order(alerts::id)
                .select(AlertRow::as_select());
            restored(unresolved.load(connection)?)
        })
        .await
    }

    async fn note(&mut self, entries: &[NewAlertEntry]) -> Result<(), StoreError> {
        let entries = entries.to_vec();
        self.run(move |connection| note(connection, &entries)).await
    }

    async fn timeline(&mut self, alert: AlertId) -> Result<Vec<AlertEntry>, StoreError> {
        self.run(move |connection| {
            let of_alert = alert_entries::table.filter(alert_entries::alert_id.eq(alert.get()));
            let lines = of_alert.order(alert_entries::id).select(AlertEntryRow::as_select());
            restored(lines.load(connection)?)
        })
        .await
    }
}

#[derive(Insertable)]
#[diesel(table_name = alerts, treat_none_as_default_value = false)]
struct Columns<'a> {
    equipment_id: i64,
    rule_id: Option<i64>,
    rule_version: Option<i64>,
    metric: Option<&'a str>,
    severity: i32,
    status: i32,
    description: &'a str,
    description_key: String,
    began_at: i64,
    at: i64,
    value: Option<f64>,
    last_seen_at: i64,
    occurrences: i64,
    note: Option<&'a str>,
    note_key: Option<String>,
    acknowledged_at: Option<i64>,
    acknowledged_by_id: Option<i64>,
    acknowledged_by_name: Option<&'a str>,
    resolved_at: Option<i64>,
    resolved_by_id: Option<i64>,
    resolved_by_name: Option<&'a str>,
    version: i64,
    created_at: i64,
    updated_at: i64,
}

/// Instant, account and name of an act.
type ActColumns<'a> = (Option<i64>, Option<i64>, Option<&'a str>);

fn act_columns(act: Option<&Act>) -> ActColumns<'_> {
    let by = act.and_then(|act| act.by.as_ref());
    (act.map(|act| act.at.micros()), person_id(by), by.map(|person| person.name.as_str()))
}

fn person_id(person: Option<&Person>) -> Option<i64> {
    person.and_then(|person| person.id).map(UserId::get)
}

impl<'a> Columns<'a> {
    fn of_new(alert: &'a NewAlert, ended_at: Option<Timestamp>) -> Self {
        let status = if ended_at.is_some() { AlertStatus::Resolved } else { AlertStatus::Open };
        Self {
            equipment_id: alert.equipment.get(),
            rule_id: alert.raised_by.map(|by| by.rule.get()),
            rule_version: alert.raised_by.map(|by| by.version.get()),
            metric: alert.metric.as_ref().map(MetricName::as_str),
            severity: alert.severity.rank(),
            status: status.rank(),
            description: alert.description.as_str(),
            description_key: fold(alert.description.as_str()),
            began_at: alert.began_at.micros(),
            at: alert.at.micros(),
            value: alert.value,
            last_seen_at: alert.last_seen_at.micros(),
            occurrences: i64::try_from(alert.occurrences).unwrap_or(i64::MAX),
            note: alert.note.as_ref().map(Description::as_str),
            note_key: alert.note.as_ref().map(|note| fold(note.as_str())),
            acknowledged_at: None,
            acknowledged_by_id: None,
            acknowledged_by_name: None,
            resolved_at: ended_at.map(Timestamp::micros),
            resolved_by_id: None,
            resolved_by_name: None,
            version: Version::FIRST.get(),
            created_at: alert.created_at.micros(),
            updated_at: alert.created_at.micros(),
        }
    }

    fn of(alert: &'a Alert) -> Self {
        let (acknowledged_at, acknowledged_by_id, acknowledged_by_name) =
            act_columns(alert.acknowledged.as_ref());
        let (resolved_at, resolved_by_id, resolved_by_name) = act_columns(alert.resolved.as_ref());
        Self {
            status: alert.status.rank(),
            acknowledged_at,
            acknowledged_by_id,
            acknowledged_by_name,
            resolved_at,
            resolved_by_id,
            resolved_by_name,
            updated_at: alert.updated_at.micros(),
            ..Self::of_new(&alert.what, None)
        }
    }
}

fn insert(connection: &mut SqliteConnection, alert: &NewAlert, ended_at: Option<Timestamp>) -> Answer<Alert> {
    let columns = Columns::of_new(alert, ended_at);
    let referred = [(Reference::Equipment, Some(columns.equipment_id)), (Reference::Rule, columns.rule_id)];
    let row = diesel::insert_into(alerts::table)
        .values(columns)
        .returning(AlertRow::as_returning())
        .get_result(connection)
        .map_err(|error| gone(connection, error, &referred))?;
    Ok(row.try_into()?)
}

/// Writes all of them by few statements. What is resolved afterwards comes first: so a rule and a piece never have two
/// unresolved alerts on the way, unless they have two in the end.
fn save_all(connection: &mut SqliteConnection, mut all: Vec<Alert>) -> Answer<()> {
    refuse_gone(connection, &all)?;
    all.sort_by_key(|alert| alert.status != AlertStatus::Resolved);

    for part in all.chunks(AT_ONCE) {
        diesel::insert_into(alerts::table)
            .values(part.iter().map(stored_row).collect::<Vec<_>>())
            .on_conflict(alerts::id)
            .do_update()
            .set((
                overwrite!(alerts: metric, severity, status, description, description_key, began_at, at, value),
                overwrite!(alerts: last_seen_at, occurrences, note, note_key, updated_at),
                overwrite!(alerts: acknowledged_at, acknowledged_by_id, acknowledged_by_name),
                overwrite!(alerts: resolved_at, resolved_by_id, resolved_by_name),
                alerts::version.eq(alerts::version + 1),
            ))
            .execute(connection)
            .map_err(dangles(Reference::User))?;
    }
    Ok(())
}

fn stored_row(alert: &Alert) -> (diesel::dsl::Eq<alerts::id, i64>, Columns<'_>) {
    (alerts::id.eq(alert.id.get()), Columns::of(alert))
}

fn refuse_gone(connection: &mut SqliteConnection, all: &[Alert]) -> Answer<()> {
    let wanted: HashSet<i64> = all.iter().map(|alert| alert.id.get()).collect();
    let distinct = wanted.len();
    let there: i64 = alerts::table.filter(among(alerts::id, wanted)).count().get_result(connection)?;
    if usize::try_from(there) == Ok(distinct) {
        return Ok(());
    }
    Err(StoreError::Dangling(Reference::Alert).into())
}

fn last_resolved(
    connection: &mut SqliteConnection,
    rule: RuleId,
    equipment: EquipmentId,
    before: Timestamp,
) -> Answer<Option<Timestamp>> {
    let newest: Option<i64> = alerts::table
        .filter(alerts::rule_id.eq(rule.get()))
        .filter(alerts::equipment_id.eq(equipment.get()))
        .filter(alerts::resolved_at.lt(before.micros()))
        .select(diesel::dsl::max(alerts::resolved_at))
        .get_result(connection)?;
    let place = Place { table: "alerts", row: equipment };
    Ok(place.instant_if_any("resolved_at", newest)?)
}

fn note(connection: &mut SqliteConnection, entries: &[NewAlertEntry]) -> Answer<()> {
    let row = |entry: &NewAlertEntry| {
        (
            alert_entries::alert_id.eq(entry.alert.get()),
            alert_entries::at.eq(entry.at.micros()),
            alert_entries::change.eq(entry.change.name()),
            alert_entries::by_id.eq(person_id(entry.by.as_ref())),
            alert_entries::by_name.eq(entry.by.as_ref().map(|person| person.name.clone())),
            alert_entries::status.eq(entry.status.rank()),
            alert_entries::note.eq(entry.note.as_ref().map(|note| note.as_str().to_owned())),
        )
    };
    for part in entries.chunks(AT_ONCE) {
        diesel::insert_into(alert_entries::table)
            .values(part.iter().map(row).collect::<Vec<_>>())
            .execute(connection)
            .map_err(|error| {
                let alerts = part.iter().map(|entry| (Reference::Alert, Some(entry.alert.get())));
                let people = part.iter().map(|entry| (Reference::User, person_id(entry.by.as_ref())));
                gone(connection, error, &alerts.chain(people).collect::<Vec<_>>())
            })?;
    }
    Ok(())
}
