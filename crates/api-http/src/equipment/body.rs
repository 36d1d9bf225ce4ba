//! How a piece of equipment looks, and what a change of one may say.

use crate::body::FromBody;
use crate::body::fields::Fields;
use crate::body::json::Json;
use crate::reply::{Created, Moving, Versioned};
use crate::values::{Field, mistyped};
use domain::equipment::{Attributes, Details, Equipment, EquipmentChange, Status};
use domain::error::{Flaw, Reason};
use domain::patch::Patch;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Object, Schema, SchemaType, Type};

/// The fields that a change cannot touch.
const READ_ONLY: [&str; 8] = [
    "id",
    "last_seen_at",
    "last_maintained_at",
    "next_maintenance_on",
    "hidden_at",
    "version",
    "created_at",
    "updated_at",
];

/// A piece of equipment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Equipment, examples(json!({
    "id": 7, "name": "Welding robot 7", "type": "robot", "model": "WR-9", "manufacturer": "Example Robotics",
    "serial_number": "WR-0007", "installation_date": "2024-03-01", "location": "plant-1/line-2", "parent": null,
    "status": "operational", "attributes": {"payload_kg": 12}, "last_seen_at": "2026-05-04T07:29:58.000000Z",
    "last_maintained_at": null, "next_maintenance_on": null, "version": 1,
    "created_at": "2026-05-04T07:30:00.000000Z", "updated_at": "2026-05-04T07:30:00.000000Z"
})))]
pub struct EquipmentBody {
    id: i64,
    name: String,
    /// What kind of machine it is.
    #[serde(rename = "type")]
    kind: String,
    #[schema(required)]
    model: Option<String>,
    #[schema(required)]
    manufacturer: Option<String>,
    /// Unique in the whole register, without regard to case.
    #[schema(required)]
    serial_number: Option<String>,
    #[schema(required, format = Date)]
    installation_date: Option<String>,
    #[schema(required)]
    location: Option<String>,
    /// What it is a component of.
    #[schema(required)]
    parent: Option<i64>,
    #[schema(examples("operational"))]
    status: &'static str,
    /// Free facts.
    #[schema(value_type = Object)]
    attributes: AttributesBody,
    /// The instant of its newest reading. Moves without the version.
    #[schema(required, format = DateTime)]
    last_seen_at: Option<String>,
    /// When it was last looked after, as its maintenance log says.
    #[schema(required, format = DateTime)]
    last_maintained_at: Option<String>,
    /// By which day it is due again, as the newest entry of its maintenance log says.
    #[schema(required, format = Date)]
    next_maintenance_on: Option<String>,
    /// When it was taken out of the register; only there when it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    hidden_at: Option<String>,
    version: i64,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<&Equipment> for EquipmentBody {
    fn from(equipment: &Equipment) -> Self {
        let details = &equipment.details;
        Self {
            id: equipment.id.get(),
            name: details.name.to_string(),
            kind: details.kind.to_string(),
            model: told(&details.model),
            manufacturer: told(&details.manufacturer),
            serial_number: told(&details.serial_number),
            installation_date: told(&details.installed_on),
            location: told(&details.location),
            parent: details.parent.map(|id| id.get()),
            status: details.status.name(),
            attributes: AttributesBody(details.attributes.clone()),
            last_seen_at: told(&equipment.last_seen_at),
            last_maintained_at: told(&equipment.last_maintained_at),
            next_maintenance_on: told(&equipment.next_maintenance_on),
            hidden_at: told(&equipment.hidden_at),
            version: equipment.version.get(),
            created_at: equipment.created_at.to_string(),
            updated_at: equipment.updated_at.to_string(),
        }
    }
}

fn told<T: ToString>(value: &Option<T>) -> Option<String> {
    value.as_ref().map(ToString::to_string)
}

impl EquipmentBody {
    /// The piece with its version.
    pub fn versioned(equipment: &Equipment) -> Moving<Self> {
        Moving(Versioned { version: equipment.version, body: equipment.into() })
    }

    /// The piece as just registered.
    pub fn created(equipment: &Equipment) -> Created<Self> {
        Created {
            location: format!("/api/equipment/{}", equipment.id),
            version: Some(equipment.version),
            body: equipment.into(),
        }
    }
}

/// Free facts, answered as they were stored.
#[derive(Debug)]
struct AttributesBody(Attributes);

impl Serialize for AttributesBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let json: &RawValue = serde_json::from_str(self.0.as_json()).map_err(serde::ser::Error::custom)?;
        json.serialize(serializer)
    }
}

/// Free facts are kept as they come, so what cannot be kept exactly is refused.
impl Field for Attributes {
    fn schema() -> RefOr<Schema> {
        let mut object = Object::with_type(SchemaType::Type(Type::Object));
        object.description = Some(format!("Free facts: at most {} bytes of JSON.", Attributes::MOST_BYTES));
        object.examples = vec![serde_json::json!({"payload_kg": 12})];
        object.into()
    }

    fn read(json: Json, at: &str, flaws: &mut Vec<Flaw>) -> Option<Self> {
        let refused = if !matches!(json, Json::Object(_)) {
            mistyped("an object")
        } else if !is_exact(&json) {
            Reason::new("out_of_range", "must not hold numbers beyond 64 bits; send such numbers as text")
        } else {
            match serde_json::to_string(&json) {
                Ok(text) if text.len() <= Attributes::MOST_BYTES => return Some(Attributes::restore(text)),
                Ok(_) | Err(_) => {
                    let message = format!("must have at most {} bytes", Attributes::MOST_BYTES);
                    Reason::new("too_long", message)
                }
            }
        };
        flaws.push(refused.at(at));
        None
    }
}

