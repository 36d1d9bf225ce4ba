//! An installation that is gone after the test.

use super::prepared;
use crate::config::{self, Config, Environment};
use domain::app::App;
use tempfile::TempDir;

/// A directory of its own with a database file in it.
pub(crate) struct Scratch(TempDir);

impl Scratch {
    /// A new one, which holds nothing.
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// A configuration over its database, with these variables besides.
    pub(crate) fn config(&self, variables: &[(&str, &str)]) -> Config {
        let url = format!("sqlite://{}/t.db", self.0.path().display());
        let variables = [("DATABASE_URL", url.as_str())].into_iter().chain(variables.iter().copied());
        config::load(Vec::new(), &Environment::new(variables), None).unwrap().config
    }

    /// The application over its database.
    pub(crate) async fn app(&self) -> App {
        prepared(&self.config(&[])).await.unwrap()
    }

    /// Where a file of this name is in it.
    pub(crate) fn file(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }
}
