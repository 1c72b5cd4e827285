//! The queue of passwords that wait for a hasher. It is bounded, in all and for each client.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::failure::Failure;
use crate::hashing::HashingError;
use crate::network::block;

/// A client: its address, or for IPv6 its network of 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Client([u8; 16]);

impl Client {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(block(address))
    }
}

/// Hashers, and the places of those that wait for one; cheap to clone.
#[derive(Clone)]
pub(crate) struct Queue {
    /// One permit for each password that is being hashed or waits.
    room: Arc<Semaphore>,
    hashers: Arc<Semaphore>,
    shares: Shares,
}

/// How many places each client has taken. The lock is held for one look-up; no other lock is taken meanwhile.
#[derive(Clone)]
struct Shares {
    taken: Arc<Mutex<HashMap<Client, usize>>>,
    most: usize,
}

/// A place of a client; a drop gives it back.
struct Share {
    shares: Shares,
    client: Client,
}

impl Queue {
    /// At least one hasher, even if `hashers` is 0. `per_client`: how many places a client may take; default half of
    /// all.
    pub(crate) fn new(hashers: usize, waiting: usize, per_client: Option<usize>) -> Self {
        let hashers = hashers.max(1);
        let places = hashers.saturating_add(waiting).min(Semaphore::MAX_PERMITS);
        let most = per_client.unwrap_or(places.div_ceil(2)).max(1);
        Self {
            room: Arc::new(Semaphore::new(places)),
            hashers: Arc::new(Semaphore::new(hashers)),
            shares: Shares { taken: Arc::default(), most },
        }
    }

    /// Does `work` on a thread of its own when a hasher is free.
    ///
    /// # Errors
    /// [`HashingError::Busy`] at once if there is no place, or none for this client.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        client: Option<Client>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashingError> {
        let share = client.map(|client| self.shares.take(client).ok_or(HashingError::Busy)).transpose()?;
        let place = self.room.clone().try_acquire_owned().map_err(|_| HashingError::Busy)?;
        let permit = self.hashers.clone().acquire_owned().await.map_err(Failure::new)?;
        // The work owns the permits: if the caller is cancelled, the work continues on its thread and still needs them.
        let work = move || {
            let _permits = (share, place, permit);
            work()
        };
        Ok(tokio::task::spawn_blocking(work).await.map_err(Failure::new)?)
    }
}

impl Shares {
    fn take(&self, client: Client) -> Option<Share> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(client).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Share { shares: self.clone(), client })
    }
}

impl Drop for Share {
    /// A client that has no place left is removed, so that the table never has more rows than there are places.
    fn drop(&mut self) {
        let mut taken = self.shares.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.client) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.client);
            }
        }
    }
}
