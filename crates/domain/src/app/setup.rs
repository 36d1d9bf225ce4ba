//! What must be there before anybody can sign in: built-in roles, an administrator, a signing key.

use super::users::{NewAccount, Registration, acceptable_password, insert_in};
use super::{App, signing_keys};
use crate::access::{Actor, Permissions};
use crate::audit::{Action, NewEvent, Subject, user_facts};
use crate::error::Error;
use crate::ports::UnitOfWork;
use crate::roles::{BuiltIn, NewRole, Role};
use crate::text::{Secret, Username};
use crate::time::Timestamp;
use crate::users::Password;

/// Who administers a new installation.
#[derive(Clone, Debug)]
pub struct FirstAdministrator {
    /// The login.
    pub username: Username,
    /// The password; a random one when nobody says.
    pub password: Option<Secret>,
}

/// Prepares an installation; does nothing to one that is prepared. Any number of nodes may do it at the same time.
///
/// Answers the random password that the first administrator got, if that happened just now.
pub async fn prepare(app: &App, first: &FirstAdministrator) -> Result<Option<Secret>, Error> {
    install_built_in_roles(app).await?;
    signing_keys::load(app).await?;
    if has_administrator(app).await? { Ok(None) } else { make_administrator(app, first).await }
}

/// Puts the roles that come with the product in place, as this release knows them.
pub async fn install_built_in_roles(app: &App) -> Result<(), Error> {
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    tx.roles().lock_administration().await?;
    for built_in in BuiltIn::ALL {
        install_in(&mut *tx, built_in, now).await?;
    }
    app.commit_access(tx).await?;
    Ok(())
}

/// A release may add permissions, so a built-in role that is there already is brought up to date.
async fn install_in(tx: &mut dyn UnitOfWork, built_in: BuiltIn, now: Timestamp) -> Result<(), Error> {
    let (name, description, permissions) = (built_in.name(), built_in.description(), built_in.permissions());
    match tx.roles().find_by_name(&name).await? {
        None => {
            tx.roles()
                .insert(&NewRole { name, description, permissions, built_in: true, created_at: now })
                .await?;
        }
        Some(role) if role.permissions != permissions || role.description != description => {
            tx.roles().save(&Role { description, permissions, updated_at: now, ..role }).await?;
        }
        Some(_) => {}
    }
    Ok(())
}

async fn has_administrator(app: &App) -> Result<bool, Error> {
    let mut reader = app.store.reader().await?;
    let Some(admin) = reader.roles().find_by_name(&BuiltIn::Admin.name()).await? else {
        return Ok(false);
    };
    Ok(!reader.roles().active_holders(admin.id).await?.is_empty())
}

async fn make_administrator(app: &App, first: &FirstAdministrator) -> Result<Option<Secret>, Error> {
    let generated = first.password.is_none().then(|| Secret::new(app.entropy.one_time_password()));
    let password = match (&first.password, &generated) {
        (Some(chosen), _) => acceptable_password(app, chosen.reveal(), &[first.username.as_str()]),
        // Random enough at any length that the policy may ask of people.
        (None, generated) => Password::parse(generated.as_ref().map_or("", Secret::reveal), 1, &[]),
    };
    let password = password.map_err(|reason| reason.at("administrator's password"))?;
    let hash = app.passwords.hash(&password).await?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    tx.roles().lock_administration().await?;
    let admin = tx.roles().find_by_name(&BuiltIn::Admin.name()).await?.ok_or(Error::NotFound("role"))?;
    if !tx.roles().active_holders(admin.id).await?.is_empty() {
        return Ok(None);
    }
    let person = Registration {
        username: first.username.clone(),
        password,
        email: None,
        phone: None,
        is_mentor: false,
    };
    let account =
        NewAccount { person, is_active: true, roles: Some(vec![BuiltIn::Admin.name()]), mentor: None };
    let view = insert_in(&mut *tx, account, hash, Permissions::all(), now).await?;
    let subject = Subject::user(view.user.id, &view.user.username);
    let event = NewEvent::new(now, &Actor::system("setup"), Action::UserCreated, subject);
    tx.trail().record(&event.changing(Vec::new(), user_facts(&view))).await?;
    app.commit_access(tx).await?;
    Ok(generated)
}
