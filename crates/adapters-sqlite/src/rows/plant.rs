//! Rows of equipment, of its maintenance log, of what it measures and of what that is called.

use super::ranks::Ranked;
use super::{Place, person};
use crate::facts;
use crate::schema::{equipment, live_events, maintenance, metrics, readings};
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::alerts::{Alert, AlertChange};
use domain::audit::Fact;
use domain::equipment::{Attributes, Details, Equipment, Status};
use domain::id::{AlertId, EquipmentId, MaintenanceId, Version};
use domain::live::{LiveEvent, Mark, NewLiveEvent};
use domain::maintenance::{Maintenance, NewMaintenance};
use domain::ports::StoreError;
use domain::telemetry::{Head, Latest, Metric, MetricName, Reading, ReadingId, Shape, Tag, Tags, Values};
use domain::text::{Description, Label, Location, SerialNumber};
use domain::time::Date;
use std::collections::HashMap;

impl<K: std::fmt::Display> Place<K> {
    fn day_if_any(&self, column: &'static str, day: Option<String>) -> Result<Option<Date>, StoreError> {
        day.map(|day| self.sound(column, Date::parse(&day).ok())).transpose()
    }
}

/// The id of a piece of equipment as another table refers to it.
pub(crate) fn equipment_id(table: &'static str, id: i64) -> Result<EquipmentId, StoreError> {
    Place { table, row: id }.sound("equipment_id", EquipmentId::new(id))
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = equipment, check_for_backend(Sqlite))]
pub(crate) struct EquipmentRow {
    pub(crate) id: i64,
    name: String,
    kind: String,
    model: Option<String>,
    manufacturer: Option<String>,
    serial_number: Option<String>,
    installed_on: Option<String>,
    location: Option<String>,
    parent_id: Option<i64>,
    status: i32,
    last_maintained_at: Option<i64>,
    next_maintenance_on: Option<String>,
    hidden_at: Option<i64>,
    version: i64,
    created_at: i64,
    updated_at: i64,
    attributes: String,
}

