//! The list of everything that is served. A new handler is one more name here.

use crate::accounts::{api_keys, registration, sessions, tokens};
use crate::operation::{Operation, operations};
use crate::problem::explanation;
use crate::roles::assignment;
use crate::{about, audit, health, mentors, roles, swagger, users};
use std::sync::LazyLock;

static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    operations! {
        "account":
            registration [register],
            tokens [obtain_tokens, log_in, refresh_tokens, verify_token, log_out],
            sessions [list_sessions, end_session],
            api_keys [list_api_keys, create_api_key, get_api_key, revoke_api_key];
        "users": users [list_users, create_user, get_user, put_user, patch_user, delete_user, reset_password];
        "mentors": mentors [put_mentor, delete_mentor, list_mentees, release_mentees];
        "roles":
            roles [list_roles, create_role, get_role, put_role, patch_role, delete_role, list_permissions],
            assignment [get_roles_of_user, put_roles_of_user, give_role, take_role];
        "audit": audit [read_audit_trail];
        "service":
            about [list_resources, openapi_document, public_keys],
            explanation [explain_problem],
            health [live, ready, metrics],
            swagger [swagger_page, swagger_file];
    }
});

/// Every operation.
pub fn operations() -> &'static [Operation] {
    &OPERATIONS
}
