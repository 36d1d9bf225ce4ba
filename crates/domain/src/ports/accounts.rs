//! Ports for people: accounts, mentorships, roles, sessions, keys.

use super::StoreError;
use crate::api_keys::{ApiKey, ApiKeyKey, Digest, NewApiKey};
use crate::id::{ApiKeyId, RoleId, SessionId, UserId};
use crate::page::{Order, Page, PageRequest};
use crate::roles::{NewRole, Role, RoleQuery};
use crate::sessions::{Holder, NewSession, Session, SessionKey};
use crate::text::{RoleName, Username};
use crate::time::Timestamp;
use crate::users::{NewUser, User, UserQuery, UserView};
use async_trait::async_trait;

/// People with accounts.
#[async_trait]
pub trait Users: Send {
    /// Stores a new user with the first version; `updated_at` is `created_at`.
    /// MUST name which of login, e-mail and phone is taken.
    async fn insert(&mut self, user: &NewUser) -> Result<User, StoreError>;

    /// The user with this id.
    async fn find(&mut self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The user whose folded login is the same as this one's.
    async fn find_by_username(&mut self, username: &Username) -> Result<Option<User>, StoreError>;

    /// The user, held until the unit of work ends: another unit's `lock` or `save` of it waits.
    async fn lock(&mut self, id: UserId) -> Result<Option<User>, StoreError>;

    /// Writes every field of `user` but its id, version and `created_at`, and raises the stored version by one, which
    /// the returned user carries. MUST answer [`StoreError::Dangling`] when the user or the mentor is gone.
    async fn save(&mut self, user: &User) -> Result<User, StoreError>;

    /// Raises the version of these users and moves `updated_at`: what is shown of them changed by way of others.
    /// Ids that do not exist are passed over.
    async fn touch(&mut self, ids: &[UserId], at: Timestamp) -> Result<(), StoreError>;

    /// Removes the user with all sessions, keys and role assignments; `false` when there is none. Maintenance logs, alerts
    /// and timelines keep the name of whoever acted and lose the id.
    /// MUST refuse with [`StoreError::Dangling`] while the user has mentees.
    async fn delete(&mut self, id: UserId) -> Result<bool, StoreError>;

    /// The user with roles, mentor and mentees.
    async fn view(&mut self, id: UserId) -> Result<Option<UserView>, StoreError>;

    /// A page of users, each with roles, mentor and mentees. The number of statements MUST NOT depend on the page.
    async fn list(&mut self, query: &UserQuery) -> Result<Page<UserView>, StoreError>;
}

/// Who mentors whom.
#[async_trait]
pub trait Mentorships: Send {
    /// Waits until no other unit of work changes who mentors whom, or who may, and keeps others waiting until this unit
    /// ends. Taken before any user is locked.
    async fn lock(&mut self) -> Result<(), StoreError>;

    /// The user's mentor, that one's mentor, and so on upwards. MUST end even if storage holds a circle.
    async fn above(&mut self, user: UserId) -> Result<Vec<UserId>, StoreError>;

    /// Whom this user mentors, ordered by id.
    async fn mentees(&mut self, mentor: UserId) -> Result<Vec<UserId>, StoreError>;

    /// Ends every mentorship `mentor` holds; returns the released mentees ordered by id, their versions raised and
    /// `updated_at` moved. MUST return an empty list, not an error, when there are none. MUST NOT touch other mentors'.
    async fn release_all(&mut self, mentor: UserId, at: Timestamp) -> Result<Vec<UserId>, StoreError>;
}

/// Named sets of permissions, and who holds them.
#[async_trait]
pub trait Roles: Send {
    /// Stores a new role with the first version; `updated_at` is `created_at`. MUST name the taken name.
    async fn insert(&mut self, role: &NewRole) -> Result<Role, StoreError>;

    /// The role with this id.
    async fn find(&mut self, id: RoleId) -> Result<Option<Role>, StoreError>;

    /// The role whose name is this one, without regard to case.
    async fn find_by_name(&mut self, name: &RoleName) -> Result<Option<Role>, StoreError>;

    /// The role, held until the unit of work ends: another unit's `lock`, `save` or `delete` of it waits.
    async fn lock(&mut self, id: RoleId) -> Result<Option<Role>, StoreError>;

    /// Writes name, description, permissions and `updated_at`, and raises the stored version by one, which the returned
    /// role carries. MUST answer [`StoreError::Dangling`] when the role is gone.
    async fn save(&mut self, role: &Role) -> Result<Role, StoreError>;

