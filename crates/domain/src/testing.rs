//! Doubles of everything the domain needs from outside, for tests and examples: quick, predictable, and none of them safe.
//!
//! - [`MemoryStore`] is a whole database, and keeps the same contract as the real ones.
//! - [`FrozenClock`], [`CountedEntropy`], [`PlainPasswords`], [`PlainTokens`], [`PlainVault`], [`UnlimitedAllowances`],
//!   [`SilentBell`], [`IdleCourier`] stand in for the services of [`crate::ports`]. Where a test wants to see a call or make one fail, the mocks there
//!   (`MockPasswords` and its like) do it.
//!
//! Never build a product with the feature `testing`: nothing here keeps a secret.

mod clock;
mod courier;
mod credentials;
mod store;
mod world;

pub use clock::{FrozenClock, SilentBell};
pub use courier::IdleCourier;
pub use credentials::{CountedEntropy, PlainPasswords, PlainTokens, PlainVault, UnlimitedAllowances};
pub use store::MemoryStore;
pub use world::World;
