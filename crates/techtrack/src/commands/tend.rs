//! `techtrack tend`: what servers do to old readings now and then, done now.

use crate::compose;
use crate::config::Config;
use crate::failure::Failure;
use crate::terminal;
use domain::app::retention::{self, Tended};
use domain::app::rollups;

/// Rolls up what has settled, packs what is old enough for it, and removes what is kept no longer.
pub(crate) async fn run(config: &Config) -> Result<(), Failure> {
    let app = compose::prepared(config).await?;
    // Whoever says so wants all of it done, where a server leaves what takes too long for the next time.
    let rolled = rollups::roll_all(&app).await?;
    let Tended { packed, removed, thinned, removed_rollups } = retention::tend(&app).await?;
    let report = format!(
        "Rolled up readings of {rolled} pieces of equipment, packed {packed} readings, removed {removed} readings, values of \
         {thinned} readings and {removed_rollups} rollups."
    );
    Ok(terminal::print(&report)?)
}
