//! Puts the crates together as configured. The only place that knows every adapter, and the only one that knows that
//! there is more than one database.

mod bell;
mod key_file;
#[cfg(test)]
pub(crate) mod scratch;

use crate::config::{Config, Conflict, DatabaseUrl, MetricNames, Migration, Sampler, TagName};
use crate::failure::Failure;
use adapters_postgres::PostgresStore;
use adapters_redis::SharedAllowances;
use adapters_security::{
    Argon2Passwords, AwsVault, HashingSettings, JwtTokens, SystemClock, SystemEntropy, TokenSettings,
};
use adapters_sqlite::SqliteStore;
use adapters_traces::{Collector, Pipeline, Sampling, SamplingRule, SpanCounts, TracedStore};
use adapters_webhooks::{HttpCourier, Networks};
use api_http::influx::settings::PointSettings;
use api_http::traces::{Spans, Traces};
use bell::LocalBell;
use domain::allowance::LocalAllowances;
use domain::app::{App, Policy, RollupsKept, Services, WebhookPolicy, setup, signing_keys};
use domain::changes::Changes;
use domain::ports::{Allowances, Bell, Store, Tokens};
use domain::sessions::Lifetimes;
use domain::sign_in::Limits;
use domain::telemetry::OnConflict;
use domain::telemetry::kept::Kept;
use domain::telemetry::points::{Mapping, Naming};
use domain::text::Secret;
use domain::webhooks::schedule::Pauses;
use key_file::KeysFromFile;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The database that the configuration names.
pub(crate) enum Database {
    Sqlite(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
}

impl Database {
    /// Opens it. Its schema may be of any age; see [`Database::make_current`].
    pub(crate) fn open(config: &Config) -> Result<Self, Failure> {
        match &config.database.url {
            DatabaseUrl::Sqlite(path) => {
                let store =
                    SqliteStore::open(adapters_sqlite::Settings::new(path)).map_err(Failure::failed)?;
                Ok(Database::Sqlite(Arc::new(store)))
            }
            DatabaseUrl::Postgres(url) => {
                let settings = adapters_postgres::Settings {
                    max_connections: config.database.max_connections.get() as usize,
                    ..adapters_postgres::Settings::new(url.reveal())
                };
                let store = PostgresStore::connect(settings).map_err(Failure::failed)?;
                Ok(Database::Postgres(Arc::new(store)))
            }
        }
    }

    /// Opens it to look at it beside servers that work on it. Its schema must be current.
    pub(crate) async fn beside(config: &Config) -> Result<Arc<dyn Store>, Failure> {
        let database = match &config.database.url {
            DatabaseUrl::Sqlite(path) => {
                let settings = adapters_sqlite::Settings::new(path);
                Database::Sqlite(Arc::new(SqliteStore::beside(settings).map_err(Failure::failed)?))
            }
            DatabaseUrl::Postgres(_) => Self::open(config)?,
        };
        database.make_current(Migration::Off).await?;
        Ok(database.store())
    }

    /// Runs the migrations that are missing, and names them.
    pub(crate) async fn migrate(&self) -> Result<Vec<String>, Failure> {
        match self {
            Database::Sqlite(store) => store.migrate().await.map_err(Failure::failed),
            Database::Postgres(store) => store.migrate().await.map_err(Failure::failed),
        }
    }

    /// Names the migrations that are missing.
    pub(crate) async fn pending(&self) -> Result<Vec<String>, Failure> {
        match self {
            Database::Sqlite(store) => store.pending().await.map_err(Failure::failed),
            Database::Postgres(store) => store.pending().await.map_err(Failure::failed),
        }
    }

    /// Brings the schema up to date, or where that is somebody else's task, refuses one that is not.
    async fn make_current(&self, migration: Migration) -> Result<(), Failure> {
        match migration {
            Migration::Auto => {
                for name in self.migrate().await? {
                    tracing::info!(migration = name, "the database was migrated");
                }
                Ok(())
            }
            Migration::Off => match self.pending().await?.as_slice() {
                [] => Ok(()),
                pending => Err(Failure::failed(format!(
                    "the schema lacks the migrations {}; run `techtrack migrate`",
                    pending.join(", ")
                ))),
            },
        }
    }

