//! How long loads take: a lock-free histogram with its mean and quantiles.
//!
//! Each power of two of microseconds has eight buckets, so a quantile is at most an eighth too high.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::policy::LOAD_TIMEOUT_MAX;

/// Buckets for each power of two.
const STEPS: u64 = 8;
/// The buckets cover up to 2^30 µs, about 18 minutes; the last one also counts everything longer.
const BUCKETS: usize = 224;
const _: () =
    assert!(LOAD_TIMEOUT_MAX.as_micros() < 1 << 30, "the longest load is longer than what the buckets cover");

/// Counts durations. The counters guard no other data, so relaxed order is enough; a snapshot can miss durations that
/// are recorded at the same time.
pub(crate) struct Histogram {
    buckets: Box<[AtomicU64]>,
    sum_micros: AtomicU64,
    max_micros: AtomicU64,
}

/// How long the loads of a class took since it was opened. Loads that failed, timed out or were cancelled count too.
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
/// let times = rooms.load_times();
/// assert_eq!(times.count, 1);
/// assert!(times.p99 <= times.max);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadTimes {
    /// The number of loads.
    pub count: u64,
    /// The sum of their durations.
    pub total: Duration,
    /// The mean. If there were no loads, this and all other fields are zero.
    pub mean: Duration,
    /// The median: half of the loads took at most about this long.
    pub p50: Duration,
    /// 99 % of the loads took at most about this long.
    pub p99: Duration,
    /// The longest load.
    pub max: Duration,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Histogram {
            buckets: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            sum_micros: AtomicU64::new(0),
            max_micros: AtomicU64::new(0),
        }
    }

    pub(crate) fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)].fetch_add(1, Ordering::Relaxed);
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
        self.max_micros.fetch_max(micros, Ordering::Relaxed);
    }

    /// Records the time until the guard is dropped. A guard is used because a cancelled load is dropped before its end.
    pub(crate) fn timing(&self) -> Timing<'_> {
        Timing { histogram: self, began: Instant::now() }
    }

    pub(crate) fn snapshot(&self) -> LoadTimes {
        let counts: Vec<u64> = self.buckets.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let count: u64 = counts.iter().sum();
        let max = self.max_micros.load(Ordering::Relaxed);
        let quantile = |share: f64| {
            let rank = (count as f64 * share).ceil() as u64;
            let mut seen = 0;
            let nth = counts.iter().position(|count| {
                seen += count;
                seen >= rank
            });
            Duration::from_micros(nth.map_or(max, upper).min(max))
        };
        let total = self.sum_micros.load(Ordering::Relaxed);
        LoadTimes {
            count,
            total: Duration::from_micros(total),
            mean: Duration::from_micros(total.checked_div(count).unwrap_or(0)),
            p50: quantile(0.5),
            p99: quantile(0.99),
            max: Duration::from_micros(max),
        }
    }
}

/// See [`Histogram::timing`].
pub(crate) struct Timing<'a> {
    histogram: &'a Histogram,
    began: Instant,
}

impl Drop for Timing<'_> {
    fn drop(&mut self) {
        self.histogram.record(self.began.elapsed());
    }
}

/// How long it takes to encode and check the values of a class. Relaxed: the counts guard no other data.
#[derive(Default)]
pub(crate) struct StoreTimes {
    count: AtomicU64,
    sum_nanos: AtomicU64,
}

impl StoreTimes {
    pub(crate) fn record(&self, took: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The mean; zero if there was none.
    pub(crate) fn mean(&self) -> Duration {
        let sum = self.sum_nanos.load(Ordering::Relaxed);
        Duration::from_nanos(sum.checked_div(self.count.load(Ordering::Relaxed)).unwrap_or(0))
    }
}

/// Below 8 µs there is one bucket for each microsecond; above, the three bits after the leading one select the bucket.
fn bucket(micros: u64) -> usize {
    let nth = if micros < STEPS {
        micros
    } else {
        let power = u64::from(micros.ilog2()) - 3;
        (power + 1) * STEPS + ((micros >> power) - STEPS)
    };
    usize::try_from(nth).unwrap_or(usize::MAX).min(BUCKETS - 1)
}

/// The longest duration that a bucket counts.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let (power, step) = (bucket / STEPS - 1, bucket % STEPS);
    ((STEPS + step + 1) << power) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn mean_and_quantiles_are_those_of_the_recorded_durations() {
        let histogram = Histogram::new();
        assert_eq!(histogram.snapshot(), LoadTimes::default());
        for millis in 1..=100 {
            histogram.record(Duration::from_millis(millis));
        }
        let times = histogram.snapshot();
        assert_eq!((times.count, times.max), (100, Duration::from_millis(100)));
        assert_eq!((times.total, times.mean), (Duration::from_millis(5_050), Duration::from_micros(50_500)));
        assert!((50..57).contains(&times.p50.as_millis()), "{:?}", times.p50);
        assert!((99..=100).contains(&times.p99.as_millis()), "{:?}", times.p99);
    }

    proptest! {
        #[test]
        fn a_bucket_holds_the_durations_that_it_counts(micros in 0_u64..1 << 26) {
            let nth = bucket(micros);
            prop_assert!(micros <= upper(nth) && upper(nth) <= micros + micros / 8);
            prop_assert!(nth == 0 || upper(nth - 1) < micros);
        }
    }
}
