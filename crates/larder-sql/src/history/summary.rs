//! The rows of a span, summed over instances and steps.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use larder::stats::Stats;

use crate::error::Error;
use crate::history::{History, Minute};

/// What all instances did within a span of time; see [`History::summary`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// What each class counted within the span, without classes that counted nothing.
    pub classes: BTreeMap<String, Stats>,
    /// How far answers were behind the database.
    pub staleness: Staleness,
    /// Each step of the span in which an instance wrote, the earliest first.
    pub steps: Vec<Step>,
    /// Each instance that wrote within the span, by name.
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
    /// What the entries of all instances took in memory, by the last row of each, in bytes.
    pub memory_bytes: u64,
    /// How far answers were behind the database.
    pub staleness: Staleness,
}

/// An instance, and what its last row says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Instance {
    /// Its name; see [`History::record`].
    pub name: String,
    /// When its last process began to record.
    pub started: SystemTime,
    /// How many processes wrote under this name within the span, one after the other.
    pub processes: u32,
    /// When it last wrote. A process that runs writes each 10 s.
    pub written: SystemTime,
    /// Whether its last process was stopped. One that crashed only ceases to write.
    pub has_ended: bool,
    /// The health of its cache; see [`Health::as_str`](larder::cache::Health::as_str).
    pub health: String,
    /// What its entries take in memory, in bytes.
    pub memory_bytes: u64,
    /// How far its answers were behind the database.
    pub staleness: Staleness,
}

/// By how much the answers of a tier were behind the database at most: the age of the guard's last certificate, sampled
/// each second.
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
    /// Seconds in which the guard certified nothing, so reads ran their loaders. They are no samples.
    pub uncertified_seconds: u64,
}

/// The samples of which a [`Staleness`] is made.
#[derive(Default)]
struct Samples {
    ages_ms: Vec<u32>,
    uncertified_seconds: u64,
}

impl Samples {
    fn add(&mut self, minute: &Minute) {
        self.ages_ms.extend(&minute.figures.staleness_ms);
        self.uncertified_seconds += u64::from(minute.figures.uncertified_seconds);
    }

    fn staleness(mut self) -> Staleness {
        self.ages_ms.sort_unstable();
        let at = |percent: usize| {
            // The nearest rank: the smallest sample that at least so many per cent of the samples do not exceed.
            let rank = (self.ages_ms.len() * percent).div_ceil(100).saturating_sub(1);
            Duration::from_millis(self.ages_ms.get(rank).copied().unwrap_or_default().into())
        };
        let (p50, p99, max) = (at(50), at(99), at(100));
        let uncertified_seconds = self.uncertified_seconds;
        Staleness { samples: self.ages_ms.len() as u64, p50, p99, max, uncertified_seconds }
    }
}

/// What was added up of a step or of the span.
#[derive(Default)]
struct Sum {
    classes: BTreeMap<String, Stats>,
    evictions: u64,
    /// By instance, because a step can have several rows of one.
    memory_bytes: BTreeMap<String, u64>,
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
        self.evictions += minute.figures.evictions;
        self.memory_bytes.insert(minute.instance.clone(), minute.figures.memory_bytes);
        self.samples.add(minute);
    }
}

impl History {
    /// What all instances, or the one named `instance`, did in the last `span`, in steps of `step`, which is rounded up to
    /// minutes.
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
        let mut total = Sum::default();
        let mut steps = BTreeMap::<u64, Sum>::new();
        let mut instances = BTreeMap::<String, (Instance, Samples)>::new();
        self.read(span, |minute| {
            if instance.is_some_and(|name| name != minute.instance) {
                return;
            }
            let since = minute.start.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            steps.entry(since - since % step_seconds).or_default().add(&minute);
            total.add(&minute);
            add_instance(&mut instances, &minute);
        })
        .await?;
        let steps = steps.into_iter().map(|(seconds, sum)| Step {
            start: UNIX_EPOCH + Duration::from_secs(seconds),
            classes: sum.classes,
            evictions: sum.evictions,
            memory_bytes: sum.memory_bytes.values().sum(),
            staleness: sum.samples.staleness(),
        });
        let instances = instances.into_values();
        Ok(Summary {
            classes: total.classes,
            staleness: total.samples.staleness(),
            steps: steps.collect(),
            instances: instances
                .map(|(instance, samples)| Instance { staleness: samples.staleness(), ..instance })
                .collect(),
        })
    }
}

/// Adds a row, which is not earlier than those before it, to its instance.
fn add_instance(instances: &mut BTreeMap<String, (Instance, Samples)>, minute: &Minute) {
    let figures = &minute.figures;
    let (instance, samples) = instances.entry(minute.instance.clone()).or_insert_with(|| {
        let instance = Instance {
            name: minute.instance.clone(),
            started: UNIX_EPOCH,
            processes: 0,
            written: UNIX_EPOCH,
            has_ended: false,
            health: String::new(),
            memory_bytes: 0,
            staleness: Staleness::default(),
        };
        (instance, Samples::default())
    });
    samples.add(minute);
    instance.processes += u32::from(minute.started > instance.started);
    instance.started = instance.started.max(minute.started);
    let written = UNIX_EPOCH + Duration::from_millis(figures.written_ms);
    if written >= instance.written {
        (instance.written, instance.memory_bytes) = (written, figures.memory_bytes);
        instance.has_ended = figures.has_ended;
        instance.health.clone_from(&figures.health);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn staleness(ages_ms: Vec<u32>) -> [u64; 4] {
        let Staleness { samples, p50, p99, max, .. } = Samples { ages_ms, ..Samples::default() }.staleness();
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
