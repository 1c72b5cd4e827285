//! The one error type: its kind, what the cache was doing, and the cause.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What kind of failure an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting is not allowed; the message names it, its value and what is allowed.
    Config,
    /// The loader returned an error; [`Error::load_error`] returns it.
    Load,
    /// The loader took longer than the load time-out.
    LoadTimeout,
    /// The loader panicked.
    LoadPanicked,
    /// The load ended without a result: the cache stopped it, or the runtime in which it ran ended.
    LoadEnded,
    /// The load takes longer than this read waits: the [soft time-out](crate::class::ClassBuilder::soft_timeout). A load
    /// that has begun goes on, and later reads get its value.
    SoftTimeout,
    /// The class's loads failed in a row, so no load began; see
    /// [`ClassBuilder::breaker`](crate::class::ClassBuilder::breaker).
    BreakerOpen,
}

/// Why a cache could not be built or a value could not be loaded. If a tier fails, a read calls the loader and returns
/// no error for it.
///
/// Cloning is cheap: all followers of a flight share its error.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), larder::error::Error> {
/// use larder::cache::Cache;
/// use larder::error::ErrorKind;
///
/// let cache = Cache::builder("docs").build().await?;
/// let rooms = cache.class::<u32, String>("rooms").open()?;
/// let error = rooms.get_or_load(&7, || async { Err::<String, _>(std::fmt::Error) }).await.unwrap_err();
///
/// assert_eq!(error.kind(), ErrorKind::Load);
/// assert!(error.load_error::<std::fmt::Error>().is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Error {
    inner: Arc<Inner>,
}

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// As [`BoxError`], for an error that several readers get.
pub(crate) type SharedError = Arc<dyn std::error::Error + Send + Sync + 'static>;

/// Wraps the error of a load of several keys, so that [`Error::load`] can return it for each of the keys.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct SharedLoadError(pub(crate) Error);

struct Inner {
    kind: ErrorKind,
    context: String,
    source: Option<SharedError>,
}

impl Error {
    fn new(kind: ErrorKind, context: String, source: Option<BoxError>) -> Self {
        Error { inner: Arc::new(Inner { kind, context, source: source.map(SharedError::from) }) }
    }

    pub(crate) fn config(context: String) -> Self {
        Error::new(ErrorKind::Config, context, None)
    }

    #[cfg(feature = "redis")]
    pub(crate) fn config_because(context: String, source: impl Into<BoxError>) -> Self {
        Error::new(ErrorKind::Config, context, Some(source.into()))
    }

    pub(crate) fn load(class: &str, source: BoxError) -> Self {
        match source.downcast::<SharedLoadError>() {
            Ok(shared) => shared.0,
            Err(source) => Error::load_failed(class, source.into()),
        }
    }

    /// As [`Error::load`], for the error of one key of several.
    pub(crate) fn load_failed(class: &str, source: SharedError) -> Self {
        let context = format!("loading an entry of class `{class}`");
        Error { inner: Arc::new(Inner { kind: ErrorKind::Load, context, source: Some(source) }) }
    }

    pub(crate) fn load_timeout(class: &str, limit: Duration) -> Self {
        let context = format!("loading an entry of class `{class}` took longer than {limit:?}");
        Error::new(ErrorKind::LoadTimeout, context, None)
    }

    pub(crate) fn load_panicked() -> Self {
        Error::new(ErrorKind::LoadPanicked, "the load panicked".to_owned(), None)
    }

    /// For a load that ended without a result: it was stopped, or its runtime ended. The cache stops only a load that
    /// no read waits for.
    pub(crate) fn load_ended() -> Self {
        Error::new(ErrorKind::LoadEnded, "the load ended without a result".to_owned(), None)
    }

    pub(crate) fn soft_timeout(class: &str, limit: Duration) -> Self {
        let context =
            format!("there is no entry of class `{class}` after {limit:?}; a load that has begun goes on");
        Error::new(ErrorKind::SoftTimeout, context, None)
    }

    pub(crate) fn breaker_open(class: &str) -> Self {
        let context = format!("no load of class `{class}` begins: its loads failed in a row (breaker)");
        Error::new(ErrorKind::BreakerOpen, context, None)
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// The loader's own error, if the kind is [`ErrorKind::Load`] and the loader's error is an `E`.
    ///
    /// A boxed `anyhow::Error` hides the type of the error in it. If the loader returns an `anyhow::Error` and the
    /// caller needs that type, the loader has to convert it with
    /// `anyhow::Error::reallocate_into_boxed_dyn_error_without_backtrace`.
    pub fn load_error<E: std::error::Error + 'static>(&self) -> Option<&E> {
        match self.kind() {
            ErrorKind::Load => self.inner.source.as_deref()?.downcast_ref(),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.context)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.inner.kind)
            .field("context", &self.inner.context)
            .field("source", &self.inner.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_deref().map(|source| source as _)
    }
}
