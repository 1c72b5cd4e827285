//! The entries of which the database had another value than the one that was served.
//!
//! An entry is known by its key and the start of its load, which a copy in memory and the entry in Redis have in common.
//! So a copy that a read takes from Redis again is the same entry, and an entry that was loaded again is another one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Tick;
use crate::times::Histogram;

/// The most entries that are watched.
const WATCHED_MAX: usize = 1_024;
/// The bits of the filter are 64 of these words.
const WORDS: usize = 64;

/// The watched entries.
pub(super) struct Watches {
    /// A bit for each start of a load that a watched entry has. A hit looks here first, without a lock. Relaxed: a bit that
    /// is seen late only delays a check, and the lock orders the rest.
    filter: [AtomicU64; WORDS],
    /// Held for a look-up or an insertion. A hit that finds it locked goes on; only one whose check could not begin waits for
    /// it, to say so.
    by_key: Mutex<HashMap<Bytes, Watch>>,
}

/// An entry of which the database had another value.
struct Watch {
    loaded_at_millis: u64,
    /// The instant at which the auditor had seen the other value.
    seen_at: Tick,
    /// A hit that begins at this instant or later is stale beyond the bound, if the database still has another value.
    due: Tick,
    /// Whether such a hit is being checked.
    is_pending: bool,
    /// Whether such a hit has proved to be stale.
    is_stale: bool,
    /// When the last hit began.
    last_hit: Tick,
}

impl Watches {
    pub(super) fn new() -> Self {
        Watches { filter: [const { AtomicU64::new(0) }; WORDS], by_key: Mutex::default() }
    }

    /// Whether an entry may be watched whose load began then.
    #[inline]
    pub(super) fn may_have(&self, loaded_at_millis: u64) -> bool {
        let (word, bit) = place(loaded_at_millis);
        self.filter[word].load(Ordering::Relaxed) & bit != 0
    }

