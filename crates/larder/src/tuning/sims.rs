//! Miniature simulations of memory (Waldspurger, Saemundsson, Ahmad, Park: "Cache Modeling and Optimization using Miniature
//! Simulations", 2017): small caches of quick_cache that see only the sampled keys. If one key in a hundred is sampled, a
//! cache of a hundredth of the size misses about as large a share of its reads as the real one. A stack of LRU distances
//! would need one structure for all sizes, but quick_cache is no LRU; see `docs/tuning.md`.

use std::collections::HashMap;

use quick_cache::unsync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, Weighter};

use crate::clock::Tick;
use crate::local::admissions::{Admission, Lots};
use crate::local::entries::{cache_options, room};
use crate::local::samples::{CLASSES_MAX, Sample, SampleKind};
use crate::tuning::window::{ClassWindow, End, KNOWN_BYTES, Known, PRESENT, SIZES};

/// A weight is kept in units of so many bytes, so that a row is small.
const UNIT_BYTES: u32 = 16;
/// After so many real misses in the sample, they say how large the sample is.
const SAMPLED_MIN: f64 = 2_000.0;
/// So many keys are known at least before any is forgotten.
const ROWS_MIN: usize = 256;

/// The admission of each class, by its number.
pub(crate) type Shares = [Admission; CLASSES_MAX];

/// What a simulation has in place of a copy: its weight, in units.
#[derive(Clone)]
struct Units;

impl Weighter<u32, u32> for Units {
    fn weight(&self, _: &u32, units: &u32) -> u64 {
        u64::from(*units) * u64::from(UNIT_BYTES)
    }
}

type MiniCache = Cache<u32, u32, Units, DefaultHashBuilder, DefaultLifecycle<u32, u32>>;

/// One simulated memory.
struct Sim {
    cache: MiniCache,
    shares: Shares,
    lots: Lots,
    /// Its misses since the beginning of the round.
    misses: u64,
}

impl Sim {
    fn new(capacity_bytes: u64, shares: Shares) -> Self {
        let cache = Cache::with_options(
            cache_options(capacity_bytes, 1),
            Units,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        );
        Sim { cache, shares, lots: Lots::default(), misses: 0 }
    }

    /// Uses the key as a read does. Returns whether it was a hit.
    fn access(&mut self, key: u32, class: usize, bytes: u32) -> bool {
        if self.cache.get(&key).is_some() {
            return true;
        }
        self.misses += 1;
        if self.lots.draw(self.shares[class]) {
            self.cache.insert(key, bytes.div_ceil(UNIT_BYTES));
        }
        false
    }

    fn bytes(&self) -> usize {
        self.cache.memory_used().total() + size_of::<Sim>()
    }
}

/// Another setting of one class's admission, and what it would have saved in the last round.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Alternative {
    pub(crate) class: u16,
    pub(crate) admission: Admission,
    pub(crate) misses: u64,
}

/// The simulations of one cache.
pub(crate) struct Sims {
    budget: u64,
    /// A key is sampled if its half of the hash is below this.
    threshold: u32,
    curve: Vec<Sim>,
    alternatives: Vec<(u16, Sim)>,
    known: HashMap<u32, Known>,
    /// The ends of copies that no read has met yet: each makes the next read of its key a miss that memory cannot avoid.
    ended: HashMap<u32, End>,
    windows: Vec<ClassWindow>,
    /// Sampled reads of this round.
    round_reads: u64,
    /// Misses of the real memory: all, and those in the sample. They fade slowly.
    real: [f64; 2],
    /// Which share of the misses is in the sample, by the real ones: of ten thousand keys, one in 16 are not exactly 625.
    /// The simulations are of this share of the memory.
    share: f64,
}

impl Sims {
    /// Simulations of a memory of `budget` bytes, with the present admissions.
    pub(crate) fn new(budget: u64, threshold: u32, shares: Shares) -> Self {
        let mut sims = Sims {
            budget,
            threshold,
            curve: Vec::new(),
            alternatives: Vec::new(),
            known: HashMap::new(),
            ended: HashMap::new(),
            windows: vec![ClassWindow::default(); CLASSES_MAX],
            round_reads: 0,
            real: [0.0; 2],
            share: share_of(threshold),
        };
        sims.curve = SIZES.map(|size| Sim::new(sims.scaled(size), shares)).into();
        sims
    }

    /// The capacity of a simulation of `size` eighths of the budget.
    fn scaled(&self, size: u64) -> u64 {
        ((self.budget as f64 * size as f64 / 8.0 * self.share) as u64).max(1)
    }

