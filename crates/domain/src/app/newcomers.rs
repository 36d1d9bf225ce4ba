//! Equipment that nobody registered, but that reports. Where the operator wants it, it comes into the register by what it is
//! called.

use super::{App, equipment};
use crate::access::Granted;
use crate::access::rights::ManageEquipment;
use crate::equipment::{Details, EquipmentFilter, EquipmentRef};
use crate::error::{Code, Error};
use crate::idempotency::Once;
use crate::ports::Repos;
use crate::text::{Label, SerialNumber};
use std::collections::HashSet;

/// Registers all of these pieces that are not there, of this kind: each with what it is called as its name and serial number.
/// What cannot be a serial number is left alone, and so is a name that somebody bears already, be it several or a hidden piece; who
/// sends readings of it hears so.
pub async fn register<'a>(
    app: &App,
    by: &Granted<ManageEquipment>,
    kind: &Label,
    named: impl IntoIterator<Item = &'a EquipmentRef>,
) -> Result<(), Error> {
    let is_called = |name: &&EquipmentRef| matches!(name, EquipmentRef::Called(_));
    let called: HashSet<&EquipmentRef> = named.into_iter().filter(is_called).collect();
    let called: Vec<EquipmentRef> = called.into_iter().cloned().collect();
    if called.is_empty() {
        return Ok(());
    }
    for details in unknown(app, kind, &called).await? {
        match equipment::create(app, by.clone(), details, Once::each_time()).await {
            // Somebody else was faster, or has hidden it.
            Err(error) if error.code() == Code::Taken => {}
            outcome => drop(outcome?),
        }
    }
    Ok(())
}

/// What is to be written about those of them that are not known in any way.
async fn unknown(app: &App, kind: &Label, called: &[EquipmentRef]) -> Result<Vec<Details>, Error> {
    let mut reader = app.store.reader().await?;
    let meant = reader.equipment().resolve(called).await?;
    let mut unknown = Vec::new();
    for (name, _) in called.iter().zip(meant).filter(|(_, meant)| meant.is_none()) {
        let EquipmentRef::Called(label) = name else { continue };
        let Ok(serial_number) = SerialNumber::parse(label.as_str()) else { continue };
        // A name that several bear means none of them, and one that a hidden piece bears means nothing for now.
        if !is_borne(&mut *reader, label).await? {
            let details = Details::new(label.clone(), kind.clone());
            unknown.push(Details { serial_number: Some(serial_number), ..details });
        }
    }
    Ok(unknown)
}

/// Whether any piece has this name, hidden ones included.
async fn is_borne(reader: &mut dyn Repos, name: &Label) -> Result<bool, Error> {
    for hidden in [false, true] {
        let filter = EquipmentFilter { names: vec![name.clone()], hidden, ..EquipmentFilter::default() };
        if !reader.equipment().walk(&filter, None, 1).await?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}
