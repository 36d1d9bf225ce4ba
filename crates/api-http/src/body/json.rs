//! JSON read strictly: what two readers could understand differently is refused rather than guessed at.
//!
//! A key given twice, a NUL, a lone surrogate, text behind the value and more than [`DEEPEST`] levels are errors, and a
//! whole number is never turned into a float.

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};
use std::collections::HashSet;
use std::fmt;

/// How deep lists and objects may be nested.
pub const DEEPEST: usize = 32;

/// Up to so many keys of an object are compared one by one, which costs less than keeping a set of them.
const FEW_KEYS: usize = 32;

/// A JSON value, its keys in the order in which they came.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A whole number of 64 bits.
    Whole(i128),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// Keys with values.
    Object(Vec<(String, Json)>),
}

/// Written compactly; whole numbers as they are, others in the shortest form that reads as the same number.
impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Json::Null => serializer.serialize_unit(),
            Json::Flag(flag) => serializer.serialize_bool(*flag),
            Json::Whole(number) => serializer.serialize_i128(*number),
            Json::Float(number) => serializer.serialize_f64(*number),
            Json::Text(text) => serializer.serialize_str(text),
            Json::List(items) => serializer.collect_seq(items),
            Json::Object(entries) => serializer.collect_map(entries.iter().map(|(key, value)| (key, value))),
        }
    }
}

/// Reads one JSON value; says what the bytes are instead if they are none.
pub fn parse(bytes: &[u8]) -> Result<Json, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("not UTF-8 from byte {} on", error.valid_up_to()))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    Level(0)
        .deserialize(&mut reader)
        .and_then(|json| reader.end().map(|()| json))
        .map_err(|error| format!("not acceptable JSON: {error}"))
}

/// The keys and values of an object; says what it is instead if it is none.
pub fn object(json: Json) -> Result<Vec<(String, Json)>, String> {
    match json {
        Json::Object(object) => Ok(object),
        Json::Null | Json::Flag(_) | Json::Whole(_) | Json::Float(_) | Json::Text(_) | Json::List(_) => {
            Err("no JSON object".to_owned())
        }
    }
}

/// How deep the value about to be read lies.
struct Level(usize);

