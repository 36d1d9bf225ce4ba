//! How a user looks to whom, and what a change of one may say.

use crate::accounts::registration::read_person;
use crate::body::FromBody;
use crate::body::fields::Fields;
use crate::reply::{Created, Seen, Versioned};
use crate::values::Wished;
use domain::access::{Actor, Permission};
use domain::app::App;
use domain::app::users::{NewAccount, UserChange, acceptable_password};
use domain::error::Reason;
use domain::id::UserId;
use domain::patch::Patch;
use domain::text::{Email, Phone, Secret, Username};
use domain::users::{Password, UserView};
use serde::Serialize;
use utoipa::ToSchema;

/// What stands where a password may be written.
const MASK: &str = "********";

/// The fields that a change cannot touch.
const READ_ONLY: [&str; 6] = ["id", "mentees", "created_at", "updated_at", "last_login_at", "version"];

/// How much of a user somebody sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// What everybody signed in sees.
    Public,
    /// All that is kept.
    Full,
    /// All that is kept, and where to write a new password.
    Own,
}

impl Sight {
    /// What this caller sees of this user.
    pub fn of(actor: &Actor, user: UserId) -> Self {
        if actor.user() == Some(user) {
            Sight::Own
        } else if actor.permissions().contains(Permission::UsersRead) {
            Sight::Full
        } else {
            Sight::Public
        }
    }
}

/// A user, as far as the caller may see.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = User, examples(json!({
    "id": 7, "username": "anna", "is_mentor": true, "mentees": ["ben"],
    "email": "anna@example.com", "phone": "+491701234567", "roles": ["CLIENT"], "is_active": true,
    "created_at": "2026-05-04T07:30:00.000000Z", "updated_at": "2026-05-04T07:30:00.000000Z",
    "last_login_at": null, "version": 1, "password": "********"
})))]
pub struct UserBody {
    id: i64,
    /// The login.
    username: String,
    /// Whether the person may have mentees.
    is_mentor: bool,
    /// The mentor's login, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    mentor: Option<String>,
    /// The mentees' logins, if the person is a mentor.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false)]
    mentees: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, required = false)]
    email: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, required = false)]
    phone: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<String>, required = false)]
    roles: Option<Vec<String>>,
    /// Whether the person may sign in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required = false)]
    is_active: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    created_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    updated_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, required = false)]
    last_login_at: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = i64, required = false)]
    version: Option<i64>,
    /// Always the mask: passwords are stored as hashes. Where it stands a new one may be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    password: Option<&'static str>,
}

impl UserBody {
    /// What everybody sees in a list.
    fn brief(view: &UserView) -> Self {
        Self {
            id: view.user.id.get(),
            username: view.user.username.to_string(),
            is_mentor: view.user.is_mentor,
            mentor: None,
            mentees: None,
            email: None,
            phone: None,
            roles: None,
            is_active: None,
            created_at: None,
            updated_at: None,
            last_login_at: None,
            version: None,
            password: None,
        }
    }

    /// The user, as far as this caller sees.
    pub fn new(sight: Sight, view: &UserView) -> Self {
        let names = |names: &[Username]| names.iter().map(ToString::to_string).collect();
        let public = Self {
            mentor: view.mentor.as_ref().map(ToString::to_string),
            mentees: view.user.is_mentor.then(|| names(&view.mentees)),
            ..Self::brief(view)
        };
        if sight == Sight::Public {
            return public;
        }
        let user = &view.user;
        Self {
            email: Some(user.email.as_ref().map(ToString::to_string)),
            phone: Some(user.phone.as_ref().map(ToString::to_string)),
            roles: Some(view.roles.iter().map(ToString::to_string).collect()),
            is_active: Some(user.is_active),
            created_at: Some(user.created_at.to_string()),
            updated_at: Some(user.updated_at.to_string()),
            last_login_at: Some(user.last_login_at.map(|at| at.to_string())),
            version: Some(user.version.get()),
            password: (sight == Sight::Own).then_some(MASK),
            ..public
        }
    }

