//! The tuner with the real memory tier: curves beside the truth, a drifting and a steady load with and without tuning. All
//! counts, no times: each load has a fixed seed, and no time passes.

#![allow(clippy::print_stdout, reason = "docs/tuning.md has what is printed")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::{Clock, Tick};
use crate::engine::registry::{ClassState, Declaration, Registry};
use crate::engine::tuner::Tuner;
use crate::event_sender::EventSender;
use crate::key::Namespace;
use crate::local::LocalTier;
use crate::local::copy::{CopyKey, Footprint, LocalCopy, TagCells};
use crate::local::origin::Origin;
use crate::policy::{Consistency, Policy};
use crate::protocol::flight::JoinDecision;
use crate::protocol::rules::ProtocolRules;
use crate::tuning::Tuning;
use crate::tuning::limits::TuningLimits;

/// larder's default.
const BUDGET: u64 = 64 << 20;

/// One read: the class, by its place, and the key.
type Read = (usize, u64);

/// A sequence without a pattern (SplitMix64).
struct Random(u64);

impl Random {
    /// From 0.0 to 1.0.
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Zipf's law: the rank n, from 0, in proportion to 1 / (n + 1) to the power of the exponent.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(keys: u64, exponent: f64) -> Self {
        let sum = |sum: &mut f64, rank: u64| {
            *sum += (rank as f64).powf(-exponent);
            Some(*sum)
        };
        Zipf((1..=keys).scan(0.0, sum).collect())
    }

    fn rank(&self, random: &mut Random) -> u64 {
        let place = random.share() * self.0.last().unwrap();
        self.0.partition_point(|sum| *sum < place) as u64
    }
}

/// A class of a load: what its values weigh, in bytes, and how many keys there are.
#[derive(Clone, Copy)]
struct Values {
    bytes: u64,
    keys: u64,
}

/// Three classes as a service has them: records, pages of a list, reports.
const THREE: [Values; 3] = [
    Values { bytes: 1 << 10, keys: 40_000 },
    Values { bytes: 8 << 10, keys: 20_000 },
    Values { bytes: 64 << 10, keys: 4_000 },
];
/// Three classes of one size.
const ALIKE: [Values; 3] = [Values { bytes: 8 << 10, keys: 10_000 }; 3];
/// One class, of which the curves are.
const PAGES: Values = Values { bytes: 8 << 10, keys: 120_000 };

/// Reads by Zipf's law, a third of them of each class.
fn steady(classes: [Values; 3], exponent: f64, reads: u64) -> impl Iterator<Item = Read> {
    mixed(classes, exponent, reads, |_| ([1.0 / 3.0; 3], 0.0))
}

/// The same in six parts of equal length. With each part the mix of the classes moves on, and in each class other keys are
/// the most read ones: the ranks are shifted by a fiftieth of the keys.
fn drifting(classes: [Values; 3], exponent: f64, reads: u64) -> impl Iterator<Item = Read> {
    const MIXES: [[f64; 3]; 3] = [[0.6, 0.3, 0.1], [0.3, 0.1, 0.6], [0.1, 0.6, 0.3]];
    mixed(classes, exponent, reads, move |nth| {
        let part = nth * 6 / reads;
        (MIXES[(part % 3) as usize], part as f64 / 50.0)
    })
}

fn mixed(
    classes: [Values; 3],
    exponent: f64,
    reads: u64,
    at: impl Fn(u64) -> ([f64; 3], f64),
) -> impl Iterator<Item = Read> {
    let laws = classes.map(|class| Zipf::new(class.keys, exponent));
    let mut random = Random(11);
    (0..reads).map(move |nth| {
        let (mix, shift) = at(nth);
        let lot = random.share();
        let class = if lot < mix[0] { 0 } else { 1 + usize::from(lot >= mix[0] + mix[1]) };
        let keys = classes[class].keys;
        (class, (laws[class].rank(&mut random) + (shift * keys as f64) as u64) % keys)
    })
}

/// The memory of a process with classes whose values weigh as a load says.
struct Memory {
    local: Arc<LocalTier>,
    clock: Clock,
    classes: Vec<(Arc<ClassState>, Values)>,
    tuner: Option<Tuner>,
    /// A prefix of the keys: which keys are sampled depends on it.
    salt: u8,
    reads: u64,
    loads: u64,
}

impl Memory {
    fn new(budget: u64, tuning: Option<Tuning>, values: &[Values], salt: u8) -> Self {
        let (local, clock) = (Arc::new(LocalTier::new(budget, ProtocolRules::default())), Clock::manual());
        let registry = Arc::<Registry>::default();
        let open = |(nth, values): (usize, &Values)| {
            let declaration = Declaration {
                types: [None; 3],
                parts: Vec::new(),
                key: "u64",
                shown: Default::default(),
                breaker: None,
                abandonment: Default::default(),
                policy: Policy::default(),
                limits: TuningLimits::default(),
            };
            (registry.open(&format!("class_{nth}"), declaration).unwrap(), *values)
        };
        let classes = values.iter().enumerate().map(open).collect();
        let events = Arc::new(EventSender::new(Arc::new(Namespace::parse("ns").unwrap())));
        let tuner = tuning.map(|tuning| {
            Tuner::new(tuning, (local.clone(), budget), (registry.clone(), false), (clock.clone(), events))
        });
        Memory { local, clock, classes, tuner, salt, reads: 0, loads: 0 }
    }

