//! Hostile input: everything that a request can say is said wrongly, in every place that the OpenAPI document knows. The answer is
//! a refusal, or takes what was sent exactly as it was; it is never a failure of the server, and nobody is hung up on.
//!
//! [`corpus`] is what is sent; [`fields`] and [`parameters`] are the places, [`attacks`] what breaks HTTP itself. [`stage`] has
//! something to ask for, [`asker`] asks.

#![cfg(test)]

mod asker;
mod attacks;

mod corpus;
mod fields;
mod parameters;

mod stage;

use asker::Asker;
use futures_util::future::join_all;
use stage::Stage;
use tests::openapi::Operation;
use tests::{Backend, Options, Server, stories};

/// Connections on which is asked at once.
const AT_ONCE: usize = 4;

async fn server(backend: Backend) -> Server {
    // Wrong passwords by the hundred are not what this is about.
    Server::start_with(backend, Options::default().set("TECHTRACK_SIGN_IN_LIMITS", "off")).await
}

/// Walks through all operations, each on one of several connections.
async fn walk<'a>(server: &'a Server, one: impl AsyncFn(&Stage<'a>, &'a Operation, &mut Asker)) {
    let operations: Vec<&Operation> = server.document.operations().iter().collect();
    let one = &one;
    let walks = (0..AT_ONCE).map(|number| {
        let mine = operations.iter().skip(number).step_by(AT_ONCE);
        async move {
            let (stage, mut asker) = Stage::set(server, number).await;
            for operation in mine {
                one(&stage, operation, &mut asker).await;
            }
            asker.finish(server, &stage.honest_path()).await;
        }
    });
    join_all(walks).await;
}

stories! {
    async fn every_field_of_every_body_takes_what_is_hostile_as_it_is_or_refuses_it(backend: Backend) {
        let server = server(backend).await;
        walk(&server, async |stage, operation, asker| {
            fields::walk(stage, operation, asker).await;
        }).await;
    }

    async fn every_body_that_is_no_document_is_refused(backend: Backend) {
        let server = server(backend).await;
        walk(&server, async |stage, operation, asker| {
            fields::walk_documents(stage, operation, asker).await;
        }).await;
    }

    async fn every_parameter_takes_what_is_hostile_as_it_is_or_refuses_it(backend: Backend) {
        let server = server(backend).await;
        walk(&server, async |stage, operation, asker| {
            parameters::walk_paths(stage, operation, asker).await;
            parameters::walk_queries(stage, operation, asker).await;
            parameters::walk_headers(stage, operation, asker).await;
            parameters::walk_forms(stage, operation, asker).await;
        }).await;
    }

    async fn what_breaks_http_itself_is_refused_or_hung_up_on(backend: Backend) {
        attacks::all(&server(backend).await).await;
    }
}
