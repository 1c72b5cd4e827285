//! Lists the entries page by page, and counts them.

use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::cache::Cache;
use crate::engine::{Engine, SharedTier};
use crate::error::Error;
use crate::introspection::RedisAnswer;
use crate::journal::Touch;
use crate::pattern::Pattern;
use crate::remote::Fault;

/// The maximal number of keys of one page.
const LIMIT_MAX: usize = 1_000;
/// The most SCANs for one page. If few keys match, a page ends before it is full, and the search takes many pages.
const STEPS: usize = 10;
/// How many keys Redis visits in one SCAN, when the keys are counted.
const COUNT: usize = 1_000;
/// How long one call can search Redis, for a count or a page.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(2);

/// An entry's key, and which tiers hold something under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedKey {
    /// The touch that names the entry; [`Cache::explain`] takes it.
    pub touch: Touch,
    /// The entry's text, which patterns match: `class:part:part`. `~` is a missing part.
    pub text: String,
    /// Whether this process's memory holds a copy, valid or not.
    pub is_in_memory: bool,
    /// Whether Redis has the key: with an entry, valid or not, a lease, a permit, or the anchor of a memory-only class.
    pub is_in_redis: bool,
}

/// A page of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPage {
    /// The keys, in no particular order.
    pub keys: Vec<ListedKey>,
    /// The cursor of the next page; `None` after the last page. A page can be empty without being the last one.
    pub next: Option<String>,
    /// Whether Redis did not answer for this page: its keys may be missing.
    pub is_redis_away: bool,
}

/// How many entries each class has, by its name. An expired entry, or one that was invalidated with a tag, counts until
/// the next read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCounts {
    /// In this process's memory.
    pub memory: BTreeMap<String, u64>,
    /// In Redis, stored by any instance.
    pub redis: RedisAnswer<RedisKeys>,
}

/// The entries that were counted in Redis. A key can count twice if Redis resizes its tables meanwhile. Leases, permits
/// and anchors count too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisKeys {
    /// The counts by the class's name.
    pub by_class: BTreeMap<String, u64>,
    /// Whether all keys were counted. With very many keys the count ends after 2 s.
    pub is_complete: bool,
}

/// Where a page begins.
enum Cursor {
    Redis(u64),
    /// In memory after this key, in the order of the keys' bytes.
    Memory(Bytes),
}

impl Cursor {
    fn parse(text: &str) -> Result<Self, Error> {
        let cursor = match text.split_at_checked(1) {
            Some(("r", rest)) => rest.parse().ok().map(Cursor::Redis),
            Some(("m", rest)) => Some(Cursor::Memory(Bytes::copy_from_slice(rest.as_bytes()))),
            _ => None,
        };
        cursor.ok_or_else(|| {
            Error::config(format!("cursor {text:?}: allowed is the `next` of a page before, or none"))
        })
    }

    fn memory() -> Self {
        Cursor::Memory(Bytes::new())
    }

    fn text(&self) -> String {
        match self {
            Cursor::Redis(cursor) => format!("r{cursor}"),
            Cursor::Memory(key) => format!("m{}", String::from_utf8_lossy(key)),
        }
    }
}

impl Cache {
    /// Lists about `limit` of the entries whose readable text matches `pattern` (see [`Cache::invalidate_matching`]),
    /// from `after`, the `next` of the page before. `limit` is clamped to 1 to 1,000. Each call does bounded work.
    ///
    /// An entry that exists during all calls is on some page. An entry that is stored or removed meanwhile can be
    /// missing, and an entry that Redis moves can be on two pages.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) for an empty pattern, or an `after` that is not the
    /// `next` of a page.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// let rooms = cache.class::<u32, String>("rooms").open()?;
    /// rooms.get_or_load(&7, || async { Ok::<_, std::io::Error>("sea view".to_owned()) }).await?;
    ///
    /// let mut after = None;
    /// loop {
    ///     let page = cache.keys("rooms:*", 100, after.as_deref()).await?;
    ///     page.keys.iter().for_each(|key| println!("{} (in memory: {})", key.text, key.is_in_memory));
    ///     after = page.next;
    ///     if after.is_none() {
    ///         break;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn keys(&self, pattern: &str, limit: usize, after: Option<&str>) -> Result<KeyPage, Error> {
        let pattern = Pattern::parse(pattern)?;
        let limit = limit.clamp(1, LIMIT_MAX);
        let cursor = match (after, &self.engine.shared) {
            (Some(after), _) => Cursor::parse(after)?,
            (None, Some(_)) => Cursor::Redis(0),
            (None, None) => Cursor::memory(),
        };
        Ok(match cursor {
            Cursor::Redis(cursor) => self.engine.page_of_redis(&pattern, limit, cursor).await,
            Cursor::Memory(after) => self.engine.page_of_memory(pattern, limit, after).await,
        })
    }

    /// Counts the entries of each class. The search in Redis takes up to 2 s, in small steps.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// let rooms = cache.class::<u32, String>("rooms").open()?;
    /// rooms.get_or_load(&7, || async { Ok::<_, std::io::Error>("sea view".to_owned()) }).await?;
    /// assert_eq!(cache.key_counts().await.memory["rooms"], 1);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn key_counts(&self) -> KeyCounts {
        let engine = &self.engine;
        let redis = engine.inspect(async |shared| engine.count_in_redis(shared).await).await;
        KeyCounts { memory: engine.clone().count_in_memory().await, redis }
    }
}

