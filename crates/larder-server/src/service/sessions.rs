//! Lists a user's sessions, and ends one or all of them.

use larder::receipt::Receipt;
use uuid::Uuid;

use crate::domain::identity::Identifier;
use crate::domain::timestamp::Timestamp;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::ServiceError;
use crate::store::sessions::SessionRow;

impl Service {
    /// The live sessions of a user, for the user itself and for callers that manage the user; the most recently used
    /// first.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], [`ServiceError::NotFound`], and errors of the database.
    pub async fn sessions(&self, caller: Caller, named: Identifier) -> Result<Vec<SessionRow>, ServiceError> {
        let caller = self.present(caller).await?;
        let user = self.target(caller, &named).await?;
        let now = Timestamp::now();
        Ok(self.store.sessions_of(user.id, now, now.before(self.sessions.idle)).await?)
    }

    /// Ends a session of a user, for the user itself and for callers that manage the user.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], [`ServiceError::NotFound`], also if the session has ended; and errors of the
    /// database.
    pub async fn end_session(
        &self,
        caller: Caller,
        named: Identifier,
        session: Uuid,
    ) -> Result<Receipt, ServiceError> {
        caller.session()?;
        let caller = self.present(caller).await?;
        let user_id = self.target(caller, &named).await?.id;
        let end = self.write(caller.actor(), move |tx| async move {
            match tx.end_session_of(user_id, session, Timestamp::now()).await? {
                true => Ok(()),
                false => Err(ServiceError::NotFound),
            }
        });
        Ok(end.await?.1)
    }

    /// Ends every session of a user. If the user is the caller, the caller's present session ends too.
    ///
    /// # Errors
    /// The same errors as [`Service::end_session`].
    pub async fn end_sessions(&self, caller: Caller, named: Identifier) -> Result<Receipt, ServiceError> {
        caller.session()?;
        let caller = self.present(caller).await?;
        let user_id = self.target(caller, &named).await?.id;
        let end = self.write(caller.actor(), move |tx| async move {
            Ok(tx.end_sessions_of(user_id, Timestamp::now()).await?)
        });
        Ok(end.await?.1)
    }
}
