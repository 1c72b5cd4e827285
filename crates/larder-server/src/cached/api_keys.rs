//! API keys by their public id: owner, scopes and state. No entry holds a key or a key's hash.

use larder::cache::Cache;
use larder::class::{Answer, Class};
use larder::error::Error;
use larder::key::{Key, KeyParts, PartKind};
use larder::policy::Consistency;

use crate::cached::policies::{self, Policies};
use crate::domain::api_key::{ApiKeyId, ApiKeyState};
use crate::store::Store;

/// The state of API keys, read through the cache.
#[derive(Clone)]
pub struct CachedApiKeys {
    store: Store,
    keys: Class<ApiKeyId, ApiKeyState>,
}

impl CachedApiKeys {
    /// Opens the class.
    ///
    /// # Errors
    /// Only if the class's name were invalid.
    pub fn open(cache: &Cache, store: Store, policies: &Policies) -> Result<Self, Error> {
        Ok(Self { keys: policies.open(&policies::API_KEY, |name| cache.class(name).memory_only())?, store })
    }

    /// The state of a key.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn state(&self, id: ApiKeyId, consistency: Consistency) -> Result<Answer<ApiKeyState>, Error> {
        self.keys.read(&id).consistency(consistency).or_load(|| self.store.api_key(id)).await
    }
}

impl Key for ApiKeyId {
    fn parts(&self, parts: &mut KeyParts<'_>) {
        parts.push(self);
    }

    fn kinds() -> Option<Vec<PartKind>> {
        Some(vec![PartKind::Canonical])
    }
}
