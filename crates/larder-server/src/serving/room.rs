//! Bounds the number of connections and of HTTP/2 streams, in total and from one address. A connection beyond a bound gets
//! a 503 and is closed; a stream beyond it gets a 503.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use larder_identity::network::{TrustedProxies, block};
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

/// The number of connections of each address. The lock is held for one look-up; no other lock is taken meanwhile.
type Held = Arc<Mutex<HashMap<[u8; 16], u32>>>;

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
    of_address: Option<(Held, [u8; 16])>,
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
                if let Some((held, key)) = of_address {
                    uncount(&held, key);
                }
                Err(Full::InAll)
            }
        }
    }

    fn count(&self, peer: IpAddr) -> Option<(Held, [u8; 16])> {
        let key = block(peer);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let count = held.entry(key).or_default();
        if *count >= self.max_per_address {
            return None;
        }
        *count += 1;
        Some((self.held.clone(), key))
    }

    /// Answers 503 and closes the connection, in a task of its own. If [`REFUSALS`] such tasks are running, it closes
    /// the connection without an answer.
    pub(super) fn refuse(&self, mut stream: TcpStream) {
        let Ok(permit) = self.refusals.clone().try_acquire_owned() else { return };
        let refusal = to_http1(refusal(Code::ConnectionsFull));
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
        if let Some((held, key)) = self.of_address.take() {
            uncount(&held, key);
        }
    }
}

/// Counts one connection less. An address that has none left is removed, so that the table never has more rows than
/// there are connections.
fn uncount(held: &Held, key: [u8; 16]) {
    let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(count) = held.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            held.remove(&key);
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
}
