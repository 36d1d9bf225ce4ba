//! Changing an account: what the caller may touch, what they must prove, and what follows from it.

use super::{refuse_last_administrator_in, refuse_taken};
use crate::access::rights::EditUser;
use crate::access::{Actor, Credential, Granted, Permission, Who};
use crate::app::{App, mentors, roles, sign_in};
use crate::audit::{Action, NewEvent, Subject, user_facts};
use crate::error::{Denied, Error, Flaws};
use crate::id::UserId;
use crate::patch::{Patch, Precondition};
use crate::ports::UnitOfWork;
use crate::text::{Email, Phone, RoleName, Username};
use crate::time::Timestamp;
use crate::users::{Password, PasswordAttempt, PasswordHash, StoredPassword, User, UserRef, UserView};

/// A change of an account. What is absent stays.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// A new login.
    pub username: Option<Username>,
    /// A new e-mail address, or none.
    pub email: Patch<Email>,
    /// A new phone number, or none.
    pub phone: Patch<Phone>,
    /// A new password; one's own only.
    pub password: Option<Password>,
    /// Proof for a new password or e-mail of one's own.
    pub current_password: Option<PasswordAttempt>,
    /// Whether the person may have mentees.
    pub is_mentor: Option<bool>,
    /// Whether the person may sign in.
    pub is_active: Option<bool>,
    /// All roles.
    pub roles: Option<Vec<RoleName>>,
    /// A new mentor, or none.
    pub mentor: Patch<UserRef>,
}

/// Changes an account. Who says what it is already changes nothing.
pub async fn change(
    app: &App,
    by: Granted<EditUser>,
    id: UserId,
    change: UserChange,
    precondition: Precondition,
) -> Result<UserView, Error> {
    let user = app.store.reader().await?.users().find(id).await?.ok_or(Error::NotFound("user"))?;
    if !by.covers(id) {
        return Err(Denied::Lacks(Permission::UsersWrite).into());
    }
    by.actor().may_act_on(id)?;
    let (email, phone) = (set(&change.email), set(&change.phone));
    refuse_taken(app, change.username.as_ref(), email, phone, Some(id)).await?;
    let proof = prove_owner(app, by.actor(), &user, &change).await?;
    let hash = match &change.password {
        Some(password) => Some(app.passwords.hash(password).await?),
        None => None,
    };
    let prepared = Prepared { change, proof, hash };
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    match change_in(&mut *tx, &by, id, prepared, &precondition, now).await? {
        Changed::To(view) => {
            app.commit_access(tx).await?;
            Ok(view)
        }
        Changed::Nothing(view) => {
            tx.rollback().await;
            Ok(view)
        }
    }
}

/// A new password or e-mail of one's own takes the current password; anybody with the session could sit at the keyboard.
fn takes_proof(by: &Actor, user: &User, change: &UserChange) -> bool {
    by.user() == Some(user.id) && (change.password.is_some() || change.email.changes(&user.email))
}

/// Checks the current password where the change takes it; answers the hash that it was checked against.
async fn prove_owner(
    app: &App,
    by: &Actor,
    user: &User,
    change: &UserChange,
) -> Result<Option<PasswordHash>, Error> {
    if change.password.is_some() && by.user() != Some(user.id) {
        return Err(Denied::Lacks(Permission::UsersWrite).into());
    }
    if !takes_proof(by, user, change) {
        return Ok(None);
    }
    let Some(attempt) = &change.current_password else { return Err(unproven()) };
    let gate = sign_in::Gate::new(app, &user.username.key(), by.origin());
    gate.admit(app).await?;
    let verdict = match app.passwords.verify(attempt, Some(user.password.hash.clone())).await {
        Ok(verdict) => verdict,
        Err(error) => {
            gate.withdraw(app).await?;
            return Err(error.into());
        }
    };
    gate.settle(app, verdict.matches).await?;
    if verdict.matches { Ok(Some(user.password.hash.clone())) } else { Err(disproven()) }
}

fn unproven() -> Error {
    Error::flaw("current_password", "required", "is needed for a new password or e-mail address")
}

fn disproven() -> Error {
    Error::flaw("current_password", "wrong", "is not the current password")
}

/// What was made ready before the transaction.
struct Prepared {
    change: UserChange,
    /// The hash that the current password was checked against.
    proof: Option<PasswordHash>,
    /// The hash of the new password.
    hash: Option<PasswordHash>,
}

/// The account after a change.
enum Changed {
    /// It is another.
    To(UserView),
    /// It is as it was.
    Nothing(UserView),
}

