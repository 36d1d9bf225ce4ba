//! `techtrack audit`: whether somebody touched the trail, and where it ends.

use super::granted;
use crate::compose::Database;
use crate::config::Config;
use crate::failure::Failure;
use crate::terminal;
use domain::app::audit;
use domain::audit::chain::{Hash, Head};
use domain::ports::Store;

/// Names the first row that somebody touched, or tells that there is none.
pub(crate) async fn verify(config: &Config, expected: Option<Hash>) -> Result<(), Failure> {
    let store = Database::beside(config).await?;
    let head = whole(&*store, expected).await?;
    let Head { events, hash, .. } = head;
    Ok(terminal::print(&format!("The audit trail is whole: {events} rows, head {hash}."))?)
}

/// Prints the hash of the newest row.
pub(crate) async fn head(config: &Config) -> Result<(), Failure> {
    let store = Database::beside(config).await?;
    let head = audit::head(&*store, &granted("audit head")?).await?;
    Ok(terminal::print(&head.hash.to_string())?)
}

/// Where the trail ends, if nobody touched it.
pub(super) async fn whole(store: &dyn Store, expected: Option<Hash>) -> Result<Head, Failure> {
    let bar = terminal::progress(0, "Rows of the audit trail");
    let at = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let found = audit::verify(store, &granted("audit verify")?, expected, at).await;
    bar.finish_and_clear();
    found?.map_err(|flaw| Failure::failed(flaw.to_string()))
}
