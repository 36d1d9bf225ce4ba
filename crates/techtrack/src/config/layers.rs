//! Layers of configuration: what each source says, which source wins, and reading the winners into types.

use super::print;
use super::problems::Problem;
use super::settings::{Config, SETTINGS};
use super::table::Setting;
use super::values::{Sight, Value};
use std::fmt;

/// Who said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    File(String),
    Variable(String),
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(path) => f.write_str(path),
            Source::Variable(name) => f.write_str(name),
            Source::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// What a source says about a setting. `Debug` masks secrets.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub section: &'static str,
    pub key: &'static str,
    pub text: String,
    pub source: Source,
}

impl Entry {
    pub(crate) fn new(setting: &Setting, text: impl Into<String>, source: Source) -> Self {
        Self { section: setting.section, key: setting.key, text: text.into(), source }
    }

    pub(super) fn is_about(&self, section: &str, key: &str) -> bool {
        self.section == section && self.key == key
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} = {} ({})", self.section, self.key, print::shown(self), self.source)
    }
}

/// The defaults with layers laid over them, the last one on top: one entry for each setting.
pub(crate) fn stack(layers: impl IntoIterator<Item = Vec<Entry>>) -> Vec<Entry> {
    let mut effective: Vec<Entry> =
        SETTINGS.iter().map(|setting| Entry::new(setting, setting.default, Source::Default)).collect();
    for entry in layers.into_iter().flatten() {
        let below = effective.iter_mut().find(|below| below.is_about(entry.section, entry.key));
        if let Some(below) = below {
            *below = entry;
        }
    }
    effective
}

/// Reads entries into types and keeps what was refused.
pub(crate) struct Reading<'a> {
    entries: &'a [Entry],
    problems: &'a mut Vec<Problem>,
}

impl<'a> Reading<'a> {
    /// The typed configuration; `None` when something was refused.
    pub(crate) fn all(entries: &'a [Entry], problems: &'a mut Vec<Problem>) -> Option<Config> {
        Config::read(&mut Reading { entries, problems })
    }

    /// The value of one setting; `None` when it was refused.
    pub(super) fn value<T: Value>(&mut self, section: &str, key: &str) -> Option<T> {
        let entry = self.entries.iter().find(|entry| entry.is_about(section, key))?;
        match T::read(&entry.text) {
            Ok(value) => Some(value),
            Err(refusal) => {
                self.problems.push(Problem::of(entry, with_evidence::<T>(refusal, &entry.text)));
                None
            }
        }
    }
}

fn with_evidence<T: Value>(refusal: String, text: &str) -> String {
    match T::SIGHT {
        Sight::Open => format!("{refusal}; it is {text:?}"),
        Sight::Url | Sight::Hidden => refusal,
    }
}
