//! The classes of the cache and how each is loaded. The database itself records what a write touches, as the rows of
//! the classes declare.
//!
//! A secret cannot be the value of a class: this does not compile.
//!
//! ```compile_fail,E0277
//! # use larder_server::store::passwords::Login;
//! # fn open(cache: larder::cache::Cache) {
//! let stolen = cache.class::<String, Login>("stolen");
//! # }
//! ```
//!
//! The same code with a cacheable value compiles.
//!
//! ```
//! # use larder_server::domain::user::User;
//! # fn open(cache: larder::cache::Cache) {
//! let details = cache.class::<String, User>("details");
//! # }
//! ```

pub mod achievements;
pub mod api_keys;
pub mod journal;
pub mod leaderboard;
pub mod lists;
pub mod permissions;
pub mod policies;
pub mod profiles;
mod publishing;
pub mod statistics;
pub mod users;

use std::time::Duration;

use larder::cache::Cache;
use larder::error::Error;
use larder::source::Source;

use crate::cached::achievements::CachedAchievements;
use crate::cached::api_keys::CachedApiKeys;
use crate::cached::leaderboard::CachedLeaderboard;
use crate::cached::lists::CachedLists;
use crate::cached::permissions::CachedPermissions;
use crate::cached::policies::Policies;
use crate::cached::profiles::CachedProfiles;
use crate::cached::statistics::CachedStatistics;
use crate::cached::users::CachedUsers;
use crate::store::Store;

/// Everything that is read through the cache.
pub(crate) struct Cached {
    pub(crate) users: CachedUsers,
    pub(crate) leaderboard: CachedLeaderboard,
    pub(crate) achievements: CachedAchievements,
    pub(crate) permissions: CachedPermissions,
    pub(crate) profiles: CachedProfiles,
    pub(crate) api_keys: CachedApiKeys,
    pub(crate) lists: CachedLists,
    pub(crate) statistics: CachedStatistics,
}

impl Cached {
    /// Opens every class.
    ///
    /// # Errors
    /// Only if a class's name were invalid.
    pub(crate) fn open(cache: &Cache, store: &Store, policies: &Policies) -> Result<Self, Error> {
        Ok(Self {
            lists: CachedLists::open(cache, store.clone(), policies)?,
            statistics: CachedStatistics::open(cache, store.clone(), policies)?,
            leaderboard: CachedLeaderboard::open(cache, store.clone(), policies)?,
            achievements: CachedAchievements::open(cache, store.clone(), policies)?,
            permissions: CachedPermissions::open(cache, store.clone(), policies)?,
            profiles: CachedProfiles::open(cache, store.clone(), policies)?,
            api_keys: CachedApiKeys::open(cache, store.clone(), policies)?,
            users: CachedUsers::open(cache, store.clone(), policies)?,
        })
    }
}

/// How long an absent answer is kept. Creating a user invalidates the absent answers for its identifiers, so this only
/// bounds how long they take up memory.
const ABSENT: Duration = Duration::from_secs(30);

/// Of two sources of one answer, the one that took the longer way.
fn farther(a: Source, b: Source) -> Source {
    let distance = |source| match source {
        Source::Memory => 0,
        Source::Redis => 1,
        load @ Source::Load { .. } if load.is_stored() => 2,
        Source::Load { .. } => 3,
        Source::Bypass => 4,
    };
    if distance(a) > distance(b) { a } else { b }
}
