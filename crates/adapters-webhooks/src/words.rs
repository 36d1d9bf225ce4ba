//! A notice in words: what is kept until it is sent, what receivers of the generic shape get, and what other shapes are made
//! of.

use domain::alerts::{Act, Alert};
use domain::equipment::Equipment;
use domain::webhooks::{About, Notice};
use serde::{Deserialize, Serialize};

/// What happened, when, and to what.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Words {
    #[serde(rename = "type")]
    pub(crate) event: String,
    pub(crate) timestamp: String,
    pub(crate) data: Data,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Data {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) alert: Option<AlertWords>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) equipment: Option<EquipmentWords>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<Named>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) webhook: Option<Named>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Named {
    pub(crate) id: i64,
    pub(crate) name: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EquipmentWords {
    pub(crate) id: i64,
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) serial_number: Option<String>,
    pub(crate) location: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AlertWords {
    pub(crate) id: i64,
    pub(crate) equipment: i64,
    pub(crate) rule: Option<i64>,
    pub(crate) metric: Option<String>,
    pub(crate) severity: String,
    pub(crate) status: String,
    pub(crate) description: String,
    pub(crate) timestamp: String,
    pub(crate) began_at: String,
    pub(crate) value: Option<f64>,
    pub(crate) last_seen_at: String,
    pub(crate) occurrences: u64,
    pub(crate) acknowledged_by: Option<String>,
    pub(crate) acknowledged_at: Option<String>,
    pub(crate) resolved_by: Option<String>,
    pub(crate) resolved_at: Option<String>,
    pub(crate) note: Option<String>,
}

/// The notice as JSON text.
pub(crate) fn word(notice: &Notice) -> String {
    let data = match &notice.about {
        About::Alert { alert, equipment, rule } => {
            let raised_by = alert.what.raised_by.map(|by| by.rule.get());
            Data {
                alert: Some(AlertWords::from(&**alert)),
                equipment: equipment.as_deref().map(EquipmentWords::from),
                rule: raised_by.zip(rule.as_ref()).map(|(id, name)| Named { id, name: name.to_string() }),
                webhook: None,
            }
        }
        About::Webhook { id, name } => {
            Data { webhook: Some(Named { id: id.get(), name: name.to_string() }), ..Data::default() }
        }
    };
    let event = notice.event.to_string();
    let words = Words { event, timestamp: notice.at.to_string(), data };
    // Texts and numbers alone: there is nothing in it that JSON could not say.
    serde_json::to_string(&words).unwrap_or_default()
}

impl From<&Equipment> for EquipmentWords {
    fn from(piece: &Equipment) -> Self {
        let details = &piece.details;
        Self {
            id: piece.id.get(),
            name: details.name.to_string(),
            kind: details.kind.to_string(),
            serial_number: details.serial_number.as_ref().map(ToString::to_string),
            location: details.location.as_ref().map(ToString::to_string),
        }
    }
}

impl From<&Alert> for AlertWords {
    fn from(alert: &Alert) -> Self {
        let what = &alert.what;
        let by = |act: &Option<Act>| act.as_ref().and_then(|act| Some(act.by.as_ref()?.name.clone()));
        let at = |act: &Option<Act>| act.as_ref().map(|act| act.at.to_string());
        Self {
            id: alert.id.get(),
            equipment: what.equipment.get(),
            rule: what.raised_by.map(|by| by.rule.get()),
            metric: what.metric.as_ref().map(ToString::to_string),
            severity: what.severity.to_string(),
            status: alert.status.to_string(),
            description: what.description.to_string(),
            timestamp: what.at.to_string(),
            began_at: what.began_at.to_string(),
            value: what.value,
            last_seen_at: what.last_seen_at.to_string(),
            occurrences: what.occurrences,
            acknowledged_by: by(&alert.acknowledged),
            acknowledged_at: at(&alert.acknowledged),
            resolved_by: by(&alert.resolved),
            resolved_at: at(&alert.resolved),
            note: what.note.as_ref().map(ToString::to_string),
        }
    }
}
