//! What the caches of all instances did in the last day, as answers show it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use larder::stats::Stats;
use larder_sql::history::{Instance, Staleness, Step, Summary};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::cache::milliseconds;
use crate::api::cache::views::LookupsView;
use crate::domain::caches::HistoryQuery;
use crate::domain::timestamp::Timestamp;

/// An instance writes each 10 s. One that has not written for longer than this has stopped, or does not reach the database.
const RUNNING: Duration = Duration::from_secs(30);

/// What the caches of the instances did within a span of time.
#[derive(Serialize, ToSchema)]
pub(crate) struct History {
    /// When the span begins.
    since: Timestamp,
    /// The length of a step.
    step_seconds: u64,
    /// What each class counted within the span, without classes that counted nothing.
    classes: BTreeMap<String, ClassCounts>,
    staleness: StalenessOfSpan,
    /// The steps in which an instance wrote, the earliest first.
    steps: Vec<HistoryStep>,
    /// The instances that wrote within the span, by name.
    instances: Vec<HistoryInstance>,
}

/// What a class counted.
#[derive(Serialize, ToSchema)]
struct ClassCounts {
    lookups: LookupsView,
    /// Each count that is not 0, by its name.
    counts: BTreeMap<&'static str, u64>,
}

/// By how much the answers from a tier were behind the database at most: the age of the last certificate, sampled each second.
#[derive(Serialize, ToSchema)]
struct StalenessOfSpan {
    /// The number of samples; 0 without Redis and journal. Then the following are 0.
    samples: u64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    /// Seconds, of all instances together, in which nothing was certified, so reads ran their loaders.
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
    staleness: StalenessOfSpan,
}

/// An instance, by its last record.
#[derive(Serialize, ToSchema)]
struct HistoryInstance {
    /// Its host and its port.
    name: String,
    /// When its last process started.
    started: Timestamp,
    /// How many processes wrote under this name within the span, one after the other.
    processes: u32,
    /// When it last wrote. A process that runs writes each 10 s.
    written: Timestamp,
    /// Whether it wrote within the last 30 s and was not stopped since.
    is_running: bool,
    /// `working`, `degraded` or `memory-only`.
    health: String,
    /// What its entries take in memory.
    memory_bytes: u64,
    staleness: StalenessOfSpan,
}

impl History {
    pub(crate) fn of(query: &HistoryQuery, summary: Summary) -> Self {
        let now = SystemTime::now();
        Self {
            since: Timestamp::from(now).before(query.since),
            step_seconds: query.step.as_secs().div_ceil(60) * 60,
            classes: counts(summary.classes),
            staleness: summary.staleness.into(),
            steps: summary.steps.into_iter().map(HistoryStep::from).collect(),
            instances: summary.instances.into_iter().map(|one| HistoryInstance::of(one, now)).collect(),
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

impl From<Staleness> for StalenessOfSpan {
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

impl HistoryInstance {
    fn of(instance: Instance, now: SystemTime) -> Self {
        Self {
            name: instance.name,
            started: instance.started.into(),
            processes: instance.processes,
            written: instance.written.into(),
            is_running: !instance.has_ended && instance.written + RUNNING >= now,
            health: instance.health,
            memory_bytes: instance.memory_bytes,
            staleness: instance.staleness.into(),
        }
    }
}
