//! Equipment in a file of comma-separated values: what each column is called, how a cell is read and how it is written.
//!
//! The columns have the names of the API's fields. Which piece of equipment a line is about, and what its `parent` names,
//! is for [`super::import`].

use api_http::body::json;
use api_http::values::Field;
use domain::equipment::{Attributes, Equipment, EquipmentChange, Status};
use domain::error::Reason;
use domain::id::EquipmentId;
use domain::patch::Patch;
use domain::text::{Label, Location, SerialNumber};
use domain::time::Date;

macro_rules! columns {
    ($($name:ident = $text:literal,)*) => {
        /// A column.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Column { $($name,)* }

        impl Column {
            /// All of them, in the order in which they are written.
            pub(super) const ALL: &'static [Column] = &[$(Column::$name),*];

            /// What it is called.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Column::$name => $text,)* }
            }
        }
    };
}

columns! {
    Id = "id",
    Name = "name",
    Kind = "type",
    Model = "model",
    Manufacturer = "manufacturer",
    SerialNumber = "serial_number",
    InstalledOn = "installation_date",
    Location = "location",
    Parent = "parent",
    Status = "status",
    Attributes = "attributes",
}

/// What a line says about a piece of equipment. A column that is not in the file says nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    /// The number by which other lines of the file may name it as their parent. Not the id that it gets.
    pub number: Option<EquipmentId>,
    /// What it is a component of, by serial number or number.
    pub parent: Patch<String>,
    /// Everything else.
    pub change: EquipmentChange,
}

impl Column {
    /// The column of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Column::ALL.iter().copied().find(|column| column.name() == name)
    }

    /// Whether a file must have it.
    pub(super) fn is_required(self) -> bool {
        matches!(self, Column::Name | Column::Kind)
    }

    /// Reads a cell of this column. An empty one clears what can be empty, and says nothing of the rest.
    pub(super) fn read(self, cell: &str, draft: &mut Draft) -> Result<(), Reason> {
        let cell = cell.trim();
        let change = &mut draft.change;
        match self {
            Column::Id => draft.number = said(cell, number)?,
            Column::Name => change.name = Some(Label::parse(cell)?),
            Column::Kind => change.kind = Some(Label::parse(cell)?),
            Column::Model => change.model = patch(cell, Label::parse)?,
            Column::Manufacturer => change.manufacturer = patch(cell, Label::parse)?,
            Column::SerialNumber => change.serial_number = patch(cell, SerialNumber::parse)?,
            Column::InstalledOn => change.installed_on = patch(cell, Date::parse)?,
            Column::Location => change.location = patch(cell, Location::parse)?,
            Column::Parent => draft.parent = patch(cell, |text| Ok(text.to_owned()))?,
            Column::Status => change.status = said(cell, status)?,
            Column::Attributes => change.attributes = said(cell, attributes)?,
        }
        Ok(())
    }

    /// The cell of this column for a piece whose parent is named so.
    pub(super) fn write(self, piece: &Equipment, parent: &str) -> String {
        let details = &piece.details;
        match self {
            Column::Id => piece.id.to_string(),
            Column::Name => details.name.to_string(),
            Column::Kind => details.kind.to_string(),
            Column::Model => or_empty(details.model.as_ref()),
            Column::Manufacturer => or_empty(details.manufacturer.as_ref()),
            Column::SerialNumber => or_empty(details.serial_number.as_ref()),
            Column::InstalledOn => or_empty(details.installed_on),
            Column::Location => or_empty(details.location.as_ref()),
            Column::Parent => parent.to_owned(),
            Column::Status => details.status.to_string(),
            Column::Attributes => details.attributes.as_json().to_owned(),
        }
    }
}

fn or_empty(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// What a cell says, if it says anything.
fn said<T>(cell: &str, read: impl FnOnce(&str) -> Result<T, Reason>) -> Result<Option<T>, Reason> {
    if cell.is_empty() { Ok(None) } else { read(cell).map(Some) }
}

fn patch<T>(cell: &str, read: impl FnOnce(&str) -> Result<T, Reason>) -> Result<Patch<T>, Reason> {
    Ok(said(cell, read)?.map_or(Patch::Clear, Patch::Set))
}

fn number(cell: &str) -> Result<EquipmentId, Reason> {
    EquipmentId::parse(cell).ok_or_else(|| Reason::new("number", "must be a positive whole number"))
}

fn status(cell: &str) -> Result<Status, Reason> {
    Status::parse(cell).ok_or_else(|| {
        let names: Vec<_> = Status::ALL.iter().map(|status| status.name()).collect();
        Reason::new("unknown", format!("must be one of {}", names.join(", ")))
    })
}

/// A JSON object, judged as the API judges it.
fn attributes(cell: &str) -> Result<Attributes, Reason> {
    let refused = |why: String| Reason::new("attributes", why);
    let json = json::parse(cell.as_bytes())
        .map_err(|what| refused(format!("must be a JSON object; this is {what}")))?;
    let mut flaws = Vec::new();
    let read = Attributes::read(json, Column::Attributes.name(), &mut flaws);
    read.ok_or_else(|| {
        flaws.pop().map_or_else(|| refused("must be a JSON object".to_owned()), |flaw| flaw.reason)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cells: &[(Column, &str)]) -> (Draft, Vec<String>) {
        let mut draft = Draft::default();
        let mut flaws = Vec::new();
        for (column, cell) in cells {
            if let Err(reason) = column.read(cell, &mut draft) {
                flaws.push(format!("{} {}", column.name(), reason.message));
            }
        }
        (draft, flaws)
    }

    #[test]
    fn an_empty_cell_clears_what_can_be_empty_and_keeps_the_rest() {
        let (draft, flaws) = read(&[
            (Column::Model, " "),
            (Column::InstalledOn, ""),
            (Column::Status, ""),
            (Column::Attributes, ""),
            (Column::Location, " plant-1/line-2 "),
        ]);
        assert_eq!(flaws, [] as [&str; 0]);
        assert_eq!((draft.change.model, draft.change.installed_on), (Patch::Clear, Patch::Clear));
        assert_eq!((draft.change.status, draft.change.attributes), (None, None));
        assert_eq!(draft.change.location, Patch::Set(Location::parse("plant-1/line-2").unwrap()));
        assert_eq!(draft.change.manufacturer, Patch::Keep);
    }

    #[test]
    fn a_cell_that_is_not_acceptable_is_refused_by_the_name_of_its_column() {
        let (_, flaws) = read(&[
            (Column::Name, ""),
            (Column::Status, "broken"),
            (Column::InstalledOn, "15.03.2021"),
            (Column::Id, "07"),
            (Column::Attributes, "[1]"),
            (Column::Attributes, r#"{"a":1,"a":2}"#),
        ]);
        let told = [
            "name must not be empty",
            "status must be one of operational, idle, maintenance, fault, offline, decommissioned",
            "installation_date must be a date",
            "id must be a positive whole number",
            "attributes must be an object",
            "attributes must be a JSON object; this is ",
        ];
        assert_eq!(flaws.len(), told.len());
        for (flaw, start) in flaws.iter().zip(told) {
            assert!(flaw.starts_with(start), "{flaw}");
        }
    }

    #[test]
    fn every_column_is_found_by_its_name() {
        for column in Column::ALL {
            assert_eq!(Column::named(column.name()), Some(*column));
        }
    }
}
