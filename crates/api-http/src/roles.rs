//! Named sets of permissions: make, change and delete them.

pub mod assignment;

use crate::auth::Granted;
use crate::body::fields::Fields;
use crate::body::{Body, FromBody};
use crate::completion::to_completion;
use crate::conditional::IfMatch;
use crate::once::{Posted, Replayable};
use crate::page::Listed;
use crate::path::Id;
use crate::problem::Reply;
use crate::query::{FromQuery, Params, Query};
use crate::remembered::{Kept, Topic};
use crate::reply::{Created, Done, Versioned};
use actix_web::web::Data;
use domain::access::Permission;
use domain::access::rights::{ManageRoles, SignedIn, ViewRoles};
use domain::app::App;
use domain::app::known::PEOPLE;
use domain::app::roles::{self, RoleChange, RoleDraft};
use domain::patch::Precondition;
use domain::roles::{Role, RoleFilter, RoleKey, RoleQuery, RoleRef};
use domain::text::Description;
use serde::Serialize;
use utoipa::ToSchema;

/// A named set of permissions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Role, examples(json!({
    "id": 4, "name": "SHIFT_LEAD", "description": "Leads a shift.", "permissions": ["alerts:read", "alerts:acknowledge"],
    "built_in": false, "version": 1,
    "created_at": "2026-05-04T07:30:00.000000Z", "updated_at": "2026-05-04T07:30:00.000000Z"
})))]
pub struct RoleBody {
    id: i64,
    name: String,
    description: String,
    permissions: Vec<&'static str>,
    /// Whether it comes with the product and cannot be changed.
    built_in: bool,
    version: i64,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<&Role> for RoleBody {
    fn from(role: &Role) -> Self {
        Self {
            id: role.id.get(),
            name: role.name.to_string(),
            description: role.description.to_string(),
            permissions: role.permissions.iter().map(Permission::name).collect(),
            built_in: role.built_in,
            version: role.version.get(),
            created_at: role.created_at.to_string(),
            updated_at: role.updated_at.to_string(),
        }
    }
}

impl RoleBody {
    fn versioned(role: &Role) -> Versioned<Self> {
        Versioned { version: role.version, body: role.into() }
    }

    fn created(role: &Role) -> Created<Self> {
        Created {
            location: format!("/api/roles/{}", role.id),
            version: Some(role.version),
            body: role.into(),
        }
    }
}

impl FromBody for RoleDraft {
    const NAME: &'static str = "NewRole";
    const ABOUT: &'static str = "A role as somebody wants it.";
    const EXAMPLE: &'static str = r#"{"name": "SHIFT_LEAD", "description": "Leads a shift.",
        "permissions": ["alerts:read", "alerts:acknowledge"]}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name");
        let description = fields.optional("description");
        let permissions = fields.required("permissions");
        let description = description.unwrap_or_else(no_description);
        Some(Self { name: name?, description, permissions: permissions? })
    }
}

fn no_description() -> Description {
    Description::restore(String::new())
}

/// The fields that a change cannot touch.
const READ_ONLY: [&str; 5] = ["id", "built_in", "version", "created_at", "updated_at"];

/// A role as it shall be.
pub struct RolePut(RoleChange);

impl FromBody for RolePut {
    const NAME: &'static str = "RolePut";
    const ABOUT: &'static str = "The role as it shall be.";
    const EXAMPLE: &'static str = RoleDraft::EXAMPLE;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.read_only(&READ_ONLY);
        let draft = RoleDraft::read(fields)?;
        Some(Self(RoleChange {
            name: Some(draft.name),
            description: Some(draft.description),
            permissions: Some(draft.permissions),
        }))
    }
}

/// What shall be different about a role.
pub struct RolePatch(RoleChange);

impl FromBody for RolePatch {
    const NAME: &'static str = "RolePatch";
    const ABOUT: &'static str = "What shall be different. What is absent stays.";
    const EXAMPLE: &'static str = r#"{"permissions": ["alerts:read", "alerts:write", "alerts:acknowledge"]}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.read_only(&READ_ONLY);
        Some(Self(RoleChange {
            name: fields.changed("name"),
            description: fields.changed("description"),
            permissions: fields.changed("permissions"),
        }))
    }
}

/// Which roles are asked for.
pub struct RolesAsked(RoleQuery);

