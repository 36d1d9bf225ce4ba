//! How an alert and its timeline look, and what somebody may write of it.

use crate::body::FromBody;
use crate::body::fields::Fields;
use crate::reply::{Created, Versioned};
use crate::values::Number;
use domain::alerts::{Act, Alert, AlertEntry};
use domain::app::alerts::{AlertDraft, AlertEdit};
use domain::rules::Severity;
use domain::text::Description;
use serde::Serialize;
use utoipa::ToSchema;

/// Something that needs a person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Alert, examples(json!({
    "id": 12, "equipment": 7, "rule": 3, "rule_version": 1, "metric": "temperature", "severity": "critical",
    "status": "acknowledged", "description": "Too hot: temperature is above 80, at 91.2",
    "timestamp": "2026-05-04T07:30:00.000000Z", "began_at": "2026-05-04T07:29:00.000000Z", "value": 91.2,
    "last_seen_at": "2026-05-04T07:31:00.000000Z", "occurrences": 3,
    "acknowledged_by": "tomasz", "acknowledged_at": "2026-05-04T07:32:10.000000Z",
    "resolved_by": null, "resolved_at": null, "note": "Fan is clogged.", "version": 4,
    "created_at": "2026-05-04T07:30:00.000000Z", "updated_at": "2026-05-04T07:32:10.000000Z"
})))]
pub struct AlertBody {
    id: i64,
    equipment: i64,
    /// The rule that raised it; none when a person did, or when the rule is gone.
    #[schema(required)]
    rule: Option<i64>,
    /// The rule's version at that moment.
    #[schema(required)]
    rule_version: Option<i64>,
    #[schema(required)]
    metric: Option<String>,
    severity: &'static str,
    status: &'static str,
    description: String,
    /// When it was raised, by the readings' own time.
    #[schema(format = DateTime)]
    timestamp: String,
    /// The first sign of it.
    #[schema(format = DateTime)]
    began_at: String,
    /// The value that raised it.
    #[schema(required, value_type = Option<f64>)]
    value: Option<Number>,
    /// The newest sign of it.
    #[schema(format = DateTime)]
    last_seen_at: String,
    /// How many signs of it there were.
    occurrences: u64,
    /// The name of whoever looks after it.
    #[schema(required)]
    acknowledged_by: Option<String>,
    #[schema(required, format = DateTime)]
    acknowledged_at: Option<String>,
    /// The name of whoever resolved it; none when it ended by itself.
    #[schema(required)]
    resolved_by: Option<String>,
    #[schema(required, format = DateTime)]
    resolved_at: Option<String>,
    #[schema(required)]
    note: Option<String>,
    version: i64,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<&Alert> for AlertBody {
    fn from(alert: &Alert) -> Self {
        let what = &alert.what;
        let (acknowledged_by, acknowledged_at) = told(alert.acknowledged.as_ref());
        let (resolved_by, resolved_at) = told(alert.resolved.as_ref());
        Self {
            id: alert.id.get(),
            equipment: what.equipment.get(),
            rule: what.raised_by.map(|by| by.rule.get()),
            rule_version: what.raised_by.map(|by| by.version.get()),
            metric: what.metric.as_ref().map(ToString::to_string),
            severity: what.severity.name(),
            status: alert.status.name(),
            description: what.description.to_string(),
            timestamp: what.at.to_string(),
            began_at: what.began_at.to_string(),
            value: what.value.map(Number),
            last_seen_at: what.last_seen_at.to_string(),
            occurrences: what.occurrences,
            acknowledged_by,
            acknowledged_at,
            resolved_by,
            resolved_at,
            note: what.note.as_ref().map(ToString::to_string),
            version: alert.version.get(),
            created_at: what.created_at.to_string(),
            updated_at: alert.updated_at.to_string(),
        }
    }
}

fn told(act: Option<&Act>) -> (Option<String>, Option<String>) {
    let by = act.and_then(|act| act.by.as_ref()).map(|person| person.name.clone());
    (by, act.map(|act| act.at.to_string()))
}

impl AlertBody {
    /// The alert with its version.
    pub fn versioned(alert: &Alert) -> Versioned<Self> {
        Versioned { version: alert.version, body: alert.into() }
    }

