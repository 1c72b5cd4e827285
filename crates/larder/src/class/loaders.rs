//! Gives a class its loader.

use std::future::Future;
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use crate::class::builder::ClassBuilder;
use crate::class::loading::{BoxedLoad, Loader, LoadingClassBuilder};
use crate::class::many::{Reload, without_previous};
use crate::engine::ClassCore;
use crate::key::{Key, KeyBuf};
use crate::loaded::{IntoLoaded, Loaded, Previous};

impl<'a, K, V> ClassBuilder<'a, K, V>
where
    K: Key + ToOwned + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Gives the class its loader, which each [`fetch`](crate::LoadingClass::fetch) uses; what
    /// [`Class::get_or_load`](crate::Class::get_or_load) says about a loader holds for this one. It comes last, before
    /// `open`.
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
    /// assert_eq!(products.fetch(&7).await?.as_deref().map(String::as_str), Some("product 7"));
    ///
    /// // One value needs no key.
    /// let settings = cache
    ///     .class::<(), String>("settings")
    ///     .loaded_by(|()| async { Ok::<_, std::io::Error>("blue".to_owned()) })
    ///     .open()?;
    /// assert_eq!(settings.fetch(&()).await?.as_deref().map(String::as_str), Some("blue"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn loaded_by<L, F, T, E>(self, load: L) -> LoadingClassBuilder<'a, K, V>
    where
        L: Fn(K::Owned) -> F + Send + Sync + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: IntoLoaded<V>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.reloaded_by(move |key, _| load(key))
    }

    /// As [`ClassBuilder::loaded_by`], with a loader that also gets the value which it is to replace, as that of
    /// [`ReadBuilder::or_reload`](crate::class::ReadBuilder::or_reload) does.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::Error> {
    /// use larder::{Loaded, Previous};
    ///
    /// let cache = larder::Cache::builder("docs").build().await?;
    /// let reports = cache
    ///     .class::<str, String>("reports")
    ///     .reloaded_by(|city, previous: Option<Previous<String>>| async move {
    ///         Ok::<_, std::io::Error>(match previous {
    ///             Some(_) => Loaded::unchanged(),
    ///             None => Loaded::new(format!("sunny in {city}")),
    ///         })
    ///     })
    ///     .open()?;
    /// assert_eq!(reports.fetch("Berlin").await?.as_deref().map(String::as_str), Some("sunny in Berlin"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn reloaded_by<L, F, T, E>(self, load: L) -> LoadingClassBuilder<'a, K, V>
    where
        L: Fn(K::Owned, Option<Previous<V>>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: IntoLoaded<V>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let load = move |key: K::Owned, previous| -> BoxedLoad<Loaded<V>> {
            let loading = load(key, previous);
            Box::pin(async move { loading.await.map(IntoLoaded::into_loaded).map_err(Into::into) })
        };
        LoadingClassBuilder { class: self, loader: Loader::One(Arc::new(load)), hot: None }
    }

    /// As [`ClassBuilder::loaded_by`], with a loader of several keys:
    /// [`LoadingClass::fetch_many`](crate::LoadingClass::fetch_many) calls it once for all keys that no tier has, and
    /// [`LoadingClass::fetch`](crate::LoadingClass::fetch) for one key. [`Class::get_many`](crate::Class::get_many) says
    /// what it returns.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::Error> {
    /// use std::collections::HashMap;
    ///
    /// let cache = larder::Cache::builder("docs").build().await?;
    /// let products = cache
    ///     .class::<i64, String>("products")
    ///     .loaded_by_batch(|ids: Vec<i64>| async move {
    ///         // SELECT id, name FROM products WHERE id = ANY($1)
    ///         let rows = ids.into_iter().map(|id| (id, format!("product {id}")));
    ///         Ok::<_, std::io::Error>(rows.collect::<HashMap<_, _>>())
    ///     })
    ///     .open()?;
    /// let names = products.fetch_many(&[7, 8, 9]).await?;
    /// assert_eq!(names[2].as_deref().map(String::as_str), Some("product 9"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn loaded_by_batch<L, F, I, R, T, E>(self, load: L) -> LoadingClassBuilder<'a, K, V>
    where
        L: Fn(Vec<K::Owned>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (R, T)>,
        R: Key<K>,
        T: IntoLoaded<V>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.reloaded_by_batch(move |keys| load(without_previous(keys)))
    }

    /// As [`ClassBuilder::loaded_by_batch`], with a loader that gets each key together with the value which it is to
    /// replace, as that of [`ReadManyBuilder::or_reload`](crate::class::ReadManyBuilder::or_reload) does.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::Error> {
    /// use larder::{Loaded, Previous};
    ///
    /// let cache = larder::Cache::builder("docs").build().await?;
    /// let reports = cache
    ///     .class::<str, String>("reports")
    ///     .reloaded_by_batch(|cities: Vec<(String, Option<Previous<String>>)>| async move {
    ///         let report = |(city, previous)| match previous {
    ///             Some(_) => (city, Loaded::unchanged()),
    ///             None => (city, Loaded::new("sunny".to_owned())),
    ///         };
    ///         Ok::<_, std::io::Error>(cities.into_iter().map(report).collect::<Vec<_>>())
    ///     })
    ///     .open()?;
    /// assert_eq!(reports.fetch("Berlin").await?.as_deref().map(String::as_str), Some("sunny"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn reloaded_by_batch<L, F, I, R, T, E>(self, load: L) -> LoadingClassBuilder<'a, K, V>
    where
        L: Fn(Vec<(K::Owned, Option<Previous<V>>)>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<I, E>> + Send + 'static,
        I: IntoIterator<Item = (R, T)>,
        R: Key<K>,
        T: IntoLoaded<V>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let load = move |core: Arc<ClassCore>,
                         keys: Vec<Reload<K::Owned, V>>|
              -> BoxedLoad<Vec<(KeyBuf, Loaded<V>)>> {
            let loading = load(keys);
            Box::pin(async move {
                let answers = loading.await.map_err(Into::into)?;
                Ok(answers
                    .into_iter()
                    .map(|(key, value)| (core.prefix.key(&key), value.into_loaded()))
                    .collect())
            })
        };
        LoadingClassBuilder { class: self, loader: Loader::Many(Arc::new(load)), hot: None }
    }
}
