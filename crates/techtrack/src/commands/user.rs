//! `techtrack user`: people, looked after from the command line by whoever may run it.

use super::{granted, pages};
use crate::cli::NewAccount;
use crate::compose;
use crate::config::Config;
use crate::failure::Failure;
use crate::terminal::{self, Table};
use domain::access::rights::{ManageUsers, ViewUsers};
use domain::app::App;
use domain::app::users::{self, Registration, acceptable_password};
use domain::error::Error;
use domain::idempotency::Once;
use domain::page::PageRequest;
use domain::text::{Secret, Username};
use domain::users::{UserFilter, UserQuery, UserRef, UserView};
use serde_json::json;

/// Creates an account.
pub(crate) async fn create(config: &Config, account: NewAccount) -> Result<(), Failure> {
    let password = new_password(&account)?;
    let app = compose::prepared(config).await?;
    let account = complete(&app, account, &password)?;
    let made = users::create(&app, granted::<ManageUsers>(TYPED)?, account, Once::each_time()).await?.user;
    Ok(terminal::print(&format!("Created {} with the id {}.", made.username, made.id))?)
}

/// Gives an account a one-time password and prints it.
pub(crate) async fn reset_password(config: &Config, name: &Username) -> Result<(), Failure> {
    let app = compose::prepared(config).await?;
    let user = find(&app, name).await?.user;
    let reset =
        users::reset_password(&app, granted::<ManageUsers>(TYPED)?, user.id, Once::each_time()).await?;
    let (password, until) = (reset.password.reveal(), reset.expires_at);
    Ok(terminal::print(&format!("{password}\nGood for one sign-in of {} until {until}.", user.username))?)
}

/// Lists all accounts, oldest first.
pub(crate) async fn list(config: &Config, as_json: bool) -> Result<(), Failure> {
    let app = compose::prepared(config).await?;
    let everybody = everybody(&app, PageRequest::MAX_SIZE).await?;
    let page = if as_json { json_lines(&everybody) } else { table(&everybody) };
    Ok(terminal::print(&page)?)
}

/// What the audit trail says of whoever types.
const TYPED: &str = "command line";

fn new_password(account: &NewAccount) -> Result<Secret, Failure> {
    if account.password_stdin {
        return Ok(terminal::password_from_stdin()?);
    }
    let asked = terminal::ask_new_password(account.name.as_str()).map_err(|error| {
        Failure::while_doing("there is no terminal to ask for a password; use --password-stdin", &error)
    })?;
    asked.ok_or_else(|| Failure::Usage("the two passwords differ".to_owned()))
}

fn complete(app: &App, account: NewAccount, password: &Secret) -> Result<users::NewAccount, Failure> {
    let NewAccount { name, email, roles, mentor, is_mentor, .. } = account;
    let own: Vec<&str> =
        [Some(name.as_str()), email.as_ref().map(|email| email.as_str())].into_iter().flatten().collect();
    let password = acceptable_password(app, password.reveal(), &own)
        .map_err(|reason| Failure::Usage(format!("the password {}", reason.message)))?;
    Ok(users::NewAccount {
        person: Registration { username: name, password, email, phone: None, is_mentor },
        is_active: true,
        roles: Some(roles),
        mentor: mentor.map(UserRef::Login),
    })
}

async fn find(app: &App, name: &Username) -> Result<UserView, Error> {
    let filter = UserFilter { usernames: vec![name.clone()], ..UserFilter::default() };
    let query = UserQuery { filter, ..UserQuery::default() };
    let found = users::list(app, &granted::<ViewUsers>(TYPED)?, query).await?.items;
    found.into_iter().next().ok_or(Error::NotFound("user"))
}

/// All accounts, read in pages of this size.
async fn everybody(app: &App, page_size: u32) -> Result<Vec<UserView>, Error> {
    let by = granted::<ViewUsers>(TYPED)?;
    let list = async |page| users::list(app, &by, UserQuery { page, ..UserQuery::default() }).await;
    pages::all(page_size, list).await
}

