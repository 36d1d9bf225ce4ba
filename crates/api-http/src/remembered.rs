//! Answers that were written once and are given again for as long as their grounds hold.
//!
//! A handler whose answer may be given again returns it as [`Kept`]. [`recall`] keeps the bytes, and answers requests for
//! the same from them before the router has a look: who asks must be known, see and reach the same as whoever the answer
//! was written for, and reading it anew must come to the same (see [`domain::app::known`]). Everything else takes the
//! long way.

use crate::auth;
use crate::body::JSON;
use crate::conditional::is_fresh;
use crate::documented::{Described, Documented};
use crate::middleware::allowance::{self, Left};
use crate::middleware::{context, negotiation};
use crate::state::State;
use crate::turns::Class;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, VARY};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, Responder};
use domain::access::Actor;
use domain::app::known::{Grounds, Hits, Known};
use domain::app::sessions;
use domain::equipment::Reach;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::Arc;

/// About so many bytes of answers are kept at most.
const MOST_BYTES: u64 = 32 << 20;

/// About how many answers are kept at once.
const ANSWERS_EXPECTED: usize = 10_000;

/// What an answer takes beside its bytes, and each head that it rests on.
const BYTES_OF_AN_ANSWER: usize = 512;

/// The headers of an answer that belong to it; all others are put on anew with each.
const ITS_OWN: [HeaderName; 4] = [CONTENT_TYPE, ETAG, CACHE_CONTROL, VARY];

/// What an answer is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// The equipment register.
    Equipment,
    /// The newest values of a piece of equipment.
    Latest,
    /// People.
    Users,
    /// Roles.
    Roles,
    /// Alert rules.
    Rules,
}

impl Topic {
    /// All of them.
    pub const ALL: [Topic; 5] = [Topic::Equipment, Topic::Latest, Topic::Users, Topic::Roles, Topic::Rules];

    /// The name under which hits are counted.
    pub const fn name(self) -> &'static str {
        match self {
            Topic::Equipment => "equipment",
            Topic::Latest => "latest",
            Topic::Users => "users",
            Topic::Roles => "roles",
            Topic::Rules => "rules",
        }
    }

    /// Whether others with the same rights see something else.
    const fn is_personal(self) -> bool {
        matches!(self, Topic::Users)
    }
}

/// An answer that may be given again.
pub struct Kept<T> {
    topic: Topic,
    known: Known<T>,
}

impl<T> Kept<T> {
    /// The answer to a question of this topic.
    pub fn new(topic: Topic, grounds: Option<Grounds>, answer: T) -> Self {
        Self { topic, known: Known { value: answer, grounds } }
    }
}

impl<T: Documented> Documented for Kept<T> {
    fn describe(operation: &mut Described) {
        T::describe(operation);
    }
}

/// How an answer may be kept; travels with it.
#[derive(Clone)]
struct Keeping {
    topic: Topic,
    grounds: Option<Grounds>,
}

impl<T: Responder<Body = BoxBody>> Responder for Kept<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let Self { topic, known: Known { value, grounds } } = self;
        let mut response = value.respond_to(request);
        response.extensions_mut().insert(Keeping { topic, grounds });
        response
    }
}

/// The route that a request would have taken, for the count of requests.
#[derive(Clone)]
pub struct Route(pub Arc<str>);

/// Answers that are kept.
pub struct Answers {
    kept: Cache<Arc<[u8]>, Arc<Answer>, InBytes>,
    hits: [Hits; Topic::ALL.len()],
}

struct Answer {
    topic: Topic,
    grounds: Grounds,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    route: Route,
}

/// Weighs answers by about how many bytes they take.
#[derive(Clone)]
struct InBytes;

impl Weighter<Arc<[u8]>, Arc<Answer>> for InBytes {
    fn weight(&self, key: &Arc<[u8]>, answer: &Arc<Answer>) -> u64 {
        (key.len() + answer.body.len() + BYTES_OF_AN_ANSWER + 16 * answer.grounds.size()) as u64
    }
}

