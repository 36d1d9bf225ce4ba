//! Who holds which roles.

use crate::auth::Granted;
use crate::body::fields::Fields;
use crate::body::{Body, FromBody, Nothing};
use crate::completion::to_completion;
use crate::conditional::IfMatch;
use crate::once::{Posted, Replayable};
use crate::path::{Name, Whom};
use crate::problem::Reply;
use crate::reply::{Created, Done, Shown};
use actix_web::web::Data;
use domain::access::rights::{ManageUsers, ViewUsers};
use domain::app::{App, roles};
use domain::roles::Role;
use domain::text::RoleName;
use serde::Serialize;
use utoipa::ToSchema;

/// The roles of a user, by name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RolesHeld)]
pub struct RolesHeldBody {
    #[schema(examples(json!(["ADMIN", "CLIENT"])))]
    roles: Vec<String>,
}

impl From<&[Role]> for RolesHeldBody {
    fn from(roles: &[Role]) -> Self {
        Self { roles: roles.iter().map(|role| role.name.to_string()).collect() }
    }
}

/// The roles that a user shall hold.
pub struct RolesWanted(Vec<RoleName>);

impl FromBody for RolesWanted {
    const NAME: &'static str = "RolesWanted";
    const ABOUT: &'static str = "The names of all roles that the user shall hold.";
    const EXAMPLE: &'static str = r#"{"roles": ["ADMIN", "CLIENT"]}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.required("roles").map(Self)
    }
}

/// Shows the roles that a user holds
///
/// One's own, or with `users:read` anybody's.
#[utoipa::path(get, path = "/api/users/{id}/roles")]
pub async fn get_roles_of_user(
    Granted(by): Granted<ViewUsers>,
    Whom(user): Whom,
    app: Data<App>,
) -> Reply<Shown<RolesHeldBody>> {
    let held = roles::of_user(&app, &by, user).await?;
    Ok(Shown(held.as_slice().into()))
}

/// Gives a user exactly these roles
///
/// Nobody gives a permission that they lack.
#[utoipa::path(put, path = "/api/users/{id}/roles", responses((status = 409)))]
pub async fn put_roles_of_user(
    Granted(by): Granted<ManageUsers>,
    Whom(user): Whom,
    IfMatch(precondition): IfMatch,
    Body(RolesWanted(names)): Body<RolesWanted>,
    app: Data<App>,
) -> Reply<Shown<RolesHeldBody>> {
    let work = async move { roles::replace(&app, by, user, names, precondition).await };
    Ok(Shown(to_completion(work).await?.as_slice().into()))
}

/// Gives a user one more role
///
/// Nothing happens when they hold it already.
#[utoipa::path(post, path = "/api/users/{id}/roles/{name}")]
pub async fn give_role(
    Granted(by): Granted<ManageUsers>,
    Whom(user): Whom,
    Name(role): Name<RoleName>,
    order: Posted<Nothing>,
    app: Data<App>,
) -> Reply<Replayable<Created<RolesHeldBody>>> {
    let show = move |held: &Vec<Role>| Created {
        location: format!("/api/users/{user}/roles"),
        version: None,
        body: held.as_slice().into(),
    };
    let work = |Nothing, once| async move { roles::give(&app, by, user, role, once).await };
    order.answer(show, work).await
}

/// Takes a role from a user
#[utoipa::path(delete, path = "/api/users/{id}/roles/{name}", responses((status = 409)))]
pub async fn take_role(
    Granted(by): Granted<ManageUsers>,
    Whom(user): Whom,
    Name(role): Name<RoleName>,
    IfMatch(precondition): IfMatch,
    app: Data<App>,
) -> Reply<Done> {
    to_completion(async move { roles::take(&app, by, user, role, precondition).await }).await?;
    Ok(Done)
}
