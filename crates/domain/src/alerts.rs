//! Alerts: what needs a person, since when, who looks after it, and how it ended.

pub mod reconcile;

use crate::equipment::{Reach, named};
use crate::error::Error;
use crate::id::{AlertEntryId, AlertId, EquipmentId, RuleId, Version};
use crate::maintenance::Person;
use crate::page::{Order, PageRequest};
use crate::rules::Severity;
use crate::rules::judge::Episode;
use crate::telemetry::MetricName;
use crate::text::Description;
use crate::time::{Span, Timestamp};

named! {
    /// How far an alert has come. It goes forward only, but for data that arrive late.
    AlertStatus {
        /// Nobody looks after it.
        Open = "open",
        /// Somebody looks after it.
        Acknowledged = "acknowledged",
        /// It is over.
        Resolved = "resolved",
    }
}

/// What was done to an alert by a person, or by itself when there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// By whom; nobody when it happened by itself.
    pub by: Option<Person>,
    /// When: a person's act by the clock, what happened by itself by the readings' own time.
    pub at: Timestamp,
}

/// Which rule raised an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaisedBy {
    /// The rule.
    pub rule: RuleId,
    /// Its version at that moment.
    pub version: Version,
}

/// An alert to be raised.
#[derive(Clone, Debug, PartialEq)]
pub struct NewAlert {
    /// On what.
    pub equipment: EquipmentId,
    /// By which rule; none for an alert that a person raised.
    pub raised_by: Option<RaisedBy>,
    /// The metric that it is about.
    pub metric: Option<MetricName>,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub description: Description,
    /// The first sign of it.
    pub began_at: Timestamp,
    /// When it was raised, by the readings' own time.
    pub at: Timestamp,
    /// The value that raised it.
    pub value: Option<f64>,
    /// The newest sign of it.
    pub last_seen_at: Timestamp,
    /// How many signs of it there were.
    pub occurrences: u64,
    /// What somebody noted about it.
    pub note: Option<Description>,
    /// When it is stored.
    pub created_at: Timestamp,
}

/// An alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// What it is about.
    pub what: NewAlert,
    /// How far it has come.
    pub status: AlertStatus,
    /// Who looks after it, since when.
    pub acknowledged: Option<Act>,
    /// How it ended.
    pub resolved: Option<Act>,
    /// How often it was written.
    pub version: Version,
    /// When it was last written.
    pub updated_at: Timestamp,
}

impl Alert {
    /// Somebody looks after it now. `false` when somebody did already.
    pub fn acknowledge(&mut self, by: Person, now: Timestamp) -> Result<bool, Error> {
        match self.status {
            AlertStatus::Open => {
                self.status = AlertStatus::Acknowledged;
                self.acknowledged = Some(Act { by: Some(by), at: now });
                self.updated_at = now;
                Ok(true)
            }
            AlertStatus::Acknowledged => Ok(false),
            AlertStatus::Resolved => Err(Error::IllegalTransition("a resolved alert cannot be acknowledged")),
        }
    }

    /// It is over. `false` when it was already.
    pub fn resolve(&mut self, by: Option<Person>, at: Timestamp, now: Timestamp) -> bool {
        if self.status == AlertStatus::Resolved {
            return false;
        }
        self.status = AlertStatus::Resolved;
        self.resolved = Some(Act { by, at });
        self.updated_at = now;
        true
    }

    /// Whether it still needs somebody.
    pub fn is_unresolved(&self) -> bool {
        self.status != AlertStatus::Resolved
    }

    /// Whether a person ended it.
    pub fn was_resolved_by_a_person(&self) -> bool {
        self.resolved.as_ref().is_some_and(|act| act.by.is_some())
    }

    /// When it ended.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.resolved.as_ref().map(|act| act.at)
    }

    /// The episode that it stands for.
    pub fn episode(&self) -> Episode {
        Episode {
            began_at: self.what.began_at,
            raised_at: self.what.at,
            value: self.what.value.unwrap_or_default(),
            last_seen_at: self.what.last_seen_at,
            occurrences: self.what.occurrences,
            ended_at: self.ended_at(),
        }
    }
}

