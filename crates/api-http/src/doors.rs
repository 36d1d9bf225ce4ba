//! How many connections an address may have open. Whoever opens more is told so and hung up on before a byte of theirs is
//! read; proxies that speak for many are not counted.

use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a connection too many hears.
pub(crate) const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n\
    content-length: 181\r\nretry-after: 1\r\nconnection: close\r\n\r\n\
    {\"type\":\"/problems/busy\",\"title\":\"Busy just now\",\"status\":503,\"code\":\"busy\",\
    \"detail\":\"too many connections are open from this address; close some, or ask again\",\"request_id\":\"none\"}";

/// The connections that are open.
pub(crate) struct Doors {
    /// How many one address may have; 0 for as many as it likes.
    per_address: usize,
    /// Addresses that speak for others.
    exempt: Vec<IpNet>,
    by_network: Mutex<HashMap<String, usize>>,
    open: AtomicUsize,
    refused: AtomicU64,
}

/// A connection that is open, until it is dropped.
pub(crate) struct Entered {
    doors: Arc<Doors>,
    /// Whom it is held against; nobody, if it is not counted.
    network: Option<String>,
}

impl Doors {
    /// For so many connections an address, but as many as they like from these networks.
    pub(crate) fn new(per_address: usize, exempt: Vec<IpNet>) -> Self {
        Self {
            per_address,
            exempt,
            by_network: Mutex::default(),
            open: AtomicUsize::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// How many were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Lets a connection in, or not.
    pub(crate) fn enter(self: &Arc<Self>, address: Option<IpAddr>) -> Option<Entered> {
        let network = address.map(|address| address.to_canonical()).filter(|address| self.counts(*address));
        let network = network.map(domain::access::network);
        if network.as_ref().is_some_and(|network| !self.count_in(network)) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Entered { doors: Arc::clone(self), network })
    }

    fn counts(&self, address: IpAddr) -> bool {
        self.per_address > 0 && !self.exempt.iter().any(|network| network.contains(&address))
    }

    fn count_in(&self, network: &str) -> bool {
        let mut by_network = self.by_network();
        let open = by_network.entry(network.to_owned()).or_default();
        let fits = *open < self.per_address;
        *open += usize::from(fits);
        fits
    }

    fn count_out(&self, network: &str) {
        let mut by_network = self.by_network();
        if let Some(open) = by_network.get_mut(network) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                by_network.remove(network);
            }
        }
    }

    fn by_network(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.by_network.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.doors.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(network) = &self.network {
            self.doors.count_out(network);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doors(per_address: usize) -> Arc<Doors> {
        Arc::new(Doors::new(per_address, vec!["10.0.0.0/8".parse().unwrap()]))
    }

    fn enter(doors: &Arc<Doors>, address: &str) -> Option<Entered> {
        doors.enter(Some(address.parse().unwrap()))
    }

    #[test]
    fn an_address_has_so_many_connections_and_another_one_when_one_is_closed() {
        let doors = doors(2);
        let first = enter(&doors, "192.0.2.1").unwrap();
        let _second = enter(&doors, "192.0.2.1").unwrap();
        assert!(enter(&doors, "192.0.2.1").is_none() && enter(&doors, "::ffff:192.0.2.1").is_none());
        assert!(enter(&doors, "192.0.2.2").is_some(), "others are not concerned");
        assert_eq!((doors.open(), doors.refused()), (2, 2));
        drop(first);
        assert!(enter(&doors, "192.0.2.1").is_some());
    }

    #[test]
    fn addresses_of_one_subscriber_are_one() {
        let doors = doors(1);
        let _one = enter(&doors, "2001:db8::1").unwrap();
        assert!(enter(&doors, "2001:db8::ffff:2").is_none());
        assert!(enter(&doors, "2001:db8:0:1::1").is_some());
    }

    #[test]
    fn proxies_that_are_trusted_and_whoever_sets_no_limit_open_as_many_as_they_like() {
        let (limited, open) = (doors(1), doors(0));
        let entered: Vec<_> =
            (0..10).map(|_| enter(&limited, "10.1.2.3").zip(enter(&open, "192.0.2.1"))).collect();
        assert!(entered.iter().all(Option::is_some));
        assert_eq!((limited.open(), open.open()), (10, 10));
    }

    #[test]
    fn addresses_that_have_left_are_forgotten() {
        let doors = doors(1);
        for number in 0..200 {
            drop(enter(&doors, &format!("192.0.2.{number}")));
        }
        assert!(doors.by_network().is_empty());
        assert_eq!((doors.open(), doors.refused()), (0, 0));
    }

    #[test]
    fn what_a_connection_too_many_hears_is_an_answer_of_its_length() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((&problem["status"], &problem["code"]), (&503.into(), &"busy".into()));
    }
}
