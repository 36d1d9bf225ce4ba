//! Users with their roles, mentor and mentees: one of them, or a page. A page is two statements however long it is.

use crate::functions::strpos;
use crate::link::Link;
use crate::lists::{Ordering, by, effective, page, texts};
use crate::rows::stamp;
use crate::schema::{roles, user_roles, users};
use crate::users::UserRow;
use diesel::dsl::{AsSelect, auto_type};
use diesel::pg::Pg;
use diesel::prelude::*;
use domain::id::UserId;
use domain::page::{Order, Page};
use domain::ports::StoreError;
use domain::text::{Email, Phone, RoleName, Username, fold};
use domain::users::{User, UserFilter, UserKey, UserQuery, UserRef, UserView};

diesel::alias!(users as mentor: Mentor, users as mentee: Mentee);

/// The user with this id.
pub(crate) async fn view(link: &mut Link, id: UserId) -> Result<Option<UserView>, StoreError> {
    let row = users::table.find(id.get()).select(viewed());
    link.one(row).await?.map(restore).transpose()
}

/// A page of users.
pub(crate) async fn list(link: &mut Link, query: &UserQuery) -> Result<Page<UserView>, StoreError> {
    let order = effective(&query.order, UserKey::Id);
    page!(link, query.page, matching(&query.filter), order, viewed(), ViewRow => restore)
}

type ViewRow = (UserRow, Vec<String>, Option<String>, Vec<String>);

fn restore((user, roles, login_of_mentor, logins_of_mentees): ViewRow) -> Result<UserView, StoreError> {
    Ok(UserView {
        user: User::try_from(user)?,
        roles: roles.into_iter().map(RoleName::restore).collect(),
        mentor: login_of_mentor.map(Username::restore),
        mentees: logins_of_mentees.into_iter().map(Username::restore).collect(),
    })
}

/// The columns of a [`ViewRow`].
#[auto_type]
fn viewed() -> _ {
    let user: AsSelect<UserRow, Pg> = UserRow::as_select();
    let names_of_roles = user_roles::table
        .inner_join(roles::table)
        .filter(user_roles::user_id.eq(users::id))
        .order(roles::name_key)
        .select(roles::name);
    let login_of_mentor = mentor
        .filter(mentor.field(users::id).nullable().eq(users::mentor_id))
        .select(mentor.field(users::username))
        .single_value();
    let logins_of_mentees = mentee
        .filter(mentee.field(users::mentor_id).eq(users::id.nullable()))
        .order(mentee.field(users::id))
        .select(mentee.field(users::username));
    (user, texts(names_of_roles), login_of_mentor, texts(logins_of_mentees))
}

fn matching<'filter>(filter: &'filter UserFilter) -> users::BoxedQuery<'filter, Pg> {
    let mut matching = users::table.into_boxed();
    if !filter.usernames.is_empty() {
        matching = matching.filter(users::username_key.eq_any(keys(&filter.usernames, Username::key)));
    }
    if !filter.emails.is_empty() {
        matching = matching.filter(users::email_key.eq_any(keys(&filter.emails, Email::key)));
    }
    if !filter.phones.is_empty() {
        matching = matching.filter(users::phone_key.eq_any(keys(&filter.phones, Phone::key)));
    }
    if !filter.roles.is_empty() {
        let holders = user_roles::table
            .inner_join(roles::table)
            .filter(roles::name_key.eq_any(keys(&filter.roles, RoleName::key)))
            .select(user_roles::user_id);
        matching = matching.filter(users::id.eq_any(holders));
    }
    if let Some(is_mentor) = filter.is_mentor {
        matching = matching.filter(users::is_mentor.eq(is_mentor));
    }
    if let Some(is_active) = filter.is_active {
        matching = matching.filter(users::is_active.eq(is_active));
    }
    if !filter.mentors.is_empty() {
        let (ids, logins) = ids_and_logins(&filter.mentors);
        let meant = mentor
            .filter(mentor.field(users::id).eq_any(ids).or(mentor.field(users::username_key).eq_any(logins)))
            .select(mentor.field(users::id).nullable());
        matching = matching.filter(users::mentor_id.eq_any(meant));
    }
    if let Some(from) = filter.created.from {
        matching = matching.filter(users::created_at.ge(stamp(from)));
    }
    if let Some(until) = filter.created.until {
        matching = matching.filter(users::created_at.lt(stamp(until)));
    }
    if let Some(text) = &filter.search {
        let text = fold(text);
        let in_login = strpos(users::username_key.nullable(), text.clone()).gt(0);
        matching = if filter.search_private {
            let in_email = strpos(users::email_key, text.clone()).gt(0);
            let in_phone = strpos(users::phone, text).gt(0);
            matching.filter(in_login.or(in_email).or(in_phone))
        } else {
            matching.filter(in_login)
        };
    }
    matching
}

fn keys<T>(texts: &[T], key: fn(&T) -> String) -> Vec<String> {
    texts.iter().map(key).collect()
}

/// Users as clients name them: by number, or by login.
pub(crate) fn ids_and_logins(named: &[UserRef]) -> (Vec<i64>, Vec<String>) {
    let (mut ids, mut logins) = (Vec::new(), Vec::new());
    for user in named {
        match user {
            UserRef::Id(id) => ids.push(id.get()),
            UserRef::Login(login) => logins.push(login.key()),
        }
    }
    (ids, logins)
}

fn ordering(order: Order<UserKey>) -> Ordering<users::table> {
    match order.key {
        UserKey::Id => by!(users::id, order.direction),
        UserKey::Username => by!(users::username_key, order.direction),
        UserKey::Email => by!(nullable users::email_key, order.direction),
        UserKey::IsMentor => by!(users::is_mentor, order.direction),
        UserKey::IsActive => by!(users::is_active, order.direction),
        UserKey::CreatedAt => by!(users::created_at, order.direction),
        UserKey::UpdatedAt => by!(users::updated_at, order.direction),
        UserKey::LastLoginAt => by!(nullable users::last_login_at, order.direction),
    }
}
