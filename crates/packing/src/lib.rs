//! What is old, made small: readings and rollups of one piece of equipment as columns of bytes.
//!
//! Both databases keep these bytes and neither looks into them, so that they are written and read here alone. Numbers go
//! through the `pco` codec, column by column: what a machine measures changes little from one reading to the next, and a
//! column of it takes a byte or two a number.
//!
//! - [`Pack`] is a stretch of readings: an [`Outline`], which says which readings there are, and a body with what they say.
//! - [`digests`] are rollups.
//! - [`Course`] finds the next readings in order of time among many packs, and asks for no body that it can do without.
//!
//! Whatever was written stays readable: both kinds of bytes begin with the version of their layout.

mod bytes;
mod course;
pub mod digests;
mod outline;
mod pack;

pub use course::{Course, Listed, Start, Want, merged};
pub use outline::Outline;
pub use pack::Pack;

/// Bytes that were not written here, or not all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("packed bytes do not make sense: {0}")]
pub struct Damaged(&'static str);
