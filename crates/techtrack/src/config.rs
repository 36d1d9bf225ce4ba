//! Configuration: flags over environment over a TOML file over defaults, judged as a whole before anything starts.
//!
//! - [`settings`] is the one table; [`table`] says how a row is written, [`values`] and [`addresses`] which types there
//!   are.
//! - [`mod@file`] and [`environment`] are layers, as are the flags of [`crate::cli`]; [`layers`] stacks them.
//! - [`problems`] collects every reason for a refusal, so that one start tells all.
//! - [`mod@print`] shows the effective configuration and the reference; [`masking`] keeps secrets out of both.
//! - [`pairs`] reads names with values, as OpenTelemetry's variables hold them.
//! - [`placeholders`] refuses secrets that are none.

mod addresses;
mod environment;
mod file;
mod layers;
mod masking;
mod pairs;
mod placeholders;
mod print;
mod problems;
mod settings;
mod table;
mod values;

pub(crate) use addresses::DatabaseUrl;
pub(crate) use environment::Environment;
pub(crate) use layers::{Entry, Source};
pub(crate) use problems::{Problem, Refused, unknown};
pub(crate) use settings::{Config, Http, SETTINGS};
pub(crate) use table::Setting;
pub(crate) use values::{Conflict, LogFormat, MetricNames, Migration, Sampler, TagName, Value};

use layers::Reading;
use std::path::Path;
use values::DAY;

/// A configuration that was accepted, and where each of its values came from.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// The values, typed.
    pub config: Config,
    entries: Vec<Entry>,
}

impl Loaded {
    /// The effective configuration as TOML, with the source of each value; secrets are masked.
    pub(crate) fn to_toml(&self) -> String {
        print::toml(&self.entries)
    }

    /// Where a setting's value came from.
    pub(crate) fn source_of(&self, section: &str, key: &str) -> Option<&Source> {
        let entry = self.entries.iter().find(|entry| entry.is_about(section, key))?;
        Some(&entry.source)
    }
}

/// Every setting explained, as Markdown.
pub(crate) fn reference() -> String {
    print::reference()
}

/// Loads the configuration from flags, environment and, where one is named, a file.
pub(crate) fn load(
    flags: Vec<Entry>,
    environment: &Environment,
    file: Option<&Path>,
) -> Result<Loaded, Refused> {
    let mut problems = Vec::new();
    let file = file.map_or_else(Vec::new, |path| file::read(path, &mut problems));
    let environment = environment.entries(&mut problems);
    judge(layers::stack([file, environment, flags]), problems)
}

fn judge(entries: Vec<Entry>, mut problems: Vec<Problem>) -> Result<Loaded, Refused> {
    let config = Reading::all(&entries, &mut problems);
    if let Some(config) = &config {
        refuse_contradictions(config, &entries, &mut problems);
    }
    match config {
        Some(config) if problems.is_empty() => Ok(Loaded { config, entries }),
        Some(_) | None => Err(Refused(problems)),
    }
}

