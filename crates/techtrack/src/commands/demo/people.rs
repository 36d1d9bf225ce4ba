//! The people of the demo plant. They are called after what they do, and all have the password that the demo prints.

use crate::commands::granted;
use domain::access::rights::{ManageRoles, ManageUsers};
use domain::access::{Actor, Origin, Permission};
use domain::app::roles::{self, RoleDraft};
use domain::app::users::{self, NewAccount, Registration, acceptable_password};
use domain::app::{App, sessions};
use domain::error::Error;
use domain::idempotency::Once;
use domain::text::{Description, RoleName, Username};
use domain::users::{PasswordAttempt, UserRef};

/// Everybody's password.
pub(super) const PASSWORD: &str = "press-robot-furnace";

/// Who handles the alerts of the first line.
pub(super) const OPERATOR: &str = "operator.line1";

/// Who looks after machines.
pub(super) const TECHNICIAN: &str = "technician";

struct Person {
    login: &'static str,
    role: &'static str,
    is_mentor: bool,
    mentor: Option<&'static str>,
}

const fn mentor(login: &'static str, role: &'static str) -> Person {
    Person { login, role, is_mentor: true, mentor: None }
}

const fn mentee(login: &'static str, role: &'static str, mentor: &'static str) -> Person {
    Person { login, role, is_mentor: false, mentor: Some(mentor) }
}

/// Mentors stand before those whom they mentor.
const PEOPLE: [Person; 11] = [
    mentor("engineer", "PLANT-ENGINEER"),
    mentee(TECHNICIAN, "TECHNICIAN", "engineer"),
    mentor("supervisor.line1", "OPERATOR"),
    mentor("supervisor.line2", "OPERATOR"),
    mentor("supervisor.line3", "OPERATOR"),
    mentee(OPERATOR, "OPERATOR", "supervisor.line1"),
    mentee("operator.line2", "OPERATOR", "supervisor.line2"),
    mentee("operator.line3", "OPERATOR", "supervisor.line3"),
    mentee("trainee.line1", "CLIENT", "supervisor.line1"),
    mentee("trainee.line2", "CLIENT", "supervisor.line2"),
    Person { login: "visitor", role: "CLIENT", is_mentor: false, mentor: None },
];

const ROLES: [(&str, &str, &[Permission]); 2] = [
    (
        "PLANT-ENGINEER",
        "Keeps the register, the rules and what is known of metrics.",
        &[
            Permission::EquipmentRead,
            Permission::EquipmentWrite,
            Permission::DataRead,
            Permission::DataWrite,
            Permission::RulesRead,
            Permission::RulesWrite,
            Permission::AlertsRead,
            Permission::AlertsWrite,
            Permission::AlertsAcknowledge,
        ],
    ),
    (
        "TECHNICIAN",
        "Looks after machines and their maintenance logs.",
        &[
            Permission::EquipmentRead,
            Permission::EquipmentWrite,
            Permission::DataRead,
            Permission::AlertsRead,
            Permission::AlertsAcknowledge,
        ],
    ),
];

/// What they sign in with.
pub(super) fn logins() -> impl Iterator<Item = &'static str> {
    PEOPLE.iter().map(|person| person.login)
}

/// Gives everybody an account. Who is there already stays as they are.
pub(super) async fn employ(app: &App) -> Result<(), Error> {
    for (name, description, permissions) in ROLES {
        let draft = RoleDraft {
            name: RoleName::restore(name.to_owned()),
            description: Description::restore(description.to_owned()),
            permissions: permissions.iter().copied().collect(),
        };
        let by = granted::<ManageRoles>(super::DEMO)?;
        unless_there(roles::create(app, by, draft, Once::each_time()).await)?;
    }
    for person in &PEOPLE {
        let by = granted::<ManageUsers>(super::DEMO)?;
        unless_there(users::create(app, by, account(app, person)?, Once::each_time()).await)?;
    }
    Ok(())
}

fn unless_there<T>(made: Result<T, Error>) -> Result<(), Error> {
    match made {
        Ok(_) | Err(Error::Taken(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

fn account(app: &App, person: &Person) -> Result<NewAccount, Error> {
    let username = Username::restore(person.login.to_owned());
    let password =
        acceptable_password(app, PASSWORD, &[person.login]).map_err(|reason| reason.at("password"))?;
    let login = |mentor: &str| UserRef::Login(Username::restore(mentor.to_owned()));
    Ok(NewAccount {
        person: Registration { username, password, email: None, phone: None, is_mentor: person.is_mentor },
        is_active: true,
        roles: Some(vec![RoleName::restore(person.role.to_owned())]),
        mentor: person.mentor.map(login),
    })
}

/// Signs somebody in, so that what the demo does in their name carries it. Where a person of that name has another password,
/// it does so in its own.
pub(super) async fn acting(app: &App, login: &str) -> Result<Actor, Error> {
    let attempt = PasswordAttempt::new(PASSWORD);
    match sessions::sign_in(app, Origin::default(), login, attempt, Once::each_time()).await {
        Ok(pair) => sessions::authenticate(app, pair.access.reveal(), Origin::default()).await,
        Err(Error::InvalidCredentials) => Ok(Actor::system(super::DEMO)),
        Err(error) => Err(error),
    }
}
