//! Looks at a database from outside of the store, and interferes.

use adapters_postgres::testing::TestDatabase;
use std::time::Duration;
use tokio_postgres::{Client, NoTls};

/// How long something may take to come true on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// The sessions of the store under test.
const SESSIONS: &str =
    "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'techtrack'";

pub(crate) struct Observer(Client);

impl Observer {
    pub(crate) async fn of(database: &TestDatabase) -> Self {
        let (client, connection) = tokio_postgres::connect(&database.url(), NoTls).await.unwrap();
        tokio::spawn(connection);
        Self(client)
    }

    pub(crate) async fn run(&self, statements: &str) {
        self.0.batch_execute(statements).await.unwrap();
    }

    /// Waits until a session of the store waits for a lock.
    pub(crate) async fn sees_somebody_wait(&self) {
        self.sees(&format!("SELECT count(*) > 0 {SESSIONS} AND wait_event_type = 'Lock'")).await;
    }

    /// Waits until the store holds no lock of any transaction.
    pub(crate) async fn sees_nobody_at_work(&self) {
        self.sees(&format!("SELECT count(*) = 0 {SESSIONS} AND backend_xid IS NOT NULL")).await;
        self.sees(&format!("SELECT count(*) = 0 {SESSIONS} AND state <> 'idle'")).await;
    }

    /// Waits until the store has this many sessions.
    pub(crate) async fn sees_sessions(&self, count: usize) {
        self.sees(&format!("SELECT count(*) = {count} {SESSIONS}")).await;
    }

    /// Does something to every session of the store that the condition picks, by its process id.
    pub(crate) async fn interferes(&self, function: &str, condition: &str) {
        self.run(&format!("SELECT {function}(pid) {SESSIONS} AND {condition}")).await;
    }

    pub(crate) async fn sees(&self, question: &str) {
        let truth = async {
            while !self.0.query_one(question, &[]).await.unwrap().get::<_, bool>(0) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, truth).await.is_err() {
            panic!("never came true: {question}");
        }
    }
}
