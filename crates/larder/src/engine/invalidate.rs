//! Invalidation: this process first, then Redis, then this process again, then the acknowledgement.

use std::sync::Arc;

use bytes::Bytes;

use crate::engine::{Engine, Shared};
use crate::protocol::tag::TagKey;
use crate::receipt::Delivery;

/// What one write touched.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) keys: Vec<Bytes>,
    pub(crate) tags: Vec<TagKey>,
}

impl Engine {
    /// Runs to its end even when its caller is cancelled: between a commit and its invalidation there is no
    /// place to stop.
    pub(crate) async fn invalidate(self: Arc<Self>, batch: Batch) -> Delivery {
        let running = tokio::spawn(async move { self.invalidate_here(&batch).await });
        match running.await {
            Ok(delivery) => delivery,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Nobody aborts it: the runtime is going down, and with it all that this process remembers.
                Err(_) => Delivery::Queued,
            },
        }
    }

    async fn invalidate_here(&self, batch: &Batch) -> Delivery {
        // Before: who reads from now on must not find what is about to be false.
        let overtaken = self.drop_from_memory(batch);
        let delivery = match &self.shared {
            None => Delivery::Sent,
            Some(shared) => self.unlink(shared, batch, overtaken).await,
        };
        // After: a read that began meanwhile may have brought the old value from Redis, and fenced it in.
        self.drop_from_memory(batch);
        delivery
    }

    /// Returns the keys of the loads in progress that a tag's invalidation overtook.
    fn drop_from_memory(&self, batch: &Batch) -> Vec<Bytes> {
        batch.keys.iter().for_each(|key| self.local.drop_key(key));
        batch.tags.iter().flat_map(|tag| self.local.drop_tag(tag)).collect()
    }

    async fn unlink(&self, shared: &Shared, batch: &Batch, overtaken: Vec<Bytes>) -> Delivery {
        let mut keys = overtaken;
        keys.extend(batch.keys.iter().cloned());
        keys.extend(batch.tags.iter().map(TagKey::to_bytes));
        if keys.is_empty() {
            return Delivery::Sent;
        }
        let is_usable = || shared.usable.is(self.clock.now());
        // Usable before and after: otherwise the reply may come from a Redis that is no longer the one.
        if is_usable() && shared.remote.unlink(&keys).await.is_ok() && is_usable() {
            return Delivery::Sent;
        }
        shared.usable.queue(&keys);
        shared.remote.suspect();
        Delivery::Queued
    }
}
