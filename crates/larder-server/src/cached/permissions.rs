//! The permissions of users, for whoever looks at them. What they allow is judged by the authentication state.

use std::time::Duration;

use larder::cache::Cache;
use larder::class::{Answer, Class};
use larder::error::Error;
use larder::policy::{Consistency, Policy};

use crate::domain::identity::UserId;
use crate::domain::permission::Grant;
use crate::store::Store;

const TTL: Duration = Duration::from_secs(300);

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
    /// Only if the class's name were not allowed.
    pub fn open(cache: &Cache, store: Store) -> Result<Self, Error> {
        Ok(Self { grants: cache.class("permissions").policy(Policy::ttl(TTL)).open()?, store })
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
