//! What the commands do. Each gets its configuration, answers on standard output, and fails by a [`Failure`].

mod healthcheck;
mod keys;
mod migrate;
mod user;

use crate::cli::{Command, CommandLine, KeysCommand, UserCommand};
use crate::config::{self, Config, Entry, Environment, Loaded, Source};
use crate::failure::Failure;
use crate::{logging, serve, terminal};
use std::path::PathBuf;

/// Does what the command line says.
pub(crate) fn run(line: CommandLine, environment: &Environment) -> Result<(), Failure> {
    let given = Given { flags: line.flags.0, environment, file: line.config };
    match line.command {
        Command::Serve => finish(serve::run(&given.config_for_serving()?)),
        Command::Migrate { check } => finish(migrate::run(&given.config()?, check)),
        Command::User(UserCommand::Create(account)) => finish(user::create(&given.config()?, account)),
        Command::User(UserCommand::ResetPassword { name }) => {
            finish(user::reset_password(&given.config()?, &name))
        }
        Command::User(UserCommand::List { json }) => finish(user::list(&given.config()?, json)),
        Command::Keys(KeysCommand::Rotate) => finish(keys::rotate(&given.config()?)),
        Command::Config { reference: true } => print(&config::reference()),
        Command::Config { reference: false } => print(&given.load()?.to_toml()),
        Command::Openapi => print(&api_http::document_json().map_err(Failure::failed)?),
        Command::Errors => print(&api_http::errors_markdown()),
        Command::Healthcheck => healthcheck::run(given.config()?.http.listen),
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
        self.with_log(|loaded| loaded.config.log.filter.as_str().to_owned())
    }

    /// The configuration for a command that ends by itself. Its result is what people want to see, so its log keeps to
    /// warnings unless somebody asked for more.
    fn config(self) -> Result<Config, Failure> {
        self.with_log(|loaded| match loaded.source_of("log", "filter") {
            Some(Source::Default) | None => "warn".to_owned(),
            Some(_) => loaded.config.log.filter.as_str().to_owned(),
        })
    }

    fn with_log(self, filter: impl FnOnce(&Loaded) -> String) -> Result<Config, Failure> {
        let environment = self.environment;
        let loaded = self.load()?;
        logging::start(&filter(&loaded), loaded.config.log.format, environment).map_err(Failure::failed)?;
        Ok(loaded.config)
    }
}

/// Runs a command to its end, on as many threads as there are cores.
fn finish(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(command)
}

fn print(text: &str) -> Result<(), Failure> {
    Ok(terminal::print(text)?)
}
