//! The maintenance log of a piece of equipment: what was done, when, by whom, and by which day it is due again.

use crate::access::{Actor, Who};
use crate::id::{EquipmentId, MaintenanceId, UserId, Version};
use crate::page::PageRequest;
use crate::text::Description;
use crate::time::{Date, Timestamp};

/// A person as records remember them: the name stays when the account goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The account, while it exists.
    pub id: Option<UserId>,
    /// What the person was called at the time.
    pub name: String,
}

impl Person {
    /// Whoever acts.
    pub fn acting(by: &Actor) -> Self {
        let name = match by.who() {
            Who::User { username, .. } => username.to_string(),
            Who::System(name) => (*name).to_owned(),
        };
        Self { id: by.user(), name }
    }
}

/// Work that was done, to be entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMaintenance {
    /// On what.
    pub equipment: EquipmentId,
    /// What was done.
    pub what: Description,
    /// When.
    pub performed_at: Timestamp,
    /// Who says so.
    pub by: Person,
    /// By which day it is due again.
    pub next_due_on: Option<Date>,
    /// When it was entered.
    pub created_at: Timestamp,
}

/// An entry of the log. Entries are not rewritten; a wrong one is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintenance {
    /// Its id.
    pub id: MaintenanceId,
    /// What it says.
    pub what: NewMaintenance,
}

impl Maintenance {
    /// The version of every entry: none is written a second time.
    pub const VERSION: Version = Version::FIRST;
}

/// A question for a page of a log, newest work first, of the same instant the later entry first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaintenanceQuery {
    /// Of what.
    pub equipment: EquipmentId,
    /// Which page.
    pub page: PageRequest,
}
