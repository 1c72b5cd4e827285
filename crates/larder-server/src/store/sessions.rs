//! Sessions and their refresh tokens. Each refresh token can be used once.
//!
//! Invariants:
//! - `one_current_token`: at most one of a session's tokens is unused, and exactly one rotation uses it;
//! - `reuse_ends_the_family`: a token that is used a second time ends its session, whether its user or a thief sent it;
//! - `at_most_20_live`: if a new session would be a user's 21st, the oldest ones end.

use larder_sql::write::WriteTransaction;
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use crate::domain::audit::{Action, Event};
use crate::domain::identity::UserId;
use crate::domain::timestamp::Timestamp;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::odd_rows;
use crate::store::row;
use crate::store::unchanged::UnchangedRow;
use crate::store::writing::Writer;

/// How many live sessions may stay when another one is opened.
const OLDER_SESSIONS: i64 = 19;

/// A session to open.
#[derive(Debug, Clone, Copy)]
pub struct NewSession<'a> {
    /// Its id, which is the `sid` of its tokens.
    pub id: Uuid,
    /// The user.
    pub user_id: UserId,
    /// The epoch that was read with the password hash.
    pub epoch: i64,
    /// SHA-256 of the first refresh token, in hex.
    pub token_hash: &'a str,
    /// The present time.
    pub now: Timestamp,
    /// When it expires; rotation does not prolong it.
    pub expires_at: Timestamp,
}

/// The result of opening a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// The session is open.
    Done {
        /// The older sessions that ended to keep the limit.
        ended: Vec<Uuid>,
    },
    /// The user does not exist, is inactive, or has another epoch: the password must be checked again.
    Outdated,
}

/// The result of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// The token was the current one; now the new token is.
    Done {
        /// The session.
        session: Uuid,
        /// The user.
        user_id: UserId,
        /// The user's epoch, as this transaction saw it.
        epoch: i64,
        /// When the session expires.
        expires_at: Timestamp,
    },
    /// The token had been used before, so its session has ended.
    Reused {
        /// The session.
        session: Uuid,
        /// The user.
        user_id: UserId,
    },
    /// The token was never issued, or its session has been deleted.
    Unknown,
    /// The session ended or expired.
    Expired,
}

/// An unused refresh token, without the token itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshRow {
    /// Its session.
    pub session: Uuid,
    /// The user.
    pub user_id: UserId,
    /// Since when it is valid.
    pub issued_at: Timestamp,
    /// When its session expires.
    pub expires_at: Timestamp,
}

impl Writer {
    /// Opens a session.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn open_session(&self, new: NewSession<'_>) -> Result<Opened, StoreError> {
        let mut write = self.begin_for(new.user_id).await?;
        // The password may have changed since its hash was read. The lock on the user keeps the epoch as it is until
        // the commit.
        let user = row::locked(&mut write, new.user_id).await?;
        let query = sqlx::query("SELECT epoch FROM credentials WHERE user_id = $1");
        let credentials = query.bind(new.user_id.to_string()).fetch_optional(write.statement()).await?;
        let epoch = credentials.map(|row| row.try_get::<i64, _>("epoch")).transpose()?;
        if !user.is_some_and(|user| user.is_active) || epoch != Some(new.epoch) {
            return Ok(Opened::Outdated);
        }
        // Expired sessions are deleted here, as no request needs them.
        sqlx::query("DELETE FROM sessions WHERE user_id = $1 AND expires_at <= $2")
            .bind(new.user_id.to_string())
            .bind(new.now.as_micros())
            .execute(write.statement())
            .await?;
        let ended = end_oldest(&mut write, &new).await?;
        sqlx::query("INSERT INTO sessions (id, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)")
            .bind(new.id.to_string())
            .bind(new.user_id.to_string())
            .bind(new.now.as_micros())
            .bind(new.expires_at.as_micros())
            .execute(write.statement())
            .await?;
        insert_token(&mut write, new.token_hash, new.id, new.now).await?;
        self.commit(write, &[Event::on(Action::SessionOpen, new.user_id)]).await?;
        Ok(Opened::Done { ended })
    }

    /// Uses a refresh token and issues the next one. Of several concurrent uses, one succeeds, the next one counts as
    /// reuse and ends the session, and the others find the session ended.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn rotate_refresh(
        &self,
        old_hash: &str,
        new_hash: &str,
        now: Timestamp,
    ) -> Result<Rotated, StoreError> {
        let mut write = self.begin().await?;
        // Only sessions whose user exists count: the sqlite3 shell deletes users without the rows that refer to them.
        let select = write.locking(
            "SELECT id, user_id, expires_at, ended_at FROM sessions
             WHERE id = (SELECT session_id FROM refresh_tokens WHERE token_hash = $1)
               AND EXISTS (SELECT 1 FROM users WHERE users.id = sessions.user_id)",
        );
        let Some(row) = sqlx::query(select).bind(old_hash).fetch_optional(write.statement()).await? else {
            return Ok(Rotated::Unknown);
        };
        let session: Uuid = row::parsed(&row, "id")?;
        let user_id = row::user_id(&row, "user_id")?;
        // A session that ended or expired has no current token, so a second use is no reuse.
        if !is_live(&row, now)? {
            return Ok(Rotated::Expired);
        }
        let used =
            sqlx::query("UPDATE refresh_tokens SET used_at = $2 WHERE token_hash = $1 AND used_at IS NULL")
                .bind(old_hash)
                .bind(now.as_micros())
                .execute(write.statement())
                .await?;
        let outcome = if used.rows_affected() == 0 {
            end(&mut write, session, now).await?;
            Rotated::Reused { session, user_id }
        } else {
            insert_token(&mut write, new_hash, session, now).await?;
            let query = sqlx::query("SELECT epoch FROM credentials WHERE user_id = $1");
            let epoch =
                query.bind(user_id.to_string()).fetch_one(write.statement()).await?.try_get("epoch")?;
            let expires_at = Timestamp::from_micros(row.try_get("expires_at")?);
            Rotated::Done { session, user_id, epoch, expires_at }
        };
        let reuse = [Event::on(Action::SessionReuse, user_id)];
        // A rotation is no event for the log: it happens automatically, every quarter of an hour.
        let events = if matches!(outcome, Rotated::Reused { .. }) { &reuse[..] } else { &[] };
        self.commit(write, events).await?;
        Ok(outcome)
    }

    /// Ends a session. Returns its user if the session was live.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn end_session(&self, session: Uuid, now: Timestamp) -> Result<Option<UserId>, StoreError> {
        let mut write = self.begin().await?;
        let ended = end(&mut write, session, now).await?;
        if ended.is_none() {
            let query = sqlx::query("SELECT user_id FROM sessions WHERE id = $1").bind(session.to_string());
            if let Some(row) = query.fetch_optional(write.statement()).await? {
                let user_id = row::user_id(&row, "user_id")?;
                self.found_unchanged(|| UnchangedRow::belonging_to(user_id, "sessions"));
            }
        }
        // A session that had ended before has its entry in the log already.
        let events = ended.map(|user_id| Event::on(Action::SessionClose, user_id));
        self.commit(write, events.as_slice()).await?;
        Ok(ended)
    }
}

