//! The leaderboard and the ranks of users. The tag `leaderboard` invalidates both.

use larder::cache::Cache;
use larder::class::{Answer, Class};
use larder::error::Error;
use larder::key::{Key, KeyParts};
use larder::policy::Consistency;

use crate::cached::policies::{self, Policies};
use crate::domain::identity::UserId;
use crate::domain::leaderboard::{LeaderboardQuery, LeaderboardRow, Standing};
use crate::store::Store;

/// The leaderboard, read through the cache.
#[derive(Clone)]
pub struct CachedLeaderboard {
    store: Store,
    parts: Class<LeaderboardQuery, Vec<LeaderboardRow>>,
    standings: Class<UserId, Standing>,
}

impl CachedLeaderboard {
    /// Opens the classes.
    ///
    /// # Errors
    /// Only if a class's name were invalid.
    pub fn open(cache: &Cache, store: Store, policies: &Policies) -> Result<Self, Error> {
        Ok(Self {
            parts: policies.open(&policies::LEADERBOARD, |name| cache.class(name))?,
            standings: policies
                .open(&policies::LEADERBOARD_STANDING, |name| cache.class(name).tagged("leaderboard"))?,
            store,
        })
    }

    /// One page of the leaderboard.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn part(
        &self,
        query: LeaderboardQuery,
        consistency: Consistency,
    ) -> Result<Answer<Vec<LeaderboardRow>>, Error> {
        self.parts.read(&query).consistency(consistency).or_load(|| self.store.leaderboard(query)).await
    }

    /// A user's rank and points.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn standing(
        &self,
        user_id: UserId,
        consistency: Consistency,
    ) -> Result<Answer<Standing>, Error> {
        let load = || self.store.standing(user_id);
        self.standings.read(&user_id).consistency(consistency).or_load(load).await
    }
}

impl Key for LeaderboardQuery {
    fn parts(&self, parts: &mut KeyParts<'_>) {
        parts.push(&self.limit.get());
        parts.push(&self.offset);
    }
}
