//! Counts what the caches did, for each class.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

#[inline]
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Increments the counter and returns its new value: 1 for the first.
pub(crate) fn count_nth(counter: &AtomicU64) -> u64 {
    counter.fetch_add(1, Ordering::Relaxed) + 1
}

/// The stripes of a [`StripedCounter`]. More threads than stripes share some of them.
const STRIPES: usize = 8;

/// A counter for what happens on every hit. Each thread counts in a stripe of its own, in a cache line of its own:
/// otherwise the processors would pass one line to and fro, which takes longer than the rest of a hit.
#[derive(Debug, Default)]
pub(crate) struct StripedCounter([Stripe; STRIPES]);

#[derive(Debug, Default)]
#[repr(align(64))]
struct Stripe(AtomicU64);

impl StripedCounter {
    #[inline]
    pub(crate) fn count(&self) {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static STRIPE: usize = THREADS.fetch_add(1, Ordering::Relaxed) % STRIPES;
        }
        // A thread that ends has no thread-local value any more.
        count(&self.0[STRIPE.try_with(|stripe| *stripe).unwrap_or(0)].0);
    }

    /// The sum of all stripes.
    fn load(&self, order: Ordering) -> u64 {
        self.0.iter().map(|stripe| stripe.0.load(order)).sum()
    }
}

/// The type of a counter: as the row of the count says, or an atomic.
macro_rules! counter {
    () => {
        AtomicU64
    };
    ($counter:ident) => {
        $counter
    };
}

/// Declares each count once, for the running counters and for the snapshot.
macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident $(: $counter:ident)?,)*) => {
        /// One class's counters. They guard no other data, so relaxed order is enough.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: counter!($($counter)?),)*
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Stats {
                Stats { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        /// Counts since the class was opened. Each counts reads, unless its description says otherwise.
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

            /// Sets the count of this name, if there is one.
            fn set(&mut self, name: &str, count: u64) {
                match name {
                    $(stringify!($name) => self.$name = count,)*
                    _ => {}
                }
            }

            fn zip(&self, other: &Stats, op: fn(u64, u64) -> u64) -> Stats {
                Stats { $($name: op(self.$name, other.$name),)* }
            }
        }
    };
}

