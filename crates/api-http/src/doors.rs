//! How many connections an address may have open. Whoever opens more is told so and hung up on before a byte of theirs is
//! read; proxies that speak for many are not counted.

use crate::problem::{Problem, wire};
use crate::state::RequestIds;
use actix_web::rt::net::TcpStream;
use domain::error::Error;
use ipnet::IpNet;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// What a connection too many hears.
const FULL: &str = "too many connections are open from this address; close some, or ask again";

/// How many who were refused are waited for at the same time. More of them are hung up on as they are.
const FAREWELLS: usize = 64;

/// How long who was refused may take to hear it.
const FAREWELL: Duration = Duration::from_millis(500);

/// The connections that are open.
pub(crate) struct Doors {
    /// How many one address may have; 0 for as many as it likes.
    per_address: usize,
    /// Addresses that speak for others.
    exempt: Vec<IpNet>,
    by_network: Mutex<HashMap<String, usize>>,
    open: AtomicUsize,
    refused: AtomicU64,
    farewells: Semaphore,
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
            farewells: Semaphore::new(FAREWELLS),
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

    /// Says why, and waits a moment until that is heard: who hangs up on bytes that they have not read takes back what they said.
    pub(crate) async fn refuse(&self, mut stream: TcpStream, ids: &RequestIds) {
        let problem = Problem::from(Error::Busy(FULL, None));
        let Some(words) = wire::written(&problem, &ids.next()) else { return };
        // A socket that is new has room, as the runtime finds out at once; if it has not, it is gone.
        let said = timeout(FAREWELL, stream.write_all(&words)).await;
        let Ok(_waited_for) = self.farewells.try_acquire() else { return };
        if matches!(said, Ok(Ok(()))) && stream.shutdown().await.is_ok() {
            let mut unread = [0; 4096];
            let hung_up = async { while stream.read(&mut unread).await.is_ok_and(|length| length > 0) {} };
            let _ = timeout(FAREWELL, hung_up).await;
        }
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

    #[actix_web::test]
    async fn who_is_refused_hears_why_also_when_nobody_read_what_they_asked() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let asked =
            format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n{}", "x".repeat(60_000));
        client.write_all(asked.as_bytes()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let (doors, ids) = (doors(1), RequestIds::new("a secret"));
        let mut told = String::new();
        let (read, ()) = tokio::join!(client.read_to_string(&mut told), async {
            doors.refuse(stream, &ids).await;
        });
        read.unwrap();
        let (head, body) = told.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
        for line in [
            "retry-after: 1",
            "connection: close",
            "x-content-type-options: nosniff",
            "cache-control: no-store",
        ] {
            assert!(head.lines().any(|told| told == line), "{line} in {head}");
        }
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{head}");
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!((&problem["status"], &problem["code"]), (&503.into(), &"busy".into()));
        assert!(
            head.contains(&format!("x-request-id: {}", problem["request_id"].as_str().unwrap())),
            "{head}"
        );
    }
}
