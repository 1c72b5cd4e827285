//! Everything one write touched, dropped in one round trip.

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

/// Collects what is to be dropped; made by [`Cache::invalidation`] and [`Cache::committed`].
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

impl Cache {
    /// Begins an invalidation by hand. With a journal it is recorded there first, so that no crash can lose it.
    pub fn invalidation(&self) -> Invalidation {
        Invalidation::new(self.engine.clone())
    }

    /// Begins the invalidation for a write that has been committed, of exactly what the database journalled for it
    /// (with `larder-sql`: `Write::touched`, asked just before the commit).
    ///
    /// `changes` are the names under which the journal has it (with `larder-sql`: what `Write::commit` returned). `touches`
    /// must be all that these changes touched, and they must be committed: whoever follows the journal need not tell of
    /// them again then, and drops nothing that was loaded since. Where either is unknown, pass none: `&[]` is always right.
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

    /// Drops every entry under `tag`, everywhere.
    pub async fn invalidate_tag(&self, tag: &str) -> Receipt {
        self.invalidation().tag(tag).send().await
    }

    /// Drops every entry whose readable text, `class:part:part`, matches `pattern`, in which `*` stands for any text
    /// and `\` takes its meaning away: `user_stats*`. Redis is searched key by key for it: a tag costs one command.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) for an empty pattern.
    pub async fn invalidate_matching(&self, pattern: &str) -> Result<Receipt, Error> {
        Ok(self.invalidation().matching(pattern)?.send().await)
    }

    /// Drops every entry whose readable text begins with `prefix`; see [`Cache::invalidate_matching`].
    ///
    /// # Errors
    ///
    /// None today: an empty prefix means everything.
    pub async fn invalidate_prefix(&self, prefix: &str) -> Result<Receipt, Error> {
        self.invalidate_matching(&Pattern::beginning_with(prefix)).await
    }

    /// Drops every entry of this namespace, everywhere.
    pub async fn clear(&self) -> Receipt {
        self.invalidation().everything().send().await
    }
}

impl<K, V> Class<K, V>
where
    K: Key + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Drops the entry of `key` everywhere: to be awaited after the write's commit and before it is
    /// acknowledged. Cancelling the future does not stop the invalidation.
    pub async fn invalidate(&self, key: &K) -> Receipt {
        Invalidation::new(self.engine.clone()).key(self, key).send().await
    }

    /// Drops every entry of the class everywhere, by one tag.
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
    pub fn key<K, V>(mut self, class: &Class<K, V>, key: &K) -> Self
    where
        K: Key + ?Sized,
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
    pub fn tag(mut self, tag: &str) -> Self {
        self.engine.count_invalidation(tag);
        self.batch.tags.push(self.engine.namespace.tag_key(tag));
        self.note(Touch::Tag(tag.to_owned()))
    }

    /// Adds what `touch` names, for entries whose types are not known where they are invalidated.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) when no class can have the name in it, or for an empty
    /// pattern.
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

    /// Adds every entry there is.
    pub fn everything(mut self) -> Self {
        self.engine.count_clear();
        self.batch.everything = true;
        self.note(Touch::Everything)
    }

    /// If Redis cannot be told at once, waits for that as long as the staleness bound. Default: says `queued` at once.
    pub fn wait(self) -> Self {
        Invalidation { waits: true, ..self }
    }

    /// Drops all of it from this process and from Redis. Goes on to its end even if the future is dropped.
    pub async fn send(self) -> Receipt {
        let (keys, tags) = (self.batch.keys.len(), self.batch.tags.len());
        let patterns = self.batch.patterns.len() + usize::from(self.batch.everything);
        let engine = self.engine;
        let InvalidationOutcome { mut delivery, dropped, is_journalled } =
            engine.clone().invalidate(self.batch, self.kind).await;
        if self.waits && delivery == Delivery::Queued && engine.wait_until_sent().await {
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
