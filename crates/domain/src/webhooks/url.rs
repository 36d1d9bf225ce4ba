//! Where a webhook goes.

use crate::error::Reason;
use std::fmt;

/// The most characters of an address.
const LONGEST: usize = 2048;

/// An address of `http` or `https`, without user, password or fragment. Whether it may be reached is for the courier to say.
///
/// It may be a secret by itself, as addresses of chats are: `Display` tells how far everybody may read.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(String);

impl WebhookUrl {
    /// Reads an address.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        if text.len() > LONGEST {
            return Err(Reason::new("too_long", format!("must have at most {LONGEST} characters")));
        }
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let (true, Some(rest)) = (visible, rest) else {
            let message = "must be an address of https or http, such as https://example.com/alerts";
            return Err(Reason::new("url", message));
        };
        let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
        if authority.is_empty() || authority.starts_with(':') {
            return Err(Reason::new("url", "must name a host"));
        }
        if authority.contains('@') {
            return Err(Reason::new(
                "url",
                "must not hold a user or a password; deliveries are signed instead",
            ));
        }
        if text.contains(['#', '\\']) {
            return Err(Reason::new("url", "must not have a # or a \\"));
        }
        Ok(Self(text.to_owned()))
    }

    /// What storage kept: checked when it was parsed, believed now.
    pub fn restore(text: String) -> Self {
        Self(text)
    }

    /// The whole address. Say where it goes when you call this.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Scheme, host and port: what may be told to anybody.
    pub fn origin(&self) -> &str {
        let begin = self.0.find("://").map_or(0, |at| at + 3);
        let end = self.0.get(begin..).and_then(|rest| rest.find(['/', '?'])).map(|at| begin + at);
        end.and_then(|end| self.0.get(..end)).unwrap_or(&self.0)
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.origin())?;
        if self.origin().len() < self.0.len() { f.write_str("/…") } else { Ok(()) }
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_host_and_nobodys_password() {
        for good in ["https://example.com", "http://10.0.0.1:9093/api/v2/alerts", "https://[::1]/x?y=z"] {
            assert!(WebhookUrl::parse(good).is_ok(), "{good}");
        }
        let long = format!("https://example.com/{}", "x".repeat(2048));
        for bad in [
            "",
            "ftp://example.com/",
            "https://",
            "https:///x",
            "https://:80/",
            "https://anna:secret@example.com/",
            "https://example.com/#x",
            "https://example.com\\@evil",
            "https://example.com/a b",
            "https://exämple.com/",
            long.as_str(),
        ] {
            assert!(WebhookUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_origin_is_told() {
        let url = WebhookUrl::parse("https://hooks.example.com:8443/services/T0/B0/secret").unwrap();
        assert_eq!(url.to_string(), "https://hooks.example.com:8443/…");
        assert!(!format!("{url:?}").contains("secret"));
        assert_eq!(WebhookUrl::parse("https://a.example?token=x").unwrap().origin(), "https://a.example");
        assert_eq!(WebhookUrl::parse("https://a.example").unwrap().to_string(), "https://a.example");
    }
}
