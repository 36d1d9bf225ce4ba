//! The machines of the demo plant: three lines of eight, some with components, each with a maintenance log.

use super::kinds::{CNC_MILL, CONVEYOR, HYDRAULIC_PRESS, INDUCTION_FURNACE, Kind, VISION_RIG, WELDING_ROBOT};
use crate::commands::granted;
use domain::access::rights::{ManageEquipment, ViewEquipment};
use domain::access::{Actor, Granted};
use domain::app::maintenance::MaintenanceDraft;
use domain::app::{App, equipment, maintenance};
use domain::equipment::{Attributes, Details, Equipment, EquipmentFilter, EquipmentQuery, Status};
use domain::error::Error;
use domain::id::EquipmentId;
use domain::idempotency::Once;
use domain::text::{Description, Label, Location, SerialNumber};
use domain::time::{Date, Timestamp};
use std::time::Duration;

/// A machine of the plant.
#[derive(Debug)]
pub(super) struct Row {
    pub line: u8,
    pub kind: &'static Kind,
    pub name: &'static str,
    pub serial_number: &'static str,
    pub installed_on: &'static str,
}

const fn row(
    line: u8,
    kind: &'static Kind,
    name: &'static str,
    serial_number: &'static str,
    installed_on: &'static str,
) -> Row {
    Row { line, kind, name, serial_number, installed_on }
}

/// The machines, in the order in which parts pass them.
pub(super) const MACHINES: [Row; 24] = [
    row(1, &INDUCTION_FURNACE, "Furnace 1", "TH-250K-0318", "2018-04-11"),
    row(1, &HYDRAULIC_PRESS, "Press 1", "HH1600-2217", "2017-09-04"),
    row(1, &CONVEYOR, "Conveyor 1.1", "SF-B12-60411", "2017-09-18"),
    row(1, &CNC_MILL, "Mill 1", "K5-19-0073", "2019-06-24"),
    row(1, &WELDING_ROBOT, "Welding robot 1.1", "NR6-104417", "2020-02-03"),
    row(1, &WELDING_ROBOT, "Welding robot 1.2", "NR6-104418", "2020-02-03"),
    row(1, &CONVEYOR, "Conveyor 1.2", "SF-B12-60412", "2017-09-18"),
    row(1, &VISION_RIG, "Vision rig 1", "CO-VQ4-0091", "2021-11-15"),
    row(2, &INDUCTION_FURNACE, "Furnace 2", "TH-250K-0341", "2019-01-21"),
    row(2, &HYDRAULIC_PRESS, "Press 2", "HH1600-2304", "2018-10-08"),
    row(2, &CONVEYOR, "Conveyor 2.1", "SF-B12-61730", "2018-10-15"),
    row(2, &CNC_MILL, "Mill 2", "K5-20-0118", "2020-08-31"),
    row(2, &WELDING_ROBOT, "Welding robot 2.1", "NR6-105562", "2021-03-22"),
    row(2, &WELDING_ROBOT, "Welding robot 2.2", "NR6-105570", "2021-03-22"),
    row(2, &CONVEYOR, "Conveyor 2.2", "SF-B12-61731", "2018-10-15"),
    row(2, &VISION_RIG, "Vision rig 2", "CO-VQ4-0107", "2022-05-09"),
    row(3, &INDUCTION_FURNACE, "Furnace 3", "TH-250K-0402", "2022-02-14"),
    row(3, &HYDRAULIC_PRESS, "Press 3", "HH1600-2551", "2022-01-17"),
    row(3, &CONVEYOR, "Conveyor 3.1", "SF-B12-64902", "2022-01-31"),
    row(3, &CNC_MILL, "Mill 3", "K5-22-0209", "2022-03-28"),
    row(3, &WELDING_ROBOT, "Welding robot 3.1", "NR6-107803", "2022-06-13"),
    row(3, &WELDING_ROBOT, "Welding robot 3.2", "NR6-107811", "2022-06-13"),
    row(3, &CONVEYOR, "Conveyor 3.2", "SF-B12-64903", "2022-01-31"),
    row(3, &VISION_RIG, "Vision rig 3", "CO-VQ4-0133", "2023-09-04"),
];

/// What each machine of a kind has inside: kind of component, name, what its serial number adds to the machine's.
const COMPONENTS: [(&Kind, &str, &str, &str); 4] = [
    (&HYDRAULIC_PRESS, "hydraulic-pump", "Main pump", "P1"),
    (&INDUCTION_FURNACE, "induction-coil", "Coil", "C1"),
    (&CNC_MILL, "spindle", "Spindle", "SP"),
    (&WELDING_ROBOT, "wire-feeder", "Wire feeder", "WF"),
];

/// How often a machine is looked after.
const UPKEEP_EVERY: Duration = days(180);

/// A machine of the demo plant as the register has it.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub id: EquipmentId,
    pub row: &'static Row,
    pub has_reported: bool,
}

