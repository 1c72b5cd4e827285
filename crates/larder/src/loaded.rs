//! What a loader can say about its value: how long it stays, its version, or that it has not changed.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::codec::AnyValue;

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
}

impl<V> Loaded<V> {
    /// The longest version, in bytes. A longer one is not stored.
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

    /// How long this answer can stay, instead of the class's TTL, which is the most: a longer one is cut to it, counted
    /// in [`ttls_cut`](crate::stats::Stats::ttls_cut) and logged. Zero: the answer is not stored.
    pub fn ttl(self, ttl: Duration) -> Self {
        Loaded { ttl: Some(ttl), ..self }
    }

    /// The version of the value, such as an ETag or the number of a revision. The loader gets it with the previous
    /// value. At most [`Loaded::VERSION_BYTES_MAX`] bytes; a longer version is not stored.
    pub fn version(self, version: impl Into<Arc<str>>) -> Self {
        let version = version.into();
        Loaded { version: (version.len() <= Self::VERSION_BYTES_MAX).then_some(version), ..self }
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

/// What a loader of values of type `V` can return: a `V`, an `Option<V>` or a [`Loaded<V>`].
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
