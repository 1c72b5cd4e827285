//! Reads and changes profiles and their parts.

use std::sync::Arc;

use larder::class::Answer;
use larder::policy::Consistency;
use larder::receipt::Receipt;
use larder::source::Source;

use crate::cached::profiles::CachedPart;
use crate::domain::audit::Actor;
use crate::domain::conditions::Conditions;
use crate::domain::identity::{Identifier, UserId};
use crate::domain::parts::full::FullProfile;
use crate::domain::user::{PublicUser, User};
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::ServiceError;
use crate::service::refusal::Refusal;
use crate::store::parts::PartUpdated;

impl Service {
    /// What every user may see of a user. After a miss, the full profile is loaded in the background, because the same
    /// client often reads it next.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`], and errors of the database.
    pub async fn profile(
        &self,
        named: &Identifier,
        consistency: Consistency,
    ) -> Result<Answer<PublicUser>, ServiceError> {
        let id = match named {
            Identifier::Id(id) => *id,
            other => owner(&self.find(other, consistency).await?)?.id,
        };
        let answer = self.cached.profile(&id, consistency).await?;
        let Some(_) = answer.value else { return Err(ServiceError::NotFound) };
        if matches!(answer.source, Source::Load { .. }) && !answer.is_shared {
            self.warm_full_profile(id);
        }
        Ok(answer)
    }

    /// Loads a full profile in the background unless it is cached; does nothing if too many background reads run.
    pub fn warm_full_profile(&self, id: UserId) {
        let service = self.clone();
        self.warming.soon(async move {
            // A later read of the same profile returns the error to its caller.
            let _ = service.cached.full_profile(&id, Consistency::Bounded).await;
        });
    }

    /// A user with every part of its profile, for the user itself and for callers that manage it.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], [`ServiceError::NotFound`], and errors of the database.
    pub async fn full_profile(
        &self,
        caller: Caller,
        named: &Identifier,
        consistency: Consistency,
    ) -> Result<Answer<FullProfile>, ServiceError> {
        let id = self.whose(caller, named, consistency).await?;
        let answer = self.cached.full_profile(&id, consistency).await?;
        let full = answer.value.as_deref().ok_or(ServiceError::NotFound)?;
        // The check is repeated on the row that is returned: the user's role may have changed since the first check.
        check_see(caller, &full.user)?;
        Ok(answer)
    }

    /// A part of a profile, for the user itself and for callers that manage it.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], [`ServiceError::NotFound`], and errors of the database.
    pub async fn part<P: CachedPart>(
        &self,
        caller: Caller,
        named: &Identifier,
        consistency: Consistency,
    ) -> Result<Answer<P>, ServiceError> {
        let id = self.whose(caller, named, consistency).await?;
        let answer = P::cached(&self.cached, &id, consistency).await?;
        if answer.value.is_some() { Ok(answer) } else { Err(ServiceError::NotFound) }
    }

    /// Changes a part if its state, the digest of its value, fulfils `expected`.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], [`ServiceError::NotFound`], [`ServiceError::PartMismatch`], and errors of the
    /// database.
    pub async fn update_part<P: CachedPart>(
        &self,
        caller: Caller,
        named: Identifier,
        change: P::Change,
        expected: Conditions<String>,
    ) -> Result<(P, Receipt), ServiceError> {
        let expected = Arc::new(expected);
        loop {
            // If the user changes between this check and the write, the rights are checked again.
            let caller = self.present(caller).await?;
            let target = self.target(caller, &named).await?;
            let update = self.update_part_as_judged(caller.actor(), target, change.clone(), expected.clone());
            if let Some(changed) = update.await? {
                return Ok(changed);
            }
        }
    }

    /// Returns `None` if the user's row changed after the rights were checked. In that case, [`Service::update_part`]
    /// checks them again.
    async fn update_part_as_judged<P: CachedPart>(
        &self,
        actor: Actor,
        target: User,
        change: P::Change,
        expected: Arc<Conditions<String>>,
    ) -> Result<Option<(P, Receipt)>, ServiceError> {
        let update = self.write(actor, move |tx| async move {
            match tx.update_part::<P>(&target, &change, &expected).await? {
                PartUpdated::Done(part) => Ok(Some(part)),
                PartUpdated::UserChanged => Ok(None),
                PartUpdated::PartChanged => Err(ServiceError::PartMismatch),
            }
        });
        let (part, receipt) = update.await?;
        Ok(part.map(|part| (part, receipt)))
    }

    /// The id of the named user, if the caller may see the user's parts.
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
        false => Err(ServiceError::Refused(Refusal::NotOwnProfile)),
    }
}
