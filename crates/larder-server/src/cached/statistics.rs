//! The loaders of statistics over all users.

use crate::domain::paging::ListQuery;
use crate::domain::role::Role;
use crate::domain::statistics::{Count, DAYS, Dashboard, Day, SignUps, UserStatistics, every_day};
use crate::store::Store;
use crate::store::error::StoreError;

/// How many of the newest users the dashboard shows.
const NEWEST: usize = 5;

pub(super) async fn of_users(store: &Store, day: Day) -> Result<UserStatistics, StoreError> {
    let (counts, sign_ups) = figures(store, day).await?;
    Ok(UserStatistics::of(day, &counts, &sign_ups))
}

pub(super) async fn dashboard(store: &Store, day: Day) -> Result<Dashboard, StoreError> {
    let (counts, sign_ups) = figures(store, day).await?;
    let mut newest = store.list(&ListQuery::first(Role::Superadmin)).await?.users;
    newest.truncate(NEWEST);
    let statistics = UserStatistics::of(day, &counts, &sign_ups);
    Ok(Dashboard { statistics, sign_ups: every_day(day, &sign_ups), newest })
}

/// Runs two statements. A change that is committed between them touches the entries that are made from the results. So
/// an entry that mixes the data before and after such a change is either not stored or is invalidated.
async fn figures(store: &Store, day: Day) -> Result<(Vec<Count>, Vec<SignUps>), StoreError> {
    Ok((store.counts().await?, store.sign_ups(day.before(DAYS - 1), day).await?))
}
