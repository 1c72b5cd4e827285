//! Samples of what happens to entries, from which `tuning` computes what other settings would have done.
//!
//! The sample is spatial (SHARDS: Waldspurger, Park, Garthwaite, Ahmad: "Efficient MRC Construction with SHARDS", 2015): a
//! key is in it if the hash of the key is below a threshold, so of a sampled key every use is noted, and of the others
//! none. A use of an unsampled key costs one compare.
//!
//! The atomics and the lock are std's and not `crate::sync`'s: they guard no entry, so a scheduler that replaces
//! `crate::sync` has nothing to find here.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, TryLockError};

use crate::clock::Tick;
use crate::local::LocalTier;
use crate::local::copy::LocalCopy;

/// How many samples wait at most. More are dropped, so that a burst takes neither memory nor time.
pub(crate) const SAMPLES_MAX: usize = 1_024;
/// How many numbers of classes there are. The last one, [`CLASS_OTHER`], is that of all later classes.
pub(crate) const CLASSES_MAX: usize = 64;
/// The number of the later classes. Nothing is tuned for them.
pub(crate) const CLASS_OTHER: u16 = 63;

/// What happened to the entry of a sampled key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SampleKind {
    /// A read was answered from memory.
    Hit,
    /// Memory had no answer, and was offered one that ends at this instant.
    Filled(Tick),
    /// A read found a copy whose deadline had passed.
    Expired,
    /// The copy was invalidated.
    Invalidated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// The half of the hash by which the key was drawn.
    pub(crate) key: u32,
    /// The number of the class; [`CLASS_OTHER`] if it is not known.
    pub(crate) class: u16,
    /// What the entry takes in memory; 0 if it is not known.
    pub(crate) bytes: u32,
    pub(crate) kind: SampleKind,
}

/// The samples that were taken since the last call of [`Samples::take`].
pub(crate) struct TakenSamples {
    pub(crate) samples: Vec<Sample>,
    /// How many more there were, which are lost.
    pub(crate) dropped: u64,
    /// Whether memory dropped all or most of its entries at once.
    pub(crate) was_cleared: bool,
}

/// Relaxed everywhere: the samples are statistics, and no entry depends on them.
#[derive(Default)]
pub(crate) struct Samples {
    /// A key is sampled if the upper half of its hash is below this; 0: none is.
    threshold: AtomicU32,
    buffer: Mutex<Vec<Sample>>,
    /// Whether the buffer is full, so that a burst of hits does not ask for its lock. A thread that sees a former state drops
    /// a sample, or asks for the lock, once more.
    is_full: AtomicBool,
    dropped: AtomicU64,
    clears: AtomicU64,
}

impl Samples {
    /// Samples the keys whose hash has an upper half below `threshold`, from now on. 0 ends the sampling.
    pub(crate) fn set_threshold(&self, threshold: u32) {
        self.threshold.store(threshold, Ordering::Relaxed);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.threshold.load(Ordering::Relaxed) > 0
    }

    /// The key of the sample, if the key with this hash is sampled.
    #[inline]
    pub(super) fn sampled(&self, hash: u64) -> Option<u32> {
        let key = (hash >> 32) as u32;
        (key < self.threshold.load(Ordering::Relaxed)).then_some(key)
    }

    /// Adds a sample. If another thread holds the buffer, or it is full, the sample is dropped and counted: a read never
    /// waits for statistics.
    #[cold]
    pub(super) fn push(&self, sample: Sample) {
        if self.is_full.load(Ordering::Relaxed) {
            return self.drop_one();
        }
        // A poisoned buffer is a list of complete samples.
        let mut buffer = match self.buffer.try_lock() {
            Ok(buffer) => buffer,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return self.drop_one(),
        };
        if buffer.len() == SAMPLES_MAX {
            return self.drop_one();
        }
        if buffer.capacity() < SAMPLES_MAX {
            buffer.reserve_exact(SAMPLES_MAX);
        }
        buffer.push(sample);
        self.is_full.store(buffer.len() == SAMPLES_MAX, Ordering::Relaxed);
    }

    fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that memory dropped all or most of its entries.
    pub(super) fn note_clear(&self) {
        if self.is_on() {
            self.clears.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes what has been sampled. `spare`, an empty list, takes the next samples.
    pub(crate) fn take(&self, spare: Vec<Sample>) -> TakenSamples {
        let mut buffer = self.buffer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let samples = std::mem::replace(&mut *buffer, spare);
        self.is_full.store(false, Ordering::Relaxed);
        drop(buffer);
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        TakenSamples { samples, dropped, was_cleared: self.clears.swap(0, Ordering::Relaxed) > 0 }
    }
}

impl LocalTier {
    /// Samples a read that found a copy at `now`, and returns whether the copy may be served.
    #[inline]
    pub(super) fn note_read(&self, hash: u64, copy: &LocalCopy, (now, may_serve): (Tick, bool)) -> bool {
        if let Some(key) = self.samples.sampled(hash) {
            let kind = match may_serve {
                true => SampleKind::Hit,
                false if now >= copy.deadline => SampleKind::Expired,
                false => SampleKind::Invalidated,
            };
            self.samples.push(copy.sample(key, kind));
        }
        may_serve
    }

    /// Counts and samples a copy that is offered to memory.
    pub(super) fn note_offer(&self, hash: u64, copy: &LocalCopy) {
        if !self.samples.is_on() {
            return;
        }
        self.admissions.note_offer(copy.class);
        if let Some(key) = self.samples.sampled(hash) {
            self.samples.push(copy.sample(key, SampleKind::Filled(copy.deadline)));
        }
    }

    /// Samples the removal of a key, whether memory has it or not: a memory of another size may.
    pub(super) fn note_removal(&self, hash: u64) {
        if let Some(key) = self.samples.sampled(hash) {
            let kind = SampleKind::Invalidated;
            self.samples.push(Sample { key, class: CLASS_OTHER, bytes: 0, kind });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const SAMPLE: Sample = Sample { key: 7, class: 1, bytes: 100, kind: SampleKind::Hit };

    #[test]
    fn a_key_is_sampled_by_its_hash_alone() {
        let samples = Samples::default();
        assert_eq!(samples.sampled(0), None, "sampling is off");
        samples.set_threshold(1 << 28);
        assert_eq!(samples.sampled(u64::from((1_u32 << 28) - 1) << 32 | 9), Some((1 << 28) - 1));
        assert_eq!(samples.sampled(1 << 60), None);
        samples.set_threshold(0);
        assert_eq!(samples.sampled(0), None);
    }

    #[test]
    fn a_full_buffer_drops_and_counts() {
        let samples = Samples::default();
        (0..SAMPLES_MAX + 5).for_each(|_| samples.push(SAMPLE));
        let taken = samples.take(Vec::new());
        assert_eq!((taken.samples.len(), taken.dropped), (SAMPLES_MAX, 5));
        assert!(taken.samples.capacity() < 2 * SAMPLES_MAX, "the buffer does not grow further");
        assert_eq!(samples.take(Vec::new()).dropped, 0);
    }

    /// Four threads push while a fifth takes: each sample is taken once or counted as dropped.
    #[test]
    fn no_sample_is_lost_uncounted_or_taken_twice() {
        const PUSHES: u64 = 50_000;
        let (samples, ended) = (Samples::default(), AtomicBool::new(false));
        let total = thread::scope(|scope| {
            let taking = scope.spawn(|| {
                let mut total = 0;
                loop {
                    let is_last = ended.load(Ordering::SeqCst);
                    let taken = samples.take(Vec::with_capacity(SAMPLES_MAX));
                    assert!(taken.samples.iter().all(|sample| *sample == SAMPLE));
                    total += taken.samples.len() as u64 + taken.dropped;
                    if is_last {
                        return total;
                    }
                }
            });
            let pushing: Vec<_> =
                (0..4).map(|_| scope.spawn(|| (0..PUSHES).for_each(|_| samples.push(SAMPLE)))).collect();
            pushing.into_iter().for_each(|pushing| pushing.join().unwrap());
            ended.store(true, Ordering::SeqCst);
            taking.join().unwrap()
        });
        assert_eq!(total, 4 * PUSHES);
    }
}
