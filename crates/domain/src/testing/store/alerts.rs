//! Alerts and their timelines.

use super::lists::{any, page};
use super::{Tables, Unit, remove};
use crate::alerts::{
    Act, Alert, AlertEntry, AlertFilter, AlertKey, AlertQuery, AlertStatus, NewAlert, NewAlertEntry,
};
use crate::id::{AlertEntryId, AlertId, EquipmentId, RuleId, Version};
use crate::page::Page;
use crate::ports::{Alerts, Reference, StoreError, Unique};
use crate::rules::Severity;
use crate::text::{Description, fold};
use crate::time::Timestamp;
use async_trait::async_trait;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

#[async_trait]
impl Alerts for Unit {
    async fn insert(&mut self, alert: &NewAlert, ended_at: Option<Timestamp>) -> Result<Alert, StoreError> {
        self.change(|tables| {
            tables.piece(alert.equipment)?;
            if let Some(raised_by) = alert.raised_by {
                tables.rule(raised_by.rule)?;
            }
            let alert = Alert {
                id: tables.next_id(AlertId::new)?,
                what: alert.clone(),
                status: if ended_at.is_some() { AlertStatus::Resolved } else { AlertStatus::Open },
                acknowledged: None,
                resolved: ended_at.map(|at| Act { by: None, at }),
                version: Version::FIRST,
                updated_at: alert.created_at,
            };
            tables.alerts.insert(alert.id, alert.clone());
            tables.refuse_rivals()?;
            Ok(alert)
        })
    }

    async fn find(&mut self, id: AlertId) -> Result<Option<Alert>, StoreError> {
        Ok(self.tables()?.visible_alert(id).cloned())
    }

    async fn lock(&mut self, id: AlertId) -> Result<Option<Alert>, StoreError> {
        Ok(self.hold()?.visible_alert(id).cloned())
    }

    async fn save_all(&mut self, alerts: &[Alert]) -> Result<(), StoreError> {
        self.change(|tables| {
            for alert in alerts {
                let stored = tables.alert_mut(alert.id)?;
                *stored = Alert {
                    what: NewAlert {
                        equipment: stored.what.equipment,
                        raised_by: stored.what.raised_by,
                        created_at: stored.what.created_at,
                        ..alert.what.clone()
                    },
                    version: stored.version.next(),
                    ..alert.clone()
                };
            }
            tables.refuse_rivals()
        })
    }

    async fn delete(&mut self, id: AlertId) -> Result<bool, StoreError> {
        self.change(|tables| Ok(tables.delete_alert(id)))
    }

    async fn list(&mut self, query: &AlertQuery) -> Result<Page<Alert>, StoreError> {
        let tables = self.tables()?;
        let alerts = tables.alerts.values();
        let matching = alerts.filter(|alert| tables.alert_matches(alert, &query.filter));
        Ok(page(matching.cloned().collect(), &query.order, compare, query.page))
    }

    async fn count_unresolved(&mut self) -> Result<Vec<(Severity, AlertStatus, u64)>, StoreError> {
        let tables = self.tables()?;
        let visible = tables.alerts.values().filter(|alert| tables.visible(alert.what.equipment).is_some());
        let mut counts = BTreeMap::new();
        for alert in visible.filter(|alert| is_unresolved(alert)) {
            *counts.entry((alert.what.severity, alert.status)).or_default() += 1;
        }
        Ok(counts.into_iter().map(|((severity, status), count)| (severity, status, count)).collect())
    }

    async fn touching(&mut self, equipment: &[(EquipmentId, Timestamp)]) -> Result<Vec<Alert>, StoreError> {
        let touches = |alert: &&Alert| {
            let mut meant = equipment.iter().filter(|(id, _)| *id == alert.what.equipment);
            let lasts_to = |from: Timestamp| alert.ended_at().is_none_or(|ended_at| ended_at >= from);
            alert.what.raised_by.is_some() && meant.any(|(_, from)| lasts_to(*from))
        };
        let mut touching: Vec<Alert> = self.tables()?.alerts.values().filter(touches).cloned().collect();
        touching.sort_by_key(|alert| (alert.what.equipment, rule_of(alert), alert.what.at, alert.id));
        Ok(touching)
    }

    async fn last_resolved(
        &mut self,
        rule: RuleId,
        equipment: EquipmentId,
        before: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let alerts = self.tables()?.alerts.values();
        let meant = alerts.filter(|alert| alert.what.equipment == equipment && rule_of(alert) == Some(rule));
        Ok(meant.filter_map(Alert::ended_at).filter(|ended_at| *ended_at < before).max())
    }