/// What no single value shows.
fn refuse_contradictions(config: &Config, entries: &[Entry], problems: &mut Vec<Problem>) {
    let mut refuse = |section: &str, key: &str, message: String| {
        let entry = entries.iter().find(|entry| entry.is_about(section, key));
        problems.extend(entry.map(|entry| Problem::of(entry, message)));
    };
    let (idle, absolute) = (config.session.idle_days.get(), config.session.absolute_days.get());
    if idle > absolute {
        let message = format!("must not be more than session.absolute_days, which is {absolute}");
        refuse("session", "idle_days", message);
    }
    let judged_back = config.alerts.judged_back_days.get();
    if config.retention.readings_days.is_some_and(|kept| kept.get() <= judged_back) {
        let message = format!("must be more than alerts.judged_back_days, which is {judged_back}");
        refuse("retention", "readings_days", message);
    }
    let judged = DAY * judged_back;
    if let Some(class) = config.retention.metric_days.iter().find(|class| class.kept <= judged) {
        let metrics = &class.metrics;
        let message =
            format!("must keep {metrics} for more than alerts.judged_back_days, which is {judged_back}");
        refuse("retention", "metric_days", message);
    }
    match (&config.http.tls_cert, &config.http.tls_key) {
        (Some(_), None) => refuse("http", "tls_cert", "needs http.tls_key beside it".to_owned()),
        (None, Some(_)) => refuse("http", "tls_key", "needs http.tls_cert beside it".to_owned()),
        (Some(_), Some(_)) | (None, None) => {}
    }
    if let Some(password) = &config.admin.password {
        let weakness = placeholders::weakness(
            password.reveal(),
            config.admin.username.as_str(),
            config.password.min_length.get() as usize,
        );
        if let Some(weakness) = weakness {
            refuse("admin", "password", weakness);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flag(section: &str, key: &str, text: &str) -> Entry {
        let setting = SETTINGS.iter().find(|row| row.section == section && row.key == key).unwrap();
        Entry::new(setting, text, Source::Flag(setting.flag.unwrap()))
    }

    fn loaded(variables: &[(&str, &str)], file: &str) -> Loaded {
        loaded_with(Vec::new(), variables, file).unwrap()
    }

    fn refusals(variables: &[(&str, &str)], file: &str) -> String {
        loaded_with(Vec::new(), variables, file).unwrap_err().to_string()
    }

    fn loaded_with(flags: Vec<Entry>, variables: &[(&str, &str)], file: &str) -> Result<Loaded, Refused> {
        let mut problems = Vec::new();
        let file = file::entries("t.toml", file, &mut problems);
        let environment = Environment::new(variables.iter().copied()).entries(&mut problems);
        judge(layers::stack([file, environment, flags]), problems)
    }

    #[test]
    fn without_a_word_from_anybody_the_defaults_hold() {
        let config = loaded(&[], "").config;
        assert_eq!(config.http.listen.to_string(), "127.0.0.1:8000");
        assert_eq!(config.database.url, DatabaseUrl::Sqlite("var/techtrack.db".into()));
        assert_eq!(config.redis.url, None);
        assert_eq!(config.admin.username.as_str(), "admin");
        assert_eq!(config.rate_limit.per_minute.get(), 600);
        assert!(config.sign_in.limits && config.session.rotate_refresh && !config.http.require_if_match);
    }

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() {
        let file = "[http]\nlisten = \"127.0.0.1:1\"\n";
        let variable = [("TECHTRACK_LISTEN", "127.0.0.1:2")];
        let flags = vec![flag("http", "listen", "127.0.0.1:3")];
        let port = |loaded: &Loaded| loaded.config.http.listen.port();

        assert_eq!(port(&loaded(&[], "")), 8000);
        assert_eq!(port(&loaded(&[], file)), 1);
        assert_eq!(port(&loaded(&variable, file)), 2);
        let all = loaded_with(flags, &variable, file).unwrap();
        assert_eq!(port(&all), 3);
        assert_eq!(all.source_of("http", "listen"), Some(&Source::Flag("listen")));
    }

    #[test]
    fn our_own_variable_wins_over_the_one_that_everybody_uses() {
        let customary = ("DATABASE_URL", "sqlite://theirs.db");
        let own = ("TECHTRACK_DATABASE_URL", "sqlite://ours.db");
        let url = |variables: &[_]| loaded(variables, "").config.database.url;
        assert_eq!(url(&[customary]), DatabaseUrl::Sqlite("theirs.db".into()));
        assert_eq!(url(&[customary, own]), DatabaseUrl::Sqlite("ours.db".into()));
    }

    #[test]
    fn a_variable_set_to_nothing_counts_as_not_set() {
        let empty = [("DATABASE_URL", ""), ("TECHTRACK_ADMIN_PASSWORD", ""), ("TECHTRACK_LISTEN", "")];
        let config = loaded(&empty, "").config;
        assert_eq!(config.http.listen.port(), 8000);
        assert!(config.admin.password.is_none());
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once_with_source_and_key() {
        let variables = [
            ("TECHTRACK_LISTEN", "localhost"),
            ("TECHTRACK_TOKEN_ACCESS_SECONDS", "5"),
            ("TECHTRACK_LISTNE", "x"),
        ];
        let file = "[log]\nformat = \"xml\"\n[session]\nidle = 3\n";
        assert_eq!(
            refusals(&variables, file).lines().collect::<Vec<_>>(),
            [
                "the configuration is refused:",
                "  t.toml: session.idle is no setting; did you mean session.idle_days?",
                "  TECHTRACK_LISTNE is no setting; did you mean TECHTRACK_LISTEN?",
                "  TECHTRACK_LISTEN (http.listen) must be an address and a port, such as 127.0.0.1:8000 or [::]:8000; it is \"localhost\"",
                "  TECHTRACK_TOKEN_ACCESS_SECONDS (token.access_seconds) must be a whole number from 60 to 3600; it is \"5\"",
                "  t.toml: log.format must be one of auto, human, json; it is \"xml\"",
            ]
        );
    }

    #[test]
    fn cheaper_password_hashing_than_the_default_is_refused() {
        let weak = [
            ("TECHTRACK_PASSWORD_MEMORY_KIB", "1024"),
            ("TECHTRACK_PASSWORD_ITERATIONS", "1"),
            ("TECHTRACK_PASSWORD_PARALLELISM", "0"),
            ("TECHTRACK_PASSWORD_MIN_LENGTH", "7"),
        ];
        let refusals = refusals(&weak, "");
        for (name, _) in weak {
            assert!(refusals.contains(name), "{name} is missing in {refusals}");
        }
    }

    #[test]
    fn a_session_that_would_idle_longer_than_it_lives_is_refused() {
        let refusals = refusals(&[("TECHTRACK_SESSION_ABSOLUTE_DAYS", "7")], "");
        assert!(refusals.contains("session.idle_days"), "{refusals}");
    }

    #[test]
    fn readings_that_go_before_late_ones_are_judged_are_refused() {
        let refusals = refusals(&[("TECHTRACK_RETENTION_READINGS_DAYS", "7")], "");
        assert!(refusals.contains("retention.readings_days"), "{refusals}");
        assert!(loaded_with(Vec::new(), &[("TECHTRACK_RETENTION_READINGS_DAYS", "8")], "").is_ok());
        let refusals = self::refusals(&[("TECHTRACK_RETENTION_METRIC_DAYS", "speed=8,vibration.*=7")], "");
        assert!(refusals.contains("must keep vibration.* for more"), "{refusals}");
    }

    #[test]
    fn a_certificate_without_its_key_is_refused_and_so_is_a_key_alone() {
        let (certificate, key) = (("TECHTRACK_HTTP_TLS_CERT", "a.pem"), ("TECHTRACK_HTTP_TLS_KEY", "b.pem"));
        assert!(refusals(&[certificate], "").contains("needs http.tls_key"));
        assert!(refusals(&[key], "").contains("needs http.tls_cert"));
        assert!(loaded(&[certificate, key], "").config.http.tls_cert.is_some());
    }

    #[test]
    fn traces_are_configured_by_the_names_that_everybody_uses() {
        let config = loaded(
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/"),
                ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20Hunter4"),
                ("OTEL_SERVICE_NAME", "plant-7"),
                ("OTEL_TRACES_SAMPLER", "traceidratio"),
                ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
                ("TECHTRACK_TRACES_SERVICE_NAME", "plant-8"),
            ],
            "",
        );
        let traces = &config.config.traces;
        assert_eq!(traces.endpoint.as_ref().map(|url| url.as_str()), Some("http://collector:4318"));
        assert_eq!(traces.headers.pairs(), [("authorization".to_owned(), "Bearer Hunter4".to_owned())]);
        assert_eq!((traces.service_name.as_str(), traces.sampler_arg.get()), ("plant-8", 0.25));
        assert!(!format!("{config:?}{}", config.to_toml()).contains("Hunter4"));
    }

    #[test]
    fn a_refusal_never_quotes_a_secret() {
        let secrets = [
            ("TECHTRACK_ADMIN_PASSWORD", "hunter4"),
            ("DATABASE_URL", "mysql://anna:hunter4@db/t"),
            ("REDIS_URL", "http://:hunter4@cache"),
        ];
        let refusals = refusals(&secrets[1..], "") + &self::refusals(&secrets[..1], "");
        for (name, _) in secrets {
            assert!(refusals.contains(name), "{name} is missing in {refusals}");
        }
        assert!(!refusals.contains("hunter4"), "{refusals}");
    }

    #[test]
    fn neither_debug_nor_the_printed_configuration_shows_a_secret() {
        let secrets = [
            ("TECHTRACK_ADMIN_PASSWORD", "Tangerine-Dromedary-4"),
            ("DATABASE_URL", "postgres://anna:Tangerine-Dromedary-4@db/t"),
            ("REDIS_URL", "redis://:Tangerine-Dromedary-4@cache"),
        ];
        let loaded = loaded(&secrets, "");
        let debug = format!("{loaded:?} {:?}", Environment::new(secrets));
        let printed = loaded.to_toml();
        assert!(!debug.contains("Tangerine") && !printed.contains("Tangerine"));
        assert!(printed.contains("password = \"********\" # TECHTRACK_ADMIN_PASSWORD"), "{printed}");
        assert!(printed.contains("url = \"postgres://anna:********@db/t\" # DATABASE_URL"), "{printed}");
    }

    #[test]
    fn the_printed_configuration_is_a_file_that_says_the_same() {
        let before = loaded(&[("TECHTRACK_HTTP_TRUSTED_PROXIES", "10.0.0.0/8, ::1")], "");
        let after = loaded(&[], &before.to_toml());
        assert_eq!(format!("{:?}", before.config), format!("{:?}", after.config));
    }

    #[test]
    fn every_name_leads_to_one_setting_and_every_default_is_accepted() {
        let mut names: Vec<_> = SETTINGS.iter().flat_map(Setting::variables).collect();
        names.extend(SETTINGS.iter().filter_map(|row| row.flag.map(str::to_owned)));
        names.extend(SETTINGS.iter().map(Setting::name));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(loaded_with(Vec::new(), &[], "").is_ok());
    }
}