async fn change_in(
    tx: &mut dyn UnitOfWork,
    by: &Granted<EditUser>,
    id: UserId,
    prepared: Prepared,
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Changed, Error> {
    let Prepared { change, proof, hash } = prepared;
    if is_structural(&change) {
        tx.mentorships().lock().await?;
        tx.roles().lock_administration().await?;
    }
    let mut user = tx.users().lock(id).await?.ok_or(Error::NotFound("user"))?;
    precondition.check(user.version)?;
    let before = tx.users().view(id).await?.ok_or(Error::NotFound("user"))?;
    refuse_beyond_own(by, &before, &change)?;
    refuse_outdated_proof(by.actor(), &user, &change, proof.as_ref())?;
    let mut flaws = Flaws::default();
    flaws.gather(apply_fields(&mut user, &change, hash))?;
    flaws.gather(follow_up_in(tx, by.actor(), &before, &user, &change, now).await)?;
    flaws.conclude(mentors::repoint_in(tx, &mut user, &change.mentor, now).await)?;
    let has_other_roles = change.roles.as_ref().is_some_and(|names| !same_names(names, &before.roles));
    if user == before.user && !has_other_roles {
        return Ok(Changed::Nothing(before));
    }
    user.updated_at = now;
    tx.users().save(&user).await?;
    if user.username != before.user.username {
        touch_relations_in(tx, &user, now).await?;
    }
    let after = tx.users().view(id).await?.ok_or(Error::NotFound("user"))?;
    record_in(tx, by.actor(), &before, &after, now).await?;
    Ok(Changed::To(after))
}

/// The account may have changed since its owner proved themselves.
fn refuse_outdated_proof(
    by: &Actor,
    user: &User,
    change: &UserChange,
    proof: Option<&PasswordHash>,
) -> Result<(), Error> {
    match proof {
        None if takes_proof(by, user, change) => Err(unproven()),
        Some(proven) if *proven != user.password.hash => Err(disproven()),
        None | Some(_) => Ok(()),
    }
}

/// What a change of one account means for sessions, administration, mentees and roles.
async fn follow_up_in(
    tx: &mut dyn UnitOfWork,
    by: &Actor,
    before: &UserView,
    user: &User,
    change: &UserChange,
    now: Timestamp,
) -> Result<(), Error> {
    let was = &before.user;
    if was.password != user.password || was.email != user.email {
        end_other_sessions_in(tx, by, user.id).await?;
    }
    if was.is_active && !user.is_active {
        refuse_last_administrator_in(tx, user.id).await?;
        tx.sessions().end_all(user.id, None).await?;
    }
    if was.can_mentor() && !user.can_mentor() {
        mentors::release_in(tx, by, user, now).await?;
    }
    if let Some(names) = &change.roles
        && !same_names(names, &before.roles)
    {
        roles::replace_in(tx, user.id, names, by.permissions()).await?;
    }
    Ok(())
}

/// Others' records show this user's login.
async fn touch_relations_in(tx: &mut dyn UnitOfWork, user: &User, now: Timestamp) -> Result<(), Error> {
    let mentees = tx.mentorships().mentees(user.id).await?;
    tx.users().touch(&mentees, now).await?;
    tx.users().touch(user.mentor.as_slice(), now).await?;
    Ok(())
}

async fn record_in(
    tx: &mut dyn UnitOfWork,
    by: &Actor,
    before: &UserView,
    after: &UserView,
    now: Timestamp,
) -> Result<(), Error> {
    let subject = || Subject::user(after.user.id, &after.user.username);
    if before.user.password != after.user.password {
        tx.trail().record(&NewEvent::new(now, by, Action::PasswordChanged, subject())).await?;
    }
    let event = NewEvent::new(now, by, Action::UserUpdated, subject());
    let event = event.changing(user_facts(before), user_facts(after));
    if event.before != event.after {
        tx.trail().record(&event).await?;
    }
    Ok(())
}

/// Whether the change reaches beyond the account's own row, so that the wide locks are needed.
fn is_structural(change: &UserChange) -> bool {
    change.username.is_some()
        || change.is_mentor.is_some()
        || change.is_active.is_some()
        || change.roles.is_some()
        || change.mentor != Patch::Keep
}

/// Whoever lacks `users:write` may repeat what is there, as a record put back does, but not change it.
fn refuse_beyond_own(by: &Granted<EditUser>, before: &UserView, change: &UserChange) -> Result<(), Error> {
    let user = &before.user;
    let mentor_changes = match &change.mentor {
        Patch::Keep => false,
        Patch::Clear => user.mentor.is_some(),
        Patch::Set(UserRef::Id(id)) => user.mentor != Some(*id),
        Patch::Set(UserRef::Login(login)) => before.mentor.as_ref().map(Username::key) != Some(login.key()),
    };
    let reaches_further = change.is_mentor.is_some_and(|flag| flag != user.is_mentor)
        || change.is_active.is_some_and(|flag| flag != user.is_active)
        || change.roles.as_ref().is_some_and(|names| !same_names(names, &before.roles))
        || mentor_changes;
    let may = by.actor().permissions().contains(Permission::UsersWrite);
    if reaches_further && !may { Err(Denied::Lacks(Permission::UsersWrite).into()) } else { Ok(()) }
}

fn apply_fields(user: &mut User, change: &UserChange, hash: Option<PasswordHash>) -> Result<(), Error> {
    if let Some(username) = &change.username {
        user.username = username.clone();
    }
    user.email = change.email.apply(&user.email);
    user.phone = change.phone.apply(&user.phone);
    user.is_mentor = change.is_mentor.unwrap_or(user.is_mentor);
    user.is_active = change.is_active.unwrap_or(user.is_active);
    if let Some(password) = &change.password {
        let names = [Some(user.username.as_str()), user.email.as_ref().map(Email::as_str)];
        let names: Vec<&str> = names.into_iter().flatten().collect();
        password.must_differ_from(&names).map_err(|reason| reason.at("password"))?;
    }
    if let Some(hash) = hash {
        user.password = StoredPassword::lasting(hash);
    }
    Ok(())
}

/// Ends the user's sessions; the one that asks for it stays.
async fn end_other_sessions_in(tx: &mut dyn UnitOfWork, by: &Actor, id: UserId) -> Result<(), Error> {
    let keep = match by.who() {
        Who::User { id: actor, credential: Credential::Session(session), .. } if *actor == id => {
            Some(*session)
        }
        Who::User { .. } | Who::System(_) => None,
    };
    tx.sessions().end_all(id, keep).await?;
    Ok(())
}

fn set<T>(patch: &Patch<T>) -> Option<&T> {
    if let Patch::Set(value) = patch { Some(value) } else { None }
}

fn same_names(wanted: &[RoleName], held: &[RoleName]) -> bool {
    let keys = |names: &[RoleName]| {
        let mut keys: Vec<String> = names.iter().map(RoleName::key).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    };
    keys(wanted) == keys(held)
}