    /// The alert as just raised.
    pub fn created(alert: &Alert) -> Created<Self> {
        Created {
            location: format!("/api/alerts/{}", alert.id),
            version: Some(alert.version),
            body: alert.into(),
        }
    }
}

/// A line of an alert's timeline.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertTimelineEntry)]
pub struct EntryBody {
    #[schema(format = DateTime)]
    at: String,
    /// What happened.
    #[schema(examples("acknowledged"))]
    change: &'static str,
    /// Who did it; none when it happened by itself.
    #[schema(required)]
    by: Option<String>,
    /// How far the alert had come afterwards.
    status: &'static str,
    /// What was said about it.
    #[schema(required)]
    note: Option<String>,
}

impl From<&AlertEntry> for EntryBody {
    fn from(entry: &AlertEntry) -> Self {
        let what = &entry.what;
        Self {
            at: what.at.to_string(),
            change: what.change.name(),
            by: what.by.as_ref().map(|person| person.name.clone()),
            status: what.status.name(),
            note: what.note.as_ref().map(ToString::to_string),
        }
    }
}

/// An alert as somebody raises it.
pub struct AlertDraftBody(pub AlertDraft);

impl FromBody for AlertDraftBody {
    const NAME: &'static str = "NewAlert";
    const ABOUT: &'static str = "An alert that a person raises, on equipment by id or by serial number. Without `timestamp` it \
        is as of now.";
    const EXAMPLE: &'static str =
        r#"{"equipment": 7, "description": "Oil on the floor", "severity": "info"}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let equipment = fields.required("equipment");
        let description = fields.required("description");
        let severity = fields.optional("severity").unwrap_or(Severity::Warning);
        let at = fields.optional("timestamp");
        let metric = fields.optional("metric");
        let value = fields.optional("value");
        let note = fields.optional("note");
        Some(Self(AlertDraft {
            equipment: equipment?,
            description: description?,
            severity,
            at,
            metric,
            value,
            note,
        }))
    }
}

/// The fields that a change cannot touch.
const READ_ONLY: [&str; 18] = [
    "id",
    "equipment",
    "rule",
    "rule_version",
    "metric",
    "status",
    "timestamp",
    "began_at",
    "value",
    "last_seen_at",
    "occurrences",
    "acknowledged_by",
    "acknowledged_at",
    "resolved_by",
    "resolved_at",
    "version",
    "created_at",
    "updated_at",
];

/// What an alert shall say.
pub struct AlertPut(pub AlertEdit);

impl FromBody for AlertPut {
    const NAME: &'static str = "AlertPut";
    const ABOUT: &'static str = "What the alert shall say; without `note` that is emptied. How far it has come is changed by \
        `acknowledge` and `resolve`.";
    const EXAMPLE: &'static str =
        r#"{"description": "Oil on the floor under press 4", "severity": "warning"}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.read_only(&READ_ONLY);
        let description = fields.required("description");
        let severity = fields.optional("severity").unwrap_or(Severity::Warning);
        let note = fields.replaced("note");
        Some(Self(AlertEdit { description: Some(description?), severity: Some(severity), note }))
    }
}

/// What an alert shall say otherwise.
pub struct AlertPatch(pub AlertEdit);

impl FromBody for AlertPatch {
    const NAME: &'static str = "AlertPatch";
    const ABOUT: &'static str =
        "What the alert shall say otherwise. What is absent stays; `null` empties the note.";
    const EXAMPLE: &'static str = r#"{"severity": "critical", "note": "It is spreading."}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.read_only(&READ_ONLY);
        Some(Self(AlertEdit {
            description: fields.changed("description"),
            severity: fields.changed("severity"),
            note: fields.patched("note"),
        }))
    }
}

/// What somebody says about an alert when they handle it.
pub struct Remark(pub Option<Description>);

impl FromBody for Remark {
    const NAME: &'static str = "AlertRemark";
    const ABOUT: &'static str = "What there is to say about it; nothing, or no body at all, will do.";
    const EXAMPLE: &'static str = r#"{"note": "Fan is clogged."}"#;
    const OPTIONAL: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self(fields.optional("note")))
    }
}
