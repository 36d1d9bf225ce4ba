//! Where a server on this machine can be reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// "Every address of this machine" is nothing that one can connect to; the machine's own is one of them.
pub(crate) fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, listen.port())
}

/// Where a server that listens can be reached.
pub(crate) struct Reached {
    /// Its address as a URL, without a slash at the end.
    pub base: String,
    /// Whether nobody reaches it but from this machine.
    pub is_local: bool,
}

impl Reached {
    /// Of a server that listens there.
    pub(crate) fn at(listen: SocketAddr, speaks_tls: bool) -> Self {
        let scheme = if speaks_tls { "https" } else { "http" };
        Self { base: format!("{scheme}://{}", reachable(listen)), is_local: listen.ip().is_loopback() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_every_address_is_reached_on_its_own_machine() {
        let reached = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(reached("[::]:80"), "[::1]:80");
        assert_eq!(reached("10.0.0.7:80"), "10.0.0.7:80");
    }
}
