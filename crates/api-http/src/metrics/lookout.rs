//! What is known of the database: asked when somebody wants to know, and then not again for a while, however many ask.

use domain::app::App;
use domain::app::observing::{Observed, look};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How long what was seen is good for.
const FRESH: Duration = Duration::from_secs(5);

/// How long counting may take. Who watches the server must hear from it above all when the database is slow.
const PATIENCE: Duration = Duration::from_secs(1);

/// What was seen at one moment.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    /// How long a sign of life took; nothing when there was none.
    pub(super) ping: Option<Duration>,
    /// What is stored, if it could be counted.
    pub(super) observed: Option<Arc<Observed>>,
}

/// Looks at the database now and then.
#[derive(Debug, Default)]
pub struct Lookout(Mutex<Option<(Instant, Sight)>>);

impl Lookout {
    /// What was seen a moment ago, or now.
    pub(super) async fn sight(&self, app: &App) -> Sight {
        let mut seen = self.0.lock().await;
        if let Some((at, sight)) = &*seen
            && at.elapsed() < FRESH
        {
            return sight.clone();
        }
        let sight = Self::see(app).await;
        *seen = Some((Instant::now(), sight.clone()));
        sight
    }

    async fn see(app: &App) -> Sight {
        let began = Instant::now();
        let alive = timeout(PATIENCE, app.store.ping()).await.is_ok_and(|ping| ping.is_ok());
        if !alive {
            return Sight { ping: None, observed: None };
        }
        let ping = Some(began.elapsed());
        let observed = match timeout(PATIENCE, look(app)).await {
            Ok(Ok(observed)) => Some(Arc::new(observed)),
            Ok(Err(error)) => {
                tracing::warn!(cause = %error, "what is stored was not counted");
                None
            }
            Err(_late) => None,
        };
        Sight { ping, observed }
    }
}
