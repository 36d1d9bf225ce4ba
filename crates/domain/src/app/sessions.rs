//! Signing in and out, refreshing, and finding out who is calling.

use super::known::ACCESS;
use super::{App, sign_in::Gate, signing_keys};
use crate::access::rights::OwnAccount;
use crate::access::{Actor, Credential, Granted, Origin, Permissions, Scope, Who};
use crate::api_keys::{Digest, PREFIX};
use crate::audit::{Action, NewEvent, Subject};
use crate::equipment::Reach;
use crate::error::Error;
use crate::id::{ApiKeyId, SessionId, UserId};
use crate::idempotency::Once;
use crate::page::{Order, Page, PageRequest};
use crate::ports::{StoreError, TokenError, UnitOfWork};
use crate::sessions::{Claims, Holder, NewSession, Purpose, Repeat, Session, SessionKey, judge_repeat};
use crate::text::{Secret, Username};
use crate::time::Timestamp;
use crate::users::{PasswordAttempt, PasswordHash, Standing, User};
use std::time::Duration;

/// How fresh "last used" is kept.
const USE_RESOLUTION: Duration = Duration::from_secs(60);

/// What a client gets when it signs in or refreshes.
#[derive(Clone, Debug)]
pub struct TokenPair {
    /// Proves who is calling.
    pub access: Secret,
    /// Buys the next pair.
    pub refresh: Secret,
    /// How long the access token lives.
    pub expires_in: Duration,
    /// Whether the person signed in with a one-time password and should choose another one now.
    pub must_change_password: bool,
}

/// Signs a person in. Whatever is wrong, the answer and the work are the same.
pub async fn sign_in(
    app: &App,
    origin: Origin,
    login: &str,
    attempt: PasswordAttempt,
    once: Once<'_, TokenPair>,
) -> Result<TokenPair, Error> {
    let username = Username::parse(login).ok();
    let gate = gate_of(app, &origin, login);
    gate.admit(app).await?;
    let checked = match check_password(app, username.as_ref(), &attempt).await {
        Ok(checked) => checked,
        Err(error) => {
            gate.withdraw(app).await?;
            return Err(error);
        }
    };
    let now = app.clock.now();
    let subject = checked.subject();
    let mut tx = app.store.begin().await?;
    let opened = open_in(&mut *tx, app, &origin, checked, now).await?;
    gate.settle_in(&mut *tx, opened.is_some(), now).await?;
    let Some((session, must_change_password)) = opened else {
        tx.trail().record(&NewEvent::by_stranger(now, &origin, Action::SignInFailed, subject)).await?;
        tx.commit().await?;
        return Err(Error::InvalidCredentials);
    };
    let pair = issue(app, &session, must_change_password, now)?;
    once.remember_in(&mut *tx, &pair, now).await?;
    app.commit_access(tx).await?;
    Ok(pair)
}

/// Refuses a sign-in that would be refused for too many failures, without counting it: before anything that takes long.
pub async fn refuse_who_must_wait(app: &App, origin: &Origin, login: &str) -> Result<(), Error> {
    gate_of(app, origin, login).refuse_who_must_wait(app).await
}

/// What could never be a login is held against a counter of its own, like any other unknown account.
fn gate_of(app: &App, origin: &Origin, login: &str) -> Gate {
    let folded = Username::parse(login).map_or_else(|_| crate::text::fold(login), |username| username.key());
    Gate::new(app, &folded, origin)
}

