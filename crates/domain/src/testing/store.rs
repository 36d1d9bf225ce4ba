//! A database in memory that keeps the promises of the real ones: it runs the same contract suite.
//!
//! One unit of work is open at a time, so every lock of the ports holds by itself: [`Store::begin`] waits until the unit
//! before it ends. Two units opened by one task, one inside the other, therefore wait for ever; a real database would
//! answer [`StoreError::Busy`]. A unit works on a copy of the tables and puts it in their place when it commits; a reader
//! keeps the tables of the moment in which it was made.
//!
//! The ports are implemented beside this: `users`, `roles`, `sessions`, `records`, and of the plant `equipment`,
//! `maintenance`, `readings`, `rollups`, `thinnings`, `metrics`, `rules`, `alerts`, `live`, `webhooks`; `lists` sorts and cuts pages and stretches.

mod alerts;
mod equipment;
mod lists;
mod live;
mod maintenance;
mod metrics;
mod readings;
mod records;
mod roles;
mod rollups;
mod rules;
mod sessions;
mod thinnings;
mod users;
mod webhooks;

use crate::alerts::{Alert, NewAlertEntry};
use crate::api_keys::{ApiKey, Digest};
use crate::audit::NewEvent;
use crate::audit::chain::{Head, Seal};
use crate::id::{
    AlertEntryId, AlertId, ApiKeyId, EquipmentId, EventId, MaintenanceId, RoleId, RuleId, SessionId, UserId,
};
use crate::idempotency::Remembered;
use crate::maintenance::NewMaintenance;
use crate::ports::{
    AlertRules, Alerts, ApiKeys, Deliveries, Idempotency, Live, MaintenanceLog, Mentorships, Metrics,
    Readings, Reference, Register, Repos, Roles, Rollups, Sessions, SignIns, SigningKeys, Store, StoreError,
    Thinnings, Trail, UnitOfWork, Users, Webhooks,
};
use crate::roles::Role;
use crate::rules::Rule;
use crate::sessions::{Holder, Session, SigningKey};
use crate::sign_in::Counter;
use crate::telemetry::kept::Thinned;
use crate::telemetry::{Metric, MetricName, ReadingId};
use crate::time::Timestamp;
use crate::users::User;
use async_trait::async_trait;
use futures_util::lock::{Mutex, OwnedMutexGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

/// A database in memory. Clones share what is stored.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    committed: Arc<RwLock<Arc<Tables>>>,
    turn: Arc<Mutex<()>>,
}

impl MemoryStore {
    fn committed(&self) -> Arc<Tables> {
        let committed = self.committed.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&committed)
    }

    fn unit(&self, turn: Option<OwnedMutexGuard<()>>) -> Box<Unit> {
        Box::new(Unit {
            store: self.clone(),
            tables: self.committed(),
            turn,
            spoiled: false,
            recorded: Vec::new(),
        })
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn reader(&self) -> Result<Box<dyn Repos>, StoreError> {
        Ok(self.unit(None))
    }

    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, StoreError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        Ok(self.unit(Some(turn)))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A reader, or with a turn a unit of work. The one type that implements every port.
struct Unit {
    store: MemoryStore,
    tables: Arc<Tables>,
    turn: Option<OwnedMutexGuard<()>>,
    /// Some statement was refused. PostgreSQL takes no further one then, so neither does this.
    spoiled: bool,
    /// What is appended to the trail by the commit.
    recorded: Vec<NewEvent>,
}

impl Unit {
    fn tables(&self) -> Result<&Tables, StoreError> {
        if self.spoiled {
            return Err(StoreError::Fault("an earlier statement of this unit of work was refused".into()));
        }
        Ok(&self.tables)
    }

    fn change<T>(
        &mut self,
        work: impl FnOnce(&mut Tables) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.hold()?;
        let outcome = work(Arc::make_mut(&mut self.tables));
        self.spoiled = outcome.is_err();
        outcome
    }

    /// What a lock comes to where only one unit of work is open: being one.
    fn hold(&self) -> Result<&Tables, StoreError> {
        if self.turn.is_none() {
            return Err(StoreError::ReadOnly);
        }
        self.tables()
    }
}

impl Repos for Unit {
    fn users(&mut self) -> &mut dyn Users {
        self
    }
    fn mentorships(&mut self) -> &mut dyn Mentorships {
        self
    }
    fn roles(&mut self) -> &mut dyn Roles {
        self
    }
    fn sessions(&mut self) -> &mut dyn Sessions {
        self
    }
    fn api_keys(&mut self) -> &mut dyn ApiKeys {
        self
    }
    fn sign_ins(&mut self) -> &mut dyn SignIns {
        self
    }
    fn idempotency(&mut self) -> &mut dyn Idempotency {
        self
    }
    fn signing_keys(&mut self) -> &mut dyn SigningKeys {
        self
    }
    fn trail(&mut self) -> &mut dyn Trail {
        self
    }
    fn equipment(&mut self) -> &mut dyn Register {
        self
    }
    fn maintenance(&mut self) -> &mut dyn MaintenanceLog {
        self
    }
    fn readings(&mut self) -> &mut dyn Readings {
        self
    }
    fn rollups(&mut self) -> &mut dyn Rollups {
        self
    }
    fn thinnings(&mut self) -> &mut dyn Thinnings {
        self
    }
    fn metrics(&mut self) -> &mut dyn Metrics {
        self
    }
    fn rules(&mut self) -> &mut dyn AlertRules {
        self
    }
    fn alerts(&mut self) -> &mut dyn Alerts {
        self
    }
    fn live(&mut self) -> &mut dyn Live {
        self
    }
    fn webhooks(&mut self) -> &mut dyn Webhooks {
        self
    }
    fn deliveries(&mut self) -> &mut dyn Deliveries {
        self
    }
}

#[async_trait]
impl UnitOfWork for Unit {
    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        self.hold()?;
        self.append_recorded()?;
        let mut committed = self.store.committed.write().unwrap_or_else(PoisonError::into_inner);
        *committed = Arc::clone(&self.tables);
        Ok(())
    }

    async fn rollback(self: Box<Self>) {}
}

