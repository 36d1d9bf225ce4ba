//! The types that settings have: how each is read from text, what may be written, and whether it may be shown.
//!
//! Every layer of configuration speaks text, so a value is judged by the same rule wherever it comes from.

use super::masking;
use domain::text::{Secret, Username};
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

/// How a value is written in a TOML file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Number,
    Switch,
    List,
}

/// How much of a value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// All of it.
    Open,
    /// All but the password inside.
    Url,
    /// Nothing.
    Hidden,
}

/// A type that a setting can have.
pub(crate) trait Value: Sized {
    const FORM: Form = Form::Text;
    const SIGHT: Sight = Sight::Open;

    /// What may be written, as it follows "must be".
    fn allowed() -> String;

    /// Reads the value; a refusal follows the setting's name, such as "must be …".
    fn read(text: &str) -> Result<Self, String>;
}

fn must_be<T: Value>() -> String {
    format!("must be {}", T::allowed())
}

/// A whole number from `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole<const LEAST: u32, const MOST: u32>(u32);

impl<const LEAST: u32, const MOST: u32> Whole<LEAST, MOST> {
    pub(crate) fn get(self) -> u32 {
        self.0
    }
}

impl<const LEAST: u32, const MOST: u32> Value for Whole<LEAST, MOST> {
    const FORM: Form = Form::Number;

    fn allowed() -> String {
        format!("a whole number from {LEAST} to {MOST}")
    }

    fn read(text: &str) -> Result<Self, String> {
        let number: u32 = text.parse().map_err(|_| must_be::<Self>())?;
        if (LEAST..=MOST).contains(&number) { Ok(Self(number)) } else { Err(must_be::<Self>()) }
    }
}

impl Value for bool {
    const FORM: Form = Form::Switch;

    fn allowed() -> String {
        "on or off".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "on" | "true" => Ok(true),
            "off" | "false" => Ok(false),
            _ => Err(must_be::<Self>()),
        }
    }
}

impl<T: Value> Value for Option<T> {
    const FORM: Form = T::FORM;
    const SIGHT: Sight = T::SIGHT;

    fn allowed() -> String {
        format!("{}, or empty", T::allowed())
    }

    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(None);
        }
        T::read(text).map(Some)
    }
}

impl<T: Value> Value for Vec<T> {
    const FORM: Form = Form::List;

    fn allowed() -> String {
        format!("a comma-separated list, each {}", T::allowed())
    }

    fn read(text: &str) -> Result<Self, String> {
        items(text)
            .map(|item| T::read(item).map_err(|refusal| format!("has {item:?}, which {refusal}")))
            .collect()
    }
}

/// The items of a comma-separated list.
pub(crate) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

impl Value for SocketAddr {
    fn allowed() -> String {
        "an address and a port, such as 127.0.0.1:8000 or [::]:8000".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| must_be::<Self>())
    }
}

impl Value for IpNet {
    fn allowed() -> String {
        "a network such as 10.0.0.0/8, or a single address".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network.map_err(|_| must_be::<Self>())
    }
}

impl Value for PathBuf {
    fn allowed() -> String {
        "a path".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        Ok(PathBuf::from(text))
    }
}

impl Value for Secret {
    const SIGHT: Sight = Sight::Hidden;

    fn allowed() -> String {
        "text".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        Ok(Secret::new(text))
    }
}

impl Value for Username {
    fn allowed() -> String {
        "a login".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        Username::parse(text).map_err(|reason| reason.message)
    }
}

/// A name that tokens carry, such as their issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenName(String);

impl TokenName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for TokenName {
    fn allowed() -> String {
        "1 to 200 visible ASCII characters".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if visible && (1..=200).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(must_be::<Self>())
        }
    }
}

/// Where web pages come from that may call the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebOrigin(String);

