//! Checks the password, and the code if the user has a second factor, before actions for which a stolen access token
//! must not be enough.

use std::net::IpAddr;

use larder_identity::hashing::HashingError;
use larder_identity::limits::Attempt;
use uuid::Uuid;

use crate::domain::body::Confirmation;
use crate::domain::identity::{Identifier, UserId};
use crate::domain::password::Password;
use crate::domain::second_factor::SecondFactor;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::error::ServiceError;
use crate::service::refusal::Refusal;
use crate::store::passwords::Login;

/// What a request proves about its sender besides its token.
#[derive(Debug, Clone)]
pub struct Proof {
    /// The password and the code, if the request has them.
    pub confirmation: Confirmation,
    /// The client's address, from whose budget an attempt takes.
    pub from: IpAddr,
}

impl Service {
    /// Checks the password and, if the caller has a second factor, the code.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] if the caller uses an API key, or if the password or the needed code is missing or
    /// wrong; [`ServiceError::TooMany`], and errors of the database.
    pub(crate) async fn confirm(&self, caller: Caller, proof: &Proof) -> Result<(), ServiceError> {
        let session = caller.session()?;
        let Confirmation { current_password, factor } = &proof.confirmation;
        let needed = ServiceError::Refused(Refusal::PasswordNeeded);
        self.confirmed_by_password(caller, current_password.as_ref().ok_or(needed)?, proof.from).await?;
        self.confirm_factor(session, caller.id, factor.clone()).await
    }

    /// Checks the code that came in a session of the user, if the user has a second factor. The caller of this function
    /// has checked the password.
    pub(crate) async fn confirm_factor(
        &self,
        session: Uuid,
        user_id: UserId,
        factor: Option<SecondFactor>,
    ) -> Result<(), ServiceError> {
        let Some(row) = self.present_totp(user_id).await? else { return Ok(()) };
        let factor = factor.ok_or(ServiceError::Refused(Refusal::CodeNeeded))?;
        let attempt = self.limits.confirm_code(session)?;
        if !self.spend(user_id, &row, factor).await? {
            return Err(ServiceError::Refused(Refusal::CodeWrong));
        }
        attempt.give_back();
        Ok(())
    }

    /// The caller's login data, if the caller has a session and `password` is right.
    pub(crate) async fn confirmed_by_password(
        &self,
        caller: Caller,
        password: &Password,
        from: IpAddr,
    ) -> Result<Login, ServiceError> {
        let session = caller.session()?;
        let caller = self.present(caller).await?;
        let attempt = self.limits.confirm(session, from)?;
        let login = self.store.credentials_for_login(&Identifier::Id(caller.id)).await?;
        let stored = login.as_ref().map(|login| login.password_hash.as_str());
        let (is_right, attempt) = self.compared(attempt, password, stored, from).await?;
        let login = login.filter(|_| is_right).ok_or(ServiceError::Refused(Refusal::PasswordWrong))?;
        attempt.give_back();
        Ok(login)
    }

    /// Whether `password`, which the client at `from` sent, has this `hash`. If the queue of passwords to hash is full,
    /// nothing is compared, so the attempt is given back.
    pub(crate) async fn compared(
        &self,
        attempt: Attempt,
        password: &Password,
        hash: Option<&str>,
        from: IpAddr,
    ) -> Result<(bool, Attempt), ServiceError> {
        charged(attempt, self.passwords.of_client(from).matches(password, hash).await)
    }
}

/// Gives the attempt back if the queue of the hashers was full, because nothing was compared or disclosed then.
pub(super) fn charged<T>(
    attempt: Attempt,
    hashed: Result<T, HashingError>,
) -> Result<(T, Attempt), ServiceError> {
    match hashed {
        Err(HashingError::Busy) => {
            attempt.give_back();
            Err(ServiceError::HashingBusy)
        }
        hashed => Ok((hashed?, attempt)),
    }
}
