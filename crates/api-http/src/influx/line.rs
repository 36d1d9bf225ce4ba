//! InfluxDB's line protocol: `measurement,tag=value field=1,other=2i 1700000000000000000`, read in place.
//!
//! InfluxData's own parser, the crate `influxdb-line-protocol`, was not taken: it makes vectors of every line, brings generations of
//! libraries that nothing else here needs, and knows nothing of what one does about texts over several lines.
//!
//! A line is parted here and its values are read; what they mean is for [`super::points`] to say. Nothing is copied unless
//! something in it is escaped.

use memchr::{memchr, memchr2, memchr3};
use std::borrow::Cow;
use std::fmt;

/// A line, parted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub(super) measurement: Name<'a>,
    tags: &'a str,
    fields: &'a str,
}

/// A name or a tag's value as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name<'a>(&'a str);

/// A field's value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Number(f64),
    Flag(bool),
    Text(Cow<'a, str>),
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    NoMeasurement,
    NoTag,
    NoFields,
    NoField,
    NoNumber(String),
    TooLarge(String),
    NoInstant(String),
    /// The text of a field does not end where the line does.
    Open,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::NoMeasurement => f.write_str("missing measurement"),
            Wrong::NoTag => f.write_str("missing tag key or tag value"),
            Wrong::NoFields => f.write_str("missing fields"),
            Wrong::NoField => f.write_str("missing field key or field value"),
            Wrong::NoNumber(text) => write!(f, "{text:?} is no number, true, false or quoted text"),
            Wrong::TooLarge(text) => write!(f, "{text:?} is too large a number"),
            Wrong::NoInstant(text) => write!(f, "bad timestamp {text:?}"),
            Wrong::Open => f.write_str("unbalanced quotes"),
        }
    }
}

impl<'a> Line<'a> {
    /// Parts a line into what it consists of.
    pub(super) fn part(text: &'a str) -> Result<Self, Wrong> {
        let (series, fields) = cut_at(text, |rest| memchr(b' ', rest)).unwrap_or((text, ""));
        let (measurement, tags) =
            cut_at(series, |rest| memchr(b',', rest)).map_or((series, None), |(m, tags)| (m, Some(tags)));
        if measurement.is_empty() {
            return Err(Wrong::NoMeasurement);
        }
        if tags == Some("") {
            return Err(Wrong::NoTag);
        }
        let fields = fields.trim_start_matches(' ');
        if fields.is_empty() {
            return Err(Wrong::NoFields);
        }
        Ok(Self { measurement: Name(measurement), tags: tags.unwrap_or_default(), fields })
    }

    /// Its tags, in the order in which they were written.
    pub(super) fn tags(&self) -> impl Iterator<Item = Result<(Name<'a>, Name<'a>), Wrong>> + use<'a> {
        let mut rest = (!self.tags.is_empty()).then_some(self.tags);
        std::iter::from_fn(move || {
            let text = rest?;
            let (tag, others) = cut_at(text, |rest| memchr(b',', rest))
                .map_or((text, None), |(tag, others)| (tag, Some(others)));
            rest = others;
            Some(match cut_at(tag, |rest| memchr(b'=', rest)) {
                Some((key, value)) if !key.is_empty() && !value.is_empty() => Ok((Name(key), Name(value))),
                Some(_) | None => Err(Wrong::NoTag),
            })
        })
    }

    /// Its fields, and behind them its instant.
    pub(super) const fn fields(&self) -> Fields<'a> {
        Fields { rest: self.fields, is_over: false }
    }
}

impl<'a> Name<'a> {
    /// What it says.
    pub(super) fn said(self) -> Cow<'a, str> {
        unescaped(self.0, b", =")
    }
}

/// The fields of a line, one after the other.
pub(super) struct Fields<'a> {
    rest: &'a str,
    is_over: bool,
}

