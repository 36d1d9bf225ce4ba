//! What the trail says about the plant.

use super::{Fact, Facts, fact};
use crate::alerts::Alert;
use crate::equipment::Details;
use crate::maintenance::Maintenance;
use crate::rules::{Condition, Rule, Target};
use crate::telemetry::{Metric, Reading, Tag};
use crate::webhooks::Webhook;

/// About a piece of equipment.
pub fn equipment_facts(details: &Details) -> Facts {
    vec![
        fact("name", details.name.to_string()),
        fact("type", details.kind.to_string()),
        fact("model", details.model.as_ref()),
        fact("manufacturer", details.manufacturer.as_ref()),
        fact("serial_number", details.serial_number.as_ref()),
        fact("installation_date", details.installed_on),
        fact("location", details.location.as_ref()),
        fact("parent", details.parent),
        fact("status", details.status.to_string()),
        fact("attributes", details.attributes.as_json().to_owned()),
    ]
}

/// About a metric.
pub fn metric_facts(metric: &Metric) -> Facts {
    vec![fact("unit", metric.unit.as_ref()), fact("description", metric.description.as_ref())]
}

/// About a reading.
pub fn reading_facts(reading: &Reading) -> Facts {
    let numbers =
        reading.values.iter().map(|(name, value)| fact(&format!("values.{name}"), value.to_string()));
    let tags = reading.tags.iter().map(|(name, tag)| {
        let value = match tag {
            Tag::Flag(flag) => Fact::Flag(*flag),
            Tag::Text(text) => Fact::Text(text.clone()),
        };
        fact(&format!("attributes.{name}"), value)
    });
    let identity =
        [fact("equipment", reading.id.equipment.to_string()), fact("timestamp", reading.id.at.to_string())];
    identity.into_iter().chain(numbers).chain(tags).collect()
}

/// About an entry of a maintenance log.
pub fn maintenance_facts(entry: &Maintenance) -> Facts {
    vec![
        fact("what", entry.what.what.to_string()),
        fact("performed_at", entry.what.performed_at.to_string()),
        fact("next_due_on", entry.what.next_due_on),
        fact("by", entry.what.by.name.clone()),
    ]
}

/// About an alert rule.
pub fn rule_facts(rule: &Rule) -> Facts {
    let details = &rule.details;
    let (equipment, kind) = match &details.target {
        Target::All => (None, None),
        Target::Kind(kind) => (None, Some(kind.to_string())),
        Target::Equipment(id) => (Some(id.to_string()), None),
    };
    let condition = match &details.condition {
        Condition::Threshold(threshold) => threshold.in_words(),
        Condition::NoData(_) => "no data".to_owned(),
    };
    let clear = match &details.condition {
        Condition::Threshold(threshold) => threshold.clear_threshold,
        Condition::NoData(_) => None,
    };
    vec![
        fact("name", details.name.to_string()),
        fact("equipment", equipment),
        fact("equipment_type", kind),
        fact("metric", details.condition.metric()),
        fact("condition", condition),
        fact("clear_threshold", clear),
        fact("for_seconds", details.wait.as_secs().to_string()),
        fact("severity", details.severity.to_string()),
        fact("enabled", details.enabled),
        fact("latch", details.latch),
    ]
}

/// About an alert.
pub fn alert_facts(alert: &Alert) -> Facts {
    vec![
        fact("equipment", alert.what.equipment.to_string()),
        fact("rule", alert.what.raised_by.as_ref().map(|raised| raised.rule)),
        fact("metric", alert.what.metric.as_ref()),
        fact("value", alert.what.value),
        fact("timestamp", alert.what.at.to_string()),
        fact("severity", alert.what.severity.to_string()),
        fact("description", alert.what.description.to_string()),
        fact("status", alert.status.to_string()),
        fact("note", alert.what.note.as_ref()),
    ]
}

/// About a webhook. Of its address only so much as everybody may read: the rest may be a secret.
pub fn webhook_facts(webhook: &Webhook) -> Facts {
    let details = &webhook.details;
    let wants = &details.wants;
    let list = |names: Vec<String>| Fact::List(names);
    vec![
        fact("name", details.name.to_string()),
        fact("url", details.url.to_string()),
        fact("shape", details.shape.to_string()),
        fact("events", list(wants.events.iter().map(ToString::to_string).collect())),
        fact("min_severity", wants.least.to_string()),
        fact("equipment", list(wants.equipment.iter().map(ToString::to_string).collect())),
        fact("equipment_types", list(wants.kinds.iter().map(ToString::to_string).collect())),
        fact("enabled", details.enabled),
        fact("disabled_because", webhook.disabled_because.as_ref()),
    ]
}
