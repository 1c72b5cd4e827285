//! The metrics: names, help texts, and how each value is read.

use larder::Cache;
use larder::audit::AuditReport;
use larder::cache::Health;
use larder::health::{HealthReport, TroubleCount};
use larder::introspection::server::RedisInfo;
use larder::introspection::{ClassReport, RedisAnswer};
use larder::stats::Stats;

use crate::auditors;
use crate::family::Kind::{Counter, Gauge, Summary};
use crate::family::{Families, Family, Kind};

pub(crate) type Redis = RedisAnswer<RedisInfo>;

/// What one cache exports.
pub(crate) struct Figures<'a> {
    /// The cache's name, if the process has several.
    name: Option<&'a str>,
    health: HealthReport,
    troubles: Vec<TroubleCount>,
    memory_bytes: u64,
    evictions: u64,
    unsent_invalidations: Option<usize>,
    failed_prunes: Option<u64>,
    audit: Option<AuditReport>,
    classes: Vec<ClassReport>,
    redis: Redis,
}

impl<'a> Figures<'a> {
    pub(crate) fn of(name: Option<&'a str>, cache: &Cache, redis: Redis) -> Self {
        Self {
            name,
            health: cache.health_report(),
            troubles: cache.trouble_counts(),
            memory_bytes: cache.memory_bytes(),
            evictions: cache.evictions(),
            unsent_invalidations: cache.unsent_invalidations(),
            failed_prunes: cache.failed_prunes(),
            audit: cache.audit(),
            classes: cache.classes(),
            redis,
        }
    }
}

/// Each family once, with the samples of all caches. A family without a sample is left out.
pub(crate) fn families(caches: &[Figures]) -> Vec<Family> {
    let mut families = Families::default();
    let audits = || caches.iter().filter_map(|cache| Some((cache.name, cache.audit.as_ref()?)));
    of_the_caches(&mut families, caches);
    auditors::add(&mut families, audits);
    of_the_classes(&mut families, caches);
    of_redis(&mut families, caches);
    families.with_samples()
}

/// Reads one count from the statistics of a class.
type Count = fn(&Stats) -> u64;

