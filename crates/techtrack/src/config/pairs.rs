//! Names with values in one text, as OpenTelemetry's variables hold them: `name=value,name=value`, with percent signs for what
//! could not stand there otherwise.

use super::values::{Sight, Value, items, must_be};
use percent_encoding::percent_decode_str;
use std::fmt;

type Pairs = Vec<(String, String)>;

/// Headers of HTTP. Their values are secrets.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Headers(Pairs);

/// Facts about an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attributes(Pairs);

impl Headers {
    /// With their values. Say where they go when you call this.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

impl Attributes {
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }
}

/// The names alone.
impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Value for Headers {
    const SIGHT: Sight = Sight::Hidden;

    fn allowed() -> String {
        "headers such as authorization=Bearer%20TOKEN, with commas between them, or empty".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        let is_token =
            |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let can_be_sent = |value: &str| value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        let pairs = pairs(text)
            .filter(|pairs| pairs.iter().all(|(name, value)| is_token(name) && can_be_sent(value)));
        pairs.map(Self).ok_or_else(must_be::<Self>)
    }
}

impl Value for Attributes {
    fn allowed() -> String {
        "facts such as deployment.environment=production, with commas between them, or empty".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        pairs(text).map(Self).ok_or_else(must_be::<Self>)
    }
}

fn pairs(text: &str) -> Option<Pairs> {
    let decoded =
        |text: &str| percent_decode_str(text.trim()).decode_utf8().ok().map(|text| text.into_owned());
    let pair = |item: &str| {
        let (name, value) = item.split_once('=')?;
        let name = decoded(name).filter(|name| !name.is_empty())?;
        Some((name, decoded(value)?))
    };
    items(text).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_told_apart_and_decoded() {
        let read = Attributes::read("deployment.environment=test%2Cdraft, site = Nord,").unwrap();
        let expected = [("deployment.environment", "test,draft"), ("site", "Nord")];
        assert_eq!(read.pairs(), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(Attributes::read("").unwrap().pairs().is_empty());
        for bad in ["site", "=Nord", "a=%FF"] {
            assert!(Attributes::read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_cannot_be_a_header_is_refused_without_being_quoted() {
        for bad in ["author ization=hunter4", "authorization=hunter4%0D%0Ax: y", "hunter4"] {
            assert!(!Headers::read(bad).unwrap_err().contains("hunter4"), "{bad:?}");
        }
    }
}
