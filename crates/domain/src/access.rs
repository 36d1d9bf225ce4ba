//! Who may do what. A right is a value: a use case takes [`Granted<R>`], and only [`Actor::grant`] makes one.

use crate::equipment::Reach;
use crate::error::Denied;
use crate::id::{ApiKeyId, SessionId, UserId};
use crate::text::Username;
use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;

macro_rules! permissions {
    ($($(#[doc = $about:literal])* $name:ident = $text:literal,)*) => {
        /// The one list of permissions. Roles and API keys hold sets of them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Permission { $($(#[doc = $about])* $name,)* }

        impl Permission {
            /// Every permission there is.
            pub const ALL: &'static [Permission] = &[$(Permission::$name),*];

            /// The name that clients see.
            pub const fn name(self) -> &'static str {
                match self { $(Permission::$name => $text,)* }
            }

            /// What its holders may do, in words.
            pub const fn about(self) -> &'static str {
                match self { $(Permission::$name => concat!($($about),*).trim_ascii(),)* }
            }

            /// The permission of this name.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Permission::$name),)* _ => None }
            }
        }
    };
}

permissions! {
    /// See every field of every user.
    UsersRead = "users:read",
    /// Create, change, disable and delete users; assign roles and mentors.
    UsersWrite = "users:write",
    /// See roles.
    RolesRead = "roles:read",
    /// Create, change and delete roles.
    RolesWrite = "roles:write",
    /// See equipment.
    EquipmentRead = "equipment:read",
    /// Create, change and delete equipment.
    EquipmentWrite = "equipment:write",
    /// See readings.
    DataRead = "data:read",
    /// Send, change and delete readings.
    DataWrite = "data:write",
    /// See alert rules.
    RulesRead = "rules:read",
    /// Create, change and delete alert rules.
    RulesWrite = "rules:write",
    /// See alerts.
    AlertsRead = "alerts:read",
    /// Create, change and delete alerts.
    AlertsWrite = "alerts:write",
    /// Acknowledge and resolve alerts.
    AlertsAcknowledge = "alerts:acknowledge",
    /// See the audit trail.
    AuditRead = "audit:read",
    /// Reserved for parts of the product that write to the audit trail on somebody's behalf.
    AuditWrite = "audit:write",
    /// See settings.
    SettingsRead = "settings:read",
    /// Change settings; purge what others only hide.
    SettingsWrite = "settings:write",
}

impl Permission {
    /// Whether it is about people and what they may do. Those see the whole plant, so whoever is limited to some of it and made
    /// others, or opened their accounts, would not be limited any more.
    const fn is_about_people(self) -> bool {
        matches!(self, Permission::UsersWrite | Permission::RolesWrite)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Permissions(u32);

impl Permissions {
    /// No permission.
    pub const NONE: Permissions = Permissions(0);

    /// Every permission.
    pub fn all() -> Self {
        Permission::ALL.iter().copied().collect()
    }

    const fn bit(permission: Permission) -> u32 {
        1 << permission as u32
    }

    /// Whether the permission is in the set.
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & Self::bit(permission) != 0
    }

    /// What is in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The set as a number: different sets have different ones.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether nothing is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The permissions in it, in the order of the list.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.contains(*permission))
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |bits, permission| bits | Self::bit(permission)))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Permission::name)).finish()
    }
}

/// Where a request came from, for the audit trail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The client's network address.
    pub address: Option<IpAddr>,
    /// What the client says it is.
    pub agent: Option<String>,
    /// The request's id in the log.
    pub request_id: Option<String>,
}

/// Whom an address is held against: one subscriber of IPv6 owns a /64 and may change address within it at will.
pub fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{:x}::/64", u128::from(address) >> 64),
    }
}

/// What proved who is acting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A person, signed in.
    Session(SessionId),
    /// A machine with a key.
    ApiKey(ApiKeyId),
}

/// Whoever is behind a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// A user, by one of their credentials.
    User {
        /// The account.
        id: UserId,
        /// Its login at the time.
        username: Username,
        /// What proved it.
        credential: Credential,
    },
    /// The product itself, or a person at its command line; named for the audit trail.
    System(&'static str),
}

/// Somebody known, with what they may do right now. Permissions come from storage at each request, never from a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    who: Who,
    permissions: Permissions,
    reach: Reach,
    origin: Origin,
}

impl Actor {
    /// An actor as authentication found them.
    pub fn new(who: Who, permissions: Permissions, origin: Origin) -> Self {
        Self { who, permissions, reach: Reach::All, origin }
    }

    /// The same actor, limited to some equipment.
    #[must_use]
    pub fn reaching(self, reach: Reach) -> Self {
        Self { reach, ..self }
    }

