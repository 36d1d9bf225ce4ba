//! The domain's values on the wire: how each is read from JSON, from a query string, and what its schema is.
//!
//! Reading is the domain's (`Username::parse`); this page only says where the text comes from.

use crate::body::json::Json;
use crate::documented::text_schema;
use domain::access::{Permission, Permissions};
use domain::alerts::AlertStatus;
use domain::audit::Action;
use domain::equipment::{EquipmentRef, Status};
use domain::error::{Flaw, Reason};
use domain::id::{AlertId, EquipmentId, RuleId, UserId};
use domain::rules::written::RuleKind;
use domain::rules::{Operator, Severity};
use domain::telemetry::series::{Aggregate, Interval};
use domain::telemetry::{MetricName, Values};
use domain::text::{Description, Email, Label, Location, Phone, RoleName, Secret, SerialNumber, Username};
use domain::time::{Date, Timestamp};
use domain::users::{PasswordAttempt, UserRef};
use domain::webhooks::{DeliveryStatus, Event, Shape, WebhookUrl};
use serde::{Serialize, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Array, Object, OneOf, Schema, SchemaFormat, SchemaType, Type};

/// A value as it stands in a JSON body.
pub trait Field: Sized {
    /// Its schema.
    fn schema() -> RefOr<Schema>;

    /// Reads it from the field at this path; adds a flaw for everything that is wrong with it.
    fn read(json: Json, at: &str, flaws: &mut Vec<Flaw>) -> Option<Self>;
}

/// A value as it stands in a query string.
pub trait Param: Sized {
    /// Its schema.
    fn schema() -> RefOr<Schema>;

    /// Reads it.
    fn parse(text: &str) -> Result<Self, Reason>;
}

/// A longer name is no misspelt one of ours.
const LONGEST_MISSPELT: usize = 100;

/// Whichever known name comes nearest to this one, if any is near.
pub fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    // Comparing takes as many steps as one has characters, times those of the other.
    if name.len() > LONGEST_MISSPELT {
        return None;
    }
    known
        .iter()
        .map(|known| (strsim::jaro_winkler(name, known), *known))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}

/// The reason why a value of another type is refused.
pub fn mistyped(wanted: &str) -> Reason {
    Reason::new("type", format!("must be {wanted}"))
}

fn noted<T>(read: Result<T, Reason>, at: &str, flaws: &mut Vec<Flaw>) -> Option<T> {
    read.map_err(|reason| flaws.push(reason.at(at))).ok()
}

fn text(json: Json) -> Result<String, Reason> {
    match json {
        Json::Text(text) => Ok(text),
        Json::Null | Json::Flag(_) | Json::Whole(_) | Json::Float(_) | Json::List(_) | Json::Object(_) => {
            Err(mistyped("text"))
        }
    }
}

macro_rules! texts {
    ($($name:ty: $parse:expr, $schema:expr;)*) => {$(
        impl Param for $name {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }

            fn parse(text: &str) -> Result<Self, Reason> {
                $parse(text)
            }
        }

        impl Field for $name {
            fn schema() -> RefOr<Schema> {
                <Self as Param>::schema()
            }

            fn read(json: Json, at: &str, flaws: &mut Vec<Flaw>) -> Option<Self> {
                noted(text(json).and_then(|text| <Self as Param>::parse(&text)), at, flaws)
            }
        }
    )*};
}

