//! Notices in the shapes that receivers know.

use crate::words::{AlertWords, Words};
use domain::webhooks::Shape;
use serde_json::{Map, Value, json};

/// The body of a request that says this; nothing when there is nothing, or when it cannot be read.
pub(crate) fn body(shape: Shape, notices: &[String]) -> Option<Vec<u8>> {
    let read = |notice: &String| serde_json::from_str::<Words>(notice).ok();
    match shape {
        Shape::Generic => notices.first().map(|notice| notice.clone().into_bytes()),
        Shape::Slack => notices.first().and_then(read).and_then(|words| bytes(&slack(&words))),
        Shape::Alertmanager => {
            let alerts: Option<Vec<Value>> =
                notices.iter().map(|notice| read(notice).map(|words| alertmanager(&words))).collect();
            alerts.filter(|alerts| !alerts.is_empty()).and_then(|alerts| bytes(&Value::Array(alerts)))
        }
    }
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    serde_json::to_vec(value).ok()
}

/// What is over says when; what is not says nothing, and has to be told again before the receiver forgets it.
///
/// Labels tell alerts apart, so they say nothing that changes by itself while an alert lasts.
fn alertmanager(words: &Words) -> Value {
    let Some(alert) = &words.data.alert else {
        let labels = json!({ "alertname": "TechTrack test", "severity": "info", "source": "techtrack" });
        let summary = "Somebody tries whether alerts arrive. It is over already.";
        return json!({
            "labels": labels, "annotations": { "summary": summary },
            "startsAt": words.timestamp, "endsAt": words.timestamp,
        });
    };
    let name = words.data.rule.as_ref().map_or("TechTrack alert", |rule| rule.name.as_str());
    let piece = words.data.equipment.as_ref();
    let labels = texts([
        ("alertname", Some(name.to_owned())),
        ("source", Some("techtrack".to_owned())),
        ("alert_id", Some(alert.id.to_string())),
        ("severity", Some(alert.severity.clone())),
        ("equipment_id", Some(alert.equipment.to_string())),
        ("equipment", piece.map(|piece| piece.name.clone())),
        ("equipment_type", piece.map(|piece| piece.kind.clone())),
        ("serial_number", piece.and_then(|piece| piece.serial_number.clone())),
        ("location", piece.and_then(|piece| piece.location.clone())),
        ("metric", alert.metric.clone()),
    ]);
    let annotations = texts([
        ("summary", Some(alert.description.clone())),
        ("value", alert.value.map(|value| value.to_string())),
        ("acknowledged_by", alert.acknowledged_by.clone()),
        ("note", alert.note.clone()),
    ]);
    let mut told = Map::new();
    told.insert("labels".to_owned(), labels);
    told.insert("annotations".to_owned(), annotations);
    told.insert("startsAt".to_owned(), alert.timestamp.clone().into());
    if let Some(end) = end(words, alert) {
        // All instants are written alike, so that the later one is the larger text.
        told.insert("endsAt".to_owned(), end.max(alert.timestamp.clone()).into());
    }
    Value::Object(told)
}

fn end(words: &Words, alert: &AlertWords) -> Option<String> {
    let is_gone = matches!(words.event.as_str(), "alert.deleted" | "alert.withdrawn");
    alert.resolved_at.clone().or_else(|| is_gone.then(|| words.timestamp.clone()))
}

fn texts<const N: usize>(texts: [(&str, Option<String>); N]) -> Value {
    let there = texts.into_iter().filter_map(|(name, text)| {
        text.filter(|text| !text.is_empty()).map(|text| (name.to_owned(), Value::String(text)))
    });
    Value::Object(there.collect())
}