    /// The same actor, calling from elsewhere.
    #[must_use]
    pub fn coming_from(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    /// The product itself, which may do everything. `name` says in the audit trail which part of it acted.
    pub fn system(name: &'static str) -> Self {
        Self::new(Who::System(name), Permissions::all(), Origin::default())
    }

    /// Who it is.
    pub fn who(&self) -> &Who {
        &self.who
    }

    /// The account behind the actor, unless it is the product itself.
    pub fn user(&self) -> Option<UserId> {
        if let Who::User { id, .. } = &self.who { Some(*id) } else { None }
    }

    /// The session behind the actor, if it is a signed-in person.
    pub fn session(&self) -> Option<SessionId> {
        if let Who::User { credential: Credential::Session(id), .. } = &self.who { Some(*id) } else { None }
    }

    /// What the actor may do.
    pub fn permissions(&self) -> Permissions {
        self.permissions
    }

    /// Which equipment the actor may touch.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Where the request came from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Refuses unless the actor may do all that they might do `before`, for who goes on by a right that was granted then.
    pub fn still_may_as(&self, before: &Actor) -> Result<(), Denied> {
        let lost = before.permissions.minus(self.permissions);
        if lost.is_empty() && self.reach == before.reach { Ok(()) } else { Err(Denied::Lessened) }
    }

    /// Refuses a machine what would change the account of its owner: whoever steals a key has not stolen the account.
    pub fn may_act_on(&self, account: UserId) -> Result<(), Denied> {
        let is_machine = matches!(self.who, Who::User { credential: Credential::ApiKey(_), .. });
        if is_machine && self.user() == Some(account) { Err(Denied::PersonsOnly) } else { Ok(()) }
    }

    /// Asks for a right; the only way to get one.
    pub fn grant<R: Right>(&self) -> Result<Granted<R>, Denied> {
        let scope = self.scope(R::DEMAND)?;
        Ok(Granted { actor: self.clone(), scope, right: PhantomData })
    }

    fn scope(&self, demand: Demand) -> Result<Scope, Denied> {
        let Who::User { id, credential, .. } = &self.who else {
            return Ok(Scope::Any);
        };
        let person = matches!(credential, Credential::Session(_));
        match demand {
            Demand::SignedIn => Ok(Scope::Own(*id)),
            Demand::Person if person => Ok(Scope::Own(*id)),
            Demand::Person => Err(Denied::PersonsOnly),
            Demand::Holds(needed) | Demand::HoldsElseOwn(needed) | Demand::HoldsElsePerson(needed)
                if self.permissions.contains(needed) =>
            {
                let is_beyond = needed.is_about_people() && self.reach != Reach::All;
                if is_beyond { Err(Denied::OutOfReach) } else { Ok(Scope::Any) }
            }
            Demand::Holds(needed) => Err(Denied::Lacks(needed)),
            Demand::HoldsElseOwn(_) => Ok(Scope::Own(*id)),
            Demand::HoldsElsePerson(_) if person => Ok(Scope::Own(*id)),
            Demand::HoldsElsePerson(needed) => Err(Denied::Lacks(needed)),
        }
    }
}

/// What an operation asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Any valid credential.
    SignedIn,
    /// A signed-in person; machines with a key are refused.
    Person,
    /// This permission.
    Holds(Permission),
    /// This permission, or else one's own things only.
    HoldsElseOwn(Permission),
    /// This permission, or else one's own things only and as a signed-in person.
    HoldsElsePerson(Permission),
}

impl Demand {
    /// The permission that opens the operation in full, if one does.
    pub const fn permission(self) -> Option<Permission> {
        match self {
            Demand::SignedIn | Demand::Person => None,
            Demand::Holds(needed) | Demand::HoldsElseOwn(needed) | Demand::HoldsElsePerson(needed) => {
                Some(needed)
            }
        }
    }
}

/// A right as a type; what it takes to get it is its constant.
pub trait Right: 'static {
    /// What the caller must be or hold.
    const DEMAND: Demand;
}

/// How far a granted right reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everybody's things.
    Any,
    /// This user's things.
    Own(UserId),
}

/// Proof that the actor has the right `R`. Hold one or the use case cannot be called.
#[derive(Debug)]
pub struct Granted<R> {
    actor: Actor,
    scope: Scope,
    right: PhantomData<fn() -> R>,
}

impl<R> Clone for Granted<R> {
    fn clone(&self) -> Self {
        Self { actor: self.actor.clone(), scope: self.scope, right: PhantomData }
    }
}

impl<R> Granted<R> {
    /// Who holds the right.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// How far it reaches.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Whether it reaches this user's things.
    pub fn covers(&self, owner: UserId) -> bool {
        match self.scope {
            Scope::Any => true,
            Scope::Own(user) => user == owner,
        }
    }
}