texts! {
    Username: Username::parse, sized(text_schema(None), 1, 64, "anna");
    Email: Email::parse, sized(text_schema(Some("email")), 3, 254, "anna@example.com");
    Phone: Phone::parse, sized(text_schema(None), 5, 40, "+49 170 1234567");
    RoleName: RoleName::parse, patterned("^[A-Za-z][A-Za-z0-9_-]{0,63}$", "OPERATOR");
    Label: Label::parse, sized(text_schema(None), 1, 100, "line 2 gateway");
    Description: Description::parse, sized(text_schema(None), 0, 1000, "Looks after line 2.");
    SerialNumber: SerialNumber::parse, sized(text_schema(None), 1, 64, "WR-0007");
    MetricName: MetricName::parse, patterned("^[a-z][a-z0-9_.]{0,63}$", "temperature");
    Timestamp: Timestamp::parse, example(text_schema(Some("date-time")), "2026-05-04T07:30:00.000000Z");
    Date: Date::parse, example(text_schema(Some("date")), "2026-05-04");
    Location: Location::parse, sized(text_schema(None), 1, 200, "plant-1/line-2");
    Interval: Interval::parse, example(text_schema(None), "5m");
    WebhookUrl: WebhookUrl::parse, sized(text_schema(Some("uri")), 8, 2048, "https://example.com/alerts");
    Secret: |text: &str| Ok(Secret::new(text)), text_schema(Some("password"));
    Wished: |text: &str| Ok(Wished(Secret::new(text))), sized(text_schema(Some("password")), 8, 256, "blue kettle on line 2");
    PasswordAttempt: |text: &str| Ok(PasswordAttempt::new(text)), text_schema(Some("password"));
    String: |text: &str| Ok(text.to_owned()), text_schema(None);
}

/// A password that somebody wants to use, not judged yet: that takes the policy of the installation, which may want it
/// longer than the schema says.
pub struct Wished(pub Secret);

macro_rules! names {
    ($($name:ty: $what:literal;)*) => {
        texts! {$(
            $name: |text: &str| {
                let names: Vec<&str> = <$name>::ALL.iter().map(|known| known.name()).collect();
                <$name>::parse(text).ok_or_else(|| unknown_name($what, text, &names))
            }, listed(<$name>::ALL.iter().map(|known| known.name()));
        )*}
    };
}

names! {
    Permission: "a permission";
    Action: "an action";
    Status: "a status";
    Aggregate: "an aggregate";
    Severity: "a severity";
    AlertStatus: "a status";
    Operator: "an operator";
    RuleKind: "a kind of rule";
    Shape: "a shape";
    Event: "an event";
    DeliveryStatus: "a status";
}

/// Few names are listed in full; of many the nearest is told.
fn unknown_name(what: &str, text: &str, known: &[&str]) -> Reason {
    const FEW: usize = 10;
    Reason::new(
        "unknown",
        match nearest(text, known) {
            _ if known.len() <= FEW => format!("must be {what}: one of {}", known.join(", ")),
            Some(meant) => format!("must be {what}; did you mean {meant}?"),
            None => format!("must be {what}"),
        },
    )
}

fn sized(mut text: Object, least: usize, most: usize, sample: &str) -> Object {
    text.min_length = Some(least);
    text.max_length = Some(most);
    example(text, sample)
}

fn patterned(pattern: &str, sample: &str) -> Object {
    let mut text = text_schema(None);
    text.pattern = Some(pattern.to_owned());
    example(text, sample)
}

/// The schema of one of these names.
pub fn listed<'a>(names: impl Iterator<Item = &'a str>) -> Object {
    let mut text = text_schema(None);
    text.enum_values = Some(names.map(Into::into).collect());
    text
}

fn example(mut text: Object, sample: &str) -> Object {
    text.examples = vec![sample.into()];
    text
}

/// The schema of a positive 64-bit integer.
pub fn id_schema() -> Object {
    let mut number = Object::with_type(SchemaType::Type(Type::Integer));
    number.format = Some(SchemaFormat::Custom("int64".to_owned()));
    number.minimum = Some(utoipa::Number::UInt(1));
    number
}

macro_rules! ids {
    ($($name:ty),*) => {$(
        impl Param for $name {
            fn schema() -> RefOr<Schema> {
                id_schema().into()
            }

            fn parse(text: &str) -> Result<Self, Reason> {
                <$name>::parse(text).ok_or_else(|| mistyped("a positive whole number"))
            }
        }

        impl Field for $name {
            fn schema() -> RefOr<Schema> {
                id_schema().into()
            }

            fn read(json: Json, at: &str, flaws: &mut Vec<Flaw>) -> Option<Self> {
                let number = if let Json::Whole(number) = json { i64::try_from(number).ok() } else { None };
                noted(number.and_then(<$name>::new).ok_or_else(|| mistyped("a positive whole number")), at, flaws)
            }
        }
    )*};
}

ids!(UserId, EquipmentId, RuleId, AlertId);

impl Param for i64 {
    fn schema() -> RefOr<Schema> {
        id_schema().into()
    }

