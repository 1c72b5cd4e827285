//! Changes many users in one transaction.

use larder::receipt::Receipt;

use crate::domain::bulk::{BulkBody, ListedId};
use crate::domain::user::User;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::ServiceError;
use crate::service::users::check_gives;
use crate::store::bulk_activity::BulkOutcome;

impl Service {
    /// Activates or deactivates every listed user that the caller manages, in one transaction. The caller must be an
    /// admin. Returns one outcome per listed id; one user's refusal does not affect the others.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] if the caller is no admin, and errors of the database. After an error no user is
    /// changed.
    pub async fn set_active_of(
        &self,
        caller: Caller,
        BulkBody { ids }: BulkBody,
        is_active: bool,
    ) -> Result<(Vec<(ListedId, BulkOutcome)>, Receipt), ServiceError> {
        let caller = self.present(caller).await?;
        caller.check_admin()?;
        self.write(caller.actor(), move |tx| async move {
            let may_change = |user: &User| {
                caller.check_change(user).is_ok() && (!is_active || check_gives(caller, user.role).is_ok())
            };
            let outcomes = tx.set_active_of(&ids, is_active, may_change).await?;
            Ok(ids.into_iter().zip(outcomes).collect())
        })
        .await
    }
}
