//! Things of the plant to store.

use super::at;
use domain::alerts::{Act, Alert, AlertChange, AlertStatus, NewAlert, NewAlertEntry, RaisedBy};
use domain::equipment::{Details, NewEquipment};
use domain::id::{AlertId, DeliveryId, EquipmentId, RuleId, UserId, WebhookId};
use domain::live::NewLiveEvent;
use domain::maintenance::{NewMaintenance, Person};
use domain::rules::{Condition, NewRule, Operator, Rule, RuleDetails, Severity, Target, Threshold};
use domain::telemetry::{MetricName, Reading, ReadingId, Shape, Tags, Values};
use domain::text::{Description, Label, Location, SerialNumber};
use domain::time::Date;
use domain::webhooks::{self, Event, NewDelivery, NewWebhook, Wants, WebhookDetails, WebhookUrl};
use std::time::Duration;

/// Numbers that a careless database rounds, clips or loses: bit for bit they must come back.
pub(crate) const EXTREMES: [f64; 9] = [
    f64::MAX,
    f64::MIN,
    f64::MIN_POSITIVE,
    5e-324, // the smallest that is not nothing
    -0.0,
    0.1 + 0.2,
    f64::EPSILON,
    9_007_199_254_740_993.0,
    -1.797_693_134_862_315_5e308,
];

pub(crate) fn label(text: &str) -> Label {
    Label::parse(text).unwrap()
}

pub(crate) fn about(text: &str) -> Description {
    Description::parse(text).unwrap()
}

pub(crate) fn serial(text: &str) -> SerialNumber {
    SerialNumber::parse(text).unwrap()
}

pub(crate) fn location(text: &str) -> Location {
    Location::parse(text).unwrap()
}

pub(crate) fn day(text: &str) -> Date {
    Date::parse(text).unwrap()
}

pub(crate) fn metric(name: &str) -> MetricName {
    MetricName::parse(name).unwrap()
}

/// The id of a piece of equipment that does not exist.
pub(crate) fn no_piece() -> EquipmentId {
    EquipmentId::new(i64::MAX).unwrap()
}

/// The id of a rule that does not exist.
pub(crate) fn no_rule() -> RuleId {
    RuleId::new(i64::MAX).unwrap()
}

/// The id of an alert that does not exist.
pub(crate) fn no_alert() -> AlertId {
    AlertId::new(i64::MAX).unwrap()
}

/// A robot that works and of which nothing else is known.
pub(crate) fn some_details(name: &str) -> Details {
    Details::new(label(name), label("robot"))
}

pub(crate) fn a_piece(name: &str) -> NewEquipment {
    a_piece_of(some_details(name))
}

pub(crate) fn a_piece_of(details: Details) -> NewEquipment {
    NewEquipment { details, created_at: at(0) }
}

pub(crate) fn a_component(name: &str, parent: EquipmentId) -> NewEquipment {
    a_piece_of(Details { parent: Some(parent), ..some_details(name) })
}

pub(crate) fn a_person(name: &str, id: Option<UserId>) -> Person {
    Person { id, name: name.into() }
}

/// Somebody without an account oiled it.
pub(crate) fn some_maintenance(equipment: EquipmentId) -> NewMaintenance {
    NewMaintenance {
        equipment,
        what: about("oiled"),
        performed_at: at(0),
        by: a_person("anna", None),
        next_due_on: None,
        created_at: at(0),
    }
}

pub(crate) fn values(named: &[(&str, f64)]) -> Values {
    Values::of(named.iter().map(|(name, value)| (metric(name), *value)).collect()).unwrap()
}

/// The extremes, each under a name of its own.
pub(crate) fn extreme_values() -> Values {
    let names = (0..EXTREMES.len()).map(|number| metric(&format!("m{number}"))).collect();
    Values::new(Shape::new(names), EXTREMES.to_vec()).unwrap()
}

/// The bits of numbers: two that are equal may still be told apart by their sign.
pub(crate) fn bits(values: &Values) -> Vec<u64> {
    values.numbers().iter().map(|number| number.to_bits()).collect()
}

pub(crate) fn a_reading_id(equipment: EquipmentId, seconds: i64) -> ReadingId {
    ReadingId { equipment, at: at(seconds) }
}

/// A reading of some values, received a day later than the earliest instant of promises.
pub(crate) fn a_reading_of(equipment: EquipmentId, seconds: i64, values: Values) -> Reading {
    Reading { id: a_reading_id(equipment, seconds), values, tags: Tags::new(), received_at: at(86_400) }
}

