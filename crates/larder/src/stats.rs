//! What the caches did, counted per class.

use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Counts, and says the how manieth this is: 1 for the first.
pub(crate) fn count_nth(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed) + 1
}

/// Declares each count once, for the counters that run and for the snapshot that is shown.
macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One class's counters. Independent counts; none guards anything, so relaxed order is enough.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Stats {
                Stats { $($name: self.$name.load(Ordering::Relaxed),)* }
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
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Stats {
            /// Every count with its name, in the order of their declaration.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> + use<> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }

            fn zip(&self, other: &Stats, op: fn(u64, u64) -> u64) -> Stats {
                Stats { $($name: op(self.$name, other.$name),)* }
            }
        }
    };
}

counts! {
    /// Answered from this process's memory.
    memory_hits,
    /// Of those in memory: answered while Redis or the journal was out of touch, by a copy younger than the bound.
    outage_hits,
    /// Answered from Redis.
    redis_hits,
    /// Of those in memory and Redis: the answer was that there is none.
    absent_hits,
    /// Of those in Redis: the answer arrived while this read tried for the lease.
    late_hits,
    /// Shared the result of a flight that another read of this process led.
    joins,
    /// Waited for a flight to land that had begun too early to be joined, and then looked again.
    passed_flights,
    /// Looked again because another instance was loading.
    lease_waits,
    /// Loaded beside another instance, whose load outlasted all patience.
    lease_waits_in_vain,
    /// Asked the loader.
    loads,
    /// Of those: while the shared tier could not be used.
    untiered_loads,
    /// Looked without a loader, and found nothing.
    get_misses,
    /// Loads that failed or timed out.
    load_failures,
    /// Loads whose value was not kept because their loader said so: it ran inside an open transaction, or on a standby.
    loads_spoiled,
    /// Fills that an invalidation overtook: the stale sets that did not happen.
    fills_refused,
    /// Copies that were not kept in memory because an invalidation overtook the read that brought them.
    inserts_refused,
    /// Entries in Redis that were passed over: one of their tags had been invalidated, or another version wrote them.
    passed_over,
    /// Of the loads: values that were put, not loaded.
    puts,
    /// Values that were put by a permit. No reads.
    puts_permitted,
    /// Values that were computed under a permit and not put: something was invalidated meanwhile, another value came first,
    /// or the permit's time was over. No reads.
    puts_refused,
    /// Reads that passed the caches by: switched off, or inside a load.
    bypasses,
    /// Invalidations of a key, of the whole class or of everything by this instance, by hand or with a write.
    invalidations,
    /// Entries in Redis that did not prove to be of this class and key: damaged, forged, copied, or written by a type of another
    /// shape. Each is a miss.
    broken_frames,
    /// Loaded values that the class's codec does not bring back as they were: served, and not stored.
    not_carried,
    /// Loaded values that were larger than the class allows: served, and not stored.
    too_large,
}

impl Stats {
    /// Reads that asked the caches.
    pub fn lookups(&self) -> u64 {
        self.hits() + self.misses()
    }

    /// Reads answered by a tier, or by a load that another read of this process led.
    pub fn hits(&self) -> u64 {
        self.memory_hits + self.redis_hits + self.joins
    }

    /// Reads that asked the loader, or had none and found nothing. Those that passed the caches by count too: see
    /// [`Stats::bypasses`].
    pub fn misses(&self) -> u64 {
        self.loads.saturating_sub(self.puts) + self.get_misses
    }

    /// Reads answered without asking the loader for each, in per cent of [`Stats::lookups`]; 0 without any.
    pub fn hit_rate_percent(&self) -> f64 {
        if self.hits() == 0 { 0.0 } else { 100.0 * self.hits() as f64 / self.lookups() as f64 }
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
}
