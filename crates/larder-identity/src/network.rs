//! Networks in CIDR notation, the address from which a request came if it passed proxies, and what the networks of a client
//! may hold.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

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
        // them too: `0.0.0.0/0` has every IPv4 address and no other. Only the mask of `::/0` is 0.
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

/// How much of a resource clients hold, such as connections or bytes; cheap to clone.
///
/// Invariant: one [block] holds at most `most_of_block`, the blocks of one [site] together at most `most_of_site`, and all
/// clients together at most `most`.
#[derive(Clone, Debug)]
pub struct NetworkShares {
    most: usize,
    most_of_block: usize,
    most_of_site: usize,
    /// The lock is held for one look-up; no other lock is taken meanwhile.
    held: Arc<Mutex<HashMap<Holder, usize>>>,
}

/// What a bound counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Holder {
    All,
    Block([u8; 16]),
    Site([u8; 16]),
}

fn holders(address: IpAddr) -> impl Iterator<Item = Holder> {
    [Holder::All, Holder::Block(block(address))].into_iter().chain(site(address).map(Holder::Site))
}

impl NetworkShares {
    /// Everything is free.
    pub fn new(most: usize, most_of_block: usize, most_of_site: usize) -> Self {
        Self { most, most_of_block, most_of_site, held: Arc::default() }
    }

    /// What a client holds: nothing yet.
    pub fn of(&self, address: IpAddr) -> NetworkShare {
        NetworkShare { shares: self.clone(), address, amount: 0 }
    }

    /// A share of one; `None` if that would exceed a bound.
    pub fn take_one(&self, address: IpAddr) -> Option<NetworkShare> {
        let mut share = self.of(address);
        share.add(1).then_some(share)
    }

    /// What all clients hold together.
    pub fn held(&self) -> usize {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(&Holder::All).copied().unwrap_or_default()
    }

    fn most_of(&self, holder: Holder) -> usize {
        match holder {
            Holder::All => self.most,
            Holder::Block(_) => self.most_of_block,
            Holder::Site(_) => self.most_of_site,
        }
    }
}

/// What one client holds for one purpose. A drop gives it back.
#[derive(Debug)]
pub struct NetworkShare {
    shares: NetworkShares,
    address: IpAddr,
    amount: usize,
}

impl NetworkShare {
    /// Takes more. Returns false, and takes nothing, if that would exceed a bound.
    #[must_use]
    pub fn add(&mut self, amount: usize) -> bool {
        let mut held = self.shares.held.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = |holder: Holder| {
            let present = held.get(&holder).copied().unwrap_or_default();
            present.saturating_add(amount) <= self.shares.most_of(holder)
        };
        let has_room = holders(self.address).all(has_room);
        if has_room && amount > 0 {
            holders(self.address).for_each(|holder| *held.entry(holder).or_default() += amount);
            self.amount += amount;
        }
        has_room
    }

    /// How much it holds.
    pub fn amount(&self) -> usize {
        self.amount
    }
}

impl Drop for NetworkShare {
    /// A row that counts nothing is removed, so the table has at most two rows for each share, and one for all.
    fn drop(&mut self) {
        if self.amount == 0 {
            return;
        }
        let mut held = self.shares.held.lock().unwrap_or_else(PoisonError::into_inner);
        for holder in holders(self.address) {
            if let Some(present) = held.get_mut(&holder) {
                *present -= self.amount;
                if *present == 0 {
                    held.remove(&holder);
                }
            }
        }
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
    fn a_block_its_site_and_all_are_bounded_and_a_drop_gives_back() {
        let shares = NetworkShares::new(10, 4, 6);
        let take = |address: &str, amount: usize| {
            let mut share = shares.of(ip(address));
            share.add(amount).then_some(share)
        };
        let mut one = take("2001:db8:7:1::1", 3).unwrap();
        assert!(take("2001:db8:7:1::2", 2).is_none(), "its block has one left");
        assert!(!one.add(2) && one.amount() == 3, "a share that grows too");
        let other = take("2001:db8:7:2::1", 3).unwrap();
        assert!(take("2001:db8:7:3::1", 1).is_none(), "its site has all that it may have");
        let v4 = take("192.0.2.1", 4).unwrap();
        assert!(take("::ffff:192.0.2.1", 1).is_none(), "the same client");
        assert!(take("192.0.2.2", 1).is_none() && shares.held() == 10, "that is all");
        drop(one);
        assert!(take("192.0.2.2", 3).is_some() && take("192.0.2.2", 0).is_some());
        drop((other, v4));
        assert!(shares.held.lock().unwrap().is_empty());
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
