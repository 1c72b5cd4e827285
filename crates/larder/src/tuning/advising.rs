//! Which advice the evidence supports. Pure: the same evidence gives the same advice.

use std::time::Duration;

use crate::tuning::advice::Advice;
use crate::tuning::window::{ClassWindow, PRESENT, SIZES};

/// There is advice on memory after so many sampled reads; before, a curve is a guess.
const SAMPLES_MIN: u64 = 8_192;
/// More memory is worth advice if it saves so large a share of the loads.
const SAVING_MIN: f64 = 0.03;
/// Less memory is worth advice if it costs at most so large a share of the loads.
const COST_MAX: f64 = 0.005;
/// A TTL is worth advice if it causes so large a share of the class's loads.
const EXPIRED_MIN: f64 = 0.05;
/// Advice about ends of copies needs so many sampled ones.
const ENDS_MIN: f64 = 32.0;
/// A class is weighed after so many reads.
const READS_MIN: f64 = 10_000.0;
/// What a look-up in memory takes: what `docs/performance.md` measures for a hit.
const LOOK_UP: Duration = Duration::from_nanos(400);

/// What one class has shown.
#[derive(Clone, Debug)]
pub(crate) struct ClassEvidence {
    pub(crate) name: String,
    pub(crate) window: ClassWindow,
    pub(crate) ttl: Duration,
    /// Whether its entries are refreshed or used after their TTL.
    pub(crate) is_aging: bool,
    /// Hits in memory and values offered to it, of all reads; older ones count less.
    pub(crate) hits: f64,
    pub(crate) offers: f64,
    pub(crate) mean_load: Duration,
    /// The time to encode and check a value.
    pub(crate) mean_store: Duration,
    /// Whether memory is its only tier. Then what it costs is known.
    pub(crate) is_local: bool,
}

/// A change of a class's admission that the simulations advise.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AdmissionAdvice {
    pub(crate) class: String,
    pub(crate) before: u32,
    pub(crate) after: u32,
    /// Of all loads, from 0 to 1.
    pub(crate) saved: f64,
}

/// What a cache has shown.
pub(crate) struct Evidence {
    pub(crate) budget: u64,
    /// All sampled reads since the beginning.
    pub(crate) samples: u64,
    /// Sampled keys that are known now.
    pub(crate) keys: u64,
    pub(crate) watched: Duration,
    pub(crate) classes: Vec<ClassEvidence>,
    pub(crate) admission: Option<AdmissionAdvice>,
}

impl Evidence {
    fn misses(&self, size: usize) -> f64 {
        self.classes.iter().map(|class| class.window.misses[size]).sum()
    }

    /// The advice that the evidence supports; none before there is enough of it.
    pub(crate) fn advice(&self) -> Vec<Advice> {
        let is_seen = self.samples >= SAMPLES_MIN;
        let memory = is_seen.then(|| self.more_memory().or_else(|| self.less_memory())).flatten();
        let admission = self.admission.clone().filter(|_| is_seen).map(
            |AdmissionAdvice { class, before, after, saved }| Advice::Admission {
                class,
                before,
                after,
                saved_percent: 100.0 * saved,
            },
        );
        let of_classes = self.classes.iter().flat_map(|class| {
            class.longer_ttl().or_else(|| class.idle_ttl(self.watched)).into_iter().chain(class.switch_off())
        });
        memory.into_iter().chain(admission).chain(of_classes).collect()
    }

    /// The smallest memory that saves enough.
    fn more_memory(&self) -> Option<Advice> {
        let present = self.misses(PRESENT);
        (PRESENT + 1..SIZES.len()).find_map(|size| {
            let saved = (present - self.misses(size)) / present;
            let memory_bytes = size_bytes(self.budget, size);
            let more_bytes = memory_bytes - self.budget;
            let advice = Advice::MoreMemory { memory_bytes, more_bytes, saved_percent: 100.0 * saved };
            (saved >= SAVING_MIN).then_some(advice)
        })
    }