    /// Reads as the engine does without Redis: a miss leads a flight, whose value memory is offered.
    fn read(&mut self, (class, key): Read) {
        let (state, values) = &self.classes[class];
        let now = self.clock.now();
        let key = Bytes::copy_from_slice(&[&[self.salt, class as u8][..], &key.to_le_bytes()].concat());
        if self.local.get(&key, now, false).is_some() {
            state.counters.memory_hits.count();
        } else {
            self.loads += 1;
            let (arrival, bound) = (self.local.next_flight(), Duration::from_secs(2));
            let joined =
                self.local.join_or_lead(&key, &Arc::from([]), Consistency::Bounded, arrival, now, bound);
            let JoinDecision::Lead(flight) = joined else { panic!("no other flight is there") };
            let copy = LocalCopy {
                value: None,
                tags: TagCells::new(),
                deadline: Tick::FAR,
                key: CopyKey::default(),
                origin: Origin::Timed,
                payload_bytes: 0,
                footprint: Footprint::of_value(values.bytes),
                class: state.number,
                loaded_at_millis: 0,
                aging: None,
            };
            // What is not kept is loaded again.
            let _ = self.local.insert_loaded(&key, flight.id, copy);
            self.local.end_flight(&key, flight.id);
        }
        self.reads += 1;
        if self.reads.is_multiple_of(5_000) {
            self.tuner.iter().for_each(Tuner::tick);
        }
    }

    fn run(mut self, reads: impl IntoIterator<Item = Read>) -> Self {
        reads.into_iter().for_each(|read| self.read(read));
        self
    }
}

/// The loads of the classes with tuning, in per cent of those without.
fn percent_of_static<I: Iterator<Item = Read>>(classes: [Values; 3], salt: u8, reads: impl Fn() -> I) -> f64 {
    let fixed = Memory::new(BUDGET, None, &classes, salt).run(reads());
    let tuned = Memory::new(BUDGET, Some(Tuning::apply()), &classes, salt).run(reads());
    let tuner = tuned.tuner.as_ref().unwrap();
    let mut moves = BTreeMap::<_, Vec<_>>::new();
    for change in tuner.changes() {
        moves.entry(change.class).or_default().push(change.tuned.to_string());
    }
    let percent = 100.0 * tuned.loads as f64 / fixed.loads as f64;
    let (loads, without, bytes) = (tuned.loads, fixed.loads, tuner.memory_bytes());
    let one_in = (1_u64 << 32) / u64::from(tuner.threshold());
    println!(
        "{loads} loads, {without} without: {percent:.1} %; 1 in {one_in}; the tuner took {bytes} bytes; {moves:?}"
    );
    assert!(bytes <= BUDGET / 100, "{bytes}");
    percent
}

#[test]
fn a_drifting_load_is_loaded_less() {
    for (salt, exponent) in [(0, 0.9), (1, 1.0), (2, 1.1)] {
        let percent = percent_of_static(THREE, salt, || drifting(THREE, exponent, 1_500_000));
        assert!(percent <= 90.0, "{exponent}: {percent:.1} %");
    }
}

#[test]
fn a_steady_load_is_not_loaded_more() {
    for (salt, exponent) in [(0, 0.9), (1, 1.1)] {
        for classes in [ALIKE, THREE] {
            let percent = percent_of_static(classes, salt, || steady(classes, exponent, 600_000));
            assert!(percent <= 102.0, "{exponent}: {percent:.1} %");
        }
    }
}

#[test]
fn a_drifting_load_of_classes_alike_is_not_loaded_more() {
    let percent = percent_of_static(ALIKE, 0, || drifting(ALIKE, 1.0, 600_000));
    assert!(percent <= 102.0, "{percent:.1} %");
}

/// Compares each size of the curve with a memory of that size, in the second half of the reads.
fn curve_is_true(name: &str, budget: u64, classes: &[Values], reads: &[Read]) {
    let watched = Memory::new(budget, Some(Tuning::advise()), classes, 0).run(reads.iter().copied());
    let tuner = watched.tuner.as_ref().unwrap();
    let curve = tuner.curves().swap_remove(0);
    let (first, second) = reads.split_at(reads.len() / 2);
    let mut worst = 0.0_f64;
    for point in &curve.points {
        let warm = Memory::new(point.memory_bytes, None, classes, 0).run(first.iter().copied());
        let before = warm.loads;
        let truth = (warm.run(second.iter().copied()).loads - before) as f64 / second.len() as f64;
        println!("{name} {:>4} MiB: {:.3}, truth {truth:.3}", point.memory_bytes >> 20, point.miss_ratio);
        worst = worst.max((point.miss_ratio - truth).abs());
    }
    let (points, samples, bytes) = (100.0 * worst, curve.samples, tuner.memory_bytes());
    println!("{name}: {points:.1} points at most, {samples} samples, {bytes} bytes");
    assert!(worst <= 0.03, "{name}: {points:.1} points");
    assert!(bytes <= budget / 100, "{bytes}");
}

#[test]
fn the_curve_of_zipfs_law_is_true() {
    let reads: Vec<Read> = steady([PAGES; 3], 0.9, 800_000).map(|(_, key)| (0, key)).collect();
    curve_is_true("Zipf", 4 * BUDGET, &[PAGES], &reads);
}

#[test]
fn the_curve_of_scans_is_true() {
    let mut next = PAGES.keys;
    let mut reads: Vec<Read> = Vec::new();
    let zipf: Vec<Read> = steady([PAGES; 3], 0.9, 600_000).map(|(_, key)| (0, key)).collect();
    for part in zipf.chunks(6_000) {
        reads.extend(part);
        reads.extend((next..next + 2_000).map(|key| (0, key)));
        next += 2_000;
    }
    curve_is_true("scans", 4 * BUDGET, &[PAGES], &reads);
}

#[test]
fn the_curve_of_a_loop_is_true() {
    let reads: Vec<Read> = (0..600_000).map(|nth| (0, nth % 40_000)).collect();
    curve_is_true("loop", 2 * BUDGET, &[PAGES], &reads);
}