fn table(everybody: &[UserView]) -> String {
    let mut table = Table::new(["ID", "LOGIN", "E-MAIL", "ROLES", "ACTIVE", "MENTOR", "LAST SIGN-IN"]);
    for UserView { user, roles, mentor, .. } in everybody {
        let roles: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
        table.row([
            user.id.to_string(),
            user.username.to_string(),
            or_dash(user.email.as_ref()),
            roles.join(","),
            if user.is_active { "yes" } else { "no" }.to_owned(),
            or_dash(mentor.as_ref()),
            or_dash(user.last_login_at),
        ]);
    }
    table.to_string()
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn json_lines(everybody: &[UserView]) -> String {
    let lines = everybody.iter().map(|view| json_line(view) + "\n");
    lines.collect()
}

fn json_line(UserView { user, roles, mentor, mentees }: &UserView) -> String {
    json!({
        "id": user.id.get(),
        "username": user.username.as_str(),
        "email": user.email.as_ref().map(|email| email.as_str()),
        "phone": user.phone.as_ref().map(|phone| phone.as_str()),
        "roles": roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(),
        "is_active": user.is_active,
        "is_mentor": user.is_mentor,
        "mentor": mentor.as_ref().map(|mentor| mentor.as_str()),
        "mentees": mentees.iter().map(|mentee| mentee.as_str()).collect::<Vec<_>>(),
        "created_at": user.created_at.to_string(),
        "last_login_at": user.last_login_at.map(|at| at.to_string()),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::testing::{MemoryStore, World};
    use domain::text::Email;
    use std::sync::Arc;

    async fn world() -> World {
        World::over(Arc::new(MemoryStore::default())).await.unwrap()
    }

    fn account(name: &str) -> NewAccount {
        NewAccount {
            name: Username::parse(name).unwrap(),
            email: Some(Email::parse(&format!("{name}@example.com")).unwrap()),
            roles: vec![domain::text::RoleName::parse("OPERATOR").unwrap()],
            mentor: None,
            is_mentor: true,
            password_stdin: true,
        }
    }

    #[tokio::test]
    async fn an_account_has_what_the_command_line_said() {
        let World { app, .. } = world().await;
        let complete = complete(&app, account("otto"), &Secret::new(World::PASSWORD)).unwrap();
        users::create(&app, granted(TYPED).unwrap(), complete, Once::each_time()).await.unwrap();
        let view = find(&app, &Username::parse("Otto").unwrap()).await.unwrap();
        assert!(view.user.is_mentor && view.user.is_active);
        let page = table(&[view]);
        assert!(
            page.contains("otto") && page.contains("otto@example.com") && page.contains("OPERATOR"),
            "{page}"
        );
    }

    #[tokio::test]
    async fn a_password_that_the_api_would_refuse_is_refused_here_too() {
        let World { app, .. } = world().await;
        for password in ["short", "otto.berg", "otto.berg@example.com"] {
            let refused = complete(&app, account("otto.berg"), &Secret::new(password));
            assert!(matches!(refused, Err(Failure::Usage(_))), "{password}");
        }
    }

    #[tokio::test]
    async fn everybody_is_listed_however_many_pages_it_takes() {
        let world = world().await;
        for name in ["anna", "bea", "cleo"] {
            world.person(name).await.unwrap();
        }
        let everybody = everybody(&world.app, 2).await.unwrap();
        let names: Vec<_> = everybody.iter().map(|view| view.user.username.as_str()).collect();
        assert_eq!(names, ["admin", "anna", "bea", "cleo"]);
        assert_eq!(json_lines(&everybody).lines().count(), everybody.len());
    }

    #[tokio::test]
    async fn a_user_who_is_not_there_is_not_found() {
        let World { app, .. } = world().await;
        let missing = find(&app, &Username::parse("nobody").unwrap()).await;
        assert!(matches!(missing, Err(Error::NotFound("user"))));
    }
}
