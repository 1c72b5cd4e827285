//! The leaderboard and where users stand on it. Both fall with the tag `leaderboard`.

use std::time::Duration;

use larder::cache::Cache;
use larder::class::{Answer, Class};
use larder::error::Error;
use larder::key::{Key, KeyParts};
use larder::policy::{Consistency, Policy};

use crate::cached::ABSENT;
use crate::domain::identity::UserId;
use crate::domain::leaderboard::{LeaderboardQuery, LeaderboardRow, Standing};
use crate::store::Store;

const TTL: Duration = Duration::from_secs(900);

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
    /// Only if a class's name were not allowed.
    pub fn open(cache: &Cache, store: Store) -> Result<Self, Error> {
        let policy = Policy::ttl(TTL).absent_for(ABSENT);
        Ok(Self {
            parts: cache.class("leaderboard").policy(policy).open()?,
            standings: cache.class("leaderboard_standing").policy(policy).tagged("leaderboard").open()?,
            store,
        })
    }

    /// A part of the leaderboard.
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

    /// Where a user stands.
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
