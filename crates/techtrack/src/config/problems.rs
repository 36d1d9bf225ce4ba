//! Why a configuration is refused: every reason at once, each with the source that it came from.

use super::layers::{Entry, Source};
use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    place: String,
    message: String,
}

impl Problem {
    /// Something wrong at a place, such as a file.
    pub(crate) fn at(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self { place: place.into(), message: message.into() }
    }

    /// Something wrong with what a source says about a setting.
    pub(crate) fn of(entry: &Entry, message: impl Into<String>) -> Self {
        let Entry { section, key, source, .. } = entry;
        let place = match source {
            Source::File(path) => format!("{path}: {section}.{key}"),
            Source::Default | Source::Variable(_) | Source::Flag(_) => format!("{source} ({section}.{key})"),
        };
        Self::at(place, message)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place, self.message)
    }
}

/// A configuration that is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct Refused(pub Vec<Problem>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is refused:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// The candidate that somebody who wrote `name` most likely meant, unless none is near.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |candidate: &str| strsim::damerau_levenshtein(name, candidate);
    let (candidate, distance) = candidates
        .into_iter()
        .map(|candidate| (candidate, distance(candidate)))
        .min_by_key(|(_, distance)| *distance)?;
    (distance * 2 <= candidate.chars().count()).then_some(candidate)
}

/// What to say of a name that nothing has: the nearest one that something has, where one is near.
pub(crate) fn unknown<'a>(what: &str, name: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(name, candidates) {
        Some(candidate) => format!("is no {what}; did you mean {candidate}?"),
        None => format!("is no {what}"),
    }
}