    /// How OpenTelemetry calls its kind.
    fn system(&self) -> &'static str {
        match self {
            Database::Sqlite(_) => "sqlite",
            Database::Postgres(_) => "postgresql",
        }
    }

    fn store(self) -> Arc<dyn Store> {
        match self {
            Database::Sqlite(store) => store,
            Database::Postgres(store) => store,
        }
    }

    /// A bell that every server on this database hears, what changes when it rings, and what servers tell each other of
    /// changes.
    fn bell(&self) -> (Arc<dyn Bell>, watch::Receiver<u64>, Arc<Changes>) {
        match self {
            // No other process may be on the file.
            Database::Sqlite(_) => {
                let bell = LocalBell::default();
                let heard = bell.heard();
                (Arc::new(bell), heard, Arc::new(Changes::alone()))
            }
            Database::Postgres(store) => {
                let changes = Arc::new(Changes::shared());
                let bell = store.bell(Arc::clone(&changes));
                let heard = bell.heard();
                (Arc::new(bell), heard, changes)
            }
        }
    }
}

/// The application, and what changes whenever something was announced to watchers.
pub(crate) struct Composed {
    pub app: App,
    pub heard: watch::Receiver<u64>,
}

/// The application as configured, over a database whose schema is current, with its built-in roles and its keys in place.
pub(crate) async fn prepared(config: &Config) -> Result<App, Failure> {
    let Composed { app, .. } = composed(config, None).await?;
    setup::install_built_in_roles(&app).await?;
    signing_keys::load(&app).await?;
    Ok(app)
}

/// The application as configured, over a database whose schema is current; what is asked of it becomes spans where somebody
/// collects them.
pub(crate) async fn composed(config: &Config, traces: Option<&Pipeline>) -> Result<Composed, Failure> {
    // What can be refused for its configuration alone comes before the database is touched.
    let (passwords, tokens, courier) = (passwords(config)?, tokens(config)?, courier(config)?);
    let database = Database::open(config)?;
    database.make_current(config.database.migrate).await?;
    let (bell, heard, changes) = database.bell();
    let services = Services {
        store: traced(database, traces),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        passwords: Arc::new(passwords),
        tokens,
        vault: Arc::new(AwsVault),
        bell,
        courier: Arc::new(courier),
    };
    Ok(Composed { app: App::new(services, policy(config)).remembering(changes), heard })
}

fn traced(database: Database, traces: Option<&Pipeline>) -> Arc<dyn Store> {
    let system = database.system();
    match traces {
        None => database.store(),
        Some(traces) => Arc::new(TracedStore::new(database.store(), traces.tracer(), system)),
    }
}

/// The way to whoever collects traces, if anybody does.
pub(crate) fn traces(config: &Config) -> Result<Option<Pipeline>, Failure> {
    let traces = &config.traces;
    let Some(endpoint) = &traces.endpoint else { return Ok(None) };
    let collector = Collector {
        endpoint: endpoint.as_str().to_owned(),
        headers: traces.headers.pairs().to_vec(),
        patience: Duration::from_millis(traces.timeout_ms.get().into()),
        service: traces.service_name.as_str().to_owned(),
        version: env!("CARGO_PKG_VERSION"),
        attributes: traces.resource_attributes.pairs().to_vec(),
        sampling: sampling(traces.sampler, traces.sampler_arg.get()),
    };
    Pipeline::open(collector).map(Some).map_err(Failure::failed)
}

fn sampling(sampler: Sampler, share: f64) -> Sampling {
    let (rule, parent_based) = match sampler {
        Sampler::AlwaysOn => (SamplingRule::AlwaysOn, false),
        Sampler::AlwaysOff => (SamplingRule::AlwaysOff, false),
        Sampler::Ratio => (SamplingRule::Ratio, false),
        Sampler::ParentOrOn => (SamplingRule::AlwaysOn, true),
        Sampler::ParentOrOff => (SamplingRule::AlwaysOff, true),
        Sampler::ParentOrRatio => (SamplingRule::Ratio, true),
    };
    Sampling::new(rule, share, parent_based)
}

