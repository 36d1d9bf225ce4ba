//! What machines measured: send, look up, walk through, correct, delete. Any number of them come in by [`bulk`] and go
//! out by [`export`]; folded into buckets they are in [`crate::series`].

pub mod body;
pub mod bulk;
pub mod export;
mod few;
pub mod gather;
pub(crate) mod intake;
pub(crate) mod lines;
pub(crate) mod newcomers;
mod query;
pub(crate) mod shapes;
pub mod swift;

use crate::auth::Granted;
use crate::body::Body;
use crate::completion::to_completion;
use crate::conditional::IfMatch;
use crate::once::{Posted, Replayable};
use crate::page::{Listed, Streamed};
use crate::path::Id;
use crate::problem::Reply;
use crate::query::Query;
use crate::readings::body::{ReadingBody, ReadingPatch, ReadingPut, Receipt, Sending};
use crate::readings::query::{Conflicts, OwnReadingsAsked, ReadingsAsked};
use crate::remembered::{Kept, Topic};
use crate::reply::{Done, Versioned};
use crate::state::State;
use crate::turns::{Class, Onward};
use crate::values::Number;
use actix_web::web::Data;
use domain::access::rights::{ViewData, WriteData};
use domain::app::ingest::{self, Single};
use domain::app::known::Known;
use domain::app::readings::{self, Asked, ReadingChange};
use domain::app::{App, equipment};
use domain::id::EquipmentId;
use domain::patch::Precondition;
use domain::telemetry::{Latest, ReadingId};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Sends a reading, or an array of them
///
/// A reading is identified by equipment and instant: sent again it is stored once, further metrics of the same instant
/// are added, and another value of the same metric is refused unless `on_conflict=replace`. An array is stored as a whole
/// or not at all; flaws are named by place, such as `3.values.temperature`.
#[utoipa::path(post, path = "/api/data/", responses((status = 409)))]
pub async fn send_readings(
    Granted(by): Granted<WriteData>,
    Query { asked: Conflicts(on_conflict), .. }: Query<Conflicts>,
    sending: Posted<Sending>,
    app: Data<App>,
    state: Data<State>,
) -> Reply<Replayable<Receipt>> {
    let (sending, posted) = sending.parted();
    match sending {
        Sending::One(sent) => {
            let (app, storing) = (app.into_inner(), Arc::clone(&state.storing));
            let work = move |sent, once| storing.join(app, Single { by, sent, on_conflict, once });
            posted.carrying(sent).answer(Receipt::of_one, work).await
        }
        Sending::Several(sent) => {
            let work = move |sent, once| async move { ingest::all(&app, by, sent, on_conflict, once).await };
            posted.waiting_as(Class::Batch).await?.carrying(sent).answer(Receipt::of_several, work).await
        }
    }
}

/// Walks through readings
///
/// Newest first, unless `ordering=timestamp` turns it around.
#[utoipa::path(get, path = "/api/data/")]
pub async fn read_readings(
    Granted(by): Granted<ViewData>,
    Query { asked: ReadingsAsked(query), here }: Query<ReadingsAsked>,
    app: Data<App>,
) -> Reply<Streamed<ReadingBody>> {
    let stretch = readings::read(&app, &by, query).await?;
    Ok(Streamed::new(&here, stretch, |reading| reading.id, ReadingBody::from))
}

/// Walks through the readings of a piece of equipment
///
/// Newest first, unless `ordering=timestamp` turns it around.
#[utoipa::path(get, path = "/api/equipment/{id}/data/", responses((status = 404)))]
pub async fn read_readings_of_equipment(
    Granted(by): Granted<ViewData>,
    Id(equipment): Id<EquipmentId>,
    Query { asked: OwnReadingsAsked(query), here }: Query<OwnReadingsAsked>,
    app: Data<App>,
) -> Reply<Streamed<ReadingBody>> {
    let stretch = readings::read_of(&app, &by, equipment, query).await?;
    Ok(Streamed::new(&here, stretch, |reading| reading.id, ReadingBody::from))
}

