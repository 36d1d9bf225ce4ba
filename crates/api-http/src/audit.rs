//! The audit trail: who did what to what, when, from where, before and after.

use crate::auth::Granted;
use crate::page::Streamed;
use crate::problem::Reply;
use crate::query::{FromQuery, Params, Query};
use actix_web::web::Data;
use domain::access::rights::ViewAudit;
use domain::app::{App, audit};
use domain::audit::{Event, EventFilter, EventQuery, Fact, Facts};
use domain::page::Direction;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// What was acted upon.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditSubject)]
pub struct SubjectBody {
    /// The kind of thing.
    #[schema(examples("user"))]
    kind: String,
    #[schema(required)]
    id: Option<i64>,
    /// What it was called at the time.
    label: String,
}

/// A line of the trail.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub struct EventBody {
    id: i64,
    #[schema(format = DateTime)]
    at: String,
    /// The account that acted; none for the product itself and for strangers.
    #[schema(required)]
    actor: Option<i64>,
    /// What the actor was called at the time.
    actor_name: String,
    #[schema(examples("user.updated"))]
    action: &'static str,
    subject: SubjectBody,
    #[schema(required)]
    address: Option<String>,
    #[schema(required)]
    agent: Option<String>,
    #[schema(required)]
    request_id: Option<String>,
    /// What changed, as it was before.
    #[schema(value_type = Object)]
    before: Map<String, Value>,
    /// What changed, as it is after.
    #[schema(value_type = Object)]
    after: Map<String, Value>,
}

impl From<Event> for EventBody {
    fn from(event: Event) -> Self {
        let (id, what) = (event.id, event.what);
        let subject = SubjectBody { kind: what.subject.kind, id: what.subject.id, label: what.subject.label };
        Self {
            id: id.get(),
            at: what.at.to_string(),
            actor: what.actor.map(|id| id.get()),
            actor_name: what.actor_name,
            action: what.action.name(),
            subject,
            address: what.origin.address.map(|address| address.to_string()),
            agent: what.origin.agent,
            request_id: what.origin.request_id,
            before: facts(what.before),
            after: facts(what.after),
        }
    }
}

fn facts(facts: Facts) -> Map<String, Value> {
    facts.into_iter().map(|(name, fact)| (name, value(fact))).collect()
}

fn value(fact: Fact) -> Value {
    match fact {
        Fact::Null => Value::Null,
        Fact::Flag(flag) => flag.into(),
        Fact::Number(number) => number.into(),
        Fact::Text(text) => text.into(),
        Fact::List(texts) => texts.into(),
    }
}

/// Which part of the trail is asked for.
pub struct EventsAsked(EventQuery);

impl FromQuery for EventsAsked {
    fn read(params: &mut Params) -> Self {
        let filter = EventFilter {
            actors: params.any_of("actor", "Id of the user who acted."),
            actions: params.any_of("action", "What was done."),
            subject_kinds: params.any_of("subject", "Kind of what was acted upon, such as `user`."),
            subject_ids: params.any_of("subject_id", "Id of what was acted upon."),
            at: params.span("at__gte", "at__lt"),
            search: params.search("Occurs in the name of actor or subject."),
        };
        let order = params.order(&[("at", ()), ("id", ())]);
        let direction = order.first().map_or(Direction::Descending, |order| order.direction);
        Self(EventQuery { filter, direction, seek: params.cursor(), limit: params.page_size() })
    }
}

/// Reads the audit trail
///
/// Newest first, unless `ordering=at` turns it around.
#[utoipa::path(get, path = "/api/audit/")]
pub async fn read_audit_trail(
    Granted(by): Granted<ViewAudit>,
    Query { asked: EventsAsked(query), here }: Query<EventsAsked>,
    app: Data<App>,
) -> Reply<Streamed<EventBody>> {
    let stretch = audit::read(&app, &by, &query).await?;
    Ok(Streamed::new(&here, stretch, |event| event.id, EventBody::from))
}