    /// Compares the misses of the real memory with those in the sample. `kept` is the share of the samples that were not
    /// dropped.
    pub(crate) fn note_real(&mut self, misses: u64, sampled: usize, kept: f64) {
        self.real[0] += misses as f64 * kept;
        self.real[1] += sampled as f64;
    }

    /// Gives the simulations the share of the memory that the sample is of.
    fn rescale(&mut self) {
        const CHANGE_MIN: f64 = 0.005;
        let ([misses, sampled], nominal) = (self.real, share_of(self.threshold));
        self.real = self.real.map(|count| count * 0.99);
        if sampled < SAMPLED_MIN {
            return;
        }
        let share = (sampled / misses).clamp(nominal / 2.0, nominal * 2.0);
        if (share / self.share - 1.0).abs() > CHANGE_MIN {
            self.share = share;
            let sizes = SIZES.map(|size| self.scaled(size));
            for (sim, capacity) in self.curve.iter_mut().zip(sizes) {
                sim.cache.set_capacity(room(capacity));
            }
            self.alternatives.iter_mut().for_each(|(_, sim)| sim.cache.set_capacity(room(sizes[PRESENT])));
        }
    }

    pub(crate) fn threshold(&self) -> u32 {
        self.threshold
    }

    pub(crate) fn windows(&self) -> &[ClassWindow] {
        &self.windows
    }

    pub(crate) fn round_reads(&self) -> u64 {
        self.round_reads
    }

    /// How many sampled keys are known.
    pub(crate) fn keys(&self) -> u64 {
        self.known.len() as u64
    }

    /// Counts from now on how many entries of a class its TTL ends.
    pub(crate) fn forget_expired(&mut self, class: u16) {
        self.windows[usize::from(class)].expired = 0.0;
    }

    /// Applies a sample that was taken at about `now`.
    pub(crate) fn apply(&mut self, sample: &Sample, now: Tick) {
        // A sample that was drawn at a higher rate.
        if sample.key >= self.threshold {
            return;
        }
        match sample.kind {
            SampleKind::Hit => self.read(sample, now, None),
            SampleKind::Filled(until) => self.read(sample, now, Some(until)),
            SampleKind::Expired => self.end(sample.key, |_, _| End::Expired),
            SampleKind::Invalidated => {
                self.end(sample.key, |known, is_held| known.removed_at(now).if_held(is_held))
            }
        }
    }

    /// The copy of a key has ended in every memory. `why` says by what, given what is known of the key, and whether a memory of
    /// the present size would have held it.
    fn end(&mut self, key: u32, why: impl Fn(&Known, bool) -> End) {
        if let Some(known) = self.known.remove(&key) {
            let is_held = self.curve[PRESENT].cache.contains_key(&key);
            self.ended.insert(key, why(&known, is_held));
            for sim in self.sims() {
                sim.cache.remove(&key);
            }
        }
    }

    fn sims(&mut self) -> impl Iterator<Item = &mut Sim> {
        self.curve.iter_mut().chain(self.alternatives.iter_mut().map(|(_, sim)| sim))
    }

    fn read(&mut self, sample: &Sample, now: Tick, filled: Option<Tick>) {
        let (key, class) = (sample.key, usize::from(sample.class).min(CLASSES_MAX - 1));
        // A memory of another size may hold a copy that this one evicted long ago. It has ended there too.
        if self.known.get(&key).and_then(|known| known.until).is_some_and(|until| until <= now) {
            self.end(key, |_, is_held| End::Expired.if_held(is_held));
        }
        self.round_reads += 1;
        let window = &mut self.windows[class];
        window.reads += 1.0;
        window.fills += f64::from(u8::from(filled.is_some()));
        match self.known.get_mut(&key) {
            Some(known) => known.until = filled.or(known.until),
            None => {
                window.unavoidable += 1.0;
                match self.ended.remove(&key) {
                    Some(End::Expired) => window.expired += 1.0,
                    Some(End::Invalidated) => window.invalidated += 1.0,
                    Some(End::Unknown) | None => {}
                }
                self.known.insert(key, Known { class: sample.class, until: filled });
            }
        }
        for (nth, sim) in self.curve.iter_mut().enumerate() {
            if !sim.access(key, class, sample.bytes) {
                self.windows[class].misses[nth] += 1.0;
            }
        }
        for (_, sim) in &mut self.alternatives {
            sim.access(key, class, sample.bytes);
        }
    }

    /// Memory dropped everything.
    pub(crate) fn clear(&mut self) {
        let known = std::mem::take(&mut self.known);
        self.ended.extend(known.into_keys().map(|key| (key, End::Unknown)));
        self.sims().for_each(|sim| sim.cache.clear());
    }

