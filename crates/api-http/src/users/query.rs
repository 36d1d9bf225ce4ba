//! Which users a list is about.

use crate::problem::Problem;
use crate::query::{FromQuery, Params};
use domain::error::Error;
use domain::users::{UserFilter, UserKey, UserQuery};

const KEYS: [(&str, UserKey); 8] = [
    ("id", UserKey::Id),
    ("username", UserKey::Username),
    ("email", UserKey::Email),
    ("is_mentor", UserKey::IsMentor),
    ("is_active", UserKey::IsActive),
    ("created_at", UserKey::CreatedAt),
    ("updated_at", UserKey::UpdatedAt),
    ("last_login_at", UserKey::LastLoginAt),
];

/// A question for users.
pub struct UsersAsked {
    /// The question.
    pub query: UserQuery,
}

impl FromQuery for UsersAsked {
    fn read(params: &mut Params) -> Self {
        let filter = UserFilter {
            usernames: params.any_of("username", "Login."),
            emails: params.any_of("email", "E-mail address; needs `users:read`."),
            phones: params.any_of("phone", "Phone number; needs `users:read`."),
            roles: params.any_of("role", "Role held; needs `users:read`."),
            is_mentor: params.flag("is_mentor", "Whether they may have mentees."),
            is_active: params.flag("is_active", "Whether they may sign in; needs `users:read`."),
            mentors: params.any_of("mentor", "Id or login of their mentor."),
            created: params.span("created_at__gte", "created_at__lt"),
            search: params.search("Occurs in the login or, with `users:read`, in e-mail or phone."),
            search_private: false,
        };
        Self { query: UserQuery { filter, order: params.order(&KEYS), page: params.page() } }
    }
}

impl UsersAsked {
    /// Tells which parameter asked for more than the caller may see.
    pub fn blame(&self, error: Error) -> Problem {
        match (&error, self.private_parameter()) {
            (Error::Forbidden(_), Some(parameter)) => Problem::About(error, parameter),
            _ => error.into(),
        }
    }

    fn private_parameter(&self) -> Option<&'static str> {
        let filter = &self.query.filter;
        let asked = [
            ("email", !filter.emails.is_empty()),
            ("phone", !filter.phones.is_empty()),
            ("role", !filter.roles.is_empty()),
            ("is_active", filter.is_active.is_some()),
            ("created_at__gte", filter.created.from.is_some()),
            ("created_at__lt", filter.created.until.is_some()),
            ("ordering", !self.query.order.is_empty()),
        ];
        asked.into_iter().find_map(|(parameter, asked)| asked.then_some(parameter))
    }
}
