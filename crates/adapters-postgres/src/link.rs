//! A connection on loan: a reader or a unit of work, and every deadline there is.
//!
//! The ports are implemented on [`Link`] in files of their own; they say *what* to ask, this file says how long to wait
//! and what becomes of the connection when the answer does not come or nobody waits for it any more.

use crate::catalogue::{Catalogue, Known};
use crate::connect::{Access, ConnectError, Connector};
use crate::errors;
use crate::functions::pg_advisory_xact_lock;
use crate::hosts::Hosts;
use crate::intake::write_and_commit;
use crate::settings::Settings;
use crate::statement::Statement;
#[cfg(any(test, feature = "testing"))]
use crate::testing::PoolStatus;
use async_trait::async_trait;
use deadpool::Runtime;
use deadpool::managed::{Hook, HookError};
use diesel::data_types::PgTimestamp;
use diesel::result::QueryResult;
use diesel::{IntoSql, OptionalExtension, sql_types};
use diesel_async::methods::{ExecuteDsl, LoadQuery};
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use domain::audit::NewEvent;
use domain::ports::{
    AlertRules, Alerts, ApiKeys, Deliveries, Idempotency, Live, MaintenanceLog, Mentorships, Metrics,
    PoolUse, Readings, Register, Repos, Roles, Rollups, Sessions, SignIns, SigningKeys, StoreError, TakenIn,
    Thinnings, Trail, UnitOfWork, Users, Webhooks,
};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

type Connection = Object<AsyncPgConnection>;

/// One pool, and how long its borrowers wait.
pub(crate) struct Loans {
    pool: Pool<AsyncPgConnection>,
    connector: Arc<Connector>,
    catalogue: Arc<Catalogue>,
    to_start: Duration,
    to_answer: Duration,
}

impl Loans {
    pub(crate) fn new(
        connector: &Arc<Connector>,
        catalogue: &Arc<Catalogue>,
        (access, size): (Access, usize),
        settings: &Settings,
    ) -> Result<Self, ConnectError> {
        let mut manager = ManagerConfig::default();
        // A broken connection is seen without asking the server; a frozen one is found out by its first statement.
        manager.recycling_method = RecyclingMethod::Fast;
        let (opener, known) = (Arc::clone(connector), Arc::clone(catalogue));
        manager.custom_setup = Box::new(move |_url| {
            known.forget();
            Arc::clone(&opener).establish_at_home(access).boxed()
        });
        let judge = Arc::clone(connector);
        let pool = Pool::builder(AsyncDieselConnectionManager::new_with_config("", manager))
            .max_size(size.max(1))
            .pre_recycle(Hook::sync_fn(move |_, metrics| {
                let trusted = judge.hosts().trusts(metrics.created);
                if trusted { Ok(()) } else { Err(HookError::message("the database may be elsewhere by now")) }
            }))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(settings.acquire_timeout))
            .create_timeout(Some(settings.connect_timeout))
            .recycle_timeout(Some(settings.answer_timeout))
            .build()?;
        Ok(Self {
            pool,
            connector: Arc::clone(connector),
            catalogue: Arc::clone(catalogue),
            to_start: settings.acquire_timeout.max(settings.connect_timeout).max(settings.answer_timeout),
            to_answer: settings.answer_timeout,
        })
    }

    /// How the connections are used, under this name.
    pub(crate) fn in_use(&self, purpose: &'static str) -> PoolUse {
        let status = self.pool.status();
        PoolUse {
            purpose,
            most: status.max_size,
            in_use: status.size.saturating_sub(status.available),
            idle: status.available,
            waiting: status.waiting,
        }
    }

    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn status(&self) -> PoolStatus {
        let status = self.pool.status();
        PoolStatus { size: status.size, available: status.available, waiting: status.waiting }
    }

    pub(crate) async fn read(&self) -> Result<Link, StoreError> {
        timeout(self.to_start, self.lend()).await.map_err(busy)?
    }

    pub(crate) async fn begin(&self) -> Result<Link, StoreError> {
        let begun = timeout(self.to_start, async {
            let mut link = self.lend().await?;
            link.open().await?;
            Ok(link)
        });
        begun.await.map_err(|late| {
            self.connector.hosts().doubt();
            busy(late)
        })?
    }

    async fn lend(&self) -> Result<Link, StoreError> {
        let connection = self.pool.get().await.map_err(busy)?;
        Ok(Link {
            connection: Some(connection),
            state: State::CLEAN,
            patience: self.to_answer,
            connector: Arc::clone(&self.connector),
            catalogue: Arc::clone(&self.catalogue),
            fresh: Known::default(),
            heads: HashSet::new(),
            packed: HashMap::new(),
            announced: 0,
            recorded: Vec::new(),
        })
    }
}

