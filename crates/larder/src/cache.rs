//! The cache: the handle that an application holds.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::audit::AuditReport;
use crate::engine::Engine;
use crate::events::Events;
use crate::health::{HealthReport, Trouble, TroubleCount};
use crate::journal::{FaultEpisodes, Journal, downcast};
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

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (namespace, health) = (self.namespace.as_str(), self.health());
        f.debug_struct("Cache")
            .field("namespace", &namespace)
            .field("health", &health)
            .finish_non_exhaustive()
    }
}

impl Cache {
    /// Which tiers answer at this instant.
    pub fn health(&self) -> Health {
        self.engine.health_report().state
    }

    /// What this cache does from now on, on this instance: hits, misses, loads, invalidations and more, in their order.
    /// A subscriber delays no read: if it is more than 4,096 events behind, it gets
    /// [`Event::Missed`](crate::Event::Missed). While there is no subscriber, each hit costs one relaxed load of a
    /// counter more.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    /// use larder::events::{Event, LoadEnd};
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// let rooms = cache.class::<u32, String>("rooms").open()?;
    /// let mut events = cache.events();
    ///
    /// rooms.get_or_load(&7, || async { Ok::<_, std::io::Error>("sea view".to_owned()) }).await?;
    /// assert!(matches!(events.next().await, Some(Event::Miss { .. })));
    /// let Some(Event::Load { entry, outcome, .. }) = events.next().await else { panic!("no load") };
    /// assert_eq!((&*entry.class, entry.key.as_deref(), outcome), ("rooms", Some("7"), LoadEnd::Value));
    /// # Ok(())
    /// # }
    /// ```
    pub fn events(&self) -> Events {
        self.engine.events.subscribe()
    }

    /// As [`Cache::events`], without [`Event::Hit`](crate::Event::Hit), because most events of a busy cache are hits.
    /// For such a subscriber, hits cost nothing, and they do not overwrite events that it has not received yet.
    pub fn events_without_hits(&self) -> Events {
        self.engine.events.subscribe_without_hits()
    }

    /// As [`Cache::events`], without what reads do: [`Hit`](crate::Event::Hit), [`Miss`](crate::Event::Miss),
    /// [`Load`](crate::Event::Load), [`FillRefused`](crate::Event::FillRefused) and [`Evicted`](crate::Event::Evicted). What
    /// is left is invalidations, troubles, alarms and tuning: for such a subscriber, reads cost nothing.
    pub fn events_without_reads(&self) -> Events {
        self.engine.events.subscribe_without_reads()
    }

    /// The journal with which the cache was built; `None` if there is no journal, or its type is neither `J` nor
    /// `Arc<J>`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::Error> {
    /// let cache = larder::Cache::builder("docs").build().await?;
    /// assert!(cache.journal::<std::sync::Arc<dyn larder::Journal>>().is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn journal<J: Journal>(&self) -> Option<&J> {
        downcast(&**self.engine.journal.as_ref()?)
    }

    /// What the auditor has measured; `None` if auditing is off. See [`Builder::audit_rate`](crate::Builder::audit_rate).
    pub fn audit(&self) -> Option<AuditReport> {
        self.engine.auditor.as_ref().map(|auditor| auditor.report())
    }

    /// Switches all caching on or off; see [`Class::set_enabled`](crate::class::Class::set_enabled). Default: on.
    pub fn set_enabled(&self, is_on: bool) {
        // Relaxed: the switch guards no other data, and a read may see its former state for a moment longer.
        self.engine.is_on.store(is_on, Ordering::Relaxed);
    }

    /// How many bytes of memory the entries of this process take, with all that belongs to them, as counted against the
    /// [budget](crate::Builder::memory_bytes).
    pub fn memory_bytes(&self) -> u64 {
        self.engine.local.weight_bytes()
    }

    /// Runs `request` on one [budget](crate::Builder::redis_budget): all its reads, puts and draws of permits together wait
    /// for Redis no longer than that, and what is left over goes on without Redis. Put it around the answer to a request
    /// of HTTP. Without it, each read has a budget of its own.
    ///
    /// A task that `request` spawns is no part of it, and a refresh in the background neither. After a wait for another
    /// instance's load, the budget begins again. A request within a request shares its budget, also one of another cache.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::Error> {
    /// let cache = larder::Cache::builder("docs").build().await?;
    /// let rooms = cache.class::<u32, String>("rooms").open()?;
    /// let load = || async { Ok::<_, std::io::Error>("sea view".to_owned()) };
    /// let both = async { Ok::<_, larder::Error>([rooms.get_or_load(&7, load).await?, rooms.get_or_load(&8, load).await?]) };
    /// assert!(cache.with_redis_budget(both).await?.iter().all(Option::is_some));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn with_redis_budget<T>(&self, request: impl Future<Output = T>) -> T {
        self.engine.with_budget(request).await
    }

    /// The state of the cache at this instant. If the cache is degraded, the report says why and what to do.
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

    /// How many episodes of each trouble there were since the start. Empty without Redis and without a journal.
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
            let FaultEpisodes { incomplete, imprecise } = journal.fault_episodes();
            for (trouble, episodes) in [
                (Trouble::SilentJournal, self.engine.polls.failed_episodes()),
                (Trouble::ImpreciseJournal, imprecise),
                (Trouble::IncompleteJournal, incomplete),
            ] {
                counts.retain(|count| count.trouble != trouble);
                counts.push(TroubleCount { trouble, episodes });
            }
        }
        counts
    }
}
