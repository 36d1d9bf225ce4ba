//! Partial changes: absent keeps, null clears, a value replaces.

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
