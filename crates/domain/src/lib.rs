//! TechTrack's domain: what the plant's people may do, decided without a database, a socket or a clock of its own.
//!
//! # The map
//! - Values: [`id`], [`text`], [`time`], [`page`], [`patch`]. Untrusted text becomes one of these types once, at the edge.
//! - Who may do what: [`access`]. A right is a value ([`access::Granted`]) that a use case demands as an argument.
//! - How often one may ask: [`allowance`], token buckets that decide nothing else.
//! - The nouns: [`users`], [`roles`], [`mentors`], [`sessions`], [`api_keys`], [`sign_in`], [`audit`], [`idempotency`].
//!   Of the plant: [`equipment`], [`maintenance`], [`telemetry`], [`rules`], [`alerts`], [`live`]. Of others: [`webhooks`].
//!   Decisions are pure functions here, over data and `now`.
//! - The verbs: [`app`]. One public function per use case (`users::register`); what use cases share inside a
//!   transaction is a private twin `…_in(tx, …)`.
//! - What we need from outside: [`ports`]. Each trait says what an implementation MUST hold; the `store-contract` crate
//!   checks it.
//! - What can go wrong: [`error`], one table of codes.
//! - With the feature `testing`: an in-memory store that passes the same contract as the databases, a frozen clock,
//!   and mocks of the outside ports.
//!
//! An internal service that embeds this crate starts at [`app::App`]; `examples/` holds a small one.
#![warn(missing_docs)]

pub mod access;
pub mod alerts;
pub mod allowance;
pub mod api_keys;
pub mod app;
pub mod audit;
pub mod changes;
pub mod equipment;
pub mod error;
pub mod id;
pub mod idempotency;
pub mod live;
pub mod maintenance;
pub mod mentors;
pub mod page;
pub mod patch;
pub mod ports;
pub mod roles;
pub mod rules;
pub mod sessions;
pub mod sign_in;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;
pub mod time;
pub mod users;
pub mod webhooks;
