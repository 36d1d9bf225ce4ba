//! Ports for the plant: equipment, what it measured, what is wrong with it.

use super::StoreError;
use crate::alerts::{Alert, AlertEntry, AlertQuery, AlertStatus, NewAlert, NewAlertEntry};
use crate::equipment::{Equipment, EquipmentFilter, EquipmentQuery, EquipmentRef, NewEquipment};
use crate::id::{AlertId, EquipmentId, MaintenanceId, RuleId};
use crate::live::{LiveEvent, Mark, NewLiveEvent};
use crate::maintenance::{Maintenance, MaintenanceQuery, NewMaintenance};
use crate::page::{Direction, Page, Stretch};
use crate::rules::{NewRule, Rule, RuleQuery, RulesInForce, Severity, Target};
use crate::telemetry::kept::Thinned;
use crate::telemetry::rollup::{Digest, Grain};
use crate::telemetry::{
    Head, Metric, MetricName, MetricQuery, Reading, ReadingFilter, ReadingId, ReadingQuery,
};
use crate::time::Timestamp;
use async_trait::async_trait;

/// The equipment register. Hidden equipment stays in it until it is purged.
#[async_trait]
pub trait Register: Send {
    /// Stores new equipment with the first version, and an empty head for its readings; `updated_at` is `created_at`.
    /// MUST name a taken serial number (also one of hidden equipment) and a parent that is gone.
    async fn insert(&mut self, equipment: &NewEquipment) -> Result<Equipment, StoreError>;

    /// The equipment with this id, hidden or not.
    async fn find(&mut self, id: EquipmentId) -> Result<Option<Equipment>, StoreError>;

    /// The pieces that these names mean, in the order of the names; nothing for a name without a piece in the register,
    /// and nothing for a hidden one. What is called by a name that several pieces bear is none of them.
    async fn resolve(&mut self, names: &[EquipmentRef]) -> Result<Vec<Option<EquipmentId>>, StoreError>;

    /// The equipment, hidden or not, held until the unit of work ends: another unit's `lock`, `save` or `delete` of it
    /// waits.
    async fn lock(&mut self, id: EquipmentId) -> Result<Option<Equipment>, StoreError>;

    /// Writes the details, `hidden_at` and `updated_at`, and raises the stored version by one, which the returned piece
    /// carries. The unit holds the head of the piece. MUST NOT write what the maintenance log and the readings say (`last_maintained_at`,
    /// `next_maintenance_on`, `last_seen_at`). MUST name a taken serial number; MUST answer [`StoreError::Dangling`] when
    /// the piece or its parent is gone.
    async fn save(&mut self, equipment: &Equipment) -> Result<Equipment, StoreError>;

    /// Writes `last_maintained_at` and `next_maintenance_on` from the newest entry of the maintenance log (nothing when
    /// it is empty), sets `updated_at` and raises the version. The newest is the one [`MaintenanceLog::list`] begins with.
    async fn note_maintenance(&mut self, id: EquipmentId, at: Timestamp) -> Result<(), StoreError>;

    /// Removes the equipment with its head, its rollups, its maintenance log, its alerts, its live events and the rules for exactly this
    /// piece; components of it lose their parent, and alerts on others that those rules raised once lose their rule, their
    /// versions raised and `updated_at` moved to `at`. `false` when there
    /// is none. MUST refuse with [`StoreError::Dangling`] while readings of it are stored. MUST leave the limits of API
    /// keys alone: ids are never given twice, and a key must not gain by losing what it was limited to.
    async fn delete(&mut self, id: EquipmentId, at: Timestamp) -> Result<bool, StoreError>;

    /// A page of equipment. What is absent counts as smallest; ties and an empty order end in the id.
    async fn list(&mut self, query: &EquipmentQuery) -> Result<Page<Equipment>, StoreError>;

