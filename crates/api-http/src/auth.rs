//! Who is calling, and whether they may: the first argument of every handler.
//!
//! `identify` reads the credential before the request reaches its handler; [`Granted`] then asks the domain for the
//! right, at once and without waiting. actix polls a handler's arguments in order and stops at the first one that
//! refuses, so the body of a request that is not allowed is never read.

use crate::body::form;
use crate::documented::{Described, Documented};
use crate::look_ups::LookUps;
use crate::manners::Manners;
use crate::middleware::context;
use crate::problem::Problem;
use crate::state::State;
use crate::turns::Class;
use actix_web::dev::{Payload, RequestHead, ServiceRequest};
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use domain::access::{Actor, Demand, Origin, Right};
use domain::app::{App, sessions};
use domain::error::Error;
use domain::text::Secret;
use domain::time::Timestamp;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;
use utoipa::openapi::security::SecurityRequirement;

/// The name of the security scheme in the document.
pub const SCHEME: &str = "bearer";

/// How long what was found out about a caller is believed without asking again.
pub(crate) const BELIEVED: Duration = Duration::from_millis(500);

/// Says who may call an operation. Every handler has one as its first argument, or does not compile.
pub trait Gate: Documented {
    /// Whether strangers may call.
    const PUBLIC: bool;
    /// What those who call are used to.
    const MANNERS: Manners = Manners::House;
}

/// The caller holds the right `R`.
pub struct Granted<R>(pub domain::access::Granted<R>);

impl<R: Right> Gate for Granted<R> {
    const PUBLIC: bool = false;
}

impl<R: Right> FromRequest for Granted<R> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let extensions = request.extensions();
        let granted = extensions
            .get::<Actor>()
            .ok_or(Error::Unauthenticated)
            .and_then(|actor| actor.grant::<R>().map_err(Error::from));
        ready(granted.map(Granted).map_err(Problem::from))
    }
}

impl<R: Right> Documented for Granted<R> {
    fn describe(operation: &mut Described) {
        operation.operation.security = Some(vec![SecurityRequirement::new(SCHEME, [""; 0])]);
        describe(R::DEMAND, operation);
        operation.may_fail(&[StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN]);
    }
}

/// The caller holds the right `R`, also during work that takes long: who has lost it by then is stopped.
pub struct Lasting<R> {
    by: domain::access::Granted<R>,
    token: Secret,
    checked_at: Timestamp,
    look_ups: Arc<LookUps>,
}

impl<R: Right> Lasting<R> {
    /// That of the caller who sent this credential with the request, and was identified by it.
    pub fn of(request: &HttpRequest, token: String) -> Result<Self, Problem> {
        let Granted(by) = Granted::from_request(request, &mut Payload::None).into_inner()?;
        let state = request.app_data::<Data<State>>();
        let state = state.ok_or_else(|| Error::Fault("the application is not installed".into()))?;
        let (checked_at, look_ups) = (state.app.clock.now(), Arc::clone(&state.look_ups));
        Ok(Self { by, token: Secret::new(token), checked_at, look_ups })
    }

    /// The right as it was found last.
    pub fn held(&self) -> &domain::access::Granted<R> {
        &self.by
    }

    /// The right as it is held now.
    pub async fn now(&mut self, app: &App) -> Result<&domain::access::Granted<R>, Error> {
        let now = app.clock.now();
        if now < self.checked_at || now.since(self.checked_at) >= BELIEVED {
            self.again(app).await?;
        }
        Ok(&self.by)
    }

    /// Asks again whether the right is held.
    pub async fn again(&mut self, app: &App) -> Result<&domain::access::Granted<R>, Error> {
        let now = app.clock.now();
        let actor = self.look_ups.identify_again(app, self.by.actor(), self.token.reveal()).await?;
        self.by = actor.grant()?;
        self.checked_at = now;
        Ok(&self.by)
    }
}

impl<R: Right> Gate for Lasting<R> {
    const PUBLIC: bool = false;
}

impl<R: Right> FromRequest for Lasting<R> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(credential(request.headers()).and_then(|token| Self::of(request, token)))
    }
}

impl<R: Right> Documented for Lasting<R> {
    fn describe(operation: &mut Described) {
        Granted::<R>::describe(operation);
    }
}

/// Says what is demanded twice: in notes for programs, and in words for people.
fn describe(demand: Demand, operation: &mut Described) {
    match demand {
        Demand::SignedIn => operation.note("x-requires", "signed-in"),
        Demand::Person => operation.note("x-requires", "person"),
        Demand::Holds(_) => {}
        Demand::HoldsElseOwn(_) => operation.note("x-otherwise", "own"),
        Demand::HoldsElsePerson(_) => operation.note("x-otherwise", "own-as-person"),
    }
    if let Some(needed) = demand.permission() {
        // Of two that are needed the first is noted as the permission, the other beside it.
        let name = if operation.has_note("x-permission") { "x-permission-too" } else { "x-permission" };
        operation.note(name, needed.name());
    }
    operation.add_words(&match demand {
        Demand::SignedIn => "Needs any valid credential.".to_owned(),
        Demand::Person => "Needs a signed-in person; an API key does not do.".to_owned(),
        Demand::Holds(needed) => format!("Needs `{needed}`."),
        Demand::HoldsElseOwn(needed) => format!("Needs `{needed}`; without it, reaches oneself only."),
        Demand::HoldsElsePerson(needed) => {
            format!("Needs `{needed}`; without it, a signed-in person reaches themselves only.")
        }
    });
}

