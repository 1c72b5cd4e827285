//! The statistics of a cache in the form that clients read.

use larder::stats::Stats;
use serde::Serialize;

/// Look-ups and their results, under the names that are common in cache monitoring.
///
/// # Examples
///
/// ```
/// use larder::stats::Stats;
/// use larder_http::stats::Lookups;
///
/// let stats = Stats { memory_hits: 1, redis_hits: 1, loads: 1, ..Stats::default() };
/// let lookups = Lookups::from(&stats);
/// assert_eq!((lookups.hits, lookups.misses, lookups.total_lookups), (2, 1, 3));
/// assert_eq!(
///     serde_json::to_string(&lookups).unwrap(),
///     r#"{"hits":2,"misses":1,"hit_rate_percent":66.67,"total_lookups":3,"invalidations":0}"#
/// );
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Lookups {
    /// Look-ups that a tier answered, or that joined a load which another read of this process had begun.
    pub hits: u64,
    /// Look-ups that waited for their loader, or had no loader and found nothing.
    pub misses: u64,
    /// Hits as a percentage of all look-ups, rounded to two decimals; 0 if there are no look-ups.
    pub hit_rate_percent: f64,
    /// Hits and misses together.
    pub total_lookups: u64,
    /// Invalidations by this instance.
    pub invalidations: u64,
}

impl From<&Stats> for Lookups {
    fn from(stats: &Stats) -> Self {
        Lookups {
            hits: stats.hits(),
            misses: stats.misses(),
            hit_rate_percent: (100.0 * stats.hit_rate_percent()).round() / 100.0,
            total_lookups: stats.lookups(),
            invalidations: stats.invalidations,
        }
    }
}