    async fn lock_unresolved_of(&mut self, rule: RuleId) -> Result<Vec<Alert>, StoreError> {
        let alerts = self.hold()?.alerts.values();
        let meant = alerts.filter(|alert| rule_of(alert) == Some(rule) && is_unresolved(alert));
        Ok(meant.cloned().collect())
    }

    async fn note(&mut self, entries: &[NewAlertEntry]) -> Result<(), StoreError> {
        self.change(|tables| {
            for entry in entries {
                tables.alert_mut(entry.alert)?;
                let id = tables.next_id(AlertEntryId::new)?;
                tables.timelines.insert(id, entry.clone());
            }
            Ok(())
        })
    }

    async fn timeline(&mut self, alert: AlertId) -> Result<Vec<AlertEntry>, StoreError> {
        let lines = self.tables()?.timelines.iter().filter(|(_, entry)| entry.alert == alert);
        Ok(lines.map(|(id, entry)| AlertEntry { id: *id, what: entry.clone() }).collect())
    }
}

impl Tables {
    fn alert_mut(&mut self, id: AlertId) -> Result<&mut Alert, StoreError> {
        self.alerts.get_mut(&id).ok_or(StoreError::Dangling(Reference::Alert))
    }

    fn visible_alert(&self, id: AlertId) -> Option<&Alert> {
        self.alerts.get(&id).filter(|alert| self.visible(alert.what.equipment).is_some())
    }

    /// Which rules have unresolved alerts on which equipment.
    fn unresolved(&self) -> impl Iterator<Item = (RuleId, EquipmentId)> {
        let unresolved = self.alerts.values().filter(|alert| is_unresolved(alert));
        unresolved.filter_map(|alert| Some((rule_of(alert)?, alert.what.equipment)))
    }

    /// Whether the rule has told of this equipment lately or still does.
    pub(super) fn told_of_silence(&self, rule: RuleId, equipment: EquipmentId, since: Timestamp) -> bool {
        let mut alerts = self.alerts.values();
        alerts.any(|alert| {
            let is_meant = rule_of(alert) == Some(rule) && alert.what.equipment == equipment;
            is_meant && (is_unresolved(alert) || alert.ended_at().is_some_and(|ended_at| ended_at >= since))
        })
    }

    fn refuse_rivals(&self) -> Result<(), StoreError> {
        let mut met = BTreeSet::new();
        if self.unresolved().all(|pair| met.insert(pair)) {
            return Ok(());
        }
        Err(StoreError::Conflict(Unique::UnresolvedAlert))
    }

    pub(super) fn delete_alert(&mut self, id: AlertId) -> bool {
        remove(&mut self.timelines, |entry| entry.alert == id);
        self.alerts.remove(&id).is_some()
    }

    fn alert_matches(&self, alert: &Alert, filter: &AlertFilter) -> bool {
        let NewAlert { equipment, metric, severity, at, .. } = &alert.what;
        self.visible(*equipment).is_some()
            && filter.reach.covers(*equipment)
            && any(&filter.equipment, |wanted| equipment == wanted)
            && any(&filter.severities, |wanted| severity == wanted)
            && any(&filter.statuses, |wanted| alert.status == *wanted)
            && any(&filter.rules, |wanted| rule_of(alert) == Some(*wanted))
            && any(&filter.metrics, |wanted| metric.as_ref() == Some(wanted))
            && filter.at.contains(*at)
            && filter.search.as_ref().is_none_or(|text| occurs(text, &alert.what))
    }
}

fn rule_of(alert: &Alert) -> Option<RuleId> {
    alert.what.raised_by.map(|raised_by| raised_by.rule)
}

fn is_unresolved(alert: &Alert) -> bool {
    alert.status != AlertStatus::Resolved
}

fn occurs(text: &str, alert: &NewAlert) -> bool {
    let text = fold(text);
    let in_it = |about: &Description| fold(about.as_str()).contains(&text);
    in_it(&alert.description) || alert.note.as_ref().is_some_and(in_it)
}

fn compare(key: AlertKey, one: &Alert, other: &Alert) -> Ordering {
    match key {
        AlertKey::Id => one.id.cmp(&other.id),
        AlertKey::At => one.what.at.cmp(&other.what.at),
        AlertKey::LastSeenAt => one.what.last_seen_at.cmp(&other.what.last_seen_at),
        AlertKey::Severity => one.what.severity.cmp(&other.what.severity),
        AlertKey::Status => one.status.cmp(&other.status),
    }
}
