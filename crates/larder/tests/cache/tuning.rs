//! Advice, each kind followed once and its effect measured, and changes within their limits, which are undone. All counts:
//! the tests move the clock, and the loads have no pattern and no chance.

#![cfg(feature = "testing")]
#![allow(clippy::print_stdout, reason = "docs/tuning.md has what is printed")]

use std::convert::Infallible;
use std::time::Duration;

use larder::error::ErrorKind;
use larder::testing::ManualClock;
use larder::tuning::{Advice, Tuned, Tuning, TuningMode};
use larder::{Cache, Class, Event, Policy};

use crate::support::{builder, within};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MIB: u64 = 1 << 20;
/// The reads of one run. A sixteenth of the keys is sampled, with few of the reads or many: which, is chance.
pub(crate) const READS: u64 = 110_000;
/// So many runs at most, until there is advice.
pub(crate) const RUNS: usize = 8;

/// A cache with two classes, whose values weigh 4 KiB and 64 KiB.
pub(crate) struct Load {
    pub(crate) cache: Cache,
    clock: ManualClock,
    pub(crate) small: Class<u64, u64>,
    pub(crate) large: Class<u64, u64>,
    reads: u64,
}

impl Load {
    async fn open(memory_bytes: u64, tuning: Tuning) -> Self {
        Load::with(memory_bytes, tuning, |class, _| class).await
    }

    pub(crate) async fn with(
        memory_bytes: u64,
        tuning: Tuning,
        declare: impl for<'a> Fn(Declared<'a>, &str) -> Declared<'a>,
    ) -> Self {
        let clock = ManualClock::new();
        let cache = builder().memory_bytes(memory_bytes).tuning(tuning).manual_clock(&clock).build().await;
        Load::of(cache.unwrap(), clock, declare)
    }

    /// Reads of this cache, whose classes `declare` declares by their names. `clock` is not its clock if it has Redis.
    pub(crate) fn of(
        cache: Cache,
        clock: ManualClock,
        declare: impl for<'a> Fn(Declared<'a>, &str) -> Declared<'a>,
    ) -> Self {
        let policy = Policy::ttl(60 * SECOND).jitter(0.0);
        let small = cache.class("small").policy(policy).memory_of(|_| 4 << 10);
        let large = cache.class("large").policy(policy).memory_of(|_| 64 << 10);
        let (small, large) =
            (declare(small, "small").open().unwrap(), declare(large, "large").open().unwrap());
        Load { cache, clock, small, large, reads: 0 }
    }

    async fn read(&mut self, class: &Class<u64, u64>, key: u64) {
        class.get_or_load(&key, || async move { Ok::<_, Infallible>(key) }).await.unwrap();
        self.reads += 1;
        if self.reads.is_multiple_of(5_000) {
            self.cache.tune_now();
        }
    }

    /// Reads of both classes: low keys far more often than high ones. Returns the loads of the second half.
    pub(crate) async fn run(&mut self, keys: u64, large_keys: u64) -> u64 {
        let mut loads = 0;
        for nth in 0..READS {
            if nth == READS / 2 {
                loads = self.cache.stats().loads;
            }
            let place = spread(nth);
            let class = if nth % 2 == 0 || large_keys == 0 { self.small.clone() } else { self.large.clone() };
            let keys = if nth % 2 == 0 || large_keys == 0 { keys } else { large_keys };
            self.read(&class, (place * place * place * keys as f64) as u64).await;
        }
        self.cache.stats().loads - loads
    }

    /// As [`Load::run`], until there is advice of this kind. Returns it, with the loads of the last run.
    async fn run_until(&mut self, kind: &str, (keys, large_keys): (u64, u64)) -> (Advice, u64) {
        for _ in 0..RUNS {
            let loads = self.run(keys, large_keys).await;
            if let Some(advice) = self.advice(kind) {
                return (advice, loads);
            }
        }
        panic!("no advice {kind}");
    }

    fn advice(&self, kind: &str) -> Option<Advice> {
        let advice = self.cache.advice();
        advice.iter().for_each(|advice| println!("{}: {advice}", advice.as_str()));
        advice.into_iter().find(|advice| advice.as_str() == kind)
    }
}

pub(crate) type Declared<'a> = larder::class::ClassBuilder<'a, u64, u64>;

/// From 0.0 to 1.0, without a pattern (SplitMix64).
fn spread(nth: u64) -> f64 {
    let mixed = nth.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

#[tokio::test]
async fn without_tuning_nothing_is_watched() {
    let mut load = Load::open(16 * MIB, Tuning::off()).await;
    for key in 0..5_000 {
        load.read(&load.small.clone(), key).await;
    }
    let cache = &load.cache;
    assert_eq!((cache.tuning_mode(), cache.tuning_memory_bytes()), (TuningMode::Off, 0));
    assert!(cache.advice().is_empty() && cache.miss_ratio_curves().is_empty());
    let error = cache.undo_tuning(1).unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.to_string().contains("tuning is off"), "{error}");
}

