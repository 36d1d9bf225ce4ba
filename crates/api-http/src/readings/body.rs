//! How a reading looks, what somebody may send, and what became of it.

use crate::body::fields::Fields;
use crate::body::json::{self, Json};
use crate::body::{FromBody, JSON, from_object, take_object};
use crate::documented::{Described, Documented, text_schema};
use crate::problem::Problem;
use crate::readings::swift;
use crate::reply::{Record, Recorded, Versioned};
use crate::values::{Field, Param, by_metric, finite, mistyped};
use actix_web::http::StatusCode;
use domain::app::App;
use domain::app::ingest::{Counts, Outcome, Sent, Taken, refuse_too_many};
use domain::app::readings::ReadingChange;
use domain::error::{BoxError, Error, Flaw, Reason};
use domain::patch::Patch;
use domain::telemetry::{MOST_ATTRIBUTES, MOST_METRICS, MetricName, Reading, Tag, Tags, Values};
use domain::text::{Description, Label};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use utoipa::openapi::schema::{AdditionalProperties, Array, Object, OneOf, Schema, SchemaType, Type};
use utoipa::openapi::{Content, Ref, RefOr};

/// How many flaws of an array are told before the rest of it is left unread.
const MOST_FLAWS: usize = 1000;

/// What one piece of equipment reported for one instant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reading, examples(json!({
    "id": "7-1777879800000000", "equipment": 7, "timestamp": "2026-05-04T07:30:00.000000Z",
    "values": {"temperature": 71.5, "speed": 1200}, "attributes": {"shift": "early", "manual": false}
})))]
pub struct ReadingBody {
    /// Made of equipment and instant.
    id: String,
    equipment: i64,
    #[schema(format = DateTime)]
    timestamp: String,
    /// What was measured, by metric.
    #[serde(serialize_with = "by_metric")]
    #[schema(value_type = BTreeMap<String, f64>)]
    values: Values,
    /// Other facts; only there when there are some.
    #[serde(skip_serializing_if = "TagsBody::is_empty")]
    #[schema(value_type = Object, required = false)]
    attributes: TagsBody,
}

impl From<Reading> for ReadingBody {
    fn from(reading: Reading) -> Self {
        Self {
            id: reading.id.to_string(),
            equipment: reading.id.equipment.get(),
            timestamp: reading.id.at.to_string(),
            values: reading.values,
            attributes: TagsBody(reading.tags),
        }
    }
}

impl ReadingBody {
    /// The reading with its version.
    pub fn versioned(reading: Reading) -> Versioned<Self> {
        Versioned { version: reading.version(), body: reading.into() }
    }
}

#[derive(Debug)]
struct TagsBody(Tags);

impl TagsBody {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for TagsBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, tag)| (name, TagBody(tag))))
    }
}

struct TagBody<'a>(&'a Tag);

impl Serialize for TagBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Tag::Flag(flag) => serializer.serialize_bool(*flag),
            Tag::Text(text) => serializer.serialize_str(text),
        }
    }
}

/// Named finite numbers, at least one.
impl Field for Values {
    fn schema() -> RefOr<Schema> {
        let mut values = named(<f64 as Field>::schema(), MOST_METRICS);
        values.min_properties = Some(1);
        if let RefOr::T(name) = <MetricName as Param>::schema() {
            values.property_names = Some(Box::new(name));
        }
        values.examples = vec![serde_json::json!({"temperature": 71.5, "speed": 1200})];
        values.into()
    }

    fn read(json: Json, at: &str, flaws: &mut Vec<Flaw>) -> Option<Self> {
        let entries = entries(json, "an object of numbers", MOST_METRICS).and_then(|entries| {
            let is_empty = || Reason::new("required", "must have at least one value");
            if entries.is_empty() { Err(is_empty()) } else { Ok(entries) }
        });
        let named =
            read_each(entries, at, flaws, |name, json| Ok((MetricName::parse(name)?, finite(&json)?)));
        Values::of(named?)
    }
}

/// Named texts and flags.
impl Field for Tags {
    fn schema() -> RefOr<Schema> {
        let mut either = OneOf::new();
        let mut text = text_schema(None);
        text.max_length = Some(1000);
        either.items = vec![text.into(), <bool as Field>::schema()];
        named(Schema::OneOf(either).into(), MOST_ATTRIBUTES).into()
    }

    fn read(json: Json, at: &str, flaws: &mut Vec<Flaw>) -> Option<Self> {
        let entries = entries(json, "an object of texts and flags", MOST_ATTRIBUTES);
        let tags = read_each(entries, at, flaws, |name, json| Ok((tag_name(name)?, tag(json)?)));
        Some(tags?.into_iter().collect())
    }
}

