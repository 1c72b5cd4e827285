//! The entries in memory, and how much of the budget one entry may take.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use quick_cache::{DefaultHashBuilder, Lifecycle, Options, OptionsBuilder, Weighter};

use crate::local::LocalTier;
use crate::local::copy::LocalCopy;

/// An entry may take this share of the budget: one thirty-second. A heavier one would evict half of quick_cache's shard.
const ENTRY_SHARE: u64 = 32;
/// The most shards of quick_cache: so few that a shard always has room for an entry of the largest share, and as many
/// as quick_cache takes for 4 cores.
const QUICK_CACHE_SHARDS_MAX: usize = 16;
/// The size of an entry from which the expected number of entries is computed. quick_cache remembers the hashes of
/// evicted entries, half as many as it expects entries, and each takes [`ROW_BYTES`]. With eight rows an entry, the
/// remembered keys take a sixteenth of the budget.
const ENTRY_BYTES_EXPECTED: u64 = ROW_BYTES * 8;
/// What is charged for a row of quick_cache: hash, pointer, state and links, and its part of the hash table. A row takes
/// about 45 bytes, and twice as much just after its array has grown; a test has the limits.
pub(super) const ROW_BYTES: u64 = 72;

/// The most that an entry may take of a budget of `capacity_bytes`.
pub(crate) fn entry_bytes_max(capacity_bytes: u64) -> u64 {
    capacity_bytes / ENTRY_SHARE
}

/// The options of a cache of quick_cache that takes `capacity_bytes` when it is full, what it remembers of evicted entries
/// included. A simulation of memory has the same.
pub(crate) fn cache_options(capacity_bytes: u64, shards: usize) -> Options {
    let expected = usize::try_from(capacity_bytes / ENTRY_BYTES_EXPECTED).unwrap_or(usize::MAX).max(64);
    OptionsBuilder::new()
        .shards(shards)
        .estimated_items_capacity(expected)
        .weight_capacity(room(capacity_bytes))
        .build()
        // Both capacities, the only required options, are set.
        .expect("quick_cache accepts its options")
}

/// What entries may weigh of a capacity: the rest is for what quick_cache remembers of evicted ones.
pub(crate) fn room(capacity_bytes: u64) -> u64 {
    capacity_bytes - capacity_bytes / 16
}

/// The entries: copies by the hashes of their keys. To compare a key costs nothing beside the copy, which the read needs
/// anyway, and an entry needs no second allocation for its key.
///
/// Invariant: each method finds a copy only by the copy's own key. If two keys have one hash, the later copy takes the
/// place of the earlier one, whose next read is a miss.
pub(crate) struct Entries {
    copies: quick_cache::sync::Cache<u64, Arc<LocalCopy>, Weight, DefaultHashBuilder, Evictions>,
    key_hasher: KeyHasher,
}

#[cfg(not(test))]
type KeyHasher = DefaultHashBuilder;
/// In a unit test, a key has the same hash in each run, so that the same keys are sampled.
#[cfg(test)]
type KeyHasher = std::hash::BuildHasherDefault<std::hash::DefaultHasher>;

impl Entries {
    /// An empty tier of entries. All of it takes `capacity_bytes` when it is full, the remembered hashes included.
    pub(crate) fn new(capacity_bytes: u64, evictions: Evictions) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let options = cache_options(capacity_bytes, (4 * cores).min(QUICK_CACHE_SHARDS_MAX));
        let hash_builder = DefaultHashBuilder::default();
        let copies = quick_cache::sync::Cache::with_options(options, Weight, hash_builder, evictions);
        Entries { copies, key_hasher: KeyHasher::default() }
    }

    #[cfg(test)]
    pub(crate) fn get(&self, key: &[u8]) -> Option<Arc<LocalCopy>> {
        self.get_hashed(self.hash(key), key)
    }

    /// The copy of `key`, whose hash is `hash`.
    #[inline]
    pub(super) fn get_hashed(&self, hash: u64, key: &[u8]) -> Option<Arc<LocalCopy>> {
        self.copies.get(&hash).filter(|copy| copy.key[..] == *key)
    }

    /// As [`Entries::get_hashed`], but does not count as a use for eviction.
    pub(crate) fn peek(&self, key: &[u8]) -> Option<Arc<LocalCopy>> {
        self.copies.peek(&self.hash(key)).filter(|copy| copy.key[..] == *key)
    }

    /// Inserts a copy, which has settled, under its key, whose hash is `hash`. May evict others.
    pub(super) fn insert(&self, hash: u64, copy: Arc<LocalCopy>) {
        let mut evicted = EvictedEntries::by(hash);
        self.copies.insert_with_lifecycle(hash, copy, &mut evicted);
    }

    /// Removes the copy of `key`, whose hash is `hash`. Returns whether there was one.
    pub(super) fn remove(&self, hash: u64, key: &[u8]) -> bool {
        self.copies.remove_if(&hash, |copy| copy.key[..] == *key).is_some()
    }

    pub(super) fn retain(&self, keeps: impl Fn(&LocalCopy) -> bool) {
        self.copies.retain(|_, copy| keeps(copy));
    }

    pub(super) fn clear(&self) {
        self.copies.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.copies.len()
    }

    /// The weight of all entries, in bytes.
    pub(super) fn weight(&self) -> u64 {
        self.copies.weight()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Arc<LocalCopy>> {
        self.copies.iter().map(|(_, copy)| copy)
    }

    #[cfg(test)]
    pub(super) fn memory_used(&self) -> quick_cache::MemoryUsed {
        self.copies.memory_used()
    }

    #[inline]
    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        self.key_hasher.hash_one(key)
    }
}