#[tokio::test]
async fn more_memory_saves_about_what_its_advice_says() {
    let mut load = Load::open(16 * MIB, Tuning::advise()).await;
    let (advice, before) = load.run_until("more-memory", (12_000, 0)).await;
    let Advice::MoreMemory { memory_bytes, more_bytes, saved_percent } = advice else { panic!("{advice}") };
    assert_eq!(memory_bytes, 16 * MIB + more_bytes);
    let mut followed = Load::open(memory_bytes, Tuning::off()).await;
    followed.run(12_000, 0).await;
    let saved = 100.0 * (1.0 - followed.run(12_000, 0).await as f64 / before as f64);
    println!("{memory_bytes} bytes save {saved:.1} % of the loads; the advice said {saved_percent:.1} %");
    assert!((saved - saved_percent).abs() <= 8.0, "{saved:.1} % and not {saved_percent:.1} %");
}

#[tokio::test]
async fn less_memory_costs_about_what_its_advice_says() {
    let mut load = Load::open(64 * MIB, Tuning::advise()).await;
    let (advice, before) = load.run_until("less-memory", (2_000, 0)).await;
    let Advice::LessMemory { memory_bytes, added_percent, .. } = advice else { panic!("{advice}") };
    assert!(memory_bytes < 64 * MIB && added_percent <= 0.5);
    let mut followed = Load::open(memory_bytes, Tuning::off()).await;
    let after = followed.run(2_000, 0).await;
    println!("{memory_bytes} bytes: {after} loads, {before} before, of {} reads", READS / 2);
    assert!(after <= before + READS / 2 / 200, "{after} loads, {before} before");
}

#[tokio::test]
async fn a_share_in_memory_is_advised_applied_logged_and_undone() {
    let mut advised = Load::open(16 * MIB, Tuning::advise()).await;
    let (advice, before) = advised.run_until("admission", (8_000, 1_000)).await;
    assert_eq!(advice.class(), Some("large"));
    assert!(advised.cache.tuning_changes().is_empty(), "advice changes nothing");
    assert_eq!(advised.large.stats().not_admitted, 0);

    let mut applied = Load::open(16 * MIB, Tuning::apply().admit_at_least_one_in(16)).await;
    let mut events = applied.cache.events_without_reads();
    let (mut after, mut runs) = (before, 0);
    while runs < RUNS {
        after = applied.run(8_000, 1_000).await;
        runs += 1;
        if applied.cache.tuning_changes().iter().any(|change| change.class == "large") {
            after = applied.run(8_000, 1_000).await;
            break;
        }
    }
    println!("{after} loads, {before} before");
    assert!(after as f64 <= 0.95 * before as f64, "{after} loads, {before} before");
    assert!(applied.large.stats().not_admitted > 0);
    let changes = applied.cache.tuning_changes();
    for change in &changes {
        println!("{} {}: {} ({})", change.id, change.class, change.tuned, change.reason);
        let Tuned::Admission { before, after } = change.tuned else { panic!("{change:?}") };
        assert!(before <= 16 && after <= 16, "beyond the limit: {change:?}");
    }
    for change in &changes {
        let Some(Event::Tuned { class, change: said, .. }) = within(events.next()).await else {
            panic!("no event")
        };
        assert_eq!((class, said), (change.class.clone(), change.tuned.to_string()));
    }

    let last = changes.iter().rfind(|change| change.class == "large").unwrap();
    let first = changes.iter().find(|change| change.class == "large").unwrap();
    if first.id != last.id {
        assert!(applied.cache.undo_tuning(first.id).is_err(), "a later change comes first");
    }
    for change in changes.iter().rev().filter(|change| change.class == "large") {
        assert!(applied.cache.undo_tuning(change.id).unwrap().is_undone);
    }
    let refused = applied.large.stats().not_admitted;
    // As many runs as the first change took.
    for _ in 0..runs {
        applied.run(8_000, 1_000).await;
    }
    assert_eq!(applied.large.stats().not_admitted, refused, "what was undone is not tuned again");
}

impl Load {
    /// 200 reads a second of a thousand keys. Returns the loads of the second half.
    pub(crate) async fn run_in_time(
        &mut self,
        reads: u64,
        mut after_a_second: impl AsyncFnMut(&Load, u64),
    ) -> u64 {
        let mut loads = 0;
        let small = self.small.clone();
        for nth in 0..reads {
            if nth == reads / 2 {
                loads = self.cache.stats().loads;
            }
            self.read(&small, (spread(nth) * 1_000.0) as u64).await;
            if nth % 200 == 199 {
                self.clock.advance(SECOND);
                after_a_second(self, nth / 200).await;
            }
        }
        self.cache.stats().loads - loads
    }
}