/// The newest value of a metric.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LatestValue, examples(json!({
    "metric": "temperature", "timestamp": "2026-05-04T07:30:00.000000Z", "value": 71.5
})))]
pub struct LatestBody {
    metric: String,
    /// The instant that it is about.
    #[schema(format = DateTime)]
    timestamp: String,
    #[schema(value_type = f64)]
    value: Number,
}

impl From<&Latest> for LatestBody {
    fn from(latest: &Latest) -> Self {
        Self {
            metric: latest.metric.to_string(),
            timestamp: latest.at.to_string(),
            value: Number(latest.value),
        }
    }
}

/// Lists the newest value of each metric of a piece of equipment
///
/// Newest by the readings' own time, whenever they came.
#[utoipa::path(get, path = "/api/equipment/{id}/latest")]
pub async fn list_latest(
    Granted(by): Granted<ViewData>,
    Id(equipment): Id<EquipmentId>,
    app: Data<App>,
) -> Reply<Kept<Listed<LatestBody>>> {
    let Known { value: known, grounds } = equipment::latest(&app, &by, equipment).await?;
    let latest = Listed::whole(known.head.latest.iter().map(LatestBody::from));
    Ok(Kept::new(Topic::Latest, grounds, latest))
}

/// Shows a reading
#[utoipa::path(get, path = "/api/data/{id}")]
pub async fn get_reading(
    Granted(by): Granted<ViewData>,
    Id(id): Id<ReadingId>,
    app: Data<App>,
    state: Data<State>,
    onward: Onward,
) -> Reply<Versioned<ReadingBody>> {
    let app = app.into_inner();
    let asked = Asked { by: by.clone(), id };
    if let Some(found) = Arc::clone(&state.finding).join(Arc::clone(&app), asked).await? {
        return Ok(ReadingBody::versioned(found));
    }
    // It is packed, or not there.
    onward.change_to(Class::Read).await?;
    Ok(ReadingBody::versioned(readings::get(&app, &by, id).await?))
}

/// Replaces a reading
///
/// Another instant or other equipment moves it: the answer has its new id.
#[utoipa::path(put, path = "/api/data/{id}", responses((status = 409)))]
pub async fn put_reading(
    Granted(by): Granted<WriteData>,
    Id(id): Id<ReadingId>,
    IfMatch(precondition): IfMatch,
    Body(ReadingPut(change)): Body<ReadingPut>,
    app: Data<App>,
) -> Reply<Versioned<ReadingBody>> {
    change_reading(by, id, change, precondition, app).await
}

/// Changes some fields of a reading
///
/// Another instant or other equipment moves it: the answer has its new id.
#[utoipa::path(patch, path = "/api/data/{id}", responses((status = 409)))]
pub async fn patch_reading(
    Granted(by): Granted<WriteData>,
    Id(id): Id<ReadingId>,
    IfMatch(precondition): IfMatch,
    Body(ReadingPatch(change)): Body<ReadingPatch>,
    app: Data<App>,
) -> Reply<Versioned<ReadingBody>> {
    change_reading(by, id, change, precondition, app).await
}

async fn change_reading(
    by: domain::access::Granted<WriteData>,
    id: ReadingId,
    change: ReadingChange,
    precondition: Precondition,
    app: Data<App>,
) -> Reply<Versioned<ReadingBody>> {
    let work = async move { readings::change(&app, by, id, change, precondition).await };
    Ok(ReadingBody::versioned(to_completion(work).await?))
}

/// Deletes a reading
#[utoipa::path(delete, path = "/api/data/{id}")]
pub async fn delete_reading(
    Granted(by): Granted<WriteData>,
    Id(id): Id<ReadingId>,
    IfMatch(precondition): IfMatch,
    app: Data<App>,
) -> Reply<Done> {
    to_completion(async move { readings::delete(&app, by, id, precondition).await }).await?;
    Ok(Done)
}
