//! The whole face in one process, over the in-memory store: what clients see, request by request.

mod accounts;
mod alerts;
mod bulk;
mod conditional;
mod contract;
mod document;
mod equipment;
mod face;
mod idempotency;
mod influx;
mod listener;
mod lists;
mod look_ups;
mod operating;
mod packed;
mod people;
mod plant;
mod readings;
mod roles;
mod rules;
mod stream;