#[tokio::test]
async fn a_longer_ttl_saves_what_its_advice_says() {
    let mut load = Load::open(16 * MIB, Tuning::advise()).await;
    let before = load.run_in_time(READS, async |_, _| {}).await;
    let Some(Advice::LongerTtl { class, ttl, expired_percent }) = load.advice("longer-ttl") else {
        panic!("no advice")
    };
    assert_eq!((&*class, ttl), ("small", 60 * SECOND));
    assert!(expired_percent > 80.0, "{expired_percent}");
    load.cache.set_class_ttl(&class, 8 * ttl).unwrap();
    let after = load.run_in_time(READS, async |_, _| {}).await;
    println!("{after} loads, {before} before");
    assert!(after * 3 < before, "{after} loads, {before} before");
}

#[tokio::test]
async fn a_ttl_is_raised_within_the_limit_of_its_class_and_set_back() {
    let mut load = Load::with(16 * MIB, Tuning::apply(), |class, _| class.tune_ttl_up_to(200 * SECOND)).await;
    let mut events = load.cache.events_without_reads();
    for _ in 0..RUNS {
        load.run_in_time(READS, async |_, _| {}).await;
        if load.cache.tuning_changes().len() == 2 {
            break;
        }
    }
    let changes = load.cache.tuning_changes();
    let ttls: Vec<Tuned> = changes.iter().map(|change| change.tuned).collect();
    let ttl = |before, after| Tuned::Ttl { before: before * SECOND, after: after * SECOND };
    assert_eq!(ttls, [ttl(60, 120), ttl(120, 200)]);
    let tuned_loads = load.run_in_time(READS, async |_, _| {}).await;
    for change in changes.iter().rev() {
        load.cache.undo_tuning(change.id).unwrap();
    }
    let loads = load.run_in_time(READS, async |_, _| {}).await;
    assert!(loads > 2 * tuned_loads, "with 60 s {loads} loads, with 200 s {tuned_loads}");
    assert_eq!(load.cache.tuning_changes().len(), 2, "what was undone is not tuned again");
    let reported =
        ["TTL 120s, 60s before", "TTL 200s, 120s before", "TTL 120s, 200s before", "TTL 60s, 120s before"];
    for text in reported {
        let Some(Event::Tuned { change, .. }) = within(events.next()).await else {
            panic!("no event {text}")
        };
        assert_eq!(change, text);
    }
}

#[tokio::test]
async fn a_ttl_that_ends_nothing_can_be_any() {
    let invalidate_some = async |load: &Load, second: u64| {
        for key in (0..1_000).filter(|key| key % 20 == second % 20) {
            let _receipt = load.small.invalidate(&key).await;
        }
    };
    let mut load = Load::open(16 * MIB, Tuning::advise()).await;
    let before = load.run_in_time(READS / 2, invalidate_some).await;
    let Some(Advice::IdleTtl { class, ttl, invalidated, watched }) = load.advice("idle-ttl") else {
        panic!("no advice")
    };
    assert!(invalidated >= 32 && watched >= 2 * ttl, "{invalidated} in {watched:?}");
    load.cache.set_class_ttl(&class, 100 * ttl).unwrap();
    let after = load.run_in_time(READS / 2, invalidate_some).await;
    println!("{after} loads, {before} before");
    assert!(after.abs_diff(before) * 100 <= before, "{after} loads, {before} before");
}

#[tokio::test]
async fn a_class_that_costs_more_than_it_gives_is_named() {
    let mut load = Load::open(16 * MIB, Tuning::advise()).await;
    let small = load.small.clone();
    for nth in 0..15_000 {
        load.read(&small, nth).await;
    }
    let Some(Advice::SwitchOff { class, saved, spent, reads }) = load.advice("switch-off") else {
        panic!("no advice")
    };
    assert!(class == "small" && saved < spent && reads >= 10_000, "{saved:?} {spent:?} {reads}");
    let (before, evicted) = (small.stats(), load.cache.evictions());
    load.cache.set_class_enabled(&class, false).unwrap();
    for nth in 0..10_000 {
        load.read(&small, nth).await;
    }
    let followed = small.stats().since(&before);
    println!(
        "without it: {} loads of 10000 reads, {} evictions",
        followed.loads,
        load.cache.evictions() - evicted
    );
    assert_eq!((followed.loads, followed.memory_hits, load.cache.evictions()), (10_000, 0, evicted));
}