macro_rules! rights {
    ($($(#[$doc:meta])* $name:ident: $demand:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        impl Right for $name {
            const DEMAND: Demand = $demand;
        }
    )*};
}

/// The rights that use cases ask for.
pub mod rights {
    use super::{Demand, Permission, Right};

    rights! {
        /// Know oneself and what there is to know for anybody signed in.
        SignedIn: Demand::SignedIn;
        /// Look after one's own sessions and keys.
        OwnAccount: Demand::Person;
        /// See users: all fields of everybody, or else one's own in full and others' in public.
        ViewUsers: Demand::HoldsElseOwn(Permission::UsersRead);
        /// Change a user: anybody, or else oneself.
        EditUser: Demand::HoldsElsePerson(Permission::UsersWrite);
        /// Create, disable and delete users; assign roles and mentors.
        ManageUsers: Demand::Holds(Permission::UsersWrite);
        /// See roles.
        ViewRoles: Demand::Holds(Permission::RolesRead);
        /// Create, change and delete roles.
        ManageRoles: Demand::Holds(Permission::RolesWrite);
        /// See the audit trail.
        ViewAudit: Demand::Holds(Permission::AuditRead);
        /// See equipment and its maintenance log.
        ViewEquipment: Demand::Holds(Permission::EquipmentRead);
        /// Register, change and hide equipment; keep its maintenance log.
        ManageEquipment: Demand::Holds(Permission::EquipmentWrite);
        /// Remove equipment for good with all that hangs on it.
        PurgeEquipment: Demand::Holds(Permission::SettingsWrite);
        /// See readings, series and metrics.
        ViewData: Demand::Holds(Permission::DataRead);
        /// Send, change and delete readings; describe metrics.
        WriteData: Demand::Holds(Permission::DataWrite);
        /// See alert rules.
        ViewRules: Demand::Holds(Permission::RulesRead);
        /// Make, change and delete alert rules.
        ManageRules: Demand::Holds(Permission::RulesWrite);
        /// See alerts.
        ViewAlerts: Demand::Holds(Permission::AlertsRead);
        /// Raise, correct and delete alerts.
        WriteAlerts: Demand::Holds(Permission::AlertsWrite);
        /// Acknowledge and resolve alerts.
        HandleAlerts: Demand::Holds(Permission::AlertsAcknowledge);
        /// See webhooks and what became of deliveries.
        ViewWebhooks: Demand::Holds(Permission::SettingsRead);
        /// Make, change, try and delete webhooks.
        ManageWebhooks: Demand::Holds(Permission::SettingsWrite);
    }
}

#[cfg(test)]
mod tests {
    use super::rights::{EditUser, ManageRoles, ManageUsers, OwnAccount, ViewUsers, WriteData};
    use super::*;
    use crate::id::EquipmentId;
    use std::collections::HashSet;

    fn user(credential: Credential, permissions: &[Permission]) -> Actor {
        let who =
            Who::User { id: UserId::new(7).unwrap(), username: Username::parse("anna").unwrap(), credential };
        Actor::new(who, permissions.iter().copied().collect(), Origin::default())
    }

    fn session() -> Credential {
        Credential::Session(SessionId::new(1).unwrap())
    }

    fn key() -> Credential {
        Credential::ApiKey(ApiKeyId::new(1).unwrap())
    }

    #[test]
    fn a_permission_opens_everybodys_things_and_its_lack_only_ones_own() {
        let own = user(session(), &[]).grant::<ViewUsers>().unwrap();
        assert!(own.covers(UserId::new(7).unwrap()) && !own.covers(UserId::new(8).unwrap()));
        let any = user(session(), &[Permission::UsersRead]).grant::<ViewUsers>().unwrap();
        assert!(any.covers(UserId::new(8).unwrap()));
    }

    #[test]
    fn what_needs_a_permission_is_refused_by_its_name() {
        let denied = user(session(), &[Permission::UsersRead]).grant::<ManageUsers>().unwrap_err();
        assert_eq!(denied, Denied::Lacks(Permission::UsersWrite));
    }

    #[test]
    fn a_key_never_acts_on_its_owners_account() {
        assert_eq!(user(key(), &[]).grant::<OwnAccount>().unwrap_err(), Denied::PersonsOnly);
        assert_eq!(user(key(), &[]).grant::<EditUser>().unwrap_err(), Denied::Lacks(Permission::UsersWrite));
        assert!(user(key(), &[Permission::UsersWrite]).grant::<EditUser>().is_ok());
    }

