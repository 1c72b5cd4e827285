//! Everything one write touched, dropped in one round trip.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::cache::Cache;
use crate::class::Class;
use crate::engine::{Batch, Engine};
use crate::key::Key;
use crate::receipt::Receipt;
use crate::stats::count;

/// Collects what a write touched; made by [`Cache::invalidation`](crate::cache::Cache::invalidation).
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder::error::Error> {
/// use larder::cache::Cache;
///
/// let cache = Cache::builder("hotel").build().await?;
/// let rooms = cache.class::<u32, String>("rooms").open()?;
/// let lists = cache.class::<str, Vec<u32>>("room_lists").open()?;
///
/// // After the commit, before the acknowledgement:
/// let receipt = cache.invalidation().key(&rooms, &7).class(&lists).send().await;
/// assert_eq!((receipt.keys(), receipt.tags()), (1, 1));
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is invalidated before `send`"]
pub struct Invalidation {
    engine: Arc<Engine>,
    batch: Batch,
}

impl Cache {
    /// Begins the invalidation of whatever one write touched.
    pub fn invalidation(&self) -> Invalidation {
        Invalidation::new(self.engine.clone())
    }
}

impl<K, V> Class<K, V>
where
    K: Key + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Drops the entry of `key` everywhere: to be awaited after the write's commit and before it is
    /// acknowledged. Cancelling the future does not stop the invalidation.
    pub async fn invalidate(&self, key: &K) -> Receipt {
        Invalidation::new(self.engine.clone()).key(self, key).send().await
    }

    /// Drops every entry of the class everywhere, by one tag.
    pub async fn invalidate_all(&self) -> Receipt {
        Invalidation::new(self.engine.clone()).class(self).send().await
    }
}

impl Invalidation {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Invalidation { engine, batch: Batch::default() }
    }

    /// Adds the entry of one key.
    pub fn key<K, V>(mut self, class: &Class<K, V>, key: &K) -> Self
    where
        K: Key + ?Sized,
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        count(&class.core.counters.invalidations);
        self.batch.keys.push(Bytes::copy_from_slice(&class.key(key)));
        self
    }

    /// Adds every entry of a class.
    pub fn class<K: ?Sized, V>(mut self, class: &Class<K, V>) -> Self {
        count(&class.core.counters.invalidations);
        self.batch.tags.push(class.core.own_tag().clone());
        self
    }

    /// Drops all of it from this process and from Redis. Goes on to its end even if the future is dropped.
    pub async fn send(self) -> Receipt {
        let (keys, tags) = (self.batch.keys.len(), self.batch.tags.len());
        let delivery = self.engine.invalidate(self.batch).await;
        Receipt { delivery, keys, tags }
    }
}