impl<'a> Fields<'a> {
    /// The next field; nothing behind the last one.
    pub(super) fn next(&mut self) -> Result<Option<(Name<'a>, Value<'a>)>, Wrong> {
        if self.is_over {
            return Ok(None);
        }
        let (key, value) = cut_at(self.rest, |rest| memchr3(b'=', b',', b' ', rest)).ok_or(Wrong::NoField)?;
        let is_named = self.rest.as_bytes().get(key.len()) == Some(&b'=');
        if key.is_empty() || !is_named || value.is_empty() {
            return Err(Wrong::NoField);
        }
        let (value, rest) = match value.strip_prefix('"') {
            Some(text) => quoted(text)?,
            None => {
                let end = memchr2(b',', b' ', value.as_bytes()).unwrap_or(value.len());
                let (value, rest) = split(value, end);
                (plain(value)?, rest)
            }
        };
        match rest.as_bytes().first() {
            Some(b',') => self.rest = split(rest, 1).1,
            Some(b' ') | None => {
                self.rest = rest;
                self.is_over = true;
            }
            Some(_) => return Err(Wrong::NoField),
        }
        Ok(Some((Name(key), value)))
    }

    /// The instant that stands behind the last field, if there is one.
    pub(super) fn instant(&self) -> Result<Option<i64>, Wrong> {
        let text = self.rest.trim_matches(' ');
        if text.is_empty() {
            return Ok(None);
        }
        text.parse().map(Some).map_err(|_| Wrong::NoInstant(text.to_owned()))
    }
}

/// What stands before and behind the first place that is found and not escaped.
fn cut_at(text: &str, find: impl Fn(&[u8]) -> Option<usize>) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let mut from = 0;
    loop {
        let at = from + find(bytes.get(from..)?)?;
        let is_escaped = at.checked_sub(1).and_then(|before| bytes.get(before)) == Some(&b'\\');
        if !is_escaped {
            let (before, behind) = split(text, at);
            return Some((before, behind.get(1..).unwrap_or_default()));
        }
        from = at + 1;
    }
}

/// Text in two, at a place that is found among ASCII.
fn split(text: &str, at: usize) -> (&str, &str) {
    text.split_at_checked(at).unwrap_or((text, ""))
}

/// The text before the next quote that is not escaped, and what stands behind that.
fn quoted(text: &str) -> Result<(Value<'_>, &str), Wrong> {
    let mut from = 0;
    loop {
        let found = text.as_bytes().get(from..).and_then(|rest| memchr2(b'"', b'\\', rest));
        let at = from + found.ok_or(Wrong::Open)?;
        if text.as_bytes().get(at) == Some(&b'"') {
            let (said, rest) = split(text, at);
            return Ok((Value::Text(unescaped(said, b"\"\\")), split(rest, 1).1));
        }
        from = at + 2;
    }
}

/// A value without quotes.
fn plain(text: &str) -> Result<Value<'_>, Wrong> {
    let wrong = || Wrong::NoNumber(text.to_owned());
    let first = text.as_bytes().first().copied().ok_or(Wrong::NoField)?;
    match first {
        b'0'..=b'9' | b'-' | b'+' | b'.' => number(text),
        _ => match text {
            "t" | "T" | "true" | "True" | "TRUE" => Ok(Value::Flag(true)),
            "f" | "F" | "false" | "False" | "FALSE" => Ok(Value::Flag(false)),
            _ => Err(wrong()),
        },
    }
}

/// A whole number is marked by `i`, one without a sign by `u`.
fn number(text: &str) -> Result<Value<'_>, Wrong> {
    let is_whole = |digits: &str| {
        let digits = digits.strip_prefix('-').unwrap_or(digits);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let whole = |digits: &str, number: Option<f64>| match number {
        Some(number) => Ok(Value::Number(number)),
        None if is_whole(digits) => Err(Wrong::TooLarge(text.to_owned())),
        None => Err(Wrong::NoNumber(text.to_owned())),
    };
    if let Some(digits) = text.strip_suffix('i') {
        return whole(digits, digits.parse::<i64>().ok().map(|number| number as f64));
    }
    if let Some(digits) = text.strip_suffix('u').filter(|digits| !digits.starts_with('-')) {
        return whole(digits, digits.parse::<u64>().ok().map(|number| number as f64));
    }
    // What follows a sign might be a word that is a number elsewhere.
    let is_word = text.trim_start_matches(['-', '+']).starts_with(|first: char| first.is_ascii_alphabetic());
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Value::Number(number)),
        Ok(_) if !is_word => Err(Wrong::TooLarge(text.to_owned())),
        Ok(_) | Err(_) => Err(Wrong::NoNumber(text.to_owned())),
    }
}