    #[test]
    fn a_key_that_is_limited_to_some_equipment_has_no_say_over_people() {
        let permissions = [Permission::UsersWrite, Permission::RolesWrite, Permission::DataWrite];
        let limited = user(key(), &permissions).reaching(Reach::Only(vec![EquipmentId::new(3).unwrap()]));
        assert_eq!(limited.grant::<ManageUsers>().unwrap_err(), Denied::OutOfReach);
        assert_eq!(limited.grant::<EditUser>().unwrap_err(), Denied::OutOfReach);
        assert_eq!(limited.grant::<ManageRoles>().unwrap_err(), Denied::OutOfReach);
        assert!(limited.grant::<WriteData>().is_ok());
    }

    #[test]
    fn a_machine_acts_on_every_account_but_its_owners() {
        let [owner, other] = [7, 8].map(|id| UserId::new(id).unwrap());
        assert_eq!(user(key(), &[]).may_act_on(owner), Err(Denied::PersonsOnly));
        assert_eq!(user(key(), &[]).may_act_on(other), Ok(()));
        assert_eq!(user(session(), &[]).may_act_on(owner), Ok(()));
    }

    #[test]
    fn who_lost_a_permission_or_some_reach_does_not_go_on_as_before() {
        let (read, write) = (Permission::UsersRead, Permission::UsersWrite);
        let before = user(session(), &[read]);
        assert_eq!(user(session(), &[read, write]).still_may_as(&before), Ok(()));
        assert_eq!(user(session(), &[write]).still_may_as(&before), Err(Denied::Lessened));
        let limited = user(session(), &[read]).reaching(Reach::Only(Vec::new()));
        assert_eq!(limited.still_may_as(&before), Err(Denied::Lessened));
    }

    #[test]
    fn permission_names_round_trip() {
        for permission in Permission::ALL {
            assert_eq!(Permission::parse(permission.name()), Some(*permission));
        }
        assert_eq!(Permissions::all().iter().count(), Permission::ALL.len());
    }

    #[test]
    fn permissions_show_themselves_by_name() {
        assert_eq!(Permission::AlertsAcknowledge.to_string(), "alerts:acknowledge");
        let some: Permissions = [Permission::UsersWrite, Permission::UsersRead].into_iter().collect();
        assert_eq!(format!("{some:?}"), r#"{"users:read", "users:write"}"#);
    }

    #[test]
    fn a_permission_that_is_named_twice_is_there_once() {
        let (read, write) = (Permission::UsersRead, Permission::UsersWrite);
        let twice: Permissions = [read, write, read].into_iter().collect();
        assert!(twice.contains(read) && twice.contains(write));
        let one: Permissions = [read].into_iter().collect();
        assert_eq!(twice.union(one), twice);
        assert_eq!(twice.intersection(one), one);
        assert_eq!(twice.minus(one), [write].into_iter().collect());
    }

    #[test]
    fn every_permission_has_a_number_of_its_own() {
        let alone = |permission: &Permission| Permissions::from_iter([*permission]).bits();
        let numbers: HashSet<u32> = Permission::ALL.iter().map(alone).collect();
        assert_eq!(numbers.len(), Permission::ALL.len());
        assert!(!numbers.contains(&Permissions::NONE.bits()));
    }

    #[test]
    fn an_address_counts_alone_and_a_subscriber_of_ipv6_with_all_addresses_they_have() {
        let of = |address: &str| network(address.parse().unwrap());
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("2001:db8:0:7::1"), of("2001:db8:0:7:ffff::2"));
        assert_ne!(of("2001:db8:0:7::1"), of("2001:db8:0:8::1"));
    }

    #[test]
    fn an_actor_keeps_all_else_when_its_reach_or_origin_changes() {
        let only = Reach::Only(vec![EquipmentId::new(3).unwrap()]);
        let elsewhere = Origin { agent: Some("gateway".to_owned()), ..Origin::default() };
        let actor =
            user(key(), &[Permission::DataWrite]).reaching(only.clone()).coming_from(elsewhere.clone());
        assert_eq!((actor.reach(), actor.origin()), (&only, &elsewhere));
        assert_eq!(actor.permissions(), [Permission::DataWrite].into_iter().collect());
        assert_eq!(user(key(), &[]).reach(), &Reach::All);
    }

    #[test]
    fn a_demand_names_the_permission_that_opens_it_in_full() {
        let needed = Permission::RolesWrite;
        for demand in [Demand::Holds(needed), Demand::HoldsElseOwn(needed), Demand::HoldsElsePerson(needed)] {
            assert_eq!(demand.permission(), Some(needed));
        }
        assert_eq!([Demand::SignedIn.permission(), Demand::Person.permission()], [None, None]);
    }
}
