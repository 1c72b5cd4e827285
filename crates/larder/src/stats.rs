//! What the caches did, counted per class.

use std::sync::atomic::{AtomicU64, Ordering};

/// One class's counters. Independent counts; none guards anything, so relaxed order is enough.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) memory_hits: AtomicU64,
    pub(crate) redis_hits: AtomicU64,
    pub(crate) joins: AtomicU64,
    pub(crate) loads: AtomicU64,
    pub(crate) load_failures: AtomicU64,
    pub(crate) fills_refused: AtomicU64,
    pub(crate) bypasses: AtomicU64,
    pub(crate) invalidations: AtomicU64,
    pub(crate) broken_frames: AtomicU64,
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    pub(crate) fn snapshot(&self) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            memory_hits: get(&self.memory_hits),
            redis_hits: get(&self.redis_hits),
            joins: get(&self.joins),
            loads: get(&self.loads),
            load_failures: get(&self.load_failures),
            fills_refused: get(&self.fills_refused),
            bypasses: get(&self.bypasses),
            invalidations: get(&self.invalidations),
            broken_frames: get(&self.broken_frames),
        }
    }
}

/// Counts since the class was opened, all of them reads unless said otherwise.
///
/// # Examples
///
/// ```
/// use larder::stats::Stats;
///
/// let stats = Stats { memory_hits: 8, redis_hits: 1, loads: 1, ..Stats::default() };
/// assert_eq!(stats.lookups(), 10);
/// assert_eq!(stats.hit_rate_percent(), 90.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Answered from this process's memory.
    pub memory_hits: u64,
    /// Answered from Redis.
    pub redis_hits: u64,
    /// Shared the result of a flight that another read of this process led.
    pub joins: u64,
    /// Asked the loader.
    pub loads: u64,
    /// Loads that failed or timed out.
    pub load_failures: u64,
    /// Fills that an invalidation overtook: the stale sets that did not happen.
    pub fills_refused: u64,
    /// Reads that passed the caches by: switched off, or inside a load.
    pub bypasses: u64,
    /// Invalidations of a key or of the whole class by this instance.
    pub invalidations: u64,
    /// Values in Redis that were no valid frame of this class.
    pub broken_frames: u64,
}

impl Stats {
    /// Reads that asked the caches.
    pub fn lookups(&self) -> u64 {
        self.memory_hits + self.redis_hits + self.joins + self.loads
    }

    /// Reads answered without asking the loader for each, in per cent of [`Stats::lookups`]; 0 without any.
    pub fn hit_rate_percent(&self) -> f64 {
        let hits = self.memory_hits + self.redis_hits + self.joins;
        if hits == 0 { 0.0 } else { 100.0 * hits as f64 / self.lookups() as f64 }
    }

    /// What was counted since `earlier`, a snapshot of the same class.
    #[must_use]
    pub fn since(&self, earlier: &Stats) -> Stats {
        self.zip(earlier, u64::saturating_sub)
    }

    /// The counts of both.
    #[must_use]
    pub fn plus(&self, other: &Stats) -> Stats {
        self.zip(other, u64::saturating_add)
    }

    fn zip(&self, other: &Stats, op: fn(u64, u64) -> u64) -> Stats {
        Stats {
            memory_hits: op(self.memory_hits, other.memory_hits),
            redis_hits: op(self.redis_hits, other.redis_hits),
            joins: op(self.joins, other.joins),
            loads: op(self.loads, other.loads),
            load_failures: op(self.load_failures, other.load_failures),
            fills_refused: op(self.fills_refused, other.fills_refused),
            bypasses: op(self.bypasses, other.bypasses),
            invalidations: op(self.invalidations, other.invalidations),
            broken_frames: op(self.broken_frames, other.broken_frames),
        }
    }
}