    /// Ends a round: compares the sample with the reality, forgets what the largest memory has forgotten, and lets the counts fade.
    pub(crate) fn end_round(&mut self) {
        self.rescale();
        self.round_reads = 0;
        self.windows.iter_mut().for_each(ClassWindow::fade);
        self.sims().for_each(|sim| sim.misses = 0);
        // What the largest memory has forgotten would be known for ever. It is known for a while longer, because of a class
        // of which memory admits a share only, the simulations hold few keys.
        let largest = &self.curve[SIZES.len() - 1].cache;
        if self.known.len() > 2 * largest.len().max(ROWS_MIN) {
            self.known.retain(|key, _| largest.contains_key(key));
            self.known.shrink_to(2 * largest.len());
        }
        if self.ended.len() > self.known.len() {
            self.ended = HashMap::new();
        }
    }

    /// The misses of the present settings in this round.
    pub(crate) fn round_misses(&self) -> u64 {
        self.curve[PRESENT].misses
    }

    /// The alternatives and their misses in this round.
    pub(crate) fn alternatives(&self) -> impl Iterator<Item = Alternative> {
        self.alternatives.iter().map(|(class, sim)| Alternative {
            class: *class,
            admission: sim.shares[usize::from(*class)],
            misses: sim.misses,
        })
    }

    /// The weight of a class in the simulation of the present settings, in bytes.
    pub(crate) fn class_bytes(&self) -> [u64; CLASSES_MAX] {
        let mut bytes = [0; CLASSES_MAX];
        for (key, units) in self.curve[PRESENT].cache.iter() {
            let class = self.known.get(key).map_or(CLASSES_MAX - 1, |known| usize::from(known.class));
            bytes[class] += u64::from(*units) * u64::from(UNIT_BYTES);
        }
        bytes
    }

    /// Sets the present admissions, and which others are simulated beside them. Each begins with the contents of the
    /// present one.
    pub(crate) fn set_shares(&mut self, shares: Shares, alternatives: &[(u16, Admission)]) {
        self.curve.iter_mut().for_each(|sim| sim.shares = shares);
        let kept: Vec<(u16, Admission)> =
            self.alternatives().map(|other| (other.class, other.admission)).collect();
        if kept == alternatives
            && self.alternatives.iter().all(|(class, sim)| differs_by(&shares, sim, *class))
        {
            return;
        }
        let capacity = self.scaled(SIZES[PRESENT]);
        let present = &self.curve[PRESENT].cache;
        let fresh = |&(class, admission): &(u16, Admission)| {
            let mut other = shares;
            other[usize::from(class)] = admission;
            let mut sim = Sim::new(capacity, other);
            present.iter().for_each(|(key, units)| sim.cache.insert(*key, *units));
            (class, sim)
        };
        self.alternatives = alternatives.iter().map(fresh).collect();
    }

    /// What the simulations take in memory, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        let sims = self.curve.iter().chain(self.alternatives.iter().map(|(_, sim)| sim));
        let rows = (self.known.capacity() + self.ended.capacity()) * KNOWN_BYTES;
        (sims.map(Sim::bytes).sum::<usize>() + rows + CLASSES_MAX * size_of::<ClassWindow>()) as u64
    }

    /// Halves the sample, because it takes too much memory (SHARDS-max).
    pub(crate) fn halve(&mut self) {
        self.threshold /= 2;
        (self.share, self.real) = (self.share / 2.0, [0.0; 2]);
        let threshold = self.threshold;
        self.known.retain(|key, _| *key < threshold);
        self.known.shrink_to_fit();
        self.ended = HashMap::new();
        let sizes = SIZES.map(|size| self.scaled(size));
        // Built again, because a cache of quick_cache keeps the memory that it has had.
        let rebuilt = |old: &Sim, capacity| {
            let mut sim = Sim::new(capacity, old.shares);
            let kept = old.cache.iter().filter(|(key, _)| **key < threshold);
            kept.for_each(|(key, units)| sim.cache.insert(*key, *units));
            sim
        };
        self.curve = self.curve.iter().zip(sizes).map(|(sim, capacity)| rebuilt(sim, capacity)).collect();
        let alternatives = self.alternatives.iter();
        self.alternatives = alternatives.map(|(class, sim)| (*class, rebuilt(sim, sizes[PRESENT]))).collect();
    }
}

/// The share of the keys below a threshold.
fn share_of(threshold: u32) -> f64 {
    f64::from(threshold) / (u64::from(u32::MAX) + 1) as f64
}

/// Whether a simulation differs from `shares` in the admission of `class` alone.
fn differs_by(shares: &Shares, sim: &Sim, class: u16) -> bool {
    let mut other = *shares;
    other[usize::from(class)] = sim.shares[usize::from(class)];
    other == sim.shares
}
