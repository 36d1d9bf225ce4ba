//! Points become readings, by the rules of [`domain::telemetry::points`].

use crate::influx::line::{Line, Name, Value, Wrong};
use crate::influx::precision::Precision;
use crate::influx::wholes::{Reader, Tried, Whole, Wholes};
use crate::influx::writers::Writers;
use crate::readings::intake::{Batch, LineError, Reads};
use crate::readings::lines::{self, LONGEST};
use crate::readings::shapes::Shapes;
use crate::readings::swift;
use domain::app::App;
use domain::app::ingest::Sent;
use domain::equipment::EquipmentRef;
use domain::id::EquipmentId;
use domain::telemetry::points::{ID_TAG, Mapping, Role, end_name};
use domain::telemetry::{MOST_ATTRIBUTES, MOST_METRICS, MetricName, Tag, Tags, Values};
use domain::text::{Description, Label};
use domain::time::Timestamp;
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// So many pieces of equipment are remembered by name. Whoever has more of them in one upload looks them up anew.
const MOST_NAMES: usize = 100_000;

/// Reads points, line by line.
pub(super) struct Points {
    points: PointReader,
    wholes: Wholes,
}

impl Points {
    /// Points that mean this and have their instants in this unit; those without one are about `arrived_at`.
    pub(super) fn new(mapping: Mapping, precision: Precision, arrived_at: Timestamp) -> Self {
        let points = PointReader {
            mapping,
            precision,
            arrived_at,
            names: HashMap::new(),
            writers: Writers::default(),
            hasher: RandomState::new(),
            name: String::new(),
        };
        Self { points, wholes: Wholes::default() }
    }
}

impl Reads for Points {
    fn take(&mut self, app: &App, line: lines::Line, batch: &mut Batch) {
        let lines::Line { number, text } = line;
        match text {
            Some(text) => self.wholes.push(Whole { number, text }),
            None => batch.bad(app, LineError::unreadable(number, &format!("longer than {LONGEST} bytes"))),
        }
        self.wholes.read_all(false, &mut Into { points: &mut self.points, app, batch });
    }

    fn end(&mut self, app: &App, batch: &mut Batch) {
        self.wholes.read_all(true, &mut Into { points: &mut self.points, app, batch });
    }

    fn handed_over(&mut self) {
        self.points.writers.forget();
    }

    fn first_waiting(&self) -> Option<u64> {
        self.wholes.first_waiting()
    }
}

/// Reads points into a batch.
struct Into<'a> {
    points: &'a mut PointReader,
    app: &'a App,
    batch: &'a mut Batch,
}

impl Reader for Into<'_> {
    fn read(&mut self, whole: &Whole, is_joined: bool) -> Tried {
        match self.points.read(whole) {
            Ok(Some(sent)) => self.batch.good(whole.number, sent),
            Ok(None) => {}
            Err(Refused::Open) => return Tried::Open,
            Err(_) if is_joined => return Tried::Wrong,
            Err(refused) => self.batch.bad(self.app, refused.of_line(whole.number)),
        }
        Tried::Done
    }

    fn refuse(&mut self, line: &Whole) {
        self.batch.bad(self.app, Refused::Open.of_line(line.number));
    }
}

/// Reads points one by one.
struct PointReader {
    mapping: Mapping,
    precision: Precision,
    /// The instant of points that have none.
    arrived_at: Timestamp,
    names: HashMap<String, EquipmentRef>,
    writers: Writers,
    hasher: RandomState,
    /// The name of the metric at hand, kept for its room.
    name: String,
}

impl PointReader {
    fn read(&mut self, whole: &Whole) -> Result<Option<Sent>, Refused> {
        if whole.text.trim_ascii().is_empty() {
            return Ok(None);
        }
        let text = std::str::from_utf8(&whole.text).map_err(|_| Refused::said("not UTF-8"))?;
        let text = text.trim_start_matches(' ');
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.starts_with('#') {
            return Ok(None);
        }
        self.point(text).map(Some)
    }

