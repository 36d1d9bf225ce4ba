//! Named sets of permissions, and who holds them.

use crate::errors::{dangles, gone};
use crate::lists::{cut_page, instr, then_by};
use crate::rows::{RoleRow, permission};
use crate::schema::{role_permissions, roles, user_roles, users};
use crate::views::{ids, parted};
use crate::work::{Answer, Work};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::access::{Permission, Permissions};
use domain::id::{RoleId, UserId, Version};
use domain::page::{Order, Page, effective_order};
use domain::ports::{Reference, Roles, StoreError};
use domain::roles::{NewRole, Role, RoleFilter, RoleKey, RoleQuery};
use domain::text::{Description, RoleName, fold};
use domain::users::UserRef;
use std::collections::HashMap;

#[async_trait]
impl Roles for Work {
    async fn insert(&mut self, role: &NewRole) -> Result<Role, StoreError> {
        let role = role.clone();
        self.run(move |connection| insert(connection, &role)).await
    }

    async fn find(&mut self, id: RoleId) -> Result<Option<Role>, StoreError> {
        self.run(move |connection| find(connection, id)).await
    }

    async fn find_by_name(&mut self, name: &RoleName) -> Result<Option<Role>, StoreError> {
        let key = name.key();
        self.run(move |connection| find_by_key(connection, &key)).await
    }

    async fn lock(&mut self, id: RoleId) -> Result<Option<Role>, StoreError> {
        self.hold()?;
        Roles::find(self, id).await
    }

    async fn save(&mut self, role: &Role) -> Result<Role, StoreError> {
        let role = role.clone();
        self.run(move |connection| save(connection, &role)).await
    }

    async fn delete(&mut self, id: RoleId) -> Result<bool, StoreError> {
        self.run(move |connection| delete(connection, id)).await
    }

    async fn list(&mut self, query: &RoleQuery) -> Result<Page<Role>, StoreError> {
        let query = query.clone();
        self.run(move |connection| list(connection, &query)).await
    }

    async fn of_user(&mut self, user: UserId) -> Result<Vec<Role>, StoreError> {
        self.run(move |connection| of_user(connection, user)).await
    }

    async fn holders(&mut self, role: RoleId) -> Result<Vec<UserId>, StoreError> {
        self.run(move |connection| holders(connection, role)).await
    }

    async fn assign(&mut self, user: UserId, role: RoleId) -> Result<bool, StoreError> {
        self.run(move |connection| assign(connection, user, role)).await
    }

    async fn unassign(&mut self, user: UserId, role: RoleId) -> Result<bool, StoreError> {
        self.run(move |connection| unassign(connection, user, role)).await
    }

    async fn lock_administration(&mut self) -> Result<(), StoreError> {
        self.hold()
    }

    async fn active_holders(&mut self, role: RoleId) -> Result<Vec<UserId>, StoreError> {
        self.run(move |connection| active_holders(connection, role)).await
    }
}

/// The columns that a role's name and description are written to.
#[derive(Insertable, AsChangeset)]
#[diesel(table_name = roles)]
struct Texts<'a> {
    name: &'a str,
    name_key: String,
    description: &'a str,
    description_key: String,
}

impl<'a> Texts<'a> {
    fn of(name: &'a RoleName, description: &'a Description) -> Self {
        Self {
            name: name.as_str(),
            name_key: name.key(),
            description: description.as_str(),
            description_key: fold(description.as_str()),
        }
    }
}

fn insert(connection: &mut SqliteConnection, role: &NewRole) -> Answer<Role> {
    let at = role.created_at.micros();
    let row: RoleRow = diesel::insert_into(roles::table)
        .values((
            Texts::of(&role.name, &role.description),
            roles::built_in.eq(role.built_in),
            roles::version.eq(Version::FIRST.get()),
            roles::created_at.eq(at),
            roles::updated_at.eq(at),
        ))
        .returning(RoleRow::as_returning())
        .get_result(connection)?;
    insert_permissions(connection, row.id, role.permissions)?;
    Ok(row.with(role.permissions)?)
}

fn insert_permissions(connection: &mut SqliteConnection, role: i64, permissions: Permissions) -> Answer<()> {
    let rows: Vec<_> = permissions
        .iter()
        .map(|permission| {
            (role_permissions::role_id.eq(role), role_permissions::permission.eq(permission.name()))
        })
        .collect();
    diesel::insert_into(role_permissions::table).values(rows).execute(connection)?;
    Ok(())
}

fn find(connection: &mut SqliteConnection, id: RoleId) -> Answer<Option<Role>> {
    let rows = roles::table.find(id.get()).select(RoleRow::as_select()).load(connection)?;
    Ok(with_permissions(connection, rows)?.pop())
}

fn find_by_key(connection: &mut SqliteConnection, key: &str) -> Answer<Option<Role>> {
    let query = roles::table.filter(roles::name_key.eq(key)).select(RoleRow::as_select());
    let rows = query.load(connection)?;
    Ok(with_permissions(connection, rows)?.pop())
}

fn with_permissions(connection: &mut SqliteConnection, rows: Vec<RoleRow>) -> Answer<Vec<Role>> {
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let pairs: Vec<(i64, String)> = role_permissions::table
        .filter(role_permissions::role_id.eq_any(ids))
        .select((role_permissions::role_id, role_permissions::permission))
        .load(connection)?;
    let mut sets: HashMap<i64, Permissions> = HashMap::new();
    for (role, name) in pairs {
        let set = sets.entry(role).or_default();
        *set = set.union(Permissions::from_iter([permission(role, &name)?]));
    }
    let with_its_own = |row: RoleRow| {
        let permissions = sets.get(&row.id).copied().unwrap_or_default();
        row.with(permissions)
    };
    Ok(rows.into_iter().map(with_its_own).collect::<Result<_, _>>()?)
}

