//! Inspects a running cache: its classes, its entries, its Redis. No read uses this module.

pub mod declared;
pub mod explain;
pub mod keys;
pub mod self_test;

pub mod server;
mod tuned;

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::cache::Cache;
use crate::engine::{Engine, SharedTier};
use crate::error::Error;
use crate::remote::Fault;
use crate::stats::Stats;
use crate::times::LoadTimes;

/// What Redis answered, if there is a Redis and it answered.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder::error::Error> {
/// use larder::cache::Cache;
/// use larder::introspection::RedisAnswer;
///
/// let cache = Cache::builder("docs").build().await?;
/// assert_eq!(cache.redis_info().await, RedisAnswer::NotConfigured);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisAnswer<T> {
    /// The cache was built without Redis.
    NotConfigured,
    /// Redis did not answer in time, or refused.
    Away,
    /// The answer of Redis.
    Value(T),
}

impl<T> RedisAnswer<T> {
    /// The answer, if there is one.
    pub fn value(self) -> Option<T> {
        match self {
            RedisAnswer::Value(answer) => Some(answer),
            RedisAnswer::NotConfigured | RedisAnswer::Away => None,
        }
    }

    pub(crate) fn of(answer: Result<T, Fault>) -> Self {
        answer.map_or(RedisAnswer::Away, RedisAnswer::Value)
    }
}

/// The present state of one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassReport {
    /// The class's name.
    pub name: String,
    /// Whether caching is on; see [`Cache::set_class_enabled`].
    pub is_enabled: bool,
    /// Whether its loads have failed in a row, so that no load begins but one after each pause; see
    /// [`Breaker`](crate::policy::Breaker). `false` without a breaker.
    pub is_breaker_open: bool,
    /// The class's counts.
    pub stats: Stats,
    /// The class's load times.
    pub load_times: LoadTimes,
}

impl Cache {
    /// Every class that was ever opened, sorted by name.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// let rooms = cache.class::<u32, String>("rooms").open()?;
    /// rooms.get_or_load(&7, || async { Ok::<_, std::io::Error>("sea view".to_owned()) }).await?;
    ///
    /// let [report] = cache.classes().try_into().unwrap();
    /// assert_eq!((report.name.as_str(), report.is_enabled), ("rooms", true));
    /// assert_eq!(report.stats.loads, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn classes(&self) -> Vec<ClassReport> {
        let report =
            |(name, common): (String, std::sync::Arc<crate::engine::registry::ClassState>)| ClassReport {
                name,
                is_enabled: common.is_on.load(Ordering::Relaxed),
                is_breaker_open: common.breaker.is_open(),
                stats: common.counters.snapshot(),
                load_times: common.load_times.snapshot(),
            };
        self.engine.classes.all().into_iter().map(report).collect()
    }

    /// The sum of all classes' counts.
    pub fn stats(&self) -> Stats {
        self.classes().iter().fold(Stats::default(), |sum, class| sum.plus(&class.stats))
    }

    /// Switches caching on or off for the class of this name. While caching is off, the class's reads call their
    /// loaders and nothing is stored. Invalidations still apply, so switching on again never serves outdated values.
    /// Default: on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) if no class of that name was opened; the message lists
    /// the open classes.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// let rooms = cache.class::<u32, String>("rooms").open()?;
    /// cache.set_class_enabled("rooms", false)?;
    /// let load = || async { Ok::<_, std::io::Error>("sea view".to_owned()) };
    /// rooms.get_or_load(&7, load).await?;
    /// assert!(rooms.get(&7).await.is_miss());
    ///
    /// let error = cache.set_class_enabled("romos", false).unwrap_err();
    /// assert!(error.to_string().contains("rooms"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_class_enabled(&self, name: &str, is_on: bool) -> Result<(), Error> {
        // Relaxed: the switch guards no other data.
        self.engine.classes.opened(name)?.is_on.store(is_on, Ordering::Relaxed);
        tracing::info!(class = name, is_on, "class switched");
        Ok(())
    }

    /// Sets how long a class keeps what is loaded from now on; [`Class::set_ttl`](crate::class::Class::set_ttl) does the
    /// same.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) if no class of that name was opened, or the TTL is not
    /// allowed; the message says what is.
    pub fn set_class_ttl(&self, name: &str, ttl: Duration) -> Result<(), Error> {
        let wrong = |wrong| Error::config(format!("class {name:?}: {wrong}"));
        self.engine.classes.opened(name)?.set_ttl(ttl).map_err(wrong)?;
        tracing::info!(class = name, ?ttl, "class's TTL set");
        Ok(())
    }

    /// How many copies this process's memory evicted because it was full.
    pub fn evictions(&self) -> u64 {
        self.engine.local.evictions()
    }

    /// How many keys' invalidations have not reached Redis; 100,000 if all entries of this database have to be dropped there
    /// instead. While there are any, this process uses no entry of Redis. `None` without Redis.
    pub fn unsent_invalidations(&self) -> Option<usize> {
        self.engine.shared.as_ref().map(|shared| shared.remote.unsent_count())
    }

    /// The [staleness bound](crate::Builder::staleness_bound) of this cache.
    pub fn staleness_bound(&self) -> Duration {
        self.engine.limits.bound
    }

    /// For how long from now the guard (Redis, or without it the journal's consumer) lets copies be served if it certifies
    /// nothing more; at most the staleness bound, and zero if it certifies nothing now. The bound minus this is the age of
    /// the last certificate. `None` without a guard.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// assert_eq!(cache.certified_for(), None, "neither Redis nor a journal");
    /// # Ok(())
    /// # }
    /// ```
    pub fn certified_for(&self) -> Option<Duration> {
        let guard = self.engine.guard.as_ref()?;
        // The end is read before the clock, so that the answer is never longer than what is left.
        let until = guard.until();
        Some(until.since(self.engine.clock.now()))
    }

    /// How many times this process failed to delete what the journal no longer needs; `None` without a journal.
    pub fn failed_prunes(&self) -> Option<u64> {
        self.engine.journal.as_ref().map(|_| self.engine.polls.failed_prunes())
    }
}

impl Engine {
    /// Asks Redis `question`, if there is a Redis.
    async fn inspect<T>(
        &self,
        question: impl AsyncFnOnce(&SharedTier) -> Result<T, Fault>,
    ) -> RedisAnswer<T> {
        match &self.shared {
            None => RedisAnswer::NotConfigured,
            Some(shared) => RedisAnswer::of(question(shared).await),
        }
    }
}
