//! The cache: the handle that an application holds.

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
    /// Redis is configured and cannot be used fully (it is away, is not certified, or refuses writes), or the journal
    /// is incomplete. What Redis cannot answer comes from the database, and from memory for no longer than the
    /// staleness bound. [`Cache::health_report`] gives the reasons.
    Degraded,
    /// No Redis is configured: only memory answers.
    MemoryOnly,
}

impl Health {
    /// All states.
    pub const ALL: [Health; 3] = [Health::Working, Health::Degraded, Health::MemoryOnly];

    /// The state's label: `working`, `degraded` or `memory-only`.
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

    /// Switches all caching on or off; see [`Class::set_enabled`](crate::class::Class::set_enabled). Default: on.
    pub fn set_enabled(&self, is_on: bool) {
        // Relaxed: the switch guards no other data, and a read that sees it a little later is harmless.
        self.engine.is_on.store(is_on, Ordering::Relaxed);
    }

    /// How many bytes of keys and encoded values this process holds, plus a fixed charge for each entry.
    pub fn memory_bytes(&self) -> u64 {
        self.engine.local.weight_bytes()
    }
}
