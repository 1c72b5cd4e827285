//! Awards achievements and reads them.

use larder::class::Answer;
use larder::policy::Consistency;
use larder::receipt::Receipt;

use crate::domain::achievement::{Achievement, Award, AwardTimes, RecentAchievement, Summary};
use crate::domain::identity::Identifier;
use crate::domain::paging::Limit;
use crate::domain::permission::Right;
use crate::domain::user::User;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::ServiceError;
use crate::service::refusal::Refusal;
use crate::store::achievements::Awarded;

impl Service {
    /// Awards an achievement. The caller manages the user or has the permission `achievements.award`; a caller cannot
    /// award itself.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], also if the user has the badge, is inactive or would have too many points;
    /// [`ServiceError::NotFound`], and errors of the database.
    pub async fn award(
        &self,
        caller: Caller,
        named: Identifier,
        award: Award,
    ) -> Result<(Achievement, Receipt), ServiceError> {
        loop {
            // If the user changes between this check and the write, the rights are checked again.
            let caller = self.present(caller).await?;
            caller.check_permission(Right::AwardAchievements)?;
            let target = self.found_now(&named).await?;
            if target.id == caller.id {
                return Err(ServiceError::Refused(Refusal::OwnAchievement));
            }
            caller.check_manage_or(&target, Right::AwardAchievements)?;
            if let Some(awarded) = self.award_as_judged(caller, target, award.clone()).await? {
                return Ok(awarded);
            }
        }
    }

    /// Returns `None` if the user's row changed after the rights were checked. In that case, [`Service::award`] checks
    /// them again.
    async fn award_as_judged(
        &self,
        caller: Caller,
        target: User,
        award: Award,
    ) -> Result<Option<(Achievement, Receipt)>, ServiceError> {
        let award = self.write(caller.actor(), move |tx| async move {
            match tx.award(target.id, target.role, &award, caller.id).await? {
                Awarded::Done(achievement) => Ok(Some(achievement)),
                Awarded::Already => Err(ServiceError::Refused(Refusal::BadgeHeld)),
                Awarded::Inactive => Err(ServiceError::Refused(Refusal::UserInactive)),
                Awarded::OutOfBounds => Err(ServiceError::Refused(Refusal::AwardOutOfBounds)),
                Awarded::Outdated => Ok(None),
            }
        });
        let (achievement, receipt) = award.await?;
        Ok(achievement.map(|achievement| (achievement, receipt)))
    }

    /// A user with its achievements, newest first.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`], and errors of the database.
    pub async fn achievements(
        &self,
        named: &Identifier,
        consistency: Consistency,
    ) -> Result<(Answer<User>, Answer<Vec<Achievement>>), ServiceError> {
        let user = self.find(named, consistency).await?;
        let user_id = user.value.as_ref().ok_or(ServiceError::NotFound)?.id;
        Ok((user, self.cached.achievements(&user_id, consistency).await?))
    }

    /// The summary of a user's achievements.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`], and errors of the database.
    pub async fn achievement_summary(
        &self,
        named: &Identifier,
        consistency: Consistency,
    ) -> Result<Answer<Summary>, ServiceError> {
        let user_id = self.id_of(named, consistency).await?;
        Ok(self.cached.achievement_summary(&user_id, consistency).await?)
    }

    /// When a user was awarded achievements: how many, the first, the latest and the recent ones.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`], and errors of the database.
    pub async fn achievement_stats(
        &self,
        named: &Identifier,
        consistency: Consistency,
    ) -> Result<Answer<AwardTimes>, ServiceError> {
        let user_id = self.id_of(named, consistency).await?;
        Ok(self.cached.achievement_stats(&user_id, consistency).await?)
    }

    /// The newest achievements of all active users.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn recent_achievements(
        &self,
        limit: Limit,
        consistency: Consistency,
    ) -> Result<Answer<Vec<RecentAchievement>>, ServiceError> {
        Ok(self.cached.recent_achievements(&limit, consistency).await?)
    }
}