fn tag_name(text: &str) -> Result<String, Reason> {
    let label = Label::parse(text)?;
    if label.as_str() != text {
        return Err(Reason::new("characters", "must be named without blanks around it"));
    }
    Ok(text.to_owned())
}

fn tag(json: Json) -> Result<Tag, Reason> {
    match json {
        Json::Flag(flag) => Ok(Tag::Flag(flag)),
        Json::Text(text) => Ok(Tag::Text(Description::parse(&text)?.to_string())),
        Json::Null | Json::Whole(_) | Json::Float(_) | Json::List(_) | Json::Object(_) => {
            Err(mistyped("text, true or false"))
        }
    }
}

/// The schema of an object of any names.
fn named(value: RefOr<Schema>, most: usize) -> Object {
    let mut object = Object::with_type(SchemaType::Type(Type::Object));
    object.additional_properties = Some(Box::new(AdditionalProperties::RefOr(value)));
    object.max_properties = Some(most);
    object
}

fn entries(json: Json, wanted: &str, most: usize) -> Result<Vec<(String, Json)>, Reason> {
    match json {
        Json::Object(entries) if entries.len() <= most => Ok(entries),
        Json::Object(_) => Err(Reason::new("too_many", format!("must have at most {most} entries"))),
        Json::Null | Json::Flag(_) | Json::Whole(_) | Json::Float(_) | Json::Text(_) | Json::List(_) => {
            Err(mistyped(wanted))
        }
    }
}

/// Reads each entry; names every bad one.
fn read_each<T>(
    entries: Result<Vec<(String, Json)>, Reason>,
    at: &str,
    flaws: &mut Vec<Flaw>,
    read: impl Fn(&str, Json) -> Result<T, Reason>,
) -> Option<Vec<T>> {
    let entries = entries.map_err(|reason| flaws.push(reason.at(at))).ok()?;
    let (count, mut good) = (entries.len(), Vec::with_capacity(entries.len()));
    for (name, json) in entries {
        match read(&name, json) {
            Ok(entry) => good.push(entry),
            Err(reason) => flaws.push(reason.at(format!("{at}.{name}"))),
        }
    }
    (good.len() == count).then_some(good)
}

impl FromBody for Sent {
    const NAME: &'static str = "NewReading";
    const ABOUT: &'static str = "A reading as a machine sends it. Without `timestamp` it is about now.";
    const EXAMPLE: &'static str = r#"{"equipment": "WR-0007", "timestamp": "2026-05-04T07:30:00Z",
        "values": {"temperature": 71.5, "speed": 1200}, "attributes": {"shift": "early", "manual": false}}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (equipment, at) = (fields.required("equipment"), fields.optional("timestamp"));
        let values = fields.required("values");
        let tags = fields.optional("attributes").unwrap_or_default();
        Some(Self { equipment: equipment?, at, values: values?, tags })
    }
}

/// One reading, or several that are stored together or not at all.
#[derive(Debug)]
pub enum Sending {
    /// One.
    One(Sent),
    /// Several.
    Several(Vec<Sent>),
}

impl FromBody for Sending {
    const NAME: &'static str = "NewReadings";
    const ABOUT: &'static str = "A reading, or an array of them that are stored together or not at all.";
    const EXAMPLE: &'static str = Sent::EXAMPLE;
    const LIMIT: usize = 8 * 1024 * 1024;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Sent::read(fields).map(Sending::One)
    }

    fn swift(bytes: &[u8]) -> Option<Self> {
        swift::sending(bytes)
    }

    fn take(app: &App, json: Json) -> Result<Self, Problem> {
        let (count, taken) = if let Json::List(items) = json {
            (items.len(), read_all(app, items).map(Sending::Several).map_err(Problem::from))
        } else {
            (1, take_object(app, json))
        };
        if taken.is_err() {
            app.tally.reject(u64::try_from(count).unwrap_or(u64::MAX));
        }
        taken
    }

    fn schema(operation: &mut Described) -> Ref {
        let one = Sent::schema(operation);
        let mut several = Array::new(one.clone());
        several.max_items = Some(domain::telemetry::MOST_AT_ONCE);
        let mut either = OneOf::new();
        either.description = Some(Self::ABOUT.to_owned());
        either.examples = serde_json::from_str(Self::EXAMPLE).into_iter().collect();
        either.items = vec![one.into(), Schema::Array(several).into()];
        operation.schema(Self::NAME, Schema::OneOf(either).into())
    }
}

