//! The figures of the service, its cache and its Redis at a scrape.

use larder::cache::{Cache, Health};
use larder::introspection::server::RedisInfo;
use larder::introspection::{ClassReport, RedisAnswer};
use larder::stats::Stats;

use crate::api::metrics::exposition::Exposition;
use crate::store::Store;

/// Reads one count from those of a class.
type Count = fn(&Stats) -> u64;

/// What each class counts besides its hits: the metric, its help text, and how its value is read.
const COUNTS: [(&str, &str, Count); 14] = [
    (
        "larder_cache_misses_total",
        "Reads that called the loader, or had none and found nothing.",
        Stats::misses,
    ),
    ("larder_cache_loads_total", "Loads begun, and values that were put.", |stats| stats.loads),
    ("larder_cache_load_failures_total", "Loads that failed or timed out.", |stats| stats.load_failures),
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
        "larder_cache_bypasses_total",
        "Reads that no tier answered or stored: caching was off, or the read ran inside a load.",
        |stats| stats.bypasses,
    ),
    ("larder_cache_lease_waits_total", "Looked again because another instance was loading.", |stats| {
        stats.lease_waits
    }),
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
        "larder_cache_too_large_total",
        "Loaded values that were not stored: they are larger than the class allows.",
        |stats| stats.too_large,
    ),
];

/// What each class counts as a hit, by the label `tier`.
const HITS: [(&str, Count); 3] = [
    ("memory", |stats| stats.memory_hits),
    ("redis", |stats| stats.redis_hits),
    ("joined", |stats| stats.joins),
];

pub(super) fn of_the_service(text: &mut Exposition, store: &Store) {
    text.gauge("larder_build_info", "Always 1; its label is the version that runs.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    text.counter(
        "larder_database_statements_total",
        "Statements that requests and loads ran, without BEGIN and COMMIT.",
    )
    .sample(&[], store.statements());
}

pub(super) fn of_the_cache(text: &mut Exposition, cache: &Cache) {
    let now = cache.health();
    let mut health =
        text.gauge("larder_cache_health", "1 for the present state: working, degraded or memory-only.");
    for state in Health::ALL {
        health.sample(&[("state", state.as_str())], u8::from(state == now));
    }
    of_its_troubles(text, cache);
    text.gauge(
        "larder_cache_memory_bytes",
        "Keys and encoded values in memory, with a flat charge for bookkeeping.",
    )
    .sample(&[], cache.memory_bytes());
    text.counter("larder_cache_evictions_total", "Entries that were evicted because memory was full.")
        .sample(&[], cache.evictions());
}

/// Every cause that can occur here has its samples, so that an alert finds them before the first episode.
fn of_its_troubles(text: &mut Exposition, cache: &Cache) {
    let counts = cache.trouble_counts();
    if counts.is_empty() {
        return;
    }
    let reasons = cache.health_report().reasons;
    let mut present =
        text.gauge("larder_cache_trouble", "Whether the cache is degraded for this cause just now.");
    for count in &counts {
        let is_present = reasons.iter().any(|reason| reason.trouble == count.trouble);
        present.sample(&[("cause", count.trouble.as_str())], u8::from(is_present));
    }
    let mut episodes = text.counter(
        "larder_cache_trouble_episodes_total",
        "Episodes in which the cache was degraded for this cause since the start.",
    );
    for count in &counts {
        episodes.sample(&[("cause", count.trouble.as_str())], count.episodes);
    }
}

pub(super) fn of_the_classes(text: &mut Exposition, classes: &[ClassReport]) {
    let mut enabled = text.gauge("larder_cache_class_enabled", "Whether the class caches on this instance.");
    for class in classes {
        enabled.sample(&[("class", &class.name)], u8::from(class.is_enabled));
    }
    let mut hits = text.counter(
        "larder_cache_hits_total",
        "Reads that larder answered from memory, from Redis, or by joining another read's load.",
    );
    for class in classes {
        for (tier, count) in HITS {
            hits.sample(&[("class", &class.name), ("tier", tier)], count(&class.stats));
        }
    }
    for (family, help, count) in COUNTS {
        let mut family = text.counter(family, help);
        for class in classes {
            family.sample(&[("class", &class.name)], count(&class.stats));
        }
    }
    let mut loads = text.summary(
        "larder_cache_load_duration_seconds",
        "How long loads took since the start; quantile 1 is the longest.",
    );
    for ClassReport { name, load_times: times, .. } in classes {
        for (quantile, took) in [("0.5", times.p50), ("0.99", times.p99), ("1", times.max)] {
            loads.sample(&[("class", name), ("quantile", quantile)], took.as_secs_f64());
        }
        loads.sum(&[("class", name)], times.total.as_secs_f64());
        loads.count(&[("class", name)], times.count);
    }
}

/// The complete server as it counts itself: all its databases and applications. Writes nothing if no Redis is configured.
pub(super) fn of_redis(text: &mut Exposition, redis: RedisAnswer<RedisInfo>) {
    if redis == RedisAnswer::NotConfigured {
        return;
    }
    let told = redis.value();
    text.gauge("larder_redis_up", "Whether Redis answered just now.").sample(&[], u8::from(told.is_some()));
    let Some(info) = told else { return };
    text.gauge("larder_redis_ping_seconds", "How long it took to answer a PING.")
        .sample(&[], info.latency.as_secs_f64());
    text.gauge("larder_redis_memory_used_bytes", "Memory that the Redis server uses.")
        .sample(&[], info.used_memory_bytes);
    text.gauge("larder_redis_connected_clients", "Connections to the Redis server, of all its clients.")
        .sample(&[], info.connected_clients);
    text.counter(
        "larder_redis_keyspace_hits_total",
        "Reads of keys that existed, as the Redis server counts for all its clients.",
    )
    .sample(&[], info.keyspace_hits);
    text.counter(
        "larder_redis_keyspace_misses_total",
        "Reads of keys that did not exist, as the Redis server counts for all its clients.",
    )
    .sample(&[], info.keyspace_misses);
}
