//! Roles: make, change and delete them, give them to people and take them away.

use super::{App, users};
use crate::access::rights::{ManageRoles, ManageUsers, ViewRoles, ViewUsers};
use crate::access::{Granted, Permission, Permissions};
use crate::audit::{Action, Fact, NewEvent, Subject, role_facts};
use crate::error::{Denied, Error, Flaw, Reason};
use crate::id::{RoleId, UserId};
use crate::idempotency::Once;
use crate::page::Page;
use crate::patch::Precondition;
use crate::ports::{Repos, StoreError, UnitOfWork};
use crate::roles::{BuiltIn, NewRole, Role, RoleQuery, RoleRef, may_change, may_give};
use crate::text::{Description, RoleName};
use crate::time::Timestamp;

/// A role as somebody wants it.
#[derive(Clone, Debug)]
pub struct RoleDraft {
    /// Its name.
    pub name: RoleName,
    /// What it is for.
    pub description: Description,
    /// What its holders may do.
    pub permissions: Permissions,
}

/// A change of a role. What is absent stays.
#[derive(Clone, Debug, Default)]
pub struct RoleChange {
    /// A new name.
    pub name: Option<RoleName>,
    /// A new description.
    pub description: Option<Description>,
    /// All permissions.
    pub permissions: Option<Permissions>,
}

/// A page of roles.
pub async fn list(app: &App, _by: &Granted<ViewRoles>, query: &RoleQuery) -> Result<Page<Role>, Error> {
    Ok(app.store.reader().await?.roles().list(query).await?)
}

/// One role.
pub async fn get(app: &App, _by: &Granted<ViewRoles>, role: &RoleRef) -> Result<Role, Error> {
    find_in(&mut *app.store.reader().await?, role).await
}

/// Makes a role.
pub async fn create(
    app: &App,
    by: Granted<ManageRoles>,
    draft: RoleDraft,
    once: Once<'_, Role>,
) -> Result<Role, Error> {
    may_give(by.actor().permissions(), draft.permissions)?;
    let now = app.clock.now();
    let RoleDraft { name, description, permissions } = draft;
    let mut tx = app.store.begin().await?;
    let role = tx
        .roles()
        .insert(&NewRole { name, description, permissions, built_in: false, created_at: now })
        .await?;
    let event = NewEvent::new(now, by.actor(), Action::RoleCreated, Subject::role(&role));
    tx.trail().record(&event.changing(Vec::new(), role_facts(&role))).await?;
    once.remember_in(&mut *tx, &role, now).await?;
    app.commit_access(tx).await?;
    Ok(role)
}

/// Changes a role. Its holders gain and lose permissions at once. Who says what it is already changes nothing.
pub async fn change(
    app: &App,
    by: Granted<ManageRoles>,
    role: &RoleRef,
    change: RoleChange,
    precondition: Precondition,
) -> Result<Role, Error> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    // A new name changes the records of its holders too: keep them from changing otherwise meanwhile.
    tx.mentorships().lock().await?;
    tx.roles().lock_administration().await?;
    let before = lock_in(&mut *tx, role).await?;
    may_change(&before)?;
    precondition.check(before.version)?;
    let after = Role {
        name: change.name.unwrap_or_else(|| before.name.clone()),
        description: change.description.unwrap_or_else(|| before.description.clone()),
        permissions: change.permissions.unwrap_or(before.permissions),
        ..before.clone()
    };
    if after == before {
        tx.rollback().await;
        return Ok(before);
    }
    may_give(by.actor().permissions(), after.permissions.minus(before.permissions))?;
    let after = tx.roles().save(&Role { updated_at: now, ..after }).await?;
    if after.name != before.name {
        let holders = tx.roles().holders(after.id).await?;
        tx.users().touch(&holders, now).await?;
    }
    let event = NewEvent::new(now, by.actor(), Action::RoleUpdated, Subject::role(&after));
    tx.trail().record(&event.changing(role_facts(&before), role_facts(&after))).await?;
    app.commit_access(tx).await?;
    Ok(after)
}

