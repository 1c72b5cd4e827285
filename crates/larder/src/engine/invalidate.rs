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
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    async fn invalidate_here(&self, batch: &Batch) -> Delivery {
        // Before: who reads from now on must not find what is about to be false.
        self.drop_from_memory(batch);
        let delivery = match &self.shared {
            None => Delivery::Sent,
            Some(shared) => self.unlink(shared, batch).await,
        };
        // After: a read that began meanwhile may have brought the old value from Redis, and fenced it in.
        self.drop_from_memory(batch);
        delivery
    }

    fn drop_from_memory(&self, batch: &Batch) {
        batch.keys.iter().for_each(|key| self.local.drop_key(key));
        batch.tags.iter().for_each(|tag| self.local.drop_tag(tag));
    }

    async fn unlink(&self, shared: &Shared, batch: &Batch) -> Delivery {
        let mut keys = batch.keys.clone();
        keys.extend(batch.tags.iter().map(TagKey::to_bytes));
        let is_usable = || shared.usable.is(self.clock.now());
        let sent = match is_usable() {
            true => shared.remote.unlink(&keys).await,
            false => Err(crate::remote::Fault::Away),
        };
        // Not usable any more: the reply may come from a Redis that is no longer the one.
        if sent.is_ok() && is_usable() {
            return Delivery::Sent;
        }
        shared.usable.queue(&keys);
        shared.remote.suspect();
        Delivery::Queued
    }
}
