//! The equipment register.

use super::lists::{any, page};
use super::{Tables, Unit, remove};
use crate::equipment::{
    Details, Equipment, EquipmentFilter, EquipmentKey, EquipmentQuery, EquipmentRef, NewEquipment,
};
use crate::id::{EquipmentId, Version};
use crate::page::Page;
use crate::ports::{Reference, Register, StoreError, Unique};
use crate::rules::Target;
use crate::telemetry::{Head, Latest};
use crate::text::{Label, Location, SerialNumber, fold};
use crate::time::{Date, Days, Timestamp};
use async_trait::async_trait;
use std::cmp::Ordering;

/// A piece of equipment, and what its head knows beyond it.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) equipment: Equipment,
    pub(super) latest: Vec<Latest>,
    pub(super) rolled_until: Option<Timestamp>,
}

impl Piece {
    pub(super) fn is_visible(&self) -> bool {
        self.equipment.hidden_at.is_none()
    }

    pub(super) fn head(&self) -> Head {
        Head {
            equipment: self.equipment.id,
            kind: self.equipment.details.kind.clone(),
            last_seen_at: self.equipment.last_seen_at,
            latest: self.latest.clone(),
            rolled_until: self.rolled_until,
        }
    }
}

#[async_trait]
impl Register for Unit {
    async fn insert(&mut self, equipment: &NewEquipment) -> Result<Equipment, StoreError> {
        self.change(|tables| {
            let equipment = Equipment {
                id: tables.next_id(EquipmentId::new)?,
                details: equipment.details.clone(),
                last_maintained_at: None,
                next_maintenance_on: None,
                last_seen_at: None,
                hidden_at: None,
                version: Version::FIRST,
                created_at: equipment.created_at,
                updated_at: equipment.created_at,
            };
            tables.refuse_details(equipment.id, &equipment.details)?;
            let piece = Piece { equipment: equipment.clone(), latest: Vec::new(), rolled_until: None };
            tables.equipment.insert(equipment.id, piece);
            Ok(equipment)
        })
    }

    async fn find(&mut self, id: EquipmentId) -> Result<Option<Equipment>, StoreError> {
        Ok(self.tables()?.equipment.get(&id).map(|piece| piece.equipment.clone()))
    }

    async fn resolve(&mut self, names: &[EquipmentRef]) -> Result<Vec<Option<EquipmentId>>, StoreError> {
        let tables = self.tables()?;
        Ok(names.iter().map(|name| tables.meant(name)).collect())
    }

    async fn lock(&mut self, id: EquipmentId) -> Result<Option<Equipment>, StoreError> {
        Ok(self.hold()?.equipment.get(&id).map(|piece| piece.equipment.clone()))
    }

    async fn save(&mut self, equipment: &Equipment) -> Result<Equipment, StoreError> {
        self.change(|tables| {
            tables.refuse_details(equipment.id, &equipment.details)?;
            let stored = &mut tables.piece_mut(equipment.id)?.equipment;
            stored.details = equipment.details.clone();
            stored.hidden_at = equipment.hidden_at;
            mark_written(stored, equipment.updated_at);
            Ok(stored.clone())
        })
    }

    async fn note_maintenance(&mut self, id: EquipmentId, at: Timestamp) -> Result<(), StoreError> {
        self.change(|tables| {
            let newest = tables.log_of(id).first().map(|(_, entry)| (entry.performed_at, entry.next_due_on));
            if let Some(piece) = tables.equipment.get_mut(&id) {
                piece.equipment.last_maintained_at = newest.map(|(performed_at, _)| performed_at);
                piece.equipment.next_maintenance_on = newest.and_then(|(_, next_due_on)| next_due_on);
                mark_written(&mut piece.equipment, at);
            }
            Ok(())
        })
    }

    async fn delete(&mut self, id: EquipmentId, at: Timestamp) -> Result<bool, StoreError> {
        self.change(|tables| {
            if tables.readings.keys().any(|place| place.1 == id) {
                return Err(StoreError::Dangling(Reference::Equipment));
            }
            tables.delete_all_of(id, at);
            for piece in tables.equipment.values_mut() {
                if piece.equipment.details.parent == Some(id) {
                    piece.equipment.details.parent = None;
                    mark_written(&mut piece.equipment, at);
                }
            }
            Ok(tables.equipment.remove(&id).is_some())
        })
    }

