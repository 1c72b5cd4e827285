//! The cache as its user holds it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::engine::Engine;
use crate::health::{HealthReport, Trouble, TroubleCount};
use crate::key::Namespace;

pub use crate::health::Health;

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

    /// How the cache does at this instant, and if it is degraded, why and what to do.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// for reason in cache.health_report().reasons {
    ///     println!("{}: {reason}", reason.trouble);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn health_report(&self) -> HealthReport {
        self.engine.health_report()
    }

    /// How many episodes of each trouble there have been since the start; empty with neither Redis nor a journal.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// assert!(cache.trouble_counts().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn trouble_counts(&self) -> Vec<TroubleCount> {
        let mut counts: Vec<_> =
            self.engine.shared.as_ref().map(|shared| shared.condition.counts()).unwrap_or_default();
        if let Some(journal) = &self.engine.journal {
            let trouble = Trouble::IncompleteJournal;
            counts.retain(|count| count.trouble != trouble);
            counts.push(TroubleCount { trouble, episodes: journal.incomplete_episodes() });
        }
        counts
    }
}
