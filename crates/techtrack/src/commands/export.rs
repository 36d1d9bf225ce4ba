//! `techtrack export`: what the plant holds, in files that others read and `techtrack import` takes back.

use super::columns::Column;
use super::{granted, pages};
use crate::compose;
use crate::config::Config;
use crate::failure::Failure;
use crate::terminal;
use csv::Writer;
use domain::access::rights::ViewEquipment;
use domain::app::App;
use domain::app::equipment as register;
use domain::equipment::{DEEPEST, Equipment, EquipmentFilter, EquipmentQuery};
use domain::error::{BoxError, Error};
use domain::id::EquipmentId;
use domain::page::PageRequest;
use std::collections::BTreeMap;
use std::path::Path;

/// Writes the register to a file, or to standard output.
pub(crate) async fn equipment(config: &Config, file: Option<&Path>) -> Result<(), Failure> {
    let app = compose::prepared(config).await?;
    let pieces = all_equipment(&app, false).await?;
    let text = text(&pieces).map_err(Failure::failed)?;
    let Some(path) = file else { return Ok(terminal::print(&text)?) };
    let place = path.display();
    std::fs::write(path, text)
        .map_err(|error| Failure::while_doing(format!("{place} cannot be written"), &error))?;
    Ok(terminal::print(&format!("Wrote {} pieces of equipment to {place}.", pieces.len()))?)
}

/// The equipment in the register, or the hidden pieces, ordered by id.
pub(super) async fn all_equipment(app: &App, hidden: bool) -> Result<Vec<Equipment>, Error> {
    let by = granted::<ViewEquipment>("export")?;
    let filter = EquipmentFilter { hidden, ..EquipmentFilter::default() };
    let list = async |page| {
        let query = EquipmentQuery { filter: filter.clone(), order: Vec::new(), page };
        Ok(register::list(app, &by, query).await?.value)
    };
    pages::all(PageRequest::MAX_SIZE, list).await
}

/// The pieces as lines, each after the one that it is a component of.
fn text(pieces: &[Equipment]) -> Result<String, BoxError> {
    let by_id: BTreeMap<EquipmentId, &Equipment> = pieces.iter().map(|piece| (piece.id, piece)).collect();
    let above = |piece: &&Equipment| piece.details.parent.and_then(|parent| by_id.get(&parent).copied());
    let depth = |piece: &Equipment| std::iter::successors(above(&piece), above).take(DEEPEST).count();
    let mut sorted: Vec<&Equipment> = pieces.iter().collect();
    sorted.sort_by_key(|piece| (depth(piece), piece.id));

    let mut writer = Writer::from_writer(Vec::new());
    writer.write_record(Column::ALL.iter().map(|column| column.name()))?;
    for piece in sorted {
        let parent = above(&piece).map_or_else(String::new, name);
        writer.write_record(Column::ALL.iter().map(|column| column.write(piece, &parent)))?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

/// How components name it: by serial number; without one by its number in the file.
fn name(piece: &Equipment) -> String {
    match &piece.details.serial_number {
        Some(serial) => serial.to_string(),
        None => format!("#{}", piece.id),
    }
}
