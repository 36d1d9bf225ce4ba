//! The gate before each handler: is it their turn, who is it, may they call this often, do they take the answer; and behind
//! the gate a panic becomes an answer.

use crate::auth;
use crate::body;
use crate::manners::Manners;
use crate::middleware::allowance::{self, Left};
use crate::middleware::{context, negotiation};
use crate::problem::Problem;
use crate::problem::table::Misuse;
use crate::state::State;
use crate::turns::{Caller, Class, Pass, TurnedAway};
use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderValue, VARY};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use domain::access::Actor;
use domain::error::Error;
use futures_util::FutureExt;
use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// What the gate must know of an operation.
#[derive(Clone)]
pub struct Entry {
    /// In which line its callers wait.
    pub class: Class,
    /// Whether strangers may call.
    pub public: bool,
    /// What callers are used to.
    pub manners: Manners,
    /// Whether calls count against an allowance.
    pub metered: bool,
    /// Whether it takes query parameters.
    pub takes_query: bool,
    /// The media types of its success.
    pub media_types: Vec<String>,
    /// Whether it may take as long as it likes.
    pub lasts: bool,
}

/// How long a handler may take once it has its body. Every wait below it has a shorter end of its own; this is for all of them
/// together.
const PATIENCE: Duration = Duration::from_secs(10);

/// Lets a request through to its handler, or answers why not.
pub async fn admit(
    entry: Arc<Entry>,
    state: Data<State>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    // The router is done with the request, so a second handle on it disturbs nobody from here on.
    let handle = request.request().clone();
    handle.extensions_mut().insert(entry.manners);
    let pass = match Pass::take(&state.turns, entry.class).await {
        Ok(pass) => pass,
        Err(problem) => {
            TurnedAway::mark(&handle);
            return Ok(refuse(handle, problem));
        }
    };
    handle.extensions_mut().insert(pass.clone());
    let identity = identify(&entry, &state, &request).await;
    let actor = identity.as_ref().ok().and_then(Option::as_ref);
    let allowance = allow(&entry, &state, actor, &handle).await;
    let judged = judge(&entry, &handle, identity, allowance.as_ref());
    // Only now it is known who calls.
    let mut response = match judged.and_then(|()| pass.charge(|| Caller::of_request(&handle))) {
        Ok(()) => in_time(&entry, handle, next.call(request)).await?,
        Err(problem) => refuse(handle, problem),
    };
    pass.end();
    if let Some(allowance) = &allowance {
        allowance::tell(allowance, response.headers_mut());
    }
    if !entry.public {
        let vary = HeaderValue::from_static("authorization");
        response.headers_mut().append(VARY, vary);
    }
    Ok(response)
}

/// Strangers' operations do not look at credentials, so a bad one does not hurt there.
async fn identify(entry: &Entry, state: &State, request: &ServiceRequest) -> Result<Option<Actor>, Problem> {
    if entry.public {
        return Ok(None);
    }
    auth::identify(state, entry.class, entry.manners, request).await.map(Some)
}

async fn allow(entry: &Entry, state: &State, actor: Option<&Actor>, request: &HttpRequest) -> Option<Left> {
    if !entry.metered {
        return None;
    }
    allowance::spend(state, entry.class, actor, &context::origin(request)).await
}

/// Whether the request may reach its handler; notes the caller for the handler's first argument.
fn judge(
    entry: &Entry,
    request: &HttpRequest,
    identity: Result<Option<Actor>, Problem>,
    allowance: Option<&Left>,
) -> Result<(), Problem> {
    if let Some(refusal) = allowance.and_then(Left::refusal) {
        return Err(refusal);
    }
    if let Some(actor) = identity? {
        request.extensions_mut().insert(actor);
    }
    refuse_query(entry, request)?;
    refuse_accept(entry, request)
}

/// Parameters that nobody reads are refused, because a client that sends them expects them to matter.
fn refuse_query(entry: &Entry, request: &HttpRequest) -> Result<(), Problem> {
    if entry.takes_query || !entry.metered || request.query_string().is_empty() {
        return Ok(());
    }
    let name = request.query_string().split(['=', '&']).next().unwrap_or_default();
    let detail = format!("this operation takes no query parameters, and so no {name}");
    Err(Problem::Http(Misuse::UnknownParameter, detail))
}

fn refuse_accept(entry: &Entry, request: &HttpRequest) -> Result<(), Problem> {
    if entry.media_types.is_empty() || negotiation::accepts_any(request.headers(), &entry.media_types) {
        return Ok(());
    }
    let offered = entry.media_types.join(", ");
    let detail = format!("the answer can be given as {offered} only");
    Err(Problem::Http(Misuse::NotAcceptable, detail))
}

/// Waits for the handler, but not for ever. What it began to write goes on without it, so nobody knows how that ends.
async fn in_time(
    entry: &Entry,
    handle: HttpRequest,
    answer: impl Future<Output = Result<ServiceResponse<BoxBody>, actix_web::Error>>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if entry.lasts {
        return survive(handle, answer).await;
    }
    let limit = if body::is_announced(handle.headers()) { PATIENCE + body::LONGEST } else { PATIENCE };
    let writes = !handle.method().is_safe() && !entry.class.only_reads();
    match timeout(limit, survive(handle.clone(), answer)).await {
        Ok(answer) => answer,
        Err(_) if writes => Ok(refuse(handle, Error::OutcomeUnknown.into())),
        Err(_) => Ok(refuse(handle, Error::Busy("the answer took too long", None).into())),
    }
}

/// Waits for the handler; one that panics is answered for, instead of having its connection closed without a word.
async fn survive(
    handle: HttpRequest,
    answer: impl Future<Output = Result<ServiceResponse<BoxBody>, actix_web::Error>>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(answer) => answer,
        Err(panic) => Ok(refuse(handle, Error::Fault(last_words(&*panic).into()).into())),
    }
}

fn last_words(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a handler panicked: {}", text.unwrap_or("without a word"))
}

fn refuse(request: HttpRequest, problem: Problem) -> ServiceResponse<BoxBody> {
    ServiceResponse::new(request, HttpResponse::from_error(problem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    async fn given_up(class: Class) -> String {
        let entry = Entry {
            class,
            public: false,
            manners: Manners::House,
            metered: true,
            takes_query: false,
            media_types: Vec::new(),
            lasts: false,
        };
        let request = TestRequest::post().to_http_request();
        let answer = in_time(&entry, request, std::future::pending()).await.unwrap();
        let problem = answer.response().error().unwrap().as_error::<Problem>().unwrap();
        problem.row().code.to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn only_who_may_have_changed_something_is_told_that_nobody_knows() {
        assert_eq!(given_up(Class::Write).await, "outcome_unknown");
        assert_eq!(given_up(Class::Portion).await, "busy");
    }
}