/// Spends a refresh token for the next pair.
///
/// Of any number of simultaneous calls one spends it; the others, within ten seconds, get the same successor. A spent
/// token that comes later was stolen or lost, and ends the session.
pub async fn refresh(
    app: &App,
    origin: Origin,
    token: &str,
    once: Once<'_, TokenPair>,
) -> Result<TokenPair, Error> {
    let now = app.clock.now();
    let claims = read_token(app, token).await?.ok_or(Error::InvalidCredentials)?;
    let Purpose::Refresh { generation } = claims.purpose else {
        return Err(Error::InvalidCredentials);
    };
    if !claims.are_current(now) {
        return Err(Error::InvalidCredentials);
    }
    let mut tx = app.store.begin().await?;
    let outcome = refresh_in(&mut *tx, app, &claims, generation, now).await?;
    let (Refreshed::Next(session) | Refreshed::Same(session)) = outcome else {
        if let Refreshed::Reused(session) = outcome {
            tx.sessions().end(session.user, session.id).await?;
            let subject = Subject::other("session", Some(session.id.get()), session.user);
            tx.trail().record(&NewEvent::by_stranger(now, &origin, Action::RefreshReused, subject)).await?;
            app.commit_access(tx).await?;
        }
        return Err(Error::InvalidCredentials);
    };
    let user = tx.users().find(session.user).await?;
    let Some(user) = user.filter(|user| user.is_active) else {
        return Err(Error::InvalidCredentials);
    };
    let pair = issue(app, &session, user.password.must_change(), now)?;
    once.remember_in(&mut *tx, &pair, now).await?;
    // Lets nobody in who was out, nor the other way round, so whoever is remembered stays so.
    tx.commit().await?;
    Ok(pair)
}

/// Whether a token, access or refresh, is good at this moment.
pub async fn verify(app: &App, token: &str) -> Result<(), Error> {
    let claims = read_token(app, token).await?.ok_or(Error::InvalidCredentials)?;
    let (session, _) = live_session(app, &claims).await?.ok_or(Error::InvalidCredentials)?;
    match claims.purpose {
        Purpose::Access => Ok(()),
        Purpose::Refresh { generation } if generation == session.generation => Ok(()),
        Purpose::Refresh { .. } => Err(Error::InvalidCredentials),
    }
}

/// Finds out who is calling, by access token or API key, and what they may do right now.
pub async fn authenticate(app: &App, bearer: &str, origin: Origin) -> Result<Actor, Error> {
    let digest = app.vault.digest(&[bearer.as_bytes()]);
    let now = app.clock.now();
    let known = recall(app, &digest, now);
    app.counts.callers.count(known.is_some());
    if let Some(actor) = known {
        return Ok(actor.coming_from(origin));
    }
    let generation = app.callers.generation(app.changes.generation(ACCESS));
    let (actor, expires_at) = look_up(app, bearer, &digest, origin).await?;
    app.callers.remember(generation, digest, &actor, now, expires_at);
    Ok(actor)
}

/// Who is calling, if that is remembered; nothing says that they are unknown otherwise.
pub fn remembered(app: &App, bearer: &str) -> Option<Actor> {
    let known = recall(app, &app.vault.digest(&[bearer.as_bytes()]), app.clock.now());
    known.inspect(|_| app.counts.callers.count(true))
}

fn recall(app: &App, digest: &Digest, now: Timestamp) -> Option<Actor> {
    app.callers.recall(digest, now, app.changes.generation(ACCESS))
}

/// A caller, and when what they came with expires.
type Found = (Actor, Option<Timestamp>);

async fn look_up(app: &App, bearer: &str, digest: &Digest, origin: Origin) -> Result<Found, Error> {
    if bearer.starts_with(PREFIX) {
        by_api_key(app, digest, origin).await
    } else {
        by_token(app, bearer, origin).await
    }
}

/// The caller as they are now, for work that may go on when the access token that let them in has expired: a session
/// that lives is enough. `bearer` is what they came with.
pub async fn authenticate_again(app: &App, before: &Actor, bearer: &str) -> Result<Actor, Error> {
    let now = app.clock.now();
    let generation = app.callers.generation(app.changes.generation(ACCESS));
    let (actor, expires_at) = look_up_again(app, before, bearer).await?;
    app.callers.remember(generation, digest_again(app, bearer), &actor, now, expires_at);
    Ok(actor)
}