fn busy(cause: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::Busy(Box::new(cause))
}

/// What may still be done with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// Anything.
    Sound,
    /// Nothing but a rollback: the server refused a statement and with it the whole unit of work.
    Refused,
    /// Nothing at all: a statement is under way, or was when its caller went away. Whoever got this connection next would
    /// wait for a stranger's answer.
    Unsettled,
}

/// A connection on loan. Dropped, it goes back to its pool only if it is as clean as it came.
pub(crate) struct Link {
    /// There until the loan ends.
    connection: Option<Connection>,
    state: State,
    patience: Duration,
    /// Hears of answers that never came.
    connector: Arc<Connector>,
    /// Metrics and shapes that are committed.
    pub(crate) catalogue: Arc<Catalogue>,
    /// Metrics and shapes that this unit of work inserted.
    pub(crate) fresh: Known,
    /// The equipment whose heads this unit of work holds.
    pub(crate) heads: HashSet<i64>,
    /// Up to where packs of that equipment may reach, where there are any.
    pub(crate) packed: HashMap<i64, PgTimestamp>,
    /// How many events this unit of work has announced.
    pub(crate) announced: i64,
    /// What its commit appends to the audit trail.
    pub(crate) recorded: Vec<NewEvent>,
}

/// What a reader sees from [`Link::look_closely`] on.
#[must_use]
pub(crate) struct Glance {
    ends: bool,
}

/// What a reader sees is settled by the first question, and locks come before it: whoever gives back the room of readings that
/// were packed takes along what such a view still shows as rows, and moving some to their week takes them from where it looks.
const SNAPSHOT: &str = "\
    BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE readings IN ACCESS SHARE MODE";

#[derive(Clone, Copy)]
struct State {
    condition: Condition,
    /// Whether a transaction is open. Without one this is a reader, and each statement stands for itself.
    in_unit: bool,
}

/// What a statement comes to.
///
/// Boxed because it must not remember the statement's type: an `async fn` over Diesel's queries, which borrow their
/// values, is `Send` in a way that the compiler cannot see.
pub(crate) type Answer<'link, T> = BoxFuture<'link, Result<T, StoreError>>;

/// The unit of work cannot go on because of what happened in it before.
#[derive(Debug, thiserror::Error)]
enum Spoilt {
    #[error("an earlier statement of this unit of work was refused, and the unit of work with it")]
    Refused,
    #[error("an earlier statement of this unit of work was never answered")]
    Unanswered,
}

