//! Named sets of permissions, and the rules that keep power from growing by itself.

use crate::access::{Permission, Permissions};
use crate::error::Error;
use crate::id::{RoleId, UserId, Version};
use crate::page::{Order, PageRequest};
use crate::text::{Description, RoleName};
use crate::time::Timestamp;
use crate::users::UserRef;

/// The roles that come with the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// May do everything.
    Admin,
    /// Runs the plant: reads all of it, writes data and alerts.
    Operator,
    /// Looks at the plant: what a new account gets.
    Client,
}

impl BuiltIn {
    /// All of them.
    pub const ALL: [BuiltIn; 3] = [BuiltIn::Admin, BuiltIn::Operator, BuiltIn::Client];

    /// The role's name.
    pub fn name(self) -> RoleName {
        RoleName::restore(
            match self {
                BuiltIn::Admin => "ADMIN",
                BuiltIn::Operator => "OPERATOR",
                BuiltIn::Client => "CLIENT",
            }
            .to_owned(),
        )
    }

    /// What the role is for, in words.
    pub fn description(self) -> Description {
        Description::restore(
            match self {
                BuiltIn::Admin => "Administers the installation: every permission.",
                BuiltIn::Operator => "Runs the plant: reads all of it, writes data and alerts.",
                BuiltIn::Client => "Looks at the plant: equipment, data and alerts.",
            }
            .to_owned(),
        )
    }

    /// What its holders may do.
    pub fn permissions(self) -> Permissions {
        use Permission::{
            AlertsAcknowledge, AlertsRead, AlertsWrite, DataRead, DataWrite, EquipmentRead, RulesRead,
        };
        match self {
            BuiltIn::Admin => Permissions::all(),
            BuiltIn::Operator => {
                [EquipmentRead, DataRead, DataWrite, RulesRead, AlertsRead, AlertsWrite, AlertsAcknowledge]
                    .into_iter()
                    .collect()
            }
            BuiltIn::Client => [EquipmentRead, DataRead, AlertsRead].into_iter().collect(),
        }
    }
}

/// A named set of permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its id.
    pub id: RoleId,
    /// Its name, unique without regard to case.
    pub name: RoleName,
    /// What it is for.
    pub description: Description,
    /// What its holders may do.
    pub permissions: Permissions,
    /// Whether it comes with the product.
    pub built_in: bool,
    /// How often it was written.
    pub version: Version,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

/// A role to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRole {
    /// Its name.
    pub name: RoleName,
    /// What it is for.
    pub description: Description,
    /// What its holders may do.
    pub permissions: Permissions,
    /// Whether it comes with the product.
    pub built_in: bool,
    /// When it is made.
    pub created_at: Timestamp,
}

/// A role named by a client, by number or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoleRef {
    /// By number.
    Id(RoleId),
    /// By name.
    Name(RoleName),
}

impl RoleRef {
    /// Reads what stands in a path: a number, else a name.
    pub fn parse(text: &str) -> Option<Self> {
        RoleId::parse(text).map(RoleRef::Id).or_else(|| RoleName::parse(text).ok().map(RoleRef::Name))
    }
}

/// Which roles a list is about. Within a field any of the values will do; between fields all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleFilter {
    /// Names.
    pub names: Vec<RoleName>,
    /// Permissions contained.
    pub permissions: Vec<Permission>,
    /// Holders.
    pub users: Vec<UserRef>,
    /// Text that occurs in name or description, compared without regard to case.
    pub search: Option<String>,
}

/// What roles can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleKey {
    /// The number.
    Id,
    /// The lower-case name, compared byte by byte.
    Name,
    /// When it was made.
    CreatedAt,
    /// When it was last written.
    UpdatedAt,
}

/// A question for a list of roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleQuery {
    /// Which roles.
    pub filter: RoleFilter,
    /// In which order; ties and an empty list end in the id.
    pub order: Vec<Order<RoleKey>>,
    /// Which page.
    pub page: PageRequest,
}

/// Refuses to hand out what the giver lacks.
pub fn may_give(giver: Permissions, given: Permissions) -> Result<(), Error> {
    let lacking = given.minus(giver);
    if lacking.is_empty() { Ok(()) } else { Err(Error::BeyondYourRights(lacking.iter().collect())) }
}

/// Refuses to change what comes with the product.
pub fn may_change(role: &Role) -> Result<(), Error> {
    if role.built_in { Err(Error::BuiltInRole(role.name.to_string())) } else { Ok(()) }
}

/// Refuses to take away the last active administrator. `administrators` are the active ones now.
pub fn may_step_down(user: UserId, administrators: &[UserId]) -> Result<(), Error> {
    if administrators == [user] { Err(Error::LastAdministrator) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gives_what_they_lack() {
        let giver = [Permission::UsersWrite, Permission::DataRead].into_iter().collect();
        assert!(may_give(giver, [Permission::DataRead].into_iter().collect()).is_ok());
        let refused = may_give(giver, BuiltIn::Operator.permissions()).unwrap_err();
        assert!(
            matches!(refused, Error::BeyondYourRights(lacking) if !lacking.contains(&Permission::DataRead))
        );
    }

    #[test]
    fn only_the_last_administrator_must_stay() {
        let [anna, ben] = [1, 2].map(|number| UserId::new(number).unwrap());
        assert!(may_step_down(anna, &[anna, ben]).is_ok());
        assert!(may_step_down(anna, &[anna]).is_err());
        assert!(may_step_down(ben, &[anna]).is_ok());
    }

    #[test]
    fn a_client_looks_and_an_operator_also_writes_data_and_alerts() {
        let client = BuiltIn::Client.permissions();
        assert!(client.minus(BuiltIn::Operator.permissions()).is_empty());
        assert!(!client.contains(Permission::DataWrite) && !client.contains(Permission::UsersRead));
        assert!(BuiltIn::Operator.permissions().contains(Permission::AlertsAcknowledge));
    }
}