/// Deletes a role that nobody holds.
pub async fn delete(
    app: &App,
    by: Granted<ManageRoles>,
    role: &RoleRef,
    precondition: Precondition,
) -> Result<(), Error> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let role = lock_in(&mut *tx, role).await?;
    may_change(&role)?;
    precondition.check(role.version)?;
    if let Err(error) = tx.roles().delete(role.id).await {
        let in_use = matches!(error, StoreError::Dangling(_));
        return Err(if in_use { Error::RoleInUse(role.name.to_string()) } else { error.into() });
    }
    let event = NewEvent::new(now, by.actor(), Action::RoleDeleted, Subject::role(&role));
    tx.trail().record(&event.changing(role_facts(&role), Vec::new())).await?;
    app.commit_access(tx).await?;
    Ok(())
}

/// The roles that a user holds: one's own, or with `users:read` anybody's.
pub async fn of_user(app: &App, by: &Granted<ViewUsers>, user: UserId) -> Result<Vec<Role>, Error> {
    let mut reader = app.store.reader().await?;
    reader.users().find(user).await?.ok_or(Error::NotFound("user"))?;
    if !by.covers(user) {
        return Err(Denied::Lacks(Permission::UsersRead).into());
    }
    Ok(reader.roles().of_user(user).await?)
}

/// Gives a user exactly these roles.
pub async fn replace(
    app: &App,
    by: Granted<ManageUsers>,
    user: UserId,
    names: Vec<RoleName>,
    precondition: Precondition,
) -> Result<Vec<Role>, Error> {
    reassign(app, &by, user, Wanted::Exactly(names), &precondition, &Once::each_time()).await
}

/// Gives a user one more role; nothing happens when they hold it already.
pub async fn give(
    app: &App,
    by: Granted<ManageUsers>,
    user: UserId,
    role: RoleName,
    once: Once<'_, Vec<Role>>,
) -> Result<Vec<Role>, Error> {
    reassign(app, &by, user, Wanted::AlsoHeld(role), &Precondition::None, &once).await
}

/// Takes a role from a user.
pub async fn take(
    app: &App,
    by: Granted<ManageUsers>,
    user: UserId,
    role: RoleName,
    precondition: Precondition,
) -> Result<(), Error> {
    reassign(app, &by, user, Wanted::NotHeld(role), &precondition, &Once::each_time()).await?;
    Ok(())
}

/// The roles that a user should hold in the end.
enum Wanted {
    Exactly(Vec<RoleName>),
    AlsoHeld(RoleName),
    NotHeld(RoleName),
}

impl Wanted {
    fn among(self, held: &[RoleName]) -> Result<Vec<RoleName>, Error> {
        match self {
            Wanted::Exactly(names) => Ok(names),
            Wanted::AlsoHeld(name) => Ok(held.iter().cloned().chain([name]).collect()),
            Wanted::NotHeld(name) => {
                let rest: Vec<_> = held.iter().filter(|held| held.key() != name.key()).cloned().collect();
                if rest.len() == held.len() { Err(Error::NotFound("role of this user")) } else { Ok(rest) }
            }
        }
    }
}

async fn reassign(
    app: &App,
    by: &Granted<ManageUsers>,
    id: UserId,
    wanted: Wanted,
    precondition: &Precondition,
    once: &Once<'_, Vec<Role>>,
) -> Result<Vec<Role>, Error> {
    by.actor().may_act_on(id)?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    tx.roles().lock_administration().await?;
    let mut user = tx.users().lock(id).await?.ok_or(Error::NotFound("user"))?;
    precondition.check(user.version)?;
    let held = names_in(&mut *tx, id).await?;
    if let Wanted::AlsoHeld(name) = &wanted {
        // In a path an unknown role is a missing thing, not a flawed field; and it must not vanish before it is given.
        lock_in(&mut *tx, &RoleRef::Name(name.clone())).await?;
    }
    replace_in(&mut *tx, id, &wanted.among(&held)?, by.actor().permissions()).await?;
    let roles = tx.roles().of_user(id).await?;
    let names: Vec<RoleName> = roles.iter().map(|role| role.name.clone()).collect();
    if names != held {
        user.updated_at = now;
        tx.users().save(&user).await?;
        record_in(&mut *tx, by, &Subject::user(id, &user.username), &held, &names, now).await?;
    }
    once.remember_in(&mut *tx, &roles, now).await?;
    app.commit_access(tx).await?;
    Ok(roles)
}