impl Store {
    /// The user to whose session a refresh token belongs, whether or not the token was used.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn user_by_refresh(&self, hash: &str) -> Result<Option<UserId>, StoreError> {
        let query = sqlx::query(
            "SELECT user_id FROM sessions WHERE id = (SELECT session_id FROM refresh_tokens WHERE token_hash = $1)",
        );
        let row = query.bind(hash).fetch_optional(self.database.read()).await?;
        Ok(row.map(|row| row::user_id(&row, "user_id")).transpose()?)
    }

    /// The session of a refresh token, whether or not the token was used.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn session_by_refresh(&self, hash: &str) -> Result<Option<Uuid>, StoreError> {
        let query = sqlx::query("SELECT session_id FROM refresh_tokens WHERE token_hash = $1").bind(hash);
        let row = query.fetch_optional(self.database.read()).await?;
        Ok(row.map(|row| row::parsed(&row, "session_id")).transpose()?)
    }

    /// The refresh token with this hash, if it can still be used.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn unused_refresh(&self, hash: &str, now: Timestamp) -> Result<Option<RefreshRow>, StoreError> {
        let query = sqlx::query(
            "SELECT session_id, user_id, issued_at, expires_at FROM refresh_tokens
             JOIN sessions ON sessions.id = session_id
             WHERE token_hash = $1 AND used_at IS NULL AND ended_at IS NULL AND expires_at > $2
               AND EXISTS (SELECT 1 FROM users WHERE users.id = sessions.user_id)",
        );
        let row = query.bind(hash).bind(now.as_micros()).fetch_optional(self.database.read()).await?;
        let read = |row: AnyRow| {
            Ok(RefreshRow {
                session: row::parsed(&row, "session_id")?,
                user_id: row::user_id(&row, "user_id")?,
                issued_at: Timestamp::from_micros(row.try_get("issued_at")?),
                expires_at: Timestamp::from_micros(row.try_get("expires_at")?),
            })
        };
        Ok(row.map(read).transpose().map_err(|error: sqlx::Error| error)?)
    }
}

/// Ends every session of a user whose row is locked.
pub(super) async fn end_all(
    write: &mut WriteTransaction,
    user_id: UserId,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE sessions SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL")
        .bind(user_id.to_string())
        .bind(now.as_micros())
        .execute(write.statement())
        .await?;
    Ok(())
}

async fn end(
    write: &mut WriteTransaction,
    session: Uuid,
    now: Timestamp,
) -> Result<Option<UserId>, StoreError> {
    let query =
        sqlx::query("UPDATE sessions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL RETURNING user_id");
    let query = query.bind(session.to_string()).bind(now.as_micros());
    let row = query.fetch_optional(write.statement()).await?;
    Ok(row.map(|row| row::user_id(&row, "user_id")).transpose()?)
}

/// Ends the oldest sessions beyond the limit for one more. The lock on the user's row keeps other writers from adding
/// one.
async fn end_oldest(write: &mut WriteTransaction, new: &NewSession<'_>) -> Result<Vec<Uuid>, StoreError> {
    let rows = sqlx::query(
        "UPDATE sessions SET ended_at = $2 WHERE id IN (
             SELECT id FROM sessions WHERE user_id = $1 AND ended_at IS NULL
             ORDER BY created_at DESC, id DESC LIMIT 1000 OFFSET $3
         ) RETURNING id",
    )
    .bind(new.user_id.to_string())
    .bind(new.now.as_micros())
    .bind(OLDER_SESSIONS)
    .fetch_all(write.statement())
    .await?;
    Ok(odd_rows::readable("sessions", "id", &rows, |row| row::parsed(row, "id"))?)
}

async fn insert_token(
    write: &mut WriteTransaction,
    hash: &str,
    session: Uuid,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO refresh_tokens (token_hash, session_id, issued_at) VALUES ($1, $2, $3)")
        .bind(hash)
        .bind(session.to_string())
        .bind(now.as_micros())
        .execute(write.statement())
        .await?;
    Ok(())
}

fn is_live(session: &AnyRow, now: Timestamp) -> Result<bool, sqlx::Error> {
    let ended: Option<i64> = session.try_get("ended_at")?;
    let expires: i64 = session.try_get("expires_at")?;
    Ok(ended.is_none() && expires > now.as_micros())
}
