//! Profiles: what every user may see of a user, each further part, and all parts together.

use larder::cache::Cache;
use larder::class::{Answer, Class};
use larder::error::Error;
use larder::policy::Consistency;

use crate::cached::policies::{self, Policies};
use crate::domain::identity::UserId;
use crate::domain::parts::accessibility::Accessibility;
use crate::domain::parts::full::FullProfile;
use crate::domain::parts::interests::Interests;
use crate::domain::parts::languages::Languages;
use crate::domain::parts::preferences::Preferences;
use crate::domain::user::PublicUser;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::parts::StoredPart;

/// Profiles, read through the cache.
#[derive(Clone)]
pub struct CachedProfiles {
    store: Store,
    profiles: Class<UserId, PublicUser>,
    full: Class<UserId, FullProfile>,
    preferences: Class<UserId, Preferences>,
    languages: Class<UserId, Languages>,
    accessibility: Class<UserId, Accessibility>,
    interests: Class<UserId, Interests>,
}

/// A part that has a class.
pub trait CachedPart: StoredPart {
    /// Its class.
    fn class(profiles: &CachedProfiles) -> &Class<UserId, Self>;
}

macro_rules! cached_parts {
    ($($part:ty = $class:ident),+ $(,)?) => {$(
        impl CachedPart for $part {
            fn class(profiles: &CachedProfiles) -> &Class<UserId, Self> {
                &profiles.$class
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

impl CachedProfiles {
    /// Opens the classes.
    ///
    /// # Errors
    /// Only if a class's name were invalid.
    pub fn open(cache: &Cache, store: Store, policies: &Policies) -> Result<Self, Error> {
        Ok(Self {
            store,
            profiles: policies.open(&policies::PROFILE, |name| cache.class(name))?,
            full: policies.open(&policies::FULL_PROFILE, |name| cache.class(name))?,
            preferences: policies.open(&policies::PREFERENCES, |name| cache.class(name))?,
            languages: policies.open(&policies::LANGUAGES, |name| cache.class(name))?,
            accessibility: policies.open(&policies::ACCESSIBILITY, |name| cache.class(name))?,
            interests: policies.open(&policies::INTERESTS, |name| cache.class(name))?,
        })
    }

    /// What every user may see of a user.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn profile(&self, id: UserId, consistency: Consistency) -> Result<Answer<PublicUser>, Error> {
        let load = || async {
            let user = self.store.user(id).await?;
            Ok::<_, StoreError>(user.as_ref().map(PublicUser::from))
        };
        self.profiles.read(&id).consistency(consistency).or_load(load).await
    }

    /// A user with every part of its profile.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn full(&self, id: UserId, consistency: Consistency) -> Result<Answer<FullProfile>, Error> {
        self.full.read(&id).consistency(consistency).or_load(|| self.store.full_profile(id)).await
    }

    /// A part of a user's profile.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn part<P: CachedPart>(
        &self,
        id: UserId,
        consistency: Consistency,
    ) -> Result<Answer<P>, Error> {
        P::class(self).read(&id).consistency(consistency).or_load(|| self.store.part::<P>(id)).await
    }
}
