//! Readings of the usual kind, read straight from their bytes: no tree in between, hardly anything allocated.
//!
//! Nothing here says what is wrong. Whatever is not quite usual is left to the exact reading ([`crate::body::json`], then
//! field by field), which reads the same bytes once more. So this may only read what that one reads, and as that one does.

use crate::readings::body::Sending;
use crate::readings::shapes::Shapes;
use domain::app::ingest::Sent;
use domain::equipment::EquipmentRef;
use domain::id::EquipmentId;
use domain::telemetry::{MOST_AT_ONCE, Tags, Values};
use domain::text::SerialNumber;
use domain::time::Timestamp;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::cell::RefCell;
use std::fmt;

thread_local! {
    /// What this worker was sent. A machine's next reading names the same metrics, also when it comes in another request.
    static SEEN: RefCell<Shapes> = RefCell::default();
}

/// A reading; `None` if there is anything unusual about it.
pub fn reading(bytes: &[u8]) -> Option<Sent> {
    SEEN.with_borrow_mut(|shapes| whole(bytes, ReadingIn(shapes)))
}

/// A reading or an array of them; `None` if there is anything unusual about it.
pub fn sending(bytes: &[u8]) -> Option<Sending> {
    SEEN.with_borrow_mut(|shapes| whole(bytes, SendingIn(shapes)))
}

/// Follows readings of another form by what this worker was sent.
pub(crate) fn with_shapes<T>(follow: impl FnOnce(&mut Shapes) -> T) -> T {
    SEEN.with_borrow_mut(follow)
}

fn whole<'de, S: DeserializeSeed<'de>>(bytes: &'de [u8], seed: S) -> Option<S::Value> {
    let mut reader = serde_json::Deserializer::from_str(std::str::from_utf8(bytes).ok()?);
    let read = seed.deserialize(&mut reader).ok()?;
    reader.end().ok()?;
    Some(read)
}

fn unusual<E: Error>() -> E {
    E::custom("unusual")
}

struct SendingIn<'s>(&'s mut Shapes);

impl<'de> DeserializeSeed<'de> for SendingIn<'_> {
    type Value = Sending;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Sending, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for SendingIn<'_> {
    type Value = Sending;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reading or an array of them")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Sending, A::Error> {
        ReadingIn(self.0).visit_map(fields).map(Sending::One)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Sending, A::Error> {
        let mut all = Vec::new();
        while let Some(sent) = items.next_element_seed(ReadingIn(self.0))? {
            if all.len() == MOST_AT_ONCE {
                return Err(unusual());
            }
            all.push(sent);
        }
        Ok(Sending::Several(all))
    }
}

struct ReadingIn<'s>(&'s mut Shapes);

impl<'de> DeserializeSeed<'de> for ReadingIn<'_> {
    type Value = Sent;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Sent, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ReadingIn<'_> {
    type Value = Sent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a reading")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Sent, A::Error> {
        let (mut equipment, mut at, mut values) = (None, None, None);
        while let Some(field) = fields.next_key::<&str>()? {
            match field {
                "equipment" if equipment.is_none() => equipment = Some(fields.next_value_seed(Equipment)?),
                "timestamp" if at.is_none() => at = Some(instant(fields.next_value::<&str>()?)?),
                "values" if values.is_none() => values = Some(fields.next_value_seed(ValuesIn(self.0))?),
                _ => return Err(unusual()),
            }
        }
        let (equipment, values) = equipment.zip(values).ok_or_else(unusual)?;
        Ok(Sent { equipment, at, values, tags: Tags::new() })
    }
}

fn instant<E: Error>(text: &str) -> Result<Timestamp, E> {
    Timestamp::parse(text).map_err(|_| unusual())
}

struct Equipment;

impl<'de> DeserializeSeed<'de> for Equipment {
    type Value = EquipmentRef;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<EquipmentRef, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Equipment {
    type Value = EquipmentRef;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("equipment's id or serial number")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<EquipmentRef, E> {
        let id = i64::try_from(number).ok().and_then(EquipmentId::new);
        id.map(EquipmentRef::Id).ok_or_else(unusual)
    }

    fn visit_borrowed_str<E: Error>(self, serial: &'de str) -> Result<EquipmentRef, E> {
        SerialNumber::parse(serial).map(EquipmentRef::Serial).map_err(|_| unusual())
    }
}

struct ValuesIn<'s>(&'s mut Shapes);

