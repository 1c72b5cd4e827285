//! Classes that have their loader.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use crate::class::builder::ClassBuilder;
use crate::class::handle::{Answer, Class, ReadBuilder};
use crate::class::hot::HotKeyNotes;
use crate::class::many::{MissingKey, ReadManyBuilder, Reload, SharedLoad};
use crate::engine::{ClassCore, Loading};
use crate::error::{BoxError, Error};
use crate::key::{Key, KeyBuf};
use crate::loaded::{AnyPrevious, Loaded, Previous};
use crate::policy::Consistency;

pub(super) type BoxedLoad<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

type LoadOne<O, V> = dyn Fn(O, Option<Previous<V>>) -> BoxedLoad<Loaded<V>> + Send + Sync;

/// Gets the class too, to spell the keys that the application's loader returns.
type LoadMany<O, V> =
    dyn Fn(Arc<ClassCore>, Vec<Reload<O, V>>) -> BoxedLoad<Vec<(KeyBuf, Loaded<V>)>> + Send + Sync;

/// The loader of a class. `O` is the owned form of its keys.
pub(super) enum Loader<O, V> {
    One(Arc<LoadOne<O, V>>),
    Many(Arc<LoadMany<O, V>>),
}

impl<O, V> Clone for Loader<O, V> {
    fn clone(&self) -> Self {
        match self {
            Loader::One(load) => Loader::One(load.clone()),
            Loader::Many(load) => Loader::Many(load.clone()),
        }
    }
}

impl<O, V: Send + Sync + 'static> Loader<O, V> {
    fn begin(&self, core: &Arc<ClassCore>, missing: MissingKey<O>) -> Loading {
        let MissingKey { spelled, key, previous } = missing;
        match self {
            Loader::One(load) => one(core.clone(), load(key, previous.and_then(AnyPrevious::typed))),
            Loader::Many(load) => {
                let (asked, key) = MissingKey { spelled, key, previous }.split();
                SharedLoad::of(core, vec![asked.clone()], load(core.clone(), vec![key])).loading(asked)
            }
        }
    }

    fn begin_all(&self, core: &Arc<ClassCore>, missing: Vec<MissingKey<O>>) -> Vec<Loading> {
        match self {
            Loader::One(_) => missing.into_iter().map(|missing| self.begin(core, missing)).collect(),
            Loader::Many(load) => {
                let (asked, keys): (Vec<_>, _) = missing.into_iter().map(MissingKey::split).unzip();
                let run = SharedLoad::of(core, asked.clone(), load(core.clone(), keys));
                asked.into_iter().map(|key| run.loading(key)).collect()
            }
        }
    }
}

fn one<V: Send + Sync + 'static>(core: Arc<ClassCore>, loading: BoxedLoad<Loaded<V>>) -> Loading {
    Loading::of(async move {
        let timing = core.common.timing();
        let loaded = loading.await?;
        drop(timing);
        Ok(loaded.untyped())
    })
}

/// Opens a class that has its loader; made by [`ClassBuilder::loaded_by`].
#[must_use = "nothing is opened before `open`"]
pub struct LoadingClassBuilder<'a, K: ToOwned + ?Sized, V> {
    pub(super) class: ClassBuilder<'a, K, V>,
    pub(super) loader: Loader<K::Owned, V>,
    /// Opens the file of the hot keys, for the class of this name.
    pub(super) hot: Option<OpenHot<K::Owned>>,
}

pub(super) type OpenHot<O> = Box<dyn FnOnce(&str) -> HotKeyNotes<O>>;

impl<K: ToOwned + ?Sized, V> fmt::Debug for LoadingClassBuilder<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadingClassBuilder").field("class", &self.class).finish_non_exhaustive()
    }
}

impl<K, V> LoadingClassBuilder<'_, K, V>
where
    K: Key + ToOwned + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Opens the class; see [`ClassBuilder::open`]. A handle of the same class without a loader, or with another one, is
    /// no contradiction: they share the entries.
    ///
    /// # Errors
    ///
    /// Those of [`ClassBuilder::open`].
    pub fn open(self) -> Result<LoadingClass<K, V>, Error> {
        let class = self.class.open()?;
        let hot = self.hot.map(|open| open(class.name()));
        Ok(LoadingClass { class, loader: self.loader, hot })
    }
}

/// A handle to a class that has its loader; cheap to clone. It is a [`Class`] too: [`Class::invalidate`], and
/// [`Class::get_or_load`] with another loader, are its methods.
pub struct LoadingClass<K: ToOwned + ?Sized, V> {
    class: Class<K, V>,
    pub(super) loader: Loader<K::Owned, V>,
    pub(super) hot: Option<HotKeyNotes<K::Owned>>,
}

impl<K: ToOwned + ?Sized, V> Clone for LoadingClass<K, V> {
    fn clone(&self) -> Self {
        LoadingClass { class: self.class.clone(), loader: self.loader.clone(), hot: self.hot.clone() }
    }
}

impl<K: ToOwned + ?Sized, V> fmt::Debug for LoadingClass<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadingClass").field("class", &self.class).finish_non_exhaustive()
    }
}

