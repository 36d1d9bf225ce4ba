//! The one table of settings. To add a setting, add its row; everything else follows from it.

use super::addresses::{DatabaseUrl, RedisUrl, WebOrigin, WebUrl};
use super::layers::Reading;
use super::table::{Setting, settings};
use super::values::{LogFilter, LogFormat, Migration, TokenName, Whole};
use domain::telemetry::kept::Class;
use domain::text::{Secret, Username};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::PathBuf;

settings! {
    http: Http = "Serving the API" {
        listen: SocketAddr = "127.0.0.1:8000", "Address and port to listen on.",
            flag "listen", variable "TECHTRACK_LISTEN";
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
    alerts: Alerts = "Alerts" {
        judged_back_days: Whole<0, 365> = "7", "Days that a late reading may be older than the newest one of its equipment and still be judged by rules.";
    }
    retention: Retention = "Keeping data" {
        readings_days: Option<Whole<1, 36_500>> = "", "Days that readings are kept, by their own time; without a number for ever. Newest values, rollups and alerts stay.";
        metric_days: Vec<Class> = "", "Metrics whose values are kept for other numbers of days; the first that fits counts. What goes early leaves the rest of its readings.";
        minutes_days: Option<Whole<1, 36_500>> = "", "Days that rollups of each minute are kept; without a number for ever.";
        hours_days: Option<Whole<1, 36_500>> = "", "Days that rollups of each hour are kept; without a number for ever. Those of each day stay.";
        packed_after_days: Option<Whole<1, 36_500>> = "14", "Days after which readings are packed: they take a tenth of the room, and everything that can be asked of them stays as it was. Empty for never.";
    }
    log: Log = "Logging, to standard error" {
        filter: LogFilter = "info", "Which log lines are written, by level and module.",
            flag "log", variable "TECHTRACK_LOG";
        format: LogFormat = "auto", "How log lines look; `auto` is `human` on a terminal and `json` elsewhere.",
            flag "log-format";
    }
}