    async fn list(&mut self, query: &EquipmentQuery) -> Result<Page<Equipment>, StoreError> {
        let pieces = self.tables()?.equipment.values().map(|piece| &piece.equipment);
        let matching = pieces.filter(|equipment| matches(equipment, &query.filter));
        Ok(page(matching.cloned().collect(), &query.order, compare, query.page))
    }

    async fn walk(
        &mut self,
        filter: &EquipmentFilter,
        after: Option<EquipmentId>,
        limit: u32,
    ) -> Result<Vec<EquipmentId>, StoreError> {
        let pieces = self.tables()?.equipment.values().map(|piece| &piece.equipment);
        let matching = pieces.filter(|equipment| matches(equipment, filter)).map(|equipment| equipment.id);
        let mut beyond: Vec<EquipmentId> =
            matching.filter(|id| after.is_none_or(|after| *id > after)).collect();
        beyond.sort_unstable();
        beyond.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(beyond)
    }

    async fn lock_tree(&mut self) -> Result<(), StoreError> {
        self.hold().map(drop)
    }

    async fn above(&mut self, id: EquipmentId) -> Result<Vec<EquipmentId>, StoreError> {
        let equipment = &self.tables()?.equipment;
        let parent_of = |id: &EquipmentId| equipment.get(id).and_then(|piece| piece.equipment.details.parent);
        let mut above = Vec::new();
        let mut next = parent_of(&id);
        while let Some(parent) = next.filter(|parent| !above.contains(parent)) {
            above.push(parent);
            next = parent_of(&parent);
        }
        Ok(above)
    }

    async fn levels_below(&mut self, id: EquipmentId, most: usize) -> Result<usize, StoreError> {
        let equipment = &self.tables()?.equipment;
        let components = |above: &[EquipmentId]| -> Vec<EquipmentId> {
            let all = equipment.values().map(|piece| &piece.equipment);
            let within =
                all.filter(|piece| piece.details.parent.is_some_and(|parent| above.contains(&parent)));
            within.map(|piece| piece.id).collect()
        };
        let levels = std::iter::successors(Some(vec![id]), |above| Some(components(above)));
        Ok(levels.skip(1).take(most).take_while(|level| !level.is_empty()).count())
    }
}

impl Tables {
    pub(super) fn piece(&self, id: EquipmentId) -> Result<&Piece, StoreError> {
        self.equipment.get(&id).ok_or(StoreError::Dangling(Reference::Equipment))
    }

    fn piece_mut(&mut self, id: EquipmentId) -> Result<&mut Piece, StoreError> {
        self.equipment.get_mut(&id).ok_or(StoreError::Dangling(Reference::Equipment))
    }

    /// The piece, unless it is hidden or gone.
    pub(super) fn visible(&self, id: EquipmentId) -> Option<&Piece> {
        self.equipment.get(&id).filter(|piece| piece.is_visible())
    }

    fn meant(&self, name: &EquipmentRef) -> Option<EquipmentId> {
        let mut visible = self.equipment.values().filter(|piece| piece.is_visible());
        let meant = match name {
            EquipmentRef::Id(id) => self.visible(*id),
            EquipmentRef::Serial(serial) => {
                visible.find(|piece| serial_key(&piece.equipment.details) == Some(serial.key()))
            }
            EquipmentRef::Called(label) => self.called(&label.key()),
        };
        meant.map(|piece| piece.equipment.id)
    }

    fn called(&self, key: &str) -> Option<&Piece> {
        let visible = || self.equipment.values().filter(|piece| piece.is_visible());
        let mut named = visible().filter(|piece| piece.equipment.details.name.key() == key);
        let by_name = named.next().filter(|_| named.next().is_none());
        visible().find(|piece| serial_key(&piece.equipment.details).as_deref() == Some(key)).or(by_name)
    }

    fn refuse_details(&self, id: EquipmentId, details: &Details) -> Result<(), StoreError> {
        let others = self.equipment.values().map(|piece| &piece.equipment).filter(|other| other.id != id);
        let mut taken = others.filter_map(|other| serial_key(&other.details));
        if serial_key(details).is_some_and(|key| taken.any(|other| other == key)) {
            return Err(StoreError::Conflict(Unique::SerialNumber));
        }
        details.parent.map_or(Ok(()), |parent| self.piece(parent).map(drop))
    }

