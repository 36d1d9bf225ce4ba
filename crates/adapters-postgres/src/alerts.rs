//! Alerts and their timelines: the `alerts` and `alert_entries` tables. Pages of alerts are in `alert_lists`, how rows become
//! alerts in `alert_rows`.

use crate::alert_lists;
use crate::alert_rows::{AlertColumns, AlertRow, EntryRow, NewAlertRow, search_key, stored_count};
use crate::link::Link;
use crate::rows::{Row, stamp};
use crate::schema::{alert_entries, alerts, equipment};
use crate::statement::Statement;
use async_trait::async_trait;
use diesel::data_types::PgTimestamp;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Double, Nullable, SmallInt, Text, Timestamptz};
use domain::alerts::{Act, Alert, AlertEntry, AlertQuery, AlertStatus, NewAlert, NewAlertEntry};
use domain::id::{AlertId, EquipmentId, RuleId, UserId};
use domain::maintenance::Person;
use domain::page::Page;
use domain::ports::{Alerts, Reference, StoreError};
use domain::rules::Severity;
use domain::telemetry::MetricName;
use domain::text::Description;
use domain::time::Timestamp;

/// Whoever acted and is gone meanwhile is remembered by name alone.
const SAVE: &str = "\
    UPDATE alerts SET metric = new.metric, severity = new.severity, description = new.description, \
        began_at = new.began_at, at = new.at, value = new.value, last_seen_at = new.last_seen_at, \
        occurrences = new.occurrences, note = new.note, search_key = new.search_key, status = new.status, \
        acknowledged_at = new.acknowledged_at, \
        acknowledged_by_id = (SELECT users.id FROM users WHERE users.id = new.acknowledged_by_id), \
        acknowledged_by_name = new.acknowledged_by_name, resolved_at = new.resolved_at, \
        resolved_by_id = (SELECT users.id FROM users WHERE users.id = new.resolved_by_id), \
        resolved_by_name = new.resolved_by_name, version = alerts.version + 1, updated_at = new.updated_at \
    FROM unnest(?::bigint[], ?::text[], ?::smallint[], ?::text[], ?::timestamptz[], ?::timestamptz[], \
            ?::double precision[], ?::timestamptz[], ?::bigint[], ?::text[], ?::text[], ?::smallint[], \
            ?::timestamptz[], ?::bigint[], ?::text[], ?::timestamptz[], ?::bigint[], ?::text[], ?::timestamptz[]) \
        AS new (id, metric, severity, description, began_at, at, \
            value, last_seen_at, occurrences, note, search_key, status, \
            acknowledged_at, acknowledged_by_id, acknowledged_by_name, \
            resolved_at, resolved_by_id, resolved_by_name, updated_at) \
    WHERE alerts.id = new.id";

/// What is not resolved ends never; the index knows it so.
const TOUCHING: &str = "\
    SELECT ? FROM (SELECT unnest(?::bigint[]) AS equipment_id, unnest(?::timestamptz[]) AS since) AS touched \
    JOIN alerts ON alerts.equipment_id = touched.equipment_id AND alerts.rule_id IS NOT NULL \
        AND coalesce(alerts.resolved_at, 'infinity') >= touched.since \
    ORDER BY alerts.equipment_id, alerts.rule_id, alerts.at, alerts.id";

const LAST_RESOLVED: &str = "\
    SELECT max(resolved_at) FROM alerts \
    WHERE rule_id = ? AND equipment_id = ? AND coalesce(resolved_at, 'infinity') < ?";

/// In order, so that later lines have larger ids.
const NOTE: &str = "\
    INSERT INTO alert_entries (alert_id, at, change, by_id, by_name, status, note) \
    SELECT alert_id, at, change, (SELECT users.id FROM users WHERE users.id = new.by_id), by_name, status, note \
    FROM unnest(?::bigint[], ?::timestamptz[], ?::text[], ?::bigint[], ?::text[], ?::smallint[], ?::text[]) \
        WITH ORDINALITY AS new (alert_id, at, change, by_id, by_name, status, note, place) \
    ORDER BY place";