/// What the HTTP face is told of spans.
pub(crate) fn told_of(traces: &Pipeline) -> Traces {
    let pipeline = traces.clone();
    Traces::new(traces.tracer(), traces.propagator(), move || {
        let SpanCounts { exported, overflowed, refused } = pipeline.counts();
        Spans { exported, overflowed, refused }
    })
}

fn passwords(config: &Config) -> Result<Argon2Passwords, Failure> {
    let settings = HashingSettings {
        memory_kib: config.password.memory_kib.get(),
        passes: config.password.iterations.get(),
        lanes: config.password.parallelism.get(),
        ..HashingSettings::default()
    };
    Argon2Passwords::new(settings).map_err(Failure::failed)
}

fn tokens(config: &Config) -> Result<Arc<dyn Tokens>, Failure> {
    let tokens = JwtTokens::new(TokenSettings {
        issuer: config.token.issuer.as_str().to_owned(),
        audience: config.token.audience.as_str().to_owned(),
    });
    match &config.token.key_file {
        Some(path) => {
            let of_file = KeysFromFile::open(path.clone(), tokens);
            Ok(Arc::new(of_file.map_err(|error| Failure::Usage(error.to_string()))?))
        }
        None => Ok(Arc::new(tokens)),
    }
}

fn courier(config: &Config) -> Result<HttpCourier, Failure> {
    let settings = adapters_webhooks::Settings {
        networks: Networks::allowing(config.webhooks.allowed_networks.clone()),
        public_internet: config.webhooks.public_internet,
        plain_http: config.webhooks.plain_http,
    };
    HttpCourier::new(settings).map_err(Failure::failed)
}

fn policy(config: &Config) -> Policy {
    Policy {
        min_password_length: config.password.min_length.get() as usize,
        lifetimes: Lifetimes {
            access: seconds(config.token.access_seconds.get()),
            idle: seconds(config.session.idle_days.get() * DAY),
            absolute: seconds(config.session.absolute_days.get() * DAY),
            rotate: config.session.rotate_refresh,
        },
        sign_in_limits: config.sign_in.limits.then(|| Limits {
            per_account: config.sign_in.failures_per_account.get(),
            per_address: config.sign_in.failures_per_address.get(),
            window: seconds(config.sign_in.window_minutes.get() * 60),
        }),
        judged_back: seconds(config.alerts.judged_back_days.get() * DAY),
        readings_kept: Kept {
            otherwise: config.retention.readings_days.map(|kept| days(kept.get())),
            classes: config.retention.metric_days.clone(),
        },
        rollups_kept: RollupsKept {
            minutes: config.retention.minutes_days.map(|kept| days(kept.get())),
            hours: config.retention.hours_days.map(|kept| days(kept.get())),
        },
        packed_after: config.retention.packed_after_days.map(|age| days(age.get())),
        webhooks: WebhookPolicy {
            seal_key: config.webhooks.seal_key.clone().unwrap_or_else(|| Secret::new("")),
            pauses: Pauses(config.webhooks.retry_seconds.iter().map(|pause| seconds(pause.get())).collect()),
            repeated_every: seconds(config.webhooks.repeat_seconds.get()),
            kept: days(config.webhooks.keep_days.get()),
        },
    }
}

const DAY: u32 = 24 * 60 * 60;

fn days(count: u32) -> Duration {
    seconds(DAY) * count
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}

/// How often somebody may call: counted by Redis for all servers together, or else by each for itself.
pub(crate) fn allowances(config: &Config) -> Result<Arc<dyn Allowances>, Failure> {
    let local = Arc::new(LocalAllowances::new(Arc::new(SystemClock)));
    match &config.redis.url {
        Some(url) => Ok(Arc::new(SharedAllowances::connect(url.reveal(), local).map_err(Failure::failed)?)),
        None => Ok(local),
    }
}

