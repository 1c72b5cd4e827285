//! Bounds the number of connections and of HTTP/2 streams, in total and from one address. A connection beyond a bound gets
//! a 503 and is closed; a stream beyond it gets a 503.
//!
//! Invariant `probes_have_room`: a connection beyond a bound takes a place of the reserve, as long as the reserve has one
//! for its network. It is served for one request: a probe is answered, any other request gets the 503. A probe on a stream
//! beyond a bound takes such a place too. So a supervisor does not end a process that only has as many connections as are
//! allowed.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use larder_identity::network::{NetworkShare, NetworkShares, TrustedProxies};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::api::codes::Code;
use crate::api::metrics::requests::Full;
use crate::refusing::{OriginLine, refusal, to_http1};
use crate::router::cors::RefusalCors;

/// The most connections to which a 503 is being written at once. Each holds a descriptor of the reserve. Further ones
/// are closed without an answer.
const REFUSALS: usize = 32;

/// The most connections beyond the limit that are served for one request at once. Each holds a descriptor of the reserve.
const RESERVED: usize = 16;

/// How many of the [`RESERVED`] places one network has: a flood of refused connections from a few addresses leaves places
/// for probes, which come from others.
const RESERVED_FOR_NETWORK: usize = 4;

/// The shortest time between two log lines about refused connections.
const NOTED: Duration = Duration::from_secs(10);

/// How long a refusal may take, and how many bytes of the request the service reads and discards meanwhile. A close
/// with unread bytes would reset the connection and destroy the answer (`wire.rs`).
const REFUSAL: (Duration, usize) = (Duration::from_millis(500), 64 * 1024);

/// How long the service waits for the `Origin` of a request that it refuses for want of room, and how many bytes it reads
/// for it. It does so only if several origins are allowed. The client sends its head with the connection, so the wait is
/// short, and it is a part of the time of the refusal.
const ORIGIN: (Duration, usize) = (Duration::from_millis(100), 16 * 1024);

/// How many times as many connections an IPv6 network of 48 bits may have as one of its networks of 64 bits. A customer of
/// a provider has up to 65,536 of these.
const BLOCKS: usize = 8;

/// The bounds, and the open connections that count against them.
pub(super) struct Room {
    all: Arc<Semaphore>,
    /// The connections of each network, except those of trusted proxies.
    shares: NetworkShares,
    proxies: TrustedProxies,
    /// The connections beyond the limit that are served for one request.
    reserved: NetworkShares,
    refusals: Arc<Semaphore>,
    max: usize,
    /// When the last line about refused connections was logged. Locked for the comparison alone: two tasks that refuse at
    /// once log one line.
    noted: Mutex<Option<Instant>>,
}

/// The place of one connection or stream; a drop frees it.
pub(super) struct Place {
    _all: OwnedSemaphorePermit,
    _of_address: Option<NetworkShare>,
}

impl Room {
    pub(super) fn new(max: usize, max_per_address: u32, proxies: TrustedProxies) -> Self {
        let of_address = usize::try_from(max_per_address).unwrap_or(usize::MAX);
        Self {
            all: Arc::new(Semaphore::new(max)),
            // `all` bounds all connections, also those of trusted proxies.
            shares: NetworkShares::new(usize::MAX, of_address, of_address.saturating_mul(BLOCKS)),
            proxies,
            reserved: NetworkShares::new(RESERVED, RESERVED_FOR_NETWORK, RESERVED_FOR_NETWORK),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            max,
            noted: Mutex::new(None),
        }
    }

    /// A place for a connection from `peer`, or for an HTTP/2 stream of one.
    pub(super) fn admit(&self, peer: IpAddr) -> Result<Place, Full> {
        // A trusted proxy forwards the connections of many clients, so the limit for one address does not apply to it.
        let of_address = match self.proxies.trusts(peer) {
            true => None,
            false => Some(self.shares.take_one(peer).ok_or(Full::OfAddress)?),
        };
        let all = self.all.clone().try_acquire_owned().map_err(|_| Full::InAll)?;
        Ok(Place { _all: all, _of_address: of_address })
    }

    /// A place of the reserve, for a connection beyond a bound. `None`: the reserve is used up, in all or by this network.
    pub(super) fn reserved(&self, peer: IpAddr) -> Option<NetworkShare> {
        self.reserved.take_one(peer)
    }

    /// Logs that connections are refused, at most one line within [`NOTED`].
    pub(super) fn note(&self, full: Full) {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.is_none_or(|noted| noted.elapsed() > NOTED) {
            *noted = Some(Instant::now());
            tracing::warn!(
                ?full,
                max = self.max,
                "connections are refused: there are as many as are allowed"
            );
        }
    }

    /// Answers 503 and closes the connection, in a task of its own. If [`REFUSALS`] such tasks are running, it closes
    /// the connection without an answer.
    pub(super) fn refuse(&self, mut stream: TcpStream, cors: Arc<RefusalCors>) {
        let Ok(permit) = self.refusals.clone().try_acquire_owned() else { return };
        tokio::spawn(async move {
            let _permit = permit;
            let refused = timeout(REFUSAL.0, async {
                let origin = match cors.selectable_bytes() {
                    Some(bytes) => origin(&mut stream, OriginLine::new(bytes)).await,
                    None => None,
                };
                let refusal = to_http1(refusal(Code::ConnectionsFull, cors.headers(origin.as_deref())));
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

/// The origin of the request that begins on a connection, if it is among the first [`ORIGIN`] bytes and arrives in time.
async fn origin(stream: &mut TcpStream, mut line: OriginLine) -> Option<Vec<u8>> {
    let reading = timeout(ORIGIN.0, async {
        let (mut bytes, mut left) = ([0; 4096], ORIGIN.1);
        while left > 0 && !line.is_decided() {
            match stream.read(&mut bytes).await {
                Ok(read) if read > 0 => {
                    line.read(&bytes[..read]);
                    left = left.saturating_sub(read);
                }
                _ => break,
            }
        }
    });
    // After the time-out, what was read until then counts.
    let _ = reading.await;
    line.take()
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
        assert_eq!(room.shares.held(), 0);
    }

    #[test]
    fn one_network_leaves_places_of_the_reserve_for_the_others() {
        let room = Room::new(1, 1, TrustedProxies::default());
        let reserved = |peer: &str| room.reserved(peer.parse().unwrap());
        let of_flood: Vec<_> = (0..20).filter_map(|_| reserved("10.0.0.1")).collect();
        let of_probe = reserved("10.0.0.2");
        assert_eq!((of_flood.len(), of_probe.is_some()), (RESERVED_FOR_NETWORK, true));
        let more: Vec<_> = (3..20).filter_map(|last| reserved(&format!("10.0.0.{last}"))).collect();
        assert_eq!(more.len(), RESERVED - RESERVED_FOR_NETWORK - 1);
        drop((of_flood, of_probe, more));
        assert_eq!(room.reserved.held(), 0);
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
        assert_eq!(room.shares.held(), 0);
    }
}
