//! The memory of bodies that are being read, over all requests and for each client.
//!
//! Invariant: all bodies that are being read hold at most `LARDER_BODY_MEMORY` bytes. The bodies of one client hold at most
//! half of that, and those of one IPv6 network of 48 bits at most three quarters. The first [`FREE`] bytes of each body are
//! not counted; the limit on connections bounds them. A body that would exceed one of these limits is answered with 503.

use std::net::IpAddr;

use larder_identity::network::{NetworkShare, NetworkShares};

use crate::api::codes::Code;
use crate::api::problem::Problem;

/// So much of each body is not counted: logins are answered while the clients of large bodies have used all memory up.
pub(crate) const FREE: usize = 16 << 10;

/// The memory that bodies may hold; cheap to clone.
#[derive(Clone)]
pub(crate) struct BodyMemory(NetworkShares);

impl BodyMemory {
    /// Memory for `most` bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self(NetworkShares::new(most, most / 2, most / 4 * 3))
    }

    /// The share of this client.
    pub(crate) fn of_client(&self, address: IpAddr) -> BodyShare {
        BodyShare { memory: self.clone(), address }
    }
}

/// The share of a client, from which its bodies take.
#[derive(Clone)]
pub(crate) struct BodyShare {
    memory: BodyMemory,
    address: IpAddr,
}

impl BodyShare {
    /// An account for one body; it holds nothing yet.
    pub(crate) fn account(&self) -> BodyAccount {
        BodyAccount { read: 0, counted: self.memory.0.of(self.address) }
    }
}

/// What the body of one request holds; a drop gives it back.
pub(crate) struct BodyAccount {
    /// How many bytes have arrived.
    read: usize,
    /// Those of them that are counted.
    counted: NetworkShare,
}

impl BodyAccount {
    /// Counts bytes that have arrived.
    ///
    /// # Errors
    /// There is no room for them: the 503 `bodies_full`.
    pub(crate) fn add(&mut self, bytes: usize) -> Result<(), Problem> {
        self.read += bytes;
        match self.read.saturating_sub(FREE).saturating_sub(self.counted.amount()) {
            0 => Ok(()),
            more if self.counted.add(more) => Ok(()),
            _ => Err(Problem::new(Code::BodiesFull)),
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
        assert_eq!(memory.0.held(), 0);
        assert!(ann.add(30).is_ok() && second.add(20).is_ok());
        assert!(second.add(1).is_err() && ann.add(1).is_err(), "half is the most for one client");
        let mut others: Vec<_> = (2..4).map(body).collect();
        assert!(others.iter_mut().all(|one| one.add(FREE + 25).is_ok()));
        assert!(body(4).add(FREE + 1).is_err(), "that was all");
        assert!(body(4).add(FREE).is_ok());
        drop((ann, second));
        assert!(body(4).add(FREE + 50).is_ok());
        drop(others);
        assert_eq!(memory.0.held(), 0);
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
