//! What a server does by itself now and then, beside its requests.

use crate::failure::with_causes;
use domain::app::retention::Tended;
use domain::app::{App, housekeeping, retention, rollups, signing_keys, silence};
use domain::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// How often lapsed sessions, old live events and the like are removed. They are not valid in between either; this only
/// saves space.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// How soon an alert is raised once equipment has said nothing for too long.
const WATCH_SILENCE_EVERY: Duration = Duration::from_secs(1);

/// How soon a server signs with a key that another one made. A token signed with it is understood at once; see
/// [`signing_keys`].
const RELOAD_KEYS_EVERY: Duration = Duration::from_secs(60);

/// How soon what has settled, or was written late, is rolled up. Until then readings tell.
const ROLL_UP_EVERY: Duration = Duration::from_secs(10);

/// How often storage is made ready for the readings of the next weeks, and old ones are packed or go.
const TEND_READINGS_EVERY: Duration = Duration::from_secs(60 * 60);

/// How soon that is tried again when storage was too busy for it.
const TEND_READINGS_AGAIN: Duration = Duration::from_secs(60);

/// Starts the upkeep; it ends when what is returned is dropped. What it was at is undone then.
pub(super) fn start(app: &Arc<App>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(sweep_now_and_then(Arc::clone(app)));
    tasks.spawn(reload_keys_now_and_then(Arc::clone(app)));
    tasks.spawn(watch_silence_now_and_then(Arc::clone(app)));
    tasks.spawn(roll_up_now_and_then(Arc::clone(app)));
    tasks.spawn(tend_readings_now_and_then(Arc::clone(app)));
    tasks
}

async fn sweep_now_and_then(app: Arc<App>) {
    loop {
        app.clock.wait(SWEEP_EVERY).await;
        match housekeeping::sweep(&app).await {
            Ok(swept) => tracing::debug!(?swept, "what had lapsed was removed"),
            Err(error) => warn("what has lapsed was not removed", &error),
        }
    }
}

async fn reload_keys_now_and_then(app: Arc<App>) {
    loop {
        app.clock.wait(RELOAD_KEYS_EVERY).await;
        if let Err(error) = signing_keys::load(&app).await {
            warn("the signing keys were not read again; those before stay in use", &error);
        }
    }
}

async fn watch_silence_now_and_then(app: Arc<App>) {
    loop {
        app.clock.wait(WATCH_SILENCE_EVERY).await;
        match silence::watch(&app).await {
            Ok(0) => {}
            Ok(raised) => tracing::info!(raised, "alerts were raised because equipment says nothing"),
            Err(error) => warn("nobody looked for equipment that says nothing", &error),
        }
    }
}

async fn roll_up_now_and_then(app: Arc<App>) {
    loop {
        app.clock.wait(ROLL_UP_EVERY).await;
        match rollups::roll(&app).await {
            Ok(0) => {}
            Ok(pieces) => tracing::debug!(pieces, "readings were rolled up"),
            Err(error) => {
                warn("readings were not rolled up; series are folded from them as they are", &error);
            }
        }
    }
}

/// At once for the first time: a new server has no room for the readings of this week yet.
async fn tend_readings_now_and_then(app: Arc<App>) {
    loop {
        let pause = match tend_readings(&app).await {
            Ok(()) => TEND_READINGS_EVERY,
            Err(error) => {
                warn("readings were not tended; it is tried again in a minute", &error);
                TEND_READINGS_AGAIN
            }
        };
        app.clock.wait(pause).await;
    }
}

async fn tend_readings(app: &App) -> Result<(), Error> {
    let tended = retention::tend(app).await?;
    let Tended { packed, removed, thinned, removed_rollups } = tended;
    if packed + removed + thinned + removed_rollups > 0 {
        tracing::info!(packed, removed, thinned, removed_rollups, "old readings were packed or removed");
    }
    Ok(())
}

/// The next turn may do better, so it is a warning.
fn warn(what: &str, error: &Error) {
    tracing::warn!(cause = with_causes(error), "{what}");
}
