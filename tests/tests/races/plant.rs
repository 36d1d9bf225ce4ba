//! An application on a real database, and the few things that races do in it over and over.

use adapters_postgres::testing::TestDatabase;
use adapters_postgres::{PostgresStore, Settings as PostgresSettings};
use adapters_security::SystemClock;
use adapters_sqlite::{Settings as SqliteSettings, SqliteStore};
use domain::access::rights::{ManageEquipment, ManageRules, ViewAlerts, ViewData, ViewUsers, WriteData};
use domain::access::{Actor, Granted, Right};
use domain::alerts::{Alert, AlertFilter, AlertQuery};
use domain::app::ingest::{self, Counts, Sent};
use domain::app::setup::{FirstAdministrator, prepare};
use domain::app::{App, Policy, alerts, equipment, readings, rules, users};
use domain::changes::Changes;
use domain::equipment::{Details, Equipment, EquipmentRef};
use domain::error::{Code, Error};
use domain::id::EquipmentId;
use domain::idempotency::Once;
use domain::page::{Direction, PageRequest};
use domain::ports::Store;
use domain::rules::{Condition, Operator, Rule, RuleDetails, Severity, Target, Threshold};
use domain::telemetry::{MetricName, OnConflict, Reading, ReadingFilter, Tags, Values};
use domain::testing::{FrozenClock, World};
use domain::text::{Label, Secret, Username};
use domain::time::Timestamp;
use domain::users::{UserFilter, UserQuery, UserView};
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;

/// A Monday morning that is long over: 2024-05-06T07:00:00Z, in microseconds.
const MONDAY_MORNING: i64 = 1_714_978_800_000_000;

/// An application on a real database that is gone when the test ends.
pub(crate) struct Plant {
    pub(crate) app: Arc<App>,
    _database: Box<dyn Send>,
}

impl Plant {
    pub(crate) async fn on_sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(SqliteSettings::new(directory.path().join("race.db"))).unwrap();
        store.migrate().await.unwrap();
        Self::over(Arc::new(store), Box::new(directory)).await
    }

    pub(crate) async fn on_postgres() -> Self {
        let database = TestDatabase::create().await;
        let store = PostgresStore::connect(PostgresSettings::new(database.url())).unwrap();
        Self::over(Arc::new(store), Box::new(database)).await
    }

    async fn over(store: Arc<dyn Store>, database: Box<dyn Send>) -> Self {
        let app = App::new(World::services(store, Arc::new(SystemClock)), Policy::default());
        let app = app.remembering(Arc::new(Changes::alone()));
        let first = FirstAdministrator {
            username: Username::restore("admin".into()),
            password: Some(Secret::new(World::PASSWORD)),
        };
        prepare(&app, &first).await.unwrap();
        Self { app: Arc::new(app), _database: database }
    }

    /// The same application as it will be after this long.
    pub(crate) fn later_by(&self, span: Duration) -> Arc<App> {
        let clock = FrozenClock::at(self.app.clock.now().after(span));
        let services = World::services(self.app.store.clone(), Arc::new(clock));
        Arc::new(App::new(services, Policy::default()))
    }

    /// Starts `count` tasks at once and gathers what each came to.
    pub(crate) async fn at_once<T, F>(&self, count: usize, act: impl Fn(Arc<App>, usize) -> F) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let tasks: Vec<_> = (0..count).map(|number| tokio::spawn(act(self.app.clone(), number))).collect();
        join_all(tasks).await.into_iter().map(Result::unwrap).collect()
    }

    pub(crate) async fn all_users(&self, filter: UserFilter) -> Vec<UserView> {
        let query = UserQuery { filter, page: whole_page(), ..UserQuery::default() };
        users::list(&self.app, &right::<ViewUsers>(), query).await.unwrap().items
    }

    /// Registers a piece of equipment.
    pub(crate) async fn machine(&self, name: &str) -> EquipmentId {
        register(&self.app, details(name)).await.unwrap().id
    }

    /// Makes a rule.
    pub(crate) async fn rule(&self, details: RuleDetails) -> Rule {
        rules::create(&self.app, right::<ManageRules>(), details, Once::each_time()).await.unwrap()
    }

    /// All alerts on a piece, in the order of their instants.
    pub(crate) async fn alerts_on(&self, machine: EquipmentId) -> Vec<Alert> {
        let filter = AlertFilter { equipment: vec![machine], ..AlertFilter::default() };
        let query = AlertQuery { filter, page: whole_page(), ..AlertQuery::default() };
        let mut found = alerts::list(&self.app, &right::<ViewAlerts>(), query).await.unwrap().items;
        found.sort_by_key(|alert| (alert.what.at, alert.id));
        found
    }

    /// All readings of a piece, oldest first.
    pub(crate) async fn readings_of(&self, machine: EquipmentId) -> Vec<Reading> {
        let filter = ReadingFilter { equipment: vec![machine], ..ReadingFilter::default() };
        let (by, mut read) = (right::<ViewData>(), Vec::<Reading>::new());
        loop {
            let after = read.last().map(|reading| reading.id);
            let next =
                readings::next(&self.app, &by, filter.clone(), Direction::Ascending, after).await.unwrap();
            if next.is_empty() {
                return read;
            }
            read.extend(next);
        }
    }
}

/// A page that holds all that a race makes.
pub(crate) fn whole_page() -> PageRequest {
    PageRequest::new(1, PageRequest::MAX_SIZE).unwrap()
}

/// The right of the product itself.
pub(crate) fn right<R: Right>() -> Granted<R> {
    Actor::system("race").grant().unwrap()
}

/// What those who were refused were told.
pub(crate) fn codes<T>(results: &[Result<T, Error>]) -> Vec<Code> {
    results.iter().filter_map(|result| result.as_ref().err().map(Error::code)).collect()
}

/// A machine of this name and nothing else.
pub(crate) fn details(name: &str) -> Details {
    Details::new(Label::parse(name).unwrap(), Label::parse("press").unwrap())
}

/// Registers a piece of equipment.
pub(crate) async fn register(app: &App, details: Details) -> Result<Equipment, Error> {
    equipment::create(app, right::<ManageEquipment>(), details, Once::each_time()).await
}

/// The metric that races are about.
pub(crate) fn temperature() -> MetricName {
    MetricName::parse("temperature").unwrap()
}

/// An instant of the races' own morning.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(MONDAY_MORNING + second * 1_000_000).unwrap()
}

/// A reading of the temperature.
pub(crate) fn sent(machine: EquipmentId, second: i64, value: f64) -> Sent {
    let values = Values::of(vec![(temperature(), value)]).unwrap();
    Sent { equipment: EquipmentRef::Id(machine), at: Some(at(second)), values, tags: Tags::new() }
}

/// Sends readings, all or none.
pub(crate) async fn send(app: &App, readings: Vec<Sent>) -> Result<Counts, Error> {
    ingest::all(app, right::<WriteData>(), readings, OnConflict::Refuse, Once::each_time()).await
}

/// A rule that is breached by every temperature above this.
pub(crate) fn above(threshold: f64, target: Target) -> RuleDetails {
    let condition = Condition::Threshold(Threshold {
        metric: temperature(),
        operator: Operator::Above,
        threshold,
        threshold_high: None,
        clear_threshold: None,
    });
    RuleDetails {
        name: Label::parse("Too hot").unwrap(),
        target,
        condition,
        wait: Duration::ZERO,
        severity: Severity::Warning,
        enabled: true,
        latch: false,
    }
}
