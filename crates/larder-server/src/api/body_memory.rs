//! The memory of bodies that are being read, over all requests and for each client.
//!
//! Invariant: the bodies that are being read hold at most `LARDER_BODY_MEMORY` bytes together, those of one client half of
//! that, those of one IPv6 network of 48 bits three quarters, beside the first [`FREE`] bytes of each, which the number of connections bounds. A body that would exceed it is
//! answered with 503.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use larder_identity::network::{block, site};

use crate::api::codes::Code;
use crate::api::problem::Problem;

/// So much of each body is not counted: logins are answered while the clients of large bodies have used all memory up.
pub(crate) const FREE: usize = 16 << 10;

/// What has a bound of its own.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    /// A client: its address, or for IPv6 its network of 64 bits.
    Block([u8; 16]),
    /// The IPv6 network of 48 bits around it.
    Site([u8; 16]),
}

/// The networks of a client.
#[derive(Clone, Copy)]
struct Networks {
    block: Network,
    site: Option<Network>,
}

impl Networks {
    fn of(address: IpAddr) -> Self {
        Self { block: Network::Block(block(address)), site: site(address).map(Network::Site) }
    }

    fn iter(self) -> impl Iterator<Item = Network> {
        [self.block].into_iter().chain(self.site)
    }
}

/// The memory that bodies may hold; cheap to clone.
#[derive(Clone)]
pub(crate) struct BodyMemory {
    /// The lock is held for one look-up; no other lock is taken meanwhile.
    held: Arc<Mutex<Held>>,
    most: usize,
}

/// How many bytes are held, in all and by each network. A network that holds none is removed, so that the table never has
/// more than two rows for each body that is being read.
#[derive(Default)]
struct Held {
    all: usize,
    by: HashMap<Network, usize>,
}

impl BodyMemory {
    /// Memory for `most` bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self { held: Arc::default(), most }
    }

    /// The share of this client.
    pub(crate) fn of_client(&self, address: IpAddr) -> BodyShare {
        BodyShare { memory: self.clone(), networks: Networks::of(address) }
    }

    fn take(&self, networks: Networks, bytes: usize) -> bool {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = |network: Network| {
            let most = match network {
                Network::Block(_) => self.most / 2,
                Network::Site(_) => self.most / 4 * 3,
            };
            held.by.get(&network).copied().unwrap_or_default() + bytes <= most
        };
        let has_room = held.all + bytes <= self.most && networks.iter().all(has_room);
        if has_room {
            held.all += bytes;
            networks.iter().for_each(|network| *held.by.entry(network).or_default() += bytes);
        }
        has_room
    }

    fn give_back(&self, networks: Networks, bytes: usize) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.all -= bytes;
        for network in networks.iter() {
            if let Some(of_network) = held.by.get_mut(&network) {
                *of_network -= bytes;
                if *of_network == 0 {
                    held.by.remove(&network);
                }
            }
        }
    }
}

/// The share of a client, from which its bodies take.
#[derive(Clone)]
pub(crate) struct BodyShare {
    memory: BodyMemory,
    networks: Networks,
}

impl BodyShare {
    /// An account for one body; it holds nothing yet.
    pub(crate) fn account(&self) -> BodyAccount {
        BodyAccount { share: self.clone(), read: 0, held: 0 }
    }
}

/// What the body of one request holds; a drop gives it back.
pub(crate) struct BodyAccount {
    share: BodyShare,
    /// How many bytes have arrived.
    read: usize,
    /// How many of them are counted.
    held: usize,
}

impl BodyAccount {
    /// Counts bytes that have arrived.
    ///
    /// # Errors
    /// There is no room for them: the 503 `bodies_full`.
    pub(crate) fn add(&mut self, bytes: usize) -> Result<(), Problem> {
        self.read += bytes;
        let counted = self.read.saturating_sub(FREE) - self.held;
        if counted > 0 {
            if !self.share.memory.take(self.share.networks, counted) {
                return Err(Problem::new(Code::BodiesFull));
            }
            self.held += counted;
        }
        Ok(())
    }
}

impl Drop for BodyAccount {
    fn drop(&mut self) {
        if self.held > 0 {
            self.share.memory.give_back(self.share.networks, self.held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bodies_and_those_of_a_client_are_bounded_and_small_ones_are_free() {
        let memory = BodyMemory::new(100);
        let body = |last: u8| memory.of_client(IpAddr::from([192, 0, 2, last])).account();
        let (mut ann, mut second) = (body(1), body(1));
        for _ in 0..FREE / 1024 {
            assert!(ann.add(1024).is_ok() && second.add(1024).is_ok());
        }
        assert_eq!(memory.held.lock().unwrap().all, 0);
        assert!(ann.add(30).is_ok() && second.add(20).is_ok());
        assert!(second.add(1).is_err() && ann.add(1).is_err(), "half is the most for one client");
        let mut others: Vec<_> = (2..4).map(body).collect();
        assert!(others.iter_mut().all(|one| one.add(FREE + 25).is_ok()));
        assert!(body(4).add(FREE + 1).is_err(), "that was all");
        assert!(body(4).add(FREE).is_ok());
        drop((ann, second));
        assert!(body(4).add(FREE + 50).is_ok());
        drop(others);
        let held = memory.held.lock().unwrap();
        assert!(held.all == 0 && held.by.is_empty());
    }

    #[test]
    fn the_networks_of_one_customer_leave_a_quarter_to_others() {
        let memory = BodyMemory::new(100);
        let body = |network: u16| {
            let address = IpAddr::from([0x2001, 0xdb8, network >> 8, network & 0xff, 0, 0, 0, 1]);
            memory.of_client(address).account()
        };
        let (mut first, mut second, mut other) = (body(0x101), body(0x102), body(0x201));
        assert!(first.add(FREE + 50).is_ok() && second.add(FREE + 25).is_ok());
        assert!(second.add(1).is_err() && other.add(FREE + 25).is_ok());
    }
}
