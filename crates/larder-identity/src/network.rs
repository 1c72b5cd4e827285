//! Networks in CIDR notation, and the address from which a request came if it passed proxies.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use crate::invalid::Invalid;

/// A network such as `10.0.0.0/8` or `fd00::/8`; without a length it is one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    base: u128,
    mask: u128,
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        bits(address) & self.mask == self.base
    }
}

impl FromStr for Network {
    type Err = Invalid;

    fn from_str(raw: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("must be networks such as 10.0.0.0/8 or fd00::/8, separated by commas");
        let (address, length) = raw.split_once('/').map_or((raw, None), |(base, len)| (base, Some(len)));
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let own_bits = if address.is_ipv4() { 32 } else { 128 };
        let length = length.map_or(Ok(own_bits), |length| length.parse::<u32>().map_err(|_| invalid()))?;
        if length > own_bits {
            return Err(invalid());
        }
        let mask = u128::MAX.checked_shl(own_bits - length).unwrap_or(0);
        // IPv4 addresses are the last 32 bits of ::ffff:0:0/96, so the mask of an IPv4 network has the 96 bits before
        // them too. Only the mask of `::/0` is 0.
        let mask = if own_bits == 32 { mask | !u128::from(u32::MAX) } else { mask };
        Ok(Self { base: bits(address) & mask, mask })
    }
}

/// An address as IPv6, so that `::ffff:192.0.2.1` and `192.0.2.1` are equal.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The block of addresses that count as one client: one IPv4 address, or one IPv6 network of 64 bits, which one
/// customer of a provider usually has.
pub fn block(address: IpAddr) -> [u8; 16] {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).octets(),
    }
}

/// The network of 48 bits to which an IPv6 address belongs; `None` for IPv4. A provider gives a customer at most that, so
/// a customer may have up to 65,536 [blocks](block): what bounds a block needs a second bound for its site.
pub fn site(address: IpAddr) -> Option<[u8; 16]> {
    match address.to_canonical() {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => Some(Ipv6Addr::from_bits(v6.to_bits() >> 80 << 80).octets()),
    }
}

/// The header in which proxies name the client. Only one of the two is read, because a proxy that writes one passes the
/// other on as the client sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded`, RFC 7239.
    Forwarded,
}

impl ForwardedHeader {
    /// The header's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::XForwardedFor => "x-forwarded-for",
            Self::Forwarded => "forwarded",
        }
    }
}

impl FromStr for ForwardedHeader {
    type Err = Invalid;

    fn from_str(raw: &str) -> Result<Self, Invalid> {
        match raw.trim().to_ascii_lowercase().as_str() {
            "x-forwarded-for" => Ok(Self::XForwardedFor),
            "forwarded" => Ok(Self::Forwarded),
            _ => Err(Invalid::new("must be x-forwarded-for or forwarded")),
        }
    }
}

/// The proxies that are trusted, and the header that they write.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    /// Default: none. Then the client's address is the peer's, and the header is not read.
    pub networks: Vec<Network>,
    /// Default: `X-Forwarded-For`.
    pub header: ForwardedHeader,
}

impl TrustedProxies {
    /// The address from which a request came: the last one that belongs to no trusted proxy. `values` are the values of
    /// [`TrustedProxies::header`], in order; each proxy appends the address of its own peer.
    pub fn client<'a>(&self, peer: IpAddr, values: impl DoubleEndedIterator<Item = &'a str>) -> IpAddr {
        let mut client = peer.to_canonical();
        for hop in values.rev().flat_map(|value| value.rsplit(',')) {
            if !self.trusts(client) {
                break;
            }
            // The proxy hides its peer, or the hop is no address: the search ends, because earlier hops cannot be
            // trusted.
            let Some(address) = self.address(hop) else { break };
            client = address.to_canonical();
        }
        client
    }

    /// Whether the address is that of a trusted proxy.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    fn address(&self, hop: &str) -> Option<IpAddr> {
        let node = match self.header {
            ForwardedHeader::XForwardedFor => hop,
            ForwardedHeader::Forwarded => hop.split(';').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                name.trim().eq_ignore_ascii_case("for").then_some(value)
            })?,
        };
        let node = node.trim().trim_matches('"');
        let bare = node.strip_prefix('[').and_then(|node| node.split_once(']')).map(|(address, _)| address);
        match bare {
            Some(v6) => v6.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            None => node.parse().ok().or_else(|| node.rsplit_once(':')?.0.parse().ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(networks: &[&str], header: ForwardedHeader) -> TrustedProxies {
        TrustedProxies { networks: networks.iter().map(|raw| raw.parse().unwrap()).collect(), header }
    }

    fn ip(raw: &str) -> IpAddr {
        raw.parse().unwrap()
    }

    #[test]
    fn a_network_contains_its_addresses_and_no_other() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(ip(inside)) && !network.contains(ip(outside)), "{network:?}");
        }
        for bad in ["", "10.0.0.0/33", "::/129", "10.0.0.0/-1", "localhost", "10/8"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let none = TrustedProxies::default();
        assert_eq!(none.client(ip("192.0.2.1"), ["203.0.113.9"].into_iter()), ip("192.0.2.1"));
        let ours = proxies(&["10.0.0.0/8"], ForwardedHeader::XForwardedFor);
        for (peer, values, client) in [
            ("192.0.2.1", vec!["203.0.113.9"], "192.0.2.1"),
            ("10.0.0.1", vec!["203.0.113.9"], "203.0.113.9"),
            ("::ffff:10.0.0.1", vec!["203.0.113.9:4711"], "203.0.113.9"),
            // The client wrote the first address, the trusted proxy the last one.
            ("10.0.0.1", vec!["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", vec!["198.51.100.1", "203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1", vec!["[2001:db8::1]:443"], "2001:db8::1"),
            ("10.0.0.1", vec!["203.0.113.9, nonsense"], "10.0.0.1"),
            ("10.0.0.1", vec![], "10.0.0.1"),
        ] {
            assert_eq!(ours.client(ip(peer), values.iter().copied()), ip(client), "{values:?}");
        }
        let rfc = proxies(&["10.0.0.1"], ForwardedHeader::Forwarded);
        let value = "for=198.51.100.1, for=\"[2001:db8::7]:4711\";proto=https";
        assert_eq!(rfc.client(ip("10.0.0.1"), [value].into_iter()), ip("2001:db8::7"));
        assert_eq!(rfc.client(ip("10.0.0.1"), ["for=_hidden"].into_iter()), ip("10.0.0.1"));
    }
}
