//! Password resets and confirmations of e-mail addresses, by a token from a mail.
//!
//! Asking for a reset starts work in the background and returns at once, so neither the answer nor its duration
//! discloses whether a user has the address.

use std::net::IpAddr;

use larder::receipt::Receipt;
use larder_identity::limits::Purpose;
use larder_identity::mail_token::MailToken;
use larder_identity::token_hash::token_hash;

use crate::domain::audit::{Action, Actor};
use crate::domain::body::ResetBody;
use crate::domain::contact::Email;
use crate::domain::identity::{Identifier, UserId};
use crate::domain::mail::MailPurpose;
use crate::domain::timestamp::Timestamp;
use crate::mail::Mail;
use crate::mail::mailer::Mailer;
use crate::service::Service;
use crate::service::access::Caller;
use crate::service::auth::check_not_own;
use crate::service::confirming::charged;
use crate::service::error::ServiceError;
use crate::service::refusal::Refusal;
use crate::store::mail_tokens::NewMailToken;
use crate::store::origin::RequestOrigin;

impl Service {
    /// The sender of mails.
    ///
    /// # Errors
    /// [`ServiceError::MailUnset`].
    fn required_mailer(&self) -> Result<Mailer, ServiceError> {
        self.mailer.clone().ok_or(ServiceError::MailUnset)
    }

    /// If an active user has this address, sends a token to it. The answer is the same if no user has the address.
    ///
    /// # Errors
    /// [`ServiceError::MailUnset`], and [`ServiceError::TooMany`].
    pub fn forgot_password(&self, email: Email, from: IpAddr) -> Result<(), ServiceError> {
        let mailer = self.required_mailer()?;
        // `drop` spends the attempt: each call may send a mail.
        drop(self.limits.mail(email.as_str(), from)?);
        let (service, sender) = (self.clone(), mailer.clone());
        mailer.soon(in_origin(async move {
            let found = service.store.active_user_of_email(&email).await;
            match found {
                Ok(Some(user_id)) => {
                    let actor = Actor::Nobody;
                    service.token_mail(&sender, actor, user_id, MailPurpose::PasswordReset).await
                }
                Ok(None) => {
                    service.note_intervention(Action::PasswordForget, "unknown_address");
                    None
                }
                Err(error) => {
                    tracing::warn!(%error, "a mail was given up: the database does not answer");
                    None
                }
            }
        }));
        Ok(())
    }

    /// Sets a new password by a token, and ends every session. The second factor stays.
    ///
    /// # Errors
    /// [`ServiceError::MailUnset`], [`ServiceError::Refused`], [`ServiceError::Invalid`], [`ServiceError::TooMany`], and
    /// errors of the database.
    pub async fn reset_password(&self, body: ResetBody, from: IpAddr) -> Result<Receipt, ServiceError> {
        self.required_mailer()?;
        let attempt = self.limits.from_address(Purpose::MailToken, from)?;
        let ended = || ServiceError::Refused(Refusal::MailTokenInvalid);
        let hash = token_hash(&body.token);
        let owner = self.store.mail_token_owner(&hash, MailPurpose::PasswordReset, Timestamp::now()).await?;
        let owner = owner.ok_or_else(ended)?;
        aim_at(owner.user_id);
        check_not_own(&body.new_password, &owner.names, "new_password")?;
        let (password, attempt) =
            charged(attempt, self.passwords.of_client(from).hash(&body.new_password).await)?;
        let reset = self.write(Actor::User(owner.user_id), move |tx| async move {
            Ok(tx.reset_password(owner.user_id, &hash, &password).await?)
        });
        let (is_valid, receipt) = reset.await?;
        if !is_valid {
            return Err(ended());
        }
        attempt.give_back();
        Ok(receipt)
    }

    /// Sends a token to the caller's present e-mail address.
    ///
    /// # Errors
    /// [`ServiceError::MailUnset`], [`ServiceError::Refused`], [`ServiceError::TooMany`], and errors of the database.
    pub async fn ask_to_confirm_email(&self, caller: Caller, from: IpAddr) -> Result<(), ServiceError> {
        let mailer = self.required_mailer()?;
        caller.session()?;
        let caller = self.present(caller).await?;
        let user = self.found_now(&Identifier::Id(caller.id)).await?;
        if user.email_verified {
            return Err(ServiceError::Refused(Refusal::EmailConfirmed));
        }
        // Both budgets: one for the address, and one for the user, who may change its address again and again.
        drop(self.limits.mail(user.email.as_str(), from)?);
        drop(self.limits.mail(&caller.id.to_string(), from)?);
        let (service, sender) = (self.clone(), mailer.clone());
        mailer.soon(in_origin(async move {
            service.token_mail(&sender, caller.actor(), caller.id, MailPurpose::EmailConfirm).await
        }));
        Ok(())
    }

    /// Confirms an e-mail address by a token.
    ///
    /// # Errors
    /// [`ServiceError::MailUnset`], [`ServiceError::Refused`], [`ServiceError::TooMany`], and errors of the database.
    pub async fn confirm_email(&self, token: &str, from: IpAddr) -> Result<Receipt, ServiceError> {
        self.required_mailer()?;
        let attempt = self.limits.from_address(Purpose::MailToken, from)?;
        let ended = || ServiceError::Refused(Refusal::MailTokenInvalid);
        let hash = token_hash(token);
        let owner = self.store.mail_token_owner(&hash, MailPurpose::EmailConfirm, Timestamp::now()).await?;
        let user_id = owner.ok_or_else(ended)?.user_id;
        aim_at(user_id);
        let confirm =
            self.write(
                Actor::User(user_id),
                move |tx| async move { Ok(tx.confirm_email(user_id, &hash).await?) },
            );
        let (is_valid, receipt) = confirm.await?;
        if !is_valid {
            return Err(ended());
        }
        attempt.give_back();
        Ok(receipt)
    }

    /// Stores a new token of this user, and returns the mail with it.
    async fn token_mail(
        &self,
        mailer: &Mailer,
        actor: Actor,
        user_id: UserId,
        purpose: MailPurpose,
    ) -> Option<Mail> {
        let MailToken { text: token, hash } = MailToken::random();
        let now = Timestamp::now();
        let expires_at = now.after(mailer.token_life());
        let insert = self.write(actor, move |tx| async move {
            Ok(tx.insert_mail_token(NewMailToken { user_id, purpose, hash: &hash, now, expires_at }).await?)
        });
        match insert.await {
            Ok((to, _receipt)) => {
                let link = mailer.link(purpose, &token);
                to.map(|to| Mail { user_id, to, purpose, token, link, expires_at })
            }
            Err(error) => {
                tracing::warn!(%user_id, purpose = purpose.as_str(), %error, "a mail was given up");
                None
            }
        }
    }
}

/// Runs `work` with the origin of the present request, so that its entries in the audit log have the client's address.
fn in_origin<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    let origin = RequestOrigin::present();
    async move {
        match origin {
            Some(origin) => origin.scope(work).await,
            None => work.await,
        }
    }
}

/// Notes the user that this request concerns, for the audit log.
fn aim_at(user_id: UserId) {
    if let Some(origin) = RequestOrigin::present() {
        // `set` fails if the target is set already. It is not, because a request sends one token.
        let _ = origin.target.set(user_id);
    }
}