impl Default for Answers {
    fn default() -> Self {
        let kept = Cache::with_weighter(ANSWERS_EXPECTED, MOST_BYTES, InBytes);
        Self { kept, hits: Default::default() }
    }
}

impl Answers {
    /// How often answers to questions of this topic were given again, and how often not.
    pub fn hits(&self, topic: Topic) -> &Hits {
        let [equipment, latest, users, roles, rules] = &self.hits;
        match topic {
            Topic::Equipment => equipment,
            Topic::Latest => latest,
            Topic::Users => users,
            Topic::Roles => roles,
            Topic::Rules => rules,
        }
    }

    fn find(&self, actor: &Actor, address: &str) -> Option<Arc<Answer>> {
        [false, true].into_iter().find_map(|personal| self.kept.get(&*key(actor, personal, address)))
    }
}

/// All that an answer depends on beside its grounds: what the caller may see and reach, who they are if that matters, and
/// what they ask for, to the letter.
fn key(actor: &Actor, personal: bool, address: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(32 + address.len());
    key.extend_from_slice(&actor.permissions().bits().to_be_bytes());
    key.push(u8::from(actor.session().is_some()));
    match actor.reach() {
        Reach::All => key.push(0),
        Reach::Only(pieces) => {
            key.push(1);
            key.extend_from_slice(&pieces.len().to_be_bytes());
            pieces.iter().for_each(|piece| key.extend_from_slice(&piece.get().to_be_bytes()));
        }
    }
    let user = actor.user().filter(|_| personal).map_or(0, |user| user.get());
    key.extend_from_slice(&user.to_be_bytes());
    key.extend_from_slice(address.as_bytes());
    key
}

/// Answers from what is kept, or has the question answered and keeps what may be kept.
pub async fn recall(
    state: Data<State>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if request.method() != Method::GET {
        return next.call(request).await;
    }
    if let Some((answer, actor, is_spared)) = remembered(&state, &request) {
        return Ok(give_again(&state, request, &answer, actor, is_spared).await);
    }
    let mut response = next.call(request).await?;
    let keeping = response.response_mut().extensions_mut().remove::<Keeping>();
    Ok(match keeping {
        Some(keeping) => keep(&state, response, keeping),
        None => response,
    })
}

/// The answer that is kept for this request, for whom it is, and whether they have it already.
fn remembered(state: &State, request: &ServiceRequest) -> Option<(Arc<Answer>, Actor, bool)> {
    let headers = request.headers();
    let token = auth::credential(headers).ok()?;
    let actor = sessions::remembered(&state.app, &token)?;
    let answer = state.answers.find(&actor, request.uri().path_and_query()?.as_str())?;
    if !state.app.hold(&answer.grounds) || !negotiation::accepts(headers, JSON) {
        return None;
    }
    // What is said in a header that makes no sense is refused on the long way.
    let is_spared = match answer.tag() {
        Some(tag) => is_fresh(headers, tag).ok()?,
        None => false,
    };
    Some((answer, actor, is_spared))
}

async fn give_again(
    state: &State,
    request: ServiceRequest,
    answer: &Answer,
    actor: Actor,
    is_spared: bool,
) -> ServiceResponse<BoxBody> {
    let origin = context::origin(request.request());
    let allowance = allowance::spend(state, Class::Read, Some(&actor), &origin).await;
    let mut response = match allowance.as_ref().and_then(Left::refusal) {
        Some(refusal) => HttpResponse::from_error(refusal),
        None => answer.response(is_spared),
    };
    if let Some(allowance) = &allowance {
        allowance::tell(allowance, response.headers_mut());
    }
    state.answers.hits(answer.topic).count(true);
    let mut extensions = request.extensions_mut();
    extensions.insert(answer.route.clone());
    extensions.insert(actor);
    drop(extensions);
    // A refusal must arrive with its reason, which `into_response` would leave behind.
    ServiceResponse::new(request.into_parts().0, response)
}

