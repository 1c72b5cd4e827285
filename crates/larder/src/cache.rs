//! The cache as its user holds it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::engine::Engine;
use crate::key::Namespace;

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
/// assert_eq!(cache.health().as_str(), "memory-only");
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
    /// Redis is configured and cannot be used as it should: it is away, or may not be relied on, or refuses writes. What it
    /// cannot answer comes from the database, and from memory for no longer than the staleness bound.
    /// [`Cache::health_report`] says why.
    Degraded,
    /// No Redis is configured: memory alone answers.
    MemoryOnly,
}

impl Health {
    /// Every state there is.
    pub const ALL: [Health; 3] = [Health::Working, Health::Degraded, Health::MemoryOnly];

    /// Its word: `working`, `degraded` or `memory-only`.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Working => "working",
            Health::Degraded => "degraded",
            Health::MemoryOnly => "memory-only",
        }
    }
}

impl Cache {
    /// Which tiers answer at this instant.
    pub fn health(&self) -> Health {
        self.engine.health_report().state
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
