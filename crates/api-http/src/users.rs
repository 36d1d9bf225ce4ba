//! People with accounts: find, make, change, delete.

pub mod body;
mod query;

use crate::auth::Granted;
use crate::body::{Body, Nothing};
use crate::completion::to_completion;
use crate::conditional::IfMatch;
use crate::once::{Posted, Replayable};
use crate::page::Listed;
use crate::path::Whom;
use crate::problem::Reply;
use crate::query::Query;
use crate::remembered::{Kept, Topic};
use crate::reply::{Created, Done, Seen, Shown, Versioned};
use crate::users::body::{Sight, UserBody, UserPatch, UserPut};
use crate::users::query::UsersAsked;
use actix_web::web::Data;
use domain::access::rights::{EditUser, ManageUsers, ViewUsers};
use domain::app::App;
use domain::app::known::PEOPLE;
use domain::app::users::{self, NewAccount, OneTimePassword, UserChange};
use domain::id::UserId;
use domain::patch::Precondition;
use serde::Serialize;
use utoipa::ToSchema;

/// Lists users
///
/// Without `users:read` one sees login and mentorship alone, and can neither filter nor order by the rest.
#[utoipa::path(get, path = "/api/users/")]
pub async fn list_users(
    Granted(by): Granted<ViewUsers>,
    Query { asked, here }: Query<UsersAsked>,
    app: Data<App>,
) -> Reply<Kept<Listed<UserBody>>> {
    let grounds = app.grounds(PEOPLE);
    let page = users::list(&app, &by, asked.query.clone()).await.map_err(|error| asked.blame(error))?;
    let listed = Listed::new(&here, asked.query.page, page, |view| UserBody::listed(by.actor(), &view))?;
    Ok(Kept::new(Topic::Users, grounds, listed))
}

/// Makes an account for another person
#[utoipa::path(post, path = "/api/users/", responses((status = 409)))]
pub async fn create_user(
    Granted(by): Granted<ManageUsers>,
    account: Posted<NewAccount>,
    app: Data<App>,
) -> Reply<Replayable<Created<UserBody>>> {
    let actor = by.actor().clone();
    let show = move |view: &domain::users::UserView| UserBody::created(Sight::of(&actor, view.user.id), view);
    let work = |account, once| async move { users::create(&app, by, account, once).await };
    account.answer(show, work).await
}

/// Shows a user
///
/// `me` is oneself.
#[utoipa::path(get, path = "/api/users/{id}")]
pub async fn get_user(
    Granted(by): Granted<ViewUsers>,
    Whom(user): Whom,
    app: Data<App>,
) -> Reply<Kept<Seen<UserBody>>> {
    let grounds = app.grounds(PEOPLE);
    let view = users::get(&app, &by, user).await?;
    Ok(Kept::new(Topic::Users, grounds, UserBody::seen(Sight::of(by.actor(), user), &view)))
}

/// Replaces what a person says of themselves
#[utoipa::path(put, path = "/api/users/{id}", responses((status = 409)))]
pub async fn put_user(
    Granted(by): Granted<EditUser>,
    Whom(user): Whom,
    IfMatch(precondition): IfMatch,
    Body(UserPut(change)): Body<UserPut>,
    app: Data<App>,
) -> Reply<Versioned<UserBody>> {
    change_user(by, user, precondition, change, app).await
}

/// Changes some fields of a user
#[utoipa::path(patch, path = "/api/users/{id}", responses((status = 409)))]
pub async fn patch_user(
    Granted(by): Granted<EditUser>,
    Whom(user): Whom,
    IfMatch(precondition): IfMatch,
    Body(UserPatch(change)): Body<UserPatch>,
    app: Data<App>,
) -> Reply<Versioned<UserBody>> {
    change_user(by, user, precondition, change, app).await
}

async fn change_user(
    by: domain::access::Granted<EditUser>,
    user: UserId,
    precondition: Precondition,
    change: UserChange,
    app: Data<App>,
) -> Reply<Versioned<UserBody>> {
    let sight = Sight::of(by.actor(), user);
    let view =
        to_completion(async move { users::change(&app, by, user, change, precondition).await }).await?;
    Ok(UserBody::versioned(sight, &view))
}

/// Deletes a user
///
/// Sessions and keys end, and mentees are released, at the same moment.
#[utoipa::path(delete, path = "/api/users/{id}", responses((status = 409)))]
pub async fn delete_user(
    Granted(by): Granted<ManageUsers>,
    Whom(user): Whom,
    IfMatch(precondition): IfMatch,
    app: Data<App>,
) -> Reply<Done> {
    to_completion(async move { users::delete(&app, by, user, precondition).await }).await?;
    Ok(Done)
}

/// A password for one sign-in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OneTimePassword)]
pub struct OneTimePasswordBody {
    /// The password; shown once.
    #[schema(examples("K7PM-3XQA-9RTD-W4HE"))]
    password: String,
    /// When it lapses.
    #[schema(format = DateTime)]
    expires_at: String,
}

impl OneTimePasswordBody {
    fn shown(reset: &OneTimePassword) -> Shown<Self> {
        let password = reset.password.reveal().to_owned();
        Shown(Self { password, expires_at: reset.expires_at.to_string() })
    }
}

/// Gives a user a one-time password
///
/// For somebody who lost theirs. Their sessions end.
#[utoipa::path(post, path = "/api/users/{id}/password-reset")]
pub async fn reset_password(
    Granted(by): Granted<ManageUsers>,
    Whom(user): Whom,
    order: Posted<Nothing>,
    app: Data<App>,
) -> Reply<Replayable<Shown<OneTimePasswordBody>>> {
    let work = |Nothing, once| async move { users::reset_password(&app, by, user, once).await };
    order.answer(OneTimePasswordBody::shown, work).await
}