/// All that is stored.
#[derive(Clone, Debug, Default)]
struct Tables {
    /// One sequence for everything, so that an id of one noun never passes for another's by chance.
    last_id: i64,
    users: BTreeMap<UserId, User>,
    roles: BTreeMap<RoleId, Role>,
    assignments: BTreeSet<(UserId, RoleId)>,
    sessions: BTreeMap<SessionId, Session>,
    api_keys: BTreeMap<ApiKeyId, (Digest, ApiKey)>,
    counters: BTreeMap<[u8; 32], Counter>,
    answers: BTreeMap<[u8; 32], Remembered>,
    signing_keys: BTreeMap<String, SigningKey>,
    trail: BTreeMap<EventId, (NewEvent, Seal)>,
    trail_head: Head,
    equipment: BTreeMap<EquipmentId, equipment::Piece>,
    maintenance: BTreeMap<MaintenanceId, NewMaintenance>,
    /// There may be very many, so units that do not write any share them.
    readings: Arc<readings::Stored>,
    /// Those that are put away.
    packed: Arc<BTreeSet<ReadingId>>,
    rollups: rollups::Stored,
    due: BTreeSet<(EquipmentId, Timestamp)>,
    thinned: BTreeMap<EquipmentId, Thinned>,
    metrics: BTreeMap<MetricName, Metric>,
    generation_of_rules: i64,
    rules: BTreeMap<RuleId, Rule>,
    alerts: BTreeMap<AlertId, Alert>,
    timelines: BTreeMap<AlertEntryId, NewAlertEntry>,
    live: live::Stream,
    webhooks: webhooks::Stored,
}

impl Tables {
    fn next_id<T>(&mut self, id: impl FnOnce(i64) -> Option<T>) -> Result<T, StoreError> {
        self.last_id += 1;
        id(self.last_id).ok_or_else(|| StoreError::Fault("there are no more ids".into()))
    }

    fn user(&self, id: UserId) -> Result<&User, StoreError> {
        self.users.get(&id).ok_or(StoreError::Dangling(Reference::User))
    }

    /// The roles a user holds, ordered by the keys of their names.
    fn roles_of(&self, user: UserId) -> Vec<&Role> {
        let held = |role: &&Role| self.assignments.contains(&(user, role.id));
        let mut roles: Vec<&Role> = self.roles.values().filter(held).collect();
        roles.sort_by_key(|role| role.name.key());
        roles
    }

    /// The account behind a credential.
    fn holder(&self, user: UserId) -> Option<Holder> {
        let user = self.users.get(&user)?;
        let permissions = self.roles_of(user.id).into_iter().map(|role| role.permissions);
        Some(Holder {
            user: user.id,
            username: user.username.clone(),
            is_active: user.is_active,
            permissions: permissions.fold(Default::default(), |all, more| all.union(more)),
        })
    }
}

/// Removes the rows that are meant; says how many they were.
fn remove<K: Ord, R>(table: &mut BTreeMap<K, R>, meant: impl Fn(&R) -> bool) -> u64 {
    remove_some(table, u32::MAX, meant)
}

/// Removes up to `most` of the rows that are meant; says how many they were.
fn remove_some<K: Ord, R>(table: &mut BTreeMap<K, R>, most: u32, meant: impl Fn(&R) -> bool) -> u64 {
    table.extract_if(.., |_, row| meant(row)).take(most as usize).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use pollster::block_on;

    #[test]
    fn a_unit_takes_no_further_statement_after_a_refused_one() {
        let store = MemoryStore::default();
        let stranger = UserId::new(1).unwrap();
        block_on(async {
            let mut unit = store.begin().await.unwrap();
            unit.roles().assign(stranger, RoleId::new(1).unwrap()).await.unwrap_err();
            assert!(matches!(unit.users().find(stranger).await, Err(StoreError::Fault(_))));
            assert!(matches!(unit.users().touch(&[], Timestamp::MIN).await, Err(StoreError::Fault(_))));
            assert!(unit.commit().await.is_err());
        });
    }

    #[test]
    fn a_reader_keeps_the_tables_of_its_moment() {
        let store = MemoryStore::default();
        block_on(async {
            let mut before = store.reader().await.unwrap();
            let mut unit = store.begin().await.unwrap();
            unit.signing_keys().insert(&a_key()).await.unwrap();
            unit.commit().await.unwrap();
            assert!(before.signing_keys().list().await.unwrap().is_empty());
            let mut after = store.reader().await.unwrap();
            assert_eq!(after.signing_keys().list().await.unwrap().len(), 1);
        });
    }

    fn a_key() -> SigningKey {
        SigningKey { id: "key".into(), private: vec![1], public: vec![2], created_at: Timestamp::MIN }
    }
}
