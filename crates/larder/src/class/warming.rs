//! Loads the entries of a class before readers ask for them.

use std::borrow::Borrow;
use std::io;
use std::path::PathBuf;
use std::pin::pin;

use futures_util::stream::{self, Stream, StreamExt};
use serde::{Serialize, de::DeserializeOwned};

use crate::class::handle::Answer;
use crate::class::hot::HotKeyNotes;
use crate::class::loading::{Loader, LoadingClass, LoadingClassBuilder};
use crate::error::Error;
use crate::key::{Key, KeyParts};
use crate::source::Source;
use crate::uncached::is_uncached;

/// How many keys are read at once. A reader whose key is among them waits for the load of so many.
const WARM_KEYS: usize = 100;

/// As [`WARM_KEYS`], if the class's loader loads one key: then each of the keys is a call of it.
const WARM_KEYS_ALONE: usize = 4;

/// How many reads of so many keys run at once, so that most of the database's connections stay free for readers.
const WARM_READS: usize = 2;

/// What a [`LoadingClass::warm`] did. Each key counts once, in one of the four counts.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WarmReport {
    /// Keys that a tier had, or that another read was loading.
    pub cached: u64,
    /// Keys whose value was loaded.
    pub loaded: u64,
    /// Keys for which the database has no value.
    pub absent: u64,
    /// Keys whose load failed.
    pub failed: u64,
    /// Why the first of them failed.
    pub first_error: Option<Error>,
    /// Whether all keys were read. Warming ends early if all keys of one read failed, because the next ones would fail
    /// too, and if caching is off or it runs inside a load, because nothing would be stored.
    pub is_complete: bool,
}

impl WarmReport {
    /// Counts the answers of one read. Returns whether the next read is worth it.
    fn count<V>(&mut self, answers: Vec<Result<Answer<V>, Error>>) -> bool {
        let mut goes_on = false;
        for answer in answers {
            let count = match answer {
                Ok(Answer { source: Source::Bypass, .. }) => return false,
                Ok(
                    Answer { is_shared: true, .. } | Answer { source: Source::Memory | Source::Redis, .. },
                ) => &mut self.cached,
                Ok(Answer { value: Some(_), .. }) => &mut self.loaded,
                Ok(Answer { value: None, .. }) => &mut self.absent,
                Err(error) => {
                    self.failed += 1;
                    self.first_error.get_or_insert(error);
                    continue;
                }
            };
            *count += 1;
            goes_on = true;
        }
        goes_on
    }
}

impl<K, V> LoadingClass<K, V>
where
    K: Key + ToOwned + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Reads `keys`, so that their entries are cached before readers ask for them: at the start of a process, or after
    /// an import. What is cached is not loaded. It reads batches of 100 keys, two batches
    /// at once; with a loader of one key, batches of four, so that at most eight loads run at once. Its loads are those of
    /// [`LoadingClass::fetch_many`]: a reader of one of the keys joins the load, and a load that an invalidation overtakes
    /// is not stored. The reads count in the class's [`stats`](crate::class::Class::stats).
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
    /// let report = products.warm(1..=1_000).await;
    /// assert!(report.is_complete && report.loaded == 1_000);
    /// assert!(products.get(&7).await.is_hit());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn warm<Q: Key<K>>(&self, keys: impl IntoIterator<Item = Q>) -> WarmReport {
        self.warm_stream(stream::iter(keys)).await
    }

    /// As [`LoadingClass::warm`], for keys that arrive one after the other, such as the rows of a query. The stream is
    /// read no faster than its keys are loaded.
    pub async fn warm_stream<Q: Key<K>>(&self, keys: impl Stream<Item = Q>) -> WarmReport {
        let mut report = WarmReport::default();
        if !self.core.is_on(&self.engine) || is_uncached() {
            return report;
        }
        let at_once = if matches!(self.loader, Loader::One(_)) { WARM_KEYS_ALONE } else { WARM_KEYS };
        let reads = keys.chunks(at_once).map(|keys| {
            let mut read = self.read_many(keys);
            read.notes = false;
            read.fetch()
        });
        let mut reads = pin!(reads.buffer_unordered(WARM_READS));
        while let Some(answers) = reads.next().await {
            if !report.count(answers) {
                return report;
            }
        }
        report.is_complete = true;
        report
    }
}

impl<K, V> LoadingClassBuilder<'_, K, V>
where
    K: Key + ToOwned + ?Sized,
    K::Owned: Serialize + DeserializeOwned + 'static,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// Keeps the keys that are read most in the file `path`, for [`LoadingClass::warm_hot`] after a restart: up to 1,000
    /// keys, from a sample of one in 16 reads by the class's loader. The file is written each minute, and by
    /// [`LoadingClass::save_hot`]. It has the keys in plain text, so keep it where keys may be read. One file belongs to
    /// one class of one process. Default: no keys are kept. Call `open` within a tokio runtime.
    pub fn remember_hot(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.hot = Some(Box::new(|class| HotKeyNotes::open(path, class)));
        self
    }
}

impl<K, V> LoadingClass<K, V>
where
    K: Key + ToOwned + ?Sized,
    K::Owned: DeserializeOwned,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// [Warms](LoadingClass::warm) the keys that the file of
    /// [`remember_hot`](LoadingClassBuilder::remember_hot) had when the class was opened, the most read one first. A
    /// file that is missing is like an empty one, and damaged lines of it are skipped and logged.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = std::env::temp_dir().join(format!("larder-hot-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// # let path = folder.join("products.hot");
    /// for run in 0..2 {
    ///     let cache = larder::Cache::builder("docs").build().await?;
    ///     let products = cache
    ///         .class::<i64, String>("products")
    ///         .loaded_by(|id| async move { Ok::<_, std::io::Error>(format!("product {id}")) })
    ///         .remember_hot(&path)
    ///         .open()?;
    ///     let report = products.warm_hot().await;
    ///     assert_eq!(report.loaded, run);
    ///     for _ in 0..100 {
    ///         products.fetch(&7).await?;
    ///     }
    ///     products.save_hot().await?;
    /// }
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn warm_hot(&self) -> WarmReport {
        let keys = self.hot.as_ref().map_or_else(Vec::new, |hot| hot.keys().before::<K::Owned>());
        // The owned form is borrowed as the form of the class's keys.
        self.warm(keys.into_iter().map(Owned)).await
    }

    /// Writes the file of [`remember_hot`](LoadingClassBuilder::remember_hot) now, for example before the process ends.
    /// Without `remember_hot` it does nothing.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub async fn save_hot(&self) -> io::Result<()> {
        let Some(hot) = self.hot.as_ref().map(HotKeyNotes::keys) else { return Ok(()) };
        tokio::task::spawn_blocking(move || hot.save())
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

/// Wraps an owned key (such as `String`), so that a class whose key type is borrowed (such as `str`) accepts it.
struct Owned<O>(O);

impl<K: Key + ?Sized, O: Borrow<K>> Key<K> for Owned<O> {
    fn parts(&self, parts: &mut KeyParts<'_>) {
        self.0.borrow().parts(parts);
    }

    fn with_key<R>(&self, f: impl FnOnce(&K) -> R) -> R {
        f(self.0.borrow())
    }
}
