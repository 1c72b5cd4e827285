//! Hits in memory, and misses without Redis: larder beside quick_cache, on which its memory is built, moka and foyer.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use larder::tuning::Tuning;
use larder::{Cache, Class, Policy};
use larder_testbed::Redis;

use crate::speed::Subject;

/// The most keys that are read. A run of fewer reads has as many keys as reads.
const KEYS_MAX: u64 = 10_000;
const VALUE_BYTES: usize = 600;

/// The keys in the order in which they are read, which has no pattern.
fn order(keys: u64) -> Arc<[u64]> {
    // A prime that does not divide the number of keys: each key comes once.
    (0..keys).map(|nth| nth * 7_919 % keys).collect()
}

fn value() -> String {
    "v".repeat(VALUE_BYTES)
}

/// A key of 36 bytes, as a UUID's text is.
fn text(key: u64) -> String {
    format!("{key:08}-0000-4000-8000-{key:012}")
}

async fn load() -> Result<String, Infallible> {
    Ok(value())
}

/// Reads `times` keys by `read`, which answers at once. Returns the time of a read, in nanoseconds.
macro_rules! time {
    ($keys:expr, $times:expr, |$key:ident| $read:expr) => {{
        let keys = $keys;
        let began = Instant::now();
        for nth in 0..$times {
            let $key = &keys[nth as usize % keys.len()];
            std::hint::black_box($read);
        }
        began.elapsed().as_nanos() as f64 / $times as f64
    }};
}

async fn open(
    builder: larder::Builder,
    keys: u64,
) -> Result<(Cache, Class<u64, String>, Class<str, String>)> {
    let cache = builder.memory_bytes(256 << 20).build().await?;
    let policy = Policy::ttl(Duration::from_hours(24));
    let numbers: Class<u64, String> = cache.class("numbers").policy(policy).open()?;
    let texts: Class<str, String> = cache.class("texts").policy(policy).open()?;
    for key in 0..keys {
        // The first read loads into Redis. The second one inserts the value into memory.
        for _ in 0..2 {
            numbers.get_or_load(&key, load).await?;
            texts.get_or_load(&text(key), load).await?;
        }
    }
    for class in [numbers.stats(), texts.stats()] {
        ensure!(class.loads == keys, "each key is loaded once: {class:?}");
    }
    Ok((cache, numbers, texts))
}

/// Everything that is measured. `redis` is there while a subject needs it.
pub(crate) async fn subjects(redis: &Redis, times: u64) -> Result<Vec<Subject>> {
    let keys = order(times.min(KEYS_MAX));
    let texts: Arc<[String]> = keys.iter().map(|key| text(*key)).collect();
    let mut subjects = hits(&keys, redis).await?;
    subjects.extend(hits_by_text(&texts).await?);
    subjects.extend(audited_hits(&keys).await?);
    subjects.extend(tuned_hits(&keys).await?);
    subjects.extend(hits_of_two_threads(&keys).await?);
    subjects.push(misses().await?);
    Ok(subjects)
}

async fn hits(keys: &Arc<[u64]>, redis: &Redis) -> Result<Vec<Subject>> {
    let count = keys.len() as u64;
    const HIT: &str = "hit, u64 key";
    let quick = Arc::new(quick_cache::sync::Cache::<u64, Arc<String>>::new(2 * count as usize));
    let moka = moka::sync::Cache::<u64, Arc<String>>::new(2 * count);
    let foyer: foyer_memory::Cache<u64, Arc<String>> =
        foyer_memory::Cache::builder(2 * count as usize).build();
    for key in 0..count {
        quick.insert(key, Arc::new(value()));
        moka.insert(key, Arc::new(value()));
        drop(foyer.insert(key, Arc::new(value())));
    }
    let (alone, in_memory, _) = open(Cache::builder("alone"), count).await?;
    let (shared, beside_redis, _) =
        open(Cache::builder("shared").redis(redis.url()).installation("bench"), count).await?;
    let all = || keys.clone();
    let (of_quick, of_moka, of_foyer) = (all(), all(), all());
    let (of_get, of_load, of_shared) = (all(), all(), all());
    let loading = in_memory.clone();
    Ok(vec![
        Subject::new(HIT, "quick_cache", move |times| {
            let nanos = time!(&of_quick, times, |key| quick.get(key).is_some());
            async move { Ok(nanos) }
        }),
        Subject::new(HIT, "moka (sync)", move |times| {
            let nanos = time!(&of_moka, times, |key| moka.get(key).is_some());
            async move { Ok(nanos) }
        }),
        Subject::new(HIT, "foyer", move |times| {
            let nanos = time!(&of_foyer, times, |key| foyer.get(key).is_some());
            async move { Ok(nanos) }
        }),
        Subject::new(HIT, "larder `get`", move |times| {
            let (class, keys, cache) = (in_memory.clone(), of_get.clone(), alone.clone());
            async move {
                let nanos = time!(&keys, times, |key| class.get(key).await.is_hit());
                drop(cache);
                Ok(nanos)
            }
        }),
        Subject::new(HIT, "larder `get_or_load`", move |times| {
            let (class, keys) = (loading.clone(), of_load.clone());
            async move { Ok(time!(&keys, times, |key| class.get_or_load(key, load).await?.is_some())) }
        }),
        Subject::new(HIT, "larder `get`, Redis behind", move |times| {
            let (class, keys, cache) = (beside_redis.clone(), of_shared.clone(), shared.clone());
            async move {
                let nanos = time!(&keys, times, |key| class.get(key).await.is_hit());
                drop(cache);
                Ok(nanos)
            }
        }),
    ])
}