async fn record_in(
    tx: &mut dyn UnitOfWork,
    by: &Granted<ManageUsers>,
    subject: &Subject,
    before: &[RoleName],
    after: &[RoleName],
    now: Timestamp,
) -> Result<(), Error> {
    let fact = |names: &[RoleName]| {
        let names = names.iter().map(ToString::to_string).collect();
        vec![("roles".to_owned(), Fact::List(names))]
    };
    let event = NewEvent::new(now, by.actor(), Action::RolesChanged, subject.clone());
    tx.trail().record(&event.changing(fact(before), fact(after))).await?;
    Ok(())
}

/// Makes `user` hold exactly these roles. Only what is newly given must be the giver's to give. When ADMIN may be taken
/// from somebody, the administration lock must be held.
pub(super) async fn replace_in(
    tx: &mut dyn UnitOfWork,
    user: UserId,
    names: &[RoleName],
    giver: Permissions,
) -> Result<(), Error> {
    let wanted = resolve_in(tx, names).await?;
    assign_in(tx, user, &wanted, giver).await
}

/// As [`replace_in`], by roles that were found already.
pub(super) async fn assign_in(
    tx: &mut dyn UnitOfWork,
    user: UserId,
    wanted: &[Role],
    giver: Permissions,
) -> Result<(), Error> {
    let held = tx.roles().of_user(user).await?;
    let lacks = |roles: &[Role], role: &Role| roles.iter().all(|other| other.id != role.id);
    let mut given: Vec<&Role> = wanted.iter().filter(|role| lacks(&held, role)).collect();
    given.sort_unstable_by_key(|role| role.id);
    for role in given {
        may_give(giver, role.permissions)?;
        tx.roles().assign(user, role.id).await?;
    }
    for role in held.iter().filter(|role| lacks(wanted, role)) {
        if role.name == BuiltIn::Admin.name() {
            users::refuse_last_administrator_in(tx, user).await?;
        }
        tx.roles().unassign(user, role.id).await?;
    }
    Ok(())
}

/// More roles than anybody holds; each name is looked up, so their number is bounded.
const MOST_ROLES: usize = 100;

pub(super) async fn resolve_in(tx: &mut dyn UnitOfWork, names: &[RoleName]) -> Result<Vec<Role>, Error> {
    if names.len() > MOST_ROLES {
        return Err(Error::flaw("roles", "too_many", format!("must be at most {MOST_ROLES}")));
    }
    let mut roles = Vec::with_capacity(names.len());
    let mut flaws: Vec<Flaw> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        match tx.roles().find_by_name(name).await? {
            Some(role) => roles.push(role),
            None => {
                let reason = Reason::new("unknown", "must be an existing role");
                flaws.push(reason.at(format!("roles.{index}")));
            }
        }
    }
    if flaws.is_empty() { Ok(roles) } else { Err(Error::Invalid(flaws)) }
}

async fn names_in(tx: &mut dyn UnitOfWork, user: UserId) -> Result<Vec<RoleName>, Error> {
    Ok(tx.roles().of_user(user).await?.into_iter().map(|role| role.name).collect())
}

async fn find_in<R: Repos + ?Sized>(repos: &mut R, role: &RoleRef) -> Result<Role, Error> {
    let found = match role {
        RoleRef::Id(id) => repos.roles().find(*id).await?,
        RoleRef::Name(name) => repos.roles().find_by_name(name).await?,
    };
    found.ok_or(Error::NotFound("role"))
}

async fn lock_in(tx: &mut dyn UnitOfWork, role: &RoleRef) -> Result<Role, Error> {
    let id: RoleId = find_in(tx, role).await?.id;
    tx.roles().lock(id).await?.ok_or(Error::NotFound("role"))
}
