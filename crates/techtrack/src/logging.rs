//! The log: lines for people on a terminal, one JSON object a line elsewhere, always on standard error.
//!
//! Whoever logs keeps secrets out: types that hold one mask it in `Debug` and have no `Display`.

use crate::config::{Environment, LogFormat};
use crate::terminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::SubscriberBuilder;
use tracing_subscriber::util::SubscriberInitExt;

/// What those below us say too loudly, unless the filter asks for them by name: how they start, and as an error each
/// request that is no HTTP, so that any stranger could fill the log with errors.
const QUIET: &str = "actix_server=warn,actix_http::h1::dispatcher=off";

/// What would log the parameters of statements, and so password hashes and keys, however loud the filter asks it to be.
const DISCREET: &str = "tokio_postgres=info,tokio_postgres::query=info";

/// Starts the log of this process.
pub(crate) fn start(filter: &str, format: LogFormat, environment: &Environment) -> Result<(), ParseError> {
    let lines = SubscriberBuilder::default()
        .with_env_filter(EnvFilter::try_new(format!("{QUIET},{filter},{DISCREET}"))?)
        .with_writer(std::io::stderr);
    let on_terminal = terminal::stderr_is_terminal();
    // A process has one log; a second start, as tests make, leaves the first in place.
    let _ = if format.is_for_people(on_terminal) {
        let colours = on_terminal && !environment.forbids_colour();
        lines.with_ansi(colours).finish().try_init()
    } else {
        lines.json().flatten_event(true).finish().try_init()
    };
    Ok(())
}

impl LogFormat {
    fn is_for_people(self, on_terminal: bool) -> bool {
        match self {
            LogFormat::Auto => on_terminal,
            LogFormat::Human => true,
            LogFormat::Json => false,
        }
    }
}
