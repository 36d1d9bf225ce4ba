//! Which addresses may be reached: those of the public internet, and of networks that the operator allowed.
//!
//! Whoever may make a webhook makes this server send requests. Without bounds it would send them to whatever it can reach and
//! they cannot: databases, other machines of the plant, the services by which clouds hand out credentials.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks beside the public ones.
#[derive(Clone, Debug, Default)]
pub struct Networks(Vec<IpNet>);

/// IPv4 networks that are nobody's on the public internet, or somebody's who must not be asked: `address`, `bits`.
const SPECIAL_V4: [([u8; 4], u32); 17] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([168, 63, 129, 16], 32), // what a cloud tells its machines
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 52, 193, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 3), // multicast, and what is reserved
];

impl Networks {
    /// These, beside the public ones.
    pub fn allowing(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether the operator allowed this address by name.
    pub(crate) fn allow(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Whether the address is one of the public internet.
pub(crate) fn is_public(address: IpAddr) -> bool {
    // `::ffff:10.0.0.1` is 10.0.0.1 to whoever connects.
    match address.to_canonical() {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let within = |(network, bits): &([u8; 4], u32)| {
        let differing = address.to_bits() ^ Ipv4Addr::from(*network).to_bits();
        differing.leading_zeros() >= *bits
    };
    !SPECIAL_V4.iter().any(within)
}

/// Global unicast is 2000::/3. What tunnels to IPv4, is for documents, or for protocols among themselves lies within and is not
/// meant; neither is what translates to IPv4, which lies outside.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let is_global = first & 0xe000 == 0x2000;
    let is_for_protocols = first == 0x2001 && second < 0x0200;
    let is_for_documents = (first == 0x2001 && second == 0x0db8) || (first == 0x3fff && second < 0x1000);
    let is_tunnel = first == 0x2002;
    is_global && !is_for_protocols && !is_for_documents && !is_tunnel
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_not_public_is_told_from_what_is() {
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "169.253.0.1",
            "198.17.0.1",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00::1",
            "2001:200::1",
        ] {
            assert!(is_public(address(public)), "{public}");
        }
        for other in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.9.9.9",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.2.3",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address(other)), "{other}");
        }
    }

    #[test]
    fn an_allowed_network_is_allowed_in_either_spelling() {
        let networks = Networks::allowing(vec!["10.1.0.0/16".parse().unwrap(), "::1/128".parse().unwrap()]);
        for allowed in ["10.1.2.3", "::ffff:10.1.2.3", "::1"] {
            assert!(networks.allow(address(allowed)), "{allowed}");
        }
        for other in ["10.2.0.1", "127.0.0.1", "::2"] {
            assert!(!networks.allow(address(other)), "{other}");
        }
    }
}
