//! Black-box tests: what a client of the product sees, asked of the real binary over HTTP.
//!
//! The stories are in `tests/`, one file per concern, and each runs on every database. This library is what they share:
//! - [`installation`]: a database and a working directory, on which the binary runs; [`server`]: the binary, serving.
//!   [`cluster`] and [`redis`]: a PostgreSQL and a Redis of a story's own, to kill and to freeze; [`balancer`]: HAProxy before
//!   two servers.
//! - [`client`]: sends requests; [`reply`]: what comes back; [`people`]: users, roles and keys to tell stories about;
//!   [`raw`] and [`wire`]: bytes that no HTTP library would send, once and in great numbers; [`chance`]: numbers for those.
//! - [`tls`]: certificates, and clients that trust them; [`collector`]: where spans of traces go; [`receiver`]: who is told of
//!   alerts by webhook.
//! - [`plant`]: machines, what they report and the rules about it; [`events`]: the stream of what happens.
//! - [`conformance`]: what every answer owes, checked on each one; [`openapi`] and [`schema`]: the documented part of it.
//! - [`secrets`]: what was secret during a story and must not be in the server's log.
//!
//! Nothing here knows how the product works inside.

pub mod balancer;
pub mod chance;
pub mod client;
pub mod cluster;
pub mod collector;
pub mod conformance;
pub mod database;
pub mod events;
mod front;
pub mod installation;
pub mod openapi;
pub mod patience;
pub mod people;
pub mod plant;
pub mod process;
pub mod raw;
pub mod receiver;
pub mod redis;
pub mod reply;
pub mod schema;
pub mod secrets;
pub mod server;
pub mod tls;
pub mod wire;

pub use client::{Call, Client};
pub use cluster::Cluster;
pub use installation::{Backend, Installation};
pub use people::Person;
pub use redis::Redis;
pub use reply::{Reply, assert_has};
pub use reqwest::Method;
pub use serde_json::{Value, json};
pub use server::{Options, Server};

/// Turns each story into one test per database: `sqlite::a_story` and `postgres::a_story`.
///
/// A story is written as `async fn a_story(backend: Backend) { … }`.
#[macro_export]
macro_rules! stories {
    ($($(#[doc = $doc:literal])* async fn $story:ident($backend:ident: $kind:ident) $body:block)+) => {
        $($(#[doc = $doc])* async fn $story($backend: $kind) $body)+

        mod sqlite {
            $(#[tokio::test] async fn $story() { super::$story($crate::Backend::Sqlite).await })+
        }

        mod postgres {
            $(#[tokio::test] async fn $story() { super::$story($crate::Backend::Postgres).await })+
        }
    };
}