/// What [`authenticate_again`] found a moment ago for whoever else came with the same, if that is remembered.
pub fn remembered_again(app: &App, before: &Actor, bearer: &str) -> Option<Actor> {
    let known = recall(app, &digest_again(app, bearer), app.clock.now());
    known.map(|actor| actor.coming_from(before.origin().clone()))
}

/// Kept apart from what lets new requests in: those need a token that has not expired.
fn digest_again(app: &App, bearer: &str) -> Digest {
    app.vault.digest(&[b"again", bearer.as_bytes()])
}

async fn look_up_again(app: &App, before: &Actor, bearer: &str) -> Result<Found, Error> {
    let origin = before.origin().clone();
    let Some(session) = before.session() else {
        let digest = app.vault.digest(&[bearer.as_bytes()]);
        return look_up(app, bearer, &digest, origin).await;
    };
    let found = app.store.reader().await?.sessions().bearer(session).await?;
    let now = app.clock.now();
    let (found, holder) =
        found.filter(|(session, holder)| is_live(session, holder, now)).ok_or(Error::Unauthenticated)?;
    Ok((actor(holder, Credential::Session(session), None, origin), Some(found.expires_at)))
}

/// Ends the session that asks, or all of its user's.
pub async fn sign_out(
    app: &App,
    by: Granted<OwnAccount>,
    all: bool,
    once: Once<'_, ()>,
) -> Result<(), Error> {
    let (user, session) = person(&by)?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    if all {
        tx.sessions().end_all(user, None).await?;
    } else {
        tx.sessions().end(user, session).await?;
    }
    let label = if all { "all sessions" } else { "this session" };
    let subject = Subject::other("session", Some(session.get()), label);
    tx.trail().record(&NewEvent::new(now, by.actor(), Action::SignedOut, subject)).await?;
    once.remember_in(&mut *tx, &(), now).await?;
    app.commit_access(tx).await?;
    Ok(())
}

/// A page of one's own sessions.
pub async fn list(
    app: &App,
    by: &Granted<OwnAccount>,
    order: &[Order<SessionKey>],
    page: PageRequest,
) -> Result<Page<Session>, Error> {
    let (user, _) = person(by)?;
    Ok(app.store.reader().await?.sessions().list(user, app.clock.now(), order, page).await?)
}

/// Ends one of one's own sessions.
pub async fn end(app: &App, by: Granted<OwnAccount>, id: SessionId) -> Result<(), Error> {
    let (user, _) = person(&by)?;
    let now = app.clock.now();
    let mut tx = app.store.begin().await?;
    if !tx.sessions().end(user, id).await? {
        return Err(Error::NotFound("session"));
    }
    let subject = Subject::other("session", Some(id.get()), "another session");
    tx.trail().record(&NewEvent::new(now, by.actor(), Action::SignedOut, subject)).await?;
    app.commit_access(tx).await?;
    Ok(())
}

/// The person behind [`OwnAccount`].
pub(super) fn person(by: &Granted<OwnAccount>) -> Result<(UserId, SessionId), Error> {
    match (by.scope(), by.actor().session()) {
        (Scope::Own(user), Some(session)) => Ok((user, session)),
        (Scope::Any | Scope::Own(_), _) => Err(crate::error::Denied::PersonsOnly.into()),
    }
}

/// What a password check found.
struct Checked {
    user: Option<User>,
    matches: bool,
    /// What to store instead if the hash is outdated.
    rehashed: Option<PasswordHash>,
}

impl Checked {
    /// Whom the trail names. A login that nobody has may be a password typed into the wrong field, so it is not kept.
    fn subject(&self) -> Subject {
        match &self.user {
            Some(user) => Subject::user(user.id, &user.username),
            None => Subject::other("user", None, "unknown"),
        }
    }
}

async fn check_password(
    app: &App,
    username: Option<&Username>,
    attempt: &PasswordAttempt,
) -> Result<Checked, Error> {
    let user = match username {
        Some(username) => app.store.reader().await?.users().find_by_username(username).await?,
        None => None,
    };
    let stored = user.as_ref().map(|user| user.password.hash.clone());
    let verdict = app.passwords.verify(attempt, stored).await?;
    let rehashed = if verdict.matches && verdict.outdated { rehash(app, attempt).await? } else { None };
    Ok(Checked { user, matches: verdict.matches, rehashed })
}

