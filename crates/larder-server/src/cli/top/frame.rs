//! What `larder top` shows: the rates between two samples of an instance.

use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;
use utoipa::ToSchema;

use crate::cli::instance::answers::{ClassStats, Health, LoadTimes, Lookups, Stats};

/// The answers of an instance at one instant.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) stats: Stats,
    pub(crate) health: Health,
}

/// The order of the classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SortBy {
    Reads,
    Hits,
    Loads,
    Time,
    Invalidations,
    Name,
}

impl SortBy {
    /// The order that this key of the keyboard chooses.
    pub(crate) fn of_key(key: char) -> Option<Self> {
        Some(match key {
            'r' => Self::Reads,
            'h' => Self::Hits,
            'l' => Self::Loads,
            't' => Self::Time,
            'i' => Self::Invalidations,
            'n' => Self::Name,
            _ => return None,
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Hits => "hit ratio",
            Self::Loads => "loads",
            Self::Time => "load time",
            Self::Invalidations => "invalidations",
            Self::Name => "name",
        }
    }
}

/// The rates of one class, or of all together, in the time between two samples.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = TopRates)]
pub(crate) struct Rates {
    pub(crate) name: String,
    /// Whether the class caches on this instance.
    pub(crate) enabled: bool,
    pub(crate) reads_per_second: f64,
    /// Hits of all reads, in percent; `null` without reads, here and below.
    pub(crate) hit_percent: Option<f64>,
    /// Hits in memory of all reads, in percent.
    pub(crate) memory_percent: Option<f64>,
    /// Hits in Redis of all reads, in percent.
    pub(crate) redis_percent: Option<f64>,
    /// Reads that joined the load of another read, of all reads, in percent.
    pub(crate) joined_percent: Option<f64>,
    pub(crate) loads_per_second: f64,
    /// How long loads took on average; `null` without loads.
    pub(crate) load_ms: Option<f64>,
    pub(crate) failed_loads_per_second: f64,
    pub(crate) invalidations_per_second: f64,
    /// The 99th percentile of load times since the start of the instance.
    pub(crate) p99_ms: f64,
}

/// One frame: what `larder top --once --json` prints.
#[derive(Serialize, ToSchema)]
#[schema(as = TopFrame)]
pub(crate) struct Frame {
    /// The address of the instance.
    pub(crate) instance: String,
    /// The time between the two samples.
    pub(crate) seconds: f64,
    /// `working`, `degraded` or `memory-only`.
    pub(crate) status: String,
    /// The causes for which the cache is degraded.
    pub(crate) causes: Vec<String>,
    pub(crate) redis_latency_ms: Option<f64>,
    pub(crate) redis_version: Option<String>,
    pub(crate) memory_bytes: u64,
    pub(crate) evictions: u64,
    pub(crate) staleness_bound_ms: f64,
    /// The age of the last certificate; `null` if nothing is certified now, or if there is no guard.
    pub(crate) certified_ago_ms: Option<f64>,
    pub(crate) has_guard: bool,
    pub(crate) unsent_invalidations: Option<u64>,
    /// Reads that the auditor checked in the last hour; `null` if there is no auditor, here and below.
    pub(crate) audited_in_hour: Option<u64>,
    /// Of those: stale beyond the bound.
    pub(crate) stale_in_hour: Option<u64>,
    /// The nines of the share of reads within the bound, in the last hour; `null` also if no read was checked.
    pub(crate) nines_of_hour: Option<f64>,
    pub(crate) total: Rates,
    pub(crate) classes: Vec<Rates>,
}

impl Frame {
    /// The frame of two samples that were taken `apart`. A count that fell belongs to another start of the instance, and
    /// counts from zero.
    pub(crate) fn between(instance: &str, before: &Sample, now: &Sample, apart: Duration) -> Self {
        let per_second = apart.as_secs_f64().max(f64::MIN_POSITIVE);
        let rates = |class: &ClassStats| {
            let earlier = before.stats.classes.iter().find(|other| other.name == class.name);
            Rates::between(earlier, class, per_second)
        };
        let classes: Vec<_> = now.stats.classes.iter().map(rates).collect();
        let staleness = now.stats.staleness;
        let left = staleness.certified_for_ms;
        let hour = now.stats.auditor.map(|auditor| auditor.hour);
        Self {
            instance: instance.to_owned(),
            seconds: apart.as_secs_f64(),
            status: now.health.status.clone(),
            causes: now.health.reasons.iter().map(|reason| reason.cause.clone()).collect(),
            redis_latency_ms: now.health.latency_ms,
            redis_version: now.stats.server.as_ref().map(|server| server.version.clone()),
            memory_bytes: now.stats.memory.bytes,
            evictions: now.stats.memory.evictions,
            staleness_bound_ms: staleness.bound_ms,
            certified_ago_ms: left.filter(|left| *left > 0.0).map(|left| staleness.bound_ms - left),
            has_guard: left.is_some(),
            unsent_invalidations: staleness.unsent_invalidations,
            audited_in_hour: hour.map(|hour| hour.checked),
            stale_in_hour: hour.map(|hour| hour.stale),
            nines_of_hour: hour.and_then(|hour| hour.nines),
            total: Rates::between(Some(&before.stats.total()), &now.stats.total(), per_second),
            classes,
        }
    }
}

impl Stats {
    /// All classes as one.
    fn total(&self) -> ClassStats {
        let mut total = ClassStats {
            name: "all".to_owned(),
            enabled: true,
            lookups: Lookups { hit_rate_percent: 0.0, total_lookups: 0 },
            counts: self.counts.clone(),
            loads: LoadTimes { count: 0, mean_ms: 0.0, p99_ms: 0.0, max_ms: 0.0 },
        };
        let mut sum_ms = 0.0;
        for class in &self.classes {
            total.lookups.total_lookups += class.lookups.total_lookups;
            total.loads.count += class.loads.count;
            sum_ms += class.loads.mean_ms * class.loads.count as f64;
            total.loads.p99_ms = total.loads.p99_ms.max(class.loads.p99_ms);
        }
        total.loads.mean_ms = sum_ms / total.loads.count.max(1) as f64;
        total
    }
}

impl Rates {
    fn between(before: Option<&ClassStats>, now: &ClassStats, seconds: f64) -> Self {
        let is_same_start =
            before.is_some_and(|before| before.lookups.total_lookups <= now.lookups.total_lookups);
        let before = before.filter(|_| is_same_start);
        let since = |of: &dyn Fn(&ClassStats) -> u64| of(now).saturating_sub(before.map_or(0, of));
        let count = |name: &str| since(&|class| class.count(name));
        let reads = since(&|class| class.lookups.total_lookups);
        let percent = |part: u64| (reads > 0).then(|| 100.0 * part as f64 / reads as f64);
        let (memory, redis, joined) = (count("memory_hits"), count("redis_hits"), count("joins"));
        let timed = since(&|class| class.loads.count);
        let sum_ms = |class: &ClassStats| class.loads.mean_ms * class.loads.count as f64;
        let spent_ms = sum_ms(now) - before.map_or(0.0, sum_ms);
        Self {
            name: now.name.clone(),
            enabled: now.enabled,
            reads_per_second: reads as f64 / seconds,
            hit_percent: percent(memory + redis + joined),
            memory_percent: percent(memory),
            redis_percent: percent(redis),
            joined_percent: percent(joined),
            loads_per_second: count("loads") as f64 / seconds,
            load_ms: (timed > 0).then(|| (spent_ms / timed as f64).max(0.0)),
            failed_loads_per_second: count("load_failures") as f64 / seconds,
            invalidations_per_second: count("invalidations") as f64 / seconds,
            p99_ms: now.loads.p99_ms,
        }
    }

    /// The order of two classes: the largest figure first, and equal ones by their names.
    pub(crate) fn compare(&self, other: &Self, by: SortBy) -> std::cmp::Ordering {
        let figure = |rates: &Self| match by {
            SortBy::Reads => rates.reads_per_second,
            SortBy::Hits => rates.hit_percent.unwrap_or(-1.0),
            SortBy::Loads => rates.loads_per_second,
            SortBy::Time => rates.load_ms.unwrap_or(-1.0),
            SortBy::Invalidations => rates.invalidations_per_second,
            SortBy::Name => 0.0,
        };
        figure(other).total_cmp(&figure(self)).then_with(|| self.name.cmp(&other.name))
    }
}
