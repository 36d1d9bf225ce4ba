//! Signing in and out, and the tokens in between.

use crate::auth::{Granted, Public};
use crate::body::fields::Fields;
use crate::body::{Body, FromBody};
use crate::once::{Posted, Replayable};
use crate::problem::Reply;
use crate::reply::{Done, Shown};
use actix_web::web::Data;
use domain::access::Origin;
use domain::access::rights::OwnAccount;
use domain::app::App;
use domain::app::sessions::{self, TokenPair};
use domain::text::Secret;
use domain::users::PasswordAttempt;
use serde::Serialize;
use utoipa::ToSchema;

/// No credential is longer, so nobody needs to send more.
const SHORT: usize = 4 * 1024;

/// Login and password.
pub struct Credentials {
    username: String,
    password: PasswordAttempt,
}

impl FromBody for Credentials {
    const NAME: &'static str = "Credentials";
    const ABOUT: &'static str = "Login and password. `login` is another name for `username`.";
    const EXAMPLE: &'static str = r#"{"username": "anna", "password": "blue kettle on line 2"}"#;
    const LIMIT: usize = SHORT;
    const FORM_TOO: bool = true;
    const PROVES: bool = true;
    const HOLDS_PASSWORD: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.alias("login", "username");
        fields.others_have_no_effect();
        let username = fields.required("username");
        let password = fields.required("password");
        Some(Self { username: username?, password: password? })
    }

    fn tries(&self) -> Option<&str> {
        Some(&self.username)
    }
}

/// A refresh token.
pub struct RefreshToken(Secret);

impl FromBody for RefreshToken {
    const NAME: &'static str = "RefreshToken";
    const ABOUT: &'static str = "A refresh token, as the last sign-in or refresh answered it.";
    const EXAMPLE: &'static str = r#"{"refresh": "eyJ0eXAiOiJyd…"}"#;
    const LIMIT: usize = SHORT;
    const FORM_TOO: bool = true;
    const PROVES: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.others_have_no_effect();
        fields.required("refresh").map(Self)
    }
}

/// Any token of ours.
pub struct Token(Secret);

impl FromBody for Token {
    const NAME: &'static str = "Token";
    const ABOUT: &'static str = "An access or refresh token.";
    const EXAMPLE: &'static str = r#"{"token": "eyJ0eXAiOiJhd…"}"#;
    const LIMIT: usize = SHORT;
    const FORM_TOO: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.others_have_no_effect();
        fields.required("token").map(Self)
    }
}

/// How far signing out goes.
pub struct SignOut {
    all: bool,
}

impl FromBody for SignOut {
    const NAME: &'static str = "SignOut";
    const ABOUT: &'static str = "Whether all sessions of the user end, or this one alone.";
    const EXAMPLE: &'static str = r#"{"all": false}"#;
    const LIMIT: usize = SHORT;
    const FORM_TOO: bool = true;
    const OPTIONAL: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let all = fields.optional("all").unwrap_or(false);
        Some(Self { all })
    }
}

/// What a client gets when it signs in or refreshes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TokenPair)]
pub struct TokenPairBody {
    /// Proves who is calling; send it as `Authorization: Bearer …`.
    access: String,
    /// Buys the next pair, once.
    refresh: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// How many seconds the access token lives.
    expires_in: u64,
    /// `true` after a sign-in with a one-time password: choose another one now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required = false)]
    must_change_password: Option<bool>,
}

impl TokenPairBody {
    fn shown(pair: &TokenPair) -> Shown<Self> {
        Shown(Self {
            access: pair.access.reveal().to_owned(),
            refresh: pair.refresh.reveal().to_owned(),
            token_type: "Bearer",
            expires_in: pair.expires_in.as_secs(),
            must_change_password: pair.must_change_password.then_some(true),
        })
    }
}

/// Nothing to say but that it is so.
#[derive(Debug, Serialize, ToSchema)]
pub struct Valid {}

/// Signs in with login and password
///
/// Wrong, unknown, disabled: the answer is the same.
#[utoipa::path(post, path = "/api/token/", responses((status = 401)))]
pub async fn obtain_tokens(
    Public(origin): Public,
    credentials: Posted<Credentials>,
    app: Data<App>,
) -> Reply<Replayable<Shown<TokenPairBody>>> {
    sign_in(origin, credentials, app).await
}

/// Signs in with login and password
///
/// The same as `POST /api/token/`.
#[utoipa::path(post, path = "/api/login", responses((status = 401)))]
pub async fn log_in(
    Public(origin): Public,
    credentials: Posted<Credentials>,
    app: Data<App>,
) -> Reply<Replayable<Shown<TokenPairBody>>> {
    sign_in(origin, credentials, app).await
}

async fn sign_in(
    origin: Origin,
    credentials: Posted<Credentials>,
    app: Data<App>,
) -> Reply<Replayable<Shown<TokenPairBody>>> {
    let work = |Credentials { username, password }: Credentials, once| async move {
        sessions::sign_in(&app, origin, &username, password, once).await
    };
    credentials.answer(TokenPairBody::shown, work).await
}

/// Spends a refresh token for the next pair
///
/// A refresh token is good once. A client that lost the answer may ask again within ten seconds and gets the same pair;
/// any later reuse ends the session.
#[utoipa::path(post, path = "/api/token/refresh/", responses((status = 401)))]
pub async fn refresh_tokens(
    Public(origin): Public,
    token: Posted<RefreshToken>,
    app: Data<App>,
) -> Reply<Replayable<Shown<TokenPairBody>>> {
    let work = |RefreshToken(token): RefreshToken, once| async move {
        sessions::refresh(&app, origin, token.reveal(), once).await
    };
    token.answer(TokenPairBody::shown, work).await
}

/// Says whether a token is good at this moment
#[utoipa::path(post, path = "/api/token/verify/", responses((status = 401)))]
pub async fn verify_token(_: Public, Body(Token(token)): Body<Token>, app: Data<App>) -> Reply<Shown<Valid>> {
    sessions::verify(&app, token.reveal()).await?;
    Ok(Shown(Valid {}))
}

/// Signs out
///
/// Ends this session, or all of the user's, at once; access tokens included.
#[utoipa::path(post, path = "/api/logout")]
pub async fn log_out(
    Granted(by): Granted<OwnAccount>,
    how: Posted<SignOut>,
    app: Data<App>,
) -> Reply<Replayable<Done>> {
    let work = |how: SignOut, once| async move { sessions::sign_out(&app, by, how.all, once).await };
    how.answer(|()| Done, work).await
}
