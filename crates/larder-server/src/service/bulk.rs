//! Changes many users in one transaction.

use std::net::IpAddr;

use larder::receipt::Receipt;

use crate::domain::bulk::{BulkBody, ListedId};
use crate::domain::role::Role;
use crate::domain::user::User;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::confirming::Proof;
use crate::service::error::ServiceError;
use crate::store::bulk_activity::BulkOutcome;

impl Service {
    /// Activates or deactivates every listed user that the caller manages, in one transaction. The caller must be an
    /// admin. Returns one outcome per listed id; one user's refusal does not affect the others. Users with a role above
    /// `user` or a permission are activated only if the caller confirms it with its password.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] if the caller is no admin, or if what confirms the request is wrong;
    /// [`ServiceError::TooMany`], and errors of the database. After an error no user is changed.
    pub async fn set_active_of(
        &self,
        caller: Caller,
        BulkBody { ids, confirmation }: BulkBody,
        is_active: bool,
        from: IpAddr,
    ) -> Result<(Vec<(ListedId, BulkOutcome)>, Receipt), ServiceError> {
        let caller = self.present(caller).await?;
        caller.check_admin()?;
        let may_give = is_active && confirmation.current_password.is_some();
        if may_give {
            self.confirm(caller, &Proof { confirmation, from }).await?;
        }
        self.write(caller.actor(), move |tx| async move {
            let may_change = |user: &User, has_permission: bool| {
                let gives = is_active && (user.role > Role::User || has_permission);
                caller.check_change(user).is_ok() && (!gives || may_give)
            };
            let outcomes = tx.set_active_of(&ids, is_active, may_change).await?;
            Ok(ids.into_iter().zip(outcomes).collect())
        })
        .await
    }
}
