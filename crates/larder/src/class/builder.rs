//! Opens a class with all its declarations.

use std::any::TypeId;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use crate::cache::Cache;
use crate::class::handle::TagsOf;
use crate::codec::Codec;
use crate::engine::MemoryOf;
use crate::key::Key;
use crate::policy::{Abandonment, Breaker, Consistency, Policy};
use crate::protection::Protection;
use crate::tag::Tag;
use crate::tuning::limits::TuningLimits;

/// The default limit of an encoded value, in bytes. Most values are far smaller; larger ones would delay other replies.
const MAX_VALUE_BYTES: usize = 1 << 20;

/// The default of [`ClassBuilder::load_keys_max`].
const LOAD_KEYS_MAX: usize = 1_000;

/// Opens a class; made by [`Cache::class`].
#[must_use = "nothing is opened before `open`"]
pub struct ClassBuilder<'a, K: ?Sized, V> {
    pub(super) cache: &'a Cache,
    pub(super) name: String,
    pub(super) policy: Policy,
    pub(super) load_timeout: Option<Duration>,
    pub(super) soft_timeout: Option<Duration>,
    pub(super) consistency: Consistency,
    pub(super) abandonment: Abandonment,
    pub(super) breaker: Option<Breaker>,
    pub(super) codec: Codec,
    pub(super) version: u32,
    pub(super) is_memory_only: bool,
    pub(super) is_audited: bool,
    pub(super) limits: TuningLimits,
    pub(super) protection: Protection,
    pub(super) max_value_bytes: usize,
    pub(super) compress_above: Option<usize>,
    pub(super) load_keys_max: usize,
    pub(super) memory_of: Option<MemoryOf>,
    /// The type of `memory_of`'s closure.
    pub(super) memory_of_type: (Option<TypeId>, &'static str),
    pub(super) tags: Vec<String>,
    pub(super) by_hand: Vec<String>,
    pub(super) tags_of: Option<TagsOf<K>>,
    /// The type of `tags_of` and its name. Closures cannot be compared, but their types can.
    pub(super) tags_of_type: (Option<TypeId>, &'static str),
    pub(super) columns: Vec<Vec<String>>,
    pub(super) types: PhantomData<fn(&K) -> V>,
}

impl Cache {
    /// Starts the declaration of a class: values of type `V`, found by keys of type `K`.
    pub fn class<K, V>(&self, name: &str) -> ClassBuilder<'_, K, V>
    where
        K: Key + ?Sized,
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        ClassBuilder::new(self, name)
    }
}

