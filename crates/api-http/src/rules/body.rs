//! How an alert rule looks, and how somebody writes one.

use crate::body::FromBody;
use crate::body::fields::Fields;
use crate::body::json::Json;
use crate::reply::{Created, Versioned};
use crate::values::{self, Field, id_schema};
use domain::app::rules::RuleChange;
use domain::error::{Flaw, Reason};
use domain::rules::written::{ConditionPatch, RuleKind, TargetPatch, WrittenCondition, WrittenTarget};
use domain::rules::{Condition, LONGEST_WAIT, Rule, RuleDetails, Severity, Target, flaws};
use serde::Serialize;
use std::time::Duration;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{Number, ToSchema};

/// A rule that raises alerts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AlertRule, examples(json!({
    "id": 3, "name": "Too hot", "equipment": null, "equipment_type": "robot", "kind": "threshold",
    "metric": "temperature", "operator": ">", "threshold": 80, "threshold_high": null, "clear_threshold": 75,
    "for_seconds": 60, "severity": "critical", "enabled": true, "latch": false, "version": 1,
    "in_force_since": "2026-05-04T07:30:00.000000Z",
    "created_at": "2026-05-04T07:30:00.000000Z", "updated_at": "2026-05-04T07:30:00.000000Z"
})))]
pub struct RuleBody {
    id: i64,
    name: String,
    /// The piece that it is about. Without piece and type it is about all equipment.
    #[schema(required)]
    equipment: Option<i64>,
    /// The type of equipment that it is about.
    #[schema(required)]
    equipment_type: Option<String>,
    /// `threshold` looks at values, `no_data` at silence.
    kind: &'static str,
    #[schema(required)]
    metric: Option<String>,
    #[schema(required)]
    operator: Option<&'static str>,
    #[schema(required, value_type = Option<f64>)]
    threshold: Option<values::Number>,
    /// The upper end of the good range, for the operator `outside`.
    #[schema(required, value_type = Option<f64>)]
    threshold_high: Option<values::Number>,
    /// Where a value must be back before an alert ends; with `outside`, how far inside the range.
    #[schema(required, value_type = Option<f64>)]
    clear_threshold: Option<values::Number>,
    /// For how long it must be so before an alert is raised.
    for_seconds: u64,
    severity: &'static str,
    /// Whether it judges at all.
    enabled: bool,
    /// Whether its alerts stay until somebody resolves them.
    latch: bool,
    version: i64,
    /// Since when it judges as it does.
    #[schema(format = DateTime)]
    in_force_since: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<&Rule> for RuleBody {
    fn from(rule: &Rule) -> Self {
        let details = &rule.details;
        let target = WrittenTarget::from(&details.target);
        let condition = WrittenCondition::from(&details.condition);
        Self {
            id: rule.id.get(),
            name: details.name.to_string(),
            equipment: target.equipment.map(|id| id.get()),
            equipment_type: target.equipment_kind.map(|kind| kind.to_string()),
            kind: condition.kind.name(),
            metric: condition.metric.map(|metric| metric.to_string()),
            operator: condition.operator.map(|operator| operator.name()),
            threshold: condition.threshold.map(values::Number),
            threshold_high: condition.threshold_high.map(values::Number),
            clear_threshold: condition.clear_threshold.map(values::Number),
            for_seconds: details.wait.as_secs(),
            severity: details.severity.name(),
            enabled: details.enabled,
            latch: details.latch,
            version: rule.version.get(),
            in_force_since: rule.in_force_since.to_string(),
            created_at: rule.created_at.to_string(),
            updated_at: rule.updated_at.to_string(),
        }
    }
}

impl RuleBody {
    /// The rule with its version.
    pub fn versioned(rule: &Rule) -> Versioned<Self> {
        Versioned { version: rule.version, body: rule.into() }
    }

    /// The rule as just made.
    pub fn created(rule: &Rule) -> Created<Self> {
        Created {
            location: format!("/api/alert-rules/{}", rule.id),
            version: Some(rule.version),
            body: rule.into(),
        }
    }
}

/// Whole seconds to wait.
struct Seconds(Duration);

impl Field for Seconds {
    fn schema() -> RefOr<Schema> {
        let mut number = id_schema();
        number.minimum = Some(Number::UInt(0));
        number.maximum = usize::try_from(LONGEST_WAIT.as_secs()).ok().map(Number::UInt);
        number.into()
    }

