//! A place where the product is installed: a database and a working directory. Several servers may run on one.

use crate::database::PostgresDatabase;
use crate::process::{Finished, Process};
use crate::secrets::Secrets;
use crate::server::{Options, Server};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// Which database a story runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The embedded one, in a file.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

/// A database and a working directory, both removed when nobody uses them any more.
#[derive(Clone)]
pub struct Installation {
    /// Which database it has.
    pub backend: Backend,
    /// What was secret on any of its servers.
    pub secrets: Secrets,
    place: Arc<Place>,
}

struct Place {
    /// None where the database is a file in the directory.
    postgres: Option<PostgresDatabase>,
    directory: TempDir,
}

impl Installation {
    /// The administrator's password where nobody says otherwise.
    pub const ADMIN_PASSWORD: &str = "Copper-Lantern-58-Harbour";

    /// An empty one. Where making tables takes time they are there already.
    pub async fn new(backend: Backend) -> Self {
        Self::on(backend, PostgresDatabase::migrated).await
    }

    /// One whose database has not even tables.
    pub async fn unmigrated(backend: Backend) -> Self {
        Self::on(backend, PostgresDatabase::empty).await
    }

    async fn on<F: Future<Output = PostgresDatabase>>(backend: Backend, made: impl FnOnce() -> F) -> Self {
        let postgres = match backend {
            Backend::Sqlite => None,
            Backend::Postgres => Some(made().await),
        };
        let secrets = Secrets::default();
        secrets.add(Self::ADMIN_PASSWORD);
        Self { backend, secrets, place: Arc::new(Place { postgres, directory: temporary_directory() }) }
    }

    /// Starts a server on it.
    pub async fn serve(&self, options: Options) -> Server {
        Server::start_on(self.clone(), options).await
    }

    /// Runs a command of the binary to its end.
    pub async fn run(&self, arguments: &[&str]) -> Finished {
        self.run_with(arguments, &Options::default()).await
    }

    /// As [`Installation::run`], with other options.
    pub async fn run_with(&self, arguments: &[&str], options: &Options) -> Finished {
        self.spawn(arguments, options).finish().await
    }

    /// Starts the binary on it.
    pub fn spawn(&self, arguments: &[&str], options: &Options) -> Process {
        Process::start(
            self.directory(),
            arguments,
            &options.variables_on(&self.database_url()),
            options.input(),
        )
    }

    /// Its working directory.
    pub fn directory(&self) -> &Path {
        self.place.directory.path()
    }

    /// Its database.
    pub fn database_url(&self) -> String {
        match &self.place.postgres {
            Some(postgres) => postgres.url(),
            None => format!("sqlite://{}", self.directory().join("techtrack.db").display()),
        }
    }

    /// Makes the database unreachable, until it is brought back.
    pub async fn take_database_away(&self) {
        self.postgres().go_away().await;
    }

    /// Makes the database reachable again.
    pub async fn bring_database_back(&self) {
        self.postgres().come_back().await;
    }

    fn postgres(&self) -> &PostgresDatabase {
        self.place.postgres.as_ref().expect("a file does not go away")
    }
}

fn temporary_directory() -> TempDir {
    tempfile::Builder::new().prefix("techtrack-black-box-").tempdir().expect("a temporary directory")
}