fn slack(words: &Words) -> Value {
    let Some(alert) = &words.data.alert else {
        let name = words.data.webhook.as_ref().map_or("", |webhook| webhook.name.as_str());
        return json!({ "text": format!("TechTrack tries its webhook {}.", escaped(name)) });
    };
    let piece = words.data.equipment.as_ref();
    let on = piece.map_or_else(|| format!("equipment {}", alert.equipment), |piece| piece.name.clone());
    let happened = words.event.strip_prefix("alert.").unwrap_or(&words.event);
    let text = format!(
        "*{}* alert {happened} on {}: {}",
        escaped(&alert.severity),
        escaped(&on),
        escaped(&alert.description)
    );
    let colour = match (alert.status.as_str(), alert.severity.as_str()) {
        ("resolved", _) => "#2eb67d",
        (_, "critical") => "#e01e5a",
        (_, "warning") => "#ecb22e",
        _ => "#36c5f0",
    };
    let fields = [
        ("Status", Some(alert.status.clone())),
        ("Equipment", piece.map(|piece| format!("{} ({})", piece.name, piece.kind))),
        ("Location", piece.and_then(|piece| piece.location.clone())),
        ("Value", alert.metric.as_ref().zip(alert.value).map(|(metric, value)| format!("{metric} {value}"))),
        ("Acknowledged by", alert.acknowledged_by.clone()),
        ("Resolved by", alert.resolved_by.clone()),
        ("Note", alert.note.clone()),
    ];
    let fields: Vec<Value> = fields
        .into_iter()
        .filter_map(|(title, text)| text.map(|text| (title, text)))
        .map(|(title, text)| json!({ "title": title, "value": escaped(&text), "short": true }))
        .collect();
    json!({
        "text": text,
        "attachments": [{ "color": colour, "fallback": alert.description, "fields": fields,
            "footer": format!("TechTrack alert {}, {}", alert.id, words.timestamp) }],
    })
}

/// The three letters that mean something in messages.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(event: &str, status: &str, resolved_at: Value) -> String {
        json!({
            "type": event, "timestamp": "2026-05-04T08:00:00.000000Z",
            "data": {
                "alert": {
                    "id": 12, "equipment": 7, "rule": 3, "metric": "temperature", "severity": "critical",
                    "status": status, "description": "temperature > 80 <script>", "timestamp": "2026-05-04T07:30:00.000000Z",
                    "began_at": "2026-05-04T07:29:00.000000Z", "value": 91.5,
                    "last_seen_at": "2026-05-04T07:31:00.000000Z", "occurrences": 3,
                    "acknowledged_by": null, "acknowledged_at": null, "resolved_by": null, "resolved_at": resolved_at,
                    "note": null
                },
                "equipment": { "id": 7, "name": "Robot & Co", "type": "robot", "serial_number": null, "location": "plant-1" },
                "rule": { "id": 3, "name": "Too hot" }
            }
        })
        .to_string()
    }

    fn told(shape: Shape, notices: &[String]) -> Value {
        serde_json::from_slice(&body(shape, notices).unwrap()).unwrap()
    }

    #[test]
    fn an_alertmanager_hears_of_an_end_only_when_there_is_one() {
        let open = notice("alert.opened", "open", Value::Null);
        let over = notice("alert.resolved", "resolved", "2026-05-04T07:45:00.000000Z".into());
        let gone = notice("alert.deleted", "open", Value::Null);
        let told = told(Shape::Alertmanager, &[open, over, gone]);
        assert_eq!(told[0].get("endsAt"), None);
        assert_eq!(told[1]["endsAt"], "2026-05-04T07:45:00.000000Z");
        assert_eq!(told[2]["endsAt"], "2026-05-04T08:00:00.000000Z");
        assert_eq!(told[0]["labels"], told[1]["labels"], "the end of another alert would end nothing");
        assert_eq!(told[0]["labels"]["alertname"], "Too hot");
        assert!(told[0]["labels"].get("serial_number").is_none(), "an empty label is none");
    }

    #[test]
    fn an_alert_that_ended_before_it_began_ends_when_it_began() {
        let over = notice("alert.resolved", "resolved", "2026-05-04T07:00:00.000000Z".into());
        assert_eq!(told(Shape::Alertmanager, &[over])[0]["endsAt"], "2026-05-04T07:30:00.000000Z");
    }

    #[test]
    fn a_chat_gets_a_sentence_without_markup_of_others() {
        let told = told(Shape::Slack, &[notice("alert.opened", "open", Value::Null)]);
        assert_eq!(
            told["text"],
            "*critical* alert opened on Robot &amp; Co: temperature &gt; 80 &lt;script&gt;"
        );
        assert_eq!(told["attachments"][0]["color"], "#e01e5a");
    }

    #[test]
    fn the_generic_shape_is_what_was_kept_to_the_letter() {
        let open = notice("alert.opened", "open", Value::Null);
        assert_eq!(body(Shape::Generic, std::slice::from_ref(&open)).unwrap(), open.into_bytes());
        assert_eq!(body(Shape::Slack, &["{}".to_owned()]), None);
    }
}