/// Yesterday's password may be shorter than today's rule; then its old hash stays.
async fn rehash(app: &App, attempt: &PasswordAttempt) -> Result<Option<PasswordHash>, Error> {
    match crate::users::Password::parse(attempt.reveal(), 1, &[]) {
        Ok(password) => Ok(Some(app.passwords.hash(&password).await?)),
        Err(_) => Ok(None),
    }
}

/// Opens a session, unless the account changed since its password was checked, is disabled, or its password is used up.
async fn open_in(
    tx: &mut dyn UnitOfWork,
    app: &App,
    origin: &Origin,
    checked: Checked,
    now: Timestamp,
) -> Result<Option<(Session, bool)>, Error> {
    let Some(proven) = checked.user.filter(|_| checked.matches) else {
        return Ok(None);
    };
    let Some(mut user) = tx.users().lock(proven.id).await? else {
        return Ok(None);
    };
    let unchanged = user.password == proven.password;
    if !unchanged || !user.is_active || !user.password.opens_a_session(now) {
        return Ok(None);
    }
    let must_change_password = user.password.must_change();
    if must_change_password {
        user.password.standing = Standing::Spent;
    }
    if let Some(hash) = checked.rehashed {
        user.password.hash = hash;
    }
    user.last_login_at = Some(now);
    let user = tx.users().save(&user).await?;
    let session = NewSession {
        user: user.id,
        created_at: now,
        expires_at: app.policy.lifetimes.expiry(now, now),
        address: origin.address.map(|address| address.to_string()),
        agent: origin.agent.clone(),
    };
    let session = tx.sessions().insert(&session).await?;
    let credential = Credential::Session(session.id);
    let who = Who::User { id: user.id, username: user.username.clone(), credential };
    let actor = Actor::new(who, Permissions::NONE, origin.clone());
    let subject = Subject::user(user.id, &user.username);
    tx.trail().record(&NewEvent::new(now, &actor, Action::SignedIn, subject)).await?;
    Ok(Some((session, must_change_password)))
}

enum Refreshed {
    Next(Session),
    Same(Session),
    Reused(Session),
    Gone,
}

async fn refresh_in(
    tx: &mut dyn UnitOfWork,
    app: &App,
    claims: &Claims,
    generation: i64,
    now: Timestamp,
) -> Result<Refreshed, Error> {
    let Some(session) = tx.sessions().lock(claims.session).await? else {
        return Ok(Refreshed::Gone);
    };
    if session.user != claims.user || now >= session.expires_at {
        return Ok(Refreshed::Gone);
    }
    let expires_at = app.policy.lifetimes.expiry(session.created_at, now);
    if session.generation == generation && !app.policy.lifetimes.rotate {
        tx.sessions().prolong(session.id, now, expires_at).await?;
        return Ok(Refreshed::Same(Session { last_used_at: now, expires_at, ..session }));
    }
    if let Some(next) = tx.sessions().advance(session.id, generation, now, expires_at).await? {
        return Ok(Refreshed::Next(next));
    }
    Ok(match judge_repeat(&session, generation, now) {
        Repeat::SameSuccessor => Refreshed::Same(session),
        Repeat::Reuse => Refreshed::Reused(session),
    })
}

