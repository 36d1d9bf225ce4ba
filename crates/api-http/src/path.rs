//! What stands in a path. A malformed or impossible name is simply not there: 404, before anything is asked.

use crate::documented::{Described, Documented, text_schema};
use crate::problem::Problem;
use crate::values::id_schema;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use domain::access::Actor;
use domain::error::Error;
use domain::id::{
    AlertId, ApiKeyId, DeliveryId, EquipmentId, MaintenanceId, RuleId, SessionId, UserId, WebhookId,
};
use domain::roles::RoleRef;
use domain::telemetry::{MetricName, ReadingId};
use domain::text::RoleName;
use std::future::{Ready, ready};
use utoipa::openapi::path::{ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::OneOf;
use utoipa::openapi::{RefOr, Required, Schema};

/// A name that may stand in a path.
pub trait Segment: Sized + 'static {
    /// What it names, as in "no such user".
    const NOUN: &'static str;

    /// Its schema.
    fn schema() -> RefOr<Schema>;

    /// Reads it.
    fn parse(text: &str) -> Option<Self>;
}

macro_rules! extractors {
    ($($(#[$doc:meta])* $name:ident = $parameter:literal;)*) => {$(
        $(#[$doc])*
        pub struct $name<T>(pub T);

        impl<T: Segment> FromRequest for $name<T> {
            type Error = Problem;
            type Future = Ready<Result<Self, Problem>>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                let segment = request.match_info().get($parameter).and_then(T::parse);
                ready(segment.map($name).ok_or_else(|| Error::NotFound(T::NOUN).into()))
            }
        }

        impl<T: Segment> Documented for $name<T> {
            fn describe(operation: &mut Described) {
                describe($parameter, T::schema(), operation);
            }
        }
    )*};
}

extractors! {
    /// The `{id}` of a path.
    Id = "id";
    /// The `{name}` of a path.
    Name = "name";
    /// The `{entry}` of a path.
    Entry = "entry";
}

/// The user whom a path names by `{id}`; `me` is oneself.
pub struct Whom(pub UserId);

impl FromRequest for Whom {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let user = match request.match_info().get("id") {
            Some("me") => request.extensions().get::<Actor>().and_then(Actor::user),
            Some(text) => UserId::parse(text),
            None => None,
        };
        ready(user.map(Whom).ok_or_else(|| Error::NotFound("user").into()))
    }
}

impl Documented for Whom {
    fn describe(operation: &mut Described) {
        let mut oneself = text_schema(None);
        oneself.enum_values = Some(vec!["me".into()]);
        let mut either = OneOf::new();
        either.items = vec![id_schema().into(), oneself.into()];
        describe("id", RefOr::T(Schema::OneOf(either)), operation);
    }
}

fn describe(name: &str, schema: RefOr<Schema>, operation: &mut Described) {
    operation.parameter(
        ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .schema(Some(schema)),
    );
    operation.fails(StatusCode::NOT_FOUND);
}

macro_rules! ids {
    ($($name:ty: $noun:literal;)*) => {$(
        impl Segment for $name {
            const NOUN: &'static str = $noun;

            fn schema() -> RefOr<Schema> {
                id_schema().into()
            }

            fn parse(text: &str) -> Option<Self> {
                <$name>::parse(text)
            }
        }
    )*};
}

ids! {
    SessionId: "session";
    ApiKeyId: "API key";
    RuleId: "alert rule";
    AlertId: "alert";
    EquipmentId: "equipment";
    MaintenanceId: "maintenance entry";
    WebhookId: "webhook";
    DeliveryId: "delivery";
}

impl Segment for RoleRef {
    const NOUN: &'static str = "role";

    fn schema() -> RefOr<Schema> {
        let mut either = OneOf::new();
        either.items = vec![id_schema().into(), <RoleName as Segment>::schema()];
        RefOr::T(Schema::OneOf(either))
    }

    fn parse(text: &str) -> Option<Self> {
        RoleRef::parse(text)
    }
}

impl Segment for RoleName {
    const NOUN: &'static str = "role";

    fn schema() -> RefOr<Schema> {
        <RoleName as crate::values::Param>::schema()
    }

    fn parse(text: &str) -> Option<Self> {
        RoleName::parse(text).ok()
    }
}

impl Segment for MetricName {
    const NOUN: &'static str = "metric";

    fn schema() -> RefOr<Schema> {
        <MetricName as crate::values::Param>::schema()
    }

    fn parse(text: &str) -> Option<Self> {
        MetricName::parse(text).ok()
    }
}

impl Segment for ReadingId {
    const NOUN: &'static str = "reading";

    fn schema() -> RefOr<Schema> {
        let mut id = text_schema(None);
        id.examples = vec!["7-1777879800000000".into()];
        id.into()
    }

    fn parse(text: &str) -> Option<Self> {
        ReadingId::parse(text)
    }
}

/// Any other word of ours.
impl Segment for String {
    const NOUN: &'static str = "page";

    fn schema() -> RefOr<Schema> {
        text_schema(None).into()
    }

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}
