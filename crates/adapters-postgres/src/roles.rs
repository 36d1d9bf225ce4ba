//! Named sets of permissions and who holds them: `roles`, `role_permissions`, `user_roles`.

use crate::functions::strpos;
use crate::link::Link;
use crate::lists::{Ordering, by, effective, page, texts};
use crate::rows::{Row, stamp};
use crate::schema::{role_permissions, roles, user_roles, users};
use crate::user_lists::ids_and_logins;
use crate::users::user_ids;
use async_trait::async_trait;
use diesel::data_types::PgTimestamp;
use diesel::dsl::{AsSelect, auto_type};
use diesel::pg::Pg;
use diesel::prelude::*;
use domain::access::{Permission, Permissions};
use domain::id::{RoleId, UserId};
use domain::page::{Order, Page};
use domain::ports::{Reference, Roles, StoreError};
use domain::roles::{NewRole, Role, RoleFilter, RoleKey, RoleQuery};
use domain::text::{Description, RoleName, fold};

/// The advisory lock of whoever changes who administers: spells "admin".
const ADMINISTRATION: i64 = i64::from_be_bytes(*b"\0\0\0admin");

#[async_trait]
impl Roles for Link {
    async fn insert(&mut self, role: &NewRole) -> Result<Role, StoreError> {
        let created_at = stamp(role.created_at);
        let row = diesel::insert_into(roles::table)
            .values((
                roles::name.eq(role.name.as_str()),
                roles::name_key.eq(role.name.key()),
                roles::description.eq(role.description.as_str()),
                roles::description_key.eq(fold(role.description.as_str())),
                roles::built_in.eq(role.built_in),
                roles::created_at.eq(created_at),
                roles::updated_at.eq(created_at),
            ))
            .returning(RoleRow::as_returning());
        let row: RoleRow = self.the(row).await?;
        self.permit(row.id, role.permissions).await?;
        row.with(role.permissions)
    }

    async fn find(&mut self, id: RoleId) -> Result<Option<Role>, StoreError> {
        let row = roles::table.find(id.get()).select(with_permissions());
        self.one(row).await?.map(restore).transpose()
    }

    async fn find_by_name(&mut self, name: &RoleName) -> Result<Option<Role>, StoreError> {
        let row = roles::table.filter(roles::name_key.eq(name.key())).select(with_permissions());
        self.one(row).await?.map(restore).transpose()
    }

    /// Locks first and reads afterwards: a statement that waited for the lock would still see the permissions of before.
    async fn lock(&mut self, id: RoleId) -> Result<Option<Role>, StoreError> {
        let lock = roles::table.find(id.get()).select(roles::id).for_update();
        let locked: Option<i64> = self.one(lock).await?;
        if locked.is_none() {
            return Ok(None);
        }
        Roles::find(self, id).await
    }

    async fn save(&mut self, role: &Role) -> Result<Role, StoreError> {
        let row = diesel::update(roles::table.find(role.id.get()))
            .set((
                roles::name.eq(role.name.as_str()),
                roles::name_key.eq(role.name.key()),
                roles::description.eq(role.description.as_str()),
                roles::description_key.eq(fold(role.description.as_str())),
                roles::version.eq(roles::version + 1),
                roles::updated_at.eq(stamp(role.updated_at)),
            ))
            .returning(RoleRow::as_returning());
        let row: RoleRow = self.one(row).await?.ok_or(StoreError::Dangling(Reference::Role))?;
        let permitted = role_permissions::table.filter(role_permissions::role_id.eq(row.id));
        self.run(diesel::delete(permitted)).await?;
        self.permit(row.id, role.permissions).await?;
        row.with(role.permissions)
    }

    async fn delete(&mut self, id: RoleId) -> Result<bool, StoreError> {
        Ok(self.run(diesel::delete(roles::table.find(id.get()))).await? > 0)
    }

    async fn list(&mut self, query: &RoleQuery) -> Result<Page<Role>, StoreError> {
        let order = effective(&query.order, RoleKey::Id);
        page!(self, query.page, matching(&query.filter), order, with_permissions(), Permitted => restore)
    }

    async fn of_user(&mut self, user: UserId) -> Result<Vec<Role>, StoreError> {
        let held = user_roles::table.filter(user_roles::user_id.eq(user.get())).select(user_roles::role_id);
        let rows =
            roles::table.filter(roles::id.eq_any(held)).order(roles::name_key).select(with_permissions());
        self.all(rows).await?.into_iter().map(restore).collect()
    }

    async fn holders(&mut self, role: RoleId) -> Result<Vec<UserId>, StoreError> {
        let holders = user_roles::table
            .filter(user_roles::role_id.eq(role.get()))
            .order(user_roles::user_id)
            .select(user_roles::user_id);
        user_ids(self.all(holders).await?)
    }

