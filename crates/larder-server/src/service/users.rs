//! Reading and changing users.

use larder::class::Answer;
use larder::policy::Consistency;
use larder::receipt::Receipt;

use crate::cached::UserPage;
use crate::domain::body::CreateUserBody;
use crate::domain::identity::{Identifier, UserId};
use crate::domain::paging::ListQuery;
use crate::domain::patch::{Patch, UserPatch};
use crate::domain::user::{NewUser, User};
use crate::service::access::Caller;
use crate::service::error::ServiceError;
use crate::service::{Service, to_the_end};
use crate::store::changes::{Deleted, Updated};
use crate::store::error::StoreError;

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

    /// A page of users; each caller is to be shown what it may see of each.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list(
        &self,
        query: &ListQuery,
        consistency: Consistency,
    ) -> Result<Answer<UserPage>, ServiceError> {
        Ok(self.users.list(query, consistency).await?)
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
            let wanted = new.clone();
            let inserted = service.store.insert_user(new, password_hash.as_deref()).await;
            let touched = match &inserted {
                Ok(user) => service.users.touch().user(user),
                Err(StoreError::Taken { .. }) => service.users.touch(),
                // It may have been committed all the same: the answers "there is none" must go.
                Err(_) => service.users.touch().new_user(&wanted),
            };
            let receipt = touched.send().await;
            Ok((inserted?, receipt))
        })
        .await
    }

    /// Changes a user, if it has the expected version.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`], [`ServiceError::NotFound`], [`ServiceError::Taken`],
    /// [`ServiceError::VersionConflict`], and those of the database.
    pub async fn update(
        &self,
        caller: Caller,
        id: UserId,
        patch: UserPatch,
        expected_version: Option<i64>,
    ) -> Result<(User, Receipt), ServiceError> {
        let target = self.target(id).await?;
        caller.check_change(&target)?;
        if !patch.admin_fields().is_empty() {
            caller.check_manage(target.role)?;
        }
        if let Some(role) = patch.role {
            caller.check_manage(role)?;
        }
        let service = self.clone();
        to_the_end(async move {
            let updated = service.store.update_user(id, &patch, expected_version).await;
            let touched = match &updated {
                Ok(Updated::Done { before, after }) => service.users.touch().user(before).user(after),
                Ok(_) | Err(StoreError::Taken { .. }) => service.users.touch(),
                Err(_) => service.touch_unknown(&target, &patch),
            };
            let receipt = touched.send().await;
            match updated? {
                Updated::Done { after, .. } => Ok((*after, receipt)),
                Updated::NotFound => Err(ServiceError::NotFound),
                Updated::VersionConflict { current } => Err(ServiceError::VersionConflict { current }),
            }
        })
        .await
    }

    /// Deletes a user, if it has the expected version.
    ///
    /// # Errors
    /// [`ServiceError::Forbidden`], [`ServiceError::NotFound`], [`ServiceError::VersionConflict`], and those of
    /// the database.
    pub async fn delete(
        &self,
        caller: Caller,
        id: UserId,
        expected_version: Option<i64>,
    ) -> Result<Receipt, ServiceError> {
        let target = self.target(id).await?;
        caller.check_change(&target)?;
        let service = self.clone();
        to_the_end(async move {
            let deleted = service.store.delete_user(id, expected_version).await;
            let touched = match &deleted {
                Ok(Deleted::Done { before }) => service.users.touch().user(before),
                Ok(_) => service.users.touch(),
                Err(_) => service.users.touch().user(&target),
            };
            let receipt = touched.send().await;
            match deleted? {
                Deleted::Done { .. } => Ok(receipt),
                Deleted::NotFound => Err(ServiceError::NotFound),
                Deleted::VersionConflict { current } => Err(ServiceError::VersionConflict { current }),
            }
        })
        .await
    }

    /// The user a change is about, as the database has it: rights are never judged by a cached row.
    async fn target(&self, id: UserId) -> Result<User, ServiceError> {
        self.store.user(id).await?.ok_or(ServiceError::NotFound)
    }

    /// What a change touched whose outcome is unknown: it may have been committed all the same.
    fn touch_unknown(&self, before: &User, patch: &UserPatch) -> crate::cached::Touched<'_> {
        let mut touched = self.users.touch().user(before);
        if let Some(email) = &patch.email {
            touched = touched.email(email);
        }
        if let Some(username) = &patch.username {
            touched = touched.username(username);
        }
        if let Patch::Set(phone) = &patch.phone {
            touched = touched.phone(phone);
        }
        if let Patch::Set(external) = &patch.external_id {
            touched = touched.external(external);
        }
        touched
    }
}
