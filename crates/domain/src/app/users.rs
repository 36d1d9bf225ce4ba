//! Accounts: register, create, look up, change, delete, reset a password.

mod change;

pub use change::{UserChange, change};

use super::{App, mentors, roles};
use crate::access::rights::{ManageUsers, ViewUsers};
use crate::access::{Granted, Origin, Permission, Permissions, Scope};
use crate::audit::{Action, NewEvent, Subject, user_facts};
use crate::error::{Denied, Error, Flaws, Reason};
use crate::id::UserId;
use crate::idempotency::Once;
use crate::page::{Page, PageRequest};
use crate::patch::Precondition;
use crate::ports::{Unique, UnitOfWork};
use crate::roles::{BuiltIn, may_give, may_step_down};
use crate::text::{Email, Phone, RoleName, Secret, Username};
use crate::time::Timestamp;
use crate::users::{
    NewUser, Password, PasswordHash, Standing, StoredPassword, UserFilter, UserKey, UserQuery, UserRef,
    UserView,
};
use std::time::Duration;

/// How long a one-time password waits for its sign-in.
pub const ONE_TIME_PASSWORD_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// What a newcomer says about themselves.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The login.
    pub username: Username,
    /// The password.
    pub password: Password,
    /// The e-mail address.
    pub email: Option<Email>,
    /// The phone number.
    pub phone: Option<Phone>,
    /// Whether they want to mentor others.
    pub is_mentor: bool,
}

/// An account that somebody else makes.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// What the person could have said themselves.
    pub person: Registration,
    /// Whether the person may sign in.
    pub is_active: bool,
    /// The roles; CLIENT when nobody says.
    pub roles: Option<Vec<RoleName>>,
    /// The mentor.
    pub mentor: Option<UserRef>,
}

/// A password for one sign-in.
#[derive(Clone, Debug)]
pub struct OneTimePassword {
    /// The password; shown once, stored hashed.
    pub password: Secret,
    /// When it lapses.
    pub expires_at: Timestamp,
}

/// Reads a password that somebody wants to use, judging length, names and dictionary. Faces call it while they read a
/// request, so that its flaw is listed beside the others.
pub fn acceptable_password(app: &App, text: &str, own: &[&str]) -> Result<Password, Reason> {
    let password = Password::parse(text, app.policy.min_password_length, own)?;
    let own: Vec<String> = own.iter().map(|&name| name.to_owned()).collect();
    if app.passwords.is_common(&password, &own) {
        return Err(Reason::new("too_common", "is among the first that somebody would guess"));
    }
    Ok(password)
}

/// A stranger makes an account for themselves. It holds the role CLIENT.
pub async fn register(
    app: &App,
    origin: Origin,
    person: Registration,
    once: Once<'_, UserView>,
) -> Result<UserView, Error> {
    refuse_taken_by(app, &person).await?;
    let hash = app.passwords.hash(&person.password).await?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let account = NewAccount { person, is_active: true, roles: None, mentor: None };
    let view = insert_in(&mut *tx, account, hash, Permissions::all(), now).await?;
    let subject = Subject::user(view.user.id, &view.user.username);
    let event = NewEvent::by_stranger(now, &origin, Action::UserRegistered, subject);
    tx.trail().record(&event.changing(Vec::new(), user_facts(&view))).await?;
    once.remember_in(&mut *tx, &view, now).await?;
    app.commit_access(tx).await?;
    Ok(view)
}

/// Somebody with the right makes an account for another person.
pub async fn create(
    app: &App,
    by: Granted<ManageUsers>,
    account: NewAccount,
    once: Once<'_, UserView>,
) -> Result<UserView, Error> {
    refuse_taken_by(app, &account.person).await?;
    let hash = app.passwords.hash(&account.person.password).await?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    if account.mentor.is_some() {
        tx.mentorships().lock().await?;
    }
    let view = insert_in(&mut *tx, account, hash, by.actor().permissions(), now).await?;
    let event =
        NewEvent::new(now, by.actor(), Action::UserCreated, Subject::user(view.user.id, &view.user.username));
    tx.trail().record(&event.changing(Vec::new(), user_facts(&view))).await?;
    once.remember_in(&mut *tx, &view, now).await?;
    app.commit_access(tx).await?;
    Ok(view)
}

