//! The bodies of the answers under `/api/v1/cache`.

use std::collections::BTreeMap;
use std::time::Duration;

use larder::cache::{Cache, Health};
use larder::health;
use larder::introspection::keys::{KeyCounts, KeyPage};
use larder::introspection::server::RedisInfo;
use larder::introspection::{ClassReport, RedisAnswer};
use larder::journal::Touch;
use larder::receipt::Receipt;
use larder::stats::Stats;
use larder_http::stats::Lookups;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::cache::auditor::AuditorView;
use crate::api::cache::milliseconds;
use crate::api::cache::reasons::{Reason, troubles};
use crate::domain::timestamp::Timestamp;

/// Which tiers answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct CacheHealth {
    /// `working`; `degraded` while a configured Redis cannot be used as it should; `memory-only` where none is configured.
    pub(crate) status: &'static str,
    /// `redis` or `memory`.
    pub(crate) backend: &'static str,
    /// Whether Redis answered.
    pub(crate) connected: bool,
    /// How long Redis took to answer a PING.
    pub(crate) latency_ms: Option<f64>,
    /// How long before this request Redis was asked: at most 500, and 0 if it was asked for this request. `null` if none is
    /// configured.
    pub(crate) age_ms: Option<f64>,
    /// Why the status is `degraded`, and what to do; empty for every other status.
    pub(crate) reasons: Vec<Reason>,
}

impl CacheHealth {
    /// `reasons` is `Reason::public` or `Reason::detailed`; only the latter keeps the details of the reasons.
    pub(crate) fn of(
        cache: &Cache,
        redis: &RedisAnswer<RedisInfo>,
        age: Duration,
        reasons: fn(Vec<health::Reason>) -> Vec<Reason>,
    ) -> Self {
        // One call returns state and reasons, so that both describe the same instant.
        let now = cache.health_report();
        let told = match redis {
            RedisAnswer::Value(info) => Some(info),
            _ => None,
        };
        Self {
            status: now.state.as_str(),
            backend: if now.state == Health::Working { "redis" } else { "memory" },
            connected: told.is_some(),
            latency_ms: told.map(|info| milliseconds(info.latency)),
            age_ms: (*redis != RedisAnswer::NotConfigured).then(|| milliseconds(age)),
            reasons: reasons(now.reasons),
        }
    }
}

/// Rounds to two decimals.
pub(crate) fn rounded(percent: f64) -> f64 {
    (100.0 * percent).round() / 100.0
}

/// This process's memory tier.
#[derive(Serialize, ToSchema)]
pub(crate) struct Memory {
    /// What the entries take in memory, with all that belongs to them, as counted against the budget.
    bytes: u64,
    /// Entries that were evicted since the start, because memory was full.
    evictions: u64,
}

impl From<&Cache> for Memory {
    fn from(cache: &Cache) -> Self {
        Self { bytes: cache.memory_bytes(), evictions: cache.evictions() }
    }
}

/// The complete Redis server: all its databases and applications.
#[derive(Serialize, ToSchema)]
pub(crate) struct RedisServer {
    version: String,
    mode: String,
    uptime_seconds: u64,
    used_memory_bytes: u64,
    used_memory_peak_bytes: u64,
    memory_fragmentation_ratio: f64,
    connected_clients: u64,
    total_connections_received: u64,
    total_commands_processed: u64,
    keyspace_hits: u64,
    keyspace_misses: u64,
    /// The share of hits among all reads of keys, as this server counts them for all its clients.
    keyspace_hit_rate_percent: f64,
}

