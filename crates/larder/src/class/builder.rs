//! Opens a class with all its declarations.

use std::any::TypeId;
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use crate::cache::Cache;
use crate::class::handle::{Class, TagsOf};
use crate::codec::{AnyValue, Codec, Coder};
use crate::engine::registry::DeclaredClass;
use crate::engine::registry::{ClassState, Declaration};
use crate::engine::{ClassCore, Engine, MemoryOf};
use crate::error::Error;
use crate::key::{Key, Namespace};
use crate::policy::{Abandonment, Breaker, LOAD_TIMEOUT_MAX, Policy};
use crate::protection::{Protection, Sealer};
use crate::tag::{Tag, TagGroup};

/// The default limit of an encoded value, in bytes. Most values are far smaller; larger ones would delay other replies.
const MAX_VALUE_BYTES: usize = 1 << 20;

/// Opens a class; made by [`Cache::class`].
#[must_use = "nothing is opened before `open`"]
pub struct ClassBuilder<'a, K: ?Sized, V> {
    cache: &'a Cache,
    name: String,
    policy: Policy,
    load_timeout: Option<Duration>,
    soft_timeout: Option<Duration>,
    abandonment: Abandonment,
    breaker: Option<Breaker>,
    codec: Codec,
    version: u32,
    is_memory_only: bool,
    protection: Protection,
    max_value_bytes: usize,
    compress_above: Option<usize>,
    memory_of: Option<MemoryOf>,
    /// The type of `memory_of`'s closure.
    memory_of_type: (Option<TypeId>, &'static str),
    tags: Vec<String>,
    tags_of: Option<TagsOf<K>>,
    /// The type of `tags_of` and its name. Closures cannot be compared, but their types can.
    tags_of_type: (Option<TypeId>, &'static str),
    columns: Vec<Vec<String>>,
    types: PhantomData<fn(&K) -> V>,
}

impl<K: ?Sized, V> fmt::Debug for ClassBuilder<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClassBuilder")
            .field("name", &self.name)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
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
            abandonment: Abandonment::default(),
            breaker: None,
            codec: Codec::default(),
            version: 0,
            is_memory_only: false,
            protection: Protection::default(),
            max_value_bytes: MAX_VALUE_BYTES,
            compress_above: None,
            memory_of: None,
            memory_of_type: (None, "none"),
            tags: Vec::new(),
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
    /// error of the kind [`ErrorKind::SoftTimeout`](crate::error::ErrorKind::SoftTimeout), and a load that has begun goes
    /// on. It should be longer than the [Redis time-out](crate::Builder::redis_timeout): a read that leaves before
    /// Redis answered begins no load. Reads without the tiers (caching is off, or within a load) have no soft time-out.
    /// Default: a read waits until the load ends.
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

    /// Says what a value takes in memory, in bytes: its own size and everything that it owns. Default: larder measures it
    /// while it decodes the value. That is exact for the types of std, and an estimate for types with memory of their own
    /// or with serde's `flatten` or `untagged`. `memory_of` runs once for each value that enters memory.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::error::Error> {
    /// use larder::cache::Cache;
    ///
    /// let cache = Cache::builder("docs").build().await?;
    /// // Values that fill a table of their own on first use.
    /// let grids = cache.class::<u32, String>("grids").memory_of(|grid| 4_096 + grid.len() as u64).open()?;
    /// let load = || async { Ok::<_, std::io::Error>("7x7".to_owned()) };
    /// grids.get_or_load(&7, load).await?;
    /// assert!(cache.memory_bytes() > 4_096);
    /// # Ok(())
    /// # }
    /// ```
    pub fn memory_of<F>(self, memory_of: F) -> Self
    where
        F: Fn(&V) -> u64 + Send + Sync + 'static,
    {
        let memory_of_type = (Some(TypeId::of::<F>()), std::any::type_name::<F>());
        // A class's values have its type, so the value of another type does not occur.
        let memory_of = move |value: &AnyValue| value.downcast_ref::<V>().map_or(0, &memory_of);
        ClassBuilder { memory_of: Some(Arc::new(memory_of)), memory_of_type, ..self }
    }

    /// Gives every entry of the class the tag `tag`; an invalidation of the tag invalidates them all. Default: only the
    /// class's own name, which is always a tag.
    pub fn tagged(mut self, tag: &str) -> Self {
        self.tags.push(tag.to_owned());
        self
    }

    /// Gives each entry the tags that `tags_of` returns for its key: one [`tag`](crate::tag()), or a list of tags
    /// or of texts. For equal keys, it must return equal tags on every instance. Default: only the class's own tags.
    pub fn tagged_by<F, T>(self, tags_of: F) -> Self
    where
        F: Fn(&K) -> T + Send + Sync + 'static,
        T: IntoIterator<Item: Into<Tag>>,
    {
        let tags_of_type = (Some(TypeId::of::<F>()), std::any::type_name::<F>());
        let tags_of = move |key: &K| tags_of(key).into_iter().map(Into::into).collect();
        ClassBuilder { tags_of: Some(Arc::new(tags_of)), tags_of_type, ..self }
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

    /// The class's own declaration; see [`Cache::declared_classes`].
    fn declared(&self) -> DeclaredClass {
        let groups = self.tags_of.as_ref().map(groups_of);
        let of_type = K::columns().map(|columns| columns.iter().map(|&column| column.to_owned()).collect());
        DeclaredClass {
            name: self.name.clone(),
            tags: self.tags.clone(),
            is_memory_only: self.is_memory_only,
            has_unknown_tags: groups == Some(None),
            tag_groups: groups.flatten().unwrap_or_default(),
            columns: self.columns.iter().cloned().chain(of_type).collect(),
            kinds: K::kinds(),
        }
    }

    /// Opens the class. Opening one name twice returns two handles on the same entries. The handles share one on/off
    /// switch and one set of counters.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Config`](crate::error::ErrorKind::Config) if
    /// - the name is empty, longer than 128 bytes or contains control characters;
    /// - the class is already open with another value type, codec, version, policy, `memory_only`, protection or size,
    ///   time-outs or tags;
    /// - a time-out, the policy or the breaker is not allowed;
    /// - it compresses values that its protection encrypts;
    /// - its protection needs [`EntrySecrets`](crate::protection::EntrySecrets), and the cache has Redis and no secret.
    pub fn open(self) -> Result<Class<K, V>, Error> {
        let registry = &self.cache.engine.classes;
        self.open_with(|name, declaration| registry.open(name, declaration))
    }

    /// Opens the class without adding it to the list of classes.
    pub(crate) fn unlisted(self) -> Result<Class<K, V>, Error> {
        self.open_with(|_, declaration| Ok(Arc::new(ClassState::new(declaration))))
    }

    fn declaration(&self) -> Declaration {
        // The class's own name is a tag implicitly.
        let tags: BTreeSet<&String> = self.tags.iter().filter(|tag| **tag != self.name).collect();
        let parts = vec![
            ("value", std::any::type_name::<V>().to_owned()),
            ("codec", format!("{:?}", self.codec)),
            ("version", self.version.to_string()),
            ("policy", format!("{:?}", self.policy)),
            ("load_timeout", format!("{:?}", self.load_timeout)),
            ("soft_timeout", format!("{:?}", self.soft_timeout)),
            ("when_abandoned", format!("{:?}", self.abandonment)),
            ("breaker", format!("{:?}", self.breaker)),
            ("protection", format!("{:?}", self.protection)),
            ("max_value_bytes", self.max_value_bytes.to_string()),
            ("memory_only", self.is_memory_only.to_string()),
            ("tags", format!("{tags:?}")),
            ("tagged_by", self.tags_of_type.1.to_owned()),
            ("compress_above", format!("{:?}", self.compress_above)),
            ("memory_of", self.memory_of_type.1.to_owned()),
        ];
        let types = [Some(TypeId::of::<V>()), self.tags_of_type.0, self.memory_of_type.0];
        Declaration { types, parts, shown: self.declared(), breaker: self.breaker }
    }

    /// A cache without Redis needs no secret: no value leaves the process.
    fn sealer(&self) -> Result<Sealer, Error> {
        if self.compress_above.is_some() && self.protection == Protection::Sealed {
            return Err(Error::config(format!(
                "class {:?}: compress_above with Protection::Sealed: the length of an encrypted value would reveal its \
                 content; allowed is one of them",
                self.name
            )));
        }
        let Engine { entry_secrets, shared, .. } = &*self.cache.engine;
        let sealer = Sealer::new(self.protection, entry_secrets.as_ref());
        let unprotected = || shared.is_none().then(|| Sealer::new(Protection::Standard, None)).flatten();
        sealer.or_else(unprotected).ok_or_else(|| {
            Error::config(format!(
                "class {:?}: its protection is {:?}, which needs a secret; give the cache one with `entry_secrets`",
                self.name, self.protection
            ))
        })
    }

    /// The class's load time-out, if that, its soft time-out and its policy are allowed.
    fn checked_load_timeout(&self) -> Result<Duration, Error> {
        let wrong = |what: &str, value: Duration, allowed: String| {
            Error::config(format!("class {:?}: {what} {value:?}: allowed is {allowed}", self.name))
        };
        if let Some(wrong) = self.policy.error(self.is_memory_only).or_else(|| self.breaker?.error()) {
            return Err(Error::config(format!("class {:?}: {wrong}", self.name)));
        }
        let (shortest, load) = (Duration::from_millis(1), self.load_timeout);
        if let Some(load) = load.filter(|load| !(shortest..=LOAD_TIMEOUT_MAX).contains(load)) {
            return Err(wrong("load_timeout", load, format!("{shortest:?} to {LOAD_TIMEOUT_MAX:?}")));
        }
        let load = load.unwrap_or(self.cache.engine.limits.load_timeout);
        match self.soft_timeout.filter(|soft| !(shortest..load).contains(soft)) {
            Some(soft) => {
                let allowed = format!("at least {shortest:?} and less than the load_timeout, {load:?}");
                Err(wrong("soft_timeout", soft, allowed))
            }
            None => Ok(load),
        }
    }

    fn open_with(
        self,
        common: impl FnOnce(&str, Declaration) -> Result<Arc<ClassState>, Error>,
    ) -> Result<Class<K, V>, Error> {
        let namespace: &Namespace = &self.cache.namespace;
        let own = namespace.tag_key(&self.name);
        let mut tags = vec![own];
        for tag in &self.tags {
            let tag = namespace.tag_key(tag);
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        let core = Arc::new(ClassCore {
            prefix: namespace.class_prefix(&self.name)?,
            sealer: self.sealer()?,
            load_timeout: self.checked_load_timeout()?,
            soft_timeout: self.soft_timeout,
            abandonment: self.abandonment,
            // `common` registers the class. It is called last, so that a class that is refused is not registered.
            common: common(&self.name, self.declaration())?,
            max_value_bytes: self.max_value_bytes,
            compress_above: self.compress_above,
            memory_of: self.memory_of,
            name: self.name,
            policy: self.policy,
            coder: Coder::of::<V>(self.codec),
            version: self.version,
            is_memory_only: self.is_memory_only,
        });
        let engine = self.cache.engine.clone();
        Ok(Class { engine, core, tags: tags.into(), tags_of: self.tags_of, types: PhantomData })
    }
}

/// The groups of the tags that `tags_of` returns for one sample key. `None` if the key type has no sample, if the closure
/// panics or returns no tag, or if one of its tags has no group.
fn groups_of<K: Key + ?Sized>(tags_of: &TagsOf<K>) -> Option<Vec<TagGroup>> {
    let sample = K::sample()?;
    // The application's closure may panic for a key that the application never makes. The groups are then unknown.
    let tags = catch_unwind(AssertUnwindSafe(|| tags_of(&sample))).ok()?;
    if tags.is_empty() { None } else { tags.iter().map(Tag::group).collect() }
}