/// Signs the pair. The refresh token follows from the session alone, so that a repeat gets the same one.
fn issue(
    app: &App,
    session: &Session,
    must_change_password: bool,
    now: Timestamp,
) -> Result<TokenPair, Error> {
    let lifetime = app.policy.lifetimes.access;
    let access = Claims {
        purpose: Purpose::Access,
        user: session.user,
        session: session.id,
        id: app.entropy.secret(),
        issued_at: now.seconds(),
        expires_at: now.after(lifetime).seconds(),
    };
    let refresh = Claims {
        purpose: Purpose::Refresh { generation: session.generation },
        user: session.user,
        session: session.id,
        id: format!("{}.{}", session.id, session.generation),
        issued_at: session.rotated_at.seconds(),
        expires_at: app.policy.lifetimes.refresh_expiry(session).seconds(),
    };
    Ok(TokenPair {
        access: Secret::new(app.tokens.sign(&access).map_err(Error::Fault)?),
        refresh: Secret::new(app.tokens.sign(&refresh).map_err(Error::Fault)?),
        expires_in: lifetime,
        must_change_password,
    })
}

/// Reads a token of ours; a key that we do not know yet may have been made on another node a moment ago.
async fn read_token(app: &App, token: &str) -> Result<Option<Claims>, Error> {
    match app.tokens.read(token) {
        Ok(claims) => Ok(Some(claims)),
        Err(TokenError::Invalid) => Ok(None),
        Err(TokenError::UnknownKey) => {
            signing_keys::load_unless_current(app).await?;
            Ok(app.tokens.read(token).ok())
        }
    }
}

async fn live_session(app: &App, claims: &Claims) -> Result<Option<(Session, Holder)>, Error> {
    let now = app.clock.now();
    if !claims.are_current(now) {
        return Ok(None);
    }
    let found = app.store.reader().await?.sessions().bearer(claims.session).await?;
    Ok(found.filter(|(session, holder)| session.user == claims.user && is_live(session, holder, now)))
}

fn is_live(session: &Session, holder: &Holder, now: Timestamp) -> bool {
    now < session.expires_at && holder.is_active
}

async fn by_token(app: &App, token: &str, origin: Origin) -> Result<Found, Error> {
    let claims = read_token(app, token).await?.ok_or(Error::Unauthenticated)?;
    if claims.purpose != Purpose::Access {
        return Err(Error::Unauthenticated);
    }
    let (session, holder) = live_session(app, &claims).await?.ok_or(Error::Unauthenticated)?;
    let now = app.clock.now();
    if now.since(session.last_used_at) >= USE_RESOLUTION {
        // A note about use must not fail the use itself; the next request tries again.
        let _ = note_session_use(app, session.id, now).await;
    }
    let expires_at = claims.lapses_at().min(session.expires_at);
    Ok((actor(holder, Credential::Session(session.id), None, origin), Some(expires_at)))
}

async fn by_api_key(app: &App, digest: &Digest, origin: Origin) -> Result<Found, Error> {
    let now = app.clock.now();
    let found = app.store.reader().await?.api_keys().bearer(digest).await?;
    let good = found.filter(|(key, holder)| key.is_current(now) && holder.is_active);
    let (key, holder) = good.ok_or(Error::Unauthenticated)?;
    if key.last_used_at.is_none_or(|last| now.since(last) >= USE_RESOLUTION) {
        let _ = note_key_use(app, key.id, now).await;
    }
    let reach = if key.equipment.is_empty() { Reach::All } else { Reach::Only(key.equipment) };
    let actor = actor(holder, Credential::ApiKey(key.id), Some(key.permissions), origin).reaching(reach);
    Ok((actor, key.expires_at))
}

async fn note_session_use(app: &App, id: SessionId, now: Timestamp) -> Result<(), StoreError> {
    let mut tx = app.store.begin().await?;
    tx.sessions().touch(id, now).await?;
    tx.commit().await
}

async fn note_key_use(app: &App, id: ApiKeyId, now: Timestamp) -> Result<(), StoreError> {
    let mut tx = app.store.begin().await?;
    tx.api_keys().touch(id, now).await?;
    tx.commit().await
}

/// A key never may more than its owner may at this moment.
fn actor(holder: Holder, credential: Credential, limit: Option<Permissions>, origin: Origin) -> Actor {
    let permissions = limit.map_or(holder.permissions, |limit| limit.intersection(holder.permissions));
    Actor::new(Who::User { id: holder.user, username: holder.username, credential }, permissions, origin)
}
