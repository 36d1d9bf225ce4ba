//! What a name leads to, without the addresses that may not be reached. A connection goes to an address that was looked at here
//! and to no other one, so a name that means something else a moment later gains nothing.

use crate::networks::{Networks, is_public};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};

/// Where somebody may go.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    networks: Networks,
    to_public: bool,
}

/// A name leads nowhere that may be reached.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the name leads to addresses only that must not be reached: {0}")]
pub(crate) struct Refused(&'static str);

impl Refused {
    /// Where only what is not public is refused.
    const NETWORK: &'static str =
        "private, local and reserved networks need leave by webhooks.allowed_networks";
    /// Where all is refused that is not allowed.
    const NEARBY: &'static str = "without encryption, or where webhooks.public_internet is off, only webhooks.allowed_networks may be reached";

    /// Why.
    pub(crate) const fn why(self) -> &'static str {
        self.0
    }
}

impl Reach {
    /// To the public internet, and to these networks.
    pub(crate) fn to_public_and(networks: Networks) -> Self {
        Self { networks, to_public: true }
    }

    /// To these networks.
    pub(crate) fn to_nothing_but(networks: Networks) -> Self {
        Self { networks, to_public: false }
    }

    /// Whether this address may be reached.
    pub(crate) fn covers(&self, address: IpAddr) -> bool {
        self.networks.allow(address) || (self.to_public && is_public(address))
    }

    /// Why it covers no more.
    pub(crate) const fn refusal(&self) -> Refused {
        Refused(if self.to_public { Refused::NETWORK } else { Refused::NEARBY })
    }
}

/// The address that a host is, if it is no name. Nobody resolves those.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let good: Vec<SocketAddr> = found.filter(|address| reach.covers(address.ip())).collect();
            if good.is_empty() {
                return Err(reach.refusal().into());
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}