    /// The smallest memory that costs little, also if the sample shows too few of the values. While most sampled keys were
    /// read a few times only, every memory looks large enough.
    fn less_memory(&self) -> Option<Advice> {
        let present = self.misses(PRESENT);
        if self.samples < 8 * self.keys {
            return None;
        }
        (0..PRESENT).find_map(|size| {
            let added = (self.misses(size) - present) / present;
            let memory_bytes = size_bytes(self.budget, size);
            let fewer_bytes = self.budget - memory_bytes;
            let advice =
                Advice::LessMemory { memory_bytes, fewer_bytes, added_percent: 100.0 * added.max(0.0) };
            let at_worst = (self.misses_if_undercounted(size)? - present) / present;
            (added.max(at_worst) <= COST_MAX).then_some(advice)
        })
    }

    /// The misses of a memory of `size`, if the values need more than the sample shows by three standard errors of so few
    /// keys. So a memory into which the sampled values just fit does not count as large enough. Between two sizes the misses
    /// change in proportion; `None` below the smallest one.
    fn misses_if_undercounted(&self, size: usize) -> Option<f64> {
        let error = 3.0 / (self.keys as f64).sqrt();
        let eighths = SIZES[size] as f64 * (1.0 - error);
        let above = SIZES.iter().position(|above| *above as f64 >= eighths)?;
        let below = above.checked_sub(1)?;
        let part = (eighths - SIZES[below] as f64) / (SIZES[above] - SIZES[below]) as f64;
        Some(self.misses(below) + part * (self.misses(above) - self.misses(below)))
    }
}

