//! Reads parts of profiles, such as languages, through their classes.

use larder::class::Answer;
use larder::error::Error;
use larder::policy::Consistency;

use crate::cached::classes::Cached;
use crate::domain::identity::UserId;
use crate::domain::parts::accessibility::Accessibility;
use crate::domain::parts::interests::Interests;
use crate::domain::parts::languages::Languages;
use crate::domain::parts::preferences::Preferences;
use crate::store::parts::StoredPart;

/// A part of a profile that has a class of its own.
pub trait CachedPart: StoredPart {
    /// Reads this part of a user's profile through the cache.
    fn cached(
        cached: &Cached,
        id: &UserId,
        consistency: Consistency,
    ) -> impl Future<Output = Result<Answer<Self>, Error>> + Send;
}

/// Implements [`CachedPart`] by the class of each part. `Languages = languages` expands to
///
/// ```text
/// impl CachedPart for Languages {
///     fn cached(cached: &Cached, id: &UserId, consistency: Consistency) -> impl Future<Output = …> + Send {
///         cached.languages(id, consistency)
///     }
/// }
/// ```
macro_rules! cached_parts {
    ($($part:ty = $class:ident),+ $(,)?) => {$(
        impl CachedPart for $part {
            fn cached(
                cached: &Cached,
                id: &UserId,
                consistency: Consistency,
            ) -> impl Future<Output = Result<Answer<Self>, Error>> + Send {
                cached.$class(id, consistency)
            }
        }
    )+};
}

cached_parts!(
    Preferences = preferences,
    Languages = languages,
    Accessibility = accessibility,
    Interests = interests,
);