fn read_all(app: &App, items: Vec<Json>) -> Result<Vec<Sent>, Error> {
    refuse_too_many(items.len())?;
    let mut all = Vec::with_capacity(items.len());
    let mut flaws = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        if flaws.len() >= MOST_FLAWS {
            break;
        }
        let Ok(object) = json::object(item) else {
            flaws.push(mistyped("an object").at(index.to_string()));
            continue;
        };
        let placed = |flaw: Flaw| Flaw { field: format!("{index}.{}", flaw.field), ..flaw };
        match from_object(app, object) {
            Ok(sent) => all.push(sent),
            Err(Error::Invalid(found)) => flaws.extend(found.into_iter().map(placed)),
            Err(other) => return Err(other),
        }
    }
    if flaws.is_empty() { Ok(all) } else { Err(Error::Invalid(flaws)) }
}

/// A reading as it shall be.
pub struct ReadingPut(pub ReadingChange);

impl FromBody for ReadingPut {
    const NAME: &'static str = "ReadingPut";
    const ABOUT: &'static str = "The reading as it shall be. Another `timestamp` or `equipment` moves it; absent, they stay.         Without `attributes` it has none.";
    const EXAMPLE: &'static str =
        r#"{"timestamp": "2026-05-04T07:30:01Z", "values": {"temperature": 71.25}}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.read_only(&["id"]);
        let (equipment, at) = (fields.changed("equipment"), fields.changed("timestamp"));
        let values = fields.required("values");
        let tags = fields.optional("attributes").unwrap_or_default();
        Some(Self(ReadingChange { equipment, at, values: Some(values?), tags: Some(tags) }))
    }
}

/// What shall be different about a reading.
pub struct ReadingPatch(pub ReadingChange);

impl FromBody for ReadingPatch {
    const NAME: &'static str = "ReadingPatch";
    const ABOUT: &'static str = "What shall be different. What is absent stays; `values` and `attributes` are replaced as a         whole. Another `timestamp` or `equipment` moves the reading.";
    const EXAMPLE: &'static str = r#"{"timestamp": "2026-05-04T07:30:01Z", "attributes": null}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.read_only(&["id"]);
        Some(Self(ReadingChange {
            equipment: fields.changed("equipment"),
            at: fields.changed("timestamp"),
            values: fields.changed("values"),
            tags: match fields.patched("attributes") {
                Patch::Keep => None,
                Patch::Clear => Some(Tags::new()),
                Patch::Set(tags) => Some(tags),
            },
        }))
    }
}

/// How many readings became what.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReadingCounts, examples(json!({"accepted": 2, "duplicates": 1})))]
pub struct CountsBody {
    /// Stored, or added to what was there.
    accepted: u64,
    /// There already.
    duplicates: u64,
}

/// What became of what was sent.
pub struct Receipt {
    status: StatusCode,
    location: Option<String>,
    body: ReceiptBody,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ReceiptBody {
    One(ReadingBody),
    Several(CountsBody),
}

impl Receipt {
    /// What became of one reading.
    pub fn of_one(taken: &Taken) -> Self {
        let location = format!("/api/data/{}", taken.reading.id);
        let body = ReceiptBody::One(taken.reading.clone().into());
        match taken.outcome {
            Outcome::Stored => Self { status: StatusCode::CREATED, location: Some(location), body },
            Outcome::Merged | Outcome::Duplicate => Self { status: StatusCode::OK, location: None, body },
        }
    }

    /// What became of several.
    pub fn of_several(counts: &Counts) -> Self {
        let Counts { accepted, duplicates } = *counts;
        let status = if accepted > 0 { StatusCode::CREATED } else { StatusCode::OK };
        Self { status, location: None, body: ReceiptBody::Several(CountsBody { accepted, duplicates }) }
    }
}

impl Record for Receipt {
    fn record(&self) -> Result<Recorded, BoxError> {
        let recorded = Recorded::new(self.status, &self.body)?;
        Ok(match &self.location {
            Some(location) => recorded.located(location.clone()),
            None => recorded,
        })
    }
}

impl Documented for Receipt {
    fn describe(operation: &mut Described) {
        let mut either = OneOf::new();
        either.items =
            vec![operation.schema_of::<ReadingBody>().into(), operation.schema_of::<CountsBody>().into()];
        let schema = operation.schema("Receipt", Schema::OneOf(either).into());
        let content = Content::new(Some(schema));
        let stored =
            "The reading, which was not there before; or of an array the counts, when some were accepted.";
        operation.answers(StatusCode::CREATED, stored, JSON, content.clone());
        operation.success_header("Location", "Where the reading is.");
        let known = "The reading as it is stored, which was there already or gained something; or of an array the \
            counts, when all were there.";
        operation.answers(StatusCode::OK, known, JSON, content);
    }
}
