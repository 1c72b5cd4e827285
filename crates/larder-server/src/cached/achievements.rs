//! Achievements: the list, the summary and the award times of one user, and the newest of all users.

use larder::cache::Cache;
use larder::class::{Answer, Class};
use larder::error::Error;
use larder::key::{Key, KeyParts};
use larder::policy::Consistency;

use crate::cached::policies::{self, Policies};
use crate::domain::achievement::{Achievement, AwardTimes, RecentAchievement, Summary};
use crate::domain::identity::UserId;
use crate::domain::paging::Limit;
use crate::domain::timestamp::Timestamp;
use crate::store::Store;

/// The achievements, read through the cache.
#[derive(Clone)]
pub struct CachedAchievements {
    store: Store,
    lists: Class<UserId, Vec<Achievement>>,
    summaries: Class<UserId, Summary>,
    stats: Class<UserId, AwardTimes>,
    recent: Class<Limit, Vec<RecentAchievement>>,
}

impl CachedAchievements {
    /// Opens the classes.
    ///
    /// # Errors
    /// Only if a class's name were invalid.
    pub fn open(cache: &Cache, store: Store, policies: &Policies) -> Result<Self, Error> {
        Ok(Self {
            lists: policies.open(&policies::ACHIEVEMENTS, |name| cache.class(name))?,
            summaries: policies.open(&policies::ACHIEVEMENT_SUMMARY, |name| cache.class(name))?,
            stats: policies.open(&policies::ACHIEVEMENT_STATS, |name| cache.class(name))?,
            recent: policies.open(&policies::RECENT_ACHIEVEMENTS, |name| cache.class(name))?,
            store,
        })
    }

    /// A user's achievements, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of_user(
        &self,
        user_id: UserId,
        consistency: Consistency,
    ) -> Result<Answer<Vec<Achievement>>, Error> {
        let load = || self.store.achievements(user_id);
        self.lists.read(&user_id).consistency(consistency).or_load(load).await
    }

    /// The summary of a user's achievements.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn summary(&self, user_id: UserId, consistency: Consistency) -> Result<Answer<Summary>, Error> {
        let load = || self.store.achievement_summary(user_id);
        self.summaries.read(&user_id).consistency(consistency).or_load(load).await
    }

    /// When a user was awarded achievements: how many, the first, the latest and the recent ones.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn stats(
        &self,
        user_id: UserId,
        consistency: Consistency,
    ) -> Result<Answer<AwardTimes>, Error> {
        let load = || self.store.award_times(user_id, Timestamp::now());
        self.stats.read(&user_id).consistency(consistency).or_load(load).await
    }

    /// The newest achievements of all active users.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn recent(
        &self,
        limit: Limit,
        consistency: Consistency,
    ) -> Result<Answer<Vec<RecentAchievement>>, Error> {
        let load = || self.store.recent_achievements(limit);
        self.recent.read(&limit).consistency(consistency).or_load(load).await
    }
}

impl Key for Limit {
    fn parts(&self, parts: &mut KeyParts<'_>) {
        parts.push(&self.get());
    }
}