/// Keeps the bytes of an answer that may be given again.
fn keep(state: &State, response: ServiceResponse<BoxBody>, keeping: Keeping) -> ServiceResponse<BoxBody> {
    let Keeping { topic, grounds } = keeping;
    state.answers.hits(topic).count(false);
    let Some(grounds) = grounds.filter(|_| response.status() == StatusCode::OK) else { return response };
    let request = response.request();
    let key = request
        .extensions()
        .get::<Actor>()
        .zip(request.uri().path_and_query())
        .map(|(actor, address)| Arc::from(key(actor, topic.is_personal(), address.as_str())));
    let route: Arc<str> = request.match_pattern().unwrap_or_default().into();
    let own = |name| response.headers().get(&name).map(|value| (name, value.clone()));
    let headers = ITS_OWN.into_iter().filter_map(own).collect();
    response.map_body(|_, body| match (body.try_into_bytes(), key) {
        (Ok(body), Some(key)) => {
            let answer = Answer { topic, grounds, headers, body: body.clone(), route: Route(route) };
            state.answers.kept.insert(key, Arc::new(answer));
            BoxBody::new(body)
        }
        (Ok(body), None) => BoxBody::new(body),
        (Err(body), _) => body,
    })
}

impl Answer {
    /// What its validator says, without the quotes.
    fn tag(&self) -> Option<&str> {
        let (_, tag) = self.headers.iter().find(|(name, _)| *name == ETAG)?;
        tag.to_str().ok()?.strip_prefix('"')?.strip_suffix('"')
    }

    fn response(&self, is_spared: bool) -> HttpResponse {
        let status = if is_spared { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
        let body = if is_spared { BoxBody::new(()) } else { BoxBody::new(self.body.clone()) };
        let mut response = HttpResponse::with_body(status, body);
        for (name, value) in &self.headers {
            if !is_spared || *name != CONTENT_TYPE {
                response.headers_mut().insert(name.clone(), value.clone());
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::access::{Credential, Origin, Permission, Permissions, Who};
    use domain::id::{EquipmentId, SessionId, UserId};
    use domain::text::Username;
    use std::collections::HashSet;

    fn actor(user: i64, permissions: &[Permission], pieces: Option<&[i64]>) -> Actor {
        let who = Who::User {
            id: UserId::new(user).unwrap(),
            username: Username::restore("anna".to_owned()),
            credential: Credential::Session(SessionId::new(1).unwrap()),
        };
        let permissions: Permissions = permissions.iter().copied().collect();
        let reach = pieces.map_or(Reach::All, |pieces| {
            Reach::Only(pieces.iter().map(|piece| EquipmentId::new(*piece).unwrap()).collect())
        });
        Actor::new(who, permissions, Origin::default()).reaching(reach)
    }

    #[test]
    fn whoever_may_see_or_reach_something_else_has_answers_of_their_own() {
        let read = [Permission::EquipmentRead];
        let both = [Permission::EquipmentRead, Permission::EquipmentWrite];
        let callers = [
            actor(1, &read, None),
            actor(1, &both, None),
            actor(1, &read, Some(&[])),
            actor(1, &read, Some(&[1])),
            actor(1, &read, Some(&[1, 2])),
        ];
        let keys: HashSet<_> = callers.iter().map(|caller| key(caller, false, "/api/equipment")).collect();
        assert_eq!(keys.len(), callers.len());
    }

    #[test]
    fn only_what_is_personal_is_kept_apart_for_people_of_the_same_rights() {
        let (anna, ben) = (actor(1, &[], None), actor(2, &[], None));
        assert_eq!(key(&anna, false, "/api/roles"), key(&ben, false, "/api/roles"));
        assert_ne!(key(&anna, true, "/api/users"), key(&ben, true, "/api/users"));
        assert_ne!(key(&anna, true, "/api/users"), key(&anna, false, "/api/users"));
    }
}
