//! The handle of an open class, with its operations.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use crate::class::lookup::Lookup;
use crate::codec::AnyValue;
use crate::engine::{ClassCore, Engine, EntryRef, Found, Loading, ReadOptions, ReadOutcome, Tags};
use crate::error::Error;
use crate::key::{Key, KeyBuf};
use crate::loaded::{AnyPrevious, IntoLoaded, Previous};
use crate::policy::Consistency;
use crate::source::Source;
use crate::stats::Stats;
use crate::tag::Tag;
use crate::times::LoadTimes;

/// Returns the tags that an entry has because of its key.
pub(super) type TagsOf<K> = Arc<dyn Fn(&K) -> Vec<Tag> + Send + Sync>;

/// A handle to one class; cheap to clone.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder::error::Error> {
/// use std::time::Duration;
/// use larder::cache::Cache;
/// use larder::class::Class;
/// use larder::policy::Policy;
///
/// let cache = Cache::builder("hotel").build().await?;
/// let rooms: Class<u32, String> =
///     cache.class("rooms").policy(Policy::ttl(Duration::from_secs(180))).open()?;
///
/// let load = || async { Ok::<_, std::io::Error>("sea view".to_owned()) };
/// let room = rooms.get_or_load(&7, load).await?;
/// assert_eq!(room.as_deref().map(String::as_str), Some("sea view"));
///
/// let _receipt = rooms.invalidate(&7).await;
/// assert!(rooms.get(&7).await.is_miss());
/// # Ok(())
/// # }
/// ```
pub struct Class<K: ?Sized, V> {
    pub(crate) engine: Arc<Engine>,
    pub(crate) core: Arc<ClassCore>,
    /// In each slot range, or once: the class's own tag first, then those with which it was opened.
    pub(super) tags: Arc<[Tags]>,
    pub(super) tags_of: Option<TagsOf<K>>,
    pub(super) types: PhantomData<fn(&K) -> V>,
}

impl<K: ?Sized, V> Clone for Class<K, V> {
    fn clone(&self) -> Self {
        Class {
            engine: self.engine.clone(),
            core: self.core.clone(),
            tags: self.tags.clone(),
            tags_of: self.tags_of.clone(),
            types: PhantomData,
        }
    }
}

impl<K: ?Sized, V> fmt::Debug for Class<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Class").field("name", &self.core.name).finish_non_exhaustive()
    }
}

/// One read's answer and where it came from.
#[derive(Debug)]
pub struct Answer<V> {
    /// The value; `None` if there is no such value.
    pub value: Option<Arc<V>>,
    /// The tier or load that answered.
    pub source: Source,
    /// Whether this read got the answer from another read of this process that was already loading it.
    pub is_shared: bool,
    /// How long ago the answer's TTL ended; `None` if it has not ended. An answer after its TTL is served because of
    /// the class's [`stale_while_revalidate`](crate::policy::Policy::stale_while_revalidate) or
    /// [`stale_if_error`](crate::policy::Policy::stale_if_error). In both cases no invalidation has reached the entry.
    pub stale_by: Option<Duration>,
}

impl<V> Clone for Answer<V> {
    fn clone(&self) -> Self {
        Answer { value: self.value.clone(), ..*self }
    }
}

impl<V: Send + Sync + 'static> Answer<V> {
    pub(super) fn of(ReadOutcome { value, source, is_shared, stale_by, .. }: ReadOutcome) -> Self {
        Answer { value: value.and_then(typed), source, is_shared, stale_by }
    }
}

