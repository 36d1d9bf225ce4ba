//! An application over any store, with everything around it doubled: the start of most tests and of small programs.

use super::{CountedEntropy, FrozenClock, IdleCourier, PlainPasswords, PlainTokens, PlainVault, SilentBell};
use crate::access::{Actor, Granted, Origin, Right};
use crate::app::sessions::TokenPair;
use crate::app::setup::{FirstAdministrator, prepare};
use crate::app::users::Registration;
use crate::app::{App, Policy, Services, sessions, users};
use crate::error::Error;
use crate::idempotency::Once;
use crate::ports::{Clock, Store};
use crate::text::{Secret, Username};
use crate::users::{Password, PasswordAttempt, UserView};
use std::sync::Arc;

/// An application whose time stands still, with an administrator called `admin`.
pub struct World {
    /// The application.
    pub app: App,
    /// Its clock.
    pub clock: Arc<FrozenClock>,
    /// Its courier.
    pub courier: IdleCourier,
}

impl World {
    /// The password of everybody in a world.
    pub const PASSWORD: &'static str = "robots need rest";

    /// A prepared application over this store.
    pub async fn over(store: Arc<dyn Store>) -> Result<Self, Error> {
        let clock = Arc::new(FrozenClock::default());
        let courier = IdleCourier::default();
        let services =
            Services { courier: Arc::new(courier.clone()), ..Self::services(store, clock.clone()) };
        let app = App::new(services, Policy::default());
        let first = FirstAdministrator {
            username: Username::restore("admin".into()),
            password: Some(Secret::new(Self::PASSWORD)),
        };
        prepare(&app, &first).await?;
        Ok(Self { app, clock, courier })
    }

    /// Doubles of all services but the store and the clock.
    pub fn services(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Services {
        Services {
            store,
            clock,
            entropy: Arc::new(CountedEntropy::default()),
            passwords: Arc::new(PlainPasswords),
            tokens: Arc::new(PlainTokens::default()),
            vault: Arc::new(PlainVault),
            bell: Arc::new(SilentBell),
            courier: Arc::new(IdleCourier::default()),
        }
    }

    /// What somebody of this name says when they register.
    pub fn registration(name: &str, is_mentor: bool) -> Result<Registration, Error> {
        Ok(Registration {
            username: Username::parse(name).map_err(|reason| reason.at("username"))?,
            password: Password::parse(Self::PASSWORD, 8, &[]).map_err(|reason| reason.at("password"))?,
            email: None,
            phone: None,
            is_mentor,
        })
    }

    /// Registers somebody.
    pub async fn person(&self, name: &str) -> Result<UserView, Error> {
        users::register(&self.app, Origin::default(), Self::registration(name, false)?, Once::each_time())
            .await
    }

    /// Registers somebody who mentors.
    pub async fn mentor(&self, name: &str) -> Result<UserView, Error> {
        users::register(&self.app, Origin::default(), Self::registration(name, true)?, Once::each_time())
            .await
    }

    /// Signs somebody in with the password of everybody.
    pub async fn sign_in(&self, name: &str) -> Result<TokenPair, Error> {
        let attempt = PasswordAttempt::new(Self::PASSWORD);
        sessions::sign_in(&self.app, Origin::default(), name, attempt, Once::each_time()).await
    }

    /// Signs somebody in and asks for a right in their name.
    pub async fn right_of<R: Right>(&self, name: &str) -> Result<Granted<R>, Error> {
        let pair = self.sign_in(name).await?;
        let actor = sessions::authenticate(&self.app, pair.access.reveal(), Origin::default()).await?;
        Ok(actor.grant()?)
    }

    /// A right in the name of the product itself.
    pub fn system<R: Right>() -> Result<Granted<R>, Error> {
        Ok(Actor::system("test").grant()?)
    }
}
