//! What a loader can say about its value: how long it stays, its version, or that it has not changed.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::codec::AnyValue;
use crate::error::{BoxError, SharedError};

/// A loader's answer with more than the value. A loader can also return a plain `V`, or an `Option<V>` in which `None`
/// means that there is no such value.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder::Error> {
/// use std::time::Duration;
/// use larder::{Cache, Loaded};
///
/// let cache = Cache::builder("docs").build().await?;
/// let rates = cache.class::<str, f64>("rates").ttl(Duration::from_secs(3600)).open()?;
/// // The bank says how long its rate is good for.
/// let load = || async { Ok::<_, std::io::Error>(Loaded::new(1.09).ttl(Duration::from_secs(60))) };
/// assert_eq!(rates.get_or_load("EUR/USD", load).await?.as_deref(), Some(&1.09));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it does nothing unless a loader returns it"]
pub struct Loaded<V> {
    pub(crate) answer: LoadedKind<V>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) version: Option<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LoadedKind<V> {
    Value(V),
    Absent,
    Unchanged,
    Failed(LoadFailure),
}

/// The error of one key. Clones are equal, and nothing else is.
#[derive(Clone, Debug)]
pub(crate) struct LoadFailure(SharedError);

impl LoadFailure {
    pub(crate) fn into_error(self) -> SharedError {
        self.0
    }
}

impl PartialEq for LoadFailure {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::addr_eq(Arc::as_ptr(&self.0), Arc::as_ptr(&other.0))
    }
}

impl Eq for LoadFailure {}

impl<V> Loaded<V> {
    /// The longest version, in bytes. A longer one is not stored, counted in
    /// [`versions_dropped`](crate::stats::Stats::versions_dropped) and logged.
    pub const VERSION_BYTES_MAX: usize = 256;

    fn of(answer: LoadedKind<V>) -> Self {
        Loaded { answer, ttl: None, version: None }
    }

    /// The value.
    pub fn new(value: V) -> Self {
        Loaded::of(LoadedKind::Value(value))
    }

    /// There is no such value.
    pub fn absent() -> Self {
        Loaded::of(LoadedKind::Absent)
    }

    /// The [previous](crate::class::ReadBuilder::or_reload) value is still the present one: it stays for another TTL.
    /// If the loader got no previous value, this is an error of the load.
    pub fn unchanged() -> Self {
        Loaded::of(LoadedKind::Unchanged)
    }

    /// There is no answer, because of `error`. A loader of several keys says so of one of them: this key's readers get the
    /// error, nothing is stored for it, and the other keys have their answers. For a loader of one key it is the same as
    /// an `Err`.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), larder::Error> {
    /// use larder::Loaded;
    ///
    /// let cache = larder::Cache::builder("docs").build().await?;
    /// let ages = cache.class::<str, u8>("ages").open()?;
    /// let load = |names: Vec<String>| async move {
    ///     let rows = [("ada".to_owned(), "36"), ("bob".to_owned(), "unknown")];
    ///     let of = |(name, age): (String, &str)| (name, age.parse().map_or_else(Loaded::failed, Loaded::new));
    ///     Ok::<_, std::io::Error>(rows.map(of).into_iter().filter(|(name, _)| names.contains(name)).collect::<Vec<_>>())
    /// };
    /// let answers = ages.read_many(["ada", "bob"]).or_load(load).await;
    /// assert_eq!(answers[0].as_ref().unwrap().value.as_deref(), Some(&36));
    /// assert!(answers[1].as_ref().unwrap_err().load_error::<std::num::ParseIntError>().is_some());
    /// # Ok(())
    /// # }
    /// ```
    pub fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let error: BoxError = error.into();
        Loaded::of(LoadedKind::Failed(LoadFailure(error.into())))
    }

    /// Whether readers of the key get an error.
    pub(crate) fn is_error(&self, has_previous: bool) -> bool {
        match self.answer {
            LoadedKind::Failed(_) => true,
            LoadedKind::Unchanged => !has_previous,
            LoadedKind::Value(_) | LoadedKind::Absent => false,
        }
    }

    /// How long this answer can stay, instead of the class's TTL, which is the most: a longer one is cut to it, counted
    /// in [`ttls_cut`](crate::stats::Stats::ttls_cut) and logged. Zero: the answer is not stored.
    pub fn ttl(self, ttl: Duration) -> Self {
        Loaded { ttl: Some(ttl), ..self }
    }

    /// The version of the value, such as an ETag or the number of a revision. The loader gets it with the previous
    /// value. At most [`Loaded::VERSION_BYTES_MAX`] bytes; a longer version is not stored.
    pub fn version(self, version: impl Into<Arc<str>>) -> Self {
        Loaded { version: Some(version.into()), ..self }
    }
}

