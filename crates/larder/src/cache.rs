//! The cache as its user holds it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde::{Serialize, de::DeserializeOwned};

use crate::builder::Builder;
use crate::class::ClassBuilder;
use crate::engine::Engine;
use crate::invalidation::Invalidation;
use crate::key::{Key, Namespace};

/// A cache in front of one database; cheap to clone.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder::error::Error> {
/// use larder::cache::{Cache, Health};
///
/// let cache = Cache::builder("hotel").build().await?;
/// assert_eq!(cache.health(), Health::MemoryOnly);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cache {
    pub(crate) engine: Arc<Engine>,
    pub(crate) namespace: Arc<Namespace>,
}

/// Which tiers answer at this instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// Memory and Redis.
    Working,
    /// Redis is configured and cannot be used: answers come from the database, and from memory for no longer
    /// than the staleness bound.
    Degraded,
    /// No Redis is configured: memory alone answers.
    MemoryOnly,
}

impl Cache {
    /// Begins a cache. `namespace` is this installation's share of a Redis: 1 to 64 of lower-case letters,
    /// digits, `_` and `-`.
    pub fn builder(namespace: &str) -> Builder {
        Builder::new(namespace)
    }

    /// Begins a class of values of type `V`, found by keys of type `K`.
    pub fn class<K, V>(&self, name: &str) -> ClassBuilder<'_, K, V>
    where
        K: Key + ?Sized,
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        ClassBuilder::new(self, name)
    }

    /// Begins the invalidation of whatever one write touched.
    pub fn invalidation(&self) -> Invalidation {
        Invalidation::new(self.engine.clone())
    }

    /// Which tiers answer at this instant.
    pub fn health(&self) -> Health {
        match self.engine.health() {
            None => Health::MemoryOnly,
            Some(true) => Health::Working,
            Some(false) => Health::Degraded,
        }
    }

    /// Switches all caching; see [`Class::set_enabled`](crate::class::Class::set_enabled). Default: on.
    pub fn set_enabled(&self, is_on: bool) {
        self.engine.is_on.store(is_on, Ordering::Relaxed);
    }

    /// Bytes of keys and encoded values that this process holds, with a flat charge for bookkeeping.
    pub fn memory_bytes(&self) -> u64 {
        self.engine.local.weight_bytes()
    }
}