/// Text without the backslashes that stand before one of these.
fn unescaped<'a>(text: &'a str, special: &[u8]) -> Cow<'a, str> {
    if memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut said = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let is_special = |next: &char| u8::try_from(*next).is_ok_and(|next| special.contains(&next));
        match (character, characters.peek().copied().filter(is_special)) {
            ('\\', Some(next)) => {
                said.push(next);
                characters.next();
            }
            _ => said.push(character),
        }
    }
    Cow::Owned(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Read = (String, Vec<(String, String)>, Vec<(String, Value<'static>)>, Option<i64>);

    fn owned(value: Value<'_>) -> Value<'static> {
        match value {
            Value::Number(number) => Value::Number(number),
            Value::Flag(flag) => Value::Flag(flag),
            Value::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
        }
    }

    fn read(text: &str) -> Result<Read, Wrong> {
        let line = Line::part(text)?;
        let said = |name: Name<'_>| name.said().into_owned();
        let tags = line
            .tags()
            .map(|tag| tag.map(|(key, value)| (said(key), said(value))))
            .collect::<Result<_, _>>()?;
        let (mut fields, mut all) = (line.fields(), Vec::new());
        while let Some((key, value)) = fields.next()? {
            all.push((said(key), owned(value)));
        }
        Ok((said(line.measurement), tags, all, fields.instant()?))
    }

    fn fields(text: &str) -> Result<Vec<(String, Value<'static>)>, Wrong> {
        read(&format!("m {text}")).map(|(_, _, fields, _)| fields)
    }

    fn text(text: &str) -> Value<'static> {
        Value::Text(Cow::Owned(text.to_owned()))
    }

    #[test]
    fn a_line_is_parted_into_measurement_tags_fields_and_instant() {
        let (measurement, tags, fields, at) = read(
            "cpu,cpu=cpu0,host=press-7 usage_idle=98.5,count=12i,up=t,state=\"all well\" 1700000000000000001",
        )
        .unwrap();
        assert_eq!(measurement, "cpu");
        assert_eq!(tags, [("cpu".into(), "cpu0".into()), ("host".into(), "press-7".into())]);
        let expected = [
            ("usage_idle".into(), Value::Number(98.5)),
            ("count".into(), Value::Number(12.0)),
            ("up".into(), Value::Flag(true)),
            ("state".into(), text("all well")),
        ];
        assert_eq!(fields, expected);
        assert_eq!(at, Some(1_700_000_000_000_000_001));
        assert_eq!(read("m  f=1   -5  ").unwrap().3, Some(-5));
        assert_eq!(read("m f=1 ").unwrap().3, None);
    }

    #[test]
    fn what_is_escaped_is_part_of_the_name() {
        let (measurement, tags, fields, _) =
            read(r#"oil\ press\,ure=x,a\=b=c\,d\ e,p=C:\dir f\ 1\,x\=y="say \"hi\", C:\\x",g=2"#).unwrap();
        assert_eq!(measurement, "oil press,ure=x");
        assert_eq!(tags, [("a=b".into(), "c,d e".into()), ("p".into(), r"C:\dir".into())]);
        assert_eq!(fields, [("f 1,x=y".into(), text(r#"say "hi", C:\x"#)), ("g".into(), Value::Number(2.0))]);
    }

    #[test]
    fn numbers_are_read_as_they_are_marked_and_no_further() {
        for (written, number) in [
            ("1", 1.0),
            ("-0.5", -0.5),
            ("1.", 1.0),
            (".5", 0.5),
            ("+2", 2.0),
            ("1e-3", 0.001),
            ("-6.02E+23", -6.02e23),
            ("-9223372036854775808i", -9_223_372_036_854_775_808.0),
            ("18446744073709551615u", 18_446_744_073_709_551_615.0),
        ] {
            assert_eq!(
                fields(&format!("f={written}")).unwrap(),
                [("f".into(), Value::Number(number))],
                "{written}"
            );
        }
        for written in [
            "1x",
            "nan",
            "inf",
            "-inf",
            "+Infinity",
            "-nan",
            "1i1",
            "1.5i",
            "-1u",
            "i",
            "u",
            "-",
            "1_0",
            "0x1",
            "tr",
            "yes",
            "--1",
        ] {
            assert!(matches!(fields(&format!("f={written}")), Err(Wrong::NoNumber(_))), "{written}");
        }
        for written in ["1e999", "-1e999", "9223372036854775808i", "18446744073709551616u"] {
            assert!(matches!(fields(&format!("f={written}")), Err(Wrong::TooLarge(_))), "{written}");
        }
        for (written, flag) in
            [("t", true), ("T", true), ("True", true), ("TRUE", true), ("F", false), ("false", false)]
        {
            assert_eq!(fields(&format!("f={written}")).unwrap(), [("f".into(), Value::Flag(flag))]);
        }
    }

    #[test]
    fn texts_end_with_their_quote_and_nowhere_else() {
        let one = |value: &str| fields(&format!("f={value}")).map(|mut fields| fields.remove(0).1);
        assert_eq!(one(r#""a, b=c d""#), Ok(text("a, b=c d")));
        assert_eq!(one(r#""say \"hi\" \\ \x""#), Ok(text(r#"say "hi" \ \x"#)));
        assert_eq!(one(r#""""#), Ok(text("")));
        assert_eq!(one("\"two\nlines\""), Ok(text("two\nlines")));
        for open in [r#"""#, r#""a"#, r#""a\""#, r#""\"#, r#""a\\\""#] {
            assert_eq!(one(open), Err(Wrong::Open), "{open}");
        }
        assert_eq!(one(r#""a"b"#), Err(Wrong::NoField));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (line, wrong) in [
            (",a=b f=1", Wrong::NoMeasurement),
            ("m", Wrong::NoFields),
            ("m,a=b", Wrong::NoFields),
            ("m,a=b ", Wrong::NoFields),
            ("m, f=1", Wrong::NoTag),
            ("m,a f=1", Wrong::NoTag),
            ("m,a= f=1", Wrong::NoTag),
            ("m,=b f=1", Wrong::NoTag),
            ("m,a=b, f=1", Wrong::NoTag),
            ("m f", Wrong::NoField),
            ("m f=", Wrong::NoField),
            ("m =1", Wrong::NoField),
            ("m f=1,", Wrong::NoField),
            ("m f=1,,g=2", Wrong::NoField),
            ("m f g=1", Wrong::NoField),
            ("m f= 1", Wrong::NoField),
        ] {
            assert_eq!(read(line), Err(wrong), "{line}");
        }
        for at in ["x", "1.5", "1 2", "9223372036854775808", "1i"] {
            assert!(matches!(read(&format!("m f=1 {at}")), Err(Wrong::NoInstant(_))), "{at}");
        }
    }

    fn escaped(text: &str, special: &[char]) -> String {
        text.chars().fold(String::new(), |mut all, c| {
            if special.contains(&c) {
                all.push('\\');
            }
            all.push(c);
            all
        })
    }

    proptest! {
        /// No backslashes here: what one means before another depends on whom one asks.
        #[test]
        fn what_was_written_is_read(
            measurement in "[a-zA-Z, =äö\"]{1,8}",
            tags in prop::collection::vec(("[a-z, =ä]{1,6}", "[a-z, =ä\"]{1,6}"), 0..4),
            fields in prop::collection::vec(("[a-z, =ä]{1,6}", prop_oneof![
                any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Value::Number),
                any::<bool>().prop_map(Value::Flag),
                "[a-z, =\"\\\\ä\n]{0,8}".prop_map(|text| Value::Text(Cow::Owned(text))),
            ]), 1..5),
            at in any::<Option<i64>>(),
        ) {
            let name = |text: &str| escaped(text, &[',', ' ', '=']);
            let mut line = name(&measurement);
            for (key, value) in &tags {
                line += &format!(",{}={}", name(key), name(value));
            }
            for (index, (key, value)) in fields.iter().enumerate() {
                let value = match value {
                    Value::Number(number) => number.to_string(),
                    Value::Flag(flag) => flag.to_string(),
                    Value::Text(text) => format!("\"{}\"", escaped(text, &['"', '\\'])),
                };
                line += &format!("{}{}={value}", if index == 0 { ' ' } else { ',' }, name(key));
            }
            if let Some(at) = at {
                line += &format!(" {at}");
            }
            prop_assert_eq!(read(&line), Ok((measurement, tags, fields, at)), "{}", line);
        }

        #[test]
        fn no_text_makes_it_panic(text in prop_oneof![
            "[a,= \"\\\\1t\n#-]{0,40}".boxed(),
            any::<String>().boxed(),
        ]) {
            let _ = read(&text);
        }
    }
}