named! {
    /// What happened to an alert.
    AlertChange {
        /// It was raised.
        Raised = "raised",
        /// Somebody looks after it.
        Acknowledged = "acknowledged",
        /// It is over.
        Resolved = "resolved",
        /// Somebody noted something about it.
        Noted = "noted",
        /// Somebody corrected what it says.
        Edited = "edited",
        /// Data that arrived late changed when it was raised or how it ended.
        Rejudged = "rejudged",
        /// Data that arrived late showed that it should never have been raised.
        Withdrawn = "withdrawn",
        /// Somebody deleted it.
        Deleted = "deleted",
    }
}

/// A line of an alert's timeline, to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAlertEntry {
    /// Of which alert.
    pub alert: AlertId,
    /// When it was written.
    pub at: Timestamp,
    /// What happened.
    pub change: AlertChange,
    /// By whom; nobody when it happened by itself.
    pub by: Option<Person>,
    /// How far the alert had come afterwards.
    pub status: AlertStatus,
    /// What was said about it.
    pub note: Option<Description>,
}

/// A line of an alert's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertEntry {
    /// Its id; later lines have larger ones.
    pub id: AlertEntryId,
    /// What it says.
    pub what: NewAlertEntry,
}

/// Which alerts a list is about. Alerts of hidden equipment are never answered. Within a field any of the values will do;
/// between fields all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertFilter {
    /// On which equipment.
    pub equipment: Vec<EquipmentId>,
    /// How bad.
    pub severities: Vec<Severity>,
    /// How far come.
    pub statuses: Vec<AlertStatus>,
    /// By which rules.
    pub rules: Vec<RuleId>,
    /// About which metrics.
    pub metrics: Vec<MetricName>,
    /// When raised.
    pub at: Span,
    /// Text that occurs in the description or the note, compared folded.
    pub search: Option<String>,
    /// What the caller may see.
    pub reach: Reach,
}

/// What alerts can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of the same name")]
pub enum AlertKey {
    Id,
    At,
    LastSeenAt,
    Severity,
    Status,
}

/// A question for a page of alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertQuery {
    /// Which alerts.
    pub filter: AlertFilter,
    /// In which order; severities from `info` up, statuses from `open` on.
    pub order: Vec<Order<AlertKey>>,
    /// Which page.
    pub page: PageRequest,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert() -> Alert {
        let at = Timestamp::from_micros(0).unwrap();
        let what = NewAlert {
            equipment: EquipmentId::new(1).unwrap(),
            raised_by: None,
            metric: None,
            severity: Severity::Info,
            description: Description::parse("Oil on the floor").unwrap(),
            began_at: at,
            at,
            value: None,
            last_seen_at: at,
            occurrences: 1,
            note: None,
            created_at: at,
        };
        let (status, version) = (AlertStatus::Open, Version::FIRST);
        let id = AlertId::new(1).unwrap();
        Alert { id, what, status, acknowledged: None, resolved: None, version, updated_at: at }
    }

    fn anna() -> Person {
        Person { id: None, name: "anna".into() }
    }

    #[test]
    fn an_alert_goes_from_open_to_acknowledged_to_resolved_and_a_repetition_changes_nothing() {
        let now = Timestamp::from_micros(5).unwrap();
        let mut alert = alert();
        assert!(alert.acknowledge(anna(), now).unwrap());
        let acknowledged = alert.clone();
        assert!(!alert.acknowledge(anna(), Timestamp::MAX).unwrap());
        assert_eq!(alert, acknowledged);
        assert!(alert.resolve(Some(anna()), now, now));
        let resolved = alert.clone();
        assert!(!alert.resolve(None, Timestamp::MAX, now));
        assert_eq!(alert, resolved);
        assert!(matches!(alert.acknowledge(anna(), now), Err(Error::IllegalTransition(_))));
    }
}