impl FromQuery for RolesAsked {
    fn read(params: &mut Params) -> Self {
        let keys = [
            ("id", RoleKey::Id),
            ("name", RoleKey::Name),
            ("created_at", RoleKey::CreatedAt),
            ("updated_at", RoleKey::UpdatedAt),
        ];
        let filter = RoleFilter {
            names: params.any_of("name", "Name."),
            permissions: params.any_of("permission", "Permission contained."),
            users: params.any_of("user", "Id or login of a holder."),
            search: params.search("Occurs in name or description."),
        };
        Self(RoleQuery { filter, order: params.order(&keys), page: params.page() })
    }
}

/// Lists roles
#[utoipa::path(get, path = "/api/roles/")]
pub async fn list_roles(
    Granted(by): Granted<ViewRoles>,
    Query { asked: RolesAsked(query), here }: Query<RolesAsked>,
    app: Data<App>,
) -> Reply<Kept<Listed<RoleBody>>> {
    let grounds = app.grounds(PEOPLE);
    let page = roles::list(&app, &by, &query).await?;
    let listed = Listed::new(&here, query.page, page, |role| RoleBody::from(&role))?;
    Ok(Kept::new(Topic::Roles, grounds, listed))
}

/// Makes a role
#[utoipa::path(post, path = "/api/roles/", responses((status = 409)))]
pub async fn create_role(
    Granted(by): Granted<ManageRoles>,
    draft: Posted<RoleDraft>,
    app: Data<App>,
) -> Reply<Replayable<Created<RoleBody>>> {
    let work = |draft, once| async move { roles::create(&app, by, draft, once).await };
    draft.answer(RoleBody::created, work).await
}

/// Shows a role
#[utoipa::path(get, path = "/api/roles/{id}")]
pub async fn get_role(
    Granted(by): Granted<ViewRoles>,
    Id(role): Id<RoleRef>,
    app: Data<App>,
) -> Reply<Kept<Versioned<RoleBody>>> {
    let grounds = app.grounds(PEOPLE);
    let role = roles::get(&app, &by, &role).await?;
    Ok(Kept::new(Topic::Roles, grounds, RoleBody::versioned(&role)))
}

/// Replaces a role
#[utoipa::path(put, path = "/api/roles/{id}", responses((status = 409)))]
pub async fn put_role(
    Granted(by): Granted<ManageRoles>,
    Id(role): Id<RoleRef>,
    IfMatch(precondition): IfMatch,
    Body(RolePut(change)): Body<RolePut>,
    app: Data<App>,
) -> Reply<Versioned<RoleBody>> {
    change_role(by, role, precondition, change, app).await
}

/// Changes some fields of a role
#[utoipa::path(patch, path = "/api/roles/{id}", responses((status = 409)))]
pub async fn patch_role(
    Granted(by): Granted<ManageRoles>,
    Id(role): Id<RoleRef>,
    IfMatch(precondition): IfMatch,
    Body(RolePatch(change)): Body<RolePatch>,
    app: Data<App>,
) -> Reply<Versioned<RoleBody>> {
    change_role(by, role, precondition, change, app).await
}

async fn change_role(
    by: domain::access::Granted<ManageRoles>,
    role: RoleRef,
    precondition: Precondition,
    change: RoleChange,
    app: Data<App>,
) -> Reply<Versioned<RoleBody>> {
    let work = async move { roles::change(&app, by, &role, change, precondition).await };
    Ok(RoleBody::versioned(&to_completion(work).await?))
}

/// Deletes a role that nobody holds
#[utoipa::path(delete, path = "/api/roles/{id}", responses((status = 409)))]
pub async fn delete_role(
    Granted(by): Granted<ManageRoles>,
    Id(role): Id<RoleRef>,
    IfMatch(precondition): IfMatch,
    app: Data<App>,
) -> Reply<Done> {
    to_completion(async move { roles::delete(&app, by, &role, precondition).await }).await?;
    Ok(Done)
}

/// Something that a role may allow.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Permission)]
pub struct PermissionBody {
    #[schema(examples("users:read"))]
    name: &'static str,
    /// What its holders may do.
    description: &'static str,
}

/// Lists all permissions there are
#[utoipa::path(get, path = "/api/permissions/")]
pub async fn list_permissions(_: Granted<SignedIn>) -> Listed<PermissionBody> {
    let body =
        |permission: &Permission| PermissionBody { name: permission.name(), description: permission.about() };
    Listed::whole(Permission::ALL.iter().map(body))
}
