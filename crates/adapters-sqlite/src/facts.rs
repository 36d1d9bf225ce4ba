//! The audit trail's facts as JSON objects, readable by SQLite's own JSON functions.
//!
//! Written and read entry by entry: a map type in between would sort the names, and their order is part of what the
//! trail says.

use domain::audit::{Fact, Facts};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

pub(crate) fn to_json(facts: &Facts) -> serde_json::Result<String> {
    serde_json::to_string(&Object(facts))
}

/// `None` when the text is not an object of facts.
pub(crate) fn from_json(text: &str) -> Option<Facts> {
    serde_json::from_str(text).ok().map(|ReadObject(facts)| facts)
}

struct Object<'a>(&'a Facts);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, fact) in self.0 {
            map.serialize_entry(name, &Value(fact))?;
        }
        map.end()
    }
}

struct Value<'a>(&'a Fact);

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Fact::Null => serializer.serialize_unit(),
            Fact::Flag(flag) => serializer.serialize_bool(*flag),
            Fact::Number(number) => serializer.serialize_i64(*number),
            Fact::Text(text) => serializer.serialize_str(text),
            Fact::List(texts) => texts.serialize(serializer),
        }
    }
}

struct ReadObject(Facts);

impl<'de> Deserialize<'de> for ReadObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = ReadObject;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of facts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ReadObject, A::Error> {
        let mut facts = Facts::new();
        while let Some((name, ReadValue(fact))) = map.next_entry()? {
            facts.push((name, fact));
        }
        Ok(ReadObject(facts))
    }
}

struct ReadValue(Fact);

impl<'de> Deserialize<'de> for ReadValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(ReadValue)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Fact;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a flag, a whole number, a text or a list of texts")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Fact, E> {
        Ok(Fact::Null)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Fact, E> {
        Ok(Fact::Flag(flag))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Fact, E> {
        Ok(Fact::Number(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Fact, E> {
        i64::try_from(number).map(Fact::Number).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Fact, E> {
        Ok(Fact::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Fact, A::Error> {
        let mut texts = Vec::new();
        while let Some(text) = list.next_element()? {
            texts.push(text);
        }
        Ok(Fact::List(texts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_back_as_they_were_and_in_their_order() {
        let facts: Facts = [
            ("zeta", Fact::Null),
            ("alpha", Fact::Flag(true)),
            ("least", Fact::Number(i64::MIN)),
            ("most", Fact::Number(i64::MAX)),
            ("text", Fact::Text("null \"quoted\" \u{1f600}\n\0".into())),
            ("digits", Fact::Text("17".into())),
            ("none", Fact::List(vec![])),
            ("some", Fact::List(vec!["b".into(), "a".into()])),
            ("alpha", Fact::Flag(false)),
        ]
        .map(|(name, fact)| (name.to_owned(), fact))
        .into();
        assert_eq!(from_json(&to_json(&facts).unwrap()), Some(facts));
    }

    #[test]
    fn what_is_not_an_object_of_facts_is_told_apart() {
        for text in
            ["", "[]", "1", r#"{"a":1.5}"#, r#"{"a":{}}"#, r#"{"a":[1]}"#, r#"{"a":9223372036854775808}"#]
        {
            assert_eq!(from_json(text), None, "{text}");
        }
    }
}
