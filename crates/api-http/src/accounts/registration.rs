//! Making an account for oneself.

use crate::auth::Public;
use crate::body::FromBody;
use crate::body::fields::Fields;
use crate::middleware::allowance;
use crate::once::{Posted, Replayable};
use crate::problem::Reply;
use crate::reply::Created;
use crate::state::State;
use crate::users::body::{Sight, UserBody, acceptable};
use crate::values::Wished;
use actix_web::web::Data;
use domain::app::App;
use domain::app::users::{self, Registration};
use domain::text::{Email, Username};

impl FromBody for Registration {
    const NAME: &'static str = "Registration";
    const ABOUT: &'static str = "What a newcomer says about themselves. `login` is another name for `username`. \
        Whatever else is there has no effect.";
    const EXAMPLE: &'static str = r#"{"username": "anna", "password": "blue kettle on line 2",
        "email": "anna@example.com", "phone": "+49 170 1234567", "is_mentor": false}"#;
    const HOLDS_PASSWORD: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.alias("login", "username");
        fields.others_have_no_effect();
        read_person(fields)
    }
}

/// The fields of a person who gets an account.
pub fn read_person(fields: &mut Fields<'_>) -> Option<Registration> {
    let username = fields.required::<Username>("username");
    let email = fields.optional::<Email>("email");
    let phone = fields.optional("phone");
    let is_mentor = fields.optional("is_mentor").unwrap_or(false);
    let password = fields.required_by("password", |app, Wished(text)| {
        acceptable(app, &text, username.as_ref(), email.as_ref())
    });
    Some(Registration { username: username?, password: password?, email, phone, is_mentor })
}

/// Registers a new user
///
/// Open to everybody. The new user holds the role CLIENT.
#[utoipa::path(post, path = "/api/registration", responses((status = 409)))]
pub async fn register(
    Public(origin): Public,
    person: Posted<Registration>,
    app: Data<App>,
    state: Data<State>,
) -> Reply<Replayable<Created<UserBody>>> {
    allowance::register(&state, &origin).await?;
    let show = |view: &_| UserBody::created(Sight::Own, view);
    let work = |person, once| async move { users::register(&app, origin, person, once).await };
    person.answer(show, work).await
}
