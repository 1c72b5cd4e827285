//! The caches that are compared, each as an application would use it: look up, and insert after a miss.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::Result;
use foyer_memory::{EvictionConfig, LfuConfig, LruConfig};
use larder::cache::Cache;
use larder::class::Class;
use larder::policy::Policy;

#[derive(Clone, Copy)]
pub(crate) enum CacheKind {
    /// larder, with the smallest entries there are.
    Larder,
    /// larder, with entries that say to weigh a kibibyte more.
    LarderKib,
    /// quick_cache with a sixteenth fewer entries: larder's memory is quick_cache, with this room for entries.
    SmallerQuickCache,
    QuickCache,
    Moka,
    /// foyer's default, LRU.
    Foyer,
    /// foyer with the policy that moka has, W-TinyLFU.
    FoyerLfu,
}

impl CacheKind {
    pub(crate) const ALL: [CacheKind; 7] = [
        CacheKind::Larder,
        CacheKind::LarderKib,
        CacheKind::SmallerQuickCache,
        CacheKind::QuickCache,
        CacheKind::Moka,
        CacheKind::Foyer,
        CacheKind::FoyerLfu,
    ];

    /// The heading of its column.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            CacheKind::Larder => "larder",
            CacheKind::LarderKib => "larder, 1 KiB",
            CacheKind::SmallerQuickCache => "quick_cache, a sixteenth less",
            CacheKind::QuickCache => "quick_cache",
            CacheKind::Moka => "moka",
            CacheKind::Foyer => "foyer (LRU)",
            CacheKind::FoyerLfu => "foyer (LFU)",
        }
    }
}

/// How many of `requests` a cache with room for `capacity` entries answers.
pub(crate) async fn hits(kind: CacheKind, capacity: u64, requests: &[u64]) -> Result<usize> {
    Ok(match kind {
        CacheKind::Larder => hits_of_larder(capacity, size_of::<u64>() as u64, requests).await?,
        CacheKind::LarderKib => hits_of_larder(capacity, 1 << 10, requests).await?,
        CacheKind::SmallerQuickCache => hits_of_quick_cache(capacity - capacity / 16, requests)?,
        CacheKind::QuickCache => hits_of_quick_cache(capacity, requests)?,
        CacheKind::Moka => {
            let cache = moka::sync::Cache::new(capacity);
            count(requests, |key| cache.get(&key).is_some(), |key| cache.insert(key, key))
        }
        CacheKind::Foyer => hits_of_foyer(capacity, LruConfig::default().into(), requests)?,
        CacheKind::FoyerLfu => hits_of_foyer(capacity, LfuConfig::default().into(), requests)?,
    })
}

fn hits_of_quick_cache(capacity: u64, requests: &[u64]) -> Result<usize> {
    let cache = quick_cache::sync::Cache::new(usize::try_from(capacity)?);
    Ok(count(requests, |key| cache.get(&key).is_some(), |key| cache.insert(key, key)))
}

fn hits_of_foyer(capacity: u64, policy: EvictionConfig, requests: &[u64]) -> Result<usize> {
    let cache: foyer_memory::Cache<u64, u64> =
        foyer_memory::Cache::builder(usize::try_from(capacity)?).with_eviction_config(policy).build();
    Ok(count(requests, |key| cache.get(&key).is_some(), |key| drop(cache.insert(key, key))))
}

fn count(requests: &[u64], find: impl Fn(u64) -> bool, insert: impl Fn(u64)) -> usize {
    let is_hit = |key: &&u64| {
        let is_hit = find(**key);
        if !is_hit {
            insert(**key);
        }
        is_hit
    };
    requests.iter().filter(is_hit).count()
}

/// larder's budget is in bytes, so its room is as many bytes as so many entries weigh, whose values weigh `value_bytes`.
async fn hits_of_larder(capacity: u64, value_bytes: u64, requests: &[u64]) -> Result<usize> {
    const SAMPLE: u64 = 1_000;
    let (cache, class) = open(64 << 20, value_bytes).await?;
    let empty = cache.memory_bytes();
    for key in 0..SAMPLE {
        read(&class, key).await?;
    }
    let weight = (cache.memory_bytes() - empty) / SAMPLE;
    let (_cache, class) = open(weight * capacity, value_bytes).await?;
    for key in requests {
        read(&class, *key).await?;
    }
    Ok(usize::try_from(class.stats().memory_hits)?)
}

async fn open(budget: u64, value_bytes: u64) -> Result<(Cache, Class<u64, u64>)> {
    let cache = Cache::builder("hits").memory_bytes(budget).build().await?;
    let policy = Policy::ttl(Duration::from_hours(24));
    let class = cache.class("values").policy(policy).memory_of(move |_| value_bytes).open()?;
    Ok((cache, class))
}

async fn read(class: &Class<u64, u64>, key: u64) -> Result<()> {
    class.get_or_load(&key, move || async move { Ok::<_, Infallible>(key) }).await?;
    Ok(())
}
