//! Lists of users: which, in which order, and with what hangs on them. A page takes as many statements as a single user.

use crate::lists::{cut_page, instr, restored, then_by, within};
use crate::rows::{UserRow, user_id};
use crate::schema::{roles, user_roles, users};
use crate::work::Answer;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use domain::id::UserId;
use domain::page::{Order, Page, effective_order};
use domain::text::{Email, Phone, RoleName, Username, fold};
use domain::users::{User, UserFilter, UserKey, UserQuery, UserRef, UserView};
use std::collections::HashMap;

type Boxed<'a> = users::BoxedQuery<'a, Sqlite>;

diesel::alias!(users as namesakes: Namesakes);

/// A page of users with roles, mentor and mentees.
pub(crate) fn page(connection: &mut SqliteConnection, query: &UserQuery) -> Answer<Page<UserView>> {
    let all = || matching(&query.filter);
    let (total, rows) = cut_page!(connection, query.page, all(), |all| ordered(all, &query.order), UserRow);
    Ok(Page { total, items: of(connection, restored(rows)?)? })
}

/// These users with roles, mentor and mentees, in the order given.
pub(crate) fn of(connection: &mut SqliteConnection, people: Vec<User>) -> Answer<Vec<UserView>> {
    let ids: Vec<i64> = people.iter().map(|user| user.id.get()).collect();
    let mentor_ids: Vec<i64> = people.iter().filter_map(|user| user.mentor).map(UserId::get).collect();
    let mut roles = roles_of(connection, &ids)?;
    let mentors = usernames(connection, &mentor_ids)?;
    let mut mentees = mentees_of(connection, &ids)?;
    let view = |user: User| UserView {
        roles: roles.remove(&user.id.get()).unwrap_or_default(),
        mentor: user.mentor.and_then(|mentor| mentors.get(&mentor.get()).cloned()),
        mentees: mentees.remove(&user.id.get()).unwrap_or_default(),
        user,
    };
    Ok(people.into_iter().map(view).collect())
}

fn roles_of(connection: &mut SqliteConnection, ids: &[i64]) -> Answer<HashMap<i64, Vec<RoleName>>> {
    let pairs: Vec<(i64, String)> = user_roles::table
        .inner_join(roles::table)
        .filter(user_roles::user_id.eq_any(ids))
        .order(roles::name_key)
        .select((user_roles::user_id, roles::name))
        .load(connection)?;
    Ok(grouped(pairs.into_iter().map(|(user, name)| (user, RoleName::restore(name)))))
}

fn usernames(connection: &mut SqliteConnection, ids: &[i64]) -> Answer<HashMap<i64, Username>> {
    let pairs: Vec<(i64, String)> =
        users::table.filter(users::id.eq_any(ids)).select((users::id, users::username)).load(connection)?;
    Ok(pairs.into_iter().map(|(id, name)| (id, Username::restore(name))).collect())
}

fn mentees_of(connection: &mut SqliteConnection, ids: &[i64]) -> Answer<HashMap<i64, Vec<Username>>> {
    let pairs: Vec<(i64, String)> = users::table
        .filter(users::mentor_id.eq_any(ids))
        .order(users::id)
        .select((users::mentor_id.assume_not_null(), users::username))
        .load(connection)?;
    Ok(grouped(pairs.into_iter().map(|(mentor, name)| (mentor, Username::restore(name)))))
}

fn grouped<T>(pairs: impl Iterator<Item = (i64, T)>) -> HashMap<i64, Vec<T>> {
    let mut groups: HashMap<i64, Vec<T>> = HashMap::new();
    for (key, item) in pairs {
        groups.entry(key).or_default().push(item);
    }
    groups
}

fn matching(filter: &UserFilter) -> Boxed<'_> {
    let mut query = users::table.into_boxed();
    if !filter.usernames.is_empty() {
        query = query.filter(users::username_key.eq_any(filter.usernames.iter().map(Username::key)));
    }
    if !filter.emails.is_empty() {
        query = query.filter(users::email_key.eq_any(filter.emails.iter().map(Email::key)));
    }
    if !filter.phones.is_empty() {
        query = query.filter(users::phone_key.eq_any(filter.phones.iter().map(Phone::key)));
    }
    if let Some(is_mentor) = filter.is_mentor {
        query = query.filter(users::is_mentor.eq(is_mentor));
    }
    if let Some(is_active) = filter.is_active {
        query = query.filter(users::is_active.eq(is_active));
    }
    query = within!(query, users::created_at, filter.created);
    query = holding(query, &filter.roles);
    query = mentored_by(query, &filter.mentors);
    searched(query, filter)
}

fn holding<'a>(query: Boxed<'a>, names: &'a [RoleName]) -> Boxed<'a> {
    if names.is_empty() {
        return query;
    }
    let holders = user_roles::table
        .inner_join(roles::table)
        .filter(roles::name_key.eq_any(names.iter().map(RoleName::key)))
        .select(user_roles::user_id);
    query.filter(users::id.eq_any(holders))
}

fn mentored_by<'a>(query: Boxed<'a>, by: &'a [UserRef]) -> Boxed<'a> {
    if by.is_empty() {
        return query;
    }
    let (ids, keys) = parted(by);
    let named = namesakes
        .filter(namesakes.field(users::username_key).eq_any(keys))
        .select(namesakes.field(users::id).nullable());
    query.filter(users::mentor_id.eq_any(ids).or(users::mentor_id.eq_any(named)))
}

/// The ids among these, and the keys of the logins among them.
pub(crate) fn parted(people: &[UserRef]) -> (Vec<i64>, Vec<String>) {
    let mut ids = Vec::new();
    let mut keys = Vec::new();
    for person in people {
        match person {
            UserRef::Id(id) => ids.push(id.get()),
            UserRef::Login(login) => keys.push(login.key()),
        }
    }
    (ids, keys)
}

fn searched<'a>(query: Boxed<'a>, filter: &UserFilter) -> Boxed<'a> {
    let Some(text) = filter.search.as_deref().map(fold) else {
        return query;
    };
    let in_login = instr(users::username_key, text.clone()).gt(0);
    if !filter.search_private {
        return query.filter(in_login);
    }
    let in_email = instr(users::email_key.assume_not_null(), text.clone()).gt(0);
    let in_phone = instr(users::phone.assume_not_null(), text).gt(0);
    query.filter(in_login.or(in_email).or(in_phone))
}

fn ordered<'a>(query: Boxed<'a>, order: &[Order<UserKey>]) -> Boxed<'a> {
    effective_order(order, UserKey::Id).iter().fold(query, |query, Order { key, direction }| match key {
        UserKey::Id => then_by!(query, users::id, direction),
        UserKey::Username => then_by!(query, users::username_key, direction),
        UserKey::Email => then_by!(query, users::email_key, direction),
        UserKey::IsMentor => then_by!(query, users::is_mentor, direction),
        UserKey::IsActive => then_by!(query, users::is_active, direction),
        UserKey::CreatedAt => then_by!(query, users::created_at, direction),
        UserKey::UpdatedAt => then_by!(query, users::updated_at, direction),
        UserKey::LastLoginAt => then_by!(query, users::last_login_at, direction),
    })
}

/// The ids of users that a statement answered, as the domain has them.
pub(crate) fn ids(rows: Vec<i64>) -> Answer<Vec<UserId>> {
    Ok(rows.into_iter().map(|id| user_id("users", "id", id)).collect::<Result<_, _>>()?)
}
