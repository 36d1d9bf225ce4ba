//! Equipment that nobody registered, but that reports. Where the operator wants it, it comes into the register by what it is
//! called.

use super::{App, equipment};
use crate::access::Granted;
use crate::access::rights::ManageEquipment;
use crate::equipment::{Details, EquipmentRef};
use crate::error::{Code, Error};
use crate::idempotency::Once;
use crate::text::{Label, SerialNumber};
use std::collections::HashSet;

/// Registers all of these pieces that are not there, of this kind: each with what it is called as its name and serial number.
/// What cannot be a serial number is left alone, and so is a name that somebody has otherwise; who sends readings of it hears so.
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
    let there = app.store.reader().await?.equipment().resolve(&called).await?;
    for (name, _) in called.iter().zip(there).filter(|(_, there)| there.is_none()) {
        if let EquipmentRef::Called(label) = name {
            register_one(app, by, kind, label).await?;
        }
    }
    Ok(())
}

async fn register_one(
    app: &App,
    by: &Granted<ManageEquipment>,
    kind: &Label,
    label: &Label,
) -> Result<(), Error> {
    let Ok(serial_number) = SerialNumber::parse(label.as_str()) else {
        return Ok(());
    };
    let details = Details { serial_number: Some(serial_number), ..Details::new(label.clone(), kind.clone()) };
    match equipment::create(app, by.clone(), details, Once::each_time()).await {
        // Somebody else was faster, or has hidden it.
        Err(error) if error.code() == Code::Taken => Ok(()),
        outcome => outcome.map(drop),
    }
}
