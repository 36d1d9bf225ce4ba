//! People with accounts, and who mentors whom.

use super::lists::{any, is_meant, page, same_login};
use super::{Tables, Unit, remove};
use crate::id::{UserId, Version};
use crate::maintenance::Person;
use crate::page::Page;
use crate::ports::{Mentorships, Reference, StoreError, Unique, Users};
use crate::text::{Email, Phone, Username, fold};
use crate::time::Timestamp;
use crate::users::{NewUser, User, UserFilter, UserKey, UserQuery, UserView};
use async_trait::async_trait;
use std::cmp::Ordering;

#[async_trait]
impl Users for Unit {
    async fn insert(&mut self, user: &NewUser) -> Result<User, StoreError> {
        self.change(|tables| {
            let user = User {
                id: tables.next_id(UserId::new)?,
                username: user.username.clone(),
                email: user.email.clone(),
                phone: user.phone.clone(),
                password: user.password.clone(),
                is_mentor: user.is_mentor,
                is_active: user.is_active,
                mentor: user.mentor,
                version: Version::FIRST,
                created_at: user.created_at,
                updated_at: user.created_at,
                last_login_at: None,
            };
            tables.put_user(user)
        })
    }

    async fn find(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(self.tables()?.users.get(&id).cloned())
    }

    async fn find_by_username(&mut self, username: &Username) -> Result<Option<User>, StoreError> {
        let mut users = self.tables()?.users.values();
        Ok(users.find(|user| same_login(&user.username, username)).cloned())
    }

    async fn lock(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        Ok(self.hold()?.users.get(&id).cloned())
    }

    async fn save(&mut self, user: &User) -> Result<User, StoreError> {
        self.change(|tables| {
            let stored = tables.user(user.id)?;
            let user = User { version: stored.version.next(), created_at: stored.created_at, ..user.clone() };
            tables.put_user(user)
        })
    }

    async fn touch(&mut self, ids: &[UserId], at: Timestamp) -> Result<(), StoreError> {
        self.change(|tables| {
            let touched = tables.users.values_mut().filter(|user| ids.contains(&user.id));
            touched.for_each(|user| mark_written(user, at));
            Ok(())
        })
    }

    async fn delete(&mut self, id: UserId) -> Result<bool, StoreError> {
        self.change(|tables| {
            if tables.users.values().any(|user| user.mentor == Some(id)) {
                return Err(StoreError::Dangling(Reference::User));
            }
            remove(&mut tables.sessions, |session| session.user == id);
            remove(&mut tables.api_keys, |(_, key)| key.user == id);
            tables.assignments.retain(|(user, _)| *user != id);
            let named = tables.people().filter(|person| person.id == Some(id));
            named.for_each(|person| person.id = None);
            Ok(tables.users.remove(&id).is_some())
        })
    }

    async fn view(&mut self, id: UserId) -> Result<Option<UserView>, StoreError> {
        let tables = self.tables()?;
        Ok(tables.users.get(&id).map(|user| tables.user_view(user)))
    }

    async fn list(&mut self, query: &UserQuery) -> Result<Page<UserView>, StoreError> {
        let tables = self.tables()?;
        let users = tables.users.values();
        let matching = users.filter(|user| tables.user_matches(user, &query.filter));
        let users = page(matching.collect(), &query.order, compare, query.page);
        Ok(Page {
            total: users.total,
            items: users.items.into_iter().map(|user| tables.user_view(user)).collect(),
        })
    }
}

#[async_trait]
impl Mentorships for Unit {
    async fn lock(&mut self) -> Result<(), StoreError> {
        self.hold().map(drop)
    }

    async fn above(&mut self, user: UserId) -> Result<Vec<UserId>, StoreError> {
        let users = &self.tables()?.users;
        let mentor_of = |id: &UserId| users.get(id).and_then(|user| user.mentor);
        let mut above = Vec::new();
        let mut next = mentor_of(&user);
        while let Some(mentor) = next.filter(|mentor| !above.contains(mentor)) {
            above.push(mentor);
            next = mentor_of(&mentor);
        }
        Ok(above)
    }

    async fn mentees(&mut self, mentor: UserId) -> Result<Vec<UserId>, StoreError> {
        Ok(self.tables()?.mentees(mentor).map(|user| user.id).collect())
    }

    async fn release_all(&mut self, mentor: UserId, at: Timestamp) -> Result<Vec<UserId>, StoreError> {
        self.change(|tables| {
            let mentees = tables.users.values_mut().filter(|user| user.mentor == Some(mentor));
            let release = |user: &mut User| {
                user.mentor = None;
                mark_written(user, at);
                user.id
            };
            Ok(mentees.map(release).collect())
        })
    }
}

