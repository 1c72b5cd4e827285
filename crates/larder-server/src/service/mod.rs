//! Use cases: what the API and the command line do, without knowing HTTP.

pub mod access;
pub mod achievements;
pub mod audit;
pub mod auth;
pub mod bulk;
pub mod caches;
pub mod error;
pub mod passwords;
pub mod permissions;
pub mod points;
pub mod profiles;
pub mod tokens;
pub mod users;
pub mod warming;

use larder::cache::Cache;

use crate::cached::achievements::CachedAchievements;
use crate::cached::leaderboard::CachedLeaderboard;
use crate::cached::permissions::CachedPermissions;
use crate::cached::policies::Policies;
use crate::cached::profiles::CachedProfiles;
use crate::cached::users::CachedUsers;
use crate::service::error::ServiceError;
use crate::service::passwords::Passwords;
use crate::service::tokens::Tokens;
use crate::service::warming::Warming;
use crate::store::Store;

/// The service; cheap to clone.
#[derive(Clone)]
pub struct Service {
    store: Store,
    users: CachedUsers,
    leaderboard: CachedLeaderboard,
    achievements: CachedAchievements,
    permissions: CachedPermissions,
    profiles: CachedProfiles,
    warming: Warming,
    passwords: Passwords,
    tokens: Tokens,
}

impl Service {
    /// Opens the service on a database and a cache; makes the first signing key when there is none.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn open(store: Store, cache: Cache, policies: &Policies) -> Result<Self, ServiceError> {
        let leaderboard = CachedLeaderboard::open(&cache, store.clone(), policies)?;
        let achievements = CachedAchievements::open(&cache, store.clone(), policies)?;
        let permissions = CachedPermissions::open(&cache, store.clone(), policies)?;
        let profiles = CachedProfiles::open(&cache, store.clone(), policies)?;
        let users = CachedUsers::open(cache, store.clone(), policies)?;
        let tokens = Tokens::open(&store).await?;
        let (passwords, warming) = (Passwords::new(), Warming::default());
        Ok(Self {
            store,
            users,
            leaderboard,
            achievements,
            permissions,
            profiles,
            warming,
            passwords,
            tokens,
        })
    }

    /// The database behind it.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The users, read through the cache.
    pub fn users(&self) -> &CachedUsers {
        &self.users
    }

    /// Reads in the background; to be stopped before the database is closed.
    pub fn warming(&self) -> &Warming {
        &self.warming
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
