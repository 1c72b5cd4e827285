//! Reading and changing users.

use larder::class::Answer;
use larder::policy::Consistency;
use larder::receipt::Receipt;
use larder::uncached::uncached;

use crate::domain::body::CreateUserBody;
use crate::domain::identity::Identifier;
use crate::domain::patch::UserPatch;
use crate::domain::user::{NewUser, User};
use crate::service::access::Caller;
use crate::service::error::ServiceError;
use crate::service::{Service, to_the_end};
use crate::store::changes::{Deleted, Updated};

impl Service {
    /// The user with an identifier.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`], and those of the database.
    pub async fn find(
        &self,
        by: &Identifier,
        consistency: Consistency,
    ) -> Result<Answer<User>, ServiceError> {
        let answer = self.users.find(by, consistency).await?;
        if answer.value.is_some() { Ok(answer) } else { Err(ServiceError::NotFound) }
    }

    /// Creates a user as an admin.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`], [`ServiceError::Taken`], and those of the database.
    pub async fn create(
        &self,
        caller: Caller,
        body: CreateUserBody,
    ) -> Result<(User, Receipt), ServiceError> {
        let caller = self.present(caller).await?;
        caller.check_admin()?;
        caller.check_manage(body.user.role)?;
        let hash = match &body.password {
            Some(password) => Some(self.passwords.hash(password).await?),
            None => None,
        };
        self.insert(body.user, hash).await
    }

    pub(crate) async fn insert(
        &self,
        new: NewUser,
        password_hash: Option<String>,
    ) -> Result<(User, Receipt), ServiceError> {
        let service = self.clone();
        to_the_end(async move {
            let (store, recorder) = service.store.recording();
            let inserted = store.insert_user(new, password_hash.as_deref()).await;
            let receipt = service.users.committed(&recorder).await;
            Ok((inserted?, receipt))
        })
        .await
    }

    /// Changes a user, if it has one of the expected versions; none expected means any.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`], [`ServiceError::NotFound`], [`ServiceError::Taken`],
    /// [`ServiceError::VersionConflict`], and those of the database.
    pub async fn update(
        &self,
        caller: Caller,
        named: Identifier,
        patch: UserPatch,
        expected: &[i64],
    ) -> Result<(User, Receipt), ServiceError> {
        let caller = self.present(caller).await?;
        loop {
            let target = self.target(caller, &named, expected).await?;
            if !patch.admin_fields().is_empty() {
                caller.check_manage(target.role)?;
            }
            if let Some(role) = patch.role {
                caller.check_manage(role)?;
            }
            if let Some(changed) = self.update_as_judged(target, patch.clone()).await? {
                return Ok(changed);
            }
        }
    }

    /// `None` when the user is no longer as it was when the caller's rights were judged: judge again.
    async fn update_as_judged(
        &self,
        target: User,
        patch: UserPatch,
    ) -> Result<Option<(User, Receipt)>, ServiceError> {
        let service = self.clone();
        to_the_end(async move {
            let (store, recorder) = service.store.recording();
            let updated = store.update_user(target.id, &patch, Some(target.version)).await;
            let receipt = service.users.committed(&recorder).await;
            match updated? {
                Updated::Done { after, .. } => Ok(Some((*after, receipt))),
                Updated::NotFound | Updated::VersionConflict { .. } => Ok(None),
            }
        })
        .await
    }

    /// Deletes a user, if it has one of the expected versions; none expected means any.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`], [`ServiceError::NotFound`], [`ServiceError::VersionConflict`], and those of
    /// the database.
    pub async fn delete(
        &self,
        caller: Caller,
        named: Identifier,
        expected: &[i64],
    ) -> Result<Receipt, ServiceError> {
        let caller = self.present(caller).await?;
        loop {
            let target = self.target(caller, &named, expected).await?;
            if let Some(receipt) = self.delete_as_judged(target).await? {
                return Ok(receipt);
            }
        }
    }

    /// As [`Service::update_as_judged`].
    async fn delete_as_judged(&self, target: User) -> Result<Option<Receipt>, ServiceError> {
        let service = self.clone();
        to_the_end(async move {
            let (store, recorder) = service.store.recording();
            let deleted = store.delete_user(target.id, Some(target.version)).await;
            let receipt = service.users.committed(&recorder).await;
            match deleted? {
                Deleted::Done { .. } => Ok(Some(receipt)),
                Deleted::NotFound | Deleted::VersionConflict { .. } => Ok(None),
            }
        })
        .await
    }

    /// The user a change is about, as the database has it, if the caller may change it: rights are never judged
    /// by a cached row. The write then insists on this very version, so that what was judged is what changes.
    async fn target(
        &self,
        caller: Caller,
        named: &Identifier,
        expected: &[i64],
    ) -> Result<User, ServiceError> {
        let answer = uncached(self.users.find(named, Consistency::Fresh)).await?;
        let target = answer.value.ok_or(ServiceError::NotFound)?;
        caller.check_change(&target)?;
        if !expected.is_empty() && !expected.contains(&target.version) {
            return Err(ServiceError::VersionConflict { current: target.version });
        }
        Ok(User::clone(&target))
    }
}
