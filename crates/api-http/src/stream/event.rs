//! How events look on the wire. The text of each is written once, however many watch.

use crate::alerts::body::AlertBody;
use crate::values::by_metric;
use bytes::Bytes;
use domain::alerts::Alert;
use domain::live::{LiveEvent, Mark, NewLiveEvent};
use domain::telemetry::Values;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// How long a client waits before it connects again, in milliseconds.
const RETRY: u64 = 2000;

/// The newest values of a piece of equipment.
#[derive(Debug, Serialize, ToSchema)]
pub struct StreamedValues<'a> {
    equipment: i64,
    #[schema(format = DateTime)]
    timestamp: String,
    #[serde(serialize_with = "by_metric")]
    #[schema(value_type = BTreeMap<String, f64>)]
    values: &'a Values,
}

/// What happened to an alert.
#[derive(Debug, Serialize, ToSchema)]
pub struct StreamedAlert {
    #[schema(examples("raised"))]
    change: &'static str,
    #[schema(format = DateTime)]
    at: String,
    alert: AlertNow,
}

/// The alert as it is now, or what is known of one that is gone.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum AlertNow {
    /// It is there.
    There(Box<AlertBody>),
    /// It is gone.
    Gone {
        /// Its id.
        id: i64,
        /// On what it was.
        equipment: i64,
    },
}

/// Why a stream ends.
#[derive(Debug, Serialize, ToSchema)]
pub struct StreamedEnd {
    reason: Reason,
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = StreamEndReason)]
pub enum Reason {
    /// The session or key ended, or it may see something else now.
    Revoked,
    /// The server is about to stop.
    Draining,
    /// The client did not take what there was for it.
    Slow,
}

/// An event, and its text.
#[derive(Debug)]
pub struct Frame {
    /// The event.
    pub event: LiveEvent,
    /// Its text.
    pub text: Bytes,
}

impl Frame {
    /// The event with its text.
    pub fn new(event: LiveEvent) -> Self {
        let text = match &event.what {
            NewLiveEvent::Values { equipment, at, values } => {
                let body = StreamedValues { equipment: equipment.get(), timestamp: at.to_string(), values };
                written("values", Some(event.mark), &body)
            }
            NewLiveEvent::Alert { equipment, alert, change, at } => {
                let gone = || AlertNow::Gone { id: alert.get(), equipment: equipment.get() };
                let there = |alert: &Alert| AlertNow::There(Box::new(alert.into()));
                let alert = event.alert.as_ref().map_or_else(gone, there);
                let body = StreamedAlert { change: change.name(), at: at.to_string(), alert };
                written("alert", Some(event.mark), &body)
            }
        };
        Self { event, text }
    }
}

/// What a stream begins with. The id is that of nothing, so that who loses the connection before the first event misses
/// none.
pub fn beginning(mark: Mark) -> Bytes {
    format!("retry: {RETRY}\nid: {mark}\n\n").into()
}

/// Something to say when there is nothing to say. It moves the client's place on, past what is not for it.
pub fn heartbeat(mark: Mark) -> Bytes {
    format!(":\nid: {mark}\n\n").into()
}

/// Events were missed.
pub fn reset(mark: Mark) -> Bytes {
    written("reset", Some(mark), &BTreeMap::<String, String>::new())
}

/// The last event of a stream.
pub fn end(reason: Reason) -> Bytes {
    written("end", None, &StreamedEnd { reason })
}

fn written(name: &str, mark: Option<Mark>, body: &impl Serialize) -> Bytes {
    let id = mark.map(|mark| format!("id: {mark}\n")).unwrap_or_default();
    // Nothing in a body can fail to be written: texts and finite numbers.
    let data = serde_json::to_string(body).unwrap_or_default();
    format!("{id}event: {name}\ndata: {data}\n\n").into()
}