    /// All that goes with a piece of equipment.
    fn delete_all_of(&mut self, id: EquipmentId, at: Timestamp) {
        remove(&mut self.maintenance, |entry| entry.equipment == id);
        let alerts = self.alerts.values().filter(|alert| alert.what.equipment == id);
        for alert in alerts.map(|alert| alert.id).collect::<Vec<_>>() {
            self.delete_alert(alert);
        }
        let rules = self.rules.values().filter(|rule| rule.details.target == Target::Equipment(id));
        for rule in rules.map(|rule| rule.id).collect::<Vec<_>>() {
            self.delete_rule(rule, at);
        }
        self.live.drop_all_of(id);
        self.rollups.retain(|(_, whose, _), _| *whose != id);
        self.due.retain(|(whose, _)| *whose != id);
        self.thinned.remove(&id);
    }
}

fn mark_written(equipment: &mut Equipment, at: Timestamp) {
    equipment.version = equipment.version.next();
    equipment.updated_at = at;
}

fn serial_key(details: &Details) -> Option<String> {
    details.serial_number.as_ref().map(SerialNumber::key)
}

fn is_among(wanted: &[Label], label: Option<&Label>) -> bool {
    any(wanted, |wanted| label.is_some_and(|label| label.key() == wanted.key()))
}

fn matches(equipment: &Equipment, filter: &EquipmentFilter) -> bool {
    let details = &equipment.details;
    let stands = |will_do: &dyn Fn(&Location) -> bool| details.location.as_ref().is_some_and(will_do);
    equipment.hidden_at.is_some() == filter.hidden
        && filter.reach.covers(equipment.id)
        && is_among(&filter.names, Some(&details.name))
        && is_among(&filter.kinds, Some(&details.kind))
        && is_among(&filter.models, details.model.as_ref())
        && is_among(&filter.manufacturers, details.manufacturer.as_ref())
        && any(&filter.serial_numbers, |wanted| serial_key(details) == Some(wanted.key()))
        && any(&filter.statuses, |wanted| details.status == *wanted)
        && any(&filter.locations, |wanted| stands(&|location| location == wanted))
        && any(&filter.under, |wanted| stands(&|location| location.is_under(wanted)))
        && any(&filter.parents, |wanted| details.parent == Some(*wanted))
        && lies_in(&filter.installed, details.installed_on)
        && lies_in(&filter.due, equipment.next_maintenance_on)
        && filter.created.contains(equipment.created_at)
        && filter.updated.contains(equipment.updated_at)
        && filter.search.as_ref().is_none_or(|text| occurs(text, details))
}

/// Whether the day lies inside; one that nobody named lies in no span that has an end.
fn lies_in(days: &Days, day: Option<Date>) -> bool {
    day.map_or(*days == Days::default(), |day| days.contains(day))
}

fn occurs(text: &str, details: &Details) -> bool {
    let text = fold(text);
    let labels =
        [Some(&details.name), Some(&details.kind), details.model.as_ref(), details.manufacturer.as_ref()];
    labels.into_iter().flatten().any(|label| label.key().contains(&text))
        || serial_key(details).is_some_and(|serial| serial.contains(&text))
        || details.location.as_ref().is_some_and(|location| fold(location.as_str()).contains(&text))
}

fn compare(key: EquipmentKey, one: &Equipment, other: &Equipment) -> Ordering {
    let label = |label: &Option<Label>| label.as_ref().map(Label::key);
    let (this, that) = (&one.details, &other.details);
    match key {
        EquipmentKey::Id => one.id.cmp(&other.id),
        EquipmentKey::Name => this.name.key().cmp(&that.name.key()),
        EquipmentKey::Kind => this.kind.key().cmp(&that.kind.key()),
        EquipmentKey::Model => label(&this.model).cmp(&label(&that.model)),
        EquipmentKey::Manufacturer => label(&this.manufacturer).cmp(&label(&that.manufacturer)),
        EquipmentKey::SerialNumber => serial_key(this).cmp(&serial_key(that)),
        EquipmentKey::Status => this.status.cmp(&that.status),
        EquipmentKey::Location => this.location.cmp(&that.location),
        EquipmentKey::InstalledOn => this.installed_on.cmp(&that.installed_on),
        EquipmentKey::NextMaintenanceOn => one.next_maintenance_on.cmp(&other.next_maintenance_on),
        EquipmentKey::CreatedAt => one.created_at.cmp(&other.created_at),
        EquipmentKey::UpdatedAt => one.updated_at.cmp(&other.updated_at),
    }
}