/// The user, as far as the caller may see; the face leaves out what [`Granted::covers`] does not reach.
pub async fn get(app: &App, _by: &Granted<ViewUsers>, id: UserId) -> Result<UserView, Error> {
    app.store.reader().await?.users().view(id).await?.ok_or(Error::NotFound("user"))
}

/// A page of users. Who sees only others' public fields can neither filter nor order by the rest.
pub async fn list(app: &App, by: &Granted<ViewUsers>, mut query: UserQuery) -> Result<Page<UserView>, Error> {
    query.filter.search_private = by.scope() == Scope::Any;
    if by.scope() != Scope::Any && asks_for_private(&query) {
        return Err(Denied::Lacks(Permission::UsersRead).into());
    }
    Ok(app.store.reader().await?.users().list(&query).await?)
}

/// Whom this user mentors.
pub async fn mentees(
    app: &App,
    by: &Granted<ViewUsers>,
    mentor: UserId,
    page: PageRequest,
) -> Result<Page<UserView>, Error> {
    get(app, by, mentor).await?;
    let filter = UserFilter { mentors: vec![UserRef::Id(mentor)], ..UserFilter::default() };
    let query = UserQuery { filter, page, ..UserQuery::default() };
    Ok(app.store.reader().await?.users().list(&query).await?)
}

/// Removes an account with its sessions and keys; its mentees are released.
pub async fn delete(
    app: &App,
    by: Granted<ManageUsers>,
    id: UserId,
    precondition: Precondition,
) -> Result<(), Error> {
    by.actor().may_act_on(id)?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    tx.mentorships().lock().await?;
    tx.roles().lock_administration().await?;
    let user = tx.users().lock(id).await?.ok_or(Error::NotFound("user"))?;
    precondition.check(user.version)?;
    let before = tx.users().view(id).await?.ok_or(Error::NotFound("user"))?;
    refuse_last_administrator_in(&mut *tx, id).await?;
    mentors::release_in(&mut *tx, by.actor(), &user, now).await?;
    tx.users().delete(id).await?;
    tx.users().touch(user.mentor.as_slice(), now).await?;
    let event = NewEvent::new(now, by.actor(), Action::UserDeleted, Subject::user(id, &user.username));
    tx.trail().record(&event.changing(user_facts(&before), Vec::new())).await?;
    app.commit_access(tx).await?;
    Ok(())
}

/// Gives a user who lost their password another one for a single sign-in, and ends their sessions.
///
/// Nobody takes over an account that may more than they do.
pub async fn reset_password(
    app: &App,
    by: Granted<ManageUsers>,
    id: UserId,
    once: Once<'_, OneTimePassword>,
) -> Result<OneTimePassword, Error> {
    if by.actor().user() == Some(id) {
        // One's own next password takes the current one; a stolen session must not get around that.
        return Err(Denied::NotOneself.into());
    }
    let text = app.entropy.one_time_password();
    let password = Password::parse(&text, 1, &[])
        .map_err(|_| Error::Fault("the generated one-time password is not acceptable".into()))?;
    let hash = app.passwords.hash(&password).await?;
    let now = app.clock.now();
    let expires_at = now.after(ONE_TIME_PASSWORD_LIFETIME);
    let mut tx = app.store.begin().await?;
    let mut user = tx.users().lock(id).await?.ok_or(Error::NotFound("user"))?;
    let held = tx.roles().of_user(id).await?;
    let theirs = held.iter().fold(Permissions::NONE, |all, role| all.union(role.permissions));
    may_give(by.actor().permissions(), theirs)?;
    user.password = StoredPassword { hash, standing: Standing::OneTime { expires_at } };
    user.updated_at = now;
    tx.users().save(&user).await?;
    tx.sessions().end_all(id, None).await?;
    let event = NewEvent::new(now, by.actor(), Action::PasswordReset, Subject::user(id, &user.username));
    tx.trail().record(&event).await?;
    let reset = OneTimePassword { password: Secret::new(text), expires_at };
    once.remember_in(&mut *tx, &reset, now).await?;
    app.commit_access(tx).await?;
    Ok(reset)
}