    fn parse(text: &str) -> Result<Self, Reason> {
        UserId::parse(text).map(UserId::get).ok_or_else(|| mistyped("a positive whole number"))
    }
}

/// A finite number. JSON has no other, and what is too large for 64 bits is refused before it gets here.
impl Field for f64 {
    fn schema() -> RefOr<Schema> {
        let mut number = Object::with_type(SchemaType::Type(Type::Number));
        number.format = Some(SchemaFormat::Custom("double".to_owned()));
        number.into()
    }

    fn read(json: Json, at: &str, flaws: &mut Vec<Flaw>) -> Option<Self> {
        noted(finite(&json), at, flaws)
    }
}

/// A finite number.
pub fn finite(json: &Json) -> Result<f64, Reason> {
    let number = match json {
        Json::Whole(number) => Some(*number as f64),
        Json::Float(number) => Some(*number),
        Json::Null | Json::Flag(_) | Json::Text(_) | Json::List(_) | Json::Object(_) => None,
    };
    number.filter(|number| number.is_finite()).ok_or_else(|| mistyped("a finite number"))
}

/// A measured number as it is answered: what was sent as a whole number comes back as one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(pub f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// Up to here every whole number is a float and every float a number of its own.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let Self(number) = *self;
        if number.fract() == 0.0 && number.abs() <= EXACT {
            serializer.serialize_i64(number as i64)
        } else {
            serializer.serialize_f64(number)
        }
    }
}

/// Measured numbers as they are answered, by the names of their metrics.
pub fn by_metric<S: Serializer>(values: &Values, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(values.iter().map(|(metric, number)| (metric.as_str(), Number(number))))
}

impl Field for bool {
    fn schema() -> RefOr<Schema> {
        Object::with_type(SchemaType::Type(Type::Boolean)).into()
    }

    fn read(json: Json, at: &str, flaws: &mut Vec<Flaw>) -> Option<Self> {
        let flag = if let Json::Flag(flag) = json { Ok(flag) } else { Err(mistyped("true or false")) };
        noted(flag, at, flaws)
    }
}

impl Param for bool {
    fn schema() -> RefOr<Schema> {
        <bool as Field>::schema()
    }

    fn parse(text: &str) -> Result<Self, Reason> {
        text.parse().map_err(|_| mistyped("true or false"))
    }
}

impl<T: Field> Field for Vec<T> {
    fn schema() -> RefOr<Schema> {
        Schema::Array(Array::new(T::schema())).into()
    }

    fn read(json: Json, at: &str, flaws: &mut Vec<Flaw>) -> Option<Self> {
        let Json::List(items) = json else {
            flaws.push(mistyped("a list").at(at));
            return None;
        };
        let read: Vec<Option<T>> = items
            .into_iter()
            .enumerate()
            .map(|(index, item)| T::read(item, &format!("{at}.{index}"), flaws))
            .collect();
        read.into_iter().collect()
    }
}

impl Field for Permissions {
    fn schema() -> RefOr<Schema> {
        <Vec<Permission> as Field>::schema()
    }

    fn read(json: Json, at: &str, flaws: &mut Vec<Flaw>) -> Option<Self> {
        let list = Vec::<Permission>::read(json, at, flaws)?;
        Some(list.into_iter().collect())
    }
}

/// A user is named by number or by login; in a query, where everything is text, digits are a number.
impl Field for UserRef {
    fn schema() -> RefOr<Schema> {
        <UserRef as Param>::schema()
    }

    fn read(json: Json, at: &str, flaws: &mut Vec<Flaw>) -> Option<Self> {
        match json {
            Json::Text(login) => noted(Username::parse(&login).map(UserRef::Login), at, flaws),
            Json::Whole(_) => UserId::read(json, at, flaws).map(UserRef::Id),
            Json::Null | Json::Flag(_) | Json::Float(_) | Json::List(_) | Json::Object(_) => {
                flaws.push(mistyped("a user's id or login").at(at));
                None
            }
        }
    }
}

impl Param for UserRef {
    fn schema() -> RefOr<Schema> {
        let mut either = OneOf::new();
        either.items = vec![id_schema().into(), <Username as Param>::schema()];
        RefOr::T(Schema::OneOf(either))
    }