impl WebOrigin {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for WebOrigin {
    fn allowed() -> String {
        "an origin as browsers send it, such as https://plant.example, or * for all".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        let is_host = |host: &str| !host.is_empty() && !host.contains('/');
        if text == "*" || host_of(text).is_some_and(is_host) {
            Ok(Self(text.to_owned()))
        } else {
            Err(must_be::<Self>())
        }
    }
}

/// An address of ours as clients know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WebUrl(String);

impl WebUrl {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for WebUrl {
    fn allowed() -> String {
        "an http or https URL, such as https://plant.example/techtrack".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        match host_of(text) {
            Some(host) if !host.is_empty() && !host.starts_with('/') => {
                Ok(Self(text.trim_end_matches('/').to_owned()))
            }
            Some(_) | None => Err(must_be::<Self>()),
        }
    }
}

/// What follows the scheme of a web address in lower case, if it has nothing that no such address has.
fn host_of(url: &str) -> Option<&str> {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._~:[]/".contains(c);
    host.chars().all(plain).then_some(host)
}

/// Which log lines are written: levels, for all or by module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFilter(String);

impl LogFilter {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    // A bare word that is no level would be taken for a module's name and silence everything else: a typing error in
    // `info` must not turn the log off.
    fn is_directive(text: &str) -> bool {
        let level = text.rsplit_once('=').map_or(text, |(_, level)| level);
        Self::LEVELS.contains(&level.to_ascii_lowercase().as_str())
    }
}

impl Value for LogFilter {
    fn allowed() -> String {
        format!("one of {}, or a list such as info,api_http=debug", Self::LEVELS.join(", "))
    }

    fn read(text: &str) -> Result<Self, String> {
        let directives: Vec<_> = items(text).collect();
        let known =
            !directives.is_empty() && directives.iter().all(|directive| Self::is_directive(directive));
        let filter = directives.join(",");
        if known && EnvFilter::try_new(&filter).is_ok() { Ok(Self(filter)) } else { Err(must_be::<Self>()) }
    }
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $choice:ident = $text:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($(#[$about])* $choice),* }

        impl Value for $name {
            fn allowed() -> String {
                format!("one of {}", [$($text),*].join(", "))
            }

            fn read(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$choice),)*
                    _ => Err(must_be::<Self>()),
                }
            }
        }
    )*};
}

choices! {
    /// What log lines look like.
    LogFormat {
        /// For people on a terminal, JSON elsewhere.
        Auto = "auto",
        /// For people.
        Human = "human",
        /// One JSON object a line.
        Json = "json",
    }

    /// Who brings the database's schema up to date.
    Migration {
        /// The server, when it starts.
        Auto = "auto",
        /// Somebody else, by `techtrack migrate`.
        Off = "off",
    }
}

/// Which database, and how to reach it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum DatabaseUrl {
    /// The embedded one, in this file.
    Sqlite(PathBuf),
    /// A PostgreSQL server, by its URL.
    Postgres(Secret),
}

impl Value for DatabaseUrl {
    const SIGHT: Sight = Sight::Url;

    fn allowed() -> String {
        "sqlite://PATH or postgres://USER:PASSWORD@HOST/DATABASE".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text.split_once(':').ok_or_else(must_be::<Self>)?;
        match scheme {
            "sqlite" => sqlite_file(rest).map(DatabaseUrl::Sqlite),
            "postgres" | "postgresql" if rest.starts_with("//") => {
                Ok(DatabaseUrl::Postgres(Secret::new(text)))
            }
            "postgres" | "postgresql" => Err(must_be::<Self>()),
            // Without `//` the part before the colon may be anything, a password too.
            other if rest.starts_with("//") => Err(format!(
                "names the database kind {other:?}, which is not built in; it {}",
                must_be::<Self>()
            )),
            _ => Err(must_be::<Self>()),
        }
    }
}