/// What each class counts besides its hits: the metric, its help text, and how its value is read.
const COUNTS: [(&str, &str, Count); 27] = [
    (
        "larder_cache_misses_total",
        "Reads that called the loader, or had none and found nothing.",
        Stats::misses,
    ),
    ("larder_cache_batches_total", "Calls of a loader for several keys.", |stats| stats.batches),
    ("larder_cache_loads_total", "Loads begun, and values that were put.", |stats| stats.loads),
    ("larder_cache_load_failures_total", "Loads that failed or timed out.", |stats| stats.load_failures),
    (
        "larder_cache_soft_timeouts_total",
        "Reads that got no answer in time while their load went on.",
        |stats| stats.soft_timeouts,
    ),
    (
        "larder_cache_invalidations_total",
        "Invalidations by this instance, by hand or with a write.",
        |stats| stats.invalidations,
    ),
    ("larder_cache_absent_hits_total", "Of the hits: the answer was that there is none.", |stats| {
        stats.absent_hits
    }),
    (
        "larder_cache_outage_hits_total",
        "Of the hits in memory: while Redis or the journal did not answer, by a copy younger than the bound.",
        |stats| stats.outage_hits,
    ),
    (
        "larder_cache_stale_hits_total",
        "Of the hits: the answer's TTL had ended, and it was being refreshed.",
        |stats| stats.stale_hits,
    ),
    (
        "larder_cache_stale_on_error_total",
        "Reads that got an answer whose TTL had ended, because its load failed or took too long.",
        |stats| stats.stale_on_error,
    ),
    (
        "larder_cache_refreshes_total",
        "Of the loads: those that replace an entry in the background.",
        |stats| stats.refreshes,
    ),
    (
        "larder_cache_redis_budgets_spent_total",
        "Requests that went on without Redis, because it took longer than their budget.",
        |stats| stats.budgets_spent,
    ),
    (
        "larder_cache_breaker_refusals_total",
        "Loads that did not begin because the class's loads had failed in a row.",
        |stats| stats.breaker_refusals,
    ),
    (
        "larder_cache_bypasses_total",
        "Reads that no tier answered or stored: caching was off, or the read ran inside a load.",
        |stats| stats.bypasses,
    ),
    (
        "larder_cache_lease_waits_total",
        "Waits for another instance's load. A read can wait several times.",
        |stats| stats.lease_waits,
    ),
    (
        "larder_cache_fills_refused_total",
        "Loaded values that were not stored: an invalidation overtook their load.",
        |stats| stats.fills_refused,
    ),
    (
        "larder_cache_loads_spoiled_total",
        "Loads whose value was not kept: they read inside an open transaction, or on a standby.",
        |stats| stats.loads_spoiled,
    ),
    (
        "larder_cache_inserts_refused_total",
        "Copies that memory did not keep: an invalidation overtook the read that returned them.",
        |stats| stats.inserts_refused,
    ),
    (
        "larder_cache_broken_frames_total",
        "Entries in Redis that did not prove to be of their class and key.",
        |stats| stats.broken_frames,
    ),
    (
        "larder_cache_not_carried_total",
        "Loaded values that were not stored: they are not equal after encoding and decoding.",
        |stats| stats.not_carried,
    ),
    (
        "larder_cache_other_codec_total",
        "Loaded values that the codec of their class does not carry: another one wrote them.",
        |stats| stats.other_codec,
    ),
    (
        "larder_cache_expired_total",
        "Loaded values that were not stored: they were too old when their load ended.",
        |stats| stats.expired,
    ),
    (
        "larder_cache_abandoned_stopped_total",
        "Loads that were stopped, because no read waited for them.",
        |stats| stats.abandoned_stopped,
    ),
    (
        "larder_cache_cut_total",
        "Requests for more than is allowed: a TTL or a version of a loader, the life of a permit.",
        |stats| stats.ttls_cut + stats.versions_dropped + stats.permits_cut,
    ),
    (
        "larder_cache_too_large_total",
        "Loaded values that were not stored: they are larger than the class allows.",
        |stats| stats.too_large,
    ),
    (
        "larder_cache_no_room_total",
        "Answers that memory did not keep: they take more than 1/32 of the memory budget.",
        |stats| stats.no_room,
    ),
    (
        "larder_cache_not_admitted_total",
        "Answers that memory did not keep: tuning admits a share of the class's values only.",
        |stats| stats.not_admitted,
    ),
];

/// What each class counts as a hit, by the label `tier`.
const HITS: [(&str, Count); 3] = [
    ("memory", |stats| stats.memory_hits),
    ("redis", |stats| stats.redis_hits),
    ("joined", |stats| stats.joins),
];

/// Reads one figure of a Redis server.
type RedisFigure = fn(&RedisInfo) -> f64;

/// What a Redis server reports of itself, for all its databases and clients together.
const REDIS: [(Kind, &str, &str, RedisFigure); 5] = [
    (Gauge, "larder_redis_ping_seconds", "How long it took to answer a PING.", |info| {
        info.latency.as_secs_f64()
    }),
    (Gauge, "larder_redis_memory_used_bytes", "Memory that the Redis server uses.", |info| {
        info.used_memory_bytes as f64
    }),
    (
        Gauge,
        "larder_redis_connected_clients",
        "Connections to the Redis server, of all its clients.",
        |info| info.connected_clients as f64,
    ),
    (
        Counter,
        "larder_redis_keyspace_hits_total",
        "Reads of keys that existed, as the Redis server counts for all its clients.",
        |info| info.keyspace_hits as f64,
    ),
    (
        Counter,
        "larder_redis_keyspace_misses_total",
        "Reads of keys that did not exist, as the Redis server counts for all its clients.",
        |info| info.keyspace_misses as f64,
    ),
];