impl<'a, K, V> ClassBuilder<'a, K, V>
where
    K: Key + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    pub(crate) fn new(cache: &'a Cache, name: &str) -> Self {
        ClassBuilder {
            cache,
            name: name.to_owned(),
            policy: Policy::default(),
            load_timeout: None,
            soft_timeout: None,
            consistency: Consistency::default(),
            abandonment: Abandonment::default(),
            breaker: None,
            codec: Codec::default(),
            version: 0,
            is_memory_only: false,
            is_audited: true,
            limits: TuningLimits::default(),
            protection: Protection::default(),
            max_value_bytes: MAX_VALUE_BYTES,
            compress_above: None,
            load_keys_max: LOAD_KEYS_MAX,
            memory_of: None,
            memory_of_type: (None, "none"),
            tags: Vec::new(),
            by_hand: Vec::new(),
            tags_of: None,
            tags_of_type: (None, "none"),
            columns: Vec::new(),
            types: PhantomData,
        }
    }

    /// Sets how long entries stay. The policy replaces what [`ClassBuilder::ttl`] and [`ClassBuilder::absent_for`] have
    /// set. Default: [`Policy::default`].
    pub fn policy(self, policy: Policy) -> Self {
        ClassBuilder { policy, ..self }
    }

    /// Keeps values for `ttl`; see [`Policy::ttl`]. Default: five minutes.
    pub fn ttl(self, ttl: Duration) -> Self {
        ClassBuilder { policy: self.policy.with_ttl(ttl), ..self }
    }

    /// Also keeps, for `ttl`, the answer that the database has no such value; see [`Policy::absent_for`]. Default: such
    /// answers are not kept.
    pub fn absent_for(self, ttl: Duration) -> Self {
        ClassBuilder { policy: self.policy.absent_for(ttl), ..self }
    }

    /// How long one load of this class may take: 1 ms to 15 minutes. A load that takes longer fails. While it runs, the
    /// key's readers on all instances wait for it. Default: the cache's
    /// [`load_timeout`](crate::Builder::load_timeout), 2 s.
    pub fn load_timeout(self, load_timeout: Duration) -> Self {
        ClassBuilder { load_timeout: Some(load_timeout), ..self }
    }

    /// How long a read waits for its answer: at least 1 ms, and shorter than the load time-out. After that it gets an
    /// error of the kind [`ErrorKind::SoftTimeout`](crate::error::ErrorKind::SoftTimeout), and a load that has begun
    /// goes on. The soft time-out should be longer than the [Redis budget](crate::Builder::redis_budget), because a
    /// read that leaves before Redis has answered begins no load. Reads without the tiers (caching is off, or within a
    /// load) have no soft time-out. Default: a read waits until the load ends.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use std::time::Duration;
    /// use larder::cache::Cache;
    /// use larder::error::ErrorKind;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// let reports = cache
    ///     .class::<u32, String>("reports")
    ///     .load_timeout(Duration::from_secs(60))
    ///     .soft_timeout(Duration::from_millis(20))
    ///     .open()?;
    /// let slow = || async {
    ///     tokio::time::sleep(Duration::from_millis(200)).await;
    ///     Ok::<_, std::io::Error>("the figures of 2026".to_owned())
    /// };
    /// let early = reports.get_or_load(&7, slow).await;
    /// assert_eq!(early.unwrap_err().kind(), ErrorKind::SoftTimeout);
    /// tokio::time::sleep(Duration::from_millis(400)).await;
    /// assert!(reports.get(&7).await.is_hit(), "the load went on");
    /// # Ok(())
    /// # }
    /// ```
    pub fn soft_timeout(self, soft_timeout: Duration) -> Self {
        ClassBuilder { soft_timeout: Some(soft_timeout), ..self }
    }

    /// Which consistency the class's reads have, unless a read chooses its own. With [`Consistency::Fresh`], no read is
    /// answered from memory: use it for values that decisions depend on, if values of two seconds ago are too old for
    /// that. Where memory is the only tier, without Redis and in a memory-only class, each such read loads, and
    /// [`Class::get`](crate::class::Class::get) is always a miss. Default: [`Consistency::Bounded`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    /// use larder::policy::Consistency;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// let balances = cache.class::<u32, i64>("balances").consistency(Consistency::Fresh).open()?;
    /// let load = || async { Ok::<_, std::io::Error>(12_i64) };
    /// balances.get_or_load(&7, load).await?;
    /// balances.get_or_load(&7, load).await?;
    /// assert_eq!(balances.stats().loads, 2, "memory alone answers no fresh read");
    /// balances.read(&7).consistency(Consistency::Bounded).or_load(load).await?;
    /// assert_eq!(balances.stats().loads, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn consistency(self, consistency: Consistency) -> Self {
        ClassBuilder { consistency, ..self }
    }

    /// What happens to a load that no read waits for any more. Default: [`Abandonment::Finish`]. With
    /// [`Abandonment::Stop`], the soft time-out of the last reader stops the load.
    pub fn when_abandoned(self, abandonment: Abandonment) -> Self {
        ClassBuilder { abandonment, ..self }
    }

    /// Stops asking the database for a while after loads failed in a row: reads get an error of the kind
    /// [`ErrorKind::BreakerOpen`](crate::error::ErrorKind::BreakerOpen), or an aged entry if the policy has
    /// [`stale_if_error`](Policy::stale_if_error). Every error and time-out of a loader counts as a failure. Default: no
    /// breaker.
    pub fn breaker(self, breaker: Breaker) -> Self {
        ClassBuilder { breaker: Some(breaker), ..self }
    }

    /// How values are written in Redis. Default: [`Codec::MessagePack`].
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    /// use larder::codec::Codec;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// assert!(cache.class::<u32, Vec<u8>>("thumbnails").codec(Codec::Raw).open().is_ok());
    /// assert!(cache.class::<u32, Vec<u16>>("samples").codec(Codec::Raw).open().is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn codec(self, codec: Codec) -> Self {
        ClassBuilder { codec, ..self }
    }

    /// The version of the values' meaning. An instance treats entries of another version as misses. Raise the version
    /// if the meaning changes and the type does not, for example if a price now includes taxes. If the type changes, no
    /// new version is needed: each entry has a digest over its value and over the names and types of its fields, so
    /// entries of another shape are misses. Default: 0.
    pub fn version(self, version: u32) -> Self {
        ClassBuilder { version, ..self }
    }

    /// Keeps the class's values in this process's memory only: they are never written to Redis or read from it. Use it
    /// for values that grant rights, such as a session and its permissions: a program that can write to Redis can then
    /// grant no rights. Default: values are shared through Redis.
    ///
    /// With Redis, larder stores an anchor under each key that an instance holds: 17 bytes without a value. An
    /// invalidation deletes the anchor, and Redis reports this to every instance as fast as in other classes. The cost:
    /// each instance runs its own loads. If Redis refuses tracking, copies stay no longer than the staleness bound.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// let roles = cache.class::<u32, String>("roles").memory_only().open()?;
    /// let load = || async { Ok::<_, std::io::Error>("admin".to_owned()) };
    /// assert_eq!(roles.get_or_load(&7, load).await?.as_deref().map(String::as_str), Some("admin"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn memory_only(mut self) -> Self {
        self.is_memory_only = true;
        self
    }

    /// How entries are protected in Redis. Default: [`Protection::Standard`].
    pub fn protection(self, protection: Protection) -> Self {
        ClassBuilder { protection, ..self }
    }

    /// How many bytes an encoded value can take. A larger value is stored in no tier, because one large reply delays
    /// all other reads on the Redis connection. Default: 1 MiB.
    pub fn max_value_bytes(self, max_value_bytes: usize) -> Self {
        ClassBuilder { max_value_bytes, ..self }
    }

    /// Compresses encoded values of more than `bytes` bytes in Redis, with LZ4, if that makes them smaller. Values in
    /// memory stay decoded. Each entry says whether it is compressed, so the setting can change while instances run.
    /// Below 1 KiB it saves little. Default: nothing is compressed.
    ///
    /// A class with [`Protection::Sealed`] cannot compress: the length of an encrypted value would depend on its content,
    /// so a program that sees Redis, and can influence a part of the value, could guess the rest.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    /// use larder::protection::Protection;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// assert!(cache.class::<u32, String>("reports").compress_above(4_096).open().is_ok());
    ///
    /// let sealed = cache.class::<u32, String>("letters").protection(Protection::Sealed);
    /// assert!(sealed.compress_above(4_096).open().is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn compress_above(self, bytes: usize) -> Self {
        ClassBuilder { compress_above: Some(bytes), ..self }
    }

    /// Gives every entry of the class the tag `tag`; an invalidation of the tag invalidates them all. Default: only the
    /// class's own name, which is always a tag.
    ///
    /// `larder_sql`'s `SqlJournal::verify` fails if no row of a declared table touches the tag: a table with
    /// `.entry("order", …)` touches one entry of the class `order`; it touches the tag only if it also has
    /// `.tag("order")`. If only the application invalidates the tag, name it in [`ClassBuilder::by_hand`].
    pub fn tagged(mut self, tag: &str) -> Self {
        self.tags.push(tag.to_owned());
        self
    }

    /// Gives each entry the tags that `tags_of` returns for its key: one [`tag`](crate::tag()), or a list of tags
    /// or of texts. For equal keys, it must return equal tags on every instance. Default: only the class's own tags.
    ///
    /// `larder_sql`'s `SqlJournal::verify` calls it with [`Key::sample`], and fails if no declared table has the group
    /// of a tag that it returns; see also [`ClassBuilder::by_hand`]. `verify` cannot check a text that is no
    /// [`tag`](crate::tag()), nor tags that `tags_of` returns only for other keys.
    pub fn tagged_by<F, T>(self, tags_of: F) -> Self
    where
        F: Fn(&K) -> T + Send + Sync + 'static,
        T: IntoIterator<Item: Into<Tag>>,
    {
        let tags_of_type = (Some(TypeId::of::<F>()), std::any::type_name::<F>());
        let tags_of = move |key: &K| tags_of(key).into_iter().map(Into::into).collect();
        ClassBuilder { tags_of: Some(Arc::new(tags_of)), tags_of_type, ..self }
    }

    /// Names the tags and groups of the class that only the application invalidates, and no change of a declared table:
    /// `larder_sql`'s `SqlJournal::verify` then looks for no table that touches them. If the names include the class's
    /// own, `verify` also does not log that no table touches the class. Default: none.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::Error> {
    /// use larder::Cache;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// let switches = cache.class::<str, bool>("switches").tagged("release").by_hand(["release"]).open()?;
    /// let _receipt = cache.invalidate_tag("release").await;
    ///
    /// let misspelled = cache.class::<str, bool>("flags").tagged("release").by_hand(["relase"]);
    /// assert!(misspelled.open().is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn by_hand(mut self, names: impl IntoIterator<Item: AsRef<str>>) -> Self {
        self.by_hand.extend(names.into_iter().map(|name| name.as_ref().to_owned()));
        self
    }

    /// Names the database columns of the key's parts, in order. `larder_sql`'s `SqlJournal::verify` compares them with
    /// the table's declaration: if the table declares them in another order, the journal never invalidates the entries.
    /// Call `columns` once for each set of column names. Default: [`Key::columns`]; a key of one part needs none.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// let seats = cache.class::<(u32, u32), String>("seats").columns(&["row", "number"]).open()?;
    /// assert_eq!(cache.declared_classes()[0].columns, [["row", "number"]]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn columns(mut self, columns: &[&str]) -> Self {
        self.columns.push(columns.iter().map(|&column| column.to_owned()).collect());
        self
    }
}
