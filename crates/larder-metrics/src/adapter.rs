//! Copies the counts of caches to the recorder of the facade.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use larder::Cache;
use larder_prometheus::Exporter;
use larder_prometheus::family::{Family, Kind, Sample, Value};
use metrics::{Key, Label};
use tokio::time::MissedTickBehavior;

/// Copies the counts of the caches of one process to the recorder of the facade; cheap to clone. Counters are copied as
/// what they have grown by, because exporters such as those of StatsD and OpenTelemetry take nothing else. So one adapter
/// copies to one recorder.
#[derive(Clone, Debug)]
pub struct Adapter {
    figures: Exporter,
    /// What each counter had at the last copy. All clones share it. The lock is held during a copy, in which the recorder
    /// runs; the adapter takes no other lock meanwhile.
    copied: Arc<Mutex<HashMap<Key, u64>>>,
}

impl Adapter {
    /// Copies the counts of one cache.
    pub fn new(cache: &Cache) -> Self {
        Adapter { figures: Exporter::new(cache), copied: Arc::default() }
    }

    /// Copies the counts of several caches: each metric has the label `cache` with the cache's name. If two caches have
    /// one name, only the last is copied.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::Error> {
    /// let shop = larder::Cache::builder("shop").build().await?;
    /// let sessions = larder::Cache::builder("sessions").build().await?;
    /// larder_metrics::Adapter::named([("shop", &shop), ("sessions", &sessions)]).record();
    /// # Ok(())
    /// # }
    /// ```
    pub fn named<'a, N: Into<String>>(caches: impl IntoIterator<Item = (N, &'a Cache)>) -> Self {
        Adapter { figures: Exporter::named(caches), copied: Arc::default() }
    }

    /// Copies the counts of the caches and their classes at this instant, without I/O.
    pub fn record(&self) {
        self.copy(&self.figures.families());
    }

    /// Copies the counts, and the figures of each cache's Redis server. It waits 2 s for a server that does not answer;
    /// `larder_redis_up` is then 0, and the recorder keeps the server's other figures from before.
    pub async fn record_with_redis(&self) {
        let families = self.figures.families_with_redis().await;
        self.copy(&families);
    }

    /// Does as [`Adapter::record_with_redis`] now and after each `interval`, until the future is dropped.
    ///
    /// # Panics
    ///
    /// If the interval is zero.
    pub async fn every(self, interval: Duration) -> Infallible {
        let mut ticks = tokio::time::interval(interval);
        // A copy that waited for Redis is not followed by several at once.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.record_with_redis().await;
        }
    }

    fn copy(&self, families: &[Family]) {
        let mut copied = self.copied.lock().unwrap_or_else(PoisonError::into_inner);
        for Family { kind, name, help, samples, .. } in families {
            match kind {
                Kind::Counter => metrics::describe_counter!(*name, *help),
                // The facade has no summary; see `copy_sample`.
                Kind::Gauge | Kind::Summary => metrics::describe_gauge!(*name, *help),
            }
            samples.iter().for_each(|sample| copy_sample(*kind, name, sample, &mut copied));
        }
    }
}

/// A histogram of the facade takes single observations, and larder keeps quantiles, so the quantiles of a summary are
/// gauges, and so are their `_sum` and `_count`.
fn copy_sample(kind: Kind, name: &'static str, sample: &Sample, copied: &mut HashMap<Key, u64>) {
    let Sample { suffix, labels, value, .. } = sample;
    let labels: Vec<Label> = labels.iter().map(|(name, value)| Label::new(*name, value.clone())).collect();
    let name = format!("{name}{suffix}");
    let measure = match *value {
        Value::Count(count) => count as f64,
        Value::Measure(measure) => measure,
    };
    if kind != Kind::Counter {
        return metrics::gauge!(name, labels).set(measure);
    }
    let count = match *value {
        Value::Count(count) => count,
        Value::Measure(measure) => measure as u64,
    };
    let before = copied.insert(Key::from_parts(name.clone(), labels.clone()), count).unwrap_or_default();
    // A counter of Redis starts again with its server: then all of it is new.
    let grown = count.checked_sub(before).unwrap_or(count);
    metrics::counter!(name, labels).increment(grown);
}