fn sqlite_file(rest: &str) -> Result<PathBuf, String> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() || path.contains(":memory:") || path.contains('?') {
        return Err("must name a file, such as sqlite://var/techtrack.db, without options".to_owned());
    }
    Ok(PathBuf::from(path))
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseUrl::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            DatabaseUrl::Postgres(url) => f.write_str(&masking::mask_url(url.reveal())),
        }
    }
}

/// How to reach Redis.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RedisUrl(Secret);

impl RedisUrl {
    /// The URL with its password. Say where it goes when you call this.
    pub(crate) fn reveal(&self) -> &str {
        self.0.reveal()
    }
}

impl Value for RedisUrl {
    const SIGHT: Sight = Sight::Url;

    fn allowed() -> String {
        "redis://HOST:PORT/DATABASE, or rediss:// for TLS".to_owned()
    }

    fn read(text: &str) -> Result<Self, String> {
        if text.starts_with("redis://") || text.starts_with("rediss://") {
            Ok(Self(Secret::new(text)))
        } else {
            Err(must_be::<Self>())
        }
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masking::mask_url(self.reveal()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_chosen_by_the_scheme_of_its_url() {
        let sqlite = |text: &str| DatabaseUrl::read(text).unwrap();
        assert_eq!(sqlite("sqlite://var/techtrack.db"), DatabaseUrl::Sqlite("var/techtrack.db".into()));
        assert_eq!(sqlite("sqlite:///srv/techtrack.db"), DatabaseUrl::Sqlite("/srv/techtrack.db".into()));
        assert_eq!(sqlite("sqlite:a.db"), DatabaseUrl::Sqlite("a.db".into()));
        for url in ["postgres://db/techtrack", "postgresql://db/techtrack"] {
            assert_eq!(sqlite(url), DatabaseUrl::Postgres(Secret::new(url)));
        }
    }

    #[test]
    fn a_database_that_is_not_built_in_is_refused_by_name() {
        let refusal = DatabaseUrl::read("mysql://db/techtrack").unwrap_err();
        assert!(refusal.contains("\"mysql\"") && refusal.contains("postgres://"), "{refusal}");
        for bad in ["", "techtrack.db", "sqlite:", "sqlite://", "sqlite::memory:", "sqlite://a.db?mode=ro"] {
            assert!(DatabaseUrl::read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_misspelled_log_level_is_refused_instead_of_silencing_the_log() {
        for good in ["info", "OFF", "info,api_http=debug", "warn, domain::app=trace"] {
            assert!(LogFilter::read(good).is_ok(), "{good:?}");
        }
        for bad in ["", "inof", "api_http", "info,api_http=loud"] {
            assert!(LogFilter::read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port_and_nothing_else() {
        for good in ["*", "https://plant.example", "http://localhost:3000", "http://[::1]:3000"] {
            assert!(WebOrigin::read(good).is_ok(), "{good:?}");
        }
        for bad in [
            "plant.example",
            "ftp://plant.example",
            "https://",
            "https://plant.example/",
            "https://Plant.example",
        ] {
            assert!(WebOrigin::read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_list_names_the_item_that_is_wrong() {
        let nets = Vec::<IpNet>::read("10.0.0.0/8, ::1 ,192.168.1.7").unwrap();
        assert_eq!(nets.len(), 3);
        let refusal = Vec::<IpNet>::read("10.0.0.0/8,office").unwrap_err();
        assert!(refusal.contains("\"office\""), "{refusal}");
        assert!(Vec::<IpNet>::read("").unwrap().is_empty());
    }

    #[test]
    fn a_number_outside_its_range_is_refused_with_the_range() {
        assert_eq!(Whole::<60, 3600>::read("600").unwrap().get(), 600);
        for bad in ["59", "3601", "-1", "6e2", "", "60.0"] {
            assert_eq!(
                Whole::<60, 3600>::read(bad).unwrap_err(),
                "must be a whole number from 60 to 3600",
                "{bad:?}"
            );
        }
    }
}
