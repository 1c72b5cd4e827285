//! The second factor (TOTP): enrolment, confirmation, check at login, removal.
//!
//! Turning the second factor on or off ends no session: each session was opened with the proofs that were required
//! then, and the user has just proved the password.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use larder::receipt::Receipt;
use larder_identity::authenticator::Authenticator;
use larder_identity::sealing::{SealedSecret, Sealing};
use larder_identity::token_hash::token_hash;
use uuid::Uuid;

use crate::domain::audit::Actor;
use crate::domain::identity::{Identifier, UserId};
use crate::domain::password::Password;
use crate::domain::role::Role;
use crate::domain::second_factor::{RecoveryCode, SecondFactor, TotpCode};
use crate::domain::timestamp::Timestamp;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::confirming::Proof;
use crate::service::error::ServiceError;
use crate::service::refusal::Refusal;
use crate::settings::security::SecondFactorRequired;
use crate::store::Store;
use crate::store::totp::TotpRow;
use crate::store::writing::{ByJournal, Writer};

const RECOVERY_CODES: usize = 10;
const ISSUER: &str = "larder";

/// For how long the service remembers that a user has a second factor. A removal on another instance counts when this
/// time has passed; a removal on this instance counts at once.
const REMEMBERED: Duration = Duration::from_secs(60);

/// The users that had a second factor when the database was last asked. The service asks only about users that must
/// have one, and the map saves a query at each of their requests.
pub(super) struct Enrolled(quick_cache::sync::Cache<UserId, Instant>);

impl Default for Enrolled {
    fn default() -> Self {
        Self(quick_cache::sync::Cache::new(10_000))
    }
}

impl Enrolled {
    fn knows(&self, user: UserId) -> bool {
        self.0.get(&user).is_some_and(|asked| asked.elapsed() < REMEMBERED)
    }
}

/// What an authenticator app needs; shown once.
pub struct Enrollment {
    /// The secret in base32, for typing.
    pub secret: String,
    /// The secret as `otpauth://…`, for a QR code.
    pub uri: String,
}

impl Service {
    /// Begins an enrolment. Logins need the second factor only after a code has confirmed it.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] for a wrong password, or if a second factor is on already, [`ServiceError::TooMany`],
    /// and errors of the database.
    pub async fn enroll_totp(
        &self,
        caller: Caller,
        password: &Password,
        from: IpAddr,
    ) -> Result<Enrollment, ServiceError> {
        let login = self.confirmed_by_password(caller, password, from).await?;
        let authenticator = Authenticator::random()?;
        let sealed = self.sealing.seal(caller.id.as_uuid(), authenticator.secret())?;
        let enroll = self.write(caller.actor(), move |tx| async move {
            Ok(tx.enroll_totp(caller.id, &sealed, Timestamp::now()).await?)
        });
        if !enroll.await?.0 {
            return Err(ServiceError::Refused(Refusal::SecondFactorOn));
        }
        let uri = authenticator.uri(ISSUER, login.user.email.as_str());
        Ok(Enrollment { secret: authenticator.to_base32(), uri })
    }

    /// Turns the second factor on, with a code of the authenticator. Returns the recovery codes, which are shown once.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] for a wrong code, or if no enrolment waits for its confirmation,
    /// [`ServiceError::TooMany`], and errors of the database.
    pub async fn confirm_totp(
        &self,
        caller: Caller,
        code: &TotpCode,
        from: IpAddr,
    ) -> Result<Vec<RecoveryCode>, ServiceError> {
        let session = caller.session()?;
        let caller = self.present(caller).await?;
        let attempt = self.limits.confirm(session, from)?;
        let row = self.store.totp(caller.id).await?;
        let row = row.ok_or(ServiceError::Refused(Refusal::NothingToConfirm))?;
        if row.confirmed_at.is_some() {
            return Err(ServiceError::Refused(Refusal::SecondFactorOn));
        }
        let now = Timestamp::now();
        let step = self.step_of(caller.id, &row.secret, code, now)?;
        let step = step.ok_or(ServiceError::Refused(Refusal::CodeWrong))?;
        let codes: Vec<_> = (0..RECOVERY_CODES).map(|_| RecoveryCode::random()).collect();
        let hashes: Vec<_> = codes.iter().map(|code| token_hash(code.expose())).collect();
        let confirm = self.write(caller.actor(), move |tx| async move {
            Ok(tx.confirm_totp(caller.id, &row.secret, step, now, &hashes).await?)
        });
        if !confirm.await?.0 {
            return Err(ServiceError::Refused(Refusal::SecondFactorChanged));
        }
        attempt.give_back();
        Ok(codes)
    }

    /// Turns the caller's second factor off.
    ///
    /// # Errors
    /// [`ServiceError::Refused`] for a wrong password or code, or if no second factor is on, [`ServiceError::TooMany`],
    /// and errors of the database.
    pub async fn remove_totp(
        &self,
        caller: Caller,
        password: &Password,
        factor: Option<SecondFactor>,
        from: IpAddr,
    ) -> Result<Receipt, ServiceError> {
        let session = caller.session()?;
        self.confirmed_by_password(caller, password, from).await?;
        if self.store.totp(caller.id).await?.is_none() {
            return Err(ServiceError::Refused(Refusal::SecondFactorAbsent));
        }
        self.confirm_factor(session, caller.id, factor).await?;
        self.delete_totp(caller, caller.id).await
    }