impl Link {
    /// All rows that the query finds.
    pub(crate) fn all<'link, 'query: 'link, Row, Query>(
        &'link mut self,
        query: Query,
    ) -> Answer<'link, Vec<Row>>
    where
        Row: Send + 'link,
        Query: LoadQuery<'query, AsyncPgConnection, Row> + Send + 'query,
    {
        self.ask(|connection| query.load(connection).boxed())
    }

    /// The one row that the query finds, if it finds any.
    pub(crate) fn one<'link, 'query: 'link, Row, Query>(
        &'link mut self,
        query: Query,
    ) -> Answer<'link, Option<Row>>
    where
        Row: Send + 'link,
        Query: LoadQuery<'query, AsyncPgConnection, Row> + Send + 'query,
    {
        self.ask(|connection| query.get_result(connection).map(OptionalExtension::optional).boxed())
    }

    /// The one row that the query always finds, such as a count or what an insert returns.
    pub(crate) fn the<'link, 'query: 'link, Row, Query>(&'link mut self, query: Query) -> Answer<'link, Row>
    where
        Row: Send + 'link,
        Query: LoadQuery<'query, AsyncPgConnection, Row> + Send + 'query,
    {
        self.ask(|connection| query.get_result(connection).boxed())
    }

    /// How many rows the statement changed.
    pub(crate) fn run<'link, Statement>(&'link mut self, statement: Statement) -> Answer<'link, usize>
    where
        Statement: ExecuteDsl<AsyncPgConnection> + Send + 'link,
    {
        self.ask(|connection| statement.execute(connection))
    }

    /// Waits for the advisory lock and holds it until the unit of work ends.
    pub(crate) async fn hold(&mut self, lock: i64) -> Result<(), StoreError> {
        self.in_unit()?;
        self.run(diesel::select(pg_advisory_xact_lock(lock))).await?;
        Ok(())
    }

    /// Refuses what is held until the unit of work ends where there is none: it would be released before the caller, who
    /// believes to hold it, went on.
    pub(crate) fn in_unit(&self) -> Result<(), StoreError> {
        if self.state.in_unit { Ok(()) } else { Err(StoreError::ReadOnly) }
    }

    pub(crate) async fn sign_of_life(&mut self) -> Result<(), StoreError> {
        self.run(diesel::select(1.into_sql::<sql_types::Integer>())).await?;
        Ok(())
    }

    async fn open(&mut self) -> Result<(), StoreError> {
        self.ask(|connection| connection.batch_execute("BEGIN").boxed()).await?;
        self.enter_unit();
        Ok(())
    }

    /// Keeps what this reader sees as it is until [`Link::look_away`], for questions that take several statements. A unit of
    /// work has its locks for that.
    pub(crate) async fn look_closely(&mut self) -> Result<Glance, StoreError> {
        if self.state.in_unit {
            return Ok(Glance { ends: false });
        }
        // Should the lock be refused, the transaction has begun all the same.
        self.enter_unit();
        let begun = self.ask(|connection| connection.batch_execute(SNAPSHOT).boxed()).await;
        let glance = Glance { ends: true };
        if let Err(refused) = begun {
            self.look_away(glance).await;
            return Err(refused);
        }
        Ok(glance)
    }

    /// Sees again what others commit.
    pub(crate) async fn look_away(&mut self, glance: Glance) {
        if glance.ends && self.state.condition != Condition::Unsettled {
            self.roll_back().await;
        }
    }

    /// Notes that a transaction is open, or about to be: from now on the connection goes back to its pool only after one has
    /// ended.
    pub(crate) fn enter_unit(&mut self) {
        self.state.in_unit = true;
    }

    /// Says one thing to the server and waits for the answer, but not for ever. Until the answer is there the connection
    /// counts as unsettled, so a caller that goes away meanwhile leaves it marked.
    pub(crate) fn ask<'link, T: Send + 'link>(
        &'link mut self,
        say: impl FnOnce(&'link mut AsyncPgConnection) -> BoxFuture<'link, QueryResult<T>>,
    ) -> Answer<'link, T> {
        let Self { connection, state, patience, connector, .. } = self;
        match state.take_up(connection.as_mut()) {
            Ok(connection) => {
                let answer = timeout(*patience, say(connection));
                async move { state.settle(answer.await, connector.hosts()) }.boxed()
            }
            Err(spoilt) => ready(Err(spoilt)).boxed(),
        }
    }

    /// Writes, and commits if nothing of it is refused.
    pub(crate) async fn commit_after(
        mut self: Box<Self>,
        writes: [Option<Statement<'static>>; 3],
    ) -> Result<(), StoreError> {
        let connection = self.state.take_up(self.connection.as_mut())?;
        let Ok((written, ended)) = timeout(self.patience, write_and_commit(connection, writes)).await else {
            self.connector.hosts().doubt();
            return Err(StoreError::OutcomeUnknown);
        };
        match (written, ended) {
            (Ok(()), Ok(())) => {
                self.committed();
                Ok(())
            }
            (Ok(()), Err(error)) => Err(errors::refusal_of_commit(error)),
            (Err(error), _) if errors::refuses_writes(&error) => {
                self.connector.hosts().doubt();
                Err(busy(error))
            }
            // The link broke. What was said after that may have been heard all the same.
            (Err(error), _) if errors::ends_the_session(&error) => Err(StoreError::OutcomeUnknown),
            (Err(error), ended) => {
                if ended.is_ok() {
                    self.state = State::CLEAN;
                }
                Err(errors::refusal(error))
            }
        }
    }

    /// Notes that the unit of work is stored.
    fn committed(&mut self) {
        self.state = State::CLEAN;
        self.catalogue.learn(std::mem::take(&mut self.fresh));
    }

    async fn roll_back(&mut self) {
        let Some(connection) = self.connection.as_mut() else {
            return;
        };
        self.state.condition = Condition::Unsettled;
        let ended = timeout(self.patience, connection.batch_execute("ROLLBACK"));
        if let Ok(Ok(())) = ended.await {
            self.state = State::CLEAN;
        }
    }

    /// Ends the loan by closing the connection. A statement still under way is not cancelled: it could be a commit that
    /// waits for a standby, which a cancel would turn into a false success.
    fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(Object::take(connection));
        }
    }

    /// Rolls back in a task of its own, which costs a fifth of a millisecond where a new connection costs five.
    fn abandon(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            self.close();
            return;
        };
        let mut orphan = Link {
            connection: self.connection.take(),
            // Should the rollback fail, or never run, the orphan's drop closes the connection.
            state: State { condition: Condition::Unsettled, in_unit: true },
            patience: self.patience,
            connector: Arc::clone(&self.connector),
            catalogue: Arc::clone(&self.catalogue),
            fresh: Known::default(),
            heads: HashSet::new(),
            packed: HashMap::new(),
            announced: 0,
            recorded: Vec::new(),
        };
        runtime.spawn(async move { orphan.roll_back().await });
    }
}

