//! The whole face in one process, over the in-memory store: what clients see, request by request.

mod accounts;
mod conditional;
mod contract;
mod document;
mod face;
mod idempotency;
mod lists;
mod operating;
mod people;
mod roles;
