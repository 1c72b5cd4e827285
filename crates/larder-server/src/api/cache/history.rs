//! What the caches of all instances did in the last day, as answers show it.

use std::collections::BTreeMap;
use std::time::Duration;

use larder::stats::Stats;
use larder_sql::history::{Instance, Staleness, Step, Summary};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::cache::milliseconds;
use crate::api::cache::views::LookupsView;
use crate::domain::timestamp::Timestamp;

/// An instance writes each 10 s. One that has not written for longer than this has stopped, or does not reach the database.
const RUNNING: Duration = Duration::from_secs(30);

/// What the caches of the instances did within a span of time.
#[derive(Serialize, ToSchema)]
pub(crate) struct History {
    /// When the span begins: the start of a minute, which counts in full.
    from: Timestamp,
    /// The length of a step.
    step_seconds: u64,
    /// What each class counted within the span, without classes that counted nothing.
    classes: BTreeMap<String, ClassCounts>,
    staleness: SampledStaleness,
    /// The steps in which an instance wrote, the earliest first.
    steps: Vec<HistoryStep>,
    /// The processes that wrote within the span, by the name of the instance and their start.
    instances: Vec<HistoryInstance>,
}

/// What a class counted.
#[derive(Serialize, ToSchema)]
struct ClassCounts {
    lookups: LookupsView,
    /// Each count that is not 0, by its name.
    counts: BTreeMap<&'static str, u64>,
}

/// The age of the last certificate, sampled each second: at that moment, answers of the tiers were at most so far behind the
/// database.
#[derive(Serialize, ToSchema)]
struct SampledStaleness {
    /// The number of samples; 0 without Redis and journal. Then the following are 0.
    samples: u64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// Further samples, one each second of each instance, at which nothing was certified, so reads ran their loaders.
    uncertified_seconds: u64,
}

/// What the instances did within a step.
#[derive(Serialize, ToSchema)]
struct HistoryStep {
    /// When it begins.
    at: Timestamp,
    classes: BTreeMap<String, ClassCounts>,
    /// Entries that were evicted because memory was full.
    evictions: u64,
    /// What the entries of all instances took in memory, by the last record of each.
    memory_bytes: u64,
    staleness: SampledStaleness,
}

/// A process of an instance, by its last record.
#[derive(Serialize, ToSchema)]
struct HistoryInstance {
    /// Its host and its port.
    name: String,
    /// When the process began to record, by its clock.
    started: Timestamp,
    /// When it last wrote, by the clock of the database. A process that runs writes each 10 s.
    written: Timestamp,
    /// How long ago that was.
    silent_for_ms: f64,
    /// Whether the process was stopped. One that crashed only ceases to write.
    has_ended: bool,
    /// Whether it wrote within the last 30 s and was not stopped.
    is_running: bool,
    /// `working`, `degraded` or `memory-only`.
    health: String,
    /// What its entries take in memory.
    memory_bytes: u64,
    staleness: SampledStaleness,
}

impl History {
    pub(crate) fn of(summary: Summary) -> Self {
        Self {
            from: summary.start.into(),
            step_seconds: summary.step.as_secs(),
            classes: counts(summary.classes),
            staleness: summary.staleness.into(),
            steps: summary.steps.into_iter().map(HistoryStep::from).collect(),
            instances: summary.instances.into_iter().map(HistoryInstance::from).collect(),
        }
    }
}

fn counts(classes: BTreeMap<String, Stats>) -> BTreeMap<String, ClassCounts> {
    let counted = |stats: Stats| ClassCounts {
        lookups: LookupsView::from(&stats),
        counts: stats.named().filter(|(_, count)| *count > 0).collect(),
    };
    classes.into_iter().map(|(name, stats)| (name, counted(stats))).collect()
}

impl From<Staleness> for SampledStaleness {
    fn from(staleness: Staleness) -> Self {
        Self {
            samples: staleness.samples,
            p50_ms: milliseconds(staleness.p50),
            p99_ms: milliseconds(staleness.p99),
            max_ms: milliseconds(staleness.max),
            uncertified_seconds: staleness.uncertified_seconds,
        }
    }
}

impl From<Step> for HistoryStep {
    fn from(step: Step) -> Self {
        Self {
            at: step.start.into(),
            classes: counts(step.classes),
            evictions: step.evictions,
            memory_bytes: step.memory_bytes,
            staleness: step.staleness.into(),
        }
    }
}

impl From<Instance> for HistoryInstance {
    fn from(instance: Instance) -> Self {
        Self {
            name: instance.name,
            started: instance.started.into(),
            written: instance.written.into(),
            silent_for_ms: milliseconds(instance.silent_for),
            has_ended: instance.has_ended,
            is_running: !instance.has_ended && instance.silent_for <= RUNNING,
            health: instance.health,
            memory_bytes: instance.memory_bytes,
            staleness: instance.staleness.into(),
        }
    }
}
