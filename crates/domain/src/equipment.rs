//! The equipment register: which machines there are, what is known of each, which is part of which.
//!
//! What they measured is in [`crate::telemetry`], what needs a person in [`crate::alerts`]; the verbs are in
//! [`crate::app::equipment`].

use crate::error::Error;
use crate::id::{EquipmentId, Version};
use crate::page::{Order, PageRequest};
use crate::patch::Patch;
use crate::text::{Label, Location, SerialNumber};
use crate::time::{Date, Days, Span, Timestamp};
use std::collections::HashMap;

macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$about])* $variant,)* }

        impl $name {
            /// All of them, in order.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The name that clients see.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// The one of this name.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some($name::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
pub(crate) use named;

named! {
    /// The state that a piece of equipment is in, as people say.
    Status {
        /// It works.
        Operational = "operational",
        /// It could work.
        Idle = "idle",
        /// Somebody is looking after it.
        Maintenance = "maintenance",
        /// It is broken.
        Fault = "fault",
        /// It is switched off or not connected.
        Offline = "offline",
        /// It is out of service for good.
        Decommissioned = "decommissioned",
    }
}

impl Status {
    /// Whether the equipment may be expected to send readings. Silence of what is switched off means nothing.
    pub const fn is_expected_to_report(self) -> bool {
        !matches!(self, Status::Offline | Status::Decommissioned)
    }
}

/// Free facts about something: a JSON object in text, as whoever took it in has checked. Stored and answered as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes(String);

impl Attributes {
    /// The most bytes that the text may have.
    pub const MOST_BYTES: usize = 16 * 1024;

    /// A JSON object in text: checked where it came in, believed now.
    pub fn restore(json: String) -> Self {
        Self(json)
    }

    /// The text of the JSON object.
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

impl Default for Attributes {
    fn default() -> Self {
        Self("{}".to_owned())
    }
}

/// What people write about a piece of equipment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// What it is called.
    pub name: Label,
    /// What kind of machine it is, such as `robot`; compared folded.
    pub kind: Label,
    /// Its model.
    pub model: Option<Label>,
    /// Who made it.
    pub manufacturer: Option<Label>,
    /// Its serial number, unique in the whole register, compared folded.
    pub serial_number: Option<SerialNumber>,
    /// When it was installed.
    pub installed_on: Option<Date>,
    /// Where it stands.
    pub location: Option<Location>,
    /// What it is a component of.
    pub parent: Option<EquipmentId>,
    /// The state that it is in.
    pub status: Status,
    /// Free facts.
    pub attributes: Attributes,
}

impl Details {
    /// A piece that works, and of which only its name and its kind are known.
    pub fn new(name: Label, kind: Label) -> Self {
        Self {
            name,
            kind,
            model: None,
            manufacturer: None,
            serial_number: None,
            installed_on: None,
            location: None,
            parent: None,
            status: Status::Operational,
            attributes: Attributes::default(),
        }
    }
}

/// A piece of equipment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equipment {
    /// Its id.
    pub id: EquipmentId,
    /// What people write about it.
    pub details: Details,
    /// When it was last looked after, by its maintenance log.
    pub last_maintained_at: Option<Timestamp>,
    /// By which day it is due again, as the newest entry of the log says.
    pub next_maintenance_on: Option<Date>,
    /// The instant of its newest reading. Moves without the version.
    pub last_seen_at: Option<Timestamp>,
    /// When it was hidden; nothing while it is in the register.
    pub hidden_at: Option<Timestamp>,
    /// How often it was written.
    pub version: Version,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// A piece of equipment to be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEquipment {
    /// What people write about it.
    pub details: Details,
    /// When it is registered.
    pub created_at: Timestamp,
}

/// A change of what people write about a piece of equipment. What is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EquipmentChange {
    /// Another name.
    pub name: Option<Label>,
    /// Another kind.
    pub kind: Option<Label>,
    /// Another model.
    pub model: Patch<Label>,
    /// Another manufacturer.
    pub manufacturer: Patch<Label>,
    /// Another serial number.
    pub serial_number: Patch<SerialNumber>,
    /// Another day of installation.
    pub installed_on: Patch<Date>,
    /// Another place.
    pub location: Patch<Location>,
    /// Component of something else.
    pub parent: Patch<EquipmentId>,
    /// Another state.
    pub status: Option<Status>,
    /// All free facts.
    pub attributes: Option<Attributes>,
}

impl EquipmentChange {
    /// What is written after the change.
    pub fn apply(self, details: &Details) -> Details {
        Details {
            name: self.name.unwrap_or_else(|| details.name.clone()),
            kind: self.kind.unwrap_or_else(|| details.kind.clone()),
            model: self.model.apply(&details.model),
            manufacturer: self.manufacturer.apply(&details.manufacturer),
            serial_number: self.serial_number.apply(&details.serial_number),
            installed_on: self.installed_on.apply(&details.installed_on),
            location: self.location.apply(&details.location),
            parent: self.parent.apply(&details.parent),
            status: self.status.unwrap_or(details.status),
            attributes: self.attributes.unwrap_or_else(|| details.attributes.clone()),
        }
    }
}

/// How deep components may be nested.
pub const DEEPEST: usize = 32;

