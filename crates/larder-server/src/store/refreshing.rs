//! Refresh tokens. Each can be used once.
//!
//! Invariants:
//! - `one_current_token`: at most one of a session's tokens is unused, and exactly one rotation uses it;
//! - `reuse_ends_the_family`: a token that is used a second time ends its session, whether its user or a thief sent it.
//!   Exception: within the grace period after its first use, the token before the current one can be used again, and
//!   the answer is the current token.

use std::time::Duration;

use larder_sql::write::WriteTransaction;
use sqlx::Row;
use sqlx::any::AnyRow;
use uuid::Uuid;

use crate::domain::audit::{Action, Event};
use crate::domain::identity::UserId;
use crate::domain::timestamp::Timestamp;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::row;
use crate::store::sessions::{end, insert_token, is_live};
use crate::store::writing::Writer;

/// A refresh token to exchange.
#[derive(Debug, Clone, Copy)]
pub struct Refresh<'a> {
    /// The hash of the token that the client sent.
    pub hash: &'a str,
    /// The hash of the new token.
    pub next_hash: &'a str,
    /// The new token, sealed so that only a client that has the sent token can open it.
    pub successor: &'a str,
    /// The present time.
    pub now: Timestamp,
    /// If a session was not used for this long, it has ended.
    pub idle: Duration,
    /// The grace period: for this long after the use of a token, a second use returns the same successor.
    pub grace: Duration,
}

/// The result of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotated {
    /// The token was the current one of its session. The new token has replaced it.
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
    /// The token was used within the grace period before this call, and its successor is unused.
    Repeated {
        /// The session.
        session: Uuid,
        /// The user.
        user_id: UserId,
        /// The user's epoch, as this transaction saw it.
        epoch: i64,
        /// When the token was used.
        used_at: Timestamp,
        /// When the session expires.
        expires_at: Timestamp,
        /// The successor of the token, sealed for the client.
        successor: String,
    },
    /// A second use that is no [`Rotated::Repeated`]. This call ended the session.
    Reused {
        /// The session.
        session: Uuid,
        /// The user.
        user_id: UserId,
    },
    /// The token was never issued, or its session has been deleted.
    Unknown,
    /// The session ended, expired, or was not used for too long.
    Expired,
}

/// An unused refresh token, without the token itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshRow {
    /// The session of the token.
    pub session: Uuid,
    /// The user.
    pub user_id: UserId,
    /// Since when the token is valid.
    pub issued_at: Timestamp,
    /// When the session expires.
    pub expires_at: Timestamp,
}

impl Writer {
    /// Uses a refresh token and issues the next one. If several calls use the same token, the first call issues the
    /// next token. A later call within the grace period gets that token again while it is unused. Any other second use is
    /// a reuse and ends the session; calls after that get [`Rotated::Expired`].
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn rotate_refresh(&self, refresh: Refresh<'_>) -> Result<Rotated, StoreError> {
        let now = refresh.now;
        let mut write = self.begin().await?;
        // A session without a user is ignored: the sqlite3 shell has foreign keys off, so it deletes a user without the
        // sessions.
        let select = write.locking(
            "SELECT id, user_id, expires_at, ended_at FROM sessions
             WHERE id = (SELECT session_id FROM refresh_tokens WHERE token_hash = $1)
               AND EXISTS (SELECT 1 FROM users WHERE users.id = sessions.user_id)",
        );
        let Some(row) = sqlx::query(select).bind(refresh.hash).fetch_optional(write.statement()).await?
        else {
            return Ok(Rotated::Unknown);
        };
        let session: Uuid = row::parsed(&row, "id")?;
        let user_id = row::user_id(&row, "user_id")?;
        // A session that ended or expired has no current token, so a second use is no reuse.
        if !is_live(&row, now)? {
            return Ok(Rotated::Expired);
        }
        let expires_at = Timestamp::from_micros(row.try_get("expires_at")?);
        // The lock on the session keeps the state of its tokens until the commit.
        let token = token(&mut write, refresh.hash).await?;
        let outcome = match token.used_at {
            None if token.issued_at.after(refresh.idle) <= now => {
                end(&mut write, session, now).await?;
                Rotated::Expired
            }
            None => {
                use_token(&mut write, &refresh).await?;
                insert_token(&mut write, refresh.next_hash, session, now).await?;
                Rotated::Done { session, user_id, epoch: epoch(&mut write, user_id).await?, expires_at }
            }
            Some(used_at) => {
                match successor(&mut write, session, used_at, token.successor, &refresh).await? {
                    Some(successor) => {
                        let epoch = epoch(&mut write, user_id).await?;
                        Rotated::Repeated { session, user_id, epoch, used_at, expires_at, successor }
                    }
                    None => {
                        end(&mut write, session, now).await?;
                        Rotated::Reused { session, user_id }
                    }
                }
            }
        };
        // A rotation is no event for the log: it happens automatically, every quarter of an hour.
        let event = match outcome {
            Rotated::Reused { .. } => Some(Event::on(Action::SessionReuse, user_id)),
            Rotated::Expired => Some(Event::on(Action::SessionIdle, user_id)),
            _ => None,
        };
        self.commit(write, event.as_slice()).await?;
        Ok(outcome)
    }
}

