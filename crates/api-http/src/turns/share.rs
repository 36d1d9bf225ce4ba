//! How much of a line one caller may take up. Places that are kept for as long as a client likes to take would else all
//! go to the one who is slowest on purpose.

use crate::middleware::context;
use actix_web::{HttpMessage, HttpRequest};
use domain::access::{Actor, Credential, Origin, Who, network};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Whom something is held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// A key, a person, or an address where nobody says who they are.
    pub name: String,
    /// The account behind it: an account may have many keys.
    account: Option<String>,
}

impl Caller {
    /// Who sent this request, which has come through the gate.
    pub fn of_request(request: &HttpRequest) -> Self {
        Self::of(request.extensions().get::<Actor>(), &context::origin(request))
    }

    /// Who sent a request.
    pub fn of(actor: Option<&Actor>, origin: &Origin) -> Self {
        let account = actor.and_then(Actor::user).map(|user| format!("account:{user}"));
        let name = match actor.map(Actor::who) {
            Some(Who::User { credential: Credential::ApiKey(key), .. }) => format!("key:{key}"),
            Some(Who::User { id, .. }) => format!("user:{id}"),
            Some(Who::System(name)) => format!("system:{name}"),
            None => format!("address:{}", origin.address.map_or_else(|| "unknown".to_owned(), network)),
        };
        Self { name, account }
    }
}

/// Who has how many places.
#[derive(Debug, Default)]
pub(super) struct Shares(Mutex<HashMap<String, usize>>);

/// A place that is held against a caller, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    shares: Arc<Shares>,
    names: Vec<String>,
}

impl Shares {
    /// Counts one more of so many places against this caller: a quarter is for one of them, half for all that belong to one
    /// account. None if that is used up.
    pub(super) fn take(self: &Arc<Self>, caller: Caller, places: usize) -> Option<Share> {
        let mut held = self.held();
        let asked = [(Some(caller.name), places / 4), (caller.account, places / 2)];
        let asked = || asked.iter().filter_map(|(name, most)| Some((name.as_ref()?, (*most).max(1))));
        let fits = asked().all(|(name, most)| held.get(name).copied().unwrap_or_default() < most);
        if !fits {
            return None;
        }
        let names: Vec<String> = asked().map(|(name, _)| name.clone()).collect();
        for name in &names {
            *held.entry(name.clone()).or_default() += 1;
        }
        Some(Share { shares: Arc::clone(self), names })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.shares.held();
        for name in &self.names {
            if let Some(count) = held.get_mut(name) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    held.remove(name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(address: &str) -> Caller {
        Caller::of(None, &Origin { address: Some(address.parse().unwrap()), ..Origin::default() })
    }

    fn key(number: usize) -> Caller {
        Caller { name: format!("key:{number}"), account: Some("account:7".to_owned()) }
    }

    fn taken(shares: &Arc<Shares>, caller: &Caller, wanted: usize) -> Vec<Share> {
        (0..wanted).filter_map(|_| shares.take(caller.clone(), 64)).collect()
    }

    #[test]
    fn strangers_are_told_apart_by_address_and_by_network_where_addresses_are_many() {
        assert_ne!(stranger("192.0.2.1"), stranger("192.0.2.2"));
        assert_eq!(stranger("2001:db8::1"), stranger("2001:db8::ffff:1"));
        assert_ne!(stranger("2001:db8::1"), stranger("2001:db8:0:1::1"));
    }

    #[test]
    fn one_caller_gets_a_quarter_and_others_the_rest() {
        let shares = Arc::default();
        let (one, other) = (stranger("192.0.2.1"), stranger("192.0.2.2"));
        let mut held = taken(&shares, &one, 64);
        assert_eq!((held.len(), taken(&shares, &other, 64).len()), (16, 16));
        held.pop();
        assert_eq!(taken(&shares, &one, 64).len(), 1, "what is given back may be taken again");
    }

    #[test]
    fn all_keys_of_an_account_together_get_half() {
        let shares = Arc::default();
        let held: Vec<Vec<Share>> = (0..4).map(|number| taken(&shares, &key(number), 64)).collect();
        assert_eq!(held.iter().map(Vec::len).collect::<Vec<_>>(), [16, 16, 0, 0]);
    }

    #[test]
    fn however_few_places_there_are_everybody_may_have_one_and_nobody_is_remembered_afterwards() {
        let shares: Arc<Shares> = Arc::default();
        for number in 0..100 {
            assert!(shares.take(stranger(&format!("192.0.2.{number}")), 1).is_some());
        }
        assert!(shares.held().is_empty());
    }
}