fn save(connection: &mut SqliteConnection, role: &Role) -> Answer<Role> {
    let row: Option<RoleRow> = diesel::update(roles::table.find(role.id.get()))
        .set((
            Texts::of(&role.name, &role.description),
            roles::version.eq(roles::version + 1),
            roles::updated_at.eq(role.updated_at.micros()),
        ))
        .returning(RoleRow::as_returning())
        .get_result(connection)
        .optional()?;
    let row = row.ok_or(StoreError::Dangling(Reference::Role))?;
    let before = role_permissions::table.filter(role_permissions::role_id.eq(row.id));
    diesel::delete(before).execute(connection)?;
    insert_permissions(connection, row.id, role.permissions)?;
    Ok(row.with(role.permissions)?)
}

fn delete(connection: &mut SqliteConnection, id: RoleId) -> Answer<bool> {
    let rows =
        diesel::delete(roles::table.find(id.get())).execute(connection).map_err(dangles(Reference::Role))?;
    Ok(rows > 0)
}

fn list(connection: &mut SqliteConnection, query: &RoleQuery) -> Answer<Page<Role>> {
    let all = || matching(&query.filter);
    let (total, rows) = cut_page!(connection, query.page, all(), |all| ordered(all, &query.order), RoleRow);
    Ok(Page { total, items: with_permissions(connection, rows)? })
}

type Boxed<'a> = roles::BoxedQuery<'a, Sqlite>;

fn matching(filter: &RoleFilter) -> Boxed<'_> {
    let mut query = roles::table.into_boxed();
    if !filter.names.is_empty() {
        query = query.filter(roles::name_key.eq_any(filter.names.iter().map(RoleName::key)));
    }
    if !filter.permissions.is_empty() {
        let names = filter.permissions.iter().copied().map(Permission::name);
        let containing = role_permissions::table
            .filter(role_permissions::permission.eq_any(names))
            .select(role_permissions::role_id);
        query = query.filter(roles::id.eq_any(containing));
    }
    if let Some(text) = filter.search.as_deref().map(fold) {
        let in_name = instr(roles::name_key, text.clone()).gt(0);
        query = query.filter(in_name.or(instr(roles::description_key, text).gt(0)));
    }
    held_by(query, &filter.users)
}

fn held_by<'a>(query: Boxed<'a>, by: &'a [UserRef]) -> Boxed<'a> {
    if by.is_empty() {
        return query;
    }
    let (ids, keys) = parted(by);
    let held = user_roles::table
        .inner_join(users::table)
        .filter(users::id.eq_any(ids).or(users::username_key.eq_any(keys)))
        .select(user_roles::role_id);
    query.filter(roles::id.eq_any(held))
}

fn ordered<'a>(query: Boxed<'a>, order: &[Order<RoleKey>]) -> Boxed<'a> {
    effective_order(order, RoleKey::Id).iter().fold(query, |query, Order { key, direction }| match key {
        RoleKey::Id => then_by!(query, roles::id, direction),
        RoleKey::Name => then_by!(query, roles::name_key, direction),
        RoleKey::CreatedAt => then_by!(query, roles::created_at, direction),
        RoleKey::UpdatedAt => then_by!(query, roles::updated_at, direction),
    })
}

fn of_user(connection: &mut SqliteConnection, user: UserId) -> Answer<Vec<Role>> {
    let rows = user_roles::table
        .inner_join(roles::table)
        .filter(user_roles::user_id.eq(user.get()))
        .order(roles::name_key)
        .select(RoleRow::as_select())
        .load(connection)?;
    with_permissions(connection, rows)
}

fn holders(connection: &mut SqliteConnection, role: RoleId) -> Answer<Vec<UserId>> {
    let holders = user_roles::table
        .filter(user_roles::role_id.eq(role.get()))
        .order(user_roles::user_id)
        .select(user_roles::user_id);
    ids(holders.load(connection)?)
}

fn active_holders(connection: &mut SqliteConnection, role: RoleId) -> Answer<Vec<UserId>> {
    let holders = user_roles::table
        .inner_join(users::table)
        .filter(user_roles::role_id.eq(role.get()).and(users::is_active))
        .order(users::id)
        .select(users::id);
    ids(holders.load(connection)?)
}

fn assign(connection: &mut SqliteConnection, user: UserId, role: RoleId) -> Answer<bool> {
    let pair = (user_roles::user_id.eq(user.get()), user_roles::role_id.eq(role.get()));
    let referred = [(Reference::User, Some(user.get())), (Reference::Role, Some(role.get()))];
    let outcome = diesel::insert_or_ignore_into(user_roles::table).values(pair).execute(connection);
    let rows = outcome.map_err(|error| gone(connection, error, &referred))?;
    Ok(rows > 0)
}

fn unassign(connection: &mut SqliteConnection, user: UserId, role: RoleId) -> Answer<bool> {
    let pair = user_roles::table.find((user.get(), role.get()));
    Ok(diesel::delete(pair).execute(connection)? > 0)
}

/// What a user may do by all of their roles.
pub(crate) fn permissions_of(connection: &mut SqliteConnection, user: i64) -> Answer<Permissions> {
    let pairs: Vec<(i64, String)> = user_roles::table
        .inner_join(role_permissions::table.on(role_permissions::role_id.eq(user_roles::role_id)))
        .filter(user_roles::user_id.eq(user))
        .select((role_permissions::role_id, role_permissions::permission))
        .load(connection)?;
    let permissions = pairs.iter().map(|(role, name)| permission(*role, name));
    Ok(permissions.collect::<Result<_, _>>()?)
}