/// Anybody may call. Tells where the call came from.
pub struct Public(pub Origin);

impl Gate for Public {
    const PUBLIC: bool = true;
}

impl FromRequest for Public {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Public(context::origin(request))))
    }
}

impl Documented for Public {
    fn describe(operation: &mut Described) {
        operation.operation.security = Some(Vec::new());
    }
}

/// Finds out who sent the request.
pub(crate) async fn identify(
    state: &State,
    class: Class,
    manners: Manners,
    request: &ServiceRequest,
) -> Result<Actor, Problem> {
    let token = carried(request.head(), manners)?;
    let origin = context::origin(request.request());
    if class.is_crowd() {
        return state.look_ups.identify(&state.app, &token, origin).await;
    }
    Ok(sessions::authenticate(&state.app, &token, origin).await?)
}

/// Finds out once more who sent a request that was long on its way: whoever was shut out meanwhile, or may less than when the
/// head of it came, is refused. The right that the handler holds is as old as that head.
pub(crate) async fn ask_again(request: &HttpRequest) -> Result<(), Problem> {
    let Some(before) = request.extensions().get::<Actor>().cloned() else {
        return Ok(());
    };
    let state = request.app_data::<Data<State>>();
    let state = state.ok_or_else(|| Error::Fault("the application is not installed".into()))?;
    let token = credential(request.headers())?;
    let actor = state.look_ups.identify_again(&state.app, &before, &token).await?;
    Ok(actor.still_may_as(&before).map_err(Error::from)?)
}

/// The token that a request carries where clients of these manners put it.
pub fn carried(head: &RequestHead, manners: Manners) -> Result<String, Problem> {
    if manners == Manners::House {
        return credential(&head.headers);
    }
    match basic(&head.headers) {
        Some(password) => Ok(password),
        None if head.headers.contains_key(AUTHORIZATION) => {
            // Some put a login before it here, too, which none of our tokens contains.
            let token = credential(&head.headers)?;
            Ok(token.rsplit_once(':').map_or(token.as_str(), |(_, token)| token).to_owned())
        }
        None if manners == Manners::InfluxV1 => parameter(head.uri.query().unwrap_or_default(), "p"),
        None => Err(Error::Unauthenticated.into()),
    }
}

/// The password of `Basic`, if that is there once and makes sense.
fn basic(headers: &HeaderMap) -> Option<String> {
    let mut given = headers.get_all(AUTHORIZATION);
    let (scheme, encoded) =
        given.next().filter(|_| given.next().is_none())?.to_str().ok()?.split_once(' ')?;
    let decoded =
        BASE64_STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (_, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    (!password.is_empty()).then(|| password.to_owned())
}

fn parameter(query: &str, wanted: &str) -> Result<String, Problem> {
    let values = form::pairs(query).filter_map(|pair| form::decode_pair(pair).ok());
    let mut values =
        values.filter(|(name, value)| name == wanted && !value.is_empty()).map(|(_, value)| value);
    values.next().ok_or_else(|| Error::Unauthenticated.into())
}

/// The token that the request carries: `Bearer` is what the standards say, `Token` what some clients send.
pub fn credential(headers: &HeaderMap) -> Result<String, Problem> {
    let mut given = headers.get_all(AUTHORIZATION);
    let header = given.next().ok_or(Error::Unauthenticated)?;
    if given.next().is_some() {
        return Err(Problem::malformed("the Authorization header is there more than once"));
    }
    let text = header.to_str().map_err(|_| Error::Unauthenticated)?;
    let (scheme, token) = text.split_once(' ').ok_or(Error::Unauthenticated)?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
    let token = token.trim();
    if known && !token.is_empty() { Ok(token.to_owned()) } else { Err(Error::Unauthenticated.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn both_schemes_are_read_whatever_their_case() {
        for text in ["Bearer abc", "bearer abc", "TOKEN abc", "Token  abc "] {
            assert_eq!(credential(&headers(&[text])).unwrap(), "abc", "{text}");
        }
    }

    #[test]
    fn what_is_no_credential_of_ours_is_nobody() {
        for text in ["", "Bearer", "Bearer ", "Basic abc", "abc", "Bearer\tabc", "Bearer \u{e4}"] {
            let refused = credential(&headers(&[text])).unwrap_err();
            assert_eq!(refused.row().status, StatusCode::UNAUTHORIZED, "{text:?}");
        }
        assert_eq!(credential(&headers(&[])).unwrap_err().row().status, StatusCode::UNAUTHORIZED);
    }

    #[test]
    fn two_credentials_are_one_too_many() {
        let refused = credential(&headers(&["Bearer a", "Bearer a"])).unwrap_err();
        assert_eq!(refused.row().status, StatusCode::BAD_REQUEST);
    }
}