/// The budget of a size of the curve.
pub(crate) fn size_bytes(budget: u64, size: usize) -> u64 {
    // In `u128`, because a budget is any number of bytes.
    let bytes = u128::from(budget) * u128::from(SIZES[size]) / u128::from(SIZES[PRESENT]);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

impl ClassEvidence {
    /// The share of the class's loads that have no other cause than its TTL, if enough of them were sampled.
    pub(crate) fn expired_share(&self) -> Option<f64> {
        // Then the TTL is when a read refreshes an entry.
        if self.is_aging {
            return None;
        }
        let ClassWindow { expired, misses, .. } = self.window;
        let share = expired / misses[PRESENT];
        (expired >= ENDS_MIN && share >= EXPIRED_MIN).then_some(share)
    }

    fn longer_ttl(&self) -> Option<Advice> {
        let expired_percent = 100.0 * self.expired_share()?;
        Some(Advice::LongerTtl { class: self.name.clone(), ttl: self.ttl, expired_percent })
    }

    fn idle_ttl(&self, watched: Duration) -> Option<Advice> {
        let ClassWindow { expired, invalidated, .. } = self.window;
        let is_idle = !self.is_aging && expired < 1.0 && invalidated >= ENDS_MIN && watched >= 2 * self.ttl;
        let (class, ttl, invalidated) = (self.name.clone(), self.ttl, invalidated as u64);
        is_idle.then_some(Advice::IdleTtl { class, ttl, invalidated, watched })
    }

    fn switch_off(&self) -> Option<Advice> {
        let reads = self.hits + self.offers;
        if !self.is_local || reads < READS_MIN {
            return None;
        }
        let saved = self.mean_load.mul_f64(self.hits);
        let spent = LOOK_UP.mul_f64(reads) + self.mean_store.mul_f64(self.offers);
        let class = self.name.clone();
        (spent > saved).then_some(Advice::SwitchOff { class, saved, spent, reads: reads as u64 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn class(window: ClassWindow) -> ClassEvidence {
        ClassEvidence {
            name: "values".to_owned(),
            window,
            ttl: SECOND,
            is_aging: false,
            hits: 9_000.0,
            offers: 2_000.0,
            mean_load: Duration::from_millis(1),
            mean_store: Duration::from_micros(5),
            is_local: true,
        }
    }

    fn evidence(misses: [f64; 10]) -> Evidence {
        let window = ClassWindow { reads: 10_000.0, misses, ..ClassWindow::default() };
        let classes = vec![class(window)];
        let samples = 20_000;
        Evidence { budget: 64 << 20, samples, keys: 1_000, watched: 10 * SECOND, classes, admission: None }
    }

    fn kinds(evidence: &Evidence) -> Vec<&'static str> {
        evidence.advice().iter().map(Advice::as_str).collect()
    }

    const STEEP: [f64; 10] = [900.0, 800.0, 700.0, 600.0, 500.0, 450.0, 400.0, 384.0, 300.0, 200.0];
    const FLAT: [f64; 10] = [900.0, 402.0, 401.0, 400.0, 400.0, 400.0, 400.0, 400.0, 395.0, 395.0];

    #[test]
    fn memory_is_advised_by_the_curve() {
        let [advice] = evidence(STEEP).advice().try_into().unwrap();
        assert_eq!(advice.to_string(), "16.0 MiB more would save 4.0 % of the loads");
        let [advice] = evidence(FLAT).advice().try_into().unwrap();
        // A tenth of 16 MiB is in doubt, and 8 MiB cost much.
        assert_eq!(advice.to_string(), "40.0 MiB less would add 0.2 % to the loads");
        let [advice] = Evidence { keys: 50, ..evidence(FLAT) }.advice().try_into().unwrap();
        assert_eq!(advice.to_string(), "32.0 MiB less would add 0.0 % to the loads");
        let few_reads = Evidence { keys: 5_000, ..evidence(FLAT) };
        assert_eq!(kinds(&few_reads), [""; 0]);
    }

    #[test]
    fn less_memory_needs_a_sample_of_many_keys() {
        let with = |keys| kinds(&Evidence { keys, ..evidence([400.0; 10]) });
        assert_eq!((with(100), with(4)), (vec!["less-memory"], vec![]));
    }

    #[test]
    fn a_fresh_process_gives_no_advice() {
        let mut early = Evidence { samples: SAMPLES_MIN - 1, ..evidence(STEEP) };
        let admission = AdmissionAdvice { class: "values".to_owned(), before: 1, after: 4, saved: 0.1 };
        early.admission = Some(admission);
        assert_eq!(early.advice(), []);
        early.samples += 1;
        assert_eq!(kinds(&early), ["more-memory", "admission"]);
    }

    #[test]
    fn a_cache_without_a_miss_gets_no_advice() {
        assert_eq!(kinds(&evidence([0.0; 10])), [""; 0]);
    }

    #[test]
    fn a_ttl_is_judged_by_what_ended_the_entries() {
        let with = |expired, invalidated, watched| {
            let mut evidence = Evidence { watched, ..evidence([400.0; 10]) };
            evidence.keys = evidence.samples;
            let window = &mut evidence.classes[0].window;
            (window.expired, window.invalidated) = (expired, invalidated);
            kinds(&evidence)
        };
        assert_eq!(with(0.0, 100.0, 2 * SECOND), ["idle-ttl"]);
        assert_eq!(with(0.0, 100.0, SECOND), [""; 0], "the TTL had no time to end an entry");
        assert_eq!(with(0.0, 10.0, 9 * SECOND), [""; 0], "too few ends were seen");
        assert_eq!(with(100.0, 100.0, 9 * SECOND), ["longer-ttl"]);
        assert_eq!(with(12.0, 100.0, 9 * SECOND), [""; 0]);
        for (expired, advised) in [(0.0, "idle-ttl"), (100.0, "longer-ttl")] {
            let mut aging = evidence([400.0; 10]);
            (aging.keys, aging.watched) = (aging.samples, 9 * SECOND);
            let class = &mut aging.classes[0];
            (class.window.expired, class.window.invalidated) = (expired, 100.0);
            assert_eq!(kinds(&aging), [advised]);
            aging.classes[0].is_aging = true;
            assert_eq!(kinds(&aging), [""; 0], "the TTL says when an entry is refreshed");
        }
    }

    #[test]
    fn a_class_is_weighed_by_the_time_that_it_saves_and_takes() {
        let with = |mean_load, hits, is_local| {
            let mut evidence = evidence([400.0; 10]);
            evidence.keys = evidence.samples;
            let class = &mut evidence.classes[0];
            (class.mean_load, class.hits, class.is_local) = (mean_load, hits, is_local);
            kinds(&evidence)
        };
        // 11,000 look-ups of 400 ns and 2,000 stores of 5 µs take 14.4 ms.
        assert_eq!(with(Duration::from_nanos(1_500), 9_000.0, true), ["switch-off"]);
        assert_eq!(with(Duration::from_nanos(1_700), 9_000.0, true), [""; 0]);
        assert_eq!(with(Duration::from_nanos(1_500), 7_000.0, true), [""; 0], "too few reads");
        assert_eq!(
            with(Duration::from_nanos(1_500), 9_000.0, false),
            [""; 0],
            "round trips to Redis are not known"
        );
    }
}