impl<K: ToOwned + ?Sized, V> Deref for LoadingClass<K, V> {
    type Target = Class<K, V>;

    fn deref(&self) -> &Class<K, V> {
        &self.class
    }
}

impl<K, V> LoadingClass<K, V>
where
    K: Key + ToOwned + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Returns the value of `key`; if no tier has it, the class's loader loads it. See [`Class::get_or_load`].
    ///
    /// # Errors
    ///
    /// Those of [`Class::get_or_load`].
    pub async fn fetch<Q: Key<K> + ?Sized>(&self, key: &Q) -> Result<Option<Arc<V>>, Error> {
        Ok(self.read(key).fetch().await?.value)
    }

    /// Returns the values of `keys`, in their order; the class's loader loads those that no tier has. See
    /// [`Class::get_many`]. A loader of one key is called for each of them, all at once.
    ///
    /// # Errors
    ///
    /// The error of the first key that has one.
    pub async fn fetch_many<Q: Key<K>>(
        &self,
        keys: impl IntoIterator<Item = Q>,
    ) -> Result<Vec<Option<Arc<V>>>, Error> {
        let answers = self.read_many(keys).fetch().await;
        answers.into_iter().map(|answer| answer.map(|answer| answer.value)).collect()
    }

    /// Starts to build a read by the class's loader. Set its consistency on the result.
    pub fn read<'a, Q: Key<K> + ?Sized>(
        &'a self,
        key: &'a Q,
    ) -> LoadingRead<'a, K, V, ReadBuilder<'a, K, V, Q>> {
        LoadingRead { class: self, read: self.class.read(key), notes: true }
    }

    /// Starts to build a read of several keys by the class's loader. Set its consistency on the result.
    pub fn read_many<Q: Key<K>>(
        &self,
        keys: impl IntoIterator<Item = Q>,
    ) -> LoadingRead<'_, K, V, ReadManyBuilder<'_, K, V, Q>> {
        LoadingRead { class: self, read: self.class.read_many(keys), notes: true }
    }
}

/// A read by the class's loader before it runs; see [`LoadingClass::read`] and [`LoadingClass::read_many`].
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder::Error> {
/// let cache = larder::Cache::builder("docs").build().await?;
/// let products = cache
///     .class::<i64, String>("products")
///     .loaded_by(|id| async move { Ok::<_, std::io::Error>(format!("product {id}")) })
///     .open()?;
/// assert!(products.read(&7).fresh().fetch().await?.source.is_stored());
/// assert!(products.read_many(&[7, 8]).fetch().await[0].as_ref().is_ok_and(|answer| answer.source.is_hit()));
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is read before `fetch`"]
#[derive(Debug)]
pub struct LoadingRead<'a, K: ToOwned + ?Sized, V, B> {
    class: &'a LoadingClass<K, V>,
    read: B,
    /// Whether the read counts for the hot keys.
    pub(super) notes: bool,
}

/// The methods that a read of one key and a read of several have in common.
macro_rules! options {
    () => {
        /// Which consistency the read asks for. Default: the class's.
        pub fn consistency(self, consistency: Consistency) -> Self {
            LoadingRead { read: self.read.consistency(consistency), ..self }
        }

        /// Skips memory; short for [`Consistency::Fresh`].
        pub fn fresh(self) -> Self {
            self.consistency(Consistency::Fresh)
        }

        /// How long this read waits for its answer; see [`ReadBuilder::soft_timeout`].
        pub fn soft_timeout(self, soft_timeout: Duration) -> Self {
            LoadingRead { read: self.read.soft_timeout(soft_timeout), ..self }
        }
    };
}

impl<'a, K, V, Q> LoadingRead<'a, K, V, ReadBuilder<'a, K, V, Q>>
where
    K: Key + ToOwned + ?Sized,
    Q: Key<K> + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    options!();

    /// Reads the value; if no tier can answer, the class's loader loads it.
    ///
    /// # Errors
    ///
    /// Those of [`Class::get_or_load`].
    pub async fn fetch(self) -> Result<Answer<V>, Error> {
        let LoadingClass { class, loader, hot } = self.class;
        let key = self.read.key;
        if let Some(hot) = hot {
            hot.note(|| key.with_key(K::to_owned));
        }
        let missing =
            |previous| MissingKey { spelled: class.key(key), key: key.with_key(K::to_owned), previous };
        self.read.run(|previous| loader.begin(&class.core, missing(previous))).await
    }
}

impl<'a, K, V, Q> LoadingRead<'a, K, V, ReadManyBuilder<'a, K, V, Q>>
where
    K: Key + ToOwned + ?Sized,
    Q: Key<K>,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    options!();

    /// Reads the values; the class's loader loads those that no tier has. Returns an answer or an error for each key, in
    /// the order of the keys.
    pub async fn fetch(self) -> Vec<Result<Answer<V>, Error>> {
        let LoadingClass { class, loader, hot } = self.class;
        if let Some(hot) = hot.as_ref().filter(|_| self.notes) {
            self.read.keys.iter().for_each(|key| hot.note(|| key.with_key(K::to_owned)));
        }
        self.read.run(|missing| loader.begin_all(&class.core, missing)).await
    }
}
