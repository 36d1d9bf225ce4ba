//! How many ask storage who somebody is, when a crowd comes.

use super::face::{Face, silence};
use super::plant::Plant;
use crate::turns::Class;
use crate::{Settings, State};
use async_trait::async_trait;
use domain::access::Origin;
use domain::api_keys::PREFIX;
use domain::app::sessions;
use domain::ports::{Repos, Store, StoreError, UnitOfWork};
use domain::testing::{MemoryStore, UnlimitedAllowances, World};
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::yield_now;

/// A database that takes its time, and knows who asked.
#[derive(Default)]
struct Counting {
    store: MemoryStore,
    asked: AtomicUsize,
    at_once: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl Store for Counting {
    async fn reader(&self) -> Result<Box<dyn Repos>, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(at_once, Ordering::SeqCst);
        for _ in 0..10 {
            yield_now().await;
        }
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        self.store.reader().await
    }

    async fn begin(&self) -> Result<Box<dyn UnitOfWork>, StoreError> {
        self.store.begin().await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A plant where nobody is remembered, and nobody has asked yet.
async fn forgetful() -> (Plant, Arc<Counting>) {
    let store = Arc::new(Counting::default());
    let World { app, clock, .. } = World::over(store.clone()).await.unwrap();
    let state = State::new(Arc::new(app), Arc::new(UnlimitedAllowances), Settings::default(), silence());
    let plant = Plant::of(Face { state, clock }).await;
    plant.clock.advance(Duration::from_secs(1));
    for counter in [&store.asked, &store.most] {
        counter.store(0, Ordering::SeqCst);
    }
    (plant, store)
}

#[actix_web::test]
async fn of_a_crowd_with_the_same_credential_one_is_looked_up() {
    let (plant, store) = forgetful().await;
    let (app, look_ups) = (&plant.state.app, &plant.state.look_ups);
    let found = join_all((0..200).map(|_| look_ups.identify(app, &plant.admin, Origin::default()))).await;
    assert!(found.iter().all(Result::is_ok));
    assert_eq!(store.asked.load(Ordering::SeqCst), 1);
}

#[actix_web::test]
async fn of_a_crowd_that_watches_with_the_same_credential_one_is_looked_up_each_half_second() {
    let (plant, store) = forgetful().await;
    let (app, look_ups) = (&plant.state.app, &plant.state.look_ups);
    let actor = sessions::authenticate(app, &plant.admin, Origin::default()).await.unwrap();
    for round in 1..=3 {
        plant.clock.advance(Duration::from_millis(500));
        store.asked.store(0, Ordering::SeqCst);
        let found = join_all((0..200).map(|_| look_ups.identify_again(app, &actor, &plant.admin))).await;
        assert!(found.iter().all(Result::is_ok));
        assert_eq!(store.asked.load(Ordering::SeqCst), 1, "round {round}");
    }
}

#[actix_web::test]
async fn whoever_invents_credentials_takes_few_connections() {
    let (plant, store) = forgetful().await;
    let (app, look_ups) = (&plant.state.app, &plant.state.look_ups);
    let tokens: Vec<String> = (0..200).map(|number| format!("{PREFIX}{number}")).collect();
    let found = join_all(tokens.iter().map(|token| look_ups.identify(app, token, Origin::default()))).await;
    assert!(found.iter().all(Result::is_err));
    assert_eq!(store.asked.load(Ordering::SeqCst), 200);
    let places = plant.state.turns.line(Class::LookUp).places();
    assert!(store.most.load(Ordering::SeqCst) <= places, "{:?}", store.most);
    assert!(look_ups.is_idle(), "nobody is remembered");
}
