//! A PostgreSQL database for one installation.

use adapters_postgres::testing::TestDatabase;
use tokio_postgres::{Config, NoTls};

const DEFAULT_URL: &str = "postgres://postgres@127.0.0.1:5432/postgres";

/// A database on the server that `TEST_DATABASE_URL` names.
pub struct PostgresDatabase(TestDatabase);

impl PostgresDatabase {
    /// One with all tables and nothing in them.
    pub async fn migrated() -> Self {
        Self(TestDatabase::create().await)
    }

    /// One with nothing in it at all.
    pub async fn empty() -> Self {
        Self(TestDatabase::create_empty().await)
    }

    /// Its URL.
    pub fn url(&self) -> String {
        self.0.url()
    }

    /// Ends every connection to it and lets nobody in, as if it were away.
    pub async fn go_away(&self) {
        let name = self.0.name();
        execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
        execute(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"))
            .await;
    }

    /// Lets everybody in again.
    pub async fn come_back(&self) {
        execute(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", self.0.name())).await;
    }
}

#[allow(clippy::disallowed_methods, reason = "tests are told by the environment where their PostgreSQL is")]
fn server_url() -> String {
    std::env::var("TEST_DATABASE_URL").unwrap_or_else(|_| DEFAULT_URL.to_owned())
}

/// Does this in the database at this URL.
pub async fn execute_at(url: &str, statements: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("PostgreSQL answers");
    let link = tokio::spawn(connection);
    client.batch_execute(statements).await.expect("PostgreSQL does as it is told");
    drop(client);
    let _ = link.await;
}

async fn execute(statement: &str) {
    let config: Config = server_url().parse().expect("TEST_DATABASE_URL is a PostgreSQL URL");
    let (client, connection) = config.connect(NoTls).await.expect("PostgreSQL answers at TEST_DATABASE_URL");
    let link = tokio::spawn(connection);
    client.batch_execute(statement).await.expect("PostgreSQL does as it is told");
    drop(client);
    let _ = link.await;
}