/// What the HTTP face is told.
pub(crate) fn http_settings(config: &Config, connections_open: usize) -> api_http::Settings {
    let (http, rates) = (&config.http, &config.rate_limit);
    let per_minute = rates.per_minute.get();
    let registrations = if per_minute == 0 { 0 } else { rates.registrations_per_minute.get() };
    api_http::Settings {
        trusted_proxies: http.trusted_proxies.clone(),
        cors_origins: http.cors_origins.iter().map(|origin| origin.as_str().to_owned()).collect(),
        rate_limit_per_minute: per_minute,
        readings_per_minute: rates.readings_per_minute.map_or(per_minute, |limit| limit.get()),
        registrations_per_minute: registrations,
        connections_per_address: http.connections_per_address.get() as usize,
        connections_open,
        points: point_settings(config),
        storage_connections: storage_connections(config),
        require_if_match: http.require_if_match,
        public_url: http.public_url.as_ref().map(|url| url.as_str().to_owned()),
        hsts: seconds(http.hsts_seconds.get()),
        workers: Some(http.workers.get() as usize).filter(|workers| *workers > 0),
        drain_delay: seconds(http.drain_delay_seconds.get()),
        drain_timeout: seconds(http.drain_seconds.get()),
    }
}

/// How many connections requests share. Of PostgreSQL's half are for reading; an embedded database has its readers, and takes
/// as many more for half of the whole.
fn storage_connections(config: &Config) -> usize {
    match &config.database.url {
        DatabaseUrl::Sqlite(path) => 2 * adapters_sqlite::Settings::new(path).readers,
        DatabaseUrl::Postgres(_) => config.database.max_connections.get() as usize,
    }
}