impl<'de> DeserializeSeed<'de> for ValuesIn<'_> {
    type Value = Values;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Values, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ValuesIn<'_> {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of numbers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Values, A::Error> {
        let mut followed = self.0.follow();
        while let Some(name) = entries.next_key::<&str>()? {
            followed.measured(name, entries.next_value()?).ok_or_else(unusual)?;
        }
        followed.values().ok_or_else(unusual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::{FromBody, from_object, json};
    use domain::app::App;
    use domain::testing::{MemoryStore, World};
    use proptest::prelude::*;
    use proptest::sample::{Index, select};
    use proptest::test_runner::TestRunner;
    use std::cell::Cell;
    use std::sync::Arc;

    const USUAL: &str = r#"{"equipment":"WR-0007","timestamp":"2026-05-04T07:30:00.25+02:00","values":{"speed":1200,"temperature":-71.5,"m.1_x":2.5e-3}}"#;

    async fn app() -> App {
        World::over(Arc::new(MemoryStore::default())).await.unwrap().app
    }

    fn exact(app: &App, bytes: &[u8]) -> Option<Sent> {
        from_object(app, json::object(json::parse(bytes).ok()?).ok()?).ok()
    }

    fn exact_sending(app: &App, bytes: &[u8]) -> Option<Sending> {
        Sending::take(app, json::parse(bytes).ok()?).ok()
    }

    /// To the last bit: zeros of both signs are equal, and not the same.
    fn is_same(one: &Sent, other: &Sent) -> bool {
        let bits =
            |sent: &Sent| sent.values.numbers().iter().map(|number| number.to_bits()).collect::<Vec<_>>();
        one == other && bits(one) == bits(other)
    }

    fn are_same(one: &Sending, other: &Sending) -> bool {
        match (one, other) {
            (Sending::One(one), Sending::One(other)) => is_same(one, other),
            (Sending::Several(some), Sending::Several(others)) => {
                some.len() == others.len() && some.iter().zip(others).all(|(one, other)| is_same(one, other))
            }
            (Sending::One(_), Sending::Several(_)) | (Sending::Several(_), Sending::One(_)) => false,
        }
    }

    /// Mostly the first of them, else one of the others.
    fn mostly(usual: &'static [&'static str], odd: &'static [&'static str]) -> BoxedStrategy<String> {
        prop_oneof![30 => select(usual), 1 => select(odd)].prop_map(str::to_owned).boxed()
    }

    fn blank() -> BoxedStrategy<String> {
        mostly(&["", "", "", " ", "\t", "\r\n  "], &["\u{a0}", "\0", "/**/", ",", "\u{feff}"])
    }

    fn equipment() -> BoxedStrategy<String> {
        mostly(
            &["7", "1", "9223372036854775807", r#""WR-0007""#, r#"" ß-7 ""#, r#""7""#, r#""😀""#],
            &[
                "0",
                "-7",
                "7.0",
                "7e0",
                "07",
                "9223372036854775808",
                "18446744073709551616",
                "null",
                "true",
                "[7]",
                "{}",
                r#""""#,
                r#"" ""#,
                r#""W\u0052-7""#,
                r#""W\"7""#,
                r#""\u0000""#,
                "\"\u{200b}\"",
                r#""\ud800""#,
                "\"7\n\"",
                r#""0123456789012345678901234567890123456789012345678901234567890123456789""#,
            ],
        )
    }

    fn instant() -> BoxedStrategy<String> {
        mostly(
            &[
                r#""2026-05-04T07:30:00Z""#,
                r#""2026-05-04t07:30:00.123456789z""#,
                r#""1969-12-31 23:59:59.9999999-00:01""#,
                r#""0001-01-01T00:00:00-23:59""#,
                r#""2016-12-31T23:59:60.5Z""#,
            ],
            &[
                r#""2026-05-04T07:30:00""#,
                r#""2026-02-30T00:00:00Z""#,
                r#""0001-01-01T00:00:00+00:01""#,
                r#""2026-05-04T07:30:00\u005a""#,
                r#"" 2026-05-04T07:30:00Z""#,
                r#""now""#,
                r#""""#,
                "null",
                "5",
                "[]",
            ],
        )
    }

    fn number() -> BoxedStrategy<String> {
        let odd = mostly(
            &[
                "0",
                "-0",
                "-0.0",
                "1E5",
                "1e-400",
                "1e308",
                "-9223372036854775808",
                "18446744073709551615",
                "123456789012345678901234567890",
                "0.1000000000000000055511151231257827",
                "2.5E+3",
                "179769313486231570000000000000000000000",
            ],
            &[
                "1e400", "-1e309", "00", "01", "1.", ".5", "+1", "1e", "--1", "NaN", "Infinity", "0x1",
                "null", "true", r#""1""#, "[1]", "{}", "",
            ],
        );
        let ordinary = prop::num::f64::NORMAL.prop_map(|number| format!("{number:?}"));
        prop_oneof![ordinary, any::<i64>().prop_map(|number| number.to_string()), odd].boxed()
    }

    fn metric() -> BoxedStrategy<String> {
        let many = (0..40).prop_map(|number| format!(r#""m{number}""#));
        let odd = mostly(
            &[r#""temperature""#, r#""a.b_c""#],
            &[
                r#""B""#,
                r#""""#,
                r#""1a""#,
                r#""\u0061""#,
                r#""a\u0000""#,
                r#""é""#,
                "a",
                "7",
                "null",
                r#""x0123456789012345678901234567890123456789012345678901234567890123456789""#,
            ],
        );
        prop_oneof![3 => many, 1 => odd].boxed()
    }

    fn object(entries: Vec<(String, String)>, blanks: &[String]) -> String {
        let mut blank = blanks.iter().cycle();
        let mut text = "{".to_owned();
        for (place, (name, value)) in entries.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let mut blank = || blank.next().map_or("", String::as_str);
            text += &[comma, blank(), name, blank(), ":", blank(), value, blank()].concat();
        }
        text + "}"
    }

    fn blanks() -> BoxedStrategy<Vec<String>> {
        prop_oneof![Just(vec![String::new()]), prop::collection::vec(blank(), 1..8)].boxed()
    }

    fn values() -> BoxedStrategy<String> {
        let entries = prop::collection::vec((metric(), number()), 0..6);
        let object = (entries, blanks()).prop_map(|(entries, blanks)| object(entries, &blanks));
        prop_oneof![30 => object, 1 => select(&["null", "[]", "1", "{", "{}"][..]).prop_map(str::to_owned)]
            .boxed()
    }

    fn named(name: &'static str, value: BoxedStrategy<String>) -> BoxedStrategy<Option<(String, String)>> {
        let field = value.prop_map(move |value| Some((format!("\"{name}\""), value)));
        prop_oneof![20 => field, 1 => Just(None)].boxed()
    }

    fn further() -> BoxedStrategy<Option<(String, String)>> {
        let field = select(
            &[
                (r#""attributes""#, r#"{"shift":"early"}"#),
                (r#""attributes""#, "null"),
                (r#""valuez""#, "1"),
                (r#""timestamp""#, "null"),
                (r#""timestamp""#, r#""2026-05-04T07:30:00Z""#),
                (r#""equipment""#, "7"),
                (r#""v\u0061lues""#, r#"{"t":1}"#),
                (r#""values""#, r#"{"t":1}"#),
                (r#""id""#, "[[[[]]]]"),
            ][..],
        );
        let field = field.prop_map(|(name, value)| Some((name.to_owned(), value.to_owned())));
        prop_oneof![1 => field, 15 => Just(None)].boxed()
    }

    /// Readings in many spellings, good and bad ones.
    fn spelled() -> impl Strategy<Value = String> {
        let fields = (
            named("equipment", equipment()),
            named("timestamp", instant()),
            named("values", values()),
            further(),
        );
        let fields = fields.prop_map(|(one, two, three, four)| [one, two, three, four].into_iter().flatten());
        (fields.prop_map(Vec::from_iter).prop_shuffle(), blanks(), blank(), blank()).prop_map(
            |(fields, blanks, before, behind)| format!("{before}{}{behind}", object(fields, &blanks)),
        )
    }

    /// A usual reading that was damaged somewhere.
    fn damaged() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![any::<u8>(), select(&b"{}[]\":,\\0e-. \n"[..])];
        (any::<Index>(), byte, 0_usize..3).prop_map(|(place, byte, removed)| {
            let mut bytes = USUAL.as_bytes().to_vec();
            let at = place.index(bytes.len());
            bytes.splice(at..(at + removed).min(bytes.len()), [byte]);
            bytes
        })
    }

    fn run<S: Strategy>(cases: u32, strategy: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
        let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
        TestRunner::new(config).run(strategy, test).unwrap();
    }

    #[actix_web::test]
    async fn what_is_read_swiftly_is_read_exactly_in_the_same_way() {
        let app = app().await;
        let read = Cell::new(0);
        let bytes = prop_oneof![3 => spelled().prop_map(String::into_bytes), 1 => damaged()];
        run(8000, &bytes, |bytes| {
            if let Some(swift) = reading(&bytes) {
                read.set(read.get() + 1);
                let exact = exact(&app, &bytes);
                prop_assert!(
                    exact.as_ref().is_some_and(|exact| is_same(&swift, exact)),
                    "{swift:?}, {exact:?}"
                );
            }
            Ok(())
        });
        assert!(read.get() > 1000, "{}", read.get());
    }

    #[actix_web::test]
    async fn a_body_that_is_read_swiftly_is_read_exactly_in_the_same_way() {
        let app = app().await;
        let read = Cell::new(0);
        let items = prop::collection::vec(spelled(), 0..4);
        let array = (items, blank(), blank(), blank()).prop_map(|(items, before, between, behind)| {
            format!("{before}[{between}{}{between}]{behind}", items.join(","))
        });
        run(4000, &prop_oneof![4 => array, 1 => spelled()], |body| {
            if let Some(swift) = sending(body.as_bytes()) {
                read.set(read.get() + 1);
                let exact = exact_sending(&app, body.as_bytes());
                prop_assert!(
                    exact.as_ref().is_some_and(|exact| are_same(&swift, exact)),
                    "{swift:?}, {exact:?}"
                );
            }
            Ok(())
        });
        assert!(read.get() > 500, "{}", read.get());
    }

    #[actix_web::test]
    async fn usual_readings_are_read_swiftly() {
        let app = app().await;
        for usual in [
            USUAL,
            r#"{"equipment":7,"values":{"temperature":71.5}}"#,
            " { \"values\" : { \"b\" : -0 , \"a\" : 1E3 } , \"equipment\" : 7 } \r",
            r#"{"timestamp":"2026-05-04T07:30:00.123456Z","equipment":"Prüfstand 3","values":{"b":1,"a":2,"c":3}}"#,
        ] {
            for _ in 0..2 {
                let (swift, exact) = (reading(usual.as_bytes()), exact(&app, usual.as_bytes()));
                assert!(is_same(&swift.expect(usual), &exact.expect(usual)), "{usual}");
            }
        }
        let array = format!(" [ {} ] ", [USUAL; 3].join(" ,\n"));
        for (body, count) in [(array.as_str(), 3), ("[]", 0)] {
            assert!(
                matches!(sending(body.as_bytes()), Some(Sending::Several(all)) if all.len() == count),
                "{body}"
            );
        }
        assert!(matches!(sending(USUAL.as_bytes()), Some(Sending::One(_))));
    }

    #[test]
    fn what_is_unusual_is_left_to_the_exact_reading() {
        let swap = |from: &str, to: &str| {
            let swapped = USUAL.replacen(from, to, 1);
            assert_ne!(swapped, USUAL);
            swapped
        };
        let many: Vec<String> = (0..=256).map(|number| format!("\"m{number}\":0")).collect();
        for unusual in [
            swap("{", ""),
            swap("}}", "}}x"),
            swap("}}", "},\"attributes\":{}}"),
            swap("}}", "},\"equipment\":7}"),
            swap("}}", "},\"timestamp\":\"2026-05-04T07:30:00Z\"}"),
            swap("}}", "},\"values\":{\"t\":1}}"),
            swap("}}", "},\"id\":\"7-1\"}"),
            swap("}}", "}"),
            swap("1200", "null"),
            swap("1200", "1e999"),
            swap("1200", "\"1200\""),
            swap("speed", "temperature"),
            swap("speed", "Speed"),
            swap("speed", "sp\\u0065ed"),
            swap("2026", "26"),
            swap("\"WR-0007\"", "0"),
            swap("WR-0007", "WR\\u0000"),
            swap("\"speed\":1200", &many.join(",")),
            format!("[{USUAL}]"),
        ] {
            assert_eq!(reading(unusual.as_bytes()), None, "{unusual}");
        }
        assert_eq!(reading(b"{\"equipment\":\"\xff\",\"values\":{\"t\":1}}"), None);
        let too_many = format!("[{}]", vec![USUAL; MOST_AT_ONCE + 1].join(","));
        assert!(sending(too_many.as_bytes()).is_none());
    }
}