    /// The ids of the equipment that matches, beyond `after` if there is one, in ascending order, at most `limit`. Fewer than
    /// `limit` mean that there are no more. For walking through any number of them: MUST cost no more far in than at the start.
    async fn walk(
        &mut self,
        filter: &EquipmentFilter,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError>;

    /// Waits until no other unit of work changes what is a component of what, and keeps others waiting until this unit
    /// ends. Taken before any piece is locked.
    async fn lock_tree(&mut self) -> Result<(), StoreError>;

    /// What the equipment is a component of, what that is a component of, and so on upwards. MUST end even if storage
    /// holds a circle.
    async fn above(&mut self, id: EquipmentId) -> Result<Vec<EquipmentId>, StoreError>;

    /// How many levels of components are below the equipment, hidden ones too: none without any, one if no component has
    /// components. Counts no further than `most`, so that it MUST end even if storage holds a circle.
    async fn levels_below(&mut self, id: EquipmentId, most: usize) -> Result<usize, StoreError>;
}

/// What was done to equipment.
#[async_trait]
pub trait MaintenanceLog: Send {
    /// Adds an entry. MUST answer [`StoreError::Dangling`] when the equipment is gone.
    async fn insert(&mut self, entry: &NewMaintenance) -> Result<Maintenance, StoreError>;

    /// The entry of this piece with this id.
    async fn find(
        &mut self,
        equipment: EquipmentId,
        id: MaintenanceId,
    ) -> Result<Option<Maintenance>, StoreError>;

    /// Removes an entry of this piece; `false` when there is none.
    async fn delete(&mut self, equipment: EquipmentId, id: MaintenanceId) -> Result<bool, StoreError>;

    /// A page of the log, newest work first, of the same instant the larger id first.
    async fn list(&mut self, query: &MaintenanceQuery) -> Result<Page<Maintenance>, StoreError>;
}

/// What equipment measured.
///
/// Whoever stores, changes or deletes readings holds the heads of their equipment, so that units of work which touch the
/// same equipment take turns, and the order of instants that a unit sees stays as it is until it ends.
#[async_trait]
pub trait Readings: Send {
    /// The heads of these pieces, held until the unit of work ends: another unit's `lock_heads` of any of them waits.
    /// MUST take them in ascending order of id whatever order they are asked in, and answer them in that order. MUST
    /// leave out pieces that are hidden or gone.
    async fn lock_heads(&mut self, equipment: &[EquipmentId]) -> Result<Vec<Head>, StoreError>;

    /// The heads of these pieces, ordered by id, without those that are hidden or gone.
    async fn heads(&mut self, equipment: &[EquipmentId]) -> Result<Vec<Head>, StoreError>;

    /// Writes `last_seen_at` and `latest` of heads that this unit holds, and nothing else of them.
    async fn save_heads(&mut self, heads: &[Head]) -> Result<(), StoreError>;

    /// The reading with this id; nothing when its equipment is hidden.
    async fn find(&mut self, id: ReadingId) -> Result<Option<Reading>, StoreError>;

    /// Those among these that are found at once and whose equipment is not hidden, in no particular order; each once. For
    /// looking up many that have nothing in common: MUST cost little more than one of them. Packed ones may be missing, for
    /// which [`Readings::find`] is there.
    async fn at_hand(&mut self, ids: &[ReadingId]) -> Result<Vec<Reading>, StoreError>;

    /// The stored ones among these, in no particular order, whatever the state of their equipment.
    async fn find_all(&mut self, ids: &[ReadingId]) -> Result<Vec<Reading>, StoreError>;

    /// Stores readings, all or none. MUST make metrics known to the catalogue that are not yet, with the first version and
    /// both instants the `received_at` of a reading that carries them. MUST refuse a second reading of an identity with a
    /// named conflict, and one of equipment that is gone with [`StoreError::Dangling`].
    async fn insert(&mut self, readings: &[Reading]) -> Result<(), StoreError>;

    /// Writes everything but the identity of stored readings, and makes metrics known that are not yet. Those that are
    /// gone are passed over.
    async fn replace(&mut self, readings: &[Reading]) -> Result<(), StoreError>;

    /// Removes readings; returns how many there were.
    async fn delete(&mut self, ids: &[ReadingId]) -> Result<u64, StoreError>;

    /// Removes up to `most` readings of this piece; returns how many. MUST NOT touch other equipment's.
    async fn delete_some_of(&mut self, equipment: EquipmentId, most: u32) -> Result<u64, StoreError>;

    /// Gets storage ready for readings of the time around `now`, and puts into good order what came meanwhile. To be asked
    /// now and then. Readings MUST NOT depend on it, neither those that are stored nor those that are still to come.
    async fn make_room(&mut self, now: Timestamp) -> Result<(), StoreError>;

    /// The parts of storage before `now` that take up room though no reading is in them any more.
    async fn emptied(&mut self, now: Timestamp) -> Result<Vec<Part>, StoreError>;