/// Whether every number is what was sent. A whole number that 64 bits do not hold was rounded when it was read.
fn is_exact(json: &Json) -> bool {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    match json {
        Json::Null | Json::Flag(_) | Json::Whole(_) | Json::Text(_) => true,
        Json::Float(number) => number.abs() < BEYOND,
        Json::List(items) => items.iter().all(is_exact),
        Json::Object(entries) => entries.iter().all(|(_, value)| is_exact(value)),
    }
}

impl FromBody for Details {
    const NAME: &'static str = "NewEquipment";
    const ABOUT: &'static str = "A piece of equipment to be registered.";
    const EXAMPLE: &'static str = r#"{"name": "Welding robot 7", "type": "robot", "model": "WR-9",
        "manufacturer": "Example Robotics", "serial_number": "WR-0007", "installation_date": "2024-03-01",
        "location": "plant-1/line-2", "status": "operational", "attributes": {"payload_kg": 12}}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (name, kind) = (fields.required("name"), fields.required("type"));
        let (model, manufacturer) = (fields.optional("model"), fields.optional("manufacturer"));
        let (serial_number, installed_on) =
            (fields.optional("serial_number"), fields.optional("installation_date"));
        let (location, parent) = (fields.optional("location"), fields.optional("parent"));
        let status = fields.optional("status").unwrap_or(Status::Operational);
        let attributes = fields.optional("attributes").unwrap_or_default();
        let (name, kind) = (name?, kind?);
        Some(Self {
            name,
            kind,
            model,
            manufacturer,
            serial_number,
            installed_on,
            location,
            parent,
            status,
            attributes,
        })
    }
}

/// A piece of equipment as it shall be.
pub struct EquipmentPut(pub EquipmentChange);

impl FromBody for EquipmentPut {
    const NAME: &'static str = "EquipmentPut";
    const ABOUT: &'static str = "The piece of equipment as it shall be. What is absent is emptied; without `status` it is \
        operational.";
    const EXAMPLE: &'static str = Details::EXAMPLE;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.read_only(&READ_ONLY);
        let details = Details::read(fields)?;
        Some(Self(EquipmentChange {
            name: Some(details.name),
            kind: Some(details.kind),
            model: whole(details.model),
            manufacturer: whole(details.manufacturer),
            serial_number: whole(details.serial_number),
            installed_on: whole(details.installed_on),
            location: whole(details.location),
            parent: whole(details.parent),
            status: Some(details.status),
            attributes: Some(details.attributes),
        }))
    }
}

fn whole<T>(value: Option<T>) -> Patch<T> {
    value.map_or(Patch::Clear, Patch::Set)
}

/// What shall be different about a piece of equipment.
pub struct EquipmentPatch(pub EquipmentChange);

impl FromBody for EquipmentPatch {
    const NAME: &'static str = "EquipmentPatch";
    const ABOUT: &'static str = "What shall be different. What is absent stays; `null` empties a field. `attributes` are \
        replaced as a whole.";
    const EXAMPLE: &'static str =
        r#"{"status": "maintenance", "location": "plant-1/workshop", "parent": null}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.read_only(&READ_ONLY);
        Some(Self(EquipmentChange {
            name: fields.changed("name"),
            kind: fields.changed("type"),
            model: fields.patched("model"),
            manufacturer: fields.patched("manufacturer"),
            serial_number: fields.patched("serial_number"),
            installed_on: fields.patched("installation_date"),
            location: fields.patched("location"),
            parent: fields.patched("parent"),
            status: fields.changed("status"),
            attributes: match fields.patched("attributes") {
                Patch::Keep => None,
                Patch::Clear => Some(Attributes::default()),
                Patch::Set(attributes) => Some(attributes),
            },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::json::parse;

    fn read(text: &str) -> Result<String, &'static str> {
        let mut flaws = Vec::new();
        let read = Attributes::read(parse(text.as_bytes()).unwrap(), "attributes", &mut flaws);
        read.map(|attributes| attributes.as_json().to_owned()).ok_or_else(|| flaws[0].reason.code)
    }

    #[test]
    fn free_facts_are_kept_in_their_order_and_to_the_last_digit() {
        let text =
            r#"{"b":[1,-9223372036854775808,18446744073709551615,0.1,null],"a":{"ä":"\"😀\n","t":true}}"#;
        assert_eq!(read(text), Ok(text.to_owned()));
        assert_eq!(read(" { \"a\" : 1.50 } "), Ok(r#"{"a":1.5}"#.to_owned()));
    }

    #[test]
    fn a_number_that_would_be_rounded_is_refused() {
        for text in
            [r#"{"a":18446744073709551616}"#, r#"{"a":[{"b":-9223372036854775809}]}"#, r#"{"a":1e300}"#]
        {
            assert_eq!(read(text), Err("out_of_range"), "{text}");
        }
    }

    #[test]
    fn free_facts_are_an_object_of_limited_size() {
        assert_eq!(read("[]"), Err("type"));
        let long = |length: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(length));
        assert!(read(&long(Attributes::MOST_BYTES - 8)).is_ok());
        assert_eq!(read(&long(Attributes::MOST_BYTES - 7)), Err("too_long"));
    }
}