async fn hits_by_text(texts: &Arc<[String]>) -> Result<Vec<Subject>> {
    let count = texts.len() as u64;
    const HIT: &str = "hit, key of 36 bytes";
    let quick = Arc::new(quick_cache::sync::Cache::<String, Arc<String>>::new(2 * count as usize));
    texts.iter().for_each(|key| quick.insert(key.clone(), Arc::new(value())));
    let (cache, _, class) = open(Cache::builder("texts"), count).await?;
    let (of_quick, of_larder) = (texts.clone(), texts.clone());
    Ok(vec![
        Subject::new(HIT, "quick_cache", move |times| {
            let nanos = time!(&of_quick, times, |key| quick.get(key.as_str()).is_some());
            async move { Ok(nanos) }
        }),
        Subject::new(HIT, "larder `get`", move |times| {
            let (class, keys, cache) = (class.clone(), of_larder.clone(), cache.clone());
            async move {
                let nanos = time!(&keys, times, |key| class.get(key.as_str()).await.is_hit());
                drop(cache);
                Ok(nanos)
            }
        }),
    ])
}

/// The floor has no auditor. The others draw far more hits than they have checked, as a busy service does.
async fn audited_hits(keys: &Arc<[u64]>) -> Result<Vec<Subject>> {
    const HIT: &str = "hit by `get_or_load`, u64 key";
    let mut subjects = Vec::new();
    for (name, rate) in
        [("larder, no auditor", 0.0), ("larder, 0.1 % audited", 0.001), ("larder, 1 % audited", 0.01)]
    {
        let (cache, class, _) = open(Cache::builder("audited").audit_rate(rate), keys.len() as u64).await?;
        let keys = keys.clone();
        subjects.push(Subject::new(HIT, name, move |times| {
            let (class, keys, cache) = (class.clone(), keys.clone(), cache.clone());
            async move {
                let nanos = time!(&keys, times, |key| class.get_or_load(key, load).await?.is_some());
                drop(cache);
                Ok(nanos)
            }
        }));
    }
    Ok(subjects)
}

/// The floor has no tuning. At this rate of hits, most samples are dropped.
async fn tuned_hits(keys: &Arc<[u64]>) -> Result<Vec<Subject>> {
    const HIT: &str = "hit by `get`, with tuning";
    let mut subjects = Vec::new();
    for (name, tuning) in [("larder, no tuning", Tuning::off()), ("larder, tuning", Tuning::apply())] {
        let (cache, class, _) = open(Cache::builder("tuned").tuning(tuning), keys.len() as u64).await?;
        let keys = keys.clone();
        subjects.push(Subject::new(HIT, name, move |times| {
            let (class, keys, cache) = (class.clone(), keys.clone(), cache.clone());
            async move {
                let nanos = time!(&keys, times, |key| class.get(key).await.is_hit());
                drop(cache);
                Ok(nanos)
            }
        }));
    }
    Ok(subjects)
}

/// Runs `reading` in two tasks, each on a thread of its own. Returns the mean of what both measured.
async fn by_two<F: Future<Output = f64> + Send + 'static>(reading: impl Fn() -> F) -> Result<f64> {
    let (one, other) = (tokio::spawn(reading()), tokio::spawn(reading()));
    Ok(f64::midpoint(one.await?, other.await?))
}

async fn hits_of_two_threads(keys: &Arc<[u64]>) -> Result<Vec<Subject>> {
    let count = keys.len() as u64;
    const HIT: &str = "hit, u64 key, two threads";
    const HOT: &str = "hit of one key by two threads";
    let quick = Arc::new(quick_cache::sync::Cache::<u64, Arc<String>>::new(2 * count as usize));
    (0..count).for_each(|key| quick.insert(key, Arc::new(value())));
    let (cache, class, _) = open(Cache::builder("threads"), count).await?;
    let hot: Arc<[u64]> = vec![1; count as usize].into();
    let of_quick = |work, keys: Arc<[u64]>| {
        let quick = quick.clone();
        Subject::new(work, "quick_cache", move |times| {
            let (quick, keys) = (quick.clone(), keys.clone());
            by_two(move || {
                let (quick, keys) = (quick.clone(), keys.clone());
                async move { time!(&keys, times, |key| quick.get(key).is_some()) }
            })
        })
    };
    let of_larder = |work, keys: Arc<[u64]>| {
        let (class, cache) = (class.clone(), cache.clone());
        Subject::new(work, "larder `get`", move |times| {
            let (class, keys, _cache) = (class.clone(), keys.clone(), cache.clone());
            by_two(move || {
                let (class, keys) = (class.clone(), keys.clone());
                async move { time!(&keys, times, |key| class.get(key).await.is_hit()) }
            })
        })
    };
    Ok(vec![
        of_quick(HIT, keys.clone()),
        of_larder(HIT, keys.clone()),
        of_quick(HOT, hot.clone()),
        of_larder(HOT, hot),
    ])
}

/// A miss whose loader answers at once. Few of them, because each needs a key that was never read.
async fn misses() -> Result<Subject> {
    let cache = Cache::builder("misses").memory_bytes(64 << 20).build().await?;
    let class: Class<u64, String> =
        cache.class("values").policy(Policy::ttl(Duration::from_hours(24))).open()?;
    let next = Arc::new(AtomicU64::new(0));
    Ok(Subject::new("miss with load, memory alone", "larder", move |times| {
        let (class, cache, next) = (class.clone(), cache.clone(), next.clone());
        async move {
            let times = times.div_ceil(20);
            let began = Instant::now();
            for _ in 0..times {
                class.get_or_load(&next.fetch_add(1, Ordering::Relaxed), load).await?;
            }
            drop(cache);
            Ok(began.elapsed().as_nanos() as f64 / times as f64)
        }
    }))
}
