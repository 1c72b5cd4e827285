//! The traits and functions that the code from `#[cached]` uses.

use std::future::Future;
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use crate::class::handle::Class;
use crate::codec::AnyValue;
use crate::engine::Loading;
use crate::error::{BoxError, Error};
use crate::key::Key;
use crate::loaded::Loaded;

/// What a function with [`#[cached]`](macro@crate::cached) can return, if its class has values of type `V`: a `V`, an
/// `Option<V>`, or a `Result` of one of them. Instead of `V` it can also have `Arc<V>`, which saves a clone at each
/// hit; without an `Arc`, `V` has to be `Clone`. The error of a `Result` has to be `From<Error>` (see [`Error`]) and to
/// convert to `Box<dyn Error + Send + Sync>`, as `anyhow::Error` and an enum with `#[from] larder::Error` do.
#[diagnostic::on_unimplemented(
    message = "a cached function cannot return `{Self}` if its class has values of type `{V}`",
    note = "allowed are `Result<V, E>`, `Result<Option<V>, E>`, `V` and `Option<V>`, each also with `Arc<V>`",
    note = "a `V` that is in no `Arc` has to be `Clone`",
    note = "`E` is `From<larder::Error>` and `Into<Box<dyn Error + Send + Sync>>`"
)]
pub trait CachedReturn<V>: Sized {
    /// The answer of the load; `None` if there is no such value.
    #[doc(hidden)]
    fn into_loaded(self) -> Result<Option<Arc<V>>, BoxError>;

    /// The answer of the read. `None` if this type cannot express it: an error without a `Result`, or an absent value
    /// without an `Option`.
    #[doc(hidden)]
    fn from_read(read: Result<Option<Arc<V>>, Error>) -> Option<Self>;
}

/// Implements `CachedReturn` for a form of the value, alone and in `Option` and `Result`.
macro_rules! cached_returns {
    ($value:ty, [$($bound:ident),*], $shared:path, $own:path) => {
        #[diagnostic::do_not_recommend]
        impl<V: $($bound +)* Send + Sync + 'static> CachedReturn<V> for $value {
            fn into_loaded(self) -> Result<Option<Arc<V>>, BoxError> {
                Ok(Some($shared(self)))
            }

            fn from_read(read: Result<Option<Arc<V>>, Error>) -> Option<Self> {
                read.ok().flatten().map($own)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<V: $($bound +)* Send + Sync + 'static> CachedReturn<V> for Option<$value> {
            fn into_loaded(self) -> Result<Option<Arc<V>>, BoxError> {
                Ok(self.map($shared))
            }

            fn from_read(read: Result<Option<Arc<V>>, Error>) -> Option<Self> {
                Some(read.ok()?.map($own))
            }
        }

        #[diagnostic::do_not_recommend]
        impl<V, E> CachedReturn<V> for Result<$value, E>
        where
            V: $($bound +)* Send + Sync + 'static,
            E: From<Error> + Into<BoxError>,
        {
            fn into_loaded(self) -> Result<Option<Arc<V>>, BoxError> {
                self.map(|value| Some($shared(value))).map_err(Into::into)
            }

            fn from_read(read: Result<Option<Arc<V>>, Error>) -> Option<Self> {
                match read {
                    Ok(value) => Some(Ok($own(value?))),
                    Err(error) => Some(Err(error.into())),
                }
            }
        }

        #[diagnostic::do_not_recommend]
        impl<V, E> CachedReturn<V> for Result<Option<$value>, E>
        where
            V: $($bound +)* Send + Sync + 'static,
            E: From<Error> + Into<BoxError>,
        {
            fn into_loaded(self) -> Result<Option<Arc<V>>, BoxError> {
                self.map(|value| value.map($shared)).map_err(Into::into)
            }

            fn from_read(read: Result<Option<Arc<V>>, Error>) -> Option<Self> {
                Some(read.map(|value| value.map($own)).map_err(Into::into))
            }
        }
    };
}

cached_returns!(V, [Clone], Arc::new, Arc::unwrap_or_clone);
cached_returns!(Arc<V>, [], std::convert::identity, std::convert::identity);

/// What the load of a function with [`#[cached]`](macro@crate::cached) can take. The load runs in a task of its own, so it
/// gets an owned copy of `self` and of each argument: by `Clone` or, for `str` and slices, by `ToOwned`.
#[diagnostic::on_unimplemented(
    message = "the load of a cached function cannot get `{Self}`",
    label = "has to be `Clone` and `Send`",
    note = "the load runs in a task of the cache, with clones of `self` and of the arguments: derive `Clone`, or pass an `Arc` of it (`self: Arc<Self>` for `self`)"
)]
pub trait LoadArgument: ToOwned<Owned: Send> {}

#[diagnostic::do_not_recommend]
impl<T: ToOwned<Owned: Send> + ?Sized> LoadArgument for T {}

/// An owned form of an argument.
#[doc(hidden)]
pub fn load_argument<T: LoadArgument + ?Sized>(argument: &T) -> T::Owned {
    argument.to_owned()
}

/// Reads `key`; `load` begins the body of the cached function, with clones of its arguments.
///
/// If the function's type cannot express what the read returned, the body runs in the caller's task, and its value is
/// not stored. A type without `Result` cannot express an error of the read: a load that took too long or panicked, or
/// an open breaker. A type without `Option` cannot express an absent value that another loader of the class found.
#[doc(hidden)]
pub async fn read_cached<K, V, Q, R, L, F>(class: &Class<K, V>, key: &Q, load: L) -> R
where
    K: Key + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    Q: Key<K> + ?Sized,
    R: CachedReturn<V>,
    L: Fn() -> F,
    F: Future<Output = R> + Send + 'static,
{
    let begin_load = |_previous| -> Loading {
        let (core, loading) = (class.core.clone(), load());
        Loading::of(async move {
            let timing = core.common.load_times.timing();
            let loaded = loading.await.into_loaded()?;
            drop(timing);
            Ok(loaded.map_or_else(Loaded::absent, |value| Loaded::new(value as AnyValue)))
        })
    };
    let read = class.read(key).run(begin_load).await.map(|answer| answer.value);
    match R::from_read(read) {
        Some(returned) => returned,
        None => load().await,
    }
}