async fn refuse_taken_by(app: &App, person: &Registration) -> Result<(), Error> {
    refuse_taken(app, Some(&person.username), person.email.as_ref(), person.phone.as_ref(), None).await
}

/// Spares the hasher when it is plain already that something is taken, and names all of it at once. Under a race the
/// constraint in the database decides.
async fn refuse_taken(
    app: &App,
    username: Option<&Username>,
    email: Option<&Email>,
    phone: Option<&Phone>,
    own: Option<UserId>,
) -> Result<(), Error> {
    let by = |unique, filter| (unique, UserQuery { filter, ..UserQuery::default() });
    let usernames =
        username.map(|name| UserFilter { usernames: vec![name.clone()], ..UserFilter::default() });
    let emails = email.map(|email| UserFilter { emails: vec![email.clone()], ..UserFilter::default() });
    let phones = phone.map(|phone| UserFilter { phones: vec![phone.clone()], ..UserFilter::default() });
    let questions = [(Unique::Username, usernames), (Unique::Email, emails), (Unique::Phone, phones)];
    let mut reader = app.store.reader().await?;
    let mut taken = Vec::new();
    for (unique, query) in questions.into_iter().filter_map(|(unique, filter)| Some(by(unique, filter?))) {
        let holders = reader.users().list(&query).await?.items;
        if holders.iter().any(|holder| Some(holder.user.id) != own) {
            taken.push(unique);
        }
    }
    if taken.is_empty() { Ok(()) } else { Err(Error::Taken(taken)) }
}

pub(super) async fn insert_in(
    tx: &mut dyn UnitOfWork,
    account: NewAccount,
    hash: PasswordHash,
    giver: Permissions,
    now: Timestamp,
) -> Result<UserView, Error> {
    let NewAccount { person, is_active, roles, mentor } = account;
    // What every newcomer gets is not the giver's to lack.
    let (names, giver) = match roles {
        Some(names) => (names, giver),
        None => (vec![BuiltIn::Client.name()], BuiltIn::Client.permissions()),
    };
    let mut flaws = Flaws::default();
    let mentor = flaws.gather(mentor_in(tx, mentor.as_ref()).await)?.flatten();
    let roles = flaws.conclude(roles::resolve_in(tx, &names).await)?;
    let new = NewUser {
        username: person.username,
        email: person.email,
        phone: person.phone,
        password: StoredPassword::lasting(hash),
        is_mentor: person.is_mentor,
        is_active,
        mentor,
        created_at: now,
    };
    let user = tx.users().insert(&new).await?;
    roles::assign_in(tx, user.id, &roles, giver).await?;
    tx.users().touch(user.mentor.as_slice(), now).await?;
    tx.users().view(user.id).await?.ok_or(Error::NotFound("user"))
}

/// Who mentors a newcomer.
async fn mentor_in(tx: &mut dyn UnitOfWork, mentor: Option<&UserRef>) -> Result<Option<UserId>, Error> {
    let Some(mentor) = mentor else {
        return Ok(None);
    };
    let mentor = mentors::resolve_in(tx, mentor).await?;
    let unfit = || Error::flaw("mentor", "not_a_mentor", "must be an active mentor");
    if mentor.can_mentor() { Ok(Some(mentor.id)) } else { Err(unfit()) }
}

/// Refuses when this user is the last active administrator. The administration lock must be held.
pub(super) async fn refuse_last_administrator_in(tx: &mut dyn UnitOfWork, id: UserId) -> Result<(), Error> {
    let Some(admin) = tx.roles().find_by_name(&BuiltIn::Admin.name()).await? else {
        return Ok(());
    };
    may_step_down(id, &tx.roles().active_holders(admin.id).await?)
}

fn asks_for_private(query: &UserQuery) -> bool {
    let filter = &query.filter;
    let private_key = |key: UserKey| !matches!(key, UserKey::Id | UserKey::Username | UserKey::IsMentor);
    !filter.emails.is_empty()
        || !filter.phones.is_empty()
        || !filter.roles.is_empty()
        || filter.is_active.is_some()
        || filter.created != crate::time::Span::default()
        || query.order.iter().any(|order| private_key(order.key))
}
