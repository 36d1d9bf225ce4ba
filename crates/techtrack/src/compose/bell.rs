//! Telling watchers of this process that something was announced.

use domain::ports::Bell;
use tokio::sync::watch;

/// A bell that is heard in this process alone.
#[derive(Debug)]
pub(super) struct LocalBell(watch::Sender<u64>);

impl Default for LocalBell {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl LocalBell {
    /// Changes with each ring.
    pub(super) fn heard(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
}

impl Bell for LocalBell {
    fn ring(&self) {
        self.0.send_modify(|rings| *rings = rings.wrapping_add(1));
    }
}
