//! An invalidation removes everything that one write touched, in one round trip.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::batch::Batch;
use crate::cache::Cache;
use crate::class::Class;
use crate::engine::{Engine, InvalidationKind, InvalidationOutcome};
use crate::error::Error;
use crate::journal::{ChangeId, Touch};
use crate::key::Key;
use crate::key_text::Target;
use crate::pattern::Pattern;
use crate::receipt::{Delivery, Receipt};
use crate::stats::count;
use crate::tag::Tag;

/// Collects what to invalidate; made by [`Cache::invalidation`] and [`Cache::committed`].
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder::error::Error> {
/// use larder::cache::Cache;
///
/// let cache = Cache::builder("hotel").build().await?;
/// let rooms = cache.class::<u32, String>("rooms").open()?;
/// let lists = cache.class::<str, Vec<u32>>("room_lists").open()?;
///
/// // After the commit, before the acknowledgement:
/// let receipt = cache.invalidation().key(&rooms, &7).class(&lists).send().await;
/// assert_eq!((receipt.keys(), receipt.tags()), (1, 1));
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is invalidated before `send`"]
pub struct Invalidation {
    engine: Arc<Engine>,
    batch: Batch,
    kind: InvalidationKind,
    waits: bool,
}

/// Leaves out the keys, which may be personal data.
impl fmt::Debug for Invalidation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invalidation")
            .field("keys", &self.batch.keys.len())
            .field("tags", &self.batch.tags.len())
            .field("waits", &self.waits)
            .finish_non_exhaustive()
    }
}

impl Cache {
    /// Starts an invalidation by hand. If the cache has a journal, `send` first writes the invalidation there, so that
    /// a crash cannot lose it.
    pub fn invalidation(&self) -> Invalidation {
        Invalidation::new(self.engine.clone())
    }

    /// Starts the invalidation of a committed write, with exactly the touches that the database journalled for it (with
    /// `larder-sql`: `WriteTransaction::touched`, read just before the commit).
    ///
    /// `changes` are the ids of the write in the journal (with `larder-sql`: the result of `WriteTransaction::commit`).
    /// `touches` must contain all touches of these changes, and the changes must be committed: the journal's consumer
    /// or relay then skips these changes and does not remove entries that were loaded since. If the touches or the ids
    /// are not completely known, pass `&[]` for `changes`, which is always correct.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    /// use larder::journal::Touch;
    ///
    /// let cache = Cache::builder("hotel").build().await?;
    /// let touched = [Touch::entry("rooms", ["7"])];
    /// let receipt = cache.committed(&touched, &[]).send().await;
    /// assert!(receipt.is_journalled());
    /// # Ok(())
    /// # }
    /// ```
    pub fn committed(&self, touches: &[Touch], changes: &[ChangeId]) -> Invalidation {
        let batch = Batch::of(&self.engine.namespace, touches);
        for touch in touches {
            match touch {
                Touch::Entry { class: name, .. } | Touch::Tag(name) => self.engine.count_invalidation(name),
                Touch::Everything => self.engine.count_clear(),
                Touch::Matching(_) => {}
            }
        }
        let kind = InvalidationKind::Committed(changes.to_vec());
        Invalidation { engine: self.engine.clone(), batch, kind, waits: false }
    }

    /// Invalidates every entry under `tag`, on all instances.
    pub async fn invalidate_tag(&self, tag: impl Into<Tag>) -> Receipt {
        self.invalidation().tag(tag).send().await
    }

    /// Invalidates every entry whose readable text, `class:part:part`, matches `pattern`, such as `user_stats*`. `*` is
    /// any text; after `\` a character has no special meaning. A pattern costs a search through all keys of Redis; a
    /// tag costs one command.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) for an empty pattern.
    pub async fn invalidate_matching(&self, pattern: &str) -> Result<Receipt, Error> {
        Ok(self.invalidation().matching(pattern)?.send().await)
    }

    /// Invalidates every entry whose readable text begins with `prefix`; see [`Cache::invalidate_matching`].
    ///
    /// # Errors
    ///
    /// Currently none: an empty prefix invalidates every entry.
    pub async fn invalidate_prefix(&self, prefix: &str) -> Result<Receipt, Error> {
        self.invalidate_matching(&Pattern::beginning_with(prefix)).await
    }

