//! The audit trail's facts as the text of a JSON object: in order, and as they were, even if a name comes twice.

use domain::audit::{Fact, Facts};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;
use std::fmt;

/// The text of the facts.
pub(crate) fn write(facts: &Facts) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Written(facts))
}

/// The facts of the text, if it holds any.
pub(crate) fn read(text: &str) -> Option<Facts> {
    serde_json::from_str::<Read>(text).ok().map(|facts| facts.0)
}

struct Written<'facts>(&'facts Facts);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, fact)| (name, value(fact))))
    }
}

fn value(fact: &Fact) -> Value {
    match fact {
        Fact::Null => Value::Null,
        Fact::Flag(flag) => Value::from(*flag),
        Fact::Number(number) => Value::from(*number),
        Fact::Text(text) => Value::from(text.as_str()),
        Fact::List(texts) => Value::from(texts.as_slice()),
    }
}

fn fact(value: Value) -> Option<Fact> {
    match value {
        Value::Null => Some(Fact::Null),
        Value::Bool(flag) => Some(Fact::Flag(flag)),
        Value::Number(number) => number.as_i64().map(Fact::Number),
        Value::String(text) => Some(Fact::Text(text)),
        Value::Array(texts) => texts.into_iter().map(text).collect::<Option<_>>().map(Fact::List),
        Value::Object(_) => None,
    }
}

fn text(value: Value) -> Option<String> {
    if let Value::String(text) = value { Some(text) } else { None }
}

struct Read(Facts);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of facts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Read, A::Error> {
        let mut facts = Facts::new();
        while let Some((name, value)) = entries.next_entry::<String, Value>()? {
            let fact = fact(value).ok_or_else(|| A::Error::custom("not a fact"))?;
            facts.push((name, fact));
        }
        Ok(Read(facts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_back_as_they_were_and_in_order() {
        let facts: Facts = [
            ("zeta", Fact::Null),
            ("alpha", Fact::Flag(true)),
            ("alpha", Fact::Number(i64::MIN)),
            ("text", Fact::Text("\"\\ \u{1F600} \u{1}".into())),
            ("none", Fact::List(vec![])),
            ("roles", Fact::List(vec!["ADMIN".into(), String::new()])),
        ]
        .map(|(name, fact)| (name.to_owned(), fact))
        .into();
        let text = write(&facts).unwrap();
        assert!(text.starts_with(r#"{"zeta":null,"alpha":true,"alpha":-9223372036854775808"#), "{text}");
        assert_eq!(read(&text), Some(facts));
    }

    #[test]
    fn what_is_not_a_fact_is_not_read() {
        for text in ["", "[]", "null", r#"{"a":1.5}"#, r#"{"a":{}}"#, r#"{"a":[1]}"#] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
