//! Reading and changing profiles and their parts.

use std::sync::Arc;

use larder::class::Answer;
use larder::policy::Consistency;
use larder::receipt::Receipt;
use larder::source::Source;

use crate::cached::profiles::CachedPart;
use crate::domain::audit::Actor;
use crate::domain::identity::{Identifier, UserId};
use crate::domain::parts::full::FullProfile;
use crate::domain::user::{PublicUser, User};
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::ServiceError;
use crate::store::parts::PartUpdated;

impl Service {
    /// What everybody may see of a user. Who looks at a profile often goes on to all of it, so after a miss that is loaded
    /// in the background.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`], and those of the database.
    pub async fn profile(
        &self,
        named: &Identifier,
        consistency: Consistency,
    ) -> Result<Answer<PublicUser>, ServiceError> {
        let id = match named {
            Identifier::Id(id) => *id,
            other => owner(&self.find(other, consistency).await?)?.id,
        };
        let answer = self.profiles.profile(id, consistency).await?;
        let Some(_) = answer.value else { return Err(ServiceError::NotFound) };
        if matches!(answer.source, Source::Load { .. }) && !answer.is_shared {
            self.warm_full_profile(id);
        }
        Ok(answer)
    }

    /// Loads a full profile in the background, unless it is there or too many others are on their way.
    pub fn warm_full_profile(&self, id: UserId) {
        let profiles = self.profiles.clone();
        self.warming.soon(async move {
            // Whoever asks for it gets the error, if it is still there.
            let _ = profiles.full(id, Consistency::Bounded).await;
        });
    }

    /// A user with every part of its profile: for itself and for those who manage it.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`], [`ServiceError::NotFound`], and those of the database.
    pub async fn full_profile(
        &self,
        caller: Caller,
        named: &Identifier,
        consistency: Consistency,
    ) -> Result<Answer<FullProfile>, ServiceError> {
        let id = self.whose(caller, named, consistency).await?;
        let answer = self.profiles.full(id, consistency).await?;
        let full = answer.value.as_deref().ok_or(ServiceError::NotFound)?;
        // Judged once more by the very row that is shown: a role may have changed since.
        check_see(caller, &full.user)?;
        Ok(answer)
    }

    /// A part of a profile: for the user itself and for those who manage it.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`], [`ServiceError::NotFound`], and those of the database.
    pub async fn part<P: CachedPart>(
        &self,
        caller: Caller,
        named: &Identifier,
        consistency: Consistency,
    ) -> Result<Answer<P>, ServiceError> {
        let id = self.whose(caller, named, consistency).await?;
        let answer = self.profiles.part::<P>(id, consistency).await?;
        if answer.value.is_some() { Ok(answer) } else { Err(ServiceError::NotFound) }
    }

    /// Changes a part, if it is in one of the expected states; none expected means any.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`], [`ServiceError::NotFound`], [`ServiceError::PartConflict`], and those of the database.
    pub async fn update_part<P: CachedPart>(
        &self,
        caller: Caller,
        named: Identifier,
        change: P::Change,
        expected: Vec<String>,
    ) -> Result<(P, Receipt), ServiceError> {
        let expected: Arc<[String]> = expected.into();
        loop {
            let caller = self.present(caller).await?;
            let target = self.target(caller, &named, &[]).await?;
            let update = self.update_part_as_judged(caller.actor(), target, change.clone(), expected.clone());
            if let Some(changed) = update.await? {
                return Ok(changed);
            }
        }
    }

    /// `None` when the user is no longer as it was when the caller's rights were judged: judge again.
    async fn update_part_as_judged<P: CachedPart>(
        &self,
        actor: Actor,
        target: User,
        change: P::Change,
        expected: Arc<[String]>,
    ) -> Result<Option<(P, Receipt)>, ServiceError> {
        let update = self.write(actor, move |tx| async move {
            match tx.update_part::<P>(&target, &change, &expected).await? {
                PartUpdated::Done(part) => Ok(Some(part)),
                PartUpdated::UserChanged => Ok(None),
                PartUpdated::PartChanged => Err(ServiceError::PartConflict),
            }
        });
        let (part, receipt) = update.await?;
        Ok(part.map(|part| (part, receipt)))
    }

    /// The user whose parts the caller may see.
    async fn whose(
        &self,
        caller: Caller,
        named: &Identifier,
        consistency: Consistency,
    ) -> Result<UserId, ServiceError> {
        if *named == Identifier::Id(caller.id) {
            return Ok(caller.id);
        }
        let answer = self.find(named, consistency).await?;
        let user = owner(&answer)?;
        check_see(caller, user)?;
        Ok(user.id)
    }
}

fn owner(answer: &Answer<User>) -> Result<&User, ServiceError> {
    answer.value.as_deref().ok_or(ServiceError::NotFound)
}

fn check_see(caller: Caller, user: &User) -> Result<(), ServiceError> {
    match caller.may_see_all_of(user) {
        true => Ok(()),
        false => Err(ServiceError::Forbidden("this is for the user itself and for those who manage it")),
    }
}