    /// Notes a hit on the entry that began at `at`. If it is due, returns when the other value was seen; no other hit is
    /// due until [`Watches::settle`].
    pub(super) fn note_hit(&self, key: &[u8], loaded_at_millis: u64, at: Tick) -> Option<Tick> {
        let mut by_key = match self.by_key.try_lock() {
            Ok(by_key) => by_key,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let watch = by_key.get_mut(key).filter(|watch| watch.loaded_at_millis == loaded_at_millis)?;
        watch.last_hit = watch.last_hit.max(at);
        let is_due = at >= watch.due && !watch.is_pending;
        watch.is_pending |= is_due;
        is_due.then_some(watch.seen_at)
    }

    /// When another value was seen of the entry, if it is watched.
    pub(super) fn seen_at(&self, key: &[u8], loaded_at_millis: u64) -> Option<Tick> {
        let by_key = self.lock();
        by_key.get(key).filter(|watch| watch.loaded_at_millis == loaded_at_millis).map(|watch| watch.seen_at)
    }

    /// Watches the entry, of which another value was seen at `seen_at`. `false` if too many entries are watched.
    pub(super) fn watch(
        &self,
        (key, loaded_at_millis): (Bytes, u64),
        (seen_at, due): (Tick, Tick),
        lag: &Histogram,
    ) -> bool {
        let mut by_key = self.lock();
        match by_key.get(&key) {
            // The first sight of another value counts.
            Some(watch) if watch.loaded_at_millis == loaded_at_millis => return true,
            Some(watch) => watch.record(lag),
            None if by_key.len() >= WATCHED_MAX => return false,
            None => {}
        }
        let (is_pending, is_stale, last_hit) = (false, false, Tick::PAST);
        by_key.insert(key, Watch { loaded_at_millis, seen_at, due, is_pending, is_stale, last_hit });
        let (word, bit) = place(loaded_at_millis);
        self.filter[word].fetch_or(bit, Ordering::Relaxed);
        true
    }

    /// Ends the check of a due hit. `due`: when the next one is; `None` if the entry is no longer watched.
    pub(super) fn settle(&self, key: &[u8], loaded_at_millis: u64, is_stale: bool, due: Option<Tick>) {
        let mut by_key = self.lock();
        let Some(watch) = by_key.get_mut(key).filter(|watch| watch.loaded_at_millis == loaded_at_millis)
        else {
            return;
        };
        watch.is_pending = false;
        watch.is_stale |= is_stale;
        match due {
            Some(due) => watch.due = due,
            None => drop(by_key.remove(key)),
        }
    }

    /// Removes the entries that no hit has named since `before`, and records how long they were served.
    pub(super) fn sweep(&self, before: Tick, lag: &Histogram) {
        let mut by_key = self.lock();
        by_key.retain(|_, watch| {
            let is_kept = watch.is_pending || watch.last_hit.max(watch.seen_at) >= before;
            if !is_kept {
                watch.record(lag);
            }
            is_kept
        });
        let mut filter = [0; WORDS];
        for watch in by_key.values() {
            let (word, bit) = place(watch.loaded_at_millis);
            filter[word] |= bit;
        }
        for (word, bits) in self.filter.iter().zip(filter) {
            word.store(bits, Ordering::Relaxed);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Bytes, Watch>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// Records how long the entry was served after another value was seen, if it was.
    fn record(&self, lag: &Histogram) {
        let served = self.last_hit.since(self.seen_at);
        // An entry that was found stale counts as such, and not as a lag.
        if served > Duration::ZERO && !self.is_stale {
            lag.record(served);
        }
    }
}

/// The bit of the filter for this start of a load.
fn place(loaded_at_millis: u64) -> (usize, u64) {
    // Fibonacci hashing: the upper bits of the product depend on all bits of the factor.
    let hash = loaded_at_millis.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 52;
    ((hash >> 6) as usize, 1 << (hash & 63))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"rooms:7";

    fn tick(millis: u64) -> Tick {
        Tick::from_nanos(millis * 1_000_000)
    }

    fn watching(lag: &Histogram) -> Watches {
        let watches = Watches::new();
        assert!(watches.watch((Bytes::from_static(KEY), 40), (tick(100), tick(2_100)), lag));
        watches
    }

    #[test]
    fn one_hit_is_due_after_the_bound_and_the_next_one_when_it_is_settled() {
        let watches = watching(&Histogram::new());
        assert!(watches.may_have(40));
        assert_eq!(watches.note_hit(KEY, 40, tick(2_099)), None, "within the bound");
        assert_eq!(watches.note_hit(KEY, 40, tick(2_100)), Some(tick(100)));
        assert_eq!(watches.note_hit(KEY, 40, tick(2_101)), None, "the other one is being checked");
        watches.settle(KEY, 40, true, Some(tick(4_100)));
        assert_eq!(watches.note_hit(KEY, 40, tick(4_099)), None);
        assert_eq!(watches.note_hit(KEY, 40, tick(4_100)), Some(tick(100)), "the first sight counts");
        watches.settle(KEY, 40, false, None);
        assert_eq!((watches.note_hit(KEY, 40, tick(9_000)), watches.len()), (None, 0));
    }

    #[test]
    fn an_entry_that_was_loaded_again_is_another_one() {
        let watches = watching(&Histogram::new());
        assert_eq!(watches.note_hit(KEY, 41, tick(5_000)), None);
        assert_eq!(watches.note_hit(b"rooms:8", 40, tick(5_000)), None);
    }

    #[test]
    fn a_sweep_records_how_long_an_entry_was_served() {
        let lag = Histogram::new();
        let watches = watching(&lag);
        watches.note_hit(KEY, 40, tick(90));
        watches.sweep(tick(100), &lag);
        assert_eq!((watches.len(), lag.snapshot().count), (1, 0), "it is young");
        watches.note_hit(KEY, 40, tick(130));
        watches.sweep(tick(131), &lag);
        assert_eq!((watches.len(), watches.may_have(40)), (0, false));
        assert_eq!((lag.snapshot().count, lag.snapshot().max), (1, Duration::from_millis(30)));
    }

    #[test]
    fn a_full_table_watches_no_more() {
        let (watches, lag) = (Watches::new(), Histogram::new());
        let mut watch =
            |nth: usize| watches.watch((Bytes::from(nth.to_string()), 40), (tick(100), tick(2_100)), &lag);
        assert!((0..WATCHED_MAX).all(&mut watch));
        assert!(!watch(WATCHED_MAX), "there is no room");
        assert!(watch(0), "it is watched already");
    }
}