impl Store {
    /// The user of the session to which a refresh token belongs, whether or not the token was used.
    ///
    /// # Errors
    /// Errors of the database.
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
    /// Errors of the database.
    pub async fn session_by_refresh(&self, hash: &str) -> Result<Option<Uuid>, StoreError> {
        let query = sqlx::query("SELECT session_id FROM refresh_tokens WHERE token_hash = $1").bind(hash);
        let row = query.fetch_optional(self.database.read()).await?;
        Ok(row.map(|row| row::parsed(&row, "session_id")).transpose()?)
    }

    /// The refresh token with this hash, if it can still be used: it is unused, its session is live, and it was issued
    /// later than `idle_since`.
    ///
    /// # Errors
    /// Errors of the database.
    pub async fn unused_refresh(
        &self,
        hash: &str,
        now: Timestamp,
        idle_since: Timestamp,
    ) -> Result<Option<RefreshRow>, StoreError> {
        let query = sqlx::query(
            "SELECT session_id, user_id, issued_at, expires_at FROM refresh_tokens
             JOIN sessions ON sessions.id = session_id
             WHERE token_hash = $1 AND used_at IS NULL AND ended_at IS NULL AND expires_at > $2 AND issued_at > $3
               AND EXISTS (SELECT 1 FROM users WHERE users.id = sessions.user_id)",
        );
        let query = query.bind(hash).bind(now.as_micros()).bind(idle_since.as_micros());
        let row = query.fetch_optional(self.database.read()).await?;
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

/// A refresh token without the token itself.
struct TokenRow {
    issued_at: Timestamp,
    used_at: Option<Timestamp>,
    /// The successor, sealed for the client. `None`: the token is unused, or an earlier release rotated it.
    successor: Option<String>,
}

async fn token(write: &mut WriteTransaction, hash: &str) -> Result<TokenRow, StoreError> {
    let query = sqlx::query("SELECT issued_at, used_at, successor FROM refresh_tokens WHERE token_hash = $1");
    let row = query.bind(hash).fetch_one(write.statement()).await?;
    Ok(TokenRow {
        issued_at: Timestamp::from_micros(row.try_get("issued_at")?),
        used_at: row.try_get::<Option<i64>, _>("used_at")?.map(Timestamp::from_micros),
        successor: row.try_get("successor")?,
    })
}

async fn use_token(write: &mut WriteTransaction, refresh: &Refresh<'_>) -> Result<(), StoreError> {
    sqlx::query("UPDATE refresh_tokens SET used_at = $2, successor = $3 WHERE token_hash = $1")
        .bind(refresh.hash)
        .bind(refresh.now.as_micros())
        .bind(refresh.successor)
        .execute(write.statement())
        .await?;
    Ok(())
}

/// The sealed successor of a used token, if the token was used within the grace and its successor is the current token.
/// The successor was issued at the instant at which the token was used.
async fn successor(
    write: &mut WriteTransaction,
    session: Uuid,
    used_at: Timestamp,
    successor: Option<String>,
    refresh: &Refresh<'_>,
) -> Result<Option<String>, StoreError> {
    if used_at.after(refresh.grace) <= refresh.now {
        return Ok(None);
    }
    let query = sqlx::query(
        "SELECT issued_at FROM refresh_tokens WHERE session_id = $1 AND used_at IS NULL AND issued_at = $2",
    );
    let query = query.bind(session.to_string()).bind(used_at.as_micros());
    Ok(query.fetch_optional(write.statement()).await?.and(successor))
}

async fn epoch(write: &mut WriteTransaction, user_id: UserId) -> Result<i64, StoreError> {
    let query = sqlx::query("SELECT epoch FROM credentials WHERE user_id = $1");
    Ok(query.bind(user_id.to_string()).fetch_one(write.statement()).await?.try_get("epoch")?)
}