impl<K, V> Class<K, V>
where
    K: Key + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Returns the value; if no tier has it, `load` loads it. Returns `Ok(None)` if the loader says that there is no
    /// such value. Concurrent reads of one key share one load across all instances. Exceptions: a memory-only class
    /// loads once per instance, and a [spoiled](crate::loading) load is not shared.
    ///
    /// The loader must read the database's present state: by a fresh autocommit statement on the primary, or on a
    /// standby through `larder_sql`'s `Replica`, never inside an already open transaction. It returns a `V`, an
    /// `Option<V>` or a [`Loaded<V>`](crate::Loaded), and any error that converts to `Box<dyn Error + Send + Sync>`:
    /// [`Error::load_error`] gives the error back.
    ///
    /// The load belongs to the cache: its future runs in a task of its own, so it borrows nothing (`Send + 'static`),
    /// and if this read is dropped, the load goes on. The closure `load` runs in the caller's task, and only if a load
    /// is needed. So it can borrow, and give the future clones:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// # use larder::cache::Cache;
    /// # #[derive(Clone)] struct Store;
    /// # impl Store { async fn room(&self, _: u32) -> Result<Option<String>, std::io::Error> { Ok(None) } }
    /// # let (store, rooms) = (&Store, Cache::builder("docs").build().await?.class::<u32, String>("rooms").open()?);
    /// let load = || {
    ///     let store = store.clone();
    ///     async move { store.room(7).await }
    /// };
    /// let room = rooms.get_or_load(&7, load).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Only errors of the load: the loader failed, it panicked, or it took longer than the load time-out or the soft
    /// time-out; or the class's breaker is open.
    pub async fn get_or_load<Q, L, F, T, E>(&self, key: &Q, load: L) -> Result<Option<Arc<V>>, Error>
    where
        Q: Key<K> + ?Sized,
        L: FnOnce() -> F,
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: IntoLoaded<V>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Ok(self.read(key).or_load(load).await?.value)
    }

    /// Starts to build a read. Set its consistency and its loader on the result.
    pub fn read<'a, Q: Key<K> + ?Sized>(&'a self, key: &'a Q) -> ReadBuilder<'a, K, V, Q> {
        ReadBuilder { class: self, key, options: ReadOptions::default() }
    }

    /// Returns what the tiers have now; never loads. In a class whose [`consistency`](crate::class::ClassBuilder::consistency)
    /// is fresh, only Redis is asked.
    pub async fn get<Q: Key<K> + ?Sized>(&self, key: &Q) -> Lookup<V> {
        let found = match self.hit(key, ReadOptions::default()) {
            Ok(hit) => Some(hit),
            // Boxed, so that the future of a hit stays small.
            Err(aged) => {
                let peek =
                    async { self.engine.peek(&self.core, (&self.key(key), aged), || self.tags(key)).await };
                Box::pin(peek).await
            }
        };
        match found {
            None => Lookup::Miss,
            Some(ReadOutcome { value: None, .. }) => Lookup::Absent,
            Some(ReadOutcome { value: Some(value), .. }) => typed(value).map_or(Lookup::Miss, Lookup::Hit),
        }
    }

    /// The class's name.
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// The class's counts. All handles of one class share them.
    pub fn stats(&self) -> Stats {
        self.core.common.counters.snapshot()
    }

    /// The class's load times. All handles of one class share them.
    pub fn load_times(&self) -> LoadTimes {
        self.core.common.load_times.snapshot()
    }

    /// Switches caching on or off for all handles of this class;
    /// [`Cache::set_class_enabled`](crate::cache::Cache::set_class_enabled) does the same. While caching is off, every
    /// read calls its loader and nothing is stored. Invalidations still apply, so switching on again never serves
    /// outdated values. Default: on.
    pub fn set_enabled(&self, is_on: bool) {
        // Relaxed: the switch guards no other data.
        self.core.common.is_on.store(is_on, Ordering::Relaxed);
    }

    /// Sets the TTL of what is loaded from now on, for all handles of this class in this process;
    /// [`Cache::set_class_ttl`](crate::cache::Cache::set_class_ttl) does the same. Entries that are stored already, in
    /// memory or in Redis, keep their TTL. Default: that of the [`Policy`](crate::policy::Policy).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) if the TTL is not allowed in the class's policy: from 1 ms
    /// to 30 days, less the time for which an entry is served after it.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// let cache = larder::cache::Cache::builder("docs").build().await?;
    /// let rooms = cache.class::<u32, String>("rooms").open()?;
    /// rooms.set_ttl(std::time::Duration::from_secs(60))?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_ttl(&self, ttl: Duration) -> Result<(), Error> {
        let wrong = |wrong| Error::config(format!("class {:?}: {wrong}", self.core.name));
        self.core.common.set_ttl(ttl).map_err(wrong)
    }

    /// Answers a read from memory, if it can be answered so at once; see [`Engine::hit`].
    #[inline]
    pub(super) fn hit<Q: Key<K> + ?Sized>(
        &self,
        key: &Q,
        options: ReadOptions,
    ) -> Result<ReadOutcome, Option<Found>> {
        // No part of the future: a hit only needs the buffer of the key for a moment.
        let mut spelled = KeyBuf::new();
        self.core.prefix.spell(key, &mut spelled);
        self.engine.hit(&self.core, &spelled, options)
    }

    pub(crate) fn key<Q: Key<K> + ?Sized>(&self, key: &Q) -> KeyBuf {
        self.core.prefix.key(key)
    }

    pub(crate) fn entry_ref<Q: Key<K> + ?Sized>(&self, key: &Q) -> EntryRef {
        EntryRef::new(&self.key(key), self.tags(key))
    }

    pub(crate) fn tags<Q: Key<K> + ?Sized>(&self, key: &Q) -> Tags {
        let slot_range = self.engine.slot_range(|| self.key(key));
        let of_class = &self.tags[slot_range.map_or(0, usize::from)];
        let Some(tags_of) = &self.tags_of else { return of_class.clone() };
        let mut tags = of_class.to_vec();
        let of_key = key.with_key(|key| tags_of(key));
        for text in of_key.iter().flat_map(Tag::texts) {
            let tag = self.engine.namespace.tag_key_in(text, slot_range);
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        tags.into()
    }
}

