//! Stores the tokens that are sent by mail. Each token can be used once.
//!
//! A token is valid while its user is active and has the e-mail address and the epoch that it had when the token was
//! made. Both are compared for equality in the statement that deletes the token.

use larder_sql::write::WriteTransaction;
use sqlx::Row;

use crate::domain::audit::{Action, Event};
use crate::domain::contact::Email;
use crate::domain::identity::UserId;
use crate::domain::mail::MailPurpose;
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use crate::store::error::StoreError;
use crate::store::row;
use crate::store::writing::Writer;
use crate::store::{Store, passwords, sessions};

/// The greatest number of tokens of one kind that a user has; older tokens are deleted. The number is greater than 1,
/// so that a second request for a mail does not make the token of the first mail invalid.
const KEPT: i64 = 5;

/// A token to store. It cannot be serialised.
pub struct NewMailToken<'a> {
    /// The user.
    pub user_id: UserId,
    /// What the token allows.
    pub purpose: MailPurpose,
    /// SHA-256 of the token.
    pub hash: &'a str,
    /// When the token is made.
    pub now: Timestamp,
    /// When the token expires.
    pub expires_at: Timestamp,
}

/// The user that a valid token was sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailTokenOwner {
    /// The user.
    pub user_id: UserId,
    /// The user's e-mail address.
    pub email: Email,
}

impl Store {
    /// The active user with this e-mail address.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn active_user_of_email(&self, email: &Email) -> Result<Option<UserId>, StoreError> {
        let query = sqlx::query("SELECT id FROM users WHERE email = $1 AND is_active").bind(email.as_str());
        let row = query.fetch_optional(self.database.read()).await?;
        Ok(row.map(|row| row::user_id(&row, "id")).transpose()?)
    }

    /// The owner of a valid token.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn mail_token_owner(
        &self,
        hash: &str,
        purpose: MailPurpose,
        now: Timestamp,
    ) -> Result<Option<MailTokenOwner>, StoreError> {
        let query = sqlx::query(
            "SELECT users.id, users.email FROM mail_tokens JOIN users ON users.id = mail_tokens.user_id
             LEFT JOIN credentials ON credentials.user_id = users.id
             WHERE mail_tokens.token_hash = $1 AND mail_tokens.purpose = $2 AND mail_tokens.expires_at > $3
               AND mail_tokens.email = users.email AND mail_tokens.epoch = COALESCE(credentials.epoch, 0)
               AND users.is_active",
        );
        let query = query.bind(hash).bind(purpose.as_str()).bind(now.as_micros());
        let Some(row) = query.fetch_optional(self.database.read()).await? else { return Ok(None) };
        let email = Email::stored(row.try_get("email")?);
        Ok(Some(MailTokenOwner { user_id: row::user_id(&row, "id")?, email }))
    }
}