    fn parse(text: &str) -> Result<Self, Reason> {
        match UserId::parse(text) {
            Some(id) => Ok(UserRef::Id(id)),
            None => Username::parse(text).map(UserRef::Login),
        }
    }
}

/// Equipment is named by number or by serial number: a JSON number, or text.
impl Field for EquipmentRef {
    fn schema() -> RefOr<Schema> {
        let mut either = OneOf::new();
        either.items = vec![id_schema().into(), <SerialNumber as Param>::schema()];
        RefOr::T(Schema::OneOf(either))
    }

    fn read(json: Json, at: &str, flaws: &mut Vec<Flaw>) -> Option<Self> {
        match json {
            Json::Text(serial) => noted(SerialNumber::parse(&serial).map(EquipmentRef::Serial), at, flaws),
            Json::Whole(_) => EquipmentId::read(json, at, flaws).map(EquipmentRef::Id),
            Json::Null | Json::Flag(_) | Json::Float(_) | Json::List(_) | Json::Object(_) => {
                flaws.push(mistyped("equipment's id or serial number").at(at));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaws_of<T: Field>(json: Json) -> Vec<(String, &'static str)> {
        let mut flaws = Vec::new();
        assert!(T::read(json, "field", &mut flaws).is_none());
        flaws.into_iter().map(|flaw| (flaw.field, flaw.reason.code)).collect()
    }

    #[test]
    fn every_bad_item_of_a_list_is_named_by_its_place() {
        let names =
            |names: &[&str]| Json::List(names.iter().map(|name| Json::Text((*name).into())).collect());
        let flaws = flaws_of::<Permissions>(names(&["users:read", "users:raed", "x"]));
        assert_eq!(flaws, [("field.1".into(), "unknown"), ("field.2".into(), "unknown")]);
    }

    #[test]
    fn a_value_of_another_type_is_a_flaw() {
        assert_eq!(flaws_of::<Username>(Json::Whole(1)), [("field".into(), "type")]);
        assert_eq!(flaws_of::<bool>(Json::Text("true".into())), [("field".into(), "type")]);
        assert_eq!(flaws_of::<UserId>(Json::Float(1.0)), [("field".into(), "type")]);
        assert_eq!(flaws_of::<UserId>(Json::Whole(0)), [("field".into(), "type")]);
        assert_eq!(flaws_of::<UserId>(Json::Whole(1 << 70)), [("field".into(), "type")]);
        assert_eq!(flaws_of::<Vec<bool>>(Json::Object(Vec::new())), [("field".into(), "type")]);
        assert_eq!(flaws_of::<UserRef>(Json::Null), [("field".into(), "type")]);
        assert_eq!(flaws_of::<EquipmentRef>(Json::Float(1.5)), [("field".into(), "type")]);
        assert_eq!(flaws_of::<f64>(Json::Text("1".into())), [("field".into(), "type")]);
        assert_eq!(flaws_of::<f64>(Json::Float(f64::INFINITY)), [("field".into(), "type")]);
        assert_eq!(flaws_of::<Severity>(Json::Text("bad".into())), [("field".into(), "unknown")]);
    }

    #[test]
    fn a_misspelt_name_is_answered_with_the_nearest_one() {
        assert_eq!(nearest("usrname", &["username", "email"]), Some("username"));
        assert_eq!(nearest("zzz", &["username", "email"]), None);
        assert_eq!(nearest(&"username".repeat(100_000), &["username", "email"]), None);
        let reason = <Permission as Param>::parse("users:raed").unwrap_err();
        assert!(reason.message.contains("did you mean users:read?"), "{}", reason.message);
    }

    #[test]
    fn a_user_is_named_by_number_or_by_login() {
        let parsed = <UserRef as Param>::parse("12").unwrap();
        assert_eq!(parsed, UserRef::Id(UserId::new(12).unwrap()));
        let login = |text: &str| UserRef::Login(Username::parse(text).unwrap());
        assert_eq!(<UserRef as Param>::parse("anna").unwrap(), login("anna"));
        let read = UserRef::read(Json::Text("12".into()), "mentor", &mut Vec::new());
        assert_eq!(read, Some(login("12")));
    }
}
