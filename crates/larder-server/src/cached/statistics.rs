//! Statistics over all users, for the dashboard, and about one user.

use larder::cache::Cache;
use larder::class::{Answer, Class};
use larder::error::Error;
use larder::key::{Key, KeyParts};
use larder::policy::Consistency;

use crate::cached::policies::{self, Policies};
use crate::domain::identity::UserId;
use crate::domain::paging::ListQuery;
use crate::domain::role::Role;
use crate::domain::statistics::{
    ByRole, Dashboard, Day, NewUsers, PersonalStats, Points, SignUps, UserStatistics,
};
use crate::domain::timestamp::Timestamp;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::statistics::Count;

/// How many days the dashboard covers, including the present one.
const DAYS: u16 = 30;
/// How many of the newest users it shows.
const NEWEST: usize = 5;

/// The statistics, read through the cache. If a value depends on the day, its key holds the day, so no entry is served
/// on another day.
#[derive(Clone)]
pub struct CachedStatistics {
    store: Store,
    users: Class<Day, UserStatistics>,
    dashboard: Class<Day, Dashboard>,
    personal: Class<UserId, PersonalStats>,
}

impl CachedStatistics {
    /// Opens the classes.
    ///
    /// # Errors
    /// Only if a class's name were invalid.
    pub fn open(cache: &Cache, store: Store, policies: &Policies) -> Result<Self, Error> {
        Ok(Self {
            users: policies.open(&policies::USER_STATS, |name| cache.class(name))?,
            dashboard: policies.open(&policies::DASHBOARD_STATS, |name| cache.class(name))?,
            personal: policies.open(&policies::USER_PERSONAL_STATS, |name| cache.class(name))?,
            store,
        })
    }

    /// Statistics over all users, as of a day.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn users(&self, day: Day, consistency: Consistency) -> Result<Answer<UserStatistics>, Error> {
        let load = || async {
            let (counts, sign_ups) = self.figures(day).await?;
            Ok::<_, StoreError>(statistics(day, &counts, &sign_ups))
        };
        self.users.read(&day).consistency(consistency).or_load(load).await
    }

    /// What the dashboard shows on a day.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn dashboard(&self, day: Day, consistency: Consistency) -> Result<Answer<Dashboard>, Error> {
        let load = || async {
            let (counts, sign_ups) = self.figures(day).await?;
            let mut newest = self.store.list(&ListQuery::first(Role::Superadmin)).await?.users;
            newest.truncate(NEWEST);
            let statistics = statistics(day, &counts, &sign_ups);
            Ok::<_, StoreError>(Dashboard { statistics, sign_ups: every_day(day, &sign_ups), newest })
        };
        self.dashboard.read(&day).consistency(consistency).or_load(load).await
    }

    /// Statistics about one user.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn personal(
        &self,
        id: UserId,
        consistency: Consistency,
    ) -> Result<Answer<PersonalStats>, Error> {
        self.personal.read(&id).consistency(consistency).or_load(|| self.store.personal_stats(id)).await
    }

    /// Runs two statements. A change between them touches the entries made from them, so a mixed answer is
    /// not stored, or is invalidated after it was.
    async fn figures(&self, day: Day) -> Result<(Vec<Count>, Vec<SignUps>), StoreError> {
        Ok((self.store.counts().await?, self.store.sign_ups(day.before(DAYS - 1), day).await?))
    }
}

fn statistics(day: Day, counts: &[Count], sign_ups: &[SignUps]) -> UserStatistics {
    let users = |is_meant: &dyn Fn(&Count) -> bool| {
        counts.iter().filter(|count| is_meant(count)).map(|count| count.users).sum::<i64>()
    };
    let with_role = |role| users(&|count| count.role == role);
    let since = |days| {
        let first = day.before(days);
        sign_ups.iter().filter(|sign_ups| sign_ups.day >= first).map(|sign_ups| sign_ups.users).sum()
    };
    let total = users(&|_| true);
    let points: i64 = counts.iter().map(|count| count.points).sum();
    UserStatistics {
        day,
        total,
        active: users(&|count| count.is_active),
        inactive: users(&|count| !count.is_active),
        by_role: ByRole {
            user: with_role(Role::User),
            admin: with_role(Role::Admin),
            superadmin: with_role(Role::Superadmin),
        },
        new_users: NewUsers { today: since(0), last_7_days: since(6), last_30_days: since(29) },
        points: Points { total: points, mean: if total > 0 { points as f64 / total as f64 } else { 0.0 } },
    }
}

fn every_day(last: Day, sign_ups: &[SignUps]) -> Vec<SignUps> {
    let of = |day| sign_ups.iter().find(|sign_ups| sign_ups.day == day).copied();
    let days = (0..DAYS).rev().map(|days| last.before(days));
    days.map(|day| of(day).unwrap_or(SignUps { day, users: 0 })).collect()
}

/// The present day, in UTC.
pub fn today() -> Day {
    Day::of(Timestamp::now())
}

impl Key for Day {
    fn parts(&self, parts: &mut KeyParts<'_>) {
        parts.push(&self.number());
    }
}