impl From<RedisInfo> for RedisServer {
    fn from(info: RedisInfo) -> Self {
        let keyspace_hit_rate_percent = rounded(info.hit_rate_percent());
        Self {
            version: info.version,
            mode: info.mode,
            uptime_seconds: info.uptime.as_secs(),
            used_memory_bytes: info.used_memory_bytes,
            used_memory_peak_bytes: info.used_memory_peak_bytes,
            memory_fragmentation_ratio: info.fragmentation_ratio,
            connected_clients: info.connected_clients,
            total_connections_received: info.connections_received,
            total_commands_processed: info.commands_processed,
            keyspace_hits: info.keyspace_hits,
            keyspace_misses: info.keyspace_misses,
            keyspace_hit_rate_percent,
        }
    }
}

/// How far answers can be behind the database.
#[derive(Serialize, ToSchema)]
pub(crate) struct Staleness {
    /// The staleness bound: no bounded read is further behind a committed write than this.
    bound_ms: f64,
    /// For how long the guard lets copies be served if it certifies nothing more; 0 while it certifies nothing, and then
    /// reads run their loaders. `bound_ms` minus this is the age of the last certificate. `null` without a guard.
    certified_for_ms: Option<f64>,
    /// Keys whose invalidation has not reached Redis, 100,000 if all entries have to be dropped there; `null` without Redis.
    unsent_invalidations: Option<usize>,
}

impl From<&Cache> for Staleness {
    fn from(cache: &Cache) -> Self {
        Self {
            bound_ms: milliseconds(cache.staleness_bound()),
            certified_for_ms: cache.certified_for().map(milliseconds),
            unsent_invalidations: cache.unsent_invalidations(),
        }
    }
}

/// Entries of each class, by tier.
#[derive(Serialize, ToSchema)]
pub(crate) struct EntryCounts {
    /// In this process's memory.
    memory: BTreeMap<String, u64>,
    /// In Redis, of all instances; `null` if there is no Redis or it does not answer.
    redis: Option<BTreeMap<String, u64>>,
    /// Whether all keys in Redis were counted; a count that takes too long is ended early.
    redis_is_whole: bool,
}

impl From<KeyCounts> for EntryCounts {
    fn from(counts: KeyCounts) -> Self {
        let redis = counts.redis.value();
        Self {
            memory: counts.memory,
            redis_is_whole: redis.as_ref().is_some_and(|keys| keys.is_complete),
            redis: redis.map(|keys| keys.by_class),
        }
    }
}

/// The health with all its figures.
#[derive(Serialize, ToSchema)]
pub(crate) struct DetailedHealth {
    pub(crate) timestamp: Timestamp,
    #[serde(flatten)]
    pub(crate) health: CacheHealth,
    pub(crate) staleness: Staleness,
    pub(crate) memory: Memory,
    /// Redis's own figures; `null` if there is no Redis or it does not answer.
    pub(crate) redis: Option<RedisServer>,
    pub(crate) entries: EntryCounts,
}

/// What larder counted on this instance. Redis's own counts differ, because a hit in memory never reaches Redis.
#[derive(Serialize, ToSchema)]
#[schema(as = Lookups)]
pub(crate) struct LookupsView {
    hits: u64,
    misses: u64,
    hit_rate_percent: f64,
    total_lookups: u64,
    invalidations: u64,
}

impl From<&Stats> for LookupsView {
    fn from(stats: &Stats) -> Self {
        let Lookups { hits, misses, hit_rate_percent, total_lookups, invalidations } = stats.into();
        Self { hits, misses, hit_rate_percent, total_lookups, invalidations }
    }
}

/// How long loads took, in milliseconds.
#[derive(Serialize, ToSchema)]
pub(crate) struct LoadTimes {
    count: u64,
    mean_ms: f64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

/// One class on this instance.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClassStats {
    name: String,
    enabled: bool,
    lookups: LookupsView,
    /// All counts by name: hits by tier, joins, loads, refused fills, …
    counts: BTreeMap<&'static str, u64>,
    loads: LoadTimes,
}