/// Refuses a parent that would make the tree of components a circle, or too deep. `above` are the parent's own
/// ancestors, nearest first; `below` is how many levels of components the component brings along.
pub fn may_contain(
    component: Option<EquipmentId>,
    parent: EquipmentId,
    above: &[EquipmentId],
    below: usize,
) -> Result<(), Error> {
    if component.is_some_and(|component| component == parent || above.contains(&component)) {
        return Err(Error::flaw(
            "parent",
            "circle",
            "must not be the equipment itself or one of its components",
        ));
    }
    if above.len() + 1 + below >= DEEPEST {
        return Err(Error::flaw("parent", "too_deep", format!("must not be nested deeper than {DEEPEST}")));
    }
    Ok(())
}

/// A piece of equipment as a client names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EquipmentRef {
    /// By number.
    Id(EquipmentId),
    /// By serial number.
    Serial(SerialNumber),
    /// By what it is called: the piece with this serial number, or else the only one of this name, both compared folded.
    Called(Label),
}

/// Of names and the pieces that bear them, those that one piece alone bears.
pub fn unambiguous(bearers: impl IntoIterator<Item = (String, EquipmentId)>) -> HashMap<String, EquipmentId> {
    let mut only: HashMap<String, Option<EquipmentId>> = HashMap::new();
    for (name, bearer) in bearers {
        only.entry(name).and_modify(|only| *only = None).or_insert(Some(bearer));
    }
    only.into_iter().filter_map(|(name, bearer)| Some((name, bearer?))).collect()
}

/// Which equipment a caller may touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reach {
    /// All of it.
    #[default]
    All,
    /// These pieces alone, ordered by id.
    Only(Vec<EquipmentId>),
}

impl Reach {
    /// Whether it reaches this piece.
    pub fn covers(&self, equipment: EquipmentId) -> bool {
        match self {
            Reach::All => true,
            Reach::Only(pieces) => pieces.binary_search(&equipment).is_ok(),
        }
    }
}

/// Which equipment a list is about. Within a field any of the values will do; between fields all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EquipmentFilter {
    /// Names, compared folded.
    pub names: Vec<Label>,
    /// Kinds, compared folded.
    pub kinds: Vec<Label>,
    /// Models, compared folded.
    pub models: Vec<Label>,
    /// Manufacturers, compared folded.
    pub manufacturers: Vec<Label>,
    /// Serial numbers, compared folded.
    pub serial_numbers: Vec<SerialNumber>,
    /// States.
    pub statuses: Vec<Status>,
    /// Places, exactly these.
    pub locations: Vec<Location>,
    /// Places, with all that lies under them.
    pub under: Vec<Location>,
    /// What it is a component of.
    pub parents: Vec<EquipmentId>,
    /// When it was installed.
    pub installed: Days,
    /// By which day maintenance is due.
    pub due: Days,
    /// When it was registered.
    pub created: Span,
    /// When it was last written.
    pub updated: Span,
    /// Text that occurs in name, kind, model, manufacturer, serial number or location, compared folded.
    pub search: Option<String>,
    /// The hidden pieces instead of those in the register.
    pub hidden: bool,
    /// What the caller may see.
    pub reach: Reach,
}

/// What equipment can be ordered by. Texts are compared folded and byte by byte (locations as they are), states in the
/// order of [`Status::ALL`]; what is absent counts as smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the fields of the same name")]
pub enum EquipmentKey {
    Id,
    Name,
    Kind,
    Model,
    Manufacturer,
    SerialNumber,
    Status,
    Location,
    InstalledOn,
    NextMaintenanceOn,
    CreatedAt,
    UpdatedAt,
}

/// A question for a page of equipment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EquipmentQuery {
    /// Which equipment.
    pub filter: EquipmentFilter,
    /// In which order.
    pub order: Vec<Order<EquipmentKey>>,
    /// Which page.
    pub page: PageRequest,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(number: i64) -> EquipmentId {
        EquipmentId::new(number).unwrap()
    }

    #[test]
    fn a_component_is_not_its_own_ancestor() {
        assert!(may_contain(Some(piece(1)), piece(2), &[piece(3)], 0).is_ok());
        assert!(may_contain(None, piece(2), &[], 0).is_ok());
        assert!(may_contain(Some(piece(1)), piece(1), &[], 0).is_err());
        assert!(may_contain(Some(piece(1)), piece(2), &[piece(3), piece(1)], 0).is_err());
    }

    #[test]
    fn components_are_not_nested_without_end() {
        let above: Vec<_> = (10..10 + DEEPEST as i64 - 1).map(piece).collect();
        assert!(may_contain(None, piece(1), &above, 0).is_err());
        assert!(may_contain(None, piece(1), &above[1..], 0).is_ok());
    }

    #[test]
    fn what_a_component_brings_along_counts_as_nested_too() {
        let above: Vec<_> = (10..30).map(piece).collect();
        let fits = DEEPEST - above.len() - 2;
        assert!(may_contain(Some(piece(1)), piece(2), &above, fits).is_ok());
        assert!(may_contain(Some(piece(1)), piece(2), &above, fits + 1).is_err());
    }

    #[test]
    fn a_change_keeps_what_it_does_not_name() {
        let label = |text: &str| Label::parse(text).unwrap();
        let details = Details {
            name: label("Press 1"),
            kind: label("press"),
            model: Some(label("P-9")),
            manufacturer: None,
            serial_number: None,
            installed_on: None,
            location: None,
            parent: None,
            status: Status::Idle,
            attributes: Attributes::default(),
        };
        let change =
            EquipmentChange { name: Some(label("Press 2")), model: Patch::Clear, ..Default::default() };
        let after = change.apply(&details);
        assert_eq!(after, Details { name: label("Press 2"), model: None, ..details });
    }
}