    fn point(&mut self, text: &str) -> Result<Sent, Refused> {
        let line = Line::part(text)?;
        let tagged = Tagged::of(&line, &self.mapping, &self.hasher)?;
        let equipment = self.equipment(&tagged)?;
        let measurement = line.measurement.said();
        self.mapping.begin_names(
            &mut self.name,
            &measurement,
            tagged.in_names.iter().map(|(_, value)| &**value),
        );
        let mut attributes = tagged.attributes;
        let mut fields = line.fields();
        let (values, at) = swift::with_shapes(|shapes| -> Result<_, Refused> {
            let values = numbers(shapes, &mut fields, &mut self.name, &mut attributes)?;
            Ok((values, fields.instant()?))
        })?;
        let at = match at {
            Some(units) => self
                .precision
                .instant(units)
                .ok_or_else(|| Refused::said("of no instant between the years 1 and 9999"))?,
            None => self.arrived_at,
        };
        if attributes.len() > MOST_ATTRIBUTES {
            return Err(Refused::Said(format!("with more than {MOST_ATTRIBUTES} texts and flags")));
        }
        let sent = Sent { equipment, at: Some(at), values, tags: attributes };
        self.refuse_other_writer(&sent, tagged.others)?;
        Ok(sent)
    }

    fn equipment(&mut self, tagged: &Tagged<'_>) -> Result<EquipmentRef, Refused> {
        let Some((_, tag, name)) = &tagged.equipment else {
            let tags = self.mapping.equipment_tags.join(", ");
            return Err(Refused::Said(format!("without a tag that names its equipment, such as {tags}")));
        };
        if tag == ID_TAG {
            let id = EquipmentId::parse(name).map(EquipmentRef::Id);
            return id.ok_or_else(|| Refused::Said(format!("with an {ID_TAG} that is no id")));
        }
        if let Some(known) = self.names.get(&**name) {
            return Ok(known.clone());
        }
        let label = Label::parse(name)
            .map_err(|reason| Refused::Said(format!("with a tag {tag} that {}", reason.message)))?;
        let called = EquipmentRef::Called(label);
        if self.names.len() >= MOST_NAMES {
            self.names.clear();
        }
        self.names.insert(name.clone().into_owned(), called.clone());
        Ok(called)
    }

    /// Two series that would become one are told apart by somebody who knows them: neither may hide the other silently.
    fn refuse_other_writer(&mut self, sent: &Sent, others: u64) -> Result<(), Refused> {
        let reading = self.hasher.hash_one((&sent.equipment, sent.at));
        self.writers.note(reading, sent.values.shape(), others).map_err(|metric| {
            Refused::Said(format!(
                "for the same instant and metric ({metric}) as one with other tags; the server can be told which tag belongs to the name (influx.metric_tags)"
            ))
        })
    }
}

/// The numbers among the fields; the others become attributes.
fn numbers(
    shapes: &mut Shapes,
    fields: &mut super::line::Fields<'_>,
    name: &mut String,
    attributes: &mut Tags,
) -> Result<Values, Refused> {
    let (beginning, mut count) = (name.len(), 0);
    let mut followed = shapes.follow();
    while let Some((field, value)) = fields.next()? {
        name.truncate(beginning);
        end_name(name, &field.said());
        match value {
            Value::Number(number) => {
                count += 1;
                followed.measured(name, number).ok_or_else(|| not_measured(name))?;
            }
            Value::Flag(flag) => drop(attributes.insert(attribute("field", name)?, Tag::Flag(flag))),
            Value::Text(text) => drop(attributes.insert(attribute("field", name)?, said(name, &text)?)),
        }
    }
    let values = if count == 0 { Values::of(Vec::new()) } else { followed.values() };
    values.ok_or_else(|| Refused::said("with two fields for one metric: names are compared in small letters"))
}