impl Writer {
    /// Stores a token. Returns the address to which the token has to be sent. `None`: no token is stored, because there
    /// is no such active user, the user has confirmed its address already, or the token would reset the password and
    /// the address is unproven (was set without a password). Only in the last case, the audit log gets an entry.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn insert_mail_token(&self, new: NewMailToken<'_>) -> Result<Option<Email>, StoreError> {
        let mut write = self.begin_for(new.user_id).await?;
        let Some(user) = row::locked(&mut write, new.user_id).await? else { return Ok(None) };
        let is_confirmed = new.purpose == MailPurpose::EmailConfirm && user.email_verified;
        if !user.is_active || is_confirmed {
            return Ok(None);
        }
        if new.purpose == MailPurpose::PasswordReset && is_unproven(&mut write, &user).await? {
            tracing::warn!(user_id = %user.id, "no mail: the address was set without a password");
            let event = Event::on(Action::PasswordForget, user.id).text("code", "address_unproven");
            self.commit(write, &[event]).await?;
            return Ok(None);
        }
        sqlx::query("DELETE FROM mail_tokens WHERE expires_at <= $1")
            .bind(new.now.as_micros())
            .execute(write.statement())
            .await?;
        let insert = sqlx::query(
            "INSERT INTO mail_tokens (token_hash, user_id, purpose, email, epoch, created_at, expires_at)
             VALUES ($1, $2, $3, $4, COALESCE((SELECT epoch FROM credentials WHERE user_id = $2), 0), $5, $6)",
        );
        let insert = insert.bind(new.hash).bind(new.user_id.to_string()).bind(new.purpose.as_str());
        let insert = insert.bind(user.email.as_str()).bind(new.now.as_micros());
        insert.bind(new.expires_at.as_micros()).execute(write.statement()).await?;
        let prune = sqlx::query(
            "DELETE FROM mail_tokens WHERE user_id = $1 AND purpose = $2 AND token_hash NOT IN (
                 SELECT token_hash FROM mail_tokens WHERE user_id = $1 AND purpose = $2
                 ORDER BY created_at DESC, token_hash LIMIT $3
             )",
        );
        let prune = prune.bind(new.user_id.to_string()).bind(new.purpose.as_str()).bind(KEPT);
        prune.execute(write.statement()).await?;
        let action = match new.purpose {
            MailPurpose::PasswordReset => Action::PasswordForget,
            MailPurpose::EmailConfirm => Action::EmailAsk,
        };
        self.commit(write, &[Event::on(action, new.user_id)]).await?;
        Ok(Some(user.email))
    }

    /// Sets a password by a token: ends the token and every session, and raises the epoch. Returns whether the token was
    /// valid; if not, nothing is changed.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn reset_password(
        &self,
        id: UserId,
        token_hash: &str,
        password_hash: &str,
    ) -> Result<bool, StoreError> {
        let mut write = self.begin_for(id).await?;
        let now = Timestamp::now();
        if use_token(&mut write, id, token_hash, MailPurpose::PasswordReset, now).await?.is_none() {
            return Ok(false);
        }
        passwords::replace(&mut write, id, password_hash, now).await?;
        sessions::end_all(&mut write, id, now).await?;
        self.commit(write, &[Event::on(Action::PasswordReset, id)]).await?;
        Ok(true)
    }

    /// Confirms the user's e-mail address by a token, and ends the token. Returns whether the token was valid.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn confirm_email(&self, id: UserId, token_hash: &str) -> Result<bool, StoreError> {
        let mut write = self.begin_for(id).await?;
        let now = Timestamp::now();
        let used = use_token(&mut write, id, token_hash, MailPurpose::EmailConfirm, now).await?;
        let Some(user) = used else { return Ok(false) };
        if !user.email_verified {
            let query = sqlx::query("UPDATE users SET email_verified = TRUE WHERE id = $1");
            query.bind(id.to_string()).execute(write.statement()).await?;
        }
        self.commit(write, &[Event::on(Action::EmailConfirm, id)]).await?;
        Ok(true)
    }
}

/// Whether the user's present e-mail address was set without a password. The caller of this function holds the lock on
/// the user's row, so no other transaction changes the address meanwhile.
async fn is_unproven(write: &mut WriteTransaction, user: &User) -> Result<bool, StoreError> {
    let query = sqlx::query("SELECT user_id FROM credentials WHERE user_id = $1 AND unproven_email = $2");
    let query = query.bind(user.id.to_string()).bind(user.email.as_str());
    Ok(query.fetch_optional(write.statement()).await?.is_some())
}

/// Locks the user's row, and deletes the token and all others of its purpose. `None`: the token is not valid. Until the
/// commit, the lock keeps other transactions from changing the user's address, password or status, and from using the
/// token a second time.
async fn use_token(
    write: &mut WriteTransaction,
    id: UserId,
    hash: &str,
    purpose: MailPurpose,
    now: Timestamp,
) -> Result<Option<User>, StoreError> {
    let Some(user) = row::locked(write, id).await?.filter(|user| user.is_active) else { return Ok(None) };
    let delete = sqlx::query(
        "DELETE FROM mail_tokens WHERE token_hash = $1 AND user_id = $2 AND purpose = $3 AND expires_at > $4
           AND email = $5 AND epoch = COALESCE((SELECT epoch FROM credentials WHERE user_id = $2), 0)",
    );
    let delete = delete.bind(hash).bind(id.to_string()).bind(purpose.as_str()).bind(now.as_micros());
    if delete.bind(user.email.as_str()).execute(write.statement()).await?.rows_affected() == 0 {
        return Ok(None);
    }
    let others = sqlx::query("DELETE FROM mail_tokens WHERE user_id = $1 AND purpose = $2");
    others.bind(id.to_string()).bind(purpose.as_str()).execute(write.statement()).await?;
    Ok(Some(user))
}