    fn read(json: Json, at: &str, flaws: &mut Vec<Flaw>) -> Option<Self> {
        let number = if let Json::Whole(number) = json { u64::try_from(number).ok() } else { None };
        if number.is_none() {
            flaws.push(Reason::new("type", "must be a whole number of seconds, at least 0").at(at));
        }
        number.map(|seconds| Self(Duration::from_secs(seconds)))
    }
}

/// A rule as somebody wants it.
pub struct RuleDraft(pub RuleDetails);

impl FromBody for RuleDraft {
    const NAME: &'static str = "NewAlertRule";
    const ABOUT: &'static str = "An alert rule as somebody wants it, for one piece of equipment, for one type, or for all. \
        With kind `threshold` it needs `metric`, `operator` and `threshold`, with kind `no_data` a time to wait.";
    const EXAMPLE: &'static str = r#"{"name": "Too hot", "equipment_type": "robot", "metric": "temperature",
        "operator": ">", "threshold": 80, "clear_threshold": 75, "for_seconds": 60, "severity": "critical"}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        read_details(fields).map(Self)
    }
}

/// Reads a rule in full; what is absent has its default.
pub fn read_details(fields: &mut Fields<'_>) -> Option<RuleDetails> {
    let name = fields.required("name");
    let target = read_target(fields);
    let Seconds(wait) = fields.optional("for_seconds").unwrap_or(Seconds(Duration::ZERO));
    let condition = read_condition(fields, wait);
    let severity = fields.optional("severity").unwrap_or(Severity::Warning);
    let enabled = fields.optional("enabled").unwrap_or(true);
    let latch = fields.optional("latch").unwrap_or(false);
    Some(RuleDetails { name: name?, target: target?, condition: condition?, wait, severity, enabled, latch })
}

fn read_target(fields: &mut Fields<'_>) -> Option<Target> {
    let written = WrittenTarget {
        equipment: fields.optional("equipment"),
        equipment_kind: fields.optional("equipment_type"),
    };
    written.read().map_err(|flaw| fields.blame_together(vec![flaw])).ok()
}

fn read_condition(fields: &mut Fields<'_>, wait: Duration) -> Option<Condition> {
    let written = WrittenCondition {
        kind: fields.optional("kind").unwrap_or(RuleKind::Threshold),
        metric: fields.optional("metric"),
        operator: fields.optional("operator"),
        threshold: fields.optional("threshold"),
        threshold_high: fields.optional("threshold_high"),
        clear_threshold: fields.optional("clear_threshold"),
    };
    if fields.is_blamed("kind") {
        return None;
    }
    let condition = written.read().map_err(|flaws| fields.blame_together(flaws)).ok()?;
    fields.blame_together(flaws(&condition, wait));
    Some(condition)
}

/// The fields that a change cannot touch.
const READ_ONLY: [&str; 5] = ["id", "version", "in_force_since", "created_at", "updated_at"];

/// A rule as it shall be.
pub struct RulePut(pub RuleChange);

impl FromBody for RulePut {
    const NAME: &'static str = "AlertRulePut";
    const ABOUT: &'static str = "The alert rule as it shall be; what is absent has its default.";
    const EXAMPLE: &'static str = RuleDraft::EXAMPLE;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.read_only(&READ_ONLY);
        read_details(fields).map(|details| Self(details.into()))
    }
}

/// What shall be different about a rule.
pub struct RulePatch(pub RuleChange);

impl FromBody for RulePatch {
    const NAME: &'static str = "AlertRulePatch";
    const ABOUT: &'static str = "What shall be different. What is absent stays; `null` empties a field. Who names `equipment` \
        does not mean `equipment_type` any more, and the other way round; without both the rule is about all equipment. \
        Another `kind` drops what does not go with it.";
    const EXAMPLE: &'static str = r#"{"threshold": 85, "clear_threshold": null}"#;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        fields.read_only(&READ_ONLY);
        let target = TargetPatch {
            equipment: fields.patched("equipment"),
            equipment_kind: fields.patched("equipment_type"),
        };
        let condition = ConditionPatch {
            kind: fields.changed("kind"),
            metric: fields.patched("metric"),
            operator: fields.patched("operator"),
            threshold: fields.patched("threshold"),
            threshold_high: fields.patched("threshold_high"),
            clear_threshold: fields.patched("clear_threshold"),
        };
        Some(Self(RuleChange {
            name: fields.changed("name"),
            target,
            condition,
            wait: fields.changed("for_seconds").map(|Seconds(wait)| wait),
            severity: fields.changed("severity"),
            enabled: fields.changed("enabled"),
            latch: fields.changed("latch"),
        }))
    }
}
