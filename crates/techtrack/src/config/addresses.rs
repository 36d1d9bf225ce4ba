//! Addresses that are configured: where to listen, whom to trust, which database, which Redis, which web pages.

use super::masking;
use super::values::{Sight, Value, must_be};
use domain::text::Secret;
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

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
    fn a_network_may_be_a_single_address() {
        for good in ["10.0.0.0/8", "192.168.1.7", "::1", "fd00::/8"] {
            assert!(IpNet::read(good).is_ok(), "{good:?}");
        }
        assert!(IpNet::read("office").is_err());
    }
}
