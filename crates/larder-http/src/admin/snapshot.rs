//! What the cache is and has counted at one instant, as the page reads it. All durations are in milliseconds, all counts are
//! since the start of the process.

use std::collections::BTreeMap;
use std::time::SystemTime;

use larder::audit::AuditReport;
use larder::cache::Cache;
use larder::introspection::server::RedisInfo;
use larder::introspection::{ClassReport, RedisAnswer};
use serde::Serialize;

use crate::admin::log::Causes;
use crate::admin::times::{millis, milliseconds};

#[derive(Serialize)]
pub(super) struct Snapshot {
    /// In milliseconds since 1970.
    at: u64,
    health: &'static str,
    reasons: Vec<Reason>,
    staleness: Staleness,
    memory: Memory,
    redis: Redis,
    journal: Journal,
    /// Invalidations since the sampler started, by what made them known.
    causes: Causes,
    classes: Vec<Class>,
}

#[derive(Serialize)]
struct Reason {
    trouble: &'static str,
    text: String,
    detail: Option<String>,
    since: u64,
}

#[derive(Serialize)]
struct Staleness {
    bound_ms: f64,
    /// The age of the last certificate: no copy that is served now is older than that. `null` without a guard.
    age_ms: Option<f64>,
    auditor: Option<Auditor>,
}

#[derive(Serialize)]
struct Auditor {
    checked: u64,
    stale: u64,
    lag_count: u64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
    hour_checked: u64,
    hour_stale: u64,
    hour_share_at_least: Option<f64>,
}

#[derive(Serialize)]
struct Memory {
    bytes: u64,
    evictions: u64,
}

#[derive(Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum Redis {
    /// The cache was built without Redis.
    None,
    /// Redis did not answer.
    Away { unsent: usize },
    Answers {
        version: String,
        mode: String,
        uptime_s: u64,
        used_memory_bytes: u64,
        clients: u64,
        commands: u64,
        hits: u64,
        misses: u64,
        latency_ms: f64,
        /// Keys whose invalidation has not reached Redis.
        unsent: usize,
    },
}

#[derive(Serialize)]
struct Journal {
    is_there: bool,
    failed_prunes: u64,
    /// Episodes of trouble since the start, by name; of Redis and of the journal.
    troubles: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
struct Class {
    name: String,
    on: bool,
    memory: u64,
    redis: u64,
    joins: u64,
    loads: u64,
    bypasses: u64,
    failures: u64,
    invalidations: u64,
    stale: u64,
    load_p50_ms: f64,
    load_p99_ms: f64,
}

impl From<ClassReport> for Class {
    fn from(report: ClassReport) -> Self {
        let ClassReport { name, is_enabled: on, stats, load_times, .. } = report;
        Self {
            name,
            on,
            memory: stats.memory_hits,
            redis: stats.redis_hits,
            joins: stats.joins,
            loads: stats.misses(),
            bypasses: stats.bypasses,
            failures: stats.load_failures,
            invalidations: stats.invalidations,
            stale: stats.stale_hits + stats.stale_on_error,
            load_p50_ms: milliseconds(load_times.p50),
            load_p99_ms: milliseconds(load_times.p99),
        }
    }
}

impl From<AuditReport> for Auditor {
    fn from(report: AuditReport) -> Self {
        Self {
            checked: report.checked,
            stale: report.stale,
            lag_count: report.lag.count,
            p50_ms: milliseconds(report.lag.p50),
            p99_ms: milliseconds(report.lag.p99),
            max_ms: milliseconds(report.lag.max),
            hour_checked: report.hour.checked,
            hour_stale: report.hour.stale,
            hour_share_at_least: report.hour.share_at_least(),
        }
    }
}

impl Snapshot {
    /// The cache now; `redis` is what Redis has just answered.
    pub(super) fn of(cache: &Cache, redis: &RedisAnswer<RedisInfo>, causes: Causes) -> Self {
        let health = cache.health_report();
        let bound = cache.staleness_bound();
        let reasons = health.reasons.into_iter().map(|reason| Reason {
            trouble: reason.trouble.as_str(),
            text: reason.text.into_owned(),
            detail: reason.detail,
            since: millis(reason.since),
        });
        let troubles = cache.trouble_counts().into_iter();
        let troubles = troubles.filter(|count| count.episodes > 0);
        Self {
            at: millis(SystemTime::now()),
            health: health.state.as_str(),
            reasons: reasons.collect(),
            staleness: Staleness {
                bound_ms: milliseconds(bound),
                age_ms: cache.certified_for().map(|left| milliseconds(bound.saturating_sub(left))),
                auditor: cache.audit().map(Auditor::from),
            },
            memory: Memory { bytes: cache.memory_bytes(), evictions: cache.evictions() },
            redis: Redis::of(redis, cache.unsent_invalidations()),
            journal: Journal {
                is_there: cache.failed_prunes().is_some(),
                failed_prunes: cache.failed_prunes().unwrap_or_default(),
                troubles: troubles.map(|count| (count.trouble.as_str(), count.episodes)).collect(),
            },
            causes,
            classes: cache.classes().into_iter().map(Class::from).collect(),
        }
    }
}

impl Redis {
    fn of(answer: &RedisAnswer<RedisInfo>, unsent: Option<usize>) -> Self {
        let unsent = unsent.unwrap_or_default();
        match answer {
            RedisAnswer::NotConfigured => Redis::None,
            RedisAnswer::Value(info) => Redis::Answers {
                version: info.version.clone(),
                mode: info.mode.clone(),
                uptime_s: info.uptime.as_secs(),
                used_memory_bytes: info.used_memory_bytes,
                clients: info.connected_clients,
                commands: info.commands_processed,
                hits: info.keyspace_hits,
                misses: info.keyspace_misses,
                latency_ms: milliseconds(info.latency),
                unsent,
            },
            _ => Redis::Away { unsent },
        }
    }
}