impl EquipmentRow {
    /// The piece, with the instant of its newest reading from the table beside it.
    pub(crate) fn with(self, last_seen_at: Option<i64>) -> Result<Equipment, StoreError> {
        let place = Place { table: "equipment", row: self.id };
        let parent = self.parent_id.map(|id| place.sound("parent_id", EquipmentId::new(id))).transpose()?;
        Ok(Equipment {
            id: place.sound("id", EquipmentId::new(self.id))?,
            details: Details {
                name: Label::restore(self.name),
                kind: Label::restore(self.kind),
                model: self.model.map(Label::restore),
                manufacturer: self.manufacturer.map(Label::restore),
                serial_number: self.serial_number.map(SerialNumber::restore),
                installed_on: place.day_if_any("installed_on", self.installed_on)?,
                location: self.location.map(Location::restore),
                parent,
                status: place.sound("status", Status::of_rank(self.status))?,
                attributes: Attributes::restore(self.attributes),
            },
            last_maintained_at: place.instant_if_any("last_maintained_at", self.last_maintained_at)?,
            next_maintenance_on: place.day_if_any("next_maintenance_on", self.next_maintenance_on)?,
            last_seen_at: place.instant_if_any("last_seen_at", last_seen_at)?,
            hidden_at: place.instant_if_any("hidden_at", self.hidden_at)?,
            version: place.sound("version", Version::new(self.version))?,
            created_at: place.instant("created_at", self.created_at)?,
            updated_at: place.instant("updated_at", self.updated_at)?,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = maintenance, check_for_backend(Sqlite))]
pub(crate) struct MaintenanceRow {
    id: i64,
    equipment_id: i64,
    what: String,
    performed_at: i64,
    by_id: Option<i64>,
    by_name: String,
    next_due_on: Option<String>,
    created_at: i64,
}

impl TryFrom<MaintenanceRow> for Maintenance {
    type Error = StoreError;

    fn try_from(row: MaintenanceRow) -> Result<Self, StoreError> {
        let place = Place { table: "maintenance", row: row.id };
        let what = NewMaintenance {
            equipment: place.sound("equipment_id", EquipmentId::new(row.equipment_id))?,
            what: Description::restore(row.what),
            performed_at: place.instant("performed_at", row.performed_at)?,
            by: person(&place, "by_id", row.by_id, row.by_name)?,
            next_due_on: place.day_if_any("next_due_on", row.next_due_on)?,
            created_at: place.instant("created_at", row.created_at)?,
        };
        Ok(Self { id: place.sound("id", MaintenanceId::new(row.id))?, what })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = metrics, check_for_backend(Sqlite))]
pub(crate) struct MetricRow {
    id: i64,
    name: String,
    unit: Option<String>,
    description: Option<String>,
    version: i64,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<MetricRow> for Metric {
    type Error = StoreError;

    fn try_from(row: MetricRow) -> Result<Self, StoreError> {
        let place = Place { table: "metrics", row: row.id };
        Ok(Self {
            name: MetricName::restore(&row.name),
            unit: row.unit.map(Label::restore),
            description: row.description.map(Description::restore),
            version: place.sound("version", Version::new(row.version))?,
            created_at: place.instant("created_at", row.created_at)?,
            updated_at: place.instant("updated_at", row.updated_at)?,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = readings, check_for_backend(Sqlite))]
pub(crate) struct ReadingRow {
    pub(crate) equipment_id: i64,
    pub(crate) at: i64,
    received_at: i64,
    pub(crate) shape_id: i64,
    numbers: Vec<u8>,
    tags: Option<String>,
}

impl ReadingRow {
    /// The reading, with its metrics from the table beside it; none if they are not there.
    pub(crate) fn with(self, shape: Option<&Shape>) -> Result<Reading, StoreError> {
        let place = Place { table: "readings", row: format!("{}-{}", self.equipment_id, self.at) };
        let shape = place.sound("shape_id", shape.cloned())?;
        let values = numbers_from(&self.numbers).and_then(|numbers| Values::new(shape, numbers));
        let tags = self.tags.map_or(Some(Tags::new()), |json| tags_from_json(&json));
        Ok(Reading {
            id: ReadingId {
                equipment: place.sound("equipment_id", EquipmentId::new(self.equipment_id))?,
                at: place.instant("at", self.at)?,
            },
            values: place.sound("numbers", values)?,
            tags: place.sound("tags", tags)?,
            received_at: place.instant("received_at", self.received_at)?,
        })
    }
}

/// Numbers in one column, to the last bit.
pub(crate) fn numbers_column(values: &Values) -> Vec<u8> {
    values.numbers().iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// The numbers of such a column; `None` when they are not whole.
fn numbers_from(column: &[u8]) -> Option<Vec<f64>> {
    let (numbers, rest) = column.as_chunks();
    rest.is_empty().then(|| numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
}

/// Facts about a reading in one column; most readings have none.
pub(crate) fn tags_column(tags: &Tags) -> Result<Option<String>, StoreError> {
    if tags.is_empty() {
        return Ok(None);
    }
    let fact = |tag: &Tag| match tag {
        Tag::Flag(flag) => Fact::Flag(*flag),
        Tag::Text(text) => Fact::Text(text.clone()),
    };
    let facts = tags.iter().map(|(name, tag)| (name.clone(), fact(tag))).collect();
    facts::to_json(&facts).map(Some).map_err(|error| StoreError::Fault(Box::new(error)))
}

fn tags_from_json(json: &str) -> Option<Tags> {
    let tag = |fact| match fact {
        Fact::Flag(flag) => Some(Tag::Flag(flag)),
        Fact::Text(text) => Some(Tag::Text(text)),
        Fact::Null | Fact::Number(_) | Fact::List(_) => None,
    };
    facts::from_json(json)?.into_iter().map(|(name, fact)| Some((name, tag(fact)?))).collect()
}

/// The newest value of a metric as a head holds it, by the metric's number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StoredLatest {
    pub(crate) metric: i64,
    pub(crate) at: i64,
    pub(crate) value: f64,
}

/// The newest values in one column: number of the metric, instant, value, 8 bytes each.
pub(crate) fn latest_column(latest: impl Iterator<Item = StoredLatest>) -> Vec<u8> {
    let words = latest.flat_map(|StoredLatest { metric, at, value }| {
        [metric.to_le_bytes(), at.to_le_bytes(), value.to_le_bytes()]
    });
    words.flatten().collect()
}

/// The newest values of such a column, which the table keeps from being anything but whole.
pub(crate) fn latest_from(column: &[u8]) -> impl Iterator<Item = StoredLatest> {
    let (words, _) = column.as_chunks();
    words.as_chunks().0.iter().map(|[metric, at, value]| StoredLatest {
        metric: i64::from_le_bytes(*metric),
        at: i64::from_le_bytes(*at),
        value: f64::from_le_bytes(*value),
    })
}

#[derive(Queryable)]
pub(crate) struct HeadRow {
    equipment_id: i64,
    kind: String,
    last_seen_at: Option<i64>,
    pub(crate) latest: Vec<u8>,
    rolled_until: Option<i64>,
}

impl HeadRow {
    /// The head, with the names of its metrics from the table beside it.
    pub(crate) fn with(self, names: &HashMap<i64, MetricName>) -> Result<Head, StoreError> {
        let place = Place { table: "equipment_heads", row: self.equipment_id };
        let latest = |stored: StoredLatest| {
            Ok(Latest {
                metric: place.sound("latest", names.get(&stored.metric).cloned())?,
                at: place.instant("latest", stored.at)?,
                value: stored.value,
            })
        };
        Ok(Head {
            equipment: place.sound("equipment_id", EquipmentId::new(self.equipment_id))?,
            kind: Label::restore(self.kind),
            last_seen_at: place.instant_if_any("last_seen_at", self.last_seen_at)?,
            latest: latest_from(&self.latest).map(latest).collect::<Result<_, StoreError>>()?,
            rolled_until: place.instant_if_any("rolled_until", self.rolled_until)?,
        })
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = live_events, check_for_backend(Sqlite))]
pub(crate) struct LiveEventRow {
    unit: i64,
    number: i64,
    equipment_id: i64,
    at: i64,
    pub(crate) shape_id: Option<i64>,
    numbers: Option<Vec<u8>>,
    pub(crate) alert_id: Option<i64>,
    change: Option<String>,
}

impl LiveEventRow {
    /// The event, with its metrics and its alert from the tables beside it.
    pub(crate) fn with(
        self,
        shapes: &HashMap<i64, Shape>,
        alert: Option<Alert>,
    ) -> Result<LiveEvent, StoreError> {
        let mark = Mark { transaction: self.unit, number: self.number };
        let place = Place { table: "live_events", row: mark };
        let equipment = place.sound("equipment_id", EquipmentId::new(self.equipment_id))?;
        let at = place.instant("at", self.at)?;
        let what = if let Some(id) = self.alert_id {
            let alert = place.sound("alert_id", AlertId::new(id))?;
            let change = self.change.and_then(|change| AlertChange::parse(&change));
            NewLiveEvent::Alert { equipment, alert, change: place.sound("change", change)?, at }
        } else {
            let shape = self.shape_id.and_then(|id| shapes.get(&id).cloned());
            let numbers = self.numbers.as_deref().and_then(numbers_from).unwrap_or_default();
            let values = Values::new(place.sound("shape_id", shape)?, numbers);
            NewLiveEvent::Values { equipment, at, values: place.sound("numbers", values)? }
        };
        Ok(LiveEvent { mark, what, alert })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_are_neither_flags_nor_texts_are_told_apart() {
        let tags = Tags::from([("a".into(), Tag::Flag(true)), ("b".into(), Tag::Text("1".into()))]);
        let column = tags_column(&tags).unwrap().unwrap();
        assert_eq!(tags_from_json(&column), Some(tags));
        for bad in ["", "[]", r#"{"a":1}"#, r#"{"a":null}"#, r#"{"a":["b"]}"#] {
            assert_eq!(tags_from_json(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_that_are_not_whole_are_told_apart() {
        let shape = Shape::new(vec![MetricName::restore("t")]);
        let column = numbers_column(&Values::new(shape, vec![-0.0]).unwrap());
        assert_eq!(numbers_from(&column).unwrap()[0].to_bits(), (-0.0_f64).to_bits());
        assert_eq!(numbers_from(&column[1..]), None);
    }
}
