//! Requests that ask to take effect once: `Idempotency-Key` on any POST.
//!
//! [`Posted`] is the body of a POST together with that wish. Its [`Posted::answer`] looks the first answer up, else does
//! the work, which remembers the answer in its own transaction; and when the work fails because a twin of the request
//! was faster, it looks once more.

use crate::body::{Body, FromBody, read, receive};
use crate::completion::to_completion;
use crate::documented::{Described, Documented, text_schema};
use crate::middleware::context;
use crate::problem::{Problem, Reply};
use crate::reply::{Record, Recorded};
use crate::turns::{Class, Pass};
use actix_web::body::BoxBody;
use actix_web::dev::Payload;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, Responder};
use domain::access::{Actor, Origin};
use domain::app::{App, idempotency, sessions};
use domain::error::{BoxError, Error, Kind};
use domain::idempotency::{Claim, Once, Render};
use futures_util::future::LocalBoxFuture;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use utoipa::openapi::Required;
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const LONGEST_KEY: usize = 128;

/// How long to look for the first answer where storage did not answer.
const GLANCE: Duration = Duration::from_millis(300);

/// The body of a POST, and whether the request wants to take effect once.
pub struct Posted<B> {
    body: B,
    wish: Option<Wish>,
    pass: Option<Pass>,
}

/// The wish to take effect once.
struct Wish {
    app: Arc<App>,
    key: Vec<u8>,
    caller: String,
    /// Keyed digest of the call and its body.
    fingerprint: [u8; 32],
    is_proof: bool,
    holds_password: bool,
    /// The login that a password is tried for, and where from.
    tried: Option<(String, Origin)>,
}

/// A wish as it is known to storage.
#[derive(Clone)]
struct Claimed {
    app: Arc<App>,
    key: Vec<u8>,
    claim: Claim,
}

impl<B: FromBody> FromRequest for Posted<B> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let key = key_of(&request)?;
            let bytes = receive::<B>(&request, payload).await?;
            let body = read(&request, &bytes)?;
            let wish = key.map(|key| Wish::new::<B>(&request, key, &bytes, &body)).transpose()?;
            Ok(Posted { body, wish, pass: Pass::of(&request) })
        })
    }
}

impl<B: FromBody> Documented for Posted<B> {
    fn describe(operation: &mut Described) {
        Body::<B>::describe(operation);
        let mut key = text_schema(None);
        key.max_length = Some(LONGEST_KEY);
        key.pattern = Some("^[!-~]{1,128}$".to_owned());
        operation.parameter(
            ParameterBuilder::new()
                .name("Idempotency-Key")
                .parameter_in(ParameterIn::Header)
                .required(Required::False)
                .description(Some(
                    "For 24 hours the same key with the same request gets the first answer instead of taking effect again.",
                ))
                .schema(Some(key)),
        );
    }
}

impl<B> Posted<B> {
    /// The body, and the same request without it.
    pub fn parted(self) -> (B, Posted<()>) {
        (self.body, Posted { body: (), wish: self.wish, pass: self.pass })
    }

    /// The same request with what was made of its body.
    pub fn carrying<C>(self, body: C) -> Posted<C> {
        Posted { body, wish: self.wish, pass: self.pass }
    }

    /// Waits in another line from here on: only the body told what the request wants.
    pub async fn waiting_as(self, class: Class) -> Result<Self, Problem> {
        if let Some(pass) = &self.pass {
            pass.change_to(class).await?;
        }
        Ok(self)
    }

    /// Does the work, or answers what it answered the first time.
    ///
    /// `work` gets the body, and what it must remember before it commits. `show` makes the answer of its outcome.
    pub async fn answer<T, R, F>(
        self,
        show: impl Fn(&T) -> R + Clone + Send + Sync + 'static,
        work: impl FnOnce(B, Once<'static, T>) -> F,
    ) -> Reply<Replayable<R>>
    where
        T: Send + 'static,
        R: Record,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let Some(wish) = self.wish else {
            let outcome = to_completion(work(self.body, Once::each_time())).await?;
            return Replayable::fresh(&show(&outcome));
        };
        let claimed = wish.claim().await?;
        if let Some(first) = claimed.recall(self.pass.as_ref()).await? {
            return Ok(first);
        }
        let once = Once::per(claimed.claim, claimed.clone().render(show.clone()));
        match to_completion(work(self.body, once)).await {
            Ok(outcome) => Replayable::fresh(&show(&outcome)),
            Err(error) => match claimed.recall_after(&error, self.pass.as_ref()).await? {
                Some(first) => Ok(first),
                None => Err(error.into()),
            },
        }
    }
}