fn not_measured(name: &str) -> Refused {
    match MetricName::parse(name) {
        Ok(_) => Refused::Said(format!("with more than {MOST_METRICS} numbers")),
        Err(reason) => Refused::Said(format!("with the metric {name}, which {}", reason.message)),
    }
}

/// Text as an attribute.
fn said(name: &str, text: &str) -> Result<Tag, Refused> {
    match Description::parse(text) {
        Ok(text) => Ok(Tag::Text(text.to_string())),
        Err(reason) => Err(Refused::Said(format!("with a text {name} that {}", reason.message))),
    }
}

/// Tags by what they are good for.
struct Tagged<'a> {
    /// How soon it counts, the tag, and its value.
    equipment: Option<(usize, Cow<'a, str>, Cow<'a, str>)>,
    /// Values that are part of names, in the order in which they stand there.
    in_names: Vec<(usize, Cow<'a, str>)>,
    attributes: Tags,
    /// All that neither name the equipment nor stand in names, as a hash.
    others: u64,
}

impl<'a> Tagged<'a> {
    fn of(line: &Line<'a>, mapping: &Mapping, hasher: &RandomState) -> Result<Self, Refused> {
        let mut tagged = Self { equipment: None, in_names: Vec::new(), attributes: Tags::new(), others: 0 };
        for tag in line.tags() {
            let (key, value): (Name<'a>, Name<'a>) = tag?;
            let (key, value) = (key.said(), value.said());
            match mapping.role(&key) {
                Role::Equipment(place) => {
                    let (counts, passed_over) = match tagged.equipment.take() {
                        Some(first) if first.0 <= place => (first, Some((key, value))),
                        later => ((place, key, value), later.map(|(_, key, value)| (key, value))),
                    };
                    tagged.equipment = Some(counts);
                    if let Some((key, value)) = passed_over {
                        tagged.differ_in(&key, &value, hasher);
                    }
                }
                Role::Metric(place) => tagged.in_names.push((place, value)),
                Role::Attribute => {
                    tagged.differ_in(&key, &value, hasher);
                    tagged.attributes.insert(attribute("tag", &key)?, said(&key, &value)?);
                }
                Role::Other => tagged.differ_in(&key, &value, hasher),
            }
        }
        tagged.in_names.sort_by_key(|(place, _)| *place);
        Ok(tagged)
    }

    /// Another tag is no reason to call the metrics otherwise, but makes another series. Added, so that the order of tags does not
    /// matter.
    fn differ_in(&mut self, key: &str, value: &str, hasher: &RandomState) {
        self.others = self.others.wrapping_add(hasher.hash_one((key, value)));
    }
}

/// The name of an attribute, made of that of a tag or field.
fn attribute(of: &str, name: &str) -> Result<String, Refused> {
    let label = Label::parse(name)
        .map_err(|reason| Refused::Said(format!("with a {of} whose name {}", reason.message)))?;
    Ok(label.to_string())
}

/// Why a line makes no reading.
enum Refused {
    /// It is not complete.
    Open,
    /// It is no point.
    Unreadable(Wrong),
    /// It is a point that cannot be taken, as it follows "a point".
    Said(String),
}

impl Refused {
    fn said(text: &str) -> Self {
        Self::Said(text.to_owned())
    }

    fn of_line(self, number: u64) -> LineError {
        match self {
            Refused::Open => LineError::unreadable(number, &Wrong::Open.to_string()),
            Refused::Unreadable(wrong) => LineError::unreadable(number, &format!("no point: {wrong}")),
            Refused::Said(text) => LineError::unreadable(number, &format!("a point {text}")),
        }
    }
}

impl From<Wrong> for Refused {
    fn from(wrong: Wrong) -> Self {
        if wrong == Wrong::Open { Self::Open } else { Self::Unreadable(wrong) }
    }
}
