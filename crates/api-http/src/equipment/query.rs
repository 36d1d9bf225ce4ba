//! Which equipment a list is about.

use crate::query::{FromQuery, Params};
use domain::equipment::{EquipmentFilter, EquipmentKey, EquipmentQuery, Reach};
use domain::id::EquipmentId;

const KEYS: [(&str, EquipmentKey); 12] = [
    ("id", EquipmentKey::Id),
    ("name", EquipmentKey::Name),
    ("type", EquipmentKey::Kind),
    ("model", EquipmentKey::Model),
    ("manufacturer", EquipmentKey::Manufacturer),
    ("serial_number", EquipmentKey::SerialNumber),
    ("status", EquipmentKey::Status),
    ("location", EquipmentKey::Location),
    ("installation_date", EquipmentKey::InstalledOn),
    ("next_maintenance_on", EquipmentKey::NextMaintenanceOn),
    ("created_at", EquipmentKey::CreatedAt),
    ("updated_at", EquipmentKey::UpdatedAt),
];

/// A question for equipment.
pub struct EquipmentAsked(pub EquipmentQuery);

impl FromQuery for EquipmentAsked {
    fn read(params: &mut Params) -> Self {
        let parents = params.any_of("parent", "Id of what it is a component of.");
        let hidden = params
            .flag("hidden", "`true` lists what was taken out of the register; needs `equipment:write`.");
        Self(read(params, parents, hidden.unwrap_or(false)))
    }
}

/// A question for the components of a piece of equipment.
pub struct ComponentsAsked(EquipmentQuery);

impl FromQuery for ComponentsAsked {
    fn read(params: &mut Params) -> Self {
        Self(read(params, Vec::new(), false))
    }
}

impl ComponentsAsked {
    /// The question for the components of this piece.
    pub fn of(self, parent: EquipmentId) -> EquipmentQuery {
        let filter = EquipmentFilter { parents: vec![parent], ..self.0.filter };
        EquipmentQuery { filter, ..self.0 }
    }
}

fn read(params: &mut Params, parents: Vec<EquipmentId>, hidden: bool) -> EquipmentQuery {
    let filter = EquipmentFilter { parents, hidden, ..register_filter(params) };
    EquipmentQuery { filter, order: params.order(&KEYS), page: params.page() }
}

/// By what the register says of equipment, other than what it is a component of.
pub fn register_filter(params: &mut Params) -> EquipmentFilter {
    EquipmentFilter {
        names: params.any_of("name", "Name."),
        kinds: params.any_of("type", "Kind of machine."),
        models: params.any_of("model", "Model."),
        manufacturers: params.any_of("manufacturer", "Manufacturer."),
        serial_numbers: params.any_of("serial_number", "Serial number."),
        statuses: params.any_of("status", "Status."),
        locations: params.any_of("location", "Location, exactly this."),
        under: params.any_of("location__under", "Location, with all that lies under it."),
        parents: Vec::new(),
        installed: params.days("installation_date__gte", "installation_date__lt"),
        due: params.days("next_maintenance_on__gte", "next_maintenance_on__lt"),
        created: params.span("created_at__gte", "created_at__lt"),
        updated: params.span("updated_at__gte", "updated_at__lt"),
        search: params.search("Occurs in name, type, model, manufacturer, serial number or location."),
        hidden: false,
        reach: Reach::All,
    }
}
