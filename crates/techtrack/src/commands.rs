//! What the commands do. Each gets its configuration, answers on standard output, and fails by a [`Failure`].

mod audit;
mod backup;
mod columns;
mod demo;
mod export;
mod healthcheck;
mod import;
mod keys;
mod migrate;
mod moving;
mod pages;
mod tend;
mod user;

use crate::cli::{
    AuditCommand, Command, CommandLine, ExportCommand, ImportCommand, KeysCommand, UserCommand,
};
use crate::config::{self, Config, DatabaseUrl, Entry, Environment, Loaded, Source};
use crate::failure::Failure;
use crate::{logging, serve, terminal};
use domain::access::{Actor, Granted, Right};
use domain::error::Error;
use std::path::PathBuf;
use std::time::Duration;

/// How long work may take to end that nobody waits for any more.
const LAST_WORK: Duration = Duration::from_secs(2);

/// Does what the command line says.
pub(crate) fn run(line: CommandLine, environment: &Environment) -> Result<(), Failure> {
    let given = Given { flags: line.flags.0, environment, file: line.config };
    match line.command {
        Command::Serve => finish(serve::run(&given.config_for_serving()?)),
        Command::Demo => finish(demo::run(&given.config_for_demo()?)),
        Command::Migrate { check } => finish(migrate::run(&given.config()?, check)),
        Command::Tend => finish(tend::run(&given.config()?)),
        Command::User(UserCommand::Create(account)) => finish(user::create(&given.config()?, account)),
        Command::User(UserCommand::ResetPassword { name }) => {
            finish(user::reset_password(&given.config()?, &name))
        }
        Command::User(UserCommand::List { json }) => finish(user::list(&given.config()?, json)),
        Command::Import(ImportCommand::Equipment { file, dry_run }) => {
            finish(import::equipment(&given.config()?, &file, dry_run))
        }
        Command::Export(ExportCommand::Equipment { file }) => {
            finish(export::equipment(&given.config()?, file.as_deref()))
        }
        Command::Backup { file, force } => finish(backup::back_up(&given.config()?, file, force)),
        Command::Restore { file, force, despite_trail } => {
            finish(backup::restore(&given.config()?, file, force, despite_trail))
        }
        Command::Move { to, despite_trail } => finish(moving::run(&given.config()?, to, despite_trail)),
        Command::Audit(AuditCommand::Verify { expect }) => finish(audit::verify(&given.config()?, expect)),
        Command::Audit(AuditCommand::Head) => finish(audit::head(&given.config()?)),
        Command::Keys(KeysCommand::Rotate) => finish(keys::rotate(&given.config()?)),
        Command::Config { reference: true } => print(&config::reference()),
        Command::Config { reference: false } => print(&given.load()?.to_toml()),
        Command::Openapi => print(&api_http::document_json().map_err(Failure::failed)?),
        Command::Errors => print(&api_http::errors_markdown()),
        Command::Metrics => print(&api_http::metrics_markdown()),
        Command::Healthcheck => healthcheck::run(&given.config()?.http),
    }
}

/// What the configuration is made from.
struct Given<'a> {
    flags: Vec<Entry>,
    environment: &'a Environment,
    file: Option<PathBuf>,
}

impl Given<'_> {
    fn load(self) -> Result<Loaded, Failure> {
        Ok(config::load(self.flags, self.environment, self.file.as_deref())?)
    }

    /// The configuration for a server, with its log started.
    fn config_for_serving(self) -> Result<Config, Failure> {
        Ok(self.with_log(|loaded| loaded.config.log.filter.as_str().to_owned())?.config)
    }

    /// As for a server, with a database of its own unless somebody named one.
    fn config_for_demo(self) -> Result<Config, Failure> {
        let mut loaded = self.with_log(|loaded| loaded.config.log.filter.as_str().to_owned())?;
        if loaded.source_of("database", "url") == Some(&Source::Default) {
            loaded.config.database.url = DatabaseUrl::Sqlite(PathBuf::from(demo::DATABASE));
        }
        Ok(loaded.config)
    }

    /// The configuration for a command that ends by itself. Its result is what people want to see, so its log keeps to
    /// warnings unless somebody asked for more.
    fn config(self) -> Result<Config, Failure> {
        let loaded = self.with_log(|loaded| match loaded.source_of("log", "filter") {
            Some(Source::Default) | None => "warn".to_owned(),
            Some(_) => loaded.config.log.filter.as_str().to_owned(),
        })?;
        Ok(loaded.config)
    }

    fn with_log(self, filter: impl FnOnce(&Loaded) -> String) -> Result<Loaded, Failure> {
        let environment = self.environment;
        let loaded = self.load()?;
        logging::start(&filter(&loaded), loaded.config.log.format, environment).map_err(Failure::failed)?;
        Ok(loaded)
    }
}

/// Runs a command to its end, on as many threads as there are cores.
fn finish(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(command);
    // Work that nobody waits for any more may hang for as long as the database does.
    runtime.shutdown_timeout(LAST_WORK);
    outcome
}

/// Whoever can run the program on its database may do everything; the audit trail tells by this name how it was done.
fn granted<R: Right>(by: &'static str) -> Result<Granted<R>, Error> {
    Ok(Actor::system(by).grant()?)
}

fn print(text: &str) -> Result<(), Failure> {
    Ok(terminal::print(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database_of_demo(variables: &[(&str, &str)]) -> DatabaseUrl {
        let environment = Environment::new(variables.iter().copied());
        let given = Given { flags: Vec::new(), environment: &environment, file: None };
        given.config_for_demo().unwrap().database.url
    }

    #[test]
    fn a_demo_stays_out_of_the_database_that_servers_use_unless_somebody_names_one() {
        let served = config::load(Vec::new(), &Environment::default(), None).unwrap().config.database.url;
        assert_eq!(database_of_demo(&[]), DatabaseUrl::Sqlite("var/demo.db".into()));
        assert_ne!(database_of_demo(&[]), served);
        let named = [("DATABASE_URL", "sqlite://mine.db")];
        assert_eq!(database_of_demo(&named), DatabaseUrl::Sqlite("mine.db".into()));
    }
}