/// Asks for the alerts that rules raised on these pieces and that are not over by then.
pub(crate) fn touching(equipment: &[(EquipmentId, Timestamp)]) -> Statement<'static, AlertColumns> {
    let mut touched: Vec<(i64, Timestamp)> =
        equipment.iter().map(|(piece, since)| (piece.get(), *since)).collect();
    // Of a piece that is named twice the earlier instant, which sorting puts first.
    touched.sort_unstable();
    touched.dedup_by_key(|(piece, _)| *piece);
    let (pieces, since): (Vec<i64>, Vec<PgTimestamp>) =
        touched.into_iter().map(|(piece, since)| (piece, stamp(since))).unzip();
    Statement::new(TOUCHING)
        .part(AlertRow::as_select())
        .bind::<Array<BigInt>, _>(pieces)
        .bind::<Array<Timestamptz>, _>(since)
}

#[async_trait]
impl Alerts for Link {
    async fn insert(&mut self, alert: &NewAlert, ended_at: Option<Timestamp>) -> Result<Alert, StoreError> {
        let row = diesel::insert_into(alerts::table)
            .values(NewAlertRow::new(alert, ended_at))
            .returning(AlertRow::as_returning());
        Alert::try_from(self.the(row).await?)
    }

    async fn find(&mut self, id: AlertId) -> Result<Option<Alert>, StoreError> {
        let row = alerts::table
            .inner_join(equipment::table)
            .filter(alerts::id.eq(id.get()))
            .filter(equipment::hidden_at.is_null())
            .select(AlertRow::as_select());
        self.one(row).await?.map(Alert::try_from).transpose()
    }

    /// Locks first and reads afterwards, because a statement that waited for the lock would still see the register of before.
    async fn lock(&mut self, id: AlertId) -> Result<Option<Alert>, StoreError> {
        let lock = alerts::table.find(id.get()).select(alerts::id).for_no_key_update();
        let locked: Option<i64> = self.one(lock).await?;
        if locked.is_none() {
            return Ok(None);
        }
        Alerts::find(self, id).await
    }

    /// First those that are resolved, so that an alert may take the place of another that ends with it.
    async fn save_all(&mut self, alerts: &[Alert]) -> Result<(), StoreError> {
        let (ended, lasting): (Vec<&Alert>, Vec<&Alert>) =
            alerts.iter().partition(|alert| alert.status == AlertStatus::Resolved);
        for part in [ended, lasting] {
            if !part.is_empty() && self.run(saved(&part)).await? < part.len() {
                return Err(StoreError::Dangling(Reference::Alert));
            }
        }
        Ok(())
    }

    async fn delete(&mut self, id: AlertId) -> Result<bool, StoreError> {
        Ok(self.run(diesel::delete(alerts::table.find(id.get()))).await? > 0)
    }

    async fn list(&mut self, query: &AlertQuery) -> Result<Page<Alert>, StoreError> {
        alert_lists::list(self, query).await
    }

    async fn count_unresolved(&mut self) -> Result<Vec<(Severity, AlertStatus, u64)>, StoreError> {
        alert_lists::count_unresolved(self).await
    }

    async fn touching(&mut self, equipment: &[(EquipmentId, Timestamp)]) -> Result<Vec<Alert>, StoreError> {
        self.all(touching(equipment)).await?.into_iter().map(|row: AlertRow| Alert::try_from(row)).collect()
    }

    async fn last_resolved(
        &mut self,
        rule: RuleId,
        equipment: EquipmentId,
        before: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let last = Statement::<Nullable<Timestamptz>>::new(LAST_RESOLVED)
            .bind::<BigInt, _>(rule.get())
            .bind::<BigInt, _>(equipment.get())
            .bind::<Timestamptz, _>(stamp(before));
        let last: Option<PgTimestamp> = self.the(last).await?;
        Row { table: "alerts", key: &"(the newest)" }.maybe_instant("resolved_at", last)
    }

    async fn lock_unresolved_of(&mut self, rule: RuleId) -> Result<Vec<Alert>, StoreError> {
        let rows = alerts::table
            .filter(alerts::rule_id.eq(rule.get()))
            .filter(alerts::status.ne(AlertStatus::Resolved as i16))
            .order(alerts::id)
            .select(AlertRow::as_select())
            .for_no_key_update();
        self.all(rows).await?.into_iter().map(Alert::try_from).collect()
    }

