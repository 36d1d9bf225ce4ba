//! People with accounts: the `users` table. Lists of them are in `user_lists`.

use crate::link::Link;
use crate::rows::{Row, stamp};
use crate::schema::users;
use crate::user_lists;
use async_trait::async_trait;
use diesel::data_types::PgTimestamp;
use diesel::pg::Pg;
use diesel::prelude::*;
use domain::id::UserId;
use domain::page::Page;
use domain::ports::{Reference, StoreError, Users};
use domain::text::{Email, Phone, Username};
use domain::time::Timestamp;
use domain::users::{NewUser, PasswordHash, Standing, StoredPassword, User, UserQuery, UserView};

#[async_trait]
impl Users for Link {
    async fn insert(&mut self, user: &NewUser) -> Result<User, StoreError> {
        let created_at = stamp(user.created_at);
        let row = diesel::insert_into(users::table)
            .values((
                UserWrite::from(Account::from(user)),
                users::created_at.eq(created_at),
                users::updated_at.eq(created_at),
            ))
            .returning(UserRow::as_returning());
        User::try_from(self.the(row).await?)
    }

    async fn find(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        let row = users::table.find(id.get()).select(UserRow::as_select());
        self.one(row).await?.map(User::try_from).transpose()
    }

    async fn find_by_username(&mut self, username: &Username) -> Result<Option<User>, StoreError> {
        let same = users::username_key.eq(username.key());
        let row = users::table.filter(same).select(UserRow::as_select());
        self.one(row).await?.map(User::try_from).transpose()
    }

    /// The strongest row lock, so that a locked user gets no session, key or role meanwhile either.
    async fn lock(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        let row = users::table.find(id.get()).select(UserRow::as_select()).for_update();
        self.one(row).await?.map(User::try_from).transpose()
    }

    async fn save(&mut self, user: &User) -> Result<User, StoreError> {
        let row = diesel::update(users::table.find(user.id.get()))
            .set((
                UserWrite::from(Account::from(user)),
                users::version.eq(users::version + 1),
                users::updated_at.eq(stamp(user.updated_at)),
                users::last_login_at.eq(user.last_login_at.map(stamp)),
            ))
            .returning(UserRow::as_returning());
        let row = self.one(row).await?.ok_or(StoreError::Dangling(Reference::User))?;
        User::try_from(row)
    }

    async fn touch(&mut self, ids: &[UserId], at: Timestamp) -> Result<(), StoreError> {
        let ids: Vec<i64> = ids.iter().map(|id| id.get()).collect();
        // Locked in the order of their ids, so that two units that touch the same users cannot wait for each other.
        let locked =
            users::table.filter(users::id.eq_any(&ids)).order(users::id).select(users::id).for_update();
        let locked: Vec<i64> = self.all(locked).await?;
        let touched = diesel::update(users::table.filter(users::id.eq_any(locked)))
            .set((users::version.eq(users::version + 1), users::updated_at.eq(stamp(at))));
        self.run(touched).await?;
        Ok(())
    }

    async fn delete(&mut self, id: UserId) -> Result<bool, StoreError> {
        Ok(self.run(diesel::delete(users::table.find(id.get()))).await? > 0)
    }

    async fn view(&mut self, id: UserId) -> Result<Option<UserView>, StoreError> {
        user_lists::view(self, id).await
    }

    async fn list(&mut self, query: &UserQuery) -> Result<Page<UserView>, StoreError> {
        user_lists::list(self, query).await
    }
}

/// What a new user and a saved one have in common.
struct Account<'user> {
    username: &'user Username,
    email: Option<&'user Email>,
    phone: Option<&'user Phone>,
    password: &'user StoredPassword,
    is_mentor: bool,
    is_active: bool,
    mentor: Option<UserId>,
}

impl<'user> From<&'user NewUser> for Account<'user> {
    fn from(user: &'user NewUser) -> Self {
        Self {
            username: &user.username,
            email: user.email.as_ref(),
            phone: user.phone.as_ref(),
            password: &user.password,
            is_mentor: user.is_mentor,
            is_active: user.is_active,
            mentor: user.mentor,
        }
    }
}

