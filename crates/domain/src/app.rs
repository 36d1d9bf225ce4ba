//! Use cases: the verbs of the product, one public function each.
//!
//! The shape is always the same. Slow or random things (hashing, secrets) happen first; then `begin`, steps that load,
//! decide by the pure rules of the nouns and save, and `commit`. Dropping the unit of work on the way out undoes
//! everything, so every `?` is safe. A step that other use cases need inside their own transaction, or that is a story
//! of its own, is a private twin `…_in(tx, …)`; twins call twins, never public functions.
//!
//! Locks are taken in one order everywhere, so that units of work cannot wait for each other in a circle: mentorships,
//! administration, users by ascending id, roles, sign-in counters; and in the plant: rules, the tree of components, heads
//! of readings by ascending id, equipment, alerts, webhooks, deliveries. The end of the audit trail is the last lock: the commit takes it.

pub mod alerts;
pub mod api_keys;
pub mod audit;
mod callers;
pub mod deliveries;
pub mod delivering;
pub mod equipment;
mod folding;
mod heads;
pub mod housekeeping;
pub mod idempotency;
pub mod ingest;
mod judgement;
pub mod known;
pub mod latest;
pub mod live;
pub mod maintenance;
pub mod mentors;
pub mod metrics;
pub mod newcomers;
pub mod observing;
mod outbox;
pub mod preview;
pub mod readings;
pub mod retention;
pub mod roles;
pub mod rollups;
pub mod rules;
pub mod series;
pub mod sessions;
pub mod setup;
mod sign_in;
pub mod signing_keys;
pub mod silence;
pub mod thinning;
pub mod users;
pub mod webhooks;

pub use judgement::{Judged, JudgedSoFar};

use crate::changes::Changes;
use crate::ports::{Bell, Clock, Courier, Entropy, Passwords, Store, Tokens, Vault};
use crate::sessions::Lifetimes;
use crate::sign_in::Limits;
use crate::telemetry::kept::Kept;
use crate::text::Secret;
use crate::webhooks::schedule::Pauses;
use std::sync::Arc;
use std::time::Duration;

/// Everything that the use cases need.
pub struct App {
    /// Where things are kept.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for secrets.
    pub entropy: Arc<dyn Entropy>,
    /// Password hashing.
    pub passwords: Arc<dyn Passwords>,
    /// Signing and reading tokens.
    pub tokens: Arc<dyn Tokens>,
    /// Digests and seals.
    pub vault: Arc<dyn Vault>,
    /// Tells watchers that something happened.
    pub bell: Arc<dyn Bell>,
    /// Carries what there is to say to receivers outside.
    pub courier: Arc<dyn Courier>,
    /// What the operator of the installation decided.
    pub policy: Policy,
    /// How many readings were received, and what became of them.
    pub tally: ingest::Tally,
    /// What was done to old readings.
    pub totals: retention::Totals,
    /// What became of deliveries to webhooks.
    pub deliveries: delivering::Deliveries,
    /// What rules judged.
    pub judged: Judged,
    /// What changed as far as this process knows.
    pub changes: Arc<Changes>,
    /// How often something was answered from memory.
    pub counts: known::Counts,
    callers: callers::Callers,
    keys_read: signing_keys::LastRead,
    rules: judgement::RuleBook,
    heads: heads::Heads,
    pieces: known::Pieces,
    outbox: outbox::Outbox,
}

/// The services behind an [`App`].
pub struct Services {
    /// Where things are kept.
    pub store: Arc<dyn Store>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for secrets.
    pub entropy: Arc<dyn Entropy>,
    /// Password hashing.
    pub passwords: Arc<dyn Passwords>,
    /// Signing and reading tokens.
    pub tokens: Arc<dyn Tokens>,
    /// Digests and seals.
    pub vault: Arc<dyn Vault>,
    /// Tells watchers that something happened.
    pub bell: Arc<dyn Bell>,
    /// Carries what there is to say to receivers outside.
    pub courier: Arc<dyn Courier>,
}

/// What the operator of the installation decided.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The fewest characters of a password.
    pub min_password_length: usize,
    /// How long sessions and tokens live.
    pub lifetimes: Lifetimes,
    /// How many failed sign-ins are forgiven; `None` counts nothing, which is for load tests alone.
    pub sign_in_limits: Option<Limits>,
    /// How much older than the newest reading of its equipment a reading may be to be judged by rules. Older ones are
    /// stored and raise nothing.
    pub judged_back: Duration,
    /// How long readings are kept. More than `judged_back`: what is judged anew must still be there.
    pub readings_kept: Kept,
    /// How long rollups are kept, which outlive the readings.
    pub rollups_kept: RollupsKept,
    /// How old readings are when they are packed; `None` packs nothing.
    pub packed_after: Option<Duration>,
    /// How webhooks are delivered to.
    pub webhooks: WebhookPolicy,
}

/// What the operator decided about webhooks.
#[derive(Clone, Debug)]
pub struct WebhookPolicy {
    /// What secrets are sealed with.
    pub seal_key: Secret,
    /// When what failed is tried again.
    pub pauses: Pauses,
    /// How often receivers that forget are told again what is still true.
    pub repeated_every: Duration,
    /// How long deliveries are remembered.
    pub kept: Duration,
}

impl Default for WebhookPolicy {
    fn default() -> Self {
        Self {
            seal_key: Secret::new(""),
            pauses: Pauses::default(),
            repeated_every: Duration::from_secs(60),
            kept: Duration::from_secs(14 * 24 * 60 * 60),
        }
    }
}

/// How long rollups are kept; `None` is for ever. Those of days stay: they take next to no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RollupsKept {
    /// Those of each minute.
    pub minutes: Option<Duration>,
    /// Those of each hour.
    pub hours: Option<Duration>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            min_password_length: 8,
            lifetimes: Lifetimes::default(),
            sign_in_limits: Some(Limits::default()),
            judged_back: Duration::from_secs(7 * 24 * 60 * 60),
            readings_kept: Kept::default(),
            rollups_kept: RollupsKept::default(),
            packed_after: Some(Duration::from_secs(14 * 24 * 60 * 60)),
            webhooks: WebhookPolicy::default(),
        }
    }
}

impl App {
    /// An application over these services.
    pub fn new(services: Services, policy: Policy) -> Self {
        let Services { store, clock, entropy, passwords, tokens, vault, bell, courier } = services;
        Self {
            store,
            clock,
            entropy,
            passwords,
            tokens,
            vault,
            bell,
            courier,
            policy,
            tally: ingest::Tally::default(),
            totals: retention::Totals::default(),
            deliveries: delivering::Deliveries::default(),
            judged: Judged::default(),
            // Who says nothing of other processes may have any number of them.
            changes: Arc::new(Changes::shared()),
            counts: known::Counts::default(),
            callers: callers::Callers::default(),
            keys_read: signing_keys::LastRead::default(),
            rules: judgement::RuleBook::default(),
            heads: heads::Heads::default(),
            pieces: known::Pieces::default(),
            outbox: outbox::Outbox::default(),
        }
    }

    /// The same application, which remembers answers for as long as these changes allow. Without them nothing but callers
    /// is remembered.
    #[must_use]
    pub fn remembering(self, changes: Arc<Changes>) -> Self {
        Self { changes, ..self }
    }
}
