//! The verbs of the plant.

use super::{A_GLANCE, Database};
use crate::builders::{a_piece, a_piece_of, a_rule, at, day, some_maintenance};
use domain::alerts::{Alert, NewAlert, NewAlertEntry};
use domain::equipment::{Details, Equipment, NewEquipment};
use domain::id::{AlertId, EquipmentId, RuleId, WebhookId};
use domain::live::{LiveEvent, NewLiveEvent};
use domain::maintenance::{Maintenance, NewMaintenance};
use domain::ports::UnitOfWork;
use domain::rules::{NewRule, Rule};
use domain::telemetry::{Head, Metric, MetricName, Reading, ReadingId};
use domain::time::Timestamp;
use domain::webhooks::Webhook;
use std::collections::BTreeSet;

impl Database {
    pub(crate) async fn register(&self, equipment: &NewEquipment) -> Equipment {
        self.within(async |unit| unit.equipment().insert(equipment).await.unwrap()).await
    }

    /// Registers a piece of equipment about which nothing matters but that it is there.
    pub(crate) async fn piece(&self, name: &str) -> EquipmentId {
        self.register(&a_piece(name)).await.id
    }

    pub(crate) async fn piece_of(&self, details: Details) -> EquipmentId {
        self.register(&a_piece_of(details)).await.id
    }

    /// Says that the piece is due for maintenance by this day.
    pub(crate) async fn due(&self, equipment: EquipmentId, date: &str) {
        let entry = NewMaintenance { next_due_on: Some(day(date)), ..some_maintenance(equipment) };
        self.enter(&entry).await;
        self.within(async |unit| unit.equipment().note_maintenance(equipment, at(0)).await.unwrap()).await;
    }

    pub(crate) async fn webhook(&self, id: WebhookId) -> Option<Webhook> {
        self.reader().await.webhooks().find(id).await.unwrap()
    }

    pub(crate) async fn save_equipment(&self, equipment: &Equipment) -> Equipment {
        self.within(async |unit| unit.equipment().save(equipment).await.unwrap()).await
    }

    pub(crate) async fn equipment(&self, id: EquipmentId) -> Option<Equipment> {
        self.reader().await.equipment().find(id).await.unwrap()
    }

    pub(crate) async fn hide(&self, id: EquipmentId) -> Equipment {
        let piece = self.equipment(id).await.unwrap();
        self.save_equipment(&Equipment { hidden_at: Some(at(0)), ..piece }).await
    }

    /// Puts a hidden piece back into the register.
    pub(crate) async fn restore(&self, id: EquipmentId) -> Equipment {
        let piece = self.equipment(id).await.unwrap();
        self.save_equipment(&Equipment { hidden_at: None, ..piece }).await
    }

    pub(crate) async fn purge(&self, id: EquipmentId) -> bool {
        self.within(async |unit| unit.equipment().delete(id, at(60)).await.unwrap()).await
    }

    pub(crate) async fn enter(&self, entry: &NewMaintenance) -> Maintenance {
        self.within(async |unit| unit.maintenance().insert(entry).await.unwrap()).await
    }

    /// Stores readings, and moves the heads of their equipment.
    pub(crate) async fn report(&self, readings: &[Reading]) {
        self.within(async |unit| report_in(unit, readings).await).await;
        if self.packs {
            let pieces: BTreeSet<EquipmentId> = readings.iter().map(|reading| reading.id.equipment).collect();
            for piece in pieces {
                self.pack(piece, Timestamp::MAX, u32::MAX).await;
            }
        }
    }

    /// Whether whatever [`Database::report`] stores is packed at once.
    pub(crate) fn packs_reports(&self) -> bool {
        self.packs
    }

    /// Packs readings as whoever packs some does; says how many.
    pub(crate) async fn pack(&self, piece: EquipmentId, before: Timestamp, most: u32) -> u64 {
        self.within(async |unit| {
            unit.readings().lock_heads(&[piece]).await.unwrap();
            unit.readings().pack(piece, before, most).await.unwrap()
        })
        .await
    }

    pub(crate) async fn reading(&self, id: ReadingId) -> Option<Reading> {
        self.reader().await.readings().find(id).await.unwrap()
    }

    pub(crate) async fn head(&self, equipment: EquipmentId) -> Option<Head> {
        self.reader().await.readings().heads(&[equipment]).await.unwrap().pop()
    }

    pub(crate) async fn metric(&self, name: &MetricName) -> Option<Metric> {
        self.reader().await.metrics().find(name).await.unwrap()
    }

    pub(crate) async fn insert_rule(&self, rule: &NewRule) -> Rule {
        self.within(async |unit| unit.rules().insert(rule).await.unwrap()).await
    }

    /// Makes a rule about which nothing matters but that it is there.
    pub(crate) async fn make_rule(&self, name: &str) -> Rule {
        self.insert_rule(&a_rule(name)).await
    }

    pub(crate) async fn save_rule(&self, rule: &Rule) -> Rule {
        self.within(async |unit| unit.rules().save(rule).await.unwrap()).await
    }

    pub(crate) async fn rule(&self, id: RuleId) -> Option<Rule> {
        self.reader().await.rules().find(id).await.unwrap()
    }

    pub(crate) async fn raise(&self, alert: &NewAlert) -> Alert {
        self.within(async |unit| unit.alerts().insert(alert, None).await.unwrap()).await
    }

    /// Stores an alert that ended already.
    pub(crate) async fn raise_ended(&self, alert: &NewAlert, ended_at: Timestamp) -> Alert {
        self.within(async |unit| unit.alerts().insert(alert, Some(ended_at)).await.unwrap()).await
    }

    pub(crate) async fn save_alerts(&self, alerts: &[Alert]) {
        self.within(async |unit| unit.alerts().save_all(alerts).await.unwrap()).await;
    }

    pub(crate) async fn alert(&self, id: AlertId) -> Option<Alert> {
        self.reader().await.alerts().find(id).await.unwrap()
    }

    pub(crate) async fn note(&self, entries: &[NewAlertEntry]) {
        self.within(async |unit| unit.alerts().note(entries).await.unwrap()).await;
    }

    /// Waits until this many events can be seen; answers them. A database may hold committed events back while units are
    /// open that were begun before.
    pub(crate) async fn seen(&self, count: usize) -> Vec<LiveEvent> {
        loop {
            let events = self.reader().await.live().after(None, 10_000).await.unwrap().unwrap();
            assert!(events.len() <= count, "{events:?}");
            if events.len() == count {
                return events;
            }
            tokio::time::sleep(A_GLANCE).await;
        }
    }

    pub(crate) async fn announce(&self, events: &[NewLiveEvent]) {
        self.within(async |unit| unit.live().announce(events, at(0)).await.unwrap()).await;
    }
}

/// Stores readings under the heads of their equipment, as whoever stores some does.
pub(crate) async fn report_in(unit: &mut dyn UnitOfWork, readings: &[Reading]) {
    let pieces: Vec<EquipmentId> = readings.iter().map(|reading| reading.id.equipment).collect();
    let mut heads = unit.readings().lock_heads(&pieces).await.unwrap();
    unit.readings().insert(readings).await.unwrap();
    for head in &mut heads {
        let piece = head.equipment;
        let its_own = readings.iter().filter(|reading| reading.id.equipment == piece);
        its_own.for_each(|reading| head.advance(&[reading]));
    }
    unit.readings().save_heads(&heads).await.unwrap();
}