counts! {
    /// Reads that were answered from this process's memory.
    memory_hits: StripedCounter,
    /// Of the memory hits: answered while Redis or the journal was away, by a copy younger than the staleness bound.
    outage_hits,
    /// Reads that were answered from Redis.
    redis_hits,
    /// Of the hits in memory and Redis: the answer was that there is no such value.
    absent_hits,
    /// Reads that looked again, because another read had filled the entry while they tried to get the lease.
    late_hits,
    /// Followers: reads that got the result of another read of this process.
    joins,
    /// Reads that waited for the end of a flight that had begun too early to be joined, and then looked again.
    passed_flights,
    /// Waits for another instance's load, after each of which the read looked again. One read can wait several times.
    lease_waits,
    /// Reads that loaded without the lease, because another instance's load took longer than the load time-out.
    lease_wait_timeouts,
    /// Loads of one key, alone or together with other keys.
    loads,
    /// Calls of a loader for several keys at once. Each of its keys counts in `loads`. Not counted as reads.
    batches,
    /// Of the loads: those while Redis was configured and could not be used.
    untiered_loads,
    /// Calls of [`Class::get`](crate::class::Class::get) that found nothing.
    get_misses,
    /// Loads that failed or timed out.
    load_failures,
    /// Reads that got no answer within their soft time-out. A load that had begun went on, unless its class
    /// [stops](crate::policy::Abandonment::Stop) loads that no read waits for.
    soft_timeouts,
    /// Loads whose value was not stored because the load was spoiled: it ran inside an open transaction, or on a
    /// standby.
    loads_spoiled,
    /// Fills that were refused because an invalidation reached the key after the load began: prevented stale sets.
    fills_refused,
    /// Copies that were not inserted into memory because an invalidation reached the key after their read began.
    inserts_refused,
    /// Entries in Redis that were not used: one of their tags had been invalidated, or an instance with another version
    /// or codec had written them. The frames of permits count too.
    passed_over,
    /// Of the loads: those of a `put`, which only store its value: no loader ran.
    puts,
    /// Values that were put by a permit. Not counted as reads.
    puts_permitted,
    /// Values that were computed under a permit and not put: an invalidation voided the permit, another value came
    /// first, or the permit expired. Not counted as reads.
    puts_refused,
    /// Reads that bypassed the tiers: caching is off, or the read ran inside a load.
    bypasses,
    /// Invalidations of a key, of the class or of everything by this instance, by hand or with a write.
    invalidations,
    /// Entries in Redis that cannot be opened as an entry of this class and key: damaged, forged, copied, or written by
    /// a type of another shape. Each is a miss.
    broken_frames,
    /// Loaded values that survive a round trip through no [codec](crate::codec::Codec): served, and not stored.
    not_carried,
    /// Loaded values that do not survive a round trip through the class's codec, and were therefore encoded by another codec.
    other_codec,
    /// Loaded values that are larger than the class allows: served, and not stored.
    too_large,
    /// Of the hits in memory and Redis: the TTL of the answer had ended; see
    /// [`Policy::stale_while_revalidate`](crate::policy::Policy::stale_while_revalidate).
    stale_hits,
    /// Reads that got an answer whose TTL had ended, because its load failed or took too long; see
    /// [`Policy::stale_if_error`](crate::policy::Policy::stale_if_error).
    stale_on_error,
    /// Of the loads: those that replace an aged entry, in the background.
    refreshes,
    /// Requests (a read, a read of several keys, a put or a permit) that went on without Redis, because it took longer
    /// than their [budget](crate::Builder::redis_budget). Not counted as reads.
    budgets_spent,
    /// Loads that were not begun, because the class's loads had failed; see [`Breaker`](crate::policy::Breaker).
    breaker_refusals,
    /// Answers whose loader asked for a longer TTL than the class's.
    ttls_cut,
    /// Answers whose loader named a version of more than
    /// [`VERSION_BYTES_MAX`](crate::Loaded::VERSION_BYTES_MAX) bytes. Their values were stored without it.
    versions_dropped,
    /// Permits that were drawn for longer than [`LIFE_MAX`](crate::permit::Permit::LIFE_MAX). Not counted as reads.
    permits_cut,
    /// Loads that were stopped because no read waited for them: the class [stops](crate::policy::Abandonment) such loads,
    /// or it had too many of them.
    abandoned_stopped,
    /// Loaded values that were not stored, because they were too old when their load ended.
    expired,
    /// Answers, loaded or from Redis, that memory did not keep, because one entry may take at most 1/32 of the
    /// [memory budget](crate::Builder::memory_bytes).
    no_room,
    /// Answers, loaded or from Redis, that memory did not keep, because [tuning](crate::tuning) admits a share of the
    /// class's values only.
    not_admitted,
}

impl Stats {
    /// Reads: hits and misses.
    pub fn lookups(&self) -> u64 {
        self.hits().saturating_add(self.misses())
    }

    /// Reads that a tier answered, or another read of this process that was already loading the answer.
    pub fn hits(&self) -> u64 {
        self.memory_hits.saturating_add(self.redis_hits).saturating_add(self.joins)
    }

    /// Reads that waited for their loader, and calls of [`Class::get`](crate::class::Class::get) that found nothing. A
    /// bypass calls its loader, so it counts too; see [`Stats::bypasses`].
    pub fn misses(&self) -> u64 {
        self.loads.saturating_sub(self.puts).saturating_sub(self.refreshes).saturating_add(self.get_misses)
    }

    /// [`Stats::hits`] in per cent of [`Stats::lookups`]; 0 without any read.
    pub fn hit_rate_percent(&self) -> f64 {
        if self.hits() == 0 { 0.0 } else { 100.0 * self.hits() as f64 / self.lookups() as f64 }
    }

    /// What was counted since `earlier`, an earlier snapshot of the same class.
    #[must_use]
    pub fn since(&self, earlier: &Stats) -> Stats {
        self.zip(earlier, u64::saturating_sub)
    }

    /// The sum of both snapshots.
    #[must_use]
    pub fn plus(&self, other: &Stats) -> Stats {
        self.zip(other, u64::saturating_add)
    }
}

/// Counts by the names of [`Stats::named`]. A name that is no count is ignored: another release may have written it.
impl<'a> FromIterator<(&'a str, u64)> for Stats {
    fn from_iter<I: IntoIterator<Item = (&'a str, u64)>>(named: I) -> Self {
        let mut stats = Stats::default();
        for (name, count) in named {
            stats.set(name, count);
        }
        stats
    }
}
