//! The outermost layer: the request gets its id and origin, the answer its common headers, the log its line.

use crate::metrics::Sample;
use crate::middleware::address::{client_address, forwarded_by_tls};
use crate::middleware::heads::{Attended, Heads};
use crate::remembered::Route;
use crate::state::State;
use crate::traces::Trace;
use crate::turns::TurnedAway;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, USER_AGENT, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{ConnectionType, Version};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest};
use domain::access::{Actor, Origin};
use std::time::{Duration, Instant};

/// The header that carries the request's id, both ways.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What every answer says, unless it says something else itself.
pub(crate) const ON_EVERY_ANSWER: [(HeaderName, &str); 4] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (CACHE_CONTROL, "no-store"),
];

/// Longer names of clients are cut; they end up in the session list and the audit trail.
const LONGEST_AGENT: usize = 200;

/// Accompanies a request from the first byte to the answer.
pub async fn accompany<B: MessageBody>(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<Attended<B>>, actix_web::Error> {
    let started = Instant::now();
    let heads = Heads::of(request.request());
    heads.iter().for_each(Heads::begun);
    let origin = origin_of(&request, &state);
    let trace = state
        .traces
        .as_ref()
        .map(|traces| traces.begin(&request, origin.request_id.as_deref().unwrap_or_default()));
    request.extensions_mut().insert(origin);
    let mut response = match &trace {
        None => next.call(request).await?,
        Some(trace) => trace.around(next.call(request)).await?,
    };
    let request = response.request().clone();
    dress(response.headers_mut(), &request_id(&request));
    if !state.settings.hsts.is_zero() && came_by_tls(&request, &state) {
        keep_to_tls(response.headers_mut(), state.settings.hsts);
    }
    spare_chunks(&mut response);
    if state.draining.is_on() {
        // Whoever keeps the connection would find it closed a moment later, perhaps in the middle of a request.
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    let took = started.elapsed();
    // What was answered before the router had a look says itself which route it would have taken.
    let said = request.extensions().get::<Route>().cloned();
    let taken = if said.is_none() { request.match_pattern() } else { None };
    let route = said.as_ref().map(|Route(route)| &**route).or(taken.as_deref());
    state.metrics.observe(&Sample { method: request.method(), route, status: response.status(), took });
    if let Some(trace) = &trace {
        trace.answered(request.method(), route, response.status());
    }
    if !TurnedAway::stands_on(&request) {
        log(&request, response.status().as_u16(), took, trace.as_ref());
    }
    Ok(response.map_body(|_, body| Attended::new(body, heads, trace)))
}

/// Where the request came from, as [`accompany`] noted it.
pub fn origin(request: &HttpRequest) -> Origin {
    request.extensions().get::<Origin>().cloned().unwrap_or_default()
}

/// The request's id in the log.
pub fn request_id(request: &HttpRequest) -> String {
    origin(request).request_id.unwrap_or_default()
}

fn origin_of(request: &ServiceRequest, state: &State) -> Origin {
    let headers = request.headers();
    let peer = request.peer_addr().map(|peer| peer.ip());
    Origin {
        address: peer.map(|peer| client_address(peer, headers, &state.settings.trusted_proxies)),
        agent: agent(headers),
        request_id: Some(own_id(headers).unwrap_or_else(|| state.request_ids.next())),
    }
}

fn agent(headers: &HeaderMap) -> Option<String> {
    let agent = headers.get(USER_AGENT)?.to_str().ok()?.trim();
    (!agent.is_empty()).then(|| agent.chars().take(LONGEST_AGENT).collect())
}

/// The client's own id, if it can stand in a log line.
fn own_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let fits = (1..=64).contains(&id.len()) && id.bytes().all(plain);
    fits.then(|| id.to_owned())
}

/// Headers that every answer carries. What an answer says itself stays, but for a word to the layer that compresses.
fn dress(headers: &mut HeaderMap, request_id: &str) {
    if headers.get(CONTENT_ENCODING).is_some_and(|coding| coding == "identity") {
        headers.remove(CONTENT_ENCODING);
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID, id);
    }
    for (name, value) in ON_EVERY_ANSWER {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

/// Whether nobody on a connection can read along; of each connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secrecy {
    pub(crate) is_secret: bool,
}

/// Whether the client came by TLS: to us, or to a proxy that is trusted to say so.
fn came_by_tls(request: &HttpRequest, state: &State) -> bool {
    if request.conn_data::<Secrecy>().is_some_and(|secrecy| secrecy.is_secret) {
        return true;
    }
    let peer = request.peer_addr().map(|peer| peer.ip());
    peer.is_some_and(|peer| forwarded_by_tls(peer, request.headers(), &state.settings.trusted_proxies))
}

fn keep_to_tls(headers: &mut HeaderMap, span: Duration) {
    if let Ok(value) = HeaderValue::from_str(&format!("max-age={}", span.as_secs())) {
        headers.insert(STRICT_TRANSPORT_SECURITY, value);
    }
}

/// HTTP/1.0 knows no chunks: an answer of unknown length ends with its connection.
fn spare_chunks<B: MessageBody>(response: &mut ServiceResponse<B>) {
    let is_old = response.request().version() < Version::HTTP_11;
    if is_old && response.response().body().size() == BodySize::Stream {
        let head = response.response_mut().head_mut();
        head.no_chunking(true);
        head.set_connection_type(ConnectionType::Close);
    }
}

/// One line per request that got its turn; the others are counted, and told now and then. Never a query, a header or a body: they may hold secrets.
fn log(request: &HttpRequest, status: u16, took: Duration, trace: Option<&Trace>) {
    let extensions = request.extensions();
    let origin = extensions.get::<Origin>();
    let user = extensions.get::<Actor>().and_then(Actor::user);
    tracing::info!(
        target: "techtrack::access",
        request_id = origin.and_then(|origin| origin.request_id.as_deref()),
        method = request.method().as_str(),
        path = request.path(),
        status,
        ms = took.as_micros() as f64 / 1000.0,
        user = user.map(|id| id.get()),
        address = origin.and_then(|origin| origin.address).map(tracing::field::display),
        trace_id = trace.map(|trace| tracing::field::display(trace.id())),
        "answered a request"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(text: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_bytes(text.as_bytes()).unwrap());
        own_id(&headers)
    }

    #[test]
    fn a_plain_request_id_of_the_client_is_kept() {
        assert_eq!(id_of("a.B_9-z").as_deref(), Some("a.B_9-z"));
        assert!(id_of(&"x".repeat(64)).is_some());
    }

    #[test]
    fn a_request_id_that_could_forge_a_log_line_is_not() {
        for text in ["", " a", "a b", "a\tb", "{}", "ä", &"x".repeat(65)] {
            assert_eq!(id_of(text), None, "{text:?}");
        }
    }
}
