//! The rows of a span, summed over instances and steps.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use larder::stats::Stats;

use crate::error::Error;
use crate::history::{History, MINUTE, Minute, first_minute};

/// What all instances did within a span of time; see [`History::summary`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// When the span begins: the start of a minute.
    pub start: SystemTime,
    /// The length of a step: a multiple of a minute.
    pub step: Duration,
    /// What each class counted within the span, without classes that counted nothing.
    pub classes: BTreeMap<String, Stats>,
    /// How far answers were behind the database.
    pub staleness: Staleness,
    /// Each step of the span in which a process wrote, the earliest first.
    pub steps: Vec<Step>,
    /// Each process that wrote within the span, by the name of its instance and its start.
    pub instances: Vec<Instance>,
}

/// What all instances did within a step of the span.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// When it begins: a multiple of its length since 1970.
    pub start: SystemTime,
    /// What each class counted, without classes that counted nothing.
    pub classes: BTreeMap<String, Stats>,
    /// Entries that were evicted because memory was full.
    pub evictions: u64,
    /// What the entries of all processes took in memory, by the last row of each, in bytes.
    pub memory_bytes: u64,
    /// How far answers were behind the database.
    pub staleness: Staleness,
}

/// A process of an instance, and what its last row says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instance {
    /// The name of the instance; see [`History::record`].
    pub name: String,
    /// When the process began to record, by its clock.
    pub started: SystemTime,
    /// When it last wrote, by the clock of the database. A process that runs writes each 10 s.
    pub written: SystemTime,
    /// How long ago that was, by the clock of the database.
    pub silent_for: Duration,
    /// Whether the process was stopped. One that crashed only ceases to write.
    pub has_ended: bool,
    /// The health of its cache; see [`Health::as_str`](larder::cache::Health::as_str).
    pub health: String,
    /// What its entries take in memory, in bytes.
    pub memory_bytes: u64,
    /// How far its answers were behind the database.
    pub staleness: Staleness,
}

/// The age of the guard's last certificate, sampled each second: at that moment, answers of the tiers were at most so far
/// behind the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Staleness {
    /// The number of samples; 0 without a guard. Then the following are zero.
    pub samples: u64,
    /// The median.
    pub p50: Duration,
    /// 99 % of the samples are at most this.
    pub p99: Duration,
    /// The largest sample.
    pub max: Duration,
    /// Further samples, one each second, at which the guard certified nothing, so reads ran their loaders.
    pub uncertified_seconds: u64,
}

/// The samples of which a [`Staleness`] is made.
#[derive(Default)]
struct Samples {
    /// How many samples have each age in milliseconds.
    ages_ms: BTreeMap<u32, u64>,
    uncertified_seconds: u64,
}

impl Samples {
    fn add(&mut self, minute: &Minute) {
        for age in &minute.figures.staleness_ms {
            *self.ages_ms.entry(*age).or_default() += 1;
        }
        self.uncertified_seconds += u64::from(minute.figures.uncertified_seconds);
    }

    fn staleness(&self) -> Staleness {
        let samples: u64 = self.ages_ms.values().sum();
        let at = |percent: u64| {
            // The nearest rank: the smallest sample that at least so many per cent of the samples do not exceed.
            let rank = (samples * percent).div_ceil(100);
            let mut counted = 0;
            let age = self.ages_ms.iter().find(|(_, count)| {
                counted += *count;
                counted >= rank
            });
            Duration::from_millis(age.map_or(0, |(age, _)| u64::from(*age)))
        };
        let (p50, p99, max) = (at(50), at(99), at(100));
        Staleness { samples, p50, p99, max, uncertified_seconds: self.uncertified_seconds }
    }
}

/// What was added up of a step or of the span.
#[derive(Default)]
struct Sum {
    classes: BTreeMap<String, Stats>,
    evictions: u64,
    /// By process, because a step can have several rows of one.
    memory_bytes: BTreeMap<i64, u64>,
    samples: Samples,
}