    /// The user as an item of a list: in brief, unless the caller sees everything of everybody.
    pub fn listed(actor: &Actor, view: &UserView) -> Self {
        if actor.permissions().contains(Permission::UsersRead) {
            Self::new(Sight::Full, view)
        } else {
            Self::brief(view)
        }
    }

    /// The user, with its version where the caller sees all of it.
    pub fn seen(sight: Sight, view: &UserView) -> Seen<Self> {
        match sight {
            Sight::Public => Seen::Part(Self::new(sight, view)),
            Sight::Full | Sight::Own => Seen::Whole(Self::versioned(sight, view)),
        }
    }

    /// The user with its version.
    pub fn versioned(sight: Sight, view: &UserView) -> Versioned<Self> {
        Versioned { version: view.user.version, body: Self::new(sight, view) }
    }

    /// The user as just made.
    pub fn created(sight: Sight, view: &UserView) -> Created<Self> {
        Created {
            location: format!("/api/users/{}", view.user.id),
            version: Some(view.user.version),
            body: Self::new(sight, view),
        }
    }
}

/// Judges a password together with the names beside it.
pub fn acceptable(
    app: &App,
    text: &Secret,
    username: Option<&Username>,
    email: Option<&Email>,
) -> Result<Password, Reason> {
    let own = [username.map(Username::as_str), email.map(Email::as_str)];
    let own: Vec<&str> = own.into_iter().flatten().collect();
    acceptable_password(app, text.reveal(), &own)
}

impl FromBody for NewAccount {
    const NAME: &'static str = "NewUser";
    const ABOUT: &'static str = "An account for another person. Without `roles` it holds the role CLIENT.";
    const EXAMPLE: &'static str = r#"{"username": "ben", "password": "green ladder by gate 4",
        "email": "ben@example.com", "roles": ["OPERATOR"], "mentor": "anna"}"#;
    const HOLDS_PASSWORD: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let person = read_person(fields);
        let is_active = fields.optional("is_active").unwrap_or(true);
        let roles = fields.optional("roles");
        let mentor = fields.optional("mentor");
        Some(Self { person: person?, is_active, roles, mentor })
    }
}

/// A change that says only what shall be different.
pub struct UserPatch(pub UserChange);

impl FromBody for UserPatch {
    const NAME: &'static str = "UserPatch";
    const ABOUT: &'static str = "What shall be different. What is absent stays; `null` empties a field. A new password \
        or e-mail address of one's own needs `current_password`.";
    const EXAMPLE: &'static str =
        r#"{"email": "anna@example.org", "phone": null, "current_password": "blue kettle on line 2"}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let username = fields.changed("username");
        let (email, phone) = (fields.patched("email"), fields.patched("phone"));
        Some(Self(read_change(fields, username, email, phone)))
    }
}

/// A change that says all that a person may say of themselves.
pub struct UserPut(pub UserChange);

impl FromBody for UserPut {
    const NAME: &'static str = "UserPut";
    const ABOUT: &'static str = "The user as it shall be: without `email` or `phone` they are emptied. Mentor, roles and \
        flags stay where they are absent, because they are an administrator's to change; so does the password.";
    const EXAMPLE: &'static str = r#"{"username": "anna", "email": "anna@example.com", "phone": "+49 170 1234567",
        "password": "********"}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let username = fields.required("username");
        let (email, phone) = (fields.replaced("email"), fields.replaced("phone"));
        Some(Self(read_change(fields, username, email, phone)))
    }
}

fn read_change(
    fields: &mut Fields<'_>,
    username: Option<Username>,
    email: Patch<Email>,
    phone: Patch<Phone>,
) -> UserChange {
    let new_email = if let Patch::Set(email) = &email { Some(email) } else { None };
    let password = fields.changed_by("password", |app, Wished(text)| match text.reveal() {
        MASK => Ok(None),
        _ => acceptable(app, &text, username.as_ref(), new_email).map(Some),
    });
    let change = UserChange {
        password: password.flatten(),
        current_password: fields.changed("current_password"),
        is_mentor: fields.changed("is_mentor"),
        is_active: fields.changed("is_active"),
        roles: fields.changed("roles"),
        mentor: fields.patched("mentor"),
        username,
        email,
        phone,
    };
    fields.read_only(&READ_ONLY);
    change
}
