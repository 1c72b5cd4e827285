//! Lists and statistics, and which caller may read which.

use std::sync::Arc;
use std::time::Duration;

use larder::class::Answer;
use larder::policy::Consistency;

use crate::cached::lists::ListPage;
use crate::domain::identity::Identifier;
use crate::domain::paging::{ListParams, ListQuery};
use crate::domain::permission::Right;
use crate::domain::role::Role;
use crate::domain::statistics::{
    AccountOverview, Dashboard, Day, PersonalStats, SessionLife, UserStatistics, live_sessions,
    may_be_refreshed,
};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::{ListError, ServiceError};
use crate::service::refusal::Refusal;

/// The greatest age of a cached value with session times, by the default TTLs. If a setting raises such a TTL above
/// this, an older value can show a session as idle that was refreshed since.
const AGE: Duration = Duration::from_secs(3600);

impl Service {
    /// How many of these sessions can still be used.
    pub fn live_sessions(&self, sessions: &[SessionLife]) -> usize {
        live_sessions(sessions, Timestamp::now(), self.sessions.idle)
    }

    /// Whether one of these sessions, which a cached value shows as idle, may have been refreshed since the load. If
    /// so, the value has to be read from the database: a refresh invalidates no cached value, because every client
    /// makes one each quarter of an hour.
    fn is_unsure(&self, sessions: &[SessionLife]) -> bool {
        may_be_refreshed(sessions, Timestamp::now(), self.sessions.idle, AGE)
    }

    /// A page of users. The caller's role decides which users are listed, counted and found. The page holds all fields
    /// of each user; the API layer shows only those that the role may see.
    ///
    /// # Errors
    /// [`ListError::Invalid`], and errors of the database.
    pub async fn list(
        &self,
        caller: Caller,
        params: &ListParams,
        consistency: Consistency,
    ) -> Result<(ListQuery, Answer<ListPage<User>>), ListError> {
        let query = ListQuery::parse(params, caller.role)?;
        let answer = self.cached.user_list(&query, consistency).await.map_err(ServiceError::from)?;
        Ok((query, answer))
    }

    /// A page of users with their login methods, for superadmins.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], [`ListError::Invalid`], and errors of the database.
    pub async fn overviews(
        &self,
        caller: Caller,
        params: &ListParams,
        consistency: Consistency,
    ) -> Result<(ListQuery, Answer<ListPage<AccountOverview>>), ListError> {
        if caller.role != Role::Superadmin {
            return Err(ServiceError::Refused(Refusal::SuperadminsOnly).into());
        }
        let query = ListQuery::parse(params, caller.role)?;
        let mut answer =
            self.cached.superadmin_user_list(&query, consistency).await.map_err(ServiceError::from)?;
        let cached = answer.value.as_ref();
        if let Some(page) = cached.filter(|page| page.users.iter().any(|user| self.is_unsure(&user.sessions)))
        {
            let users = page.users.iter().map(|overview| overview.user.clone()).collect();
            let users = self.store.overviews(users).await.map_err(ServiceError::from)?;
            answer.value = Some(Arc::new(ListPage { users, total: page.total, next: page.next.clone() }));
        }
        Ok((query, answer))
    }

    /// Statistics over all users, for admins and callers with `statistics.read`.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], and errors of the database.
    pub async fn user_statistics(
        &self,
        caller: Caller,
        consistency: Consistency,
    ) -> Result<Answer<UserStatistics>, ServiceError> {
        caller.check_permission(Right::ReadStatistics)?;
        Ok(self.cached.user_stats(&Day::today(), consistency).await?)
    }

    /// The dashboard, for admins.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], and errors of the database.
    pub async fn dashboard(
        &self,
        caller: Caller,
        consistency: Consistency,
    ) -> Result<Answer<Dashboard>, ServiceError> {
        caller.check_admin()?;
        Ok(self.cached.dashboard_stats(&Day::today(), consistency).await?)
    }

    /// Statistics about one user, for the user itself and callers that manage it.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`], [`ServiceError::Refused`], and errors of the database.
    pub async fn personal_stats(
        &self,
        caller: Caller,
        named: &Identifier,
        consistency: Consistency,
    ) -> Result<Answer<PersonalStats>, ServiceError> {
        let user = self.find(named, consistency).await?.value.ok_or(ServiceError::NotFound)?;
        if !caller.may_see_all_of(&user) {
            return Err(ServiceError::Refused(Refusal::NotOwnFigures));
        }
        let mut answer = self.cached.user_personal_stats(&user.id, consistency).await?;
        if answer.value.as_ref().is_some_and(|stats| self.is_unsure(&stats.sessions)) {
            answer.value = self.store.personal_stats(user.id).await?.map(Arc::new);
        }
        if answer.value.is_some() { Ok(answer) } else { Err(ServiceError::NotFound) }
    }
}
