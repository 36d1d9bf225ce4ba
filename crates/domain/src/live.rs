//! What happens right now, for whoever watches: newest values, and alerts that change.
//!
//! Each event is written in the transaction of its cause and read from storage afterwards, so that a watcher who was away
//! for a while misses nothing and sees nothing twice.

use crate::alerts::{Alert, AlertChange};
use crate::id::{AlertId, EquipmentId};
use crate::telemetry::Values;
use crate::time::Timestamp;
use std::fmt;
use std::time::Duration;

/// For how long events are kept for watchers who come back.
pub const WINDOW: Duration = Duration::from_secs(10 * 60);

/// Where in the stream of events something stands. Its text is `<transaction>-<number>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The transaction that wrote it, in an order in which transactions became visible.
    pub transaction: i64,
    /// Its place among all events.
    pub number: i64,
}

impl Mark {
    /// Reads the canonical text.
    pub fn parse(text: &str) -> Option<Self> {
        let (transaction, number) = text.split_once('-')?;
        let mark = Self { transaction: transaction.parse().ok()?, number: number.parse().ok()? };
        (mark.transaction >= 0 && mark.number >= 0 && mark.to_string() == text).then_some(mark)
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.transaction, self.number)
    }
}

/// An event, to be written.
#[derive(Clone, Debug, PartialEq)]
pub enum NewLiveEvent {
    /// The equipment reported something newer than all before.
    Values {
        /// Which equipment.
        equipment: EquipmentId,
        /// The instant of the reading.
        at: Timestamp,
        /// What it says.
        values: Values,
    },
    /// An alert changed.
    Alert {
        /// On which equipment.
        equipment: EquipmentId,
        /// Which alert.
        alert: AlertId,
        /// What happened to it.
        change: AlertChange,
        /// When.
        at: Timestamp,
    },
}

/// An event as watchers see it.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveEvent {
    /// Where it stands.
    pub mark: Mark,
    /// What it says.
    pub what: NewLiveEvent,
    /// The alert that it is about, as it is now; nothing when it is gone.
    pub alert: Option<Alert>,
}

impl NewLiveEvent {
    /// Whose event it is.
    pub const fn equipment(&self) -> EquipmentId {
        match self {
            NewLiveEvent::Values { equipment, .. } | NewLiveEvent::Alert { equipment, .. } => *equipment,
        }
    }
}
