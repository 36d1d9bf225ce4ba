//! Models: what a few lines say must come of any sequence of steps comes of it, over HTTP and on every database. Sequences that
//! nobody thought of are made up, and cut down to the shortest that fails.
//!
//! [`people`] are users, their mentors and their roles; [`alerts`] what readings, rules and people make of alerts.

mod alerts;
mod people;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::fmt::Debug;
use tests::{Backend, Person, Server};
use tokio::runtime::Runtime;

/// A part of the product that is small enough to be said twice.
pub(crate) trait Model {
    /// What can be done.
    type Step: Clone + Debug;

    /// Sets the scene for one sequence.
    async fn begin(server: &Server, admin: &Person, number: usize) -> Self;

    /// Does it, and fails unless it is answered as it must be.
    async fn take(&mut self, admin: &Person, step: &Self::Step);

    /// Fails unless everything is as it must be.
    async fn hold(&self, admin: &Person);
}

/// Plays so many sequences of steps, each on a scene of its own.
fn play<M: Model>(backend: Backend, cases: u32, steps: impl Strategy<Value = Vec<M::Step>>) {
    let runtime = Runtime::new().expect("a runtime");
    let (server, admin) = runtime.block_on(async {
        let server = Server::start(backend).await;
        let admin = server.admin().await;
        (server, admin)
    });
    // A sequence that once failed is put into a story of its own, not into a file that nobody reads.
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    });
    let number = std::cell::Cell::new(0);
    let played = runner.run(&steps, |steps| {
        number.set(number.get() + 1);
        runtime.block_on(async {
            let mut model = M::begin(&server, &admin, number.get()).await;
            for step in &steps {
                model.take(&admin, step).await;
                model.hold(&admin).await;
            }
        });
        Ok::<(), TestCaseError>(())
    });
    played.unwrap_or_else(|failure| panic!("{failure}"));
    // Ends in the runtime that its requests were made in.
    runtime.block_on(async { drop(server) });
}

macro_rules! models {
    ($($name:ident: $model:ty, $cases:literal, $steps:expr;)+) => {
        mod sqlite { $(#[test] fn $name() { super::play::<$model>(tests::Backend::Sqlite, $cases, $steps) })+ }
        mod postgres { $(#[test] fn $name() { super::play::<$model>(tests::Backend::Postgres, $cases, $steps) })+ }
    };
}

models! {
    users_mentors_and_roles_are_as_the_model_has_them: crate::people::People, 16, crate::people::steps();
    alerts_are_as_the_model_has_them: crate::alerts::Alerts, 24, crate::alerts::steps();
}