/// A reading whose one value is the second that it is about.
pub(crate) fn a_reading(equipment: EquipmentId, seconds: i64) -> Reading {
    a_reading_of(equipment, seconds, values(&[("temperature", seconds as f64)]))
}

pub(crate) fn too_hot(metric_name: &str) -> Condition {
    Condition::Threshold(Threshold {
        metric: metric(metric_name),
        operator: Operator::Above,
        threshold: 80.0,
        threshold_high: None,
        clear_threshold: None,
    })
}

/// A rule for all equipment that warns of heat.
pub(crate) fn some_rule(name: &str) -> RuleDetails {
    RuleDetails {
        name: label(name),
        target: Target::All,
        condition: too_hot("temperature"),
        wait: Duration::ZERO,
        severity: Severity::Warning,
        enabled: true,
        latch: false,
    }
}

pub(crate) fn a_rule(name: &str) -> NewRule {
    a_rule_of(some_rule(name))
}

pub(crate) fn a_rule_of(details: RuleDetails) -> NewRule {
    NewRule { details, created_at: at(0) }
}

/// An alert that a person raised.
pub(crate) fn an_alert(equipment: EquipmentId) -> NewAlert {
    NewAlert {
        equipment,
        raised_by: None,
        metric: None,
        severity: Severity::Warning,
        description: about("smokes"),
        began_at: at(0),
        at: at(0),
        value: None,
        last_seen_at: at(0),
        occurrences: 1,
        note: None,
        created_at: at(0),
    }
}

pub(crate) fn an_alert_by(rule: &Rule, equipment: EquipmentId) -> NewAlert {
    NewAlert {
        raised_by: Some(RaisedBy { rule: rule.id, version: rule.version }),
        metric: rule.details.condition.metric().cloned(),
        value: Some(81.0),
        ..an_alert(equipment)
    }
}

/// The alert after it ended by itself in that second.
pub(crate) fn resolved(alert: &Alert, second: i64) -> Alert {
    let act = Act { by: None, at: at(second) };
    Alert { status: AlertStatus::Resolved, resolved: Some(act), ..alert.clone() }
}

/// The alert after somebody without an account took it on.
pub(crate) fn acknowledged(alert: &Alert) -> Alert {
    let act = Act { by: Some(a_person("guest", None)), at: at(1) };
    Alert { status: AlertStatus::Acknowledged, acknowledged: Some(act), ..alert.clone() }
}

/// Somebody without an account noted this about an alert.
pub(crate) fn a_line(alert: AlertId, note: &str) -> NewAlertEntry {
    NewAlertEntry {
        alert,
        at: at(0),
        change: AlertChange::Noted,
        by: Some(a_person("anna", None)),
        status: AlertStatus::Open,
        note: Some(about(note)),
    }
}

/// The news of a reading whose one value is the second that it is about.
pub(crate) fn news_of(equipment: EquipmentId, seconds: i64) -> NewLiveEvent {
    let Reading { id, values, .. } = a_reading(equipment, seconds);
    NewLiveEvent::Values { equipment, at: id.at, values }
}

pub(crate) fn news_of_alert(equipment: EquipmentId, alert: AlertId, change: AlertChange) -> NewLiveEvent {
    NewLiveEvent::Alert { equipment, alert, change, at: at(0) }
}

/// The id of a webhook that does not exist.
pub(crate) fn no_webhook() -> WebhookId {
    WebhookId::new(i64::MAX).unwrap()
}

/// The id of a delivery that does not exist.
pub(crate) fn no_delivery() -> DeliveryId {
    DeliveryId::new(i64::MAX).unwrap()
}

/// A webhook that is told of everything.
pub(crate) fn some_webhook(name: &str) -> WebhookDetails {
    WebhookDetails {
        name: label(name),
        url: WebhookUrl::parse("https://example.com/alerts").unwrap(),
        shape: webhooks::Shape::Generic,
        wants: Wants::parse(Event::USUAL.to_vec(), Severity::Info, vec![], vec![]).unwrap(),
        enabled: true,
    }
}

pub(crate) fn a_webhook(name: &str) -> NewWebhook {
    NewWebhook { details: some_webhook(name), secret: vec![7; 40], created_at: at(0) }
}

/// Something that happened in that second.
pub(crate) fn a_delivery(webhook: WebhookId, seconds: i64) -> NewDelivery {
    NewDelivery {
        webhook,
        event: Event::Opened,
        alert: AlertId::new(1),
        message: "msg_1".into(),
        notice: "{}".into(),
        created_at: at(seconds),
    }
}