    /// Removes the role; `false` when there is none. MUST refuse with [`StoreError::Dangling`] while anybody holds it,
    /// also when it is assigned at the same moment.
    async fn delete(&mut self, id: RoleId) -> Result<bool, StoreError>;

    /// A page of roles.
    async fn list(&mut self, query: &RoleQuery) -> Result<Page<Role>, StoreError>;

    /// The roles a user holds, ordered by the keys of their names.
    async fn of_user(&mut self, user: UserId) -> Result<Vec<Role>, StoreError>;

    /// Who holds the role, ordered by id.
    async fn holders(&mut self, role: RoleId) -> Result<Vec<UserId>, StoreError>;

    /// Gives the role to the user; `false` when they hold it already. MUST name whichever of the two is gone.
    async fn assign(&mut self, user: UserId, role: RoleId) -> Result<bool, StoreError>;

    /// Takes the role from the user; `false` when they do not hold it.
    async fn unassign(&mut self, user: UserId, role: RoleId) -> Result<bool, StoreError>;

    /// Waits until no other unit of work changes who administers, and keeps others waiting until this unit ends.
    /// Taken after [`Mentorships::lock`] and before any user is locked.
    async fn lock_administration(&mut self) -> Result<(), StoreError>;

    /// The active users who hold the role, ordered by id.
    async fn active_holders(&mut self, role: RoleId) -> Result<Vec<UserId>, StoreError>;
}

/// Signed-in clients.
#[async_trait]
pub trait Sessions: Send {
    /// Stores a new session of generation 1, rotated and last used when it was made.
    async fn insert(&mut self, session: &NewSession) -> Result<Session, StoreError>;

    /// The session and the account behind it. MUST answer with the permissions of this moment.
    async fn bearer(&mut self, id: SessionId) -> Result<Option<(Session, Holder)>, StoreError>;

    /// The session, held until the unit of work ends.
    async fn lock(&mut self, id: SessionId) -> Result<Option<Session>, StoreError>;

    /// Spends the refresh token of this generation: one conditional step to the next generation, which sets
    /// `rotated_at` and `last_used_at` to `at` and the expiry to `expires_at`. `None` when that generation is not the
    /// current one, or the session is gone. Of any number of simultaneous calls for one generation at most one MUST get
    /// the session.
    async fn advance(
        &mut self,
        id: SessionId,
        generation: i64,
        at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Option<Session>, StoreError>;

    /// Notes that the session was in use.
    async fn touch(&mut self, id: SessionId, at: Timestamp) -> Result<(), StoreError>;

    /// Notes that the session was in use, and moves its expiry to `expires_at`. MUST NOT touch its generation.
    async fn prolong(
        &mut self,
        id: SessionId,
        at: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), StoreError>;

    /// A page of the user's sessions that have not lapsed at `now`. Ties and an empty order end in the id.
    async fn list(
        &mut self,
        user: UserId,
        now: Timestamp,
        order: &[Order<SessionKey>],
        page: PageRequest,
    ) -> Result<Page<Session>, StoreError>;

    /// Ends one session of the user; `false` when the user has no such session.
    async fn end(&mut self, user: UserId, id: SessionId) -> Result<bool, StoreError>;

    /// Ends every session of the user but `keep`; returns how many.
    async fn end_all(&mut self, user: UserId, keep: Option<SessionId>) -> Result<u64, StoreError>;

    /// Forgets up to `most` sessions that lapsed before `now`; returns how many.
    async fn forget_lapsed(&mut self, now: Timestamp, most: u32) -> Result<u64, StoreError>;
}

/// Machines' credentials.
#[async_trait]
pub trait ApiKeys: Send {
    /// Stores a new key with the first version. MUST name the taken name.
    async fn insert(&mut self, key: &NewApiKey) -> Result<ApiKey, StoreError>;

    /// The key with this digest and the account behind it. MUST answer with the owner's permissions of this moment.
    async fn bearer(&mut self, digest: &Digest) -> Result<Option<(ApiKey, Holder)>, StoreError>;

    /// Notes that the key was in use.
    async fn touch(&mut self, id: ApiKeyId, at: Timestamp) -> Result<(), StoreError>;

    /// The user's key of this id.
    async fn find(&mut self, user: UserId, id: ApiKeyId) -> Result<Option<ApiKey>, StoreError>;

    /// A page of the user's keys. Ties and an empty order end in the id.
    async fn list(
        &mut self,
        user: UserId,
        order: &[Order<ApiKeyKey>],
        page: PageRequest,
    ) -> Result<Page<ApiKey>, StoreError>;

    /// Revokes one key of the user; `false` when the user has no such key.
    async fn delete(&mut self, user: UserId, id: ApiKeyId) -> Result<bool, StoreError>;
}