fn of_the_caches(families: &mut Families, caches: &[Figures]) {
    let help = "1 for the present state: working, degraded or memory-only.";
    let health = families.family(Gauge, "larder_cache_health", help);
    for cache in caches {
        for state in Health::ALL {
            let is_present = state == cache.health.state;
            health.sample(cache.name, &[("state", state.as_str())], is_present);
        }
    }
    of_their_troubles(families, caches);
    let help = "Memory that the entries take, with all that belongs to them.";
    let memory = families.family(Gauge, "larder_cache_memory_bytes", help);
    for cache in caches {
        memory.sample(cache.name, &[], cache.memory_bytes);
    }
    let help = "Entries that were evicted because memory was full.";
    let evictions = families.family(Counter, "larder_cache_evictions_total", help);
    for cache in caches {
        evictions.sample(cache.name, &[], cache.evictions);
    }
    let help =
        "Keys whose invalidation has not reached Redis; 100000 if all entries have to be dropped there.";
    let unsent = families.family(Gauge, "larder_cache_unsent_invalidations", help);
    for cache in caches {
        if let Some(keys) = cache.unsent_invalidations {
            unsent.sample(cache.name, &[], keys as u64);
        }
    }
    let help = "Failed attempts to delete what the database's journal no longer needs.";
    let prunes = families.family(Counter, "larder_cache_prune_failures_total", help);
    for cache in caches {
        if let Some(failed) = cache.failed_prunes {
            prunes.sample(cache.name, &[], failed);
        }
    }
}

/// Writes samples for every cause that can occur in this process, so that an alert finds its series before the first
/// episode.
fn of_their_troubles(families: &mut Families, caches: &[Figures]) {
    let help = "Whether the cache is degraded for this cause just now.";
    let present = families.family(Gauge, "larder_cache_trouble", help);
    for cache in caches {
        for TroubleCount { trouble, .. } in &cache.troubles {
            let is_present = cache.health.reasons.iter().any(|reason| reason.trouble == *trouble);
            present.sample(cache.name, &[("cause", trouble.as_str())], is_present);
        }
    }
    let help = "Episodes in which the cache was degraded for this cause since the start.";
    let episodes = families.family(Counter, "larder_cache_trouble_episodes_total", help);
    for cache in caches {
        for count in &cache.troubles {
            episodes.sample(cache.name, &[("cause", count.trouble.as_str())], count.episodes);
        }
    }
}

fn of_the_classes(families: &mut Families, caches: &[Figures]) {
    let classes = || caches.iter().flat_map(|cache| cache.classes.iter().map(|class| (cache.name, class)));
    let help = "Whether the class caches on this instance.";
    let enabled = families.family(Gauge, "larder_cache_class_enabled", help);
    for (cache, class) in classes() {
        enabled.sample(cache, &[("class", &class.name)], class.is_enabled);
    }
    let help = "Whether the class's breaker is open: its loads have failed in a row.";
    let open = families.family(Gauge, "larder_cache_class_breaker_open", help);
    for (cache, class) in classes() {
        open.sample(cache, &[("class", &class.name)], class.is_breaker_open);
    }
    let help = "Reads that larder answered from memory, from Redis, or by joining another read's load.";
    let hits = families.family(Counter, "larder_cache_hits_total", help);
    for (cache, class) in classes() {
        for (tier, count) in HITS {
            hits.sample(cache, &[("class", &class.name), ("tier", tier)], count(&class.stats));
        }
    }
    for (name, help, count) in COUNTS {
        let family = families.family(Counter, name, help);
        for (cache, class) in classes() {
            family.sample(cache, &[("class", &class.name)], count(&class.stats));
        }
    }
    let help = "How long loads took since the start; quantile 1 is the longest.";
    let loads = families.family(Summary, "larder_cache_load_duration_seconds", help);
    for (cache, ClassReport { name, load_times: times, .. }) in classes() {
        for (quantile, took) in [("0.5", times.p50), ("0.99", times.p99), ("1", times.max)] {
            loads.sample(cache, &[("class", name), ("quantile", quantile)], took.as_secs_f64());
        }
        loads.part("_sum", cache, &[("class", name)], times.total.as_secs_f64());
        loads.part("_count", cache, &[("class", name)], times.count);
    }
}

fn of_redis(families: &mut Families, caches: &[Figures]) {
    let up = families.family(Gauge, "larder_redis_up", "Whether Redis answered just now.");
    for Figures { name, redis, .. } in caches {
        if *redis != RedisAnswer::NotConfigured {
            up.sample(*name, &[], matches!(redis, RedisAnswer::Value(_)));
        }
    }
    for (kind, metric, help, figure) in REDIS {
        let family = families.family(kind, metric, help);
        for Figures { name, redis, .. } in caches {
            if let RedisAnswer::Value(info) = redis {
                family.sample(*name, &[], figure(info));
            }
        }
    }
}
