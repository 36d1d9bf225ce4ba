//! Partial and conditional changes: absent keeps, null clears, a value replaces; and only if nobody was faster.

use crate::error::Error;
use crate::id::Version;

/// What a change says about one clearable field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Says nothing: the field stays.
    #[default]
    Keep,
    /// Empties the field.
    Clear,
    /// Gives the field this value.
    Set(T),
}

impl<T: Clone + PartialEq> Patch<T> {
    /// What the field holds after the change.
    pub fn apply(&self, current: &Option<T>) -> Option<T> {
        match self {
            Patch::Keep => current.clone(),
            Patch::Clear => None,
            Patch::Set(value) => Some(value.clone()),
        }
    }

    /// Whether the change would leave the field other than it is.
    pub fn changes(&self, current: &Option<T>) -> bool {
        self.apply(current) != *current
    }
}

/// The change after which a field holds exactly this.
impl<T> From<Option<T>> for Patch<T> {
    fn from(wanted: Option<T>) -> Self {
        wanted.map_or(Patch::Clear, Patch::Set)
    }
}

/// Which versions a change may be applied to, as the client demanded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Whatever is there: the last writer wins.
    #[default]
    None,
    /// One of these.
    OneOf(Vec<Version>),
}

impl Precondition {
    /// Refuses when the version that is there is none of those demanded.
    pub fn check(&self, current: Version) -> Result<(), Error> {
        match self {
            Precondition::OneOf(versions) if !versions.contains(&current) => {
                Err(Error::StaleVersion(current))
            }
            Precondition::None | Precondition::OneOf(_) => Ok(()),
        }
    }
}
