//! Which readings are asked for, and what shall happen to those that contradict.

use crate::documented::text_schema;
use crate::query::{FromQuery, Params};
use crate::values::Param;
use domain::error::Reason;
use domain::id::EquipmentId;
use domain::page::Direction;
use domain::telemetry::{OnConflict, ReadingFilter, ReadingQuery};
use utoipa::openapi::{RefOr, Schema};

/// A question for a stretch of readings.
pub struct ReadingsAsked(pub ReadingQuery);

impl FromQuery for ReadingsAsked {
    fn read(params: &mut Params) -> Self {
        let filter = filter(params);
        Self(stretch(params, filter))
    }
}

/// A question for a stretch of the readings of one piece of equipment.
pub struct OwnReadingsAsked(pub ReadingQuery);

impl FromQuery for OwnReadingsAsked {
    fn read(params: &mut Params) -> Self {
        let filter = filter_of(params, Vec::new());
        Self(stretch(params, filter))
    }
}

fn stretch(params: &mut Params, filter: ReadingFilter) -> ReadingQuery {
    let direction = direction(params, Direction::Descending);
    ReadingQuery { filter, direction, seek: params.cursor(), limit: params.page_size() }
}

/// Which readings.
pub(super) fn filter(params: &mut Params) -> ReadingFilter {
    let equipment = params.any_of("equipment", "Id of equipment.");
    filter_of(params, equipment)
}

fn filter_of(params: &mut Params, equipment: Vec<EquipmentId>) -> ReadingFilter {
    ReadingFilter {
        equipment,
        at: params.span("timestamp__gte", "timestamp__lt"),
        metrics: params.any_of("metric", "Metric that they carry."),
        ..ReadingFilter::default()
    }
}

/// Oldest or newest first.
pub(super) fn direction(params: &mut Params, default: Direction) -> Direction {
    let order = params.order(&[("timestamp", ())]);
    order.first().map_or(default, |order| order.direction)
}

/// What shall happen to readings that say otherwise than what is stored.
pub struct Conflicts(pub OnConflict);

impl FromQuery for Conflicts {
    fn read(params: &mut Params) -> Self {
        let about = "What to do about another value of the same instant: `replace` believes the newer.";
        Self(params.single("on_conflict", about).unwrap_or_default())
    }
}

impl Param for OnConflict {
    fn schema() -> RefOr<Schema> {
        let mut text = text_schema(None);
        text.enum_values = Some(vec!["refuse".into(), "replace".into()]);
        text.default = Some("refuse".into());
        text.into()
    }

    fn parse(text: &str) -> Result<Self, Reason> {
        match text {
            "refuse" => Ok(OnConflict::Refuse),
            "replace" => Ok(OnConflict::Replace),
            _ => Err(Reason::new("unknown", "must be refuse or replace")),
        }
    }
}