impl<'user> From<&'user User> for Account<'user> {
    fn from(user: &'user User) -> Self {
        Self {
            username: &user.username,
            email: user.email.as_ref(),
            phone: user.phone.as_ref(),
            password: &user.password,
            is_mentor: user.is_mentor,
            is_active: user.is_active,
            mentor: user.mentor,
        }
    }
}

#[derive(Insertable, AsChangeset)]
#[diesel(table_name = users, treat_none_as_default_value = false, treat_none_as_null = true)]
struct UserWrite<'user> {
    username: &'user str,
    username_key: String,
    email: Option<&'user str>,
    email_key: Option<String>,
    phone: Option<&'user str>,
    phone_key: Option<String>,
    password_hash: &'user str,
    password_use: &'static str,
    password_expires_at: Option<PgTimestamp>,
    is_mentor: bool,
    is_active: bool,
    mentor_id: Option<i64>,
}

impl<'user> From<Account<'user>> for UserWrite<'user> {
    fn from(account: Account<'user>) -> Self {
        let (password_use, password_expires_at) = match account.password.standing {
            Standing::Lasting => (LASTING, None),
            Standing::OneTime { expires_at } => (ONE_TIME, Some(stamp(expires_at))),
            Standing::Spent => (SPENT, None),
        };
        Self {
            username: account.username.as_str(),
            username_key: account.username.key(),
            email: account.email.map(Email::as_str),
            email_key: account.email.map(Email::key),
            phone: account.phone.map(Phone::as_str),
            phone_key: account.phone.map(Phone::key),
            password_hash: account.password.hash.as_str(),
            password_use,
            password_expires_at,
            is_mentor: account.is_mentor,
            is_active: account.is_active,
            mentor_id: account.mentor.map(UserId::get),
        }
    }
}

const LASTING: &str = "lasting";
const ONE_TIME: &str = "one_time";
const SPENT: &str = "spent";

#[derive(Queryable, Selectable)]
#[diesel(table_name = users, check_for_backend(Pg))]
pub(crate) struct UserRow {
    id: i64,
    username: String,
    email: Option<String>,
    phone: Option<String>,
    password_hash: String,
    password_use: String,
    password_expires_at: Option<PgTimestamp>,
    is_mentor: bool,
    is_active: bool,
    mentor_id: Option<i64>,
    version: i64,
    created_at: PgTimestamp,
    updated_at: PgTimestamp,
    last_login_at: Option<PgTimestamp>,
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        let at = Row { table: "users", key: &row.id };
        let expires_at = at.maybe_instant("password_expires_at", row.password_expires_at)?;
        let standing = match (row.password_use.as_str(), expires_at) {
            (LASTING, None) => Some(Standing::Lasting),
            (ONE_TIME, Some(expires_at)) => Some(Standing::OneTime { expires_at }),
            (SPENT, None) => Some(Standing::Spent),
            _ => None,
        };
        Ok(Self {
            id: at.read("id", UserId::new(row.id))?,
            password: StoredPassword {
                standing: at.read("password_use", standing)?,
                hash: PasswordHash::restore(row.password_hash),
            },
            is_mentor: row.is_mentor,
            is_active: row.is_active,
            mentor: row.mentor_id.map(|mentor| at.read("mentor_id", UserId::new(mentor))).transpose()?,
            version: at.version(row.version)?,
            created_at: at.instant("created_at", row.created_at)?,
            updated_at: at.instant("updated_at", row.updated_at)?,
            last_login_at: at.maybe_instant("last_login_at", row.last_login_at)?,
            username: Username::restore(row.username),
            email: row.email.map(Email::restore),
            phone: row.phone.map(Phone::restore),
        })
    }
}

/// Ids that the query found.
pub(crate) fn user_ids(ids: Vec<i64>) -> Result<Vec<UserId>, StoreError> {
    ids.into_iter().map(|id| Row { table: "users", key: &id }.read("id", UserId::new(id))).collect()
}
