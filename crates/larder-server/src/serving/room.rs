//! Bounds the number of connections and of HTTP/2 streams, in total and from one address. A connection beyond a bound gets
//! a 503 and is closed; a stream beyond it gets a 503.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::HeaderMap;
use larder_identity::network::{TrustedProxies, block, site};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::api::codes::Code;
use crate::refusing::{refusal, to_http1};

/// The most connections to which a 503 is being written at once. Each holds a descriptor of the reserve. Further ones
/// are closed without an answer.
const REFUSALS: usize = 32;

/// How long a refusal may take, and how many bytes of the request the service reads and discards meanwhile. A close
/// with unread bytes would reset the connection and destroy the answer (`wire.rs`).
const REFUSAL: (Duration, usize) = (Duration::from_millis(500), 64 * 1024);

/// The number of connections of each network. The lock is held for one look-up; no other lock is taken meanwhile.
type Held = Arc<Mutex<HashMap<Network, u32>>>;

/// How many times as many connections an IPv6 network of 48 bits may have as one of its networks of 64 bits. A customer of
/// a provider has up to 65,536 of these.
const BLOCKS: u32 = 8;

/// What a bound counts for: an address (IPv6: its network of 64 bits), or the IPv6 network of 48 bits around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Network {
    Address([u8; 16]),
    Site([u8; 16]),
}

fn networks(peer: IpAddr) -> impl Iterator<Item = Network> {
    [Network::Address(block(peer))].into_iter().chain(site(peer).map(Network::Site))
}

/// The bounds, and the open connections that count against them.
pub(super) struct Room {
    all: Arc<Semaphore>,
    held: Held,
    max_per_address: u32,
    proxies: TrustedProxies,
    refusals: Arc<Semaphore>,
}

/// The place of one connection or stream; a drop frees it.
pub(super) struct Place {
    _all: OwnedSemaphorePermit,
    of_address: Option<(Held, IpAddr)>,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    InAll,
    OfAddress,
}

impl Room {
    pub(super) fn new(max: usize, max_per_address: u32, proxies: TrustedProxies) -> Self {
        Self {
            all: Arc::new(Semaphore::new(max)),
            held: Held::default(),
            max_per_address,
            proxies,
            refusals: Arc::new(Semaphore::new(REFUSALS)),
        }
    }

    /// A place for a connection from `peer`, or for an HTTP/2 stream of one.
    pub(super) fn admit(&self, peer: IpAddr) -> Result<Place, Full> {
        // A trusted proxy forwards the connections of many clients, so the limit for one address does not apply to it.
        let of_address = match self.proxies.trusts(peer) {
            true => None,
            false => Some(self.count(peer).ok_or(Full::OfAddress)?),
        };
        match self.all.clone().try_acquire_owned() {
            Ok(permit) => Ok(Place { _all: permit, of_address }),
            Err(_) => {
                if let Some((held, peer)) = of_address {
                    uncount(&held, peer);
                }
                Err(Full::InAll)
            }
        }
    }

    fn count(&self, peer: IpAddr) -> Option<(Held, IpAddr)> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = |network: Network| {
            let max = match network {
                Network::Address(_) => self.max_per_address,
                Network::Site(_) => self.max_per_address.saturating_mul(BLOCKS),
            };
            held.get(&network).is_none_or(|count| *count < max)
        };
        if !networks(peer).all(has_room) {
            return None;
        }
        for network in networks(peer) {
            *held.entry(network).or_default() += 1;
        }
        Some((self.held.clone(), peer))
    }

    /// Answers 503 and closes the connection, in a task of its own. If [`REFUSALS`] such tasks are running, it closes
    /// the connection without an answer.
    pub(super) fn refuse(&self, mut stream: TcpStream, headers: HeaderMap) {
        let Ok(permit) = self.refusals.clone().try_acquire_owned() else { return };
        let refusal = to_http1(refusal(Code::ConnectionsFull, headers));
        tokio::spawn(async move {
            let _permit = permit;
            let refused = timeout(REFUSAL.0, async {
                stream.write_all(&refusal).await?;
                stream.shutdown().await?;
                let (mut discarded, mut left) = ([0; 4096], REFUSAL.1);
                while left > 0 {
                    match stream.read(&mut discarded).await? {
                        0 => break,
                        read => left = left.saturating_sub(read),
                    }
                }
                std::io::Result::Ok(())
            });
            // After an error or the time-out the connection is closed too, so the result does not matter.
            let _ = refused.await;
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((held, peer)) = self.of_address.take() {
            uncount(&held, peer);
        }
    }
}

/// Counts one connection less. An address that has none left is removed, so that the table never has more rows than
/// there are connections.
fn uncount(held: &Held, peer: IpAddr) {
    let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
    for network in networks(peer) {
        if let Some(count) = held.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                held.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_all_together_are_bounded_and_a_trusted_proxy_is_not() {
        let proxies =
            TrustedProxies { networks: vec!["10.0.0.0/8".parse().unwrap()], ..TrustedProxies::default() };
        let room = Room::new(5, 2, proxies);
        let admit = |peer: &str| room.admit(peer.parse().unwrap());
        let one = admit("2001:db8::1").ok().unwrap();
        let two = admit("2001:db8::2").ok().unwrap();
        assert_eq!(admit("2001:db8::3").err(), Some(Full::OfAddress), "one network of 64 bits");
        let proxied: Vec<_> = (0..3).map(|_| admit("10.0.0.1").ok().unwrap()).collect();
        assert_eq!(admit("192.0.2.1").err(), Some(Full::InAll));
        assert_eq!(admit("10.0.0.1").err(), Some(Full::InAll));
        drop((one, two));
        let again = [admit("192.0.2.1").ok().unwrap(), admit("192.0.2.1").ok().unwrap()];
        assert_eq!(admit("192.0.2.1").err(), Some(Full::OfAddress));
        drop((again, proxied));
        assert!(room.held.lock().unwrap().is_empty());
    }

    #[test]
    fn a_network_of_48_bits_does_not_take_all_connections() {
        let room = Room::new(100, 2, TrustedProxies::default());
        let admit = |peer: String| room.admit(peer.parse().unwrap());
        let of_a_56: Vec<_> = (0..64).filter_map(|n| admit(format!("2001:db8:0:{n:x}00::1")).ok()).collect();
        assert_eq!(of_a_56.len(), 16, "eight times as many as one network of 64 bits");
        assert_eq!(admit("2001:db8:0:ffff::1".to_owned()).err(), Some(Full::OfAddress));
        assert!(admit("2001:db8:1::1".to_owned()).is_ok() && admit("192.0.2.1".to_owned()).is_ok());
        drop(of_a_56);
        assert!(room.held.lock().unwrap().is_empty());
    }
}
