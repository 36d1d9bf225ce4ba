//! The list of everything that is served. A new handler is one more name here.

use crate::operation::{Operation, operations};
use crate::{health, service, swagger};
use std::sync::LazyLock;

static OPERATIONS: LazyLock<Vec<Operation>> = LazyLock::new(|| {
    operations! {
        service: list_resources, openapi_document, public_keys, explain_problem;
        health: live, ready, metrics;
        swagger: swagger_page, swagger_file;
    }
});

/// Every operation.
pub fn operations() -> &'static [Operation] {
    &OPERATIONS
}
