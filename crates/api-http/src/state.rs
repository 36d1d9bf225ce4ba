//! What every worker shares: the use cases, what the operator decided, and what the face itself remembers.

use crate::doors::Doors;
use crate::influx::settings::PointSettings;
use crate::look_ups::LookUps;
use crate::metrics::{Lookout, Metrics};
use crate::openapi;
use crate::readings::gather::Gatherer;
use crate::remembered::Answers;
use crate::stream::Pace;
use crate::stream::hub::Hub;
use crate::tls::Tls;
use crate::traces::Traces;
use crate::turns::Turns;
use domain::app::App;
use domain::app::ingest::Single;
use domain::app::readings::Asked;
use domain::ports::Allowances;
use domain::time::Timestamp;
use ipnet::IpNet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;

/// What the operator of the installation decided about HTTP.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Web pages of these origins may call the API from a browser; `*` lets all.
    pub cors_origins: Vec<String>,
    /// Requests per minute and caller; 0 counts nothing.
    pub rate_limit_per_minute: u32,
    /// Requests per minute and caller that send readings, beside the others; 0 does not count them.
    pub readings_per_minute: u32,
    /// Registrations per minute and address; 0 does not count them.
    pub registrations_per_minute: u32,
    /// Connections that one address may have open, other than that of a trusted proxy; 0 for as many as it likes.
    pub connections_per_address: usize,
    /// Connections that may be open in all.
    pub connections_open: usize,
    /// Whether a change must name the version that it means.
    pub require_if_match: bool,
    /// Where clients reach the API, for its document; none means wherever the document was fetched.
    pub public_url: Option<String>,
    /// What becomes of points that clients of InfluxDB write.
    pub points: PointSettings,
    /// For how long browsers that came by TLS shall come by nothing else; zero says nothing.
    pub hsts: Duration,
    /// How many connections to storage all requests share, half of them for reading.
    pub storage_connections: usize,
    /// How many threads serve; none means one per core.
    pub workers: Option<usize>,
    /// How long new requests are still taken when the server is to stop and says so.
    pub drain_delay: Duration,
    /// How long requests under way may take to finish when the server stops.
    pub drain_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            rate_limit_per_minute: 0,
            readings_per_minute: 0,
            registrations_per_minute: 0,
            connections_per_address: 0,
            connections_open: 25_600,
            require_if_match: false,
            public_url: None,
            points: PointSettings::default(),
            hsts: Duration::ZERO,
            storage_connections: 16,
            workers: None,
            drain_delay: Duration::ZERO,
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// What every worker shares. Clones are handles on the same thing.
#[derive(Clone)]
pub struct State {
    /// The use cases.
    pub app: Arc<App>,
    /// How often somebody may call.
    pub allowances: Arc<dyn Allowances>,
    /// What the operator decided.
    pub settings: Arc<Settings>,
    /// Which connections are open.
    pub(crate) doors: Arc<Doors>,
    /// Who is at work at the same time.
    pub turns: Arc<Turns>,
    /// Who is being looked up.
    pub(crate) look_ups: Arc<LookUps>,
    /// What was counted.
    pub metrics: Arc<Metrics>,
    /// What was seen of the database a moment ago.
    pub lookout: Arc<Lookout>,
    /// When the server started.
    pub started_at: Timestamp,
    /// How connections become secret; none where they come in the open.
    pub tls: Option<Arc<Tls>>,
    /// Makes spans of requests; none where nobody collects them.
    pub traces: Option<Traces>,
    /// The API's document, once somebody asked for it.
    pub document: Arc<OnceLock<openapi::Page>>,
    /// Names for requests that bring none.
    pub request_ids: Arc<RequestIds>,
    /// Answers that may be given again.
    pub answers: Arc<Answers>,
    /// Where readings that come one by one meet.
    pub storing: Arc<Gatherer<Single>>,
    /// Where those meet that are asked for one by one.
    pub finding: Arc<Gatherer<Asked>>,
    /// What watchers read from.
    pub hub: Arc<Hub>,
    /// How often streams of events do what they do now and then.
    pub pace: Pace,
    /// Whether the server is about to stop.
    pub draining: Draining,
}

impl State {
    /// The state of a server that just started. `heard` changes whenever something was announced to watchers.
    pub fn new(
        app: Arc<App>,
        allowances: Arc<dyn Allowances>,
        settings: Settings,
        heard: watch::Receiver<u64>,
    ) -> Self {
        let started_at = app.clock.now();
        let request_ids = RequestIds::new(&app.entropy.secret());
        let turns = Turns::among(settings.storage_connections);
        Self {
            hub: Arc::new(Hub::new(Arc::clone(&app), heard)),
            pace: Pace::default(),
            app,
            allowances,
            doors: Arc::new(Doors::new(settings.connections_per_address, settings.trusted_proxies.clone())),
            look_ups: Arc::new(LookUps::among(Arc::clone(&turns))),
            turns,
            settings: Arc::new(settings),
            metrics: Arc::default(),
            lookout: Arc::default(),
            started_at,
            tls: None,
            traces: None,
            document: Arc::default(),
            answers: Arc::default(),
            storing: Arc::default(),
            finding: Arc::default(),
            request_ids: Arc::new(request_ids),
            draining: Draining::default(),
        }
    }
}

impl State {
    /// The same, with connections that become secret.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls: tls.map(Arc::new), ..self }
    }

    /// The same, with spans of requests.
    #[must_use]
    pub fn with_traces(self, traces: Option<Traces>) -> Self {
        Self { traces, ..self }
    }
}

/// A flag that a load balancer sees: no new requests, please.
#[derive(Clone, Debug, Default)]
pub struct Draining(Arc<watch::Sender<bool>>);

impl Draining {
    /// From now on the server says that it is about to stop.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Whether the server is about to stop.
    pub fn is_on(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until the server is about to stop.
    pub async fn begun(&self) {
        // The sender lives as long as this handle on it.
        let _ = self.0.subscribe().wait_for(|is_on| *is_on).await;
    }
}

/// Names requests: a random word for the process, and a number.
#[derive(Debug)]
pub struct RequestIds {
    process: String,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new(secret: &str) -> Self {
        let letters = secret.chars().rev().filter(char::is_ascii_alphanumeric);
        let process = letters.take(12).collect();
        let next = AtomicU64::new(1);
        Self { process, next }
    }

    /// A name that no other request has.
    pub fn next(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{}-{number}", self.process)
    }
}
