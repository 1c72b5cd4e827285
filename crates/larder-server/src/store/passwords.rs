//! Reads password hashes for logins, always from the database, and changes them.

use std::fmt;

use larder_identity::hashing::Passwords;
use larder_sql::write::WriteTransaction;
use sqlx::Row;

use crate::domain::audit::{Action, Event};
use crate::domain::identity::{Identifier, UserId};
use crate::domain::timestamp::Timestamp;
use crate::domain::user::User;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::odd_rows;
use crate::store::row::{self, select_user};
use crate::store::sessions;
use crate::store::writing::Writer;

/// The login data of a user. It cannot be serialised, so it cannot be cached.
pub struct Login {
    /// The user that logs in.
    pub user: User,
    /// The hash with which the password is compared.
    pub password_hash: String,
    /// The epoch with which a session is opened: see [`NewSession`](crate::store::sessions::NewSession).
    pub epoch: i64,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user.id)
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// The result of setting a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordSet {
    /// The password is set; earlier tokens and sessions are invalid.
    Done,
    /// The password was changed after the expected epoch was read.
    Outdated,
    /// There is no such user.
    NotFound,
}

/// The SELECT of a login, by the column that identifies the user.
macro_rules! select_login {
    ($column:literal) => {
        select_user!(
            and "password_hash, epoch";
            "JOIN credentials ON credentials.user_id = users.id WHERE users.", $column, " = $1"
        )
    };
}

impl Store {
    /// The user with its password hash; `None` if there is no such user or it has no password.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn credentials_for_login(&self, by: &Identifier) -> Result<Option<Login>, StoreError> {
        let query = match by {
            Identifier::Id(id) => sqlx::query(select_login!("id")).bind(id.to_string()),
            Identifier::External(external) => {
                sqlx::query(select_login!("external_id")).bind(external.as_str())
            }
            Identifier::Email(email) => sqlx::query(select_login!("email")).bind(email.as_str()),
            Identifier::Username(name) => sqlx::query(select_login!("username")).bind(name.as_str()),
            Identifier::Phone(phone) => sqlx::query(select_login!("phone")).bind(phone.as_str()),
        };
        let Some(row) = query.fetch_optional(self.database.read()).await? else {
            return Ok(None);
        };
        let login = Login {
            // Login needs only a few columns of the user, so other columns may be unreadable.
            user: row::as_read(&row)?.user,
            password_hash: row.try_get("password_hash")?,
            epoch: row.try_get("epoch")?,
        };
        if !Passwords::is_known(&login.password_hash) {
            odd_rows::note_hash(login.user.id);
        }
        Ok(Some(login))
    }
}

impl Writer {
    /// Sets a password, raises the epoch and ends every session.
    ///
    /// With `expected_epoch`, the password is set only if the user's epoch still has this value.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn set_password(
        &self,
        id: UserId,
        hash: &str,
        expected_epoch: Option<i64>,
    ) -> Result<PasswordSet, StoreError> {
        let mut write = self.begin_for(id).await?;
        if row::locked(&mut write, id).await?.is_none() {
            return Ok(PasswordSet::NotFound);
        }
        let now = Timestamp::now();
        let query = sqlx::query(
            "UPDATE credentials SET password_hash = $2, epoch = epoch + 1, changed_at = $3
             WHERE user_id = $1 AND (CAST($4 AS BIGINT) IS NULL OR epoch = $4)",
        );
        let query = query.bind(id.to_string()).bind(hash).bind(now.as_micros()).bind(expected_epoch);
        if query.execute(write.statement()).await?.rows_affected() == 0 {
            if expected_epoch.is_some() {
                return Ok(PasswordSet::Outdated);
            }
            insert(&mut write, id, hash, now).await?;
        }
        sessions::end_all(&mut write, id, now).await?;
        self.commit(write, &[Event::on(Action::PasswordChange, id)]).await?;
        Ok(PasswordSet::Done)
    }

    /// Replaces a hash by a better one of the same password; tokens stay valid. Returns whether `old_hash` was still
    /// stored.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn rehash_password(
        &self,
        id: UserId,
        old_hash: &str,
        new_hash: &str,
    ) -> Result<bool, StoreError> {
        let mut write = self.begin().await?;
        let query = sqlx::query(
            "UPDATE credentials SET password_hash = $3 WHERE user_id = $1 AND password_hash = $2",
        );
        let query = query.bind(id.to_string()).bind(old_hash).bind(new_hash);
        let changed = query.execute(write.statement()).await?.rows_affected() == 1;
        // The password did not change, only its hash, so the audit log gets no entry.
        self.commit(write, &[]).await?;
        Ok(changed)
    }
}

/// Sets a password, whether or not the user has one, and raises the epoch.
pub(super) async fn replace(
    write: &mut WriteTransaction,
    id: UserId,
    hash: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let query = sqlx::query(
        "UPDATE credentials SET password_hash = $2, epoch = epoch + 1, changed_at = $3 WHERE user_id = $1",
    );
    let query = query.bind(id.to_string()).bind(hash).bind(now.as_micros());
    if query.execute(write.statement()).await?.rows_affected() == 0 {
        insert(write, id, hash, now).await?;
    }
    Ok(())
}

/// Stores a user's first password.
pub(super) async fn insert(
    write: &mut WriteTransaction,
    id: UserId,
    hash: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let query =
        sqlx::query("INSERT INTO credentials (user_id, password_hash, changed_at) VALUES ($1, $2, $3)");
    query.bind(id.to_string()).bind(hash).bind(now.as_micros()).execute(write.statement()).await?;
    Ok(())
}
