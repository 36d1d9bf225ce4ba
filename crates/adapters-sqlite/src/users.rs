//! People with accounts. How their lists are filtered and ordered is in `views.rs`, who mentors whom in `mentorships.rs`.

use crate::errors::dangles;
use crate::lists::PART;
use crate::rows::{UserRow, standing_columns};
use crate::schema::users;
use crate::views;
use crate::work::{Answer, Work};
use async_trait::async_trait;
use diesel::prelude::*;
use domain::id::{UserId, Version};
use domain::page::Page;
use domain::ports::{Reference, StoreError, Users};
use domain::text::{Email, Phone, Username};
use domain::time::Timestamp;
use domain::users::{NewUser, User, UserQuery, UserView};

#[async_trait]
impl Users for Work {
    async fn insert(&mut self, user: &NewUser) -> Result<User, StoreError> {
        let user = user.clone();
        self.run(move |connection| insert(connection, &user)).await
    }

    async fn find(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        self.run(move |connection| find(connection, id)).await
    }

    async fn find_by_username(&mut self, username: &Username) -> Result<Option<User>, StoreError> {
        let key = username.key();
        self.run(move |connection| find_by_key(connection, &key)).await
    }

    async fn lock(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        self.hold()?;
        Users::find(self, id).await
    }

    async fn save(&mut self, user: &User) -> Result<User, StoreError> {
        let user = user.clone();
        self.run(move |connection| save(connection, &user)).await
    }

    async fn touch(&mut self, ids: &[UserId], at: Timestamp) -> Result<(), StoreError> {
        let ids: Vec<_> = ids.iter().map(|id| id.get()).collect();
        self.run(move |connection| touch(connection, &ids, at)).await
    }

    async fn delete(&mut self, id: UserId) -> Result<bool, StoreError> {
        self.run(move |connection| delete(connection, id)).await
    }

    async fn view(&mut self, id: UserId) -> Result<Option<UserView>, StoreError> {
        self.run(move |connection| {
            let user = find(connection, id)?;
            Ok(views::of(connection, user.into_iter().collect())?.pop())
        })
        .await
    }

    async fn list(&mut self, query: &UserQuery) -> Result<Page<UserView>, StoreError> {
        let query = query.clone();
        self.run(move |connection| views::page(connection, &query)).await
    }
}

/// The columns that a user is written to, but for version and `created_at`.
#[derive(Insertable, AsChangeset)]
#[diesel(table_name = users, treat_none_as_null = true, treat_none_as_default_value = false)]
struct Columns<'a> {
    username: &'a str,
    username_key: String,
    email: Option<&'a str>,
    email_key: Option<String>,
    phone: Option<&'a str>,
    phone_key: Option<String>,
    password_hash: &'a str,
    password_use: &'static str,
    password_expires_at: Option<i64>,
    is_mentor: bool,
    is_active: bool,
    mentor_id: Option<i64>,
    updated_at: i64,
    last_login_at: Option<i64>,
}

impl<'a> From<&'a NewUser> for Columns<'a> {
    fn from(user: &'a NewUser) -> Self {
        let (password_use, password_expires_at) = standing_columns(user.password.standing);
        Self {
            username: user.username.as_str(),
            username_key: user.username.key(),
            email: user.email.as_ref().map(Email::as_str),
            email_key: user.email.as_ref().map(Email::key),
            phone: user.phone.as_ref().map(Phone::as_str),
            phone_key: user.phone.as_ref().map(Phone::key),
            password_hash: user.password.hash.as_str(),
            password_use,
            password_expires_at,
            is_mentor: user.is_mentor,
            is_active: user.is_active,
            mentor_id: user.mentor.map(UserId::get),
            updated_at: user.created_at.micros(),
            last_login_at: None,
        }
    }
}

impl<'a> From<&'a User> for Columns<'a> {
    fn from(user: &'a User) -> Self {
        let (password_use, password_expires_at) = standing_columns(user.password.standing);
        Self {
            username: user.username.as_str(),
            username_key: user.username.key(),
            email: user.email.as_ref().map(Email::as_str),
            email_key: user.email.as_ref().map(Email::key),
            phone: user.phone.as_ref().map(Phone::as_str),
            phone_key: user.phone.as_ref().map(Phone::key),
            password_hash: user.password.hash.as_str(),
            password_use,
            password_expires_at,
            is_mentor: user.is_mentor,
            is_active: user.is_active,
            mentor_id: user.mentor.map(UserId::get),
            updated_at: user.updated_at.micros(),
            last_login_at: user.last_login_at.map(Timestamp::micros),
        }
    }
}

fn insert(connection: &mut SqliteConnection, user: &NewUser) -> Answer<User> {
    let row = diesel::insert_into(users::table)
        .values((
            Columns::from(user),
            users::version.eq(Version::FIRST.get()),
            users::created_at.eq(user.created_at.micros()),
        ))
        .returning(UserRow::as_returning())
        .get_result(connection)
        .map_err(dangles(Reference::User))?;
    Ok(row.try_into()?)
}

fn find(connection: &mut SqliteConnection, id: UserId) -> Answer<Option<User>> {
    let query = users::table.find(id.get()).select(UserRow::as_select());
    let row = query.first(connection).optional()?;
    Ok(row.map(User::try_from).transpose()?)
}

fn find_by_key(connection: &mut SqliteConnection, key: &str) -> Answer<Option<User>> {
    let query = users::table.filter(users::username_key.eq(key)).select(UserRow::as_select());
    let row = query.first(connection).optional()?;
    Ok(row.map(User::try_from).transpose()?)
}

fn save(connection: &mut SqliteConnection, user: &User) -> Answer<User> {
    let row = diesel::update(users::table.find(user.id.get()))
        .set((Columns::from(user), users::version.eq(users::version + 1)))
        .returning(UserRow::as_returning())
        .get_result(connection)
        .optional()
        .map_err(dangles(Reference::User))?;
    let row = row.ok_or(StoreError::Dangling(Reference::User))?;
    Ok(row.try_into()?)
}

fn touch(connection: &mut SqliteConnection, ids: &[i64], at: Timestamp) -> Answer<()> {
    for ids in ids.chunks(PART) {
        diesel::update(users::table.filter(users::id.eq_any(ids)))
            .set((users::version.eq(users::version + 1), users::updated_at.eq(at.micros())))
            .execute(connection)?;
    }
    Ok(())
}

fn delete(connection: &mut SqliteConnection, id: UserId) -> Answer<bool> {
    let rows =
        diesel::delete(users::table.find(id.get())).execute(connection).map_err(dangles(Reference::User))?;
    Ok(rows > 0)
}
