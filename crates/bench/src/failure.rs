//! What can go wrong with a benchmark is told to a person, so it is text with a source.

/// Why a run ended early.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a step of a run gives.
pub(crate) type Outcome<T> = Result<T, Failure>;

/// A failure in these words.
pub(crate) fn failed(why: impl Into<String>) -> Failure {
    why.into().into()
}
