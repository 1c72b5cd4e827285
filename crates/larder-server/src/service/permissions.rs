//! Grants, revokes and reads permissions.

use larder::class::Answer;
use larder::policy::Consistency;
use larder::receipt::Receipt;

use crate::domain::identity::Identifier;
use crate::domain::permission::{Grant, Permission};
use crate::domain::role::Role;
use crate::domain::user::User;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::confirming::Proof;
use crate::service::error::ServiceError;
use crate::service::refusal::Refusal;
use crate::store::permissions::{Granted, Revoked};

impl Service {
    /// A user's permissions, for the user itself and for callers that manage it.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], [`ServiceError::NotFound`], and errors of the database.
    pub async fn permissions(
        &self,
        caller: Caller,
        named: &Identifier,
        consistency: Consistency,
    ) -> Result<Answer<Vec<Grant>>, ServiceError> {
        let answer = self.find(named, consistency).await?;
        let user = answer.value.ok_or(ServiceError::NotFound)?;
        if caller.id != user.id {
            caller.check_manage(user.role)?;
        }
        Ok(self.cached.permissions(&user.id, consistency).await?)
    }

    /// Grants a permission to a user that the caller manages. The caller needs a session and its password. If the user
    /// already has the permission, the first grant stays.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], also if the user has 100 permissions already; [`ServiceError::NotFound`],
    /// [`ServiceError::TooMany`], and errors of the database.
    pub async fn grant(
        &self,
        caller: Caller,
        named: Identifier,
        permission: Permission,
        proof: Proof,
    ) -> Result<(Grant, Receipt), ServiceError> {
        // A session and the password are required, because the thief of an API key or of a token could give an account
        // rights that outlive the key or the token.
        caller.session()?;
        let mut is_confirmed = false;
        loop {
            // If the user changes between this check and the write, the rights are checked again.
            let caller = self.present(caller).await?;
            let target = self.found_now(&named).await?;
            check_permissions_of(caller, &target)?;
            if !is_confirmed {
                self.confirm(caller, &proof).await?;
                is_confirmed = true;
            }
            let permission = permission.clone();
            let grant = self.write(caller.actor(), move |tx| async move {
                match tx.grant(target.id, target.role, &permission, caller.id).await? {
                    Granted::Done(grant) => Ok(Some(grant)),
                    Granted::TooMany => Err(ServiceError::Refused(Refusal::TooManyPermissions)),
                    // The user's row changed after the rights were checked: the loop checks them again.
                    Granted::Outdated => Ok(None),
                }
            });
            if let (Some(grant), receipt) = grant.await? {
                return Ok((grant, receipt));
            }
        }
    }

    /// Revokes a permission of a user that the caller manages. It is no error if the user does not have it.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], [`ServiceError::NotFound`], and errors of the database.
    pub async fn revoke(
        &self,
        caller: Caller,
        named: Identifier,
        permission: Permission,
    ) -> Result<Receipt, ServiceError> {
        loop {
            // If the user changes between this check and the write, the rights are checked again.
            let caller = self.present(caller).await?;
            let target = self.found_now(&named).await?;
            check_permissions_of(caller, &target)?;
            let permission = permission.clone();
            let revoke = self.write(caller.actor(), move |tx| async move {
                Ok(tx.revoke(target.id, target.role, &permission).await?)
            });
            if let (Revoked::Done, receipt) = revoke.await? {
                return Ok(receipt);
            }
        }
    }
}

/// Callers that manage a user may change its permissions. A caller may not change its own permissions, unless it is a
/// superadmin, who may do everything already.
fn check_permissions_of(caller: Caller, target: &User) -> Result<(), ServiceError> {
    caller.check_manage(target.role)?;
    match caller.id == target.id && caller.role != Role::Superadmin {
        true => Err(ServiceError::Refused(Refusal::OwnPermissions)),
        false => Ok(()),
    }
}