/// The weight of an entry is what it takes in memory.
#[derive(Clone)]
pub(crate) struct Weight;

impl Weighter<u64, Arc<LocalCopy>> for Weight {
    fn weight(&self, _: &u64, copy: &Arc<LocalCopy>) -> u64 {
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

impl Lifecycle<u64, Arc<LocalCopy>> for Evictions {
    type RequestState = EvictedEntries;

    fn on_evict(&self, state: &mut EvictedEntries, hash: u64, copy: Arc<LocalCopy>) {
        // quick_cache also passes the copy that the insertion replaces, which is not an eviction.
        if state.inserted == Some(hash) {
            state.replaced = Some(copy);
            return;
        }
        self.0.count.fetch_add(1, Ordering::Relaxed);
        state.entries.push(copy);
        state.evictions.get_or_insert_with(|| self.clone());
    }
}

/// The entries that one insertion evicted. They are reported and dropped after quick_cache has released its lock,
/// because to drop a value may take long or run the application's code.
#[derive(Default)]
pub(crate) struct EvictedEntries {
    /// The hash of the key that is inserted.
    inserted: Option<u64>,
    replaced: Option<Arc<LocalCopy>>,
    entries: Vec<Arc<LocalCopy>>,
    /// Where the evictions are reported; `None` if nothing was evicted.
    evictions: Option<Evictions>,
}

impl EvictedEntries {
    /// An empty list, for the insertion of a key with this hash.
    fn by(hash: u64) -> Self {
        EvictedEntries { inserted: Some(hash), replaced: None, entries: Vec::new(), evictions: None }
    }
}

impl Drop for EvictedEntries {
    fn drop(&mut self) {
        if let Some(report) = self.evictions.as_ref().and_then(|evictions| evictions.0.report.get()) {
            self.entries.iter().for_each(|copy| report(&copy.key));
        }
    }
}

impl LocalTier {
    /// Reports the keys of evicted entries to `report` from now on. Only the first call has an effect.
    pub(crate) fn report_evictions(&self, report: impl Fn(&[u8]) + Send + Sync + 'static) {
        let _ = self.evictions.0.report.set(Box::new(report));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Tick;
    use crate::local::copy::{CopyKey, Footprint, TagCells};
    use crate::local::origin::Origin;

    fn copy(key: &[u8]) -> Arc<LocalCopy> {
        let copy = LocalCopy {
            value: None,
            tags: TagCells::new(),
            deadline: Tick::FAR,
            key: CopyKey::default(),
            origin: Origin::Timed,
            payload_bytes: 0,
            footprint: Footprint::default(),
            class: 0,
            loaded_at_millis: 0,
            aging: None,
        };
        copy.settled(key)
    }

    #[test]
    fn of_two_keys_with_one_hash_the_later_one_is_there() {
        let entries = Entries::new(1 << 20, Evictions::default());
        // As if the hash of `one` were that of `two`.
        entries.copies.insert(entries.hash(b"two"), copy(b"one"));
        assert!(entries.get(b"two").is_none() && entries.peek(b"two").is_none());
        let two = entries.hash(b"two");
        assert!(!entries.remove(two, b"two"));
        assert_eq!(entries.len(), 1, "an invalidation of one key leaves the other");
        entries.insert(two, copy(b"two"));
        assert!(entries.get(b"two").is_some_and(|copy| copy.key[..] == *b"two"));
        assert_eq!(entries.len(), 1);
        assert!(entries.remove(two, b"two") && entries.get(b"two").is_none());
    }
}
