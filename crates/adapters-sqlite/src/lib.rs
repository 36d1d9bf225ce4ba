//! TechTrack on SQLite: the embedded default, one file and one process.
//!
//! # The map
//! - [`SqliteStore`] (`store.rs`) opens a file for this process alone (`lock.rs`, `connection.rs`), brings it up to date
//!   (`migrations.rs`) and hands out readers and units of work.
//! - Diesel's SQLite connection blocks, and requests are served by runtimes that must not: so every connection lives on a
//!   thread of its own (`workers.rs`) and is sent closures. There is one writer, as SQLite has it, and a few readers.
//! - A reader or unit of work (`work.rs`) holds the lease of one such thread. It implements every storage port of
//!   [`domain::ports`], a file per concern. For people: `users.rs`, `mentorships.rs`, `roles.rs`, `sessions.rs`,
//!   `api_keys.rs`, `records.rs`, `trail.rs` (and `chain.rs`, which appends to the trail). For the plant: `equipment.rs`, `maintenance.rs`,
//!   `readings.rs`, `rollups.rs`, `thinnings.rs`, `metrics.rs`, `rules.rs`, `alerts.rs`, `live.rs`. Of others: `webhooks.rs`, `webhook_deliveries.rs`. A port's method clones its
//!   arguments into a closure; the statements are plain
//!   functions over `&mut SqliteConnection` further down in the same file, or in a file of their own: lists of users
//!   (`views.rs`), of equipment and of alerts (`…_lists.rs`), `reading_streams.rs`, the `heads.rs` of readings, and their `packs.rs`.
//! - `backup.rs` copies a database while a server works on it, and puts copies in place;
//!   `moving.rs` gives all that is stored to another database.
//! - `catalogue.rs` knows the numbers under which metrics are stored. `lists.rs` is what all lists share, `among.rs` how a
//!   statement takes a long list, `overwrite.rs` how it changes many rows, `facts.rs` the JSON in which the trail keeps its facts.
//! - `rows.rs` turns rows into domain types, `errors.rs` turns SQLite's messages into [`domain::ports::StoreError`],
//!   `schema.rs` mirrors `migrations/sqlite/`.
//!
//! # Locks
//! There is one writer, and a unit of work holds it from `begin` to its end. Units of work therefore never run side by
//! side, and the `lock` methods of the ports have nothing to do beyond reading what they answer. Through a reader, which
//! holds nothing, they are refused.

mod alert_lists;
mod alerts;
mod among;
mod api_keys;
mod backup;
mod catalogue;
mod chain;
mod connection;
mod equipment;
mod equipment_lists;
mod errors;
mod facts;
mod heads;
mod lists;
mod live;
mod lock;
mod maintenance;
mod mentorships;
mod metrics;
mod migrations;
mod moving;
mod overwrite;
mod packs;
#[cfg(test)]
mod plans;
mod reading_streams;
mod readings;
mod records;
mod roles;
mod rollups;
mod rows;
mod rules;
mod schema;
mod sessions;
mod store;
#[cfg(feature = "testing")]
pub mod testing;
mod thinnings;
mod trail;
mod users;
mod views;
mod webhook_deliveries;
mod webhooks;
mod work;
mod workers;

pub use backup::{BackupError, Restore, back_up};
pub use connection::ConnectError;
pub use migrations::MigrateError;
pub use moving::{Counters, GiveError};
pub use store::{OpenError, Settings, SqliteStore};

// Diesel links SQLite; this crate is named for its feature `bundled` alone.
use libsqlite3_sys as _;
