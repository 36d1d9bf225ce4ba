//! How often somebody may call: one allowance per user, per API key, and per address for everybody else; another one for
//! requests that send readings, so that neither a machine nor a person stands in the other's way; and one for registrations.

use crate::problem::Problem;
use crate::state::{Settings, State};
use crate::turns::{Caller, Class};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use domain::access::{Actor, Origin};
use domain::error::Error;
use domain::ports::Allowance;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit");

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purse {
    /// Whatever somebody asks for.
    Requests,
    /// What sends readings.
    Readings,
    /// Accounts made by whoever has none.
    Registrations,
}

impl Purse {
    fn of(class: Class) -> Self {
        match class {
            Class::Ingest | Class::Upload => Self::Readings,
            Class::Health
            | Class::SignIn
            | Class::Read
            | Class::Find
            | Class::Write
            | Class::Batch
            | Class::Export
            | Class::Answer
            | Class::LookUp
            | Class::Portion => Self::Requests,
        }
    }

    fn per_minute(self, settings: &Settings) -> u32 {
        match self {
            Self::Requests => settings.rate_limit_per_minute,
            Self::Readings => settings.readings_per_minute,
            Self::Registrations => settings.registrations_per_minute,
        }
    }

    /// The name of the policy, as clients are told it.
    const fn policy(self) -> &'static str {
        match self {
            Self::Requests => "per-minute",
            Self::Readings => "readings-per-minute",
            Self::Registrations => "registrations-per-minute",
        }
    }

    fn key(self, caller: String) -> String {
        match self {
            Self::Requests => caller,
            Self::Readings => format!("{caller}:readings"),
            Self::Registrations => format!("{caller}:registrations"),
        }
    }
}

/// What is left of an allowance, and of which.
#[derive(Clone, Debug)]
pub struct Left {
    purse: Purse,
    allowance: Allowance,
}

impl Left {
    /// Why the request is refused, if it is.
    pub fn refusal(&self) -> Option<Problem> {
        let Allowance { granted, retry_after, .. } = self.allowance;
        (!granted).then(|| Problem::Spent(Error::RateLimited(retry_after), self.clone()))
    }
}

/// Counts a request of this class, unless requests of its kind are not counted.
pub async fn spend(state: &State, class: Class, actor: Option<&Actor>, origin: &Origin) -> Option<Left> {
    spend_from(Purse::of(class), state, actor, origin).await
}

/// Counts a registration. It costs the server a hash and leaves an account, so it is counted once more than other requests.
pub async fn register(state: &State, origin: &Origin) -> Result<(), Problem> {
    let left = spend_from(Purse::Registrations, state, None, origin).await;
    left.and_then(|left| left.refusal()).map_or(Ok(()), Err)
}

async fn spend_from(purse: Purse, state: &State, actor: Option<&Actor>, origin: &Origin) -> Option<Left> {
    let per_minute = purse.per_minute(&state.settings);
    if per_minute == 0 {
        return None;
    }
    let key = purse.key(Caller::of(actor, origin).name);
    Some(Left { purse, allowance: state.allowances.take(&key, per_minute).await })
}

/// Tells the client its allowance, unless it was told of another one, in the form of draft-ietf-httpapi-ratelimit-headers.
pub fn tell(left: &Left, headers: &mut HeaderMap) {
    let Allowance { limit, remaining, retry_after, .. } = &left.allowance;
    if headers.contains_key(&POLICY) {
        return;
    }
    let name = left.purse.policy();
    let policy = format!("\"{name}\";q={limit};w=60");
    let wait = retry_after.as_secs().saturating_add(u64::from(retry_after.subsec_nanos() > 0));
    let left = if wait == 0 {
        format!("\"{name}\";r={remaining}")
    } else {
        format!("\"{name}\";r={remaining};t={wait}")
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

    #[test]
    fn an_allowance_is_told_as_the_draft_wants_it() {
        let mut headers = HeaderMap::new();
        let allowance =
            Allowance { granted: false, limit: 60, remaining: 0, retry_after: Duration::from_millis(1500) };
        tell(&Left { purse: Purse::Requests, allowance }, &mut headers);
        assert_eq!(headers.get(POLICY).unwrap(), "\"per-minute\";q=60;w=60");
        assert_eq!(headers.get(REMAINING).unwrap(), "\"per-minute\";r=0;t=2");
    }
}
