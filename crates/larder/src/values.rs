//! Values that no loader returns: the application puts, looks up and invalidates them.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use crate::cache::Cache;
use crate::class::Class;
use crate::codec::AnyValue;
use crate::engine::{EntryRef, Loading, ReadOptions, ReadOutcome, Tags};
use crate::error::Error;
use crate::key::{Key, KeyBuf};
use crate::pattern::Pattern;
use crate::policy::Consistency;
use crate::receipt::{Delivery, Receipt};
use crate::source::Source;
use crate::stats::count;

/// How many times a put tries to store its value while it finds another value under the key.
const ATTEMPTS: usize = 4;

/// The result of a [`Class::put`].
#[must_use = "a value may not have been stored, and a receipt may say `queued`"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PutOutcome {
    /// The receipt of the invalidation of the earlier value. A permit's put invalidates nothing.
    pub receipt: Receipt,
    /// Whether the value was stored, if only in this process. It is not stored if an invalidation or another put came in between, the class is
    /// switched off, its policy stores nothing, its permit is void or expired, the put runs inside a load, or the value
    /// is too large or carried by no codec.
    pub is_stored: bool,
}

impl<K, V> Class<K, V>
where
    K: Key + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Puts a value that is not computed from the database, such as a preference or a token of another service. For a
    /// value that is computed from the database, draw a [`permit`](Class::permit) first: a write that is acknowledged
    /// during the computation would not void this put, and the outdated value would stay.
    ///
    /// The put invalidates the earlier value on all instances, then stores `value` under a lease, as a load does. It
    /// never uses a plain `SET`, so a slower reader cannot store the earlier value again.
    ///
    /// - After it returned with `sent`, no `fresh` read on any instance, and no read on this one, returns the earlier
    ///   value.
    /// - Of two concurrent puts one value stays, the same on all instances; or none, if each put invalidated the
    ///   other's value.
    /// - While Redis is away, the put returns with `queued`, and the value stays in this process only, no longer than
    ///   the staleness bound. The value also stays in this process only if Redis answers the invalidation, and then
    ///   takes longer than the [budget](crate::Builder::redis_budget) to store the value.
    /// - A cache may forget: the value ends with its TTL (five minutes unless the policy says otherwise), by eviction,
    ///   or if its Redis is lost. Store in the database what must not be lost.
    /// - With a journal the invalidation is journalled first, and the journal is polled at once. Without Redis the
    ///   value is in this process only, and other processes only remove their earlier values.
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
    /// assert_eq!(notes.get("door").await.value().as_deref().map(String::as_str), Some("closed"));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn put<Q: Key<K> + ?Sized>(&self, key: &Q, value: V) -> PutOutcome {
        let (spelled, tags) = (self.key(key), self.tags(key));
        let value: AnyValue = Arc::new(value);
        self.engine.budgeted(&self.core, self.put_spelled(key, &spelled, &tags, &value)).await
    }

    /// The invalidations are promises and have time-outs of their own; the rest is on the budget of the put.
    async fn put_spelled<Q: Key<K> + ?Sized>(
        &self,
        key: &Q,
        spelled: &KeyBuf,
        tags: &Tags,
        value: &AnyValue,
    ) -> PutOutcome {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let receipt = self.invalidate(key).await;
            let is_propagated = receipt.delivery() == Delivery::Sent || !self.engine.is_delivery_certain();
            if receipt.is_journalled() && is_propagated {
                // Without this poll, a later poll would report this put's own invalidation and remove the new value.
                let entry_ref = EntryRef::new(spelled, tags.clone());
                self.engine.poll_journal(&entry_ref).await;
            }
            match self.fill(spelled, tags, value).await {
                Some(is_stored) => return PutOutcome { receipt, is_stored },
                // There was another value, stored by a load or a put that began after the invalidation.
                None if attempt < ATTEMPTS => {}
                None => return PutOutcome { receipt, is_stored: false },
            }
        }
    }

    /// Stores `value` in a flight of its own; `None` if another value was stored first.
    async fn fill(&self, key: &KeyBuf, tags: &Tags, value: &AnyValue) -> Option<bool> {
        let core = &self.core;
        let mut was_asked = false;
        let begin_load = |_| -> Loading {
            count(&core.common.counters.puts);
            was_asked = true;
            Loading::put(value.clone())
        };
        // A fresh read joins no flight that began before now. It skips memory, where the invalidation has removed this
        // key.
        let options = ReadOptions { consistency: Some(Consistency::Fresh), soft_timeout: None };
        let found = self.engine.read(core, key, || tags.clone(), options, begin_load).await;
        match found {
            // The flight belonged to another read and failed.
            Err(_) => None,
            Ok(ReadOutcome { source: source @ Source::Load { .. }, .. }) if was_asked => {
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
    pub async fn contains<Q: Key<K> + ?Sized>(&self, key: &Q) -> bool {
        self.get(key).await.is_hit()
    }

    /// Invalidates every entry of the class whose key's text, `part:part`, matches `pattern`. It costs as much as
    /// [`Cache::invalidate_matching`].
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
        // Checks `pattern` first: an empty one would be accepted after the class's name is put before it.
        Pattern::parse(pattern)?;
        count(&self.core.common.counters.invalidations);
        let cache = Cache { engine: self.engine.clone(), namespace: self.engine.namespace.clone() };
        cache.invalidate_matching(&format!("{}:{pattern}", Pattern::literal(self.name()))).await
    }
}