/// The machines of the demo plant that are in the register.
pub(super) async fn find(app: &App) -> Result<Vec<Standing>, Error> {
    let serial_numbers = MACHINES.iter().map(|row| serial(row.serial_number.to_owned())).collect();
    let filter = EquipmentFilter { serial_numbers, ..EquipmentFilter::default() };
    let query = EquipmentQuery { filter, ..EquipmentQuery::default() };
    let found = equipment::list(app, &granted::<ViewEquipment>(super::DEMO)?, query).await?.value.items;
    Ok(found.iter().filter_map(standing).collect())
}

fn standing(piece: &Equipment) -> Option<Standing> {
    let serial = piece.details.serial_number.as_ref()?.key();
    let row =
        MACHINES.iter().find(|row| SerialNumber::restore(row.serial_number.to_owned()).key() == serial)?;
    Some(Standing { id: piece.id, row, has_reported: piece.last_seen_at.is_some() })
}

/// Whether there is no equipment at all, not even hidden.
pub(super) async fn is_empty(app: &App) -> Result<bool, Error> {
    let by: Granted<ViewEquipment> = granted(super::DEMO)?;
    let mut total = 0;
    for hidden in [false, true] {
        let filter = EquipmentFilter { hidden, ..EquipmentFilter::default() };
        let query = EquipmentQuery { filter, ..EquipmentQuery::default() };
        total += equipment::list(app, &by, query).await?.value.total;
    }
    Ok(total == 0)
}

/// Registers the machines with their components, and fills their maintenance logs in this person's name.
pub(super) async fn register(app: &App, technician: &Actor) -> Result<(), Error> {
    for (index, row) in MACHINES.iter().enumerate() {
        let machine = create(app, details(row)).await?;
        let inside = COMPONENTS.iter().filter(|(kind, ..)| kind.name == row.kind.name);
        for (_, kind, name, suffix) in inside {
            create(app, component(&machine, kind, name, suffix)).await?;
        }
        let worked_on = days(5 + index as u64 * 37 % 190);
        for (entry, what) in row.kind.upkeep.iter().enumerate() {
            let ago = worked_on + UPKEEP_EVERY * entry as u32;
            log(app, technician, machine.id, what, app.clock.now().before(ago)).await?;
        }
    }
    Ok(())
}

async fn create(app: &App, details: Details) -> Result<Equipment, Error> {
    let by = granted::<ManageEquipment>(super::DEMO)?;
    equipment::create(app, by, details, Once::each_time()).await
}

async fn log(
    app: &App,
    by: &Actor,
    machine: EquipmentId,
    what: &str,
    performed_at: Timestamp,
) -> Result<(), Error> {
    let draft = MaintenanceDraft {
        what: Description::restore(what.to_owned()),
        performed_at: Some(performed_at),
        next_due_on: day(performed_at.after(UPKEEP_EVERY)),
    };
    maintenance::log(app, by.grant()?, machine, draft, Once::each_time()).await.map(drop)
}

fn details(row: &Row) -> Details {
    Details {
        name: label(row.name),
        kind: label(row.kind.name),
        model: Some(label(row.kind.model)),
        manufacturer: Some(label(row.kind.manufacturer)),
        serial_number: Some(serial(row.serial_number.to_owned())),
        installed_on: Date::parse(row.installed_on).ok(),
        location: Some(Location::restore(format!("plant-1/line-{}", row.line))),
        parent: None,
        status: Status::Operational,
        attributes: Attributes::restore(row.kind.attributes.to_owned()),
    }
}

fn component(machine: &Equipment, kind: &str, name: &str, suffix: &str) -> Details {
    let number = machine.details.serial_number.as_ref().map(|whole| serial(format!("{whole}-{suffix}")));
    Details {
        name: label(&format!("{name} of {}", machine.details.name)),
        kind: label(kind),
        model: None,
        serial_number: number,
        parent: Some(machine.id),
        attributes: Attributes::default(),
        ..machine.details.clone()
    }
}

fn label(text: &str) -> Label {
    Label::restore(text.to_owned())
}

fn serial(text: String) -> SerialNumber {
    SerialNumber::restore(text)
}

fn day(at: Timestamp) -> Option<Date> {
    Date::parse(at.to_string().split('T').next()?).ok()
}

const fn days(count: u64) -> Duration {
    Duration::from_secs(count * 24 * 60 * 60)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A machine that nobody has registered.
    pub(in crate::commands::demo) fn some_details() -> Details {
        details(&MACHINES[0])
    }

    #[test]
    fn what_is_written_of_machines_is_what_people_could_have_typed() {
        for row in &MACHINES {
            let Details { name, kind, model, manufacturer, serial_number, installed_on, location, .. } =
                details(row);
            for label in [Some(name), Some(kind), model, manufacturer].into_iter().flatten() {
                assert_eq!(Label::parse(label.as_str()), Ok(label));
            }
            let (serial, location) = (serial_number.unwrap(), location.unwrap());
            assert_eq!(SerialNumber::parse(serial.as_str()), Ok(serial));
            assert_eq!(Location::parse(location.as_str()), Ok(location));
            assert!(installed_on.is_some(), "{}", row.installed_on);
            assert!(row.kind.attributes.starts_with('{'));
        }
    }
}