/// What becomes of points.
fn point_settings(config: &Config) -> PointSettings {
    let influx = &config.influx;
    let tags = |names: &[TagName]| names.iter().map(|name| name.as_str().to_owned()).collect();
    PointSettings {
        mapping: Mapping {
            naming: match influx.metric_names {
                MetricNames::MeasurementAndField => Naming::MeasurementAndField,
                MetricNames::Field => Naming::Field,
            },
            equipment_tags: tags(&influx.equipment_tags),
            metric_tags: tags(&influx.metric_tags),
            attribute_tags: tags(&influx.attribute_tags),
        },
        on_conflict: match influx.on_conflict {
            Conflict::Replace => OnConflict::Replace,
            Conflict::Refuse => OnConflict::Refuse,
        },
        register_as: influx.register_equipment.then(|| influx.register_type.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::scratch::Scratch;
    use super::*;

    async fn refusal(config: &Config) -> String {
        prepared(config).await.err().map(|failure| failure.to_string()).unwrap_or_default()
    }

    #[tokio::test]
    async fn a_schema_that_lags_behind_is_refused_where_migrating_is_somebody_elses_task() {
        let scratch = Scratch::new();
        let by_others = scratch.config(&[("TECHTRACK_DATABASE_MIGRATE", "off")]);
        assert!(refusal(&by_others).await.contains("techtrack migrate"));
        let database = Database::open(&by_others).unwrap();
        assert!(!database.migrate().await.unwrap().is_empty());
        assert_eq!(database.pending().await.unwrap(), [] as [&str; 0]);
        drop(database);
        assert_eq!(refusal(&by_others).await, "");
    }

    #[tokio::test]
    async fn a_second_program_on_one_embedded_database_is_refused() {
        let scratch = Scratch::new();
        let config = scratch.config(&[]);
        let first = prepared(&config).await;
        assert!(refusal(&config).await.contains("already uses"));
        drop(first);
        assert_eq!(refusal(&config).await, "");
    }

    #[test]
    fn what_is_configured_reaches_the_use_cases() {
        let scratch = Scratch::new();
        let config = scratch.config(&[
            ("TECHTRACK_PASSWORD_MIN_LENGTH", "12"),
            ("TECHTRACK_SESSION_IDLE_DAYS", "2"),
            ("TECHTRACK_TOKEN_ACCESS_SECONDS", "60"),
            ("TECHTRACK_SIGN_IN_WINDOW_MINUTES", "5"),
            ("TECHTRACK_ALERTS_JUDGED_BACK_DAYS", "1"),
            ("TECHTRACK_RETENTION_READINGS_DAYS", "36500"),
            ("TECHTRACK_RETENTION_METRIC_DAYS", "vibration.*=30,speed=60"),
        ]);
        let chosen = policy(&config);
        assert_eq!(chosen.min_password_length, 12);
        assert_eq!(chosen.lifetimes.idle, Duration::from_secs(2 * 24 * 60 * 60));
        assert_eq!(chosen.lifetimes.access, Duration::from_secs(60));
        assert_eq!(chosen.sign_in_limits.map(|limits| limits.window), Some(Duration::from_secs(300)));
        assert_eq!(chosen.judged_back, Duration::from_secs(24 * 60 * 60));
        assert_eq!(chosen.readings_kept.otherwise, Some(Duration::from_secs(36_500 * 24 * 60 * 60)));
        assert_eq!(chosen.readings_kept.classes.len(), 2);
        let unlimited = policy(&scratch.config(&[("TECHTRACK_SIGN_IN_LIMITS", "off")]));
        assert_eq!(unlimited.sign_in_limits, None);
    }

    #[test]
    fn what_waits_for_an_embedded_database_waits_for_the_readers_that_it_has() {
        let scratch = Scratch::new();
        let shared =
            |variables: &[(&str, &str)]| http_settings(&scratch.config(variables), 100).storage_connections;
        let connections = ("TECHTRACK_DATABASE_MAX_CONNECTIONS", "40");
        let readers = adapters_sqlite::Settings::new("x").readers;
        assert_eq!(shared(&[connections]), 2 * readers);
        assert_eq!(shared(&[connections, ("TECHTRACK_DATABASE_URL", "postgres://localhost/x")]), 40);
    }

    #[test]
    fn no_limit_of_requests_is_no_limit_of_readings_and_registrations_unless_somebody_says_otherwise() {
        let scratch = Scratch::new();
        let limits = |variables: &[(&str, &str)]| {
            let settings = http_settings(&scratch.config(variables), 100);
            [settings.rate_limit_per_minute, settings.readings_per_minute, settings.registrations_per_minute]
        };
        assert_eq!(limits(&[]), [600, 600, 60]);
        let off = ("TECHTRACK_RATE_LIMIT_PER_MINUTE", "0");
        assert_eq!(limits(&[off]), [0, 0, 0]);
        assert_eq!(limits(&[off, ("TECHTRACK_RATE_LIMIT_READINGS_PER_MINUTE", "7")]), [0, 7, 0]);
        assert_eq!(limits(&[("TECHTRACK_RATE_LIMIT_READINGS_PER_MINUTE", "0")]), [600, 0, 60]);
        assert_eq!(limits(&[("TECHTRACK_RATE_LIMIT_PER_MINUTE", "30")]), [30, 30, 60]);
    }

    #[test]
    fn the_defaults_are_those_of_the_domain() {
        let scratch = Scratch::new();
        let (chosen, domain) = (policy(&scratch.config(&[])), Policy::default());
        assert_eq!(chosen.min_password_length, domain.min_password_length);
        assert_eq!(chosen.lifetimes, domain.lifetimes);
        assert_eq!(chosen.sign_in_limits, domain.sign_in_limits);
        assert_eq!(chosen.judged_back, domain.judged_back);
        assert_eq!(chosen.readings_kept, domain.readings_kept);
        assert_eq!(chosen.webhooks.pauses, domain.webhooks.pauses);
        assert_eq!(chosen.webhooks.repeated_every, domain.webhooks.repeated_every);
        assert_eq!(chosen.webhooks.kept, domain.webhooks.kept);
    }
}
