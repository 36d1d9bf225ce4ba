//! Mentorship: give somebody a mentor, take the mentor away, release everybody a mentor has.

use super::App;
use crate::access::rights::ManageUsers;
use crate::access::{Actor, Granted};
use crate::audit::{Action, Fact, NewEvent, Subject};
use crate::error::Error;
use crate::id::UserId;
use crate::mentors::{Released, may_mentor};
use crate::patch::{Patch, Precondition};
use crate::ports::UnitOfWork;
use crate::time::Timestamp;
use crate::users::{User, UserRef, UserView};

/// Gives the user a mentor in place of whoever it was.
pub async fn assign(
    app: &App,
    by: Granted<ManageUsers>,
    mentee: UserId,
    mentor: UserRef,
    precondition: Precondition,
) -> Result<UserView, Error> {
    point(app, by, mentee, Patch::Set(mentor), precondition).await
}

/// Takes the user's mentor away.
pub async fn clear(
    app: &App,
    by: Granted<ManageUsers>,
    mentee: UserId,
    precondition: Precondition,
) -> Result<UserView, Error> {
    point(app, by, mentee, Patch::Clear, precondition).await
}

/// Ends a mentorship: the user is no mentor any more, and every mentee is released.
pub async fn end(
    app: &App,
    by: Granted<ManageUsers>,
    mentor: UserId,
    precondition: Precondition,
) -> Result<Released, Error> {
    by.actor().may_act_on(mentor)?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    let released = end_in(&mut *tx, by.actor(), mentor, &precondition, now).await?;
    app.commit_access(tx).await?;
    Ok(released)
}

async fn end_in(
    tx: &mut dyn UnitOfWork,
    by: &Actor,
    mentor: UserId,
    precondition: &Precondition,
    now: Timestamp,
) -> Result<Released, Error> {
    tx.mentorships().lock().await?;
    let mut user = tx.users().lock(mentor).await?.ok_or(Error::NotFound("user"))?;
    precondition.check(user.version)?;
    if !user.is_mentor {
        return Err(Error::NotFound("mentor"));
    }
    user.is_mentor = false;
    user.updated_at = now;
    tx.users().save(&user).await?;
    let flag = |is_mentor: bool| vec![("is_mentor".to_owned(), Fact::Flag(is_mentor))];
    let event = NewEvent::new(now, by, Action::UserUpdated, Subject::user(mentor, &user.username));
    tx.trail().record(&event.changing(flag(true), flag(false))).await?;
    release_in(tx, by, &user, now).await
}

async fn point(
    app: &App,
    by: Granted<ManageUsers>,
    mentee: UserId,
    mentor: Patch<UserRef>,
    precondition: Precondition,
) -> Result<UserView, Error> {
    by.actor().may_act_on(mentee)?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    tx.mentorships().lock().await?;
    let mut user = tx.users().lock(mentee).await?.ok_or(Error::NotFound("user"))?;
    precondition.check(user.version)?;
    let seen = tx.users().view(mentee).await?.ok_or(Error::NotFound("user"))?;
    if mentor == Patch::Clear && seen.mentor.is_none() {
        return Err(Error::NotFound("mentor"));
    }
    let had = user.mentor;
    repoint_in(&mut *tx, &mut user, &mentor, now).await?;
    if user.mentor == had {
        tx.rollback().await;
        return Ok(seen);
    }
    user.updated_at = now;
    tx.users().save(&user).await?;
    let view = tx.users().view(mentee).await?.ok_or(Error::NotFound("user"))?;
    let named = |mentor: Option<_>| vec![("mentor".to_owned(), Fact::from(mentor))];
    let event = NewEvent::new(now, by.actor(), Action::MentorChanged, Subject::user(mentee, &user.username));
    tx.trail().record(&event.changing(named(seen.mentor), named(view.mentor.clone()))).await?;
    app.commit_access(tx).await?;
    Ok(view)
}

/// Points `user` at another mentor, or none. The mentorship lock must be held; the caller saves `user`.
/// Both mentors' records show their mentees, so both count as changed.
pub(super) async fn repoint_in(
    tx: &mut dyn UnitOfWork,
    user: &mut User,
    mentor: &Patch<UserRef>,
    now: Timestamp,
) -> Result<(), Error> {
    let wanted = match mentor {
        Patch::Keep => return Ok(()),
        Patch::Clear => None,
        Patch::Set(mentor) => Some(resolve_in(tx, mentor).await?),
    };
    let wanted_id = wanted.as_ref().map(|mentor| mentor.id);
    if wanted_id == user.mentor {
        return Ok(());
    }
    if let Some(mentor) = &wanted {
        let above = tx.mentorships().above(mentor.id).await?;
        may_mentor(user.id, mentor, &above).map_err(|reason| reason.at("mentor"))?;
    }
    let mut shown_differently: Vec<UserId> = user.mentor.into_iter().chain(wanted_id).collect();
    shown_differently.sort_unstable();
    tx.users().touch(&shown_differently, now).await?;
    user.mentor = wanted_id;
    Ok(())
}

/// Finds the mentor whom a client named.
pub(super) async fn resolve_in(tx: &mut dyn UnitOfWork, mentor: &UserRef) -> Result<User, Error> {
    let found = match mentor {
        UserRef::Id(id) => tx.users().find(*id).await?,
        UserRef::Login(login) => tx.users().find_by_username(login).await?,
    };
    found.ok_or_else(|| Error::flaw("mentor", "unknown", "must be an existing user"))
}

/// Releases every mentee, because `mentor` stops being one. The mentorship lock must be held.
pub(super) async fn release_in(
    tx: &mut dyn UnitOfWork,
    by: &Actor,
    mentor: &User,
    now: Timestamp,
) -> Result<Released, Error> {
    let mentees = tx.mentorships().release_all(mentor.id, now).await?;
    if !mentees.is_empty() {
        let subject = Subject::user(mentor.id, &mentor.username);
        let ids = mentees.iter().map(ToString::to_string).collect();
        let event = NewEvent::new(now, by, Action::MentorshipEnded, subject)
            .changing(vec![("mentees".to_owned(), Fact::List(ids))], Vec::new());
        tx.trail().record(&event).await?;
    }
    Ok(Released { mentor: mentor.id, mentees })
}
