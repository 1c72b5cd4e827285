//! What an entry takes in memory, and how much of the budget one entry may take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};

use crate::allocation::{arc_bytes, heap_bytes};
use crate::local::LocalTier;
use crate::local::copy::{CopyAging, LocalCopy};
use crate::local::tokens;
use crate::local::tokens::Tokens;

/// The entries: copies by key.
pub(crate) type Entries =
    quick_cache::sync::Cache<Bytes, Arc<LocalCopy>, Weight, DefaultHashBuilder, Evictions>;

/// An entry may take this share of the budget: one thirty-second. A heavier one would evict half of quick_cache's shard.
const ENTRY_SHARE: u64 = 32;
/// The most shards of quick_cache: so few that a shard always has room for an entry of the largest share, and as many
/// as quick_cache takes for 4 cores.
const SHARDS_MAX: usize = 16;
/// The size of an entry from which the expected number of entries is computed. quick_cache remembers the keys of
/// evicted entries, half as many as it expects entries, and each takes [`ROW_BYTES`]. With eight rows an entry, the
/// remembered keys take a sixteenth of the budget.
const ENTRY_BYTES_EXPECTED: u64 = ROW_BYTES * 8;
/// What a row of quick_cache takes: key, pointer, state and links, and its part of the hash table. A test compares it
/// with what quick_cache uses.
const ROW_BYTES: u64 = 72;
/// What a key takes besides its bytes: `Bytes` counts its clones in an allocation of its own, of three words.
const SHARED_KEY_BYTES: u64 = heap_bytes(3 * size_of::<usize>());

impl LocalCopy {
    /// Replaces the names of the copy's tags by those of the tokens' rows, which keeps the tokens in use. Notes what
    /// the copy will take in memory under `key`.
    pub(super) fn settle(&mut self, key: &Bytes, held: &Tokens) {
        for taken in &mut self.tags {
            // If a tag has no token any more, its name stays as it is: the copy is invalid, and is never served.
            if let Some((name, _)) = held.hold(taken.tag.as_bytes()) {
                taken.tag = name;
            }
        }
        let names = self.tags.iter().map(|taken| Tokens::share_bytes(&taken.tag)).sum::<u64>();
        let key_bytes = heap_bytes(key.len()) + SHARED_KEY_BYTES;
        let copy_bytes = arc_bytes(size_of::<LocalCopy>()) + tokens::array_bytes(self.tags.capacity());
        let aging = self.aging.as_ref().map_or(0, |_| arc_bytes(size_of::<CopyAging>()));
        self.footprint.entry_bytes =
            (ROW_BYTES + key_bytes + copy_bytes + names + aging).saturating_add(self.footprint.value_bytes);
    }
}

/// The most that an entry may take of a budget of `capacity_bytes`.
pub(crate) fn entry_bytes_max(capacity_bytes: u64) -> u64 {
    capacity_bytes / ENTRY_SHARE
}

/// An empty tier of entries. All of it takes `capacity_bytes` when it is full, the remembered keys included.
pub(crate) fn entries(capacity_bytes: u64, evictions: Evictions) -> Entries {
    let expected = usize::try_from(capacity_bytes / ENTRY_BYTES_EXPECTED).unwrap_or(usize::MAX).max(64);
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let options = OptionsBuilder::new()
        .shards((4 * cores).min(SHARDS_MAX))
        .estimated_items_capacity(expected)
        .weight_capacity(capacity_bytes - capacity_bytes / 16)
        .build()
        // Both capacities, the only required options, are set.
        .expect("quick_cache accepts its options");
    Entries::with_options(options, Weight, DefaultHashBuilder::default(), evictions)
}

/// The weight of an entry is what it takes in memory.
#[derive(Clone)]
pub(crate) struct Weight;

impl Weighter<Bytes, Arc<LocalCopy>> for Weight {
    fn weight(&self, _: &Bytes, copy: &Arc<LocalCopy>) -> u64 {
        copy.footprint.entry_bytes
    }
}

/// Counts evicted entries. `Relaxed`: it is a statistic, and no other memory depends on it. It uses std's atomic and
/// not `crate::sync`'s: the hook runs under quick_cache's lock, and a scheduler that replaces `crate::sync` must not
/// switch threads there.
#[derive(Clone, Default)]
pub(crate) struct Evictions(Arc<EvictionState>);

#[derive(Default)]
struct EvictionState {
    count: AtomicU64,
    /// Is called with the key of each evicted entry, after quick_cache has released its lock, and under the lock of a
    /// shard of the tier.
    report: OnceLock<ReportEvicted>,
}

type ReportEvicted = Box<dyn Fn(&[u8]) + Send + Sync>;

impl Evictions {
    pub(crate) fn count(&self) -> u64 {
        self.0.count.load(Ordering::Relaxed)
    }
}

impl Lifecycle<Bytes, Arc<LocalCopy>> for Evictions {
    type RequestState = EvictedEntries;

    fn on_evict(&self, state: &mut EvictedEntries, key: Bytes, copy: Arc<LocalCopy>) {
        // quick_cache also passes the copy that the insertion replaces, which is not an eviction.
        if state.inserted.as_ref() == Some(&key) {
            state.replaced = Some(copy);
            return;
        }
        self.0.count.fetch_add(1, Ordering::Relaxed);
        state.entries.push((key, copy));
        state.evictions.get_or_insert_with(|| self.clone());
    }
}

/// The entries that one insertion evicted. They are reported and dropped after quick_cache has released its lock,
/// because to drop a value may take long or run the application's code.
#[derive(Default)]
pub(crate) struct EvictedEntries {
    /// The key that is inserted.
    inserted: Option<Bytes>,
    replaced: Option<Arc<LocalCopy>>,
    entries: Vec<(Bytes, Arc<LocalCopy>)>,
    /// Where the evictions are reported; `None` if nothing was evicted.
    evictions: Option<Evictions>,
}

impl EvictedEntries {
    /// An empty list, for the insertion of `key`.
    pub(super) fn by(key: &Bytes) -> Self {
        let inserted = Some(key.clone());
        EvictedEntries { inserted, replaced: None, entries: Vec::new(), evictions: None }
    }
}

impl Drop for EvictedEntries {
    fn drop(&mut self) {
        if let Some(report) = self.evictions.as_ref().and_then(|evictions| evictions.0.report.get()) {
            self.entries.iter().for_each(|(key, _)| report(key));
        }
    }
}

impl LocalTier {
    /// Reports the keys of evicted entries to `report` from now on. Only the first call has an effect.
    pub(crate) fn report_evictions(&self, report: impl Fn(&[u8]) + Send + Sync + 'static) {
        let _ = self.evictions.0.report.set(Box::new(report));
    }
}