impl State {
    /// As a connection comes out of its pool.
    const CLEAN: Self = Self { condition: Condition::Sound, in_unit: false };

    fn take_up<'link>(
        &mut self,
        connection: Option<&'link mut Connection>,
    ) -> Result<&'link mut AsyncPgConnection, StoreError> {
        match (self.condition, connection) {
            (Condition::Sound, Some(connection)) => {
                self.condition = Condition::Unsettled;
                Ok(connection)
            }
            (Condition::Refused, _) => Err(StoreError::Fault(Box::new(Spoilt::Refused))),
            (Condition::Unsettled | Condition::Sound, _) => Err(busy(Spoilt::Unanswered)),
        }
    }

    fn settle<T>(&mut self, answer: Result<QueryResult<T>, Elapsed>, hosts: &Hosts) -> Result<T, StoreError> {
        let answer = answer.map_err(|late| {
            hosts.doubt();
            busy(late)
        })?;
        let error = match answer {
            Ok(answer) => {
                self.condition = Condition::Sound;
                return Ok(answer);
            }
            Err(error) => error,
        };
        if self.in_unit && errors::refuses_writes(&error) {
            // Our sessions for writing may write: this one led to a server that is no primary, or no longer.
            self.condition = Condition::Unsettled;
            hosts.doubt();
            return Err(busy(error));
        }
        self.condition = match self.in_unit {
            _ if errors::ends_the_session(&error) => Condition::Unsettled,
            true => Condition::Refused,
            false => Condition::Sound,
        };
        Err(errors::refusal(error))
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        match self.state {
            State { condition: Condition::Unsettled, .. } => self.close(),
            State { in_unit: true, .. } => self.abandon(),
            State { in_unit: false, .. } => {}
        }
    }
}

impl Repos for Link {
    fn users(&mut self) -> &mut dyn Users {
        self
    }
    fn mentorships(&mut self) -> &mut dyn Mentorships {
        self
    }
    fn roles(&mut self) -> &mut dyn Roles {
        self
    }
    fn sessions(&mut self) -> &mut dyn Sessions {
        self
    }
    fn api_keys(&mut self) -> &mut dyn ApiKeys {
        self
    }
    fn sign_ins(&mut self) -> &mut dyn SignIns {
        self
    }
    fn idempotency(&mut self) -> &mut dyn Idempotency {
        self
    }
    fn signing_keys(&mut self) -> &mut dyn SigningKeys {
        self
    }
    fn trail(&mut self) -> &mut dyn Trail {
        self
    }
    fn equipment(&mut self) -> &mut dyn Register {
        self
    }
    fn maintenance(&mut self) -> &mut dyn MaintenanceLog {
        self
    }
    fn readings(&mut self) -> &mut dyn Readings {
        self
    }
    fn rollups(&mut self) -> &mut dyn Rollups {
        self
    }
    fn thinnings(&mut self) -> &mut dyn Thinnings {
        self
    }
    fn metrics(&mut self) -> &mut dyn Metrics {
        self
    }
    fn rules(&mut self) -> &mut dyn AlertRules {
        self
    }
    fn alerts(&mut self) -> &mut dyn Alerts {
        self
    }
    fn live(&mut self) -> &mut dyn Live {
        self
    }
    fn webhooks(&mut self) -> &mut dyn Webhooks {
        self
    }
    fn deliveries(&mut self) -> &mut dyn Deliveries {
        self
    }
}

#[async_trait]
impl UnitOfWork for Link {
    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        if !self.recorded.is_empty() {
            let last_words = self.appending().await?;
            return self.commit_after(last_words).await;
        }
        // To a unit of work that it refused the server would answer COMMIT with a rollback and call that a success.
        let connection = self.state.take_up(self.connection.as_mut())?;
        match timeout(self.patience, connection.batch_execute("COMMIT")).await {
            Ok(Ok(())) => {
                self.committed();
                Ok(())
            }
            Ok(Err(error)) => Err(errors::refusal_of_commit(error)),
            Err(_late) => {
                self.connector.hosts().doubt();
                Err(StoreError::OutcomeUnknown)
            }
        }
    }

    async fn commit_intake(self: Box<Self>, taken: TakenIn<'_>) -> Result<(), StoreError> {
        self.finish_intake(taken).await
    }

    async fn rollback(mut self: Box<Self>) {
        if self.state.condition != Condition::Unsettled {
            self.roll_back().await;
        }
    }
}
