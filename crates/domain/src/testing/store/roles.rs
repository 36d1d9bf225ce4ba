//! Named sets of permissions, and who holds them.

use super::lists::{any, is_meant, page};
use super::{Tables, Unit};
use crate::id::{RoleId, UserId, Version};
use crate::page::Page;
use crate::ports::{Reference, Roles, StoreError, Unique};
use crate::roles::{NewRole, Role, RoleFilter, RoleKey, RoleQuery};
use crate::text::{RoleName, fold};
use crate::users::UserRef;
use async_trait::async_trait;
use std::cmp::Ordering;

#[async_trait]
impl Roles for Unit {
    async fn insert(&mut self, role: &NewRole) -> Result<Role, StoreError> {
        self.change(|tables| {
            let role = Role {
                id: tables.next_id(RoleId::new)?,
                name: role.name.clone(),
                description: role.description.clone(),
                permissions: role.permissions,
                built_in: role.built_in,
                version: Version::FIRST,
                created_at: role.created_at,
                updated_at: role.created_at,
            };
            tables.put_role(role)
        })
    }

    async fn find(&mut self, id: RoleId) -> Result<Option<Role>, StoreError> {
        Ok(self.tables()?.roles.get(&id).cloned())
    }

    async fn find_by_name(&mut self, name: &RoleName) -> Result<Option<Role>, StoreError> {
        let mut roles = self.tables()?.roles.values();
        Ok(roles.find(|role| role.name.key() == name.key()).cloned())
    }

    async fn lock(&mut self, id: RoleId) -> Result<Option<Role>, StoreError> {
        Ok(self.hold()?.roles.get(&id).cloned())
    }

    async fn save(&mut self, role: &Role) -> Result<Role, StoreError> {
        self.change(|tables| {
            let stored = tables.role(role.id)?;
            let role = Role {
                built_in: stored.built_in,
                version: stored.version.next(),
                created_at: stored.created_at,
                ..role.clone()
            };
            tables.put_role(role)
        })
    }

    async fn delete(&mut self, id: RoleId) -> Result<bool, StoreError> {
        self.change(|tables| {
            if tables.holders(id).next().is_some() {
                return Err(StoreError::Dangling(Reference::Role));
            }
            Ok(tables.roles.remove(&id).is_some())
        })
    }

    async fn list(&mut self, query: &RoleQuery) -> Result<Page<Role>, StoreError> {
        let tables = self.tables()?;
        let roles = tables.roles.values();
        let matching = roles.filter(|role| tables.role_matches(role, &query.filter));
        Ok(page(matching.cloned().collect(), &query.order, compare, query.page))
    }

    async fn of_user(&mut self, user: UserId) -> Result<Vec<Role>, StoreError> {
        Ok(self.tables()?.roles_of(user).into_iter().cloned().collect())
    }

    async fn holders(&mut self, role: RoleId) -> Result<Vec<UserId>, StoreError> {
        Ok(self.tables()?.holders(role).collect())
    }

    async fn assign(&mut self, user: UserId, role: RoleId) -> Result<bool, StoreError> {
        self.change(|tables| {
            tables.user(user)?;
            tables.role(role)?;
            Ok(tables.assignments.insert((user, role)))
        })
    }

    async fn unassign(&mut self, user: UserId, role: RoleId) -> Result<bool, StoreError> {
        self.change(|tables| Ok(tables.assignments.remove(&(user, role))))
    }

    async fn lock_administration(&mut self) -> Result<(), StoreError> {
        self.hold().map(drop)
    }

    async fn active_holders(&mut self, role: RoleId) -> Result<Vec<UserId>, StoreError> {
        let tables = self.tables()?;
        let active = |id: &UserId| tables.users.get(id).is_some_and(|user| user.is_active);
        Ok(tables.holders(role).filter(active).collect())
    }
}

impl Tables {
    fn role(&self, id: RoleId) -> Result<&Role, StoreError> {
        self.roles.get(&id).ok_or(StoreError::Dangling(Reference::Role))
    }

    fn put_role(&mut self, role: Role) -> Result<Role, StoreError> {
        let mut others = self.roles.values().filter(|other| other.id != role.id);
        if others.any(|other| other.name.key() == role.name.key()) {
            return Err(StoreError::Conflict(Unique::RoleName));
        }
        self.roles.insert(role.id, role.clone());
        Ok(role)
    }

    /// Who holds the role, ordered by id.
    fn holders(&self, role: RoleId) -> impl Iterator<Item = UserId> {
        let of_role = self.assignments.iter().filter(move |(_, held)| *held == role);
        of_role.map(|(user, _)| *user)
    }

    fn role_matches(&self, role: &Role, filter: &RoleFilter) -> bool {
        let held_by = |wanted: &UserRef| {
            let mut holders = self.holders(role.id).filter_map(|id| self.users.get(&id));
            holders.any(|user| is_meant(user, wanted))
        };
        any(&filter.names, |wanted| wanted.key() == role.name.key())
            && any(&filter.permissions, |wanted| role.permissions.contains(*wanted))
            && any(&filter.users, held_by)
            && filter.search.as_ref().is_none_or(|text| occurs(text, role))
    }
}

fn occurs(text: &str, role: &Role) -> bool {
    let text = fold(text);
    role.name.key().contains(&text) || fold(role.description.as_str()).contains(&text)
}

fn compare(key: RoleKey, one: &Role, other: &Role) -> Ordering {
    match key {
        RoleKey::Id => one.id.cmp(&other.id),
        RoleKey::Name => one.name.key().cmp(&other.name.key()),
        RoleKey::CreatedAt => one.created_at.cmp(&other.created_at),
        RoleKey::UpdatedAt => one.updated_at.cmp(&other.updated_at),
    }
}