impl From<ClassReport> for ClassStats {
    fn from(report: ClassReport) -> Self {
        let times = report.load_times;
        Self {
            name: report.name,
            enabled: report.is_enabled,
            lookups: LookupsView::from(&report.stats),
            counts: report.stats.named().collect(),
            loads: LoadTimes {
                count: times.count,
                mean_ms: milliseconds(times.mean),
                p50_ms: milliseconds(times.p50),
                p99_ms: milliseconds(times.p99),
                max_ms: milliseconds(times.max),
            },
        }
    }
}

/// The counts of this instance and those of Redis, each with its own label.
#[derive(Serialize, ToSchema)]
pub(crate) struct CacheStats {
    /// All classes together, on this instance.
    application: LookupsView,
    /// All counts by name, of all classes together: hits by tier, joins, loads, refused fills, …
    counts: BTreeMap<&'static str, u64>,
    /// Episodes in which the cache was degraded since the start, by cause. A cause without an episode is left out.
    troubles: BTreeMap<&'static str, u64>,
    staleness: Staleness,
    /// What the auditor of this instance has measured; `null` if there is none.
    auditor: Option<AuditorView>,
    memory: Memory,
    /// Redis's own figures; `null` if there is no Redis or it does not answer.
    server: Option<RedisServer>,
    classes: Vec<ClassStats>,
}

impl CacheStats {
    pub(crate) fn of(cache: &Cache, redis: RedisAnswer<RedisInfo>) -> Self {
        let stats: Stats = cache.stats();
        Self {
            application: LookupsView::from(&stats),
            counts: stats.named().collect(),
            troubles: troubles(cache),
            staleness: Staleness::from(cache),
            auditor: cache.audit().map(AuditorView::from),
            memory: Memory::from(cache),
            server: redis.value().map(RedisServer::from),
            classes: cache.classes().into_iter().map(ClassStats::from).collect(),
        }
    }
}

/// What was dropped, and whether the invalidation reached every tier.
#[derive(Serialize, ToSchema)]
pub(crate) struct Dropped {
    /// `user`, `class`, `pattern`, `everything`, …
    pub(crate) what: &'static str,
    /// Entries dropped by name.
    keys: usize,
    /// Tags dropped, each with all its entries.
    tags: usize,
    /// Patterns whose entries were searched and dropped.
    patterns: usize,
    /// `sent`: it reached every tier; `queued`: it reached this process, and reaches Redis before Redis is used again.
    delivery: String,
    /// Whether the database's journal holds the invalidation, so that no crash can lose it.
    journalled: bool,
}

impl Dropped {
    pub(crate) fn of(what: &'static str, receipt: Receipt) -> Self {
        Self {
            what,
            keys: receipt.keys(),
            tags: receipt.tags(),
            patterns: receipt.patterns(),
            delivery: receipt.delivery().to_string(),
            journalled: receipt.is_journalled(),
        }
    }
}

/// One entry's key.
#[derive(Serialize, ToSchema)]
pub(crate) struct Entry {
    /// `class:part:part`, as patterns read it.
    text: String,
    class: String,
    /// The parts of the entry's key, as `cache/explain` takes them; `null` is a missing part.
    key: Vec<Option<String>>,
    in_memory: bool,
    in_redis: bool,
}

/// A page of entries.
#[derive(Serialize, ToSchema)]
pub(crate) struct Entries {
    items: Vec<Entry>,
    /// The cursor of the next page; `null` after the last page. A page can be empty without being the last.
    next_cursor: Option<String>,
    /// Whether Redis did not answer. If so, its entries may be missing.
    redis_is_away: bool,
}

impl From<KeyPage> for Entries {
    fn from(page: KeyPage) -> Self {
        let items = page.keys.into_iter().filter_map(|key| {
            let Touch::Entry { class, parts } = key.touch else { return None };
            Some(Entry {
                text: key.text,
                class,
                key: parts,
                in_memory: key.is_in_memory,
                in_redis: key.is_in_redis,
            })
        });
        Self { items: items.collect(), next_cursor: page.next, redis_is_away: page.is_redis_away }
    }
}