    async fn assign(&mut self, user: UserId, role: RoleId) -> Result<bool, StoreError> {
        let assigned = diesel::insert_into(user_roles::table)
            .values((user_roles::user_id.eq(user.get()), user_roles::role_id.eq(role.get())))
            .on_conflict_do_nothing();
        Ok(self.run(assigned).await? > 0)
    }

    async fn unassign(&mut self, user: UserId, role: RoleId) -> Result<bool, StoreError> {
        let assigned = user_roles::table.find((user.get(), role.get()));
        Ok(self.run(diesel::delete(assigned)).await? > 0)
    }

    async fn lock_administration(&mut self) -> Result<(), StoreError> {
        self.hold(ADMINISTRATION).await
    }

    async fn active_holders(&mut self, role: RoleId) -> Result<Vec<UserId>, StoreError> {
        let holders = user_roles::table
            .inner_join(users::table)
            .filter(user_roles::role_id.eq(role.get()).and(users::is_active))
            .order(user_roles::user_id)
            .select(user_roles::user_id);
        user_ids(self.all(holders).await?)
    }
}

impl Link {
    async fn permit(&mut self, role: i64, permissions: Permissions) -> Result<(), StoreError> {
        let rows: Vec<_> = permissions
            .iter()
            .map(|permission| {
                (role_permissions::role_id.eq(role), role_permissions::permission.eq(permission.name()))
            })
            .collect();
        if !rows.is_empty() {
            self.run(diesel::insert_into(role_permissions::table).values(rows)).await?;
        }
        Ok(())
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = roles, check_for_backend(Pg))]
struct RoleRow {
    id: i64,
    name: String,
    description: String,
    built_in: bool,
    version: i64,
    created_at: PgTimestamp,
    updated_at: PgTimestamp,
}

type Permitted = (RoleRow, Vec<String>);

/// The columns of a [`Permitted`] row.
#[auto_type]
fn with_permissions() -> _ {
    let role: AsSelect<RoleRow, Pg> = RoleRow::as_select();
    let permissions = role_permissions::table
        .filter(role_permissions::role_id.eq(roles::id))
        .select(role_permissions::permission);
    (role, texts(permissions))
}

fn restore((role, permissions): Permitted) -> Result<Role, StoreError> {
    let permissions =
        Row { table: "role_permissions", key: &role.id }.permissions("permission", &permissions)?;
    role.with(permissions)
}

impl RoleRow {
    fn with(self, permissions: Permissions) -> Result<Role, StoreError> {
        let row = Row { table: "roles", key: &self.id };
        Ok(Role {
            id: row.read("id", RoleId::new(self.id))?,
            permissions,
            built_in: self.built_in,
            version: row.version(self.version)?,
            created_at: row.instant("created_at", self.created_at)?,
            updated_at: row.instant("updated_at", self.updated_at)?,
            name: RoleName::restore(self.name),
            description: Description::restore(self.description),
        })
    }
}

fn matching<'filter>(filter: &'filter RoleFilter) -> roles::BoxedQuery<'filter, Pg> {
    let mut matching = roles::table.into_boxed();
    if !filter.names.is_empty() {
        let keys: Vec<String> = filter.names.iter().map(RoleName::key).collect();
        matching = matching.filter(roles::name_key.eq_any(keys));
    }
    if !filter.permissions.is_empty() {
        let names: Vec<&str> = filter.permissions.iter().copied().map(Permission::name).collect();
        let permitting = role_permissions::table
            .filter(role_permissions::permission.eq_any(names))
            .select(role_permissions::role_id);
        matching = matching.filter(roles::id.eq_any(permitting));
    }
    if !filter.users.is_empty() {
        let (ids, logins) = ids_and_logins(&filter.users);
        let held = user_roles::table
            .inner_join(users::table)
            .filter(users::id.eq_any(ids).or(users::username_key.eq_any(logins)))
            .select(user_roles::role_id);
        matching = matching.filter(roles::id.eq_any(held));
    }
    if let Some(text) = &filter.search {
        let text = fold(text);
        let in_name = strpos(roles::name_key.nullable(), text.clone()).gt(0);
        matching = matching.filter(in_name.or(strpos(roles::description_key.nullable(), text).gt(0)));
    }
    matching
}

fn ordering(order: Order<RoleKey>) -> Ordering<roles::table> {
    match order.key {
        RoleKey::Id => by!(roles::id, order.direction),
        RoleKey::Name => by!(roles::name_key, order.direction),
        RoleKey::CreatedAt => by!(roles::created_at, order.direction),
        RoleKey::UpdatedAt => by!(roles::updated_at, order.direction),
    }
}