impl Tables {
    fn put_user(&mut self, user: User) -> Result<User, StoreError> {
        self.refuse_taken(&user)?;
        if let Some(mentor) = user.mentor {
            self.user(mentor)?;
        }
        if user.mentor == Some(user.id) {
            return Err(StoreError::Fault("nobody mentors themselves".into()));
        }
        self.users.insert(user.id, user.clone());
        Ok(user)
    }

    fn refuse_taken(&self, user: &User) -> Result<(), StoreError> {
        for other in self.users.values().filter(|other| other.id != user.id) {
            if same_login(&other.username, &user.username) {
                return Err(StoreError::Conflict(Unique::Username));
            }
            if user.email.is_some() && email_key(other) == email_key(user) {
                return Err(StoreError::Conflict(Unique::Email));
            }
            if user.phone.is_some() && phone_key(other) == phone_key(user) {
                return Err(StoreError::Conflict(Unique::Phone));
            }
        }
        Ok(())
    }

    /// Everybody whom the records of the plant name.
    fn people(&mut self) -> impl Iterator<Item = &mut Person> {
        let maintained = self.maintenance.values_mut().map(|entry| &mut entry.by);
        let acts = self.alerts.values_mut().flat_map(|alert| [&mut alert.acknowledged, &mut alert.resolved]);
        let acted = acts.flatten().filter_map(|act| act.by.as_mut());
        let noted = self.timelines.values_mut().filter_map(|entry| entry.by.as_mut());
        maintained.chain(acted).chain(noted)
    }

    fn mentees(&self, mentor: UserId) -> impl Iterator<Item = &User> {
        self.users.values().filter(move |user| user.mentor == Some(mentor))
    }

    fn mentor_of(&self, user: &User) -> Option<&User> {
        user.mentor.and_then(|mentor| self.users.get(&mentor))
    }

    fn user_view(&self, user: &User) -> UserView {
        let roles = self.roles_of(user.id).into_iter();
        UserView {
            user: user.clone(),
            roles: roles.map(|role| role.name.clone()).collect(),
            mentor: self.mentor_of(user).map(|mentor| mentor.username.clone()),
            mentees: self.mentees(user.id).map(|mentee| mentee.username.clone()).collect(),
        }
    }

    fn user_matches(&self, user: &User, filter: &UserFilter) -> bool {
        let (email, phone) = (email_key(user), phone_key(user));
        let roles = self.roles_of(user.id);
        let mentor = self.mentor_of(user);
        any(&filter.usernames, |login| same_login(login, &user.username))
            && any(&filter.emails, |wanted| email == Some(wanted.key()))
            && any(&filter.phones, |wanted| phone == Some(wanted.key()))
            && any(&filter.roles, |wanted| roles.iter().any(|role| role.name.key() == wanted.key()))
            && filter.is_mentor.is_none_or(|wanted| user.is_mentor == wanted)
            && filter.is_active.is_none_or(|wanted| user.is_active == wanted)
            && any(&filter.mentors, |wanted| mentor.is_some_and(|mentor| is_meant(mentor, wanted)))
            && filter.created.contains(user.created_at)
            && filter.search.as_ref().is_none_or(|text| occurs(text, user, filter.search_private))
    }
}

fn mark_written(user: &mut User, at: Timestamp) {
    user.version = user.version.next();
    user.updated_at = at;
}

fn email_key(user: &User) -> Option<String> {
    user.email.as_ref().map(Email::key)
}

fn phone_key(user: &User) -> Option<String> {
    user.phone.as_ref().map(Phone::key)
}

fn occurs(text: &str, user: &User, in_private: bool) -> bool {
    let text = fold(text);
    let in_email = || email_key(user).is_some_and(|email| email.contains(&text));
    let in_phone = || user.phone.as_ref().is_some_and(|phone| phone.as_str().contains(&text));
    user.username.key().contains(&text) || in_private && (in_email() || in_phone())
}

fn compare(key: UserKey, one: &&User, other: &&User) -> Ordering {
    match key {
        UserKey::Id => one.id.cmp(&other.id),
        UserKey::Username => one.username.key().cmp(&other.username.key()),
        UserKey::Email => email_key(one).cmp(&email_key(other)),
        UserKey::IsMentor => one.is_mentor.cmp(&other.is_mentor),
        UserKey::IsActive => one.is_active.cmp(&other.is_active),
        UserKey::CreatedAt => one.created_at.cmp(&other.created_at),
        UserKey::UpdatedAt => one.updated_at.cmp(&other.updated_at),
        UserKey::LastLoginAt => one.last_login_at.cmp(&other.last_login_at),
    }
}
