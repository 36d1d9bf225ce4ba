//! The facts of a reading that are not numbers, as the text of a JSON object.

use crate::rows::JsonText;
use domain::ports::StoreError;
use domain::telemetry::{Tag, Tags};
use serde_json::{Map, Value};

/// The text of the facts; none when there are none.
pub(crate) fn write(tags: &Tags) -> Result<Option<JsonText>, StoreError> {
    if tags.is_empty() {
        return Ok(None);
    }
    let value = |tag: &Tag| match tag {
        Tag::Flag(flag) => Value::from(*flag),
        Tag::Text(text) => Value::from(text.as_str()),
    };
    let object: Map<String, Value> = tags.iter().map(|(name, tag)| (name.clone(), value(tag))).collect();
    match serde_json::to_string(&object) {
        Ok(text) => Ok(Some(JsonText(text))),
        Err(error) => Err(StoreError::Fault(Box::new(error))),
    }
}

/// The facts of the text, if it holds any.
pub(crate) fn read(text: Option<&JsonText>) -> Option<Tags> {
    let Some(JsonText(text)) = text else { return Some(Tags::new()) };
    let object: Map<String, Value> = serde_json::from_str(text).ok()?;
    object.into_iter().map(|(name, value)| Some((name, tag(value)?))).collect()
}

fn tag(value: Value) -> Option<Tag> {
    match value {
        Value::Bool(flag) => Some(Tag::Flag(flag)),
        Value::String(text) => Some(Tag::Text(text)),
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_back_as_they_were() {
        let tags = Tags::from([
            ("ok".to_owned(), Tag::Flag(false)),
            ("state \"\u{1F600}\"".to_owned(), Tag::Text("a\\b\u{1}".into())),
        ]);
        assert_eq!(read(write(&tags).unwrap().as_ref()), Some(tags));
        assert!(write(&Tags::new()).unwrap().is_none());
        assert_eq!(read(None), Some(Tags::new()));
    }

    #[test]
    fn what_is_no_fact_is_not_read() {
        for text in ["", "[]", r#"{"a":1}"#, r#"{"a":null}"#, r#"{"a":{}}"#] {
            assert_eq!(read(Some(&JsonText(text.into()))), None, "{text}");
        }
    }
}