    /// Invalidates every entry of this namespace, on all instances.
    pub async fn clear(&self) -> Receipt {
        self.invalidation().everything().send().await
    }
}

impl<K, V> Class<K, V>
where
    K: Key + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Invalidates the entry of `key` on all instances. Await it after the write's commit and before the write is
    /// acknowledged. Dropping the future does not stop the invalidation.
    pub async fn invalidate<Q: Key<K> + ?Sized>(&self, key: &Q) -> Receipt {
        Invalidation::new(self.engine.clone()).key(self, key).send().await
    }

    /// Invalidates every entry of the class on all instances, by one tag.
    pub async fn invalidate_all(&self) -> Receipt {
        Invalidation::new(self.engine.clone()).class(self).send().await
    }
}

impl Invalidation {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Invalidation {
            engine,
            batch: Batch::default(),
            kind: InvalidationKind::ByHand(Vec::new()),
            waits: false,
        }
    }

    /// Adds the entry of one key.
    pub fn key<K, V, Q>(mut self, class: &Class<K, V>, key: &Q) -> Self
    where
        K: Key + ?Sized,
        Q: Key<K> + ?Sized,
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        count(&class.core.common.counters.invalidations);
        let key = Bytes::copy_from_slice(&class.key(key));
        if let InvalidationKind::ByHand(by_hand) = &mut self.kind {
            by_hand.extend(self.engine.namespace.touch_of(&key));
        }
        self.batch.keys.push(key);
        self
    }

    /// Adds every entry of a class.
    pub fn class<K: ?Sized, V>(self, class: &Class<K, V>) -> Self {
        self.tag(&class.core.name)
    }

    /// Adds every entry under a tag.
    pub fn tag(mut self, tag: impl Into<Tag>) -> Self {
        let tag = tag.into();
        self.engine.count_invalidation(tag.as_str());
        self.batch.tags.push(self.engine.namespace.tag_key(tag.as_str()));
        self.note(tag.into())
    }

    /// Adds what `touch` names, for code that does not know the entry's types.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) if the class name in `touch` is not allowed, or for an
    /// empty pattern.
    pub fn touch(mut self, touch: &Touch) -> Result<Self, Error> {
        match touch {
            Touch::Tag(tag) => Ok(self.tag(tag)),
            Touch::Matching(pattern) => self.matching(pattern),
            Touch::Everything => Ok(self.everything()),
            Touch::Entry { class, .. } => {
                if let Target::Key(key) = self.engine.namespace.target(touch)? {
                    self.batch.keys.push(key);
                }
                self.engine.count_invalidation(class);
                Ok(self.note(touch.clone()))
            }
        }
    }

    /// Adds every entry whose readable text matches; see [`Cache::invalidate_matching`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) for an empty pattern.
    pub fn matching(mut self, pattern: &str) -> Result<Self, Error> {
        self.batch.patterns.push(Pattern::parse(pattern)?);
        Ok(self.note(Touch::Matching(pattern.to_owned())))
    }

    /// Adds all entries.
    pub fn everything(mut self) -> Self {
        self.engine.count_clear();
        self.batch.everything = true;
        self.note(Touch::Everything)
    }

    /// If Redis cannot be used now, `send` waits, at most the staleness bound, until Redis has this invalidation and is
    /// used again. If the journal did not accept the invalidation, `send` does not wait. Default: `send` returns
    /// `queued` at once.
    pub fn wait(self) -> Self {
        Invalidation { waits: true, ..self }
    }

    /// Removes everything that was added, from this process and from Redis. The invalidation completes even if the
    /// future is dropped.
    pub async fn send(self) -> Receipt {
        let (keys, tags) = (self.batch.keys.len(), self.batch.tags.len());
        let patterns = self.batch.patterns.len() + usize::from(self.batch.everything);
        let engine = self.engine;
        let InvalidationOutcome { mut delivery, dropped, is_journalled } =
            engine.clone().invalidate(self.batch, self.kind).await;
        let may_wait = self.waits && delivery == Delivery::Queued && !engine.is_losable(is_journalled);
        if may_wait && engine.wait_until_sent().await {
            delivery = Delivery::Sent;
        }
        Receipt { delivery, keys, tags, patterns, dropped, is_journalled }
    }

    fn note(mut self, touch: Touch) -> Self {
        if let InvalidationKind::ByHand(by_hand) = &mut self.kind {
            by_hand.push(touch);
        }
        self
    }
}