    /// Turns off the second factor of another user, who has lost it. If that user has rights, the caller confirms it with
    /// its password: otherwise the thief of an admin's token could weaken the logins of all other admins.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], [`ServiceError::NotFound`], [`ServiceError::TooMany`], and errors of the database.
    pub async fn reset_totp(
        &self,
        caller: Caller,
        named: Identifier,
        proof: &Proof,
    ) -> Result<Receipt, ServiceError> {
        caller.session()?;
        let caller = self.present(caller).await?;
        caller.check_admin()?;
        let target = self.target(caller, &named).await?;
        caller.check_manage(target.role)?;
        if target.id == caller.id {
            return Err(ServiceError::Refused(Refusal::OwnSecondFactor));
        }
        if self.has_rights(&target).await? {
            self.confirm(caller, proof).await?;
        }
        tracing::info!(user = %target.id, by = %caller.id, "second factor reset");
        self.delete_totp(caller, target.id).await
    }

    /// How many recovery codes the caller has left; `None` if its second factor is off.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn totp_of(&self, caller: Caller) -> Result<Option<i64>, ServiceError> {
        let row = self.present_totp(caller.id).await?;
        Ok(row.map(|row| row.recovery_codes))
    }

    /// Checks the second factor at login, after the password was right.
    ///
    /// # Errors
    /// [`ServiceError::SecondFactorNeeded`], [`ServiceError::Refused`] for a wrong code, [`ServiceError::TooMany`], and
    /// errors of the database.
    pub(crate) async fn check_second_factor(
        &self,
        user_id: UserId,
        factor: Option<SecondFactor>,
        device: Option<Uuid>,
    ) -> Result<(), ServiceError> {
        let Some(row) = self.present_totp(user_id).await? else { return Ok(()) };
        let factor = factor.ok_or(ServiceError::SecondFactorNeeded)?;
        let attempt = self.limits.code(user_id.as_uuid(), device)?;
        if !self.spend(user_id, &row, factor).await? {
            return Err(ServiceError::Refused(Refusal::LoginCodeWrong));
        }
        attempt.give_back();
        Ok(())
    }

    pub(crate) async fn present_totp(&self, user_id: UserId) -> Result<Option<TotpRow>, ServiceError> {
        Ok(self.store.totp(user_id).await?.filter(|row| row.confirmed_at.is_some()))
    }

    /// Marks a code as used, so that it is not accepted a second time. Returns whether the code was valid and unused.
    pub(crate) async fn spend(
        &self,
        user_id: UserId,
        row: &TotpRow,
        factor: SecondFactor,
    ) -> Result<bool, ServiceError> {
        let now = Timestamp::now();
        let (is_spent, _) = match factor {
            SecondFactor::Totp(code) => {
                let Some(step) = self.step_of(user_id, &row.secret, &code, now)? else { return Ok(false) };
                let spend = move |tx: Writer| async move { Ok(tx.use_totp_step(user_id, step).await?) };
                self.write(Actor::User(user_id), spend).await?
            }
            SecondFactor::Recovery(code) => {
                let hash = token_hash(code.expose());
                let spend =
                    move |tx: Writer| async move { Ok(tx.use_recovery_code(user_id, &hash, now).await?) };
                self.write(Actor::User(user_id), spend).await?
            }
        };
        Ok(is_spent)
    }

    /// The time step to which a code belongs: the present step, the previous or the next one. `None`: it belongs to
    /// none of them.
    fn step_of(
        &self,
        user_id: UserId,
        secret: &SealedSecret,
        code: &TotpCode,
        now: Timestamp,
    ) -> Result<Option<i64>, ServiceError> {
        let authenticator = Authenticator::of(self.sealing.open(user_id.as_uuid(), secret)?)?;
        Ok(authenticator.step_of(code, now.into()).and_then(|step| i64::try_from(step).ok()))
    }

    /// Refuses a session of a user that has to have a second factor and has none. An API key was made by a session, and
    /// keeps its rights.
    ///
    /// # Errors
    /// [`ServiceError::Refused`], and errors of the database.
    pub(crate) async fn check_enrolled(&self, caller: Caller) -> Result<(), ServiceError> {
        let is_concerned = match self.second_factor {
            SecondFactorRequired::None => false,
            SecondFactorRequired::Admins => caller.role > Role::User,
            SecondFactorRequired::Everyone => true,
        };
        if !is_concerned || caller.session().is_err() || self.enrolled.knows(caller.id) {
            return Ok(());
        }
        match self.present_totp(caller.id).await? {
            Some(_) => {
                self.enrolled.0.insert(caller.id, Instant::now());
                Ok(())
            }
            None => Err(ServiceError::Refused(Refusal::SecondFactorRequired)),
        }
    }

    async fn delete_totp(&self, caller: Caller, user_id: UserId) -> Result<Receipt, ServiceError> {
        let delete = self.write(caller.actor(), move |tx| async move { Ok(tx.delete_totp(user_id).await?) });
        let (_, receipt) = delete.await?;
        self.enrolled.0.remove(&user_id);
        Ok(receipt)
    }
}

/// Checks that the secrets in the database can be decrypted. Secrets that were not encrypted with the current key are
/// encrypted with it now.
///
/// # Errors
/// [`ServiceError::Internal`] with the name of the setting, and errors of the database.
pub(crate) async fn reseal_secrets(store: &Store, sealing: &Sealing) -> Result<(), ServiceError> {
    for (user, secret) in store.totp_secrets().await? {
        let Some(sealed) = sealing.reseal(user.as_uuid(), &secret)? else { continue };
        store
            .write(Actor::Nobody, ByJournal, move |tx| async move {
                tx.replace_totp_secret(user, &secret, &sealed).await
            })
            .await?;
    }
    Ok(())
}
