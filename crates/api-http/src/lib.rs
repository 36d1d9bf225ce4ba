//! TechTrack over HTTP: the face that turns requests into use cases of the domain and outcomes into answers.
//!
//! # The map
//! - In and out: [`serve`] starts the server over a [`State`], on connections (`connection`) that do not wait for ever, no more of them than an address may have (`doors`);
//!   [`middleware`] is what happens around every request, and [`turns`] says how many are at work at once.
//! - What is served: [`routes`] lists every operation; [`operation`] makes the router and [`openapi`] the document from
//!   that list. [`documented`]: the types in a handler's signature write its document.
//! - Reading: [`auth`] (who may call, first argument of every handler), [`path`], [`query`], [`body`], [`conditional`],
//!   [`once`]; [`values`] says how each value of the domain looks on the wire.
//! - Answering: [`reply`], [`page`], and [`problem`] for everything that fails.
//! - Handlers, three lines each: [`accounts`], [`users`], [`mentors`], [`roles`], [`audit`]; of the plant [`equipment`],
//!   [`maintenance`], [`readings`] (also as points of [`influx`], whose clients have [`manners`] of their own), [`series`], [`catalogue`], [`rules`], [`alerts`], and live [`stream`]; what the server
//!   says of itself: [`about`], [`problem::explanation`], [`health`], [`swagger`].
//!
//! Nothing is decided here about people or equipment, and nothing is stored: see the `domain` crate.

pub mod about;
pub mod accounts;
pub mod alerts;
pub mod audit;
pub mod auth;
pub mod body;
pub mod catalogue;
pub mod completion;
pub mod conditional;
mod connection;
pub mod documented;
mod doors;
pub mod equipment;
pub mod health;
pub mod influx;
pub mod latest;
mod look_ups;
pub mod maintenance;
pub mod manners;
pub mod mentors;
pub mod metrics;
pub mod middleware;
pub mod once;
pub mod openapi;
pub mod operation;
pub mod page;
pub mod path;
pub mod problem;
pub mod query;
pub mod readings;
pub mod remembered;
pub mod reply;
pub mod roles;
pub mod routes;
pub mod rules;
pub mod series;
mod serve;
mod state;
pub mod stream;
mod streamed;
pub mod swagger;
pub mod tls;
pub mod traces;
pub mod turns;
pub mod users;
pub mod values;
pub mod webhooks;

pub use metrics::table::metrics_markdown;
pub use openapi::document_json;
pub use problem::table::errors_markdown;
pub use serve::{Listeners, app, serve};
pub use state::{Draining, Settings, State};

#[cfg(test)]
mod tests;