impl Wish {
    fn new<B: FromBody>(
        request: &HttpRequest,
        key: Vec<u8>,
        bytes: &[u8],
        body: &B,
    ) -> Result<Self, Problem> {
        let app = request
            .app_data::<Data<App>>()
            .ok_or_else(|| Error::Fault("the application is not installed".into()))?;
        let user = request.extensions().get::<Actor>().and_then(Actor::user);
        let caller = user.map_or_else(|| "anonymous".to_owned(), |id| id.to_string());
        let method = request.method().as_str().as_bytes();
        let path = request.path().trim_end_matches('/').as_bytes();
        let query = request.query_string().as_bytes();
        let fingerprint = app.vault.keyed_digest(&key, &[method, path, query, bytes]);
        let tried = body.tries().map(|login| (login.to_owned(), context::origin(request)));
        Ok(Self {
            app: Arc::clone(app),
            key,
            caller,
            fingerprint,
            is_proof: B::PROVES,
            holds_password: B::HOLDS_PASSWORD,
            tried,
        })
    }

    /// As storage may know it: whoever steals that, and guesses the key, must still take as long to guess a password as
    /// from its hash.
    async fn claim(self) -> Result<Claimed, Problem> {
        let Self { app, key, caller, fingerprint, is_proof, holds_password, tried } = self;
        if let Some((login, origin)) = tried {
            sessions::refuse_who_must_wait(&app, &origin, &login).await?;
        }
        let fingerprint = if holds_password {
            app.passwords.stretch(&fingerprint).await.map_err(Error::from)?
        } else {
            fingerprint
        };
        let proof: &[u8] = if is_proof { &fingerprint } else { b"" };
        let scope = app.vault.digest(&[caller.as_bytes(), &key, proof]);
        Ok(Claimed { app, key, claim: Claim { scope, fingerprint } })
    }
}

impl Claimed {
    async fn recall<R>(&self, pass: Option<&Pass>) -> Reply<Option<Replayable<R>>> {
        let _turn = match pass {
            Some(pass) => pass.glance().await?,
            None => None,
        };
        let Some(sealed) = idempotency::recall(&self.app, &self.claim).await? else {
            return Ok(None);
        };
        let opened = self.app.vault.open(&self.key, &sealed).map_err(fault)?;
        let answer = serde_json::from_slice(&opened).map_err(fault)?;
        Ok(Some(Replayable::again(answer)))
    }

    /// Looks whether the same request was answered while this one failed. Where storage did not answer that is worth a glance
    /// and no more: the client waited long enough, and what went wrong first is what counts.
    async fn recall_after<R>(&self, error: &Error, pass: Option<&Pass>) -> Reply<Option<Replayable<R>>> {
        if error.code().kind() != Kind::Busy {
            return self.recall(pass).await;
        }
        Ok(timeout(GLANCE, self.recall(pass)).await.ok().and_then(Result::ok).flatten())
    }

    /// The answer may hold secrets, so it is sealed with the key that only its owner knows.
    fn render<T, R: Record>(self, show: impl Fn(&T) -> R + Send + Sync + 'static) -> Render<'static, T> {
        Box::new(move |outcome| {
            let answer = serde_json::to_vec(&show(outcome).record()?)?;
            Ok(self.app.vault.seal(&self.key, &answer)?)
        })
    }
}

fn fault(error: impl Into<BoxError>) -> Problem {
    Error::Fault(error.into()).into()
}

fn key_of(request: &HttpRequest) -> Result<Option<Vec<u8>>, Problem> {
    let mut given = request.headers().get_all(KEY);
    let Some(key) = given.next() else {
        return Ok(None);
    };
    let visible = key.as_bytes().iter().all(|byte| (b'!'..=b'~').contains(byte));
    let fits = (1..=LONGEST_KEY).contains(&key.len()) && visible;
    if fits && given.next().is_none() {
        Ok(Some(key.as_bytes().to_vec()))
    } else {
        Err(Problem::malformed(format!(
            "Idempotency-Key must be there once, with 1 to {LONGEST_KEY} visible ASCII characters"
        )))
    }
}

/// An answer that is given now, or was given before.
pub struct Replayable<R> {
    answer: Recorded,
    again: bool,
    kind: PhantomData<fn() -> R>,
}

impl<R> Replayable<R> {
    fn again(answer: Recorded) -> Self {
        Self { answer, again: true, kind: PhantomData }
    }
}

impl<R: Record> Replayable<R> {
    fn fresh(answer: &R) -> Reply<Self> {
        Ok(Self { answer: answer.record().map_err(fault)?, again: false, kind: PhantomData })
    }
}

impl<R> Responder for Replayable<R> {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut response = self.answer.response();
        if self.again {
            let headers = response.headers_mut();
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

impl<R: Documented> Documented for Replayable<R> {
    fn describe(operation: &mut Described) {
        R::describe(operation);
        operation
            .success_header("Idempotency-Replayed", "`true` when this is the first answer, given again.");
    }
}