impl Engine {
    async fn page_of_redis(&self, pattern: &Pattern, limit: usize, cursor: u64) -> KeyPage {
        let answer = self.inspect(async |shared| self.search(shared, pattern, limit, cursor).await).await;
        let Some((found, cursor)) = answer.value() else {
            let next = Some(Cursor::memory().text());
            return KeyPage { keys: Vec::new(), next, is_redis_away: true };
        };
        let known = |key: Bytes| {
            let memory = self.local.copy(&key).is_some();
            self.known(&key, memory, true)
        };
        let next = if cursor == 0 { Cursor::memory() } else { Cursor::Redis(cursor) };
        let keys = found.into_iter().filter_map(known).collect();
        KeyPage { keys, next: Some(next.text()), is_redis_away: false }
    }

    /// Runs some steps of a search; returns the matches and the cursor of the next step.
    async fn search(
        &self,
        shared: &SharedTier,
        pattern: &Pattern,
        limit: usize,
        mut cursor: u64,
    ) -> Result<(Vec<Bytes>, u64), Fault> {
        let scanned = self.namespace.scan_pattern(pattern);
        let (began, mut found) = (Instant::now(), Vec::new());
        for _ in 0..STEPS {
            // Redis returns about as many keys as it visits, so asking for the rest keeps the page near `limit`.
            let count = limit.saturating_sub(found.len()).max(10);
            let (next, mut keys) = shared.inspect.scan(&scanned, cursor, count).await?;
            keys.retain(|key| self.namespace.matches_key(pattern, key));
            found.extend(keys);
            cursor = next;
            if cursor == 0 || found.len() >= limit || began.elapsed() > SEARCH_TIMEOUT {
                break;
            }
        }
        Ok((found, cursor))
    }

    /// The keys that are in memory and not in Redis: those in both tiers were on a page of Redis.
    async fn page_of_memory(self: &Arc<Self>, pattern: Pattern, limit: usize, after: Bytes) -> KeyPage {
        let engine = self.clone();
        let keys = blocking(move || {
            // Keeps the first `limit` keys in order; the heap's top is the greatest, which is removed first.
            let mut first = BinaryHeap::new();
            let meant = |key: &Bytes| *key > after && engine.namespace.matches_key(&pattern, key);
            for key in engine.local.cached_keys().filter(meant) {
                first.push(key);
                if first.len() > limit {
                    first.pop();
                }
            }
            first.into_sorted_vec()
        })
        .await;
        let next = (keys.len() == limit)
            .then(|| keys.last().map(|key| Cursor::Memory(key.clone()).text()))
            .flatten();
        let in_redis = self.inspect(async |shared| shared.inspect.exist(&keys).await).await;
        let is_redis_away = in_redis == RedisAnswer::Away;
        let in_redis = in_redis.value().unwrap_or_else(|| vec![false; keys.len()]);
        let only_here = keys.iter().zip(in_redis).filter(|(_, in_redis)| !in_redis);
        let keys = only_here.filter_map(|(key, _)| self.known(key, true, false)).collect();
        KeyPage { keys, next, is_redis_away }
    }

    fn known(&self, key: &[u8], memory: bool, redis: bool) -> Option<ListedKey> {
        let text = self.namespace.key_text(key)?;
        Some(ListedKey {
            touch: self.namespace.touch_of(key)?,
            text,
            is_in_memory: memory,
            is_in_redis: redis,
        })
    }

    async fn count_in_redis(&self, shared: &SharedTier) -> Result<RedisKeys, Fault> {
        let began = Instant::now();
        let pattern = self.namespace.pattern();
        let (mut counted, mut cursor) = (RedisKeys::default(), 0);
        loop {
            let (next, keys) = shared.inspect.scan(&pattern, cursor, COUNT).await?;
            keys.iter().for_each(|key| self.count_key(&mut counted.by_class, key));
            cursor = next;
            counted.is_complete = cursor == 0;
            if counted.is_complete || began.elapsed() > SEARCH_TIMEOUT {
                return Ok(counted);
            }
        }
    }

    async fn count_in_memory(self: Arc<Self>) -> BTreeMap<String, u64> {
        blocking(move || {
            let mut counts = BTreeMap::new();
            self.local.cached_keys().for_each(|key| self.count_key(&mut counts, &key));
            counts
        })
        .await
    }

    fn count_key(&self, counts: &mut BTreeMap<String, u64>, key: &[u8]) {
        if let Some(class) = self.namespace.class_of(key) {
            *counts.entry(class).or_default() += 1;
        }
    }
}

/// Runs `work` on a blocking thread, because it visits all of memory and would delay reads on a worker thread.
async fn blocking<T: Default + Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down.
            Err(_) => T::default(),
        },
    }
}
