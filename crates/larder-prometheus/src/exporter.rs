//! Collects the present figures of the caches and of their Redis servers.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use larder::Cache;
use larder::introspection::RedisAnswer;

use crate::exposition::Format;
use crate::family::Family;
use crate::figures::{self, Figures};

/// Time-out of the question to Redis: while Redis hangs, a scrape takes up to 2 s longer, and ends before Prometheus's
/// own time-out (10 s by default).
const REDIS_TIMEOUT: Duration = Duration::from_secs(2);

/// Exports the counts of the caches of one process; cheap to clone.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder::Error> {
/// use larder::Cache;
/// use larder_prometheus::Exporter;
///
/// let shop = Cache::builder("shop").build().await?;
/// let sessions = Cache::builder("sessions").build().await?;
/// let exporter = Exporter::named([("shop", &shop), ("sessions", &sessions)]);
/// assert!(exporter.text().contains("larder_cache_memory_bytes{cache=\"sessions\"} 0\n"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Exporter {
    /// By name; `None` if there is only one cache.
    caches: BTreeMap<Option<String>, Cache>,
    format: Format,
}

impl Exporter {
    /// Exports one cache.
    pub fn new(cache: &Cache) -> Self {
        Self { caches: BTreeMap::from([(None, cache.clone())]), format: Format::Prometheus }
    }

    /// Exports several caches: each sample has the label `cache` with the cache's name. If two caches have one name,
    /// only the last is exported.
    pub fn named<'a, N: Into<String>>(caches: impl IntoIterator<Item = (N, &'a Cache)>) -> Self {
        let caches = caches.into_iter().map(|(name, cache)| (Some(name.into()), cache.clone()));
        Self { caches: caches.collect(), format: Format::Prometheus }
    }

    /// Writes OpenMetrics 1.0, without its last line `# EOF`. Append that line after all families of an answer.
    #[must_use]
    pub fn openmetrics(self) -> Self {
        Self { format: Format::OpenMetrics, ..self }
    }

    /// The counts of the caches and their classes at this instant, without I/O.
    pub fn text(&self) -> String {
        self.format.text(&self.families())
    }

    /// The counts, and the figures of each cache's Redis server. These figures are of the entire server, so two caches
    /// in one Redis export the same figures.
    ///
    /// A server that does not answer within 2 s has one sample, `larder_redis_up` 0. A cache without Redis has none.
    pub async fn text_with_redis(&self) -> String {
        self.format.text(&self.families_with_redis().await)
    }

    /// What [`Exporter::text`] writes, as data, for another format. Its values are the same in each [format](Self::openmetrics).
    pub fn families(&self) -> Vec<Family> {
        let not_asked = self.caches.values().map(|_| RedisAnswer::NotConfigured);
        self.collect(not_asked)
    }

    /// What [`Exporter::text_with_redis`] writes, as data.
    pub async fn families_with_redis(&self) -> Vec<Family> {
        let answers = self.caches.values().map(async |cache| {
            let answer = tokio::time::timeout(REDIS_TIMEOUT, cache.redis_info());
            answer.await.unwrap_or(RedisAnswer::Away)
        });
        // Ask all servers at once, so that the time-out bounds the scrape. `collect` reads the counts after the servers'
        // answers.
        self.collect(join_all(answers).await)
    }

    fn collect(&self, redis: impl IntoIterator<Item = figures::Redis>) -> Vec<Family> {
        let caches = self.caches.iter().zip(redis);
        let caches: Vec<_> =
            caches.map(|((name, cache), redis)| Figures::of(name.as_deref(), cache, redis)).collect();
        figures::families(&caches)
    }
}