    /// Gives back the room of such a part, or some of it; nothing of a part that is there no more or has readings again.
    /// MUST answer [`StoreError::Busy`] rather than keep readers and writers waiting, and MUST NOT take from anyone who is
    /// reading what was there when they began. One part a unit of work, with nothing else locked.
    async fn give_back(&mut self, part: &Part) -> Result<(), StoreError>;

    /// Lets go of what storage can let go of as a whole among the readings older than `before`, which may be nothing. Heads,
    /// alerts and everything later MUST stay. MUST answer [`StoreError::Busy`] rather than keep readers and writers waiting.
    async fn drop_before(&mut self, before: Timestamp) -> Result<(), StoreError>;

    /// The equipment, hidden or not, of which readings older than `before` are stored: ordered by id, beyond `after`, at most
    /// `limit`.
    async fn reporting_before(
        &mut self,
        before: Timestamp,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError>;

    /// Removes up to `most` readings of this piece that are older than `before`, the oldest first; returns how many. MUST
    /// NOT touch other equipment's, nor its head.
    async fn delete_some_before(
        &mut self,
        equipment: EquipmentId,
        before: Timestamp,
        most: u32,
    ) -> Result<u64, StoreError>;

    /// Puts up to `most` readings of this piece that are older than `before`, and are not packed yet, away in little room:
    /// the oldest first; returns how many. The unit holds the head of the piece. Whatever is asked about readings MUST be
    /// answered as before, and packed readings MUST be changed and deleted like any others.
    async fn pack(&mut self, equipment: EquipmentId, before: Timestamp, most: u32)
    -> Result<u64, StoreError>;

    /// The visible equipment of which readings older than `before` are stored that are not packed: ordered by id, beyond
    /// `after`, at most `limit`.
    async fn loose_before(
        &mut self,
        before: Timestamp,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError>;

    /// A stretch of readings in order of instant, then of equipment.
    async fn read(&mut self, query: &ReadingQuery) -> Result<Stretch<Reading>, StoreError>;

    /// Up to `limit` readings in the order of [`ReadingQuery`], strictly after `after` if there is one. Fewer than `limit`
    /// mean that there are no more. For walking through any number of them: MUST cost no more far in than at the start.
    async fn scan(
        &mut self,
        filter: &ReadingFilter,
        direction: Direction,
        after: Option<ReadingId>,
        limit: u32,
    ) -> Result<Vec<Reading>, StoreError>;

    /// The visible equipment that the target means and that is expected to report (see
    /// [`crate::equipment::Status::is_expected_to_report`]), whose newest reading (of this metric, if there is one) is
    /// older than `before`, or which was registered before that and never reported; without those about which somebody wrote in
    /// the register since then, and those on which `rule` has an alert that is not resolved or was resolved since then. Who never reported `metric` owes it only
    /// when the target is exactly this piece. Ordered by id, beyond `after`, at most `limit`.
    async fn silent(
        &mut self,
        rule: RuleId,
        target: &Target,
        metric: Option<&MetricName>,
        before: Timestamp,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError>;
}

/// A part of storage, by a name that means nothing to anyone else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part(pub String);

/// What equipment did within each minute, hour and day.
///
/// Whoever writes here holds the head of the piece, like whoever writes readings: so what is answered is true to the
/// readings that are stored, wherever there is a digest at all. Hidden equipment is rolled up like any other: its readings grow
/// old as well, and it may come back. Whoever shows digests asks first whether the piece may be seen.
#[async_trait]
pub trait Rollups: Send {
    /// The head of this piece, hidden or not, held as by [`Readings::lock_heads`].
    async fn lock_head(&mut self, equipment: EquipmentId) -> Result<Option<Head>, StoreError>;

    /// Up to `limit` digests of this grain, those that begin from `from` on and before `until`, oldest first: of these
    /// metrics, or of all if none is named. One without any of them is answered without columns.
    async fn find(
        &mut self,
        equipment: EquipmentId,
        grain: Grain,
        (from, until): (Timestamp, Timestamp),
        metrics: &[MetricName],
        limit: u32,
    ) -> Result<Vec<Digest>, StoreError>;

    /// Stores digests, each in place of the one of the same piece, grain and beginning.
    async fn keep(&mut self, digests: &[Digest]) -> Result<(), StoreError>;

    /// Removes the digests that are about these hours of these pieces and about the days in which they lie, and notes the
    /// hours as due, each once. The instants are beginnings of hours.
    async fn outdate(&mut self, hours: &[(EquipmentId, Timestamp)]) -> Result<(), StoreError>;

    /// Up to `limit` hours of this piece that are due, the oldest first.
    async fn due(&mut self, equipment: EquipmentId, limit: u32) -> Result<Vec<Timestamp>, StoreError>;

    /// These hours are due no more.
    async fn settle(&mut self, equipment: EquipmentId, hours: &[Timestamp]) -> Result<(), StoreError>;

    /// Writes the `rolled_until` of the head.
    async fn note_rolled(&mut self, equipment: EquipmentId, until: Timestamp) -> Result<(), StoreError>;

    /// The equipment, hidden or not, that has hours before `settled` which are due; or that reported and has no
    /// `rolled_until`; or whose newest reading is an hour or more after its `rolled_until` while that is before `settled`;
    /// or whose newest reading is not before its `rolled_until` while that is before `closed`. Ordered by id, beyond
    /// `after`, at most `limit`.
    async fn behind(
        &mut self,
        settled: Timestamp,
        closed: Timestamp,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError>;

    /// Removes up to `most` digests of this grain that begin before `before`; returns how many.
    async fn forget(&mut self, grain: Grain, before: Timestamp, most: u32) -> Result<u64, StoreError>;
}

/// As of when the values that go before their readings do are gone. Whoever writes here holds the head of the piece.
#[async_trait]
pub trait Thinnings: Send {
    /// What is remembered of this piece.
    async fn find(&mut self, equipment: EquipmentId) -> Result<Option<Thinned>, StoreError>;

    /// Remembers it, in place of what was remembered. MUST answer [`StoreError::Dangling`] when the equipment is gone.
    async fn keep(&mut self, equipment: EquipmentId, thinned: &Thinned) -> Result<(), StoreError>;

    /// Moves the `late_from` of each piece back to this instant, unless it is there or earlier already. Pieces of which
    /// nothing is remembered are passed over. Each piece comes once.
    async fn note_late(&mut self, late: &[(EquipmentId, Timestamp)]) -> Result<(), StoreError>;

    /// The visible equipment that reported, and that was not thinned by this decision as of `as_of` or later, or has a
    /// `late_from`. Ordered by id, beyond `after`, at most `limit`.
    async fn behind(
        &mut self,
        by: &str,
        as_of: Timestamp,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError>;
}

/// The catalogue of what is measured. Metrics appear in it with their first reading.
#[async_trait]
pub trait Metrics: Send {
    /// The metric of this name.
    async fn find(&mut self, name: &MetricName) -> Result<Option<Metric>, StoreError>;

    /// The metric, held until the unit of work ends: another unit's `lock` or `save` of it waits.
    async fn lock(&mut self, name: &MetricName) -> Result<Option<Metric>, StoreError>;

    /// Writes unit, description and `updated_at`, and raises the version by one, which the returned metric carries. MUST
    /// answer [`StoreError::Dangling`] when there is no such metric.
    async fn save(&mut self, metric: &Metric) -> Result<Metric, StoreError>;

    /// A page of the catalogue.
    async fn list(&mut self, query: &MetricQuery) -> Result<Page<Metric>, StoreError>;
}

/// Rules that raise alerts.
#[async_trait]
pub trait AlertRules: Send {
    /// The rules that judge, held as they are until the unit of work ends: any number of units may hold them so at once,
    /// while [`AlertRules::lock`] waits. Nothing when their generation is the one known already. Taken before any head.
    async fn in_force(&mut self, known: Option<i64>) -> Result<Option<RulesInForce>, StoreError>;

    /// Waits until nobody holds the rules, in either way, and keeps others waiting until this unit ends. Taken before
    /// any other lock of the plant. MUST make a new generation of rules, seen by whoever asks for them afterwards.
    async fn lock(&mut self) -> Result<(), StoreError>;

    /// Stores a new rule with the first version, in force since it was made. MUST answer [`StoreError::Dangling`] when its
    /// equipment is gone.
    async fn insert(&mut self, rule: &NewRule) -> Result<Rule, StoreError>;

    /// The rule with this id.
    async fn find(&mut self, id: RuleId) -> Result<Option<Rule>, StoreError>;

    /// Writes the details, `in_force_since` and `updated_at`, and raises the stored version by one, which the returned
    /// rule carries; `in_force_version` becomes that version when `in_force_since` is another instant than the stored
    /// one. MUST answer [`StoreError::Dangling`] when the rule or its equipment is gone.
    async fn save(&mut self, rule: &Rule) -> Result<Rule, StoreError>;

    /// Removes the rule; its alerts stay and name no rule any more, their versions raised and `updated_at` moved to `at`.
    /// `false` when there is none.
    async fn delete(&mut self, id: RuleId, at: Timestamp) -> Result<bool, StoreError>;

    /// A page of rules. Ties and an empty order end in the id.
    async fn list(&mut self, query: &RuleQuery) -> Result<Page<Rule>, StoreError>;
}

/// Alerts and their timelines.
#[async_trait]
pub trait Alerts: Send {
    /// Stores a new alert with the first version: open, or if it ended already, resolved by itself at `ended_at`;
    /// `updated_at` is `created_at`. MUST name a second unresolved alert of the same rule and equipment; MUST answer
    /// [`StoreError::Dangling`] when the equipment or the rule is gone.
    async fn insert(&mut self, alert: &NewAlert, ended_at: Option<Timestamp>) -> Result<Alert, StoreError>;

    /// The alert with this id; nothing when its equipment is hidden.
    async fn find(&mut self, id: AlertId) -> Result<Option<Alert>, StoreError>;

    /// The alert, held until the unit of work ends: another unit's `lock`, `save_all` or `delete` of it waits. Taken after
    /// the head of its equipment. Nothing when its equipment is hidden.
    async fn lock(&mut self, id: AlertId) -> Result<Option<Alert>, StoreError>;

    /// Writes everything but id, equipment, `raised_by`, `created_at` and version of these alerts, and raises the stored
    /// versions by one. MUST answer [`StoreError::Dangling`] when one is gone; MUST name a second unresolved alert of the
    /// same rule and equipment, judged after all of them are written.
    async fn save_all(&mut self, alerts: &[Alert]) -> Result<(), StoreError>;

    /// Removes the alert with its timeline; `false` when there is none.
    async fn delete(&mut self, id: AlertId) -> Result<bool, StoreError>;

    /// A page of alerts. Ties and an empty order end in the id.
    async fn list(&mut self, query: &AlertQuery) -> Result<Page<Alert>, StoreError>;

    /// How many alerts that [`Alerts::list`] shows are not resolved, by severity and status, in this order. Says nothing of
    /// what there is none of.
    async fn count_unresolved(&mut self) -> Result<Vec<(Severity, AlertStatus, u64)>, StoreError>;

    /// The alerts that rules raised on these pieces and that are unresolved, or were resolved at `from` or later: each
    /// piece with its own `from`. Ordered by equipment, rule, instant of raising, id.
    async fn touching(&mut self, equipment: &[(EquipmentId, Timestamp)]) -> Result<Vec<Alert>, StoreError>;

    /// When the newest alert of this rule on this piece that was resolved before `before` was resolved.
    async fn last_resolved(
        &mut self,
        rule: RuleId,
        equipment: EquipmentId,
        before: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// The unresolved alerts of this rule, held until the unit of work ends, ordered by id.
    async fn lock_unresolved_of(&mut self, rule: RuleId) -> Result<Vec<Alert>, StoreError>;

    /// Adds lines to timelines. MUST answer [`StoreError::Dangling`] when an alert is gone.
    async fn note(&mut self, entries: &[NewAlertEntry]) -> Result<(), StoreError>;

    /// The timeline of an alert, oldest first.
    async fn timeline(&mut self, alert: AlertId) -> Result<Vec<AlertEntry>, StoreError>;
}

/// What happens right now.
#[async_trait]
pub trait Live: Send {
    /// Writes events, to be seen when the unit of work is committed.
    async fn announce(&mut self, events: &[NewLiveEvent], now: Timestamp) -> Result<(), StoreError>;

    /// The mark of the newest event that can be seen, so that all events seen later have larger ones; nothing when there
    /// never was one.
    async fn newest(&mut self) -> Result<Option<Mark>, StoreError>;

    /// Up to `limit` events after this mark, in order of their marks; nothing when events after it were forgotten already.
    /// An event MUST NOT become visible with a smaller mark than one that was visible before. Events of hidden equipment
    /// are left out.
    async fn after(&mut self, mark: Option<Mark>, limit: u32) -> Result<Option<Vec<LiveEvent>>, StoreError>;

    /// Forgets events written before this instant, the oldest first, up to `most`; what was written at once goes at once,
    /// even if it is more. Returns how many: fewer than `most` mean that there are no more.
    async fn forget(&mut self, before: Timestamp, most: u32) -> Result<u64, StoreError>;
}
