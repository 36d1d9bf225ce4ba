//! The one table of settings. To add a setting, add its row; everything else follows from it.

use super::addresses::{DatabaseUrl, RedisUrl, WebOrigin, WebUrl};
use super::layers::Reading;
use super::pairs::{Attributes, Headers};
use super::table::{Setting, settings};
use super::values::{
    Conflict, LogFilter, LogFormat, MetricNames, Migration, Sampler, Share, TagName, TokenName, Whole,
};
use domain::telemetry::kept::Class;
use domain::text::{Label, Secret, Username};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;

settings! {
    http: Http = "Serving the API" {
        listen: SocketAddr = "127.0.0.1:8000", "Address and port to listen on.",
            flag "listen", variable "TECHTRACK_LISTEN";
        tls_cert: Option<PathBuf> = "", "A PEM file with the certificate to show to clients, the server's own first; with it connections are TLS. Read again on SIGHUP and when it changes.",
            flag "tls-cert";
        tls_key: Option<PathBuf> = "", "A PEM file with the private key of that certificate.",
            flag "tls-key";
        hsts_seconds: Whole<0, 63_072_000> = "31536000", "Seconds for which browsers that came by TLS, to this server or to a trusted proxy, shall come by nothing else; 0 for not saying so.";
        workers: Whole<0, 1024> = "0", "Threads that serve requests; 0 for one per core.";
        trusted_proxies: Vec<IpNet> = "", "Networks of proxies whose `X-Forwarded-For` is believed.";
        cors_origins: Vec<WebOrigin> = "", "Origins of web pages that may call the API from a browser.";
        public_url: Option<WebUrl> = "", "Where clients reach the API, for its OpenAPI document; without one, wherever they got it.";
        connections_per_address: Whole<0, 1_000_000> = "4096", "Connections that one address may have open; 0 for as many as it likes. Trusted proxies may have any number.";
        require_if_match: bool = "off", "Whether changing a resource without `If-Match` is refused (428).";
        drain_delay_seconds: Whole<0, 600> = "2", "How long new requests are still taken when the server is stopped and says so at `/health/ready`, so that load balancers notice.";
        drain_seconds: Whole<1, 600> = "30", "How long requests under way may take to finish when the server is stopped.";
    }
    database: Database = "Storage" {
        url: DatabaseUrl = "sqlite://var/techtrack.db", "The database: an embedded SQLite file or a PostgreSQL server.",
            flag "database-url", second_variable "DATABASE_URL";
        max_connections: Whole<2, 1000> = "16", "Connections to a PostgreSQL server at most.";
        migrate: Migration = "auto", "Whether `serve` brings the schema up to date; `off` leaves it to `techtrack migrate`.";
    }
    redis: Redis = "What several servers share" {
        url: Option<RedisUrl> = "", "A Redis server that counts requests for all servers together; without one each counts for itself.",
            flag "redis-url", second_variable "REDIS_URL";
    }
    admin: Admin = "The first administrator, made when there is none yet" {
        username: Username = "admin", "The first administrator's login.";
        password: Option<Secret> = "", "The first administrator's password; without one a random one is printed once to the terminal.";
    }
    password: PasswordRules = "Passwords; hashing may be made dearer than the default, never cheaper" {
        min_length: Whole<8, 64> = "8", "Characters that a password has at least.";
        memory_kib: Whole<19456, 1_048_576> = "19456", "Memory of one argon2id hash, in KiB.";
        iterations: Whole<2, 32> = "2", "Passes of one argon2id hash.";
        parallelism: Whole<1, 16> = "1", "Lanes of one argon2id hash.";
    }
    token: Tokens = "Access and refresh tokens" {
        issuer: TokenName = "techtrack", "The `iss` claim of tokens.";
        audience: TokenName = "techtrack", "The `aud` claim of tokens.";
        access_seconds: Whole<60, 3600> = "600", "Seconds that an access token is good for.";
        key_file: Option<PathBuf> = "", "A PEM file with Ed25519 signing keys, the one that signs first, instead of those kept in the database.";
    }
    session: Sessions = "Sessions" {
        idle_days: Whole<1, 365> = "14", "Days after which a session that nobody refreshes lapses.";
        absolute_days: Whole<1, 3650> = "90", "Days after which a session lapses however often it is refreshed.";
        rotate_refresh: bool = "on", "Whether a refresh spends the refresh token and answers a new one.";
    }
    sign_in: SignIn = "Guessing passwords" {
        limits: bool = "on", "Whether failed sign-ins make further ones wait; off only for load tests.";
        failures_per_account: Whole<1, 1000> = "10", "Failures of one account within the window before it has to wait.";
        failures_per_address: Whole<1, 100_000> = "10", "Failures from one address within the window before it has to wait.";
        window_minutes: Whole<1, 1440> = "15", "Minutes that a failure is remembered, and the longest wait.";
    }
    rate_limit: RateLimit = "Requests per caller" {
        per_minute: Whole<0, 1_000_000> = "600", "Requests of one caller per minute; 0 for no limit, neither of these nor of registrations.";
        readings_per_minute: Option<Whole<0, 1_000_000>> = "", "Requests of one caller per minute that send readings, beside the others; 0 for no limit, without a number as many as of the others.";
        registrations_per_minute: Whole<0, 1_000_000> = "60", "Registrations from one address per minute; 0 for no limit.";
    }
    influx: Influx = "Points that clients of InfluxDB write" {
        metric_names: MetricNames = "measurement_and_field", "What a field is called as a metric: `measurement_and_field` for `measurement.field`, or `field`.";
        equipment_tags: Vec<TagName> = "equipment_id,serial_number,equipment,host", "Tags that name the equipment; the first one that a point has counts. `equipment_id` holds an id, every other a serial number or else a name that only one piece has.";
        metric_tags: Vec<TagName> = "cpu,feature,interface,path,sensor", "Tags whose values become part of metrics' names, in this order, between measurement and field.";
        attribute_tags: Vec<TagName> = "", "Tags that become attributes of readings. Tags that are named nowhere say nothing.";
        on_conflict: Conflict = "replace", "What becomes of a point that says otherwise than what is stored for its instant: it replaces that, as in InfluxDB, or is refused.";
        register_equipment: bool = "off", "Whether equipment that nobody registered comes into the register when somebody writes points of it who may write equipment.";
        register_type: Label = "machine", "The type of equipment that comes into the register so.";
    }
    alerts: Alerts = "Alerts" {
        judged_back_days: Whole<0, 365> = "7", "Days that a late reading may be older than the newest one of its equipment and still be judged by rules.";
    }
    webhooks: Webhooks = "Telling others of alerts" {
        seal_key: Option<Secret> = "", "What the secrets of webhooks are sealed with in the database; without one they are sealed with nothing that a thief of the database lacks.";
        allowed_networks: Vec<IpNet> = "", "Networks that webhooks may reach beside the public internet, encrypted or not; private, local and reserved ones are refused else.";
        public_internet: bool = "on", "Whether webhooks may reach the public internet; where not, only allowed networks.";
        plain_http: bool = "off", "Whether webhooks may go to the public internet unencrypted, too.";
        retry_seconds: Vec<Whole<1, 86_400>> = "5,30,120,600,3600,21600,61200", "Seconds to wait after each failed try of a delivery; after one more it is given up.";
        repeat_seconds: Whole<10, 3600> = "60", "Seconds after which an Alertmanager is told again what is unresolved, before it forgets.";
        keep_days: Whole<2, 3650> = "14", "Days that deliveries are remembered.";
    }
    retention: Retention = "Keeping data" {
        readings_days: Option<Whole<1, 36_500>> = "", "Days that readings are kept, by their own time; without a number for ever. Newest values, rollups and alerts stay.";
        metric_days: Vec<Class> = "", "Metrics whose values are kept for other numbers of days; the first that fits counts. What goes early leaves the rest of its readings.";
        minutes_days: Option<Whole<1, 36_500>> = "", "Days that rollups of each minute are kept; without a number for ever.";
        hours_days: Option<Whole<1, 36_500>> = "", "Days that rollups of each hour are kept; without a number for ever. Those of each day stay.";
        packed_after_days: Option<Whole<1, 36_500>> = "14", "Days after which readings are packed: they take a tenth of the room, and everything that can be asked of them stays as it was. Empty for never (`none` in the environment).";
    }
    metrics: Metrics = "Watching the server" {
        listen: Option<SocketAddr> = "", "Address and port of their own for `/metrics` and `/health/…`, without TLS; `/metrics` is not served at the other address then.",
            flag "metrics-listen";
    }
    traces: Traces = "Traces, by OpenTelemetry" {
        endpoint: Option<WebUrl> = "", "A collector that takes spans by OTLP (protobuf over HTTP), without `/v1/traces`; without one there are no traces.",
            second_variable "OTEL_EXPORTER_OTLP_ENDPOINT";
        headers: Headers = "", "Headers that the collector wants, such as its password.",
            second_variable "OTEL_EXPORTER_OTLP_HEADERS";
        timeout_ms: Whole<1, 60_000> = "10000", "Milliseconds that the collector may take over a batch.",
            second_variable "OTEL_EXPORTER_OTLP_TIMEOUT";
        service_name: TokenName = "techtrack", "What this service is called in traces.",
            second_variable "OTEL_SERVICE_NAME";
        resource_attributes: Attributes = "", "What else tells this installation from others in traces.",
            second_variable "OTEL_RESOURCE_ATTRIBUTES";
        sampler: Sampler = "parentbased_always_on", "Which requests become spans; with `parentbased_…` a client that names a trace decides for it.",
            second_variable "OTEL_TRACES_SAMPLER";
        sampler_arg: Share = "1", "Which share of requests becomes spans, by a sampler of `traceidratio`.",
            second_variable "OTEL_TRACES_SAMPLER_ARG";
    }
    log: Log = "Logging, to standard error" {
        filter: LogFilter = "info", "Which log lines are written, by level and module.",
            flag "log", variable "TECHTRACK_LOG";
        format: LogFormat = "auto", "How log lines look; `auto` is `human` on a terminal and `json` elsewhere.",
            flag "log-format";
    }
}
