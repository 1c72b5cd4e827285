//! The traits and functions that the code from `#[cached]` uses.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use crate::class::handle::Class;
use crate::codec::AnyValue;
use crate::engine::Loading;
use crate::error::{BoxError, Error};
use crate::key::Key;
use crate::loaded::Loaded;
use crate::protocol::tag::TagKey;
use crate::tag::Tag;

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

/// One load of a cached function.
#[doc(hidden)]
#[derive(Debug)]
pub struct CachedLoad<F, T> {
    /// The function's body, with clones of its arguments.
    pub body: F,
    /// `()`, a [`CachedFor`] or what [`cached_for`] returns.
    pub ttl: T,
    /// The tags that the entry must have, if the function names some.
    pub tags: Option<CachedTags>,
}

/// How long a value of a cached function stays.
#[doc(hidden)]
pub trait CachedTtl<V>: Send + 'static {
    /// `None`: as the class says.
    fn ttl(self, value: &V) -> Option<Duration>;
}

impl<V> CachedTtl<V> for () {
    fn ttl(self, _: &V) -> Option<Duration> {
        None
    }
}

/// The option `ttl` of `#[cached]`, if it does not depend on the value.
#[doc(hidden)]
#[derive(Debug)]
pub struct CachedFor(pub Duration);

impl<V> CachedTtl<V> for CachedFor {
    fn ttl(self, _: &V) -> Option<Duration> {
        Some(self.0)
    }
}

/// The option `ttl` of `#[cached]`, if it is a function of the value.
#[doc(hidden)]
#[derive(Debug)]
pub struct CachedForValue<F>(F);

impl<V, F: FnOnce(&V) -> Duration + Send + 'static> CachedTtl<V> for CachedForValue<F> {
    fn ttl(self, value: &V) -> Option<Duration> {
        Some((self.0)(value))
    }
}

/// The class says which values the closure gets, so that the closure needs no types.
#[doc(hidden)]
pub fn cached_for<K: ?Sized, V, F>(_: &Class<K, V>, ttl: F) -> CachedForValue<F>
where
    F: FnOnce(&V) -> Duration + Send + 'static,
{
    CachedForValue(ttl)
}

/// The option `tags` of `#[cached]`.
#[doc(hidden)]
#[derive(Debug)]
pub struct CachedTags {
    tags: Vec<Tag>,
    function: &'static str,
    declaration: &'static str,
}

/// One of the tags: a text, or a [`Tag`].
#[doc(hidden)]
pub fn cached_tag(tag: impl Into<Tag>) -> Tag {
    tag.into()
}

/// The tags that the entries of `function` must have; `declaration` is how their class could be opened.
#[doc(hidden)]
pub fn cached_tags(
    tags: impl IntoIterator<Item: Into<Tag>>,
    function: &'static str,
    declaration: &'static str,
) -> CachedTags {
    CachedTags { tags: tags.into_iter().map(Into::into).collect(), function, declaration }
}

/// How many loads of each function failed because their class does not give the entry a tag that the function names. The
/// lock is held to count, and no other lock is taken meanwhile.
static UNTAGGED: Mutex<Option<HashMap<&'static str, u64>>> = Mutex::new(None);

/// Counts one more for `function`, and returns its number.
fn count_untagged(function: &'static str) -> u64 {
    let mut untagged = UNTAGGED.lock().unwrap_or_else(PoisonError::into_inner);
    let count = untagged.get_or_insert_default().entry(function).or_default();
    *count += 1;
    *count
}

impl CachedTags {
    /// An error if the entry of `key` has not all of these tags: an invalidation of the others would not reach it. The
    /// tags cannot be added here, because every reader of the entry checks it by the tags that the class declares.
    fn check<K, V, Q>(self, class: &Class<K, V>, key: &Q) -> Result<(), BoxError>
    where
        K: Key + ?Sized,
        V: Serialize + DeserializeOwned + Send + Sync + 'static,
        Q: Key<K> + ?Sized,
    {
        let CachedTags { tags, function, declaration } = self;
        let of_entry: Vec<TagKey> = class.tags(key).iter().map(TagKey::without_slot_range).collect();
        let has = |text| of_entry.contains(&class.engine.namespace.tag_key(text));
        if tags.iter().flat_map(Tag::texts).all(has) {
            return Ok(());
        }
        // The text of a tag may be personal data, so it is left out.
        let text = format!(
            "class {:?}: its entries have not all of the tags that the cached function `{function}` names, so an \
             invalidation of these would not reach them; open the class with {declaration}",
            class.name()
        );
        // Also logged, at the function's first, second, fourth … failure: one that returns no `Result` cannot return it.
        if count_untagged(function).is_power_of_two() {
            tracing::error!("{text}");
        }
        Err(text.into())
    }
}

/// Reads `key`; `load` begins the body of the cached function, with clones of its arguments.
///
/// If the function's type cannot express what the read returned, the body runs in the caller's task, and its value is
/// not stored. A type without `Result` cannot express an error of the read: a load that took too long or panicked, an
/// open breaker, or a missing tag. A type without `Option` cannot express an absent value that another loader of the
/// class found.
#[doc(hidden)]
pub async fn read_cached<K, V, Q, R, L, F, T>(class: &Class<K, V>, key: &Q, load: L) -> R
where
    K: Key + ?Sized,
    V: Serialize + DeserializeOwned + Send + Sync + 'static,
    Q: Key<K> + ?Sized,
    R: CachedReturn<V>,
    L: Fn() -> CachedLoad<F, T>,
    F: Future<Output = R> + Send + 'static,
    T: CachedTtl<V>,
{
    let begin_load = |_previous| -> Loading {
        let (core, CachedLoad { body, ttl, tags }) = (class.core.clone(), load());
        if let Some(Err(error)) = tags.map(|tags| tags.check(class, key)) {
            return Loading::refused(error);
        }
        Loading::of(async move {
            let timing = core.common.timing();
            let loaded = body.await.into_loaded()?;
            drop(timing);
            Ok(loaded.map_or_else(Loaded::absent, |value| {
                let ttl = ttl.ttl(&value);
                Loaded { ttl, ..Loaded::new(value as AnyValue) }
            }))
        })
    };
    let read = class.read(key).run(begin_load).await.map(|answer| answer.value);
    match R::from_read(read) {
        Some(returned) => returned,
        None => load().body.await,
    }
}
