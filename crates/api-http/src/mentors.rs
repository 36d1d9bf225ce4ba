//! Who trains whom.

use crate::auth::Granted;
use crate::body::fields::Fields;
use crate::body::{Body, FromBody};
use crate::completion::to_completion;
use crate::conditional::IfMatch;
use crate::page::Listed;
use crate::path::Whom;
use crate::problem::Reply;
use crate::query::{FromQuery, Params, Query};
use crate::reply::{Done, Shown, Versioned};
use crate::users::body::{Sight, UserBody};
use actix_web::web::Data;
use domain::access::rights::{ManageUsers, ViewUsers};
use domain::app::{App, mentors, users};
use domain::mentors::Released;
use domain::page::PageRequest;
use domain::users::UserRef;
use serde::Serialize;
use utoipa::ToSchema;

/// Somebody named as mentor.
pub struct MentorChoice(UserRef);

impl FromBody for MentorChoice {
    const NAME: &'static str = "MentorChoice";
    const ABOUT: &'static str = "The mentor, by id or by login.";
    const EXAMPLE: &'static str = r#"{"mentor": "anna"}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.required("mentor").map(Self)
    }
}

/// Gives a user a mentor
///
/// In place of whoever it was. A mentor must be an active mentor, never the user, and never below them.
#[utoipa::path(put, path = "/api/users/{id}/mentor")]
pub async fn put_mentor(
    Granted(by): Granted<ManageUsers>,
    Whom(mentee): Whom,
    IfMatch(precondition): IfMatch,
    Body(MentorChoice(mentor)): Body<MentorChoice>,
    app: Data<App>,
) -> Reply<Versioned<UserBody>> {
    let sight = Sight::of(by.actor(), mentee);
    let work = async move { mentors::assign(&app, by, mentee, mentor, precondition).await };
    Ok(UserBody::versioned(sight, &to_completion(work).await?))
}

/// Takes a user's mentor away
#[utoipa::path(delete, path = "/api/users/{id}/mentor")]
pub async fn delete_mentor(
    Granted(by): Granted<ManageUsers>,
    Whom(mentee): Whom,
    IfMatch(precondition): IfMatch,
    app: Data<App>,
) -> Reply<Done> {
    to_completion(async move { mentors::clear(&app, by, mentee, precondition).await }).await?;
    Ok(Done)
}

/// Which mentees are asked for.
pub struct MenteesAsked {
    page: PageRequest,
}

impl FromQuery for MenteesAsked {
    fn read(params: &mut Params) -> Self {
        Self { page: params.page() }
    }
}

/// Lists a mentor's mentees
#[utoipa::path(get, path = "/api/users/{id}/mentees")]
pub async fn list_mentees(
    Granted(by): Granted<ViewUsers>,
    Whom(mentor): Whom,
    Query { asked, here }: Query<MenteesAsked>,
    app: Data<App>,
) -> Reply<Listed<UserBody>> {
    let page = users::mentees(&app, &by, mentor, asked.page).await?;
    Listed::new(&here, asked.page, page, |view| UserBody::listed(by.actor(), &view))
}

/// What ending a mentorship did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Released)]
pub struct ReleasedBody {
    /// Who mentors nobody any more.
    mentor: i64,
    /// Who was released.
    mentees: Vec<i64>,
}

impl From<Released> for ReleasedBody {
    fn from(released: Released) -> Self {
        let mentees = released.mentees.into_iter().map(|id| id.get()).collect();
        Self { mentor: released.mentor.get(), mentees }
    }
}

/// Ends a mentorship
///
/// The user is no mentor any more, and every mentee is released.
#[utoipa::path(delete, path = "/api/users/{id}/mentees")]
pub async fn release_mentees(
    Granted(by): Granted<ManageUsers>,
    Whom(mentor): Whom,
    IfMatch(precondition): IfMatch,
    app: Data<App>,
) -> Reply<Shown<ReleasedBody>> {
    let released = to_completion(async move { mentors::end(&app, by, mentor, precondition).await }).await?;
    Ok(Shown(released.into()))
}
