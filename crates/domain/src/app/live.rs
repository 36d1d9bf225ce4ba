//! Watching what happens right now.

use super::App;
use crate::access::rights::SignedIn;
use crate::access::{Actor, Granted, Permission};
use crate::equipment::Reach;
use crate::error::{Denied, Error};
use crate::id::EquipmentId;
use crate::live::{LiveEvent, Mark, NewLiveEvent};

/// How many events are read at once.
pub const AT_ONCE: u32 = 500;

/// What somebody watches, and may see.
#[derive(Clone, Debug)]
pub struct Watch {
    equipment: Vec<EquipmentId>,
    reach: Reach,
    values: bool,
    alerts: bool,
}

/// Begins to watch this equipment, or all of it when none is named. Takes leave to see readings, alerts, or both.
pub fn watch(by: &Granted<SignedIn>, equipment: Vec<EquipmentId>) -> Result<Watch, Error> {
    let may = |permission| by.actor().permissions().contains(permission);
    let (values, alerts) = (may(Permission::DataRead), may(Permission::AlertsRead));
    if !values && !alerts {
        return Err(Denied::Lacks(Permission::DataRead).into());
    }
    Ok(Watch { equipment, reach: by.actor().reach().clone(), values, alerts })
}

impl Watch {
    /// Whether the event is among what is watched.
    pub fn wants(&self, event: &LiveEvent) -> bool {
        let equipment = event.what.equipment();
        let kind = match event.what {
            NewLiveEvent::Values { .. } => self.values,
            NewLiveEvent::Alert { .. } => self.alerts,
        };
        kind && self.reach.covers(equipment)
            && (self.equipment.is_empty() || self.equipment.contains(&equipment))
    }

    /// Whether the actor, as they are now, may go on watching exactly what they watch.
    pub fn is_still_allowed(&self, actor: &Actor) -> bool {
        let may = |permission| actor.permissions().contains(permission);
        self.values == may(Permission::DataRead)
            && self.alerts == may(Permission::AlertsRead)
            && self.reach == *actor.reach()
    }
}

/// The mark from which a watcher who has seen nothing begins.
pub async fn now(app: &App) -> Result<Option<Mark>, Error> {
    Ok(app.store.reader().await?.live().newest().await?)
}

/// The next events after the mark; nothing when some of them were forgotten already.
pub async fn after(app: &App, mark: Option<Mark>) -> Result<Option<Vec<LiveEvent>>, Error> {
    Ok(app.store.reader().await?.live().after(mark, AT_ONCE).await?)
}