impl Level {
    fn below<E: de::Error>(&self) -> Result<Self, E> {
        if self.0 < DEEPEST {
            Ok(Self(self.0 + 1))
        } else {
            Err(E::custom(format_args!("nested more than {DEEPEST} levels deep")))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Json, E> {
        Ok(Json::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Whole(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Whole(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Float(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Json, E> {
        self.visit_string(text.to_owned())
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<Json, E> {
        refuse_nul(&text)?;
        Ok(Json::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.below()?)? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut object: Vec<(String, Json)> = Vec::new();
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            refuse_nul(&key)?;
            if object.len() == FEW_KEYS {
                seen.extend(object.iter().map(|(key, _)| key.clone()));
            }
            let is_new = if object.len() < FEW_KEYS {
                object.iter().all(|(known, _)| *known != key)
            } else {
                seen.insert(key.clone())
            };
            if !is_new {
                return Err(de::Error::custom(format_args!("the key {key:?} is there more than once")));
            }
            let value = entries.next_value_seed(self.below()?)?;
            object.push((key, value));
        }
        Ok(Json::Object(object))
    }
}

/// PostgreSQL cannot store a NUL, and in C's hands it cuts text short.
fn refuse_nul<E: de::Error>(text: &str) -> Result<(), E> {
    if text.contains('\0') { Err(E::custom("text must not contain NUL")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_value_is_read_with_its_order_and_its_numbers_kept() {
        let read = parse(
            br#" {"b": [1, -2, 1.5, true, null], "a": "\u00e4\ud83d\ude00", "n": 18446744073709551615} "#,
        );
        let expected = Json::Object(vec![
            (
                "b".into(),
                Json::List(vec![
                    Json::Whole(1),
                    Json::Whole(-2),
                    Json::Float(1.5),
                    Json::Flag(true),
                    Json::Null,
                ]),
            ),
            ("a".into(), Json::Text("ä😀".into())),
            ("n".into(), Json::Whole(u64::MAX.into())),
        ]);
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn a_number_beyond_64_bits_is_no_whole_number() {
        assert!(matches!(parse(b"18446744073709551616"), Ok(Json::Float(_))));
        assert!(parse(b"1e999").is_err());
    }

    #[test]
    fn what_could_be_understood_in_two_ways_is_refused() {
        let cases: [(&[u8], &str); 16] = [
            (b"", "EOF"),
            (b"{", "EOF"),
            (b"{} {}", "trailing"),
            (b"{}x", "trailing"),
            (br#"{"a":1,"a":2}"#, "more than once"),
            (br#"{"a":1,"\u0061":2}"#, "more than once"),
            (br#"{"a":"\u0000"}"#, "NUL"),
            (br#"{"\u0000":1}"#, "NUL"),
            (b"{\"a\":\"x\0y\"}", "control character"),
            (br#"{"a":"\ud800"}"#, "hex escape"),
            (br#"{"a":"\udc00"}"#, "hex escape"),
            (b"{\"a\":\"\xff\"}", "UTF-8"),
            (b"\xef\xbb\xbf{}", "expected value"),
            (b"{'a':1}", "key must be a string"),
            (b"[1,]", "trailing comma"),
            (b"NaN", "expected"),
        ];
        for (bytes, why) in cases {
            let refused = parse(bytes).unwrap_err();
            assert!(refused.contains(why), "{:?}: {refused}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_key_given_twice_is_found_among_few_and_among_many() {
        for count in [1, FEW_KEYS - 1, FEW_KEYS, FEW_KEYS + 1, 1000] {
            let keys: Vec<String> = (0..count).map(|key| format!("\"{key}\":0")).collect();
            assert!(parse(format!("{{{}}}", keys.join(",")).as_bytes()).is_ok());
            for again in [0, count - 1] {
                let text = format!("{{{},\"{again}\":1}}", keys.join(","));
                assert!(parse(text.as_bytes()).unwrap_err().contains("more than once"), "{again} of {count}");
            }
        }
    }

    #[test]
    fn nesting_ends_at_thirty_two_levels() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(DEEPEST).as_bytes()).is_ok());
        let refused = parse(nested(DEEPEST + 1).as_bytes()).unwrap_err();
        assert!(refused.contains("32 levels"), "{refused}");
        assert!(parse("{\"a\":".repeat(100_000).as_bytes()).is_err());
    }

    /// Any value, its keys each there once.
    fn any_json() -> impl Strategy<Value = Json> {
        let text = || "[^\\x00]{0,6}";
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Flag),
            (i128::from(i64::MIN)..=i128::from(u64::MAX)).prop_map(Json::Whole),
            prop::num::f64::NORMAL.prop_map(Json::Float),
            text().prop_map(Json::Text),
        ];
        leaf.prop_recursive(4, 32, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Json::List),
                prop::collection::btree_map(text(), inner, 0..5)
                    .prop_map(|entries| Json::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_is_read_back(json in any_json()) {
            let written = serde_json::to_vec(&json).unwrap();
            prop_assert_eq!(parse(&written), Ok(json));
        }

        #[test]
        fn a_value_that_was_tampered_with_is_another_or_none(
            json in any_json(), at: prop::sample::Index, with: u8, cut: prop::sample::Index,
        ) {
            let mut written = serde_json::to_vec(&json).unwrap();
            let at = at.index(written.len());
            written[at] = with;
            let _ = parse(&written[..cut.index(written.len() + 1)]);
            if let Ok(read) = parse(&written) {
                // What is taken can be told, and is taken again.
                prop_assert_eq!(parse(&serde_json::to_vec(&read).unwrap()), Ok(read));
            }
        }
    }
}
