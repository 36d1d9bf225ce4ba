//! A PostgreSQL database for one installation, made empty and dropped with it.

use std::sync::atomic::{AtomicU32, Ordering};
use tokio_postgres::{Config, NoTls};

const DEFAULT_URL: &str = "postgres://postgres@127.0.0.1:5432/postgres";

/// An empty database on the server that `TEST_DATABASE_URL` names.
pub struct PostgresDatabase {
    name: String,
}

impl PostgresDatabase {
    /// Makes the database.
    pub async fn create() -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("techtrack_black_box_{}_{number}", std::process::id());
        // The id of a process that was killed before it could drop its database may come again.
        execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        execute(&format!("CREATE DATABASE {name}")).await;
        Self { name }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        let server = server_url();
        let (server, options) = server.split_once('?').map_or((server.as_str(), None), |(s, o)| (s, Some(o)));
        let (server, _) = server.rsplit_once('/').expect("TEST_DATABASE_URL names a database");
        let options = options.map(|options| format!("?{options}")).unwrap_or_default();
        format!("{server}/{}{options}", self.name)
    }

    /// Ends every connection to it and lets nobody in, as if it were away.
    pub async fn go_away(&self) {
        let name = &self.name;
        execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
        execute(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"))
            .await;
    }

    /// Lets everybody in again.
    pub async fn come_back(&self) {
        execute(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS true", self.name)).await;
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // A runtime of its own: the one of the test may be on its way out.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|runtime| runtime.block_on(execute(&statement)))
        });
        let _ = dropping.join();
    }
}

#[allow(clippy::disallowed_methods, reason = "tests are told by the environment where their PostgreSQL is")]
fn server_url() -> String {
    std::env::var("TEST_DATABASE_URL").unwrap_or_else(|_| DEFAULT_URL.to_owned())
}

async fn execute(statement: &str) {
    let config: Config = server_url().parse().expect("TEST_DATABASE_URL is a PostgreSQL URL");
    let (client, connection) = config.connect(NoTls).await.expect("PostgreSQL answers at TEST_DATABASE_URL");
    let link = tokio::spawn(connection);
    client.batch_execute(statement).await.expect("PostgreSQL does as it is told");
    drop(client);
    let _ = link.await;
}
