//! Use cases: what the API and the command line do, without knowing HTTP.

pub mod access;
pub mod auth;
pub mod error;
pub mod lists;
pub mod passwords;
pub mod tokens;
pub mod users;

use larder::cache::Cache;

use crate::cached::lists::CachedLists;
use crate::cached::statistics::CachedStatistics;
use crate::cached::users::CachedUsers;
use crate::service::error::ServiceError;
use crate::service::passwords::Passwords;
use crate::service::tokens::Tokens;
use crate::store::Store;

/// The service; cheap to clone.
#[derive(Clone)]
pub struct Service {
    store: Store,
    users: CachedUsers,
    lists: CachedLists,
    statistics: CachedStatistics,
    passwords: Passwords,
    tokens: Tokens,
}

impl Service {
    /// Opens the service on a database and a cache; makes the first signing key when there is none.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn open(store: Store, cache: Cache) -> Result<Self, ServiceError> {
        let lists = CachedLists::open(&cache, store.clone())?;
        let statistics = CachedStatistics::open(&cache, store.clone())?;
        let users = CachedUsers::open(cache, store.clone())?;
        let tokens = Tokens::open(&store).await?;
        Ok(Self { store, users, lists, statistics, passwords: Passwords::new(), tokens })
    }

    /// The database behind it.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The users, read through the cache.
    pub fn users(&self) -> &CachedUsers {
        &self.users
    }

    /// Lists of users, read through the cache.
    pub fn lists(&self) -> &CachedLists {
        &self.lists
    }

    /// Figures about users, read through the cache.
    pub fn statistics(&self) -> &CachedStatistics {
        &self.statistics
    }

    /// Hashes and compares passwords.
    pub fn passwords(&self) -> &Passwords {
        &self.passwords
    }
}

/// Runs a write to its end, commit and invalidation, even when its caller is cancelled: a client that hangs
/// up between the two must not leave an old value standing.
async fn to_the_end<T: Send + 'static>(
    write: impl Future<Output = Result<T, ServiceError>> + Send + 'static,
) -> Result<T, ServiceError> {
    match tokio::spawn(write).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Nobody aborts these tasks; the runtime itself is going down.
            Err(_) => Err(ServiceError::ShuttingDown),
        },
    }
}
