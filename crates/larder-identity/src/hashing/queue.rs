//! The queue of passwords that wait for a hasher. It is bounded, in all and for each client.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::failure::Failure;
use crate::hashing::HashingError;
use crate::network::NetworkShares;

/// Hashers, and the places of those that wait for one; cheap to clone.
#[derive(Clone)]
pub(crate) struct Queue {
    /// One permit for each password that is being hashed or waits.
    room: Arc<Semaphore>,
    hashers: Arc<Semaphore>,
    /// The places that each client has taken.
    shares: NetworkShares,
    wait: Duration,
}

impl Queue {
    /// At least one hasher, even if `hashers` is 0. `per_client`: how many places a client may take; default half of
    /// all. A network of 48 bits may take half of the rest too. `wait`: how long a password waits for a hasher.
    pub(crate) fn new(hashers: usize, waiting: usize, per_client: Option<usize>, wait: Duration) -> Self {
        let hashers = hashers.max(1);
        let places = hashers.saturating_add(waiting).min(Semaphore::MAX_PERMITS);
        let most = per_client.unwrap_or(places.div_ceil(2)).max(1);
        let most_of_site = most + places.saturating_sub(most) / 2;
        Self {
            room: Arc::new(Semaphore::new(places)),
            hashers: Arc::new(Semaphore::new(hashers)),
            // No limit in total: `room` already bounds all passwords, also those without a client.
            shares: NetworkShares::new(usize::MAX, most, most_of_site),
            wait,
        }
    }

    /// Does `work` on a thread of its own when a hasher is free.
    ///
    /// # Errors
    /// [`HashingError::Busy`] at once if there is no place, or none for this client; and after the longest wait.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        client: Option<IpAddr>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashingError> {
        let share = client.map(|address| self.shares.take_one(address).ok_or(HashingError::Busy));
        let share = share.transpose()?;
        let place = self.room.clone().try_acquire_owned().map_err(|_| HashingError::Busy)?;
        // A time-out: what is computed before this password may take longer than its client waits for the answer.
        let permit = timeout(self.wait, self.hashers.clone().acquire_owned()).await;
        let permit = permit.map_err(|_| HashingError::Busy)?.map_err(Failure::new)?;
        // The work owns the permits: if the caller is cancelled, the work continues on its thread and still needs them.
        let work = move || {
            let _permits = (share, place, permit);
            work()
        };
        Ok(tokio::task::spawn_blocking(work).await.map_err(Failure::new)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A customer with an IPv6 network of 56 bits has 256 of 64 bits.
    #[test]
    fn the_networks_of_one_customer_do_not_take_all_places() {
        let shares = Queue::new(1, 7, Some(2), Duration::from_secs(1)).shares;
        let take = |address: String| shares.take_one(address.parse().unwrap());
        let taken: Vec<_> = (0..256)
            .flat_map(|block| [block; 3])
            .filter_map(|n| take(format!("2001:db8:7:{n:x}::1")))
            .collect();
        assert_eq!(taken.len(), 5, "two of eight, and half of the rest");
        assert!(take("2001:db8:8::1".to_owned()).is_some());
        let of_one: Vec<_> = (0..3).filter_map(|_| take("192.0.2.1".to_owned())).collect();
        assert_eq!(of_one.len(), 2);
        drop((taken, of_one));
        assert_eq!(shares.held(), 0);
    }
}
