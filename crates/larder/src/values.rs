//! Plain values of the user's own, which no loader brings: put, look, drop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use crate::cache::Cache;
use crate::class::Class;
use crate::codec::AnyValue;
use crate::engine::{ReadOutcome, Tags};
use crate::error::Error;
use crate::key::{Key, KeyBuf};
use crate::pattern::Pattern;
use crate::policy::Consistency;
use crate::receipt::{Delivery, Receipt};
use crate::source::Source;
use crate::stats::count;

/// How often a put tries again that found another's value where it was to put its own.
const ATTEMPTS: usize = 4;
/// How long a put waits for the journal to be followed. Beyond, the value may be dropped again by its own row.
const JOURNAL_POLL_TIMEOUT: Duration = Duration::from_millis(500);

/// What became of a [`Class::put`].
#[must_use = "a value may not have been stored, and a receipt may say `queued`"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutOutcome {
    /// Of the invalidation of what stood there before. A permit's put makes none.
    pub receipt: Receipt,
    /// Whether the value was stored. It is not when an invalidation or another put overtook it, when the class is switched
    /// off or its policy keeps nothing, when its permit is void or its time over, inside a load, or when it is too large or its
    /// codec does not carry it.
    pub is_stored: bool,
}

impl<K, V> Class<K, V>
where
    K: Key + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Puts a value that no row of the database stands behind, such as a preference or a token of another service. For one that
    /// is computed from the database draw a [`permit`](Class::permit) first: a write that is acknowledged while it is computed
    /// would not void this put, and its outdated value would stand.
    ///
    /// Puts `value` under `key`: whatever stood there is dropped everywhere, then the value is filled under a lease, as if a
    /// load had brought it. There is no blind `SET`, so no reader that is slower brings back what stood there before.
    ///
    /// - Once it returned with `sent`, no read on any instance that is `fresh`, and none on this one, returns what stood
    ///   there before.
    /// - Of two puts at once one value stays, on all instances the same, or none when each overtook the other.
    /// - While Redis is away (`queued`) the value stays in this process alone, for no longer than the staleness bound.
    /// - A cache forgets: the value ends with its TTL (five minutes unless the policy says otherwise), for want of room, or with
    ///   the Redis that held it. What must not be lost belongs in the database.
    /// - With a journal the drop is journalled first, and the journal followed at once; without Redis the value is this
    ///   process's, and others only drop theirs.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// let notes = cache.class::<str, String>("notes").open()?;
    /// assert!(notes.put("door", "closed".to_owned()).await.is_stored);
    /// assert_eq!(notes.get("door").await.as_deref().map(String::as_str), Some("closed"));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn put(&self, key: &K, value: V) -> PutOutcome {
        let (spelled, tags) = (self.key(key), self.tags(key));
        let value: AnyValue = Arc::new(value);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let receipt = self.invalidate(key).await;
            if receipt.is_journalled() && receipt.delivery() == Delivery::Sent {
                // Or else the journal would tell of this drop later, and take the value with it.
                self.engine.poll_journal(JOURNAL_POLL_TIMEOUT).await;
            }
            match self.fill(&spelled, &tags, &value).await {
                Some(is_stored) => return PutOutcome { receipt, is_stored },
                // Another's value was there, brought by a load or a put that began after the drop.
                None if attempt < ATTEMPTS => {}
                None => return PutOutcome { receipt, is_stored: false },
            }
        }
    }

    /// Fills by a flight of its own; `None` when another's value was there first.
    async fn fill(&self, key: &KeyBuf, tags: &Tags, value: &AnyValue) -> Option<bool> {
        let core = &self.core;
        let was_asked = AtomicBool::new(false);
        let load = || async {
            count(&core.common.counters.puts);
            was_asked.store(true, Ordering::Relaxed);
            Ok::<_, std::convert::Infallible>(Some(value.clone()))
        };
        // Fresh: it joins no flight that began before now, and memory, which has nothing, is not asked.
        let found = self.engine.read(core, key, || tags.clone(), Consistency::Fresh, load).await;
        match found {
            // The flight of another, which ended badly.
            Err(_) => None,
            Ok(ReadOutcome { source: source @ Source::Load { .. }, .. })
                if was_asked.load(Ordering::Relaxed) =>
            {
                Some(source.is_stored())
            }
            Ok(ReadOutcome { source: Source::Bypass, .. }) => Some(false),
            Ok(_) => None,
        }
    }

    /// Whether a tier has a value now; never loads.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// let notes = cache.class::<str, String>("notes").open()?;
    /// assert!(!notes.contains("door").await);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn contains(&self, key: &K) -> bool {
        self.get(key).await.is_some()
    }

    /// Drops every entry of the class whose key's text, `part:part`, matches `pattern`; see [`Cache::invalidate_matching`],
    /// whose price it has.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) for an empty pattern.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// let notes = cache.class::<str, String>("notes").open()?;
    /// for door in ["door_1", "door_2", "gate"] {
    ///     let _put = notes.put(door, "closed".to_owned()).await;
    /// }
    /// let receipt = notes.invalidate_matching("door*").await?;
    /// assert_eq!(receipt.dropped().memory, 2);
    /// assert!(notes.contains("gate").await);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn invalidate_matching(&self, pattern: &str) -> Result<Receipt, Error> {
        // Refused before the class's name makes something of it.
        Pattern::parse(pattern)?;
        count(&self.core.common.counters.invalidations);
        let cache = Cache { engine: self.engine.clone(), namespace: self.engine.namespace.clone() };
        cache.invalidate_matching(&format!("{}:{pattern}", Pattern::literal(self.name()))).await
    }
}