impl Sum {
    fn add(&mut self, minute: &Minute) {
        for (name, stats) in &minute.figures.classes {
            // A name is cloned only for the first row that has it.
            match self.classes.get_mut(name) {
                Some(sum) => *sum = sum.plus(stats),
                None => drop(self.classes.insert(name.clone(), *stats)),
            }
        }
        self.evictions = self.evictions.saturating_add(minute.figures.evictions);
        self.memory_bytes.insert(minute.process, minute.figures.memory_bytes);
        self.samples.add(minute);
    }
}

/// The processes of a span, by the name of the instance and the start of the process, each with its samples.
#[derive(Default)]
struct Processes(BTreeMap<(String, u64), (Minute, Samples)>);

impl Processes {
    fn add(&mut self, minute: &Minute) {
        let key = (minute.instance.clone(), minute.figures.started_ms);
        let (last, samples) = self.0.entry(key).or_insert_with(|| (minute.clone(), Samples::default()));
        samples.add(minute);
        if minute.written >= last.written {
            last.clone_from(minute);
        }
    }

    fn instances(self) -> Vec<Instance> {
        let instance = |((name, started_ms), (last, samples)): (_, (Minute, Samples))| Instance {
            name,
            started: UNIX_EPOCH + Duration::from_millis(started_ms),
            written: last.written,
            silent_for: last.silent_for,
            has_ended: last.figures.has_ended,
            health: last.figures.health,
            memory_bytes: last.figures.memory_bytes,
            staleness: samples.staleness(),
        };
        self.0.into_iter().map(instance).collect()
    }
}

impl History {
    /// What all instances, or the one named `instance`, did in the last `span`, in steps of `step`, which is rounded up to
    /// minutes. The minute in which the span begins counts in full.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn summary(
        &self,
        span: Duration,
        step: Duration,
        instance: Option<&str>,
    ) -> Result<Summary, Error> {
        let step_seconds = step.as_secs().div_ceil(60).max(1) * 60;
        let first = first_minute(SystemTime::now(), span);
        let mut total = Sum::default();
        let mut steps = BTreeMap::<u64, Sum>::new();
        let mut processes = Processes::default();
        self.read(span, instance, |minute| {
            let since = minute.start.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            steps.entry(since - since % step_seconds).or_default().add(&minute);
            total.add(&minute);
            processes.add(&minute);
        })
        .await?;
        let steps = steps.into_iter().map(|(seconds, sum)| Step {
            start: UNIX_EPOCH + Duration::from_secs(seconds),
            staleness: sum.samples.staleness(),
            classes: sum.classes,
            evictions: sum.evictions,
            memory_bytes: sum.memory_bytes.values().fold(0, |sum, bytes| sum.saturating_add(*bytes)),
        });
        Ok(Summary {
            start: UNIX_EPOCH + MINUTE * u32::try_from(first).unwrap_or_default(),
            step: Duration::from_secs(step_seconds),
            staleness: total.samples.staleness(),
            classes: total.classes,
            steps: steps.collect(),
            instances: processes.instances(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn staleness(ages_ms: Vec<u32>) -> [u64; 4] {
        let mut samples = Samples::default();
        for age in ages_ms {
            *samples.ages_ms.entry(age).or_default() += 1;
        }
        let Staleness { samples, p50, p99, max, .. } = samples.staleness();
        let millis = |duration: Duration| duration.as_millis().try_into().unwrap();
        [samples, millis(p50), millis(p99), millis(max)]
    }

    #[test]
    fn percentiles_are_samples_of_the_nearest_rank() {
        assert_eq!(staleness(vec![]), [0; 4]);
        assert_eq!(staleness(vec![7]), [1, 7, 7, 7]);
        assert_eq!(staleness((1..=100).rev().collect()), [100, 50, 99, 100]);
        assert_eq!(staleness(vec![1, 1, 1, 9]), [4, 1, 9, 9]);
    }
}
