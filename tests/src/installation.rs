//! A place where the product is installed: a database and a working directory. Several servers may run on one.

use crate::database::{PostgresDatabase, execute_at};
use crate::process::{Finished, Process};
use crate::secrets::Secrets;
use crate::server::{Options, Server};
use std::path::{Path, PathBuf};
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
    database: Database,
    directory: TempDir,
}

enum Database {
    /// A file in the directory.
    File,
    /// On the server that all stories share.
    Shared(Box<PostgresDatabase>),
    /// One that the story itself looks after, at this URL.
    At(String),
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

    /// One on a PostgreSQL of the story's own.
    pub fn at(database_url: &str) -> Self {
        Self::in_place(Backend::Postgres, Database::At(database_url.to_owned()))
    }

    async fn on<F: Future<Output = PostgresDatabase>>(backend: Backend, made: impl FnOnce() -> F) -> Self {
        let database = match backend {
            Backend::Sqlite => Database::File,
            Backend::Postgres => Database::Shared(Box::new(made().await)),
        };
        Self::in_place(backend, database)
    }

    fn in_place(backend: Backend, database: Database) -> Self {
        let secrets = Secrets::default();
        secrets.add(Self::ADMIN_PASSWORD);
        Self { backend, secrets, place: Arc::new(Place { database, directory: temporary_directory() }) }
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
        match &self.place.database {
            Database::File => format!("sqlite://{}", self.database_file().display()),
            Database::Shared(postgres) => postgres.url(),
            Database::At(url) => url.clone(),
        }
    }

    /// Does this in the database behind the product's back, in the SQL that both databases understand.
    pub async fn tamper(&self, statements: &str) {
        match self.backend {
            Backend::Sqlite => adapters_sqlite::testing::execute(&self.database_file(), statements),
            Backend::Postgres => execute_at(&self.database_url(), statements).await,
        }
    }

    /// The file of an embedded database.
    pub fn database_file(&self) -> PathBuf {
        self.directory().join("techtrack.db")
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
        match &self.place.database {
            Database::Shared(postgres) => postgres,
            Database::File | Database::At(_) => {
                panic!("only a database on the shared server goes away like this")
            }
        }
    }
}

fn temporary_directory() -> TempDir {
    tempfile::Builder::new().prefix("techtrack-black-box-").tempdir().expect("a temporary directory")
}
