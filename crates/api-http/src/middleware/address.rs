//! The client's network address: the peer of the socket, unless that is a proxy we were told to trust.

use actix_web::http::header::{HeaderMap, HeaderName};
use ipnet::IpNet;
use std::net::IpAddr;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The client's address. A trusted peer's `X-Forwarded-For` is read from the right up to the first address that is not
/// a trusted proxy; what stands left of it anybody may have written.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    let mut client = canonical(peer);
    for hop in hops(headers).rev() {
        if !is_trusted(client) {
            break;
        }
        match read_hop(hop) {
            Some(address) => client = address,
            None => break,
        }
    }
    client
}

/// Whether a trusted peer says that the client came by TLS. Of several proxies in a row the last one says it.
pub fn forwarded_by_tls(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> bool {
    let is_trusted = trusted.iter().any(|network| network.contains(&canonical(peer)));
    let said = headers.get_all(FORWARDED_PROTO).last().and_then(|value| value.to_str().ok());
    let last = said.and_then(|value| value.rsplit(',').next());
    is_trusted && last.is_some_and(|scheme| scheme.trim().eq_ignore_ascii_case("https"))
}

fn hops(headers: &HeaderMap) -> impl DoubleEndedIterator<Item = &str> {
    let values: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    values.into_iter()
}

/// An address as proxies write it: bare, in brackets, or with a port.
fn read_hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare =
        text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map_or(text, |(address, _)| address);
    let with_port = || bare.rsplit_once(':').and_then(|(address, _)| address.parse().ok());
    bare.parse().ok().or_else(with_port).map(canonical)
}

/// An IPv4 client on an IPv6 socket is an IPv4 client.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn seen(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(value));
        }
        let trusted: Vec<IpNet> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        client_address(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn a_stranger_cannot_choose_its_address() {
        assert_eq!(seen("203.0.113.7", &["10.0.0.1"], &[]), "203.0.113.7");
        assert_eq!(seen("203.0.113.7", &["10.0.0.1"], &["10.0.0.0/8"]), "203.0.113.7");
    }

    #[test]
    fn behind_trusted_proxies_the_rightmost_stranger_is_the_client() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(seen("10.0.0.2", &["198.51.100.9"], &trusted), "198.51.100.9");
        assert_eq!(seen("10.0.0.2", &["1.1.1.1, 198.51.100.9", "10.0.0.5"], &trusted), "198.51.100.9");
        assert_eq!(seen("10.0.0.2", &["1.1.1.1, 198.51.100.9:4711"], &trusted), "198.51.100.9");
    }

    #[test]
    fn what_cannot_be_read_ends_the_search() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(seen("10.0.0.2", &["198.51.100.9, unknown"], &trusted), "10.0.0.2");
        assert_eq!(seen("10.0.0.2", &[""], &trusted), "10.0.0.2");
        assert_eq!(seen("10.0.0.2", &[], &trusted), "10.0.0.2");
    }

    #[test]
    fn only_a_trusted_proxy_says_that_a_client_came_by_tls() {
        let said = |peer: &str, proto: &'static str| {
            let mut headers = HeaderMap::new();
            headers.append(FORWARDED_PROTO, HeaderValue::from_static(proto));
            forwarded_by_tls(peer.parse().unwrap(), &headers, &["10.0.0.0/8".parse().unwrap()])
        };
        assert!(said("10.0.0.2", "https") && said("::ffff:10.0.0.2", "http, HTTPS"));
        assert!(
            !said("10.0.0.2", "http") && !said("10.0.0.2", "https, http") && !said("203.0.113.7", "https")
        );
        assert!(!forwarded_by_tls("10.0.0.2".parse().unwrap(), &HeaderMap::new(), &[]));
    }

    #[test]
    fn ipv6_is_read_in_every_spelling() {
        let trusted = ["10.0.0.0/8"];
        for text in ["2001:db8::9", "[2001:db8::9]", "[2001:db8::9]:443"] {
            let mut headers = HeaderMap::new();
            headers.append(FORWARDED_FOR, HeaderValue::from_str(text).unwrap());
            let trusted: Vec<IpNet> = trusted.iter().map(|text| text.parse().unwrap()).collect();
            let client = client_address("::ffff:10.0.0.2".parse().unwrap(), &headers, &trusted);
            assert_eq!(client.to_string(), "2001:db8::9", "{text}");
        }
    }
}