/// A read before it runs; see [`Class::read`].
#[must_use = "nothing is read before `or_load`"]
pub struct ReadBuilder<'a, K: ?Sized, V, Q: ?Sized = K> {
    pub(super) class: &'a Class<K, V>,
    pub(super) key: &'a Q,
    pub(super) options: ReadOptions,
}

impl<K, V, Q> ReadBuilder<'_, K, V, Q>
where
    K: Key + ?Sized,
    Q: Key<K> + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Which consistency the read asks for. Default: the class's, see
    /// [`ClassBuilder::consistency`](crate::class::ClassBuilder::consistency).
    pub fn consistency(mut self, consistency: Consistency) -> Self {
        self.options.consistency = Some(consistency);
        self
    }

    /// Skips memory; short for [`Consistency::Fresh`]. Where memory is the only tier, such a read always loads: without
    /// Redis, and in a memory-only class.
    pub fn fresh(self) -> Self {
        self.consistency(Consistency::Fresh)
    }

    /// How long this read waits for its answer, instead of the class's
    /// [`soft_timeout`](crate::class::ClassBuilder::soft_timeout). One that is not shorter than the load time-out has no
    /// effect.
    pub fn soft_timeout(mut self, soft_timeout: Duration) -> Self {
        self.options.soft_timeout = Some(soft_timeout);
        self
    }

    /// Reads the value; if no tier can answer, `load` loads it. See [`Class::get_or_load`].
    ///
    /// # Errors
    ///
    /// Only errors of the load: the loader failed, it panicked, or it took longer than the load time-out or the soft
    /// time-out; or the class's breaker is open.
    pub async fn or_load<L, F, T, E>(self, load: L) -> Result<Answer<V>, Error>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: IntoLoaded<V>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.or_reload(|_| load()).await
    }

    /// Does as [`ReadBuilder::or_load`], with a loader that gets the previous value: that of an entry which has aged,
    /// see [`Policy`](crate::policy::Policy), and which no invalidation has reached; `None` if there is no such entry.
    /// The loader can ask its source whether the value has changed. If not, it answers
    /// [`Loaded::unchanged`](crate::Loaded::unchanged).
    ///
    /// # Errors
    ///
    /// As [`ReadBuilder::or_load`]; also if the loader answers `unchanged` and got no value.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::Error> {
    /// use larder::{Cache, Loaded, Previous};
    ///
    /// # async fn fetch(_etag: Option<&str>) -> Result<Option<(String, String)>, std::io::Error> {
    /// #     Ok(Some(("sunny".to_owned(), "v1".to_owned())))
    /// # }
    /// let cache = Cache::builder("docs").build().await?;
    /// let reports = cache.class::<str, String>("reports").open()?;
    /// let load = |previous: Option<Previous<String>>| async move {
    ///     let etag = previous.and_then(|previous| previous.version);
    ///     Ok::<_, std::io::Error>(match fetch(etag.as_deref()).await? {
    ///         Some((report, etag)) => Loaded::new(report).version(etag),
    ///         None => Loaded::unchanged(), // 304 Not Modified
    ///     })
    /// };
    /// let report = reports.read("Berlin").or_reload(load).await?;
    /// assert_eq!(report.value.as_deref().map(String::as_str), Some("sunny"));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn or_reload<L, F, T, E>(self, load: L) -> Result<Answer<V>, Error>
    where
        L: FnOnce(Option<Previous<V>>) -> F,
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: IntoLoaded<V>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let core = &self.class.core;
        let begin_load = |previous: Option<AnyPrevious>| -> Loading {
            let (core, loading) = (core.clone(), load(previous.and_then(AnyPrevious::typed)));
            Loading::of(async move {
                let timing = core.common.timing();
                let loaded = loading.await.map_err(Into::into)?;
                drop(timing);
                Ok(loaded.into_loaded().untyped())
            })
        };
        self.run(begin_load).await
    }
}

/// Leaves out the key, which may be personal data.
impl<K: ?Sized, V, Q: ?Sized> fmt::Debug for ReadBuilder<'_, K, V, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBuilder")
            .field("class", self.class)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn typed<V: Send + Sync + 'static>(value: AnyValue) -> Option<Arc<V>> {
    // All handles of one name have one value type: `Registry::open` refuses any other.
    value.downcast::<V>().ok()
}
