//! The parts of profiles that have a class.

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

/// A part that has a class.
pub trait CachedPart: StoredPart {
    /// This part of a user's profile.
    fn cached(
        cached: &Cached,
        id: &UserId,
        consistency: Consistency,
    ) -> impl Future<Output = Result<Answer<Self>, Error>> + Send;
}

/// Names the class of each part. `Languages = languages` is
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