    async fn note(&mut self, entries: &[NewAlertEntry]) -> Result<(), StoreError> {
        let noted = Statement::<()>::new(NOTE)
            .bind::<Array<BigInt>, _>(each(entries, |entry| entry.alert.get()))
            .bind::<Array<Timestamptz>, _>(each(entries, |entry| stamp(entry.at)))
            .bind::<Array<Text>, _>(each(entries, |entry| entry.change.name()))
            .bind::<Array<Nullable<BigInt>>, _>(each(entries, |entry| account(entry.by.as_ref())))
            .bind::<Array<Nullable<Text>>, _>(each(entries, |entry| name(entry.by.as_ref())))
            .bind::<Array<SmallInt>, _>(each(entries, |entry| entry.status as i16))
            .bind::<Array<Nullable<Text>>, _>(each(entries, |entry| {
                entry.note.as_ref().map(Description::as_str)
            }));
        self.run(noted).await?;
        Ok(())
    }

    async fn timeline(&mut self, alert: AlertId) -> Result<Vec<AlertEntry>, StoreError> {
        let rows = alert_entries::table
            .filter(alert_entries::alert_id.eq(alert.get()))
            .order(alert_entries::id)
            .select(EntryRow::as_select());
        self.all(rows).await?.into_iter().map(AlertEntry::try_from).collect()
    }
}

fn saved<'alert>(alerts: &[&'alert Alert]) -> Statement<'alert> {
    let acknowledged = |alert: &&'alert Alert| alert.acknowledged.as_ref();
    let resolved = |alert: &&'alert Alert| alert.resolved.as_ref();
    Statement::new(SAVE)
        .bind::<Array<BigInt>, _>(each(alerts, |alert| alert.id.get()))
        .bind::<Array<Nullable<Text>>, _>(each(alerts, |alert| {
            alert.what.metric.as_ref().map(MetricName::as_str)
        }))
        .bind::<Array<SmallInt>, _>(each(alerts, |alert| alert.what.severity as i16))
        .bind::<Array<Text>, _>(each(alerts, |alert| alert.what.description.as_str()))
        .bind::<Array<Timestamptz>, _>(each(alerts, |alert| stamp(alert.what.began_at)))
        .bind::<Array<Timestamptz>, _>(each(alerts, |alert| stamp(alert.what.at)))
        .bind::<Array<Nullable<Double>>, _>(each(alerts, |alert| alert.what.value))
        .bind::<Array<Timestamptz>, _>(each(alerts, |alert| stamp(alert.what.last_seen_at)))
        .bind::<Array<BigInt>, _>(each(alerts, |alert| stored_count(alert.what.occurrences)))
        .bind::<Array<Nullable<Text>>, _>(each(alerts, |alert| {
            alert.what.note.as_ref().map(Description::as_str)
        }))
        .bind::<Array<Text>, _>(each(alerts, |alert| search_key(&alert.what)))
        .bind::<Array<SmallInt>, _>(each(alerts, |alert| alert.status as i16))
        .bind::<Array<Nullable<Timestamptz>>, _>(each(alerts, |alert| instant(acknowledged(alert))))
        .bind::<Array<Nullable<BigInt>>, _>(each(alerts, |alert| account(actor(acknowledged(alert)))))
        .bind::<Array<Nullable<Text>>, _>(each(alerts, |alert| name(actor(acknowledged(alert)))))
        .bind::<Array<Nullable<Timestamptz>>, _>(each(alerts, |alert| instant(resolved(alert))))
        .bind::<Array<Nullable<BigInt>>, _>(each(alerts, |alert| account(actor(resolved(alert)))))
        .bind::<Array<Nullable<Text>>, _>(each(alerts, |alert| name(actor(resolved(alert)))))
        .bind::<Array<Timestamptz>, _>(each(alerts, |alert| stamp(alert.updated_at)))
}

/// One column of these things.
fn each<'thing, Thing, Value>(
    things: &'thing [Thing],
    column: impl Fn(&'thing Thing) -> Value,
) -> Vec<Value> {
    things.iter().map(column).collect()
}

fn instant(act: Option<&Act>) -> Option<PgTimestamp> {
    act.map(|act| stamp(act.at))
}

fn actor(act: Option<&Act>) -> Option<&Person> {
    act.and_then(|act| act.by.as_ref())
}

fn account(person: Option<&Person>) -> Option<i64> {
    person.and_then(|person| person.id).map(UserId::get)
}

fn name(person: Option<&Person>) -> Option<&str> {
    person.map(|person| person.name.as_str())
}