/// The entry that a load is to replace: it is valid, and it has aged.
#[derive(Clone)]
#[non_exhaustive]
pub struct Previous<V> {
    /// The value.
    pub value: Arc<V>,
    /// The version that its loader named; see [`Loaded::version`].
    pub version: Option<Arc<str>>,
    /// When its load began.
    pub loaded_at: SystemTime,
}

/// Leaves out the value, which may be personal data.
impl<V> fmt::Debug for Previous<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Previous")
            .field("version", &self.version)
            .field("loaded_at", &self.loaded_at)
            .finish_non_exhaustive()
    }
}

/// What a loader of values of type `V` can return: a `V`, an `Option<V>` or a [`Loaded<V>`], or a `Result` of one of these,
/// whose error is that of its key alone; see [`Loaded::failed`].
pub trait IntoLoaded<V> {
    /// The answer.
    fn into_loaded(self) -> Loaded<V>;
}

impl<V> IntoLoaded<V> for V {
    fn into_loaded(self) -> Loaded<V> {
        Loaded::new(self)
    }
}

impl<V> IntoLoaded<V> for Option<V> {
    fn into_loaded(self) -> Loaded<V> {
        self.map_or_else(Loaded::absent, Loaded::new)
    }
}

impl<V> IntoLoaded<V> for Loaded<V> {
    fn into_loaded(self) -> Loaded<V> {
        self
    }
}

impl<V, E: Into<Box<dyn std::error::Error + Send + Sync>>> IntoLoaded<V> for Result<V, E> {
    fn into_loaded(self) -> Loaded<V> {
        self.map_or_else(Loaded::failed, Loaded::new)
    }
}

impl<V, E: Into<Box<dyn std::error::Error + Send + Sync>>> IntoLoaded<V> for Result<Option<V>, E> {
    fn into_loaded(self) -> Loaded<V> {
        self.map_or_else(Loaded::failed, IntoLoaded::into_loaded)
    }
}

impl<V, E: Into<Box<dyn std::error::Error + Send + Sync>>> IntoLoaded<V> for Result<Loaded<V>, E> {
    fn into_loaded(self) -> Loaded<V> {
        self.unwrap_or_else(Loaded::failed)
    }
}

/// A loader's answer without its type.
pub(crate) type AnyLoaded = Loaded<AnyValue>;

/// A previous value without its type.
#[derive(Clone)]
pub(crate) struct AnyPrevious {
    pub(crate) value: AnyValue,
    pub(crate) version: Option<Arc<str>>,
    pub(crate) loaded_at_millis: u64,
}

impl<V: Send + Sync + 'static> Loaded<V> {
    pub(crate) fn untyped(self) -> AnyLoaded {
        let answer = match self.answer {
            LoadedKind::Value(value) => LoadedKind::Value(Arc::new(value) as AnyValue),
            LoadedKind::Absent => LoadedKind::Absent,
            LoadedKind::Unchanged => LoadedKind::Unchanged,
            LoadedKind::Failed(failure) => LoadedKind::Failed(failure),
        };
        Loaded { answer, ttl: self.ttl, version: self.version }
    }
}

impl AnyPrevious {
    /// `None` if the value has another type, which one class's values never have.
    pub(crate) fn typed<V: Send + Sync + 'static>(self) -> Option<Previous<V>> {
        let AnyPrevious { value, version, loaded_at_millis } = self;
        let loaded_at = UNIX_EPOCH + Duration::from_millis(loaded_at_millis);
        Some(Previous { value: value.downcast().ok()?, version, loaded_at })
    }
}
