//! The permissions of users, for display. The authentication state decides what a caller may do, not this class.

use larder::cache::Cache;
use larder::class::{Answer, Class};
use larder::error::Error;
use larder::policy::Consistency;

use crate::cached::policies::{self, Policies};
use crate::domain::identity::UserId;
use crate::domain::permission::Grant;
use crate::store::Store;

/// The permissions, read through the cache.
#[derive(Clone)]
pub struct CachedPermissions {
    store: Store,
    grants: Class<UserId, Vec<Grant>>,
}

impl CachedPermissions {
    /// Opens the class.
    ///
    /// # Errors
    /// Only if the class's name were invalid.
    pub fn open(cache: &Cache, store: Store, policies: &Policies) -> Result<Self, Error> {
        Ok(Self {
            grants: policies.open(&policies::PERMISSIONS, |name| cache.class(name).memory_only())?,
            store,
        })
    }

    /// A user's permissions, by name.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of_user(
        &self,
        user_id: UserId,
        consistency: Consistency,
    ) -> Result<Answer<Vec<Grant>>, Error> {
        let load = || self.store.permissions(user_id);
        self.grants.read(&user_id).consistency(consistency).or_load(load).await
    }
}
