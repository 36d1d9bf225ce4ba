//! How often somebody may call: one allowance per user, per API key, and per address for everybody else.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use domain::access::{Actor, Credential, Origin, Who, network};
use domain::ports::Allowance;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit");

/// The name under which the caller's requests are counted.
pub fn caller(actor: Option<&Actor>, origin: &Origin) -> String {
    match actor.map(Actor::who) {
        Some(Who::User { credential: Credential::ApiKey(key), .. }) => format!("key:{key}"),
        Some(Who::User { id, .. }) => format!("user:{id}"),
        Some(Who::System(name)) => format!("system:{name}"),
        None => format!("address:{}", origin.address.map_or_else(|| "unknown".to_owned(), network)),
    }
}

/// Tells the client its allowance, in the form of draft-ietf-httpapi-ratelimit-headers.
pub fn tell(allowance: &Allowance, headers: &mut HeaderMap) {
    let Allowance { limit, remaining, retry_after, .. } = allowance;
    let policy = format!("\"per-minute\";q={limit};w=60");
    let wait = retry_after.as_secs().saturating_add(u64::from(retry_after.subsec_nanos() > 0));
    let left = if wait == 0 {
        format!("\"per-minute\";r={remaining}")
    } else {
        format!("\"per-minute\";r={remaining};t={wait}")
    };
    for (name, text) in [(POLICY, policy), (REMAINING, left)] {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn from(address: &str) -> String {
        let origin = Origin { address: Some(address.parse().unwrap()), ..Origin::default() };
        caller(None, &origin)
    }

    #[test]
    fn strangers_are_told_apart_by_address_and_by_network_where_addresses_are_many() {
        assert_ne!(from("192.0.2.1"), from("192.0.2.2"));
        assert_eq!(from("2001:db8::1"), from("2001:db8::ffff:1"));
        assert_ne!(from("2001:db8::1"), from("2001:db8:0:1::1"));
    }

    #[test]
    fn an_allowance_is_told_as_the_draft_wants_it() {
        let mut headers = HeaderMap::new();
        tell(
            &Allowance { granted: false, limit: 60, remaining: 0, retry_after: Duration::from_millis(1500) },
            &mut headers,
        );
        assert_eq!(headers.get(POLICY).unwrap(), "\"per-minute\";q=60;w=60");
        assert_eq!(headers.get(REMAINING).unwrap(), "\"per-minute\";r=0;t=2");
    }
}
