//! Copies the counts of caches to the recorder of the facade.

use std::convert::Infallible;
use std::time::Duration;

use larder::Cache;
use larder_prometheus::Exporter;
use larder_prometheus::family::{Family, Kind, Sample, Value};
use metrics::Label;
use tokio::time::MissedTickBehavior;

/// Copies the counts of the caches of one process to the recorder of the facade; cheap to clone.
#[derive(Clone, Debug)]
pub struct Adapter {
    figures: Exporter,
}

impl Adapter {
    /// Copies the counts of one cache.
    pub fn new(cache: &Cache) -> Self {
        Adapter { figures: Exporter::new(cache) }
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
        Adapter { figures: Exporter::named(caches) }
    }

    /// Copies the counts of the caches and their classes at this instant, without I/O.
    pub fn record(&self) {
        record(&self.figures.families());
    }

    /// Copies the counts, and the figures of each cache's Redis server. It waits 2 s for a server that does not answer;
    /// `larder_redis_up` is then 0, and the recorder keeps the server's other figures from before.
    pub async fn record_with_redis(&self) {
        record(&self.figures.families_with_redis().await);
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
}

fn record(families: &[Family]) {
    for Family { kind, name, help, samples, .. } in families {
        match kind {
            Kind::Counter => metrics::describe_counter!(*name, *help),
            // The facade has no summary; see `record_sample`.
            Kind::Gauge | Kind::Summary => metrics::describe_gauge!(*name, *help),
        }
        for sample in samples {
            record_sample(*kind, name, sample);
        }
    }
}

/// A histogram of the facade takes single observations, and larder keeps quantiles, so the quantiles of a summary are
/// gauges, and so are their `_sum` and `_count`.
fn record_sample(kind: Kind, name: &'static str, Sample { suffix, labels, value, .. }: &Sample) {
    let labels: Vec<Label> = labels.iter().map(|(name, value)| Label::new(*name, value.clone())).collect();
    let name = format!("{name}{suffix}");
    match (kind, *value) {
        // A counter of Redis starts again with its server, and one of the facade never falls.
        (Kind::Counter, Value::Count(value)) => metrics::counter!(name, labels).absolute(value),
        (Kind::Counter, Value::Measure(value)) => metrics::counter!(name, labels).absolute(value as u64),
        (Kind::Gauge | Kind::Summary, Value::Count(value)) => metrics::gauge!(name, labels).set(value as f64),
        (Kind::Gauge | Kind::Summary, Value::Measure(value)) => metrics::gauge!(name, labels).set(value),
    }
}
